"""What a server does with many clients at once: ask them, look at them, move them, part."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .client import GONE, Client
from .core import make_arguments
from .exceptions import LimitExceededError
from .hub import Hub

__all__ = ["Answers", "Audience", "RemoteClient"]


@dataclass(slots=True)
class Answers:
    """What clients have answered to an event.

    Attributes:
        by_sid: The answers by the ids of the clients, as they came: ``None`` for nothing, a tuple
            for several arguments.
        missing: The ids of those who did not answer in time, or have left.

    Example:
        >>> answers = Answers({"a": 1, "b": 2}, ["c"])
        >>> list(answers.by_sid.values()), bool(answers.missing)
        ([1, 2], True)
    """

    by_sid: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


class RemoteClient:
    """A client, as :meth:`.AsyncServer.fetch_sockets` has found it.

    Attributes:
        sid: Its id.
        namespace: The namespace.
        rooms: The rooms that it was in, its own one first.
        data: What the application had stored about it: a copy, one level deep.
    """

    __slots__ = ("_request", "data", "namespace", "rooms", "sid")

    def __init__(self, client: Client) -> None:
        self.sid: str = client.sid
        self.namespace: str = client.name
        self.rooms: list[Any] = client.adapter.rooms_of(client)
        self.data: dict[str, Any] = dict(client.data or {})
        self._request: Any = client.session.request

    @property
    def environ(self) -> dict[str, Any]:
        """The request that began its session."""
        environ: dict[str, Any] = self._request.environ
        return environ

    def __repr__(self) -> str:
        return f"<RemoteClient {self.namespace} with {len(self.rooms)} rooms>"


class Audience:
    """Methods of servers that mean many clients.

    Clients are named as for :meth:`.AsyncServer.emit`: by an id, a room, or a list of them;
    ``None`` for all. Those count that are connected or whose ``connect`` handler still runs.
    """

    hub: Hub

    def _members(self, to: Any, skip_sid: Any, namespace: str | None, skip_room: Any) -> list[Any]:
        return [
            member
            for member in self.hub.select(namespace or "/", to, skip_sid, skip_room)
            if member.state != GONE
        ]

    async def call_all(
        self,
        event: Any,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        timeout: float = 10.0,
        *,
        skip_room: Any = None,
    ) -> Answers:
        """Emit an event to many clients and wait for what each of them answers.

        It ends as soon as all have answered or left, and at the latest after `timeout`; that some
        do not answer is no error.

        Args:
            event: The name.
            data: The argument; several in a tuple.
            to: A client's id, the name of a room, or a list of them; ``None`` for all clients.
            room: The same as ``to``.
            skip_sid: Id of a client that is not asked, or a list of ids.
            namespace: The namespace, by default ``/``.
            timeout: Seconds to wait.
            skip_room: A room whose clients are not asked, or a list of rooms.

        Returns:
            The answers, and who did not answer.

        Example:
            >>> async def count_votes(sio):
            ...     answers = await sio.call_all("vote", "lunch?", to="team", timeout=5)
            ...     return sum(map(bool, answers.by_sid.values())), answers.missing
        """
        target = room if to is None else to
        members = self._members(target, skip_sid, namespace, skip_room)
        for listener in self.hub.outgoing:
            listener(event, namespace or "/", target, *make_arguments(event, data)[1:])
        waiting: dict[asyncio.Future[list[Any]], Any] = {}
        answers = Answers()
        for member in members:
            future = self.hub.loop.create_future()
            future.add_done_callback(partial(_take, answers, member.sid))
            waiting[future] = member
            member.emit(make_arguments(event, data), future)
        try:
            if waiting:
                await asyncio.wait(waiting, timeout=timeout)
        finally:
            for future, member in waiting.items():
                if not future.done():
                    member.forget_ack(future)
                    future.cancel()
        answers.missing = [each.sid for each in members if each.sid not in answers.by_sid]
        return answers

    async def fetch_sockets(
        self, room: Any = None, namespace: str | None = None, *, skip_room: Any = None
    ) -> list[RemoteClient]:
        """Return the clients of a room.

        Args:
            room: A client's id, the name of a room, or a list of them; ``None`` for all clients.
            namespace: The namespace, by default ``/``.
            skip_room: A room whose clients are left out, or a list of rooms.
        """
        return [RemoteClient(each) for each in self._members(room, None, namespace, skip_room)]

    async def sockets_join(
        self, rooms: Any, to: Any = None, namespace: str | None = None, *, skip_room: Any = None
    ) -> None:
        """Put clients into rooms.

        Args:
            rooms: Name of the room, or a list of names.
            to: Which clients, as for :meth:`fetch_sockets`.
            namespace: The namespace, by default ``/``.
            skip_room: A room whose clients are left alone, or a list of rooms.

        Raises:
            ValueError: A room is that of a client, who would no longer be alone in it.
            LimitExceededError: Clients are in ``max_rooms`` rooms already; the others have joined.
        """
        hub = self.hub
        names = _as_list(rooms)
        full = 0
        for member in self._members(to, None, namespace, skip_room):
            for room in names:
                if room != member.sid and room in member.adapter.members:
                    raise ValueError("cannot enter a sid room")
                known = member.rooms or ()
                if room not in known and len(known) >= hub.limits.max_rooms:
                    full += 1
                    if hub.count("max_rooms") == "disconnect":
                        member.session.close()
                    continue
                member.adapter.join(member, room)
        if full:
            raise LimitExceededError(
                f"{full} times a client was in max_rooms={hub.limits.max_rooms} rooms already"
            )

    async def sockets_leave(
        self, rooms: Any, to: Any = None, namespace: str | None = None, *, skip_room: Any = None
    ) -> None:
        """Take clients out of rooms.

        Args:
            rooms: Name of the room, or a list of names.
            to: Which clients, as for :meth:`fetch_sockets`.
            namespace: The namespace, by default ``/``.
            skip_room: A room whose clients are left alone, or a list of rooms.
        """
        for member in self._members(to, None, namespace, skip_room):
            for room in _as_list(rooms):
                member.adapter.leave(member, room)

    async def disconnect_sockets(
        self,
        room: Any = None,
        namespace: str | None = None,
        close: bool = False,
        *,
        skip_room: Any = None,
    ) -> None:
        """Disconnect clients from a namespace.

        Args:
            room: Which clients, as for :meth:`fetch_sockets`.
            namespace: The namespace, by default ``/``.
            close: Whether to end their connections, and so to disconnect them from all namespaces.
            skip_room: A room whose clients are left alone, or a list of rooms.
        """
        recovery = self.hub.recovery
        if recovery is not None:
            rooms = None if room is None else _as_list(room)
            skipped = () if skip_room is None else _as_list(skip_room)
            recovery.forget(namespace or "/", rooms, skipped)
        for member in self._members(room, None, namespace, skip_room):
            member.connection.dismiss(member)
            if close:
                member.session.close()


def _take(answers: Answers, sid: str, future: asyncio.Future[list[Any]]) -> None:
    """Take the answer of a client; an exception says that it has left."""
    if not future.cancelled() and future.exception() is None:
        values = future.result()
        answer = values[0] if len(values) == 1 else tuple(values) if values else None
        answers.by_sid[sid] = answer


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple | set | frozenset) else (value,)
