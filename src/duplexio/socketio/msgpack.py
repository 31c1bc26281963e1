"""Packets in the form of socket.io-msgpack-parser: one binary message each, bytes inline.

The message is a map of ``type`` (0 to 4), ``nsp``, and, where they are, ``data`` and ``id``. What
is absent is not written: JavaScript's decoder tells it from nil. Version 2 of that parser, for
clients 2.x, writes packets other than events and acknowledgements as JSON, reads both, and has
types of their own (5 and 6) for those two where they hold bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from ..errors import UsageError
from .exceptions import PacketError
from .packets import BINARY_ACK, BINARY_EVENT, EVENT
from .values import OPAQUE, decode_json, normalize, scan

__all__ = [
    "MsgpackPacket",
    "MsgpackSerializer",
    "decode_msgpack",
    "encode_msgpack",
    "make_serializer",
]

# Milliseconds that a Date of JavaScript can have.
_MAX_DATE = 8_640_000_000_000_000


def encode_msgpack(kind: int, namespace: str, id: int, data: Any, absent: bool = False) -> bytes:
    """Write a packet.

    Args:
        kind: The type, 0 to 4.
        namespace: The namespace.
        id: Of the acknowledgement; -1 for none.
        data: The payload.
        absent: Whether there is no payload at all.

    Example:
        >>> encode_msgpack(1, "/", -1, None, absent=True)
        b'\\x82\\xa4type\\x01\\xa3nsp\\xa1/'
    """
    packet: dict[str, Any] = {"type": kind, "nsp": namespace}
    if not absent:
        if scan(data) & OPAQUE:
            data = normalize(data)
        packet["data"] = data
    if id >= 0:
        packet["id"] = id
    return _encoder.encode(packet)


class MsgpackPacket:
    """What a message holds.

    Attributes:
        kind: The type.
        namespace: The namespace.
        id: Of the acknowledgement; -1 for none.
        data: The payload; ``None`` when it is nil or absent.
    """

    __slots__ = ("data", "id", "kind", "namespace")

    def __init__(self, kind: int, namespace: str, id: int, data: Any) -> None:
        self.kind = kind
        self.namespace = namespace
        self.id = id
        self.data = data


def decode_msgpack(message: bytes) -> MsgpackPacket:
    """Read a packet.

    Args:
        message: The binary message.

    Raises:
        PacketError: It is no packet.

    Example:
        >>> decode_msgpack(encode_msgpack(2, "/", 0, ["hello", b"x"])).data
        ['hello', b'x']
    """
    try:
        packet = _decoder.decode(message)
    except (ValueError, TypeError, RecursionError, OverflowError) as exc:
        # Among them: a map whose keys are maps, a date that no calendar has.
        raise PacketError(f"a packet is no MessagePack: {exc}") from None
    return _check_packet(packet)


def _check_packet(packet: Any) -> MsgpackPacket:
    if type(packet) is not dict:
        raise PacketError("a packet in MessagePack is a map")
    kind, namespace, number = packet.get("type"), packet.get("nsp"), packet.get("id")
    if type(kind) is not int or not 0 <= kind <= BINARY_ACK:
        raise PacketError(f"{kind!r:.20} is no type of packet")
    if kind >= BINARY_EVENT:
        kind -= BINARY_EVENT - EVENT
    if type(namespace) is not str or not namespace.startswith("/"):
        raise PacketError("the namespace of a packet is a string that begins with '/'")
    if number is None:
        number = -1
    elif type(number) is not int or not 0 <= number < 1 << 53:
        raise PacketError("the id of a packet is a whole number")
    return MsgpackPacket(kind, namespace, number, packet.get("data"))


class MsgpackSerializer:
    """A serializer: writes packets into messages, and reads them."""

    def encode(self, kind: int, namespace: str, id: int, data: Any, absent: bool) -> bytes | str:
        """Write a packet; see :func:`encode_msgpack`."""
        return encode_msgpack(kind, namespace, id, data, absent)

    def decode(self, message: bytes | str) -> MsgpackPacket:
        """Read a packet; see :func:`decode_msgpack`.

        Args:
            message: The message; text is JSON.

        Raises:
            PacketError: It is no packet.
        """
        if isinstance(message, str):
            return _check_packet(decode_json(message))
        return decode_msgpack(message)


def make_serializer(serializer: Any) -> Any:
    """Return the serializer that an argument stands for; ``None`` for the usual text."""
    if serializer == "default":
        return None
    if serializer == "msgpack":
        return MsgpackSerializer()
    if isinstance(serializer, type):
        serializer = serializer()
    if not hasattr(serializer, "encode") or not hasattr(serializer, "decode"):
        raise UsageError(
            f"serializer is {serializer!r}; expected 'default', 'msgpack', or a class with the"
            " methods 'encode' and 'decode'"
        )
    return serializer


def _extension(code: int, data: memoryview) -> Any:
    """Read what notepack writes that MessagePack does not know."""
    content = bytes(data)
    if code != 0:
        return msgspec.msgpack.Ext(code, content)
    # notepack 2 has one number for all: undefined is one byte 0, a Date 8 bytes, a buffer any.
    if content == b"\x00":
        return None
    if len(content) == 8:
        milliseconds = int.from_bytes(content, "big", signed=True)
        if abs(milliseconds) <= _MAX_DATE:
            try:
                return datetime.fromtimestamp(milliseconds / 1000, UTC)
            except (ValueError, OverflowError):
                return content
    return content


def _unknown(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"{type(value).__name__} has no form in MessagePack")


_encoder = msgspec.msgpack.Encoder(enc_hook=_unknown)
_decoder = msgspec.msgpack.Decoder(ext_hook=_extension)
