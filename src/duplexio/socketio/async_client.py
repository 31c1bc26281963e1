"""The Socket.IO client for asyncio, with python-socketio's names, arguments and behaviour."""

from __future__ import annotations

import asyncio
import builtins
import random
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..engineio.client_dialing import connect as connect_engine
from ..engineio.client_extras import from_aiohttp, from_aiohttp_session
from ..engineio.client_options import Remembered
from ..engineio.exceptions import ConnectionError as EngineConnectionError
from ..engineio.options import Logger, make_logger
from ..errors import UsageError
from .answer import Answer
from .client_connection import (
    CLIENT_DISCONNECT,
    SERVER_DISCONNECT,
    TRANSPORT_ERROR,
    ClientConnection,
)
from .client_namespace import BaseClientNamespace
from .client_space import AckCallback, ClientHub, Space
from .client_target import Target, engine_options, value_of, words_of
from .client_view import ClientView
from .core import make_arguments
from .exceptions import BadNamespaceError, ConnectionError, TimeoutError
from .limits import ClientLimits
from .msgpack import make_serializer
from .outbox import OFFLINE_POLICIES
from .party import CONNECTED as JOINED
from .party import GONE
from .reconnection import (
    CONNECTED,
    CONNECTING,
    DISCONNECTED,
    DUE,
    OPEN,
    STOP,
    SUCCEED,
    Backoff,
    Reconnection,
)
from .registry import ALL, Registry
from .values import Json

__all__ = ["AsyncClient"]

#: Emits after which the event loop gets a turn, since they do not wait for the server.
EMITS_PER_TURN = 64

#: Bytes that may wait to be sent before an emit waits for the server to read.
HIGH_WATER = 2**18


class AsyncClient(ClientView):
    """A Socket.IO client for asyncio, for servers of all versions.

    Args:
        reconnection: Whether to connect again when the connection breaks.
        reconnection_attempts: Attempts to do so before giving up; 0 for no end.
        reconnection_delay: Seconds before the first attempt; they double with each further one.
        reconnection_delay_max: The most that they become.
        randomization_factor: By which part of itself a delay is changed at random, 0 to 1.
        logger: ``True`` to log what happens, or a logger.
        serializer: ``"default"`` for text, ``"msgpack"``, or a class (or an instance) with the
            methods of :class:`.msgpack.MsgpackSerializer`. The server has to use the same.
        json: A module with ``dumps`` and ``loads``, in place of our own.
        handle_sigint: Has no effect here: asyncio itself cancels the main task when the program is
            interrupted. (It is python-socketio's, and has one in :class:`.Client`.)
        offline: What happens to emits while the client is not connected but tries to be:
            ``"buffer"`` keeps them within limits and sends them in order, ``"fail"`` raises
            :exc:`.BadNamespaceError`, ``"drop"`` forgets them.
        retries: How often an emit is sent again until the server acknowledges it; 0 for never.
        ack_timeout: Seconds that an acknowledgement may take, after which the emit is sent again,
            or is given up; ``None`` for as long as the connection lasts.
        recovery: Whether the server is asked for what was missed while the connection was broken.
        async_handlers: ``True`` lets handlers overlap, which start in the order of the messages;
            with ``False`` each ends before the next one starts.
        engineio_logger: ``logger`` of the Engine.IO client.
        kwargs: Limits, which are the attributes of :class:`.limits.ClientLimits`, and those of
            :class:`duplexio.engineio.client_options.ClientOptions`: ``protocol``,
            ``try_all_transports``, ``ssl_verify``, ``proxy``, ``http_session``,
            ``request_timeout``, …

    Attributes:
        registry: The handlers.
        hub: What the connections share; its ``counters`` tell how often each limit was reached.
        close_reason: Why the last connection ended, in the words of Node's engine.io.

    Raises:
        UsageError: An argument is wrong.

    Example:
        >>> sio = AsyncClient()
        >>> @sio.event
        ... async def said(text):
        ...     print(text)
        >>> async def main():
        ...     await sio.connect("http://localhost:5000")
        ...     print(await sio.call("add", (1, 2)))
        ...     await sio.wait()
    """

    class reason:
        """Why a client is connected no more, as the ``disconnect`` handler is told."""

        CLIENT_DISCONNECT = CLIENT_DISCONNECT
        SERVER_DISCONNECT = SERVER_DISCONNECT
        TRANSPORT_ERROR = TRANSPORT_ERROR

    reserved_events = ("connect", "connect_error", "disconnect")
    hub: ClientHub
    #: Makes options of ``websocket_extra_options``.
    _translate = staticmethod(from_aiohttp)

    def __init__(
        self,
        reconnection: bool = True,
        reconnection_attempts: int = 0,
        reconnection_delay: float = 1,
        reconnection_delay_max: float = 5,
        randomization_factor: float = 0.5,
        logger: bool | Logger = False,
        serializer: Any = "default",
        json: Any = None,
        handle_sigint: bool = True,
        *,
        offline: str = "buffer",
        retries: int = 0,
        ack_timeout: float | None = None,
        recovery: bool = True,
        async_handlers: bool = True,
        engineio_logger: bool | Logger | None = None,
        **kwargs: Any,
    ) -> None:
        if offline not in OFFLINE_POLICIES:
            raise UsageError(f"offline is {offline!r}; expected one of {OFFLINE_POLICIES}")
        if not isinstance(retries, int) or retries < 0:
            raise UsageError(f"retries is {retries!r}; expected a whole number, or 0 for none")
        if ack_timeout is not None and not ack_timeout > 0:
            raise UsageError(f"ack_timeout is {ack_timeout!r}; expected seconds above 0, or None")
        self.reconnection = reconnection
        self.reconnection_attempts = reconnection_attempts
        self.reconnection_delay = reconnection_delay
        self.reconnection_delay_max = reconnection_delay_max
        self.randomization_factor = randomization_factor
        self.handle_sigint = handle_sigint
        self.logger = make_logger(logger, "duplexio.socketio")
        names = ClientLimits.__dataclass_fields__
        limits = ClientLimits(**{name: kwargs.pop(name) for name in list(kwargs) if name in names})
        self._options = engine_options(kwargs, engineio_logger, self._translate)
        self.registry = Registry(client=True)
        self.hub = hub = ClientHub(self.registry, limits, time.time)
        hub.serial = not async_handlers
        hub.serializer = make_serializer(serializer)
        hub.logger = self.logger
        hub.offline = offline
        hub.retries = retries
        hub.ack_timeout = ack_timeout
        hub.recovery = recovery
        hub.delivery = secrets.token_urlsafe(15) if retries else ""
        if json is not None:
            codec = Json(json)
            hub.encode, hub.decode = codec.encode, codec.decode
        self._spaces = hub.spaces
        self._target = Target()
        self._listeners: list[Callable[[str], object]] = []
        self._machine = Reconnection(self._backoff(), random.random, self._changed)
        self._remembered: Remembered | None = None
        self._connection: ClientConnection | None = None
        self._answered: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._parting: set[asyncio.Future[Any]] = set()
        self._emits = 0
        self.close_reason = ""

    def _backoff(self) -> Backoff:
        return Backoff(
            delay=self.reconnection_delay,
            delay_max=self.reconnection_delay_max,
            randomization=self.randomization_factor,
            attempts=self.reconnection_attempts,
        )

    # Handlers

    def register_namespace(self, namespace_handler: Any) -> None:
        """Register a class namespace.

        Args:
            namespace_handler: An instance of a class that derives from
                :class:`.AsyncClientNamespace`.

        Raises:
            UsageError: It is something else.
        """
        if not isinstance(namespace_handler, BaseClientNamespace):
            raise UsageError(f"{namespace_handler!r} is no namespace for clients")
        if not namespace_handler.is_asyncio_based():
            raise UsageError(f"{namespace_handler!r} is for clients that block")
        namespace_handler._set_client(self)
        self.registry.add_object(namespace_handler.namespace, namespace_handler)

    # Connecting

    async def connect(
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

        Cancelling it leaves nothing behind: no connection, no task.

        Args:
            url: The address, with the query that the server wants; or a function or coroutine
                function that returns it, called at each attempt.
            headers: Headers of all requests; or a function that returns them.
            auth: What the client says about itself; or a function that returns it. (Servers of
                protocols 3 and 4 get it as the query of the namespace, and not in ``/``.)
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
        names = self._names(namespaces)
        await self._connect(
            Target(url, headers, auth, transports, socketio_path, wait, wait_timeout, names), retry
        )

    async def _connect(self, target: Target, retry: bool) -> None:
        if self._machine.state != DISCONNECTED:
            raise ConnectionError("Already connected")
        loop = asyncio.get_running_loop()
        if self.hub.loop is not loop:
            self.hub.bind_loop(loop)
        self._target = target
        self._spaces.clear()
        for name in self._target.namespaces:
            self._spaces[name] = Space(self.hub, name)
        self._machine.backoff = self._backoff()
        self._ended = loop.create_future()
        self._machine.move(OPEN)
        task = self._start(self._run(None, retry))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await self.disconnect()
            raise
        if task.cancelled():
            raise ConnectionError("the client was disconnected while it was connecting")
        task.result()
        session = self.session
        if target.wait and session is not None:
            # As python-socketio, which goes on to a WebSocket before it returns.
            try:
                async with asyncio.timeout(target.wait_timeout):
                    await session.wait_upgraded()
            except builtins.TimeoutError:
                pass

    def _names(self, namespaces: str | list[str] | None) -> list[str]:
        if isinstance(namespaces, str):
            return [namespaces]
        if namespaces is None:
            registered = (*self.registry.handlers, *self.registry.objects)
            namespaces = [
                name for name in registered if name != ALL and not isinstance(name, re.Pattern)
            ]
        return list(dict.fromkeys(namespaces)) or ["/"]

    def _start(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self.hub.loop.create_task(coroutine)
        self._task = task
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            # Who waits for it in connect() is told; others were told by handlers and by the log.
            task.exception()

    async def _run(self, delay: float | None, retry: bool) -> None:
        """Try to connect until it succeeds, or is hopeless."""
        machine = self._machine
        first = delay is None
        while True:
            if delay is not None:
                self.logger.info("the next attempt to connect comes in %.2f s", delay)
                await asyncio.sleep(delay)
                machine.move(DUE)
            try:
                await self._attempt(self._target.wait or not first)
                return
            except ConnectionError as exc:
                self.logger.info("cannot connect: %s", exc)
                if not retry:
                    self._end(str(exc))
                    raise
                delay = machine.lost() if first else machine.failed()
                if delay is None:
                    self._end(f"all attempts to connect have failed: {exc}")
                    raise
                first = False
            except Exception as exc:
                # A function of the application's has raised. (What it needs may be out of reach
                # for the same reason as the server.)
                if first:
                    self._end(f"{type(exc).__name__}: {exc}")
                    raise
                self.hub.failed("a function for connecting", exc)
                delay = machine.failed()
                if delay is None:
                    self._end(f"all attempts to connect have failed: {exc}")
                    raise

    async def _attempt(self, wait: bool) -> None:
        """Connect once, with nothing left of it when it fails."""
        target = self._target
        url = await value_of(target.url)
        headers: Mapping[str, str] = await value_of(target.headers) or {}
        borrowed = self._borrow(url)
        headers = {**self._options.headers, **borrowed.pop("headers", {}), **headers}
        options = replace(
            self._options,
            **borrowed,
            headers=headers,
            engineio_path=target.path,
            transports=target.transports or self._options.transports,
        )
        self._answered = self.hub.loop.create_future()
        self._connection = connection = ClientConnection(self.hub, self)
        session = None
        try:
            session = await connect_engine(url, connection, options, self._remembered)
            self._remembered = session.remembered
            connection.start(await value_of(target.auth))
            if wait:
                await self._await_namespaces(connection)
            if self._connection is not connection:
                raise ConnectionError(f"the connection broke at once: {self.close_reason}")
            self._machine.move(SUCCEED)
        except EngineConnectionError as exc:
            self._connection = None
            data = str(exc) if exc.data is None else exc.data
            await self._tell_all("connect_error", data)
            raise ConnectionError(str(exc), data=exc.data, status=exc.status) from exc
        except BaseException as exc:
            await self._abandon(connection, session, exc)
            raise

    def _borrow(self, url: str) -> dict[str, Any]:
        """Return options that the application's client of HTTP stands for."""
        http = self._options.http_session
        return {} if http is None or callable(http) else from_aiohttp_session(http, url)

    async def _await_namespaces(self, connection: ClientConnection) -> None:
        """Wait until the server has answered for all namespaces, and the handlers have run."""
        timeout = self._target.wait_timeout
        answered = self._answered
        assert answered is not None
        try:
            async with asyncio.timeout(timeout):
                await answered
                if connection.told and self._target.handlers:
                    await asyncio.wait(connection.told)
        except builtins.TimeoutError:
            pass
        refused = {s.name: s.refusal for s in self._spaces.values() if s.refusal is not None}
        if refused:
            words = "; ".join(f"{name}: {words_of(what)}" for name, what in refused.items())
            raise ConnectionError(
                f"One or more namespaces failed to connect: {', '.join(refused)} ({words})",
                data=next(iter(refused.values())),
                refusals=refused,
            )
        missing = [space.name for space in self._spaces.values() if space.state != JOINED]
        if missing:
            why = f"no answer within wait_timeout={timeout} s"
            if self._connection is not connection:
                why = self.close_reason
            raise ConnectionError(
                f"One or more namespaces failed to connect: {', '.join(missing)} ({why})"
            )

    async def _abandon(self, connection: ClientConnection, session: Any, exc: Any) -> None:
        """End the connection of an attempt that has failed."""
        if self._connection is connection:
            self._connection = None
        for space in self._spaces.values():
            # Those that were refused may be let in at the next attempt.
            if space.state == GONE and isinstance(exc, ConnectionError):
                space.lost(str(exc))
        if session is None:
            return
        connection.close(CLIENT_DISCONNECT)
        try:
            await session.wait_closed()
        except asyncio.CancelledError:
            session.abort()
            raise

    async def _tell_all(self, event: str, *args: Any) -> None:
        """Call the handlers of an event in all namespaces, and wait for them."""
        told = [self.hub.tell(space, event, *args) for space in list(self._spaces.values())]
        running = [future for future in told if future is not None]
        if running and self._target.handlers:
            await asyncio.wait(running)

    # What the connection tells

    def connection_answered(self, connection: ClientConnection) -> None:
        """Take note that the server has answered for a namespace (called by the connection)."""
        if connection is not self._connection or connection.unanswered > 0:
            return
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        if self._machine.state == CONNECTED and all(s.state == GONE for s in self._spaces.values()):
            # Nobody has waited for it: the server lets the client in nowhere.
            connection.close(SERVER_DISCONNECT)

    def connection_drained(self) -> None:
        """Let those go on that wait to emit (called by the connection)."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def handler_runs(self, future: Any) -> None:
        """Take note of what still runs behind a connection (called by it)."""
        self._parting.add(future)
        future.add_done_callback(self._parting.discard)

    def connection_closed(self, connection: ClientConnection, reason: str) -> None:
        """Go on after the end of a connection (called by it)."""
        self.connection_drained()
        if connection is not self._connection:
            return
        self._connection = None
        self.close_reason = reason
        if connection.session is not None:
            # Its polling requests may still be on their way.
            self.handler_runs(asyncio.ensure_future(connection.session.wait_closed()))
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        if self._machine.state == CONNECTING:
            return
        if self._machine.state == DISCONNECTED or connection.closing or not self.reconnection:
            self._end(connection.closing or f"the connection is over: {reason}")
        else:
            self._machine.backoff = self._backoff()
            self._start(self._run(self._machine.lost(), True))

    def _end(self, why: str) -> None:
        """Be connected no more."""
        if self._machine.state != DISCONNECTED:
            self._machine.move(STOP)
        for space in self._spaces.values():
            if space.state != GONE or space.acks:
                space.leave(why)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # Emitting

    async def emit(
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
        space = self._spaces.get(namespace or "/")
        if space is None:
            raise self._not_connected(namespace)
        answer: Any = callback
        if on_failure is not None and callback is not None:
            answer = AckCallback(callback, on_failure)
        space.emit(make_arguments(event, data), answer, volatile)
        self._emits += 1
        if self._emits >= EMITS_PER_TURN:
            self._emits = 0
            await asyncio.sleep(0)
            await self.drain()

    def _not_connected(self, namespace: str | None) -> BadNamespaceError:
        return BadNamespaceError(
            f"{namespace or '/'} is not a connected namespace; it was not given to connect()"
        )

    async def drain(self) -> None:
        """Wait until little waits to be sent (less than 256 KiB)."""
        while True:
            session = self.session
            if session is None or session.buffered_bytes < HIGH_WATER or not session.is_open:
                return
            if self._drained is None or self._drained.done():
                self._drained = self.hub.loop.create_future()
            # Polling requests tell nothing when they have taken what waits.
            await asyncio.wait({self._drained}, timeout=0.05)

    async def send(
        self,
        data: Any,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Emit the event ``message``; the arguments are those of :meth:`emit`."""
        await self.emit("message", data, namespace, callback)

    async def call(
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
        space = self._spaces.get(namespace or "/")
        if space is None:
            raise self._not_connected(namespace)
        loop = self.hub.loop
        answer = Answer(loop)
        id = space.emit(make_arguments(event, data), answer)
        timer = None
        if timeout is not None:
            timer = loop.call_later(timeout, _expire, answer, event, timeout)
        try:
            await answer
        finally:
            if timer is not None:
                timer.cancel()
            if answer.values is None:
                space.forget(id)
        if answer.error is not None:
            raise answer.error
        values = answer.values
        assert values is not None
        return values[0] if len(values) == 1 else tuple(values) if values else None

    # Ending

    async def wait(self) -> None:
        """Wait until the client is connected no more, and does not try to be."""
        if self._ended is not None:
            # Who waits may be cancelled without anybody else noticing.
            await asyncio.shield(self._ended)
            await self._parted()

    async def disconnect(self) -> None:
        """Disconnect from the server, and stop trying to connect.

        It returns when the connection is closed and the handlers of ``disconnect`` have run.
        """
        await self._leave(True)

    async def _leave(self, handlers: bool) -> None:
        """Disconnect; wait for the handlers if told to."""
        if self._machine.state == DISCONNECTED:
            return
        self._machine.move(STOP)
        task, connection = self._task, self._connection
        if task is not None:
            task.cancel()
        session = None if connection is None else connection.session
        if connection is not None and session is not None:
            # The end of the connection is ours, see connection_closed().
            connection.close(CLIENT_DISCONNECT)
        else:
            self._end(CLIENT_DISCONNECT)
        try:
            if task is not None:
                await asyncio.wait({task})
            if session is not None:
                await session.wait_closed()
            if handlers:
                await self._parted()
        except asyncio.CancelledError:
            if session is not None:
                session.abort()
            raise

    async def _parted(self) -> None:
        """Wait for what still runs behind connections, but for the handler that asks."""
        running = self._parting - {asyncio.current_task()}
        if running:
            await asyncio.wait(running)

    async def shutdown(self) -> None:
        """Stop the client, whatever it does; the same as :meth:`disconnect`."""
        await self.disconnect()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.disconnect()

    def start_background_task(
        self, target: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function in the background.

        Args:
            target: The coroutine function.
            args: Its arguments.
            kwargs: Its arguments.
        """
        task: asyncio.Task[Any] = asyncio.ensure_future(target(*args, **kwargs))
        _background.add(task)
        task.add_done_callback(_background.discard)
        return task

    async def sleep(self, seconds: float = 0) -> None:
        """Let other tasks run.

        Args:
            seconds: How long.
        """
        await asyncio.sleep(seconds)


#: Background tasks, which nobody else may hold on to.
_background: set[asyncio.Future[Any]] = set()


def _expire(answer: Answer, event: Any, timeout: float) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError(f"no answer to {event!r} within {timeout} s"))
