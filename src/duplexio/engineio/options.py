"""The settings of a server and of its sessions: every limit has a name and a default."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from .cors import AllowedOrigins, Cors

__all__ = ["TRANSPORTS", "Cookie", "ServerOptions", "SessionOptions", "make_logger"]

#: The transports that there are.
TRANSPORTS = ("polling", "websocket")

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

_COOKIE_DEFAULTS: dict[str, Any] = {"Path": "/", "HttpOnly": True, "SameSite": "Lax"}


@dataclass(slots=True, kw_only=True)
class SessionOptions:
    """Limits and times of a session.

    Attributes:
        ping_interval: Seconds between heartbeats.
        ping_grace: Seconds that the client is told in addition to ``ping_interval``.
        ping_timeout: Seconds that the answer to a heartbeat may take.
        upgrade_timeout: Seconds that the upgrade to a WebSocket may take.
        close_timeout: Seconds that a close packet waits for the client's next poll.
        max_payload: Bytes that the client may send in one message or one request.
        max_packets: Packets that the client may send in one request.
        max_buffered_bytes: Bytes that may wait to be sent to a client; more end the session.
        max_buffered_packets: Packets that may wait to be sent to a client; more end the session.
        allow_upgrades: Whether a session may go on to a WebSocket.
        monitor: Whether a session ends when the client does not answer heartbeats.
    """

    ping_interval: float = 25.0
    ping_grace: float = 0.0
    ping_timeout: float = 20.0
    upgrade_timeout: float = 10.0
    close_timeout: float = 30.0
    max_payload: int = 1_000_000
    max_packets: int = 10_000
    max_buffered_bytes: int = 2**24
    max_buffered_packets: int = 10_000
    allow_upgrades: bool = True
    monitor: bool = True

    def __post_init__(self) -> None:
        for name in ("ping_interval", "ping_timeout", "upgrade_timeout", "close_timeout"):
            value = getattr(self, name)
            if not value > 0:
                raise UsageError(f"{name} is {value!r}; expected seconds above 0")
        if not self.ping_grace >= 0:
            raise UsageError(f"ping_grace is {self.ping_grace!r}; expected seconds, 0 or more")
        for name in ("max_payload", "max_packets", "max_buffered_bytes", "max_buffered_packets"):
            value = getattr(self, name)
            if not isinstance(value, int) or value <= 0:
                raise UsageError(f"{name} is {value!r}; expected a whole number above 0")


class Cookie:
    """The cookie that carries the session's id, for load balancers that stick to it.

    Args:
        settings: The cookie's name, or a dictionary of ``name`` and attributes: strings, ``True``
            for an attribute without value, ``False`` or ``None`` for none, callables that return
            one of them. ``Path``, ``HttpOnly`` and ``SameSite`` have defaults.

    Raises:
        UsageError: A name or value cannot be in a cookie.

    Example:
        >>> Cookie("io").header("x")
        'io=x; Path=/; HttpOnly; SameSite=Lax'
        >>> Cookie({"name": "io", "path": "/", "HttpOnly": False, "Max-Age": "60"}).header("x")
        'io=x; SameSite=Lax; path=/; Max-Age=60'
    """

    __slots__ = ("_attributes", "_name")

    def __init__(self, settings: str | Mapping[str, Any]) -> None:
        given = {"name": settings} if isinstance(settings, str) else dict(settings)
        self._name = str(given.pop("name", "io"))
        names = {name.lower() for name in given}
        self._attributes = {
            name: value for name, value in _COOKIE_DEFAULTS.items() if name.lower() not in names
        } | given
        self.header("check")

    def header(self, sid: str) -> str:
        """Return the value of ``Set-Cookie``.

        Args:
            sid: The session's id.
        """
        parts = [f"{self._name}={sid}"]
        for name, value in self._attributes.items():
            if callable(value):
                value = value()
            if value is True:
                parts.append(name)
            elif value is not None and value is not False:
                parts.append(f"{name}={value}")
        for part in parts:
            if ";" in part or not part.isprintable() or not part.isascii():
                raise UsageError(f"the cookie has {part!r}; expected printable ASCII without ';'")
        return "; ".join(parts)


@dataclass(slots=True, kw_only=True)
class ServerOptions:
    """What a server accepts, and how it answers.

    Attributes:
        session: Limits and times of the sessions.
        transports: The transports that clients may use.
        allow_eio3: Whether Engine.IO 3 is spoken, for clients of Socket.IO 1 and 2.
        jsonp: Whether polling requests may be scripts; see ``cors.py`` for which.
        cors: Which pages may connect.
        cookie: The cookie of the first answer; ``None`` for none.
        http_compression: Whether large answers to polling requests are compressed.
        compression_threshold: Bytes from which on an answer is large.
        permessage_deflate: Whether WebSockets may be compressed.
        max_connections: Sessions in all; more are refused with status 503.
        max_connections_per_address: Sessions from one address; more are refused with status 503.
            ``None`` for no limit: many users may share an address.
        trusted_proxies: Addresses and networks of proxies whose ``X-Forwarded-For`` and
            ``X-Forwarded-Proto`` are believed; ``"*"`` for all. (Those that uvicorn trusts need
            not be named here.)
        allow_request: Called with ``environ`` before a session begins; returns whether it may, or a
            pair of that and a message for the client. May be a coroutine function.
        response_headers: Called with ``environ`` and a list of pairs of ``str``, the headers of a
            response, which it may change.
        logger: Where the server logs.
    """

    session: SessionOptions = field(default_factory=SessionOptions)
    transports: Sequence[str] = TRANSPORTS
    allow_eio3: bool = True
    jsonp: bool = False
    cors: Cors = field(default_factory=Cors)
    cookie: Cookie | None = None
    http_compression: bool = True
    compression_threshold: int = 1024
    permessage_deflate: bool = False
    max_connections: int = 50_000
    max_connections_per_address: int | None = None
    trusted_proxies: Sequence[str] = ()
    allow_request: Callable[[dict[str, Any]], Any] | None = None
    response_headers: Callable[[dict[str, Any], list[tuple[str, str]]], None] | None = None
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
        for name in ("max_connections", "max_connections_per_address", "compression_threshold"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 0):
                raise UsageError(f"{name} is {value!r}; expected a whole number, 0 or more")

    def upgrades(self) -> tuple[str, ...]:
        """Return what a session on polling requests may go on to."""
        if self.session.allow_upgrades and "websocket" in self.transports:
            return ("websocket",)
        return ()


def make_options(
    *,
    ping_interval: float | tuple[float, float] = 25,
    ping_timeout: float = 20,
    max_http_buffer_size: int = 1_000_000,
    allow_upgrades: bool = True,
    cookie: str | Mapping[str, Any] | None = None,
    cors_allowed_origins: AllowedOrigins = None,
    cors_credentials: bool | None = None,
    monitor_clients: bool | None = None,
    transports: str | Sequence[str] | None = None,
    logger: Logger | None = None,
    **others: Any,
) -> ServerOptions:
    """Make options of python-engineio's arguments.

    Args:
        ping_interval: Seconds between heartbeats; or a pair, with seconds that the client is told
            in addition.
        ping_timeout: Seconds that the answer to a heartbeat may take.
        max_http_buffer_size: Bytes that a client may send at once, on either transport.
        allow_upgrades: Whether a session may go on to a WebSocket.
        cookie: See :class:`Cookie`.
        cors_allowed_origins: See :data:`.cors.AllowedOrigins`.
        cors_credentials: See :class:`.cors.Cors`.
        monitor_clients: ``False`` lets clients live that do not answer heartbeats.
        transports: One or both of :data:`TRANSPORTS`; ``None`` for both.
        logger: Where to log; ``None`` for the default.
        others: Attributes of :class:`SessionOptions` and :class:`ServerOptions`.

    Raises:
        UsageError: When a value is wrong.
    """
    interval, grace = ping_interval if isinstance(ping_interval, tuple) else (ping_interval, 0)
    names = SessionOptions.__dataclass_fields__
    session = SessionOptions(
        ping_interval=interval,
        ping_grace=grace,
        ping_timeout=ping_timeout,
        max_payload=max_http_buffer_size,
        allow_upgrades=allow_upgrades,
        monitor=monitor_clients is not False,
        **{name: others.pop(name) for name in list(others) if name in names},
    )
    if logger is not None:
        others["logger"] = logger
    return ServerOptions(
        session=session,
        cors=Cors(cors_allowed_origins, cors_credentials),
        cookie=None if cookie is None else Cookie(cookie),
        transports=TRANSPORTS if transports is None else transports,
        **others,
    )


def make_logger(logger: bool | Logger, name: str = "duplexio.engineio") -> Logger:
    """Return the logger that an argument ``logger`` stands for.

    Args:
        logger: ``False`` for the default, ``True`` for one that says what happens, or a logger.
        name: Name of the default.
    """
    if not isinstance(logger, bool):
        return logger
    default = logging.getLogger(name)
    if logger and default.level == logging.NOTSET:
        default.setLevel(logging.INFO)
        if not default.hasHandlers():
            default.addHandler(logging.StreamHandler())
    return default
