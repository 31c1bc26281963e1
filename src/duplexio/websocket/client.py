"""The asyncio client: ``connect``.

Names, arguments and behaviour are those of the ``websockets`` library.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, cast, overload

from .. import __version__
from ..errors import UsageError
from .client_opening import ClientOpening, HixieOpening
from .coroutine import CoroutineConnection
from .deflate import client_extensions
from .dialing import choose_proxy, dial
from .exceptions import ConcurrencyError, InvalidStatus, SecurityError
from .frames import CloseCode
from .handshake import ClientHandshake, build_key
from .headers import HeadersLike, build_subprotocol
from .hixie_handshake import HixieClientHandshake
from .listener import Listener, ListenerConnection
from .loopstate import LoopState, loop_state
from .options import Logger, Options, make_options
from .reconnect import backoff, process_exception
from .redirects import MAX_REDIRECTS, redirect_target, redirected_headers
from .uri import parse_uri

__all__ = ["USER_AGENT", "ClientConnection", "connect", "unix_connect"]

#: Value of the ``User-Agent`` header unless told otherwise.
USER_AGENT = f"Python/{sys.version_info[0]}.{sys.version_info[1]} duplexio/{__version__}"

#: A connection that the peer ends before it has lasted so many seconds counts as a failed attempt
#: when reconnecting, so that a server that accepts and closes at once is not asked without pause.
STABLE_AFTER = 1.0

ListenerLike = Listener | Callable[[], Listener]
ConnectionT = TypeVar("ConnectionT", "ClientConnection", ListenerConnection)


class ClientConnection(CoroutineConnection):
    """A connection of a client.

    Attributes:
        request: The request of the opening handshake.
        subprotocol: The subprotocol agreed on, or ``None``.
        latency: Seconds that the last ping took; 0 before the first.
    """

    def __init__(self, loop_state: LoopState, options: Options) -> None:
        super().__init__(loop_state, options)


class connect(Generic[ConnectionT]):
    """Connect to a WebSocket server.

    It can be used in three ways: awaited, which leaves the closing to you; with ``async with``,
    which closes the connection at the end; and with ``async for``, which connects again whenever
    the connection is over, and waits longer and longer while that fails::

        async for ws in connect("wss://example.com/feed"):
            try:
                async for message in ws:
                    print(message)
            except ConnectionClosed:
                continue

    Args:
        uri: Where to connect, ``ws://…`` or ``wss://…``. A user name and a password in it are sent
            as HTTP Basic Authentication.
        listener: A subclass of :class:`Listener`, or another factory of one, or one. With it,
            there is no coroutine connection: the result is the :class:`ListenerConnection`, and
            what happens on it is told to the listener.
        origin: Value of the ``Origin`` header, for servers that want one.
        extensions: A factory of permessage-deflate with settings of your own, in a list.
        subprotocols: Subprotocols to offer, in order of preference.
        compression: ``"deflate"`` offers permessage-deflate, ``None`` does not.
        legacy: 75 or 76 to speak the draft hixie-75 or hixie-76, for servers older than RFC 6455.
        additional_headers: Further headers of the request.
        user_agent_header: Value of the ``User-Agent`` header; ``None`` for none.
        proxy: The address of a proxy (``http://``, ``https://``, ``socks5h://`` and so on);
            ``True`` for the one that the environment or the system names; ``None`` for none.
        process_exception: For ``async for``: called with the exception of an attempt that failed;
            returns ``None`` to try again, or the exception to raise.
        reconnect_delays: For ``async for``: returns a generator of the seconds between attempts.
        open_timeout: Seconds that connecting and the opening handshake may take together, with
            proxies and redirects; ``None`` for ever.
        ping_interval: Seconds between pings; ``None`` for none.
        ping_timeout: Seconds that a pong may take before the connection is closed with 1011;
            ``None`` for ever.
        close_timeout: Seconds that the closing handshake may take; ``None`` for ever.
        max_size: Largest message, in bytes after decompression; a larger one closes the connection
            with 1009. ``None`` for no limit.
        max_queue: Messages that may wait for ``recv`` before reading pauses; or a pair, with down
            to how many they must go before it resumes (a quarter by default).
        write_limit: Bytes that may wait to be written before ``send`` waits.
        max_buffered: Bytes that may wait to be written where nothing waits for them: on a
            connection with a listener, and of broadcasts. More than that ends the connection.
        logger: Where to log; ``logging.getLogger("duplexio.websocket")`` by default.
        create_connection: Called with the loop's shared state and the options instead of
            :class:`ClientConnection`; a subclass of it.
        kwargs: For ``loop.create_connection``: ``ssl``, ``server_hostname``, ``sock``,
            ``local_addr`` and others. ``host`` and ``port`` connect elsewhere than the URI says.
            With an HTTP proxy, those for TLS concern the server and the others the proxy;
            ``proxy_ssl`` and the like are for TLS with the proxy.

    Raises:
        InvalidURI: When the URI is not valid.
        InvalidProxy: When the address of the proxy is not valid.
        OSError: When the server cannot be reached.
        InvalidHandshake: When the opening handshake fails; ``InvalidStatus`` has the response of a
            server that refused.
        TimeoutError: When it takes longer than ``open_timeout``.
        UsageError: When an argument is wrong.

    Redirects are followed, up to ten, but not from ``wss`` to ``ws``; ``Authorization`` and
    ``Cookie`` headers are not taken to another origin.

    Cancelling it closes what was opened.

    Example:
        >>> import asyncio
        >>> from duplexio.websocket import connect, serve
        >>> async def greet(ws):
        ...     await ws.send(f"Hello {await ws.recv()}!")
        >>> async def main():
        ...     async with serve(greet, "localhost", 0) as server:
        ...         port = server.sockets[0].getsockname()[1]
        ...         async with connect(f"ws://localhost:{port}") as ws:
        ...             await ws.send("Ada")
        ...             print(await ws.recv())
        >>> asyncio.run(main())
        Hello Ada!
    """

    @overload
    def __init__(
        self: connect[ListenerConnection], uri: str, *, listener: ListenerLike, **kwargs: Any
    ) -> None: ...

    @overload
    def __init__(
        self: connect[ClientConnection],
        uri: str,
        *,
        listener: None = None,
        origin: str | None = None,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: str | None = "deflate",
        legacy: Literal[75, 76] | None = None,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        reconnect_delays: Callable[[], Iterator[float]] = backoff,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
        max_buffered: int | None = 2**24,
        logger: Logger | None = None,
        create_connection: Callable[[LoopState, Options], ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None: ...

    def __init__(
        self,
        uri: str,
        *,
        listener: ListenerLike | None = None,
        origin: str | None = None,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: str | None = "deflate",
        legacy: Literal[75, 76] | None = None,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        reconnect_delays: Callable[[], Iterator[float]] = backoff,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
        max_buffered: int | None = 2**24,
        logger: Logger | None = None,
        create_connection: Callable[[LoopState, Options], ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        parse_uri(uri)
        if subprotocols is not None:
            build_subprotocol(subprotocols)  # refuses what is not a list of tokens
        if legacy not in (None, 75, 76):
            raise UsageError(f"legacy is {legacy!r}; expected 75 or 76 for a hixie draft, or None")
        if legacy is not None and len(subprotocols or ()) > 1:
            raise UsageError(f"hixie-{legacy} offers one subprotocol at most, not {subprotocols!r}")
        if listener is not None and create_connection is not None:
            raise UsageError("a listener has no coroutine connection: leave create_connection out")
        self.uri = uri
        self._listener = listener
        self._origin = origin
        self._extensions = client_extensions(compression, extensions)
        self._subprotocols = subprotocols
        self._legacy: Literal[75, 76] | None = legacy
        self._headers = additional_headers
        self._user_agent = user_agent_header
        self._proxy = proxy
        self._process_exception = process_exception
        self._reconnect_delays = reconnect_delays
        self._open_timeout = open_timeout
        self._create_connection = create_connection or ClientConnection
        self._arguments = kwargs
        self._entered: Any = None
        self._options = make_options(
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

    # ws = await connect(…)

    def __await__(self) -> Generator[Any, None, ConnectionT]:
        return self._open().__await__()

    async def _open(self) -> ConnectionT:
        try:
            async with asyncio.timeout(self._open_timeout) as limit:
                return await self._follow_redirects()
        except TimeoutError as exc:
            # The system's own time-outs are TimeoutErrors, too.
            if limit.expired():
                raise TimeoutError("timed out during opening handshake") from exc
            raise

    async def _follow_redirects(self) -> ConnectionT:
        uri, headers = self.uri, self._headers
        for _ in range(MAX_REDIRECTS + 1):
            try:
                return await self._attempt(uri, headers)
            except InvalidStatus as exc:
                target = redirect_target(uri, exc.response, self._arguments)
                if target is None:
                    raise
                headers = redirected_headers(uri, target, headers)
                uri = target
        raise SecurityError(f"more than {MAX_REDIRECTS} redirects, the last one to {uri}")

    async def _attempt(self, uri: str, headers: HeadersLike | None) -> ConnectionT:
        """Connect once, without following redirects."""
        state = loop_state(asyncio.get_running_loop())
        driver = self._make_connection(state)
        opening = self._make_opening(driver, uri, headers)
        driver.opening = opening
        parsed = parse_uri(uri)
        try:
            proxy = choose_proxy(self._proxy, parsed, self._arguments)
            await dial(lambda: driver, parsed, proxy, self._arguments, self._user_agent)
            await opening.opened
        except BaseException:
            # Nobody will ask for the future's exception any more.
            opening.opened.cancel()
            driver.abort()
            # uvloop does not tell a protocol that its transport has ended when connecting is
            # cancelled; another loop's word comes later, and counts for nothing then.
            driver.connection_lost(None)
            raise
        return cast(ConnectionT, driver)

    def _make_connection(self, state: LoopState) -> Any:
        if self._listener is None:
            return self._create_connection(state, self._options)
        listener = self._listener
        if not isinstance(listener, Listener):
            return ListenerConnection(state, self._options, listener)
        return ListenerConnection(state, self._options, lambda: listener)

    def _make_opening(self, driver: Any, uri: str, headers: HeadersLike | None) -> ClientOpening:
        if self._legacy is not None:
            hixie = HixieClientHandshake(
                uri,
                self._legacy,
                secrets.randbelow,
                origin=self._origin,
                subprotocol=self._subprotocols[0] if self._subprotocols else None,
                headers=headers or (),
            )
            return HixieOpening(driver, hixie, self._legacy)
        handshake = ClientHandshake(
            uri,
            build_key(secrets.token_bytes(16)),
            headers=headers or (),
            origin=self._origin,
            subprotocols=self._subprotocols,
            extensions=self._extensions,
            user_agent=self._user_agent,
        )
        return ClientOpening(driver, handshake)

    async def _close(self, connection: Any, code: int = CloseCode.NORMAL_CLOSURE) -> None:
        if self._listener is None:
            await connection.close(code)
        else:
            connection.close(code)
            await connection.wait_closed()

    # async with connect(…) as ws:

    async def __aenter__(self) -> ConnectionT:
        if self._entered is not None:
            raise ConcurrencyError("this connect() is in use; call it again for each connection")
        connection = await self._open()
        self._entered = connection
        return connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        connection, self._entered = self._entered, None
        await self._close(
            connection, CloseCode.NORMAL_CLOSURE if exc is None else CloseCode.INTERNAL_ERROR
        )

    # async for ws in connect(…):

    async def __aiter__(self) -> AsyncIterator[ConnectionT]:
        clock = asyncio.get_running_loop().time
        delays: Iterator[float] | None = None
        while True:
            try:
                connection = await self._open()
            except Exception as exc:
                self._check_exception(exc)
                why = f"connect failed: {type(exc).__name__}: {exc}"
            else:
                began = clock()
                ended_by_itself = False
                try:
                    yield connection
                    ended_by_itself = connection.state != 1
                finally:
                    await self._close(connection)
                if not ended_by_itself or clock() - began >= STABLE_AFTER:
                    delays = None
                    continue
                why = f"the connection ended with code {connection.close_code}"
            if delays is None:
                delays = self._reconnect_delays()
            delay = next(delays)
            self._options.logger.info("%s; reconnecting in %.1f seconds", why, delay)
            await asyncio.sleep(delay)

    def _check_exception(self, exc: Exception) -> None:
        """Raise what ``process_exception`` says, if anything."""
        try:
            error = self._process_exception(exc)
        except Exception as raised:
            error = raised  # raising it in place of returning it is a common mistake
        if error is exc:
            raise exc
        if error is not None:
            raise error from exc


def unix_connect(
    path: str | PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> connect[Any]:
    """Connect to a WebSocket server on a Unix socket.

    Args:
        path: The socket's path.
        uri: What to ask for; ``ws://localhost/`` by default, or ``wss://localhost/`` with ``ssl``.
        kwargs: The other arguments of :class:`connect`.

    Returns:
        As :class:`connect`.
    """
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    return connect(uri, unix=True, path=path, **kwargs)
