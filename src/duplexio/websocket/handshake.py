"""The opening handshake of RFC 6455 §4, both sides, without I/O.

A server gives :func:`accept` a request and gets the bytes of the response, or an exception that
:func:`rejection` turns into a response. A client makes a :class:`ClientHandshake`, sends its
request, and lets it check the response.

Extensions are negotiated by factories with the interface of the ``websockets`` library's:
``process_request_params`` on the server; ``get_request_params`` and ``process_response_params`` on
the client.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from typing import Any, Final, Protocol

from ..errors import ProtocolError, UsageError
from .exceptions import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMethod,
    InvalidProtocol,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from .headers import (
    ExtensionOffer,
    ExtensionParameter,
    Headers,
    HeadersLike,
    build_authorization_basic,
    build_extension,
    build_subprotocol,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
)
from .http11 import Request, Response, parse_response
from .origins import SAME_ORIGIN, Origins, check_origin
from .uri import WebSocketURI, parse_uri

__all__ = [
    "DRAFT_VERSIONS",
    "VERSIONS",
    "Acceptance",
    "Agreement",
    "ClientExtensionFactory",
    "ClientHandshake",
    "ServerExtensionFactory",
    "accept",
    "accept_key",
    "build_key",
    "choose_subprotocol",
    "reject",
    "rejection",
    "render_headers",
]

#: The version of the protocol that RFC 6455 defines.
VERSIONS: Final = ("13",)

#: The drafts hybi-07 to hybi-17, which Firefox 6 to 10 and Chrome 14 and 15 speak. Only the number
#: and the name of the Origin header differ from RFC 6455. (Drafts before them: ``hixie.py``.)
DRAFT_VERSIONS: Final = ("13", "8", "7")

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class ServerExtensionFactory(Protocol):
    """What a server gives to support an extension."""

    @property
    def name(self) -> str:
        """The extension's name in the header."""
        ...

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Any], /
    ) -> tuple[list[ExtensionParameter], Any]:
        """Accept an offer, with the parameters to answer, or raise ``NegotiationError``."""
        ...


class ClientExtensionFactory(Protocol):
    """What a client gives to offer an extension."""

    @property
    def name(self) -> str:
        """The extension's name in the header."""
        ...

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Return the parameters to offer."""
        ...

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Any], /
    ) -> Any:
        """Return the extension for the server's parameters, or raise ``NegotiationError``."""
        ...


@dataclass(slots=True)
class Acceptance:
    """The opening of a WebSocket that a server agrees to.

    Attributes:
        data: The response's bytes, to be sent as they are.
        subprotocol: The chosen subprotocol, if any.
        extensions: What the factories returned for the accepted offers.
    """

    data: bytes
    subprotocol: str | None
    extensions: list[Any]

    @property
    def response(self) -> Response:
        """The response as a value, made anew each time; for those who want to change it."""
        end = self.data.index(b"\r\n\r\n") + 4
        response = parse_response(self.data[:end])
        # That of hixie-76 has the digest behind its head.
        response.body = self.data[end:]
        return response


@dataclass(slots=True)
class Agreement:
    """What client and server have agreed on.

    Attributes:
        subprotocol: The chosen subprotocol, if any.
        extensions: What the factories returned, in the order that the server gave.
    """

    subprotocol: str | None
    extensions: list[Any]


def accept_key(key: str) -> str:
    """Compute ``Sec-WebSocket-Accept`` (RFC 6455 §4.2.2, step 5.4).

    Args:
        key: Value of ``Sec-WebSocket-Key``.

    Returns:
        The header's value.

    Example:
        >>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")
        's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    # SHA-1 keeps no secret here; saying so lets it run where policy forbids it for security.
    digest = sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False).decode()


def build_key(nonce: bytes) -> str:
    """Write ``Sec-WebSocket-Key`` (RFC 6455 §4.1, step 7).

    Args:
        nonce: 16 bytes of randomness, fresh for each connection.

    Returns:
        The header's value.

    Raises:
        UsageError: When the nonce does not have 16 bytes.

    Example:
        >>> build_key(b"the sample nonce")
        'dGhlIHNhbXBsZSBub25jZQ=='
    """
    if len(nonce) != 16:
        raise UsageError(f"the nonce of a WebSocket key has 16 bytes, not {len(nonce)}")
    return b2a_base64(nonce, newline=False).decode()


def render_headers(headers: HeadersLike) -> bytes:
    """Write headers once that go into many responses; see the ``extra`` argument of :func:`accept`.

    Args:
        headers: The headers.

    Returns:
        Their lines, without the empty line at the end.

    Raises:
        InvalidHeader: When a name or a value cannot be sent.

    Example:
        >>> render_headers({"Server": "duplexio"})
        b'Server: duplexio\\r\\n'
    """
    return Headers(headers).serialize()[:-2]


def accept(
    request: Request,
    *,
    origins: Origins = SAME_ORIGIN,
    extensions: Sequence[ServerExtensionFactory] = (),
    subprotocols: Sequence[str] | None = None,
    select_subprotocol: Callable[[Sequence[str]], str | None] | None = None,
    extra: bytes = b"",
    versions: Collection[str] = VERSIONS,
) -> Acceptance:
    """Accept a request to open a WebSocket, by the rules of RFC 6455 §4.2.

    Args:
        request: The request; what was parsed of it is forgotten again, see
            :meth:`.http11.Request.compact`.
        origins: Which origins are allowed; see :data:`Origins`.
        extensions: Factories of the supported extensions, in order of preference.
        subprotocols: Supported subprotocols, in order of preference. With them, a request that
            offers none of them is refused.
        select_subprotocol: Called with the offered subprotocols instead; returns one of them, or
            ``None`` to go on without, or raises ``NegotiationError`` to refuse.
        extra: Lines of further headers, from :func:`render_headers`.
        versions: Versions of the protocol that are spoken.

    Returns:
        The response and what was negotiated.

    Raises:
        InvalidMethod: The method is not GET (status 405).
        InvalidProtocol: The protocol is not HTTP/1.1 (505).
        InvalidUpgrade: The request does not ask for a WebSocket (426).
        InvalidHeader: A header of the handshake is missing or wrong (400; 426 for the version).
        InvalidOrigin: The origin is not allowed (403).
        NegotiationError: There is no common subprotocol (400).

    Example:
        >>> from duplexio.websocket.http11 import parse_request
        >>> request = parse_request(
        ...     b"GET /chat HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\n"
        ...     b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
        ...     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
        ... )
        >>> accept(request).response.headers["Sec-WebSocket-Accept"]
        's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    if request.method != "GET":
        raise InvalidMethod(request.method)
    if request.protocol != "HTTP/1.1":
        raise InvalidProtocol(request.protocol)
    fields = request.fields
    _check_upgrade(fields)
    version = fields.get("sec-websocket-version")
    if version not in versions:
        raise _unsupported_version(fields, versions)
    key = fields.get("sec-websocket-key")
    if key is None:
        raise InvalidHeader("Sec-WebSocket-Key")
    _check_key(key)
    if origins is not None:
        origin = fields.get("origin")
        if origin is None and version != "13":
            origin = fields.get("sec-websocket-origin")
        check_origin(origin, fields.get("host", ""), origins)

    chosen: list[Any] = []
    if extensions and "sec-websocket-extensions" in fields:
        offers = parse_extension(fields["sec-websocket-extensions"])
        accepted = _accept_extensions(offers, extensions, chosen)
        if accepted:
            extra += f"Sec-WebSocket-Extensions: {build_extension(accepted)}\r\n".encode()
    subprotocol = None
    if subprotocols or select_subprotocol is not None:
        value = fields.get("sec-websocket-protocol")
        offered = [] if value is None else parse_subprotocol(value)
        subprotocol = choose_subprotocol(offered, subprotocols or (), select_subprotocol)
        if subprotocol is not None:
            extra += f"Sec-WebSocket-Protocol: {subprotocol}\r\n".encode()
    request.compact()
    data = (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept_key(key).encode(), extra)
    )
    return Acceptance(data, subprotocol, chosen)


def choose_subprotocol(
    offered: Sequence[str],
    supported: Sequence[str],
    select: Callable[[Sequence[str]], str | None] | None = None,
) -> str | None:
    """Choose a subprotocol (RFC 6455 §4.2.2, step 5.5).

    Args:
        offered: What the client offers, in its order of preference.
        supported: What the server supports, in its order of preference, which decides.
        select: Decides instead; see ``select_subprotocol`` of :func:`accept`.

    Returns:
        The subprotocol, or ``None`` to go on without.

    Raises:
        NegotiationError: When there is none in common.
        UsageError: When ``select`` returns what was not offered.

    Example:
        >>> choose_subprotocol(["a", "b"], ["b", "a"])
        'b'
    """
    if select is not None:
        chosen = select(offered)
        if chosen is not None and chosen not in offered:
            raise UsageError(
                f"select_subprotocol returned {chosen!r}, which the client does not offer:"
                f" {', '.join(offered) or 'none'}"
            )
        return chosen
    if not offered:
        raise NegotiationError(f"missing subprotocol; expected one of {', '.join(supported)}")
    for subprotocol in supported:
        if subprotocol in offered:
            return subprotocol
    raise NegotiationError(f"invalid subprotocol; expected one of {', '.join(supported)}")


def reject(
    status: int, text: str, headers: HeadersLike = (), *, date: str | None = None
) -> Response:
    """Make a plain text response after which the connection closes.

    Args:
        status: The HTTP status.
        text: The body, for people.
        headers: Further headers.
        date: Value of the ``Date`` header, which RFC 9110 §6.6.1 wants from a server with a clock.

    Returns:
        The response.

    Example:
        >>> reject(404, "There is nothing here.\\n").headers["Content-Length"]
        '23'
    """
    body = text.encode(errors="backslashreplace")
    response_headers = Headers()
    if date is not None:
        response_headers["Date"] = date
    response_headers["Connection"] = "close"
    response_headers["Content-Length"] = str(len(body))
    response_headers["Content-Type"] = "text/plain; charset=utf-8"
    response_headers.update(headers)
    return Response(status, HTTPStatus(status).phrase, response_headers, body)


def rejection(
    exc: Exception, *, date: str | None = None, versions: Iterable[str] = VERSIONS
) -> Response:
    """Turn the exception of a failed handshake into the response for the client.

    Args:
        exc: What :func:`accept` or :func:`.http11.parse_request` raised. For one that is not the
            client's fault the response is 500 and does not tell what it was.
        date: Value of the ``Date`` header.
        versions: Versions of the protocol that are spoken.

    Returns:
        The response.

    Example:
        >>> rejection(InvalidMethod("POST")).status_code
        405
    """
    status = exc.status if isinstance(exc, ProtocolError) else None
    if status is None:
        return reject(
            500, "Failed to open a WebSocket connection: see the server's log.\n", date=date
        )
    text = f"Failed to open a WebSocket connection: {exc}.\n"
    headers: list[tuple[str, str]] = []
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET"))
    if status == HTTPStatus.UPGRADE_REQUIRED:
        # RFC 9110 §15.5.22 wants Upgrade here, and RFC 6455 §4.4 the versions.
        headers.append(("Upgrade", "websocket"))
        headers.append(("Sec-WebSocket-Version", ", ".join(versions)))
        if isinstance(exc, InvalidUpgrade):
            text += "\nThis address is for WebSockets; a browser cannot show it as a page.\n"
    return reject(status, text, headers, date=date)


class ClientHandshake:
    """The client's side of the opening handshake (RFC 6455 §4.1).

    Args:
        uri: Where to connect.
        key: The key, from :func:`build_key`.
        headers: Further headers. Those that are made here too (``Host``, ``Origin``,
            ``Authorization``, ``User-Agent``) take their place; subprotocols named in
            ``Sec-WebSocket-Protocol`` count as offered.
        origin: Value of the ``Origin`` header.
        subprotocols: Subprotocols to offer, in order of preference.
        extensions: Factories of the extensions to offer, in order of preference.
        user_agent: Value of the ``User-Agent`` header.

    Attributes:
        uri: The URI in its parts.
        key: The key.
        request: The request to send.

    Raises:
        InvalidURI: The URI is not valid.
        UsageError: A header or a subprotocol cannot be sent.

    Example:
        >>> handshake = ClientHandshake("ws://localhost/chat", build_key(bytes(16)))
        >>> handshake.request.path
        '/chat'
    """

    __slots__ = ("_factories", "_subprotocols", "key", "request", "uri")

    def __init__(
        self,
        uri: str | WebSocketURI,
        key: str,
        *,
        headers: HeadersLike = (),
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        extensions: Sequence[ClientExtensionFactory] = (),
        user_agent: str | None = None,
    ) -> None:
        self.uri = parse_uri(uri) if isinstance(uri, str) else uri
        self.key = key
        self._factories = extensions
        build_subprotocol(subprotocols or ())  # refuses what is not a list of tokens
        self._subprotocols = list(subprotocols or ())
        own = headers if isinstance(headers, Headers) else _to_headers(headers)
        for name in ("Sec-WebSocket-Key", "Sec-WebSocket-Extensions"):
            if name in own:
                raise UsageError(f"the header {name} is made by the handshake; remove yours")
        for value in own.get_all("Sec-WebSocket-Protocol"):
            for subprotocol in parse_subprotocol(value):
                if subprotocol not in self._subprotocols:
                    self._subprotocols.append(subprotocol)
        made = {
            "Host": self.uri.host_header,
            "User-Agent": user_agent,
            "Authorization": _authorization(self.uri),
            "Origin": origin,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Extensions": build_extension(
                [(factory.name, factory.get_request_params()) for factory in extensions]
            ),
            "Sec-WebSocket-Protocol": ", ".join(self._subprotocols),
        }
        result = Headers()
        for name, made_value in made.items():
            if name in own and name != "Sec-WebSocket-Protocol":
                if len(own.get_all(name)) > 1:
                    raise UsageError(f"there are several headers {name}; expected one")
                made_value = own[name]
            if made_value:
                result[name] = made_value
        done = {name.lower() for name in made}
        for name, value in own.raw_items():
            if name.lower() not in done:
                result[name] = value
        self.request = Request(self.uri.resource_name, result)

    def check_response(self, response: Response) -> Agreement:
        """Check the server's response by the rules of RFC 6455 §4.1.

        Args:
            response: The response.

        Returns:
            What was agreed on.

        Raises:
            InvalidStatus: The status is not 101.
            InvalidUpgrade: ``Upgrade`` or ``Connection`` is missing or wrong.
            InvalidHeader: Another header is missing, double or wrong.
            NegotiationError: An extension or a subprotocol was not offered.
        """
        if response.status_code != 101:
            raise InvalidStatus(response)
        headers = response.headers
        upgrade = ", ".join(headers.get_all("Upgrade"))
        if upgrade.lower() != "websocket":
            raise InvalidUpgrade("Upgrade", upgrade or None)
        connection = ", ".join(headers.get_all("Connection"))
        if not _has_token(parse_connection, connection, "upgrade"):
            raise InvalidUpgrade("Connection", connection or None)
        accept = _single(headers, "Sec-WebSocket-Accept")
        if accept is None:
            raise InvalidHeader("Sec-WebSocket-Accept")
        if accept != accept_key(self.key):
            raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)
        return Agreement(self._check_subprotocol(headers), self._check_extensions(headers))

    def _check_subprotocol(self, headers: Headers) -> str | None:
        subprotocol = _single(headers, "Sec-WebSocket-Protocol")
        if subprotocol is None or subprotocol in self._subprotocols:
            return subprotocol
        offered = ", ".join(self._subprotocols) or "none"
        raise NegotiationError(f"unsupported subprotocol: {subprotocol}; offered: {offered}")

    def _check_extensions(self, headers: Headers) -> list[Any]:
        chosen: list[Any] = []
        for value in headers.get_all("Sec-WebSocket-Extensions"):
            for name, params in parse_extension(value):
                chosen.append(self._check_extension(name, params, chosen))
        return chosen

    def _check_extension(
        self, name: str, params: list[ExtensionParameter], chosen: list[Any]
    ) -> Any:
        reasons = []
        for factory in self._factories:
            if factory.name == name:
                try:
                    return factory.process_response_params(params, chosen)
                except NegotiationError as exc:
                    reasons.append(str(exc))
        raise NegotiationError(
            f"unsupported extension: {build_extension([(name, params)])}"
            f" ({'; '.join(reasons) or 'not offered'})"
        )


def _check_upgrade(fields: Mapping[str, str]) -> None:
    """Check that the request asks for a WebSocket (RFC 6455 §4.2.1, items 3 and 4)."""
    upgrade = fields.get("upgrade", "")
    if upgrade.lower() != "websocket" and not _has_token(parse_upgrade, upgrade, "websocket"):
        raise InvalidUpgrade("Upgrade", upgrade or None)
    connection = fields.get("connection", "")
    if connection.lower() != "upgrade" and not _has_token(parse_connection, connection, "upgrade"):
        raise InvalidUpgrade("Connection", connection or None)


def _has_token(parse: Callable[[str], list[str]], value: str, token: str) -> bool:
    """Tell whether a list in a header has a token, without regard to case."""
    return value != "" and any(item.lower() == token for item in parse(value))


def _check_key(key: str) -> None:
    """Check that the key is base64 of 16 bytes (RFC 6455 §4.2.1, item 5).

    The bits that pad the last character may be set: they are in the RFC's own example.
    """
    try:
        if len(key) == 24 and len(a2b_base64(key, strict_mode=True)) == 16:
            return
    except (Base64Error, ValueError):
        pass
    raise InvalidHeaderValue("Sec-WebSocket-Key", f"{key[:40]}; expected 16 bytes in base64")


def _unsupported_version(fields: Mapping[str, str], versions: Collection[str]) -> InvalidHeader:
    version = fields.get("sec-websocket-version")
    if version is None:
        draft = "sec-websocket-key" not in fields
        return InvalidHeader(
            "Sec-WebSocket-Version",
            "missing, as in the drafts of 2010, which legacy=True would serve" if draft else None,
        )
    exc = InvalidHeaderValue(
        "Sec-WebSocket-Version", f"{version[:40]}; expected {' or '.join(versions)}"
    )
    # RFC 6455 §4.4: the answer names the versions that would do.
    exc.status = HTTPStatus.UPGRADE_REQUIRED.value
    return exc


def _accept_extensions(
    offers: list[ExtensionOffer], factories: Sequence[ServerExtensionFactory], chosen: list[Any]
) -> list[ExtensionOffer]:
    """Accept what the factories accept of the offers, in the client's order (RFC 6455 §9.1)."""
    accepted: list[ExtensionOffer] = []
    for name, params in offers:
        for factory in factories:
            if factory.name != name:
                continue
            try:
                answer, extension = factory.process_request_params(params, chosen)
            except NegotiationError:
                continue  # Declining an offer is the normal way to choose among them.
            accepted.append((name, answer))
            chosen.append(extension)
            break
    return accepted


def _single(headers: Headers, name: str) -> str | None:
    """Return the value of a header that may be there once (RFC 6455 §11.3)."""
    values = headers.get_all(name)
    if len(values) > 1:
        raise InvalidHeader(name, f"multiple values: {', '.join(values)}")
    return values[0] if values else None


def _authorization(uri: WebSocketURI) -> str | None:
    return None if uri.user_info is None else build_authorization_basic(*uri.user_info)


def _to_headers(headers: HeadersLike) -> Headers:
    """Make headers of what the application gave, with its mistakes as usage errors."""
    try:
        return Headers(headers)
    except InvalidHeader as exc:
        raise UsageError(f"a header of the request cannot be sent: {exc}") from exc
