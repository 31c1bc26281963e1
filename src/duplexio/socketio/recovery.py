"""Offsets: how a server with connection state recovery numbers what it sends.

It appends a string to the arguments of an event, see
https://socket.io/docs/v4/connection-state-recovery. Nothing says that the last string of an event
is such an offset: JavaScript's client takes any string for one, and so loses the recovery after an
event that has none. All offsets in use begin with the time at the server, so that they can be told
from other strings; ours begin with ``$o.`` and the name of the instance.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["OBJECT_ID", "OURS", "STREAM", "YEAST", "make_offset", "offset_kind", "parse_offset"]

# The kinds; the offsets of one server are all of one.
YEAST = 1  #: of Node's in-memory adapter
STREAM = 2  #: of its adapter for Redis streams
OBJECT_ID = 3  #: of its adapter for MongoDB
OURS = 4  #: of our servers

# The name of the server's instance, and a number.
_OURS = re.compile(r"\$o\.([0-9A-Za-z_-]{8})\.([0-9a-f]{1,15})")

# How far the clock of the server may differ from ours, in milliseconds.
_TOLERANCE = 30 * 24 * 3600 * 1000

# The in-memory adapter's ("yeast"): milliseconds in base 64, and a counter for equal ones.
_YEAST = re.compile(r"([0-9A-Za-z_-]{7})(?:\.[0-9A-Za-z_-]{1,11})?")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
# An entry of a Redis stream: milliseconds, and a counter.
_STREAM = re.compile(r"([0-9]{13})-[0-9]{1,20}")
# An ObjectId of MongoDB begins with seconds.
_OBJECT_ID = re.compile(r"([0-9a-f]{8})[0-9a-f]{16}")


def make_offset(instance: str, number: int) -> str:
    """Write an offset of ours.

    Args:
        instance: Names the server that counts: 8 characters.
        number: How many events it has numbered so far.

    Example:
        >>> make_offset("AbCdEfGh", 255)
        '$o.AbCdEfGh.ff'
    """
    return f"$o.{instance}.{number:x}"


def parse_offset(text: Any, instance: str) -> int:
    """Read an offset of ours.

    Args:
        text: What a client has sent.
        instance: Names the server that counts.

    Returns:
        The number; -1 when it is no offset of this instance.

    Example:
        >>> parse_offset("$o.AbCdEfGh.ff", "AbCdEfGh"), parse_offset("$o.AbCdEfGh.ff", "other")
        (255, -1)
    """
    match = _OURS.fullmatch(text) if type(text) is str else None
    return int(match[2], 16) if match is not None and match[1] == instance else -1


def offset_kind(text: str, now: float) -> int:
    """Tell which kind of offset a string is.

    Args:
        text: The last argument of an event.
        now: The time, in milliseconds since 1970.

    Returns:
        :data:`YEAST`, :data:`STREAM`, :data:`OBJECT_ID`, :data:`OURS`, or 0 when it is none.

    Example:
        >>> now = 1_796_000_000_000
        >>> [offset_kind(text, now) for text in ("Q8fyIW0.1", "1796000000123-0", "message")]
        [1, 2, 0]
    """
    length = len(text)
    if length < 7 or length > 34:
        return 0
    if text.startswith("$o."):
        return OURS if _OURS.fullmatch(text) else 0
    match = _YEAST.fullmatch(text)
    if match is not None:
        time = 0
        for digit in match[1]:
            time = time * 64 + _VALUES[digit]
        return YEAST if abs(time - now) < _TOLERANCE else 0
    match = _STREAM.fullmatch(text)
    if match is not None:
        return STREAM if abs(int(match[1]) - now) < _TOLERANCE else 0
    match = _OBJECT_ID.fullmatch(text)
    if match is not None:
        return OBJECT_ID if abs(int(match[1], 16) * 1000 - now) < _TOLERANCE else 0
    return 0
