"""Proxies to connect through: their addresses, which of them to use, and how to ask them.

HTTP proxies are asked with CONNECT (RFC 9110 §9.3.6); for SOCKS this module has the addresses only.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from .exceptions import (
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    SecurityError,
)
from .headers import Headers, build_authorization_basic
from .http11 import parse_response
from .uri import WebSocketURI, build_host, split_uri

__all__ = ["Proxy", "build_connect_request", "check_connect_response", "get_proxy", "parse_proxy"]

# The default ports that curl uses.
_DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


@dataclass(slots=True)
class Proxy:
    """The address of a proxy.

    Attributes:
        scheme: ``"http"`` or ``"https"`` (CONNECT), ``"socks4"``, ``"socks4a"``, ``"socks5"`` or
            ``"socks5h"``. With the forms in ``a`` and ``h`` the proxy resolves the host's name.
        host: Host in lower case; an IPv6 address without brackets.
        port: Port, also where it is the default one.
        username: User name, if there is one.
        password: Password, if there is a user name.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or ``None``."""
        if self.username is None:
            return None
        return self.username, self.password or ""


def parse_proxy(proxy: str) -> Proxy:
    """Parse the address of a proxy.

    Args:
        proxy: The address, such as ``"http://user:password@proxy.example:3128"``.

    Returns:
        Its parts.

    Raises:
        InvalidProxy: When it is not the address of a proxy of a kind that is supported.

    Example:
        >>> parse_proxy("socks5h://localhost")
        Proxy(scheme='socks5h', host='localhost', port=1080, username=None, password=None)
    """
    scheme, host, port, username, password, path, query, fragment = split_uri(proxy, InvalidProxy)
    default_port = _DEFAULT_PORTS.get(scheme)
    if default_port is None:
        raise InvalidProxy(
            proxy, f"scheme {scheme!r} isn't supported; expected one of {', '.join(_DEFAULT_PORTS)}"
        )
    if path not in ("", "/") or query or fragment:
        raise InvalidProxy(proxy, "a path, query or fragment is meaningless")
    return Proxy(scheme, host, default_port if port is None else port, username, password)


def _names_proxies(schemes: tuple[str, ...]) -> bool:
    """Return whether the environment may name a proxy.

    ``getproxies`` decodes all of the environment, which takes longer than the rest of a handshake.
    """
    names = (f"{scheme}_proxy" for scheme in schemes)
    return any(os.getenv(name) or os.getenv(name.upper()) for name in names)


def get_proxy(uri: WebSocketURI) -> str | None:
    """Choose the proxy that the environment or the system names for a URI.

    Variables are ``ws_proxy`` or ``wss_proxy``, then ``socks_proxy``, then ``https_proxy``, and
    for ``ws`` also ``http_proxy``, in lower or upper case; ``no_proxy`` lists exceptions. RFC 6455
    §4.1 prefers SOCKS, then the proxy for HTTPS.

    Args:
        uri: Where to connect.

    Returns:
        The proxy's address, or ``None`` to connect directly.

    Example:
        >>> from .uri import parse_uri
        >>> get_proxy(parse_uri("ws://localhost/"))
    """
    schemes = ("wss", "socks", "https") if uri.secure else ("ws", "socks", "https", "http")
    if sys.platform not in ("darwin", "win32") and not _names_proxies(schemes):
        return None
    # Imported here since it takes longer to import than all of this package.
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    for scheme in schemes:
        proxy = proxies.get(scheme)
        if not proxy:
            continue
        if proxy_bypass(build_host(uri.host, uri.port)):
            return None
        # macOS and Windows give the address of the system's SOCKS proxy as an HTTP URI.
        if scheme == "socks" and proxy.startswith("http://"):
            return "socks5h://" + proxy.removeprefix("http://")
        return proxy
    return None


def build_connect_request(
    proxy: Proxy, uri: WebSocketURI, *, user_agent: str | None = None
) -> bytes:
    """Write the request that asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6).

    Args:
        proxy: The proxy, whose credentials are sent to it.
        uri: Where the tunnel is to lead.
        user_agent: Value of the ``User-Agent`` header; ``None`` sends none.

    Returns:
        The request's bytes.

    Example:
        >>> from .uri import parse_uri
        >>> proxy = parse_proxy("http://localhost:3128")
        >>> build_connect_request(proxy, parse_uri("wss://example.com/chat"))
        b'CONNECT example.com:443 HTTP/1.1\\r\\nHost: example.com:443\\r\\n\\r\\n'
    """
    target = build_host(uri.host, uri.port)
    headers = Headers(Host=target)
    if user_agent is not None:
        headers["User-Agent"] = user_agent
    if proxy.user_info is not None:
        headers["Proxy-Authorization"] = build_authorization_basic(*proxy.user_info)
    return f"CONNECT {target} HTTP/1.1\r\n".encode() + headers.serialize()


def check_connect_response(head: bytes) -> None:
    """Check an HTTP proxy's answer; after it the tunnel's bytes begin.

    Args:
        head: The head of the response, up to and including the empty line.

    Raises:
        InvalidProxyMessage: When it is malformed.
        InvalidProxyStatus: When the proxy refuses.
    """
    try:
        response = parse_response(head, allow_http10=True)
    except (InvalidMessage, SecurityError) as exc:
        raise InvalidProxyMessage(f"did not receive a valid response of the proxy: {exc}") from exc
    if not 200 <= response.status_code < 300:
        raise InvalidProxyStatus(response)
