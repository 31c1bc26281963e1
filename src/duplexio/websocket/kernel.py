"""The kernel: frames of RFC 6455 in and out of memory, and nothing else.

This is the Python form of ``kernel.pyx``, which takes its place where it was compiled. Both have
the same names and the same behaviour, and the same tests run on both.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Protocol

from ..errors import UsageError

__all__ = ["FrameReader", "FrameSink", "MaskKeys", "Output", "apply_mask"]

#: Room that a message gets at first, whatever its frame announces.
FIRST_ROOM = 65536
#: A frame with at least this much still to come is read straight into its message.
READ_DIRECT = 8192
#: Lengths above this are refused by RFC 6455 §5.2 (the most significant bit must be 0).
NO_LIMIT = 2**63 - 1
#: A compressed message may have an eighth more bytes than the limit, and so many, since the limit
#: is on the decompressed size, and what cannot be compressed grows: the fixed codes of deflate
#: (RFC 1951 §3.2.6) have up to 9 bits, and every block has a head.
COMPRESSED_EXTRA = 1024

BAD_TEXT = "text is not UTF-8 (RFC 6455 §8.1)"
CUT_TEXT = "text ends inside a character of UTF-8 (RFC 6455 §8.1)"

_utf8_decoder = getincrementaldecoder("utf-8")


def apply_mask(data: bytes | bytearray | memoryview, mask: bytes) -> bytes:
    """Mask or unmask a payload, which is the same (RFC 6455 §5.3).

    Args:
        data: The payload.
        mask: The key: 4 bytes.

    Returns:
        The payload XOR the key, repeated.

    Raises:
        UsageError: When the key has not 4 bytes.
        BufferError: When the payload is not contiguous.

    Example:
        >>> apply_mask(b"Hello", bytes.fromhex("37fa213d")).hex()
        '7f9f4d5158'
    """
    _check_key(mask)
    data = _plain(data)
    length = len(data)
    if not length:
        return b""
    key = (mask * (length // 4 + 1))[:length]
    number = int.from_bytes(data, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(length, "little")


def _plain(data: bytes | bytearray | memoryview) -> bytes | bytearray:
    """Return the bytes of any buffer, whatever its items are."""
    if isinstance(data, bytes | bytearray):
        return data
    with memoryview(data) as view:
        if not view.c_contiguous:
            raise BufferError("memoryview: underlying buffer is not C-contiguous")
        return view.tobytes()


def _check_key(mask: bytes) -> None:
    if not isinstance(mask, bytes) or len(mask) != 4:
        raise UsageError(f"masking key is {mask!r}; expected 4 bytes (RFC 6455 §5.3)")


class Sink(Protocol):
    """What a reader needs of the object that it reports to."""

    def on_text(self, message: str) -> None: ...
    def on_binary(self, message: bytes) -> None: ...
    def on_compressed(self, opcode: int, payload: bytes) -> None: ...
    def on_fragment(self, opcode: int, payload: bytes, fin: bool, compressed: bool) -> None: ...
    def on_control(self, opcode: int, payload: bytes) -> None: ...
    def on_violation(self, code: int, reason: str) -> None: ...


class FrameSink:
    """Base of what a :class:`FrameReader` reports to, so that compiled code can call it directly.

    Any other object with these methods will do, too.
    """

    def on_text(self, message: str) -> None:
        """Take a whole text message."""
        raise NotImplementedError

    def on_binary(self, message: bytes) -> None:
        """Take a whole binary message."""
        raise NotImplementedError

    def on_compressed(self, opcode: int, payload: bytes) -> None:
        """Take a whole message as it came, compressed (RSV1 was set)."""
        raise NotImplementedError

    def on_fragment(self, opcode: int, payload: bytes, fin: bool, compressed: bool) -> None:
        """Take a piece of a message, when the reader's ``fragments`` is set."""
        raise NotImplementedError

    def on_control(self, opcode: int, payload: bytes) -> None:
        """Take a close, ping or pong."""
        raise NotImplementedError

    def on_violation(self, code: int, reason: str) -> None:
        """Learn that the peer broke the protocol; nothing more is read."""
        raise NotImplementedError


class FrameReader:
    """Reads frames and puts messages together (RFC 6455 §5).

    Every rule for a frame is checked as soon as the bytes that break it are here; text is checked
    for UTF-8 as it arrives, also inside a frame whose end is still on the way. An idle reader
    holds no buffer; a partial message holds what has arrived of it, at most twice over, and 64 KiB
    at first.

    Args:
        sink: Is told what was read.
        masked: Whether frames must be masked (the reader is a server's) or must not be.
        max_size: Largest message in bytes, also when it is delivered in pieces; ``None`` for no
            limit. Compressed, it may be an eighth and 1 KiB larger: what it holds is for the one
            who decompresses it to limit.
        rsv1: Whether permessage-deflate was agreed, so that RSV1 marks a compressed message.

    Attributes:
        fragments: Set it to get messages in the pieces in which they were sent.
        paused: Set it, also from within a call of the sink, to stop after the current message.
        failed: Whether the peer broke the protocol, or :meth:`release` was called.

    Example:
        >>> class Printer(FrameSink):
        ...     def on_text(self, message: str) -> None:
        ...         print(message)
        >>> FrameReader(Printer(), masked=False).feed(bytearray(b"\\x81\\x05Hello"))
        Hello
        7
    """

    __slots__ = (
        "_compressed",
        "_control",
        "_decoder",
        "_delivered",
        "_frame",
        "_head",
        "_in_payload",
        "_mask",
        "_message",
        "_opcode",
        "_remaining",
        "_room",
        "_started",
        "failed",
        "fragments",
        "masked",
        "max_size",
        "paused",
        "rsv1",
        "sink",
    )

    def __init__(
        self, sink: Sink, *, masked: bool, max_size: int | None = None, rsv1: bool = False
    ) -> None:
        if max_size is not None and max_size < 0:
            raise UsageError(f"max_size is {max_size}; expected 0 or more, or None for no limit")
        self.sink = sink
        self.masked = masked
        self.max_size = NO_LIMIT if max_size is None else min(max_size, NO_LIMIT)
        self.rsv1 = rsv1
        self.fragments = False
        self.paused = False
        self.failed = False
        self._head = b""  # of a frame whose head has not arrived whole
        self._frame = 0  # first byte of the current frame
        self._in_payload = False
        self._remaining = 0  # payload bytes of the current frame still to come
        self._mask = b""  # of the current frame, rotated to the next payload byte
        self._opcode = 0  # of the current message, 0 between messages
        self._compressed = False
        self._started = False  # a piece of the current message was delivered
        self._delivered = 0  # how many bytes of it were
        self._message: bytearray | None = None
        self._control = bytearray()
        self._room: bytearray | None = None
        self._decoder = _utf8_decoder()

    def feed(self, data: bytes | bytearray | memoryview, start: int = 0, end: int = -1) -> int:
        """Read frames from a buffer.

        Args:
            data: The buffer. Payloads may be unmasked in place; nothing keeps a reference to it.
            start: Where the bytes begin.
            end: Where they end; -1 for the end of the buffer.

        Returns:
            How many bytes were used: all of them, unless ``paused`` was set meanwhile.

        Raises:
            IndexError: When ``start`` and ``end`` do not lie in the buffer.
        """
        if end < 0:
            end = len(data)
        if start < 0 or start > end or end > len(data):
            raise IndexError(f"{start}:{end} is not within the {len(data)} bytes given")
        self._room = None
        with memoryview(data) as whole, whole[start:end] as view:
            at = 0
            while at < len(view) and not self.paused and not self.failed:
                if self._in_payload:
                    at += self._take(view[at : at + self._remaining])
                else:
                    at += self._read_head(view[at:])
            return at if not self.failed else len(view)

    def _read_head(self, view: memoryview) -> int:
        """Read a frame's head, which may have begun in an earlier buffer; and a frame of no bytes.

        Returns how many bytes of ``view`` belong to it.
        """
        before = len(self._head)
        head = self._head + bytes(view[: 14 - before])
        if len(head) < 2:
            self._head = head
            return len(head) - before
        if not self._check_start(head[0], head[1]):
            return len(view)
        size = head[1] & 0x7F
        need = (2 if size < 126 else 4 if size == 126 else 10) + (4 if self.masked else 0)
        if len(head) < need:
            self._head = head
            return len(head) - before
        self._head = b""
        if size == 126:
            size = int.from_bytes(head[2:4], "big")
            if size < 126:
                self._fail(
                    1002,
                    f"length {size} was written in 2 more bytes:"
                    " RFC 6455 §5.2 asks for the shortest form",
                )
                return len(view)
        elif size == 127:
            size = int.from_bytes(head[2:10], "big")
            if size < 65536 or size > NO_LIMIT:
                self._fail(
                    1002,
                    f"length {size} was written in 8 more bytes:"
                    " RFC 6455 §5.2 asks for the shortest form, below 2**63",
                )
                return len(view)
        if not head[0] & 0x08 and not self._check_size(head[0], size):
            return len(view)
        self._mask = head[need - 4 : need] if self.masked else b""
        self._begin(head[0], size)
        return need - before

    def _check_start(self, first: int, second: int) -> bool:
        """Check what the first two bytes of a frame can break (RFC 6455 §5.2, §5.4, §5.5)."""
        opcode = first & 0x0F
        reason = ""
        # RFC 7692 §6: RSV1 belongs to the first frame of a data message.
        allowed = 0x40 if self.rsv1 and opcode in (1, 2) else 0
        if first & 0x70 & ~allowed:
            reason = (
                f"reserved bits {first >> 4 & 7:03b} are set:"
                " no extension was agreed that uses them here"
            )
        elif bool(second & 0x80) != self.masked:
            reason = (
                "frame is not masked: a client must mask (RFC 6455 §5.1)"
                if self.masked
                else "frame is masked: a server must not mask (RFC 6455 §5.1)"
            )
        elif opcode & 0x08:
            if opcode > 10:
                reason = f"unknown opcode {opcode}"
            elif not first & 0x80:
                reason = "control frame is fragmented (RFC 6455 §5.5)"
            elif second & 0x7F > 125:
                reason = "control frame is longer than 125 bytes (RFC 6455 §5.5)"
        elif opcode > 2:
            reason = f"unknown opcode {opcode}"
        elif opcode == 0:
            if not self._opcode:
                reason = "continuation frame without a message to continue (RFC 6455 §5.4)"
        elif self._opcode:
            reason = "new message inside a fragmented message (RFC 6455 §5.4)"
        if reason:
            self._fail(1002, reason)
        return not reason

    def _check_size(self, first: int, length: int) -> bool:
        total = length + self._delivered + (0 if self._message is None else len(self._message))
        limit = self.max_size
        if first & 0x40 or (not first & 0x0F and self._compressed):
            limit += (limit >> 3) + COMPRESSED_EXTRA
        if total > limit:
            self._fail(
                1009,
                f"message of {total} bytes or more exceeds the limit of {self.max_size} bytes",
            )
            return False
        return True

    def _fail(self, code: int, reason: str) -> None:
        self.release()
        self.sink.on_violation(code, reason)

    def _begin(self, first: int, length: int) -> None:
        self._frame = first
        self._remaining = length
        self._in_payload = True
        opcode = first & 0x0F
        if opcode & 0x08:
            self._control = bytearray()
        elif opcode:
            self._opcode = opcode
            self._compressed = bool(first & 0x40)
            self._started = False
            self._decoder.reset()
        if not length:
            self._end()

    def _take(self, view: memoryview) -> int:
        """Take payload bytes, still masked; return how many, which is all."""
        count = len(view)
        if self._mask:
            piece = apply_mask(view, self._mask)
            turn = count & 3
            self._mask = self._mask[turn:] + self._mask[:turn]
        else:
            piece = bytes(view)
        self._remaining -= count
        if self._frame & 0x08:
            self._control += piece
        else:
            if self._opcode == 1 and not self._compressed and not self._check_text(piece):
                return count
            if self._message is None:
                self._message = bytearray()
            self._message += piece
        if not self._remaining:
            self._end()
        return count

    def _check_text(self, piece: bytes) -> bool:
        """Check the next bytes of a text, which may begin and end inside a character."""
        try:
            self._decoder.decode(piece)
        except UnicodeDecodeError:
            good = False
        else:
            # The decoder keeps the first two bytes of a surrogate until it sees the third.
            pending = self._decoder.getstate()[0]
            good = len(pending) < 2 or pending[0] != 0xED or pending[1] < 0xA0
        if not good:
            self._fail(1007, BAD_TEXT)
        return good

    def fill_buffer(self) -> memoryview | None:
        """Offer memory to read a large payload into, which saves copying it.

        Returns:
            Where the next bytes from the peer are to be put, or ``None``: then they are to be
            given to :meth:`feed`. It is valid until the next call of any method.
        """
        self._room = None
        if (
            not self._in_payload
            or self._frame & 0x08
            or self._remaining < READ_DIRECT
            or self.paused
            or self.failed
        ):
            return None
        self._room = bytearray(min(self._remaining, FIRST_ROOM))
        return memoryview(self._room)

    def filled(self, count: int) -> None:
        """Take note that bytes were put where :meth:`fill_buffer` said.

        Args:
            count: How many.

        Raises:
            UsageError: When :meth:`fill_buffer` did not offer so many.
        """
        room = self._room
        if room is None or not 0 <= count <= len(room):
            raise UsageError(f"{count} bytes were put into memory that was not offered")
        self._room = None
        if not count:
            return
        with memoryview(room) as view, view[:count] as piece:
            self._take(piece)

    def _end(self) -> None:
        """Deliver what the last byte of a frame completes."""
        self._in_payload = False
        if self._frame & 0x08:
            payload, self._control = bytes(self._control), bytearray()
            self.sink.on_control(self._frame & 0x0F, payload)
            return
        fin = bool(self._frame & 0x80)
        if not fin and not self.fragments:
            return
        opcode, compressed = self._opcode, self._compressed
        text = opcode == 1 and not compressed
        if fin and text and self._decoder.getstate()[0]:
            self._fail(1007, CUT_TEXT)
            return
        message, self._message = self._message or b"", None
        self._delivered += len(message)
        if fin:
            self._opcode = 0
            self._delivered = 0
        if self.fragments or self._started:
            # Only the first piece carries the opcode, as on the wire.
            if self._started:
                opcode = 0
            self._started = not fin
            self.sink.on_fragment(opcode, bytes(message), fin, compressed)
        elif compressed:
            self.sink.on_compressed(opcode, bytes(message))
        elif text:
            self.sink.on_text(message.decode())
        else:
            self.sink.on_binary(bytes(message))

    def release(self) -> None:
        """Let go of what has arrived of a message, and read no more."""
        self.failed = True
        self._room = None
        self._message = None
        self._control = bytearray()


class Output:
    """Bytes on their way to the peer: frames are written one behind the other, and sent at once.

    Example:
        >>> output = Output()
        >>> output.frame(0x81, "Hello")
        >>> output.take()
        b'\\x81\\x05Hello'
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def frame(
        self, first: int, payload: str | bytes | bytearray | memoryview, key: bytes | None = None
    ) -> None:
        """Write a frame, its length in the shortest form (RFC 6455 §5.2).

        Args:
            first: The first byte: FIN, the reserved bits and the opcode.
            payload: Text, which goes out in UTF-8, or bytes.
            key: The masking key of a client's frame: 4 bytes.

        Raises:
            UnicodeEncodeError: When the text has lone surrogates.
            UsageError: When the key has not 4 bytes.
            BufferError: When the payload is not contiguous.
        """
        data = payload.encode() if isinstance(payload, str) else _plain(payload)
        length = len(data)
        bit = 0
        if key is not None:
            _check_key(key)
            bit = 0x80
        buffer = self._buffer
        buffer.append(first)
        if length < 126:
            buffer.append(bit | length)
        elif length < 65536:
            buffer.append(bit | 126)
            buffer += length.to_bytes(2, "big")
        else:
            buffer.append(bit | 127)
            buffer += length.to_bytes(8, "big")
        if key is None:
            buffer += data
        else:
            buffer += key
            buffer += apply_mask(data, key)

    def size(self) -> int:
        """Return how many bytes wait; the same as ``len``, and quicker when compiled."""
        return len(self._buffer)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write bytes as they are.

        Args:
            data: The bytes.
        """
        self._buffer += _plain(data)

    def take(self) -> bytes:
        """Remove and return all that was written."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def clear(self) -> None:
        """Forget what was written."""
        self._buffer.clear()


class MaskKeys:
    """Masking keys that an attacker cannot foresee (RFC 6455 §5.3, §10.3).

    Args:
        entropy: Returns as many strong random bytes as it is asked for; it is asked for the
            keys of 64 frames at a time. A source that returns 4 bytes is asked for each frame.

    Example:
        >>> import os
        >>> len(MaskKeys(os.urandom).next())
        4
    """

    __slots__ = ("__weakref__", "_entropy", "_pool", "_position")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._pool = b""
        self._position = 0

    def next(self) -> bytes:
        """Return the key of the next frame: 4 bytes.

        Raises:
            UsageError: When the source of entropy returns something else than bytes.
        """
        at = self._position
        if at + 4 > len(self._pool):
            pool = self._entropy(256)
            if not isinstance(pool, bytes) or len(pool) < 4:
                raise UsageError("the source of masking keys must return the bytes it is asked for")
            self._pool = pool
            at = 0
        self._position = at + 4
        return self._pool[at : at + 4]

    def forget(self) -> None:
        """Forget the keys that are drawn already, as a forked process must."""
        self._pool = b""
        self._position = 0
