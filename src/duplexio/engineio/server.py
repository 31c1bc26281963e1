"""The Engine.IO server, with python-engineio's names, arguments and handlers."""

from __future__ import annotations

import asyncio
import inspect
import json as standard_json
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar, overload

from ..errors import UsageError
from .cors import AllowedOrigins
from .eager import start_eagerly
from .engine import Engine
from .exceptions import ConnectionRefusedError
from .ids import IdGenerator
from .options import TRANSPORTS, Logger, make_logger, make_options
from .request import HttpRequest
from .session import (
    BUFFER_OVERFLOW,
    FORCED_CLOSE,
    MESSAGE_TOO_BIG,
    PARSE_ERROR,
    PING_TIMEOUT,
    SERVER_SHUTDOWN,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    Session,
    SessionHandler,
)
from .settings import ServerSettings

__all__ = ["AsyncServer"]

Function = TypeVar("Function", bound=Callable[..., Any])

#: Sends after which the event loop gets a turn, since they do not wait for the client.
SENDS_PER_TURN = 64


class AsyncServer(ServerSettings):
    """An Engine.IO server for asyncio.

    Args:
        async_mode: ``"asgi"`` or ``None``; there is no other mode.
        ping_interval: Seconds between heartbeats; or a pair, with seconds that the client is told
            in addition. Clients get it in milliseconds.
        ping_timeout: Seconds that the answer to a heartbeat may take.
        max_http_buffer_size: Bytes that a client may send in one message, or in one request.
        allow_upgrades: Whether clients may go on from polling requests to a WebSocket.
        http_compression: Whether large answers to polling requests are compressed.
        compression_threshold: Bytes from which on an answer is large.
        cookie: Name of a cookie that carries the session's id, or a dictionary of ``name`` and
            attributes; ``None`` for none.
        cors_allowed_origins: Origins whose pages may connect: ``None`` for the server's own, one, a
            list, ``"*"`` for all, a callable; ``[]`` for those who have a middleware for that.
        cors_credentials: Whether browsers may send cookies from other origins; by default they may,
            unless all origins are allowed.
        logger: ``True`` to log what happens, or a logger.
        json: A module with ``dumps``, for what is sent that is neither ``str`` nor ``bytes``.
        async_handlers: Whether the handlers of one client's messages may overlap. They start in the
            order of the messages either way.
        monitor_clients: ``False`` lets clients live that do not answer heartbeats.
        transports: The transports that clients may use, ``"polling"`` and ``"websocket"``.
        max_pending_handlers: Handlers of one client that may run, or wait, before nothing more is
            read from it.
        kwargs: Further limits and settings, which are the attributes of
            :class:`.options.SessionOptions` and :class:`.options.ServerOptions`: ``jsonp``,
            ``allow_eio3``, ``max_connections``, ``allow_request``, ``permessage_deflate``, …

    Raises:
        UsageError: An argument is wrong.

    Example:
        >>> eio = AsyncServer(cors_allowed_origins="https://example.com")
        >>> @eio.on("message")
        ... async def on_message(sid, data):
        ...     await eio.send(sid, data)
    """

    class reason:
        """Why a session ended, as the ``disconnect`` handler is told."""

        SERVER_DISCONNECT = FORCED_CLOSE
        CLIENT_DISCONNECT = TRANSPORT_CLOSE
        PING_TIMEOUT = PING_TIMEOUT
        TRANSPORT_CLOSE = TRANSPORT_CLOSE
        TRANSPORT_ERROR = TRANSPORT_ERROR
        PARSE_ERROR = PARSE_ERROR
        SERVER_SHUTDOWN = SERVER_SHUTDOWN
        BUFFER_OVERFLOW = BUFFER_OVERFLOW
        MESSAGE_TOO_BIG = MESSAGE_TOO_BIG

    event_names = ("connect", "message", "disconnect")
    valid_transports = TRANSPORTS
    compression_methods = ("gzip", "deflate")

    def __init__(
        self,
        async_mode: str | None = None,
        ping_interval: float | tuple[float, float] = 25,
        ping_timeout: float = 20,
        max_http_buffer_size: int = 1_000_000,
        allow_upgrades: bool = True,
        http_compression: bool = True,
        compression_threshold: int = 1024,
        cookie: str | Mapping[str, Any] | None = None,
        cors_allowed_origins: AllowedOrigins = None,
        cors_credentials: bool | None = None,
        logger: bool | Logger = False,
        json: Any = None,
        async_handlers: bool = True,
        monitor_clients: bool | None = None,
        transports: str | Sequence[str] | None = None,
        max_pending_handlers: int = 100,
        **kwargs: Any,
    ) -> None:
        if async_mode not in (None, "asgi"):
            raise UsageError(
                f"async_mode is {async_mode!r}; expected 'asgi' or None: the server is an ASGI"
                " application, which ASGIApp makes of it"
            )
        if max_pending_handlers < 1:
            raise UsageError(
                f"max_pending_handlers is {max_pending_handlers!r}; expected 1 or more"
            )
        self.async_mode = "asgi"
        self.async_handlers = async_handlers
        self.max_pending_handlers = max_pending_handlers
        self.logger = make_logger(logger)
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.clients: dict[str, Client] = {}
        self._dumps: Callable[[Any], str] = (json or standard_json).dumps
        self._ids = IdGenerator(os.urandom)
        self._sends = 0
        try:
            options = make_options(
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                max_http_buffer_size=max_http_buffer_size,
                allow_upgrades=allow_upgrades,
                http_compression=http_compression,
                compression_threshold=compression_threshold,
                cookie=cookie,
                cors_allowed_origins=cors_allowed_origins,
                cors_credentials=cors_credentials,
                monitor_clients=monitor_clients,
                transports=transports,
                logger=self.logger,
                **kwargs,
            )
        except TypeError as exc:
            raise UsageError(str(exc)) from None
        self._remember_cors(cors_allowed_origins, cors_credentials)
        self.engine = Engine(options, self._accept, lambda: self.generate_id())

    # Handlers

    @overload
    def on(self, event: str, handler: None = None) -> Callable[[Function], Function]: ...

    @overload
    def on(self, event: str, handler: Callable[..., Any]) -> None: ...

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register the handler of an event.

        Args:
            event: ``"connect"``, whose handler is called with the session's id and ``environ``, and
                lets the client in unless it returns something else than ``None`` and ``True``, or
                raises ``ConnectionRefusedError``; ``"message"``, called with the id and ``str`` or
                ``bytes``; or ``"disconnect"``, called with the id and the reason.
            handler: A function or coroutine function; without it, this is a decorator.

        Raises:
            UsageError: There is no such event.
        """
        if event not in self.event_names:
            raise UsageError(f"there is no event {event!r}; expected one of {self.event_names}")
        if handler is None:

            def register(handler: Callable[..., Any]) -> Callable[..., Any]:
                self.on(event, handler)
                return handler

            return register
        if event == "disconnect" and not _takes_two(handler):
            one = handler

            def handler(sid: str, reason: str) -> Any:
                return one(sid)

        self.handlers[event] = handler
        return None

    def _accept(
        self, session: Session, request: HttpRequest
    ) -> SessionHandler | Awaitable[SessionHandler]:
        """Let a client in, or not (called by the engine)."""
        client = Client(self, session)
        handler = self.handlers.get("connect")
        if handler is None:
            self.clients[session.sid] = client
            return client
        self.clients[session.sid] = client
        try:
            verdict = handler(session.sid, request.environ)
            if inspect.iscoroutine(verdict):
                task = start_eagerly(verdict, self.engine.loop_state.loop)
                if not task.done():
                    return self._accept_later(client, task)
                verdict = task.result()
            self._check_verdict(verdict)
        except BaseException:
            self.clients.pop(session.sid, None)
            raise
        return client

    async def _accept_later(self, client: Client, verdict: Awaitable[Any]) -> SessionHandler:
        try:
            self._check_verdict(await verdict)
        except BaseException:
            self.clients.pop(client.sid, None)
            raise
        return client

    def _check_verdict(self, verdict: Any) -> None:
        if verdict is not None and verdict is not True:
            if verdict is False:
                raise ConnectionRefusedError
            raise ConnectionRefusedError(
                verdict if isinstance(verdict, str) else self._dumps(verdict)
            )

    # What the application asks for

    async def send(self, sid: str, data: Any) -> None:
        """Send a message to a client.

        Args:
            sid: The session's id.
            data: ``str`` and bytes-like objects arrive as what they are, all else as JSON.
        """
        session = self.sockets.get(sid)
        if session is None:
            self.logger.warning("cannot send to %s: there is no such session", sid[:6])
            return
        self.send_now(session, data)
        self._sends += 1
        if self._sends >= SENDS_PER_TURN:
            self._sends = 0
            await asyncio.sleep(0)

    def send_now(self, session: Session, data: Any) -> None:
        """Send a message to a client, from outside of a coroutine.

        Args:
            session: The session.
            data: As for :meth:`send`.
        """
        if isinstance(data, str):
            session.send_text(data)
        elif isinstance(data, bytes | bytearray | memoryview):
            session.send_binary(bytes(data))
        else:
            session.send_text(self._dumps(data))

    async def get_session(self, sid: str) -> dict[str, Any]:
        """Return the application's data about a client.

        Args:
            sid: The session's id.

        Raises:
            KeyError: There is no such session.
        """
        return self._client(sid).data

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Store the application's data about a client.

        Args:
            sid: The session's id.
            session: The data.

        Raises:
            KeyError: There is no such session.
        """
        self._client(sid).data = session

    def session(self, sid: str) -> UserSession:
        """Return a context manager of the application's data about a client, saved at the end.

        Args:
            sid: The session's id.
        """
        return UserSession(self, sid)

    async def disconnect(self, sid: str | None = None) -> None:
        """End a session; does nothing when there is none.

        Args:
            sid: The session's id; ``None`` for all sessions.
        """
        sids = list(self.sockets) if sid is None else [sid]
        for each in sids:
            session = self.sockets.get(each)
            if session is not None:
                session.close()

    async def shutdown(self, timeout: float = 2.0) -> None:
        """End all sessions, and let in no more; handlers that still run are cancelled.

        Args:
            timeout: Seconds that WebSockets have to close, and ``disconnect`` handlers to run.
        """
        await self.engine.shutdown(timeout)

    def transport(self, sid: str) -> str:
        """Return a client's transport, ``"polling"`` or ``"websocket"``.

        Args:
            sid: The session's id.

        Raises:
            KeyError: There is no such session.
        """
        return self._session(sid).transport

    def get_environ(self, sid: str) -> dict[str, Any] | None:
        """Return ``environ`` of the request that began a session.

        Args:
            sid: The session's id.
        """
        try:
            environ: dict[str, Any] = self._session(sid).request.environ
        except KeyError:
            return None
        return environ

    def _session(self, sid: str) -> Session:
        session = self.sockets.get(sid)
        # While its disconnect handler runs, only the client is left of it.
        return self._client(sid).session if session is None else session

    def _client(self, sid: str) -> Client:
        client = self.clients.get(sid)
        if client is None:
            raise KeyError("Session not found")
        return client

    def generate_id(self) -> str:
        """Return a new session id; to be overridden by those who want others.

        An id has to be unique, secret, and made of characters that need no escaping in a URL.
        """
        return self._ids.next()

    # Where it runs

    def attach(self, app: Any, engineio_path: str = "engine.io") -> None:
        """Add the server to an application that can mount others, such as Starlette's or FastAPI's.

        Args:
            app: The application.
            engineio_path: Path of the server.

        Raises:
            UsageError: The application has no ``mount``.
        """
        from .asgi import ASGIApp

        if not hasattr(app, "mount"):
            raise UsageError(
                f"{app!r} cannot mount applications; put it behind the server instead:"
                " engineio.ASGIApp(server, other_asgi_app)"
            )
        app.mount(f"/{engineio_path.strip('/')}", ASGIApp(self, engineio_path=None))

    async def handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve an ASGI request, whatever its path.

        Args:
            scope: The ASGI scope.
            receive: ASGI's.
            send: ASGI's.
        """
        from .asgi import ASGIApp

        await ASGIApp(self, engineio_path=None).serve(scope, receive, send)

    # What applications use of asyncio through python-engineio's names

    def start_background_task(
        self, target: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function in the background; it is cancelled at :meth:`shutdown`.

        Args:
            target: The coroutine function.
            args: Its arguments.
            kwargs: Its arguments.
        """
        return self.engine.start_task(target(*args, **kwargs))

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
        """Return an event; the arguments are those of ``asyncio.Event``."""
        return asyncio.Event(*args, **kwargs)

    def is_asyncio_based(self) -> bool:
        """Return ``True``."""
        return True

    def async_modes(self) -> list[str]:
        """Return ``["asgi"]``: other servers of HTTP than those of ASGI are not supported."""
        return ["asgi"]


class UserSession:
    """Context manager of the application's data about a client; see :meth:`AsyncServer.session`."""

    def __init__(self, server: AsyncServer, sid: str) -> None:
        self._server = server
        self._sid = sid
        self._data: dict[str, Any] = {}

    async def __aenter__(self) -> dict[str, Any]:
        self._data = await self._server.get_session(self._sid)
        return self._data

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.save_session(self._sid, self._data)


class Client(SessionHandler):
    """One client, and the handlers that run for it.

    Args:
        server: The server.
        session: The client's session.

    Attributes:
        sid: The session's id.
        data: The application's.
    """

    __slots__ = ("_pending", "_waiting", "data", "server", "session", "sid")

    def __init__(self, server: AsyncServer, session: Session) -> None:
        self.server = server
        self.session = session
        self.sid = session.sid
        self.data: dict[str, Any] = {}
        self._pending = 0
        self._waiting: deque[Any] | None = None

    def on_open(self, session: Session) -> None:
        """Take note that the client is connected."""
        self.server.logger.info("%s: connected by %s", self.sid[:6], session.transport)

    def on_text(self, session: Session, text: str, start: int) -> None:
        """Take a text message."""
        self._take(text[start:])

    def on_binary(self, session: Session, data: bytes) -> None:
        """Take a binary message."""
        self._take(data)

    def on_close(self, session: Session, reason: str) -> None:
        """Take note that the client has gone."""
        server = self.server
        server.logger.info("%s: disconnected: %s", self.sid[:6], reason)
        self._waiting = None
        handler = server.handlers.get("disconnect")
        result = None
        if handler is not None:
            try:
                result = handler(self.sid, reason)
            except Exception as exc:
                server.logger.error("the disconnect handler raised", exc_info=exc)
        if inspect.iscoroutine(result):
            loop = server.engine.loop_state.loop
            server.engine.keep_farewell(loop.create_task(self._finish(result)))
        else:
            server.clients.pop(self.sid, None)

    async def _finish(self, handling: Any) -> None:
        """Run the handler of the disconnect, which may still ask for the client's data."""
        try:
            await handling
        except Exception as exc:
            self.server.logger.error("the disconnect handler raised", exc_info=exc)
        finally:
            self.server.clients.pop(self.sid, None)

    def _take(self, data: Any) -> None:
        server = self.server
        handler = server.handlers.get("message")
        if handler is None:
            return
        if self._pending and not server.async_handlers:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(data)
        else:
            self._handle(handler, data)
        waiting = 0 if self._waiting is None else len(self._waiting)
        if self._pending + waiting >= server.max_pending_handlers:
            self.session.pause_reading()

    def _handle(self, handler: Callable[..., Any], data: Any) -> None:
        """Start the handler of a message."""
        server = self.server
        began = perf_counter()
        try:
            result = handler(self.sid, data)
            if inspect.iscoroutine(result):
                self._pending += 1
                task = start_eagerly(result, server.engine.loop_state.loop)
                if task.done():
                    self._pending -= 1
                    task.result()
                else:
                    task.add_done_callback(self._handled)
                    server.engine.keep_task(task)
        except Exception as exc:
            server.logger.error("the message handler raised", exc_info=exc)
        took = perf_counter() - began
        if took > 0.1:
            name = getattr(handler, "__qualname__", repr(handler))
            server.engine.lag_monitor.blame(name, took)

    def _handled(self, task: asyncio.Task[Any]) -> None:
        """Go on when a handler that suspended is done."""
        self._pending -= 1
        server = self.server
        if not task.cancelled() and task.exception() is not None:
            server.logger.error("the message handler raised", exc_info=task.exception())
        handler = server.handlers.get("message")
        while self._waiting and not self._pending and handler is not None:
            self._handle(handler, self._waiting.popleft())
        waiting = len(self._waiting) if self._waiting else 0
        if self.session.reading_paused and self._pending + waiting < server.max_pending_handlers:
            self.session.resume_reading()


def _takes_two(handler: Callable[..., Any]) -> bool:
    """Tell whether a handler of ``disconnect`` wants the reason, which it once was not given."""
    try:
        inspect.signature(handler).bind("sid", "reason")
    except TypeError:
        return False
    except ValueError:
        return True
    return True
