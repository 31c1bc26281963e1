"""The limits of the chat, each with its name and default."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import UsageError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one visitor, and all together, may use.

    Attributes:
        text: Characters (code points) of a message.
        name: Characters of a nickname.
        room: Characters of a room's name.
        frame: Bytes of a WebSocket message or of the body of a POST; a larger one closes the
            WebSocket with 1009, or is answered with 413. It must hold the largest text.
        rooms: Rooms that are open at a time; a room is open while somebody is in it.
        members: Members of a room at a time.
        seats: Connections of one member at a time, such as several tabs.
        clients: Connections at a time, all rooms together.
        burst: Messages that one connection may send at once.
        rate: Messages per second that it may send in the long run.
        unkept: Messages of all rooms that may wait for the disk.
        backlog: Bytes that may wait for a client that is slow to read; with more it is
            disconnected, and gets what it missed when it comes back.
        entry_timeout: Seconds from opening a connection to entering a room.
        leave_delay: Seconds for which a member whose connection is lost counts as present, so that
            a reload or a short break is not announced.
        poll_wait: Seconds that a long poll waits for news.
        poll_pause: Seconds between two polls after which a polling client counts as lost.
        replay: Messages of a room held in memory, for those who come back.

    Example:
        >>> Limits(text=500).text
        500
    """

    text: int = 4_000
    name: int = 24
    room: int = 32
    frame: int = 65_536
    rooms: int = 100
    members: int = 200
    seats: int = 8
    clients: int = 2_000
    burst: int = 10
    rate: float = 2.0
    unkept: int = 1_000
    backlog: int = 2**20
    entry_timeout: float = 300.0
    leave_delay: float = 8.0
    poll_wait: float = 30.0
    poll_pause: float = 20.0
    replay: int = 200

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UsageError(f"the limit {field.name} is {value!r}; expected more than 0")
        # JSON may write a character as two escapes of six bytes; the rest is for the other fields.
        needed = 12 * self.text + 1_000
        if self.frame < needed:
            raise UsageError(
                f"the limit frame is {self.frame} bytes, too few for texts of {self.text}"
                f" characters; set it to {needed} or more"
            )
