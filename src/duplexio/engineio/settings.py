"""The settings of a server that is there, with python-engineio's names."""

from __future__ import annotations

from .cors import AllowedOrigins, Cors
from .engine import Engine
from .session import Session

__all__ = ["ServerSettings"]


class ServerSettings:
    """What a server was made with, to look at.

    Only :attr:`cors_allowed_origins` can be changed; the others are given to the server when it is
    made, since sessions and WebSockets are told of them once.

    Attributes:
        engine: The engine of the server.
    """

    engine: Engine
    _allowed_origins: AllowedOrigins = None
    _cors_credentials: bool | None = None

    def _remember_cors(self, allowed: AllowedOrigins, credentials: bool | None) -> None:
        self._allowed_origins = allowed
        self._cors_credentials = credentials

    @property
    def sockets(self) -> dict[str, Session]:
        """The sessions by their ids."""
        return self.engine.sessions

    @property
    def counters(self) -> dict[str, int]:
        """How often each limit was reached, by its name (a copy)."""
        return dict(self.engine.counters)

    @property
    def ping_interval(self) -> float:
        """Seconds between heartbeats."""
        return self.engine.options.session.ping_interval

    @property
    def ping_interval_grace_period(self) -> float:
        """Seconds that clients are told in addition to :attr:`ping_interval`."""
        return self.engine.options.session.ping_grace

    @property
    def ping_timeout(self) -> float:
        """Seconds that the answer to a heartbeat may take."""
        return self.engine.options.session.ping_timeout

    @property
    def max_http_buffer_size(self) -> int:
        """Bytes that a client may send in one message, or in one request."""
        return self.engine.options.session.max_payload

    @property
    def allow_upgrades(self) -> bool:
        """Whether clients may go on from polling requests to a WebSocket."""
        return self.engine.options.session.allow_upgrades

    @property
    def http_compression(self) -> bool:
        """Whether large answers to polling requests are compressed."""
        return self.engine.options.http_compression

    @property
    def compression_threshold(self) -> int:
        """Bytes from which on an answer is large."""
        return self.engine.options.compression_threshold

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports that clients may use."""
        return tuple(self.engine.options.transports)

    @property
    def cors_credentials(self) -> bool:
        """Whether browsers may send cookies from other origins."""
        return self.engine.options.cors.credentials

    @property
    def cors_allowed_origins(self) -> AllowedOrigins:
        """Origins whose pages may connect; may be set at any time."""
        return self._allowed_origins

    @cors_allowed_origins.setter
    def cors_allowed_origins(self, allowed: AllowedOrigins) -> None:
        self.engine.options.cors = Cors(allowed, self._cors_credentials)
        self._allowed_origins = allowed
