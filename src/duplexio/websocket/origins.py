"""Which pages may connect: the Origin of a request (RFC 6454, RFC 6455 §10.2).

A browser lets any page open a WebSocket to any server, with the user's cookies, and says in the
``Origin`` header which page it is. The server is the one to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..errors import UsageError
from .exceptions import InvalidOrigin

__all__ = ["SAME_ORIGIN", "Origins", "check_origin"]

#: Allow requests without an Origin, and those from pages of the same host and port.
SAME_ORIGIN: Final = "same-origin"

#: Which origins a server allows: :data:`SAME_ORIGIN`; ``None`` for all; or a list of origins
#: (``"https://example.com"``, or ``"null"`` for pages opened from disk), of regular expressions
#: that match all of an origin, and of ``None`` for requests without an Origin.
Origins = str | Sequence[str | re.Pattern[str] | None] | None

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def check_origin(origin: str | None, host: str, origins: Origins) -> None:
    """Check that a page of some origin may connect (RFC 6455 §10.2).

    Args:
        origin: Value of the ``Origin`` header; ``None`` when there is none, as from programs that
            are not browsers.
        host: Value of the ``Host`` header.
        origins: Which origins are allowed; see :data:`Origins`.

    Raises:
        InvalidOrigin: When it may not; the message names the setting that would allow it.
        UsageError: When ``origins`` is a string other than :data:`SAME_ORIGIN`.

    Example:
        >>> check_origin("https://example.com", "example.com", SAME_ORIGIN)
        >>> check_origin("null", "example.com", ["null"])
    """
    if origins is None:
        return
    if isinstance(origins, str):
        if origins != SAME_ORIGIN:
            raise UsageError(
                f"origins is the string {origins!r}; expected a list of origins, None to allow all,"
                f" or {SAME_ORIGIN!r}"
            )
        if origin is not None and not _same_host(origin, host):
            raise InvalidOrigin(
                origin,
                f"this server, {host!r}, allows its own pages only;"
                f" origins=[{origin!r}] would allow this one{_null_hint(origin)}",
            )
        return
    for allowed in origins:
        if allowed == origin:
            return
        if isinstance(allowed, re.Pattern) and origin is not None and allowed.fullmatch(origin):
            return
    raise InvalidOrigin(
        origin, f"adding {origin!r} to the server's origins would allow it{_null_hint(origin)}"
    )


def _same_host(origin: str, host: str) -> bool:
    """Tell whether an origin names the host and port of a ``Host`` header.

    The scheme does not count: behind a proxy that ends TLS, pages are ``https`` and this server
    sees plain requests. For the same reason a Host without a port stands for 80 and for 443.
    """
    scheme, _, authority = origin.lower().partition("://")
    default_port = _DEFAULT_PORTS.get(scheme)
    if default_port is None or not authority:
        return False
    host = host.lower()
    if authority == host:
        return True
    origin_name, origin_port = _split_port(authority)
    host_name, host_port = _split_port(host)
    if origin_name != host_name:
        return False
    if host_port:
        return (origin_port or default_port) == host_port
    return origin_port in ("", "80", "443")


def _split_port(authority: str) -> tuple[str, str]:
    """Split ``host[:port]``; the colons of an IPv6 address are inside its brackets."""
    if authority.endswith("]"):
        return authority, ""
    name, colon, port = authority.rpartition(":")
    return (name, port) if colon else (authority, "")


def _null_hint(origin: str | None) -> str:
    return " ('null' is what pages opened from disk send)" if origin == "null" else ""
