"""The Socket.IO server, with python-socketio's names, arguments and behaviour."""

from __future__ import annotations

import asyncio
import builtins
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from ..engineio.options import Logger, make_logger
from ..engineio.request import HttpRequest
from ..engineio.server import AsyncServer as EngineServer
from ..engineio.session import (
    BUFFER_OVERFLOW,
    MESSAGE_TOO_BIG,
    PARSE_ERROR,
    PING_TIMEOUT,
    SERVER_SHUTDOWN,
    Session,
)
from ..engineio.session import TRANSPORT_CLOSE as _TRANSPORT_CLOSE
from ..engineio.session import TRANSPORT_ERROR as _TRANSPORT_ERROR
from ..errors import UsageError
from .adapter import Adapter
from .audience import Audience
from .client import GONE, Client
from .connection import CLIENT_DISCONNECT, SERVER_DISCONNECT, Connection
from .core import make_arguments
from .exceptions import ClientGoneError, LimitExceededError, TimeoutError
from .hub import Hub
from .limits import Limits
from .log import EventLog
from .manager import AsyncManager
from .msgpack import make_serializer
from .registration import ServerRegistration
from .registry import ALL, Registry
from .server_recovery import ConnectionStateRecovery, Recovery
from .values import Json

__all__ = ["AsyncServer"]

#: Emits after which the event loop gets a turn, since they do not wait for the clients.
EMITS_PER_TURN = 64


class AsyncServer(ServerRegistration, Audience):
    """A Socket.IO server for asyncio, for clients of all versions.

    Args:
        client_manager: An :class:`.manager.AsyncManager`, by default one of its own.
        logger: ``True`` to log who comes and goes and the names of events, or a logger.
        serializer: ``"default"`` for text, ``"msgpack"``, or a class (or an instance) with the
            methods of :class:`.msgpack.MsgpackSerializer`. All clients have to use the same.
        json: A module with ``dumps`` and ``loads``, in place of our own.
        async_handlers: ``True`` lets the handlers of one client overlap, which start in the order
            of its messages; with ``False`` each ends before the next one starts.
        always_connect: Whether clients are told that they are connected before the ``connect``
            handler has run; those that it refuses are disconnected again.
        namespaces: Namespaces that clients may connect to, beside those that have handlers;
            ``"*"`` for all.
        connect_timeout: Seconds that a client may take to connect to a namespace.
        engineio_logger: ``logger`` of the Engine.IO server.
        connection_state_recovery: ``True``, or a dictionary with the attributes of
            :class:`.server_recovery.ConnectionStateRecovery`, to send clients that return what
            they have missed.
        kwargs: Limits, which are the attributes of :class:`.limits.Limits`, and the arguments of
            :class:`duplexio.engineio.AsyncServer`: ``cors_allowed_origins``, ``ping_interval``,
            ``max_http_buffer_size``, ``transports``, ``cookie``, …

    Attributes:
        eio: The Engine.IO server.
        manager: What is known of the clients, with python-socketio's names.
        registry: The handlers.
        hub: What the connections share.

    Raises:
        UsageError: An argument is wrong.

    Example:
        >>> sio = AsyncServer(cors_allowed_origins="https://example.com")
        >>> @sio.event
        ... async def add(sid, a: int, b: int):
        ...     return a + b
    """

    class reason:
        """Why a client has left, as the ``disconnect`` handler is told."""

        CLIENT_DISCONNECT = CLIENT_DISCONNECT
        SERVER_DISCONNECT = SERVER_DISCONNECT
        PING_TIMEOUT = PING_TIMEOUT
        TRANSPORT_CLOSE = _TRANSPORT_CLOSE
        TRANSPORT_ERROR = _TRANSPORT_ERROR
        PARSE_ERROR = PARSE_ERROR
        SERVER_SHUTDOWN = SERVER_SHUTDOWN
        BUFFER_OVERFLOW = BUFFER_OVERFLOW
        MESSAGE_TOO_BIG = MESSAGE_TOO_BIG

    hub: Hub
    reserved_events = ("connect", "disconnect")

    def __init__(
        self,
        client_manager: AsyncManager | None = None,
        logger: bool | Logger = False,
        serializer: Any = "default",
        json: Any = None,
        async_handlers: bool = True,
        always_connect: bool = False,
        namespaces: str | list[str] | None = None,
        connect_timeout: float = 45.0,
        engineio_logger: bool | Logger = False,
        connection_state_recovery: Any = None,
        **kwargs: Any,
    ) -> None:
        if client_manager is None:
            client_manager = AsyncManager()
        elif not isinstance(client_manager, AsyncManager):
            raise UsageError(
                f"client_manager is {client_manager!r}; expected an AsyncManager of"
                " duplexio.socketio, or None: this server works alone"
            )
        client_manager.set_server(self)
        self.manager = client_manager
        names = Limits.__dataclass_fields__
        limits = Limits(**{name: kwargs.pop(name) for name in list(kwargs) if name in names})
        self.eio = EngineServer(logger=engineio_logger, **kwargs)
        self.engine = self.eio.engine
        self.engine.acceptor = self._accept
        self.registry = Registry()
        self.logger = make_logger(logger, "duplexio.socketio")
        self.async_handlers = async_handlers
        self.always_connect = always_connect
        self.namespaces: Any = namespaces or ["/"]
        if isinstance(self.namespaces, str) and self.namespaces != ALL:
            self.namespaces = [self.namespaces]
        self.hub = hub = Hub(self, self.engine, self.registry, limits)
        hub.serial = not async_handlers
        hub.always_connect = always_connect
        hub.connect_timeout = connect_timeout
        hub.serializer = make_serializer(serializer)
        hub.logger = self.logger
        if logger is not False:
            log = EventLog(hub)
            hub.incoming, hub.outgoing = (log.came,), (log.went,)
        recovery = ConnectionStateRecovery.of(connection_state_recovery)
        if recovery is not None:
            times = self.engine.options.session
            patience = times.ping_interval + times.ping_timeout
            hub.recovery = Recovery(hub, recovery, patience)
        if json is not None:
            codec = Json(json)
            hub.encode, hub.decode = codec.encode, codec.decode
        self._emits = 0
        self._posted: deque[tuple[Any, ...]] = deque()
        self._posted_lock = threading.Lock()
        self._posted_to: Any = None

    @property
    def async_mode(self) -> str:
        """``"asgi"``."""
        return "asgi"

    def is_asyncio_based(self) -> bool:
        """Return ``True``."""
        return True

    # Emitting

    async def emit(
        self,
        event: Any,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        *,
        skip_room: Any = None,
        volatile: bool = False,
    ) -> None:
        """Emit an event to one client, to rooms, or to all.

        Args:
            event: The name, a string or a number.
            data: The argument; several in a tuple; none for ``None``.
            to: A client's id, the name of a room, or a list of them; ``None`` for all clients.
            room: The same as ``to``.
            skip_sid: Id of a client that does not get it, or a list of ids.
            namespace: The namespace, by default ``/``.
            callback: Called with the arguments of each client's acknowledgement.
            ignore_queue: Has no effect here, since there is no queue.
            skip_room: A room whose clients do not get it, or a list of rooms.
            volatile: Whether it is only for those who can have it now: not for a client that has
                not read yet what it was sent before, or that is not connected.

        Raises:
            UsageError: It is volatile, and a callback waits for the answer.
            TypeError: The data has no form that can be sent.
        """
        if volatile and callback is not None:
            raise UsageError("a volatile event may get lost; it cannot have a callback")
        target = room if to is None else to
        self.hub.emit(
            event, data, target, skip_sid, namespace or "/", callback, skip_room, volatile
        )
        self._emits += 1
        if self._emits >= EMITS_PER_TURN:
            self._emits = 0
            await asyncio.sleep(0)

    def emit_threadsafe(
        self,
        event: Any,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        *,
        skip_room: Any = None,
    ) -> None:
        """Emit an event from any thread.

        It returns at once; events go out in the order in which each thread has emitted them. What
        is emitted before the server has run at all reaches nobody, since nobody is connected.

        Args:
            event: As for :meth:`emit`, which the other arguments are for, too. The data must not be
                changed afterwards.
            data: The argument.
            to: Who gets it.
            room: The same.
            skip_sid: Who does not.
            namespace: The namespace.
            callback: Called on the event loop.
            skip_room: Whose clients do not get it.
        """
        loop = self.hub.loop
        if loop is None:
            return
        target = room if to is None else to
        arguments = (event, data, target, skip_sid, namespace or "/", callback, skip_room)
        with self._posted_lock:
            # What an event loop did not get to before it was closed must not hold up the next one.
            if self._posted_to is not loop:
                self._posted.clear()
            self._posted_to = loop
            first = not self._posted
            self._posted.append(arguments)
        if not first:
            return
        try:
            loop.call_soon_threadsafe(self._emit_posted)
        except RuntimeError:  # the loop is closed, so nobody is connected
            with self._posted_lock:
                self._posted.clear()

    def _emit_posted(self) -> None:
        with self._posted_lock:
            posted, self._posted = self._posted, deque()
        for arguments in posted:
            try:
                self.hub.emit(*arguments)
            except Exception as exc:
                self.hub.failed(f"emit_threadsafe of {arguments[0]!r}", exc)

    async def send(
        self,
        data: Any,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit the event ``message``; the arguments are those of :meth:`emit`."""
        await self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    async def call(
        self,
        event: Any,
        data: Any = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit an event to one client and wait for its acknowledgement.

        Args:
            event: The name.
            data: The argument; several in a tuple.
            to: The client's id.
            sid: The same as ``to``.
            namespace: The namespace, by default ``/``.
            timeout: Seconds to wait; ``None`` for no end.
            ignore_queue: Has no effect here.

        Returns:
            What it acknowledges with: ``None`` for nothing, a tuple for several arguments.

        Raises:
            UsageError: No client is named.
            ClientGoneError: The client leaves meanwhile, or is not there.
            TimeoutError: It does not answer in time.
        """
        target = to or sid
        if target is None:
            raise UsageError("call() needs one client: give its id as 'to'")
        client = self._find(target, namespace)
        if client is None or client.state == GONE:
            raise ClientGoneError(f"there is no client {target!r} in {namespace or '/'!r}")
        arguments = make_arguments(event, data)
        for listener in self.hub.outgoing:
            listener(event, namespace or "/", target, *arguments[1:])
        answer: asyncio.Future[list[Any]] = self.hub.loop.create_future()
        client.emit(arguments, answer)
        try:
            async with asyncio.timeout(timeout):
                values = await answer
        except builtins.TimeoutError as exc:
            raise TimeoutError(f"no answer to {event!r} within {timeout} s") from exc
        finally:
            if not answer.done() or answer.cancelled():
                client.forget_ack(answer)
        return values[0] if len(values) == 1 else tuple(values) if values else None

    # Rooms

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """Put a client into a room.

        Args:
            sid: The client's id.
            room: Name of the room, which is made if there is none.
            namespace: The namespace, by default ``/``.

        Raises:
            ValueError: There is no such client; or the room is that of another client, who would
                no longer be alone in it.
            LimitExceededError: It is in ``max_rooms`` rooms already.
        """
        client = self._find(sid, namespace)
        if client is None or client.state == GONE:
            raise ValueError("sid is not connected to requested namespace")
        if room != sid and room in client.adapter.members:
            raise ValueError("cannot enter a sid room")
        rooms = client.rooms
        if rooms is not None and len(rooms) >= self.hub.limits.max_rooms and room not in rooms:
            if self.hub.count("max_rooms") == "disconnect":
                client.session.close()
            raise LimitExceededError(
                f"{client.label()} is in max_rooms={self.hub.limits.max_rooms} rooms already"
            )
        client.adapter.join(client, room)

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """Take a client out of a room; does nothing when it is not there.

        Args:
            sid: The client's id.
            room: Name of the room.
            namespace: The namespace, by default ``/``.
        """
        client = self._find(sid, namespace)
        if client is not None:
            client.adapter.leave(client, room)

    async def close_room(self, room: Any, namespace: str | None = None) -> None:
        """Take all clients out of a room.

        Args:
            room: Name of the room.
            namespace: The namespace, by default ``/``.

        Raises:
            ValueError: The room is that of a client, whose name is its id.
        """
        adapter = self.hub.adapters.get(namespace or "/")
        if adapter is not None:
            if room in adapter.members:
                raise ValueError("cannot close a sid room")
            adapter.close_room(room)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        """Return the rooms of a client, its own one first.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.
        """
        client = self._find(sid, namespace)
        return [] if client is None else client.adapter.rooms_of(client)

    # What is known of clients

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return the application's data about a client.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.

        Raises:
            KeyError: There is no such client.
        """
        client = self._client(sid, namespace)
        if client.data is None:
            client.data = {}
        return client.data

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """Store the application's data about a client.

        Args:
            sid: The client's id.
            session: The data.
            namespace: The namespace, by default ``/``.

        Raises:
            KeyError: There is no such client.
        """
        self._client(sid, namespace).data = session

    def session(self, sid: str, namespace: str | None = None) -> UserSession:
        """Return a context manager of the application's data about a client, saved at the end.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.

        Example:
            >>> async def on_login(sid, name):
            ...     async with sio.session(sid) as session:
            ...         session["name"] = name
        """
        return UserSession(self, sid, namespace)

    def recovered(self, sid: str, namespace: str | None = None) -> bool:
        """Tell whether a client has returned, and its state was recovered.

        The ``connect`` handler may ask, too.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.

        Raises:
            KeyError: There is no such client.
        """
        state = self._client(sid, namespace).recoverable
        return state is not None and bool(state.recovered)

    def transport(self, sid: str, namespace: str | None = None) -> str:
        """Return a client's transport, ``"polling"`` or ``"websocket"``.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.

        Raises:
            KeyError: There is no such client.
        """
        return self._client(sid, namespace).session.transport

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return ``environ`` of the request that began a client's session.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.
        """
        client = self._find(sid, namespace)
        return None if client is None else client.session.request.environ

    @property
    def counters(self) -> dict[str, int]:
        """How often each limit was reached, by its name; those of Engine.IO too (a copy)."""
        return self.eio.counters | self.hub.counters

    @property
    def environ(self) -> Mapping[str, dict[str, Any]]:
        """The ``environ`` of all Engine.IO sessions, by their ids."""
        return Environs(self.engine.sessions)

    def _find(self, sid: str, namespace: str | None) -> Client | None:
        adapter = self.hub.adapters.get(namespace or "/")
        client = None if adapter is None else adapter.members.get(sid)
        return client if isinstance(client, Client) else None

    def _client(self, sid: str, namespace: str | None) -> Client:
        client = self._find(sid, namespace)
        if client is None:
            raise KeyError("Session not found")
        return client

    # Ending

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Disconnect a client from a namespace; does nothing when it is not there.

        Args:
            sid: The client's id.
            namespace: The namespace, by default ``/``.
            ignore_queue: Has no effect here.
        """
        if self.hub.recovery is not None:
            self.hub.recovery.forget(namespace or "/", (sid,))
        client = self._find(sid, namespace)
        if client is None or client.state == GONE:
            return
        client.connection.dismiss(client)

    async def shutdown(self, timeout: float = 2.0) -> None:
        """Disconnect all clients, and let in no more; handlers that still run are cancelled.

        Args:
            timeout: Seconds that WebSockets have to close, and ``disconnect`` handlers to run.
        """
        await self.engine.shutdown(timeout)

    # Where it runs

    def instrument(self, *args: Any, **kwargs: Any) -> None:
        """Refuse to serve the Socket.IO Admin UI, which this release does not do.

        Args:
            args: Those of python-socketio.
            kwargs: The same.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            "instrument(): the Socket.IO Admin UI is not supported; 'manager.rooms',"
            " 'hub.counters' and logger=True tell what the server does"
        )

    def attach(self, app: Any, socketio_path: str = "socket.io") -> None:
        """Add the server to an application that can mount others, such as FastAPI's.

        Args:
            app: The application.
            socketio_path: Path of the server.
        """
        self.eio.attach(app, socketio_path)

    async def handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve an ASGI request, whatever its path.

        Args:
            scope: The ASGI scope.
            receive: ASGI's.
            send: ASGI's.
        """
        await self.eio.handle_request(scope, receive, send)

    def start_background_task(
        self, target: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function in the background; it is cancelled at :meth:`shutdown`.

        Args:
            target: The coroutine function.
            args: Its arguments.
            kwargs: Its arguments.
        """
        return self.eio.start_background_task(target, *args, **kwargs)

    async def sleep(self, seconds: float = 0) -> None:
        """Let other tasks run.

        Args:
            seconds: How long.
        """
        await asyncio.sleep(seconds)

    # What the connections ask

    def generate_id(self) -> str:
        """Return a new id for a client; to be overridden by those who want others."""
        return self.eio.generate_id()

    def generate_secret(self) -> str:
        """Return a new secret of 20 characters."""
        return self.eio.generate_id()

    def _accept(self, session: Session, request: HttpRequest) -> Connection:
        """Return who is told of the messages of a session (called by the engine)."""
        if self.hub.loop is not self.engine.loop_state.loop:
            self.hub.bind()  # for the first client, and where a program's event loop is a new one
        return Connection(self.hub, session)

    def find_adapter(self, namespace: str) -> Adapter | None:
        """Return a namespace, if clients may connect to it.

        Args:
            namespace: Its name.
        """
        adapter = self.hub.adapters.get(namespace)
        if adapter is not None:
            return adapter
        registry = self.registry
        listed = self.namespaces != ALL and namespace in self.namespaces
        kept = listed or namespace in registry.handlers or namespace in registry.objects
        if not kept and self.namespaces != ALL and not registry.knows(namespace):
            return None
        adapter = self.hub.adapters[namespace] = Adapter(namespace)
        adapter.kept = kept
        return adapter


class UserSession:
    """Context manager of the application's data about a client; see :meth:`AsyncServer.session`."""

    def __init__(self, server: AsyncServer, sid: str, namespace: str | None) -> None:
        self._server = server
        self._sid = sid
        self._namespace = namespace
        self._data: dict[str, Any] = {}

    async def __aenter__(self) -> dict[str, Any]:
        self._data = await self._server.get_session(self._sid, self._namespace)
        return self._data

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.save_session(self._sid, self._data, self._namespace)


class Environs(Mapping[str, dict[str, Any]]):
    """The ``environ`` of sessions, made when they are asked for."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self._sessions = sessions

    def __getitem__(self, sid: str) -> dict[str, Any]:
        environ: dict[str, Any] = self._sessions[sid].request.environ
        return environ

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)
