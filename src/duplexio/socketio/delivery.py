"""Emits that a client sends again until they are acknowledged: how a server knows them again.

A client that retries says so when it connects to a namespace, by an id of its own under the key
:data:`DELIVERY` beside what the application says; a server that knows the key answers with how many
emits it remembers. An emit then is the pair of that id and the id of its acknowledgement, which the
client counts on over its connections: even ids are those of emits that may come again, and these
come in their order. A server that does not know the key ignores it: to such a one each emit is
delivered at least once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

__all__ = ["DELIVERY", "WINDOW", "Deliveries", "Delivery"]

#: The key in the payload of CONNECT, and in the answer.
DELIVERY = "$delivery"

#: Emits of one client that a server remembers. A client has no more than 32 under way.
WINDOW = 128

#: Bytes of acknowledgements that are remembered for one client, to be sent again.
MAX_BYTES = 2**20

#: Characters that the id of a client may have.
MAX_ID = 64

_RUNNING = object()


class Delivery:
    """The emits of one client in one namespace that a server has seen.

    Attributes:
        client: Who the client is now, since it may have come back.

    Example:
        >>> delivery = Delivery()
        >>> delivery.admit(2), delivery.admit(2)
        (True, False)
    """

    __slots__ = ("_answers", "_bytes", "_lowest", "client")

    def __init__(self) -> None:
        self.client: Any = None
        self._answers: OrderedDict[int, Any] = OrderedDict()
        self._bytes = 0
        self._lowest = 0

    def admit(self, id: int) -> bool:
        """Take note of an emit.

        Args:
            id: Its id.

        Returns:
            Whether it is new. If not, it is not to be handled again; where it was answered, the
            answer is :meth:`answer_of`.
        """
        if id in self._answers or id < self._lowest:
            return False
        self._answers[id] = _RUNNING
        if len(self._answers) > WINDOW:
            oldest, answer = self._answers.popitem(last=False)
            self._lowest = max(self._lowest, oldest + 1)
            self._bytes -= _size(answer)
        return True

    def answered(self, id: int, packet: Any) -> None:
        """Remember the answer to an emit.

        Args:
            id: Its id.
            packet: The packet of the acknowledgement.
        """
        if self._answers.get(id) is _RUNNING:
            self._answers[id] = packet
            self._bytes += _size(packet)
            for old, answer in self._answers.items():
                if self._bytes <= MAX_BYTES:
                    break
                if old != id and answer is not None and answer is not _RUNNING:
                    self._answers[old] = None
                    self._bytes -= _size(answer)

    def forget(self, id: int) -> None:
        """Handle an emit when it comes again: its handler has not ended as it ought to.

        Args:
            id: Its id.
        """
        if self._answers.get(id) is _RUNNING:
            del self._answers[id]

    def answer_of(self, id: int) -> tuple[bool, Any]:
        """Return the answer to an emit that was seen before.

        Args:
            id: Its id.

        Returns:
            Whether it was answered, and the packet; ``None`` for one that is forgotten.
        """
        answer = self._answers.get(id)
        return answer is not _RUNNING, None if answer is _RUNNING else answer


class Deliveries:
    """What a server remembers of the clients that retry.

    Args:
        limit: Clients that it remembers, at most; those are forgotten first that were not
            connected for longest.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, str], Delivery] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, namespace: str, id: Any, client: Any) -> Delivery | None:
        """Return what is remembered of a client that connects.

        Args:
            namespace: Where.
            id: What it calls itself.
            client: Who it is now.

        Returns:
            ``None`` when that is no id.
        """
        if type(id) is not str or not 0 < len(id) <= MAX_ID:
            return None
        key = (namespace, id)
        delivery = self._known.get(key)
        if delivery is None:
            delivery = self._known[key] = Delivery()
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        delivery.client = client
        return delivery


def _size(packet: Any) -> int:
    if packet is None or packet is _RUNNING:
        return 0
    if isinstance(packet, bytes):
        return len(packet)
    size: int = packet.size() if hasattr(packet, "size") else len(packet.data)
    return size
