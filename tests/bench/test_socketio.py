"""Socket.IO in the benchmark: generator, C server and Python servers agree, and errors are seen."""

import json
import re
import socket
from collections.abc import Iterator

import pytest

from bench.measure import LatencyContest, Machinery, PeerFailed, Server
from bench.rows import GROWTH, PEERS
from tests.bench.generator import generate, server_of_one, shake_hands

SERVERS = ("c-socketio", "duplexio-socketio", "python-socketio")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, machinery: Machinery) -> Iterator[Server]:
    settings = ("--rooms", "100")
    server = Server(machinery, PEERS[request.param], tls=False, settings=settings)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["echo", "--socketio"], id="echo"),
        pytest.param(["echo", "--socketio", "--depth", "16"], id="echo, 16 in flight"),
        pytest.param(["echo", "--socketio", "--size", "50000"], id="echo of large JSON"),
        pytest.param(["echo", "--socketio", "--binary", "--size", "3000"], id="echo of bytes"),
        pytest.param(
            ["echo", "--socketio", "--binary", "--size", "100000"], id="echo of many bytes"
        ),
        pytest.param(["ack"], id="ack"),
        pytest.param(["ack", "--depth", "16"], id="ack, 16 in flight"),
        pytest.param(["ack", "--rate", "500"], id="ack, open loop"),
        pytest.param(["broadcast"], id="broadcast"),
        pytest.param(["connect", "--socketio"], id="connect"),
    ],
)
def test_every_answer_is_verified_and_counted(
    machinery: Machinery, server: Server, arguments: list[str]
) -> None:
    sample = generate(machinery, server.port, server.pid, *arguments, "--connections", "5")
    assert sample["count"] > 0
    assert sample["cpu_us"] > 0


def test_memory_of_idle_clients(machinery: Machinery, server: Server) -> None:
    arguments = ("idle", "--socketio", "--connections", "120", "--base", "100")
    sample = generate(machinery, server.port, server.pid, *arguments)
    assert sample["open_cpu_us"] > 0, sample


@pytest.mark.parametrize("depth", ["1", "16"])
@pytest.mark.parametrize("mode", ["echo", "ack"])
def test_long_polling(machinery: Machinery, server: Server, mode: str, depth: str) -> None:
    arguments = (mode, "--socketio", "--polling", "--depth", depth, "--connections", "5")
    if server.command[0] == str(machinery.native.limit):
        with pytest.raises(PeerFailed, match="end of stream"):  # it has no long polling
            generate(machinery, server.port, server.pid, *arguments)
        return
    assert generate(machinery, server.port, server.pid, *arguments)["count"] > 0


@pytest.mark.parametrize("name", SERVERS)
def test_each_room_has_ten_members(machinery: Machinery, name: str) -> None:
    server = Server(machinery, PEERS[name], tls=False, settings=("--rooms", "100"))
    try:
        arguments = ("rooms", "--connections", "1000", "--timeout", "60", "--seconds", "0.3")
        sample = generate(machinery, server.port, server.pid, *arguments)
    finally:
        server.stop()
    # Of the first and last emit of the window some deliveries lie outside.
    assert sample["emits"] > 0
    assert abs(sample["count"] - 10 * sample["emits"]) <= 20


@pytest.mark.parametrize("handlers", ["suspend", "typed"])
def test_other_handlers(machinery: Machinery, handlers: str) -> None:
    settings = ("--handlers", handlers)
    server = Server(machinery, PEERS["duplexio-socketio"], tls=False, settings=settings)
    try:
        sample = generate(machinery, server.port, server.pid, "ack", "--depth", "4")
    finally:
        server.stop()
    assert sample["count"] > 0


def test_latency_is_measured_at_half_of_the_capacity(machinery: Machinery) -> None:
    row = next(row for row in GROWTH if row.name == "sio-latency")
    contest = LatencyContest(machinery, row)
    try:
        contest.prepare("c-socketio")
        sample = contest.measure("c-socketio")
    finally:
        contest.close()
    assert sample["own"]["rate"] == pytest.approx(sample["capacity"] / 2, abs=1)
    assert sample["p99_us"] > 0
    assert "same" not in sample  # the baseline, Node, was not measured


def frame(payload: bytes, opcode: int = 1) -> bytes:
    assert len(payload) < 126
    return bytes((0x80 | opcode, len(payload))) + payload


def event(name: str = "echo", tag: str = "0" * 16) -> bytes:
    data = {"id": tag, "n": 12345, "ok": True, "text": "abcdefghi"}
    return json.dumps([name, data], separators=(",", ":")).encode()


PLACEHOLDER = b'451-["echo",{"_placeholder":true,"num":0}]'


@pytest.mark.parametrize(
    ("mode", "reply", "message"),
    [
        pytest.param("echo", frame(b"42" + event(tag="0" * 15 + "1")), "echo differs", id="echo"),
        pytest.param("echo", frame(b"43" + event()), "not the ack that is due", id="no ack asked"),
        pytest.param("echo", frame(b"9"), "unexpected packet: 9", id="unknown packet"),
        pytest.param("echo", frame(b"1"), "unexpected packet: 1", id="closed"),
        pytest.param("ack", frame(b'431[{"id":"' + b"0" * 16), "not the ack", id="other ack"),
        pytest.param("ack", frame(b"430[]"), "the ack differs", id="ack"),
        pytest.param("ack", frame(b"42" + event()), "answers none of ours", id="no event asked"),
        pytest.param(
            "broadcast",
            frame(b"42" + event("broadcast", "0" * 15 + "1")),
            "that is due",
            id="order",
        ),
        pytest.param("rooms", frame(b"42" + event("other")), "event of a room", id="room"),
        pytest.param(
            "echo --binary", frame(b"x" * 64, 2), "belong to no event", id="no placeholder"
        ),
        pytest.param(
            "echo --binary", frame(PLACEHOLDER) + frame(b"x" * 64, 2), "bytes differ", id="bytes"
        ),
    ],
)
def test_a_server_that_errs_ends_the_run(
    machinery: Machinery, mode: str, reply: bytes, message: str
) -> None:
    def serve(connection: socket.socket) -> None:
        shake_hands(connection)
        connection.sendall(frame(b'0{"sid":"x","upgrades":[]}'))
        connection.recv(4096)
        connection.sendall(frame(b'40{"sid":"y"}'))
        connection.recv(4096)
        connection.sendall(reply)

    arguments = (*mode.split(), "--socketio", "--connections", "1", "--size", "64")
    with server_of_one(serve) as (port, pid), pytest.raises(PeerFailed, match=re.escape(message)):
        generate(machinery, port, pid, *arguments)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "refused", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", "without a length", id="no length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "is not kept alive",
            id="close",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx0\r\n\r\n",
            "bad chunk",
            id="chunk",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n0{}\r\n0\r\n\r\n",
            "unexpected open packet",
            id="chunked, no session id",
        ),
    ],
)
def test_polling_a_server_that_errs(machinery: Machinery, response: bytes, message: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(response)

    arguments = ("echo", "--socketio", "--polling", "--connections", "1")
    with server_of_one(serve) as (port, pid), pytest.raises(PeerFailed, match=message):
        generate(machinery, port, pid, *arguments)
