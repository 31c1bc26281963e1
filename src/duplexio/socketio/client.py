# cython: annotation_typing=False, binding=False, embedsignature=True
"""A client in one namespace: what it is sent, and what it owes us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engineio.session import BUFFER_OVERFLOW, Session
from .adapter import Adapter, Member
from .core import transmit
from .delivery import DELIVERY, WINDOW, Delivery
from .exceptions import ClientGoneError
from .hub import Hub
from .old_clients import in_ascii
from .packets import CONNECT, EVENT
from .party import CONNECTED, CONNECTING, GONE, MAX_READABLE, NO_ACK

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["CONNECTED", "CONNECTING", "GONE", "Client"]


class Client(Member):
    """A client in one namespace.

    Args:
        hub: What the connections of the server share.
        session: The Engine.IO session.
        connection: Its connection.
        adapter: The namespace.
        sid: Its id there.

    Attributes:
        connection: Its connection.
        protocol: Version of Engine.IO.
        adapter: The namespace.
        told: Whether it knows that it is connected.
        reason: Why it has left; empty until then.
        data: The application's; ``None`` for nothing yet.
        delivery: What is known of its emits that may come again; ``None`` when it sends none.
    """

    def __init__(
        self, hub: Hub, session: Session, connection: Connection, adapter: Adapter, sid: str
    ) -> None:
        Member.__init__(self, hub, adapter.name, sid, session)
        self.connection = connection
        self.protocol = session.protocol
        self.adapter = adapter
        self.told = False
        self.reason = ""
        self.data: dict[str, Any] | None = None
        self.delivery: Delivery | None = None
        self.held: list[Any] | None = None  # sent before it knows that it is connected

    def routes(self) -> Any:
        """Return the handlers of its namespace."""
        hub: Any = self.hub
        return hub.routes_of(self.adapter)

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
        if self.protocol == 3 and self.session.transport == "polling":
            packet = in_ascii(packet)
        transmit(self.session, packet)

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
        """Return the id for an acknowledgement; 0 when the client has left.

        Args:
            callback: A future, or a function.
        """
        if self.state == GONE:
            self.give_up(callback, "")
            return 0
        return Member.expect_ack(self, callback)

    def overrun(self) -> None:
        """End the session of a client that owes too many acknowledgements."""
        self.session.close()

    def gone(self, why: str) -> Exception:
        """Return what those are told who wait for an answer."""
        return ClientGoneError(f"the client {self.label()} left before it answered")

    # Emits that come again

    def remember(self, delivery: Delivery) -> None:
        """Know the client's emits again that have come before.

        Args:
            delivery: What is known of them.
        """
        self.delivery = delivery
        self.deduplicated = True

    def is_repeated(self, id: int) -> bool:
        """Return whether an event has come before; if so, it is answered as it was then."""
        delivery = self.delivery
        if delivery is None or id & 1 or delivery.admit(id):
            return False
        self.hub.count("repeated_emits")
        answered, packet = delivery.answer_of(id)
        if answered and self.state == CONNECTED:
            self.transmit(self.ack_packet(id, None) if packet is None else packet)
        return True

    def unanswered(self, id: int) -> None:
        """Take note that the handler of an event has failed."""
        if self.delivery is not None:
            self.delivery.forget(id)

    def acknowledge(self, id: int, result: Any) -> None:
        """Send what a handler has returned, to who the client is now."""
        delivery = self.delivery
        if delivery is None or id & 1:
            Member.acknowledge(self, id, result)
        elif result is not NO_ACK:
            packet = self.ack_packet(id, result)
            delivery.answered(id, packet)
            client: Any = delivery.client
            if client.state == CONNECTED:
                client.transmit(packet)

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
        state = self.recoverable
        if state is not None and state.missed:
            missed, state.missed = state.missed, []
            for packet in missed:
                self.transmit(packet)
        if self.protocol == 3:
            self.send(CONNECT, -1, None, True)
        else:
            answer: dict[str, Any] = {"sid": self.sid}
            if state is not None:
                answer["pid"] = state.pid
            if self.delivery is not None:
                answer[DELIVERY] = WINDOW
            self.send(CONNECT, -1, answer)
        held, self.held = self.held, None
        if held is not None:
            for packet in held:
                self.transmit(packet)

    def vanish(self) -> None:
        """Forget the client, which has not been let in or has left."""
        self.state = GONE
        self.held = self.early = None
        self.adapter.leave_all(self)
        self.give_up_all("")

    def label(self) -> str:
        """Return how logs call the client, without giving a secret away."""
        # With Engine.IO 3 the id is the one of the session, which is a secret.
        sid = self.sid if self.protocol == 4 else f"{self.sid[:6]}…"
        label = f"{sid} ({self.adapter.name[:MAX_READABLE]})"
        # A client may have chosen the namespace, and it must not write lines of its own.
        return label if label.isprintable() else repr(label)[1:-1]
