"""Chat servers for the tests, in this process and in one of their own, and clients for them."""

import asyncio
import json
import socket
import sys
from contextlib import asynccontextmanager

from uvicorn import Config, Server

from duplexio.chat import Chat
from duplexio.chat.sessions import SUBPROTOCOL
from duplexio.cli.chat import ChatProtocol
from duplexio.websocket.client import connect


class RunningChat:
    """A chat that runs in this process."""

    def __init__(self, chat, port):
        self.chat = chat
        self.port = port
        self.http = f"http://127.0.0.1:{port}"
        self.uri = f"ws://127.0.0.1:{port}/chat"

    @property
    def hub(self):
        return self.chat._source.service.hub

    @asynccontextmanager
    async def client(self, room="", **options):
        """Connect as a client that speaks JSON."""
        uri = f"{self.uri}?room={room}" if room else self.uri
        async with connect(uri, subprotocols=[SUBPROTOCOL], **options) as ws:
            yield JsonClient(ws)

    @asynccontextmanager
    async def member(self, name, room="lobby", **fields):
        """Connect and enter a room."""
        async with self.client() as client:
            client.welcome = await client.join(name, room, **fields)
            yield client

    @asynccontextmanager
    async def line_client(self, name=None, room="", **options):
        """Connect as a client that speaks plain lines."""
        uri = f"{self.uri}?room={room}" if room else self.uri
        async with connect(uri, **options) as ws:
            if name is not None:
                await ws.send(name)
                assert await ws.recv() == f"Welcome, {name} !"
            yield ws


class JsonClient:
    """A client that speaks JSON."""

    def __init__(self, ws):
        self.ws = ws
        self.count = 0
        self.welcome = None

    async def send(self, kind, **fields):
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def next(self):
        return json.loads(await self.ws.recv())

    async def told(self, kind):
        """Return the next event of a kind; those of other kinds are skipped."""
        while True:
            event = await self.next()
            if event["type"] == kind:
                return event

    async def join(self, name, room="lobby", **fields):
        await self.send("join", name=name, room=room, **fields)
        event = await self.next()
        assert event["type"] == "welcome", event
        return event

    async def say(self, text, message_id=None):
        """Say something, and wait until it is told."""
        self.count += 1
        message_id = message_id or f"m{self.count}"
        await self.send("say", id=message_id, text=text)
        while True:
            event = await self.told("message")
            if event["id"] == message_id:
                return event


async def until(condition, timeout=10.0):
    """Wait until something is true that nothing tells us of."""
    async with asyncio.timeout(timeout):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running_chat(database=":memory:", **options):
    """Run a chat in this process, on a free port."""
    chat = Chat(database, **options)
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(chat.app, http=ChatProtocol, lifespan="on", log_level="warning"))
    task = asyncio.ensure_future(server.serve(sockets=[listening]))
    await until(lambda: server.started or task.done())
    assert server.started, "the chat has not started"
    try:
        yield RunningChat(chat, listening.getsockname()[1])
    finally:
        chat.stop_polls()
        server.should_exit = True
        await task
        listening.close()


def chat_command(*arguments):
    """Return the arguments of a Python process that runs ``duplexio chat``."""
    code = "from duplexio.cli import main; main()"
    return [sys.executable, "-c", code, "chat", *arguments]
