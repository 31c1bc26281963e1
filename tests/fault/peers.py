"""A Socket.IO server that notes what happens, and clients whose every byte a test decides."""

import asyncio
import json
import logging
import os
import socket
import struct
from contextlib import asynccontextmanager

from duplexio import socketio
from tests.engineio.serving import Http, hosted
from tests.websocket.raw import Raw, masked, upgrade

PATH = "/socket.io/"


async def soon(awaitable, seconds=10):
    return await asyncio.wait_for(awaitable, seconds)


async def until(condition, seconds=10):
    """Wait until a condition holds, and return what it is."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {condition}"
        await asyncio.sleep(0.005)
    return found


class Site:
    """A Socket.IO server, and what its handlers were told.

    Attributes:
        server: The server.
        port: Where it listens.
        connected: The clients that were let in.
        left: Pairs of a client and the reason, one for each call of a disconnect handler.
        heard: What the handler of ``say`` was called with.
        gate: The connect handler waits for it when asked to by ``auth``, and the event ``wait``.
    """

    def __init__(self, **options):
        options.setdefault("namespaces", ["/", "/a"])
        self.server = server = socketio.AsyncServer(**options)
        self.port = 0
        self.connected = []
        self.left = []
        self.heard = []
        self.answers = []
        self.waiting = self.seen = 0
        self.gate = asyncio.Event()

        async def connect(sid, environ, auth=None):
            if auth == {"wait": True}:
                self.waiting += 1
                await self.gate.wait()
            self.connected.append(sid)

        def disconnect(sid, reason):
            self.left.append((sid, reason))

        for namespace in ("/", "/a"):
            server.on("connect", connect, namespace=namespace)
            server.on("disconnect", disconnect, namespace=namespace)

        @server.event
        async def say(sid, *args):
            self.heard.append(args)
            return args

        @server.event
        async def wait(sid):
            self.waiting += 1
            await self.gate.wait()
            return "done"

        @server.event
        async def join(sid, room):
            await server.enter_room(sid, room)

        @server.event
        async def ask(sid):
            try:
                self.answers.append(await server.call("question", to=sid))
            except socketio.TimeoutError as exc:
                self.answers.append(exc)

    @property
    def engine(self):
        return self.server.engine

    @property
    def counters(self):
        return self.server.hub.counters

    async def held(self):
        """Wait until one more handler waits for the gate."""
        self.seen += 1
        await until(lambda: self.waiting >= self.seen)

    def reasons(self):
        return [reason for _, reason in self.left]

    def left_over(self):
        """Return what there is of sessions, clients and rooms: nothing, at the end."""
        hub = self.server.hub
        return {
            "sessions": len(self.engine.sessions),
            "clients": sum(len(adapter.members) for adapter in hub.adapters.values()),
            "rooms": sum(len(adapter.rooms) for adapter in hub.adapters.values()),
        }

    def empty(self):
        return not any(self.left_over().values())

    # Clients

    def http(self):
        return SioHttp(self.port)

    async def websocket(self, query="EIO=4&transport=websocket"):
        return await Ws.dial(self.port, query)

    async def client(self, auth=None, namespace="/"):
        """Return a client on a WebSocket that is connected, with its id."""
        ws = await self.websocket()
        assert (await ws.text()).startswith("0{")
        ws.sid = await ws.join(namespace, auth)
        return ws


@asynccontextmanager
async def serving(hosting="native", config=None, **options):
    """Serve a :class:`Site`; nothing of any client may be left when the test is over."""
    site = Site(**options)
    app = socketio.ASGIApp(site.server)
    async with hosted(app, hosting, **(config or {})) as port:
        site.port = port
        yield site
    for _ in range(5):  # uvloop closes its handles in later turns
        await asyncio.sleep(0)


def reset(writer):
    """End a connection with a RST, as a client does that was killed or lost its route."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


class SioHttp(Http):
    """A connection that speaks HTTP to the path of Socket.IO."""

    async def send(self, method, query, body=None, **headers):
        await super().send(method, query, body, path=PATH, **headers)

    async def get(self, query):
        return await self.request("GET", query)

    async def post(self, query, body):
        return await self.request("POST", query, body, Content_Type="text/plain;charset=UTF-8")

    async def open(self, protocol=4):
        """Open a session; return the query for its requests."""
        query = f"EIO={protocol}&transport=polling"
        status, _, body = await self.get(query)
        assert status == 200, body
        text = body.decode()
        data, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
        return f"{query}&sid={data['sid']}"

    async def connected(self):
        """Open a session and connect to the namespace ``/``; return the query for requests."""
        query = await self.open()
        assert (await self.post(query, b"40"))[0] == 200
        status, _, body = await self.get(query)
        assert (status, body[:3]) == (200, b"40{")
        return query

    def reset(self):
        reset(self.writer)


class Ws(Raw):
    """A WebSocket, written and read frame by frame."""

    @classmethod
    async def dial(cls, port, query):
        ws = await cls.connect(port)
        ws.send(upgrade(path=f"{PATH}?{query}"))
        head = await ws.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return ws

    def say(self, *packets):
        """Send messages: ``str`` as text, ``bytes`` as binary."""
        for packet in packets:
            if isinstance(packet, str):
                self.send(masked(1, packet.encode("utf-8", "surrogatepass")))
            else:
                self.send(masked(2, packet))

    async def message(self):
        """Return the next message; the number of the close frame instead, or ``None`` at the end.

        Pings of Engine.IO are answered on the way.
        """
        while True:
            try:
                frame = await self.read_frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            if frame.opcode == 8:
                return int.from_bytes(frame.data[:2], "big") if frame.data else 1005
            if frame.opcode == 2:
                return frame.data
            if frame.data == b"2":
                self.say("3")
            else:
                return frame.data.decode()

    async def text(self):
        message = await self.message()
        assert isinstance(message, str), message
        return message

    async def join(self, namespace="/", auth=None):
        """Connect to a namespace; return the client's id."""
        prefix = "" if namespace == "/" else namespace + ","
        self.say(f"40{prefix}" + ("" if auth is None else json.dumps(auth)))
        answer = await self.text()
        assert answer.startswith(f"40{prefix}{{"), answer
        return json.loads(answer[2 + len(prefix) :])["sid"]

    async def ended(self):
        """Read to the end; return the close frame's number, or ``None`` where there was none."""
        message = await self.message()
        while isinstance(message, str | bytes):
            message = await self.message()
        return message

    def reset(self):
        reset(self.writer)


def is_parked(task):
    """Tell whether a task is one of the few that the server keeps for handlers to come."""
    return getattr(task.get_coro(), "__qualname__", "") == "Parked._run"


class Census:
    """What this process has of tasks and descriptors."""

    def __init__(self):
        self.tasks = sum(not is_parked(task) for task in asyncio.all_tasks())
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def __eq__(self, other):
        return (self.tasks, self.descriptors) == (other.tasks, other.descriptors)

    def __hash__(self):
        return hash((self.tasks, self.descriptors))

    def __repr__(self):
        return f"{self.tasks} tasks, {self.descriptors} descriptors"


async def settled(site, before):
    """Wait until nothing is left of any client, and there is as much as before of all else."""
    try:
        await until(lambda: site.empty() and Census() == before, 5)
    except AssertionError:
        raise AssertionError(
            f"left over: {site.left_over()}; before {before}, now {Census()}: {asyncio.all_tasks()}"
        ) from None


#: What uvicorn itself logs of WebSockets that were refused, or that break the protocol.
OF_UVICORN = (
    "ASGI callable returned without completing handshake.",
    "Invalid UTF-8 sequence received from client.",
)


def complaints(caplog):
    """Return what was logged that nobody could act on: errors and tracebacks."""
    return [
        record.getMessage()
        for record in caplog.records
        if (record.levelno >= logging.ERROR or record.exc_info)
        and record.getMessage() not in OF_UVICORN
    ]
