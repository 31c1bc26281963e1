# cython: annotation_typing=False, binding=False, embedsignature=True
"""One outgoing message with its attachments, encoded once for all who get it.

A broadcast goes to clients of both protocols, on both transports. What they get differs only by
that, so each form is made when the first client needs it, and kept for the others.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

from ..websocket.kernel import Output

if TYPE_CHECKING:
    from ..websocket.deflate import PerMessageDeflate

__all__ = ["Encoded", "base64_packet", "wire_frames"]

#: Bytes from which on a message with attachments is copied less: about where memory comes from the
#: system, and goes back to it, each time.
LARGE = 65_536


def base64_packet(protocol: int, data: bytes) -> str:
    """Write a binary message as text, for transports that carry nothing else.

    Args:
        protocol: 3 or 4.
        data: The message.

    Example:
        >>> base64_packet(4, b"abc"), base64_packet(3, b"abc")
        ('bYWJj', 'b4YWJj')
    """
    return ("b" if protocol == 4 else "b4") + b2a_base64(data, newline=False).decode("ascii")


def wire_frames(
    protocol: int, b64: bool, packet: str, attachments: tuple[bytes, ...] = ()
) -> bytes:
    """Write the WebSocket frames of a message and its attachments.

    Args:
        protocol: 3 or 4.
        b64: Whether the client takes text only.
        packet: The text packet, its type included.
        attachments: Binary messages that follow it.
    """
    output = Output()
    _write_frames(output, protocol, b64, packet, attachments)
    return output.take()


def _write_frames(
    output: Output, protocol: int, b64: bool, packet: str, attachments: tuple[bytes, ...]
) -> None:
    output.frame(0x81, packet)
    for data in attachments:
        if b64:
            output.frame(0x81, base64_packet(protocol, data))
        elif protocol == 3:
            # Engine.IO 3 puts the packet's type in front of binary messages too.
            output.frame(0x82, b"\x04" + data)
        else:
            output.frame(0x82, data)


class Encoded:
    """A message and its attachments, with the forms that clients have needed so far.

    Args:
        text: Text of the message, without Engine.IO's packet type.
        attachments: Binary messages that follow at once, with nothing in between.

    Attributes:
        text: The text.
        attachments: The binary messages.
        packet: The text with the packet type in front.

    Example:
        >>> Encoded('2["hello"]').frames(4)
        b'\\x81\\x0b42["hello"]'
    """

    def __init__(self, text: str, attachments: tuple[bytes, ...] = ()) -> None:
        self.text = text
        self.attachments = attachments
        self.packet = "4" + text
        self.forms: dict[int, bytes] | None = None
        self.plain: bytes | None = None
        self.pieces: dict[int, str] | None = None
        self.compressed: dict[object, bytes] | None = None

    def frames(self, protocol: int, b64: bool = False) -> bytes:
        """Return the whole frames of a server, unmasked and not compressed.

        Args:
            protocol: 3 or 4.
            b64: Whether the client takes text only.
        """
        if not self.attachments:
            # Without binary data it is the same for all.
            if self.plain is None:
                self.plain = wire_frames(protocol, b64, self.packet)
            return self.plain
        key = protocol * 2 + (1 if b64 else 0)
        if self.forms is None:
            self.forms = {}
        form = self.forms.get(key)
        if form is None:
            form = self.forms[key] = wire_frames(protocol, b64, self.packet, self.attachments)
        return form

    def is_large_and_new(self) -> bool:
        """Whether it is large and no client has got it yet: :meth:`write_once` is for this one.

        A large message mostly goes to one client only.
        """
        return bool(self.attachments) and self.forms is None and self.size() >= LARGE

    def write_once(self, output: Output, protocol: int, b64: bool) -> None:
        """Write the frames for one client, without a form that would be kept for others.

        Args:
            output: Where to write them.
            protocol: 3 or 4.
            b64: Whether the client takes text only.
        """
        self.forms = {}
        _write_frames(output, protocol, b64, self.packet, self.attachments)

    def deflated(self, protocol: int, b64: bool, deflate: PerMessageDeflate) -> bytes:
        """Return the whole frames of a server, compressed for all clients with the same settings.

        Args:
            protocol: 3 or 4.
            b64: Whether the client takes text only.
            deflate: The permessage-deflate of one of them.
        """
        if self.compressed is None:
            self.compressed = {}
        key = (protocol, b64, deflate.shape)
        form = self.compressed.get(key)
        if form is None:
            output = Output()
            for opcode, payload in self.messages(protocol, b64):
                if deflate.wants(len(payload)):
                    # RFC 7692 §6: RSV1 marks a compressed message.
                    output.frame(0xC0 | opcode, deflate.compress_shared(payload))
                else:
                    output.frame(0x80 | opcode, payload)
            form = self.compressed[key] = output.take()
        return form

    def messages(self, protocol: int, b64: bool) -> list[tuple[int, bytes]]:
        """Return opcodes and payloads of the WebSocket messages that this is.

        Args:
            protocol: 3 or 4.
            b64: Whether the client takes text only.
        """
        messages = [(1, self.packet.encode())]
        for data in self.attachments:
            if b64:
                messages.append((1, base64_packet(protocol, data).encode()))
            else:
                messages.append((2, b"\x04" + data if protocol == 3 else data))
        return messages

    def base64(self, protocol: int) -> list[str]:
        """Return the attachments as text packets, for payloads that carry text only.

        Args:
            protocol: 3 or 4.
        """
        return [base64_packet(protocol, data) for data in self.attachments]

    def piece(self, protocol: int) -> str:
        """Return this message as a part of a polling payload in text.

        Args:
            protocol: 3 or 4.
        """
        if self.pieces is None:
            self.pieces = {}
        piece = self.pieces.get(protocol)
        if piece is None:
            packets = [self.packet, *self.base64(protocol)]
            if protocol == 4:
                piece = "\x1e".join(packets)
            else:
                piece = "".join([f"{utf16_length(packet)}:{packet}" for packet in packets])
            self.pieces[protocol] = piece
        return piece

    def size(self) -> int:
        """Return about how many bytes it takes to send."""
        count = len(self.packet)
        for data in self.attachments:
            count += len(data)
        return count


def utf16_length(text: str) -> int:
    """Return the length that JavaScript sees: in units of UTF-16.

    Args:
        text: Any text.

    Example:
        >>> utf16_length("a€"), utf16_length("\\N{GRINNING FACE}")
        (2, 2)
    """
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
