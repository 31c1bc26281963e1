"""Connecting: TCP with its options, proxies, TLS.

Names and defaults are websocket-client's: options are dictionaries that the functions of the API
pass on, and the environment is asked for proxies the way that it asks.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from errno import ECONNREFUSED, ENETUNREACH
from typing import Any

from ..exceptions import InvalidProxy, ProxyError
from ..proxy import Proxy, build_connect_request, check_connect_response, parse_proxy
from ..uri import WebSocketURI
from .exceptions import (
    ConnectTimeout,
    WebSocketAddressException,
    WebSocketException,
    WebSocketProxyException,
)
from .head import read_head
from .tls import wrap_tls
from .trace import trace
from .transport import SocketTransport

__all__ = [
    "DEFAULT_SOCKET_OPTION",
    "SocketOptions",
    "choose_proxy",
    "getdefaulttimeout",
    "open_socket",
    "setdefaulttimeout",
]

SocketOption = Sequence[Any]

#: Set on every socket: no waiting for more to send, and probes that find out about a dead network
#: after a minute (30 s idle, 3 probes 10 s apart).
DEFAULT_SOCKET_OPTION: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]

#: Seconds that a SOCKS proxy has to connect, when neither ``http_proxy_timeout`` nor ``timeout``
#: says otherwise.
PROXY_TIMEOUT = 60

_default_timeout: float | None = None


def setdefaulttimeout(timeout: float | None) -> None:
    """Set the timeout of connections that are not given one.

    Args:
        timeout: Seconds; ``None`` for none.
    """
    global _default_timeout
    _default_timeout = timeout


def getdefaulttimeout() -> float | None:
    """Return what :func:`setdefaulttimeout` has set: seconds, or ``None``."""
    return _default_timeout


@dataclass(slots=True)
class SocketOptions:
    """How to make the socket.

    Attributes:
        sockopt: Arguments of ``setsockopt``, set after :data:`DEFAULT_SOCKET_OPTION`.
        sslopt: Options of TLS; see :func:`.tls.wrap_tls`.
        timeout: Seconds that connecting, reading and writing may take; ``None`` for ever.
    """

    sockopt: Sequence[SocketOption] = ()
    sslopt: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None


def open_socket(
    uri: WebSocketURI, options: SocketOptions, proxy: Proxy | None, proxy_timeout: float | None
) -> socket.socket:
    """Connect to where a URI leads, through TCP, a proxy and TLS as needed.

    Args:
        uri: Where to.
        options: How.
        proxy: The proxy to go through, if any.
        proxy_timeout: Seconds that a SOCKS proxy has; ``None`` for the default.

    Returns:
        The socket, with the timeout of the options.

    Raises:
        WebSocketAddressException: The host's name cannot be resolved.
        WebSocketProxyException: The proxy cannot or will not do it.
        OSError: The system's reason why there is no connection.
    """
    if proxy is None:
        sock = _connect_tcp(uri.host, uri.port, options)
    elif proxy.scheme == "http":
        sock = _connect_tcp(proxy.host, proxy.port, options)
    else:
        sock = _connect_socks(proxy, uri, options, proxy_timeout)
    try:
        if proxy is not None and proxy.scheme == "http":
            _open_tunnel(sock, proxy, uri)
        if uri.secure:
            return wrap_tls(sock, uri.host, options.sslopt)
        return sock
    except BaseException:
        sock.close()
        raise


def _connect_tcp(host: str, port: int, options: SocketOptions) -> socket.socket:
    try:
        addresses = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (socket.gaierror, UnicodeError) as exc:
        raise WebSocketAddressException(exc) from exc
    refused: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(options.timeout)
            _set_options(sock, options)
            sock.connect(address)
            return sock
        except OSError as exc:
            sock.close()
            # The next address of the same host may well answer.
            if exc.errno in (ECONNREFUSED, ENETUNREACH):
                refused = exc
                continue
            if isinstance(exc, TimeoutError):
                raise ConnectTimeout(f"connecting to {host}:{port} timed out") from exc
            raise
        except BaseException:
            sock.close()
            raise
    assert refused is not None  # getaddrinfo() returns one address or more
    raise refused


def _set_options(sock: socket.socket, options: SocketOptions) -> None:
    for option in (*DEFAULT_SOCKET_OPTION, *options.sockopt):
        sock.setsockopt(*option)


def _connect_socks(
    proxy: Proxy, uri: WebSocketURI, options: SocketOptions, proxy_timeout: float | None
) -> socket.socket:
    # Imported here: few programs need it.
    from python_socks import ProxyConnectionError, ProxyTimeoutError, ProxyType
    from python_socks import ProxyError as SocksError
    from python_socks.sync import Proxy as SocksProxy

    kind = ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5
    connector = SocksProxy(
        kind,
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        # With the schemes in a and h the proxy resolves the name.
        rdns=proxy.scheme in ("socks4a", "socks5h"),
    )
    timeout = next(
        (value for value in (proxy_timeout, options.timeout) if value is not None), PROXY_TIMEOUT
    )
    try:
        sock = connector.connect(uri.host, uri.port, timeout=timeout)
    except (SocksError, ProxyConnectionError, ProxyTimeoutError) as exc:
        raise WebSocketProxyException(f"{proxy.scheme} proxy {proxy.host}: {exc}") from exc
    except socket.gaierror as exc:
        raise WebSocketAddressException(exc) from exc
    try:
        sock.settimeout(options.timeout)
        _set_options(sock, options)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_tunnel(sock: socket.socket, proxy: Proxy, uri: WebSocketURI) -> None:
    """Ask an HTTP proxy for a tunnel."""
    request = build_connect_request(proxy, uri)
    trace.block("request header", request.decode("latin-1"))
    try:
        sock.sendall(request)
        head, rest = read_head(SocketTransport(sock), sock.gettimeout())
        check_connect_response(head)
    except (OSError, WebSocketException) as exc:
        status = getattr(getattr(exc, "response", None), "status_code", None)
        if status is not None:
            raise WebSocketProxyException(f"failed CONNECT via proxy status: {status}") from exc
        raise WebSocketProxyException(str(exc)) from exc
    assert not rest  # a plain socket is read up to the end of the head


def choose_proxy(uri: WebSocketURI, options: Mapping[str, Any]) -> Proxy | None:
    """Choose the proxy, from the options or else from the environment.

    The environment's variables are ``http_proxy`` for ``ws`` and ``https_proxy`` for ``wss``, in
    lower or upper case, and ``no_proxy``.

    Args:
        uri: Where to connect.
        options: ``http_proxy_host``, ``http_proxy_port``, ``http_proxy_auth`` (name and
            password), ``http_no_proxy`` (hosts) and ``proxy_type`` (``http``, ``socks4``,
            ``socks4a``, ``socks5`` or ``socks5h``).

    Returns:
        The proxy, or ``None`` to connect directly.

    Raises:
        WebSocketProxyException: The options, or the environment, name a proxy that cannot be used.
    """
    if _is_exempt(uri.host, options.get("http_no_proxy")):
        return None
    host = options.get("http_proxy_host")
    if host:
        scheme = options.get("proxy_type") or "http"
        if scheme not in ("http", "socks4", "socks4a", "socks5", "socks5h"):
            raise WebSocketProxyException(
                f"Only http, socks4, socks5 proxy protocols are supported, not {scheme!r}:"
                " proxy_type can be http, socks4, socks4a, socks5 or socks5h"
            )
        port = int(options.get("http_proxy_port") or 0)
        if not port:
            raise WebSocketProxyException("Cannot use port 0 when proxy_host specified")
        name, password = (*(options.get("http_proxy_auth") or ()), None, None)[:2]
        return Proxy(scheme, host, port, name or None, (password or "") if name else None)
    address = _proxy_of_environment(uri)
    if not address:
        return None
    try:
        proxy = parse_proxy(address if "://" in address else f"http://{address}")
    except (InvalidProxy, ProxyError) as exc:
        raise WebSocketProxyException(str(exc)) from exc
    if proxy.scheme == "https":
        raise WebSocketProxyException(
            f"the proxy {address} is to be spoken to over TLS, which the blocking API cannot do;"
            " use an http:// or socks5h:// proxy, or the asyncio API"
        )
    return proxy


def _proxy_of_environment(uri: WebSocketURI) -> str:
    name = "https_proxy" if uri.secure else "http_proxy"
    value = os.environ.get(name)
    # To a CGI program, HTTP_PROXY is the request's header Proxy, which anybody can send.
    if value is None and not (name == "http_proxy" and "REQUEST_METHOD" in os.environ):
        value = os.environ.get(name.upper())
    return (value or "").replace(" ", "")


def _is_exempt(host: str, no_proxy: Sequence[str] | str | None) -> bool:
    """Tell whether a host is one of those that are connected to without a proxy."""
    if isinstance(no_proxy, str):
        no_proxy = no_proxy.split(",")
    if not no_proxy:
        no_proxy = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    entries = [entry.strip().lower() for entry in no_proxy if entry.strip()]
    if "*" in entries or host in entries:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domains = (entry.lstrip(".") for entry in entries)
        return any(host == domain or host.endswith("." + domain) for domain in domains)
    return any(address in network for entry in entries if (network := _network_of(entry)))


def _network_of(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
