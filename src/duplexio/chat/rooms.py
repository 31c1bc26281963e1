"""The rooms: who is in them, what is said, who is told what.

Nothing here knows how clients are connected, where messages are kept, or what time it is: seats,
clock and uids come from outside, and what has to happen later is asked for with :meth:`Hub.due` and
done by :meth:`Hub.tick`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ChatError
from .events import Event, Message, welcome_lines
from .identity import Identities
from .limits import Limits
from .names import DEFAULT_ROOM, clean_id, clean_name, clean_text, name_key

__all__ = ["Entry", "Hub", "Member", "Room", "Seat"]

# The list of rooms goes to everybody, so not more often than this, in seconds.
_LISTING_PAUSE = 1.0
# A member's typing is told again after so many seconds at the earliest.
_TYPING_PAUSE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A visitor's wish to enter a room.

    Attributes:
        room: The room's name, cleaned.
        name: The nickname, as typed.
        uid: Who they were before, if they come back.
        key: What proves it.
        history: The history that they know.
        last: The number of the last message that they have.
    """

    room: str
    name: str
    uid: str = ""
    key: str = ""
    history: str = ""
    last: int | None = None


class Bucket:
    """How much a client may send: ``burst`` at once, and ``rate`` per second afterwards."""

    __slots__ = ("_level", "_limits", "_time")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._level = float(limits.burst)
        self._time = now

    def take(self, now: float) -> float:
        """Take one; return 0, or the seconds after which there will be one."""
        limits = self._limits
        self._level = min(limits.burst, self._level + (now - self._time) * limits.rate)
        self._time = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / limits.rate


class Seat:
    """A connection, as the rooms see it; transports derive from it.

    Attributes:
        member: Who sits here; ``None`` before a room was entered and after it was left.
        resumable: Whether this client comes back by itself when its connection breaks.
        bucket: How much it may still send.
    """

    resumable = True

    def __init__(self) -> None:
        self.member: Member | None = None
        self.bucket: Bucket | None = None

    def deliver(self, event: Event) -> None:
        """Tell the client something; must not raise when that is impossible."""
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class Member:
    """Somebody in a room.

    Attributes:
        uid: Who it is.
        name: The nickname.
        room: The room.
        seats: The connections; none while the client may still come back.
        gone_at: When the last connection was lost.
        typed_at: When the others were told last that they type.
    """

    uid: str
    name: str
    room: Room
    seats: set[Seat] = field(default_factory=set)
    gone_at: float = 0.0
    typed_at: float = float("-inf")

    def told(self) -> dict[str, Any]:
        """Return what the others are told of them."""
        return {"uid": self.uid, "name": self.name}


class Room:
    """A room that is open.

    Args:
        name: Its name.
        messages: Its last messages.
        replay: How many to hold in memory.

    Attributes:
        name: Its name.
        messages: Its last messages.
        last: The number of the last one.
        members: Who is in it, by uid.
        names: The uids of the nicknames, by what makes names the same.
        pending: Messages that are being kept, and not told yet.
    """

    def __init__(self, name: str, messages: Iterable[Message], replay: int) -> None:
        self.name = name
        self.messages: deque[Message] = deque(messages, replay)
        self.last = self.messages[-1].number if self.messages else 0
        self.members: dict[str, Member] = {}
        self.names: dict[str, str] = {}
        self.pending = 0

    def tell(self, event: Event, but: Member | None = None) -> None:
        """Tell an event to all members, but for one."""
        for member in list(self.members.values()):
            if member is not but:
                for seat in list(member.seats):
                    seat.deliver(event)

    def messages_after(self, last: int) -> tuple[list[Message], int]:
        """Return the messages after a number, and how many more are too long ago."""
        messages = [message for message in self.messages if message.number > last]
        first = messages[0].number if messages else self.last + 1
        return messages, max(0, first - last - 1)

    def free_name(self, name: str, limits: Limits) -> str:
        """Return a name like another one that nobody has."""
        count = 2
        while True:
            suffix = str(count)
            free = name[: limits.name - len(suffix)].rstrip() + suffix
            if name_key(free) not in self.names:
                return free
            count += 1


class Hub:
    """All rooms of a server.

    Args:
        limits: The limits.
        identities: Makes uids and their keys.
        clock: Returns the time in seconds; it need not be the time of day.
        history: The id of the history that messages are kept in; another id, other numbers.
        shown: How many of the last messages a newcomer gets.
        known: The rooms of the history, with the number of the last message of each.

    Attributes:
        rooms: The rooms that are open.
    """

    def __init__(
        self,
        limits: Limits,
        identities: Identities,
        clock: Callable[[], float],
        history: str,
        shown: int = 50,
        known: Mapping[str, int] | None = None,
    ) -> None:
        self.limits = limits
        self.rooms: dict[str, Room] = {}
        self._identities = identities
        self._clock = clock
        self._history = history
        self._shown = shown
        self._known: dict[str, int] = {DEFAULT_ROOM: 0, **(known or {})}
        self._absent: deque[Member] = deque()  # in the order in which their connections were lost
        self._started = clock()
        self._listing_told = float("-inf")
        self._listing_changed = False

    # Rooms

    def open_room(self, name: str, messages: Iterable[Message]) -> None:
        """Open a room, with its last messages.

        Raises:
            ChatError: When too many rooms are open.
        """
        self.check_room(name)
        if name not in self.rooms:
            self.rooms[name] = Room(name, messages, self.limits.replay)

    def check_room(self, name: str) -> None:
        """Raise an error unless a room is open or can be opened."""
        if name not in self.rooms and len(self.rooms) >= self.limits.rooms:
            raise ChatError(
                "too_many_rooms",
                f"{self.limits.rooms} rooms are open, and no more can be. Join one of them.",
            )

    def listing(self) -> list[dict[str, Any]]:
        """Return the rooms, the fullest first, with members and the number of the last message."""
        listed = {name: (0, last) for name, last in self._known.items()}
        for name, room in self.rooms.items():
            if room.members:
                listed[name] = (len(room.members), room.last)
        rooms = sorted(listed.items(), key=lambda item: (-item[1][0], item[0]))
        return [
            {"name": name, "members": members, "last": last}
            for name, (members, last) in rooms[: self.limits.rooms]
        ]

    def _close_if_empty(self, room: Room) -> None:
        if not room.members and not room.pending:
            self.rooms.pop(room.name, None)

    # Coming and going

    def enter(self, seat: Seat, entry: Entry) -> None:
        """Let a visitor into a room that is open, out of the one that they were in.

        Args:
            seat: The connection, which is told ``welcome``.
            entry: Who wants to go where.

        Raises:
            ChatError: When they cannot; the visitor stays where they were.
        """
        room = self.rooms[entry.room]
        try:
            self._take_turn(seat)
            member, is_new = self._find_or_make_member(seat, room, entry)
        except ChatError:
            self._close_if_empty(room)
            raise
        if seat.member is not None and seat.member is not member:
            self.leave(seat)
        seat.member = member
        member.seats.add(seat)
        if is_new:
            room.members[member.uid] = member
            room.names[name_key(member.name)] = member.uid
        seat.deliver(self._welcome(member, entry))
        if is_new:
            # Those who come back after a restart of the server were never gone for the others.
            is_back = member.uid == entry.uid and entry.history == self._history
            quiet = is_back and self._clock() - self._started < self.limits.leave_delay
            room.tell(
                Event(
                    "joined",
                    {**member.told(), "quiet": quiet},
                    [] if quiet else [f"{member.name} Login"],
                ),
                but=member,
            )
            self._listing_changed = True

    def _find_or_make_member(self, seat: Seat, room: Room, entry: Entry) -> tuple[Member, bool]:
        uid = entry.uid if entry.uid and self._identities.owns(entry.uid, entry.key) else ""
        member = room.members.get(uid)
        if member is not None:
            if len(member.seats) >= self.limits.seats and seat not in member.seats:
                raise ChatError(
                    "too_many_seats",
                    f"You are here {len(member.seats)} times already. Close a tab or two.",
                )
            return member, False
        name = clean_name(entry.name, self.limits)
        holder = room.members.get(room.names.get(name_key(name), ""))
        if holder is not None and not holder.seats:
            self._dismiss(holder)
        elif holder is not None:
            free = room.free_name(name, self.limits)
            raise ChatError(
                "name_taken", f"The name {name} is taken in this room. {free} is free, for example."
            )
        if len(room.members) >= self.limits.members:
            raise ChatError(
                "room_full", f"The room {room.name} is full, with {len(room.members)} members."
            )
        return Member(uid or self._identities.new_uid(), name, room), True

    def _welcome(self, member: Member, entry: Entry) -> Event:
        room = member.room
        if entry.last is not None and entry.history == self._history:
            messages, missed = room.messages_after(entry.last)
        else:
            messages, missed = list(room.messages)[-self._shown :] if self._shown else [], 0
        limits = self.limits
        return Event(
            "welcome",
            {
                **member.told(),
                "key": self._identities.key_of(member.uid),
                "room": room.name,
                "history": self._history,
                "last": room.last,
                "limits": {"text": limits.text, "name": limits.name, "room": limits.room},
                "members": [other.told() for other in room.members.values()],
                "messages": [message.told() for message in messages],
                "missed": missed,
                "rooms": self.listing(),
            },
            welcome_lines(member.name, messages),
        )

    def leave(self, seat: Seat) -> None:
        """Take a seat out of its room because its visitor wants to go."""
        member = self._vacate(seat)
        if member is not None and not member.seats:
            self._dismiss(member)

    def drop(self, seat: Seat) -> None:
        """Take a seat out of its room because its connection is lost."""
        if not seat.resumable:
            self.leave(seat)
            return
        member = self._vacate(seat)
        if member is not None and not member.seats:
            member.gone_at = self._clock()
            self._absent.append(member)

    def _vacate(self, seat: Seat) -> Member | None:
        member, seat.member = seat.member, None
        if member is not None:
            member.seats.discard(seat)
        return member

    def _dismiss(self, member: Member) -> None:
        room = member.room
        if room.members.get(member.uid) is not member:
            return
        del room.members[member.uid]
        del room.names[name_key(member.name)]
        room.tell(Event("left", member.told(), [f"{member.name} Logout"]))
        self._listing_changed = True
        self._close_if_empty(room)

    # Talking

    def say(self, seat: Seat, message_id: str, text: str, time: int) -> Message:
        """Take a message, which is told to the room when it has been kept.

        Args:
            seat: Who speaks.
            message_id: What its client calls the message.
            text: What it says.
            time: The time of day, in milliseconds since 1970.

        Returns:
            The message to keep; :meth:`kept` or :meth:`not_kept` must follow.

        Raises:
            ChatError: When it is refused.
        """
        member = self._member_of(seat)
        message_id = clean_id(message_id)
        text = clean_text(text, self.limits)
        self._take_turn(seat)
        member.room.pending += 1
        member.typed_at = float("-inf")
        return Message(member.room.name, 0, message_id, member.uid, member.name, text, time)

    def kept(self, message: Message) -> None:
        """Tell a room a message that has been kept, and has its number."""
        room = self.rooms[message.room]
        room.pending -= 1
        room.last = message.number
        room.messages.append(message)
        self._remember(message.room, message.number)
        room.tell(Event("message", message.told(), [message.line()], about=message.uid))
        self._listing_changed = True
        self._close_if_empty(room)

    def not_kept(self, message: Message) -> None:
        """Take note that a message was not kept, or had been before."""
        room = self.rooms[message.room]
        room.pending -= 1
        self._close_if_empty(room)

    def typing(self, seat: Seat) -> None:
        """Tell the others that somebody is typing.

        Raises:
            ChatError: When they are in no room.
        """
        member = self._member_of(seat)
        now = self._clock()
        if now - member.typed_at >= _TYPING_PAUSE:
            member.typed_at = now
            member.room.tell(Event("typing", member.told()), but=member)

    def _member_of(self, seat: Seat) -> Member:
        if seat.member is None:
            raise ChatError("not_in_a_room", "You are in no room. Enter one first.")
        return seat.member

    def _take_turn(self, seat: Seat) -> None:
        now = self._clock()
        if seat.bucket is None:
            seat.bucket = Bucket(self.limits, now)
        wait = seat.bucket.take(now)
        if wait:
            raise ChatError(
                "too_fast",
                f"That was too fast: {self.limits.burst} messages at once, then"
                f" {self.limits.rate:g} a second. Wait a moment.",
                retry=wait,
            )

    def _remember(self, name: str, last: int) -> None:
        self._known.pop(name, None)
        self._known[name] = last
        if len(self._known) > self.limits.rooms:
            del self._known[next(key for key in self._known if key != DEFAULT_ROOM)]

    # What happens later

    def due(self) -> float | None:
        """Return when :meth:`tick` has something to do; ``None`` when not until further calls."""
        times = []
        if self._absent:
            times.append(self._absent[0].gone_at + self.limits.leave_delay)
        if self._listing_changed and self.rooms:
            times.append(self._listing_told + _LISTING_PAUSE)
        return min(times) if times else None

    def tick(self) -> None:
        """Do what is due: dismiss who has not come back, tell everybody the list of rooms."""
        now = self._clock()
        while self._absent and self._absent[0].gone_at + self.limits.leave_delay <= now:
            member = self._absent.popleft()
            # Who has come back and is gone again stands further back in the queue.
            if not member.seats and member.gone_at + self.limits.leave_delay <= now:
                self._dismiss(member)
        if self._listing_changed and self._listing_told + _LISTING_PAUSE <= now:
            self._listing_changed = False
            self._listing_told = now
            event = Event("rooms", {"rooms": self.listing()})
            for room in list(self.rooms.values()):
                room.tell(event)
