"""The Socket.IO clients of the benchmark: each does its work against the C server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.measure import BENCH, ClientContest, ClientMemoryContest, Machinery, Sample, Server
from bench.rows import PEERS, ROWS, Kind, Row

CLIENT_ROWS = [row for row in ROWS if row.against == "c-socketio"]
MODULES = Path(__file__).parents[1] / "interop/node_modules"
FEW = ("--clients", "12", "--base", "4")


def check(row: Row, sample: Sample) -> None:
    assert sample["count"] > 0
    if row.kind is Kind.CLIENT_MEMORY:
        assert sample["count"] == 8
        assert sample["open_cpu_us"] > 0
        assert sample["threads"] >= 1
    else:
        assert sample["cpu_us"] > 0
        assert sample["wall_us"] > 0


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(row, name, id=f"{row.name}: {name}")
        for row in CLIENT_ROWS
        for name in row.peers
        if name != "node-client"
    ],
)
def test_every_client_does_its_work(machinery: Machinery, row: Row, name: str) -> None:
    idle = row.kind is Kind.CLIENT_MEMORY
    contest = (ClientMemoryContest if idle else ClientContest)(machinery, row)
    if idle:
        contest.arguments = (*contest.arguments, *FEW)
    try:
        check(row, contest.measure(name))
    finally:
        contest.close()


@pytest.fixture
def server(machinery: Machinery) -> Iterator[Server]:
    server = Server(machinery, PEERS["c-socketio"], tls=False)
    yield server
    server.stop()


@pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "sioc4").exists(),
    reason="Node and the packages of tests/interop are not installed",
)
@pytest.mark.parametrize(
    "row", {row.arguments: row for row in CLIENT_ROWS}.values(), ids=lambda row: row.name
)
def test_node_does_its_work(
    machinery: Machinery,
    server: Server,
    row: Row,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the client of the interoperability tests, so that nothing is to be installed."""
    (tmp_path / "socket.io-client").symlink_to(MODULES / "sioc4")
    monkeypatch.setenv("NODE_PATH", str(tmp_path))
    command = ["node", str(BENCH / str(PEERS["node-client"].program)), *row.arguments]
    command += ["--port", str(server.port), "--seconds", "0.05", "--warm", "0.05"]
    if row.kind is Kind.CLIENT_MEMORY:
        command += FEW
    check(row, machinery.run(command, timeout=30))
