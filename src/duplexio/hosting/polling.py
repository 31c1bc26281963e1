"""Engine.IO natively in the front door, where it is the outermost application.

A request that has arrived whole, as those of long polling do, is read by our own parser of heads
and answered without ASGI. Everything else (a head in two pieces, a large or chunked body, a request
behind another one that has no answer yet) is left to uvicorn's parser, and reaches the same
application through ASGI: slower, with the same result.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ..engineio.asgi import ASGIApp
from ..engineio.polling import PostRequest
from ..engineio.request import HeadRequest
from ..errors import ProtocolError
from ..websocket.http11 import Request, parse_request
from .asgi import SHUTDOWN_TIMEOUT, address
from .handshake import render_lines

if TYPE_CHECKING:
    from .uvicorn import FrontDoor, Protocol

__all__ = ["EngineOwner", "Exchange", "NativeEngine", "native_engine"]

_STATUS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class NativeEngine:
    """An Engine.IO application as the front door serves it.

    Args:
        app: The application, the outermost one.
        front_door: The front door.

    Attributes:
        prefixes: How requests begin that may be the application's.
    """

    def __init__(self, app: ASGIApp, front_door: FrontDoor) -> None:
        self.app = app
        self.front_door = front_door
        self.engine = app.engine
        path = (app.engineio_path or "/").encode("ascii", "ignore")
        self.prefixes = (b"GET " + path, b"POST " + path)
        self._lines: dict[Any, bytes] = {}

    def serves(self, target: str) -> bool:
        """Tell whether a request is the application's.

        Args:
            target: The request's target: path and query.
        """
        path = target.partition("?")[0]
        return self.app.serves(unquote(path) if "%" in path else path)

    def lines(self, headers: Any) -> bytes:
        """Return the lines of headers; those that come again and again are kept."""
        lines = self._lines.get(headers)
        if lines is None:
            lines = render_lines(headers)
            if len(self._lines) < 64:
                self._lines[headers] = lines
        return lines

    def receive(self, protocol: Protocol, data: bytes) -> bytes:
        """Serve the requests at the beginning of some bytes.

        Args:
            protocol: The connection, which has no request going on.
            data: What has arrived; it begins as one of ``prefixes``.

        Returns:
            What is left for uvicorn's parser.
        """
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return data
        try:
            request = parse_request(data[:end], max_head=self.front_door.settings.max_head_size)
        except ProtocolError:
            return data  # uvicorn's parser has its own words for that
        fields = request.fields
        if "transfer-encoding" in fields or "expect" in fields or self.front_door.full():
            return data
        if "upgrade" in fields:
            if request.method == "GET" and fields["upgrade"].lower() == "websocket":
                protocol.upgrade_native(request, data[end:])
                return b""
            return data
        stop = end
        if request.method == "POST":
            length = fields.get("content-length", "")
            if not (length.isascii() and length.isdigit()):
                return data
            stop += int(length)
            if stop > len(data):
                return data
        keep_alive = request.protocol == "HTTP/1.1"
        connection = fields.get("connection")
        if connection is not None and "close" in connection.lower():
            keep_alive = False
        exchange = Exchange(protocol, self, request, keep_alive)
        protocol.begin_native(exchange, data[stop:])
        exchange.begin(data[end:stop])
        return b""


class Exchange:
    """One request and its answer.

    Args:
        protocol: The connection.
        native: The application.
        request: The request.
        keep_alive: Whether the connection may go on after it.
    """

    __slots__ = ("_done", "_keep_alive", "_native", "_protocol", "_request", "_turn")

    def __init__(
        self, protocol: Protocol, native: NativeEngine, request: Request, keep_alive: bool
    ) -> None:
        self._protocol = protocol
        self._native = native
        self._request = request
        self._keep_alive = keep_alive
        self._turn: Any = None
        self._done = False

    def begin(self, body: bytes) -> None:
        """Give the request to the engine.

        Args:
            body: The body of the request.
        """
        protocol = self._protocol
        request = HeadRequest(
            self._request,
            self._native.front_door,
            protocol.client,
            protocol.scheme == "https",
        )
        self._turn = turn = self._native.engine.begin(request, self)
        if isinstance(turn, PostRequest) and turn.feed(body):
            turn.finish()

    def respond(self, status: int, headers: Any, body: bytes) -> None:
        """Answer (called by the engine)."""
        if self._done:
            return
        self._done = True
        self._turn = None
        front_door = self._native.front_door
        parts = [_STATUS[status], front_door.default_lines(), self._native.lines(headers)]
        if status != HTTPStatus.NO_CONTENT:
            parts.append(b"content-length: %d\r\n" % len(body))
        if not self._keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        parts.append(body)
        protocol = self._protocol
        protocol.transport.write(b"".join(parts))
        if protocol.access_log:
            self._log(status)
        protocol.end_native(self._keep_alive)

    def _log(self, status: int) -> None:
        """Log the request, as uvicorn does."""
        protocol = self._protocol
        request = self._request
        client, _ = self._native.front_door.client_of(request, protocol.client, "http")
        path, _, query = request.path.partition("?")
        protocol.access_logger.info(
            '%s - "%s %s HTTP/%s" %d',
            address(client),
            request.method,
            quote(unquote(path)) + ("?" + query if query else ""),
            request.protocol.rpartition("/")[2],
            status,
        )

    def close_after(self) -> None:
        """Let the answer be the last of its connection."""
        self._keep_alive = False

    def lost(self) -> None:
        """Take note that the client has gone."""
        self._done = True
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.lost()


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

    __slots__ = ("driver",)

    def __init__(self, request: Request, front_door: FrontDoor, client: Any, secure: bool) -> None:
        super().__init__(request, front_door, client, secure)
        self.driver: Any = None

    def http_request(self, request: Request) -> HeadRequest:
        """Return the request as the engine wants it (called by the opening handshake)."""
        self.request = request
        return self

    def connection_started(self, driver: Any) -> None:
        """Log the opening, as uvicorn does (called by the connection)."""
        logger = self._site.logger
        if not logger.isEnabledFor(logging.INFO):
            return
        request = self.request
        client, _ = self._site.client_of(request, self._client, "ws")
        path, _, query = request.path.partition("?")
        path = quote(unquote(path)) + ("?" + query if query else "")
        logger.info('%s - "WebSocket %s" [accepted]', address(client), path)
        request.compact()

    def connection_ended(self, driver: Any) -> None:
        """Forget the connection (called by it)."""
        self._site.connections.discard(self)
        self.driver = None

    def shutdown(self) -> None:
        """Close the connection, since the server stops."""
        if self.driver is not None:
            self.driver.shutdown(SHUTDOWN_TIMEOUT)


def native_engine(front_door: FrontDoor) -> NativeEngine | None:
    """Return the outermost application as an engine, if it is one.

    Args:
        front_door: The front door.
    """
    app = front_door.outermost
    return NativeEngine(app, front_door) if isinstance(app, ASGIApp) else None
