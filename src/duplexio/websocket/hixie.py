"""One side of an open connection of the drafts hixie-75 and hixie-76, without I/O.

:class:`HixieConnection` has the surface of :class:`~duplexio.websocket.connection.Connection`, so
that the same owner can drive it. What these drafts lack it lacks: they carry text only, have no
pings, no close codes, no masks; hixie-75 has no closing handshake either.

The framing (hixie-76 §5.3): a type byte below 0x80 begins a frame that ends with 0xFF, and type
0x00 is text in UTF-8, in which 0xFF does not occur; a type byte from 0x80 on begins a frame with
its length in front, seven bits to the byte, which is skipped, except ``FF 00``, which closes.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from io import StringIO

from ..errors import UsageError
from .connection import DEFAULT_MAX_SIZE, Connection, HandlerMethods
from .exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from .frames import OK_CLOSE_CODES, Close, CloseCode, State
from .hixie_handshake import Draft

__all__ = ["HixieConnection"]

_CLOSING_FRAME = b"\xff\x00"

# What the next byte is.
_TYPE = 0
_TEXT = 1  # of a text frame
_OTHER = 2  # of a frame of another type that ends with 0xFF
_LENGTH = 3  # of a length
_SKIPPED = 4  # of a frame with its length in front

_utf8_decoder = getincrementaldecoder("utf-8")


class HixieConnection(Connection):
    """The protocol of hixie-75 or hixie-76 after the opening handshake.

    Both sides speak alike, so the ``client`` of :class:`.connection.Connection` makes no
    difference and is there for its sake.

    Args:
        handler: Is told what arrives: ``on_text(message)``, ``on_close_frame(code, reason)`` and
            ``on_failure(code, reason)``.
        draft: 75 or 76.
        client: Whether this side is the client.
        max_size: Largest frame accepted, in bytes; ``None`` for no limit.

    Attributes:
        output: Where the bytes to send are put.
        state: 1 open, 2 closing, 3 closed (the numbers of ``frames.State``).
        close_rcvd: The closing frame received, if any; its code is 1005.
        close_sent: What :meth:`send_close` was called with; only the closing frame itself travels.
        rcvd_then_sent: Whether the received closing frame was first, once both exist.

    Example:
        >>> from duplexio.websocket.connection import ConnectionHandler
        >>> class Printer(ConnectionHandler):
        ...     def on_text(self, message: str) -> None:
        ...         print(message)
        >>> HixieConnection(Printer()).receive(bytearray(b"\\x00Hello\\xff"))
        Hello
        7
    """

    def __init__(
        self,
        handler: HandlerMethods,
        *,
        draft: Draft = 76,
        client: bool = False,
        max_size: int | None = DEFAULT_MAX_SIZE,
    ) -> None:
        super().__init__(handler, max_size=max_size)
        self.client = client
        self.can_ping = False
        self.draft = draft
        # The drafts' lengths have no end; no frame is longer than RFC 6455 could say either.
        self._limit = 2**63 - 1 if max_size is None else max_size
        self._expecting = _TYPE
        self._type = 0
        # Bytes of the current frame: read so far, or still to skip.
        self._size = 0
        self._decoder = _utf8_decoder("strict")
        self._text: StringIO | None = None
        self._paused = False
        self._failed = False

    # What arrives

    def receive(self, data: bytes | bytearray, start: int = 0, end: int = -1) -> int:
        """Take bytes from the peer.

        Args:
            data: The buffer they lie in. Nothing keeps a reference to it.
            start: Where they begin.
            end: Where they end; -1 for the end of the buffer.

        Returns:
            How many bytes were used: all, unless :meth:`pause` was called meanwhile.
        """
        if end < 0:
            end = len(data)
        pos = start
        while pos < end and not self._paused:
            if self.state == State.CLOSED or self.close_rcvd is not None or self._failed:
                return end - start
            if self._expecting == _TYPE:
                self._begin(data[pos])
                pos += 1
            elif self._expecting == _LENGTH:
                self._take_length(data[pos])
                pos += 1
            elif self._expecting == _SKIPPED:
                count = min(self._size, end - pos)
                self._size -= count
                pos += count
                if self._size == 0:
                    self._expecting = _TYPE
            else:
                pos = self._take_payload(data, pos, end)
        return pos - start

    def receive_eof(self) -> None:
        """Take note that the transport has ended; nothing can be sent or received any more."""
        if self.draft == 75 and not self._failed:
            # The end of the transport is the only closing handshake that this draft has.
            self._closing_frame_arrived()
        self.state = State.CLOSED
        self._text = None

    def fill_buffer(self) -> None:
        """Offer no memory: everything goes through :meth:`receive`."""
        return

    def pause(self) -> None:
        """Stop after the message being delivered; :meth:`receive` leaves the rest to its caller."""
        self._paused = True

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._paused = False

    def _begin(self, first: int) -> None:
        self._type = first
        self._size = 0
        if first >= 0x80:
            self._expecting = _LENGTH
        else:
            self._expecting = _TEXT if first == 0 else _OTHER

    def _take_length(self, byte: int) -> None:
        # Python's integers do not overflow, and the limit holds before the next digit arrives.
        self._size = self._size << 7 | byte & 0x7F
        if self._size > self._limit:
            self._refuse_size()
            return
        if byte & 0x80:
            return
        if self._size:
            self._expecting = _SKIPPED
            return
        self._expecting = _TYPE
        if self._type == 0xFF and self.draft == 76:
            self._closing_frame_arrived()
            self.deliver_close(CloseCode.NO_STATUS_RCVD, "")

    def _take_payload(self, data: bytes | bytearray, pos: int, end: int) -> int:
        """Take bytes up to the 0xFF that ends a frame; return the position after them."""
        stop = data.find(b"\xff", pos, end)
        last = stop >= 0
        if not last:
            stop = end
        room = self._limit - self._size
        self._size += stop - pos
        fits = stop - pos <= room
        if self._expecting == _TEXT:
            # What fits is looked at first, so that the same fault is found however bytes are cut.
            self._take_text(data[pos : stop if fits else pos + room], last and fits)
        if not fits and not self._failed:
            self._refuse_size()
        if not last:
            return end
        self._expecting = _TYPE
        return stop + 1

    def _take_text(self, piece: bytes | bytearray, last: bool) -> None:
        try:
            text = self._decoder.decode(piece, last)
        except UnicodeDecodeError as exc:
            self.fail(CloseCode.INVALID_DATA, f"text frame that is not UTF-8: {exc.reason}")
            return
        if not last:
            if self._text is None:
                self._text = StringIO()
            self._text.write(text)
            return
        if self._text is not None:
            self._text.write(text)
            text = self._text.getvalue()
            self._text = None
        self.deliver_text(text)

    def _refuse_size(self) -> None:
        self.fail(CloseCode.MESSAGE_TOO_BIG, f"frame exceeds limit of {self._limit} bytes")

    def _closing_frame_arrived(self) -> None:
        if self.close_rcvd is not None:
            return
        self.close_rcvd = Close(CloseCode.NO_STATUS_RCVD)
        self._text = None
        self.rcvd_then_sent = self.close_sent is None
        if self.close_sent is None:
            self._put_closing_frame(self.close_rcvd)
        self.state = State.CLOSING

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection: read no more and close it.

        Args:
            code: Close code for the handler; the drafts cannot send it.
            reason: Text for the log.
        """
        self._text = None
        self._failed = True
        if self.close_sent is None:
            self._put_closing_frame(Close(code, reason))
        self.state = State.CLOSING
        self.deliver_failure(code, reason)

    # What is sent

    def send_text(self, message: str) -> None:
        """Send a text message.

        Args:
            message: The text.

        Raises:
            ConnectionClosed: When the connection is not open.
            UnicodeEncodeError: When the text has lone surrogates, which UTF-8 cannot carry.
        """
        if self.state != State.OPEN:
            raise self.closed_error()
        self.output.append(b"\x00%b\xff" % message.encode())

    def send_binary(self, message: bytes | bytearray | memoryview) -> None:
        """Refuse to send a binary message.

        Args:
            message: The bytes.

        Raises:
            ConnectionClosed: When the connection is not open.
            UsageError: Always, otherwise.
        """
        if self.state != State.OPEN:
            raise self.closed_error()
        raise UsageError(
            f"this client speaks hixie-{self.draft}, which carries text only; send a str"
        )

    def send_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        """Send a piece of a text message: the drafts' frames need not be known whole.

        Args:
            opcode: 1 for the first piece, 0 for the others.
            payload: The piece, in UTF-8, which may be cut anywhere.
            fin: Whether it is the last piece.

        Raises:
            ConnectionClosed: When the connection is not open.
            UsageError: When the message is binary, or the piece has a byte 0xFF.
        """
        if self.state != State.OPEN:
            raise self.closed_error()
        if opcode == 2:
            self.send_binary(payload)
        if 0xFF in payload:
            raise UsageError("a piece of text has the byte 0xFF, which UTF-8 does not have")
        self.output.append(
            b"%b%b%b" % (b"\x00" if opcode else b"", payload, b"\xff" if fin else b"")
        )

    def send_ping(self, payload: bytes = b"") -> None:
        """Do nothing: the drafts have no pings, so no pong will come either.

        Args:
            payload: Ignored.
        """

    def send_pong(self, payload: bytes = b"") -> None:
        """Do nothing: the drafts have no pongs.

        Args:
            payload: Ignored.
        """

    def send_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake; does nothing once it has begun.

        With hixie-75, which has none, the connection counts as closed by both sides at once, and
        the handler's ``on_close_frame`` is called.

        Args:
            code: Close code, which the drafts do not send.
            reason: The reason, which they do not send either.

        Raises:
            UsageError: When the code may not be sent, or the reason is too long.
        """
        if self.state != State.OPEN:
            return
        close = Close(code, reason)
        close.serialize()  # the same arguments are refused as with RFC 6455
        self._put_closing_frame(close)
        self.state = State.CLOSING
        if self.draft == 75:
            self._closing_frame_arrived()
            self.deliver_close(CloseCode.NO_STATUS_RCVD, "")

    def _put_closing_frame(self, close: Close) -> None:
        self.close_sent = close
        if self.draft == 76:
            self.output.append(_CLOSING_FRAME)

    # How it ended

    @property
    def close_code(self) -> int | None:
        """1005 after a closing frame, 1006 without; ``None`` while the connection is open."""
        if self.state != State.CLOSED:
            return None
        return CloseCode.ABNORMAL_CLOSURE if self.close_rcvd is None else self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """Always empty; ``None`` while the connection is open."""
        return "" if self.state == State.CLOSED else None

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that tells how the connection was closed."""
        rcvd, sent = self.close_rcvd, self.close_sent
        good = rcvd is not None and sent is not None and sent.code in OK_CLOSE_CODES
        kind = ConnectionClosedOK if good else ConnectionClosedError
        return kind(rcvd, sent, self.rcvd_then_sent)
