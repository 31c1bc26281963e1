"""What the asyncio and the blocking client have in common: names, handlers, settings."""

from __future__ import annotations

import inspect
import json as standard_json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from .client_extras import from_aiohttp, from_websocket_client
from .client_options import ClientOptions, Remembered
from .client_session import ClientSession
from .exceptions import UsageValueError
from .options import TRANSPORTS, Logger, make_logger

__all__ = ["ClientFace"]


class ClientFace:
    """The names that both clients have.

    Args:
        logger: ``True`` to log what happens, or a logger.
        json: A module with ``dumps``, for what is sent that is neither ``str`` nor ``bytes``.
        request_timeout: Seconds that one request may take.
        http_session: A client of HTTP of the application, or a callable that returns one.
        ssl_verify: ``False`` accepts any certificate.
        handle_sigint: Whether clients are disconnected when the process is interrupted.
        websocket_extra_options: Further arguments for opening the WebSocket.
        timestamp_requests: Whether polling requests carry a timestamp against caches.
        settings: The attributes of :class:`.client_options.ClientOptions`.
    """

    event_names = ("connect", "disconnect", "message")

    class reason:
        """Why a connection ended, as the ``disconnect`` handler is told."""

        CLIENT_DISCONNECT = "client disconnect"
        SERVER_DISCONNECT = "server disconnect"
        TRANSPORT_ERROR = "transport error"

    def __init__(
        self,
        logger: bool | Logger,
        json: Any,
        request_timeout: float,
        http_session: Any,
        ssl_verify: bool,
        handle_sigint: bool,
        websocket_extra_options: Mapping[str, Any] | None,
        timestamp_requests: bool,
        **settings: Any,
    ) -> None:
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.logger = make_logger(logger)
        self.handle_sigint = handle_sigint
        self.http = http_session
        self.session: ClientSession | None = None
        self.state = "disconnected"
        self.sid: str | None = None
        self.transports: list[str] | None = None
        self._dumps: Callable[[Any], str] = (json or standard_json).dumps
        self._remembered: tuple[Any, Remembered | None] = (None, None)
        settings |= {
            "request_timeout": request_timeout,
            "ssl_verify": ssl_verify,
            "timestamp_requests": timestamp_requests,
            "logger": self.logger,
        }
        extras = from_aiohttp if self.is_asyncio_based() else from_websocket_client
        try:
            self._settings = settings | extras(websocket_extra_options or {}, settings)
            ClientOptions(**self._settings)
        except TypeError as exc:
            raise UsageError(str(exc)) from None

    def is_asyncio_based(self) -> bool:
        """Return whether this is the client for asyncio."""
        return False

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register the handler of an event.

        Args:
            event: ``"connect"``, whose handler is called without arguments when the connection is
                there, and which gives it up if the handler raises; ``"message"``, called with
                ``str`` or ``bytes``; or ``"disconnect"``, called with the reason.
            handler: The handler; without it, this is a decorator.

        Raises:
            ValueError: There is no such event.
        """
        if event not in self.event_names:
            raise UsageValueError(f"there is no event {event!r}; expected {self.event_names}")
        if handler is None:

            def register(handler: Callable[..., Any]) -> Callable[..., Any]:
                self.on(event, handler)
                return handler

            return register
        if event == "disconnect" and not _takes_reason(handler):
            older = handler

            def handler(reason: str) -> Any:
                return older()

        self.handlers[event] = handler
        return None

    def transport(self) -> str | None:
        """Return the transport in use, ``"polling"`` or ``"websocket"``; ``None`` without one."""
        return None if self.session is None else self.session.transport

    @property
    def current_transport(self) -> str | None:
        """The same as :meth:`transport`."""
        return self.transport()

    @property
    def upgrades(self) -> list[str] | None:
        """The transports that the server offers to go on to."""
        return None if self.session is None else list(self.session.upgrades)

    @property
    def ping_interval(self) -> float | None:
        """Seconds between heartbeats."""
        return None if self.session is None else self.session.ping_interval

    @property
    def ping_timeout(self) -> float | None:
        """Seconds that the answer to a heartbeat may take."""
        return None if self.session is None else self.session.ping_timeout

    def _options(
        self,
        headers: Mapping[str, str] | None,
        transports: str | Sequence[str] | None,
        engineio_path: str,
        borrowed: Mapping[str, Any],
    ) -> ClientOptions:
        """Make the options of a connection, of the arguments of ``connect``."""
        names = [transports] if isinstance(transports, str) else list(transports or TRANSPORTS)
        names = [name for name in names if name in TRANSPORTS]
        if not names:
            raise UsageValueError(
                f"transports is {transports!r}; expected 'polling', 'websocket' or both"
            )
        self.transports = names
        settings = {**self._settings, **borrowed}
        merged = {**settings.pop("headers", {}), **borrowed.get("headers", {}), **(headers or {})}
        return ClientOptions(
            **settings, headers=merged, transports=names, engineio_path=engineio_path
        )

    def _write(self, session: ClientSession, data: Any) -> None:
        """Send a message of any type."""
        if isinstance(data, str):
            session.send_text(data)
        elif isinstance(data, bytes | bytearray | memoryview):
            session.send_binary(bytes(data))
        else:
            session.send_text(self._dumps(data))


def _takes_reason(handler: Callable[..., Any]) -> bool:
    """Tell whether a handler of ``disconnect`` wants the reason, which it once was not given."""
    try:
        inspect.signature(handler).bind("reason")
    except TypeError:
        return False
    except ValueError:
        return True
    return True
