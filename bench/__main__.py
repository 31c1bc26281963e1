"""Measure and write the report: `python -m bench --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import native, report
from bench.measure import Machinery, Pace, RowResult, measure_row
from bench.rows import GROWTH, PEERS, ROWS, Row

QUICK = Pace(rounds=4, seconds=0.4, warm=0.2, full=False)
FULL = Pace(rounds=5, seconds=0.8, warm=0.3, full=True)
RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for row in (*ROWS, *GROWTH):
            print(f"{row.name:29}{row.title}: {', '.join(row.peers)}")
        return 0
    rows = _chosen_rows(arguments.only, growth=arguments.growth or arguments.full)
    pace = FULL if arguments.full else QUICK
    if arguments.rounds:
        pace = Pace(arguments.rounds, pace.seconds, pace.warm, pace.full)
    try:
        programs = native.build()
    except native.BuildError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1

    results: list[RowResult] = []
    with tempfile.TemporaryDirectory() as scratch:
        machinery = Machinery(programs, pace, Path(scratch))
        for row in rows:
            peers = _chosen_peers(row, arguments.peers)
            if not peers:
                continue
            print(f"\n{row.title} ({row.unit})", flush=True)
            result = measure_row(machinery, row, peers)
            results.append(result)
            print(report.text(result), flush=True)
        run = report.Run.describe(machinery, sys.argv[1:] if argv is None else argv)
    paths = report.write(results, run, arguments.output)
    print("\nwritten:", *paths)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ROW", help="repeatable; see --list")
    parser.add_argument(
        "--growth", action="store_true", help="also how the cost grows, and latency"
    )
    parser.add_argument(
        "--peers", metavar="A,B", help="only these; a family takes all of its variants"
    )
    parser.add_argument("--full", action="store_true", help="everything, in longer windows, 1 GB")
    parser.add_argument("--rounds", type=int, help="how often each peer of a row is measured")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, help="folder of the report (%(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="name the rows and their peers")
    return parser


def _chosen_rows(names: list[str] | None, *, growth: bool) -> list[Row]:
    if names is None:
        return [*ROWS, *GROWTH] if growth else list(ROWS)
    known: dict[str, list[Row]] = {}
    for row in (*ROWS, *GROWTH):
        known.setdefault(row.name, []).append(row)
        if row.series:
            known.setdefault(row.series.name, []).append(row)
    wanted = [name for part in names for name in part.split(",")]
    for name in wanted:
        if name not in known:
            raise SystemExit(f"bench: no row {name!r}; there are {', '.join(known)}")
    return [row for name in wanted for row in known[name]]


def _chosen_peers(row: Row, names: str | None) -> list[str]:
    if names is None:
        return list(row.peers)
    wanted = set(names.split(","))
    unknown = wanted - PEERS.keys() - {peer.family for peer in PEERS.values()}
    if unknown:
        raise SystemExit(f"bench: no peer {', '.join(sorted(unknown))}; see --list")
    return [name for name in row.peers if name in wanted or PEERS[name].family in wanted]


if __name__ == "__main__":
    raise SystemExit(main())
