"""The front door: duplexio's WebSockets in uvicorn.

    uvicorn app:app --http duplexio.hosting.uvicorn:Protocol

:class:`Protocol` is uvicorn's own protocol for HTTP, and leaves requests to it, untouched. A
request for a WebSocket is taken out, with the bytes that came behind it; from then on the transport
belongs to a connection of ours: one that talks to the ASGI application, or, where an endpoint of
ours is the outermost application, the endpoint's own.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from email.utils import formatdate
from typing import Any, ClassVar
from urllib.parse import quote, unquote
from weakref import WeakKeyDictionary

import httptools
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..engineio.engine import stop_engines
from ..errors import ProtocolError
from ..websocket.deflate import server_extensions
from ..websocket.handshake import DRAFT_VERSIONS, reject, rejection
from ..websocket.http11 import Request, Response, parse_request
from ..websocket.loopstate import LoopState, loop_state
from ..websocket.opening import MAX_EARLY_BYTES
from ..websocket.options import Options, queue_limits
from .asgi import HANDOVER, AsgiConnection, address, take_over
from .endpoint import Endpoint, Session, find_endpoint
from .handoff import MORE, MOVED, Handoff, Origin, handoff_of
from .handshake import Offer, challenge_size, render_lines
from .native import NOBODY, Entrance, NativeEngine, native_engine, open_websocket
from .settings import Settings

__all__ = ["FrontDoor", "Protocol"]


class FrontDoor:
    """What the connections of one server share.

    Args:
        config: uvicorn's configuration, loaded.
        server_state: uvicorn's state of the server.
        app_state: The state of the application's lifespan.
        settings: What uvicorn's configuration has no place for.
        loop: The event loop.

    Attributes:
        app: The application, with uvicorn's own middleware around it.
        logger: Where errors and openings are logged.
        connections: All connections of the server.
        handoff: Brings requests to the workers whose they are; ``None`` where there is one worker.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.settings = settings
        self.app: Any = config.loaded_app
        self.logger = logging.getLogger("uvicorn.error")
        self.access_logger = logging.getLogger("uvicorn.access")
        self.access_log = self.access_logger.hasHandlers()
        self.connections: set[Any] = server_state.connections
        self.loop_state: LoopState = loop_state(loop)
        self.handoff: Handoff | None = handoff_of(server_state)
        self.extensions = server_extensions("deflate" if config.ws_per_message_deflate else None)
        self.options = Options(
            max_size=config.ws_max_size,
            max_queue=queue_limits(config.ws_max_queue or None),
            ping_interval=config.ws_ping_interval or None,
            ping_timeout=config.ws_ping_timeout or None,
            open_timeout=None,  # how long it thinks is the application's business
            close_timeout=settings.close_timeout or None,
            logger=self.logger,
        )
        # Middleware that this file knows to look at nothing but the head is no obstacle.
        self.proxies: ProxyHeadersMiddleware | None = None
        self.outermost: Any = self.app
        if type(self.outermost) is ProxyHeadersMiddleware:
            self.proxies = self.outermost
            self.outermost = self.outermost.app
        self.native: NativeEngine | None = None
        if config.interface != "wsgi":
            self.native = native_engine(self)
        self._lines = b""
        self._lines_of: object = None

    def default_lines(self) -> bytes:
        """Return the header lines of all responses; uvicorn makes them anew each second."""
        headers = self.server_state.default_headers
        if headers is not self._lines_of:
            self._lines = render_lines(headers)
            self._lines_of = headers
        return self._lines

    def full(self) -> bool:
        """Return whether ``--limit-concurrency`` is reached."""
        limit = self.config.limit_concurrency
        return limit is not None and (
            len(self.connections) >= limit or len(self.server_state.tasks) >= limit
        )

    def start_task(self, coroutine: Any) -> None:
        """Run an application's coroutine, which uvicorn waits for when it stops."""
        tasks = self.server_state.tasks
        fresh = getattr(self.config, "reset_contextvars", False)
        context = contextvars.Context() if fresh else None
        task = self.loop_state.loop.create_task(coroutine, context=context)
        task.add_done_callback(tasks.discard)
        tasks.add(task)

    def client_of(self, request: Request, client: Any, scheme: str) -> tuple[Any, str]:
        """Return the client's address and scheme, as the trusted proxies in front tell them.

        Args:
            request: The request.
            client: Who has connected to us.
            scheme: The scheme that it used.
        """
        if self.proxies is None:
            return client, scheme
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.raw_items()
        ]
        scope = {"type": "websocket", "client": client, "scheme": scheme, "headers": headers}

        async def take(scope: Any, receive: Any, send: Any) -> None:
            pass

        # uvicorn's own code decides whom to trust. It awaits nothing but the application.
        middleware = ProxyHeadersMiddleware(take)
        middleware.trusted_hosts = self.proxies.trusted_hosts
        try:
            middleware(scope, None, None).send(None)  # type: ignore[arg-type]
        except StopIteration:
            pass
        return scope["client"], str(scope["scheme"])

    def complete_scope(self, scope: dict[str, Any]) -> None:
        """Add what the server knows to a scope that was made of a request's head.

        Args:
            scope: The scope.
        """
        root_path = self.config.root_path
        scope["asgi"]["version"] = self.config.asgi_version
        scope["server"] = (self.config.host, self.config.port)
        scope["root_path"] = root_path
        scope["path"] = root_path + scope["path"]
        scope["raw_path"] = root_path.encode("ascii") + scope["raw_path"]
        scope["state"] = self.app_state.copy()


_front_doors: WeakKeyDictionary[ServerState, FrontDoor] = WeakKeyDictionary()

# A mistake in the environment is to show when the server starts, not when the first client comes.
Settings.from_environ()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol for HTTP, with duplexio's for WebSockets.

    uvicorn makes one for each connection. To change the settings in code, derive from it:

        class LegacyProtocol(Protocol):
            settings = Settings(legacy=True)

    Attributes:
        settings: The settings; ``None`` reads them from the environment.
    """

    settings: ClassVar[Settings | None] = None

    def __new__(  # type: ignore[misc]  # uvicorn wants no more than a protocol object
        cls,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Protocol | Entrance:
        """Make the first protocol object of a connection."""
        loop = _loop or asyncio.get_running_loop()
        front_door = cls._front_door(config, server_state, app_state, loop)
        if front_door.native is None:
            return super().__new__(cls)

        def make_protocol() -> Protocol:
            protocol = super(Protocol, cls).__new__(cls)
            protocol.__init__(config, server_state, app_state, _loop)  # type: ignore[misc]
            return protocol

        return Entrance(front_door, front_door.native, make_protocol)

    @classmethod
    def _front_door(
        cls,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> FrontDoor:
        front_door = _front_doors.get(server_state)
        if front_door is None:
            if not config.loaded:
                config.load()
            settings = cls.settings or Settings.from_environ()
            front_door = FrontDoor(config, server_state, app_state, settings, loop)
            _front_doors[server_state] = front_door
        return front_door

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.front_door = self._front_door(config, server_state, app_state, self.loop)
        # What the loop's timers need.
        self.due = 0.0
        self.slot = -1
        self.place = 0
        # The head being received: its bytes so far, -1 while none is; and whether it began in the
        # data being parsed.
        self._head_size = -1
        self._head_is_new = False
        # A request for a WebSocket that waits, and what stands behind it.
        self._waiting: Request | None = None
        self._rest = b""
        # Whether uvicorn's parser is inside of a request; and who stands in where it is not.
        self._in_message = False
        self.entrance: Entrance | None = None
        # The beginning of a request that does not tell yet whose it is.
        self._begun = b""
        self.origin: Origin | None = None

    def arrive(self, origin: Origin) -> None:
        """Take a connection that another worker has passed on (called once it is made).

        Args:
            origin: Where it came from.
        """
        self.origin = origin
        self.client = origin.client
        self.server = origin.server
        self.scheme = origin.scheme

    def leave(self) -> None:
        """Let go of the transport, which belongs to another object now."""
        self.front_door.connections.discard(self)
        self.forget()

    # The transport's side

    def connection_made(self, transport: Any) -> None:
        """Take the transport (called by asyncio)."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the transport has ended (called by asyncio)."""
        self.front_door.loop_state.timers.cancel(self)
        self._waiting = None
        self.entrance = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived (called by asyncio)."""
        if self._waiting is not None:
            self._rest += data
            if len(self._rest) > MAX_EARLY_BYTES:
                self.flow.pause_reading()
            self._open_when_ready()
            return
        if not self._in_message and not self._answering() and not self.transport.is_closing():
            handoff = self.front_door.handoff
            if handoff is not None:
                data, self._begun = self._begun + data, b""
                verdict = handoff.take(self, self.transport, data)
                if verdict == MOVED:
                    return
                if verdict == MORE:
                    self._begun = data
                    return
            if self.entrance is not None and self.entrance.step_in(data):
                self._unset_keepalive_if_required()
                self.front_door.loop_state.timers.cancel(self)
                return
        self._data = data
        self._head_is_new = False
        super().data_received(data)
        if self._head_size >= 0 and not self._head_is_new:
            self._head_size += len(data)
            if self._head_size > self.front_door.settings.max_head_size:
                self._refuse(reject(431, "The head of the request is too large.\n"))

    def on_due(self, now: float, lag: float) -> None:
        """Give up waiting for a head (called by the loop's timers)."""
        if self.transport.is_closing():
            return
        if self._answering():
            self._expect_head()
        elif self._head_size < 0 and self._waiting is None:
            self.transport.close()
        else:
            self._refuse(reject(408, "The request took too long.\n"))

    # What the parser tells

    def on_message_begin(self) -> None:
        """Begin a request (called by the parser)."""
        super().on_message_begin()
        self._in_message = True
        self._head_size = 0
        self._head_is_new = True
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Go on when a head is complete (called by the parser)."""
        self._head_size = -1
        self.front_door.loop_state.timers.cancel(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Go on when a request is complete (called by the parser)."""
        self._in_message = False
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close the connection when its request has an answer, since the server stops."""
        stop_engines(self.loop)
        super().shutdown()

    def forget(self) -> None:
        """Forget the connection, which belongs to another object now."""
        self._unset_keepalive_if_required()
        self.front_door.loop_state.timers.cancel(self)
        # It refers to this object, too.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does
        self.entrance = None

    def _should_upgrade_to_ws(self) -> bool:
        return bool(self.config.ws != "none" and self.config.interface != "wsgi")

    # Requests for WebSockets

    def handle_websocket_upgrade(self) -> None:
        """Take a request for a WebSocket out of HTTP (called by uvicorn's ``data_received``)."""
        exception = sys.exception()
        assert isinstance(exception, httptools.HttpParserUpgrade)
        # httptools says where in the data the head has ended.
        self._rest = bytes(self._data[exception.args[0] :])
        version = self.parser.get_http_version()
        lines = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version.encode())]
        lines += [b"%b: %b\r\n" % header for header in self.headers]
        try:
            self._waiting = parse_request(
                b"".join(lines) + b"\r\n", max_head=self.front_door.settings.max_head_size
            )
        except ProtocolError as exc:
            self._refuse_request(exc)
            return
        self._open_when_ready()

    def on_response_complete(self) -> None:
        """Go on after a response (called by uvicorn)."""
        super().on_response_complete()
        if self._waiting is not None:
            # Not here, in the task of the application that has responded.
            self.loop.call_soon(self._open_when_ready)

    def _open_when_ready(self) -> None:
        """Answer the request for a WebSocket, unless something has to come before it."""
        request = self._waiting
        if request is None or self.transport.is_closing() or self._answering():
            return
        self._unset_keepalive_if_required()
        challenge = challenge_size(request) if self.front_door.settings.legacy else 0
        if len(self._rest) < challenge:
            self._expect_head()
            return
        self._waiting = None
        self.front_door.loop_state.timers.cancel(self)
        front_door = self.front_door
        front_door.server_state.total_requests += 1
        if front_door.full():
            self.logger.warning("Exceeded concurrency limit.")
            self._refuse(reject(503, "Service Unavailable"))
            return
        found = find_endpoint(front_door.outermost, request.path)
        native = front_door.native
        if found is not None:
            self._open_native(found, request)
        elif native is not None and native.serves(request.path):
            self._open_engine(native, request)
        else:
            self._open_asgi(request, challenge)

    def _open_native(self, endpoint: Endpoint, request: Request) -> None:
        """Let an endpoint of ours, which is the outermost application, serve the connection."""
        session = NativeSession(self.front_door, self.client, self.scheme == "https")
        driver = endpoint.open(
            session,
            self.front_door.loop_state,
            self.front_door.default_lines(),
            secure=session.secure,
            legacy=self.front_door.settings.legacy,
        )
        self._replace_by(session)
        self._hand_over(driver)
        driver.opening.received(request.head + self._rest)

    def _open_engine(self, native: NativeEngine, request: Request) -> None:
        """Let an engine, which is the outermost application, serve the connection."""
        self.front_door.connections.discard(self)
        self.forget()
        open_websocket(
            self.front_door,
            native,
            request,
            self._rest,
            self.transport,
            self.client,
            self.scheme == "https",
            self.flow.write_paused,
        )

    def _open_asgi(self, request: Request, challenge: int) -> None:
        """Let the application serve the connection, through ASGI."""
        front_door = self.front_door
        try:
            offer = Offer(
                request,
                extensions=front_door.extensions,
                legacy=front_door.settings.legacy,
                secure=self.scheme == "https",
                challenge=self._rest[:challenge],
            )
        except ProtocolError as exc:
            self._refuse_request(exc)
            return
        connection = AsgiConnection(
            front_door.loop_state,
            front_door.options,
            front_door,
            offer,
            self._scope(request),
            self._rest[challenge:],
        )
        self._replace_by(connection)
        self._hand_over(connection)
        front_door.start_task(connection.run())

    def _scope(self, request: Request) -> dict[str, Any]:
        """Make the ASGI scope of a WebSocket."""
        raw_path, _, query = request.path.partition("?")
        subprotocols = []
        for name, value in self.headers:
            if name in (b"sec-websocket-protocol", b"websocket-protocol"):
                subprotocols += [token.strip() for token in value.decode("latin-1").split(",")]
        return {
            "type": "websocket",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if self.scheme == "https" else "ws",
            "server": self.server,
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + (unquote(raw_path) if "%" in raw_path else raw_path),
            "raw_path": (self.root_path + raw_path).encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": self.headers,
            "subprotocols": subprotocols,
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}, HANDOVER: {}},
        }

    def _hand_over(self, driver: Any) -> None:
        """Make a driver the transport's protocol object."""
        # This object has done its duty, but its parser refers to it, and so does uvloop, which
        # keeps the method of the last protocol object that had one called data_received.
        self.forget()
        self.transport.set_protocol(NOBODY)
        take_over(
            self.transport,
            driver,
            read_paused=self.flow.read_paused,
            write_blocked=self.flow.write_paused,
        )

    def _answering(self) -> bool:
        """Tell whether a request that came before has no complete response yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _replace_by(self, connection: Any) -> None:
        """Let uvicorn's server know the connection in place of this object."""
        self.front_door.connections.discard(self)
        self.front_door.connections.add(connection)

    # Refusals

    def _refuse_request(self, exc: ProtocolError) -> None:
        self.logger.info("WebSocket refused: %s", exc)
        self._refuse(rejection(exc, date=formatdate(usegmt=True), versions=DRAFT_VERSIONS))

    def _refuse(self, response: Response) -> None:
        """Answer, and close."""
        self._waiting = None
        self._head_size = -1
        self.front_door.loop_state.timers.cancel(self)
        if not self._answering():
            self.transport.write(response.serialize())
        self.transport.close()

    def _expect_head(self) -> None:
        """Set the deadline of a head."""
        timeout = self.front_door.settings.head_timeout
        if timeout:
            self.front_door.loop_state.timers.schedule(self, self.loop.time() + timeout)


class NativeSession(Session):
    """A connection that an outermost endpoint serves, as uvicorn's server sees it.

    Args:
        front_door: What the connections of the server share.
        client: Who has connected.
        secure: Whether it uses TLS.
    """

    __slots__ = ("client", "front_door", "secure")

    def __init__(self, front_door: FrontDoor, client: Any, secure: bool) -> None:
        super().__init__()
        self.front_door = front_door
        self.client = client
        self.secure = secure

    def run(self, coroutine: Any) -> None:
        """Run the endpoint's coroutine."""
        self.front_door.start_task(coroutine)

    def started(self) -> None:
        """Log the opening, as uvicorn does."""
        client, _ = self.origin()
        path, _, query = self.driver.request.path.partition("?")
        path = quote(unquote(path)) + ("?" + query if query else "")
        self.front_door.logger.info('%s - "WebSocket %s" [accepted]', address(client), path)

    def ended(self) -> None:
        """Forget the connection."""
        self.front_door.connections.discard(self)

    def origin(self) -> tuple[Any, str]:
        """Return the client's address and scheme, as the trusted proxies in front tell them."""
        return self.front_door.client_of(
            self.driver.request, self.client, "wss" if self.secure else "ws"
        )
