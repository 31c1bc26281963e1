# cython: annotation_typing=False, binding=False, embedsignature=True
"""Engine.IO natively in the front door, where it is the outermost application.

An :class:`Entrance` is the first protocol object of a connection. A request that has arrived whole,
as those of long polling do, it reads with our own parser of heads, and the engine answers it
without ASGI; one for a WebSocket gets a connection of ours at once. Everything else (requests for
other paths, a head in two pieces, a large or chunked body, a request behind another one that has no
answer yet) it leaves to uvicorn's protocol object, through which it reaches the same application:
slower, with the same result. The two take turns, since browsers load a page and poll on one
connection.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ..engineio.asgi import ASGIApp
from ..engineio.concat import concat
from ..engineio.engine import stop_engines
from ..engineio.polling import ACCEPTED, TEXT, PostRequest, Responder
from ..engineio.request import HeadRequest
from ..errors import ProtocolError
from ..websocket import rawsend
from ..websocket.http11 import Request, parse_request
from ..websocket.opening import MAX_EARLY_BYTES
from .asgi import SHUTDOWN_TIMEOUT, address, take_over
from .handoff import MORE, MOVED
from .handshake import render_lines

if TYPE_CHECKING:
    from .handoff import Handoff, Origin
    from .uvicorn import FrontDoor, Protocol

__all__ = ["NOBODY", "EngineOwner", "Entrance", "NativeEngine", "native_engine", "open_websocket"]

_VERSION = b" HTTP/1.1"
_VISIBLE = bytes(range(33, 127))
# Whoever has a session's id can take it over; six characters tell sessions apart in a log.
_session_id = re.compile(r"(\bsid=[^&]{6})[^&]+")

# Instead of a descriptor: it has not been asked for yet, or there is none to write to.
UNKNOWN = -2
NONE = -1

#: Bytes of an answer that a client has to take within ``close_timeout`` seconds, or all the rest,
#: for its connection not to be given up.
LEAST_TAKEN = 65_536

#: A protocol object that takes the place of one that is to be forgotten.
NOBODY = asyncio.Protocol()

_STATUS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class NativeEngine:
    """An Engine.IO application as the front door serves it.

    Args:
        app: The application, the outermost one.
        front_door: The front door.

    Attributes:
        app: The application.
        prefixes: How requests begin that may be the application's.
    """

    def __init__(self, app: ASGIApp, front_door: FrontDoor) -> None:
        self.app = app
        self.front_door = front_door
        self.engine = app.engine
        # With the question mark, since files may be below the same path; every request has a query.
        path = f"{app.engineio_path}?" if app.engineio_path else "/?"
        self.prefixes = (f"GET {path}".encode(), f"POST {path}".encode())
        config = front_door.config
        self.limited = config.limit_concurrency is not None
        self.keep_alive = float(config.timeout_keep_alive)
        self.server_state = front_door.server_state
        self.default_headers: Any = None
        self.text_head: bytes | None = None
        self.accepted_head: bytes | None = None

    def serves(self, target: str) -> bool:
        """Tell whether a request is the application's.

        Args:
            target: The request's target: path and query.
        """
        path = target.partition("?")[0]
        return self.app.serves(unquote(path) if "%" in path else path)

    def head(self, status: int, headers: Any) -> bytes:
        """Return the head of an answer, but for what depends on its body.

        Those of nearly all answers are kept, as long as the server's own lines are the same, which
        is a second: one of them is the date.

        Args:
            status: The HTTP status.
            headers: The headers.
        """
        default_headers = self.server_state.default_headers
        if default_headers is not self.default_headers:
            self.default_headers = default_headers
            self.text_head = self.accepted_head = None
        if status == 200 and headers is TEXT:
            if self.text_head is None:
                self.text_head = self.render(status, headers)
            return self.text_head
        if status == 200 and headers is ACCEPTED:
            if self.accepted_head is None:
                self.accepted_head = self.render(status, headers)
            return self.accepted_head
        return self.render(status, headers)

    def render(self, status: int, headers: Any) -> bytes:
        """Make the head of an answer."""
        return _STATUS[status] + self.front_door.default_lines() + render_lines(headers)

    def receive(self, entrance: Entrance, data: bytes) -> bool:
        """Serve the request at the beginning of some bytes.

        Args:
            entrance: The connection, which has no request going on.
            data: What has arrived.

        Returns:
            ``False`` when this is not a request that can be served here.
        """
        if not data.startswith(self.prefixes):
            return False
        if self.limited and self.front_door.full():
            return False
        line = data.find(b"\r\n")
        if line < 0:
            return False
        # A client repeats itself: behind the first line, nearly all its heads are the same.
        known = entrance.block
        if known is None or not data.startswith(known.data, line):
            known = entrance.other_block
            if known is None or not data.startswith(known.data, line):
                end = data.find(b"\r\n\r\n", line) + 4
                if end < 4:
                    return False
                known = self.read(data[:end], data[line:end])
                if known is None:
                    return False
            if known.request is None:
                entrance.other_block = entrance.block
                entrance.block = known
        end = line + len(known.data)
        method = "GET" if data.startswith(b"GET ") else "POST"
        path = data[len(method) + 1 : line - len(_VERSION)]
        # Nothing is left of it but what an URL may not contain.
        if not data.startswith(_VERSION, line - len(_VERSION)) or path.translate(None, _VISIBLE):
            return False
        target = path.decode("ascii")
        stop = end
        if known.length >= 0:
            stop += known.length
            if method == "GET" or stop > len(data):
                return False
        elif method == "POST":
            return False
        front_door = self.front_door
        if known.request is not None:
            if method == "POST":
                return False
            entrance.upgrade(known.request, data[end:])
            return True
        exchange = Exchange.__new__(Exchange)
        exchange.start(entrance, self, known.keep_alive)
        entrance.exchange = exchange
        entrance.held = data[stop:]
        # The deadline is only forgotten: it will be set again, and then need not be filed anew.
        entrance.due = 0.0
        self.server_state.total_requests += 1
        request = HeadRequest.__new__(HeadRequest)
        request.start(
            method,
            target,
            known.fields,
            data[:end],
            front_door,
            entrance.client,
            entrance.secure,
        )
        exchange.begin(request, data[end:stop])
        return True

    def read(self, head: bytes, block: bytes) -> HeadBlock | None:
        """Read the headers of a request; return ``None`` for one that is uvicorn's to read.

        Args:
            head: The whole head.
            block: What follows the first line.
        """
        try:
            request = parse_request(head, max_head=self.front_door.settings.max_head_size)
        except ProtocolError:
            return None  # uvicorn's parser has its own words for that
        fields = request.fields
        if "transfer-encoding" in fields or "expect" in fields:
            return None
        upgrade = fields.get("upgrade")
        if upgrade is not None and upgrade.lower() != "websocket":
            return None
        length = fields.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 12):
            return None
        keep_alive = "close" not in fields.get("connection", "").lower()
        known = HeadBlock(block, fields, -1 if length is None else int(length), keep_alive)
        if upgrade is not None:
            known.request = request
        return known


class HeadBlock:
    """The headers of a request, read.

    Args:
        data: The bytes.
        fields: The headers by their names in lower case.
        length: Bytes of the body; -1 when none is announced.
        keep_alive: Whether the connection may go on after the request.

    Attributes:
        request: The whole request, when it is one for a WebSocket.
    """

    def __init__(
        self, data: bytes, fields: Mapping[str, str], length: int, keep_alive: bool
    ) -> None:
        self.data = data
        self.fields = fields
        self.length = length
        self.keep_alive = keep_alive
        self.request: Request | None = None


class Exchange(Responder):
    """One request and its answer.

    Args:
        entrance: The connection.
        native: The application.
        keep_alive: Whether the connection may go on after it.
    """

    def __init__(self, entrance: Entrance, native: NativeEngine, keep_alive: bool) -> None:
        self.start(entrance, native, keep_alive)

    def start(self, entrance: Entrance, native: NativeEngine, keep_alive: bool) -> None:
        """Do what the constructor does, which costs more when this is compiled."""
        self.entrance = entrance
        self.native = native
        self.keep_alive = keep_alive
        self.request: HeadRequest | None = None
        self.turn: Any = None
        self.done = False

    def begin(self, request: HeadRequest, body: bytes) -> None:
        """Give the request to the engine.

        Args:
            request: The request.
            body: Its body.
        """
        self.request = request
        engine = self.native.engine
        # What is sent to this client while its packets are handled answers its poll at once.
        engine.begin_read()
        try:
            turn = engine.begin(request, self)
            if not self.done:
                self.turn = turn
            if isinstance(turn, PostRequest):
                post = turn
                if post.feed(body):
                    post.finish()
        finally:
            engine.end_read()

    def respond(self, status: int, headers: Any, body: bytes) -> None:
        """Answer (called by the engine)."""
        if self.done:
            return
        self.done = True
        self.turn = None
        native = self.native
        head = native.head(status, headers)
        if not self.keep_alive:
            head += b"connection: close\r\n"
        entrance = self.entrance
        if status == 204:  # No Content
            entrance.write(head + b"\r\n")
        else:
            entrance.write(concat(head + b"content-length: ", len(body), b"\r\n\r\n", body))
        if native.front_door.access_log:
            self.log(status)
        entrance.answered(self.keep_alive)

    def log(self, status: int) -> None:
        """Log the request, as uvicorn does."""
        request = self.request
        assert request is not None
        front_door = self.native.front_door
        client = request.peer if front_door.proxies is None else request.client
        front_door.access_logger.info(
            '%s - "%s %s HTTP/%s" %d',
            address(client),
            request.method,
            shown(request.target),
            "1.1",
            status,
        )

    def lost(self) -> None:
        """Take note that the client has gone."""
        self.done = True
        turn, self.turn = self.turn, None
        if turn is not None:
            turn.lost()


class Entrance:
    """The protocol object of a connection, as long as its requests are the engine's.

    Args:
        front_door: What the connections of the server share.
        native: The application.
        make_protocol: Makes uvicorn's protocol object, for requests that are not the engine's.

    Attributes:
        transport: The transport.
        client: Who has connected.
        secure: Whether the connection uses TLS.
        exchange: The request that has no answer yet.
        held: What stands behind it, and has to wait.
        block: The headers of the last request, which are likely to come again.
        other_block: Those of another one: polling has two kinds.
        handoff: Brings requests to the workers whose they are, where there are several.
        origin: Where the connection came from, when another worker has passed it on.
    """

    def __init__(
        self, front_door: FrontDoor, native: NativeEngine, make_protocol: Callable[[], Protocol]
    ) -> None:
        self.front_door = front_door
        self.native = native
        self.make_protocol = make_protocol
        self.protocol: Protocol | None = None
        self.transport: Any = None
        self.client: Any = None
        self.secure = False
        self.fd = UNKNOWN
        self.exchange: Exchange | None = None
        self.held = b""
        self.block: HeadBlock | None = None
        self.other_block: HeadBlock | None = None
        self.handoff: Handoff | None = front_door.handoff
        self.origin: Origin | None = None
        self.read_paused = False
        self.write_blocked = False
        self.unsent = 0
        self.due = 0.0
        self.slot = -1
        self.place = 0

    # The transport's side

    def connection_made(self, transport: Any) -> None:
        """Take the transport (called by asyncio)."""
        self.transport = transport
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and peer:
            self.client = (str(peer[0]), int(peer[1]))
        self.secure = transport.get_extra_info("sslcontext") is not None
        self.front_door.connections.add(self)
        self.expect(self.front_door.settings.head_timeout)

    def data_received(self, data: bytes) -> None:
        """Serve a request, or leave it to uvicorn (called by asyncio)."""
        if self.exchange is not None or self.write_blocked:
            # One that does not read its answers gets no more of them.
            self.held += data
            if len(self.held) > MAX_EARLY_BYTES and not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()
            return
        if self.handoff is not None:
            data = self.held + data
            self.held = b""
            verdict = self.handoff.take(self, self.transport, data)
            if verdict == MOVED:
                return
            if verdict == MORE:
                self.held = data
                return
        if not self.native.receive(self, data):
            self.step_aside(data)

    def arrive(self, origin: Origin) -> None:
        """Take a connection that another worker has passed on (called once it is made).

        Args:
            origin: Where it came from.
        """
        self.origin = origin
        self.client = origin.client
        self.secure = origin.scheme == "https"

    def leave(self) -> None:
        """Let go of the transport, which belongs to another object now."""
        self.front_door.loop_state.timers.cancel(self)
        self.front_door.connections.discard(self)
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.leave()

    def eof_received(self) -> None:
        """Let the transport close itself (called by asyncio)."""

    def pause_writing(self) -> None:
        """Take note that the kernel takes no more (called by asyncio)."""
        self.write_blocked = True

    def resume_writing(self) -> None:
        """Take note that it does again (called by asyncio)."""
        self.write_blocked = False
        if self.held and self.exchange is None:
            self.front_door.loop_state.loop.call_soon(self.receive_held)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the transport has ended (called by asyncio)."""
        self.fd = NONE
        self.front_door.loop_state.timers.cancel(self)
        self.front_door.connections.discard(self)
        exchange, self.exchange = self.exchange, None
        protocol, self.protocol = self.protocol, None
        if exchange is not None:
            exchange.lost()
        if protocol is not None:
            protocol.connection_lost(exc)

    # What it does

    def write(self, data: bytes) -> None:
        """Write, to the descriptor itself where that is possible.

        Args:
            data: The bytes.
        """
        transport = self.transport
        if self.fd == UNKNOWN:
            self.fd = NONE
            if rawsend.AVAILABLE and not self.secure:
                socket = transport.get_extra_info("socket")
                if socket is not None:
                    self.fd = socket.fileno()
        if self.fd < 0 or transport.is_closing() or transport.get_write_buffer_size():
            transport.write(data)
            return
        try:
            count = rawsend.write_bytes(data, self.fd)
        except OSError:
            transport.abort()
            return
        if count < len(data):
            transport.write(data[count:])

    def expect(self, timeout: float) -> None:
        """Set the deadline of the next request."""
        if timeout:
            state = self.front_door.loop_state
            due = state.loop.time() + timeout
            if self.slot >= 0:
                self.due = due  # it is filed already, for an earlier time
            else:
                state.timers.schedule(self, due)

    def on_due(self, now: float, lag: float) -> None:
        """Close a connection on which nothing happens (called by the loop's timers).

        Closing waits until all is sent, which it never is where the client has stopped reading.
        """
        if self.exchange is not None:
            return
        transport = self.transport
        before = self.unsent
        self.unsent = unsent = transport.get_write_buffer_size()
        if not unsent:
            transport.close()
        elif before and unsent > before - LEAST_TAKEN:
            transport.abort()
        else:
            self.expect(self.front_door.settings.close_timeout)

    def close(self) -> None:
        """Close the connection when all is sent, or when the client does not read it."""
        self.transport.close()
        self.unsent = 0
        self.expect(self.front_door.settings.close_timeout)

    def answered(self, keep_alive: bool) -> None:
        """Go on when a request has its answer.

        Args:
            keep_alive: Whether there may be another one.
        """
        self.exchange = None
        if not keep_alive:
            self.close()
            return
        self.unsent = 0
        self.expect(self.native.keep_alive)
        if self.held:
            self.front_door.loop_state.loop.call_soon(self.receive_held)

    def receive_held(self) -> None:
        """Serve what had to wait for an answer."""
        if self.write_blocked:
            return
        held, self.held = self.held, b""
        if not held or self.transport.is_closing():
            return
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.data_received(held)

    def upgrade(self, request: Request, rest: bytes) -> None:
        """Give a request for a WebSocket a connection of ours.

        Args:
            request: The request.
            rest: What stands behind it.
        """
        front_door = self.front_door
        front_door.loop_state.timers.cancel(self)
        front_door.connections.discard(self)
        front_door.server_state.total_requests += 1
        if self.protocol is not None:
            self.protocol.forget()
        open_websocket(
            front_door,
            self.native,
            request,
            rest,
            self.transport,
            self.client,
            self.secure,
            self.write_blocked,
        )

    def step_aside(self, data: bytes) -> None:
        """Leave the connection to uvicorn, until a request of the engine comes again.

        Args:
            data: What has arrived.
        """
        front_door = self.front_door
        front_door.loop_state.timers.cancel(self)
        front_door.connections.discard(self)
        protocol = self.protocol
        if protocol is None:
            self.protocol = protocol = self.make_protocol()
            protocol.entrance = self
            protocol.connection_made(self.transport)
            if self.origin is not None:
                protocol.arrive(self.origin)
        else:
            front_door.connections.add(protocol)
        if self.write_blocked:
            protocol.pause_writing()
        self.transport.set_protocol(protocol)
        protocol.data_received(data)

    def step_in(self, data: bytes) -> bool:
        """Take the connection back, if what has arrived is a request of the engine.

        Args:
            data: What has arrived, when uvicorn's protocol object had nothing going on.

        Returns:
            Whether it was taken.
        """
        if not data.startswith(self.native.prefixes):
            return False
        protocol = self.protocol
        assert protocol is not None
        self.write_blocked = protocol.flow.write_paused
        front_door = self.front_door
        front_door.connections.discard(protocol)
        front_door.connections.add(self)
        self.transport.set_protocol(self)
        if self.native.receive(self, data):
            return True
        front_door.connections.discard(self)
        front_door.connections.add(protocol)
        self.transport.set_protocol(protocol)
        return False

    def shutdown(self) -> None:
        """Close the connection when its request has an answer, since the server stops."""
        if self.exchange is None:
            self.close()
        else:
            self.exchange.keep_alive = False
        stop_engines(self.front_door.loop_state.loop)


class EngineOwner(HeadRequest):
    """A WebSocket of an engine, as uvicorn's server sees it; and its request in one.

    Args:
        request: The request.
        front_door: What the connections of the server share.
        client: Who has connected.
        secure: Whether it uses TLS.

    Attributes:
        driver: The connection.
    """

    def __init__(self, request: Request, front_door: FrontDoor, client: Any, secure: bool) -> None:
        super().__init__(
            request.method, request.path, None, request.head, front_door, client, secure
        )
        self.driver: Any = None

    def http_request(self, request: Request) -> HeadRequest:
        """Return the request as the engine wants it (called by the opening handshake)."""
        self.head = request.head
        self.fields = request.fields
        return self

    def connection_started(self, driver: Any) -> None:
        """Log the opening, as uvicorn does (called by the connection)."""
        logger = self.site.logger
        if not logger.isEnabledFor(logging.INFO):
            return
        client, _ = self.site.client_of(self.request(), self.peer, "ws")
        logger.info('%s - "WebSocket %s" [accepted]', address(client), shown(self.target))

    def connection_ended(self, driver: Any) -> None:
        """Forget the connection (called by it)."""
        self.site.connections.discard(self)
        self.driver = None

    def shutdown(self) -> None:
        """Close the connection, since the server stops."""
        if self.driver is not None:
            self.driver.shutdown(SHUTDOWN_TIMEOUT)


def open_websocket(
    front_door: FrontDoor,
    native: NativeEngine,
    request: Request,
    rest: bytes,
    transport: Any,
    client: Any,
    secure: bool,
    write_blocked: bool,
) -> None:
    """Give a request for a WebSocket a connection of ours.

    Args:
        front_door: What the connections of the server share.
        native: The application.
        request: The request.
        rest: What stands behind it.
        transport: The transport.
        client: Who has connected.
        secure: Whether the connection uses TLS.
        write_blocked: Whether the transport was told that the kernel takes no more.
    """
    owner = EngineOwner(request, front_door, client, secure)
    openings = native.app.openings
    owner.driver = driver = openings.make_driver(front_door.loop_state, owner)
    front_door.connections.add(owner)
    # uvloop keeps the method of the last protocol object that had one called data_received.
    transport.set_protocol(NOBODY)
    take_over(transport, driver, write_blocked=write_blocked)
    openings.open(driver, request, rest, front_door.default_lines(), secure)


def shown(target: str) -> str:
    """Write a request's target as uvicorn's log does, but for the session's id, a secret.

    Args:
        target: The target.

    Example:
        >>> shown("/engine.io/?EIO=4&transport=polling&sid=DZBzqe3kRCGWS4l1AAAB")
        '/engine.io/?EIO=4&transport=polling&sid=DZBzqe…'
    """
    path, _, query = target.partition("?")
    return quote(unquote(path)) + ("?" + _session_id.sub(r"\1…", query) if query else "")


def native_engine(front_door: FrontDoor) -> NativeEngine | None:
    """Return the outermost application as an engine, if it is one.

    Args:
        front_door: The front door.
    """
    app = front_door.outermost
    if isinstance(app, ASGIApp) and type(app).__call__ is ASGIApp.__call__:
        return NativeEngine(app, front_door)
    return None
