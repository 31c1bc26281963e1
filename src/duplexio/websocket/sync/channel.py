# cython: annotation_typing=False, binding=False, embedsignature=True
"""A connection over a blocking socket: what every message of the blocking API goes through.

A :class:`Channel` reads from its transport into one buffer that it keeps, lets the sans-I/O
:class:`~duplexio.websocket.connection.Connection` make events of it, and writes what that wants to
send. An event is a ``str`` (a text message), ``bytes`` (a binary message), a tuple of opcode,
payload and FIN (a control frame, or a fragment), or the exception that ends the connection.

Threads: any number may send. A message is put into the output and written under ``sending``, so
that frames go out whole and in order. One reads at a time, under ``reading``, and never waits for
``sending``: when a thread is busy sending, that one also writes the pong that the reader has put
into the output. ``guard`` keeps the connection itself, for as long as no input or output takes.

Reading ahead: programs wait with ``select`` for the socket itself, and expect that it is readable
as long as there is a message. So bytes are looked at, and taken from the socket only when their
last message is; a program that asks for one message at a time pays for it with one more system
call. :attr:`Channel.read_ahead` is for those who take all events before they wait.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from socket import MSG_PEEK
from threading import Lock
from time import monotonic
from typing import Any

from ..connection import Connection, ConnectionHandler
from ..deflate import PerMessageDeflate
from ..frames import Close
from ..kernel import MaskKeys
from .exceptions import (
    WebSocketConnectionClosedException,
    WebSocketPayloadException,
    WebSocketProtocolException,
    WebSocketTimeoutException,
    connection_lost,
)
from .transport import Transport

__all__ = ["READ_SIZE", "Channel", "Event"]

#: Size of the buffer that is read into, in bytes.
READ_SIZE = 65536

#: Bytes of pongs that may wait while a message is being sent; more than that are dropped. RFC 6455
#: §5.5.3 allows to answer the last of several pings only.
MAX_ANSWERS = 65536

#: What arrives; see the module.
Event = str | bytes | tuple[int, bytes, bool] | Exception

OPEN = 1

#: What a socket that is not to wait raises.
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NOT_NOW = (TimeoutError, *WOULD_BLOCK)
NOT_WRITTEN = (WebSocketTimeoutException, WebSocketConnectionClosedException, *WOULD_BLOCK)


class Channel(ConnectionHandler):
    """A WebSocket connection over a transport that blocks.

    Args:
        transport: The bytes below.
        mask_keys: Where masking keys come from.
        max_size: Largest message accepted, in bytes after decompression; ``None`` for no limit.
        deflate: The negotiated permessage-deflate extension, if any.
        fragments: Whether messages are delivered in the pieces in which they were sent.
        read_ahead: Whether everything that has arrived may be taken from the socket at once.
        write: Sends bytes in place of the transport; returns how many it took.

    Attributes:
        ended: Whether nothing more can be received.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        mask_keys: MaskKeys,
        max_size: int | None,
        deflate: PerMessageDeflate | None,
        fragments: bool = False,
        read_ahead: bool = False,
        write: Callable[[bytes | memoryview], int] | None = None,
    ) -> None:
        self.transport = transport
        self.connection = Connection(
            self,
            client=True,
            max_size=max_size,
            deflate=deflate,
            mask_keys=mask_keys,
        )
        if fragments:
            self.connection.set_fragments(True)
        self.compressed = deflate is not None
        self.receive_into = transport.receive_into
        self.write_some = transport.send if write is None else write
        self.events: deque[Event] = deque()
        self.buffer = bytearray(READ_SIZE)
        self.peeks = transport.can_peek and not read_ahead
        self.peeked = 0
        self.unsent = b""
        self.failing: tuple[int, str] | None = None
        self.ended = False
        self.reading = Lock()
        self.sending = Lock()
        self.guard = Lock()

    # What the connection reports

    def on_text(self, message: str) -> None:
        """Queue a text message."""
        self.events.append(message)

    def on_binary(self, message: bytes) -> None:
        """Queue a binary message."""
        self.events.append(message)

    def on_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        """Queue a piece of a message."""
        self.events.append((opcode, payload, fin))

    def on_ping(self, payload: bytes) -> None:
        """Queue a ping, which has been answered."""
        self.events.append((9, payload, True))

    def on_pong(self, payload: bytes) -> None:
        """Queue a pong."""
        self.events.append((10, payload, True))

    def on_close_frame(self, code: int, reason: str) -> None:
        """Queue the close frame, which is the last event."""
        self.events.append((8, Close(code, reason).serialize(), True))
        self.ended = True

    def on_failing(self, code: int, reason: str) -> bool:
        """Let what came before be received first, so that it can be answered; see :meth:`fill`."""
        if self.events:
            self.failing = (code, reason)
        return self.failing is not None

    def on_failure(self, code: int, reason: str) -> None:
        """Queue the exception for what the server did, which is the last event."""
        if code == 1002:
            self.events.append(WebSocketProtocolException(reason))
        else:
            failure = WebSocketPayloadException(reason)
            failure.close_code = code
            self.events.append(failure)
        self.ended = True

    # Receiving

    def receive(self) -> Any:
        """Wait for the next event.

        Returns:
            The event; one that is an exception is raised instead.

        Raises:
            WebSocketConnectionClosedException: The connection is over.
            WebSocketTimeoutException: Nothing came in time; trying again is fine.
            WebSocketProtocolException: The server broke the protocol.
            WebSocketPayloadException: The server sent a message that cannot be taken.
        """
        with self.reading:
            event = self.next()
        if isinstance(event, Exception):
            raise event
        return event

    def next(self) -> Any:
        """Wait for the next event, and take it; ``reading`` is held."""
        while not self.events:
            self.fill()
        event = self.events.popleft()
        if self.peeked and not self.waiting():
            self.take_peeked()
        return event

    def message(self) -> Any:
        """Wait for the next event that is not a ping or a pong; see :meth:`receive`."""
        while True:
            event = self.receive()
            if not isinstance(event, tuple) or event[0] < 9:
                return event

    def receive_within(self, timeout: float | None) -> Any:
        """Wait for the next event, also while another thread is receiving.

        Args:
            timeout: Seconds to wait at most, which the transport keeps for its timeout; ``None``
                for ever.

        Returns:
            The event; ``None`` when another thread was receiving all the time.

        Raises:
            Exception: As :meth:`receive`.
        """
        if not self.reading.acquire(True, -1 if timeout is None else timeout):
            return None
        try:
            if not self.events:
                self.transport.settimeout(timeout)
            event = self.next()
        finally:
            self.reading.release()
        if isinstance(event, Exception):
            raise event
        return event

    def drain(self, timeout: float) -> None:
        """Stop sending, and wait until the server ends the connection; what it sends is dropped.

        Args:
            timeout: Seconds to wait at most.
        """
        deadline = monotonic() + timeout
        if not self.reading.acquire(True, timeout):
            return
        try:
            self.transport.finish()
            while (left := deadline - monotonic()) > 0:
                self.transport.settimeout(left)
                if not self.receive_into(self.buffer):
                    return
        except OSError:
            pass  # it has ended, or there is no more time
        finally:
            self.reading.release()

    def waiting(self) -> bool:
        """Tell whether there is an event that has not been received yet."""
        return len(self.events) > 0 or self.failing is not None

    def read(self) -> None:
        """Read once, when the transport has something to read, and make events of it, if it does.

        A TLS record may carry no data, so there may be nothing in spite of it; this does not wait.

        Raises:
            Exception: As :meth:`receive`.
        """
        with self.reading:
            if self.events:
                return
            self.receive_into = self.transport.receive_now
            try:
                self.fill()
            except WOULD_BLOCK:
                pass
            finally:
                self.receive_into = self.transport.receive_into

    def fill(self) -> None:
        """Read once, which may or may not make an event; ``reading`` is held."""
        if self.ended:
            raise WebSocketConnectionClosedException("Connection to remote host was lost.")
        failing, self.failing = self.failing, None
        if failing is not None:
            code, reason = failing
            with self.guard:
                self.connection.fail(code, reason)
            if len(self.connection.output):
                self.settle()
            return
        try:
            count = self.read_some()
        except TimeoutError as exc:
            raise WebSocketTimeoutException("Connection timed out") from exc
        except WOULD_BLOCK:
            raise
        except OSError as exc:
            self.ended = True
            raise connection_lost(exc) from exc
        if not count:
            self.ended = True
            raise WebSocketConnectionClosedException("Connection to remote host was lost.")
        if len(self.connection.output):
            self.settle()

    def read_some(self) -> int:
        """Read once and let the connection have it; return how many bytes it was."""
        view = self.connection.fill_buffer()
        if view is not None:
            # The rest of a large message; no other message can be in it.
            count = self.receive_into(view)
            if count:
                with self.guard:
                    self.connection.filled(count)
            return count
        if self.peeks:
            count = self.receive_into(self.buffer, READ_SIZE, MSG_PEEK)
            if count:
                with self.guard:
                    self.connection.receive(self.buffer, 0, count)
                self.peeked = count
                if not self.events:
                    self.take_peeked()
            return count
        count = self.receive_into(self.buffer)
        if count:
            with self.guard:
                self.connection.receive(self.buffer, 0, count)
        return count

    def take_peeked(self) -> None:
        """Take from the socket what was looked at, now that all of it has been received."""
        left, self.peeked = self.peeked, 0
        try:
            while left > 0:
                count = self.receive_into(self.buffer, left)
                if not count:
                    return
                left -= count
        except OSError:
            pass  # the socket was reset or closed meanwhile; the next read will tell

    def feed(self, data: bytes) -> None:
        """Take bytes that came with the end of the opening handshake."""
        with self.guard:
            self.connection.receive(bytearray(data))
        if len(self.connection.output):
            self.settle()

    # Sending

    def send_text(self, message: str) -> int:
        """Send a text message; see :meth:`WebSocket.send` for what it returns and raises."""
        with self.sending:
            if self.unsent:
                self.write(b"")
            with self.guard:
                before = self.begin()
                self.connection.send_text(message)
                data = self.connection.output.take()
            self.write(data)
        if len(self.connection.output):
            self.settle()
        return len(data) - before

    def send_binary(self, message: bytes | bytearray | memoryview) -> int:
        """Send a binary message."""
        with self.sending:
            if self.unsent:
                self.write(b"")
            with self.guard:
                before = self.begin()
                self.connection.send_binary(message)
                data = self.connection.output.take()
            self.write(data)
        if len(self.connection.output):
            self.settle()
        return len(data) - before

    def send_frame(self, first: int, payload: bytes | bytearray | memoryview) -> int:
        """Send a frame as it is, uncompressed.

        Args:
            first: Its first byte: FIN, the reserved bits and the opcode.
            payload: Its payload.
        """
        with self.sending:
            if self.unsent:
                self.write(b"")
            with self.guard:
                before = self.begin()
                keys = self.connection.mask_keys
                assert keys is not None  # as it is a client's
                self.connection.output.frame(first, payload, keys.next())
                data = self.connection.output.take()
            self.write(data)
        if len(self.connection.output):
            self.settle()
        return len(data) - before

    def send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; does nothing once it has begun."""
        with self.guard:
            self.connection.send_close(code, reason)
        self.flush()

    def begin(self) -> int:
        """Check that a message can be sent, and return how many bytes wait before it."""
        if self.connection.state != OPEN:
            raise WebSocketConnectionClosedException("socket is already closed.")
        return len(self.connection.output)

    def flush(self) -> None:
        """Write what is in the output, unless another thread is sending, which does so then."""
        while len(self.connection.output) and self.sending.acquire(False):
            try:
                if self.unsent:
                    self.write(b"")
                with self.guard:
                    data = self.connection.output.take()
                self.write(data)
            finally:
                self.sending.release()

    def settle(self) -> None:
        """Write what is in the output, and let it wait when that is not possible now.

        What waits here are answers to what was received: pongs, a close frame. They must not take
        the place of what is received, nor of a message that was sent.
        """
        if len(self.connection.output) > MAX_ANSWERS:
            with self.guard:
                self.connection.output.clear()
            return
        try:
            self.flush()
        except NOT_WRITTEN:
            pass  # the next read or write will tell what is wrong

    def write(self, data: bytes) -> None:
        """Write bytes, after those that an earlier call could not write; ``sending`` is held."""
        held = len(self.unsent) > 0
        if held:
            data = self.unsent + data
        sent: int = 0
        try:
            sent = self.write_some(data)
            if sent != len(data):
                rest = memoryview(data)
                while sent < len(data):
                    sent += self.write_some(rest[sent:])
            if held:
                self.unsent = b""
        except NOT_NOW as exc:
            # When nothing at all was written, it is as if the message had never been sent. But a
            # compressor has gone on, TLS remembers what it was given, and others were here first.
            if sent or held or self.compressed or not self.transport.can_peek:
                self.unsent = data[sent:]
            if isinstance(exc, TimeoutError):
                raise WebSocketTimeoutException("timed out") from exc
            raise
        except OSError as exc:
            raise connection_lost(exc) from exc

    def use_mask_keys(self, mask_keys: MaskKeys) -> None:
        """Take masking keys from another source from now on."""
        with self.guard:
            self.connection.mask_keys = mask_keys
