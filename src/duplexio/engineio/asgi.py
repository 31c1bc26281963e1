"""An engine as an ASGI application.

Polling requests are answered through ASGI's messages. A WebSocket is taken over where the front
door offers it (see ``duplexio.hosting``), behind whatever middleware the request has come through;
under other ASGI servers its messages are ASGI's, too. Where the application is the outermost one of
the front door, whole requests are served without ASGI: see ``native.py``.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ..websocket.frames import CloseCode
from .channel import MESSAGE_TOO_BIG, TRANSPORT_CLOSE, Wire
from .encoded import Encoded, base64_packet
from .engine import Engine
from .exceptions import RequestError
from .opening import Openings
from .packets import encode_typed
from .polling import PostRequest, Responder
from .request import ScopeRequest, error_body
from .session import Session
from .signals import listen
from .static_files import StaticFiles, find_file

__all__ = ["ASGIApp"]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: The front door's extension of ASGI: who puts a callable under this name into ``websocket.accept``
#: is given the connection.
HANDOVER = "duplexio.handover"

#: Bytes that may wait for an ASGI server before a client counts as slow.
CONGESTED = 65536

#: Seconds that a client has to answer the close frame of a server that stops.
SHUTDOWN_TIMEOUT = 2.0

#: Close codes of a client that has vanished (RFC 6455 §7.4.1); servers of ASGI use them as well
#: for no code at all.
NO_CLOSE_FRAME = (None, CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE)

logger = logging.getLogger("duplexio.engineio")


class ASGIApp:
    """An ASGI application made of an Engine.IO server, and of what is served beside it.

    Args:
        engineio_server: The server.
        other_asgi_app: The application for all other requests.
        static_files: Files to serve, see :func:`.static_files.find_file`.
        engineio_path: Path of the server, with or without the one that the application is mounted
            on; ``None`` gives it all requests.
        on_startup: Called when the application starts; may be a coroutine function.
        on_shutdown: Called when it stops; may be a coroutine function.

    Example:
        >>> from duplexio import engineio
        >>> eio = engineio.AsyncServer()
        >>> app = engineio.ASGIApp(eio, static_files={"/": "index.html"})
    """

    def __init__(
        self,
        engineio_server: Any,
        other_asgi_app: Any = None,
        static_files: StaticFiles | None = None,
        engineio_path: str | None = "engine.io",
        on_startup: Callable[[], Any] | None = None,
        on_shutdown: Callable[[], Any] | None = None,
    ) -> None:
        self.engineio_server = engineio_server
        self.other_asgi_app = other_asgi_app
        self.static_files = static_files or {}
        self.engineio_path: str | None = None
        if engineio_path is not None:
            inner = engineio_path.strip("/")
            self.engineio_path = f"/{inner}/" if inner else "/"
        self.on_startup = on_startup
        self.on_shutdown = on_shutdown
        self.engine: Engine = engineio_server.engine
        self.openings = Openings(self.engine)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request (called by an ASGI server)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        path = self.path_of(scope)
        if kind in ("http", "websocket") and self.serves(path):
            await self.serve(scope, receive, send)
            return
        if kind == "http" and await self.serve_beside(scope, path, send):
            return
        if self.other_asgi_app is not None:
            await self.other_asgi_app(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            await respond(send, 404, ((b"content-type", b"text/plain"),), b"Not Found")

    async def serve_beside(self, scope: Scope, path: str, send: Send) -> bool:
        """Serve a request for what there is beside Engine.IO: files.

        Derived classes override this rather than ``__call__``, since the front door serves the
        requests of Engine.IO itself only where ``__call__`` would do no more than that.

        Args:
            scope: The ASGI scope.
            path: The path, without the one that the application is mounted on.
            send: ASGI's.

        Returns:
            Whether it was one.
        """
        if not self.static_files:
            return False
        found = find_file(path, self.static_files)
        return found is not None and await _serve_file(scope, send, *found)

    def path_of(self, scope: Scope) -> str:
        """Return the path of a request without the one that the application is mounted on.

        Where ``engineio_path`` includes the latter, as python-engineio wants it, it is the whole
        path.

        Args:
            scope: The ASGI scope.
        """
        path = inner_path(scope)
        if not self._below(path) and self._below(scope["path"]):
            whole: str = scope["path"]
            return whole
        return path

    def serves(self, path: str) -> bool:
        """Tell whether requests for a path are the server's.

        Args:
            path: The path; see :meth:`path_of`.
        """
        return self._below(path)

    def _below(self, path: str) -> bool:
        prefix = self.engineio_path
        return prefix is None or path.startswith(prefix) or path == prefix[:-1]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of Engine.IO, whatever its path.

        Args:
            scope: The ASGI scope, of type ``http`` or ``websocket``.
            receive: ASGI's.
            send: ASGI's.
        """
        listen(self.engine)
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        else:
            await self._serve_http(scope, receive, send)
        # Where this application is told of no lifespan, the server waits for no more than this.
        await self.engine.settle()

    # Polling requests

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        responder = AsgiResponder(self.engine.loop_state.loop)
        turn = self.engine.begin(ScopeRequest(scope), responder)
        if not responder.answer.done():
            gone = asyncio.ensure_future(_watch(turn, receive))
            try:
                await asyncio.wait((gone, responder.answer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                if not responder.answer.done() and turn is not None:
                    turn.lost()
            if not responder.answer.done():
                return
        await respond(send, *responder.answer.result())

    # WebSockets

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        request = ScopeRequest(scope)
        owner = Adopted()
        driver = self.openings.make_driver(self.engine.loop_state, owner)
        try:
            waiting = self.openings.prepare(driver, request)
            if waiting is not None:
                await waiting
        except Exception as exc:
            await _deny(scope, send, self.engine.refusal(exc))
            return
        headers = self.openings.headers_for(request)
        message: dict[str, Any] = {
            "type": "websocket.accept",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ],
        }
        if HANDOVER in (scope.get("extensions") or {}):
            owner.offer(driver, self.openings.extensions)
            message[HANDOVER] = owner.adopt
        try:
            await send(message)
        except BaseException:
            driver.leave(TRANSPORT_CLOSE)
            raise
        if driver.connection is not None:
            try:
                await driver.wait_closed()
            except asyncio.CancelledError:
                driver.abort()
                raise
            return
        session, packet = driver.session, driver.packet
        if session is not None:
            limit = self.engine.options.session.max_payload
            await AsgiWire(receive, send, limit).run(session, packet)

    # Life

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.engine.shutdown()
            else:
                self.engine.start()
            return message

        if self.other_asgi_app is not None and not (self.on_startup or self.on_shutdown):
            lifespan = OtherLifespan(watch, send)
            try:
                await self.other_asgi_app(scope, lifespan.receive, lifespan.send)
                return
            except Exception as exc:
                if lifespan.answered:
                    raise
                # It knows nothing of lifespans, as many applications; so we answer for it.
                logger.debug("the other application has no lifespan", exc_info=exc)
            if lifespan.asked:
                await send({"type": "lifespan.startup.complete"})
        while True:
            message = await watch()
            stage = message["type"]
            hook = self.on_startup if stage == "lifespan.startup" else self.on_shutdown
            try:
                if hook is not None:
                    result = hook()
                    if inspect.isawaitable(result):
                        await result
            except Exception as exc:
                logger.error("%s failed", stage, exc_info=exc)
                await send({"type": f"{stage}.failed", "message": str(exc)})
                return
            await send({"type": f"{stage}.complete"})
            if stage == "lifespan.shutdown":
                return


class OtherLifespan:
    """Watches how far another application gets with its lifespan.

    Args:
        receive: ASGI's.
        send: ASGI's.

    Attributes:
        asked: Whether it was told to start.
        answered: Whether it has said anything.
    """

    __slots__ = ("_receive", "_send", "answered", "asked")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.asked = False
        self.answered = False

    async def receive(self) -> dict[str, Any]:
        """Pass a message on."""
        message = await self._receive()
        self.asked = True
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """Pass an answer on."""
        self.answered = True
        await self._send(message)


class AsgiResponder(Responder):
    """Keeps the answer until the ASGI application sends it.

    Args:
        loop: The event loop.

    Attributes:
        answer: Status, headers and body.
    """

    __slots__ = ("answer",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[tuple[int, Any, bytes]] = loop.create_future()

    def respond(self, status: int, headers: Any, body: bytes) -> None:
        """Take the answer."""
        if not self.answer.done():
            self.answer.set_result((status, headers, body))


class Adopted:
    """The owner of a connection that is taken over from an application's middleware."""

    __slots__ = ("driver", "extensions", "site")

    def __init__(self) -> None:
        self.driver: Any = None
        self.extensions: Any = ()
        self.site: Any = None

    def offer(self, driver: Any, extensions: Any) -> None:
        """Take note of who will take the connection over."""
        self.driver = driver
        self.extensions = extensions

    def adopt(self, connection: Any) -> Adopted:
        """Take over a connection of the front door (called by it)."""
        self.site = connection.site
        self.site.connections.add(self)
        return self

    def shutdown(self) -> None:
        """Close the connection, since the server stops."""
        self.driver.shutdown(SHUTDOWN_TIMEOUT)

    def connection_started(self, driver: Any) -> None:
        """Do nothing: the session knows."""

    def connection_ended(self, driver: Any) -> None:
        """Forget the connection."""
        if self.site is not None:
            self.site.connections.discard(self)
        self.driver = None


class AsgiWire(Wire):
    """The wire of a session, made of an ASGI server's ``receive`` and ``send``.

    Args:
        receive: ASGI's.
        send: ASGI's, which has sent ``websocket.accept``.
        limit: Bytes that a message may have.
    """

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        super().__init__()
        self._receive = receive
        self._send = send
        self._limit = limit
        self._session: Session | None = None
        self._outgoing: deque[tuple[dict[str, Any], int]] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._closed = asyncio.Event()
        self._closing = False

    async def run(self, session: Session, packet: str | None) -> None:
        """Carry a session until the connection has ended.

        Args:
            session: The session.
            packet: Its open packet; ``None`` when it is to be upgraded.
        """
        self._session = session
        if packet is not None:
            session.open_websocket(self, packet)
        elif not session.begin_upgrade(self):
            self.close(CloseCode.NORMAL_CLOSURE, "")
        tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._write())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._leave(TRANSPORT_CLOSE)
            self._closed.set()

    async def _read(self) -> None:
        while True:
            await self._reading.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") in NO_CLOSE_FRAME and self._session is not None:
                    self._session.host.session_cut(self._session)
                return
            text = message.get("text")
            data = text if text is not None else message["bytes"]
            session = self._session
            if session is None:
                continue  # we have closed; what comes now comes too late
            if len(data) > self._limit or (
                text is not None and len(text) * 4 > self._limit < len(text.encode())
            ):
                logger.warning(
                    "%s: a message of more than max_http_buffer_size=%s bytes",
                    session.sid[:6],
                    self._limit,
                )
                self._leave(MESSAGE_TOO_BIG)
                self.close(CloseCode.MESSAGE_TOO_BIG, "")
            elif text is not None:
                session.receive_text(self, text)
            else:
                session.receive_binary(self, data)

    async def _write(self) -> None:
        while True:
            while self._outgoing:
                message, size = self._outgoing.popleft()
                try:
                    await self._send(message)
                except Exception as exc:
                    # What an ASGI server raises when the client has gone is its own choice.
                    logger.debug("the ASGI server refused a message", exc_info=exc)
                    return
                self._size -= size
                if message["type"] == "websocket.close":
                    return
            if self.congested:
                self.congested = False
                if self._session is not None:
                    self._session.wire_drained(self)
                continue
            self._more.clear()
            await self._more.wait()

    def _leave(self, reason: str) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.wire_lost(self, reason)

    def _put(self, message: dict[str, Any], size: int) -> None:
        if self._closing:
            return
        self._outgoing.append((message, size))
        self._size += size
        self._more.set()
        if self._size > CONGESTED:
            self.congested = True

    # What the session calls

    def send_text(self, packet: str) -> None:
        """Send a text message."""
        self._put({"type": "websocket.send", "text": packet}, len(packet))

    def send_utf8(self, packet: bytes) -> None:
        """Send a text message that is encoded already."""
        self.send_text(packet.decode())

    def send_binary(self, data: bytes) -> None:
        """Send a binary message."""
        self._put({"type": "websocket.send", "bytes": data}, len(data))

    def send_encoded(self, encoded: Encoded, protocol: int, b64: bool) -> None:
        """Send a text message and its attachments."""
        self.send_text(encoded.packet)
        for data in encoded.attachments:
            if b64:
                self.send_text(base64_packet(protocol, data))
            else:
                self.send_binary(encode_typed(data) if protocol == 3 else data)

    def buffered(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._size

    def pause_reading(self) -> None:
        """Receive no more messages."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        self._reading.set()

    def close(self, code: int, reason: str) -> None:
        """Close it, behind what was sent."""
        self._session = None
        self._reading.set()
        self._put({"type": "websocket.close", "code": int(code), "reason": reason}, 0)
        self._closing = True

    def abort(self) -> None:
        """End it, without what waits."""
        self._outgoing.clear()
        self.close(CloseCode.GOING_AWAY, "")

    async def wait_closed(self) -> None:
        """Wait until it has ended."""
        await self._closed.wait()


def inner_path(scope: Scope) -> str:
    """Return the path of a request, without the one that the application is mounted on.

    Args:
        scope: The ASGI scope.

    Example:
        >>> inner_path({"path": "/app/engine.io/", "root_path": "/app"})
        '/engine.io/'
    """
    path: str = scope["path"]
    root = (scope.get("root_path") or "").rstrip("/")
    if root and path.startswith(root + "/"):
        return path[len(root) :]
    return path


async def respond(send: Send, status: int, headers: Any, body: bytes, head: bool = False) -> None:
    """Answer an HTTP request.

    Args:
        send: ASGI's.
        status: The HTTP status.
        headers: The headers.
        body: The body.
        head: Whether only the head of the answer is wanted.
    """
    lines = [*headers]
    if status not in (204, 304):
        lines.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _watch(turn: Any, receive: Receive) -> None:
    """Wait until the client has gone, and take the body of its request.

    The session may end meanwhile, and the request with it, however much of the body is missing.
    """
    post = turn if isinstance(turn, PostRequest) else None
    while (message := await receive())["type"] == "http.request":
        wanted = post is not None and post.feed(message.get("body", b""))
        if post is not None and wanted and not message.get("more_body", False):
            post.finish()
            post = None


async def _deny(scope: Scope, send: Send, error: RequestError) -> None:
    """Answer that there will be no WebSocket: with 403 where ASGI has no more."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    body = error_body(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    start = {
        "type": "websocket.http.response.start",
        "status": error.status or 400,
        "headers": headers,
    }
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


async def _serve_file(scope: Scope, send: Send, filename: str, content_type: str) -> bool:
    """Answer with a file; return ``False`` when there is none."""
    try:
        data = await asyncio.to_thread(Path(filename).read_bytes)
    except OSError:
        return False
    if scope["method"] not in ("GET", "HEAD"):
        await respond(send, 405, ((b"allow", b"GET, HEAD"),), b"")
        return True
    headers = ((b"content-type", content_type.encode("latin-1")),)
    await respond(send, 200, headers, data, head=scope["method"] == "HEAD")
    return True
