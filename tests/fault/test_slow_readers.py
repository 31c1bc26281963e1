"""A reader that stops: what waits for it is bounded, it is ended, and its room does not notice."""

import asyncio
import gc
import socket
import statistics
import tracemalloc
from contextlib import contextmanager

import pytest

from tests.fault.peers import (
    PATH,
    Census,
    SioHttp,
    Ws,
    complaints,
    reset,
    serving,
    settled,
    soon,
    until,
)
from tests.websocket.raw import masked, upgrade

LOOPS = ("uvloop",)

OTHERS = 50
OVERFLOW = "send buffer overflow"

#: Events that a room is sent, and their size: more than the kernel takes for a client.
EVENTS = 80
SIZE = 60_000
LIMITS = [
    {"max_buffered_bytes": 500_000, "max_buffered_packets": 10_000},
    {"max_buffered_bytes": 2**24, "max_buffered_packets": 8},
]


@pytest.fixture(params=["native", "asgi"])
def hosting(request):
    return request.param


async def connection(port):
    """Return a connection whose kernel takes little of what its application does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    # The stream reader stops reading at twice its limit.
    return await asyncio.open_connection(sock=client, limit=1024)


async def lazy_websocket(site):
    ws = Ws(*await connection(site.port))
    ws.send(upgrade(path=f"{PATH}?EIO=4&transport=websocket"))
    await ws.read_head()
    await ws.text()
    ws.sid = await ws.join("/")
    return ws


class LazyHttp(SioHttp):
    """A connection that speaks HTTP, of which little waits in the kernel."""

    async def __aenter__(self):
        self.reader, self.writer = await connection(self.port)
        return self


async def lazy_polling(site):
    http = await LazyHttp(site.port).__aenter__()
    http.query = await http.connected()
    http.sid = next(reversed(site.connected))
    return http


@contextmanager
def measured():
    """Yield a list, to which the bytes that were allocated at most are added at the end."""
    gc.collect()
    tracemalloc.start()
    peak = []
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


async def broadcasts(site, others):
    """Send events to the room, each when all others have the one before.

    Returns how long each took, and the longest queue of a client between them.
    """
    loop = asyncio.get_running_loop()
    took = []
    queue = {"bytes": 0, "packets": 0}
    for number in range(EVENTS):
        text = f'42["news","{number:0{SIZE}}"]'
        began = loop.time()
        await site.server.emit("news", f"{number:0{SIZE}}", to="room")
        for ws in others:
            assert await ws.text() == text
        took.append(loop.time() - began)
        for session in site.engine.sessions.values():
            queue["bytes"] = max(queue["bytes"], session.buffered_bytes)
            queue["packets"] = max(queue["packets"], session.buffered_packets)
    return took, queue


@pytest.mark.parametrize("kind", ["websocket", "polling", "poll without reader"])
@pytest.mark.parametrize("limits", LIMITS, ids=["bytes", "packets"])
async def test_its_room_does_not_notice(hosting, kind, limits, caplog):
    """Deliveries arrive as soon as without it, and the server keeps no more than its limit."""
    async with serving(hosting, **limits) as site:
        before = Census()
        others = [await site.client() for _ in range(OTHERS)]
        for ws in others:
            await site.server.enter_room(ws.sid, "room")
        usual, _ = await broadcasts(site, others)
        lazy = await (lazy_websocket(site) if kind == "websocket" else lazy_polling(site))
        await site.server.enter_room(lazy.sid, "room")
        if kind == "poll without reader":
            await lazy.send("GET", lazy.query)
        took, queue = await broadcasts(site, others)
        await until(lambda: site.left)
        assert site.left == [(lazy.sid, OVERFLOW)]
        assert site.engine.counters["max_buffered_bytes"] == 1
        assert 0 < queue["bytes"] <= limits["max_buffered_bytes"]
        assert 0 < queue["packets"] <= limits["max_buffered_packets"]
        assert statistics.median(took) < 2 * statistics.median(usual) + 0.01
        assert max(took) < max(usual) + 0.5
        reset(lazy.writer)
        for ws in others:
            await ws.close()
        await settled(site, before)
    assert complaints(caplog) == []


@pytest.mark.parametrize("kind", ["websocket", "polling"])
async def test_acknowledgements_that_are_not_read(hosting, kind, caplog):
    """A client that has the server answer and answer: the answers are bounded, and it is ended."""
    event = '421["say","' + "x" * 50_000 + '"]'
    async with serving(hosting, max_buffered_bytes=1_000_000) as site:
        before = Census()
        neighbour = await site.client()
        lazy = await (lazy_websocket(site) if kind == "websocket" else lazy_polling(site))
        frame = masked(1, event.encode())
        with measured() as peak:
            for _ in range(1000):
                if site.left:
                    break
                if kind == "websocket":
                    lazy.send(frame)
                    await soon(lazy.writer.drain())
                else:
                    async with site.http() as http:
                        await http.post(lazy.query, event.encode())
                neighbour.say('421["say","still here"]')
                assert await neighbour.text() == '431["still here"]'
                site.heard.clear()
        assert site.left == [(lazy.sid, OVERFLOW)]
        assert peak[0] < 4_000_000
        reset(lazy.writer)
        await neighbour.close()
        await settled(site, before)
    assert complaints(caplog) == []


# Answers of long polling that nobody reads, which only the front door can do something about


@pytest.fixture
def hasty(monkeypatch):
    """Let the front door wait for a client that does nothing for a moment only."""
    monkeypatch.setenv("DUPLEXIO_HEAD_TIMEOUT", "0.2")
    monkeypatch.setenv("DUPLEXIO_CLOSE_TIMEOUT", "0.3")


ANSWER = 10_000_000


async def begin_answer(site, head=""):
    """Return a client whose poll is being answered with more than the kernel takes."""
    lazy = await lazy_polling(site)
    await lazy.send("GET", lazy.query, **({"Connection": "close"} if head else {}))
    await site.server.emit("news", "x" * ANSWER, to=lazy.sid)
    return lazy


@pytest.mark.parametrize("head", ["", "Connection: close"], ids=["keep-alive", "close"])
async def test_an_answer_that_is_not_read_is_not_held(hasty, head, caplog):
    times = {"ping_interval": 0.3, "ping_timeout": 0.2}
    async with serving("native", config={"timeout_keep_alive": 1}, **times) as site:
        before = Census()
        lazy = await begin_answer(site, head)
        lazy.writer.transport.pause_reading()
        # It sees the server's reset when it writes.
        await until(lambda: lazy.writer.write(b"x") or lazy.writer.transport.is_closing())
        lazy.writer.transport.abort()
        await settled(site, before)
        assert site.reasons() == ["ping timeout"]
    assert complaints(caplog) == []


async def test_an_answer_that_is_read_slowly_arrives(hasty):
    async with serving("native", config={"timeout_keep_alive": 1}) as site:
        lazy = await begin_answer(site)
        await lazy.reader.readuntil(b"\r\n\r\n")
        loop = asyncio.get_running_loop()
        began, got = loop.time(), 0
        while got < ANSWER:
            got += len(await soon(lazy.reader.readexactly(500_000)))
            await asyncio.sleep(0.1)
        assert loop.time() - began > 1.5
        lazy.reset()


async def test_polls_behind_answers_that_are_not_read(caplog):
    """They wait: or each would take as much again of the server's memory."""
    async with serving("native", max_buffered_bytes=3_000_000) as site:
        lazy = await lazy_polling(site)
        with measured() as peak:
            for number in range(30):
                if site.left:
                    break
                await lazy.send("GET", lazy.query)
                await asyncio.sleep(0.01)
                await site.server.emit("news", str(number) * 1_000_000, to=lazy.sid)
                await asyncio.sleep(0.01)
        assert site.left == [(lazy.sid, OVERFLOW)]
        assert peak[0] < 12_000_000
        lazy.reset()
        await until(site.empty)
    assert complaints(caplog) == []
