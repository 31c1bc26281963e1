"""What a client keeps: emits while it is not connected, and those that are retried until answered.

Both are bounded, by packets and by bytes, and keep the order of the emits.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ..engineio.encoded import Encoded
from ..errors import UsageError
from .exceptions import LimitExceededError

__all__ = [
    "OFFLINE_POLICIES",
    "Budget",
    "Entry",
    "Outbox",
    "Retries",
    "largest_message",
    "packet_size",
]

#: What happens to an emit while the client is not connected, but tries to be: it is kept and sent
#: later, it raises an exception, or it is forgotten.
OFFLINE_POLICIES = ("buffer", "fail", "drop")

#: Emits that may be under way at once, to a server that recognises those that it has seen.
WINDOW = 32


def packet_size(packet: Any) -> int:
    """Return about how many bytes it takes to send a packet.

    Args:
        packet: What ``Core.packet`` has made.

    Example:
        >>> packet_size(b'42["x"]'), packet_size(Encoded('51-["x"]', (b"abc",)))
        (7, 12)
    """
    if isinstance(packet, bytes):
        return len(packet)
    return packet.size() if isinstance(packet, Encoded) else len(packet.data)


def largest_message(packet: Any) -> int:
    """Return the bytes of the largest message that a packet goes out in.

    Args:
        packet: What ``Core.packet`` has made.

    Example:
        >>> largest_message(b'42["x"]'), largest_message(Encoded('51-["x"]', (bytes(99),)))
        (7, 99)
    """
    if isinstance(packet, Encoded):
        return max(len(packet.packet.encode()), *map(len, packet.attachments))
    return packet_size(packet)


class Budget:
    """How much a client may keep, in all its namespaces.

    Args:
        max_packets: Packets.
        max_bytes: Bytes of them.

    Attributes:
        packets: How many are kept.
        bytes: How large they are.
    """

    def __init__(self, max_packets: int, max_bytes: int) -> None:
        if max_packets < 1 or max_bytes < 1:
            raise UsageError(
                f"max_offline_packets is {max_packets!r} and max_offline_bytes is {max_bytes!r};"
                " expected whole numbers above 0"
            )
        self.packets = 0
        self.bytes = 0
        self._max_packets = max_packets
        self._max_bytes = max_bytes

    def take(self, size: int) -> None:
        """Take room for a packet.

        Args:
            size: Its size.

        Raises:
            LimitExceededError: There is none left.
        """
        if self.packets >= self._max_packets:
            raise LimitExceededError(
                f"max_offline_packets={self._max_packets} packets wait to be sent already"
            )
        if self.bytes + size > self._max_bytes:
            raise LimitExceededError(
                f"{self.bytes} bytes wait to be sent already; {size} more would be above"
                f" max_offline_bytes={self._max_bytes}"
            )
        self.packets += 1
        self.bytes += size

    def give(self, size: int) -> None:
        """Give back the room of a packet.

        Args:
            size: Its size.
        """
        self.packets -= 1
        self.bytes -= size


class Outbox:
    """Emits that wait for the client to be connected, in one namespace.

    Args:
        budget: How much may be kept.

    Example:
        >>> outbox = Outbox(Budget(10, 100))
        >>> outbox.add(b'42["x"]', -1)
        >>> list(outbox.take())
        [(b'42["x"]', -1)]
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._entries: deque[tuple[Any, int]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, packet: Any, id: int) -> None:
        """Keep a packet.

        Args:
            packet: The packet.
            id: Of its acknowledgement; -1 for none.

        Raises:
            LimitExceededError: There is no room left.
        """
        self._budget.take(packet_size(packet))
        self._entries.append((packet, id))

    def has(self, id: int) -> bool:
        """Tell whether the packet with an acknowledgement waits here.

        Args:
            id: Of the acknowledgement.
        """
        return any(entry[1] == id for entry in self._entries)

    def ids(self) -> set[int]:
        """Return the ids of the acknowledgements that packets here ask for."""
        return {id for _, id in self._entries if id >= 0}

    def remove(self, id: int) -> None:
        """Forget the packet with an acknowledgement.

        Args:
            id: Of the acknowledgement.
        """
        for entry in self._entries:
            if entry[1] == id:
                self._entries.remove(entry)
                self._budget.give(packet_size(entry[0]))
                return

    def take(self) -> list[tuple[Any, int]]:
        """Return all packets, which are here no more."""
        entries, self._entries = list(self._entries), deque()
        for packet, _ in entries:
            self._budget.give(packet_size(packet))
        return entries


class Entry:
    """An emit that is retried until it is acknowledged.

    Attributes:
        id: Of the acknowledgement, and of the emit itself.
        packet: The packet.
        tries: How often it was sent.
        sent: Whether it is under way.
        due: When its answer is overdue; 0 for never.
    """

    __slots__ = ("due", "id", "packet", "sent", "tries")

    def __init__(self, id: int, packet: Any) -> None:
        self.id = id
        self.packet = packet
        self.tries = 0
        self.sent = False
        self.due = 0.0


class Retries:
    """Emits that are sent again until they are acknowledged, in one namespace.

    To a server that recognises what it has seen already, up to :data:`WINDOW` of them go out at
    once, and each has its effect once. To another they go out one by one, as JavaScript's client
    sends them: then each has its effect at least once, and never behind a later one.

    Args:
        budget: How much may be kept.
        retries: How often each is sent again.
        ack_timeout: Seconds that an acknowledgement may take; ``None`` for as long as the
            connection lasts.

    Attributes:
        deduplicates: Whether the server recognises what it has seen already.
    """

    def __init__(self, budget: Budget, retries: int, ack_timeout: float | None) -> None:
        self._budget = budget
        self._retries = retries
        self._ack_timeout = ack_timeout
        self._entries: dict[int, Entry] = {}
        self.deduplicates = False

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    def add(self, id: int, packet: Any) -> None:
        """Keep an emit.

        Args:
            id: Of its acknowledgement.
            packet: The packet.

        Raises:
            LimitExceededError: There is no room left.
        """
        self._budget.take(packet_size(packet))
        self._entries[id] = Entry(id, packet)

    def remove(self, id: int) -> bool:
        """Forget an emit, which was acknowledged or is given up.

        Args:
            id: Its id.

        Returns:
            Whether there was one.
        """
        entry = self._entries.pop(id, None)
        if entry is None:
            return False
        self._budget.give(packet_size(entry.packet))
        return True

    def to_send(self, now: float) -> list[Entry]:
        """Return what is to be sent now, in order, and take note that it is.

        Args:
            now: The time, in seconds.
        """
        found = []
        window = WINDOW if self.deduplicates else 1
        for count, entry in enumerate(self._entries.values()):
            if count >= window:
                break
            if not entry.sent:
                entry.sent = True
                entry.tries += 1
                entry.due = 0.0 if self._ack_timeout is None else now + self._ack_timeout
                found.append(entry)
        return found

    def due(self) -> float:
        """Return when the next acknowledgement is overdue; 0 for never."""
        return min((entry.due for entry in self._entries.values() if entry.due), default=0.0)

    def overdue(self, now: float) -> list[int]:
        """Take note of the acknowledgements that have not come in time.

        Args:
            now: The time, in seconds.

        Returns:
            The ids of the emits that were sent often enough: they are given up.
        """
        return self._failed([e for e in self._entries.values() if e.due and e.due <= now])

    def lost(self) -> list[int]:
        """Take note that the connection is over: what was under way is to be sent again.

        Returns:
            The ids of the emits that were sent often enough: they are given up.
        """
        return self._failed([entry for entry in self._entries.values() if entry.sent])

    def _failed(self, entries: list[Entry]) -> list[int]:
        given_up = []
        for entry in entries:
            entry.sent = False
            entry.due = 0.0
            if entry.tries > self._retries:
                given_up.append(entry.id)
                self.remove(entry.id)
        return given_up

    def clear(self) -> list[int]:
        """Forget all emits; return their ids."""
        ids = list(self._entries)
        for id in ids:
            self.remove(id)
        return ids
