"""Native endpoints: handlers of ``duplexio.websocket`` as ASGI applications.

An :class:`Endpoint` can be mounted wherever an ASGI application can. How its frames travel depends
on what is in front of it:

* the front door, and nothing else: the connection is the endpoint's from the request's head on;
* the front door, and an application with its middleware: the request passes through all of it, as
  the ASGI messages ``websocket.connect`` and ``websocket.accept``; with the second the endpoint
  takes the connection over, and only the frames that follow are no messages;
* another ASGI server: everything travels as ASGI messages (see ``bridge.py``).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from ..errors import ProtocolError, UsageError
from ..websocket.coroutine import run_handler
from ..websocket.deflate import server_extensions
from ..websocket.frames import CloseCode
from ..websocket.handshake import choose_subprotocol, rejection
from ..websocket.headers import Headers, parse_subprotocol
from ..websocket.http11 import Request, Response
from ..websocket.listener import Listener, ListenerConnection
from ..websocket.loopstate import LoopState, loop_state
from ..websocket.opening import ServerOpening, ServerPolicy
from ..websocket.options import Logger, Options, queue_limits
from ..websocket.origins import SAME_ORIGIN, Origins, check_origin
from ..websocket.server import ServerConnection
from .asgi import HANDOVER, SHUTDOWN_TIMEOUT
from .bridge import Bridge

__all__ = ["Endpoint", "EndpointConnection", "EndpointListenerConnection", "Routes", "Session"]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[["EndpointConnection"], Awaitable[None]]


class Session:
    """Who keeps a connection of an endpoint: the driver's owner.

    Attributes:
        driver: The connection.
        endpoint: The endpoint.
    """

    __slots__ = ("driver", "endpoint")

    def __init__(self) -> None:
        self.driver: Any = None
        self.endpoint: Any = None

    def connection_started(self, driver: Any) -> None:
        """Run the handler (called by the connection)."""
        self.started()
        if not self.endpoint.listens:
            self.run(run_handler(self.endpoint.handler, driver))

    def connection_ended(self, driver: Any) -> None:
        """Take note that the transport has ended (called by the connection)."""
        self.ended()

    def shutdown(self) -> None:
        """Close the connection, since the server stops."""
        driver = self.driver
        if driver.opening is not None:
            driver.opening.unavailable()
        elif self.endpoint.listens:
            driver.close(CloseCode.SERVICE_RESTART)
        else:
            driver.close_soon(CloseCode.SERVICE_RESTART, "")
        driver.schedule(SHUTDOWN_TIMEOUT)

    # What the kinds of sessions differ in

    def run(self, coroutine: Any) -> None:
        """Run the handler's coroutine."""
        raise NotImplementedError

    def started(self) -> None:
        """Called when the connection is open."""

    def ended(self) -> None:
        """Called when the connection has ended."""

    def origin(self) -> tuple[Any, str]:
        """Return the client's address, and the scheme it uses, ``ws`` or ``wss``."""
        raise NotImplementedError

    @property
    def scope(self) -> Scope | None:
        """The ASGI scope, where there is one."""
        return None


class AsgiSession(Session):
    """A connection that reaches its endpoint through ASGI.

    Args:
        endpoint: The endpoint.
        scope: The ASGI scope.
    """

    __slots__ = ("_ended", "_scope", "_site")

    def __init__(self, endpoint: Endpoint, scope: Scope) -> None:
        super().__init__()
        self.endpoint = endpoint
        self._scope = scope
        self._site: Any = None
        self._ended = asyncio.Event()

    @property
    def extensions(self) -> Sequence[Any]:
        """The factories of the extensions that the endpoint supports."""
        return self.endpoint.policy.extensions  # type: ignore[no-any-return]

    def adopt(self, connection: Any) -> AsgiSession:
        """Take over a connection of the front door (called by it).

        Args:
            connection: What was the application's connection so far.
        """
        self._site = connection.site
        self._site.connections.add(self)
        return self

    def connection_started(self, driver: Any) -> None:
        """Do nothing: the handler runs in the application's task."""

    def ended(self) -> None:
        """Let the application's task go on."""
        self._ended.set()
        if self._site is not None:
            self._site.connections.discard(self)

    async def wait_ended(self) -> None:
        """Wait until the transport has ended."""
        await self._ended.wait()

    def origin(self) -> tuple[Any, str]:
        """Return the client's address and scheme, as the application's middleware left them."""
        return self._scope.get("client"), self._scope.get("scheme", "ws")

    @property
    def scope(self) -> Scope | None:
        """The ASGI scope."""
        return self._scope


class EndpointConnection(ServerConnection):
    """A connection of an endpoint, as its coroutine sees it.

    Attributes:
        session: Who keeps it.
        server: The endpoint.
    """

    def __init__(self, loop_state: LoopState, endpoint: Endpoint, session: Session) -> None:
        super().__init__(loop_state, endpoint)  # type: ignore[arg-type]
        self.owner = session
        self.session = session

    @property
    def scope(self) -> Scope | None:
        """The ASGI scope, with what middleware has put there; ``None`` when there is none.

        There is none where the endpoint is the outermost application of the front door.
        """
        return self.session.scope

    @property
    def remote_address(self) -> Any:
        """The client's address, as the trusted proxies in front tell it."""
        return self.session.origin()[0]


class EndpointListenerConnection(ListenerConnection):
    """A connection of an endpoint, as its listener sees it.

    Attributes:
        session: Who keeps it.
    """

    def __init__(self, loop_state: LoopState, endpoint: Endpoint, session: Session) -> None:
        super().__init__(loop_state, endpoint.options, endpoint.handler, session)
        self.session = session

    @property
    def scope(self) -> Scope | None:
        """The ASGI scope; see :attr:`EndpointConnection.scope`."""
        return self.session.scope

    @property
    def remote_address(self) -> Any:
        """The client's address, as the trusted proxies in front tell it."""
        return self.session.origin()[0]


class Endpoint:
    """An ASGI application that serves WebSockets with a handler of ``duplexio.websocket``.

    Args:
        handler: A coroutine function, called with each connection, or a subclass of ``Listener``,
            of which each connection gets an instance; as for ``duplexio.websocket.serve``.
        origins: Origins whose pages may connect; the server's own by default.
        extensions: Factories of further extensions.
        subprotocols: Supported subprotocols, in order of preference.
        select_subprotocol: Called with the connection and the subprotocols that a client offers;
            returns one of them or ``None``.
        compression: ``"deflate"`` accepts permessage-deflate, ``None`` refuses it.
        process_request: Called with connection and request before the handshake is answered; may
            return a response to answer instead. May be a coroutine function.
        process_response: Called with connection, request and response before it is sent; may
            change it or return another. May be a coroutine function.
        open_timeout: Seconds that the opening handshake may take.
        ping_interval: Seconds between pings; ``None`` for none.
        ping_timeout: Seconds that a pong may take.
        close_timeout: Seconds that the closing handshake may take.
        max_size: Largest message, in bytes after decompression.
        max_queue: Messages that may wait for ``recv`` before reading pauses.
        write_limit: Bytes that may wait to be written before ``send`` waits.
        max_buffered: Bytes that may wait to be written on a connection with a listener.
        logger: Where to log.

    Attributes:
        handler: The handler.
        listens: Whether the handler is a subclass of ``Listener``.
        options: Limits and times of its connections.
        policy: What it accepts.

    Raises:
        UsageError: When an argument is wrong.

    Example:
        >>> async def echo(ws):
        ...     async for message in ws:
        ...         await ws.send(message)
        >>> app = Endpoint(echo)
    """

    def __init__(
        self,
        handler: Handler | type[Listener],
        *,
        origins: Origins = SAME_ORIGIN,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Callable[[Any, Sequence[str]], str | None] | None = None,
        compression: str | None = "deflate",
        process_request: Callable[[Any, Request], Any] | None = None,
        process_response: Callable[[Any, Request, Response], Any] | None = None,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int = 2**15,
        max_buffered: int | None = 2**24,
        logger: Logger | None = None,
    ) -> None:
        if isinstance(subprotocols, str):
            raise UsageError(f"subprotocols is the string {subprotocols!r}; expected a list")
        if not callable(handler):
            raise UsageError(
                f"the handler is {handler!r}; expected a coroutine function or a Listener class"
            )
        self.handler: Any = handler
        self.listens = isinstance(handler, type) and issubclass(handler, Listener)
        self.options = Options(
            max_size=max_size,
            max_queue=queue_limits(max_queue),
            write_limit=write_limit,
            max_buffered=max_buffered,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
        )
        if logger is not None:
            self.options.logger = logger
        self.policy = ServerPolicy(
            origins=origins,
            extensions=server_extensions(compression, extensions),
            subprotocols=subprotocols,
            select_subprotocol=select_subprotocol,
            process_request=process_request,
            process_response=process_response,
        )

    # Where it is the front door's outermost application

    def open(
        self, session: Session, loop_state: LoopState, extra: bytes, *, secure: bool, legacy: bool
    ) -> Any:
        """Make the driver of a new connection, which waits for its request.

        Args:
            session: Who keeps the connection.
            loop_state: What the connections of the event loop share.
            extra: Header lines of all responses.
            secure: Whether the connection uses TLS.
            legacy: Whether the drafts hixie-75 and hixie-76 are spoken.
        """
        policy = self.policy
        if policy.extra is not extra or policy.secure != secure or policy.legacy != legacy:
            policy = self.policy = replace(policy, extra=extra, secure=secure, legacy=legacy)
        driver = self.make_driver(session, loop_state)
        driver.opening = ServerOpening(driver, policy)
        return driver

    def make_driver(self, session: Session, loop_state: LoopState) -> Any:
        """Make the driver of a new connection."""
        kind = EndpointListenerConnection if self.listens else EndpointConnection
        session.endpoint = self
        session.driver = driver = kind(loop_state, self, session)
        return driver

    # Where it is behind others: ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection (called by an ASGI server, or the application in front)."""
        if scope["type"] == "websocket":
            await self._serve(scope, receive, send)
        elif scope["type"] == "http":
            await _say(send, 426, "This address is for WebSockets.\n", [(b"upgrade", b"websocket")])
        elif scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        else:
            raise UsageError(f"the ASGI scope is of type {scope['type']!r}; expected 'websocket'")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        session = AsgiSession(self, scope)
        driver = self.make_driver(session, loop_state(asyncio.get_running_loop()))
        request = driver.head = request_of(scope)
        response, subprotocol = await self._decide(driver, request)
        if response.status_code != 101:
            await _deny(scope, send, response)
            return
        message: dict[str, Any] = {
            "type": "websocket.accept",
            "subprotocol": subprotocol,
            "headers": raw_headers(response.headers),
        }
        if HANDOVER in (scope.get("extensions") or {}):
            message[HANDOVER] = session.adopt
        await send(message)
        if driver.connection is not None:
            await self._talk(session)
        else:
            # Not the front door, or something in front of us does not pass the message on as it is.
            driver.subprotocol = subprotocol
            async with Bridge(driver, scope, receive, send):
                await self._talk(session)

    async def _talk(self, session: AsgiSession) -> None:
        """Run the handler in the application's task, until the connection is over."""
        if self.listens:
            try:
                await session.wait_ended()
            except asyncio.CancelledError:
                session.driver.abort()
                raise
        else:
            await run_handler(self.handler, session.driver)

    async def _decide(self, driver: Any, request: Request) -> tuple[Response, str | None]:
        """Answer a request that the server has found good: 101, or something else."""
        policy = self.policy
        subprotocol = None
        select = None
        if policy.select_subprotocol is not None:
            select = partial(policy.select_subprotocol, driver)
        try:
            response = None
            if policy.process_request is not None:
                response = policy.process_request(driver, request)
                if inspect.isawaitable(response):
                    response = await response
            if response is None:
                fields = request.fields
                check_origin(fields.get("origin"), fields.get("host", ""), policy.origins)
                if policy.subprotocols or policy.select_subprotocol is not None:
                    offered = fields.get("sec-websocket-protocol")
                    subprotocol = choose_subprotocol(
                        parse_subprotocol(offered) if offered else [],
                        policy.subprotocols or (),
                        select,
                    )
                response = Response(101)
            if policy.process_response is not None:
                changed = policy.process_response(driver, request, response)
                if inspect.isawaitable(changed):
                    changed = await changed
                response = changed or response
        except ProtocolError as exc:
            self.options.logger.warning("connection refused: %s", exc)
            return rejection(exc), None
        return response, subprotocol


class Routes:
    """An ASGI application that puts endpoints on paths, in front of another application.

    Where it is the outermost application, the front door serves the endpoints without ASGI.

    Args:
        endpoints: The endpoints by path: ``{"/chat": Endpoint(chat)}``.
        fallback: The application for everything else; without one, the answer is 404.

    Example:
        >>> async def echo(ws):
        ...     async for message in ws:
        ...         await ws.send(message)
        >>> app = Routes({"/echo": Endpoint(echo)})
    """

    def __init__(self, endpoints: Mapping[str, Endpoint], fallback: Any = None) -> None:
        for path in endpoints:
            if not path.startswith("/"):
                raise UsageError(f"the path of an endpoint is {path!r}; it must begin with '/'")
        self.endpoints = dict(endpoints)
        self.fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection (called by an ASGI server)."""
        kind = scope["type"]
        if kind != "lifespan":
            endpoint = self.endpoints.get(scope["path"].removeprefix(scope.get("root_path") or ""))
            if endpoint is not None and (kind == "websocket" or self.fallback is None):
                await endpoint(scope, receive, send)
                return
        if self.fallback is not None:
            await self.fallback(scope, receive, send)
        elif kind == "lifespan":
            await answer_lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            await _say(send, 404, "Not Found\n")


def find_endpoint(app: Any, target: str) -> Endpoint | None:
    """Return the endpoint that serves a request, if the outermost application has one for it.

    Args:
        app: The outermost application.
        target: The request's target: path and query.
    """
    if type(app) is Endpoint:
        return app
    if type(app) is Routes:
        path = target.partition("?")[0]
        return app.endpoints.get(unquote(path) if "%" in path else path)
    return None


def request_of(scope: Scope) -> Request:
    """Make a request of the ASGI scope of a WebSocket, as it has come through middleware."""
    headers = Headers()
    for name, value in scope["headers"]:
        headers.add(name.decode("latin-1"), value.decode("latin-1"))
    raw_path = scope.get("raw_path")
    path = raw_path.decode("latin-1") if raw_path else scope["path"]
    query = scope.get("query_string")
    return Request(f"{path}?{query.decode('latin-1')}" if query else path, headers)


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Turn headers into what ASGI calls headers."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.raw_items()
    ]


async def _say(
    send: Send, status: int, text: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer an HTTP request with text."""
    body = text.encode()
    length = (b"content-length", b"%d" % len(body))
    kind = (b"content-type", b"text/plain; charset=utf-8")
    start = {"type": "http.response.start", "status": status, "headers": [length, kind, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def _deny(scope: Scope, send: Send, response: Response) -> None:
    """Answer with a response that opens no WebSocket, or with 403 where ASGI has no more."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    headers = [pair for pair in raw_headers(response.headers) if pair[0] != b"connection"]
    await send(
        {
            "type": "websocket.http.response.start",
            "status": response.status_code,
            "headers": headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Agree to all that an ASGI server tells of its beginning and end."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
