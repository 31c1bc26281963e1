"""An Engine.IO server in uvicorn, in the test's own event loop, and clients written by hand."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import uvicorn
from websockets.asyncio.client import connect

from duplexio import engineio
from duplexio.hosting.uvicorn import Protocol

PATH = "/engine.io/"

#: How a server may be hosted: natively in the front door, behind middleware in the front door, and
#: in uvicorn as it is.
HOSTINGS = ("native", "handover", "asgi")


class Middleware:
    """Something in front of the application, so that it is not the outermost one."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@asynccontextmanager
async def hosted(app, hosting="native", **config):
    """Serve an ASGI application; yield the port."""
    if hosting == "handover":
        app = Middleware(app)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools" if hosting == "asgi" else Protocol,
            ws="websockets-sansio",
            log_config=None,
            lifespan="on",
            timeout_graceful_shutdown=2,
            **config,
        )
    )
    # What server.serve() does, without its signal handlers.
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup([listening])
    if server.should_exit:
        listening.close()
        raise RuntimeError("the application did not start")
    try:
        yield listening.getsockname()[1]
    finally:
        await server.shutdown([listening])


class Peer:
    """An echo server, and what it has seen.

    Attributes:
        eio: The server.
        events: What the handlers were called with.
    """

    def __init__(self, **options):
        self.events = []
        self.changed = asyncio.Event()
        self.environs = {}
        self.eio = eio = engineio.AsyncServer(**options)
        self.port = 0

        @eio.on("connect")
        def connect(sid, environ):
            self.environs[sid] = environ
            self.note("connect", sid)

        @eio.on("message")
        async def message(sid, data):
            self.note("message", data)
            await eio.send(sid, data)

        @eio.on("disconnect")
        def disconnect(sid, reason):
            self.note("disconnect", reason)

    def note(self, *event):
        self.events.append(event)
        self.changed.set()

    async def wait_for(self, *event):
        """Wait until a handler was called with something."""
        while event not in self.events:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)

    def messages(self):
        return [event[1] for event in self.events if event[0] == "message"]

    # Clients

    def http(self):
        return Http(self.port)

    async def request(self, method, query, body=None, **headers):
        """Send one request on a connection of its own; return status, headers, body."""
        async with Http(self.port) as http:
            return await http.request(method, query, body, **headers)

    async def open(self, protocol=4, **headers):
        """Open a session on polling requests; return its id."""
        status, _, body = await self.request("GET", f"EIO={protocol}&transport=polling", **headers)
        assert status == 200, body
        text = body.decode()
        data, end = json.JSONDecoder().raw_decode(text[text.index("{") :])
        assert text.index("{") + end == len(text)
        return data["sid"]

    def websocket(self, query="EIO=4&transport=websocket", **options):
        options.setdefault("compression", None)
        return connect(f"ws://127.0.0.1:{self.port}{PATH}?{query}", **options)


@asynccontextmanager
async def serving(hosting="native", config=None, app_options=None, **options):
    """Serve a :class:`Peer`."""
    peer = Peer(**options)
    app = engineio.ASGIApp(peer.eio, **(app_options or {}))
    async with hosted(app, hosting, **(config or {})) as port:
        peer.port = port
        yield peer


class Http:
    """A connection that speaks HTTP, one request after the other."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc):
        self.writer.close()

    async def send(self, method, query, body=None, path=PATH, **headers):
        target = f"{path}?{query}" if query is not None else path
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None and "Content_Length" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        await self.writer.drain()

    async def receive(self, method="GET"):
        """Return status, headers and body of the next answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        status = int(first.split()[1])
        length = int(headers.get("content-length", 0)) if method != "HEAD" else 0
        return status, headers, await self.reader.readexactly(length)

    async def request(self, method, query, body=None, **headers):
        await self.send(method, query, body, **headers)
        return await self.receive(method)


def error(code, message):
    """Return the body of an error."""
    return {"code": code, "message": message}
