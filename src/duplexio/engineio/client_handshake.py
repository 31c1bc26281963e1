"""How a client reads the first words of a server, of whatever generation.

A server of Engine.IO 4 writes packets as they are; one of Engine.IO 3 writes their length in front,
or a binary body, and does so whatever version it was asked for. What refuses is told apart by what
it is about: this transport, this version of the protocol, or this client.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from .exceptions import (
    FORBIDDEN,
    UNKNOWN_TRANSPORT,
    UNSUPPORTED_PROTOCOL_VERSION,
    ConnectionError,
    PacketError,
)
from .packets import OPEN
from .payload import decode_payload

__all__ = [
    "Blame",
    "Handshake",
    "body_protocol",
    "parse_handshake",
    "read_first_body",
    "refused",
]

#: What a refusal is about: ``"client"`` (nothing else is worth trying), ``"protocol"`` (the other
#: version may work), ``"transport"`` (the other transport may work), or ``"unknown"``.
Blame = Literal["client", "protocol", "transport", "unknown"]

#: Characters of a body that are quoted in messages.
QUOTED = 200

#: Seconds that stand for the 0 of a server that cannot tell fractions of a second.
LEAST = 1.0


@dataclass(slots=True)
class Handshake:
    """What a server says when a session begins.

    Attributes:
        sid: The session's id.
        upgrades: The transports that the client may go on to.
        ping_interval: Seconds between heartbeats.
        ping_timeout: Seconds that the answer to one may take.
        max_payload: Bytes that the client may send at once; 0 when the server does not say.
    """

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: float
    ping_timeout: float
    max_payload: int


def parse_handshake(packet: str | bytes) -> Handshake:
    """Read the packet that begins a session.

    Args:
        packet: The packet.

    Raises:
        PacketError: It is not such a packet.

    Example:
        >>> parse_handshake('0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
        Handshake(sid='x', upgrades=(), ping_interval=25.0, ping_timeout=20.0, max_payload=0)
    """
    if not isinstance(packet, str) or packet[:1] != OPEN:
        raise PacketError(f"the server began with {packet[:40]!r}; expected '0{{…}}'")
    try:
        data = json.loads(packet[1:])
        sid, upgrades = data["sid"], data.get("upgrades") or []
        times = [float(data[name]) / 1000 for name in ("pingInterval", "pingTimeout")]
        size = data.get("maxPayload") or 0
        names = tuple(str(name) for name in upgrades)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise PacketError(f"the open packet {packet[:200]!r} cannot be read: {exc!r}") from None
    if not isinstance(sid, str) or not sid:
        raise PacketError(f"the open packet {packet[:200]!r} has no session id")
    if not all(0 <= seconds < 1e7 for seconds in times) or not isinstance(size, int) or size < 0:
        raise PacketError(f"the open packet {packet[:200]!r} has times or sizes out of range")
    # python-engineio writes whole seconds only, so that 0.3 s become 0.
    return Handshake(sid, names, times[0] or LEAST, times[1] or LEAST, size)


def body_protocol(body: bytes) -> int:
    """Tell which version of Engine.IO a body with packets is written in.

    Args:
        body: The body of the answer to a polling request.

    Returns:
        3 or 4; 0 when it is neither.

    Example:
        >>> body_protocol(b'97:0{"sid":"x"}'), body_protocol(b'0{"sid":"x"}'), body_protocol(b"<p>")
        (3, 4, 0)
    """
    if not body:
        return 0
    if body[0] <= 1:
        return 3  # a binary body
    digits, colon, _ = body[:12].partition(b":")
    if colon and digits.isdigit():
        return 3
    return 4 if body[:1] in b"0123456b" else 0


def read_first_body(body: bytes, max_packets: int) -> tuple[int, Handshake, list[str | bytes]]:
    """Read the answer to the first polling request.

    Args:
        body: The body.
        max_packets: Packets that it may have.

    Returns:
        The protocol in which it is written, the handshake, and the packets that follow.

    Raises:
        PacketError: It is no such answer.
    """
    protocol = body_protocol(body)
    if not protocol:
        raise PacketError(f"the server answered {quote(body)}; expected packets of Engine.IO")
    packets = decode_payload(body, protocol, protocol == 3 and body[0] <= 1, max_packets)
    return protocol, parse_handshake(packets[0]), packets[1:]


def quote(body: bytes) -> str:
    """Return the beginning of a body for a message.

    Args:
        body: The body.
    """
    text = body[:QUOTED].decode("utf-8", "replace").strip()
    return repr(text + "…" if len(body) > QUOTED else text)


def refused(status: int, body: bytes) -> tuple[ConnectionError, Blame]:
    """Make an exception of an answer that opens no session, and tell what it is about.

    Args:
        status: The HTTP status.
        body: The body.

    Example:
        >>> error, blame = refused(400, b'{"code":5,"message":"Unsupported protocol version"}')
        >>> str(error), blame
        ('the server refused with status 400: Unsupported protocol version', 'protocol')
    """
    data, said = _words(body)
    error = ConnectionError(
        f"the server refused with status {status}" + (f": {said}" if said else ""),
        data,
        status=status,
        body=body,
    )
    code = data.get("code") if isinstance(data, dict) else None
    if code == UNSUPPORTED_PROTOCOL_VERSION:
        return error, "protocol"
    if code == UNKNOWN_TRANSPORT:
        return error, "transport"
    if code == FORBIDDEN or status == 401 or (status == 403 and data is not None):
        return error, "client"
    if isinstance(data, str) and "version" in data and "rotocol" in data:
        return error, "protocol"  # python-engineio's words
    if isinstance(data, str) and "transport" in data.lower():
        return error, "transport"
    if status in (403, 404, 405, 426) or status >= 500 or 200 <= status < 400:
        # Proxies that know no WebSockets answer so, and servers that are not there yet.
        return error, "transport"
    return error, "unknown"


def _words(body: bytes) -> tuple[Any, str]:
    """Return the JSON of a body, if it is JSON, and what it says."""
    text = body[: 64 * QUOTED].decode("utf-8", "replace").strip()
    try:
        data = json.loads(text)
    except ValueError:
        # Pages of HTML say nothing that is worth a line; Node's server writes plain words.
        return None, "" if text[:1] == "<" else text[:QUOTED]
    if isinstance(data, dict) and isinstance(data.get("message"), str):
        return data, data["message"]
    return data, data if isinstance(data, str) else text[:QUOTED]
