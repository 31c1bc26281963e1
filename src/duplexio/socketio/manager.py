"""What is known of the clients of a server, with the names of python-socketio's managers.

A server's own methods do all that these do, and more; programs that look into ``sio.manager`` find
here what they look for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .adapter import Adapter
from .client import CONNECTED, Client
from .connection import Connection

if TYPE_CHECKING:
    from .server import AsyncServer

__all__ = ["AsyncManager"]


class AsyncManager:
    """The clients of one server and their rooms, to look at.

    To change something, there are the methods of the server: ``enter_room``, ``disconnect``, …

    Example:
        >>> from duplexio import socketio
        >>> sio = socketio.AsyncServer(client_manager=socketio.AsyncManager())
        >>> len(sio.manager.rooms), list(sio.manager.get_participants("/", "a room"))
        (0, [])
    """

    def __init__(self) -> None:
        self._server: AsyncServer | None = None

    def set_server(self, server: AsyncServer) -> None:
        """Belong to a server (called by the server).

        Args:
            server: The server.

        Raises:
            UsageError: It belongs to another one.
        """
        if self._server is not None and self._server is not server:
            raise UsageError("this manager belongs to another server; give each its own")
        self._server = server

    @property
    def server(self) -> AsyncServer:
        """The server."""
        if self._server is None:
            raise UsageError("this manager has no server; give it to one as client_manager")
        return self._server

    @property
    def rooms(self) -> Mapping[str, Mapping[Any, Mapping[str, str]]]:
        """The namespaces that have clients; in each its rooms; in each the ids of its clients.

        The room ``None`` has all clients of the namespace, and each client has a room of its own,
        whose name is its id. Each id leads to the one of the client's Engine.IO session.
        """
        return Namespaces(self.server.hub.adapters)

    def get_namespaces(self) -> list[str]:
        """Return the namespaces that have clients."""
        return list(self.rooms)

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """Return the clients of a room, each as its id and the one of its Engine.IO session.

        Args:
            namespace: The namespace.
            room: Name of the room, or a list of names; ``None`` for all clients.
        """
        adapter = self.server.hub.adapters.get(namespace)
        if adapter is None:
            return iter(())
        rooms = room if isinstance(room, list | tuple | None) else [room]
        return iter([(member.sid, member.session.sid) for member in adapter.select(rooms)])

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """Return the rooms of a client, its own one first.

        Args:
            sid: The client's id.
            namespace: The namespace.
        """
        return self.server.rooms(sid, namespace)

    def is_connected(self, sid: str, namespace: str | None = None) -> bool:
        """Tell whether a client is connected: let in, and not gone.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.
        """
        client = self._find(sid, namespace)
        return client is not None and client.state == CONNECTED

    def sid_from_eio_sid(self, eio_sid: str, namespace: str | None = None) -> str | None:
        """Return the id that an Engine.IO session has in a namespace.

        Args:
            eio_sid: The id of the session.
            namespace: The namespace, by default ``/``.
        """
        session = self.server.engine.sessions.get(eio_sid)
        connection = None if session is None else session.handler
        if not isinstance(connection, Connection):
            return None
        client = connection.find(namespace or "/")
        return None if client is None else client.sid

    def eio_sid_from_sid(self, sid: str, namespace: str | None = None) -> str | None:
        """Return the id of a client's Engine.IO session, which is a secret of the client.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.
        """
        client = self._find(sid, namespace)
        return None if client is None else client.session.sid

    def _find(self, sid: str, namespace: str | None) -> Client | None:
        adapter = self.server.hub.adapters.get(namespace or "/")
        client = None if adapter is None else adapter.members.get(sid)
        return client if isinstance(client, Client) else None


class Namespaces(Mapping[str, "Rooms"]):
    """The namespaces that have clients, as they are when they are looked at."""

    def __init__(self, adapters: dict[str, Adapter]) -> None:
        self._adapters = adapters

    def __getitem__(self, namespace: str) -> Rooms:
        adapter = self._adapters[namespace]
        if not adapter.members:
            raise KeyError(namespace)
        return Rooms(adapter)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, adapter in self._adapters.items() if adapter.members])

    def __len__(self) -> int:
        return sum(1 for adapter in self._adapters.values() if adapter.members)


class Rooms(Mapping[Any, dict[str, str]]):
    """The rooms of a namespace, as they are when they are looked at."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getitem__(self, room: Any) -> dict[str, str]:
        members = self._adapter.select(None if room is None else [room])
        if not members:
            raise KeyError(room)
        return {member.sid: member.session.sid for member in members}

    def __iter__(self) -> Iterator[Any]:
        return iter(dict.fromkeys((None, *self._adapter.members, *self._adapter.rooms)))

    def __len__(self) -> int:
        return sum(1 for _ in self)
