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

if TYPE_CHECKING:
    from .server import AsyncServer

__all__ = ["NO_ACK", "Hub", "Message"]


class _NoAck:
    def __repr__(self) -> str:
        return "NO_ACK"


#: What a handler returns that does not acknowledge its event.
NO_ACK = _NoAck()


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
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        if self._loop is None:
            self._loop = self.engine.loop_state.loop
        return self._loop

    def routes_of(self, adapter: Adapter) -> Routes:
        """Return the handlers of a namespace.

        Args:
            adapter: The namespace.
        """
        routes: Routes | None = adapter.routes
        if routes is None or routes.version != self.registry.version:
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
