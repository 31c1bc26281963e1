"""Class namespaces of clients: the handlers of a namespace as methods ``on_…`` of a class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .namespace import BaseNamespace, arity

if TYPE_CHECKING:
    from .async_client import AsyncClient
    from .sync_client import Client

__all__ = ["AsyncClientNamespace", "BaseClientNamespace", "ClientNamespace"]

#: How many arguments the handlers of a client's own events may take.
_OWN_EVENTS = {"connect": 0, "connect_error": 1, "disconnect": 1}


class BaseClientNamespace(BaseNamespace):
    """What class namespaces of clients have in common."""

    _client: Any = None

    def _set_client(self, client: Any) -> None:
        self._client = client

    def _registered_client(self) -> Any:
        if self._client is None:
            raise UsageError(
                f"{type(self).__name__} is not registered; call client.register_namespace first"
            )
        return self._client

    def _method(self, event: Any, args: tuple[Any, ...]) -> Callable[[], Any] | None:
        """Return a call of the method of an event, if there is one."""
        method = getattr(self, f"on_{event}", None)
        if method is None:
            return None
        own = _OWN_EVENTS.get(event)
        if own is not None:
            front = max(len(args) - own, 0)
            args = args[: front + arity(method, front, len(args) - front)]
        return lambda: method(*args)


class AsyncClientNamespace(BaseClientNamespace):
    """The handlers of a namespace on an :class:`.AsyncClient`, as methods.

    The methods ``on_connect``, ``on_disconnect``, ``on_connect_error`` and ``on_…`` for other
    events may be functions or coroutine functions.

    Args:
        namespace: The namespace; ``None`` for ``/``.

    Example:
        >>> class Chat(AsyncClientNamespace):
        ...     async def on_said(self, text):
        ...         await self.emit("seen", text)
        >>> Chat("/chat").namespace
        '/chat'
    """

    def is_asyncio_based(self) -> bool:
        """Return ``True``."""
        return True

    @property
    def client(self) -> AsyncClient:
        """The client that this is registered on."""
        client: AsyncClient = self._registered_client()
        return client

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Call the method of an event; to be overridden by those who dispatch in another way.

        Args:
            event: Name of the event.
            args: What the method is called with.
        """
        call = self._method(event, args)
        result = None if call is None else call()
        return await result if inspect.isawaitable(result) else result

    trigger_event.calls_methods = True  # type: ignore[attr-defined]

    async def emit(
        self,
        event: Any,
        data: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Emit an event; see :meth:`.AsyncClient.emit`."""
        await self.client.emit(event, data, namespace or self.namespace, callback, **kwargs)

    async def send(
        self,
        data: Any,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Emit the event ``message``; see :meth:`.AsyncClient.send`."""
        await self.client.send(data, namespace or self.namespace, callback)

    async def call(
        self,
        event: Any,
        data: Any = None,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Emit an event and wait for the answer, by default without end.

        See :meth:`.AsyncClient.call`.
        """
        return await self.client.call(event, data, namespace or self.namespace, timeout)

    async def disconnect(self) -> None:
        """Disconnect the client; see :meth:`.AsyncClient.disconnect`."""
        await self.client.disconnect()


class ClientNamespace(BaseClientNamespace):
    """The handlers of a namespace on a :class:`.Client`, as methods.

    The methods ``on_connect``, ``on_disconnect``, ``on_connect_error`` and ``on_…`` for other
    events are functions.

    Args:
        namespace: The namespace; ``None`` for ``/``.

    Example:
        >>> class Chat(ClientNamespace):
        ...     def on_said(self, text):
        ...         self.emit("seen", text)
        >>> Chat("/chat").namespace
        '/chat'
    """

    @property
    def client(self) -> Client:
        """The client that this is registered on."""
        client: Client = self._registered_client()
        return client

    def trigger_event(self, event: Any, *args: Any) -> Any:
        """Call the method of an event; to be overridden by those who dispatch in another way.

        Args:
            event: Name of the event.
            args: What the method is called with.
        """
        call = self._method(event, args)
        return None if call is None else call()

    trigger_event.calls_methods = True  # type: ignore[attr-defined]

    def emit(
        self,
        event: Any,
        data: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Emit an event; see :meth:`.Client.emit`."""
        self.client.emit(event, data, namespace or self.namespace, callback, **kwargs)

    def send(
        self,
        data: Any,
        room: None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Emit the event ``message``; see :meth:`.Client.send`.

        Args:
            data: The argument.
            room: Has no effect: python-socketio has it here, for servers.
            namespace: The namespace, by default that of the class.
            callback: Called with the acknowledgement.
        """
        self.client.send(data, namespace or self.namespace, callback)

    def call(
        self,
        event: Any,
        data: Any = None,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Emit an event and wait for the answer, by default without end.

        See :meth:`.Client.call`.
        """
        return self.client.call(event, data, namespace or self.namespace, timeout)

    def disconnect(self) -> None:
        """Disconnect the client; see :meth:`.Client.disconnect`."""
        self.client.disconnect()
