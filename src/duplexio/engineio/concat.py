"""Put together what a packet or a response consists of.

The compiled form of this module (``concat.pyx``) makes no object but the result.
"""

from __future__ import annotations

__all__ = ["concat"]


def concat(head: bytes, number: int, body: bytes, rest: bytes = b"") -> bytes:
    """Return all that is given in one.

    Args:
        head: What comes first.
        number: What follows in digits, nothing when it is negative.
        body: What follows that.
        rest: What comes last.

    Example:
        >>> concat(b"42", 7, b'["hello"]'), concat(b"42", -1, b'["hello"]')
        (b'427["hello"]', b'42["hello"]')
    """
    if number >= 0:
        return b"%b%d%b%b" % (head, number, body, rest)
    return head + body + rest
