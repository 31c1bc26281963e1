"""The rows of the benchmark, and what the report says about them."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import plot
from bench.__main__ import _chosen_peers, _chosen_rows
from bench.measure import RowResult
from bench.report import (
    Reach,
    by_series,
    disturbance,
    failures,
    markdown_table,
    overview,
    series_table,
    standings,
    table,
    text,
)
from bench.rows import GROWTH, PEERS, ROWS, Kind, Row, Series

ROW = Row("row", "the row", Kind.LOAD, ("c", "duplexio", "picows", "websockets"), reach_ratio=1.3)


def sample(cpu_us: float) -> dict[str, object]:
    return {
        "cpu_us": cpu_us,
        "per_second": 1e6 / cpu_us,
        "latency_us": {"p50": 10.0, "p99": 20.0},
        "server_waited": 0.01,
        "generator_waited": 0.3 if cpu_us > 6 else 0.02,
    }


@pytest.fixture
def result() -> RowResult:
    """The machine was half as fast in the second round."""
    samples = {
        "c": [sample(4.0), sample(8.0), sample(4.0)],
        "duplexio": [sample(5.0), sample(10.0), sample(4.8)],
        "picows": [sample(6.0), sample(12.0), sample(6.0)],
    }
    return RowResult(ROW, "cpu_us", samples, {"websockets": "is not installed"}, 0.0)


def test_ratios_are_taken_within_a_round(result: RowResult) -> None:
    limit, ours, other = standings(result)
    assert (limit.value, limit.ratio) == (4.0, 1.0)
    assert ours.value == 5.0
    assert ours.ratio == 1.25
    assert ours.low == pytest.approx(1.2)
    assert ours.high == 1.25
    assert other.ratio == 1.5


def test_who_failed_is_named_with_the_reason(result: RowResult) -> None:
    assert failures(result) == ["websockets: not measured: is not installed"]
    assert "is not installed" in text(result)


def test_a_row_without_its_baseline_has_values_but_no_ratios(result: RowResult) -> None:
    del result.samples["c"]
    assert [place.ratio for place in standings(result)] == [None, None]
    assert Reach.of(ROW, standings(result)).verdict == "not measured"


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (ROW, "reached"),
        (Row("r", "r", Kind.LOAD, ROW.peers, reach_ratio=1.2), "not reached"),
        (Row("r", "r", Kind.LOAD, ROW.peers, reach_value=5.0), "reached"),
        (Row("r", "r", Kind.LOAD, ROW.peers, reach_value=4.9), "not reached"),
        (Row("r", "r", Kind.LOAD, ROW.peers, reach_ahead=True), "reached"),
    ],
)
def test_reach(result: RowResult, row: Row, verdict: str) -> None:
    assert Reach.of(row, standings(result)).verdict == verdict


def test_ahead_means_ahead_of_every_peer(result: RowResult) -> None:
    row = Row("r", "r", Kind.LOAD, ROW.peers, reach_ahead=True)
    result.samples["websockets"] = [sample(4.9)] * 3
    assert Reach.of(row, standings(result)).verdict == "not reached"


def test_a_busy_machine_is_said_to_be_one(result: RowResult) -> None:
    quiet = replace(result, samples={"c": [sample(4.0)]})
    assert disturbance([quiet]).endswith("1% of the time and the generator's 2% (medians)")
    busy = replace(result, samples={"c": [sample(8.0)]})
    assert "30% (medians): latencies" in disturbance([busy])
    assert disturbance([replace(result, samples={})]).startswith("no row tells")


def test_tables_are_rectangular(result: RowResult) -> None:
    for lines in (table(result), overview([result]), series_table(_series(result))):
        assert len({len(line) for line in lines}) == 1


def _series(result: RowResult) -> list[RowResult]:
    """The result at two points, at the second of which only the C server was measured."""
    series = Series("work", "the work", "clients")
    first = replace(ROW, name="row-100", series=series, point="100")
    second = replace(ROW, name="row-15000", series=series, point="15000")
    return [
        replace(result, row=first),
        replace(result, row=second, samples={"c": result.samples["c"]}),
    ]


def test_a_series_is_one_table(result: RowResult) -> None:
    points = _series(result)
    assert by_series([result, *points]) == [points]
    assert len(overview([result, *points])) == 2
    heading, first, second = series_table(points)
    assert heading[:3] == ["clients", "C epoll loop", "duplexio"]
    assert first[:4] == ["100", "4.00", "5.00", f"1.25 {plot.TIMES}"]
    assert second[:4] == ["15,000", "4.00", "failed", ""]
    assert markdown_table([heading, first]).count("\n") == 2


def test_latency_is_shown_at_both_rates() -> None:
    def at(scale: float) -> dict[str, object]:
        return {"latency_us": {"p50": 10 * scale, "p99": 20 * scale, "p999": 30 * scale}}

    row = Row("row", "the row", Kind.LATENCY, ("node", "duplexio"), baseline="node")
    measured = {"capacity": 1000.0, "own": at(1), "p99_us": 20.0}
    samples = {"node": [{**measured, "same": at(1)}], "duplexio": [{**measured, "same": at(2)}]}
    _, _, ours = table(RowResult(row, "p99_us", samples, {}, 0.0))
    assert ours[3:] == ["1.00 to 1.00", "1,000", "10.0", "20.0", "30.0", "20.0", "40.0", "60.0"]
    _, alone = table(RowResult(row, "p99_us", {"duplexio": [measured]}, {}, 0.0))
    assert alone[-3:] == ["", "", ""]


@pytest.mark.parametrize("row", [*ROWS, *GROWTH], ids=lambda row: row.name)
def test_rows_name_peers_that_there_are(row: Row) -> None:
    assert set(row.peers) <= PEERS.keys()
    assert row.baseline in row.peers
    assert any(PEERS[name].family == "duplexio" for name in row.peers)


def _empty(row: Row) -> RowResult:
    return RowResult(row, "cpu_us", {}, {}, 0.0)


def test_names_of_rows_differ() -> None:
    rows = (*ROWS, *GROWTH)
    names = {row.name for row in rows} | {row.series.name for row in rows if row.series}
    assert len(names) == len(rows) + len(by_series([_empty(row) for row in rows]))
    assert set(plot.ROWS) <= {row.name for row in ROWS}


def test_rows_are_chosen_by_name_or_series() -> None:
    assert _chosen_rows(None, growth=False) == list(ROWS)
    assert _chosen_rows(None, growth=True) == [*ROWS, *GROWTH]
    typed = [row for row in GROWTH if row.series and row.series.name == "sio-typed"]
    assert _chosen_rows(["sio-typed,echo-32-1"], growth=False) == [*typed, ROWS[0]]
    with pytest.raises(SystemExit, match="no row 'nothing'"):
        _chosen_rows(["nothing"], growth=False)


def test_peers_are_chosen_by_name_or_family() -> None:
    row = next(row for row in ROWS if row.name == "echo-32-1-coroutine")
    assert _chosen_peers(row, "c,duplexio") == ["c", "duplexio-coroutine"]
    assert _chosen_peers(row, "picows-coroutine") == ["picows-coroutine"]
    with pytest.raises(SystemExit, match="no peer nobody"):
        _chosen_peers(row, "nobody")


@pytest.mark.may_skip("matplotlib is of the `bench` group, which only `make bench` installs")
def test_the_plot_names_its_bars(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    panel = plot.Panel("a row", "µs", [plot.Bar("C", 4.0, 1.0, "c"), plot.Bar("us", 5.0, 1.25, "")])
    assert plot.draw([panel], tmp_path / "plot.svg") is None
    drawn = (tmp_path / "plot.svg").read_text()
    assert "a row" in drawn
    assert "5.00 (1.2" in drawn
    plot.draw([panel], tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn


@pytest.mark.may_skip("matplotlib is of the `bench` group, which only `make bench` installs")
def test_the_chart_names_its_lines(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    flat = [plot.Line("C", "c", [(1, 4.0), (100, 4.1)]), plot.Line("us", "duplexio", [(1, 5.0)])]
    steep = [plot.Line("C", "c", [(64, 4.0), (1_000_000, 400.0)])]
    charts = [plot.Chart("a row", "µs", "clients", lines) for lines in (flat, steep)]
    assert plot.draw_lines(charts, tmp_path / "chart.svg") is None
    drawn = (tmp_path / "chart.svg").read_text()
    for words in ("a row", "us", "clients", "1,000,000"):
        assert words in drawn


def test_labels_stand_apart() -> None:
    lower, higher = plot._apart([0.50, 0.51])
    assert lower == 0
    assert higher == pytest.approx(plot.LABEL_POINTS - 0.01 * plot.CHART_POINTS)
    assert plot._apart([0.9, 0.1]) == [0, 0]


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert "no series" in (plot.draw_lines([], tmp_path / "chart.svg") or "")
    assert "none of echo-32-1" in (plot.draw([], tmp_path / "plot.svg") or "")
