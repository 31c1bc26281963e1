"""The Engine.IO client when the network does not behave: every end is told, nothing is left."""

# ruff: noqa: SIM117 - one context on a line reads better than three in brackets
import asyncio
import os
import threading
from contextlib import asynccontextmanager

import pytest

from duplexio import engineio
from duplexio.engineio import ClientOptions
from duplexio.engineio.exceptions import ConnectionError
from tests.engineio.serving import serving
from tests.fault.tcp_proxy import Fault, tcp_proxy
from tests.interop.test_client_engineio import Talker

TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]
FAST = {"request_timeout": 1.0, "open_timeout": 3.0, "upgrade_timeout": 1.0, "close_timeout": 1.0}


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def nothing_left():
    """Check that no task, socket or thread is left of what happens within."""
    await asyncio.sleep(0)
    tasks, files, threads = asyncio.all_tasks(), descriptors(), threading.active_count()
    yield
    for _ in range(500):
        if asyncio.all_tasks() <= tasks and descriptors() <= files:
            break
        await asyncio.sleep(0.01)
    assert asyncio.all_tasks() <= tasks
    assert descriptors() <= files
    assert threading.active_count() <= threads


async def attempt(port, transports, **options):
    """Connect and talk as far as it goes; return how it ended."""
    talker = Talker()
    settings = ClientOptions(transports=transports, **FAST | options)
    try:
        session = await engineio.connect(f"http://127.0.0.1:{port}", talker, settings)
    except ConnectionError:
        assert talker.opened is None
        return "refused", talker
    for number in range(20):
        session.send_text(f"m{number}" + "x" * 50)
        await asyncio.sleep(0.001)
    for _ in range(200):
        if talker.reason is not None or len(talker.messages) == 20:
            break
        await asyncio.sleep(0.01)
    session.close()
    await asyncio.wait_for(session.wait_closed(), 10)
    assert talker.messages == [f"m{number}" + "x" * 50 for number in range(len(talker.messages))]
    assert talker.reason is not None
    return talker.reason, talker


@pytest.mark.parametrize("transports", TRANSPORTS, ids=",".join)
@pytest.mark.parametrize("what", ["reset_after", "end_after"])
@pytest.mark.parametrize("side", ["up", "down"])
async def test_cut_in_every_state(side, what, transports):
    async with serving() as peer:
        async with nothing_left():
            for count in (0, 1, 80, 150, 200, 260, 330, 400, 500, 700, 1000, 1500):
                faults = {side: Fault(**{what: count})}
                async with tcp_proxy(peer.port, **faults) as port:
                    await attempt(port, transports)


@pytest.mark.parametrize("transports", TRANSPORTS, ids=",".join)
async def test_stalls(transports):
    """Nothing of what is sent arrives any more, and nobody says so."""
    async with serving() as peer:
        async with nothing_left():
            for count in (0, 150, 400):
                async with tcp_proxy(peer.port, down=Fault(drop_after=count)) as port:
                    reason, _ = await attempt(port, transports)
                    assert reason in ("refused", "forced close", "transport error")


async def test_a_stalled_connection_ends_with_a_ping_timeout():
    async with serving(ping_interval=0.2, ping_timeout=0.2) as peer:
        for transports in (["polling"], ["websocket"]):
            async with nothing_left():
                proxied = Fault()
                async with tcp_proxy(peer.port, down=proxied) as port:
                    talker = Talker()
                    session = await engineio.connect(
                        f"http://127.0.0.1:{port}", talker, ClientOptions(transports=transports)
                    )
                    proxied.drop_after = 0
                    await asyncio.wait_for(session.wait_closed(), 15)
                    assert talker.reason == "ping timeout"


@pytest.mark.parametrize("transports", TRANSPORTS, ids=",".join)
async def test_a_server_that_accepts_and_never_answers(transports):
    async def ignore(reader, writer):
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(ignore, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with nothing_left():
            options = ClientOptions(transports=transports, **FAST)
            with pytest.raises(ConnectionError, match=r"request_timeout|open_timeout"):
                await engineio.connect(url, Talker(), options)
            # Cancelled at any moment it leaves nothing, either.
            for delay in (0, 0.001, 0.05):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(delay):
                        await engineio.connect(url, Talker(), ClientOptions(transports=transports))


@asynccontextmanager
async def without_websockets(target, answer):
    """A proxy that answers requests for WebSockets itself, and passes on all others."""

    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    async def run(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()
            return
        if b"upgrade: websocket" in head.lower():
            writer.write(answer)
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        far_writer.write(head)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    tasks = set()

    def connected(reader, writer):
        tasks.add(asyncio.ensure_future(run(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
@pytest.mark.parametrize(
    "transports", [["polling", "websocket"], ["websocket", "polling"]], ids=",".join
)
async def test_a_proxy_that_strips_upgrade(transports, answer):
    async with serving() as peer, without_websockets(peer.port, answer) as port:
        async with nothing_left():
            talker = Talker()
            session = await engineio.connect(
                f"http://127.0.0.1:{port}", talker, ClientOptions(transports=transports, **FAST)
            )
            session.send_text("a")
            await asyncio.wait_for(session.wait_upgraded(), 10)
            assert session.transport == "polling"
            session.send_text("b")
            await talker.until(2)
            assert talker.messages == ["a", "b"]
            session.close()
            await asyncio.wait_for(session.wait_closed(), 10)


async def test_without_fallback_only_the_first_transport_is_tried():
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    async with serving() as peer, without_websockets(peer.port, answer) as port:
        options = ClientOptions(
            transports=["websocket", "polling"], try_all_transports=False, **FAST
        )
        with pytest.raises(ConnectionError, match="status 400"):
            await engineio.connect(f"http://127.0.0.1:{port}", Talker(), options)


@pytest.mark.parametrize("turns", [0, 2, 5, 9, 14, 20, 30])
async def test_a_restart_during_the_upgrade(turns):
    talker = Talker()
    async with serving() as peer:
        session = await engineio.connect(
            f"http://127.0.0.1:{peer.port}", talker, ClientOptions(**FAST)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
    await asyncio.wait_for(session.wait_closed(), 10)
    assert talker.reason in ("transport close", "transport error")
    assert len(asyncio.all_tasks()) == 1


async def test_cancelled_at_any_moment():
    async with serving() as peer:
        async with nothing_left():
            for transports in TRANSPORTS:
                for turns in range(0, 40, 4):
                    talker = Talker()
                    task = asyncio.ensure_future(
                        engineio.connect(
                            f"http://127.0.0.1:{peer.port}",
                            talker,
                            ClientOptions(transports=transports),
                        )
                    )
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    (session,) = await asyncio.gather(task, return_exceptions=True)
                    if isinstance(session, engineio.ClientSession):
                        session.abort()
                        await asyncio.wait_for(session.wait_closed(), 10)
