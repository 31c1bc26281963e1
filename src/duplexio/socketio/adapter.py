# cython: annotation_typing=False, binding=False, embedsignature=True
"""Who is connected to a namespace, and who is in which of its rooms.

There is one :class:`Adapter` for each namespace. This one knows the clients of its own process; one
that knows those of others derives from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..engineio.session import Session
from .party import Party

__all__ = ["Adapter", "Member"]


class Member(Party):
    """A client, as an adapter sees it.

    Args:
        hub: What the connections of the server share.
        name: The namespace.
        sid: The client's id in the namespace.
        session: The Engine.IO session that carries it.

    Attributes:
        session: The session.
        rooms: The rooms that it is in; ``None`` for none.
        recoverable: What a server with recovery knows of it; ``None`` for nothing.
    """

    def __init__(self, hub: Any, name: str, sid: str, session: Session) -> None:
        Party.__init__(self, hub, name, sid)
        self.session = session
        self.rooms: dict[Any, None] | None = None
        self.recoverable: Any = None

    def deliver(self, packet: Any) -> None:
        """Send a packet, or keep it until the client may have it.

        Args:
            packet: What ``Hub.packet`` has made.
        """
        raise NotImplementedError

    def emit(self, data: list[Any], callback: Any = None) -> None:
        """Send an event.

        Args:
            data: Name and arguments.
            callback: What to do with the acknowledgement: a future, or a function that is called
                with its arguments; ``None`` when none is wanted.
        """
        raise NotImplementedError


class Adapter:
    """The clients and rooms of one namespace.

    Every client is also in a room of its own, whose name is its id; that one takes no memory.

    Args:
        name: The namespace.

    Attributes:
        name: The namespace.
        members: Its clients, by their ids.
        rooms: The members of each room.
        routes: Which handlers are its; kept by the server.
        kept: Whether to keep it when its last client has left.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[str, Member] = {}
        self.rooms: dict[Any, dict[Member, None]] = {}
        self.routes: Any = None
        self.kept = True

    def add(self, member: Member) -> None:
        """Add a client.

        Args:
            member: The client.
        """
        self.members[member.sid] = member

    def remove(self, member: Member) -> None:
        """Remove a client, from its rooms too.

        Args:
            member: The client.
        """
        if self.members.get(member.sid) is member:
            del self.members[member.sid]
        self.leave_all(member)

    def join(self, member: Member, room: Any) -> None:
        """Put a client into a room.

        Args:
            member: The client.
            room: Name of the room; anything that a dictionary takes as a key.
        """
        if room == member.sid:
            return
        members = self.rooms.get(room)
        if members is None:
            members = self.rooms[room] = {}
        members[member] = None
        if member.rooms is None:
            member.rooms = {}
        member.rooms[room] = None
        if member.recoverable is not None:
            member.hub.recovery.joined(member, room)

    def leave(self, member: Member, room: Any) -> None:
        """Take a client out of a room; does nothing when it is not there.

        Args:
            member: The client.
            room: Name of the room.
        """
        members = self.rooms.get(room)
        if members is None:
            return
        members.pop(member, None)
        if not members:
            del self.rooms[room]
        if member.rooms is not None:
            member.rooms.pop(room, None)
        if member.recoverable is not None:
            member.hub.recovery.left_room(member, room)

    def leave_all(self, member: Member) -> None:
        """Take a client out of all rooms.

        Args:
            member: The client.
        """
        rooms = member.rooms
        if rooms is None:
            return
        member.rooms = None
        for room in rooms:
            members = self.rooms.get(room)
            if members is not None:
                members.pop(member, None)
                if not members:
                    del self.rooms[room]

    def close_room(self, room: Any) -> None:
        """Take all clients out of a room.

        Args:
            room: Name of the room.
        """
        members = self.rooms.pop(room, None)
        if members is not None:
            for member in members:
                if member.rooms is not None:
                    member.rooms.pop(room, None)
                if member.recoverable is not None:
                    member.hub.recovery.left_room(member, room)

    def rooms_of(self, member: Member) -> list[Any]:
        """Return the rooms of a client, its own one first.

        Args:
            member: The client.
        """
        return [member.sid, *(member.rooms or ())]

    def select(
        self,
        rooms: Iterable[Any] | None = None,
        skip_sids: Iterable[str] = (),
        skip_rooms: Iterable[Any] = (),
    ) -> list[Member]:
        """Return clients, each once.

        Args:
            rooms: The rooms to look into; ``None`` for all clients.
            skip_sids: Ids of clients that are not meant.
            skip_rooms: Rooms whose clients are not meant.
        """
        found: dict[Member, None]
        if rooms is None:
            if not skip_sids and not skip_rooms:
                return list(self.members.values())
            found = dict.fromkeys(self.members.values())
        else:
            found = {}
            for room in rooms:
                self._collect(room, found)
        for sid in skip_sids:
            member = self.members.get(sid)
            if member is not None:
                found.pop(member, None)
        if skip_rooms:
            skipped: dict[Member, None] = {}
            for room in skip_rooms:
                self._collect(room, skipped)
            for member in skipped:
                found.pop(member, None)
        return list(found)

    def _collect(self, room: Any, found: dict[Member, None]) -> None:
        members = self.rooms.get(room)
        if members is not None:
            found.update(members)
        own = self.members.get(room)
        if own is not None:
            found[own] = None

    def broadcast(
        self,
        packet: Any,
        rooms: Iterable[Any] | None = None,
        skip_sids: Iterable[str] = (),
        skip_rooms: Iterable[Any] = (),
    ) -> None:
        """Send a packet to many clients.

        Args:
            packet: The packet, encoded once for all.
            rooms: The rooms that get it; ``None`` for all clients.
            skip_sids: Ids of clients that do not get it.
            skip_rooms: Rooms whose clients do not get it.
        """
        for member in self.select(rooms, skip_sids, skip_rooms):
            member.deliver(packet)
