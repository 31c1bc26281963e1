"""The exceptions of the WebSocket layer.

* :exc:`WebSocketException`
    * :exc:`ConnectionClosed`
        * :exc:`ConnectionClosedOK`
        * :exc:`ConnectionClosedError`
    * :exc:`InvalidURI`
    * :exc:`InvalidProxy`
    * :exc:`InvalidHandshake`
        * :exc:`SecurityError`
            * :exc:`RequestLineTooLong`
            * :exc:`StatusLineTooLong`
            * :exc:`HeaderLineTooLong`
            * :exc:`TooManyHeaders`
        * :exc:`ProxyError`
            * :exc:`InvalidProxyMessage`
            * :exc:`InvalidProxyStatus`
        * :exc:`InvalidMessage`
        * :exc:`InvalidMethod`
        * :exc:`InvalidProtocol`
        * :exc:`InvalidStatus`
        * :exc:`InvalidHeader`
            * :exc:`InvalidHeaderFormat`
            * :exc:`InvalidHeaderValue`
            * :exc:`InvalidOrigin`
            * :exc:`InvalidUpgrade`
        * :exc:`NegotiationError`
            * :exc:`DuplicateParameter`
            * :exc:`InvalidParameterName`
            * :exc:`InvalidParameterValue`
    * :exc:`ProtocolError`
    * :exc:`PayloadTooBig`
    * :exc:`TooManyFragments`
    * :exc:`InvalidState`
    * :exc:`ConcurrencyError`

The names are those of the ``websockets`` library, so that the handlers written for it go on
working. Each one also belongs to a family of :mod:`duplexio.errors`: handshake and frame faults are
:exc:`duplexio.errors.ProtocolError` and carry the HTTP status or the close code to answer with;
misuse is :exc:`duplexio.errors.UsageError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    from .frames import Close
    from .http11 import Response

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HeaderLineTooLong",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "RequestLineTooLong",
    "SecurityError",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]


class WebSocketException(errors.DuplexioError):
    """Base class of the exceptions of the WebSocket layer."""


class ConnectionClosed(WebSocketException, errors.ConnectionClosed):
    """Raised when using a connection that is closed.

    Args:
        rcvd: The close frame received, if any.
        sent: The close frame sent, if any.
        rcvd_then_sent: When both exist, whether the received one was first.
    """

    def __init__(
        self,
        rcvd: Close | None,
        sent: Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        # BaseException.__new__ has stored the arguments already; text is made when asked for.
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent

    @property
    def code(self) -> int:
        """The close code received; 1005 when it had none, 1006 without a close frame."""
        return 1006 if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The reason received, or an empty string."""
        return "" if self.rcvd is None else self.rcvd.reason

    @property
    def initiator(self) -> errors.Side | None:
        """Who sent the first close frame: ``"local"``, ``"remote"`` or ``None`` (nobody)."""
        if self.rcvd is None:
            return None if self.sent is None else "local"
        if self.sent is None or self.rcvd_then_sent:
            return "remote"
        return "local"

    def __str__(self) -> str:
        if self.rcvd is None:
            if self.sent is None:
                return "no close frame received or sent"
            return f"sent {self.sent}; no close frame received"
        if self.sent is None:
            return f"received {self.rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"


class ConnectionClosedOK(ConnectionClosed):
    """The connection was closed as it should be: 1000, 1001 or no code, both ways."""


class ConnectionClosedError(ConnectionClosed):
    """The connection was closed with another code, or without a closing handshake."""


class InvalidURI(WebSocketException, errors.UsageError):
    """The URI to connect to is not a WebSocket URI.

    Args:
        uri: The URI.
        msg: What is wrong with it.
    """

    def __init__(self, uri: str, msg: str) -> None:
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException, errors.UsageError):
    """The address of a proxy is not valid.

    Args:
        proxy: The address.
        msg: What is wrong with it.
    """

    def __init__(self, proxy: str, msg: str) -> None:
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.proxy} isn't a valid proxy: {self.msg}"


class InvalidHandshake(WebSocketException, errors.ProtocolError):
    """Base class of the exceptions of the opening handshake."""

    status: int | None = 400


class SecurityError(InvalidHandshake):
    """A handshake message exceeds a limit."""


class RequestLineTooLong(SecurityError):
    """The request line is longer than ``http11.MAX_LINE_LENGTH``."""

    status: int | None = 414


class StatusLineTooLong(SecurityError):
    """The status line is longer than ``http11.MAX_LINE_LENGTH``."""


class HeaderLineTooLong(SecurityError):
    """A header line, or the head as a whole, exceeds its limit."""

    status: int | None = 431


class TooManyHeaders(SecurityError):
    """There are more than ``http11.MAX_HEADERS`` headers."""

    status: int | None = 431


class ProxyError(InvalidHandshake):
    """Connecting through a proxy failed."""


class InvalidProxyMessage(ProxyError):
    """The proxy's response is malformed."""


class InvalidProxyStatus(ProxyError):
    """The proxy refused the connection.

    Args:
        response: Its response.
    """

    def __init__(self, response: Response) -> None:
        self.response = response

    def __str__(self) -> str:
        return f"proxy rejected connection: HTTP {self.response.status_code:d}"


class InvalidMessage(InvalidHandshake):
    """A handshake message is malformed HTTP."""


class InvalidMethod(InvalidHandshake):
    """The request's method is not GET.

    Args:
        method: The method.
    """

    status: int | None = 405

    def __init__(self, method: str) -> None:
        self.method = method

    def __str__(self) -> str:
        return f"unsupported HTTP method: {self.method}; expected GET"


class InvalidProtocol(InvalidHandshake):
    """The request's protocol is not HTTP/1.1.

    Args:
        protocol: The protocol.
    """

    status: int | None = 505

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol

    def __str__(self) -> str:
        return f"unsupported HTTP version: {self.protocol}; expected HTTP/1.1"


class InvalidStatus(InvalidHandshake):
    """The server answered with something else than 101 Switching Protocols.

    Args:
        response: Its response.
    """

    def __init__(self, response: Response) -> None:
        self.response = response

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.response.status_code:d}"


class InvalidHeader(InvalidHandshake):
    """A header is missing, or its value is not acceptable.

    Args:
        name: The header's name.
        value: The value, or what is wrong with it; ``None`` when the header is missing.
    """

    def __init__(self, name: str, value: str | None = None) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        if not self.value:
            return f"empty {self.name} header"
        return f"invalid {self.name} header: {self.value}"


class InvalidHeaderFormat(InvalidHeader):
    """A header's value does not follow its grammar.

    Args:
        name: The header's name.
        error: What was expected.
        header: The header's value.
        pos: Position of the fault in it.
    """

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        super().__init__(name, f"{error} at {pos} in {header}")


class InvalidHeaderValue(InvalidHeader):
    """A header's value follows the grammar and is not acceptable."""


class InvalidOrigin(InvalidHeader):
    """The request comes from a page that may not connect to this server.

    Args:
        origin: Value of the ``Origin`` header; ``None`` when there was none.
        hint: What the server's operator can set to allow it.
    """

    status: int | None = 403

    def __init__(self, origin: str | None, hint: str | None = None) -> None:
        super().__init__("Origin", origin)
        self.origin = origin
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.hint is None else f"{text}; {self.hint}"


class InvalidUpgrade(InvalidHeader):
    """The ``Upgrade`` or ``Connection`` header does not ask for a WebSocket."""

    status: int | None = 426


class NegotiationError(InvalidHandshake):
    """Negotiating an extension or a subprotocol failed."""


class DuplicateParameter(NegotiationError):
    """An extension has the same parameter twice.

    Args:
        name: The parameter's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name}"


class InvalidParameterName(NegotiationError):
    """An extension has a parameter that it does not know.

    Args:
        name: The parameter's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name}"


class InvalidParameterValue(NegotiationError):
    """An extension's parameter has a value that is not allowed.

    Args:
        name: The parameter's name.
        value: Its value; ``None`` when there was none.
    """

    def __init__(self, name: str, value: str | None) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing value for parameter {self.name}"
        if not self.value:
            return f"empty value for parameter {self.name}"
        return f"invalid value for parameter {self.name}: {self.value}"


class ProtocolError(WebSocketException, errors.ProtocolError):
    """A frame, or the order of the frames, breaks RFC 6455."""

    close_code: int | None = 1002


class PayloadTooBig(WebSocketException, errors.ProtocolError):
    """A frame or a message is larger than the limit.

    Args:
        size: Size of the frame in bytes, if known.
        max_size: The limit in bytes.
        current_size: Bytes of the same message that came in earlier frames, if any.
    """

    close_code: int | None = 1009

    def __init__(self, size: int | None, max_size: int, current_size: int | None = None) -> None:
        self.size = size
        self.max_size = max_size
        self.current_size = current_size

    def __str__(self) -> str:
        size = "" if self.size is None else f"with {self.size} bytes "
        after = "" if self.current_size is None else f"after reading {self.current_size} bytes "
        return f"frame {size}{after}exceeds limit of {self.max_size} bytes"


class TooManyFragments(WebSocketException, errors.ProtocolError):
    """A message comes in more frames than the limit.

    Args:
        max_fragments: The limit.
    """

    close_code: int | None = 1009

    def __init__(self, max_fragments: int) -> None:
        self.max_fragments = max_fragments

    def __str__(self) -> str:
        return f"fragmented message exceeds limit of {self.max_fragments} frames"


class InvalidState(WebSocketException, errors.UsageError, AssertionError):
    """The connection's state does not allow what was asked for."""


class ConcurrencyError(WebSocketException, errors.UsageError, RuntimeError):
    """Two coroutines or threads did what only one may do at a time."""
