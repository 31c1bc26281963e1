"""The signals that stop a server end the sessions of engines too, without getting lost."""

import asyncio
import signal
import threading
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed

from duplexio.engineio.signals import SIGNALS, Herald, listen
from tests.engineio.serving import Http, serving
from tests.hosting.programs import handshake


@contextmanager
def handled(handler):
    """Handle the signals as a server does, which puts back what was before."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@pytest.mark.parametrize("number", SIGNALS)
async def test_sessions_end_before_the_server_does(number):
    seen = []
    async with serving("asgi") as peer:
        with handled(lambda number, frame: seen.append(number)):
            sid = await peer.open()
            async with peer.http() as waiting, peer.websocket() as ws:
                await ws.recv()
                await waiting.send("GET", f"EIO=4&transport=polling&sid={sid}")
                # One more request, whose answer comes after the other one has arrived.
                await peer.request("GET", "EIO=4&transport=nothing")
                signal.raise_signal(number)
                assert seen == [number]
                assert (await waiting.receive())[2] == b"1"
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1012
            assert peer.events.count(("disconnect", "server shutting down")) == 2
            assert (await peer.request("GET", "EIO=4&transport=polling"))[0] == 503
        assert not isinstance(signal.getsignal(number), Herald)


async def test_disconnect_handlers_are_waited_for_and_others_are_cancelled():
    """Also where nobody is told of the lifespan: the last request takes as long as they do."""
    told = []
    async with serving("asgi") as peer:

        @peer.eio.on("message")
        async def message(sid, data):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("cancelled")
                raise

        @peer.eio.on("disconnect")
        async def disconnect(sid, reason):
            await asyncio.sleep(0.01)
            told.append(reason)

        with handled(lambda number, frame: None):
            sid = await peer.open()
            query = f"EIO=4&transport=polling&sid={sid}"
            assert (await peer.request("POST", query, b"4hello"))[2] == b"ok"
            async with peer.http() as waiting:
                await waiting.send("GET", query)
                await peer.request("GET", "EIO=4&transport=nothing")
                signal.raise_signal(signal.SIGTERM)
                await waiting.receive()
                # uvicorn sends the answer of the next request behind the end of the last one.
                await waiting.request("GET", "EIO=4&transport=nothing")
    assert told == ["server shutting down", "cancelled"]


async def test_several_engines_hear_one_signal():
    async with serving("asgi") as one, serving("asgi") as other:
        with handled(lambda number, frame: None):
            await one.open()
            await other.open()
            herald = signal.getsignal(signal.SIGTERM)
            assert isinstance(herald, Herald)
            assert herald.engines == {one.eio.engine, other.eio.engine}
            signal.raise_signal(signal.SIGTERM)
            await one.wait_for("disconnect", "server shutting down")
            await other.wait_for("disconnect", "server shutting down")


async def test_nothing_is_changed_where_nobody_handles_signals():
    before = [signal.getsignal(number) for number in SIGNALS]
    async with serving("asgi") as peer:
        await peer.open()
        assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_nothing_is_changed_from_a_thread():
    async with serving() as peer:
        with handled(print):
            thread = threading.Thread(target=listen, args=[peer.eio.engine])
            thread.start()
            thread.join()
            assert signal.getsignal(signal.SIGTERM) is print


def test_a_loop_that_is_closed_is_no_obstacle():
    seen = []

    async def serve():
        async with serving("asgi") as peer:
            await peer.open()

    with handled(lambda number, frame: seen.append(number)):
        asyncio.run(serve())
        signal.raise_signal(signal.SIGTERM)
        assert seen == [signal.SIGTERM]


@pytest.mark.parametrize("hosting", ["native", "handover"])
async def test_the_front_door_needs_no_signal(hosting):
    """Whatever stops it: all engines that it has served are stopped."""
    async with serving(hosting) as peer:
        sid = await peer.open()
        waiting = Http(peer.port)
        await waiting.__aenter__()
        await waiting.send("GET", f"EIO=4&transport=polling&sid={sid}")
        await peer.request("GET", "EIO=4&transport=nothing")
    assert (await waiting.receive())[2] == b"1"
    await waiting.__aexit__()
    assert peer.events[-1] == ("disconnect", "server shutting down")
    # The loop has let go of the engine.
    assert not asyncio.get_running_loop()._duplexio_engines


async def test_a_client_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("duplexio.hosting.native.SHUTDOWN_TIMEOUT", 0.1)
    async with serving() as peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        writer.write(handshake("/engine.io/?EIO=4&transport=websocket"))
        await reader.readuntil(b"}")
    # 1012, and then the end, though the client has not said a word
    assert await reader.read() == b"\x88\x02\x03\xf4"
    assert peer.events[-1] == ("disconnect", "server shutting down")
    writer.close()
    await writer.wait_closed()


async def test_an_upgrade_that_goes_on_while_the_server_stops():
    """The client learns of the end on the WebSocket, since it polls no more."""
    async with serving() as peer:
        sid = await peer.open()
        ws = await peer.websocket(f"EIO=4&transport=websocket&sid={sid}")
        await ws.send("2probe")
        assert await ws.recv() == "3probe"

        async def go_on():
            await peer.wait_for("disconnect", "server shutting down")
            await ws.send("5")
            await ws.wait_closed()

        going_on = asyncio.create_task(go_on())
    await going_on
    assert ws.close_code == 1012
    assert not peer.eio.engine.sessions


async def test_a_handler_may_stop_the_server():
    async with serving() as peer:
        done = asyncio.Event()

        @peer.eio.on("message")
        async def message(sid, data):
            await asyncio.sleep(0)
            await peer.eio.shutdown()
            done.set()

        async with peer.websocket() as ws:
            await ws.recv()
            await ws.send("4stop")
            await asyncio.wait_for(done.wait(), 10)
        assert ws.close_code == 1001


async def test_a_server_that_leaves_interrupts_to_python():
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        async with serving("asgi") as peer:
            await peer.open()
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            signal.raise_signal(signal.SIGTERM)
            await peer.wait_for("disconnect", "server shutting down")
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
