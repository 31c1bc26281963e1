"""Open the transport of a client: directly, over a Unix socket, or through a proxy."""

from __future__ import annotations

import asyncio
import socket
import ssl as ssl_module
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from .exceptions import InvalidProxyMessage, ProxyError
from .http11 import find_head_end
from .proxy import Proxy, build_connect_request, check_connect_response, get_proxy, parse_proxy
from .tls import create_connection
from .uri import WebSocketURI

__all__ = ["choose_proxy", "dial"]

_READ_SIZE = 4096


def choose_proxy(
    proxy: str | bool | None, uri: WebSocketURI, arguments: dict[str, Any]
) -> Proxy | None:
    """Choose the proxy of a connection.

    Args:
        proxy: A proxy's address; ``True`` for the one that environment or system name; ``None`` for
            none.
        uri: Where to connect.
        arguments: Of the event loop's ``create_connection``; those that say where to connect to
            leave no room for a proxy.

    Returns:
        The proxy, or ``None`` to connect directly.

    Raises:
        InvalidProxy: When the address is not one of a proxy.
    """
    if not proxy or arguments.get("unix") or arguments.get("sock") is not None:
        return None
    address = get_proxy(uri) if proxy is True else proxy
    return None if address is None else parse_proxy(address)


async def dial(
    factory: Callable[[], Any],
    uri: WebSocketURI,
    proxy: Proxy | None,
    arguments: dict[str, Any],
    user_agent: str | None,
) -> Any:
    """Open a transport.

    Args:
        factory: Makes the protocol object.
        uri: Where to connect.
        proxy: Through which proxy, if any.
        arguments: Of the event loop's ``create_connection``; ``unix`` chooses
            ``create_unix_connection``.
        user_agent: Value of the ``User-Agent`` header for an HTTP proxy.

    Returns:
        The protocol object, which is connected.

    Raises:
        OSError: When there is no connection to be had.
        ProxyError: When the proxy does not do what it should.
        UsageError: When an argument contradicts the URI or the proxy.
    """
    loop = asyncio.get_running_loop()
    arguments = dict(arguments)
    if uri.secure:
        if arguments.setdefault("ssl", True) is None:
            raise UsageError("ssl=None contradicts a wss:// URI; use ws:// for a plain connection")
        arguments.setdefault("server_hostname", uri.host)
    elif arguments.get("ssl") is not None:
        raise UsageError("the argument ssl contradicts a ws:// URI; use wss://")
    if arguments.pop("unix", False):
        _, protocol = await loop.create_unix_connection(factory, **arguments)
        return protocol
    if proxy is None:
        if arguments.get("sock") is None:
            arguments.setdefault("host", uri.host)
            arguments.setdefault("port", uri.port)
        _, protocol = await create_connection(loop, factory, **arguments)
        return protocol
    if proxy.scheme.startswith("socks"):
        arguments["sock"] = await _connect_socks(proxy, uri, arguments.pop("local_addr", None))
        _, protocol = await create_connection(loop, factory, **arguments)
        return protocol
    return await _dial_tunnel(factory, uri, proxy, arguments, user_agent)


async def _connect_socks(proxy: Proxy, uri: WebSocketURI, local_addr: Any) -> socket.socket:
    """Connect through a SOCKS proxy; return the socket."""
    # Imported here since most programs do not need it.
    from python_socks import ProxyType
    from python_socks.async_.asyncio import Proxy as SocksProxy

    client = SocksProxy(
        ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5,
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        proxy.scheme in ("socks4a", "socks5h"),
    )
    try:
        connected: socket.socket = await client.connect(uri.host, uri.port, local_addr=local_addr)
    except OSError:
        raise
    except Exception as exc:
        raise ProxyError(f"the SOCKS proxy {proxy.host}:{proxy.port} refused: {exc}") from exc
    return connected


async def _dial_tunnel(
    factory: Callable[[], Any],
    uri: WebSocketURI,
    proxy: Proxy,
    arguments: dict[str, Any],
    user_agent: str | None,
) -> Any:
    """Connect through a tunnel that an HTTP proxy opens."""
    loop = asyncio.get_running_loop()
    to_server, to_proxy = _split_arguments(proxy, arguments)
    request = build_connect_request(proxy, uri, user_agent=user_agent)
    transport: Any
    transport, tunnel = await loop.create_connection(
        lambda: _Tunnel(request), proxy.host, proxy.port, **to_proxy
    )
    try:
        await tunnel.opened
        if transport.is_closing():
            raise ConnectionResetError("the proxy closed the connection behind its answer")
        protocol = factory()
        context = to_server.pop("ssl", None)
        if context is None:
            transport.set_protocol(protocol)
        else:
            if context is True:
                context = ssl_module.create_default_context()
            # Nothing may reach the protocol before its transport is there.
            transport = await loop.start_tls(transport, protocol, context, **to_server)
            if transport is None:
                raise ConnectionAbortedError("the connection was closed during the TLS handshake")
        protocol.connection_made(transport)
    except BaseException:
        if transport is not None:
            transport.abort()
        raise
    return protocol


def _split_arguments(
    proxy: Proxy, arguments: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split arguments into those for TLS with the server and those for the proxy."""
    to_server: dict[str, Any] = {}
    to_proxy: dict[str, Any] = {}
    for name, value in arguments.items():
        if name.startswith("proxy_"):
            to_proxy[name.removeprefix("proxy_")] = value
        elif name.startswith("ssl") or name == "server_hostname":
            to_server[name] = value
        else:
            to_proxy[name] = value
    if proxy.scheme == "https":
        if to_proxy.setdefault("ssl", True) is None:
            raise UsageError("proxy_ssl=None contradicts an https:// proxy")
    elif to_proxy.get("ssl") is not None:
        raise UsageError("the argument proxy_ssl contradicts an http:// proxy; use https://")
    return to_server, to_proxy


class _Tunnel(asyncio.BufferedProtocol):
    """Asks an HTTP proxy for a tunnel, and reads its answer.

    It is buffered as the protocol that takes its place is: not every event loop can change between
    the two kinds.

    Attributes:
        opened: Is done when the tunnel is open, or has the exception that says why not.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray(_READ_SIZE)
        self._received = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.opened.done():
            return
        searched = len(self._received)
        self._received += self._buffer[:nbytes]
        try:
            end = find_head_end(self._received, searched=searched)
            if end < 0:
                return
            check_connect_response(self._received[:end])
            if len(self._received) > end:
                # TLS and HTTP both let the client speak first.
                raise InvalidProxyMessage("bytes arrived through the tunnel that nobody asked for")
        except ProxyError as exc:
            self.opened.set_exception(exc)
        except Exception as exc:
            error = InvalidProxyMessage(f"did not receive a valid response of the proxy: {exc}")
            error.__cause__ = exc
            self.opened.set_exception(error)
        else:
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            error = InvalidProxyMessage("the proxy closed the connection before it answered")
            error.__cause__ = exc or EOFError("connection closed")
            self.opened.set_exception(error)
