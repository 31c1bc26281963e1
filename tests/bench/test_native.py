"""The load generator and the C server of the benchmark: they build, agree, and notice errors."""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.measure import Machinery, PeerFailed, Server
from bench.rows import PEERS
from tests.bench.generator import generate, server_of_one, shake_hands


@pytest.fixture
def server(machinery: Machinery) -> Iterator[Server]:
    server = Server(machinery, PEERS["c"], tls=False)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="32 bytes"),
        pytest.param(["--depth", "16"], id="16 in flight"),
        pytest.param(["--size", "1"], id="shorter than its tag"),
        pytest.param(["--size", "125"], id="longest short frame"),
        pytest.param(["--size", "126", "--depth", "3"], id="16-bit length"),
        pytest.param(["--size", "65536", "--binary"], id="64-bit length"),
        pytest.param(["--size", "3000000", "--binary", "--depth", "2"], id="beyond every buffer"),
    ],
)
def test_every_echo_is_verified_and_counted(
    machinery: Machinery, server: Server, arguments: list[str]
) -> None:
    sample = generate(machinery, server.port, server.pid, "echo", "--connections", "5", *arguments)
    assert sample["count"] > 0
    assert sample["cpu_us"] > 0
    assert 0 < sample["server_busy"] < 1.2
    assert sample["latency_us"]["p50"] <= sample["latency_us"]["p99"] * 1.001


def test_messages_are_sent_when_they_are_due(machinery: Machinery, server: Server) -> None:
    sample = generate(machinery, server.port, server.pid, "echo", "--rate", "2000")
    # In a window of 0.1 s; a machine that stalls catches up with what is due.
    assert 20 < sample["count"] < 600
    assert sample["rate"] == 2000
    assert sample["latency_us"]["p99"] <= sample["latency_us"]["p999"] * 1.001


def test_only_some_talk(machinery: Machinery, server: Server) -> None:
    arguments = ("echo", "--connections", "20", "--talking", "2")
    assert generate(machinery, server.port, server.pid, *arguments)["count"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("echo", "--connections", "2", "--talking", "3"), "--talking"),
        (("echo", "--polling"), "--polling is for Socket.IO"),
        (("broadcast", "--rate", "100"), "--rate is for echo and ack"),
        (("ack", "--size", "20"), "--size must be at least"),
        (("nothing",), "the modes are"),
    ],
)
def test_options_that_make_no_sense(
    machinery: Machinery, server: Server, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(PeerFailed, match=message):
        generate(machinery, server.port, server.pid, *arguments)


def test_connections_are_opened_and_closed(machinery: Machinery, server: Server) -> None:
    sample = generate(machinery, server.port, server.pid, "connect", "--connections", "4")
    assert sample["count"] > 4
    assert sample["cpu_us"] > 0


def test_memory_of_idle_connections(machinery: Machinery, server: Server) -> None:
    sample = generate(
        machinery, server.port, server.pid, "idle", "--connections", "400", "--base", "100"
    )
    # The C server keeps one small structure for each.
    assert 0 <= sample["resident_bytes"] < 4096
    assert sample["open_cpu_us"] > 0


def test_echo_over_tls(machinery: Machinery) -> None:
    if not machinery.native.tls:
        pytest.skip("OpenSSL's headers are not installed")
    if not shutil.which("openssl"):
        pytest.skip("no openssl program to make a certificate with")
    server = Server(machinery, PEERS["c"], tls=True)
    try:
        # Twice: the first generator leaves with messages in flight, which is no end of the server.
        for _ in range(2):
            sample = generate(
                machinery, server.port, server.pid,
                "echo", "--connections", "3", "--size", "40000", "--depth", "4", "--tls",
            )  # fmt: skip
            assert sample["tls"]
            assert sample["count"] > 0
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("accept", "reply", "message"),
    [
        pytest.param(b"A" * 27 + b"=", b"", "Sec-WebSocket-Accept", id="accept key"),
        pytest.param(None, b"\x81\x04abcd", "differs", id="content"),
        pytest.param(None, b"\x82\x04abcd", "opcode 2", id="opcode"),
        pytest.param(None, b"\x81\x03abc", "3 bytes", id="length"),
        pytest.param(None, b"\x81\x84\0\0\0\0abcd", "bad frame", id="masked"),
        pytest.param(None, b"\x88\x02\x03\xea", "code 1002", id="close"),
        pytest.param(None, b"", "end of stream", id="end of stream"),
    ],
)
def test_a_server_that_errs_ends_the_run(
    machinery: Machinery, accept: bytes | None, reply: bytes, message: str
) -> None:
    def serve(connection: socket.socket) -> None:
        shake_hands(connection, accept)
        connection.recv(4096)
        connection.sendall(reply)

    arguments = ("echo", "--connections", "1", "--size", "4")
    with server_of_one(serve) as (port, pid), pytest.raises(PeerFailed, match=message):
        generate(machinery, port, pid, *arguments)


def test_a_server_that_does_not_start_is_named_with_its_reason(machinery: Machinery) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        peer = replace(PEERS["c"], arguments=("--port", str(taken.getsockname()[1])))
        with pytest.raises(PeerFailed, match="Address already in use"):
            Server(machinery, peer, tls=False)
