"""The exceptions of the blocking API, under websocket-client's names.

* :exc:`~duplexio.websocket.exceptions.WebSocketException`
    * :exc:`WebSocketAddressException`
    * :exc:`WebSocketArgumentException`
    * :exc:`WebSocketBadStatusException`
    * :exc:`WebSocketConnectionClosedException`
    * :exc:`WebSocketPayloadException`
    * :exc:`WebSocketProtocolException`
    * :exc:`WebSocketProxyException`
    * :exc:`WebSocketTimeoutException`
    * :exc:`WebSocketURLException`

The base class is the one of the whole WebSocket layer, so that ``except WebSocketException`` also
catches what the shared parts raise; and each class belongs to a family of :mod:`duplexio.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ... import errors
from ..exceptions import (
    InvalidHandshake,
    InvalidURI,
    ProtocolError,
    ProxyError,
    WebSocketException,
)

__all__ = [
    "WebSocketAddressException",
    "WebSocketArgumentException",
    "WebSocketBadStatusException",
    "WebSocketConnectionClosedException",
    "WebSocketException",
    "WebSocketPayloadException",
    "WebSocketProtocolException",
    "WebSocketProxyException",
    "WebSocketTimeoutException",
    "WebSocketURLException",
]


class WebSocketProtocolException(ProtocolError):
    """The server broke RFC 6455."""


class WebSocketPayloadException(WebSocketException, errors.ProtocolError):
    """The server sent a message that cannot be taken: not UTF-8, or too large."""

    close_code: int | None = 1007


class WebSocketConnectionClosedException(WebSocketException, errors.ConnectionClosed):
    """The connection is closed, or broke.

    Args:
        message: What happened.
        code: The close code received; ``None`` without one.
        reason: The reason received with it.
        initiator: Who began closing, where that is known.

    Attributes:
        status_code: The close code received; ``None`` without one.
    """

    def __init__(
        self,
        message: str = "",
        code: int | None = None,
        reason: str = "",
        initiator: errors.Side | None = None,
    ) -> None:
        super().__init__(1006 if code is None else code, reason, initiator)
        self.args = (message,)
        self.status_code = code

    def __str__(self) -> str:
        return str(self.args[0])


class ConnectionReset(WebSocketConnectionClosedException, ConnectionResetError):
    """The server reset the connection; also Python's own exception for it."""


class ConnectionAborted(WebSocketConnectionClosedException, ConnectionAbortedError):
    """The connection was given up by the system; also Python's own exception for it."""


class ConnectionBroken(WebSocketConnectionClosedException, BrokenPipeError):
    """The connection was written to after its end; also Python's own exception for it."""


class WebSocketTimeoutException(WebSocketException):
    """The server did not answer, or take what was sent, in time."""


class ConnectTimeout(WebSocketTimeoutException, TimeoutError):
    """The server could not be connected to in time; also Python's own exception for it."""


class WebSocketProxyException(ProxyError):
    """Connecting through a proxy failed."""


class WebSocketBadStatusException(InvalidHandshake):
    """The server answered the handshake with another status than 101.

    Args:
        message: What happened.
        status_code: The status.
        status_message: The text beside it.
        resp_headers: The response's headers, their names in lower case.
        resp_body: The response's body, if it has one.
    """

    def __init__(
        self,
        message: str,
        status_code: int,
        status_message: str | None = None,
        resp_headers: Mapping[str, str] | None = None,
        resp_body: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.status_message = status_message
        self.resp_headers = resp_headers
        self.resp_body = resp_body


class WebSocketAddressException(WebSocketException):
    """The name of the host to connect to cannot be resolved."""


class WebSocketArgumentException(WebSocketException, errors.UsageError):
    """An argument has a value that makes no sense."""


class WebSocketURLException(InvalidURI, ValueError):
    """The URL is not one of a WebSocket."""


def connection_lost(error: OSError) -> WebSocketConnectionClosedException:
    """Return the exception for a connection that the system reports as broken.

    websocket-client lets the system's exception through; programs written for it catch either. So
    what is returned is both.

    Args:
        error: What the system reported.

    Returns:
        An exception that is also of the same built-in class, where that is one of the usual ones.
    """
    for builtin, kind in _BOTH:
        if isinstance(error, builtin):
            lost = kind(str(error))
            lost.errno = error.errno
            lost.strerror = error.strerror
            return lost
    return WebSocketConnectionClosedException(str(error))


_BOTH: tuple[
    tuple[type[OSError], type[ConnectionReset] | type[ConnectionBroken] | type[ConnectionAborted]],
    ...,
] = (
    (ConnectionResetError, ConnectionReset),
    (BrokenPipeError, ConnectionBroken),
    (ConnectionAbortedError, ConnectionAborted),
)
