# cython: annotation_typing=False, binding=False, embedsignature=True
"""What all the connections of one server share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..engineio.encoded import Encoded
from ..engineio.engine import Engine
from .adapter import Adapter
from .handlers import Routes
from .limits import Limits
from .packets import EVENT, encode_packet
from .registry import Registry
from .runner import Runner

if TYPE_CHECKING:
    from .server import AsyncServer

__all__ = ["NO_ACK", "Hub", "Message", "NoAck", "make_arguments"]


class NoAck:
    """What :data:`NO_ACK` is an instance of, for the types of handlers."""

    def __repr__(self) -> str:
        return "NO_ACK"


#: What a handler returns that does not acknowledge its event.
NO_ACK = NoAck()


class Message:
    """A packet in one message, as a serializer has written it.

    Args:
        data: ``bytes`` or ``str``.
    """

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


class Hub:
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
        limits: What clients may do.
        adapters: The namespaces that there are.
        counters: How often each limit was reached, by its name.
        serial: Whether each handler of a client ends before the next one begins.
        always_connect: Whether clients are told that they are connected before the handler runs.
        connect_timeout: Seconds that a client may take to connect to a namespace.
        serializer: Writes and reads packets; ``None`` for the usual text.
        encode: Writes JSON; ``None`` for our own.
        decode: Reads JSON; ``None`` for our own.
        incoming: Are told of all events that come.
        outgoing: Are told of all events that go.
        loop: The event loop; ``None`` before the first connection.
        runner: Starts the handlers.
    """

    def __init__(
        self, server: AsyncServer, engine: Engine, registry: Registry, limits: Limits
    ) -> None:
        self.server = server
        self.engine = engine
        self.registry = registry
        self.limits = limits
        self.max_pending = limits.max_pending_handlers
        self.max_attachments = limits.max_attachments
        self.max_depth = limits.max_json_depth
        self.rated = bool(limits.max_packets_per_second or limits.max_bytes_per_second)
        self.adapters: dict[str, Adapter] = {}
        self.counters: dict[str, int] = {}
        self.serial = False
        self.always_connect = False
        self.connect_timeout = 45.0
        self.serializer: Any = None
        self.encode: Callable[[Any], bytes] | None = None
        self.decode: Callable[[str], Any] | None = None
        self.incoming: tuple[Callable[..., Any], ...] = ()
        self.outgoing: tuple[Callable[..., Any], ...] = ()
        self.logger: Any = logging.getLogger("duplexio.socketio")
        self.loop: Any = None
        self.runner: Any = None
        registry.changed = self.forget_routes

    def bind(self) -> None:
        """Stay with the event loop that is running."""
        self.loop = self.engine.loop_state.loop
        self.runner = Runner(self.loop)

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

    def packet(self, kind: int, namespace: str, id: int, data: Any, absent: bool = False) -> Any:
        """Write a packet for one client.

        Args:
            kind: The type.
            namespace: The namespace.
            id: Of the acknowledgement; -1 for none.
            data: The payload.
            absent: Whether there is no payload at all.

        Returns:
            What clients deliver: ``bytes``, :class:`.Encoded` or :class:`Message`.
        """
        if self.serializer is not None:
            return Message(self.serializer.encode(kind, namespace, id, data, absent))
        packet = encode_packet(kind, namespace, id, data, self.encode, absent)
        if type(packet) is Encoded and len(packet.attachments) > 10:
            # https://github.com/socketio/socket.io/issues/5489
            self.count("attachments_sent")
            self.logger.warning(
                "a packet with %d attachments goes out; JavaScript clients take no more than 10",
                len(packet.attachments),
            )
        return packet

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
    ) -> None:
        """Emit an event; the arguments are those of :meth:`.AsyncServer.emit`."""
        adapter = self.adapters.get(namespace)
        arguments = make_arguments(event, data)
        for listener in self.outgoing:
            listener(event, namespace, to, *arguments[1:])
        if adapter is None:
            return
        if to is None:
            rooms = None
        elif isinstance(to, list | tuple | set | frozenset):
            rooms = to
        else:
            if skip_sid is None and skip_room is None and to not in adapter.rooms:
                client: Any = adapter.members.get(to)
                if client is not None:
                    client.emit(arguments, callback)
                return
            rooms = (to,)
        skip_sids = _as_list(skip_sid)
        skip_rooms = _as_list(skip_room)
        if callback is None:
            packet = self.shared_packet(namespace, arguments)
            adapter.broadcast(packet, rooms, skip_sids, skip_rooms)
            return
        for each in adapter.select(rooms, skip_sids, skip_rooms):
            client = each
            client.emit(list(arguments), callback)

    def count(self, name: str) -> str:
        """Count that a limit was reached.

        Args:
            name: Name of the limit.

        Returns:
            Its policy, if it has one.
        """
        self.counters[name] = self.counters.get(name, 0) + 1
        return self.limits.policies.get(name, "")

    def start_task(self, coroutine: Any) -> Any:
        """Run a coroutine; it is cancelled at the shutdown."""
        return self.engine.start_task(coroutine)

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Keep a task from being collected until it is done, and cancel it at the shutdown."""
        self.engine.keep_task(task)

    def failed(self, what: str, exc: BaseException) -> None:
        """Log what a handler has raised.

        Args:
            what: The handler, and for whom it ran.
            exc: What it has raised.
        """
        self.logger.error("%s raised %s", what, type(exc).__name__, exc_info=exc)


def make_arguments(event: Any, data: Any) -> list[Any]:
    """Return the payload of an event.

    Args:
        event: Its name.
        data: Its argument; several in a tuple, none for ``None``.

    Example:
        >>> make_arguments("x", (1, 2)), make_arguments("x", None), make_arguments("x", [1])
        (['x', 1, 2], ['x'], ['x', [1]])
    """
    if type(data) is tuple:
        return [event, *data]
    return [event] if data is None else [event, data]


def _as_list(value: Any) -> Any:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple | set | frozenset) else (value,)
