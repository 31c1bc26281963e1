"""The settings of a client: every limit has a name and a default."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from .options import TRANSPORTS, Logger

__all__ = ["PROTOCOLS", "ClientOptions", "Remembered"]

#: The versions of Engine.IO that there are, in the order in which they are tried.
PROTOCOLS = (4, 3)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What worked at an attempt to connect, for the next one to begin with.

    Attributes:
        protocol: Version of Engine.IO, 3 or 4.
        transport: ``"polling"`` or ``"websocket"``.
    """

    protocol: int
    transport: str


@dataclass(slots=True, kw_only=True)
class ClientOptions:
    """How a client connects, and its limits.

    Attributes:
        transports: The transports to use, in the order in which they are tried. With polling first
            and ``"websocket"`` among them, a session goes on to a WebSocket where the server lets
            it.
        try_all_transports: Whether the next transport is tried where one does not work.
        protocol: Version of Engine.IO, 3 or 4; ``None`` finds it out, 4 first.
        upgrade: Whether a session goes on from polling to a WebSocket.
        engineio_path: Path of the server.
        headers: Further headers of all requests.
        http_session: An ``aiohttp.ClientSession`` of the application, for polling requests, or a
            callable that returns one (or an awaitable of one). Its cookies, headers and Basic
            Authentication are those of the WebSocket too. It is left open.
        ssl: TLS settings, an ``ssl.SSLContext``; ``None`` for the default ones.
        ssl_verify: ``False`` accepts any certificate.
        proxy: Address of a proxy (``http://``, ``https://``, ``socks5h://`` and so on); ``True``
            for the one that the environment names; ``None`` for none.
        websocket_headers: Further headers of the WebSocket only.
        websocket_extra_options: Further arguments for opening the WebSocket: those of
            ``duplexio.websocket.connect`` that concern the opening handshake and the event loop's
            ``create_connection``.
        timestamp_requests: Whether polling requests carry a timestamp against caches.
        permessage_deflate: Whether compression of WebSocket messages is offered.
        request_timeout: Seconds that one request may take, or one opening handshake.
        open_timeout: Seconds that finding a protocol and a transport may take in all.
        upgrade_timeout: Seconds that the upgrade to a WebSocket may take.
        close_timeout: Seconds that closing may take.
        max_size: Largest message that is accepted, and largest answer to a polling request, in
            bytes; more end the session.
        max_packets: Packets that an answer to a polling request may have.
        max_buffered_bytes: Bytes that may wait to be sent; more raise ``SendBufferFull``.
        max_buffered_packets: Packets that may wait to be sent; more raise ``SendBufferFull``.
        logger: Where the client logs.
    """

    transports: Sequence[str] = TRANSPORTS
    try_all_transports: bool = True
    protocol: int | None = None
    upgrade: bool = True
    engineio_path: str = "engine.io"
    headers: Mapping[str, str] = field(default_factory=dict)
    http_session: Any | Callable[[], Any] = None
    ssl: Any = None
    ssl_verify: bool = True
    proxy: str | bool | None = True
    websocket_headers: Mapping[str, str] = field(default_factory=dict)
    websocket_extra_options: Mapping[str, Any] = field(default_factory=dict)
    timestamp_requests: bool = True
    permessage_deflate: bool = False
    request_timeout: float = 5.0
    open_timeout: float = 20.0
    upgrade_timeout: float = 10.0
    close_timeout: float = 5.0
    max_size: int = 2**24
    max_packets: int = 100_000
    max_buffered_bytes: int = 2**26
    max_buffered_packets: int = 100_000
    logger: Logger = field(default_factory=lambda: logging.getLogger("duplexio.engineio"))

    def __post_init__(self) -> None:
        if isinstance(self.transports, str):
            self.transports = (self.transports,)
        self.transports = tuple(self.transports)
        unknown = [name for name in self.transports if name not in TRANSPORTS]
        if unknown or not self.transports:
            raise UsageError(
                f"transports is {self.transports!r}; expected 'polling', 'websocket' or both"
            )
        if self.protocol not in (None, *PROTOCOLS):
            raise UsageError(f"protocol is {self.protocol!r}; expected 3, 4, or None to find out")
        for name in ("request_timeout", "open_timeout", "upgrade_timeout", "close_timeout"):
            value = getattr(self, name)
            if not value > 0:
                raise UsageError(f"{name} is {value!r}; expected seconds above 0")
        for name in ("max_size", "max_packets", "max_buffered_bytes", "max_buffered_packets"):
            value = getattr(self, name)
            if not isinstance(value, int) or value <= 0:
                raise UsageError(f"{name} is {value!r}; expected a whole number above 0")
