"""The callback interface, against a peer written by hand."""

import asyncio
import logging

import pytest

from duplexio.errors import UsageError
from duplexio.websocket import ConnectionClosed, ConnectionClosedOK, Listener
from duplexio.websocket.frames import Close, Opcode
from tests.websocket.raw import Raw, close_payload, masked, port_of, serving

LOOPS = ("asyncio", "uvloop")


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 5)


class Notes(Listener):
    """Notes what it is told, for whoever waits for it."""

    def __init__(self):
        self.told = asyncio.Queue()
        self.ws = None

    def on_open(self, ws):
        self.ws = ws
        self.told.put_nowait("open")

    def on_message(self, ws, message):
        assert ws is self.ws
        self.told.put_nowait(message)

    def on_close(self, ws, code, reason):
        self.told.put_nowait((code, reason))

    def on_ping(self, ws, payload):
        self.told.put_nowait(("ping", payload))

    def on_pong(self, ws, payload):
        self.told.put_nowait(("pong", payload))

    def on_writable(self, ws):
        self.told.put_nowait("writable")


class Serving:
    """A server whose listeners are put into a queue."""

    def __init__(self, kind, **options):
        self.listeners = asyncio.Queue()

        class Mine(kind):
            def __init__(mine):
                super().__init__()
                self.listeners.put_nowait(mine)

        self.manager = serving(Mine, close_timeout=options.pop("close_timeout", 0.2), **options)

    async def __aenter__(self):
        self.server = await self.manager.__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self.manager.__aexit__(*exc)

    async def open(self, behind=b""):
        raw = await Raw.open(port_of(self.server), behind=behind)
        return raw, await soon(self.listeners.get())


async def test_messages_and_control_frames_in_order():
    async with Serving(Notes) as server:
        raw, listener = await server.open()
        raw.send(
            masked(Opcode.TEXT, b"a") + masked(Opcode.PING, b"b") + masked(Opcode.BINARY, b"c")
            + masked(Opcode.TEXT, b"d", fin=False) + masked(Opcode.PONG, b"e")
            + masked(Opcode.CONT, b"f") + masked(Opcode.CLOSE, close_payload(4001, "g"))
        )  # fmt: skip
        told = [await soon(listener.told.get()) for _ in range(7)]
        assert told == [
            "open", "a", ("ping", b"b"), b"c", ("pong", b"e"), "df", (4001, "g"),
        ]  # fmt: skip
        pong = await raw.read_frame()
        assert (pong.opcode, pong.data) == (10, b"b")
        await raw.close()


async def test_sending_from_everywhere():
    class Talker(Notes):
        def on_open(self, ws):
            super().on_open(ws)
            ws.send("from on_open")

        def on_message(self, ws, message):
            ws.send(message)
            ws.ping(b"p")
            ws.pong(b"q")
            ws.send(b"x" * 200_000)
            ws.send(memoryview(b"y"))

    async with Serving(Talker) as server:
        raw, listener = await server.open()
        assert (await raw.read_frame()).data == b"from on_open"
        raw.send(masked(Opcode.TEXT, b"a"))
        frames = [await raw.read_frame() for _ in range(5)]
        assert [(frame.opcode, frame.data[:1]) for frame in frames] == [
            (1, b"a"), (9, b"p"), (10, b"q"), (2, b"x"), (2, b"y"),
        ]  # fmt: skip
        listener.ws.send("from a task")
        listener.ws.send("in one write")
        assert [(await raw.read_frame()).data for _ in range(2)] == [
            b"from a task", b"in one write",
        ]  # fmt: skip
        await raw.close()


async def test_what_is_sent_before_closing_arrives():
    class Leaver(Listener):
        def on_message(self, ws, message):
            ws.send("x" * 300_000)
            ws.close(4000, "bye")
            ws.close(4001, "again")

    async with Serving(Leaver) as server:
        raw, _ = await server.open()
        raw.send(masked(Opcode.TEXT, b"go"))
        assert len((await raw.read_frame()).data) == 300_000
        assert await raw.read_close() == Close(4000, "bye")
        await raw.close()


async def test_errors_of_use():
    async with Serving(Notes) as server:
        raw, listener = await server.open()
        ws = listener.ws
        with pytest.raises(TypeError, match="expected str or bytes-like"):
            ws.send(5)
        with pytest.raises(UnicodeEncodeError):
            ws.send("\ud800")
        with pytest.raises(UsageError, match="125"):
            ws.ping(b"x" * 126)
        with pytest.raises(UsageError, match="1006"):
            ws.close(1006)
        ws.send("fine")
        assert (await raw.read_frame()).data == b"fine"
        raw.send(masked(Opcode.CLOSE, close_payload(1000)))
        await raw.read_close()
        await soon(ws.wait_closed())
        for method in (ws.send, ws.ping, ws.pong):
            with pytest.raises(ConnectionClosedOK):
                method(b"x")
        ws.close()
        assert (ws.state, ws.close_code) == (3, 1000)
        await raw.close()


@pytest.mark.parametrize("method", ["on_open", "on_message", "on_ping", "on_pong"])
async def test_an_exception_is_logged_and_closes_with_1011(caplog, method):
    def raising(self, ws, *arguments):
        raise ZeroDivisionError

    kind = type("Raising", (Notes,), {method: raising})
    async with Serving(kind) as server:
        raw, _ = await server.open()
        raw.send(masked(Opcode.TEXT, b"a") + masked(Opcode.PING) + masked(Opcode.PONG))
        assert (await raw.read_close()).code == 1011
        await raw.close()
    records = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert records[0].getMessage() == "Mine raised"
    assert records[0].exc_info[0] is ZeroDivisionError


async def test_an_exception_in_on_close_is_logged(caplog):
    class Raising(Listener):
        def on_close(self, ws, code, reason):
            raise ZeroDivisionError

    async with Serving(Raising) as server:
        raw, _ = await server.open()
        raw.abort()
        await asyncio.sleep(0.02)
    assert "ZeroDivisionError" in caplog.text


async def test_a_peer_that_breaks_the_protocol():
    async with Serving(Notes) as server:
        raw, listener = await server.open()
        raw.send(masked(Opcode.TEXT, b"\xff"))
        assert (await raw.read_close()).code == 1007
        await raw.close()
        assert await soon(listener.told.get()) == "open"
        code, reason = await soon(listener.told.get())
        assert code == 1006
        assert "not UTF-8" in reason


async def test_a_peer_that_breaks_off():
    async with Serving(Notes) as server:
        raw, listener = await server.open()
        raw.abort()
        assert await soon(listener.told.get()) == "open"
        assert await soon(listener.told.get()) == (1006, "")


async def test_a_listener_whose_opening_fails_is_told_nothing():
    async with Serving(Notes) as server:
        raw = await Raw.connect(port_of(server.server))
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.read_all()).startswith(b"HTTP/1.1 426 ")
        await raw.close()
        assert server.listeners.empty()


class TestPausing:
    async def test_reading(self):
        class Pausing(Notes):
            def on_message(self, ws, message):
                super().on_message(ws, message)
                if message == "pause":
                    ws.pause_reading()

        async with Serving(Pausing) as server:
            raw, listener = await server.open()
            raw.send(masked(Opcode.TEXT, b"pause") + masked(Opcode.TEXT, b"x"))
            raw.send(masked(Opcode.TEXT, b"y"))
            assert [await soon(listener.told.get()) for _ in range(2)] == ["open", "pause"]
            await asyncio.sleep(0.02)
            assert listener.told.empty()
            assert listener.ws.reading_paused
            listener.ws.resume_reading()
            assert not listener.ws.reading_paused
            assert listener.told.empty()  # never inside the call
            assert [await soon(listener.told.get()) for _ in range(2)] == ["x", "y"]
            await raw.close()

    async def test_in_on_open(self):
        class Pausing(Notes):
            def on_open(self, ws):
                super().on_open(ws)
                ws.pause_reading()

        async with Serving(Pausing) as server:
            raw, listener = await server.open(behind=masked(Opcode.TEXT, b"early"))
            await asyncio.sleep(0.02)
            assert listener.told.get_nowait() == "open"
            assert listener.told.empty()
            listener.ws.resume_reading()
            assert await soon(listener.told.get()) == "early"
            await raw.close()

    async def test_closing_goes_on_reading(self):
        async with Serving(Notes, close_timeout=5) as server:
            raw, listener = await server.open()
            await soon(listener.told.get())
            listener.ws.pause_reading()
            raw.send(masked(Opcode.TEXT, b"late"))
            await asyncio.sleep(0.01)
            listener.ws.close()
            assert (await raw.read_close()).code == 1000
            raw.send(masked(Opcode.CLOSE, close_payload(1000)))
            assert [await soon(listener.told.get()) for _ in range(2)] == ["late", (1000, "")]
            await raw.close()


class TestSlowPeers:
    async def test_buffered_bytes_and_on_writable(self):
        async with Serving(Notes, ping_interval=None) as server:
            raw, listener = await server.open()
            await soon(listener.told.get())
            raw.reader._limit = 1000
            ws = listener.ws
            sent = 0
            while ws.buffered_bytes < 100_000:
                ws.send(b"x" * 50_000)
                sent += 1
                await asyncio.sleep(0)
                assert sent < 2000
            for _ in range(sent):
                assert len((await raw.read_frame()).data) == 50_000
            assert await soon(listener.told.get()) == "writable"
            assert ws.buffered_bytes == 0
            await raw.close()

    async def test_one_that_takes_nothing_is_given_up(self, caplog):
        async with Serving(Notes, ping_interval=None, max_buffered=300_000) as server:
            raw, listener = await server.open()
            await soon(listener.told.get())
            raw.reader._limit = 1000
            ws = listener.ws
            most = 0
            for _ in range(2000):
                try:
                    ws.send(b"x" * 50_000)
                except ConnectionClosed:
                    break
                most = max(most, ws.buffered_bytes)
                await asyncio.sleep(0)
            assert most < 300_000 + 2 * 65536
            code, reason = await soon(listener.told.get())
            assert code == 1006
            assert "more than max_buffered=300000: the peer does not read" in reason
            assert reason in caplog.text
            raw.abort()

    async def test_sending_within_one_turn_is_bounded_too(self):
        async with Serving(Notes, ping_interval=None, max_buffered=300_000) as server:
            raw, listener = await server.open()
            await soon(listener.told.get())
            raw.reader._limit = 1000
            for _ in range(1000):
                if listener.ws.complaint:
                    break
                listener.ws.send(b"x" * 50_000)
            assert "max_buffered" in listener.ws.complaint
            raw.abort()


class TestKeepalive:
    async def test_without_a_pong(self):
        async with Serving(Notes, ping_interval=0.02, ping_timeout=0.04) as server:
            raw, listener = await server.open()
            assert await raw.read_close() == Close(1011, "keepalive ping timeout")
            await raw.close()
            assert await soon(listener.told.get()) == "open"
            assert await soon(listener.told.get()) == (1006, "keepalive ping timeout")

    async def test_with_pongs(self):
        async with Serving(Notes, ping_interval=0.02, ping_timeout=5) as server:
            raw, listener = await server.open()
            for _ in range(2):
                frame = await raw.read_frame()
                raw.send(masked(Opcode.PONG, frame.data))
            await raw.read_frame()
            assert listener.ws.latency > 0
            await raw.close()
