# cython: annotation_typing=False, binding=False, embedsignature=True
"""A client in one namespace: what it is sent, and what it owes us."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..engineio.encoded import Encoded
from ..engineio.session import BUFFER_OVERFLOW, Session
from .adapter import Adapter, Member
from .exceptions import ClientGoneError
from .hub import NO_ACK, Hub
from .packets import ACK, CONNECT, EVENT

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["CONNECTED", "CONNECTING", "GONE", "Client", "is_coroutine"]

# Where a client stands in its namespace.
CONNECTING = 0  #: its connect handler runs
CONNECTED = 1
GONE = 2

_PLAIN_TYPES = frozenset({type(None), str, int, float, bool, bytes, dict, list, tuple})


class Client(Member):
    """A client in one namespace.

    Args:
        hub: What the connections of the server share.
        session: The Engine.IO session.
        connection: Its connection.
        adapter: The namespace.
        sid: Its id there.

    Attributes:
        hub: What the connections of the server share.
        connection: Its connection.
        protocol: Version of Engine.IO.
        adapter: The namespace.
        state: :data:`CONNECTING`, :data:`CONNECTED` or :data:`GONE`.
        told: Whether it knows that it is connected.
        reason: Why it has left; empty until then.
        data: The application's; ``None`` for nothing yet.
    """

    def __init__(
        self, hub: Hub, session: Session, connection: Connection, adapter: Adapter, sid: str
    ) -> None:
        Member.__init__(self, sid, session)
        self.hub = hub
        self.connection = connection
        self.protocol = session.protocol
        self.adapter = adapter
        self.state = CONNECTING
        self.told = False
        self.reason = ""
        self.data: dict[str, Any] | None = None
        self.held: list[Any] | None = None  # sent before it knows that it is connected
        self.early: list[Any] | None = None  # received before its connect handler was done
        self.acks: dict[int, Any] | None = None
        self.last_ack = 0

    # Sending

    def deliver(self, packet: Any) -> None:
        """Send a packet; what comes before the client knows that it is connected waits."""
        if self.state == GONE:
            return
        if self.told:
            self.transmit(packet)
        elif self.held is None:
            self.held = [packet]
        elif len(self.held) < self.session.options.max_buffered_packets:
            self.held.append(packet)
        else:
            self.session.end(BUFFER_OVERFLOW)

    def transmit(self, packet: Any) -> None:
        """Send a packet now."""
        kind = type(packet)
        if kind is bytes:
            self.session.send_utf8(packet)
        elif kind is Encoded:
            self.session.send_encoded(packet)
        elif type(packet.data) is bytes:
            self.session.send_binary(packet.data)
        else:
            self.session.send_text(packet.data)

    def send(self, kind: int, id: int, data: Any, absent: bool = False) -> None:
        """Write a packet and send it.

        Args:
            kind: The type.
            id: Of the acknowledgement; -1 for none.
            data: The payload.
            absent: Whether there is no payload at all.
        """
        self.deliver(self.hub.packet(kind, self.adapter.name, id, data, absent))

    def emit(self, data: list[Any], callback: Any = None) -> None:
        """Send an event.

        Args:
            data: Name and arguments.
            callback: What to do with the acknowledgement: a future, or a function that is called
                with its arguments; ``None`` when none is wanted.
        """
        self.send(EVENT, -1 if callback is None else self.expect_ack(callback), data)

    def expect_ack(self, callback: Any) -> int:
        """Return the id for an acknowledgement.

        Args:
            callback: A future, or a function.
        """
        hub = self.hub
        if self.state == GONE:
            self._give_up(callback)
            return 0
        if self.acks is None:
            self.acks = {}
        elif len(self.acks) >= hub.limits.max_pending_acks:
            oldest = next(iter(self.acks))
            self._give_up(self.acks.pop(oldest))
            if hub.count("max_pending_acks") == "disconnect":
                self.session.close()
        self.last_ack += 1
        self.acks[self.last_ack] = callback
        return self.last_ack

    def forget_ack(self, callback: Any) -> None:
        """Wait no more for an acknowledgement.

        Args:
            callback: What was given to :meth:`expect_ack`.
        """
        if self.acks is not None:
            for id, expected in self.acks.items():
                if expected is callback:
                    del self.acks[id]
                    return

    def _give_up(self, callback: Any) -> None:
        if isinstance(callback, asyncio.Future) and not callback.done():
            callback.set_exception(
                ClientGoneError(f"the client {self.label()} left before it answered")
            )

    def acknowledge(self, id: int, result: Any) -> None:
        """Send what a handler has returned.

        Args:
            id: Of the acknowledgement.
            result: Nothing for ``None``, several arguments for a tuple.
        """
        if result is NO_ACK or self.state != CONNECTED:
            return
        if result is None:
            data = []
        elif type(result) is tuple:
            data = list(result)
        else:
            data = [result]
        self.transmit(self.hub.packet(ACK, self.adapter.name, id, data))

    def resolve(self, id: int, data: list[Any]) -> None:
        """Take an acknowledgement; one that nobody waits for is ignored.

        Args:
            id: Its id.
            data: Its arguments.
        """
        callback = None if self.acks is None else self.acks.pop(id, None)
        if callback is None:
            return
        if isinstance(callback, asyncio.Future):
            if not callback.done():
                callback.set_result(data)
            return
        hub = self.hub
        try:
            result = callback(*data)
            if is_coroutine(result):
                hub.start_task(self._run_callback(result))
        except Exception as exc:
            hub.failed(f"a callback for {self.label()}", exc)

    async def _run_callback(self, callback: Any) -> None:
        try:
            await callback
        except Exception as exc:
            self.hub.failed(f"a callback for {self.label()}", exc)

    # Its life

    def accepted(self) -> list[Any] | None:
        """Let the client in, and tell it.

        Returns:
            The handlers that have waited for this, with what they are called with.
        """
        self.state = CONNECTED
        if not self.told:
            self.tell()
        early, self.early = self.early, None
        return early

    def tell(self) -> None:
        """Tell the client that it is connected, and what was sent to it meanwhile."""
        self.told = True
        if self.protocol == 3:
            self.send(CONNECT, -1, None, True)
        else:
            self.send(CONNECT, -1, {"sid": self.sid})
        held, self.held = self.held, None
        if held is not None:
            for packet in held:
                self.transmit(packet)

    def vanish(self) -> None:
        """Forget the client, which has not been let in or has left."""
        self.state = GONE
        self.held = self.early = None
        self.adapter.leave_all(self)
        acks, self.acks = self.acks, None
        if acks is not None:
            for callback in acks.values():
                self._give_up(callback)

    def label(self) -> str:
        """Return how logs call the client, without giving a secret away."""
        # With Engine.IO 3 the id is the one of the session, which is a secret.
        sid = self.sid if self.protocol == 4 else f"{self.sid[:6]}…"
        return f"{sid} ({self.adapter.name})"


def is_coroutine(result: Any) -> bool:
    """Tell whether what a handler has returned is to be awaited.

    Args:
        result: What it has returned.
    """
    kind = type(result)
    if kind is types.CoroutineType:
        return True
    return kind not in _PLAIN_TYPES and isinstance(result, Coroutine)
