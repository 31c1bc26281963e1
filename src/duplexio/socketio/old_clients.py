"""What clients 1.x do to text that is not ASCII, on polling requests.

Engine.IO's parser 1.x (socket.io-client up to 1.7.4) writes each packet of a payload in text as
UTF-8 before the payload itself is, and expects the same; its successor for the same protocol, in
clients 2.x, does not, and nothing that a client says tells the two apart. So clients of protocol 3
on polling requests get JSON in ASCII, which says the same to both, and what they send is looked at:
text that has been through UTF-8 twice is hardly ever anything else.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..engineio.encoded import Encoded

__all__ = ["in_ascii", "undouble"]

# Type, number of attachments, namespace: what is no JSON.
_head = re.compile(r"[0-9-]*(?:/[^,]*,)?")
_not_ascii = re.compile(r"[^\x00-\x7f]")


def in_ascii(packet: Any) -> Any:
    """Return a packet whose JSON is ASCII.

    Args:
        packet: ``bytes`` or :class:`.Encoded`; anything else is returned as it is.

    Example:
        >>> in_ascii('42["é"]'.encode())
        b'42["\\\\u00e9"]'
    """
    if type(packet) is bytes:
        return packet if packet.isascii() else _escape(packet.decode()).encode()
    if type(packet) is Encoded and not packet.text.isascii():
        return Encoded(_escape(packet.text), packet.attachments)
    return packet


def _escape(text: str) -> str:
    head = _head.match(text)
    end = head.end() if head else 0
    return text[:end] + _not_ascii.sub(_escape_character, text[end:])


def _escape_character(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def undouble(text: str) -> str | None:
    """Return the text of a message that is UTF-8, read as if each byte were a character.

    Args:
        text: The message.

    Returns:
        The text; ``None`` where the message is something else.

    Example:
        >>> undouble('2["Ã©"]'), undouble('2["é"]')
        ('2["é"]', None)
    """
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return None
