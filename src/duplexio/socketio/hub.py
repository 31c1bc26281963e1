# cython: annotation_typing=False, binding=False, embedsignature=True
"""What all the connections of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..engineio.encoded import Encoded
from ..engineio.engine import Engine
from .adapter import Adapter
from .core import Core, make_arguments
from .delivery import Deliveries
from .handlers import Routes
from .limits import Limits
from .packets import EVENT
from .party import GONE
from .registry import Registry

if TYPE_CHECKING:
    from .server import AsyncServer
    from .server_recovery import Recovery

__all__ = ["Hub"]


class Hub(Core):
    """What all the connections of one server share.

    Args:
        server: The server.
        engine: Its Engine.IO.
        registry: Its handlers.
        limits: What clients may do.

    Attributes:
        server: The server.
        engine: Its Engine.IO.
        registry: Its handlers.
        adapters: The namespaces that there are.
        deliveries: What is known of clients that send emits again.
        always_connect: Whether clients are told that they are connected before the handler runs.
        connect_timeout: Seconds that a client may take to connect to a namespace.
        recovery: Recovers the state of clients that return; ``None`` when that is off.
    """

    def __init__(
        self, server: AsyncServer, engine: Engine, registry: Registry, limits: Limits
    ) -> None:
        Core.__init__(self, limits)
        self.server = server
        self.engine = engine
        self.registry = registry
        self.adapters: dict[str, Adapter] = {}
        self.deliveries = Deliveries(limits.max_deliveries)
        self.always_connect = False
        self.connect_timeout = 45.0
        self.recovery: Recovery | None = None
        registry.changed = self.forget_routes

    def bind(self) -> None:
        """Stay with the event loop that is running."""
        self.bind_loop(self.engine.loop_state.loop)

    def forget_routes(self) -> None:
        """Find out anew which handlers are whose."""
        for adapter in self.adapters.values():
            adapter.routes = None

    def routes_of(self, adapter: Adapter) -> Routes:
        """Return the handlers of a namespace.

        Args:
            adapter: The namespace.
        """
        routes: Routes | None = adapter.routes
        if routes is None:
            routes = self.registry.routes(adapter.name)
            adapter.routes = routes
        return routes

    def shared_packet(self, namespace: str, data: list[Any]) -> Any:
        """Write an event for many clients.

        Args:
            namespace: The namespace.
            data: Name and arguments.
        """
        packet = self.packet(EVENT, namespace, -1, data)
        if type(packet) is bytes:
            return Encoded(packet[1:].decode())
        return packet

    def emit(
        self,
        event: Any,
        data: Any,
        to: Any,
        skip_sid: Any,
        namespace: str,
        callback: Callable[..., Any] | None,
        skip_room: Any,
        volatile: bool = False,
    ) -> None:
        """Emit an event; the arguments are those of :meth:`.AsyncServer.emit`."""
        adapter = self.adapters.get(namespace)
        arguments = make_arguments(event, data)
        for listener in self.outgoing:
            listener(event, namespace, to, *arguments[1:])
        if callback is None and (volatile or self.recovery is not None):
            self._emit_with_care(namespace, arguments, to, skip_sid, skip_room, volatile)
            return
        if adapter is None:
            return
        if to is None:
            rooms = None
        elif isinstance(to, list | tuple | set | frozenset):
            rooms = to
        else:
            if skip_sid is None and skip_room is None and to not in adapter.rooms:
                member = adapter.members.get(to)
                if member is not None:
                    member.emit(arguments, callback)
                return
            rooms = (to,)
        skip_sids = _as_list(skip_sid)
        skip_rooms = _as_list(skip_room)
        if callback is None:
            packet = self.shared_packet(namespace, arguments)
            adapter.broadcast(packet, rooms, skip_sids, skip_rooms)
            return
        for each in adapter.select(rooms, skip_sids, skip_rooms):
            each.emit(list(arguments), callback)

    def _emit_with_care(
        self,
        namespace: str,
        arguments: list[Any],
        to: Any,
        skip_sid: Any,
        skip_room: Any,
        volatile: bool,
    ) -> None:
        """Emit an event that is volatile, or is kept for those who are away."""
        skip_sids, skip_rooms = _as_list(skip_sid), _as_list(skip_room)
        if self.recovery is not None:
            rooms = None if to is None else _as_list(to)
            self.recovery.emit(namespace, arguments, rooms, skip_sids, skip_rooms, volatile)
            return
        packet = self.shared_packet(namespace, arguments)
        for member in self.select(namespace, to, skip_sids, skip_rooms):
            if self.can_take(member):
                member.deliver(packet)

    def can_take(self, member: Any) -> bool:
        """Return whether a client can have a volatile event now; count it if not.

        Args:
            member: The client.
        """
        if member.told and member.state != GONE and member.session.writable:
            return True
        self.count("dropped_volatile")
        return False

    def select(self, namespace: str, to: Any, skip_sid: Any, skip_room: Any) -> list[Any]:
        """Return the clients that an emit would reach; the arguments are those of :meth:`emit`."""
        adapter = self.adapters.get(namespace)
        if adapter is None:
            return []
        rooms = None if to is None else _as_list(to)
        return adapter.select(rooms, _as_list(skip_sid), _as_list(skip_room))

    def now(self) -> float:
        """Return the time of the loop, in seconds, as the engine tells it."""
        return self.engine.now()

    def start_task(self, coroutine: Any) -> Any:
        """Run a coroutine; it is cancelled at the shutdown."""
        return self.engine.start_task(coroutine)

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Keep a task from being collected until it is done, and cancel it at the shutdown."""
        self.engine.keep_task(task)

    def blame(self, name: str, seconds: float) -> None:
        """Tell the lag monitor that a handler has blocked the event loop."""
        self.engine.lag_monitor.blame(name, seconds)


def _as_list(value: Any) -> Any:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple | set | frozenset) else (value,)
