"""Compressing and decompressing messages as RFC 7692 §7.2 says, without any input or output.

Backend: zlib-ng (PyPI ``zlib-ng``) when it can be imported, else the standard library's zlib; only
messages under 2 KiB sent without context takeover always use zlib, which packs them 2 % better.
CPU seconds to compress 1 GB of JSON and ratio, beside zlib as ``websockets`` sets it: messages of
512 B 19.6 s, 2.51 (27.6 s, 2.49); of 4 KiB 8.8 s, 2.96 (16.3 s, 2.90); of 64 KiB 7.5 s, 3.03
(15.8 s, 2.93). isal takes half of that and loses 7 % of the ratio; its inflate is slower on small
messages.

Memory: a connection that has sent or received no compressed message owns no context. A sender
with context takeover keeps the last window of what it sent (8 KiB by default). The compressor,
170 to 236 KiB in zlib-ng, stays with the ``COMPRESSORS.limit`` connections that sent last (256 by
default, 59 MiB at most) and is made again from that window for any other: the same output, for 5
to 8 µs more a message. A receiver with context takeover keeps the state and the window of inflate
(12 to 40 KiB). Without context takeover nothing is kept between messages.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Mapping
from sys import maxsize
from typing import Any, Protocol

from ..errors import UsageError
from .exceptions import PayloadTooBig, ProtocolError

try:
    from zlib_ng import zlib_ng as _zlib_ng
except ImportError:
    # Not every platform has a wheel of it; all works without, only slower.
    _backend: Any = zlib
else:
    _backend = _zlib_ng

__all__ = [
    "COMPRESSORS",
    "DEFAULT_THRESHOLD",
    "DEFAULT_WINDOW_BITS",
    "MAX_FINAL_BLOCKS",
    "CompressionSettingError",
    "CompressorCache",
    "PerMessageDeflate",
    "check_bits",
    "checked_settings",
]

#: Messages with fewer bytes than this are sent as they are: the frame fits the same packet anyway.
DEFAULT_THRESHOLD = 64

#: Size of the window that this side compresses with when no limit was negotiated, as an exponent
#: of two. The largest one, 15, costs half as much time again for 5 % of the ratio.
DEFAULT_WINDOW_BITS = 13

#: Final deflate blocks accepted in one frame. A sender that ends its stream with each message
#: needs one; each starts a new inflate state, so that many would cost far more than they bring.
MAX_FINAL_BLOCKS = 16

# zlib-ng's fixed-size hash table makes more of memLevel than of its cost: 8 is 10 % faster than
# the 5 that saves memory elsewhere, and contexts are few here.
_DEFAULT_SETTINGS: Mapping[str, int] = {"level": 6, "memLevel": 8}
_SETTINGS = {"level", "memLevel", "strategy"}

# Below this size zlib's blocks are shorter than zlib-ng's, in the same time, when there is no
# context to draw from.
_SMALL = 2048

# RFC 7692 §7.2.1: what a sync flush ends with, removed by the sender and put back by the receiver.
_TAIL = b"\x00\x00\xff\xff"
# The same, and an empty final block: inflate reaches the end of its stream exactly when the
# message ended where it should, between two blocks.
_TAIL_AND_END = _TAIL + b"\x01\x00\x00\xff\xff"
# RFC 7692 §7.2.3.6: an empty message is one empty block, less its tail.
_EMPTY = b"\x00"

Buffer = bytes | bytearray | memoryview


class CompressionSettingError(UsageError, ValueError):
    """A setting of the compression is not one that RFC 7692 or zlib allows."""


class _Compressor(Protocol):
    def compress(self, data: Buffer, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


class _Context:
    """Holds the compressor of one connection, while it may keep it."""

    __slots__ = ("compressor",)

    def __init__(self) -> None:
        self.compressor: _Compressor | None = None


class CompressorCache:
    """Lets the connections that sent last keep their compressor, and no others.

    Dropping one is safe at any time: what was sent ends at a byte's boundary, and the next
    compressor refers to the same window.

    Args:
        limit: How many compressors are kept; each has at most 236 KiB with zlib-ng, 166 KiB with
            zlib, at the default settings.

    Attributes:
        limit: The same; may be changed at any time.

    Example:
        >>> COMPRESSORS.limit
        256
    """

    def __init__(self, limit: int = 256) -> None:
        self.limit = limit
        # Ordered by last use. Each operation on it is atomic, so that threads may share it.
        self._contexts: OrderedDict[_Context, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._contexts)

    def used(self, context: _Context) -> None:
        """Put a context first, and drop the compressor of the last when there are too many."""
        contexts = self._contexts
        # Not move_to_end(): another thread may drop the context in between.
        contexts.pop(context, None)
        contexts[context] = None
        while len(contexts) > self.limit:
            try:
                contexts.popitem(last=False)[0].compressor = None
            except KeyError:  # another thread was faster
                break

    def drop(self, context: _Context) -> None:
        """Drop the compressor of a context."""
        self._contexts.pop(context, None)
        context.compressor = None


#: The cache that all connections of the process share.
COMPRESSORS = CompressorCache()

# Compressors for messages without context takeover, by backend and settings. A full flush forgets
# all that went before, so that one serves every connection; it is taken out while in use.
_idle_compressors: dict[object, list[_Compressor]] = {}


class PerMessageDeflate:
    """Compresses and decompresses the messages of one connection (RFC 7692 §7.2).

    The caller sets and checks the bit RSV1: it is set on the first frame of a compressed message.
    Which messages are worth compressing, :meth:`wants` says.

    Args:
        remote_no_context_takeover: The peer begins each message with an empty window.
        local_no_context_takeover: This side begins each message with an empty window.
        remote_max_window_bits: Size of the peer's window, as an exponent of two, 8 to 15.
        local_max_window_bits: Size of this side's window, as an exponent of two, 8 to 15.
        compress_settings: ``level``, ``memLevel`` and ``strategy`` as for
            :func:`zlib.compressobj`; 6, 8 and 0 unless given.
        threshold: Messages with fewer bytes are not worth compressing.

    Raises:
        CompressionSettingError: When a value is out of range.

    Example:
        >>> deflate = PerMessageDeflate(False, False, 15, 15)
        >>> deflate.compress(b"Hello").hex()
        'f248cdc9c90700'
        >>> deflate.decompress(bytes.fromhex("f248cdc9c90700"))
        b'Hello'
    """

    name = "permessage-deflate"
    # Reached through the instance: the module's names may be gone when the interpreter ends.
    _cache = COMPRESSORS

    __slots__ = (
        "_context",
        "_decoder",
        "_fragment_compressor",
        "_inflated",
        "_inside_message",
        "_received",
        "_sent",
        "_settings",
        "_window",
        "local_max_window_bits",
        "local_no_context_takeover",
        "remote_max_window_bits",
        "remote_no_context_takeover",
        "threshold",
    )

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: Mapping[str, Any] | None = None,
        *,
        threshold: int = DEFAULT_THRESHOLD,
    ) -> None:
        check_bits("remote_max_window_bits", remote_max_window_bits)
        check_bits("local_max_window_bits", local_max_window_bits)
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.threshold = threshold
        settings = {**_DEFAULT_SETTINGS, **checked_settings(compress_settings)}
        # zlib cannot write a raw stream with a window of 2**8 bytes, but its 2**9 will do: it
        # leaves the last 262 bytes of the window alone, so that no distance exceeds 250.
        settings["wbits"] = -max(local_max_window_bits, 9)
        self._settings = settings
        self._window = 1 << local_max_window_bits
        self._context = _Context()
        self._fragment_compressor: _Compressor | None = None
        self._sent = b""  # the window of what was sent, with context takeover
        self._decoder: Any = None
        self._inflated = 0  # bytes so far of the message being received
        self._inside_message = False
        # The window of what was received, kept from the first final block on (§7.2.3.4).
        self._received: bytes | None = None

    def __repr__(self) -> str:
        return (
            f"PerMessageDeflate(remote_no_context_takeover={self.remote_no_context_takeover}, "
            f"local_no_context_takeover={self.local_no_context_takeover}, "
            f"remote_max_window_bits={self.remote_max_window_bits}, "
            f"local_max_window_bits={self.local_max_window_bits})"
        )

    def __del__(self) -> None:
        # Not release(): nothing else is shared. There is no context when __init__ has failed.
        context = getattr(self, "_context", None)
        if context is not None and context.compressor is not None:
            self._cache.drop(context)

    @property
    def memory_bytes(self) -> int:
        """What this connection's contexts occupy, in bytes, estimated.

        After zlib's ``zconf.h``: ``(1 << (bits + 2)) + (1 << (memLevel + 9))`` and 6 KiB to
        compress, where zlib-ng has a hash table of 128 KiB in any case; the window and 8 KiB to
        decompress, of which the window is touched as it fills.
        """
        total = len(self._sent) + len(self._received or b"")
        for compressor in (self._context.compressor, self._fragment_compressor):
            if compressor is not None:
                bits, level = -self._settings["wbits"], self._settings["memLevel"]
                table = 1 << (level + 8) if _backend is zlib else 1 << 17
                total += (1 << (bits + 2)) + (1 << (level + 8)) + table + 6144
        if self._decoder is not None:
            total += (1 << self.remote_max_window_bits) + 8192
        return total

    def release(self) -> None:
        """Free all contexts, when the connection is over."""
        self._cache.drop(self._context)
        self._fragment_compressor = self._decoder = self._received = None
        self._sent = b""

    # Sending

    def wants(self, size: int) -> bool:
        """Tell whether a message is worth compressing.

        Args:
            size: Its length in bytes.

        Returns:
            ``False`` when it is shorter than the threshold; send it with RSV1 clear then.
        """
        return size >= self.threshold

    def compress(self, payload: Buffer, fin: bool = True) -> bytes:
        """Compress a message, or a fragment of one (RFC 7692 §7.2.1).

        Args:
            payload: Bytes of the message. A fragment can be decompressed as soon as it is there.
            fin: Whether they are its last.

        Returns:
            The payload of the frame to send. The first frame of a message carries RSV1.
        """
        if self.local_no_context_takeover:
            return self._compress_alone(payload, fin)
        if not len(payload):
            # Nothing to compress: zlib gives nothing for a second flush in a row.
            return _EMPTY if fin else b""
        context = self._context
        compressor = context.compressor
        if compressor is None:
            compressor = context.compressor = self._new_compressor(self._sent)
        self._cache.used(context)
        data = compressor.compress(payload)
        end = compressor.flush(zlib.Z_SYNC_FLUSH)
        self._remember_sent(payload)
        if fin:
            end = end[:-4]
        return data + end if data else end

    # Sending the same message on many connections

    @property
    def shape(self) -> tuple[int, ...]:
        """What a message compressed by :meth:`compress_shared` depends on, beside its payload."""
        return tuple(self._settings.values())

    def compress_shared(self, payload: Buffer) -> bytes:
        """Compress a message for all connections with the same :attr:`shape`.

        It refers to nothing that was sent before, which suits connections with context takeover
        too (RFC 7692 §7.1.1). Each connection that sends it must :meth:`note_shared` it.

        Args:
            payload: The whole message.

        Returns:
            The payload of the frame to send, which carries RSV1.
        """
        return self._compress_whole(payload) if len(payload) else _EMPTY

    def note_shared(self, payload: Buffer) -> None:
        """Take note that a message is sent here that this compressor has not seen.

        Args:
            payload: The message that :meth:`compress_shared` was given.
        """
        if not self.local_no_context_takeover:
            # The peer's window holds it, so the next compressor begins with it.
            self._cache.drop(self._context)
            self._remember_sent(payload)

    def _remember_sent(self, payload: Buffer) -> None:
        window = self._window
        if len(payload) >= window:
            self._sent = bytes(payload[-window:])
        else:
            self._sent = (self._sent + payload)[-window:]

    def _compress_alone(self, payload: Buffer, fin: bool) -> bytes:
        """Compress with nothing but the message itself for a context (RFC 7692 §7.1.1)."""
        compressor = self._fragment_compressor
        if not len(payload):
            if fin:
                self._fragment_compressor = None
            return _EMPTY if fin else b""
        if compressor is None and fin:
            return self._compress_whole(payload)
        # The fragments of a message depend on each other, so it has a compressor to itself.
        if compressor is None:
            compressor = self._fragment_compressor = self._new_compressor()
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if fin:
            self._fragment_compressor = None
            data = data[:-4]
        return data

    def _compress_whole(self, payload: Buffer) -> bytes:
        backend = zlib if len(payload) < _SMALL else _backend
        settings = self._settings
        key = (backend, *settings.values())
        idle = _idle_compressors.get(key)
        if idle is None:
            idle = _idle_compressors.setdefault(key, [])
        try:
            compressor = idle.pop()
        except IndexError:
            compressor = backend.compressobj(**settings)
        data = compressor.compress(payload)
        end = compressor.flush(zlib.Z_FULL_FLUSH)[:-4]
        # Not reached after an error, which leaves the compressor in a state unknown.
        idle.append(compressor)
        return data + end if data else end

    def _new_compressor(self, window: bytes = b"") -> _Compressor:
        compressor: _Compressor
        if window:
            compressor = _backend.compressobj(**self._settings, zdict=window)
        else:
            compressor = _backend.compressobj(**self._settings)
        return compressor

    # Receiving

    def decompress(self, payload: Buffer, fin: bool = True, max_size: int | None = None) -> bytes:
        """Decompress a message, or a fragment of one (RFC 7692 §7.2.2).

        Args:
            payload: What the frame carries.
            fin: Whether it is the message's last frame.
            max_size: Largest size of the whole message, decompressed, in bytes; ``None`` for no
                limit. Never is more than one byte beyond it decompressed.

        Returns:
            The bytes of the message that the frame holds.

        Raises:
            PayloadTooBig: When the message exceeds ``max_size`` (close code 1009).
            ProtocolError: When the data is not valid (close code 1007).
        """
        if fin and not len(payload) and not self._inside_message:
            # Not even an empty block: an empty message of a sender that flushed in vain.
            return b""
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = self._new_decoder()
        # For inflate 0 means no limit; one byte more tells "too long" from "just as long".
        if max_size is None or max_size >= maxsize:
            room = 0
        else:
            room = max(max_size - self._inflated, 0) + 1
        try:
            data: bytes = decoder.decompress(payload, room)
            if decoder.eof:
                data = self._continue(data, room)
            elif self._received is not None:
                self._remember(data)
            if room and len(data) >= room:
                raise self._too_big(max_size or 0)
            if fin:
                self._end_message()
            else:
                self._inside_message = True
                self._inflated += len(data)
        except (zlib.error, _backend.error) as exc:
            self._decoder = None
            raise _corrupt(str(exc)) from exc
        return data

    def _too_big(self, max_size: int) -> PayloadTooBig:
        before = self._inflated
        self._decoder = None
        return PayloadTooBig(None, max_size, before or None)

    def _end_message(self) -> None:
        """Check that the message ends between two blocks, and make ready for the next one."""
        self._inflated = 0
        self._inside_message = False
        decoder = self._decoder
        if self.remote_no_context_takeover:
            self._decoder = self._received = None
            if decoder is not None:
                rest = decoder.decompress(_TAIL_AND_END, 1)
                if rest or not decoder.eof or decoder.unused_data:
                    raise _corrupt("the message ends inside a block")
        # Inside a block the tail would be taken for data: most often it gives some.
        elif decoder is not None and (decoder.decompress(_TAIL, 1) or decoder.eof):
            self._decoder = None
            raise _corrupt("the message ends inside a block")

    def _new_decoder(self) -> Any:
        if self._received:
            return _backend.decompressobj(-self.remote_max_window_bits, zdict=self._received)
        return _backend.decompressobj(-self.remote_max_window_bits)

    def _continue(self, data: bytes, room: int) -> bytes:
        """Decompress what follows a final block.

        RFC 7692 §7.2.1 allows final blocks anywhere, while inflate ends its stream there. The
        next stream begins with the same window. Senders that end a stream with each message do
        so from the first, so the window is kept from here on only: one that refers to messages
        before its first final block is refused as corrupt.

        A message may also end with a final block: some senders leave out the empty block after
        it (§7.2.3.4).
        """
        self._remember(data)
        pieces = [data]
        for _ in range(MAX_FINAL_BLOCKS):
            rest = self._decoder.unused_data
            self._decoder = None
            if not rest or 0 < room <= len(data):
                # Nothing follows, or the message is too big already.
                return b"".join(pieces)
            if room:
                room -= len(data)
            self._decoder = self._new_decoder()
            data = self._decoder.decompress(rest, room)
            self._remember(data)
            pieces.append(data)
            if not self._decoder.eof:
                return b"".join(pieces)
        self._decoder = None
        raise _corrupt(f"a frame has more than {MAX_FINAL_BLOCKS} final blocks")

    def _remember(self, data: bytes) -> None:
        """Keep the window of what was received."""
        window = 1 << self.remote_max_window_bits
        self._received = ((self._received or b"") + data[-window:])[-window:]


def _corrupt(what: str) -> ProtocolError:
    # RFC 6455 §7.4.1: 1007 is for data not consistent with the type of the message. RFC 7692
    # names no code.
    return ProtocolError(f"compressed message is corrupt: {what} (RFC 7692)", close_code=1007)


def check_bits(name: str, bits: int) -> None:
    """Refuse a size of a window that RFC 7692 §7.1.2 does not allow."""
    if not 8 <= bits <= 15:
        raise CompressionSettingError(f"{name} is {bits}; expected 8 to 15 (RFC 7692 §7.1.2)")


def checked_settings(settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the settings of the compression, or refuse one that zlib does not know."""
    settings = settings or {}
    if unknown := settings.keys() - _SETTINGS:
        raise CompressionSettingError(
            f"compress_settings has {', '.join(sorted(unknown))}; "
            "expected level, memLevel and strategy. The window's size is a parameter of its own"
        )
    if not -1 <= settings.get("level", 6) <= 9:
        raise CompressionSettingError(f"level is {settings['level']}; expected -1 to 9")
    if not 1 <= settings.get("memLevel", 8) <= 9:
        raise CompressionSettingError(f"memLevel is {settings['memLevel']}; expected 1 to 9")
    return settings
