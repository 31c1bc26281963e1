"""The load generator and the C server of the benchmark: they build, agree, and notice errors."""

import base64
import hashlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import native
from bench.measure import Machinery, Pace, PeerFailed, Sample, Server
from bench.native import Native
from bench.rows import PEERS

QUICK = Pace(rounds=1, seconds=0.1, warm=0.05, full=False)


@pytest.fixture(scope="module")
def programs() -> Native:
    if not shutil.which("gcc") and not shutil.which("cc"):
        pytest.skip("no C compiler: the benchmark's programs cannot be built")
    return native.build()


@pytest.fixture
def machinery(programs: Native, tmp_path: Path) -> Machinery:
    return Machinery(programs, QUICK, tmp_path)


@pytest.fixture
def server(machinery: Machinery) -> Iterator[Server]:
    server = Server(machinery, PEERS["c"], tls=False)
    yield server
    server.stop()


def generate(machinery: Machinery, port: int, pid: int, *arguments: str) -> Sample:
    command = [str(machinery.native.load), *arguments, "--port", str(port), "--pid", str(pid)]
    return machinery.run([*command, "--seconds", "0.1", "--warm", "0.05"], timeout=30)


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


ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n\r\n"
)


def accept_key(key: str) -> bytes:
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest)


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
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            head = connection.recv(4096).decode()
            key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
            connection.sendall(ACCEPTED % (accept or accept_key(key)))
            connection.recv(4096)
            connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        bystander = subprocess.Popen(["sleep", "60"])  # whose CPU clock is read
        try:
            with pytest.raises(PeerFailed, match=message):
                generate(
                    machinery, listener.getsockname()[1], bystander.pid,
                    "echo", "--connections", "1", "--size", "4",
                )  # fmt: skip
        finally:
            bystander.kill()
            bystander.wait()
            thread.join()


def test_a_server_that_does_not_start_is_named_with_its_reason(machinery: Machinery) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        peer = replace(PEERS["c"], arguments=("--port", str(taken.getsockname()[1])))
        with pytest.raises(PeerFailed, match="Address already in use"):
            Server(machinery, peer, tls=False)
