"""Middleware: what connections and events go through before their handlers."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .exceptions import ConnectionRefusedError, PayloadError
from .handlers import SID, Handler, Routes
from .party import readable

if TYPE_CHECKING:
    from .client import Client
    from .party import Party

__all__ = ["ConnectRequest", "Event", "run_connect", "run_event"]


class ConnectRequest:
    """A client that wants to connect to a namespace.

    Attributes:
        sid: Its id there.
        namespace: The namespace.
        environ: The request that began its session.
        auth: What it says about itself.
        recovered: Whether it returns, and its state is recovered.
    """

    __slots__ = ("_environ", "auth", "namespace", "recovered", "sid")

    def __init__(self, client: Client, auth: Any) -> None:
        self.sid: str = client.sid
        self.namespace: str = client.adapter.name
        self.auth = auth
        state = client.recoverable
        self.recovered = state is not None and bool(state.recovered)
        self._environ: Any = client.session.request

    @property
    def environ(self) -> dict[str, Any]:
        """The request that began its session."""
        environ: dict[str, Any] = self._environ.environ
        return environ


class Event:
    """An event on its way to its handler.

    Attributes:
        name: Its name.
        args: Its arguments; may be changed.
        sid: Who sends it.
        namespace: Where.
    """

    __slots__ = ("args", "name", "namespace", "sid")

    def __init__(self, name: Any, args: list[Any], sid: str, namespace: str) -> None:
        self.name = name
        self.args = args
        self.sid = sid
        self.namespace = namespace


Next = Callable[[], Awaitable[Any]]


def run_connect(routes: Routes, client: Client, auth: Any) -> Any:
    """Call the middleware and the connect handler.

    Args:
        routes: The handlers of the namespace.
        client: Who wants to connect.
        auth: What it says about itself.

    Returns:
        What they say; may be a coroutine.
    """
    state = client.recoverable
    known = state is not None and state.recovered
    if not routes.connect_middleware or (known and client.hub.recovery.options.skip_middlewares):
        return _call_connect(routes.connect, client, auth)
    return _connect_through(routes, ConnectRequest(client, auth), client)


def _call_connect(handler: Handler | None, client: Client, auth: Any) -> Any:
    if handler is None:
        return None
    data: list[Any] = ["connect"]
    if handler.arity > 0:
        data.append(client.session.request.environ)
    if handler.arity > 1:
        data.append(auth)
    data = handler.arguments("connect", client.adapter.name, client.sid, data)
    return handler.function(*data)


async def _connect_through(routes: Routes, request: ConnectRequest, client: Client) -> Any:
    async def last() -> Any:
        verdict = _call_connect(routes.connect, client, request.auth)
        if inspect.isawaitable(verdict):
            verdict = await verdict
        if verdict is False:
            raise ConnectionRefusedError
        return verdict

    return await _chain(routes.connect_middleware, request, last)


def run_event(
    middleware: tuple[Callable[..., Any], ...], handler: Handler, client: Party, name: Any
) -> Handler:
    """Return a handler that has the middleware in front.

    Args:
        middleware: What the event goes through, the first one first.
        handler: The handler of the event.
        client: Who sends it.
        name: Name of the event.
    """
    namespace = client.name

    async def run(sid: str, *args: Any) -> Any:
        event = Event(name, list(args), sid, namespace)

        async def last() -> Any:
            data: list[Any] = [event.name, *event.args]
            if handler.payload is not None:
                data = handler.payload.convert(data)
            result = handler.function(*handler.arguments(event.name, namespace, sid, data))
            return await result if inspect.isawaitable(result) else result

        try:
            return await _chain(middleware, event, last)
        except PayloadError as exc:
            client.hub.count("invalid_payloads")
            client.hub.logger.warning("%s: %s", client.label(), readable(str(exc)))
            return exc.answer()

    return Handler(run, SID)


async def _chain(middleware: tuple[Callable[..., Any], ...], subject: Any, last: Next) -> Any:
    """Call the first of the middleware with what calls the next."""
    if not middleware:
        return await last()

    async def proceed() -> Any:
        return await _chain(middleware[1:], subject, last)

    result = middleware[0](subject, proceed)
    return await result if inspect.isawaitable(result) else result
