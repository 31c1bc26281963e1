# cython: annotation_typing=False, binding=True, embedsignature=True
"""What serves sessions: who gets one, who has which, and what time it is.

The :class:`Engine` stands between those who speak HTTP and WebSocket and those who want messages.
It checks requests, admits clients, and is the host of their sessions. What to do with messages is
for the handler that its *acceptor* returns for each session.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import UsageError
from ..websocket.frames import CloseCode
from .channel import BUFFER_OVERFLOW, MESSAGE_TOO_BIG, OPENING
from .exceptions import (
    BAD_HANDSHAKE_METHOD,
    BAD_REQUEST,
    FORBIDDEN,
    UNKNOWN_SID,
    UNKNOWN_TRANSPORT,
    UNSUPPORTED_PROTOCOL_VERSION,
    ConnectionRefusedError,
    RequestError,
)
from .host import LoopHost
from .ids import IdGenerator
from .options import ServerOptions
from .packets import open_packet
from .polling import Handshake, PollRequest, PostRequest, Responder, Turn, respond_error
from .proxies import ProxyWatch
from .request import HttpRequest, Query, parse_query
from .session import SERVER_SHUTDOWN, Session, SessionHandler

__all__ = ["Acceptor", "Engine", "knows_session", "sessions_on", "stop_engines"]

#: Packets that python-engineio's clients take at once; more of them end the connection.
PYTHON_PACKETS = 16

_is_id = re.compile(r"[A-Za-z0-9_-]{1,256}").fullmatch

# Where an event loop keeps its engines.
_ATTRIBUTE = "_duplexio_engines"

# Stands for the id in the open packets that are made once for all sessions.
_PLACE = "?"

#: Is given a new session and its request; returns its handler, or an awaitable of it, or raises
#: :exc:`ConnectionRefusedError`.
Acceptor = Callable[[Session, HttpRequest], SessionHandler | Awaitable[SessionHandler]]


class Engine(LoopHost):
    """The sessions of one server, on one event loop.

    Args:
        options: What is accepted.
        acceptor: Returns the handler of a new session.
        generate_id: Returns a new id; by default one of :class:`IdGenerator`.

    Attributes:
        options: What is accepted.
        sessions: The sessions by their ids.
        refused: How many requests were refused, by Engine.IO's number of the error.
        counters: How often each limit was reached, by its name.
    """

    def __init__(
        self,
        options: ServerOptions,
        acceptor: Acceptor,
        generate_id: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(options.logger)
        self.options = options
        self.acceptor = acceptor
        self.generate_id = generate_id or IdGenerator(os.urandom).next
        self.sessions: dict[str, Session] = {}
        self.refused: dict[int, int] = {}
        self.counters: dict[str, int] = {}
        self.packet_polling = self._make_open_packet(options.upgrades())
        self.packet_websocket = self._make_open_packet(())
        self.addresses: dict[str, int] = {}
        self.proxies = _networks(options.trusted_proxies)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.farewells: set[asyncio.Task[Any]] = set()
        self.shutting_down = False
        self.watch = ProxyWatch(options.session.ping_interval, options.logger)

    # The event loop

    def bind(self) -> None:
        """Stay with the event loop that is running."""
        LoopHost.bind(self)
        _engines_of(self.loop_state.loop).add(self)

    def start_task(self, coroutine: Any) -> asyncio.Task[Any]:
        """Run a coroutine; it is kept from being collected until it is done."""
        task = self.loop_state.loop.create_task(coroutine)
        self.keep_task(task)
        return task

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Keep a task from being collected until it is done, and cancel it at the shutdown."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def keep_farewell(self, task: asyncio.Task[Any]) -> None:
        """Keep the task of a ``disconnect`` handler, which the shutdown waits for."""
        self.farewells.add(task)
        task.add_done_callback(self.farewells.discard)

    # What sessions tell their host

    def session_ended(self, session: Any) -> None:
        """Forget a session."""
        # Here may be the last reference to the session, which compiled code does not keep alive for
        # those that it calls.
        known = self.sessions.pop(session.sid, None)
        if known is None:
            return
        if session.reason == BUFFER_OVERFLOW:
            self.count("max_buffered_bytes")
        elif session.reason == MESSAGE_TOO_BIG:
            self.count("max_http_buffer_size")
        if self.options.max_connections_per_address is not None:
            address = self.address_of(session.request)
            count = self.addresses.get(address, 0) - 1
            if count > 0:
                self.addresses[address] = count
            else:
                self.addresses.pop(address, None)
        if not self.sessions:
            self.lag_monitor.stop()

    def session_cut(self, session: Session) -> None:
        """Find out whether connections are cut off by a proxy."""
        silence = session.silence()
        if silence > 0:
            self.watch.cut(self.now(), silence)

    def handler_failed(self, session: Session, exc: Exception) -> None:
        """Log what a handler has raised."""
        self.options.logger.error("%s: a handler raised", session.sid[:6], exc_info=exc)

    # Requests for the transport of polling

    def begin(
        self, request: HttpRequest, responder: Responder
    ) -> PollRequest | PostRequest | Handshake | None:
        """Take a request that is none for a WebSocket.

        Args:
            request: The request.
            responder: Takes the answer, now or later.

        Returns:
            What is to be told of the request from now on: of a :class:`PostRequest`, its body; of
            all, that the client has gone. ``None`` when it has been answered.
        """
        headers: Any = ()
        if self.proxies:
            self._see_through(request)
        try:
            query = parse_query(request.query_string())
            if query.script is not None and not self.options.jsonp:
                raise RequestError(BAD_REQUEST, detail="JSONP is off; jsonp=True would allow it")
            if query.script is not None or request.header("origin") is not None:
                headers = self.options.cors.check(request, query.script is not None)
            if request.method == "OPTIONS" and headers:
                responder.respond(204, self.options.cors.preflight(request, headers), b"")
                return None
            session = self._find(request, query, upgrade=False)
            turn = Turn.__new__(Turn)
            turn.start(self.options, request, query, headers, responder)
            if session is None:
                return self._begin_session(turn)
        except Exception as exc:
            respond_error(responder, self.refusal(exc), headers)
            return None
        if request.method == "POST":
            post = PostRequest(turn, session)
            return post if post.begin() else None
        poll = PollRequest(turn, session)
        session.poll(poll)
        return poll

    def _begin_session(self, turn: Turn) -> Handshake:
        handshake = Handshake(turn)
        session = self.admit(turn.request, turn.query)
        if isinstance(session, Session):
            handshake.opened(session, self.open_packet(session))
        else:
            self.start_task(self._begin_later(handshake, session))
        return handshake

    async def _begin_later(self, handshake: Handshake, admission: Awaitable[Session]) -> None:
        try:
            session = await admission
        except Exception as exc:
            handshake.failed(self.refusal(exc))
        else:
            handshake.opened(session, self.open_packet(session))

    def count(self, name: str) -> None:
        """Count that a limit was reached.

        Args:
            name: Name of the limit.
        """
        self.counters[name] = self.counters.get(name, 0) + 1

    # Checks

    def _find(self, request: HttpRequest, query: Query, upgrade: bool) -> Session | None:
        """Check a request, and return the session it is for, if it is not for a new one."""
        options = self.options
        if query.transport not in options.transports:
            raise RequestError(UNKNOWN_TRANSPORT, detail=f"transport={query.transport[:20]!r}")
        if request.method not in ("GET", "POST"):
            raise RequestError(BAD_HANDSHAKE_METHOD, detail=f"method {request.method[:20]}")
        websocket = query.transport == "websocket"
        if upgrade != websocket:
            if websocket and request.header("sec-websocket-key") is not None:
                self.watch.upgrade_lost()
            raise RequestError(
                BAD_REQUEST,
                detail=f"transport={query.transport} on a request that is"
                f" {'one' if upgrade else 'none'} for a WebSocket",
            )
        if query.sid:
            session = self.sessions.get(query.sid)
            if session is None or session.phase == OPENING:
                raise RequestError(UNKNOWN_SID)
            if session.protocol != query.protocol:
                raise RequestError(BAD_REQUEST, detail="EIO is another than in the handshake")
            if not upgrade and session.upgraded:
                raise RequestError(BAD_REQUEST, detail="the session has gone on to a WebSocket")
            return session
        if request.method != "GET":
            raise RequestError(BAD_HANDSHAKE_METHOD, detail=f"method {request.method}")
        if query.protocol == 3 and not options.allow_eio3:
            raise RequestError(
                UNSUPPORTED_PROTOCOL_VERSION,
                detail="Engine.IO 3 is off; allow_eio3=True would allow it",
            )
        return None

    def check_websocket(self, request: HttpRequest) -> tuple[Query, Session | None]:
        """Check a request for a WebSocket.

        Args:
            request: The request.

        Returns:
            Its parameters, and the session that it is for, if it is not for a new one.

        Raises:
            RequestError: It is no good.
        """
        if self.proxies:
            self._see_through(request)
        query = parse_query(request.query_string())
        self.options.cors.check(request, script=False)
        return query, self._find(request, query, upgrade=True)

    def _check_room(self, request: HttpRequest) -> None:
        """Check that there is room for one more session."""
        options = self.options
        if self.shutting_down:
            raise self._stopping()
        if len(self.sessions) >= options.max_connections:
            self.count("max_connections")
            raise RequestError(
                BAD_REQUEST,
                "Too many connections",
                f"max_connections={options.max_connections} is reached",
                status=503,
            )
        limit = options.max_connections_per_address
        if limit is not None:
            address = self.address_of(request)
            if self.addresses.get(address, 0) >= limit:
                self.count("max_connections_per_address")
                raise RequestError(
                    BAD_REQUEST,
                    "Too many connections",
                    f"max_connections_per_address={limit} is reached for {address}",
                    status=503,
                )

    def _stopping(self) -> RequestError:
        return RequestError(BAD_REQUEST, "Server is shutting down", status=503)

    def address_of(self, request: HttpRequest) -> str:
        """Return the address of a client, as the trusted proxies tell it.

        Args:
            request: Its request.
        """
        client = request.client
        address = "" if client is None else str(client[0])
        if self.proxies:
            forwarded = request.header("x-forwarded-for")
            hops = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
            # The last was added by who has connected to us, and so on.
            while hops and _is_in(address, self.proxies):
                address = hops.pop()
        return address

    def _see_through(self, request: HttpRequest) -> None:
        """Have ``environ`` tell of the client what the trusted proxies tell of it."""

        def amend(environ: dict[str, Any]) -> None:
            peer = environ["REMOTE_ADDR"]
            if not _is_in(peer, self.proxies):
                return
            address = self.address_of(request)
            if address != peer:
                environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address, "0"
            scheme = (request.header("x-forwarded-proto") or "").rpartition(",")[2].strip().lower()
            if scheme in _SCHEMES:
                environ["wsgi.url_scheme"] = _SCHEMES[scheme]

        request.amend_environ(amend)

    def refusal(self, exc: Exception) -> RequestError:
        """Count and log what keeps a request from being served.

        Args:
            exc: What was raised.

        Returns:
            What the client is told.
        """
        logger = self.options.logger
        if isinstance(exc, ConnectionRefusedError):
            error = RequestError(FORBIDDEN, exc.message or None)
        elif isinstance(exc, RequestError):
            error = exc
        else:
            logger.error("a request cannot be served", exc_info=exc)
            return RequestError(BAD_REQUEST, "Internal server error", status=500)
        self.refused[error.code] = self.refused.get(error.code, 0) + 1
        level = logger.warning if error.code == FORBIDDEN else logger.info
        level("request refused: %s", error)
        return error

    # Admission

    def admit(self, request: HttpRequest, query: Query) -> Session | Awaitable[Session]:
        """Let a client in, if hook and acceptor do.

        Args:
            request: The request.
            query: Its parameters.

        Returns:
            The session, which is to be opened; or an awaitable of it.

        Raises:
            Exception: It is not let in; :meth:`refusal` tells what to answer.
        """
        if not self.sessions:
            self.rebind()
        self._check_room(request)
        hook = self.options.allow_request
        if hook is not None:
            verdict = hook(request.environ)
            if inspect.isawaitable(verdict):
                return self._admit_later(request, query, verdict)
            _check_verdict(verdict)
        return self._accept(request, query)

    async def _admit_later(
        self, request: HttpRequest, query: Query, verdict: Awaitable[Any]
    ) -> Session:
        _check_verdict(await verdict)
        self._check_room(request)
        session = self._accept(request, query)
        return session if isinstance(session, Session) else await session

    def _accept(self, request: HttpRequest, query: Query) -> Session | Awaitable[Session]:
        sid = self.generate_id()
        if not _is_id(sid) or sid in self.sessions:
            raise UsageError(
                f"generate_id returned {sid!r}; expected letters, digits, '-' and '_', and never"
                " the same again"
            )
        session = Session(self, self.options.session, sid, query.protocol, query.b64)
        session.request = request
        if query.transport == "polling":
            agent = request.header("user-agent")
            if agent is not None and agent.lower().startswith("python"):
                session.limit_polls(PYTHON_PACKETS)
        self.sessions[session.sid] = session
        if self.options.max_connections_per_address is not None:
            address = self.address_of(request)
            self.addresses[address] = self.addresses.get(address, 0) + 1
        self.lag_monitor.start()
        try:
            handler = self.acceptor(session, request)
        except BaseException:
            session.end(SERVER_SHUTDOWN)
            raise
        if isinstance(handler, SessionHandler):
            return self._accepted(session, handler)
        return self._accept_later(session, handler)

    async def _accept_later(self, session: Session, handler: Awaitable[SessionHandler]) -> Session:
        try:
            accepted = await handler
        except BaseException:
            session.end(SERVER_SHUTDOWN)
            raise
        return self._accepted(session, accepted)

    def _accepted(self, session: Session, handler: SessionHandler) -> Session:
        if session.phase == OPENING:
            session.handler = handler
            return session
        # It was ended while the application let the client in, which hears of that now.
        handler.on_close(session, session.reason)
        if self.shutting_down:
            raise self._stopping()
        raise RequestError(FORBIDDEN, detail="the session was ended by the connect handler")

    def open_packet(self, session: Session) -> str:
        """Return the packet that begins a session.

        Args:
            session: The session, not open yet.
        """
        return self.packet_polling.replace(_PLACE, session.sid, 1)

    def open_packet_websocket(self, session: Session) -> str:
        """Return the packet that begins a session on a WebSocket, which has nothing to go on to.

        Args:
            session: The session, not open yet.
        """
        return self.packet_websocket.replace(_PLACE, session.sid, 1)

    def _make_open_packet(self, upgrades: tuple[str, ...]) -> str:
        options = self.options.session
        return open_packet(
            _PLACE,
            upgrades=upgrades,
            ping_interval=options.ping_interval + options.ping_grace,
            ping_timeout=options.ping_timeout,
            max_payload=options.max_payload,
        )

    # The end

    def start(self) -> None:
        """Let clients in again, after a shutdown (called when the server of HTTP starts)."""
        self.shutting_down = False
        if self.shared is not None:
            _engines_of(self.loop_state.loop).add(self)

    async def settle(self) -> None:
        """Do what :meth:`shutdown` does, if the server stops; else nothing."""
        if self.shutting_down and (self.farewells or self.tasks):
            await self.shutdown()

    def stop(self, code: int = CloseCode.SERVICE_RESTART) -> None:
        """Begin to end all sessions, and let in no more; returns at once.

        Args:
            code: Close code for WebSockets.
        """
        if not self.shutting_down:
            self.shutting_down = True
            for session in list(self.sessions.values()):
                session.close(SERVER_SHUTDOWN, code)

    async def shutdown(self, timeout: float = 2.0) -> None:
        """End all sessions, and let in no more.

        Args:
            timeout: Seconds that clients have to answer the close frame, and ``disconnect``
                handlers to run.
        """
        closing = [session.wire for session in self.sessions.values() if session.wire is not None]
        self.stop(CloseCode.GOING_AWAY)
        waiting = [asyncio.ensure_future(wire.wait_closed()) for wire in closing]
        me = asyncio.current_task()  # a handler may be the one that stops the server
        farewells = self.farewells - {me}
        if waiting or farewells:
            _, late = await asyncio.wait([*waiting, *farewells], timeout=timeout)
            for wire, task in zip(closing, waiting, strict=True):
                if task in late:
                    task.cancel()
                    wire.abort()
        left = (self.tasks | self.farewells) - {me}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        for session in list(self.sessions.values()):
            session.end(SERVER_SHUTDOWN)
        _engines_of(self.loop_state.loop).discard(self)


def _engines_of(loop: asyncio.AbstractEventLoop) -> set[Engine]:
    engines: set[Engine] | None = getattr(loop, _ATTRIBUTE, None)
    if engines is None:
        engines = set()
        setattr(loop, _ATTRIBUTE, engines)
    return engines


def stop_engines(loop: asyncio.AbstractEventLoop) -> None:
    """Begin to end the sessions of all engines on an event loop, since the server stops.

    Args:
        loop: The event loop.
    """
    for engine in _engines_of(loop):
        engine.stop()


def knows_session(loop: asyncio.AbstractEventLoop, sid: str) -> bool:
    """Tell whether an engine on an event loop has a session.

    Args:
        loop: The event loop.
        sid: The session's id.
    """
    return any(sid in engine.sessions for engine in _engines_of(loop))


def sessions_on(loop: asyncio.AbstractEventLoop) -> list[Session]:
    """Return the sessions of all engines on an event loop.

    Args:
        loop: The event loop.
    """
    return [session for engine in _engines_of(loop) for session in engine.sessions.values()]


#: What WSGI calls the schemes that a proxy may tell of.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(proxies: Any) -> list[Network]:
    if isinstance(proxies, str):
        proxies = [proxies]
    networks: list[Network] = []
    for proxy in proxies:
        names = ("0.0.0.0/0", "::/0") if proxy == "*" else (proxy,)
        networks += [ipaddress.ip_network(name, strict=False) for name in names]
    return networks


def _is_in(address: str, networks: list[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return not address  # a Unix socket: whoever may connect there is ours
    return any(parsed in network for network in networks)


def _check_verdict(verdict: Any) -> None:
    """Raise unless the hook allows the request."""
    allowed, message = verdict if isinstance(verdict, tuple) else (verdict, None)
    if not allowed:
        raise RequestError(FORBIDDEN, message or None, "allow_request said no")
