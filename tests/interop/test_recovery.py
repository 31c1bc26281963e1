"""Connection state recovery with JavaScript's client, duplexio.js and ours, on a line that breaks.

Each connection is reset after some bytes, wherever that is, while events go out.
"""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from duplexio import socketio
from duplexio.socketio.browser import client_module
from tests.engineio.serving import hosted
from tests.fault.tcp_proxy import Fault, tcp_proxy

HERE = Path(__file__).parent
NODE = shutil.which("node")
EVENTS = 120


class Source:
    """A server that emits numbered events to one client, a few of them while it is away."""

    def __init__(self):
        self.sio = socketio.AsyncServer(
            connection_state_recovery=True, cors_allowed_origins="*", ping_interval=5
        )
        self.arrived = asyncio.Event()
        self.sids = []

        @self.sio.event
        async def connect(sid, environ):
            self.sids.append((sid, self.sio.recovered(sid)))
            await self.sio.enter_room(sid, "room")
            self.arrived.set()

        @self.sio.event
        def disconnect(sid, reason):
            self.arrived.clear()

    async def emit_all(self):
        for number in range(1, EVENTS + 1):
            if number % 5 == 1:
                await self.arrived.wait()
            to = ["room", self.sids[0][0], None][number % 3] if self.sids else None
            await self.sio.emit("n", (number,), to=to)
            await self.sio.emit("v", "a string", volatile=True)
            await asyncio.sleep(0.005)


async def check(start):
    source = Source()
    async with (
        hosted(socketio.ASGIApp(source.sio)) as port,
        tcp_proxy(port, down=Fault(reset_after=1500)) as proxy,
    ):
        client = asyncio.create_task(start(f"http://127.0.0.1:{proxy}"))
        await source.emit_all()
        numbers, recovered = await client
    assert numbers == list(range(1, EVENTS + 1))
    assert len(recovered) > 2, "the line was to break"
    assert recovered == [False] + [True] * (len(recovered) - 1)
    assert len({sid for sid, _ in source.sids}) == 1
    assert not source.sids[0][1]
    assert all(known for _, known in source.sids[1:])


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("transport", ["websocket", "polling,websocket"])
@pytest.mark.parametrize("kind", ["socket.io-client", "duplexio.js"])
async def test_clients_in_javascript(kind, transport, tmp_path):
    module = "sioc4"
    if kind == "duplexio.js":
        path = tmp_path / "duplexio.mjs"
        path.write_text(client_module())
        module = path.as_uri()

    async def start(url):
        process = await asyncio.create_subprocess_exec(
            NODE,
            "recovery_client.mjs",
            module,
            url,
            transport,
            str(EVENTS),
            cwd=HERE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, errors.decode()[-2000:]
        said = [json.loads(line) for line in output.splitlines()]
        return (
            [each["number"] for each in said if "number" in each],
            [each["recovered"] for each in said if "recovered" in each],
        )

    await check(start)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_our_client(transport):
    async def start(url):
        client = socketio.AsyncClient(
            reconnection_delay=0.01, reconnection_delay_max=0.02, randomization_factor=0
        )
        numbers, recovered = [], []
        done = asyncio.Event()

        @client.event
        def connect():
            recovered.append(client.recovered)

        @client.on("n")
        def take(number):
            numbers.append(number)
            if number == EVENTS:
                done.set()

        @client.on("v")
        def volatile(text):
            assert text == "a string"

        await client.connect(url, transports=[transport], retry=True)
        await done.wait()
        await client.disconnect()
        return numbers, recovered

    await check(start)
