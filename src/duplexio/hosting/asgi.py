# cython: annotation_typing=False, binding=True, embedsignature=True
"""The WebSockets of ASGI applications, on our protocol.

An :class:`AsgiConnection` is the protocol object of the transport and, at the same time, what the
application's ``receive`` and ``send`` talk to: a message that has arrived is handed to the waiting
application in place, and what it sends meanwhile goes out in one write.

The messages are those of the ASGI specification, version 2.4 of its part on WebSockets, with the
extension ``websocket.http.response`` and one of our own, ``duplexio.handover``: an endpoint of ours
behind the application's middleware takes the connection over with its answer (``endpoint.py``).
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from ..websocket.connection import OPEN
from ..websocket.frames import CloseCode
from ..websocket.handshake import reject
from ..websocket.http11 import Response
from ..websocket.loopstate import LoopState
from ..websocket.opening import MAX_EARLY_BYTES
from ..websocket.stream import SENDS_PER_TURN, StreamConnection
from ..websocket.wakeup import Wakeup
from .handshake import Offer, render_lines

if TYPE_CHECKING:
    from ..websocket.options import Options

__all__ = ["HANDOVER", "SHUTDOWN_TIMEOUT", "AsgiConnection", "ClientDisconnected", "Site"]

#: Name of our extension of ASGI, in ``scope["extensions"]`` and in ``websocket.accept``.
HANDOVER = "duplexio.handover"

#: Seconds that a client has to answer the close frame of a server that stops.
SHUTDOWN_TIMEOUT = 2.0

# What the application may send next.
CONNECTING = 0  # websocket.accept, websocket.close, websocket.http.response.start
ACCEPTED = 1  # websocket.send, websocket.close
RESPONDING = 2  # websocket.http.response.body
ENDED = 3  # nothing


class ClientDisconnected(OSError):
    """The application sends to a client that has gone; ASGI wants an ``OSError`` here."""


class Site(Protocol):
    """What the connections of one server share.

    Attributes:
        app: The application.
        logger: Where errors and openings are logged.
        connections: All connections of the server.
    """

    app: Any
    logger: Any
    connections: set[Any]

    def default_lines(self) -> bytes:
        """Return the header lines of all responses."""


class EarlyBytes:
    """What a client sends before it has an answer: the opening of an :class:`AsgiConnection`.

    Args:
        driver: The connection.
        data: What has arrived already.
    """

    __slots__ = ("data", "driver")

    def __init__(self, driver: Any, data: bytes) -> None:
        self.driver = driver
        self.data = data

    def connected(self) -> None:
        """The transport is there."""

    def received(self, data: bytes) -> None:
        """Keep the bytes; a client that sends many of them has to wait."""
        self.data += data
        if len(self.data) > MAX_EARLY_BYTES:
            self.driver.pause_reading()

    def timed_out(self) -> None:
        """There is no deadline: how long to think is the application's business."""

    def lost(self, exc: Exception | None) -> None:
        """The connection itself tells the application."""


class AsgiConnection(StreamConnection):
    """A WebSocket whose messages go to an ASGI application.

    Args:
        loop_state: What the connections of the event loop share.
        options: Limits and times.
        site: What the connections of the server share.
        offer: The request, which is good.
        scope: The ASGI scope.
        early: What has arrived behind the request.
    """

    def __init__(
        self,
        loop_state: LoopState,
        options: Options,
        site: Site,
        offer: Offer,
        scope: dict[str, Any],
        early: bytes,
    ) -> None:
        super().__init__(loop_state, options, None)
        self.site = site
        self.offer: Offer | None = offer
        self.scope: dict[str, Any] | None = scope
        self.early: EarlyBytes | None = EarlyBytes(self, early)
        self.opening = self.early
        self.phase = CONNECTING
        self.announced = False
        self.heir: Any = None
        self.waiters: list[asyncio.Future[None]] | None = None
        self.denial: tuple[int, list[tuple[bytes, bytes]]] | None = None

    async def run(self) -> None:
        """Run the application on this connection."""
        try:
            result = await self.site.app(self.scope, self.receive_event, self.send_event)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            self.abort()
            raise
        except BaseException as exc:
            self.site.logger.error("Exception in ASGI application\n", exc_info=exc)
            self.finish(True)
            return
        if self.phase == CONNECTING and not self.lost:
            self.site.logger.error("ASGI callable returned without completing handshake.")
            self.finish(True)
            return
        if result is not None:
            self.site.logger.error("ASGI callable should return None, but returned '%s'.", result)
        self.finish(False)

    def finish(self, failed: bool) -> None:
        """End the connection when the application has returned, unless it has ended it."""
        phase = self.phase
        self.phase = ENDED
        if self.lost or self.heir is not None:
            return
        if phase == CONNECTING:
            self.deny(500, "Internal Server Error")
        elif phase == RESPONDING:
            self.refuse()
        elif phase == ACCEPTED:
            self.close_soon(CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE, "")

    # receive

    async def receive_event(self) -> dict[str, Any]:
        """Return the next ASGI message, as the application awaits it."""
        if not self.announced:
            self.announced = True
            return {"type": "websocket.connect"}
        while self.receiving:
            await self.await_turn()
        while not self.messages:
            if self.lost or self.heir is not None or self.phase >= RESPONDING:
                return await self.disconnected()
            if self.connection is not None and self.connection.state != OPEN:
                return await self.disconnected()
            receiver = Wakeup(self.loop_state.loop)
            self.receiver = receiver
            self.receiving = True
            try:
                await receiver
            finally:
                self.receiving = False
                self.receiver = None
                if self.waiters is not None:
                    self.pass_turn()
        message = self.next_message()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def disconnected(self) -> dict[str, Any]:
        """Return how the connection ended."""
        if self.heir is not None:
            await self.heir.wait_closed()
            return {
                "type": "websocket.disconnect",
                "code": self.heir.close_code,
                "reason": self.heir.close_reason,
            }
        connection = self.connection
        if connection is None:
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        # What the client sent tells more than what we answered; our own code, when it was us.
        close = connection.close_rcvd or connection.close_sent
        if close is None:
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        return {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}

    async def await_turn(self) -> None:
        """Wait while another task of the application waits for a message."""
        future = self.loop_state.loop.create_future()
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(future)
        await future

    def pass_turn(self) -> None:
        """Wake the tasks of the application that wait for their turn."""
        waiters, self.waiters = self.waiters, None
        for future in waiters or ():
            if not future.done():
                future.set_result(None)

    # send

    async def send_event(self, message: dict[str, Any]) -> None:
        """Take an ASGI message from the application."""
        kind = message["type"]
        if kind != "websocket.send" or self.phase != ACCEPTED:
            await self.send_other(kind, message)
            return
        if self.lost or self.connection is None or self.connection.state != OPEN:
            raise ClientDisconnected("the client has gone")
        payload = message.get("bytes")
        if payload is None:
            payload = message.get("text")
            if payload is None:
                raise RuntimeError("the ASGI message 'websocket.send' has neither bytes nor text")
        self.send_whole(payload, None)
        if (self.write_blocked or self.fd < 0) and self.buffered() > self.options.write_limit:
            await self.drain_or_leave()
        self.sends += 1
        if self.sends >= SENDS_PER_TURN:
            self.sends = 0
            await asyncio.sleep(0)

    async def drain_or_leave(self) -> None:
        """Wait until the client has taken enough."""
        while not self.lost and self.buffered() > self.options.write_limit:
            self.flush_pending()
            if not self.write_blocked:
                return
            future = self.loop_state.loop.create_future()
            if self.drainers is None:
                self.drainers = []
            self.drainers.append(future)
            await future
        if self.lost:
            raise ClientDisconnected("the client has gone")

    async def send_other(self, kind: str, message: dict[str, Any]) -> None:
        """Take an ASGI message other than one to be sent."""
        if self.phase == ENDED or self.heir is not None:
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close',"
                " or response already completed."
            )
        if self.phase == ACCEPTED:
            if kind != "websocket.close":
                raise RuntimeError(
                    "Expected ASGI message 'websocket.send' or 'websocket.close',"
                    f" but got '{kind}'."
                )
            self.phase = ENDED
            self.close_soon(message.get("code") or 1000, message.get("reason") or "")
        elif self.lost:
            raise ClientDisconnected("the client has gone")
        elif self.phase == RESPONDING:
            if kind != "websocket.http.response.body":
                raise RuntimeError(
                    f"Expected ASGI message 'websocket.http.response.body', but got '{kind}'."
                )
            await self.respond(message.get("body", b""), message.get("more_body", False))
        elif kind == "websocket.accept":
            self.accept(message)
        elif kind == "websocket.close":
            self.log("403")
            self.deny(403, "")
        elif kind == "websocket.http.response.start":
            status = message["status"]
            if not 200 <= status < 600:
                raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
            self.log(str(status))
            self.denial = (status, list(message.get("headers", ())))
            self.phase = RESPONDING
        else:
            raise RuntimeError(
                "Expected ASGI message 'websocket.accept', 'websocket.close' or"
                f" 'websocket.http.response.start' but got '{kind}'."
            )

    def accept(self, message: dict[str, Any]) -> None:
        """Answer that the connection is open, or hand it over to an endpoint of ours."""
        headers = self.site.default_lines() + render_lines(message.get("headers", ()))
        subprotocol = message.get("subprotocol") or None
        self.log("[accepted]")
        handover = message.get(HANDOVER)
        offer, self.offer = self.offer, None
        assert offer is not None
        early = b"" if self.early is None else self.early.data
        # An open connection has no use for them.
        self.scope = self.early = self.opening = None
        self.phase = ACCEPTED
        if handover is not None:
            heir = handover(self)
            self.heir = heir.driver
            self.site.connections.discard(self)
            take_over(
                self.transport,
                heir.driver,
                read_paused=bool(self.read_paused),
                write_blocked=bool(self.write_blocked),
            )
            offer.accept(heir.driver, subprotocol, headers, heir.extensions, early)
            return
        offer.accept(self, subprotocol, headers, rest=early)
        self.resume_reading()

    def deny(self, status: int, text: str) -> None:
        """Answer that there will be no WebSocket."""
        self.phase = ENDED
        response = reject(status, text, date=formatdate(usegmt=True))
        self.send_raw(response.serialize())
        self.refuse()
        self.wake_receiver()

    async def respond(self, body: bytes, more: bool) -> None:
        """Send the response that the application gives instead of a WebSocket."""
        if self.denial is not None:
            status, headers = self.denial
            self.denial = None
            names = {name.lower() for name, _ in headers}
            lines = render_lines(headers)
            if b"connection" not in names:
                lines += b"connection: close\r\n"
            if b"content-length" not in names and not more:
                lines += b"content-length: %d\r\n" % len(body)
            # Without a length the end of the connection is the end of the body (RFC 9112 §6.3).
            first = Response(status, phrase(status)).serialize().partition(b"\r\n")[0]
            self.send_raw(first + b"\r\n" + self.site.default_lines() + lines + b"\r\n")
        if body:
            self.send_raw(body)
        if more:
            await self.drain_or_leave()
            return
        self.phase = ENDED
        self.refuse()
        self.wake_receiver()

    def log(self, outcome: str) -> None:
        """Log the answer to a request, as uvicorn does."""
        scope = self.scope
        if scope is None:
            return
        path = quote(scope["path"])
        if scope["query_string"]:
            path += "?" + scope["query_string"].decode("latin-1")
        self.site.logger.info('%s - "WebSocket %s" %s', address(scope.get("client")), path, outcome)

    # What the server and the driver tell

    def shutdown(self) -> None:
        """Close the connection, since the server stops."""
        if self.lost or self.heir is not None:
            return
        if self.phase == CONNECTING:
            self.deny(503, "The server is shutting down.\n")
        elif self.phase == ACCEPTED:
            self.close_soon(CloseCode.SERVICE_RESTART, "")
        self.schedule(SHUTDOWN_TIMEOUT)

    def wake_receiver(self) -> None:
        """Let the application learn that the connection has ended."""
        if self.receiver is not None:
            self.receiver.wake(False)

    def on_close_frame(self, code: int, reason: str) -> None:
        """Take the peer's close frame, and tell the application."""
        StreamConnection.on_close_frame(self, code, reason)
        self.wake_receiver()

    def on_failure(self, code: int, reason: str) -> None:
        """Take note that the peer broke the protocol, and tell the application."""
        StreamConnection.on_failure(self, code, reason)
        self.wake_receiver()

    def on_lost(self, exc: Exception | None) -> None:
        """Take note that the transport has ended, and tell the application."""
        StreamConnection.on_lost(self, exc)
        self.site.connections.discard(self)


def address(client: Any) -> str:
    """Write the address of a client as uvicorn's log does."""
    return f"{client[0]}:{client[1]}" if client else ""


def phrase(status: int) -> str:
    """Return the words for a status; none for one that nobody has defined."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def take_over(
    transport: Any, driver: Any, *, read_paused: bool = False, write_blocked: bool = False
) -> None:
    """Make a driver the protocol object of a transport that had another one.

    Args:
        transport: The transport.
        driver: Its new protocol object.
        read_paused: Whether the other one had paused reading.
        write_blocked: Whether the other one was told that the kernel takes no more, which the
            transport does not tell again.
    """
    transport.set_protocol(driver)
    driver.connection_made(transport)
    if write_blocked:
        driver.pause_writing()
    if read_paused and not transport.is_closing():
        transport.resume_reading()
