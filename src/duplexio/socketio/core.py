# cython: annotation_typing=False, binding=False, embedsignature=True
"""What the connections of one server, or of one client, share.

That is how packets are written and handlers run, what may come in, and who is told of failures.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ..engineio.encoded import Encoded
from .exceptions import LimitExceededError
from .packets import encode_packet
from .runner import Runner

__all__ = ["Core", "Message", "make_arguments", "transmit"]


class Message:
    """A packet in one message, as a serializer has written it.

    Args:
        data: ``bytes`` or ``str``.
    """

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


class Core:
    """What connections share, on either side.

    Args:
        limits: What the peers may do: an object with the attributes of :class:`.limits.PeerLimits`.

    Attributes:
        limits: What the peers may do.
        counters: How often each limit was reached, by its name.
        serial: Whether each handler of a connection ends before the next one begins.
        serializer: Writes and reads packets; ``None`` for the usual text.
        encode: Writes JSON; ``None`` for our own.
        decode: Reads JSON; ``None`` for our own.
        incoming: Are told of all events that come.
        outgoing: Are told of all events that go.
        loop: The event loop; ``None`` before the first connection.
        runner: Starts the handlers.
        workers: Threads that handlers run in; ``None`` for the event loop's.
    """

    def __init__(self, limits: Any) -> None:
        self.limits = limits
        self.max_pending = limits.max_pending_handlers
        self.max_attachments = limits.max_attachments
        self.max_depth = limits.max_json_depth
        self.rated = bool(limits.max_packets_per_second or limits.max_bytes_per_second)
        self.counters: dict[str, int] = {}
        self.serial = False
        self.serializer: Any = None
        self.encode: Callable[[Any], bytes] | None = None
        self.decode: Callable[[str], Any] | None = None
        self.incoming: tuple[Callable[..., Any], ...] = ()
        self.outgoing: tuple[Callable[..., Any], ...] = ()
        self.logger: Any = logging.getLogger("duplexio.socketio")
        self.loop: Any = None
        self.runner: Any = None
        self.workers: Any = None

    def bind_loop(self, loop: Any) -> None:
        """Stay with an event loop.

        Args:
            loop: The loop.
        """
        self.loop = loop
        self.runner = Runner(loop)

    def packet(self, kind: int, namespace: str, id: int, data: Any, absent: bool = False) -> Any:
        """Write a packet for one peer.

        Args:
            kind: The type.
            namespace: The namespace.
            id: Of the acknowledgement; -1 for none.
            data: The payload.
            absent: Whether there is no payload at all.

        Returns:
            What can be sent: ``bytes``, :class:`.Encoded` or :class:`Message`.
        """
        if self.serializer is not None:
            return Message(self.serializer.encode(kind, namespace, id, data, absent))
        packet = encode_packet(kind, namespace, id, data, self.encode, absent)
        if type(packet) is Encoded and len(packet.attachments) > 10:
            # https://github.com/socketio/socket.io/issues/5489
            self.count("attachments_sent")
            self.logger.warning(
                "a packet with %d attachments goes out; peers in JavaScript take no more than 10",
                len(packet.attachments),
            )
        return packet

    def count(self, name: str) -> str:
        """Count that a limit was reached.

        Args:
            name: Name of the limit.

        Returns:
            Its policy, if it has one.
        """
        self.counters[name] = self.counters.get(name, 0) + 1
        policy: str = self.limits.policies.get(name, "")
        return policy

    def now(self) -> float:
        """Return the time of the loop, in seconds."""
        seconds: float = self.loop.time()
        return seconds

    def start_task(self, coroutine: Any) -> Any:
        """Run a coroutine in the background.

        Args:
            coroutine: The coroutine.
        """
        task = self.loop.create_task(coroutine)
        self.keep_task(task)
        return task

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Keep a task from being collected until it is done.

        Args:
            task: The task.
        """
        raise NotImplementedError

    def blame(self, name: str, seconds: float) -> None:
        """Take note that a handler has blocked the event loop.

        Args:
            name: The handler's name.
            seconds: How long.
        """

    def failed(self, what: str, exc: BaseException) -> None:
        """Log what a handler has raised.

        Args:
            what: The handler, and for whom it ran.
            exc: What it has raised.
        """
        if isinstance(exc, LimitExceededError):
            # A client that asks for too much is no defect of the program.
            self.logger.warning("%s: %s", what, exc)
            return
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


def transmit(session: Any, packet: Any) -> None:
    """Send a packet on a session.

    Args:
        session: The session.
        packet: What :meth:`Core.packet` has made.
    """
    kind = type(packet)
    if kind is bytes:
        session.send_utf8(packet)
    elif kind is Encoded:
        session.send_encoded(packet)
    elif type(packet.data) is bytes:
        session.send_binary(packet.data)
    else:
        session.send_text(packet.data)
