# cython: annotation_typing=False, binding=False, embedsignature=True
"""Engine.IO natively in the front door, where it is the outermost application.

A request that has arrived whole, as those of long polling do, is read by our own parser of heads
and answered without ASGI. Everything else (a head in two pieces, a large or chunked body, a request
behind another one that has no answer yet) is left to uvicorn's parser, and reaches the same
application through ASGI: slower, with the same result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ..engineio.asgi import ASGIApp
from ..engineio.polling import PostRequest, Responder
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
        app: The application.
        prefixes: How requests begin that may be the application's.
    """

    def __init__(self, app: ASGIApp, front_door: FrontDoor) -> None:
        self.app = app
        self.front_door = front_door
        self.engine = app.engine
        path = (app.engineio_path or "/").encode("ascii", "ignore")
        self.prefixes = (b"GET " + path, b"POST " + path)
        self.rendered: dict[Any, bytes] = {}

    def serves(self, target: str) -> bool:
        """Tell whether a request is the application's.

        Args:
            target: The request's target: path and query.
        """
        path = target.partition("?")[0]
        return self.app.serves(unquote(path) if "%" in path else path)

    def lines(self, headers: Any) -> bytes:
        """Return the lines of headers; those that come again and again are kept."""
        lines = self.rendered.get(headers)
        if lines is None:
            lines = render_lines(headers)
            if len(self.rendered) < 64:
                self.rendered[headers] = lines
        return lines

    def receive(self, protocol: Protocol, data: bytes) -> bytes:
        """Serve the request at the beginning of some bytes.

        Args:
            protocol: The connection, which has no request going on.
            data: What has arrived; it begins as one of ``prefixes``.

        Returns:
            What is left for uvicorn's parser.
        """
        line = data.find(b"\r\n")
        end = data.find(b"\r\n\r\n", line) + 4 if line > 0 else 0
        if end < 4 or self.front_door.full():
            return data
        # A client repeats itself: behind the first line, nearly all its heads are the same.
        block = data[line:end]
        known: HeadBlock | None = protocol.block
        if known is None or known.data != block:
            known = protocol.other_block
            if known is None or known.data != block:
                known = self.read(data[:end], block)
                if known is None:
                    return data
            protocol.other_block = protocol.block
            protocol.block = known
        parts = data[:line].split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1":
            return data
        try:
            target = parts[1].decode("ascii")
        except UnicodeDecodeError:
            return data
        if not target.isprintable():
            return data
        method = "POST" if parts[0] == b"POST" else "GET"
        if known.upgrade:
            if method != "GET":
                return data
            protocol.upgrade_native(parse_request(data[:end]), data[end:])
            return b""
        stop = end
        if known.length >= 0:
            if method != "POST":
                return data
            stop += known.length
            if stop > len(data):
                return data
        elif method != "GET":
            return data
        exchange = Exchange(protocol, self, known.keep_alive)
        protocol.begin_native(exchange, data[stop:])
        client = protocol.client
        secure = protocol.scheme == "https"
        request = HeadRequest(
            method, target, known.fields, data[:end], self.front_door, client, secure
        )
        exchange.begin(request, data[end:stop])
        return b""

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
        return HeadBlock(
            block, fields, -1 if length is None else int(length), keep_alive, upgrade is not None
        )


class HeadBlock:
    """The headers of a request, read.

    Args:
        data: The bytes.
        fields: The headers by their names in lower case.
        length: Bytes of the body; -1 when none is announced.
        keep_alive: Whether the connection may go on after the request.
        upgrade: Whether the request is for a WebSocket.
    """

    def __init__(
        self,
        data: bytes,
        fields: Mapping[str, str],
        length: int,
        keep_alive: bool,
        upgrade: bool,
    ) -> None:
        self.data = data
        self.fields = fields
        self.length = length
        self.keep_alive = keep_alive
        self.upgrade = upgrade


class Exchange(Responder):
    """One request and its answer.

    Args:
        protocol: The connection.
        native: The application.
        keep_alive: Whether the connection may go on after it.
    """

    def __init__(self, protocol: Protocol, native: NativeEngine, keep_alive: bool) -> None:
        self.protocol = protocol
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
        turn = self.native.engine.begin(request, self)
        if not self.done:
            self.turn = turn
        if isinstance(turn, PostRequest):
            post = turn
            if post.feed(body):
                post.finish()

    def respond(self, status: int, headers: Any, body: bytes) -> None:
        """Answer (called by the engine)."""
        if self.done:
            return
        self.done = True
        self.turn = None
        native = self.native
        parts = [_STATUS[status], native.front_door.default_lines(), native.lines(headers)]
        if status != 204:  # No Content
            parts.append(b"content-length: %d\r\n" % len(body))
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        parts.append(body)
        protocol = self.protocol
        protocol.transport.write(b"".join(parts))
        if protocol.access_log:
            self.log(status)
        protocol.end_native(self.keep_alive)

    def log(self, status: int) -> None:
        """Log the request, as uvicorn does."""
        protocol = self.protocol
        request = self.request
        assert request is not None
        client = request.client if protocol.front_door.proxies is not None else protocol.client
        path, _, query = request.target.partition("?")
        protocol.access_logger.info(
            '%s - "%s %s HTTP/%s" %d',
            address(client),
            request.method,
            quote(unquote(path)) + ("?" + query if query else ""),
            "1.1",
            status,
        )

    def close_after(self) -> None:
        """Let the answer be the last of its connection."""
        self.keep_alive = False

    def lost(self) -> None:
        """Take note that the client has gone."""
        self.done = True
        turn, self.turn = self.turn, None
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
        path, _, query = self.target.partition("?")
        path = quote(unquote(path)) + ("?" + query if query else "")
        logger.info('%s - "WebSocket %s" [accepted]', address(client), path)

    def connection_ended(self, driver: Any) -> None:
        """Forget the connection (called by it)."""
        self.site.connections.discard(self)
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
