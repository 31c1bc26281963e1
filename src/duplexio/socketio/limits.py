"""What a client may do: each limit with its name, its default, its policy and its counter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from ..errors import UsageError

__all__ = ["POLICIES", "ClientLimits", "Limits", "PeerLimits", "Rate"]

#: What can be done when a limit is reached; the first is what is done by default. ``"pause"`` stops
#: reading from the client for a while, ``"drop"`` leaves out what is too much, ``"disconnect"``
#: ends the client's connection.
POLICIES = {
    "max_attachments": ("disconnect",),
    "max_bytes_per_second": ("pause", "drop", "disconnect"),
    "max_json_depth": ("disconnect", "drop"),
    "max_namespaces": ("drop", "disconnect"),
    "max_packets_per_second": ("pause", "drop", "disconnect"),
    "max_pending_acks": ("drop", "disconnect"),
    "max_pending_handlers": ("pause",),
    "max_rooms": ("drop", "disconnect"),
}


@dataclass(slots=True, kw_only=True)
class PeerLimits:
    """What the other side of a connection may do, be it a client or a server.

    Attributes:
        max_attachments: Binary attachments of one packet.
        max_bytes_per_second: Characters of text and bytes that it may send per second, twice as
            many at once; ``None`` for no limit.
        max_json_depth: How deep the data of an event may be nested.
        max_packets_per_second: Packets that it may send per second, twice as many at once;
            ``None`` for no limit.
        max_pending_acks: Acknowledgements that it may owe us, in one namespace. The oldest is given
            up for one more.
        max_pending_handlers: Handlers of one connection that may run, or wait, before nothing more
            is read from it.
        policies: What to do when a limit is reached, by the name of the limit; see
            :data:`POLICIES`.

    Raises:
        UsageError: A value is wrong.
    """

    max_attachments: int = 10
    max_bytes_per_second: float | None = None
    max_json_depth: int = 100
    max_packets_per_second: float | None = None
    max_pending_acks: int = 10_000
    max_pending_handlers: int = 100
    policies: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in fields(self):
            name, value = each.name, getattr(self, each.name)
            if name == "policies":
                continue
            if name.endswith("_per_second"):
                if value is not None and not value > 0:
                    raise UsageError(f"{name} is {value!r}; expected a number above 0, or None")
            elif not isinstance(value, int) or value < (name != "max_attachments"):
                raise UsageError(f"{name} is {value!r}; expected a whole number above 0")
        for name, policy in self.policies.items():
            if policy not in POLICIES.get(name, ()):
                raise UsageError(
                    f"the policy of {name!r} is {policy!r}; expected one of"
                    f" {POLICIES.get(name) or list(POLICIES)}"
                )

    def policy(self, name: str) -> str:
        """Return what is done when a limit is reached.

        Args:
            name: Name of the limit.
        """
        return self.policies.get(name, POLICIES[name][0])


@dataclass(slots=True, kw_only=True)
class Limits(PeerLimits):
    """What one client of a server may do.

    Attributes:
        max_namespaces: Namespaces that a client may be connected to. One more is refused.
        max_rooms: Rooms that a client may be in, in one namespace. ``enter_room`` raises
            :exc:`.LimitExceededError` for one more.
        max_deliveries: Clients whose retried emits the server remembers, to know them again.

    Example:
        >>> Limits(policies={"max_namespaces": "disconnect"}).policy("max_namespaces")
        'disconnect'
    """

    max_namespaces: int = 100
    max_rooms: int = 10_000
    max_deliveries: int = 10_000


@dataclass(slots=True, kw_only=True)
class ClientLimits(PeerLimits):
    """What the server of a client may do, and what the client keeps.

    Attributes:
        max_early_events: Events of a namespace that may come before the server has said that the
            client is connected to it: those that it has missed. More end the connection.
        max_offline_bytes: Bytes of the emits that are kept while the client is not connected, or
            are to be retried; one more raises :exc:`.LimitExceededError`.
        max_offline_packets: How many of these emits there may be.
        max_received: Events that wait in a :class:`.SimpleClient` for ``receive``, before nothing
            more is read from the server.

    Example:
        >>> ClientLimits(max_offline_packets=100).max_offline_packets
        100
    """

    max_attachments: int = 100
    max_early_events: int = 10_000
    max_offline_bytes: int = 2**24
    max_offline_packets: int = 10_000
    max_received: int = 1_000


class Rate:
    """How much of something came lately: a bucket that fills with time and is emptied by use.

    Args:
        limit: How much may come per second; twice as much may come at once.
        now: The time, in seconds.

    Example:
        >>> rate = Rate(10, now=0.0)
        >>> rate.take(20, 0.0), rate.take(1, 0.0), rate.take(1, 0.5)
        (0.0, 0.1, 0.0)
    """

    __slots__ = ("_left", "_limit", "_then")

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self._left = limit * 2
        self._then = now

    def take(self, amount: float, now: float) -> float:
        """Take note of what has come.

        Args:
            amount: How much.
            now: The time, in seconds.

        Returns:
            Seconds after which it would have been in time; 0 when it is.
        """
        self._left = min(self._limit * 2, self._left + (now - self._then) * self._limit)
        self._then = now
        self._left -= amount
        return 0.0 if self._left >= 0 else -self._left / self._limit
