"""Which handler is responsible for what.

The order is python-socketio's: handlers of the namespace before those of patterns and of ``"*"``,
in each the one of the event before the one of ``"*"``; after them the class namespaces.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable
from typing import Any

from .contract import Event
from .handlers import (
    EVENT_NAMESPACE_SID,
    EVENT_SID,
    FRONT,
    NAMESPACE_SID,
    NOTHING,
    SID,
    Function,
    Handler,
    Routes,
)
from .namespace import arity
from .typed import make_payload

__all__ = ["ALL", "Registry"]

#: The name of all events, and of all namespaces.
ALL = "*"

#: The events that a server itself tells of, and how many arguments their handlers may take.
SERVER_EVENTS = {"connect": 2, "disconnect": 1}
#: The same of a client.
CLIENT_EVENTS = {"connect": 0, "connect_error": 1, "disconnect": 1}

Namespace = str | re.Pattern[str]


class Registry:
    """The handlers of a server, or of a client.

    Args:
        client: Whether they are a client's.

    Attributes:
        changed: Is called after every change.
        handlers: Functions by namespace and event.
        objects: Class namespaces by their namespaces.
        declared: What the server emits, by namespace and event, as far as it was declared.
        event_middleware: What events go through, with the namespace of each.
        connect_middleware: What clients that connect go through, with the namespace of each.
    """

    def __init__(self, client: bool = False) -> None:
        self.changed: Callable[[], None] = _ignore
        self._base = NOTHING if client else SID
        self._reserved = CLIENT_EVENTS if client else SERVER_EVENTS
        self.handlers: dict[Namespace, dict[Any, Function]] = {}
        self.objects: dict[Namespace, Any] = {}
        self.declared: dict[str, dict[str, Event]] = {}
        self.event_middleware: list[tuple[Namespace, Function]] = []
        self.connect_middleware: list[tuple[Namespace, Function]] = []
        self._payloads: dict[Function, bool] = {}
        self._direct: set[Function] = set()

    def add(
        self,
        event: Any,
        namespace: Namespace,
        function: Function,
        run_in_thread: bool = False,
        validate: bool = False,
        direct: bool = False,
    ) -> None:
        """Add a handler, in place of the one that was there.

        Args:
            event: Name of the event, or :data:`ALL`.
            namespace: The namespace, a pattern of namespaces, or :data:`ALL`.
            function: The handler.
            run_in_thread: Whether to run it in a thread.
            validate: Whether hints of plain types are checked, too.
            direct: Whether to run it on the event loop even where handlers run in threads.
        """
        if direct:
            self._direct.add(function)
        if run_in_thread:
            function = in_thread(function)
        self._payloads[function] = validate
        self.handlers.setdefault(namespace, {})[event] = function
        self.changed()

    def add_object(self, namespace: Namespace, instance: Any) -> None:
        """Add a class namespace.

        Args:
            namespace: The namespace, a pattern of namespaces, or :data:`ALL`.
            instance: Has methods ``on_…`` and ``trigger_event``.
        """
        self.objects[namespace] = instance
        self.changed()

    def knows(self, namespace: str) -> bool:
        """Tell whether there are handlers for a namespace, other than for all.

        Args:
            namespace: The namespace.
        """
        if namespace in self.handlers or namespace in self.objects:
            return namespace != ALL
        return any(
            isinstance(key, re.Pattern) and key.fullmatch(namespace)
            for key in (*self.handlers, *self.objects)
        )

    def routes(self, namespace: str) -> Routes:
        """Return which handlers are those of a namespace.

        Args:
            namespace: The namespace.
        """
        routes = Routes()
        levels = _levels(self.handlers, namespace)
        objects = _levels(self.objects, namespace)
        instance, shared = objects[0] if objects else (None, False)
        names = {name for handlers, _ in levels for name in handlers}
        if instance is not None:
            names.update(
                name[3:] for name in dir(instance) if name.startswith("on_") and len(name) > 3
            )
        for name in names - {ALL}:
            handler = self._resolve(name, levels, instance, shared)
            if handler is None:
                continue
            if name in self._reserved:
                setattr(routes, name, handler)
            else:
                routes.events[name] = handler
                routes.typed = routes.typed or handler.payload is not None
        routes.fallback = self._resolve(ALL, levels, instance, shared)
        if instance is not None and instance.dispatches_itself():
            for name in self._reserved:
                if getattr(routes, name) is None:
                    setattr(routes, name, self._resolve(name, levels, instance, shared))
        if routes.fallback is not None and routes.fallback.payload is not None:
            routes.typed = True
        routes.event_middleware = tuple(_matching(self.event_middleware, namespace))
        routes.connect_middleware = tuple(_matching(self.connect_middleware, namespace))
        return routes

    def _resolve(self, name: Any, levels: Any, instance: Any, shared: bool) -> Handler | None:
        for handlers, general in levels:
            if name in handlers and name != ALL:
                return self._handler(name, handlers[name], NAMESPACE_SID if general else SID)
            if ALL in handlers and name not in self._reserved:
                style = EVENT_NAMESPACE_SID if general else EVENT_SID
                return self._handler(name, handlers[ALL], style)
        if instance is None:
            return None
        if instance.dispatches_itself():
            style = EVENT_NAMESPACE_SID if shared else EVENT_SID
            return self._handler(name, instance.trigger_event, style, checked=False)
        method = None if name == ALL else getattr(instance, f"on_{name}", None)
        if method is None:
            # As python-socketio, which acknowledges what a class namespace has no method for.
            return Handler(_ignore, self._base) if name not in self._reserved else None
        return self._handler(name, method, NAMESPACE_SID if shared else SID)

    def _handler(self, name: Any, function: Function, style: int, checked: bool = True) -> Handler:
        style += self._base
        front = FRONT[style]
        most = self._reserved.get(name)
        payload = None
        if most is None and checked:
            validate = self._payloads.get(function, getattr(function, "validate", False))
            payload = make_payload(function, front, validate)
        count = -1 if most is None else arity(function, front, most)
        handler = Handler(function, style, count, payload)
        handler.direct = function in self._direct
        return handler


def in_thread(function: Function) -> Function:
    """Return a coroutine function that runs a function in a thread.

    Args:
        function: The function.
    """

    @functools.wraps(function)
    async def run(*args: Any) -> Any:
        return await asyncio.to_thread(function, *args)

    return run


def _levels(table: dict[Any, Any], namespace: str) -> list[tuple[Any, bool]]:
    """Return what is registered for a namespace, and whether for others too, the nearest first."""
    found: list[tuple[Any, bool]] = []
    if namespace in table and namespace != ALL:
        found.append((table[namespace], False))
    found += [
        (value, True)
        for key, value in table.items()
        if isinstance(key, re.Pattern) and key.fullmatch(namespace)
    ]
    if ALL in table:
        found.append((table[ALL], True))
    return found


def _matching(middleware: list[tuple[Namespace, Function]], namespace: str) -> list[Function]:
    return [
        function
        for key, function in middleware
        if (key.fullmatch(namespace) if isinstance(key, re.Pattern) else key in (namespace, ALL))
    ]


def _ignore(*args: Any) -> None:
    """Handle an event that a class namespace has no method for."""
