# cython: annotation_typing=False, binding=False, embedsignature=True
"""Handlers, and which of them are those of one namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .typed import Payload

__all__ = [
    "EVENT_NAMESPACE",
    "EVENT_NAMESPACE_SID",
    "EVENT_ONLY",
    "EVENT_SID",
    "FRONT",
    "NAMESPACE_ONLY",
    "NAMESPACE_SID",
    "NOTHING",
    "SID",
    "Function",
    "Handler",
    "Routes",
]

# What a handler is given in front of the arguments of the event: on a server, the client's id too.
SID = 0
EVENT_SID = 1
NAMESPACE_SID = 2
EVENT_NAMESPACE_SID = 3
NOTHING = 4
EVENT_ONLY = 5
NAMESPACE_ONLY = 6
EVENT_NAMESPACE = 7

#: How many arguments that are, by the style.
FRONT = (1, 2, 2, 3, 0, 1, 1, 2)

Function = Callable[..., Any]


class Handler:
    """A function that handles events.

    Args:
        function: The function.
        style: What it is given in front: :data:`SID` to :data:`EVENT_NAMESPACE`.
        arity: How many arguments of ``connect`` or ``disconnect`` it takes; -1 for other events.
        payload: Checks the arguments; ``None`` to give them as they are.

    Attributes:
        suspends: Whether it has suspended when it ran last.
        direct: Whether it runs on the event loop even where others run in threads.
    """

    def __init__(
        self, function: Function, style: int, arity: int = -1, payload: Payload | None = None
    ) -> None:
        self.function = function
        self.style = style
        self.arity = arity
        self.payload = payload
        self.suspends = False
        self.direct = False

    @property
    def name(self) -> str:
        """The function's name, for logs."""
        return getattr(self.function, "__qualname__", repr(self.function))

    @property
    def front(self) -> int:
        """How many arguments the function is given in front of those of the event."""
        return FRONT[self.style]

    def arguments(self, event: Any, namespace: str, sid: str, data: list[Any]) -> list[Any]:
        """Return what the function is called with.

        Args:
            event: Name of the event.
            namespace: The namespace.
            sid: The client's id.
            data: The name and the arguments of the event; it is used up.
        """
        if self.style == SID:
            data[0] = sid
        elif self.style == EVENT_SID:
            data.insert(1, sid)
        elif self.style == NAMESPACE_SID:
            data[0] = namespace
            data.insert(1, sid)
        elif self.style == EVENT_NAMESPACE_SID:
            data.insert(1, namespace)
            data.insert(2, sid)
        elif self.style == NOTHING:
            del data[0]
        elif self.style == NAMESPACE_ONLY:
            data[0] = namespace
        elif self.style == EVENT_NAMESPACE:
            data.insert(1, namespace)
        return data


class Routes:
    """The handlers of one namespace.

    Attributes:
        events: Handlers by the names of events.
        fallback: Handles all other events; ``None`` to ignore them.
        connect: Handles ``connect``.
        connect_error: Handles ``connect_error``; only a client's.
        disconnect: Handles ``disconnect``.
        typed: Whether a handler checks its arguments.
        event_middleware: What events go through, the first one first.
        connect_middleware: What clients that connect go through.
    """

    def __init__(self) -> None:
        self.events: dict[Any, Handler] = {}
        self.fallback: Handler | None = None
        self.connect: Handler | None = None
        self.connect_error: Handler | None = None
        self.disconnect: Handler | None = None
        self.typed = False
        self.event_middleware: tuple[Function, ...] = ()
        self.connect_middleware: tuple[Function, ...] = ()

    def find(self, event: Any) -> Handler | None:
        """Return the handler of an event.

        Args:
            event: Name of the event.
        """
        handler = self.events.get(event)
        return self.fallback if handler is None else handler
