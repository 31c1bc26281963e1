"""Writes what was measured: a table for people, the raw numbers as JSON, and the plot."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import plot
from bench.measure import BENCH, Machinery, RowResult, Sample
from bench.plot import TIMES, number
from bench.rows import PEERS, Kind, Row


@dataclass(frozen=True)
class Standing:
    """A peer's place in a row: medians over the rounds.

    The ratio is the median of the ratios of each round, in which the peer and the baseline were
    measured moments apart; `low` and `high` are its extremes.
    """

    name: str
    value: float
    ratio: float | None
    low: float | None
    high: float | None

    @property
    def title(self) -> str:
        return PEERS[self.name].title

    @property
    def family(self) -> str:
        return PEERS[self.name].family


def standings(result: RowResult) -> list[Standing]:
    """Return the peers that were measured, in the row's order."""
    key = result.value_key
    base = [sample[key] for sample in result.samples.get(result.row.baseline, ())]
    found = []
    for name in result.row.peers:
        if name not in result.samples:
            continue
        values = [sample[key] for sample in result.samples[name]]
        ratios = [value / against for value, against in zip(values, base, strict=False)]
        if result.row.kind is Kind.MEMORY:
            ratios = []  # a few dozen bytes of C are no unit to count in
        found.append(
            Standing(
                name,
                statistics.median(values),
                statistics.median(ratios) if ratios else None,
                min(ratios, default=None),
                max(ratios, default=None),
            )
        )
    return found


@dataclass(frozen=True)
class Reach:
    """What duplexio wants to reach in a row, and whether it did (None: not measured)."""

    text: str
    met: bool | None

    @classmethod
    def of(cls, row: Row, places: Sequence[Standing]) -> Reach:
        ours = [place for place in places if place.family == "duplexio"]
        others = [place for place in places if place.family not in ("duplexio", "c")]
        wanted: list[tuple[str, list[bool]]] = []
        if row.reach_ratio is not None:
            baseline = PEERS[row.baseline]
            against = "C" if baseline.family == "c" else baseline.title
            met = [place.ratio <= row.reach_ratio for place in ours if place.ratio is not None]
            wanted.append((f"≤ {row.reach_ratio:g} {TIMES} {against}", met))
        elif row.reach_value is not None:
            met = [place.value <= row.reach_value for place in ours]
            wanted.append((f"≤ {number(row.reach_value)}", met))
        if row.reach_ahead:
            met = [place.value < other.value for place in ours for other in others]
            wanted.append(("ahead of all", met))
        verdicts = [all(met) for _, met in wanted if met]
        measured = verdicts and len(verdicts) == len(wanted)
        return cls(", ".join(text for text, _ in wanted), all(verdicts) if measured else None)

    @property
    def verdict(self) -> str:
        return {True: "reached", False: "not reached", None: "not measured"}[self.met]


BARS, LINES = "benchmarks.svg", "growth.svg"
QUIET = 0.05
"""Share of the time that others may have the CPUs before it is no quiet machine."""


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} {TIMES}"


def _median(samples: Iterable[Sample], *path: str) -> float:
    def follow(sample: Sample) -> float:
        value: Any = sample
        for key in path:
            value = value[key]
        return float(value)

    return statistics.median(follow(sample) for sample in samples)


def _at_same_rate(samples: list[Sample], quantile: str) -> str:
    if "same" not in samples[0]:
        return ""
    return number(_median(samples, "same", "latency_us", quantile))


# What a row of each kind shows beside value and ratio: heading and how to get it.
COLUMNS: dict[Kind, dict[str, Callable[[list[Sample]], str]]] = {
    Kind.LOAD: {
        "per second": lambda samples: number(_median(samples, "per_second")),
        "latency p50, µs": lambda samples: number(_median(samples, "latency_us", "p50")),
        "p99, µs": lambda samples: number(_median(samples, "latency_us", "p99")),
    },
    Kind.LATENCY: {
        "capacity per second": lambda samples: number(_median(samples, "capacity")),
        "p50": lambda samples: number(_median(samples, "own", "latency_us", "p50")),
        "p99": lambda samples: number(_median(samples, "own", "latency_us", "p99")),
        "p99.9": lambda samples: number(_median(samples, "own", "latency_us", "p999")),
        "p50 at the baseline's rate": lambda samples: _at_same_rate(samples, "p50"),
        "p99 at it": lambda samples: _at_same_rate(samples, "p99"),
        "p99.9 at it": lambda samples: _at_same_rate(samples, "p999"),
    },
    Kind.MEMORY: {
        "proportional (PSS)": lambda samples: number(_median(samples, "proportional_bytes")),
        "µs CPU to open": lambda samples: number(_median(samples, "open_cpu_us")),
    },
    Kind.CLIENT: {
        "µs wall": lambda samples: number(_median(samples, "wall_us")),
    },
    Kind.CLIENT_MEMORY: {
        "µs CPU to connect": lambda samples: number(_median(samples, "open_cpu_us")),
        "threads": lambda samples: number(_median(samples, "threads")),
    },
    Kind.DEFLATE: {
        "compress": lambda samples: number(_median(samples, "compress_s_per_gb")),
        "decompress": lambda samples: number(_median(samples, "decompress_s_per_gb")),
        "compression": lambda samples: f"{_median(samples, 'ratio'):.2f} : 1",
        "bytes": lambda samples: number(_median(samples, "bytes")),
    },
}


def table(result: RowResult) -> list[list[str]]:
    """Return the row's table, heading first."""
    row = result.row
    extra = COLUMNS[row.kind]
    with_ratio = row.kind is not Kind.MEMORY
    heading = ["peer", row.unit]
    if with_ratio:
        heading += [f"ratio to {PEERS[row.baseline].title}", "lowest to highest"]
    lines = [heading + list(extra)]
    for place in standings(result):
        cells = [place.title, number(place.value)]
        if with_ratio:
            spread = "" if place.low is None else f"{place.low:.2f} to {place.high:.2f}"
            cells += [_ratio(place.ratio), spread]
        samples = result.samples[place.name]
        lines.append(cells + [show(samples) for show in extra.values()])
    return lines


def failures(result: RowResult) -> list[str]:
    """Name who is not in the table, and why."""
    return [
        f"{PEERS[name].title}: not measured: {reason}" for name, reason in result.failures.items()
    ]


def text(result: RowResult) -> str:
    """Return the row for a terminal."""
    lines = table(result)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    shown = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    reach = Reach.of(result.row, standings(result))
    if reach.text:
        shown.append(f"reach: {reach.text}: {reach.verdict}")
    return "\n".join("  " + line for line in shown + failures(result))


def markdown_table(lines: list[list[str]]) -> str:
    heading, *rest = lines
    rule = ["---"] + ["--:"] * (len(heading) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [heading, rule, *rest])


@dataclass(frozen=True)
class Run:
    """Where, when and how it was measured."""

    date: str
    command: str
    commit: str
    machine: str
    kernel: str
    pinning: str
    pace: str
    compiler: str
    versions: dict[str, str]
    implementation: str

    @classmethod
    def describe(cls, machinery: Machinery, arguments: Sequence[str]) -> Run:
        cpus, pace = machinery.cpus, machinery.pace
        pinning = "one CPU for all: server and generator were not pinned"
        if cpus.server is not None:
            pinning = f"server on CPU {cpus.server}, generator on CPU {cpus.generator}"
        command = shlex.join(["python", "-m", "bench", *arguments])
        return cls(
            date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            command=command,
            commit=_output("git", "describe", "--always", "--dirty"),
            machine=f"{_cpu_model()}, {os.cpu_count()} CPUs",
            kernel=f"{platform.system()} {platform.release()}",
            pinning=pinning,
            pace=f"{pace.rounds} rounds, each {pace.seconds:g} s after {pace.warm:g} s of warm-up",
            compiler=machinery.native.compiler,
            versions=_versions(),
            implementation=_implementation(),
        )


def _output(*command: str) -> str:
    try:
        result = subprocess.run(
            command, cwd=BENCH.parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    names = {package for peer in PEERS.values() for package in peer.packages}
    for name in ["duplexio", *sorted(names)]:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    versions["Node"] = _output("node", "--version")
    for name in ("ws", "socket.io", "socket.io-client"):
        package = BENCH / "node_modules" / name / "package.json"
        versions[name] = json.loads(package.read_text())["version"] if package.exists() else "none"
    return versions


def _implementation() -> str:
    """Ask a fresh interpreter which of duplexio's implementations it loads."""
    name = _output(sys.executable, "-c", "import duplexio; print(duplexio.implementation)")
    return {"c": "compiled", "python": "pure Python"}.get(name, name)


def by_series(results: Sequence[RowResult]) -> list[list[RowResult]]:
    """Return the results that belong to series, together for each series."""
    found: dict[str, list[RowResult]] = {}
    for result in results:
        if result.row.series:
            found.setdefault(result.row.series.name, []).append(result)
    return list(found.values())


def series_table(points: Sequence[RowResult]) -> list[list[str]]:
    """Return one line for each point of a series, with the value and the ratio of each peer."""
    row = points[0].row
    assert row.series is not None
    heading = [row.series.axis]
    for name in row.peers:
        title = PEERS[name].title
        heading += [title] if name == row.baseline else [title, f"to {PEERS[row.baseline].title}"]
    lines = [heading]
    for result in points:
        point = result.row.point
        cells = [f"{int(point):,}" if point.isdigit() else point]
        places = {place.name: place for place in standings(result)}
        for name in row.peers:
            place = places.get(name)
            cells.append(number(place.value) if place else "failed")
            if name != row.baseline:
                cells.append(_ratio(place.ratio) if place else "")
        lines.append(cells)
    return lines


def overview(results: Sequence[RowResult]) -> list[list[str]]:
    """One line for each row of no series: duplexio, the best other, and the reach."""
    lines = [["work", "unit", "baseline", "duplexio", "ratio", "best other peer", "reach", ""]]
    for result in results:
        if result.row.series:
            continue
        places = standings(result)
        base = next((place for place in places if place.name == result.row.baseline), None)
        ours = next((place for place in places if place.family == "duplexio"), None)
        others = [place for place in places if place.family not in ("duplexio", "c")]
        best = min(others, key=lambda place: place.value, default=None)
        reach = Reach.of(result.row, places)
        lines.append(
            [
                result.row.title,
                result.row.unit,
                number(base.value) if base else "failed",
                number(ours.value) if ours else "failed",
                _ratio(ours.ratio) if ours else "",
                f"{best.title}: {number(best.value)}, {_ratio(best.ratio)}".rstrip(", ")
                if best
                else "",
                reach.text,
                reach.verdict if reach.text else "",
            ]
        )
    return lines


def disturbance(results: Sequence[RowResult]) -> str:
    """Say how much of the time others had the CPUs, which tells what the figures are worth."""
    samples = [
        sample
        for result in results
        if result.row.kind is Kind.LOAD
        for measured in result.samples.values()
        for sample in measured
    ]
    if not samples:
        return "no row tells how busy the machine was"
    server, generator = (_median(samples, key) for key in ("server_waited", "generator_waited"))
    said = (
        f"other programs had the server's CPU {server:.0%} of the time and the generator's"
        f" {generator:.0%} (medians)"
    )
    if max(server, generator) > QUIET:
        said += ": latencies and messages per second mean little here, CPU time and ratios more"
    return said


INTRODUCTION = """\
# Benchmarks

Server CPU time per message, read from outside from the process's CPU clock (user and system, all
threads), next to a C server on epoll as the limit. The peers of a row are measured in turn,
round after round, so that what disturbs the machine hits all alike; the numbers are medians, and
a ratio is the median of the ratios of each round. The ratios are what counts: absolute times are
those of one machine on one day. One process each, uvloop where it is supported, no
permessage-deflate, no logging, plain TCP over loopback unless said.
"""


def markdown(results: Sequence[RowResult], run: Run, plots: Sequence[str]) -> str:
    """Return the report."""
    parts = [INTRODUCTION]
    if BARS in plots:
        parts.append(f"![Server CPU per message, duplexio and its peers]({BARS})\n")
    parts.append(markdown_table(overview(results)) + "\n")
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    parts.append(
        "## How it was measured\n\n"
        f"- {run.date}, commit {run.commit}, duplexio {run.implementation}\n"
        f"- {run.machine}, {run.kernel}; {run.pinning}\n"
        f"- {run.pace}; {run.compiler}\n"
        f"- {disturbance(results)}\n"
        f"- {versions}\n\n"
        f"```sh\n{run.command}\n```\n"
    )
    if by_series(results):
        parts.append("## How the cost grows\n")
    if LINES in plots:
        parts.append(f"![Server CPU per message, as work grows]({LINES})\n")
    for points in by_series(results):
        row = points[0].row
        assert row.series is not None
        parts.append(f"### {row.series.title}\n\n{row.unit}, by {row.series.axis}\n")
        parts.append(markdown_table(series_table(points)) + "\n")
        parts.extend(
            f"- {result.row.title}: {line}\n" for result in points for line in failures(result)
        )
    parts.append("## Every row\n")
    for result in results:
        if result.row.series:
            continue
        parts.append(f"### {result.row.title}\n")
        if result.row.arguments:
            parts.append(f"`{shlex.join(result.row.arguments)}`\n")
        parts.append(markdown_table(table(result)) + "\n")
        parts.extend(f"- {line}\n" for line in failures(result))
    return "\n".join(parts)


def write(results: Sequence[RowResult], run: Run, output: Path) -> list[Path]:
    """Write report.md, results.json and, with matplotlib, the plots; return the paths."""
    output.mkdir(parents=True, exist_ok=True)
    raw = {
        "run": dataclasses.asdict(run),
        "rows": {
            result.row.name: {
                "title": result.row.title,
                "unit": result.row.unit,
                "arguments": result.row.arguments,
                "server": result.row.server,
                "samples": result.samples,
                "failures": result.failures,
                "standings": [dataclasses.asdict(place) for place in standings(result)],
            }
            for result in results
        },
    }
    paths = [output / "results.json", output / "report.md"]
    paths[0].write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
    drawn = {
        BARS: plot.draw(_panels(results), output / BARS),
        LINES: plot.draw_lines(_charts(results), output / LINES),
    }
    for name, reason in drawn.items():
        if reason:
            (output / name).unlink(missing_ok=True)
            print(f"no {name}: {reason}")
        else:
            paths.append(output / name)
    paths[1].write_text(markdown(results, run, [name for name in drawn if not drawn[name]]))
    return paths


def _panels(results: Sequence[RowResult]) -> list[plot.Panel]:
    return [
        plot.Panel(
            result.row.title,
            result.row.unit,
            [
                plot.Bar(place.title, place.value, place.ratio, place.family)
                for place in standings(result)
            ],
        )
        for result in results
        if result.row.name in plot.ROWS and result.samples
    ]


def _charts(results: Sequence[RowResult]) -> list[plot.Chart]:
    """One chart for each series whose axis has numbers enough for a line."""
    charts = []
    for points in by_series(results):
        row = points[0].row
        assert row.series is not None
        if len(points) < 3:
            continue
        lines = {name: plot.Line(PEERS[name].title, PEERS[name].family) for name in row.peers}
        for result in points:
            for place in standings(result):
                lines[place.name].points.append((float(result.row.point), place.value))
        shown = [line for line in lines.values() if line.points]
        charts.append(plot.Chart(row.series.title, row.unit, row.series.axis, shown))
    return charts
