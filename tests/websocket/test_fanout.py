"""Broadcasts: one encoding for all, whatever the connections have agreed on."""

# ruff: noqa: SIM117 - one context on a line reads better than three in brackets
import asyncio
import contextlib
import logging

import pytest
from websockets.asyncio.client import connect as websockets_connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from duplexio.errors import UsageError
from duplexio.websocket import (
    ConcurrencyError,
    Listener,
    ServerPerMessageDeflateFactory,
    broadcast,
    connect,
)
from duplexio.websocket.frames import Opcode, State
from tests.websocket.raw import QUIET, Raw, masked, port_of, serving, uri_of

LOOPS = ("asyncio", "uvloop")


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 5)


async def hold(ws):
    await ws.wait_closed()


@contextlib.asynccontextmanager
async def joined(server, count=3, **options):
    """Clients of the websockets library."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                websockets_connect(uri_of(server), logger=QUIET, proxy=None, **options)
            )
            for _ in range(count)
        ]


@pytest.mark.parametrize("handler", [hold, Listener], ids=["coroutine", "listener"])
class TestMessages:
    async def test_everybody_gets_them(self, handler):
        async with serving(handler) as server, joined(server) as clients:
            for message in ("text", b"binary", "", b"", "ä" * 70_000):
                broadcast(server.connections, message)
                for ws in clients:
                    assert await soon(ws.recv()) == message

    async def test_text_chooses_the_opcode(self, handler):
        async with serving(handler) as server, joined(server) as clients:
            broadcast(server.connections, b"a", text=True)
            broadcast(server.connections, "b", text=False)
            for ws in clients:
                assert [await soon(ws.recv()) for _ in range(2)] == ["a", b"b"]

    @pytest.mark.parametrize("no_context", [False, True])
    async def test_compression(self, handler, no_context):
        factory = ServerPerMessageDeflateFactory(
            server_no_context_takeover=no_context, server_max_window_bits=11
        )
        async with serving(handler, compression="deflate", extensions=[factory]) as server:
            async with joined(server) as clients:
                # Messages of one's own between the broadcasts refer to the window they share.
                for i in range(10):
                    message = f"number {i} " * 100
                    broadcast(server.connections, message)
                    for ws in server.connections:
                        sent = ws.send(message + "alone")
                        if sent is not None:
                            await sent
                    broadcast(server.connections, "short")
                    for ws in clients:
                        assert await soon(ws.recv()) == message
                        assert await soon(ws.recv()) == message + "alone"
                        assert await soon(ws.recv()) == "short"

    async def test_compressed_once_for_the_same_settings(self, handler, monkeypatch):
        from duplexio.websocket.deflate_codec import PerMessageDeflate

        calls = []
        original = PerMessageDeflate.compress_shared

        def counted(self, payload):
            calls.append(self.shape)
            return original(self, payload)

        monkeypatch.setattr(PerMessageDeflate, "compress_shared", counted)
        small = ClientPerMessageDeflateFactory(server_max_window_bits=9)
        async with serving(handler, compression="deflate") as server:
            async with (
                joined(server, compression="deflate") as one,
                joined(server, extensions=[small]) as two,
                joined(server, compression=None) as three,
            ):
                broadcast(server.connections, "message " * 1000)
                for ws in (*one, *two, *three):
                    assert await soon(ws.recv()) == "message " * 1000
        assert len(calls) == len(set(calls)) == 2

    async def test_order_with_what_was_sent_before(self, handler):
        async with serving(handler) as server, joined(server, 1) as (client,):
            (ws,) = server.connections
            for i in range(50):
                sent = ws.send(f"{i}")
                broadcast([ws], f"all {i}")
                if sent is not None:
                    await sent
            received = [await soon(client.recv()) for _ in range(100)]
        if handler is Listener:
            assert received == [text for i in range(50) for text in (f"{i}", f"all {i}")]
        else:  # a coroutine sends when it is awaited
            assert sorted(received) == sorted(
                text for i in range(50) for text in (f"{i}", f"all {i}")
            )

    async def test_closed_connections_are_passed_over(self, handler):
        async with serving(handler) as server, joined(server, 2) as (one, two):
            connections = server.connections
            await one.close()
            broadcast(connections, "x", raise_exceptions=True)
            assert await soon(two.recv()) == "x"

    async def test_a_peer_that_does_not_read_is_given_up(self, handler, caplog):
        async with serving(handler, max_buffered=200_000, ping_interval=None) as server:
            raw = await Raw.open(port_of(server))
            raw.reader._limit = 1000
            async with joined(server, 1, max_size=None) as (client,):
                message = b"x" * 50_000
                count = 0
                while len(server.connections) == 2 and count < 2000:
                    broadcast(server.connections, message)
                    count += 1
                    assert await soon(client.recv()) == message
                assert count < 2000
                broadcast(server.connections, "still here")
                assert await soon(client.recv()) == "still here"
            raw.abort()
        (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert "max_buffered=200000: the peer does not read" in record.getMessage()


class TestInsideARead:
    async def test_a_listener_answers_all(self):
        everybody = set()

        class Chat(Listener):
            def on_open(self, ws):
                everybody.add(ws)

            def on_message(self, ws, message):
                ws.send("you said")
                broadcast(everybody, message)
                ws.send("done")

            def on_close(self, ws, code, reason):
                everybody.discard(ws)

        async with serving(Chat) as server, joined(server, 2) as (one, two):
            await one.send("hello")
            assert [await soon(one.recv()) for _ in range(3)] == ["you said", "hello", "done"]
            assert await soon(two.recv()) == "hello"


class TestKindsOfConnections:
    async def test_clients(self):
        received = asyncio.Queue()

        async def handler(ws):
            async for message in ws:
                received.put_nowait(message)

        async with serving(handler, compression="deflate") as server:
            async with connect(uri_of(server)) as one:
                async with connect(uri_of(server), compression=None) as two:
                    broadcast([one, two], "x" * 100)
                    assert [await soon(received.get()) for _ in range(2)] == ["x" * 100] * 2

    async def test_hixie(self, caplog):
        async with (
            serving(hold, legacy=True) as server,
            connect(uri_of(server), legacy=76) as old,
        ):
            async with connect(uri_of(server), legacy=75) as older:
                broadcast(server.connections, "x")
                assert (await soon(old.recv()), await soon(older.recv())) == ("x", "x")
                broadcast(server.connections, b"binary")
                assert caplog.text.count("skipped broadcast") == 2
                assert "text only" in caplog.text
                with pytest.raises(ExceptionGroup) as caught:
                    broadcast(server.connections, b"binary", raise_exceptions=True)
                assert [type(exc) for exc in caught.value.exceptions] == [UsageError] * 2


class TestFailures:
    async def test_a_message_in_pieces_is_in_the_way(self, caplog):
        async with serving(hold) as server, joined(server, 1) as (client,):
            (ws,) = server.connections
            go_on = asyncio.Event()

            async def pieces():
                yield "a"
                await go_on.wait()
                yield "b"

            sending = asyncio.ensure_future(ws.send(pieces()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            broadcast([ws], "x")
            assert "skipped broadcast: a message is being sent in pieces" in caplog.text
            with pytest.raises(ExceptionGroup) as caught:
                broadcast([ws], "x", raise_exceptions=True)
            assert [type(exc) for exc in caught.value.exceptions] == [ConcurrencyError]
            go_on.set()
            await soon(sending)
            assert await soon(client.recv()) == "ab"

    @pytest.mark.parametrize("message", [5, ["x"], None])
    def test_other_types(self, message):
        with pytest.raises(TypeError, match="expected str or bytes-like"):
            broadcast([], message)

    async def test_a_peer_that_has_gone(self):
        async with serving(hold) as server:
            raw = await Raw.open(port_of(server))
            raw.send(masked(Opcode.PING, b"p"))
            await raw.read_frame()
            (ws,) = server.connections
            raw.abort()
            for _ in range(100):
                broadcast([ws], "x" * 1000)
                await asyncio.sleep(0.001)
            assert ws.state is State.CLOSED
