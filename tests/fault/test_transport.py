"""Faults of the transport: cuts, delays, drops, half-closes and resets, server and client."""

# ruff: noqa: SIM117 - one context on a line reads better than three in brackets
import asyncio

import pytest

from duplexio.websocket import (
    ConnectionClosed,
    ConnectionClosedError,
    InvalidMessage,
    Listener,
    connect,
)
from duplexio.websocket.frames import Opcode, State
from tests.fault.tcp_proxy import Fault, tcp_proxy
from tests.websocket.raw import (
    Raw,
    close_payload,
    masked,
    port_of,
    raw_server,
    serving,
    unmasked,
    upgrade,
    uri_of,
)

LOOPS = ("asyncio", "uvloop")

MESSAGES = ["", "a", "ä" * 50, b"\x00" * 125, b"\x01" * 126, "x" * 3000, b"y" * 66_000, "end"]


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 10)


both = pytest.mark.parametrize("handler", [echo, Echo], ids=["coroutine", "listener"])


async def converse(ws):
    for message in MESSAGES:
        await ws.send(message)
    assert [await soon(ws.recv()) for _ in MESSAGES] == MESSAGES


@both
class TestCuts:
    @pytest.mark.parametrize("compression", [None, "deflate"])
    @pytest.mark.parametrize("piece", [1, 2, 3, 7, 125, 4096])
    async def test_every_piece_of_the_same_size(self, handler, piece, compression):
        faults = {"up": Fault(piece=piece), "down": Fault(piece=piece)}
        messages = MESSAGES if piece > 100 else [m for m in MESSAGES if len(m) < 4000]
        async with serving(handler, compression=compression) as server:
            async with tcp_proxy(port_of(server), **faults) as port:
                uri = f"ws://127.0.0.1:{port}"
                async with connect(uri, compression=compression, max_queue=None) as ws:
                    for message in messages:
                        await ws.send(message)
                    assert [await soon(ws.recv()) for _ in messages] == messages
                assert ws.close_code == 1000

    @pytest.mark.parametrize("seed", range(5))
    async def test_pieces_left_to_chance(self, handler, seed):
        faults = {
            "up": Fault(piece=2000, jitter=True, seed=seed),
            "down": Fault(piece=2000, jitter=True, seed=seed + 100),
        }
        async with serving(handler) as server, tcp_proxy(port_of(server), **faults) as port:
            async with connect(f"ws://127.0.0.1:{port}", max_queue=None) as ws:
                await converse(ws)

    async def test_delays(self, handler):
        faults = {"up": Fault(delay=0.002), "down": Fault(delay=0.002)}
        async with serving(handler) as server, tcp_proxy(port_of(server), **faults) as port:
            async with connect(f"ws://127.0.0.1:{port}", max_queue=None) as ws:
                await converse(ws)


@both
class TestDrops:
    async def test_a_peer_that_falls_silent_is_noticed_by_both(self, handler):
        # 1000 bytes are enough for the handshake; then nothing passes any more, in silence.
        ended = asyncio.Event()

        class Watching(Echo):
            def on_close(self, ws, code, reason):
                ended.set()

        async def watching(ws):
            try:
                await echo(ws)
            finally:
                ended.set()

        options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05}
        async with serving(Watching if handler is Echo else watching, **options) as server:
            faults = {"up": Fault(drop_after=1000), "down": Fault(drop_after=1000)}
            async with tcp_proxy(port_of(server), **faults) as port:
                ws = await connect(f"ws://127.0.0.1:{port}", **options)
                await ws.send("x" * 2000)
                with pytest.raises(ConnectionClosedError) as caught:
                    await soon(ws.recv())
                assert caught.value.sent.reason == "keepalive ping timeout"
                assert caught.value.rcvd is None
                await soon(ended.wait())
                assert len(server.connections) == 0

    async def test_the_handshake_falls_silent(self, handler):
        async with serving(handler, open_timeout=0.1) as server:
            async with tcp_proxy(port_of(server), up=Fault(drop_after=50)) as port:
                with pytest.raises(TimeoutError):
                    await connect(f"ws://127.0.0.1:{port}", open_timeout=0.05)
            async with tcp_proxy(port_of(server), down=Fault(drop_after=50)) as port:
                with pytest.raises(TimeoutError):
                    await connect(f"ws://127.0.0.1:{port}", open_timeout=0.05)


@both
class TestEnds:
    @pytest.mark.parametrize("after", [0, 1, 60, 150])
    async def test_a_reset_in_the_handshake(self, handler, after):
        async with serving(handler) as server:
            for fault in ({"up": Fault(reset_after=after)}, {"down": Fault(reset_after=after)}):
                async with tcp_proxy(port_of(server), **fault) as port:
                    try:
                        ws = await soon(connect(f"ws://127.0.0.1:{port}"))
                    except (InvalidMessage, OSError):
                        continue
                    # So much of it was let through that it was open.
                    with pytest.raises(ConnectionClosed):
                        await soon(ws.recv())
            await asyncio.sleep(0.01)
            assert not server.connections
            assert not server._opening

    async def test_a_half_close_by_the_client_ends_the_connection(self, handler):
        async with serving(handler) as server:
            raw = await Raw.open(port_of(server))
            raw.send(masked(Opcode.TEXT, b"x"))
            assert (await raw.read_frame()).data == b"x"
            raw.writer.write_eof()
            assert await raw.read_all() == b""
            await raw.close()
            await asyncio.sleep(0.01)
            assert not server.connections

    async def test_a_half_close_by_the_server_ends_the_connection(self, handler):
        # (The parameter chooses the client's interface here.)
        async def script(raw):
            await raw.accept(behind=unmasked(Opcode.TEXT, b"x"))
            raw.writer.write_eof()
            await raw.read_all()

        async with raw_server(script) as server:
            if handler is echo:
                ws = await connect(uri_of(server))
                assert await soon(ws.recv()) == "x"
                with pytest.raises(ConnectionClosedError) as caught:
                    await soon(ws.recv())
                assert caught.value.code == 1006
            else:
                ws = await connect(uri_of(server), listener=Echo)
                await soon(ws.wait_closed())
                assert ws.close_code == 1006

    async def test_a_reset_in_every_state(self, handler):
        """Reset the connection after each part of a conversation; neighbours do not notice."""
        parts = [
            b"",
            upgrade()[:30],
            upgrade()[30:],
            masked(Opcode.TEXT, b"whole"),
            masked(Opcode.TEXT, b"begun", fin=False),
            masked(Opcode.PING, b"p"),
            masked(Opcode.CONT, b"go on", fin=False),
            masked(Opcode.CONT, b"a long one" * 20)[:50],
            masked(Opcode.CONT, b"a long one" * 20)[50:],
            masked(Opcode.BINARY, b"z" * 100_000)[:50_000],
            masked(Opcode.BINARY, b"z" * 100_000)[50_000:],
            masked(Opcode.CLOSE, close_payload(1000)),
        ]
        async with serving(handler) as server, connect(uri_of(server)) as neighbour:
            for stop in range(len(parts) + 1):
                raw = await Raw.connect(port_of(server))
                for part in parts[:stop]:
                    raw.send(part)
                    await raw.writer.drain()
                    await asyncio.sleep(0)
                raw.abort()
                await neighbour.send(f"{stop}")
                assert await soon(neighbour.recv()) == f"{stop}"
            await asyncio.sleep(0.02)
            assert len(server.connections) == 1
            assert not server._opening

    async def test_a_reset_while_we_close(self, handler):
        async with serving(handler, close_timeout=5) as server:
            raw = await Raw.open(port_of(server))
            server.close()
            await raw.read_close()
            raw.abort()
            await soon(server.wait_closed())

    async def test_a_server_that_resets_while_the_client_closes(self, handler):
        async def script(raw):
            await raw.accept()
            await raw.read_close()
            raw.abort()

        async with raw_server(script) as server:
            if handler is echo:
                ws = await connect(uri_of(server))
                await soon(ws.close())
                assert ws.state is State.CLOSED
            else:
                ws = await connect(uri_of(server), listener=Echo)
                ws.close()
                await soon(ws.wait_closed())
            assert ws.close_code == 1006
