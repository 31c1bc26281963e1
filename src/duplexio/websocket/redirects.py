"""Redirects of the opening handshake: where they lead, and whether it is safe to follow.

RFC 6455 §4.1 leaves it to the client to follow them. A redirect that leaves TLS is not followed,
and credentials are not taken to another origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from ..errors import UsageError
from .exceptions import SecurityError
from .headers import Headers, HeadersLike
from .http11 import Response
from .uri import WebSocketURI, parse_uri

__all__ = ["MAX_REDIRECTS", "redirect_target", "redirected_headers"]

#: Redirects that are followed, one after the other.
MAX_REDIRECTS = 10

_STATUSES = frozenset((300, 301, 302, 303, 307, 308))
_CREDENTIALS = frozenset(("authorization", "cookie", "proxy-authorization"))


def redirect_target(uri: str, response: Response, arguments: Mapping[str, Any]) -> str | None:
    """Tell where a response redirects to.

    Args:
        uri: What was asked for.
        response: The response.
        arguments: Those of the event loop's ``create_connection``.

    Returns:
        The new URI; ``http`` and ``https`` in it stand for ``ws`` and ``wss``. ``None`` when the
        response is no redirect.

    Raises:
        InvalidURI: When the new URI is not valid.
        SecurityError: When it would leave TLS.
        UsageError: When ``sock``, ``host``, ``port`` or a Unix socket say where to connect to, and
            the redirect leads elsewhere.

    Example:
        >>> response = Response(302, "Found", {"Location": "/new"})
        >>> redirect_target("ws://localhost/old", response, {})
        'ws://localhost/new'
    """
    location = response.headers.get_all("Location")
    if response.status_code not in _STATUSES or len(location) != 1:
        return None
    target = urljoin(uri, location[0])
    scheme, colon, rest = target.partition(":")
    if colon and scheme.lower() in ("http", "https"):
        target = ("wss:" if scheme.lower() == "https" else "ws:") + rest
    old, new = parse_uri(uri), parse_uri(target)
    if arguments.get("sock") is not None:
        raise UsageError(f"cannot follow the redirect to {new}: the socket given is used up")
    if old.secure and not new.secure:
        raise SecurityError(f"refused to follow the redirect to {new}: it would leave TLS")
    if not _same_origin(old, new):
        for name in ("unix", "host", "port"):
            if arguments.get(name):
                raise UsageError(
                    f"cannot follow the redirect to {new}, of another origin: the argument"
                    f" {name!r} says where to connect to"
                )
    return target


def redirected_headers(uri: str, target: str, headers: HeadersLike | None) -> HeadersLike | None:
    """Return the additional headers for a redirect: without credentials for another origin.

    Args:
        uri: What was asked for.
        target: Where the redirect leads.
        headers: The additional headers so far.

    Returns:
        The headers to send.
    """
    if headers is None or _same_origin(parse_uri(uri), parse_uri(target)):
        return headers
    kept = Headers()
    for name, value in Headers(headers).raw_items():
        if name.lower() not in _CREDENTIALS:
            kept[name] = value
    return kept


def _same_origin(one: WebSocketURI, other: WebSocketURI) -> bool:
    return (one.secure, one.host, one.port) == (other.secure, other.host, other.port)
