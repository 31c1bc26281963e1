"""The Socket.IO client that blocks, with python-socketio's names, arguments and behaviour.

It is a face: all its connections are those of an :class:`.AsyncClient` on an event loop in a thread
of the background, which clients share.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..engineio.background import BackgroundLoop, background_loop
from ..engineio.client_extras import from_requests, from_websocket_client
from ..errors import UsageError
from .async_client import AsyncClient
from .client_namespace import BaseClientNamespace
from .client_space import ClientHub, Space
from .client_target import Target
from .core import make_arguments
from .exceptions import BadNamespaceError, TimeoutError
from .packets import EVENT
from .party import GONE
from .registration import Registration
from .workers import ThreadAnswer, Workers

__all__ = ["Client"]

#: Emits of one thread after which it waits while too much waits to be sent.
EMITS_PER_CHECK = 64


class FacedClient(AsyncClient):
    """What is behind a client that blocks, with the arguments of the libraries that it replaces."""

    _translate = staticmethod(from_websocket_client)

    def _borrow(self, url: str) -> dict[str, Any]:
        """Return options that the application's client of HTTP stands for."""
        http = self._options.http_session
        if http is None:
            return {}
        return {"http_session": None, **from_requests(http() if callable(http) else http)}


class Inner:
    """An attribute that is the asyncio client's."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, client: Any, owner: type | None = None) -> Any:
        return self if client is None else getattr(client._client, self._name)

    def __set__(self, client: Any, value: Any) -> None:
        setattr(client._client, self._name, value)


class Client(Registration):
    """A Socket.IO client that blocks, for servers of all versions.

    Its methods may be called by any thread. Handlers and callbacks run in a thread of the client,
    one after the other in the order of the messages; they may call all methods.

    Args:
        args: The arguments of :class:`.AsyncClient`.
        async_handlers: Whether handlers may overlap, in several threads. (A handler that waits for
            what another handler does needs that.)
        handle_sigint: Whether the client disconnects when :meth:`wait` or :meth:`connect` is
            interrupted by Ctrl+C.
        kwargs: The arguments of :class:`.AsyncClient`.

    Raises:
        UsageError: An argument is wrong.

    Example:
        >>> sio = Client()
        >>> @sio.event
        ... def said(text):
        ...     print(text)
        >>> def main():
        ...     sio.connect("http://localhost:5000")
        ...     print(sio.call("add", (1, 2)))
        ...     sio.wait()
    """

    hub: ClientHub
    reason = AsyncClient.reason
    reserved_events = AsyncClient.reserved_events

    reconnection = Inner()
    reconnection_attempts = Inner()
    reconnection_delay = Inner()
    reconnection_delay_max = Inner()
    randomization_factor = Inner()
    connection_url = Inner()
    connection_headers = Inner()
    connection_auth = Inner()
    connection_transports = Inner()
    connection_namespaces = Inner()
    socketio_path = Inner()

    def __init__(
        self,
        reconnection: bool = True,
        reconnection_attempts: int = 0,
        reconnection_delay: float = 1,
        reconnection_delay_max: float = 5,
        randomization_factor: float = 0.5,
        logger: Any = False,
        serializer: Any = "default",
        json: Any = None,
        handle_sigint: bool = True,
        *,
        async_handlers: bool = False,
        **kwargs: Any,
    ) -> None:
        self._client = FacedClient(
            reconnection,
            reconnection_attempts,
            reconnection_delay,
            reconnection_delay_max,
            randomization_factor,
            logger,
            serializer,
            json,
            handle_sigint,
            **kwargs,
        )
        self.hub = self._client.hub
        self.registry = self._client.registry
        self.logger = self._client.logger
        self.handle_sigint = handle_sigint
        self._workers = Workers(self.hub, self.post, async_handlers)
        self.hub.workers = self._workers
        self._background: BackgroundLoop | None = None
        self._emits = 0

    # The event loop in the background

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Have a function called on the event loop, soon, from any thread.

        Args:
            function: The function, which must not block.
            args: Its arguments.
        """
        self._loop().post(function, *args)

    def _loop(self) -> BackgroundLoop:
        background = self._background
        if background is None or (
            not background.is_usable and self._client.state == "disconnected"
        ):
            background = self._background = background_loop()
        # Where the process was forked since, it raises an error that says so.
        return background

    def _run(self, coroutine: Any) -> Any:
        """Run a coroutine on the event loop, and wait for it."""
        return self._loop().run(coroutine)

    # What is known of the client

    def is_asyncio_based(self) -> bool:
        """Return ``False``."""
        return False

    @property
    def state(self) -> str:
        """``"disconnected"``, ``"connecting"``, ``"connected"`` or ``"waiting"``."""
        return self._client.state

    def on_state(self, listener: Callable[[str], object]) -> Callable[[str], object]:
        """Register a function that is told of each new :attr:`state` (a decorator).

        Args:
            listener: Called with the state, on the event loop: it must not block.
        """
        return self._client.on_state(listener)

    @property
    def connected(self) -> bool:
        """Whether the client is connected."""
        return self._client.connected

    @property
    def namespaces(self) -> dict[str, str]:
        """The ids of the client in the namespaces that it is connected to, by their names."""
        return self._client.namespaces

    @property
    def sid(self) -> str | None:
        """Id of the Engine.IO session, which is a secret; ``None`` when there is none."""
        return self._client.sid

    @property
    def session(self) -> Any:
        """The Engine.IO session; ``None`` when there is none. It belongs to the event loop."""
        return self._client.session

    @property
    def recovered(self) -> bool:
        """Whether the server has recovered the last connection, in all namespaces."""
        return self._client.recovered

    @property
    def close_reason(self) -> str:
        """Why the last connection ended, in the words of Node's engine.io."""
        return self._client.close_reason

    @property
    def protocol(self) -> int | None:
        """The version of Engine.IO in use, 3 or 4; ``None`` when there is no connection."""
        return self._client.protocol

    def get_sid(self, namespace: str | None = None) -> str | None:
        """Return the client's id in a namespace; ``None`` when it is not connected to it.

        Args:
            namespace: The namespace, by default ``/``.
        """
        return self._client.get_sid(namespace)

    def transport(self) -> str | None:
        """Return the transport in use, ``"polling"`` or ``"websocket"``; ``None`` for none."""
        return self._client.transport()

    # Handlers

    def register_namespace(self, namespace_handler: Any) -> None:
        """Register a class namespace.

        Args:
            namespace_handler: An instance of a class that derives from :class:`.ClientNamespace`.

        Raises:
            UsageError: It is something else.
        """
        if not isinstance(namespace_handler, BaseClientNamespace):
            raise UsageError(f"{namespace_handler!r} is no namespace for clients")
        if namespace_handler.is_asyncio_based():
            raise UsageError(f"{namespace_handler!r} is for clients of asyncio")
        namespace_handler._set_client(self)
        self.registry.add_object(namespace_handler.namespace, namespace_handler)

    # Connecting

    def connect(
        self,
        url: Any,
        headers: Any = {},  # noqa: B006 - python-socketio's default; it is not changed
        auth: Any = None,
        transports: str | list[str] | None = None,
        namespaces: str | list[str] | None = None,
        socketio_path: str = "socket.io",
        wait: bool = True,
        wait_timeout: float = 1,
        retry: bool = False,
    ) -> None:
        """Connect to a server.

        Args:
            url: The address, with the query that the server wants; or a function that returns it,
                called at each attempt.
            headers: Headers of all requests; or a function that returns them.
            auth: What the client says about itself; or a function that returns it.
            transports: ``"polling"``, ``"websocket"`` or both, in the order in which they are
                tried; by default polling, from which the client goes on to a WebSocket.
            namespaces: The namespaces to connect to, by default those that have handlers, or ``/``.
            socketio_path: Path of the server.
            wait: Whether to wait until the namespaces are connected.
            wait_timeout: Seconds that they have for it.
            retry: Whether to go on as after the loss of a connection when the attempt fails.

        Raises:
            ConnectionError: There is no connection to be had, or a namespace was refused; it
                carries what the server has said.
            UsageError: An argument is wrong.
        """
        target = Target(
            _in_thread(url),
            _in_thread(headers),
            _in_thread(auth),
            transports,
            socketio_path,
            wait,
            wait_timeout,
            self._client._names(namespaces),
            not self._workers.is_current,
        )
        self._interruptible(self._client._connect(target, retry))

    def _interruptible(self, coroutine: Any) -> None:
        """Run a coroutine; disconnect when the program is interrupted meanwhile."""
        try:
            self._run(coroutine)
        except KeyboardInterrupt:
            if self.handle_sigint:
                self.disconnect()
            raise

    def wait(self) -> None:
        """Wait until the client is connected no more, and does not try to be."""
        self._interruptible(self._client.wait())

    def disconnect(self) -> None:
        """Disconnect from the server, and stop trying to connect.

        It returns when the connection is closed and the handlers of ``disconnect`` have run, unless
        a handler calls it.
        """
        if self._client.state != "disconnected":
            self._run(self._client._leave(not self._workers.is_current))

    def shutdown(self) -> None:
        """Stop the client, whatever it does; the same as :meth:`disconnect`."""
        self.disconnect()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.disconnect()

    # Emitting

    def emit(
        self,
        event: Any,
        data: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        *,
        volatile: bool = False,
        on_failure: Callable[[Exception], Any] | None = None,
    ) -> None:
        """Emit an event.

        It returns when the event is on its way, or is kept until the client is connected again.
        Events of one thread go out in their order.

        Args:
            event: The name, a string or a number.
            data: The argument; several in a tuple; none for ``None``.
            namespace: The namespace, by default ``/``.
            callback: Called with the arguments of the server's acknowledgement.
            volatile: Whether to forget the event when it cannot go now, and not to retry it.
            on_failure: Called with the reason when there will be no acknowledgement; only with a
                ``callback``.

        Raises:
            BadNamespaceError: The client is not connected to the namespace, and does not try to be.
            LimitExceededError: Too many emits are kept already.
            UsageError: The event is larger than the server takes.
            TypeError: The data has no form that can be sent.
        """
        client = self._client
        space = self._space(namespace)
        if callback is not None or not client.connected or self.hub.retries:
            coroutine = client.emit(
                event, data, namespace, callback, volatile=volatile, on_failure=on_failure
            )
            self._run(coroutine)
            return
        arguments = make_arguments(event, data)
        packet = self.hub.packet(EVENT, space.name, -1, arguments)
        space.check_size(packet)
        for listener in self.hub.outgoing:
            listener(event, space.name, None, *arguments[1:])
        self.post(space.emit_packet, packet, volatile)
        self._emits += 1
        if self._emits >= EMITS_PER_CHECK:
            self._emits = 0
            self._run(client.drain())

    def _space(self, namespace: str | None) -> Space:
        space = self._client._spaces.get(namespace or "/")
        if space is None:
            raise BadNamespaceError(f"{namespace or '/'} is not a connected namespace")
        if space.state == GONE:
            raise BadNamespaceError(
                f"{space.name} is not a connected namespace: {space.refused_why()}"
            )
        return space

    def send(
        self,
        data: Any,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Emit the event ``message``; the arguments are those of :meth:`emit`."""
        self.emit("message", data, namespace, callback)

    def call(
        self,
        event: Any,
        data: Any = None,
        namespace: str | None = None,
        timeout: float | None = 60,
    ) -> Any:
        """Emit an event and wait for the server's acknowledgement.

        Args:
            event: The name.
            data: The argument; several in a tuple.
            namespace: The namespace, by default ``/``.
            timeout: Seconds to wait; ``None`` for no end.

        Returns:
            What it acknowledges with: ``None`` for nothing, a tuple for several arguments.

        Raises:
            TimeoutError: The server does not answer in time.
            AckLostError: It cannot answer any more, since the connection is over; a
                :exc:`TimeoutError`, too.
            BadNamespaceError: The client is not connected to the namespace, and does not try to be.
        """
        space = self._space(namespace)
        background = self._loop()
        if background.is_current:
            raise UsageError("a function that runs on the event loop cannot wait for an answer")
        answer = ThreadAnswer()
        background.post(answer.emit, space, make_arguments(event, data))
        try:
            in_time = answer.wait(timeout)
        except BaseException:
            background.post(answer.forget, space)
            raise
        if not in_time:
            background.post(answer.forget, space)
            raise TimeoutError(f"no answer to {event!r} within {timeout} s")
        if answer.error is not None:
            raise answer.error
        values = answer.values
        assert values is not None
        return values[0] if len(values) == 1 else tuple(values) if values else None

    # Threads

    def start_background_task(
        self, target: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> threading.Thread:
        """Run a function in a thread that does not keep the program from ending.

        Args:
            target: The function.
            args: Its arguments.
            kwargs: Its arguments.

        Returns:
            The thread, which is started.
        """
        thread = threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float = 0) -> None:
        """Wait.

        Args:
            seconds: How long.
        """
        time.sleep(seconds)


def _in_thread(value: Any) -> Any:
    """Return a function that calls the application's in a thread, since that may block."""
    return partial(asyncio.to_thread, value) if callable(value) else value
