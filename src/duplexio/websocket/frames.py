"""WebSocket frames as values: opcodes, close codes, and the reference encoding.

The bytes on the hot path are read and written by the kernel; what is here is small, plain and easy
to check against RFC 6455 §5 and §7.4. Tests hold the kernel against it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from ..errors import UsageError
from .exceptions import ProtocolError

__all__ = [
    "BINARY",
    "CLOSE",
    "CLOSE_CODE_EXPLANATIONS",
    "CONT",
    "CONTROL_OPCODES",
    "DATA_OPCODES",
    "EXTERNAL_CLOSE_CODES",
    "MAX_CLOSE_REASON",
    "MAX_CONTROL_PAYLOAD",
    "OK_CLOSE_CODES",
    "PING",
    "PONG",
    "TEXT",
    "Close",
    "CloseCode",
    "Frame",
    "Opcode",
    "State",
    "is_valid_close_code",
]

#: Longest payload of a control frame, in bytes (RFC 6455 §5.5).
MAX_CONTROL_PAYLOAD = 125

#: Longest reason of a close frame, in bytes of UTF-8: what a control frame leaves beside the code.
MAX_CLOSE_REASON = MAX_CONTROL_PAYLOAD - 2


class State(IntEnum):
    """State of a connection, with the numbers of the browsers' ``readyState``."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class Opcode(IntEnum):
    """What a frame carries (RFC 6455 §5.2)."""

    CONT = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


CONT = Opcode.CONT
TEXT = Opcode.TEXT
BINARY = Opcode.BINARY
CLOSE = Opcode.CLOSE
PING = Opcode.PING
PONG = Opcode.PONG

DATA_OPCODES = frozenset({CONT, TEXT, BINARY})
CONTROL_OPCODES = frozenset({CLOSE, PING, PONG})


class CloseCode(IntEnum):
    """The close codes of RFC 6455 §7.4.1 and of IANA's registry since then."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    # 1004 is reserved and has no meaning yet.
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: dict[int, str] = {
    CloseCode.NORMAL_CLOSURE: "OK",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS_RCVD: "no status received [internal]",
    CloseCode.ABNORMAL_CLOSURE: "abnormal closure [internal]",
    CloseCode.INVALID_DATA: "invalid frame payload data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failure [internal]",
}

#: The registered codes that may travel in a close frame: 1005, 1006 and 1015 only tell a local
#: caller what happened and "MUST NOT be set as a status code" on the wire (RFC 6455 §7.4.1).
EXTERNAL_CLOSE_CODES = frozenset(CloseCode) - {
    CloseCode.NO_STATUS_RCVD,
    CloseCode.ABNORMAL_CLOSURE,
    CloseCode.TLS_HANDSHAKE,
}

#: Codes that end a connection as its users meant to, raised as ``ConnectionClosedOK``.
OK_CLOSE_CODES = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
)


def is_valid_close_code(code: int) -> bool:
    """Tell whether a close code may travel in a close frame (RFC 6455 §7.4.2).

    Args:
        code: The code as read from the wire or given by the application.

    Returns:
        ``True`` for the registered codes that are not internal and for 3000 to 4999, which belong
        to libraries, frameworks and applications.

    Example:
        >>> is_valid_close_code(1001), is_valid_close_code(1006), is_valid_close_code(4000)
        (True, False, True)
    """
    return code in EXTERNAL_CLOSE_CODES or 3000 <= code <= 4999


@dataclass(slots=True)
class Close:
    """Code and reason of a close frame (RFC 6455 §5.5.1).

    Attributes:
        code: Close code; 1005 stands for a close frame without one.
        reason: Text for people who debug, at most 123 bytes of UTF-8.
    """

    code: int
    reason: str = ""

    def __str__(self) -> str:
        code = int(self.code)
        if 3000 <= code < 4000:
            explanation = "registered"
        elif 4000 <= code < 5000:
            explanation = "private use"
        else:
            explanation = CLOSE_CODE_EXPLANATIONS.get(code, "unknown")
        text = f"{code} ({explanation})"
        return f"{text} {self.reason}" if self.reason else text

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> Close:
        """Read the payload of a close frame.

        Args:
            data: The payload, unmasked. Nothing of it is kept.

        Returns:
            The code and the reason; code 1005 when the payload is empty.

        Raises:
            ProtocolError: When the payload has one byte or a code that may not travel
                (``close_code`` 1002), or when the reason is not UTF-8 (``close_code`` 1007).

        Example:
            >>> Close.parse(b"\\x03\\xe9bye")
            Close(code=1001, reason='bye')
        """
        data = bytes(data)
        if not data:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) == 1:
            raise ProtocolError("close frame with a payload of 1 byte; expected none, or 2 or more")
        code = data[0] << 8 | data[1]
        if not is_valid_close_code(code):
            raise ProtocolError(
                f"close frame with code {code}, which may not be sent;"
                " expected 1000-1003, 1007-1014 or 3000-4999"
            )
        try:
            reason = data[2:].decode()
        except UnicodeDecodeError as exc:
            raise ProtocolError(
                f"close frame whose reason is not UTF-8: {exc.reason} at byte {exc.start}",
                close_code=CloseCode.INVALID_DATA,
            ) from None
        return cls(code, reason)

    def serialize(self) -> bytes:
        """Write the payload of a close frame.

        Returns:
            The code in two bytes and the reason in UTF-8; nothing for code 1005.

        Raises:
            UsageError: When the code may not be sent, or the reason is too long or not encodable.

        Example:
            >>> Close(1001, "bye").serialize()
            b'\\x03\\xe9bye'
        """
        code = self.code
        if code == CloseCode.NO_STATUS_RCVD:
            if self.reason:
                raise UsageError(
                    f"a close frame without a code has no room for the reason {self.reason!r};"
                    " give a code such as 1000"
                )
            return b""
        if not is_valid_close_code(code):
            raise UsageError(
                f"close code {int(code)} may not be sent;"
                " use 1000-1003, 1007-1014 or 3000-4999 (yours are 4000-4999)"
            )
        try:
            reason = self.reason.encode()
        except UnicodeEncodeError as exc:
            raise UsageError(
                f"the close reason {self.reason!r} cannot be encoded in UTF-8: {exc.reason}"
            ) from None
        if len(reason) > MAX_CLOSE_REASON:
            raise UsageError(
                f"the close reason has {len(reason)} bytes of UTF-8;"
                f" at most {MAX_CLOSE_REASON} fit in a close frame"
            )
        return struct.pack("!H", code) + reason


@dataclass(slots=True)
class Frame:
    """A frame as a value (RFC 6455 §5.2).

    Attributes:
        opcode: What the frame carries.
        data: Payload, before masking.
        fin: Whether this is the last frame of its message.
        rsv1: First reserved bit, which marks a compressed message (RFC 7692 §6).
        rsv2: Second reserved bit.
        rsv3: Third reserved bit.
    """

    opcode: int
    data: bytes | bytearray | memoryview
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    def check(self) -> None:
        """Check the rules that hold for every frame, whatever was negotiated.

        Raises:
            ProtocolError: When the opcode is unknown, or a control frame is fragmented or too long
                (RFC 6455 §5.2 and §5.5).
        """
        if self.opcode not in DATA_OPCODES and self.opcode not in CONTROL_OPCODES:
            raise ProtocolError(f"opcode {self.opcode:#x} is reserved")
        if self.opcode in CONTROL_OPCODES:
            name = Opcode(self.opcode).name.lower()
            if not self.fin:
                raise ProtocolError(f"fragmented {name} frame; control frames must be whole")
            if len(self.data) > MAX_CONTROL_PAYLOAD:
                raise ProtocolError(
                    f"{name} frame with {len(self.data)} bytes;"
                    f" control frames carry at most {MAX_CONTROL_PAYLOAD}"
                )

    def serialize(self, mask: bytes | None = None) -> bytes:
        """Write the frame: the reference that the kernel's encoder is tested against.

        It does not call :meth:`check`, since tests need broken frames too.

        Args:
            mask: Masking key of 4 bytes, which a client must give and a server must not.

        Returns:
            The frame's bytes, with its length in the shortest form (RFC 6455 §5.2).

        Raises:
            UsageError: When the masking key does not have 4 bytes.

        Example:
            >>> Frame(Opcode.TEXT, b"Hello").serialize(bytes.fromhex("37fa213d")).hex()
            '818537fa213d7f9f4d5158'
        """
        head = self.fin << 7 | self.rsv1 << 6 | self.rsv2 << 5 | self.rsv3 << 4 | int(self.opcode)
        masked = 0 if mask is None else 0x80
        data = bytes(self.data)
        if len(data) < 126:
            header = struct.pack("!BB", head, masked | len(data))
        elif len(data) < 1 << 16:
            header = struct.pack("!BBH", head, masked | 126, len(data))
        else:
            header = struct.pack("!BBQ", head, masked | 127, len(data))
        if mask is None:
            return header + data
        if len(mask) != 4:
            raise UsageError(f"a masking key has 4 bytes, not {len(mask)}")
        return header + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
