"""The settings of a server and of its sessions: every limit has a name and a default."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError

__all__ = ["SessionOptions"]


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
