"""Connect a client: find the protocol and the transport that work, and open a session.

:func:`connect` is one attempt. It asks for Engine.IO 4 first, then for 3, and for the transports in
the order given; and it takes note of which generation the answers really are. A server of
Engine.IO 3 need not look at the version that it is asked for: its polling bodies show that at once.
Its WebSockets do not, except that no ``maxPayload`` is in the open packet. Then a ping has to tell:
servers of Engine.IO 3 answer it, and those of Engine.IO 4, which are not to be pinged, close.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from ..websocket.client import USER_AGENT
from ..websocket.client_opening import ClientOpening
from ..websocket.deflate import client_extensions
from ..websocket.dialing import choose_proxy, dial
from ..websocket.exceptions import InvalidStatus, WebSocketException
from ..websocket.handshake import ClientHandshake, build_key
from ..websocket.options import Options
from ..websocket.uri import parse_uri
from .channel import SessionHandler
from .client_endpoint import Endpoint
from .client_handshake import Blame, Handshake, quote, read_first_body, refused
from .client_options import PROTOCOLS, ClientOptions, Remembered
from .client_session import ClientSession, Opener, Requests
from .client_websocket import ClientConnection
from .exceptions import ConnectionError, PacketError
from .host import LoopHost

__all__ = ["ClientHost", "client_host", "connect"]

_ATTRIBUTE = "_duplexio_engineio_client_host"

#: Seconds that a server has to answer the ping that tells which protocol it speaks.
ANSWER_TIMEOUT = 2.0

#: Arguments of the opening handshake, among ``websocket_extra_options``.
_HANDSHAKE_OPTIONS = ("origin", "subprotocols")


class ClientHost(LoopHost):
    """The host of the clients' sessions on one event loop."""

    async def wait_for(self, session: ClientSession, arrived: Callable[[], bool]) -> None:
        """Wait until something holds that is looked at whenever the session changes.

        Args:
            session: The session.
            arrived: Tells whether it holds.
        """
        loop = asyncio.get_running_loop()
        while not arrived():
            future: asyncio.Future[None] = loop.create_future()

            def wake(future: asyncio.Future[None] = future) -> None:
                if not future.done():
                    future.set_result(None)

            session.watch(wake)
            try:
                await future
            finally:
                session.unwatch(wake)

    async def flushed(self) -> None:
        """Wait until what was sent in this turn of the event loop is on its way."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def handler_failed(self, session: Any, exc: Exception) -> None:
        """Log what a handler of a session raised."""
        session.options.logger.error("a handler of the session raised", exc_info=exc)


def client_host() -> ClientHost:
    """Return the host of the running event loop, made when it is first asked for."""
    loop = asyncio.get_running_loop()
    host: ClientHost | None = getattr(loop, _ATTRIBUTE, None)
    if host is None:
        host = ClientHost(None)
        host.bind()
        setattr(loop, _ATTRIBUTE, host)
    return host


async def connect(
    url: str,
    handler: SessionHandler,
    options: ClientOptions | None = None,
    remembered: Remembered | None = None,
) -> ClientSession:
    """Connect to an Engine.IO server, of whatever generation, once.

    Cancelling it leaves nothing behind.

    Args:
        url: Address of the server; its path is replaced by ``engineio_path``.
        handler: Is told what happens. ``on_open`` is called before anything else, and before this
            returns; what has arrived with the open packet may follow at once.
        options: How to connect, and limits.
        remembered: What worked before, to be tried first: ``session.remembered``.

    Returns:
        The session, which is open. It may still go on from polling to a WebSocket; see
        ``session.wait_upgraded``.

    Raises:
        ConnectionError: There is no connection to be had; says why, and has the server's words.
        UsageError: An argument is wrong.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     try:
        ...         await connect("http://localhost:1", SessionHandler())
        ...     except ConnectionError as exc:
        ...         print("cannot connect")
        >>> asyncio.run(main())
        cannot connect
    """
    options = ClientOptions() if options is None else options
    search = _Search(Endpoint(url, options), handler, options)
    try:
        async with asyncio.timeout(options.open_timeout) as limit:
            return await search.run(remembered)
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise ConnectionError(
            f"there was no connection within {options.open_timeout} s (open_timeout)"
        ) from exc


class _Failure(Exception):
    """An attempt has failed.

    Args:
        error: What to raise when no other succeeds.
        blame: What it is about; ``"network"`` when the server cannot be reached.

    Attributes:
        protocol: The protocol that was asked for.
    """

    protocol = 0

    def __init__(self, error: ConnectionError, blame: Blame | str) -> None:
        super().__init__(str(error))
        self.error = error
        self.blame = blame


class _Greeting(Opener):
    """Waits for the open packet on a WebSocket.

    Args:
        session: The session that it begins.
        certain: Whether it is certain which protocol the server speaks, so that the session is to
            open at once.

    Attributes:
        arrived: Is done when the open packet is there.
        answered: Is done when the ping is answered that asks for the protocol, with whether it was;
            if not, the WebSocket has ended.
        early: What has arrived between the two.
    """

    def __init__(self, session: ClientSession, certain: bool) -> None:
        loop = asyncio.get_running_loop()
        self.session = session
        self.certain = certain
        self.arrived: asyncio.Future[Handshake] = loop.create_future()
        self.answered: asyncio.Future[bool] = loop.create_future()
        self.early: list[str | bytes] = []

    def greeted(self, handshake: Handshake) -> None:
        """Open the session, or ask for the protocol."""
        if self.arrived.done():
            return
        if self.certain or handshake.max_payload:
            self.session.open_websocket(handshake)
        else:
            self.session.send_early_ping()
        self.arrived.set_result(handshake)

    def said(self, packet: str | bytes) -> None:
        """Take the answer to the ping, or what has to wait for it."""
        if packet != "3":
            self.early.append(packet)
        elif not self.answered.done():
            self.answered.set_result(True)

    def failed(self, reason: str) -> None:
        """Give up."""
        if not self.arrived.done():
            error = ConnectionError(f"the server has opened no session on its WebSocket: {reason}")
            self.arrived.set_exception(error)
        elif not self.answered.done():
            self.answered.set_result(False)


class _Search:
    """The search for a protocol and a transport that work.

    Args:
        endpoint: Where the server is.
        handler: The handler of the session.
        options: How to connect.
    """

    def __init__(self, endpoint: Endpoint, handler: SessionHandler, options: ClientOptions) -> None:
        self.endpoint = endpoint
        self.handler = handler
        self.options = options
        self.host = client_host()
        self.failures: list[_Failure] = []
        self.verified = False  # whether the server is known to speak what it is asked for

    async def run(self, remembered: Remembered | None) -> ClientSession:
        """Try one after the other, until one works."""
        tried = set()
        for protocol, transport in self._plan(remembered):
            if (protocol, transport) in tried:
                continue
            tried.add((protocol, transport))
            self.verified = remembered is not None and remembered.protocol == protocol
            try:
                if transport == "polling":
                    return await self._poll(protocol)
                return await self._open(protocol)
            except _Failure as failure:
                self.options.logger.info(
                    "Engine.IO %s by %s: %s", protocol, transport, failure.error
                )
                failure.protocol = protocol
                self.failures.append(failure)
                if failure.blame in ("client", "network"):
                    break
        first, *others = self.failures
        for other in others:
            if str(other.error) != str(first.error):
                first.error.add_note(f"also tried: {other.error}")
        raise first.error

    def _plan(self, remembered: Remembered | None) -> Iterator[tuple[int, str]]:
        """Yield what to try, each time in the light of what has failed so far."""
        options = self.options
        if remembered is not None and remembered.transport in options.transports:
            yield remembered.protocol, remembered.transport
        transports = options.transports if options.try_all_transports else options.transports[:1]
        for protocol in PROTOCOLS if options.protocol is None else (options.protocol,):
            for transport in transports:
                yield protocol, transport
                if self.failures[-1].blame == "protocol":
                    break
            blames = {failure.blame for failure in self.failures if failure.protocol == protocol}
            if not blames & {"protocol", "unknown"}:
                return

    # By polling requests

    async def _poll(self, protocol: int) -> ClientSession:
        # Imported here since programs that only use WebSockets do not need aiohttp.
        from .client_polling import PollingRequests

        session = ClientSession(self.host, self.options, protocol)
        requests = PollingRequests(session, self.endpoint, self.options)
        try:
            status, body = await self._ask(requests)
            if status != 200:
                raise _Failure(*refused(status, body))
            try:
                found, handshake, packets = read_first_body(body, self.options.max_packets)
            except PacketError as exc:
                error = ConnectionError(str(exc), status=status, body=body)
                raise _Failure(error, "unknown") from exc
            if found != protocol:
                self._adopt(session, protocol, found, body)
            session.handler = self.handler
            session.open_polling(requests, handshake, packets)
        except BaseException:
            session.end("")
            requests.stop()
            await session.wait_closed()
            raise
        if session.upgrade_pending:
            _Upgrade(self, session, requests)
        return session

    async def _ask(self, requests: Any) -> tuple[int, bytes]:
        try:
            answer: tuple[int, bytes] = await requests.handshake()
        except TimeoutError as exc:
            raise _Failure(self._late("polling request"), "transport") from exc
        except ConnectionError as exc:
            raise _Failure(exc, "transport") from exc
        except (OSError, WebSocketException) as exc:
            raise _Failure(ConnectionError(_words(exc)), "network") from exc
        return answer

    def _adopt(self, session: ClientSession, asked: int, found: int, body: bytes) -> None:
        """Go on in the protocol in which the server has answered, if that is allowed."""
        if self.options.protocol is not None or asked == 3:
            raise _Failure(
                ConnectionError(
                    f"the server speaks Engine.IO {found}, not {asked}, which it was asked for: it"
                    f" answered {quote(body)}; protocol={found} or None would connect"
                ),
                "protocol",
            )
        session.choose_protocol(found)

    # By a WebSocket

    async def _open(self, protocol: int) -> ClientSession:
        session, greeting, handshake = await self._greet(protocol, self.verified or protocol == 3)
        if session.sid:
            return session
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                older = await greeting.answered
        except TimeoutError:
            # It neither answers nor closes, so there is nothing to be known.
            session.open_early(handshake, greeting.early)
            return session
        except BaseException:
            session.abort()
            raise
        session.abort()
        if older:
            error = ConnectionError(
                f"the server speaks Engine.IO 3 on its WebSocket, not {protocol}; protocol=3 or"
                " None would connect"
            )
            raise _Failure(error, "protocol")
        session, _, _ = await self._greet(protocol, True)
        return session

    async def _greet(
        self, protocol: int, certain: bool
    ) -> tuple[ClientSession, _Greeting, Handshake]:
        """Open a WebSocket, and wait for the open packet."""
        session = ClientSession(self.host, self.options, protocol)
        session.handler = self.handler
        greeting = _Greeting(session, certain)
        try:
            async with asyncio.timeout(self.options.request_timeout):
                await self.open_websocket(session, greeting, self.endpoint.headers)
                return session, greeting, await greeting.arrived
        except BaseException as exc:
            greeting.arrived.cancel()
            session.abort()
            if isinstance(exc, TimeoutError):
                raise _Failure(self._late("WebSocket"), "transport") from exc
            if isinstance(exc, InvalidStatus):
                response = exc.response
                raise _Failure(*refused(response.status_code, bytes(response.body or b""))) from exc
            if isinstance(exc, ConnectionError):
                raise _Failure(exc, "unknown") from exc
            if isinstance(exc, WebSocketException):
                raise _Failure(ConnectionError(_words(exc)), "transport") from exc
            if isinstance(exc, OSError):
                raise _Failure(ConnectionError(_words(exc)), "network") from exc
            raise

    async def open_websocket(
        self, session: ClientSession, greeting: _Greeting | None, headers: dict[str, str]
    ) -> None:
        """Open a WebSocket for a session.

        Args:
            session: The session.
            greeting: Waits for the open packet; ``None`` for a session that is to be upgraded.
            headers: Further headers of the request.
        """
        options = self.options
        uri = self.endpoint.websocket_uri(session.protocol, session.sid)
        extra = dict(options.websocket_extra_options)
        chosen = {name: extra.pop(name) for name in _HANDSHAKE_OPTIONS if name in extra}
        driver = ClientConnection(
            self.host.loop_state, self._websocket_options(), session, greeting
        )
        handshake = ClientHandshake(
            uri,
            build_key(secrets.token_bytes(16)),
            headers={**options.websocket_headers, **headers},
            extensions=client_extensions("deflate" if options.permessage_deflate else None, None),
            user_agent=USER_AGENT,
            **chosen,
        )
        driver.opening = opening = ClientOpening(driver, handshake)
        context = self.endpoint.tls(options)
        if context is not None:
            extra.setdefault("ssl", context)
        parsed = parse_uri(uri)
        try:
            proxy = choose_proxy(options.proxy, parsed, extra)
            await dial(lambda: driver, parsed, proxy, extra, USER_AGENT)
            await opening.opened
        except BaseException:
            opening.opened.cancel()
            driver.abort()
            # uvloop does not tell a protocol that its transport has ended when connecting is
            # cancelled; another loop's word comes later, and counts for nothing then.
            driver.connection_lost(None)
            raise

    def _websocket_options(self) -> Options:
        # Heartbeats are the session's business, and so is a server that does not read.
        return Options(
            max_size=self.options.max_size,
            max_buffered=None,
            ping_interval=None,
            ping_timeout=None,
            open_timeout=None,
            close_timeout=self.options.close_timeout,
            logger=self.options.logger,
        )

    def _late(self, what: str) -> ConnectionError:
        return ConnectionError(
            f"the server has not answered the {what} within {self.options.request_timeout} s"
            " (request_timeout)"
        )


class _Upgrade:
    """Opens the WebSocket to which a session is to go on.

    Args:
        search: Opens WebSockets.
        session: The session, which is on polling requests.
        requests: Those, which know the cookies.
    """

    def __init__(self, search: _Search, session: ClientSession, requests: Requests) -> None:
        self._search = search
        self._session = session
        self._requests: Any = requests
        self._task = asyncio.get_running_loop().create_task(self._run())
        _upgrading.add(self._task)
        self._task.add_done_callback(self._done)
        session.hold()
        session.watch(self._look)

    def _done(self, task: asyncio.Task[None]) -> None:
        _upgrading.discard(task)
        self._session.unwatch(self._look)
        self._session.release()
        if not task.cancelled() and task.exception() is not None:
            self._session.options.logger.error("the upgrade failed", exc_info=task.exception())
            self._session.upgrade_failed()

    def _look(self) -> None:
        """Give up when the session ends meanwhile."""
        if not self._session.is_open:
            self._task.cancel()

    async def _run(self) -> None:
        session = self._session
        options = session.options
        headers = dict(self._search.endpoint.headers)
        cookies = self._requests.cookies()
        if cookies:
            given = next((name for name in headers if name.lower() == "cookie"), None)
            headers[given or "Cookie"] = (
                f"{headers[given]}; {cookies}" if given is not None else cookies
            )
        try:
            async with asyncio.timeout(options.upgrade_timeout):
                await self._search.open_websocket(session, None, headers)
        except (OSError, WebSocketException, TimeoutError) as exc:
            options.logger.info("there is no WebSocket to go on to: %s", _words(exc))
            session.upgrade_failed()


# The event loop keeps only weak references to its tasks.
_upgrading: set[asyncio.Task[None]] = set()


def _words(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
