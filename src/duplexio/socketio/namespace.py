"""Class namespaces: the handlers of a namespace as methods ``on_…`` of a class."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from .audience import Answers, RemoteClient
    from .server import AsyncServer, UserSession

__all__ = ["AsyncNamespace", "BaseNamespace", "arity"]

#: How many arguments of the server's own events come behind those that all events have.
_OWN_EVENTS = {"connect": 2, "disconnect": 1}


def arity(function: Callable[..., Any], front: int, most: int) -> int:
    """Return how many arguments a function takes behind those in front.

    Args:
        function: The function.
        front: How many come in front.
        most: How many there are.

    Example:
        >>> arity(lambda sid, environ: None, 1, 2)
        1
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return most
    for count in range(most, -1, -1):
        try:
            signature.bind(*range(front + count))
        except TypeError:
            continue
        return count
    return most


class BaseNamespace:
    """What class namespaces have in common.

    Args:
        namespace: The namespace; ``None`` for ``/``, ``"*"`` for all, or a pattern of namespaces.
            Methods of the latter two are given the namespace as their first argument.
    """

    def __init__(self, namespace: str | re.Pattern[str] | None = None) -> None:
        self.namespace: Any = namespace or "/"

    def is_asyncio_based(self) -> bool:
        """Return whether methods may be coroutine functions."""
        return False

    def dispatches_itself(self) -> bool:
        """Return whether the class has a ``trigger_event`` of its own."""
        function = getattr(type(self), "trigger_event", None)
        return not getattr(function, "calls_methods", False)


class AsyncNamespace(BaseNamespace):
    """The handlers of a namespace on an :class:`.AsyncServer`, as methods.

    The methods ``on_connect``, ``on_disconnect`` and ``on_…`` for other events may be functions or
    coroutine functions.

    Example:
        >>> class Chat(AsyncNamespace):
        ...     async def on_say(self, sid, text):
        ...         await self.emit("said", text, skip_sid=sid)
        >>> Chat("/chat").namespace
        '/chat'
    """

    _server: AsyncServer | None = None

    def is_asyncio_based(self) -> bool:
        """Return ``True``."""
        return True

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Call the method of an event; to be overridden by those who dispatch in another way.

        Args:
            event: Name of the event.
            args: What the method is called with.
        """
        method = getattr(self, f"on_{event}", None)
        if method is None:
            return None
        own = _OWN_EVENTS.get(event)
        if own is not None:
            front = max(len(args) - own, 0)
            args = args[: front + arity(method, front, len(args) - front)]
        result = method(*args)
        return await result if inspect.isawaitable(result) else result

    trigger_event.calls_methods = True  # type: ignore[attr-defined]

    def _set_server(self, server: AsyncServer) -> None:
        self._server = server

    @property
    def server(self) -> AsyncServer:
        """The server that this is registered on."""
        if self._server is None:
            raise UsageError(
                f"{type(self).__name__} is not registered; call server.register_namespace first"
            )
        return self._server

    async def emit(
        self,
        event: Any,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Any = None,
        ignore_queue: bool = False,
        **kwargs: Any,
    ) -> None:
        """Emit an event; see :meth:`.AsyncServer.emit`."""
        await self.server.emit(
            event,
            data,
            to=to,
            room=room,
            skip_sid=skip_sid,
            namespace=namespace or self.namespace,
            callback=callback,
            ignore_queue=ignore_queue,
            **kwargs,
        )

    async def send(
        self,
        data: Any,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Any = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit the event ``message``; see :meth:`.AsyncServer.send`."""
        await self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    async def call(
        self,
        event: Any,
        data: Any = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit an event and wait for the answer, by default as long as the client is there.

        See :meth:`.AsyncServer.call`.
        """
        return await self.server.call(
            event, data, to, sid, namespace or self.namespace, timeout, ignore_queue
        )

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """Put a client into a room; see :meth:`.AsyncServer.enter_room`."""
        await self.server.enter_room(sid, room, namespace or self.namespace)

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """Take a client out of a room; see :meth:`.AsyncServer.leave_room`."""
        await self.server.leave_room(sid, room, namespace or self.namespace)

    async def close_room(self, room: Any, namespace: str | None = None) -> None:
        """Take all clients out of a room; see :meth:`.AsyncServer.close_room`."""
        await self.server.close_room(room, namespace or self.namespace)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        """Return the rooms of a client; see :meth:`.AsyncServer.rooms`."""
        return self.server.rooms(sid, namespace or self.namespace)

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return the application's data about a client; see :meth:`.AsyncServer.get_session`."""
        return await self.server.get_session(sid, namespace or self.namespace)

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """Store the application's data about a client; see :meth:`.AsyncServer.save_session`."""
        await self.server.save_session(sid, session, namespace or self.namespace)

    def session(self, sid: str, namespace: str | None = None) -> UserSession:
        """Return a context manager of that data; see :meth:`.AsyncServer.session`."""
        return self.server.session(sid, namespace or self.namespace)

    async def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """Disconnect a client; see :meth:`.AsyncServer.disconnect`."""
        await self.server.disconnect(sid, namespace or self.namespace)

    async def call_all(
        self,
        event: Any,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        timeout: float = 10.0,
        **kwargs: Any,
    ) -> Answers:
        """Emit an event to many and wait for the answers; see :meth:`.AsyncServer.call_all`."""
        return await self.server.call_all(
            event, data, to, room, skip_sid, namespace or self.namespace, timeout, **kwargs
        )

    async def fetch_sockets(
        self, room: Any = None, namespace: str | None = None, **kwargs: Any
    ) -> list[RemoteClient]:
        """Return the clients of a room; see :meth:`.AsyncServer.fetch_sockets`."""
        return await self.server.fetch_sockets(room, namespace or self.namespace, **kwargs)

    async def sockets_join(
        self, rooms: Any, to: Any = None, namespace: str | None = None, **kwargs: Any
    ) -> None:
        """Put clients into rooms; see :meth:`.AsyncServer.sockets_join`."""
        await self.server.sockets_join(rooms, to, namespace or self.namespace, **kwargs)

    async def sockets_leave(
        self, rooms: Any, to: Any = None, namespace: str | None = None, **kwargs: Any
    ) -> None:
        """Take clients out of rooms; see :meth:`.AsyncServer.sockets_leave`."""
        await self.server.sockets_leave(rooms, to, namespace or self.namespace, **kwargs)

    async def disconnect_sockets(
        self, room: Any = None, namespace: str | None = None, close: bool = False, **kwargs: Any
    ) -> None:
        """Disconnect clients; see :meth:`.AsyncServer.disconnect_sockets`."""
        await self.server.disconnect_sockets(room, namespace or self.namespace, close, **kwargs)
