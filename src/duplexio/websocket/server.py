"""The asyncio server: ``serve`` and what it returns.

Names, arguments and behaviour are those of the ``websockets`` library, with one departure:
``origins`` defaults to the server's own pages. Pages of other origins must be allowed by name.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from .. import __version__
from ..errors import UsageError
from .coroutine import CoroutineConnection, run_handler
from .deflate import server_extensions
from .exceptions import InvalidHeader
from .frames import CloseCode, State
from .handshake import reject, render_headers
from .headers import HeadersLike, build_www_authenticate_basic, parse_authorization_basic
from .http11 import Request, Response
from .listener import Listener, ListenerConnection
from .loopstate import LoopState, loop_state
from .opening import ServerOpening, ServerPolicy
from .options import Logger, Options, make_options
from .origins import SAME_ORIGIN, Origins
from .roster import Roster
from .tls import create_server

__all__ = ["Server", "ServerConnection", "basic_auth", "serve", "unix_serve"]

#: Value of the ``Server`` header unless told otherwise.
SERVER_HEADER = f"duplexio/{__version__}"

Handler = Callable[["ServerConnection"], Awaitable[None]]


class ServerConnection(CoroutineConnection):
    """A connection of a server.

    Attributes:
        server: The server.
        request: The request of the opening handshake; ``None`` before it has arrived.
        subprotocol: The subprotocol agreed on, or ``None``.
        username: Who it is, when :func:`basic_auth` is used.
        latency: Seconds that the last ping took; 0 before the first.
    """

    def __init__(self, loop_state: LoopState, server: Server) -> None:
        super().__init__(loop_state, server.options, server)
        self.server = server

    def respond(self, status: int, text: str) -> Response:
        """Make a plain text response, for ``process_request`` to return or change.

        Args:
            status: The HTTP status.
            text: The body.

        Returns:
            The response, after which the connection closes.
        """
        return reject(status, text)


class _Opening(ServerOpening):
    """An opening handshake that its server knows of, once there is a transport to answer on.

    Before that there may be a TLS handshake, which may fail without a word.
    """

    __slots__ = ()

    def connected(self) -> None:
        self._driver.owner.connection_opening(self._driver)


class Server:
    """A server; ``serve`` makes it.

    Awaiting it starts it. With ``async with`` it is started, and closed at the end.

    Attributes:
        options: Limits and times of its connections.
    """

    def __init__(
        self,
        handler: Handler | type[Listener],
        options: Options,
        policy: ServerPolicy,
        listen: Callable[[Callable[[], Any]], Awaitable[asyncio.Server]],
        create_connection: Callable[[LoopState, Server], Any] | None = None,
    ) -> None:
        self.options = options
        self._handler: Any = handler
        self._listener = isinstance(handler, type) and issubclass(handler, Listener)
        self._policy = policy
        self._listen = listen
        self._create_connection = create_connection or ServerConnection
        self._opening: set[Any] = set()
        self._open: Roster[Any] = Roster()
        self._handlers: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._refusing = False
        self._loop_state: LoopState
        self._server: asyncio.Server | None = None

    # Life

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        return await self._start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    async def _start(self) -> Self:
        if self._server is not None:
            return self
        self._loop_state = loop_state(asyncio.get_running_loop())
        self._closed = self._loop_state.loop.create_future()
        self._server = await self._listen(self._make_connection)
        if self._server.is_serving():
            self._log_addresses()
        return self

    def _log_addresses(self) -> None:
        for listening in self.sockets:
            self.options.logger.info("server listening on %s", _address(listening))

    def _make_connection(self) -> Any:
        """Return the protocol object of a new connection (asyncio's protocol factory)."""
        driver: Any
        if self._listener:
            driver = ListenerConnection(self._loop_state, self.options, self._handler, self)
        else:
            driver = self._create_connection(self._loop_state, self)
        driver.opening = _Opening(driver, self._policy)
        return driver

    def connection_opening(self, driver: Any) -> None:
        """Take note of a connection whose opening handshake begins."""
        self._opening.add(driver)
        if self._refusing:
            # It was accepted before the server was closed.
            driver.opening.unavailable()

    def connection_started(self, driver: Any) -> None:
        """Take note that an opening handshake is over (called by the connection)."""
        self._opening.discard(driver)
        self._open.add(driver)
        self.options.logger.debug("connection open")
        if not self._listener:
            task = self._loop_state.loop.create_task(run_handler(self._handler, driver))
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)

    def connection_ended(self, driver: Any) -> None:
        """Take note that a connection has ended (called by the connection)."""
        self._opening.discard(driver)
        self._open.discard(driver)
        self.options.logger.debug("connection closed")

    def close(
        self,
        close_connections: bool = True,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Stop accepting connections, and close those that are open.

        It returns at once; :meth:`wait_closed` waits for the end. Connections whose opening
        handshake is going on are refused with status 503.

        Args:
            close_connections: ``False`` leaves the open connections to their handlers, and those
                that are opening too.
            code: Close code for them.
            reason: Close reason for them.
        """
        if self._closing is None:
            self._closing = self._loop_state.loop.create_task(
                self._close(close_connections, code, reason)
            )

    async def _close(self, close_connections: bool, code: int, reason: str) -> None:
        assert self._server is not None
        self.options.logger.info("server closing")
        self._server.close()
        self._refusing = True
        for driver in list(self._opening):
            if driver.opening is not None:
                driver.opening.unavailable()
        if close_connections:
            for driver in self._open:
                if self._listener:
                    driver.close(code, reason)
                else:
                    driver.close_soon(code, reason)
        # Connections that were accepted in this turn of the loop get their transports now.
        await asyncio.sleep(0)
        waiting = deque([*self._open, *self._opening])
        while waiting:
            await waiting.popleft().wait_closed()
        await self._server.wait_closed()
        if self._handlers:
            await asyncio.wait(self._handlers)
        self._closed.set_result(None)
        self.options.logger.info("server closed")

    async def wait_closed(self) -> None:
        """Wait until the server is closed, its connections too, and its handlers have returned."""
        await asyncio.shield(self._closed)

    def _serving(self) -> asyncio.Server:
        if self._server is None:
            raise UsageError("the server is not started: await it, or use it with 'async with'")
        return self._server

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._serving().get_loop()

    def is_serving(self) -> bool:
        """Return whether the server accepts connections."""
        return self._server is not None and self._server.is_serving()

    async def start_serving(self) -> None:
        """Begin to accept connections, after ``serve(…, start_serving=False)``."""
        if not self.is_serving():
            await self._serving().start_serving()
            self._log_addresses()

    async def serve_forever(self) -> None:
        """Accept connections until the server is closed.

        Cancelling it closes the server, and is over when that is done.
        """
        try:
            await self.start_serving()
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The sockets that the server listens on; none once it is closed."""
        return tuple(self._serving().sockets)

    @property
    def connections(self) -> set[Any]:
        """The connections that are open, such as for ``broadcast``; a new set each time."""
        return {driver for driver in self._open if driver.state == State.OPEN}


def _address(listening: socket.socket) -> str:
    """Write the address of a listening socket, for the log."""
    name = listening.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def serve(
    handler: Handler | type[Listener],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    origins: Origins = SAME_ORIGIN,
    extensions: Sequence[Any] | None = None,
    subprotocols: Sequence[str] | None = None,
    select_subprotocol: Callable[[Any, Sequence[str]], str | None] | None = None,
    compression: str | None = "deflate",
    legacy: bool = False,
    process_request: Callable[[Any, Request], Any] | None = None,
    process_response: Callable[[Any, Request, Response], Any] | None = None,
    server_header: str | None = SERVER_HEADER,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    max_buffered: int | None = 2**24,
    logger: Logger | None = None,
    create_connection: Callable[[LoopState, Server], Any] | None = None,
    **kwargs: Any,
) -> Server:
    """Serve WebSockets.

    Args:
        handler: A coroutine function, called with each :class:`ServerConnection`; when it returns,
            the connection is closed with 1000, when it raises, with 1011. Or a subclass of
            :class:`Listener`, of which each connection gets an instance.
        host: Address or addresses to listen on; ``None`` for all.
        port: The port; 0 chooses a free one.
        origins: Origins whose pages may connect: a list of origins (``"https://example.com"``,
            ``"null"`` for pages opened from disk), of compiled regular expressions, and of ``None``
            for requests without an Origin. The default allows pages of the same host and port, and
            requests without an Origin; ``None`` allows all.
        extensions: Factories of further extensions.
        subprotocols: Supported subprotocols, in order of preference.
        select_subprotocol: Called with the connection and the offered subprotocols, instead of
            choosing the first that is supported; returns one of them or ``None``, or raises
            ``NegotiationError``.
        compression: ``"deflate"`` accepts permessage-deflate, ``None`` refuses it.
        legacy: Whether to speak the drafts hixie-75 and hixie-76 too. They have no masks, so a
            page can make what it sends look like a request to a proxy that stands between
            (RFC 6455 §10.3); so they are off unless such browsers must be served.
        process_request: Called with connection and request before the handshake is answered; may
            return a response to answer instead. May be a coroutine function.
        process_response: Called with connection, request and response before it is sent; may
            change it or return another. May be a coroutine function.
        server_header: Value of the ``Server`` header; ``None`` for none.
        open_timeout: Seconds that the opening handshake may take; ``None`` for ever.
        ping_interval: Seconds between pings; ``None`` for none.
        ping_timeout: Seconds that a pong may take before the connection is closed with 1011;
            ``None`` for ever.
        close_timeout: Seconds that the closing handshake may take; ``None`` for ever.
        max_size: Largest message, in bytes after decompression; a larger one closes the
            connection with 1009. ``None`` for no limit.
        max_queue: Messages that may wait for ``recv`` before reading pauses; or a pair, with down
            to how many they must go before it resumes (a quarter by default).
        write_limit: Bytes that may wait to be written before ``send`` waits. (The second number of
            a pair is accepted and ignored: writing resumes when all is written.)
        max_buffered: Bytes that may wait to be written on a connection with a listener.
        logger: Where to log; ``logging.getLogger("duplexio.websocket")`` by default.
        create_connection: Called with the loop's shared state and the server instead of
            :class:`ServerConnection`; a subclass of it.
        kwargs: For ``loop.create_server``, such as ``ssl``, ``sock``, ``reuse_port``, ``backlog``.
            With ``unix=True`` for ``loop.create_unix_server``.

    Returns:
        The server, to be awaited or used with ``async with``.

    Raises:
        UsageError: When an argument is wrong.

    Example:
        >>> import asyncio
        >>> from duplexio.websocket import connect, serve
        >>> async def echo(ws):
        ...     async for message in ws:
        ...         await ws.send(message)
        >>> async def main():
        ...     async with serve(echo, "localhost", 0) as server:
        ...         port = server.sockets[0].getsockname()[1]
        ...         async with connect(f"ws://localhost:{port}") as ws:
        ...             await ws.send("hello")
        ...             print(await ws.recv())
        >>> asyncio.run(main())
        hello
    """
    if subprotocols is not None and isinstance(subprotocols, str):
        raise UsageError(f"subprotocols is the string {subprotocols!r}; expected a list of them")
    options = make_options(
        max_size=max_size,
        max_queue=max_queue,
        write_limit=write_limit,
        max_buffered=max_buffered,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        open_timeout=open_timeout,
        close_timeout=close_timeout,
        logger=logger,
    )
    extra: HeadersLike = {} if server_header is None else {"Server": server_header}
    policy = ServerPolicy(
        origins=origins,
        extensions=server_extensions(compression, extensions),
        subprotocols=subprotocols,
        select_subprotocol=select_subprotocol,
        process_request=process_request,
        process_response=process_response,
        extra=render_headers(extra),
        legacy=legacy,
        secure=bool(kwargs.get("ssl")),
    )
    unix = kwargs.pop("unix", False)
    if kwargs.get("ssl") is not None:
        # A client that does not finish the TLS handshake is given no more time than another.
        kwargs.setdefault("ssl_handshake_timeout", open_timeout)

    async def listen(factory: Callable[[], Any]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if unix:
            return await loop.create_unix_server(factory, **kwargs)
        return await create_server(loop, factory, host, port, **kwargs)

    return Server(handler, options, policy, listen, create_connection)


def unix_serve(handler: Handler | type[Listener], path: str | None = None, **kwargs: Any) -> Server:
    """Serve WebSockets on a Unix socket, as behind a proxy on the same machine.

    Args:
        handler: As for :func:`serve`.
        path: The socket's path.
        kwargs: The other arguments of :func:`serve`.

    Returns:
        The server, to be awaited or used with ``async with``.
    """
    return serve(handler, unix=True, path=path, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], Awaitable[bool] | bool] | None = None,
) -> Callable[[Any, Request], Awaitable[Response | None]]:
    """Ask for a username and a password (HTTP Basic Authentication, RFC 7617).

    Use it with TLS only: the password travels as it is.

    Args:
        realm: What they are for; ASCII.
        credentials: One pair of username and password, or several.
        check_credentials: Called with both instead; returns whether they are right. May be a
            coroutine function.

    Returns:
        A function for the argument ``process_request`` of :func:`serve`. The name of who was let
        in is in ``connection.username``.

    Raises:
        UsageError: When not just one of ``credentials`` and ``check_credentials`` is given.

    Example:
        >>> process_request = basic_auth("chat", ("alice", "wonderland"))
    """
    if (credentials is None) == (check_credentials is None):
        raise UsageError("basic_auth takes either credentials or check_credentials")
    known: dict[str, str] = {}
    if credentials is not None:
        pairs: Any = credentials
        if isinstance(credentials, tuple) and all(isinstance(part, str) for part in credentials):
            pairs = [credentials]
        known = {str(name): str(word) for name, word in pairs}

    async def allowed(username: str, password: str) -> bool:
        if check_credentials is None:
            # Compared also for unknown names, so that the time taken does not tell them.
            expected = known.get(username, "")
            same = hmac.compare_digest(expected.encode(), password.encode())
            return same and username in known
        answer = check_credentials(username, password)
        return answer if isinstance(answer, bool) else await answer

    async def process_request(connection: Any, request: Request) -> Response | None:
        try:
            username, password = parse_authorization_basic(request.headers["Authorization"])
        except (KeyError, InvalidHeader):
            return _unauthorized("Missing or malformed credentials.\n")
        if not await allowed(username, password):
            return _unauthorized("Wrong credentials.\n")
        connection.username = username
        return None

    def _unauthorized(text: str) -> Response:
        headers = {"WWW-Authenticate": build_www_authenticate_basic(realm)}
        return reject(HTTPStatus.UNAUTHORIZED, text, headers)

    return process_request
