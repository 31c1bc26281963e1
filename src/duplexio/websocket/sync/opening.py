"""The opening handshake of the blocking API, with websocket-client's options, and redirects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ..body import BodyReader
from ..deflate import PerMessageDeflate, client_extensions
from ..exceptions import InvalidStatus, InvalidURI
from ..handshake import ClientHandshake, build_key
from ..headers import Headers
from ..http11 import Response, parse_response
from ..redirects import redirect_target, redirected_headers
from ..uri import WebSocketURI, build_host, parse_uri
from .connecting import SocketOptions, choose_proxy, open_socket
from .cookies import COOKIES
from .exceptions import (
    WebSocketArgumentException,
    WebSocketBadStatusException,
    WebSocketException,
    WebSocketTimeoutException,
    WebSocketURLException,
)
from .head import READ_SIZE, read_head, receive_some
from .trace import trace
from .transport import Transport, make_transport

__all__ = ["HandshakeResponse", "Opened", "open_websocket", "parse_url"]

#: Redirects that are followed, unless ``redirect_limit`` says otherwise.
REDIRECT_LIMIT = 3

_REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


@dataclass(slots=True)
class HandshakeResponse:
    """The server's answer to the handshake.

    Attributes:
        status: HTTP status: 101.
        headers: The headers; names in lower case, values of the same name joined.
        subprotocol: The chosen subprotocol, if any.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    subprotocol: str | None = None


@dataclass(slots=True)
class Opened:
    """An open WebSocket.

    Attributes:
        transport: Its bytes.
        response: The server's answer.
        deflate: The negotiated permessage-deflate extension, if any.
        rest: Bytes that came behind the answer.
    """

    transport: Transport
    response: HandshakeResponse
    deflate: PerMessageDeflate | None
    rest: bytes


def parse_url(url: str) -> WebSocketURI:
    """Parse the URL of a WebSocket.

    Args:
        url: The URL.

    Returns:
        Its parts.

    Raises:
        WebSocketURLException: It is not one; also a :exc:`ValueError`.
    """
    try:
        return parse_uri(url)
    except InvalidURI as exc:
        raise WebSocketURLException(exc.uri, exc.msg) from None


def open_websocket(url: str, settings: SocketOptions, options: Mapping[str, Any]) -> Opened:
    """Connect and shake hands, following redirects.

    Args:
        url: Where to.
        settings: How to make the socket.
        options: The other options of :meth:`.core.WebSocket.connect`.

    Returns:
        The open WebSocket.

    Raises:
        Exception: As :meth:`.core.WebSocket.connect`.
    """
    prepared = options.get("socket")
    for _ in range(options.get("redirect_limit", REDIRECT_LIMIT) + 1):
        uri = parse_url(url)
        sock = prepared or open_socket(
            uri, settings, choose_proxy(uri, options), options.get("http_proxy_timeout")
        )
        prepared = None
        transport = make_transport(sock, settings.timeout)
        try:
            opened = _shake_hands(transport, uri, settings.timeout, options)
        except BaseException:
            transport.close()
            raise
        if isinstance(opened, Opened):
            return opened
        transport.close()
        url, options = _redirected(url, opened, options)
    raise WebSocketException("Redirect limit exhausted")


def _shake_hands(
    transport: Transport, uri: WebSocketURI, timeout: float | None, options: Mapping[str, Any]
) -> Opened | Response:
    """Send the request and check the response; return that when it is a redirect."""
    handshake = _make_handshake(uri, options)
    request = handshake.request.serialize()
    trace.block("request header", request.decode("latin-1"))
    view = memoryview(request)
    try:
        while view:
            view = view[transport.send(view) :]
    except TimeoutError as exc:
        raise WebSocketTimeoutException("Connection timed out") from exc
    head, rest = read_head(transport, timeout)
    response = parse_response(head)
    trace.block("response header", head.decode("latin-1"))
    COOKIES.add(uri.host, response.headers.get_all("Set-Cookie"))
    if response.status_code in _REDIRECTS:
        return response
    try:
        agreement = handshake.check_response(response)
    except InvalidStatus as exc:
        raise _bad_status(transport, response, rest) from exc
    deflate = agreement.extensions[0] if agreement.extensions else None
    answer = HandshakeResponse(
        response.status_code, _plain_headers(response.headers), agreement.subprotocol
    )
    return Opened(transport, answer, deflate, rest)


def _make_handshake(uri: WebSocketURI, options: Mapping[str, Any]) -> ClientHandshake:
    """Make the request from the options that describe it."""
    headers = _own_headers(options.get("header"))
    key = build_key(os.urandom(16))
    if "Sec-WebSocket-Key" in headers:
        key = headers["Sec-WebSocket-Key"]
        del headers["Sec-WebSocket-Key"]
    if "Sec-WebSocket-Extensions" in headers:
        # Copied from a browser, most often. What is offered has to be what can be spoken.
        del headers["Sec-WebSocket-Extensions"]
    if "Host" not in headers and options.get("host"):
        headers["Host"] = options["host"]
    if connection := options.get("connection"):
        name, _, value = connection.partition(":")
        if "Connection" not in headers:
            headers[name.strip()] = value.strip()
    own = [value for value in (COOKIES.get(uri.host), options.get("cookie")) if value]
    if own:
        values = [*headers.get_all("Cookie"), *own]
        if "Cookie" in headers:
            del headers["Cookie"]
        headers["Cookie"] = "; ".join(values)
    origin = None
    if not options.get("suppress_origin"):
        # websocket-client leaves out both default ports, whatever the scheme.
        host = uri.host_header if uri.port not in (80, 443) else build_host(uri.host, 0, 0)
        origin = options.get("origin") or f"{'https' if uri.secure else 'http'}://{host}"
    handshake = ClientHandshake(
        uri,
        key,
        headers=headers,
        origin=origin,
        subprotocols=options.get("subprotocols"),
        extensions=client_extensions(options.get("compression", "deflate")),
    )
    if options.get("suppress_host"):
        del handshake.request.headers["Host"]
    return handshake


def _own_headers(header: Any) -> Headers:
    """Read the option ``header``: a dictionary, or a list of lines."""
    if isinstance(header, Headers):
        return header.copy()
    if callable(header):
        header = header()
    if isinstance(header, Mapping):
        pairs = [(name, value) for name, value in header.items() if value is not None]
    else:
        pairs = []
        for line in header or ():
            name, colon, value = line.partition(":")
            if not colon:
                raise WebSocketArgumentException(
                    f"header {line!r} has no colon; expected 'Name: value'"
                )
            pairs.append((name.strip(), value.strip()))
    headers = Headers()
    for name, value in pairs:
        # Headers are Latin-1 by their standard and UTF-8 in practice.
        headers[name] = str(value).encode().decode("latin-1")
    return headers


def _bad_status(
    transport: Transport, response: Response, rest: bytes
) -> WebSocketBadStatusException:
    """Make the exception for a refusal, with as much of the reason as the server gives in time."""
    body: bytes | None = None
    try:
        reader = BodyReader(response)
        reader.feed(rest)
        # A body without a length ends with the connection, which may be never.
        announced = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
        if announced:
            buffer = bytearray(READ_SIZE)
            while not reader.done:
                reader.feed(buffer[: receive_some(transport, buffer, READ_SIZE)])
        body = bytes(reader.body) if announced else None
    except (WebSocketException, OSError) as exc:
        trace.message(f"the body of the response cannot be read: {exc}")
    headers = _plain_headers(response.headers)
    text = body.decode(errors="replace") if body else None
    status, phrase = response.status_code, response.reason_phrase
    return WebSocketBadStatusException(
        f"Handshake status {status} {phrase} -+-+- {headers} -+-+- {text}",
        status,
        phrase,
        headers,
        body,
    )


def _plain_headers(headers: Headers) -> dict[str, str]:
    return {
        name: ("; " if name == "set-cookie" else ", ").join(headers.get_all(name))
        for name in headers
    }


def _redirected(
    url: str, response: Response, options: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Return where a redirect leads, and the options to use there."""
    try:
        target = redirect_target(url, response, {})
    except InvalidURI as exc:
        raise WebSocketException(f"Invalid redirect target: {exc}") from exc
    if target is None:
        raise WebSocketException(
            f"Redirect response without Location header, status {response.status_code}"
        )
    old, new = parse_url(url), parse_url(target)
    if (old.host, old.port) == (new.host, new.port):
        return target, options
    # What was meant for one server must not get to another.
    headers = redirected_headers(url, target, _own_headers(options.get("header")))
    return target, {**options, "header": headers, "cookie": None, "host": None}
