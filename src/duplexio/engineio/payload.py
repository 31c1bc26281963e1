# cython: annotation_typing=False, binding=False, embedsignature=True
"""The bodies of polling requests: several packets in one.

Engine.IO 4 joins text packets by the character RS. Engine.IO 3 writes each one's length in front of
it, in units of UTF-16 as JavaScript counts; and where a packet is binary, and the client did not
ask for base64, all of the body is binary. JSONP carries the same texts in a script and in a form.

Packets are as in ``packets.py``: ``str`` with the type in front, and ``bytes``. Reading is strict,
takes time in proportion to the body, and yields all packets or none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from .encoded import Encoded, base64_packet, utf16_length
from .exceptions import PacketError, PayloadTooBig
from .packets import check_text, decode_base64, decode_typed, encode_typed

__all__ = [
    "MAX_PACKETS",
    "decode_form",
    "decode_payload",
    "encode_binary",
    "encode_payload",
    "encode_script",
]

#: Packets that a body may have, unless told otherwise.
MAX_PACKETS = 10_000

#: Digits that a length may have.
LENGTH_DIGITS = 10

_SEPARATOR = "\x1e"

# RFC 8259 lets these into strings; JavaScript did not, before ES2019.
_SCRIPT_ESCAPES = {0x2028: "\\u2028", 0x2029: "\\u2029"}

_escaped_newline = re.compile(r"\\\\n|\\n")


# Writing


def encode_payload(packets: Sequence[Any], protocol: int, binary: bool = True) -> str | bytes:
    """Write packets as one body.

    Args:
        packets: Text packets, binary messages, and :class:`Encoded`.
        protocol: 3 or 4.
        binary: Whether the client takes a binary body; only in Engine.IO 3 there is one.

    Returns:
        ``bytes`` when the body is binary, else text.

    Example:
        >>> encode_payload(["4hello", "2"], 4)
        '4hello\\x1e2'
        >>> encode_payload(["4€", "2"], 3)
        '2:4€1:2'
        >>> encode_payload(["4hello", b"\\x01\\x02\\x03"], 3).hex()
        '0006ff3468656c6c6f0104ff04010203'
    """
    if protocol == 4:
        if len(packets) == 1 and isinstance(packets[0], str):
            return packets[0]
        pieces = [
            packet
            if isinstance(packet, str)
            else packet.piece(4)
            if isinstance(packet, Encoded)
            else base64_packet(4, packet)
            for packet in packets
        ]
        return _SEPARATOR.join(pieces)
    if binary and True in [_is_binary(packet) for packet in packets]:
        return encode_binary(packets)
    return "".join([_text_piece(packet) for packet in packets]) or "0:"


def encode_binary(packets: Sequence[Any]) -> bytes:
    """Write packets as one binary body, which only Engine.IO 3 has.

    Args:
        packets: Text packets, binary messages, and :class:`Encoded`.

    Example:
        >>> encode_binary(["4€"]).hex()
        '0004ff34e282ac'
    """
    return b"".join([_binary_piece(packet) for packet in packets])


def _is_binary(packet: Any) -> bool:
    return bool(packet.attachments) if isinstance(packet, Encoded) else isinstance(packet, bytes)


def _text_piece(packet: Any) -> str:
    if isinstance(packet, Encoded):
        return packet.piece(3)
    text = packet if isinstance(packet, str) else base64_packet(3, packet)
    return f"{utf16_length(text)}:{text}"


def _binary_piece(packet: Any) -> bytes:
    if isinstance(packet, Encoded):
        return b"".join([_binary_piece(packet.packet), *map(_binary_piece, packet.attachments)])
    text = isinstance(packet, str)
    data = encode_text(packet) if text else encode_typed(packet)
    digits = bytes([int(digit) for digit in str(len(data))])
    return b"%b%b\xff%b" % (b"\0" if text else b"\1", digits, data)


def encode_text(text: str) -> bytes:
    """Write text as UTF-8; what is no character becomes U+FFFD, as in JavaScript.

    Args:
        text: Any text.

    Example:
        >>> encode_text("a\\ud800").decode()
        'a�'
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def encode_script(index: str, text: str) -> str:
    """Write a body as the script that JSONP asks for.

    Args:
        index: Number of the client's callback: digits.
        text: The body.

    Example:
        >>> encode_script("0", '4"hi"')
        '___eio[0]("4\\\\"hi\\\\"");'
    """
    literal = json.dumps(text, ensure_ascii=False).translate(_SCRIPT_ESCAPES)
    return f"___eio[{index}]({literal});"


# Reading


def decode_payload(
    body: bytes, protocol: int, binary: bool = False, max_packets: int = MAX_PACKETS
) -> list[str | bytes]:
    """Read the packets of a body.

    Args:
        body: The body.
        protocol: 3 or 4.
        binary: Whether the body is binary; only in Engine.IO 3 there is one.
        max_packets: Packets that it may have.

    Raises:
        PacketError: The body is not what it should be.
        PayloadTooBig: It has more packets.

    Example:
        >>> decode_payload(b"4hello\\x1ebAQID", 4)
        ['4hello', b'\\x01\\x02\\x03']
        >>> decode_payload("2:4€1:2".encode(), 3)
        ['4€', '2']
    """
    if binary:
        if protocol != 3:
            raise PacketError("a binary body; Engine.IO 4 has none")
        return _decode_binary(body, max_packets)
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise PacketError(f"the body is not UTF-8 at byte {exc.start}") from None
    return decode_text(text, protocol, max_packets)


def decode_text(text: str, protocol: int, max_packets: int = MAX_PACKETS) -> list[str | bytes]:
    """Read the packets of a body in text.

    Args:
        text: The body.
        protocol: 3 or 4.
        max_packets: Packets that it may have.

    Raises:
        PacketError: The body is not what it should be.
        PayloadTooBig: It has more packets.
    """
    if not text:
        raise PacketError("the body is empty; expected at least one packet")
    if protocol == 4 and text[0] == "4" and _SEPARATOR not in text:
        return [text]
    if protocol == 3:
        packets = _split_lengths(text, max_packets)
    else:
        if text.count(_SEPARATOR) >= max_packets:
            raise _too_many(max_packets)
        packets = text.split(_SEPARATOR)
    return [_read(packet, protocol) for packet in packets]


def _read(packet: str, protocol: int) -> str | bytes:
    if packet[:1] == "b":
        return decode_base64(protocol, packet)
    check_text(packet)
    return packet


def _split_lengths(text: str, max_packets: int) -> list[str]:
    """Split the text body of Engine.IO 3."""
    if text.isascii():
        return [text[start:end] for start, end in _spans(text, 1, max_packets)]
    # Only UTF-16 can be cut where the lengths say. What they cut must be whole characters.
    units = text.encode("utf-16-le")
    if len(units) == 2 * len(text):
        return [text[start:end] for start, end in _spans(text, 1, max_packets)]
    try:
        return [
            units[start:end].decode("utf-16-le")
            for start, end in _spans(units.decode("latin-1"), 2, max_packets)
        ]
    except UnicodeDecodeError:
        raise PacketError("a packet's length ends inside of a character") from None


def _spans(text: str, unit: int, max_packets: int) -> list[tuple[int, int]]:
    """Return where the packets are; with a unit of 2, each character has a NUL behind it."""
    spans = []
    position = count = 0
    stop = len(text)
    reach = (LENGTH_DIGITS + 1) * unit
    while position < stop:
        colon = text.find(":" if unit == 1 else ":\0", position, position + reach)
        digits = text[position:colon:unit] if colon >= 0 else ""
        if unit == 2 and text[position + 1 : colon : 2].strip("\0"):
            digits = ""  # characters above U+00FF, whose lower bytes look like digits
        if not (digits.isascii() and digits.isdigit()):
            raise PacketError(f"{text[position : position + 12 : unit]!r}; expected '<length>:'")
        start = colon + unit
        position = start + int(digits) * unit
        if position > stop:
            raise PacketError(f"a packet of {digits} characters has not as many")
        count += 1
        if count > max_packets:
            raise _too_many(max_packets)
        if position > start:
            spans.append((start, position))
    return spans


def _decode_binary(body: bytes, max_packets: int) -> list[str | bytes]:
    """Read the binary body of Engine.IO 3."""
    if not body:
        raise PacketError("the body is empty; expected at least one packet")
    packets: list[str | bytes] = []
    position = 0
    while position < len(body):
        kind = body[position]
        end = body.find(b"\xff", position + 1, position + LENGTH_DIGITS + 2)
        digits = body[position + 1 : end] if end >= 0 else b""
        if kind > 1 or not digits or max(digits) > 9:
            raise PacketError(
                f"binary body {body[position : position + 12]!r}; expected 0 or 1, digits, 255"
            )
        start = end + 1
        position = start + int("".join(map(str, digits)))
        if position > len(body):
            raise PacketError("a packet of the binary body is longer than the body")
        data = body[start:position]
        if kind == 1:
            packets.append(decode_typed(data))
        else:
            try:
                packets.append(_read(data.decode(), 3))
            except UnicodeDecodeError:
                raise PacketError("a text packet of the binary body is not UTF-8") from None
        if len(packets) > max_packets:
            raise _too_many(max_packets)
    return packets


def decode_form(body: bytes) -> bytes:
    """Take the body out of the form that JSONP sends.

    Args:
        body: The form, URL-encoded; its field ``d`` is the body. In it clients write a newline as
            a backslash and ``n``, and those two characters with one backslash more.

    Raises:
        PacketError: There is no field ``d``.

    Example:
        >>> decode_form(b"d=4a%5Cnb%5C%5Cn")
        b'4a\\nb\\\\n'
    """
    for field in body.split(b"&", 16)[:16]:
        name, _, value = field.partition(b"=")
        if name == b"d":
            data = unquote_to_bytes(value.replace(b"+", b" "))
            if b"\\n" not in data:
                return data
            return _escaped_newline.sub(_newline, data.decode("latin-1")).encode("latin-1")
    raise PacketError("the form has no field 'd'")


def _newline(match: re.Match[str]) -> str:
    return "\\n" if len(match[0]) == 3 else "\n"


def _too_many(limit: int) -> PayloadTooBig:
    return PayloadTooBig(f"the body has more than {limit} packets")
