"""The Engine.IO client for asyncio, with python-engineio's names, arguments and handlers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from . import interrupts
from .client_dialing import connect
from .client_extras import from_aiohttp_session
from .client_face import ClientFace
from .client_session import ClientSession
from .eager import start_eagerly
from .exceptions import ConnectionError, UsageValueError
from .options import Logger
from .session import SessionHandler

__all__ = ["HIGH_WATER", "AsyncClient"]

#: Bytes that may wait to be sent before ``send`` waits until they are gone.
HIGH_WATER = 2**18

#: Packets that may wait to be sent before ``send`` waits until they are gone.
MANY_PACKETS = 4096

#: Sends after which the event loop gets a turn, since they do not wait for the server.
SENDS_PER_TURN = 64

#: Handlers of messages that may run before nothing more is read.
MAX_PENDING = 100


class AsyncClient(ClientFace):
    """An Engine.IO client for asyncio.

    It finds out by itself which version of the protocol and which transports the server speaks,
    and begins with what worked when it connects again.

    Args:
        logger: ``True`` to log what happens, or a logger.
        json: A module with ``dumps``, for what is sent that is neither ``str`` nor ``bytes``.
        request_timeout: Seconds that one request may take.
        http_session: An ``aiohttp.ClientSession``, or a callable that returns one or a coroutine.
        ssl_verify: ``False`` accepts any certificate.
        handle_sigint: Whether the client is disconnected when the process is interrupted.
        websocket_extra_options: Further arguments for the WebSocket: those of
            ``aiohttp.ClientSession.ws_connect`` that make sense here.
        timestamp_requests: Whether polling requests carry a timestamp against caches.
        settings: Further limits and settings, which are the attributes of
            :class:`.client_options.ClientOptions`: ``protocol``, ``try_all_transports``,
            ``proxy``, ``ssl``, ``max_size``, …

    Attributes:
        sid: The session's id; ``None`` without a connection.
        state: ``"disconnected"``, ``"connected"`` or ``"disconnecting"``.
        session: The session, for those who want to know more; of the last connection when that has
            ended.

    Raises:
        UsageError: An argument is wrong.

    Example:
        >>> eio = AsyncClient()
        >>> @eio.on("message")
        ... async def on_message(data):
        ...     print("received", data)
    """

    def __init__(
        self,
        logger: bool | Logger = False,
        json: Any = None,
        request_timeout: float = 5,
        http_session: Any = None,
        ssl_verify: bool = True,
        handle_sigint: bool = True,
        websocket_extra_options: Mapping[str, Any] | None = None,
        timestamp_requests: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(
            logger,
            json,
            request_timeout,
            http_session,
            ssl_verify,
            handle_sigint,
            websocket_extra_options,
            timestamp_requests,
            **settings,
        )
        self._link: _Link | None = None
        self._busy = False
        self._sends = 0

    def is_asyncio_based(self) -> bool:
        """Return whether this is the client for asyncio."""
        return True

    async def connect(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        transports: str | Sequence[str] | None = None,
        engineio_path: str = "engine.io",
    ) -> None:
        """Connect, and go on to a WebSocket where that is possible.

        Args:
            url: Address of the server; its query is sent with all requests.
            headers: Further headers of all requests.
            transports: The transports to use, in the order in which they are tried; by default
                polling first.
            engineio_path: Path of the server.

        Raises:
            ConnectionError: It cannot connect, or the handler of ``connect`` has raised.
            ValueError: It is connected, or there is no such transport.
        """
        if self.state != "disconnected" or self._busy:
            raise UsageValueError("the client is not in a disconnected state")
        self._busy = True
        try:
            await self._connect(url, headers, transports, engineio_path)
        finally:
            self._busy = False

    async def _connect(
        self,
        url: str,
        headers: Mapping[str, str] | None,
        transports: str | Sequence[str] | None,
        engineio_path: str,
    ) -> None:
        http, own = await self._given_http()
        borrowed: dict[str, Any] = {}
        try:
            if http is not None:
                borrowed = {"http_session": http, **from_aiohttp_session(http, url)}
            options = self._options(headers, transports, engineio_path, borrowed)
            key = (url, engineio_path, tuple(options.transports))
            before, remembered = self._remembered
            link = _Link(self, asyncio.get_running_loop(), http if own else None)
            session = await connect(url, link, options, remembered if before == key else None)
        except BaseException:
            if own:
                await http.close()
            raise
        try:
            await link.begun
            await session.wait_upgraded()
        except BaseException as exc:
            link.silent = True
            session.close()
            self._reset(link)
            await self._finish(link)
            if not isinstance(exc, Exception):
                raise
            raise ConnectionError(f"Connect handler failed: {exc}") from exc
        self._remembered = (key, session.remembered)

    async def _given_http(self) -> tuple[Any, bool]:
        """Return the application's client of HTTP, and whether it was made for this connection."""
        http = self.http
        if http is None or not callable(http):
            return http, False
        http = http()
        return (await http if inspect.isawaitable(http) else http), True

    async def wait(self) -> None:
        """Wait until the connection has ended, and the handler of ``disconnect`` is done."""
        if self._link is not None:
            await asyncio.shield(self._link.ended)

    async def send(self, data: Any) -> None:
        """Send a message; waits while too much waits to be sent. Without a connection: nothing.

        Args:
            data: ``str`` and bytes-like objects arrive as what they are, all else as JSON.

        Raises:
            PayloadTooLarge: The server takes no message of this size.
        """
        link, session = self._link, self.session
        if link is None or session is None or self.state != "connected":
            self.logger.info("a message was not sent: there is no connection")
            return
        self._write(session, data)
        self._sends += 1
        if session.congested:
            await session.wait_buffered(HIGH_WATER // 2, MANY_PACKETS // 2)
        elif self._sends >= SENDS_PER_TURN:
            self._sends = 0
            await asyncio.sleep(0)

    async def disconnect(self, abort: bool = False, reason: str | None = None) -> None:
        """Disconnect; the handler of ``disconnect`` is done when this returns.

        Args:
            abort: Whether to return before the connections are closed.
            reason: What the handler is told, instead of ``"client disconnect"``.
        """
        link, session = self._link, self.session
        if link is None or session is None or self.state != "connected":
            return
        self.state = "disconnecting"
        link.given_reason = reason or self.reason.CLIENT_DISCONNECT
        session.close()
        await asyncio.shield(link.ended)
        if not abort:
            await self._finish(link)

    async def _finish(self, link: _Link) -> None:
        """Wait until nothing is left of a connection."""
        if link.session is not None:
            await link.session.wait_closed()
        if link.http is not None:
            http, link.http = link.http, None
            await http.close()

    def _reset(self, link: _Link) -> None:
        """Forget a connection that has ended."""
        if self._link is link:
            self.state = "disconnected"
            self.sid = None
            self._link = None
            interrupts.remove(self)
        if not link.ended.done():
            link.ended.set_result(None)

    # What applications use of asyncio through python-engineio's names

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function in the background.

        Args:
            target: The coroutine function.
            args: Its arguments.
            kwargs: Its arguments.
        """
        return _keep(asyncio.ensure_future(target(*args, **kwargs)))

    async def sleep(self, seconds: float = 0) -> None:
        """Let other tasks run.

        Args:
            seconds: How long.
        """
        await asyncio.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        """Return a queue; the arguments are those of ``asyncio.Queue``."""
        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[asyncio.QueueEmpty]:
        """Return the exception of a queue that is empty."""
        return asyncio.QueueEmpty

    def create_event(self, *args: Any, **kwargs: Any) -> asyncio.Event:
        """Return an event."""
        return asyncio.Event(*args, **kwargs)


class _Link(SessionHandler):
    """One connection of a client, and the handlers that run for it.

    Args:
        client: The client.
        loop: The event loop.
        http: A client of HTTP that is to be closed at the end.

    Attributes:
        begun: Is done when the handler of ``connect`` is.
        ended: Is done when the connection is over, and the handler of ``disconnect`` is done.
        silent: Whether no handler is to be called any more.
    """

    def __init__(self, client: AsyncClient, loop: asyncio.AbstractEventLoop, http: Any) -> None:
        self.client = client
        self.loop = loop
        self.http = http
        self.session: ClientSession | None = None
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.given_reason = ""
        self.silent = False
        self._pending = 0

    # What the session tells

    def on_open(self, session: ClientSession) -> None:
        """Call the handler of ``connect`` before anything else is told."""
        client = self.client
        self.session = client.session = session
        client._link = self
        client.state = "connected"
        client.sid = session.sid
        client.logger.info("connected by %s, Engine.IO %s", session.transport, session.protocol)
        if client.handle_sigint:
            interrupts.add(client)
        self._run(client.handlers.get("connect"), (), self._connected)
        if not self.begun.done():
            session.pause_reading()

    def _connected(self, exc: BaseException | None) -> None:
        if self.begun.done():
            return
        if exc is not None:
            self.client.logger.error("the connect handler raised", exc_info=exc)
            self.silent = True
            self.begun.set_exception(exc)
        else:
            self.begun.set_result(None)
        if self.session is not None:
            self.session.resume_reading()

    def on_text(self, session: ClientSession, text: str, start: int) -> None:
        """Take a text message."""
        self._take(session, text[start:])

    def on_binary(self, session: ClientSession, data: bytes) -> None:
        """Take a binary message."""
        self._take(session, data)

    def on_close(self, session: ClientSession, reason: str) -> None:
        """Call the handler of ``disconnect``."""
        client = self.client
        client.logger.info("disconnected: %s", reason)
        told = self.given_reason or (
            client.reason.SERVER_DISCONNECT
            if session.closed_by_server
            else client.reason.TRANSPORT_ERROR
        )
        if not self.begun.done():
            # The handler of connect still runs; it is told by the state.
            client.state = "disconnecting"
        handler = None if self.silent else client.handlers.get("disconnect")
        self._run(handler, (told,), self._disconnected)

    def _disconnected(self, exc: BaseException | None) -> None:
        if exc is not None:
            self.client.logger.error("the disconnect handler raised", exc_info=exc)
        self.client._reset(self)
        if self.http is not None:
            _keep(self.loop.create_task(self.client._finish(self)))

    # Handlers

    def _run(
        self,
        handler: Callable[..., Any] | None,
        arguments: tuple[Any, ...],
        done: Callable[[BaseException | None], None],
    ) -> None:
        """Run a handler, and tell when it is done; at once, if it does not suspend."""
        task = None
        try:
            result = None if handler is None else handler(*arguments)
            if inspect.iscoroutine(result):
                task = start_eagerly(result, self.loop)
                if task.done():
                    task.result()
        except (Exception, asyncio.CancelledError) as exc:
            done(exc)
            return
        if task is None or task.done():
            done(None)
        else:
            _keep(task).add_done_callback(lambda task: done(_outcome(task)))

    def _take(self, session: ClientSession, data: Any) -> None:
        handler = self.client.handlers.get("message")
        if handler is None or self.silent:
            return
        self._pending += 1
        self._run(handler, (data,), self._handled)
        if self._pending >= MAX_PENDING:
            session.pause_reading()

    def _handled(self, exc: BaseException | None) -> None:
        self._pending -= 1
        if exc is not None and not isinstance(exc, asyncio.CancelledError):
            self.client.logger.error("the message handler raised", exc_info=exc)
        session = self.session
        if session is not None and session.reading_paused and self._pending < MAX_PENDING:
            session.resume_reading()


def _outcome(task: asyncio.Task[Any]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


# The event loop keeps only weak references to its tasks.
_tasks: set[asyncio.Task[Any]] = set()


def _keep(task: asyncio.Task[Any]) -> asyncio.Task[Any]:
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task
