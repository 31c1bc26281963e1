"""The exceptions of the Engine.IO layer.

* :exc:`EngineIOError`
    * :exc:`ConnectionError`: a client cannot connect; carries what the server said.
    * :exc:`ConnectionRefusedError`: a handler or hook does not let a client in.
    * :exc:`PacketError`: what the peer sent is no packet, or no payload of packets.
        * :exc:`PayloadTooBig`: it is one, and larger than allowed.
    * :exc:`PayloadTooLarge`: a message of ours is larger than the server takes.
    * :exc:`RequestError`: a request that is no good; carries Engine.IO's number for why.
    * :exc:`SendBufferFull`: more waits to be sent than a client's limits allow.

Each also belongs to a family of :mod:`duplexio.errors`.
"""

from __future__ import annotations

import builtins
from http import HTTPStatus
from typing import Any

from .. import errors

__all__ = [
    "BAD_HANDSHAKE_METHOD",
    "BAD_REQUEST",
    "ERROR_MESSAGES",
    "FORBIDDEN",
    "UNKNOWN_SID",
    "UNKNOWN_TRANSPORT",
    "UNSUPPORTED_PROTOCOL_VERSION",
    "ConnectionError",
    "ConnectionRefusedError",
    "ContentTooLongError",
    "EngineIOError",
    "PacketError",
    "PayloadTooBig",
    "PayloadTooLarge",
    "RequestError",
    "SendBufferFull",
    "UnknownPacketError",
    "UsageValueError",
]

# The numbers of errors that Engine.IO's clients know, in the JSON of a response.
UNKNOWN_TRANSPORT = 0
UNKNOWN_SID = 1
BAD_HANDSHAKE_METHOD = 2
BAD_REQUEST = 3
FORBIDDEN = 4
UNSUPPORTED_PROTOCOL_VERSION = 5

#: What the numbers mean, in the words that clients see.
ERROR_MESSAGES = {
    UNKNOWN_TRANSPORT: "Transport unknown",
    UNKNOWN_SID: "Session ID unknown",
    BAD_HANDSHAKE_METHOD: "Bad handshake method",
    BAD_REQUEST: "Bad request",
    FORBIDDEN: "Forbidden",
    UNSUPPORTED_PROTOCOL_VERSION: "Unsupported protocol version",
}


class EngineIOError(errors.DuplexioError):
    """Base class of the exceptions of the Engine.IO layer."""


class ConnectionError(EngineIOError, builtins.ConnectionError):
    """A client cannot connect.

    Args:
        message: What happened.
        data: What the server said, if that was JSON; it is the second of ``args``, too.
        status: The HTTP status of the server's answer, if there was one.
        body: The body of that answer.

    Attributes:
        data: What the server said.
        status: The HTTP status, or ``None``.
        body: The body of the answer.

    Example:
        >>> ConnectionError("the server refused", {"code": 4}, status=403).args
        ('the server refused', {'code': 4})
    """

    def __init__(
        self, message: str = "", data: Any = None, *, status: int | None = None, body: bytes = b""
    ) -> None:
        super().__init__(message, data)
        self.data = data
        self.status = status
        self.body = body

    def __str__(self) -> str:
        return str(self.args[0])


class ConnectionRefusedError(EngineIOError, builtins.ConnectionRefusedError):
    """Raised by a handler of ``connect`` that does not let the client in.

    Args:
        message: What the client is told, with status 403.

    Example:
        >>> str(ConnectionRefusedError("members only"))
        'members only'
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class PacketError(EngineIOError, errors.ProtocolError):
    """What the peer sent is no packet of Engine.IO, or no payload of packets."""

    close_code = 1002
    status = HTTPStatus.BAD_REQUEST


class PayloadTooBig(PacketError):
    """The peer sent more than a limit allows."""

    close_code = 1009
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


#: python-engineio's names.
UnknownPacketError = PacketError
ContentTooLongError = PayloadTooBig


class PayloadTooLarge(EngineIOError, errors.UsageError):
    """A message is larger than the server takes, so it was not sent."""


class SendBufferFull(EngineIOError, errors.UsageError):
    """More waits to be sent than the limits of a client allow, so a message was not taken."""


class UsageValueError(EngineIOError, errors.UsageError, ValueError):
    """This program asked for something that cannot be done; python-engineio raises ValueError."""


class RequestError(EngineIOError, errors.ProtocolError):
    """A request that is no good.

    Args:
        code: Engine.IO's number of the error, 0 to 5.
        message: What the client is told; by default what the number means.
        detail: What is wrong, for the log.
        status: The HTTP status; by default 403 for code 4, else 400.

    Attributes:
        code: The number.
        message: What the client is told.
        detail: What is wrong, for the log.
        status: The HTTP status.

    Example:
        >>> RequestError(1).message, RequestError(4).status
        ('Session ID unknown', 403)
    """

    def __init__(
        self, code: int, message: str | None = None, detail: str = "", status: int | None = None
    ) -> None:
        self.code = code
        self.message = ERROR_MESSAGES[code] if message is None else message
        self.detail = detail
        if status is None:
            status = HTTPStatus.FORBIDDEN if code == FORBIDDEN else HTTPStatus.BAD_REQUEST
        super().__init__(
            f"{self.message}: {detail}" if detail else self.message, status=int(status)
        )
