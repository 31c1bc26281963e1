"""The errors that every layer of duplexio raises.

There are three families, so that a caller can tell them apart without knowing the layer:

* :exc:`DuplexioError`
    * :exc:`UsageError`: this program asked for something that cannot be done.
    * :exc:`ProtocolError`: the peer broke the protocol; carries what to answer it with.
    * :exc:`ConnectionClosed`: the connection is over; carries how it ended.

The exceptions of the layers above derive from one of these.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["ConnectionClosed", "DuplexioError", "ProtocolError", "UsageError"]

Side = Literal["local", "remote"]


class DuplexioError(Exception):
    """Base class of all the exceptions that duplexio defines."""


class UsageError(DuplexioError):
    """An API was misused: the fix is in the calling program, not at the peer."""


class ProtocolError(DuplexioError):
    """The peer broke the protocol.

    Args:
        args: The message for people, as for any exception.
        close_code: Code of the close frame to answer with; ``None`` keeps the class's default.
        status: HTTP status to answer with; ``None`` keeps the class's default.

    Attributes:
        close_code: Code of the close frame to answer with, when a WebSocket is open.
        status: HTTP status to answer with, when no WebSocket is open yet.

    Example:
        >>> ProtocolError("the reserved bits must be zero", close_code=1002).close_code
        1002
    """

    # Class attributes, so that an exception without particular values stores nothing.
    close_code: int | None = None
    status: int | None = None

    def __init__(
        self, *args: object, close_code: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(*args)
        if close_code is not None:
            self.close_code = close_code
        if status is not None:
            self.status = status


class ConnectionClosed(DuplexioError):
    """The connection is closed.

    Args:
        code: Close code as in RFC 6455 §7.4; 1006 when the connection broke without one.
        reason: The reason that came with the code.
        initiator: Who began closing: ``"local"`` (this side), ``"remote"`` (the peer) or ``None``
            when nobody did, because the transport failed.

    Example:
        >>> str(ConnectionClosed(1001, "going home", "remote"))
        'closed by the peer with code 1001: going home'
    """

    def __init__(self, code: int = 1006, reason: str = "", initiator: Side | None = None) -> None:
        super().__init__(code, reason, initiator)
        self._code = code
        self._reason = reason
        self._initiator: Side | None = initiator

    @property
    def code(self) -> int:
        """The close code: 1005 when the close frame had none, 1006 when there was no frame."""
        return self._code

    @property
    def reason(self) -> str:
        """The reason that came with the close code, often empty."""
        return self._reason

    @property
    def initiator(self) -> Side | None:
        """Who began closing: ``"local"``, ``"remote"``, or ``None`` when the transport failed."""
        return self._initiator

    def __str__(self) -> str:
        who = {"local": "closed by this side", "remote": "closed by the peer"}.get(
            self.initiator or "", "closed by a failure of the transport"
        )
        text = f"{who} with code {self.code}"
        return f"{text}: {self.reason}" if self.reason else text
