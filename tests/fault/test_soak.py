"""Many connections that open, talk and close: nothing may be left of them."""

import asyncio
import gc
import os
import sys
from pathlib import Path

import pytest

from duplexio.websocket import Listener, connect
from duplexio.websocket.kernel import apply_mask
from tests.websocket.raw import MASK, port_of, serving, upgrade, uri_of

LOOPS = ("asyncio", "uvloop")

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory and descriptors are read from /proc"
)


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


def masked(first, data):
    return bytes([first, 0x80 | len(data)]) + MASK + apply_mask(data, MASK)


REQUEST = upgrade() + masked(0x81, b"hello")
CLOSE = masked(0x88, b"\x03\xe8")


# The wheel of timers keeps a list for each slot of 1/64 s in which a deadline once lay, until that
# time comes: for pings every 20 s there are so many, whatever the number of connections.
SLOTS = 64 * 21


class Peer(asyncio.Protocol):
    """A client as cheap as can be: it opens, says hello, and closes when it has heard it."""

    def __init__(self, ended, way):
        self.ended = ended
        self.way = way
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data):
        self.received += data
        if self.received.endswith(b"\x81\x05hello"):
            # Not all part in the same way.
            if self.way == 0:
                self.transport.abort()
            elif self.way == 1:
                self.transport.close()
            else:
                self.transport.write(CLOSE)

    def connection_lost(self, exc):
        self.ended(self.received)


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Census:
    """What there is of everything that could be left."""

    def __init__(self):
        gc.collect()
        self.descriptors = descriptors()
        self.tasks = len(asyncio.all_tasks())
        self.objects = len(gc.get_objects())
        self.blocks = sys.getallocatedblocks()
        self.resident = resident()


async def soak(server, count, together=100):
    """Let `count` connections live and end, `together` at a time."""
    loop = asyncio.get_running_loop()
    port = port_of(server)
    heard = 0

    async def one_after_the_other(number):
        nonlocal heard
        for i in range(number):
            done = loop.create_future()
            await loop.create_connection(
                lambda done=done, i=i: Peer(done.set_result, i % 10), "127.0.0.1", port
            )
            received = await done
            assert b"\x81\x05hello" in received
            heard += 1

    await asyncio.gather(*[one_after_the_other(count // together) for _ in range(together)])
    assert heard == count // together * together
    while server.connections or server._opening or server._handlers:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def measure(handler, warm_up, count):
    async with serving(handler, backlog=1000) as server:
        await soak(server, warm_up)
        before = Census()
        await soak(server, count)
        after = Census()
    print(
        f"\n{count} connections: resident {before.resident} -> {after.resident} bytes,"
        f" blocks {before.blocks} -> {after.blocks}, objects {before.objects} -> {after.objects},"
        f" descriptors {before.descriptors} -> {after.descriptors},"
        f" tasks {before.tasks} -> {after.tasks}"
    )
    assert after.descriptors == before.descriptors
    assert after.tasks == before.tasks
    # A few caches may still fill; one object for each connection would be more.
    assert after.objects - before.objects < 100 + min(SLOTS, count // 2)
    assert after.blocks - before.blocks < 500 + 3 * min(SLOTS, count // 2)
    assert after.resident - before.resident < 3_000_000 + 20 * count


@pytest.mark.parametrize("handler", [echo, Echo], ids=["coroutine", "listener"])
class TestServer:
    async def test_2000_connections(self, handler):
        await measure(handler, 500, 2000)

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    async def test_100_000_connections(self, handler):
        await measure(handler, 2000, 100_000)


class TestClient:
    @pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.slow)])
    @pytest.mark.timeout(300)
    async def test_connections(self, count):
        async with serving(echo, compression="deflate") as server:

            async def talk(number):
                for _ in range(number):
                    async with connect(uri_of(server)) as ws:
                        await ws.send("hello " * 10)
                        assert await ws.recv() == "hello " * 10

            async def talk_together(number):
                await asyncio.gather(*[talk(number // 20) for _ in range(20)])
                while server.connections:  # noqa: ASYNC110 - the server has no such event
                    await asyncio.sleep(0.01)

            await talk_together(300)
            before = Census()
            await talk_together(count)
            after = Census()
        assert after.descriptors == before.descriptors
        assert after.tasks == before.tasks
        assert after.objects - before.objects < 100 + min(SLOTS, count // 2)
        assert after.blocks - before.blocks < 500 + 3 * min(SLOTS, count // 2)

    async def test_failed_attempts(self):
        async with serving(echo) as server:
            uri = uri_of(server)
        before = None
        for round_ in range(2):
            for _ in range(200):
                with pytest.raises(OSError, match=r"(?i)connect"):
                    await connect(uri)
            if round_ == 0:
                before = Census()
        after = Census()
        assert after.descriptors == before.descriptors
        assert after.tasks == before.tasks
        assert after.objects - before.objects < 100


class TestGarbage:
    async def test_a_connection_leaves_no_cycles_behind(self):
        """What is over is freed at once, without waiting for the collector of cycles."""
        async with serving(Echo) as server:
            await soak(server, 100)
            gc.collect()
            gc.disable()
            try:
                await soak(server, 200)
                await asyncio.sleep(0)
                found = gc.collect()
            finally:
                gc.enable()
        print(f"\n{found / 200:.1f} objects in cycles for each connection, the peer's too")
        assert found < 200 * 40
