"""WebSocket URIs (RFC 6455 §3)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from .exceptions import InvalidURI

__all__ = ["WebSocketURI", "parse_uri"]

# gen-delims and sub-delims of RFC 3986 §2.2, and the percent sign of what is encoded already.
_DELIMITERS = ":/?#[]@!$&'()*+,;=%"

_is_port = re.compile(r"[0-9]{1,5}").fullmatch
# reg-name of RFC 3986 §3.2.2, which also holds IPv4 addresses.
_is_name = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+").fullmatch
_has_space_or_control = re.compile(r"[\x00-\x20\x7f]").search


@dataclass(slots=True)
class WebSocketURI:
    """A WebSocket URI in its parts.

    Attributes:
        secure: Whether it is a ``wss`` URI.
        host: Host in lower case; an IPv6 address without brackets.
        port: Port, also where it is the default one.
        path: Path, percent-encoded; may be empty.
        query: Query, percent-encoded, without the question mark; may be empty.
        username: User name, decoded, if there is one.
        password: Password, decoded, if there is a user name.
    """

    secure: bool
    host: str
    port: int
    path: str
    query: str
    username: str | None = None
    password: str | None = None

    @property
    def resource_name(self) -> str:
        """What the request asks for: the path, ``/`` when it is empty, and the query."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or ``None``."""
        if self.username is None:
            return None
        return self.username, self.password or ""

    @property
    def host_header(self) -> str:
        """Value of the ``Host`` header: the port is left out where it is the default one."""
        return build_host(self.host, self.port, 443 if self.secure else 80)

    def __str__(self) -> str:
        """Return the URI without credentials, which do not belong in messages."""
        return f"{'wss' if self.secure else 'ws'}://{self.host_header}{self.resource_name}"


def parse_uri(uri: str) -> WebSocketURI:
    """Parse a WebSocket URI (RFC 6455 §3).

    An IRI is accepted too: its host is converted by IDNA, the rest is percent-encoded.

    Args:
        uri: The URI, such as ``"wss://user:password@example.com:8443/chat?room=1"``.

    Returns:
        Its parts.

    Raises:
        InvalidURI: When it is not a WebSocket URI; the message says why.

    Example:
        >>> parsed = parse_uri("wss://example.com/chat?room=1")
        >>> parsed.host, parsed.port, parsed.resource_name
        ('example.com', 443, '/chat?room=1')
    """
    scheme, host, port, username, password, path, query, fragment = split_uri(uri, InvalidURI)
    if scheme not in ("ws", "wss"):
        raise InvalidURI(uri, "the scheme isn't ws or wss")
    if fragment or "#" in uri:
        # "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be
        # used on these URIs" (RFC 6455 §3).
        raise InvalidURI(uri, "a fragment is meaningless; write %23 for a '#' in the path")
    secure = scheme == "wss"
    if port is None:
        port = 443 if secure else 80
    return WebSocketURI(secure, host, port, path, query, username, password)


def build_host(host: str, port: int, default_port: int | None = None) -> str:
    """Write a host and a port as one, for ``Host`` headers and URIs (RFC 3986 §3.2).

    Args:
        host: Name or address; an IPv6 address gets its brackets and loses its zone, which means
            nothing to anybody else (RFC 6874 §4).
        port: The port.
        default_port: The port that is left out; ``None`` leaves out none.

    Returns:
        The text.

    Example:
        >>> build_host("::1", 8080), build_host("localhost", 80, 80)
        ('[::1]:8080', 'localhost')
    """
    if ":" in host:
        host = f"[{host.partition('%')[0]}]"
    return host if port == default_port else f"{host}:{port}"


def split_uri(
    uri: str, error: type[Exception]
) -> tuple[str, str, int | None, str | None, str | None, str, str, str]:
    """Split a URI with an authority into its parts, checked and normalized.

    Args:
        uri: The URI.
        error: What to raise, made from the URI and a message.

    Returns:
        Scheme, host, port, user name, password, path, query and fragment.

    Raises:
        Exception: The error given.
    """
    # urlsplit() would silently remove some of these, and then check another URI than was given.
    if match := _has_space_or_control(uri):
        raise error(uri, f"character {match[0]!r} at {match.start()} must be percent-encoded")
    try:
        parts = urlsplit(uri)
    except ValueError as exc:
        raise error(uri, str(exc)) from None
    userinfo, at, authority = parts.netloc.rpartition("@")
    host, port = _split_authority(uri, authority, error)
    username = password = None
    if at:
        name, colon, secret = userinfo.partition(":")
        if not colon:
            raise error(uri, "there is a user name and no password")
        try:
            username, password = unquote(name, errors="strict"), unquote(secret, errors="strict")
        except UnicodeDecodeError:
            raise error(uri, "the user name or password isn't UTF-8") from None
    path, query = parts.path, parts.query
    if not uri.isascii():
        path, query = quote(path, safe=_DELIMITERS), quote(query, safe=_DELIMITERS)
    return parts.scheme, host, port, username, password, path, query, parts.fragment


def _split_authority(uri: str, authority: str, error: type[Exception]) -> tuple[str, int | None]:
    """Split ``host[:port]``; return the host in lower case and the port, if there is one."""
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        host = host.replace("%25", "%")  # before a zone (RFC 6874 §2)
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise error(uri, f"{host!r} isn't an IPv6 address") from None
        if not bracket or (rest and not rest.startswith(":")):
            raise error(uri, f"{authority!r} isn't an IPv6 address in brackets and a port")
        port = rest[1:]
    else:
        host, _, port = authority.partition(":")
        if not host:
            raise error(uri, "there is no host")
        if not host.isascii():
            try:
                host = host.encode("idna").decode()
            except UnicodeError as exc:
                raise error(uri, f"{host!r} isn't a valid domain name: {exc}") from None
        if not _is_name(host):
            raise error(uri, f"{host!r} isn't a valid host")
    host = host.lower()
    if not port:
        return host, None
    if not _is_port(port) or not 0 < int(port) < 65536:
        raise error(uri, f"{port!r} isn't a port; expected 1 to 65535")
    return host, int(port)
