"""Engine.IO's packets, one at a time.

In this package a packet is what a WebSocket would carry of it: a text packet is a ``str`` whose
first character is its type, and a binary packet, which is always a message, is its ``bytes``. This
module knows the types, and how binary packets are written where only text will do.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence

from .encoded import base64_packet
from .exceptions import PacketError

__all__ = [
    "CLOSE",
    "MESSAGE",
    "NAMES",
    "NOOP",
    "OPEN",
    "PING",
    "PONG",
    "UPGRADE",
    "base64_packet",
    "decode_base64",
    "decode_typed",
    "encode_typed",
    "milliseconds",
    "open_packet",
]

OPEN = "0"
CLOSE = "1"
PING = "2"
PONG = "3"
MESSAGE = "4"
UPGRADE = "5"
NOOP = "6"

#: The types, by their number.
NAMES = ("open", "close", "ping", "pong", "message", "upgrade", "noop")

_TYPES = OPEN + CLOSE + PING + PONG + MESSAGE + UPGRADE + NOOP


def milliseconds(seconds: float) -> int:
    """Return the time that a client is told, rounded to the millisecond.

    Args:
        seconds: The time.

    Example:
        >>> milliseconds(0.3), milliseconds(25)
        (300, 25000)
    """
    return round(seconds * 1000)


def open_packet(
    sid: str,
    *,
    upgrades: Sequence[str],
    ping_interval: float,
    ping_timeout: float,
    max_payload: int,
) -> str:
    """Write the packet that begins a session.

    Args:
        sid: The session's id.
        upgrades: The transports that the client may go on to.
        ping_interval: Seconds between heartbeats.
        ping_timeout: Seconds that the answer to one may take.
        max_payload: Bytes that the client may send at once. Clients of Engine.IO 3 are told too,
            as Node's server does, and do not mind.

    Example:
        >>> open_packet("x", upgrades=[], ping_interval=25, ping_timeout=20, max_payload=1000000)
        '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
    """
    data = {
        "sid": sid,
        "upgrades": list(upgrades),
        "pingInterval": milliseconds(ping_interval),
        "pingTimeout": milliseconds(ping_timeout),
        "maxPayload": max_payload,
    }
    return OPEN + json.dumps(data, separators=(",", ":"))


def decode_base64(protocol: int, packet: str) -> bytes:
    """Read a binary message that was written as text.

    Args:
        protocol: 3 or 4.
        packet: The packet, which begins with ``b``.

    Raises:
        PacketError: It is not base64, or (in Engine.IO 3) no message.

    Example:
        >>> decode_base64(4, "bYWJj"), decode_base64(3, "b4YWJj")
        (b'abc', b'abc')
    """
    start = 1
    if protocol == 3:
        if packet[1:2] != MESSAGE:
            raise PacketError(f"binary packet of type {packet[1:2]!r}; expected a message, '4'")
        start = 2
    text = packet[start:]
    if "\n" in text:
        # The client for Java breaks its lines.
        text = text.replace("\r", "").replace("\n", "")
    try:
        return a2b_base64(text, strict_mode=True)
    except (Base64Error, ValueError) as exc:
        raise PacketError(f"binary packet {_cut(packet)!r} is not base64: {exc}") from None


def encode_typed(data: bytes) -> bytes:
    """Put the type in front of a binary message, as Engine.IO 3 does.

    Args:
        data: The message.

    Example:
        >>> encode_typed(b"abc")
        b'\\x04abc'
    """
    return b"\x04" + data


def decode_typed(packet: bytes) -> str | bytes:
    """Read a binary packet of Engine.IO 3, whose first byte is its type.

    Args:
        packet: The packet.

    Returns:
        The message, or a text packet of another type.

    Raises:
        PacketError: The first byte is no type.

    Example:
        >>> decode_typed(b"\\x04abc"), decode_typed(b"\\x02")
        (b'abc', '2')
    """
    if not packet or packet[0] >= len(_TYPES):
        raise PacketError(f"binary packet {packet[:20]!r}; expected a type from 0 to 6 in front")
    if packet[0] == 4:
        return packet[1:]
    return _TYPES[packet[0]]


def check_text(packet: str) -> None:
    """Check that a text packet has a type.

    Args:
        packet: The packet.

    Raises:
        PacketError: It has none.
    """
    if packet[:1] not in _TYPES or not packet:
        raise PacketError(f"packet {_cut(packet)!r}; expected a type from 0 to 6 in front")


def _cut(packet: str) -> str:
    return packet if len(packet) <= 20 else packet[:20] + "…"
