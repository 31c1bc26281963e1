"""What a load consists of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

__all__ = ["Answer", "Plan"]

#: What counts as the answer to a message: its echo (or the event that comes back), the
#: acknowledgement, every delivery of it to any client, or nothing.
Answer = Literal["echo", "ack", "deliveries", "none"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A load.

    Attributes:
        url: The server.
        socketio: Whether Socket.IO is spoken; else plain WebSocket.
        connections: How many there are.
        duration: Seconds that are measured.
        warm_up: Seconds before that, which are not counted.
        ramp_up: Seconds over which the connections are opened.
        rate: Messages per second, in all; ``None`` for as many as are answered.
        in_flight: Messages per connection that wait for their answers, when there is no rate.
        payload: Bytes of a message's payload.
        binary: Whether the payload is binary.
        answer: What counts as an answer.
        event: Name of the event, in Socket.IO.
        rooms: Rooms over which the clients are spread; 0 for none.
        join: The event that asks the server to let a client into a room.
        transports: Transports of Engine.IO, in order.
        path: Path of the Socket.IO endpoint.
        auth: What is sent when connecting to the namespace, as JSON; empty for nothing.
        namespace: The namespace.
        headers: Further headers.
        insecure: Whether the certificate is not checked.
        timeout: Seconds that connecting may take, and the last answers.
        first: Number of the first connection of this part of the load.
    """

    url: str
    socketio: bool = False
    connections: int = 100
    duration: float = 10.0
    warm_up: float = 1.0
    ramp_up: float = 0.0
    rate: float | None = None
    in_flight: int = 1
    payload: int = 64
    binary: bool = False
    answer: Answer = "echo"
    event: str = "message"
    rooms: int = 0
    join: str = "join"
    transports: tuple[str, ...] = ("websocket",)
    path: str = "/socket.io/"
    auth: str = ""
    namespace: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    insecure: bool = False
    timeout: float = 10.0
    first: int = 0

    def parts(self, count: int) -> list[Plan]:
        """Split the load among processes.

        Args:
            count: How many there are; those that would have no connection are left out.

        Example:
            >>> [part.connections for part in Plan(url="ws://localhost", connections=5).parts(2)]
            [3, 2]
        """
        parts = []
        first = 0
        for i in range(min(count, self.connections)):
            connections = self.connections // count + (i < self.connections % count)
            share = connections / self.connections
            rate = None if self.rate is None else self.rate * share
            parts.append(replace(self, connections=connections, rate=rate, first=first))
            first += connections
        return parts

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON carries it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Plan:
        """Make a plan of what :meth:`as_dict` returned."""
        lists = {"transports": tuple(fields["transports"])}
        headers = tuple((name, value) for name, value in fields["headers"])
        return cls(**{**fields, **lists, "headers": headers})
