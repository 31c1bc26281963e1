"""How handlers are given to servers and clients: the same for every kind of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, overload

from ..errors import UsageError
from .contract import declared_event, json_schema
from .core import Core
from .namespace import BaseNamespace
from .registry import ALL, Registry

__all__ = ["Registration", "ServerRegistration"]

Namespace = str | re.Pattern[str]
Function = TypeVar("Function", bound=Callable[..., Any])


class Registration:
    """What handlers are registered with.

    Attributes:
        registry: The handlers.
        hub: What the connections share.
    """

    registry: Registry
    hub: Core

    @property
    def handlers(self) -> dict[Any, dict[Any, Callable[..., Any]]]:
        """The functions by namespace and event; :meth:`on` adds to them."""
        return self.registry.handlers

    @property
    def namespace_handlers(self) -> dict[Any, Any]:
        """The class namespaces by namespace; :meth:`register_namespace` adds to them."""
        return self.registry.objects

    @overload
    def on(
        self,
        event: Any,
        handler: None = None,
        namespace: Namespace | None = None,
        *,
        run_in_thread: bool = False,
        validate: bool = False,
    ) -> Callable[[Function], Function]: ...

    @overload
    def on(
        self,
        event: Any,
        handler: Callable[..., Any],
        namespace: Namespace | None = None,
        *,
        run_in_thread: bool = False,
        validate: bool = False,
    ) -> None: ...

    def on(
        self,
        event: Any,
        handler: Callable[..., Any] | None = None,
        namespace: Namespace | None = None,
        *,
        run_in_thread: bool = False,
        validate: bool = False,
    ) -> Any:
        """Register the handler of an event.

        What a handler returns acknowledges the event.

        On a server it is called with the client's id and the arguments of the event; that of
        ``connect`` with the id, ``environ`` and what the client says about itself; that of
        ``disconnect`` with the id and the reason. On a client there is no id: ``connect`` is called
        with nothing, ``disconnect`` with the reason, ``connect_error`` with what the server says.
        (These may take fewer.) A handler for ``"*"`` gets the name of the event first; one for a
        pattern of namespaces or ``"*"`` gets the namespace next.

        Args:
            event: The name, a string or a number; ``"*"`` for all that have no handler.
            handler: A function or coroutine function; without it, this is a decorator.
            namespace: The namespace, by default ``/``; ``"*"`` for all; or a pattern, which
                makes all namespaces that match it available.
            run_in_thread: Whether the handler, a function that blocks, runs in a thread.
            validate: Whether hints of plain types and TypedDicts are checked, as those of Structs,
                dataclasses and pydantic models always are.

        Example:
            >>> from duplexio import socketio
            >>> sio = socketio.AsyncServer()
            >>> @sio.on("my message")
            ... async def on_message(sid, data):
            ...     await sio.emit("reply", data, to=sid)
        """
        if handler is None:

            def register(handler: Callable[..., Any]) -> Callable[..., Any]:
                self.registry.add(event, namespace or "/", handler, run_in_thread, validate)
                return handler

            return register
        self.registry.add(event, namespace or "/", handler, run_in_thread, validate)
        return None

    @overload
    def event(self, handler: Function, /) -> Function: ...

    @overload
    def event(
        self,
        namespace: Namespace | None = None,
        *,
        run_in_thread: bool = False,
        validate: bool = False,
    ) -> Callable[[Function], Function]: ...

    def event(self, *args: Any, **kwargs: Any) -> Any:
        """Register the handler of the event that has the name of the function (a decorator).

        Args:
            args: The function; or the arguments of :meth:`on` behind the handler.
            kwargs: The same.

        Example:
            >>> from duplexio import socketio
            >>> sio = socketio.AsyncServer()
            >>> @sio.event(namespace="/chat")
            ... def say(sid, text):
            ...     return "ok"
        """
        if len(args) == 1 and not kwargs and callable(args[0]):
            return self.on(args[0].__name__)(args[0])

        def register(handler: Callable[..., Any]) -> Any:
            return self.on(handler.__name__, None, *args, **kwargs)(handler)

        return register

    def on_any(self, listener: Function) -> Function:
        """Register a function that is told of all events that come (a decorator).

        Args:
            listener: Called with the name, the namespace, the client's id there, and the
                arguments.
        """
        self.hub.incoming += (listener,)
        return listener

    def on_any_outgoing(self, listener: Function) -> Function:
        """Register a function that is told of all events that go (a decorator).

        Args:
            listener: Called with the name, the namespace, who gets it (``None`` for all) and the
                arguments.
        """
        self.hub.outgoing += (listener,)
        return listener


class ServerRegistration(Registration):
    """What servers have besides: class namespaces of theirs, and middleware."""

    def register_namespace(self, namespace_handler: Any) -> None:
        """Register a class namespace.

        Args:
            namespace_handler: An instance of a class that derives from :class:`.AsyncNamespace`.

        Raises:
            UsageError: It is something else.
        """
        if not isinstance(namespace_handler, BaseNamespace) or not hasattr(
            namespace_handler, "_set_server"
        ):
            raise UsageError(
                f"{namespace_handler!r} is no namespace; expected an instance of AsyncNamespace"
            )
        if not namespace_handler.is_asyncio_based():
            raise UsageError(f"{namespace_handler!r} is for servers that block")
        namespace_handler._set_server(self)
        self.registry.add_object(namespace_handler.namespace, namespace_handler)

    def declare(
        self, event: str, *types: Any, answer: Any = None, namespace: str | None = None
    ) -> None:
        """Say that the server emits an event, for ``duplexio types``.

        Nothing is checked when it is emitted.

        Args:
            event: Name of the event.
            types: Types of its arguments: what typed handlers take.
            answer: Type of what clients acknowledge it with; ``None`` when they do not.
            namespace: The namespace, by default ``/``.

        Raises:
            UsageError: Payloads cannot have such a type.

        Example:
            >>> from duplexio import socketio
            >>> sio = socketio.AsyncServer()
            >>> sio.declare("moved", str, int, answer=bool)
        """
        try:
            json_schema([*types, answer])
        except (TypeError, NotImplementedError) as exc:
            raise UsageError(f"{event!r} cannot be declared: {exc}") from exc
        declared = self.registry.declared.setdefault(namespace or "/", {})
        declared[event] = declared_event(event, types, answer)

    @overload
    def use_for_connections(
        self, middleware: Function, *, namespace: Namespace = ALL
    ) -> Function: ...

    @overload
    def use_for_connections(
        self, middleware: None = None, *, namespace: Namespace = ALL
    ) -> Callable[[Function], Function]: ...

    def use_for_connections(
        self, middleware: Callable[..., Any] | None = None, *, namespace: Namespace = ALL
    ) -> Any:
        """Register what clients go through that connect, before the ``connect`` handler.

        Args:
            middleware: Called with a :class:`.middleware.ConnectRequest` and a coroutine function
                that goes on; lets the client in by returning what that returns, and refuses it by
                raising ``ConnectionRefusedError``. Without it, this is a decorator.
            namespace: The namespace, a pattern, or ``"*"`` for all.

        Example:
            >>> from duplexio import socketio
            >>> sio = socketio.AsyncServer()
            >>> @sio.use_for_connections
            ... async def check(request, proceed):
            ...     if not request.auth:
            ...         raise socketio.ConnectionRefusedError("who are you?")
            ...     return await proceed()
        """
        return self._use(self.registry.connect_middleware, middleware, namespace)

    @overload
    def use_for_events(self, middleware: Function, *, namespace: Namespace = ALL) -> Function: ...

    @overload
    def use_for_events(
        self, middleware: None = None, *, namespace: Namespace = ALL
    ) -> Callable[[Function], Function]: ...

    def use_for_events(
        self, middleware: Callable[..., Any] | None = None, *, namespace: Namespace = ALL
    ) -> Any:
        """Register what events go through that come from clients, before their handlers.

        Args:
            middleware: Called with an :class:`.middleware.Event` and a coroutine function that goes
                on; what it returns acknowledges the event. Without it, this is a decorator.
            namespace: The namespace, a pattern, or ``"*"`` for all.

        Example:
            >>> from duplexio import socketio
            >>> sio = socketio.AsyncServer()
            >>> @sio.use_for_events(namespace="/admin")
            ... async def log(event, proceed):
            ...     print(event.sid, event.name)
            ...     return await proceed()
        """
        return self._use(self.registry.event_middleware, middleware, namespace)

    def _use(self, table: list[Any], middleware: Any, namespace: Namespace) -> Any:
        def register(middleware: Function) -> Function:
            table.append((namespace, middleware))
            self.registry.changed()
            return middleware

        return register if middleware is None else register(middleware)
