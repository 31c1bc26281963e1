"""The polling requests of a client, by aiohttp.

There is one request that waits for packets at a time, and one that brings some, each in a task of
its own. Cookies that the server or a load balancer sets go back with every request, and with that
for the WebSocket.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from base64 import b64encode
from collections.abc import Coroutine
from typing import Any

import aiohttp
from yarl import URL

from ..websocket.dialing import choose_proxy
from ..websocket.proxy import Proxy
from ..websocket.uri import build_host, parse_uri
from .client_endpoint import Endpoint
from .client_handshake import body_protocol, refused
from .client_options import ClientOptions
from .client_session import ClientSession, Requests
from .exceptions import ConnectionError, PacketError
from .payload import decode_payload, encode_binary, encode_payload

__all__ = ["PollingRequests"]

#: Seconds that a connection is kept for the next request. Servers of HTTP commonly close theirs
#: after five, and a request that is sent while they do is lost.
KEEP_ALIVE = 4.0


class PollingRequests(Requests):
    """The polling requests of one session.

    Args:
        session: The session, which holds on to this until all is closed.
        endpoint: Where the server is.
        options: Limits and times.
    """

    def __init__(self, session: ClientSession, endpoint: Endpoint, options: ClientOptions) -> None:
        self.session = session
        self.endpoint = endpoint
        self.options = options
        self._loop = asyncio.get_running_loop()
        self._http: Any = None
        self._own = False
        self._arguments: dict[str, Any] = {}
        self._proxy_headers: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        session.hold()

    # The handshake

    async def handshake(self) -> tuple[int, bytes]:
        """Send the first request.

        Returns:
            The status and the body of its answer.

        Raises:
            OSError: There is no answer to be had.
            TimeoutError: There is none in time.
        """
        url = self.endpoint.polling_url(self.session.protocol)
        async with asyncio.timeout(self.options.request_timeout):
            self._http, self._own = await self._open()
            try:
                async with self._request("GET", url) as response:
                    return response.status, await self._read(response)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ClientError, ValueError, RuntimeError) as exc:
                raise ConnectionError(str(exc) or type(exc).__name__) from exc

    async def _open(self) -> tuple[Any, bool]:
        """Return the client of HTTP, and whether it is ours to close."""
        given = self.options.http_session
        if given is not None:
            if callable(given):
                given = given()
                if inspect.isawaitable(given):
                    given = await given
                _forbid_retries(given)
                return given, True
            # The application's other requests are made as before.
            given = copy.copy(given)
            _forbid_retries(given)
            return given, False
        uri = parse_uri(self.endpoint.websocket_uri(self.session.protocol))
        proxy = choose_proxy(self.options.proxy, uri, {})
        http = aiohttp.ClientSession(
            connector=self._connector(proxy),
            # Hosts that are addresses have cookies, too: load balancers set them.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.options.request_timeout),
        )
        _forbid_retries(http)
        return http, True

    def _connector(self, proxy: Proxy | None) -> aiohttp.BaseConnector:
        arguments: dict[str, Any] = {"limit": 0, "keepalive_timeout": KEEP_ALIVE}
        context = self.endpoint.tls(self.options)
        if context is not None:
            arguments["ssl"] = context
        if proxy is None:
            return aiohttp.TCPConnector(**arguments)
        address = f"{proxy.scheme}://{build_host(proxy.host, proxy.port)}"
        if not proxy.scheme.startswith("socks"):
            self._arguments["proxy"] = address
            if proxy.user_info is not None:
                self._proxy_headers = _authorization(*proxy.user_info)
            return aiohttp.TCPConnector(**arguments)
        # Imported here since most programs do not need it.
        from aiohttp_socks import ProxyConnector, ProxyType

        return ProxyConnector(
            proxy_type=ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5,
            host=proxy.host,
            port=proxy.port,
            username=proxy.username,
            password=proxy.password,
            rdns=proxy.scheme in ("socks4a", "socks5h"),
            **arguments,
        )

    def cookies(self) -> str:
        """Return the value of the ``Cookie`` header for the WebSocket; empty without cookies."""
        if self._http is None:
            return ""
        url = URL(self.endpoint.polling_url(self.session.protocol))
        jar = self._http.cookie_jar.filter_cookies(url)
        return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())

    # What the session asks for

    def get(self) -> None:
        """Send a request that waits for packets."""
        self._start(self._get())

    def post(self, packets: list[Any]) -> None:
        """Send a request with packets."""
        self._start(self._post(packets))

    def stop(self) -> None:
        """Give up all requests, and close the connections."""
        if self._stopped:
            return
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        closing = self._loop.create_task(self._close(list(self._tasks)))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            http, self._http = self._http, None
            try:
                if http is not None and self._own:
                    await http.close()
                elif http is not None:
                    http.detach()  # a copy, whose connections are the application's
            finally:
                self.session.release()

    def _start(self, request: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The requests

    def _request(self, method: str, url: str, **arguments: Any) -> Any:
        headers = {**self.endpoint.headers, **arguments.pop("headers", {})}
        if self._proxy_headers and self.endpoint.secure:
            arguments["proxy_headers"] = self._proxy_headers  # those of CONNECT
        else:
            headers |= self._proxy_headers
        if self.options.http_session is not None and not self.options.ssl_verify:
            arguments["ssl"] = False
        return self._http.request(
            method, URL(url, encoded=True), headers=headers, **self._arguments, **arguments
        )

    async def _read(self, response: Any) -> bytes:
        """Read the body of an answer, up to the limit."""
        limit = self.options.max_size
        pieces = []
        size = 0
        while piece := await response.content.readany():
            size += len(piece)
            if size > limit:
                raise ConnectionError(
                    f"the answer to a polling request has more than {limit} bytes;"
                    " max_size sets the limit"
                )
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _exchange(self, method: str, **arguments: Any) -> bytes | None:
        """Send a request; return the body of its answer, or ``None`` when there is no good one."""
        session = self.session
        url = self.endpoint.polling_url(session.protocol, session.sid)
        try:
            async with self._request(method, url, **arguments) as response:
                body = await self._read(response)
                status = response.status
        # The RuntimeError is that of a client of HTTP that the application has closed.
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError, PacketError) as exc:
            if not self._stopped:
                self.options.logger.info(
                    "polling request failed: %s", str(exc) or type(exc).__name__
                )
                session.request_failed()
            return None
        if status != 200:
            error, _ = refused(status, body)
            self.options.logger.info("polling request failed: %s", error)
            session.request_failed()
            return None
        return body

    async def _get(self) -> None:
        body = await self._exchange("GET")
        if body is None:
            return
        session = self.session
        protocol = session.protocol
        try:
            binary = protocol == 3 and body_protocol(body) == 3 and body[0] <= 1
            packets = decode_payload(body, protocol, binary, self.options.max_packets)
        except PacketError as exc:
            self.options.logger.info("polling request failed: %s", exc)
            session.request_malformed()
            return
        session.receive_packets(packets)

    async def _post(self, packets: list[Any]) -> None:
        session = self.session
        content = "text/plain;charset=UTF-8"
        body: str | bytes
        if session.protocol == 3 and not all(_is_ascii(packet) for packet in packets):
            # Older servers take text of other characters only in this form.
            body = encode_binary(packets)
            content = "application/octet-stream"
        else:
            body = encode_payload(packets, session.protocol)
        data = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
        # Longer than a heartbeat takes, no request can go unanswered.
        patience = session.ping_interval + session.ping_timeout
        timeout = aiohttp.ClientTimeout(total=max(self.options.request_timeout, patience))
        answer = await self._exchange(
            "POST", data=data, headers={"Content-Type": content}, timeout=timeout
        )
        if answer is not None:
            session.posted(answer)


def _authorization(name: str, password: str) -> dict[str, str]:
    """Return the headers with a user's credentials for a proxy (RFC 7617 §2)."""
    credentials = b64encode(f"{name}:{password}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {credentials}"}


def _forbid_retries(http: aiohttp.ClientSession) -> None:
    """Have no request sent a second time unasked.

    aiohttp sends a GET again whose answer was cut off, and what was in that answer would be lost
    without a word. There is no public name for this.
    """
    http._retry_connection = False


def _is_ascii(packet: str | bytes) -> bool:
    return isinstance(packet, str) and packet.isascii()


# The event loop keeps only weak references to its tasks.
_closing: set[asyncio.Task[None]] = set()
