"""What a server keeps to recover the state of clients that return: what went out, and who is away.

No part of it knows of time or of chance: both come from outside. A store is an interface, so that
what is kept can outlive the process; :class:`MemoryStore` keeps it in memory.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Entry", "MemoryStore", "Recoverable", "RecoveryStore"]

#: Past rooms of one client from which on those are forgotten that no packet in the log needs.
_PAST_ROOMS = 32


@dataclass(slots=True)
class Entry:
    """A packet that went out.

    Attributes:
        number: Its number, counted from 1 in the order of the emits.
        time: When, in seconds.
        namespace: The namespace.
        packet: The packet, as all clients get it.
        size: About how many bytes it has.
        rooms: The rooms that it was for; ``None`` for all clients.
        skip_sids: Ids of clients that it was not for.
        skip_rooms: Rooms whose clients it was not for.
    """

    number: int
    time: float
    namespace: str
    packet: Any
    size: int
    rooms: tuple[Any, ...] | None = None
    skip_sids: tuple[str, ...] = ()
    skip_rooms: tuple[Any, ...] = ()


class Recoverable:
    """What is known of a client beyond its connection.

    Which rooms it was in *when* a packet went out decides whether it is to have it: one that was
    sent to a room before the client joined it was not for the client, and one that was sent before
    it left is.

    Args:
        pid: Names this state to the client, and is a secret of it.
        sid: The client's id.
        namespace: The namespace.
        start: Number of the last packet that went out before the client was there.

    Attributes:
        rooms: The rooms that it is in, each with the number of the last packet before it joined.
        data: The application's session data.
        last_ack: The last id that we have asked for an acknowledgement with.
        left: When it has lost its connection, in seconds.
        recovered: Whether it has returned.
        missed: Packets that it is to get before it is told that it is connected.

    Example:
        >>> state = Recoverable("secret", "sid", "/", 0)
        >>> state.join("room", 4)
        >>> state.gets(Entry(4, 0.0, "/", b"", 0, ("room",)))
        False
        >>> state.gets(Entry(5, 0.0, "/", b"", 0, ("room",)))
        True
    """

    __slots__ = (
        "data",
        "last_ack",
        "left",
        "missed",
        "namespace",
        "past",
        "pid",
        "recovered",
        "rooms",
        "sid",
        "start",
    )

    def __init__(self, pid: str, sid: str, namespace: str, start: int) -> None:
        self.pid = pid
        self.sid = sid
        self.namespace = namespace
        self.start = start
        self.rooms: dict[Any, int] = {}
        self.past: list[tuple[Any, int, int]] = []
        self.data: dict[str, Any] | None = None
        self.last_ack = 0
        self.left = 0.0
        self.recovered = False
        self.missed: list[Any] = []

    def join(self, room: Any, last: int) -> None:
        """Take note that it has joined a room.

        Args:
            room: The room.
            last: Number of the last packet that went out.
        """
        self.rooms.setdefault(room, last)

    def leave(self, room: Any, last: int, oldest: int) -> None:
        """Take note that it has left a room.

        Args:
            room: The room.
            last: Number of the last packet that went out.
            oldest: Number of the oldest packet that is still known.
        """
        joined = self.rooms.pop(room, last)
        if joined == last:
            return
        if len(self.past) >= _PAST_ROOMS:
            self.past = [each for each in self.past if each[2] >= oldest]
        self.past.append((room, joined, last))

    def was_in(self, room: Any, number: int) -> bool:
        """Tell whether it was in a room when a packet went out.

        Args:
            room: The room.
            number: Number of the packet.
        """
        if room == self.sid:
            return True
        joined = self.rooms.get(room)
        if joined is not None and joined < number:
            return True
        return any(room == past and a < number <= b for past, a, b in self.past)

    def gets(self, entry: Entry) -> bool:
        """Tell whether a packet was for it.

        Args:
            entry: The packet.
        """
        number = entry.number
        if entry.namespace != self.namespace or number <= self.start:
            return False
        if self.sid in entry.skip_sids:
            return False
        if any(self.was_in(room, number) for room in entry.skip_rooms):
            return False
        rooms = entry.rooms
        return rooms is None or any(self.was_in(room, number) for room in rooms)


class RecoveryStore(Protocol):
    """Keeps what went out, and who is away.

    Attributes:
        oldest: Number of the oldest packet that it has; ``last + 1`` for none.
        floor: The highest number of a packet that it had no room for, though a client may still
            ask for it; 0 for none.
    """

    oldest: int
    floor: int

    def append(self, entry: Entry) -> None:
        """Keep a packet, before it goes out.

        Args:
            entry: The packet; the numbers rise.
        """

    def after(self, number: int) -> list[Entry]:
        """Return the packets behind a number that it has.

        Args:
            number: The number.
        """

    def put(self, state: Recoverable) -> None:
        """Keep the state of a client that is away.

        Args:
            state: The state.
        """

    def take(self, pid: str) -> Recoverable | None:
        """Return the state of a client, and forget it.

        Args:
            pid: The name of the state.
        """

    def away(self, namespace: str) -> list[Recoverable]:
        """Return the clients of a namespace that are away.

        Args:
            namespace: The namespace.
        """

    def expire(self, packets: float, clients: float) -> None:
        """Forget what is too old.

        Args:
            packets: Time, in seconds, before which packets are of no use any more.
            clients: Time before which clients have left that may no longer return.
        """


class MemoryStore:
    """Keeps it in memory, as long as the process lives.

    Args:
        max_packets: Packets, at most.
        max_bytes: Bytes of them, at most, as they are sent; they may take three times as much
            memory.
        max_clients: Clients that are away, at most; those that have left first are forgotten.

    Example:
        >>> store = MemoryStore(max_packets=2)
        >>> for number in (1, 2, 3):
        ...     store.append(Entry(number, 0.0, "/", b"42", 2))
        >>> [entry.number for entry in store.after(2)], store.oldest, store.floor
        ([3], 2, 1)
    """

    def __init__(
        self, max_packets: int = 10_000, max_bytes: int = 2**24, max_clients: int = 10_000
    ) -> None:
        self.oldest = 1
        self.floor = 0
        self._max_packets = max_packets
        self._max_bytes = max_bytes
        self._max_clients = max_clients
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._away: OrderedDict[str, Recoverable] = OrderedDict()

    def append(self, entry: Entry) -> None:
        """Keep a packet; the oldest ones make room for it."""
        self._entries.append(entry)
        self._bytes += entry.size
        while len(self._entries) > self._max_packets or self._bytes > self._max_bytes:
            self.floor = self._entries[0].number
            self._drop()

    def _drop(self) -> None:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        self.oldest = entry.number + 1

    def after(self, number: int) -> list[Entry]:
        """Return the packets behind a number that it has."""
        found = []
        for entry in reversed(self._entries):
            if entry.number <= number:
                break
            found.append(entry)
        found.reverse()
        return found

    def put(self, state: Recoverable) -> None:
        """Keep the state of a client that is away."""
        self._away[state.pid] = state
        if len(self._away) > self._max_clients:
            self._away.popitem(last=False)

    def take(self, pid: str) -> Recoverable | None:
        """Return the state of a client, and forget it."""
        return self._away.pop(pid, None)

    def away(self, namespace: str) -> list[Recoverable]:
        """Return the clients of a namespace that are away."""
        return [state for state in self._away.values() if state.namespace == namespace]

    def expire(self, packets: float, clients: float) -> None:
        """Forget what is too old."""
        entries = self._entries
        while entries and entries[0].time < packets:
            self._drop()
        away = self._away
        while away:
            pid, state = next(iter(away.items()))
            if state.left >= clients:
                return
            del away[pid]
