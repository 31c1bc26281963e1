# cython: annotation_typing=False, binding=False, embedsignature=True
"""One side of an open WebSocket connection, without any input or output.

A :class:`Connection` is given the bytes that arrive and puts the bytes to send into an
:class:`~duplexio.websocket.kernel.Output`. What it has to say it says by calling its handler. It
has no clock: deadlines are its owner's business. It begins where the opening handshake ends.

The owner's duties: give all that is read to :meth:`Connection.receive`; after each call of
:meth:`Connection.receive` and of the ``send_…`` methods, write what is in ``output``; call
:meth:`Connection.receive_eof` once, when the transport ends.
"""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder
from typing import Protocol

from ..errors import UsageError
from .deflate import PerMessageDeflate
from .exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
)
from .frames import OK_CLOSE_CODES, Close, CloseCode
from .kernel import FrameReader, FrameSink, MaskKeys, Output

__all__ = ["DEFAULT_MAX_SIZE", "Connection", "ConnectionHandler"]

#: Largest message accepted unless told otherwise, in bytes, after decompression.
DEFAULT_MAX_SIZE = 2**20

# The states of frames.State. Those with an underscore are plain C integers when this is compiled:
# they are compared for every message.
OPEN = _OPEN = 1
CLOSING = _CLOSING = 2
CLOSED = _CLOSED = 3

_utf8_decoder = getincrementaldecoder("utf-8")


class HandlerMethods(Protocol):
    """What any object needs to be the handler of a connection."""

    def on_text(self, message: str) -> None: ...
    def on_binary(self, message: bytes) -> None: ...
    def on_fragment(self, opcode: int, payload: bytes, fin: bool) -> None: ...
    def on_ping(self, payload: bytes) -> None: ...
    def on_pong(self, payload: bytes) -> None: ...
    def on_close_frame(self, code: int, reason: str) -> None: ...
    def on_failure(self, code: int, reason: str) -> None: ...


class ConnectionHandler:
    """What a connection tells its owner; compiled drivers derive from it.

    Any object with these methods can be the handler of a connection. A class that derives from
    this one needs only those that matter to it, and saves a call for each message where it is
    compiled, too.
    """

    def on_text(self, message: str) -> None:
        """Take a text message that has arrived whole."""

    def on_binary(self, message: bytes) -> None:
        """Take a binary message that has arrived whole."""

    def on_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        """Take a piece of a message, when ``connection.fragments`` is set."""

    def on_ping(self, payload: bytes) -> None:
        """Notice a ping; its pong is in the output already."""

    def on_pong(self, payload: bytes) -> None:
        """Notice a pong."""

    def on_close_frame(self, code: int, reason: str) -> None:
        """Notice the peer's close frame; the answer is in the output already."""

    def on_failing(self, code: int, reason: str) -> bool:
        """Deal with the messages that came before what broke the protocol.

        Returns:
            Whether to wait with the failure: then it is for the handler to call
            ``connection.fail`` once more, when those messages have been dealt with.
        """
        return False

    def on_failure(self, code: int, reason: str) -> None:
        """Notice that the peer broke the protocol; the close frame is in the output already."""


_METHODS = (
    "on_text",
    "on_binary",
    "on_fragment",
    "on_ping",
    "on_pong",
    "on_close_frame",
    "on_failure",
)


class _Delegate(ConnectionHandler):
    """Calls the methods of a handler that compiled code cannot call directly."""

    def __init__(self, target: HandlerMethods) -> None:
        self.target = target

    def on_text(self, message: str) -> None:
        getattr(self.target, "on_text", _ignore)(message)

    def on_binary(self, message: bytes) -> None:
        getattr(self.target, "on_binary", _ignore)(message)

    def on_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        getattr(self.target, "on_fragment", _ignore)(opcode, payload, bool(fin))

    def on_ping(self, payload: bytes) -> None:
        getattr(self.target, "on_ping", _ignore)(payload)

    def on_pong(self, payload: bytes) -> None:
        getattr(self.target, "on_pong", _ignore)(payload)

    def on_close_frame(self, code: int, reason: str) -> None:
        getattr(self.target, "on_close_frame", _ignore)(code, reason)

    def on_failing(self, code: int, reason: str) -> bool:
        return bool(getattr(self.target, "on_failing", _ignore)(code, reason))

    def on_failure(self, code: int, reason: str) -> None:
        getattr(self.target, "on_failure", _ignore)(code, reason)


def _ignore(*_: object) -> None:
    """What a method does that the handler does not have."""


def _callable(handler: HandlerMethods) -> ConnectionHandler:
    """Return the handler, or what stands for it where its methods cannot be called directly."""
    if not isinstance(handler, ConnectionHandler):
        missing = [name for name in _METHODS if not hasattr(handler, name)]
        if missing:
            raise UsageError(
                f"the handler {handler!r} has no method {missing[0]};"
                " derive its class from ConnectionHandler to have one that does nothing"
            )
        return _Delegate(handler)
    # Methods of a compiled class are not attributes. One that is was written in Python, in a
    # class that derives from a compiled one, whose callers would not find it.
    if not hasattr(ConnectionHandler, "on_text") and any(
        hasattr(handler, name) for name in (*_METHODS, "on_failing")
    ):
        return _Delegate(handler)
    return handler


class Connection(FrameSink):
    """The protocol of RFC 6455 after the opening handshake, for one side.

    Args:
        handler: Is told what arrives.
        client: Whether this side is the client, which masks what it sends (RFC 6455 §5.1).
        max_size: Largest message accepted, in bytes after decompression; ``None`` for no limit.
        deflate: The negotiated permessage-deflate extension, if any.
        mask_keys: Where a client's masking keys come from.
        output: Where the bytes to send are put at first; a new one by default.

    Attributes:
        output: Where the bytes to send are put; an owner may exchange it at any time.
        client: Whether this side is the client.
        can_ping: Whether the protocol has pings.
        state: 1 open, 2 closing, 3 closed (the numbers of ``frames.State``).
        close_rcvd: The close frame received, if any.
        close_sent: The close frame sent, if any.
        rcvd_then_sent: Whether the received close frame was first, once both exist.

    Example:
        >>> class Printer(ConnectionHandler):
        ...     def on_text(self, message: str) -> None:
        ...         print(message)
        >>> connection = Connection(Printer())
        >>> connection.receive(bytearray.fromhex("818537fa213d7f9f4d5158"))
        Hello
        11
    """

    def __init__(
        self,
        handler: HandlerMethods,
        *,
        client: bool = False,
        max_size: int | None = DEFAULT_MAX_SIZE,
        deflate: PerMessageDeflate | None = None,
        mask_keys: MaskKeys | None = None,
        output: Output | None = None,
    ) -> None:
        if client and mask_keys is None:
            raise UsageError("a client needs mask_keys: it must mask what it sends")
        self.handler = _callable(handler)
        self.output = Output() if output is None else output
        self.client = client
        self.can_ping = True
        self.mask_keys = mask_keys if client else None
        self.max_size = max_size
        self.deflate = deflate
        self.state = _OPEN
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self.rcvd_then_sent: bool | None = None
        self.decoder: IncrementalDecoder | None = None
        self.reader = FrameReader(
            self, masked=not client, max_size=max_size, rsv1=deflate is not None
        )

    # What arrives

    def receive(self, data: bytearray, start: int = 0, end: int = -1) -> int:
        """Take bytes from the peer.

        Args:
            data: The buffer they lie in; payloads are unmasked in place. Nothing keeps a
                reference to it.
            start: Where they begin.
            end: Where they end; -1 for the end of the buffer.

        Returns:
            How many bytes were used: all, unless :meth:`pause` was called meanwhile.
        """
        if end < 0:
            end = len(data)
        if self.state == _CLOSED or self.close_rcvd is not None:
            # RFC 6455 §5.5.1: what follows a close frame is not part of the conversation.
            return end - start
        return self.reader.feed(data, start, end)

    def fill_buffer(self) -> memoryview | None:
        """Offer memory to read a large payload into, which saves copying it.

        Returns:
            Where the next bytes from the peer are to be put, to be followed by :meth:`filled`; or
            ``None``: then they are to be given to :meth:`receive`.
        """
        if self.state == _CLOSED or self.reader.paused:
            return None
        return self.reader.fill_buffer()

    def filled(self, count: int) -> None:
        """Take note that bytes were put where :meth:`fill_buffer` said.

        Args:
            count: How many.
        """
        self.reader.filled(count)

    def receive_eof(self) -> None:
        """Take note that the transport has ended; nothing can be sent or received any more."""
        self.state = _CLOSED
        self.reader.release()
        self.decoder = None
        if self.deflate is not None:
            self.deflate.release()

    def pause(self) -> None:
        """Stop after the message being delivered; :meth:`receive` leaves the rest to its caller."""
        self.reader.paused = True

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self.reader.paused = False

    def set_fragments(self, fragments: bool) -> None:
        """Choose whether messages are delivered in the pieces in which they were sent.

        Args:
            fragments: ``True`` for ``on_fragment``, ``False`` for whole messages. It holds from
                the next frame on; a message of which a piece was delivered ends in pieces.
        """
        self.reader.fragments = fragments

    def on_text(self, message: str) -> None:
        """Take a whole text message from the reader."""
        self.handler.on_text(message)

    def on_binary(self, message: bytes) -> None:
        """Take a whole binary message from the reader."""
        self.handler.on_binary(message)

    def on_compressed(self, opcode: int, payload: bytes) -> None:
        """Take a whole compressed message from the reader."""
        message = self._inflate(payload, True)
        if message is None:
            return
        if opcode == 2:
            self.handler.on_binary(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError as exc:
            self.fail(CloseCode.INVALID_DATA, f"text is not UTF-8 at byte {exc.start}")
            return
        self.handler.on_text(text)

    def on_fragment(self, opcode: int, payload: bytes, fin: bool, compressed: bool) -> None:
        """Take a piece of a message from the reader."""
        if compressed:
            inflated = self._inflate(payload, fin)
            if inflated is None:
                return
            payload = inflated
            if opcode == 1:
                self.decoder = _utf8_decoder()
            if self.decoder is not None:
                # The reader checks plain text itself, but cannot look into compressed text.
                try:
                    self.decoder.decode(payload, fin)
                except UnicodeDecodeError:
                    self.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                    return
                if fin:
                    self.decoder = None
        self.handler.on_fragment(opcode, payload, fin)

    def _inflate(self, payload: bytes, fin: bool) -> bytes | None:
        assert self.deflate is not None  # RSV1 is refused without it
        try:
            return self.deflate.decompress(payload, fin, self.max_size)
        except (PayloadTooBig, ProtocolError) as exc:
            self.fail(exc.close_code or CloseCode.PROTOCOL_ERROR, str(exc))
            return None

    def on_control(self, opcode: int, payload: bytes) -> None:
        """Take a control frame from the reader, and answer it."""
        if opcode == 9:
            if self.state == _OPEN:
                # RFC 6455 §5.5.2 asks for a pong unless a close frame was received; one behind
                # our own close frame would be out of place (§5.5.1), so there is none.
                self._control(0x8A, payload)
            self.handler.on_ping(payload)
        elif opcode == 10:
            self.handler.on_pong(payload)
        else:
            self._close_arrived(payload)

    def _close_arrived(self, payload: bytes) -> None:
        try:
            close = Close.parse(payload)
        except ProtocolError as exc:
            self.fail(exc.close_code or CloseCode.PROTOCOL_ERROR, str(exc))
            return
        self.close_rcvd = close
        self.reader.release()
        if self.close_sent is None:
            # RFC 6455 §5.5.1: the answer echoes the code; the reason goes back with it.
            self.rcvd_then_sent = True
            self.close_sent = close
            self._control(0x88, payload)
        else:
            self.rcvd_then_sent = False
        self.state = _CLOSING
        self.handler.on_close_frame(close.code, close.reason)

    def on_violation(self, code: int, reason: str) -> None:
        """Learn from the reader that the peer broke the protocol."""
        self.fail(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455 §7.1.7): say why, and read no more.

        Args:
            code: Close code that tells the peer what it did.
            reason: Text for the peer and for the log; cut to what a close frame can carry.
        """
        if self.state == _CLOSED:
            return
        self.reader.release()
        if self.handler.on_failing(code, reason):
            return
        if self.close_sent is None and self.state == _OPEN:
            self._put_close(Close(code, _cut(reason)))
        self.state = _CLOSING
        self.handler.on_failure(code, reason)

    # What a connection of another protocol, which derives from this class, tells the handler

    def deliver_text(self, message: str) -> None:
        """Tell the handler of a text message."""
        self.handler.on_text(message)

    def deliver_close(self, code: int, reason: str) -> None:
        """Tell the handler that the peer closes."""
        self.handler.on_close_frame(code, reason)

    def deliver_failure(self, code: int, reason: str) -> None:
        """Tell the handler that the peer broke the protocol."""
        self.handler.on_failure(code, reason)

    # What is sent

    def send_text(self, message: str) -> None:
        """Send a text message.

        Args:
            message: The text.

        Raises:
            ConnectionClosed: When the connection is not open.
            UnicodeEncodeError: When the text has lone surrogates, which UTF-8 cannot carry.
        """
        if self.state != _OPEN:
            raise self.closed_error()
        if self.deflate is not None:
            self._send_compressed(1, message.encode(), True)
        elif self.mask_keys is None:
            self.output.frame(0x81, message)
        else:
            self.output.frame(0x81, message, self.mask_keys.next())

    def send_binary(self, message: bytes | bytearray | memoryview) -> None:
        """Send a binary message.

        Args:
            message: The bytes; a buffer that can change may do so once this returns.

        Raises:
            ConnectionClosed: When the connection is not open.
        """
        if self.state != _OPEN:
            raise self.closed_error()
        if self.deflate is not None:
            self._send_compressed(2, message, True)
        elif self.mask_keys is None:
            self.output.frame(0x82, message)
        else:
            self.output.frame(0x82, message, self.mask_keys.next())

    def send_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        """Send a piece of a message (RFC 6455 §5.4).

        Args:
            opcode: 1 (text) or 2 (binary) for the first piece, 0 for the others.
            payload: The piece; text as UTF-8, which may be cut anywhere.
            fin: Whether it is the last piece.

        Raises:
            ConnectionClosed: When the connection is not open.
        """
        if self.state != _OPEN:
            raise self.closed_error()
        if self.deflate is not None:
            self._send_compressed(opcode, payload, fin)
        else:
            self._put((0x80 if fin else 0) | opcode, payload)

    def _send_compressed(
        self, opcode: int, payload: bytes | bytearray | memoryview, fin: bool
    ) -> None:
        assert self.deflate is not None
        first = (0x80 if fin else 0) | opcode
        if opcode and fin and not self.deflate.wants(len(payload)):
            self._put(first, payload)
            return
        # RFC 7692 §6.1: RSV1 is set on the first frame of a message only.
        self._put(first | (0x40 if opcode else 0), self.deflate.compress(payload, fin))

    def send_ping(self, payload: bytes = b"") -> None:
        """Send a ping.

        Args:
            payload: At most 125 bytes, which the pong brings back.

        Raises:
            ConnectionClosed: When the connection is not open.
            UsageError: When the payload is too long.
        """
        self._send_control(0x89, payload)

    def send_pong(self, payload: bytes = b"") -> None:
        """Send a pong that no ping asked for, as a heartbeat in one direction.

        Args:
            payload: At most 125 bytes.

        Raises:
            ConnectionClosed: When the connection is not open.
            UsageError: When the payload is too long.
        """
        self._send_control(0x8A, payload)

    def _send_control(self, first: int, payload: bytes) -> None:
        if self.state != _OPEN:
            raise self.closed_error()
        if len(payload) > 125:
            raise UsageError(
                f"the payload has {len(payload)} bytes; a control frame carries at most 125"
            )
        self._control(first, payload)

    def send_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake (RFC 6455 §7.1.2); does nothing once it has begun.

        Args:
            code: Close code; 1005 sends a close frame without a code.
            reason: At most 123 bytes in UTF-8.

        Raises:
            UsageError: When the code may not be sent, or the reason is too long.
        """
        if self.state == _OPEN:
            self._put_close(Close(code, reason))
            self.state = _CLOSING

    def _put_close(self, close: Close) -> None:
        payload = close.serialize()
        self.close_sent = close
        self._control(0x88, payload)

    def _control(self, first: int, payload: bytes) -> None:
        self._put(first, payload)

    def _put(self, first: int, payload: bytes | bytearray | memoryview) -> None:
        if self.mask_keys is None:
            self.output.frame(first, payload)
        else:
            self.output.frame(first, payload, self.mask_keys.next())

    # How it ended

    @property
    def close_code(self) -> int | None:
        """The close code received, 1006 if none came; ``None`` while the connection is open."""
        if self.state != _CLOSED:
            return None
        return 1006 if self.close_rcvd is None else self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """The close reason received, empty if none came; ``None`` while the connection is open."""
        if self.state != _CLOSED:
            return None
        return "" if self.close_rcvd is None else self.close_rcvd.reason

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that tells how the connection was closed."""
        rcvd, sent = self.close_rcvd, self.close_sent
        good = (
            rcvd is not None
            and sent is not None
            and rcvd.code in OK_CLOSE_CODES
            and sent.code in OK_CLOSE_CODES
        )
        kind = ConnectionClosedOK if good else ConnectionClosedError
        return kind(rcvd, sent, self.rcvd_then_sent)


def _cut(reason: str) -> str:
    """The reason, cut to the 123 bytes that a close frame has for it, between characters."""
    return reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")
