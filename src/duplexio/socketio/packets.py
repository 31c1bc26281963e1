# cython: annotation_typing=False, binding=False, embedsignature=True
"""Packets of Socket.IO, protocols 3 to 5, and their form as text.

A packet in text is its type, for those with attachments their number and ``-``, the namespace and
``,`` unless it is ``/``, an id where an acknowledgement is wanted or given, and JSON.
"""

from __future__ import annotations

from typing import Any

from ..engineio.concat import concat
from ..engineio.encoded import Encoded
from .exceptions import PacketError
from .values import OPAQUE, PLAIN, encode_json, extract_binary, normalize, scan

__all__ = [
    "ACK",
    "BINARY_ACK",
    "BINARY_EVENT",
    "CONNECT",
    "CONNECT_ERROR",
    "DISCONNECT",
    "EVENT",
    "RESERVED_EVENTS",
    "Head",
    "check_event",
    "encode_packet",
    "parse_head",
]

CONNECT = 0
DISCONNECT = 1
EVENT = 2
ACK = 3
CONNECT_ERROR = 4  # up to protocol 4: ERROR
BINARY_EVENT = 5
BINARY_ACK = 6

#: Names that no peer may use: they are what the application itself is told.
RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)

# The beginnings of packets for "/", with the type of Engine.IO in front.
_HEADS = [b"40", b"41", b"42", b"43", b"44", b"45", b"46"]

#: Digits that a number may have; JavaScript's integers have no more.
MAX_DIGITS = 16
#: Characters that the name of a namespace may have, its query included.
MAX_NAMESPACE = 2048


class Head:
    """What stands in front of a packet's JSON.

    Attributes:
        kind: The type, :data:`CONNECT` to :data:`BINARY_ACK`.
        attachments: How many follow.
        namespace: The namespace, with its query.
        id: Of the acknowledgement; -1 for none.
        offset: Where the JSON begins in the text; its length when there is none.
    """

    __slots__ = ("attachments", "id", "kind", "namespace", "offset")

    kind: int
    namespace: str
    id: int
    offset: int
    attachments: int


def parse_head(text: str, start: int) -> Head:
    """Read what stands in front of a packet's JSON.

    Args:
        text: Holds the packet.
        start: Where it begins.

    Raises:
        PacketError: It is no packet.

    Example:
        >>> head = parse_head('2/admin,7["hello"]', 0)
        >>> head.kind, head.namespace, head.id, head.offset
        (2, '/admin', 7, 9)
    """
    end = len(text)
    if start >= end:
        raise PacketError("the packet is empty")
    kind = ord(text[start]) - 48
    if not 0 <= kind <= 6:
        raise PacketError(f"{text[start]!r} is no type of packet")
    position = start + 1
    attachments = 0
    if kind >= BINARY_EVENT:
        dash = _skip_digits(text, position, end)
        if dash == position or dash >= end or text[dash] != "-":
            raise PacketError("a packet with attachments does not say how many")
        attachments = _number(text, position, dash)
        position = dash + 1
    namespace = "/"
    if position < end and text[position] == "/":
        comma = text.find(",", position, position + MAX_NAMESPACE)
        if comma < 0:
            if end - position > MAX_NAMESPACE:
                raise PacketError("the name of a namespace is too long")
            comma = end
        namespace = text[position:comma]
        position = comma + 1 if comma < end else end
    number = -1
    if position < end and "0" <= text[position] <= "9":
        after = _skip_digits(text, position, end)
        number = _number(text, position, after)
        position = after
    head = Head.__new__(Head)  # quicker than a call with arguments, when compiled
    head.kind = kind
    head.namespace = namespace
    head.id = number
    head.offset = position
    head.attachments = attachments
    return head


def _number(text: str, position: int, end: int) -> int:
    """Return the number that the digits between two positions write."""
    number = 0
    while position < end:
        number = number * 10 + (ord(text[position]) - 48)
        position += 1
    return number


def _skip_digits(text: str, position: int, end: int) -> int:
    """Return where the digits end that begin at a position."""
    first = position
    while position < end and "0" <= text[position] <= "9":
        position += 1
        if position - first > MAX_DIGITS:
            raise PacketError("a number in a packet is too long")
    return position


def check_event(data: Any) -> Any:
    """Return the name of the event that was decoded.

    Args:
        data: The payload.

    Raises:
        PacketError: It is no event, or one that no peer may send.

    Example:
        >>> check_event(["hello", 1])
        'hello'
    """
    if type(data) is not list or not data:
        raise PacketError("the payload of an event is a list that begins with its name")
    name = data[0]
    kind = type(name)
    if kind is str:
        if name in RESERVED_EVENTS:
            raise PacketError(f"the event {name!r} is reserved")
    elif kind is not int:
        raise PacketError("the name of an event is a string or a whole number")
    return name


def encode_packet(
    kind: int, namespace: str, id: int, data: Any, encode: Any = None, absent: bool = False
) -> Any:
    """Write a packet.

    Args:
        kind: The type; :data:`EVENT` and :data:`ACK` become those with attachments where needed.
        namespace: The namespace.
        id: Of the acknowledgement; -1 for none.
        data: The payload.
        encode: Writes JSON; ``None`` for :func:`.values.encode_json`.
        absent: Whether there is no payload at all.

    Returns:
        ``bytes``, the text packet of Engine.IO in UTF-8; or :class:`.Encoded`, when there are
        attachments.

    Example:
        >>> encode_packet(EVENT, "/admin", 7, ["hello"])
        b'42/admin,7["hello"]'
    """
    head = _HEADS[kind] if namespace == "/" else b"4%d%s," % (kind, namespace.encode())
    if absent:
        return head
    found = scan(data)
    if found & OPAQUE:
        data = normalize(data)
        found = scan(data) & ~OPAQUE
    if found == PLAIN:
        return concat(head, id, encode_json(data) if encode is None else encode(data))
    attachments: list[bytes] = []
    data = extract_binary(data, attachments)
    body = encode_json(data) if encode is None else encode(data)
    text = f"{kind + 3 if kind in (EVENT, ACK) else kind}{len(attachments)}-"
    if namespace != "/":
        text += namespace + ","
    if id >= 0:
        text += str(id)
    return Encoded(text + body.decode(), tuple(attachments))
