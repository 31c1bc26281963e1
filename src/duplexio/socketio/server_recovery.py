"""Connection state recovery: a client that returns gets what it has missed, and is who it was.

The protocol is the one of https://socket.io/docs/v4/connection-state-recovery: the answer to
CONNECT names the client's state by a secret ``pid``, and events without acknowledgement carry an
offset as their last argument; a client that returns sends both.

An offset is the same for all clients, so that a broadcast is encoded once. It says up to where
*this* server had sent: to one client, everything before goes first, on one ordered connection. That
is why a volatile event can repeat the offset of the event before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engineio.channel import (
    BUFFER_OVERFLOW,
    FORCED_CLOSE,
    PING_TIMEOUT,
    SERVER_SHUTDOWN,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
)
from ..errors import UsageError
from .outbox import packet_size
from .party import CONNECTED
from .recovery import make_offset, parse_offset
from .recovery_store import Entry, MemoryStore, Recoverable, RecoveryStore

if TYPE_CHECKING:
    from .client import Client
    from .hub import Hub

__all__ = ["RECOVERABLE_REASONS", "ConnectionStateRecovery", "Recovery"]

#: Why a client may have lost its connection that is welcome to return: neither side wanted it to.
RECOVERABLE_REASONS = frozenset(
    {
        BUFFER_OVERFLOW,
        FORCED_CLOSE,
        PING_TIMEOUT,
        SERVER_SHUTDOWN,
        TRANSPORT_CLOSE,
        TRANSPORT_ERROR,
    }
)


@dataclass(slots=True, kw_only=True)
class ConnectionStateRecovery:
    """How a server recovers the state of clients.

    Attributes:
        max_disconnection_duration: Seconds that a client may be away.
        skip_middlewares: Whether clients that return do not pass the connect middleware again. The
            ``connect`` handler always runs.
        max_packets: Packets that are kept, at most; a client that has missed one that had to go is
            not recovered.
        max_bytes: Bytes of them, at most.
        max_clients: Clients that are away and remembered, at most.
        store: Where it is kept; ``None`` for a :class:`.MemoryStore`.

    Raises:
        UsageError: A value is wrong.

    Example:
        >>> ConnectionStateRecovery(max_disconnection_duration=300).max_packets
        10000
    """

    max_disconnection_duration: float = 120.0
    skip_middlewares: bool = False
    max_packets: int = 10_000
    max_bytes: int = 2**24
    max_clients: int = 10_000
    store: RecoveryStore | None = None

    def __post_init__(self) -> None:
        for name in ("max_disconnection_duration", "max_packets", "max_bytes", "max_clients"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise UsageError(f"{name} is {value!r}; expected a number above 0")

    @classmethod
    def of(cls, value: Any) -> ConnectionStateRecovery | None:
        """Return the options that an argument means.

        Args:
            value: ``None`` or ``False`` for no recovery, ``True``, a dictionary, or the options.

        Raises:
            UsageError: It is something else, or names an option that there is not.
        """
        if value is None or value is False:
            return None
        if value is True:
            return cls()
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict) or not cls.__dataclass_fields__.keys() >= value.keys():
            raise UsageError(
                f"connection_state_recovery is {value!r}; expected True, None or a dictionary of"
                f" {', '.join(cls.__dataclass_fields__)} (times in seconds)"
            )
        return cls(**value)


class Recovery:
    """The recovery of one server.

    Args:
        hub: What its connections share.
        options: How it is done.
        patience: Seconds after which a client that does not answer is taken for lost, at most.

    Attributes:
        options: How it is done.
        store: What is kept.
        last: Number of the last packet that went out.
    """

    def __init__(self, hub: Hub, options: ConnectionStateRecovery, patience: float) -> None:
        self.options = options
        self.store: RecoveryStore = options.store or MemoryStore(
            options.max_packets, options.max_bytes, options.max_clients
        )
        self.last = 0
        self._hub = hub
        self._instance = hub.server.generate_secret()[-8:]
        self._connected: dict[str, Client] = {}
        # What went out before a client has answered its last ping has reached it. A client that is
        # lost has answered one this long ago at most, so older packets are of no use to it.
        self._packet_life = options.max_disconnection_duration + 2 * patience

    # Sending

    def emit(
        self,
        namespace: str,
        arguments: list[Any],
        to: Any,
        skip_sids: Any,
        skip_rooms: Any,
        volatile: bool,
    ) -> None:
        """Send an event to clients, and keep it for those who are away.

        Args:
            namespace: The namespace.
            arguments: Name and arguments.
            to: Rooms; ``None`` for all clients.
            skip_sids: Ids of clients that do not get it.
            skip_rooms: Rooms whose clients do not get it.
            volatile: Whether it is only for those who can have it now.
        """
        hub = self._hub
        number = self.last if volatile else self.last + 1
        offset = make_offset(self._instance, number)
        packet = hub.shared_packet(namespace, [*arguments, offset])
        rooms = None if to is None else tuple(to)
        if not volatile:
            self._keep(number, namespace, packet, rooms, tuple(skip_sids), tuple(skip_rooms))
        adapter = hub.adapters.get(namespace)
        if adapter is None:
            return
        plain = None
        for member in adapter.select(rooms, skip_sids, skip_rooms):
            if volatile and not hub.can_take(member):
                continue
            if member.recoverable is not None:
                member.deliver(packet)
                continue
            # Clients of old protocols know of no offset.
            if plain is None:
                plain = hub.shared_packet(namespace, arguments)
            member.deliver(plain)

    def _keep(
        self,
        number: int,
        namespace: str,
        packet: Any,
        rooms: tuple[Any, ...] | None,
        skip_sids: tuple[str, ...],
        skip_rooms: tuple[Any, ...],
    ) -> None:
        now = self._expire()
        self.last = number
        size = packet_size(packet)
        self.store.append(Entry(number, now, namespace, packet, size, rooms, skip_sids, skip_rooms))

    def _expire(self) -> float:
        """Forget what is too old; return the time."""
        now = self._hub.now() if self._hub.loop is not None else 0.0
        self.store.expire(now - self._packet_life, now - self.options.max_disconnection_duration)
        return now

    # Clients

    def find(self, namespace: str, auth: Any, session: Any) -> tuple[Recoverable | None, Any]:
        """Return the state that a client asks for when it connects.

        Args:
            namespace: Where.
            auth: What it says about itself.
            session: Its session.

        Returns:
            The state, with what it has missed, or ``None`` when it is not recovered; and what the
            application is told of the client.
        """
        if type(auth) is not dict or "pid" not in auth:
            return None, auth
        pid, offset = auth.pop("pid"), auth.pop("offset", None)
        state = self._take(namespace, pid)
        if state is None or not self._catch_up(state, offset, session.options):
            self._hub.count("recoveries_refused")
            return None, auth or None
        self._hub.count("recoveries")
        state.recovered = True
        return state, auth or None

    def _take(self, namespace: str, pid: Any) -> Recoverable | None:
        if type(pid) is not str:
            return None
        self._expire()
        client = self._connected.get(pid)
        if client is not None and client.name == namespace:
            # It knows of the end of its connection before we do.
            client.session.end(TRANSPORT_ERROR)
        state = self.store.take(pid)
        return state if state is not None and state.namespace == namespace else None

    def _catch_up(self, state: Recoverable, offset: Any, options: Any) -> bool:
        """Find out what a client has missed; return whether that is still known."""
        since = state.start
        if offset is not None:
            number = parse_offset(offset, self._instance)
            if number < 0 or number > self.last:
                return False
            # JavaScript's client may still have an offset from before it got this state.
            since = max(since, number)
        if since < self.store.floor:
            return False
        missed = [entry for entry in self.store.after(since) if state.gets(entry)]
        if (
            len(missed) > options.max_buffered_packets
            or sum(entry.size for entry in missed) > options.max_buffered_bytes
        ):
            return False
        state.missed = [entry.packet for entry in missed]
        return True

    def begin(self, client: Client, state: Recoverable | None) -> None:
        """Give a client that connects its state.

        Args:
            client: The client.
            state: The one that it has had before; ``None`` for a new one.
        """
        if state is None:
            pid = self._hub.server.generate_secret()
            state = Recoverable(pid, client.sid, client.name, self.last)
        client.recoverable = state
        client.data = state.data
        client.last_ack = state.last_ack
        for room in state.rooms:
            client.adapter.join(client, room)
        self._connected[state.pid] = client

    def end(self, client: Client, reason: str) -> None:
        """Keep the state of a client that has left, if it may return.

        Args:
            client: The client, which has not been taken out of its rooms yet.
            reason: Why it has left.
        """
        state: Recoverable = client.recoverable
        if self._connected.get(state.pid) is client:
            del self._connected[state.pid]
        # One that has not been let in does not know its state, unless it has had it before.
        if reason in RECOVERABLE_REASONS and (client.state == CONNECTED or state.recovered):
            state.data = client.data
            state.last_ack = client.last_ack
            state.left = self._hub.now()
            self.store.put(state)

    def refuse(self, client: Client) -> None:
        """Forget the state of a client that is not let in.

        Args:
            client: The client.
        """
        state: Recoverable = client.recoverable
        if self._connected.get(state.pid) is client:
            del self._connected[state.pid]
        if self.store.take(state.pid) is not None:
            self._hub.logger.debug("%s: its state is forgotten", client.label())

    def forget(self, namespace: str, rooms: Any, skip_rooms: Any = ()) -> None:
        """Forget clients that are away, so that they cannot return as who they were.

        Args:
            namespace: The namespace.
            rooms: Their ids, or rooms that they were in; ``None`` for all.
            skip_rooms: Rooms whose clients are not meant.
        """
        for state in self.store.away(namespace):
            own = {state.sid, *state.rooms}
            if (rooms is None or not own.isdisjoint(rooms)) and own.isdisjoint(skip_rooms):
                self.store.take(state.pid)

    # Rooms

    def joined(self, client: Client, room: Any) -> None:
        """Take note that a client has joined a room.

        Args:
            client: The client.
            room: The room.
        """
        client.recoverable.join(room, self.last)

    def left_room(self, client: Client, room: Any) -> None:
        """Take note that a client has left a room; after its end, it has them all still.

        Args:
            client: The client.
            room: The room.
        """
        if self._connected.get(client.recoverable.pid) is client:
            client.recoverable.leave(room, self.last, self.store.oldest)
