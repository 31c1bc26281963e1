"""The rows of the benchmark, and what the report says about them."""

from pathlib import Path

import pytest

from bench import plot
from bench.__main__ import _chosen_peers
from bench.measure import RowResult
from bench.report import Reach, failures, overview, standings, table, text
from bench.rows import PEERS, ROWS, Kind, Row

ROW = Row("row", "the row", Kind.LOAD, ("c", "duplexio", "picows", "websockets"), reach_ratio=1.3)


def sample(cpu_us: float) -> dict[str, object]:
    return {
        "cpu_us": cpu_us,
        "per_second": 1e6 / cpu_us,
        "latency_us": {"p50": 10.0, "p99": 20.0},
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


def test_tables_are_rectangular(result: RowResult) -> None:
    for lines in (table(result), overview([result])):
        assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_name_peers_that_there_are(row: Row) -> None:
    assert set(row.peers) <= PEERS.keys()
    assert row.baseline in row.peers
    assert any(PEERS[name].family == "duplexio" for name in row.peers)


def test_names_of_rows_differ() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert set(plot.ROWS) <= {row.name for row in ROWS}


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
