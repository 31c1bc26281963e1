"""Frames as the blocking API shows them, and the status codes under websocket-client's names."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..exceptions import ProtocolError
from ..frames import MAX_CONTROL_PAYLOAD, Close, CloseCode, Opcode
from ..kernel import Output, apply_mask
from .exceptions import WebSocketProtocolException

__all__ = [
    "ABNF",
    "STATUS_ABNORMAL_CLOSED",
    "STATUS_BAD_GATEWAY",
    "STATUS_GOING_AWAY",
    "STATUS_INVALID_EXTENSION",
    "STATUS_INVALID_PAYLOAD",
    "STATUS_MESSAGE_TOO_BIG",
    "STATUS_NORMAL",
    "STATUS_POLICY_VIOLATION",
    "STATUS_PROTOCOL_ERROR",
    "STATUS_SERVICE_RESTART",
    "STATUS_STATUS_NOT_AVAILABLE",
    "STATUS_TLS_HANDSHAKE_ERROR",
    "STATUS_TRY_AGAIN_LATER",
    "STATUS_UNEXPECTED_CONDITION",
    "STATUS_UNSUPPORTED_DATA_TYPE",
    "MaskKeySource",
    "mask_key_of",
]

# Plain integers, which print as numbers on every version of Python.
STATUS_NORMAL = int(CloseCode.NORMAL_CLOSURE)
STATUS_GOING_AWAY = int(CloseCode.GOING_AWAY)
STATUS_PROTOCOL_ERROR = int(CloseCode.PROTOCOL_ERROR)
STATUS_UNSUPPORTED_DATA_TYPE = int(CloseCode.UNSUPPORTED_DATA)
STATUS_STATUS_NOT_AVAILABLE = int(CloseCode.NO_STATUS_RCVD)
STATUS_ABNORMAL_CLOSED = int(CloseCode.ABNORMAL_CLOSURE)
STATUS_INVALID_PAYLOAD = int(CloseCode.INVALID_DATA)
STATUS_POLICY_VIOLATION = int(CloseCode.POLICY_VIOLATION)
STATUS_MESSAGE_TOO_BIG = int(CloseCode.MESSAGE_TOO_BIG)
STATUS_INVALID_EXTENSION = int(CloseCode.MANDATORY_EXTENSION)
STATUS_UNEXPECTED_CONDITION = int(CloseCode.INTERNAL_ERROR)
STATUS_SERVICE_RESTART = int(CloseCode.SERVICE_RESTART)
STATUS_TRY_AGAIN_LATER = int(CloseCode.TRY_AGAIN_LATER)
STATUS_BAD_GATEWAY = int(CloseCode.BAD_GATEWAY)
STATUS_TLS_HANDSHAKE_ERROR = int(CloseCode.TLS_HANDSHAKE)

#: A function that returns a masking key; its argument is the key's length, 4.
MaskKeySource = Callable[[int], bytes | str]


def mask_key_of(source: MaskKeySource) -> bytes:
    """Ask for a masking key.

    Args:
        source: The function, which may return text of the characters 0 to 255.

    Returns:
        The key.

    Raises:
        UnicodeEncodeError: When text has other characters.
    """
    key = source(4)
    return key.encode("latin-1") if isinstance(key, str) else bytes(key)


class ABNF:
    """A frame (RFC 6455 §5.2).

    Args:
        fin: 1 for the last frame of a message, else 0.
        rsv1: First reserved bit; a compressed message is shown decompressed, without it.
        rsv2: Second reserved bit.
        rsv3: Third reserved bit.
        opcode: What the frame carries: one of ``OPCODES``.
        mask_value: 1 for a frame that is masked, as those of a client are; else 0.
        data: The payload.

    Attributes:
        get_mask_key: Returns the masking key; :func:`os.urandom` unless it is exchanged.

    Example:
        >>> str(ABNF.create_frame("Hello", ABNF.OPCODE_TEXT))
        "fin=1 opcode=1 data=b'Hello'"
    """

    OPCODE_CONT = int(Opcode.CONT)
    OPCODE_TEXT = int(Opcode.TEXT)
    OPCODE_BINARY = int(Opcode.BINARY)
    OPCODE_CLOSE = int(Opcode.CLOSE)
    OPCODE_PING = int(Opcode.PING)
    OPCODE_PONG = int(Opcode.PONG)

    OPCODES = (OPCODE_CONT, OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG)

    #: The opcodes' names for people.
    OPCODE_MAP = {int(opcode): opcode.name.lower() for opcode in Opcode}  # noqa: RUF012

    #: Lengths from which on a frame's length takes 2 and 8 more bytes, and the first too large.
    LENGTH_7 = 126
    LENGTH_16 = 1 << 16
    LENGTH_63 = 1 << 63

    def __init__(
        self,
        fin: int = 0,
        rsv1: int = 0,
        rsv2: int = 0,
        rsv3: int = 0,
        opcode: int = OPCODE_TEXT,
        mask_value: int = 1,
        data: str | bytes | bytearray | memoryview | None = "",
    ) -> None:
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3
        self.opcode = opcode
        self.mask_value = mask_value
        self.data = "" if data is None else data
        self.get_mask_key: MaskKeySource = os.urandom

    def __str__(self) -> str:
        data = self.data if isinstance(self.data, str) else repr(self.data)
        return f"fin={self.fin} opcode={self.opcode} data={data}"

    @staticmethod
    def create_frame(data: str | bytes | bytearray | memoryview, opcode: int, fin: int = 1) -> ABNF:
        """Make a frame to be sent.

        Args:
            data: The payload; text becomes UTF-8.
            opcode: What it is: one of ``OPCODES``.
            fin: 0 when the message goes on in a further frame.

        Returns:
            The frame.
        """
        if opcode == ABNF.OPCODE_TEXT and isinstance(data, str):
            data = data.encode()
        return ABNF(fin, 0, 0, 0, opcode, 1, data)

    @staticmethod
    def mask(mask_key: bytes | str, data: bytes | bytearray | memoryview | str | None) -> bytes:
        """Mask or unmask a payload, which is the same (RFC 6455 §5.3).

        Args:
            mask_key: The key, of 4 bytes.
            data: The payload.

        Returns:
            The payload XOR the key, repeated.

        Raises:
            UsageError: When the key has not 4 bytes.
        """
        if isinstance(mask_key, str):
            mask_key = mask_key.encode("latin-1")
        return apply_mask(_bytes_of(data, "latin-1"), bytes(mask_key))

    def validate(self, skip_utf8_validation: bool = False) -> None:
        """Check a frame against RFC 6455 §5.

        Args:
            skip_utf8_validation: Whether the reason of a close frame may be something else than
                UTF-8.

        Raises:
            WebSocketProtocolException: When it breaks a rule.
        """
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise WebSocketProtocolException(
                "rsv is not implemented, yet: reserved bits are set that no extension uses"
            )
        if self.opcode not in ABNF.OPCODES:
            raise WebSocketProtocolException(f"Invalid opcode {self.opcode!r}")
        if self.opcode < ABNF.OPCODE_CLOSE:
            return
        name = ABNF.OPCODE_MAP[self.opcode]
        if not self.fin:
            raise WebSocketProtocolException(f"Invalid {name} frame.")
        data = self.payload()
        if len(data) > MAX_CONTROL_PAYLOAD:
            raise WebSocketProtocolException(f"Invalid {name} frame.")
        if self.opcode == ABNF.OPCODE_CLOSE:
            try:
                Close.parse(data[:2] if skip_utf8_validation else data)
            except ProtocolError as exc:
                raise WebSocketProtocolException(f"Invalid close frame.: {exc}") from exc

    def format(self) -> bytes:
        """Return the bytes of the frame, with a fresh masking key.

        Raises:
            ValueError: When a bit is neither 0 nor 1, or the opcode is unknown.
        """
        if any(bit not in (0, 1) for bit in (self.fin, self.rsv1, self.rsv2, self.rsv3)):
            raise ValueError("not 0 or 1")
        if self.opcode not in ABNF.OPCODES:
            raise ValueError("Invalid OPCODE")
        first = self.fin << 7 | self.rsv1 << 6 | self.rsv2 << 5 | self.rsv3 << 4 | self.opcode
        output = Output()
        key = mask_key_of(self.get_mask_key) if self.mask_value else None
        output.frame(first, self.payload(), key)
        return output.take()

    def payload(self) -> bytes | bytearray | memoryview:
        """Return the payload as bytes; text that is sent as binary data is Latin-1."""
        return _bytes_of(self.data, "latin-1" if self.opcode == ABNF.OPCODE_BINARY else "utf-8")


def _bytes_of(
    data: str | bytes | bytearray | memoryview | None, encoding: str
) -> bytes | bytearray | memoryview:
    if data is None:
        return b""
    return data.encode(encoding) if isinstance(data, str) else data
