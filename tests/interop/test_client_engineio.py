"""Our client at servers of Engine.IO of all generations, over each transport and the upgrade."""

import asyncio
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from duplexio import engineio
from duplexio.engineio import ClientOptions, Remembered
from duplexio.engineio.exceptions import ConnectionError
from duplexio.engineio.session import SessionHandler
from tests.engineio.serving import HOSTINGS, hosted
from tests.interop.python_packages import python_packages

HERE = Path(__file__).parent
NODE = shutil.which("node")
MESSAGES = 100

pytestmark = pytest.mark.timeout(120)

#: Each server's program and settings, and the protocols that it speaks.
SERVERS = {
    "node-3": (("eios3", "{}"), (3,)),
    "node-1.8": (("./node_modules/engine.io", "{}"), (3,)),
    "node-4": (("./node_modules/sios3/node_modules/engine.io", "{}"), (4,)),
    "node-6": (("eios6", "{}"), (4,)),
    "node-6-old-clients": (("eios6", '{"allowEIO3":true}'), (4, 3)),
    "node-6-polling": (("eios6", '{"transports":["polling"]}'), (4,)),
    "python-3": (("engineio3",), (3,)),
    "python-4": (("engineio4",), (4,)),
}
TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"], ["websocket", "polling"]]


@asynccontextmanager
async def serving(name, options=None):
    """Run a server; yield its address, and a coroutine function that returns what it has noted."""
    arguments, _ = SERVERS[name]
    environ = dict(os.environ)
    if len(arguments) == 1:
        environ["PYTHONPATH"] = str(await asyncio.to_thread(python_packages, arguments[0]))
        command = [sys.executable, "engineio_server.py", options or "{}"]
    else:
        if NODE is None or not (HERE / "node_modules/eios6").exists():
            pytest.skip("needs node and `make interop-packages`")
        command = [NODE, "engineio_server.cjs", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=HERE,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    event, port = json.loads(await process.stdout.readline())
    assert event == "listening"

    async def notes():
        process.stdin.close()
        output = await process.stdout.read()
        return [json.loads(line) for line in output.splitlines()]

    try:
        yield f"http://127.0.0.1:{port}", notes
    finally:
        if process.returncode is None:
            process.stdin.close()
            await process.wait()


class Talker(SessionHandler):
    """Records what a session tells."""

    def __init__(self):
        self.opened = None
        self.messages = []
        self.reason = None
        self.changed = asyncio.Event()

    def on_open(self, session):
        assert self.opened is None
        self.opened = (session.protocol, session.transport)

    def on_text(self, session, text, start):
        self.messages.append(text[start:])
        self.changed.set()

    def on_binary(self, session, data):
        self.messages.append(data)
        self.changed.set()

    def on_close(self, session, reason):
        self.reason = reason
        self.changed.set()

    async def until(self, count):
        async with asyncio.timeout(20):
            while len(self.messages) < count and self.reason is None:
                self.changed.clear()
                await self.changed.wait()


async def converse(session, talker):
    """Send messages of both kinds, and check that they come back in order."""
    sent = ["hello"]
    for number in range(MESSAGES):
        message = bytes([number, 4]) if number % 5 == 3 else f"n{number} €😀"
        sent.append(message)
        if isinstance(message, bytes):
            session.send_binary(message)
        else:
            session.send_text(message)
        if number % 7 == 0:
            await asyncio.sleep(0.001)
    await talker.until(len(sent))
    assert talker.messages == sent


@pytest.mark.parametrize("transports", TRANSPORTS, ids=",".join)
@pytest.mark.parametrize("server", SERVERS)
async def test_the_protocol_is_found(server, transports):
    protocols = SERVERS[server][1]
    talker = Talker()
    async with serving(server) as (url, _):
        options = ClientOptions(transports=transports)
        if server == "node-6-polling" and transports == ["websocket"]:
            with pytest.raises(ConnectionError):
                await engineio.connect(url, talker, options)
            assert talker.opened is None
            return
        session = await engineio.connect(url, talker, options)
        first = "polling" if server == "node-6-polling" else transports[0]
        assert talker.opened == (protocols[0], first)
        await converse(session, talker)
        await asyncio.wait_for(session.wait_upgraded(), 20)
        last = "websocket" if "websocket" in transports else "polling"
        if server == "node-6-polling":
            last = "polling"
        assert session.remembered == Remembered(protocols[0], last)
        session.send_text("close me")
        await asyncio.wait_for(session.wait_closed(), 20)
        assert talker.reason == "transport close"
        # The next attempt begins with what worked.
        again = Talker()
        session = await engineio.connect(url, again, options, Remembered(protocols[0], last))
        assert again.opened == (protocols[0], last)
        session.close()
        await asyncio.wait_for(session.wait_closed(), 20)
        assert again.reason == "forced close"
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids=",".join)
@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize(
    "server", ["node-3", "node-6", "node-6-old-clients", "python-3", "python-4"]
)
async def test_the_protocol_is_told(server, protocol, transports):
    talker = Talker()
    async with serving(server) as (url, _):
        options = ClientOptions(transports=transports, protocol=protocol)
        if protocol not in SERVERS[server][1]:
            with pytest.raises(ConnectionError):
                await engineio.connect(url, talker, options)
            assert talker.opened is None
            return
        session = await engineio.connect(url, talker, options)
        assert talker.opened == (protocol, transports[0])
        await converse(session, talker)
        session.close()
        await asyncio.wait_for(session.wait_closed(), 20)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_the_servers_words(transport):
    async with serving("python-4") as (url, _):
        options = ClientOptions(transports=[transport])
        with pytest.raises(ConnectionError) as raised:
            await engineio.connect(url + "?refuse=1", Talker(), options)
        assert raised.value.status == 401
        assert raised.value.data


@pytest.mark.parametrize("server", ["node-3", "node-6", "python-3", "python-4"])
async def test_the_clients_of_our_package(server):
    """AsyncClient and Client say good-bye so that the server understands."""
    for kind in (engineio.AsyncClient, engineio.Client):
        async with serving(server) as (url, notes):
            client = kind()
            if kind is engineio.Client:
                await asyncio.to_thread(client.connect, url)
                assert client.transport() == "websocket"
                await asyncio.to_thread(client.disconnect)
            else:
                await client.connect(url)
                assert client.transport() == "websocket"
                await client.disconnect()
            events = await notes()
            assert "disconnect" in [event[0] for event in events] or server.startswith("node")


@pytest.mark.parametrize("hosting", HOSTINGS)
@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("transports", TRANSPORTS, ids=",".join)
async def test_our_own_server(transports, protocol, hosting):
    eio = engineio.AsyncServer()

    @eio.on("connect")
    async def connect(sid, environ):
        await eio.send(sid, "hello")

    @eio.on("message")
    async def message(sid, data):
        await eio.send(sid, data)

    async with hosted(engineio.ASGIApp(eio), hosting) as port:
        talker = Talker()
        options = ClientOptions(transports=transports, protocol=protocol)
        session = await engineio.connect(f"http://127.0.0.1:{port}", talker, options)
        await converse(session, talker)
        await asyncio.wait_for(session.wait_upgraded(), 20)
        session.close()
        await asyncio.wait_for(session.wait_closed(), 20)
