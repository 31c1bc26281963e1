"""The exceptions of the Socket.IO layer, with python-socketio's names.

* :exc:`SocketIOError`
    * :exc:`ConnectionError`: a connection could not be made.
        * :exc:`ConnectionRefusedError`: raised by a handler that does not let a client in.
    * :exc:`TimeoutError`: an answer did not come in time.
    * :exc:`BadNamespaceError`: this client is not connected to that namespace.
    * :exc:`DisconnectedError`: the connection is over.
        * :exc:`AckLostError`: an answer can come no more; a :exc:`TimeoutError`, too.
        * :exc:`ClientGoneError`: the client left before it answered; a :exc:`TimeoutError`, too.
    * :exc:`LimitExceededError`: a limit stands against what was asked.
    * :exc:`PacketError`: what the peer sent is no packet of Socket.IO.
    * :exc:`PayloadError`: the payload of an event is not what its handler's types say.

Each also belongs to a family of :mod:`duplexio.errors`.
"""

from __future__ import annotations

from typing import Any

from .. import errors

__all__ = [
    "AckLostError",
    "BadNamespaceError",
    "ClientGoneError",
    "ConnectionError",
    "ConnectionRefusedError",
    "DisconnectedError",
    "LimitExceededError",
    "PacketError",
    "PayloadError",
    "SocketIOError",
    "TimeoutError",
]


class SocketIOError(errors.DuplexioError):
    """Base class of the exceptions of the Socket.IO layer."""


class ConnectionError(SocketIOError):
    """A connection could not be made.

    Args:
        args: The message for people.
        data: What the server has said.
        status: The HTTP status with which it has refused.
        refusals: What it has said of each namespace that it has refused.

    Attributes:
        data: What the server has said; ``None`` for nothing.
        status: The HTTP status with which it has refused; ``None`` when it was not by HTTP.
        refusals: What it has said of each namespace that it has refused.
    """

    def __init__(
        self,
        *args: Any,
        data: Any = None,
        status: int | None = None,
        refusals: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(*args)
        self.data = data
        self.status = status
        self.refusals = refusals or {}


class ConnectionRefusedError(ConnectionError):
    """Raised by a handler of ``connect`` or a middleware that does not let the client in.

    Args:
        args: The message for the client, and data for it.

    Attributes:
        message: What arrives in the JavaScript client as ``err.message``.
        data: What arrives there as ``err.data``; ``None`` for nothing.
        error_args: Both in one dictionary.

    Example:
        >>> ConnectionRefusedError("members only", {"code": 7}).error_args
        {'message': 'members only', 'data': {'code': 7}}
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.message = str(args[0]) if args else "Connection rejected by server"
        if len(args) > 1:
            self.data = args[1] if len(args) == 2 else args[1:]
        self.error_args: dict[str, Any] = {"message": self.message}
        if len(args) > 1:
            self.error_args["data"] = self.data


class TimeoutError(SocketIOError):
    """An answer did not come in time."""


class BadNamespaceError(SocketIOError, errors.UsageError):
    """The client is not connected to the namespace."""


class DisconnectedError(SocketIOError):
    """The connection is over."""


class AckLostError(DisconnectedError, TimeoutError):
    """An answer can come no more: the connection is over, or the emit was never sent.

    It is a :exc:`TimeoutError` because programs that wait for an answer catch that one.
    """


class ClientGoneError(DisconnectedError, TimeoutError):
    """The client left before it answered, or was not there at all.

    It is a :exc:`TimeoutError` because programs that wait for an answer catch that one.
    """


class LimitExceededError(SocketIOError, errors.UsageError):
    """A limit of the server, or of the client, stands against what was asked; it is named."""


class PacketError(SocketIOError, errors.ProtocolError):
    """What the peer sent is no packet of Socket.IO; the connection is closed.

    Attributes:
        limit: Name of the limit that it is beyond; empty when it is wrong in another way.
    """

    limit = ""


class PayloadError(SocketIOError, errors.ProtocolError):
    """The payload of an event is not what the types of its handler say.

    Args:
        event: Name of the event.
        problem: What is wrong, and where.

    Attributes:
        event: Name of the event.
        problem: What is wrong, and where.

    Example:
        >>> str(PayloadError("move", "Expected `int`, got `str` - at `$[1].x`"))
        "the payload of 'move' is wrong: Expected `int`, got `str` - at `$[1].x`"
    """

    def __init__(self, event: Any, problem: str) -> None:
        super().__init__(f"the payload of {event!r} is wrong: {problem}")
        self.event = event
        self.problem = problem

    def answer(self) -> dict[str, Any]:
        """Return what a client that waits for an acknowledgement is told."""
        return {"error": "invalid payload", "event": self.event, "message": self.problem}
