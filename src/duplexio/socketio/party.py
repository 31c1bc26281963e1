# cython: annotation_typing=False, binding=False, embedsignature=True
"""The other side of a namespace, and the acknowledgements that it owes us."""

from __future__ import annotations

import types
from collections.abc import Coroutine
from typing import Any

from .packets import ACK

__all__ = [
    "CONNECTED",
    "CONNECTING",
    "GONE",
    "NO_ACK",
    "NoAck",
    "Party",
    "is_coroutine",
    "readable",
]

# Where a party stands in its namespace.
CONNECTING = 0  #: it is not known yet whether it may be there
CONNECTED = 1
GONE = 2

#: Characters that a log shows of a text that a peer has chosen.
MAX_READABLE = 300

_COROUTINE = types.CoroutineType
_PLAIN_TYPES = frozenset({type(None), str, int, float, bool, bytes, dict, list, tuple})


class NoAck:
    """What :data:`NO_ACK` is an instance of, for the types of handlers."""

    def __repr__(self) -> str:
        return "NO_ACK"


#: What a handler returns that does not acknowledge its event.
NO_ACK = NoAck()


class Party:
    """The other side of a namespace: for a server one of its clients, for a client the server.

    Args:
        hub: What the connections share: a :class:`.core.Core`.
        name: The namespace.
        sid: The client's id there.

    Attributes:
        hub: What the connections share.
        name: The namespace.
        sid: The client's id there.
        state: :data:`CONNECTING`, :data:`CONNECTED` or :data:`GONE`.
        early: Handlers for what came while it was :data:`CONNECTING`.
        numbered: Whether its events may have an offset.
        deduplicated: Whether its events may come again.
        acks: What to do with the acknowledgements that are due, by their ids.
    """

    def __init__(self, hub: Any, name: str, sid: str) -> None:
        self.hub = hub
        self.name = name
        self.sid = sid
        self.state = CONNECTING
        self.numbered = False
        self.deduplicated = False
        self.early: list[Any] | None = None
        self.acks: dict[int, Any] | None = None
        self.last_ack = 0

    def routes(self) -> Any:
        """Return the handlers of its namespace: :class:`.handlers.Routes`."""
        raise NotImplementedError

    def transmit(self, packet: Any) -> None:
        """Send a packet now.

        Args:
            packet: What ``hub.packet`` has made.
        """
        raise NotImplementedError

    def label(self) -> str:
        """Return how logs call it, without giving a secret away."""
        raise NotImplementedError

    def gone(self, why: str) -> Exception:
        """Return what those are told who wait for an answer that will not come.

        Args:
            why: The reason.
        """
        raise NotImplementedError

    def take_offset(self, data: list[Any]) -> None:
        """Take the offset off the payload of an event, if there is one.

        Args:
            data: The name and the arguments.
        """

    def is_repeated(self, id: int) -> bool:
        """Return whether an event has come before; if so, it is answered as it was then.

        Args:
            id: Of the acknowledgement.
        """
        return False

    def unanswered(self, id: int) -> None:
        """Take note that the handler of an event has failed.

        Args:
            id: Of the acknowledgement.
        """

    # Acknowledgements that it owes us

    def expect_ack(self, callback: Any) -> int:
        """Return the id for an acknowledgement.

        Args:
            callback: A future, or a function that is called with the arguments.
        """
        if self.acks is None:
            self.acks = {}
        elif len(self.acks) >= self.hub.limits.max_pending_acks:
            self.give_up(self.acks.pop(next(iter(self.acks))), "too many answers are due")
            if self.hub.count("max_pending_acks") == "disconnect":
                self.overrun()
        self.last_ack += 1
        self.acks[self.last_ack] = callback
        return self.last_ack

    def overrun(self) -> None:
        """Part with it, since it owes us too much."""

    def forget_ack(self, callback: Any) -> None:
        """Wait no more for an acknowledgement.

        Args:
            callback: What was given to :meth:`expect_ack`.
        """
        if self.acks is not None:
            for id, expected in self.acks.items():
                if expected is callback:
                    del self.acks[id]
                    return

    def give_up(self, callback: Any, why: str) -> None:
        """Tell who waits for an acknowledgement that it will not come.

        Args:
            callback: A future; functions are not told.
            why: The reason.
        """
        if not callable(callback) and not callback.done():
            callback.set_exception(self.gone(why))

    def give_up_all(self, why: str) -> None:
        """Tell all who wait that nothing will come.

        Args:
            why: The reason.
        """
        acks, self.acks = self.acks, None
        if acks is not None:
            for callback in acks.values():
                self.give_up(callback, why)

    def resolve(self, id: int, data: list[Any]) -> None:
        """Take an acknowledgement; one that nobody waits for is ignored.

        Args:
            id: Its id.
            data: Its arguments.
        """
        callback = None if self.acks is None else self.acks.pop(id, None)
        if callback is None:
            return
        if not callable(callback):
            if not callback.done():
                callback.set_result(data)
            return
        hub = self.hub
        if hub.workers is not None:
            hub.workers.call(callback, data, f"a callback for {self.label()}")
            return
        try:
            result = callback(*data)
            if is_coroutine(result):
                hub.start_task(self._run_callback(result))
        except Exception as exc:
            hub.failed(f"a callback for {self.label()}", exc)

    async def _run_callback(self, callback: Any) -> None:
        try:
            await callback
        except Exception as exc:
            self.hub.failed(f"a callback for {self.label()}", exc)

    # Acknowledgements that we owe it

    def acknowledge(self, id: int, result: Any) -> None:
        """Send what a handler has returned.

        Args:
            id: Of the acknowledgement.
            result: Nothing for ``None``, several arguments for a tuple.
        """
        if result is not NO_ACK and self.state == CONNECTED:
            self.transmit(self.ack_packet(id, result))

    def ack_packet(self, id: int, result: Any) -> Any:
        """Write an acknowledgement.

        Args:
            id: Its id.
            result: Nothing for ``None``, several arguments for a tuple.
        """
        if result is None:
            data = []
        elif type(result) is tuple:
            data = list(result)
        else:
            data = [result]
        return self.hub.packet(ACK, self.name, id, data)


def readable(text: str) -> str:
    """Return what a log shows of a text that a peer has chosen: one line, and not a long one.

    Args:
        text: Such as the name of a namespace, where all are allowed.

    Example:
        >>> readable("/admin"), readable("/x\\nERROR")
        ('/admin', "'/x\\\\nERROR'")
    """
    if len(text) <= MAX_READABLE and text.isprintable():
        return text
    return repr(text[:MAX_READABLE])


def is_coroutine(result: Any) -> bool:
    """Tell whether what a handler has returned is to be awaited.

    Args:
        result: What it has returned.
    """
    kind = type(result)
    if kind is _COROUTINE:
        return True
    return kind not in _PLAIN_TYPES and isinstance(result, Coroutine)
