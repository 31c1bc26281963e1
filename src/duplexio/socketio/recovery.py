"""Offsets: how a server with connection state recovery numbers what it sends.

It appends a string to the arguments of an event, see
https://socket.io/docs/v4/connection-state-recovery. Nothing says that the last string of an event
is such an offset: JavaScript's client takes any string for one, and so loses the recovery after an
event that has none. All offsets in use begin with the time at the server, so that they can be told
from other strings.
"""

from __future__ import annotations

import re

__all__ = ["OBJECT_ID", "STREAM", "YEAST", "offset_kind"]

# The kinds; the offsets of one server are all of one.
YEAST = 1  #: of Node's in-memory adapter
STREAM = 2  #: of its adapter for Redis streams
OBJECT_ID = 3  #: of its adapter for MongoDB

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


def offset_kind(text: str, now: float) -> int:
    """Tell which kind of offset a string is.

    Args:
        text: The last argument of an event.
        now: The time, in milliseconds since 1970.

    Returns:
        :data:`YEAST`, :data:`STREAM`, :data:`OBJECT_ID`, or 0 when it is none.

    Example:
        >>> now = 1_796_000_000_000
        >>> [offset_kind(text, now) for text in ("Q8fyIW0.1", "1796000000123-0", "message")]
        [1, 2, 0]
    """
    length = len(text)
    if length < 7 or length > 34:
        return 0
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
