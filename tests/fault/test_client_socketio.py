"""The Socket.IO client behind networks that cut, swallow and stall: promises kept, nothing left."""

import asyncio
import contextlib
import random

import pytest

from duplexio import socketio
from duplexio.socketio import exceptions
from tests.engineio.serving import hosted
from tests.fault.tcp_proxy import Fault, tcp_proxy
from tests.socketio.fakes import until
from tests.socketio.test_client_async import make_server

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}


def client(**options):
    options = {"reconnection_delay": 0.01, "reconnection_delay_max": 0.05, **options}
    return socketio.AsyncClient(request_timeout=2, open_timeout=5, **options)


class Watch:
    """Sees that a client leaves neither tasks nor sockets behind."""

    async def __aenter__(self):
        self.before = asyncio.all_tasks()
        return self

    def left(self):
        return {
            task
            for task in asyncio.all_tasks() - self.before
            if "Parked" not in str(task)  # the server keeps those for its handlers
            and ("duplexio/socketio" in str(task) or "engineio/client" in str(task))
        }

    async def __aexit__(self, *exc):
        await until(lambda: not self.left())


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_cut_after_any_number_of_bytes(direction, transport):
    server = make_server(ping_interval=1, ping_timeout=0.5)
    failed = succeeded = 0
    async with hosted(socketio.ASGIApp(server)) as port, Watch():
        for count in (0, 1, 20, 100, 200, 300, 400, 500, 700, 1000, 1500, 2500):
            fault = Fault(reset_after=count)
            async with tcp_proxy(port, **{direction: fault}) as proxy:
                sio = client()
                try:
                    await sio.connect(f"http://127.0.0.1:{proxy}", transports=TRANSPORTS[transport])
                except exceptions.ConnectionError:
                    failed += 1
                    assert sio.state == "disconnected"
                    assert not sio.namespaces
                else:
                    succeeded += 1
                    # Whatever happens to it now, an end is an end.
                    answer = asyncio.ensure_future(sio.call("add", (1, 2), timeout=5))
                    await asyncio.wait({answer}, timeout=0.02)
                    await sio.disconnect()
                    await asyncio.wait({answer})
                    assert answer.exception() is None or isinstance(
                        answer.exception(), exceptions.TimeoutError
                    )
                assert sio.state == "disconnected"
                assert sio.session is None
        await until(lambda: not server.engine.sessions)
    assert failed
    assert succeeded


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
async def test_a_server_that_accepts_and_never_answers(transports):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with Watch():
        sio = socketio.AsyncClient(request_timeout=0.1, open_timeout=0.5)
        with pytest.raises(exceptions.ConnectionError):
            await sio.connect(f"http://127.0.0.1:{port}", transports=transports)
        # The application's own patience ends at any moment, too.
        for patience in (0, 0.01, 0.05):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(patience):
                    await client().connect(f"http://127.0.0.1:{port}", transports=transports)
    listener.close()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
async def test_a_line_that_swallows_everything(transports):
    server = make_server(ping_interval=0.2, ping_timeout=0.2)
    down = Fault()
    app = socketio.ASGIApp(server)
    async with hosted(app) as port, tcp_proxy(port, down=down) as proxy, Watch():
        sio = client()
        await sio.connect(f"http://127.0.0.1:{proxy}", transports=transports)
        answer = asyncio.ensure_future(sio.call("slow", 30))
        down.drop_after = 0
        with pytest.raises(exceptions.AckLostError):
            await answer
        down.drop_after = None
        await until(lambda: sio.connected)
        assert await sio.call("add", (1, 2)) == 3
        await sio.disconnect()


async def test_a_proxy_that_strips_the_upgrade():
    """What does not know WebSocket drops the hop-by-hop headers, or answers by itself."""
    server = make_server(ping_interval=1, ping_timeout=0.5)

    async def forward(reader, writer, strip):
        try:
            while data := await reader.read(65536):
                if strip:
                    data = data.replace(b"Upgrade: websocket\r\n", b"")
                    data = data.replace(b"Connection: Upgrade\r\n", b"")
                writer.write(data)
            writer.write_eof()
        except OSError:
            writer.close()

    async with hosted(socketio.ASGIApp(server)) as port:

        async def serve(reader, writer):
            ahead, behind = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(forward(reader, behind, True), forward(ahead, writer, False))
            for each in (writer, behind):
                each.close()

        proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        async with Watch():
            sio = client()
            await sio.connect(url)
            for number in range(20):
                assert await sio.call("add", (number, 1)) == number + 1
            assert sio.transport() == "polling"
            await sio.disconnect()
            await sio.connect(url, transports=["websocket", "polling"])
            assert await sio.call("add", (1, 2)) == 3
            await sio.disconnect()
        proxy.close()


async def test_disconnecting_in_every_state():
    server = make_server(ping_interval=1, ping_timeout=0.5)
    async with hosted(socketio.ASGIApp(server)) as port, Watch():
        for delay in (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05):
            sio = client()
            task = asyncio.ensure_future(sio.connect(f"http://127.0.0.1:{port}"))
            await asyncio.sleep(delay)
            await sio.disconnect()
            await asyncio.wait({task})
            assert task.exception() is None or isinstance(
                task.exception(), exceptions.ConnectionError
            )
            await sio.disconnect()
            assert sio.state == "disconnected"
        await until(lambda: not server.engine.sessions)


async def test_cancelling_at_every_await():
    server = make_server(ping_interval=1, ping_timeout=0.5)
    async with hosted(socketio.ASGIApp(server)) as port, Watch():
        for delay in (0, 0.001, 0.002, 0.005, 0.01, 0.02):

            async def use():
                async with client() as sio:
                    await sio.connect(f"http://127.0.0.1:{port}")
                    while True:
                        await sio.call("add", (1, 2))

            async with asyncio.TaskGroup() as group:
                task = group.create_task(use())
                await asyncio.sleep(delay)
                task.cancel()
        await until(lambda: not server.engine.sessions)


@contextlib.asynccontextmanager
async def until_the_probe(ports, killed, when):
    """Lead to the port that is the last of a list; die at a certain point of the upgrade.

    Args:
        ports: The ports.
        killed: Is set when all connections were reset; from then on new ones lead on again.
        when: The packet of the upgrade that does not come through.
    """
    pairs = set()

    async def forward(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if when in unmask(data) and not killed.is_set():
                    killed.set()
                    for each in pairs:
                        each.transport.abort()
                    return
                writer.write(data)
            writer.write_eof()

    async def serve(reader, writer):
        if len(ports) == killed.is_set():
            writer.transport.abort()  # it is down
            return
        ahead, behind = await asyncio.open_connection("127.0.0.1", ports[-1])
        pair = {writer, behind}
        pairs.update(pair)
        await asyncio.gather(forward(reader, behind), forward(ahead, writer))
        for each in pair:
            each.close()
        pairs.difference_update(pair)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def unmask(data):
    """Return the payload of a short masked frame; anything else as it is."""
    if len(data) < 6 or data[0] != 0x81 or not data[1] & 0x80:
        return data
    return bytes(byte ^ data[2 + index % 4] for index, byte in enumerate(data[6:])) + b"$"


@pytest.mark.parametrize("when", [b"2probe", b"3probe", b"5$"])
async def test_a_restart_in_the_middle_of_the_upgrade(when):
    """The server dies when the WebSocket was asked for, or confirmed, or is being taken."""
    ports = []
    killed = asyncio.Event()
    sio = client()
    states = []
    sio.on_state(states.append)
    async with until_the_probe(ports, killed, when) as url, Watch():
        async with hosted(socketio.ASGIApp(make_server())) as port:
            ports.append(port)
            connecting = asyncio.ensure_future(sio.connect(url, retry=True))
            await asyncio.wait_for(killed.wait(), 10)
        kept = asyncio.ensure_future(sio.emit("note", "kept"))
        server = make_server()
        async with hosted(socketio.ASGIApp(server)) as port:
            ports.append(port)
            await asyncio.wait_for(asyncio.gather(connecting, kept), 10)
            async with asyncio.timeout(10):
                assert await sio.call("add", (1, 2)) == 3
            assert ("kept",) in server.seen
            assert states.count("connected") >= 1
            await sio.disconnect()
            assert sio.hub.budget.packets == 0
            await until(lambda: not server.engine.sessions)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("seed", range(3))
async def test_promises_on_lines_that_break_at_random(seed, transport):
    """Retried emits have their effect once and in order, whatever the line does."""
    draw = random.Random(seed)
    server = make_server(ping_interval=1, ping_timeout=0.5)
    handled = []

    @server.on("n")
    async def handle(sid, number):
        handled.append(number)
        return number

    # Each connection is reset after so many bytes, the client's or the server's.
    up = Fault(reset_after=draw.randrange(700, 2500))
    down = Fault(reset_after=draw.randrange(700, 2500))
    app = socketio.ASGIApp(server)
    async with hosted(app) as port, tcp_proxy(port, up=up, down=down) as proxy, Watch():
        sio = client(retries=10**6, ack_timeout=1.0)
        losses = []
        sio.on("disconnect", losses.append)
        await sio.connect(f"http://127.0.0.1:{proxy}", transports=[transport], retry=True)
        answers = []
        for number in range(120):
            answers.append(asyncio.ensure_future(sio.call("n", number)))
            await asyncio.sleep(draw.random() * 0.01)
        up.reset_after = down.reset_after = None
        async with asyncio.timeout(20):
            assert await asyncio.gather(*answers) == list(range(120))
        assert handled == list(range(120))
        assert losses
        assert sio.hub.budget.packets == 0
        await sio.disconnect()
        await until(lambda: not server.engine.sessions)
