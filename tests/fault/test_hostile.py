"""Hostile peers: what each does, the code it gets, the memory it costs, and its neighbours."""

# ruff: noqa: SIM117 - one context on a line reads better than three in brackets
import asyncio
import os
import resource
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest

from duplexio.websocket import Listener, connect
from duplexio.websocket.frames import Opcode
from tests.websocket.raw import MASK, Raw, masked, port_of, serving, upgrade, uri_of

LOOPS = ("asyncio", "uvloop")


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


both = pytest.mark.parametrize("handler", [echo, Echo], ids=["coroutine", "listener"])


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 10)


def deflated(data):
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def lengthy_head(first, size):
    """The head of a masked frame with a length in 64 bits."""
    return bytes([first, 0xFF]) + size.to_bytes(8, "big") + MASK


BOMB = deflated(bytes(50_000_000))
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"

HOSTILE = {
    "unmasked": (b"\x81\x01x", 1002),
    "reserved bit 1": (b"\xc1\x81" + MASK + b"x", 1002),
    "reserved bit 2": (b"\xa1\x81" + MASK + b"x", 1002),
    "reserved bit 3": (b"\x91\x81" + MASK + b"x", 1002),
    "reserved opcode": (masked(3, b"x"), 1002),
    "reserved control opcode": (masked(11, b"x"), 1002),
    "control frame too long": (masked(Opcode.PING, b"x" * 126), 1002),
    "control frame in pieces": (masked(Opcode.PING, b"x", fin=False), 1002),
    "continuation of nothing": (masked(Opcode.CONT, b"x"), 1002),
    "message in a message": (masked(1, b"x", fin=False) + masked(1, b"y"), 1002),
    "length not minimal": (b"\x81\xfe\x00\x01" + MASK + b"x", 1002),
    "length with the highest bit": (lengthy_head(0x82, 2**63), 1002),
    "close frame of one byte": (masked(Opcode.CLOSE, b"\x03"), 1002),
    "close code out of range": (masked(Opcode.CLOSE, b"\x03\xee"), 1002),
    "close reason not UTF-8": (masked(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
    "text not UTF-8": (masked(Opcode.TEXT, b"good\xff"), 1007),
    "text not UTF-8 in a frame still to come": (
        lengthy_head(0x81, 100_000) + masked(1, b"\xff")[-1:], 1007,
    ),
    "frame too big": (lengthy_head(0x82, 2**20 + 1), 1009),
    "frame much too big": (lengthy_head(0x82, 2**62), 1009),
    "message in pieces too big": (
        masked(Opcode.BINARY, bytes(2**19), fin=False)
        + masked(Opcode.CONT, bytes(2**19), fin=False) + masked(Opcode.CONT, b"x"), 1009,
    ),
    "bomb": (masked(Opcode.TEXT, BOMB, rsv1=True), 1009),
    "corrupt compression": (masked(Opcode.TEXT, b"\xff\xff\xff", rsv1=True), 1007),
}  # fmt: skip


@both
@pytest.mark.parametrize("case", HOSTILE)
async def test_the_code_and_the_neighbours(handler, case):
    data, code = HOSTILE[case]
    lines = [DEFLATE] if "bomb" in case or "compression" in case else []
    async with serving(handler, compression="deflate", close_timeout=0.5) as server:
        async with connect(uri_of(server)) as neighbour:
            raw = await Raw.open(port_of(server), *lines)
            raw.send(data)
            close = await raw.read_close()
            assert close.code == code, close
            assert close.reason != "" or case.startswith("close")
            # No reset: the peer can read why, and then the end.
            assert await raw.read_all() == b""
            await raw.close()
            await neighbour.send("all is well")
            assert await soon(neighbour.recv()) == "all is well"


@both
async def test_a_bomb_does_not_cost_what_it_holds(handler):
    async with serving(handler, compression="deflate", close_timeout=0.5) as server:
        raw = await Raw.open(port_of(server), DEFLATE)
        tracemalloc.start()
        raw.send(masked(Opcode.TEXT, BOMB, rsv1=True))
        assert (await raw.read_close()).code == 1009
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8_000_000
        await raw.close()


@both
async def test_an_announced_length_costs_nothing_until_it_arrives(handler):
    async with serving(handler, max_size=2**30, close_timeout=0.1) as server:
        tracemalloc.start()
        raws = [await Raw.open(port_of(server)) for _ in range(20)]
        for raw in raws:
            raw.send(lengthy_head(0x82, 2**30) + b"begun")
            await raw.writer.drain()
        await asyncio.sleep(0.05)
        current, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert current < 20 * 300_000
        for raw in raws:
            raw.abort()


@both
async def test_a_flood_of_pings_does_not_starve_others(handler):
    async with serving(handler) as server, connect(uri_of(server)) as neighbour:
        raw = await Raw.open(port_of(server))

        async def flood():
            while True:
                raw.send(masked(Opcode.PING, b"x" * 100) * 500)
                await raw.writer.drain()

        async def swallow():
            while await raw.reader.read(2**20):
                pass

        tasks = [asyncio.ensure_future(flood()), asyncio.ensure_future(swallow())]
        loop = asyncio.get_running_loop()
        worst = 0.0
        for i in range(20):
            began = loop.time()
            await neighbour.send(f"{i}")
            assert await soon(neighbour.recv()) == f"{i}"
            worst = max(worst, loop.time() - began)
        assert worst < 1.0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raw.abort()


@both
async def test_a_peer_that_never_reads_what_it_asked_for(handler):
    """It sends and sends, and never reads the echo: neither side's memory grows without end."""
    options = {"ping_interval": None, "max_buffered": 500_000, "close_timeout": 0.1}
    async with serving(handler, **options) as server, connect(uri_of(server)) as neighbour:
        raw = await Raw.open(port_of(server))
        raw.reader._limit = 1000
        (greedy,) = [ws for ws in server.connections if ws.remote_address[1] == raw_port(raw)]
        sent = 0
        try:
            async with asyncio.timeout(1):
                while True:
                    raw.send(masked(Opcode.BINARY, bytes(100_000)))
                    await raw.writer.drain()
                    sent += 1
        except (TimeoutError, OSError):
            pass
        if handler is echo:
            # The handler waits in send(), the queue fills, reading stops: the peer's writes block.
            assert greedy.state == 1
            assert greedy.transport.get_write_buffer_size() < 500_000
        else:
            # A listener cannot wait: the connection ends.
            await soon(greedy.wait_closed())
            assert "max_buffered" in greedy.complaint
        await neighbour.send("all is well")
        assert await soon(neighbour.recv()) == "all is well"
        raw.abort()


def raw_port(raw):
    return raw.writer.get_extra_info("sockname")[1]


def resident():
    """The memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


HOLDER = """
import socket, sys
port, count, request = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
held = []
for _ in range(count):
    held.append(socket.create_connection(("127.0.0.1", port)))
    held[-1].sendall(request)
print("held", flush=True)
sys.stdin.read()
"""


async def hold(port, count):
    """Let another process open connections, and send a part of their requests."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(port), str(count), upgrade()[:100].hex()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert await process.stdout.readline() == b"held\n"
    return process


async def half_open(count):
    """Serve connections that never complete their request; return the bytes that each costs."""
    needed = count + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    async with serving(echo, open_timeout=None, backlog=4096) as server:
        processes = [await hold(port_of(server), 100)]
        before = resident()
        processes.append(await hold(port_of(server), count - 100))
        while len(server._opening) < count:  # noqa: ASYNC110 - the server has no such event
            await asyncio.sleep(0.01)
        each = (resident() - before) / (count - 100)
        async with connect(uri_of(server)) as ws:
            await ws.send("served all the same")
            assert await soon(ws.recv()) == "served all the same"
        for process in processes:
            process.stdin.close()
            await process.wait()
        while server._opening:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    print(f"\n{each:.0f} bytes for each of {count} half-open connections")
    return each


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
class TestHalfOpen:
    async def test_2000(self):
        assert await half_open(2000) < 6000

    @pytest.mark.slow
    @pytest.mark.may_skip("needs more descriptors than some machines give")
    @pytest.mark.timeout(300)
    async def test_10_000(self):
        assert await half_open(10_000) < 6000

    async def test_they_are_refused_when_their_time_is_over(self):
        async with serving(echo, open_timeout=0.2) as server:
            raws = [await Raw.connect(port_of(server)) for _ in range(200)]
            answers = await asyncio.gather(*[raw.read_all() for raw in raws])
            assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
            for raw in raws:
                await raw.close()
            await asyncio.sleep(0.01)
            assert not server._opening
