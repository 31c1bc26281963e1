"""Requests to an Engine.IO server, each on a connection of its own, and what the answers say."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from ...engineio.exceptions import PacketError
from ...engineio.payload import decode_payload, encode_payload
from ...websocket.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = [
    "FAILURES",
    "Answer",
    "NotEngineIO",
    "Opening",
    "Polling",
    "Requests",
    "Target",
    "read_opening",
]

#: What asking may raise when there is no answer.
FAILURES = (aiohttp.ClientError, OSError, asyncio.TimeoutError)

# The number of the error "unsupported protocol version", and how python-engineio puts it.
_UNSUPPORTED = 5
_UNSUPPORTED_TEXT = "unsupported version"


@dataclass(frozen=True)
class Target:
    """Whom to examine, and how.

    Attributes:
        url: ``http://host:port`` or ``https://host:port``.
        path: Path of the endpoint, with slashes around it.
        headers: Further headers of each request.
        origin: Origin of the page that is to connect; empty for none.
        tls: How to check the certificate; ``None`` where there is no TLS.
        timeout: Seconds that an answer may take.
    """

    url: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    tls: ssl.SSLContext | None = None
    timeout: float = 10.0

    @property
    def own_origin(self) -> str:
        """The origin of pages that the server itself serves."""
        return self.url

    def at(self, path: str) -> Target:
        """Return the same server at another path."""
        return replace(self, path=path)

    def address(self, query: Mapping[str, str]) -> str:
        """Return the URL of a request."""
        return f"{self.url}{self.path}?{urlencode(query)}"

    def websocket(self, query: Mapping[str, str], path: str | None = None) -> str:
        """Return the URI of a WebSocket."""
        scheme = "wss" if self.url.startswith("https:") else "ws"
        uri = f"{scheme}://{urlsplit(self.url).netloc}{path or self.path}"
        return f"{uri}?{urlencode(query)}" if query else uri


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    Attributes:
        status: Its status.
        headers: Its headers in their order, names in lower case.
        body: Its body.
        seconds: How long it took.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float

    def all(self, name: str) -> list[str]:
        """Return the values of a header, one for each time that it was sent."""
        return [value for key, value in self.headers if key == name]

    def first(self, name: str) -> str:
        """Return the first value of a header, or nothing."""
        return next(iter(self.all(name)), "")

    @property
    def code(self) -> int | None:
        """The number in an Engine.IO error; ``None`` where there is none."""
        try:
            error = json.loads(self.body)
        except ValueError:
            return None
        if isinstance(error, dict) and isinstance(error.get("code"), int):
            return int(error["code"])
        if isinstance(error, str) and _UNSUPPORTED_TEXT in error:
            return _UNSUPPORTED
        if isinstance(error, str) and "nvalid session" in error:
            return 1
        return None

    @property
    def unsupported(self) -> bool:
        """Whether the server says that it does not speak this version of Engine.IO."""
        return self.code == _UNSUPPORTED

    @property
    def unknown_session(self) -> bool:
        """Whether the server says that it does not know the session."""
        return self.code == 1

    def summary(self, limit: int = 120) -> str:
        """Return the status and the beginning of the body."""
        text = " ".join(self.body.decode("utf-8", "replace").split())
        shown = text[:limit] + ("…" if len(text) > limit else "")
        return f"HTTP {self.status}" + (f": {shown}" if shown else "")


class NotEngineIO(Exception):
    """An answer that does not open a session.

    Attributes:
        answer: The answer.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.summary())
        self.answer = answer


@dataclass(frozen=True)
class Opening:
    """The open packet of a server.

    Attributes:
        asked: The version of Engine.IO that was asked for.
        protocol: The version in whose form the answer came.
        sid: Id of the session.
        upgrades: Transports that the server offers.
        ping_interval: Seconds between heartbeats.
        ping_timeout: Seconds that one may be late.
        max_payload: Largest body that the server takes, in bytes; 0 when it does not say.
        packets: What came behind the open packet.
    """

    asked: int
    protocol: int
    sid: str
    upgrades: tuple[str, ...]
    ping_interval: float
    ping_timeout: float
    max_payload: int
    packets: tuple[str | bytes, ...]


def read_opening(body: bytes | str, asked: int, binary: bool = False) -> Opening | None:
    """Read the body, or the first WebSocket message, that opens a session.

    Args:
        body: The body.
        asked: The version of Engine.IO that was asked for.
        binary: Whether the body is said to be binary.

    Returns:
        What the server says of the session; ``None`` when it is no open packet.

    Example:
        >>> opening = read_opening(b'0{"sid":"a","upgrades":[],"pingInterval":25000,'
        ...     b'"pingTimeout":20000,"maxPayload":1000000}', 4)
        >>> opening.sid, opening.ping_interval
        ('a', 25.0)
    """
    if isinstance(body, str):
        body = body.encode()
    protocol = 4 if body[:2] == b"0{" else 3
    try:
        packets = decode_payload(body, protocol, binary)
    except PacketError:
        return None
    first = packets[0]
    if not isinstance(first, str) or first[:1] != "0":
        return None
    try:
        settings = json.loads(first[1:])
        return Opening(
            asked=asked,
            protocol=protocol,
            sid=str(settings["sid"]),
            upgrades=tuple(settings.get("upgrades", ())),
            ping_interval=settings["pingInterval"] / 1000,
            ping_timeout=settings["pingTimeout"] / 1000,
            max_payload=int(settings.get("maxPayload", 0)),
            packets=tuple(packets[1:]),
        )
    except (ValueError, KeyError, TypeError):
        return None


class Requests:
    """HTTP and WebSocket requests to a target, a connection for each.

    Args:
        target: Whom to ask.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Requests:
        # Cookies are kept, as a browser does: load balancers choose the worker by them.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def cookies(self) -> list[str]:
        """Names of the cookies that the server has set."""
        return sorted({cookie.key for cookie in self._session.cookie_jar})

    async def ask(
        self,
        method: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        path: str | None = None,
    ) -> Answer:
        """Send a request; return the answer.

        Raises:
            FAILURES: There is none.
        """
        target = self.target if path is None else self.target.at(path)
        started = time.monotonic()
        async with self._session.request(
            method,
            target.address(query),
            data=body,
            headers=[*target.headers, *(headers or {}).items()],
            ssl=target.tls if target.tls is not None else True,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout or target.timeout),
        ) as response:
            content = await response.content.read(2**20)
            return Answer(
                response.status,
                tuple((name.lower(), value) for name, value in response.headers.items()),
                content,
                time.monotonic() - started,
            )

    async def open(self, protocol: int, **more: Any) -> Opening:
        """Begin a session on polling.

        Raises:
            NotEngineIO: The answer does not open one.
            FAILURES: There is no answer.
        """
        answer = await self.ask("GET", {"EIO": str(protocol), "transport": "polling"}, **more)
        opening = None
        if answer.status == 200:
            binary = "octet-stream" in answer.first("content-type")
            opening = read_opening(answer.body, protocol, binary)
        if opening is None:
            raise NotEngineIO(answer)
        return opening

    @asynccontextmanager
    async def polling(self, protocol: int) -> AsyncIterator[Polling]:
        """Begin a session on polling, and close it at the end."""
        session = Polling(self, await self.open(protocol))
        try:
            yield session
        finally:
            await session.close()

    @asynccontextmanager
    async def websocket(
        self, query: Mapping[str, str], *, origin: str | None = None, path: str | None = None
    ) -> AsyncIterator[ClientConnection]:
        """Open a WebSocket, and close it at the end."""
        target = self.target
        options: dict[str, Any] = {"ssl": target.tls} if target.tls is not None else {}
        cookies = "; ".join(f"{c.key}={c.value}" for c in self._session.cookie_jar)
        headers = [*target.headers, *([("Cookie", cookies)] if cookies else [])]
        async with connect(
            target.websocket(query, path),
            additional_headers=headers,
            origin=origin,
            open_timeout=target.timeout,
            close_timeout=1,
            max_size=2**20,
            **options,
        ) as ws:
            yield ws


class Polling:
    """A session on polling.

    Args:
        requests: How to ask.
        opening: What opened it.
    """

    def __init__(self, requests: Requests, opening: Opening) -> None:
        self.requests = requests
        self.opening = opening
        self._query = {
            "EIO": str(opening.asked),
            "transport": "polling",
            "sid": opening.sid,
        }

    def websocket_query(self) -> dict[str, str]:
        """Return the query of the WebSocket that takes over."""
        return {**self._query, "transport": "websocket"}

    async def get(self, timeout: float | None = None) -> Answer:
        """Wait for packets."""
        return await self.requests.ask("GET", self._query, timeout=timeout)

    async def post(self, *packets: str) -> Answer:
        """Send packets."""
        payload = encode_payload(packets, self.opening.protocol)
        body = payload.encode() if isinstance(payload, str) else payload
        return await self.requests.ask(
            "POST", self._query, body, headers={"Content-Type": "text/plain;charset=UTF-8"}
        )

    def packets(self, answer: Answer) -> list[str | bytes]:
        """Return the packets of an answer; none when it has none."""
        if answer.status != 200:
            return []
        binary = "octet-stream" in answer.first("content-type")
        try:
            return decode_payload(answer.body, self.opening.protocol, binary)
        except PacketError:
            return []

    async def close(self) -> None:
        """Tell the server that the session is over, if it still listens."""
        try:
            await self.post("1")
        except FAILURES:
            pass
