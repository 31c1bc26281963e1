"""The opening handshake of the WebSockets of an engine."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from ..websocket.deflate import ServerPerMessageDeflateFactory
from ..websocket.handshake import reject
from ..websocket.http11 import Request, Response
from ..websocket.loopstate import LoopState
from ..websocket.opening import ServerOpening, ServerPolicy
from ..websocket.options import Options
from .engine import Engine
from .exceptions import RequestError
from .request import HeadRequest, HttpRequest, error_body
from .session import Session
from .websocket import EngineConnection, Turns

__all__ = ["Openings", "RequestSource", "refusal"]


class RequestSource(Protocol):
    """The owner of a connection, who knows where its request comes from."""

    def http_request(self, request: Request) -> HeadRequest:
        """Return a request as the engine wants it."""


def refusal(error: RequestError) -> Response:
    """Return the response to a request for a WebSocket that is no good.

    Args:
        error: What is wrong.
    """
    response = reject(error.status or 400, error_body(error).decode())
    response.headers["Content-Type"] = "application/json"
    return response


class EngineOpening(ServerOpening):
    """An opening handshake whose request was read by somebody else."""

    __slots__ = ()

    def take(self, request: Request, rest: bytes) -> None:
        """Take the request.

        Args:
            request: The request.
            rest: What stands behind it.
        """
        self._request = request
        self._buffer = rest
        try:
            self._process()
        except Exception as exc:
            self._refuse(exc)


class Openings:
    """Makes the connections of an engine, and decides on their requests.

    Args:
        engine: The engine.

    Attributes:
        options: Limits and times of the connections.
        extensions: Factories of the extensions that they support.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._turns: Turns | None = None
        settings = engine.options
        # Heartbeats are the session's business, and so is a client that does not read.
        self.options = Options(
            max_size=settings.session.max_payload,
            max_buffered=None,
            ping_interval=None,
            ping_timeout=None,
            logger=settings.logger,
        )
        self.extensions: Sequence[Any] = ()
        if settings.permessage_deflate:
            # Without a context that outlives a message, a connection needs no memory for it.
            self.extensions = [ServerPerMessageDeflateFactory(server_no_context_takeover=True)]
        self._policy = ServerPolicy(
            origins=None, extensions=self.extensions, process_request=self.decide
        )
        if settings.response_headers is not None:
            self._policy.process_response = self.add_headers

    def make_driver(self, loop_state: LoopState, owner: Any) -> EngineConnection:
        """Make the driver of a connection.

        Args:
            loop_state: What the connections of the event loop share.
            owner: Who keeps it.
        """
        turns = self._turns
        if turns is None or turns.loop is not loop_state.loop:
            turns = self._turns = Turns(loop_state.loop)
        return EngineConnection(loop_state, self.options, turns, owner)

    def open(
        self,
        driver: EngineConnection,
        request: Request,
        rest: bytes,
        extra: bytes,
        secure: bool,
    ) -> None:
        """Begin the opening handshake of a connection whose request was read already.

        Args:
            driver: The connection, which has its transport.
            request: The request.
            rest: What stands behind it.
            extra: Header lines of all responses.
            secure: Whether the connection uses TLS.
        """
        policy = self._policy
        if policy.extra != extra or policy.secure != secure:
            policy = self._policy = ServerPolicy(
                origins=None,
                extensions=self.extensions,
                process_request=policy.process_request,
                process_response=policy.process_response,
                extra=extra,
                secure=secure,
            )
        opening = EngineOpening(driver, policy)
        driver.opening = opening
        opening.take(request, rest)
        if driver.opening is opening:
            # The application takes its time.
            timeout = self.options.open_timeout
            if timeout is not None:
                driver.schedule(timeout)

    def decide(self, driver: EngineConnection, request: Request) -> Any:
        """Decide on a request (called by the opening handshake)."""
        source: Any = driver.owner
        asked = source.http_request(request)
        try:
            waiting = self.prepare(driver, asked)
        except Exception as exc:
            return refusal(self.engine.refusal(exc))
        asked.compact()
        request.compact()
        return None if waiting is None else self._decide_later(waiting)

    async def _decide_later(self, waiting: Awaitable[None]) -> Response | None:
        try:
            await waiting
        except Exception as exc:
            return refusal(self.engine.refusal(exc))
        return None

    def prepare(self, driver: EngineConnection, request: HttpRequest) -> Awaitable[None] | None:
        """Give a connection its session, if its request is good.

        Args:
            driver: The connection.
            request: The request.

        Returns:
            ``None``, or an awaitable when it takes its time.

        Raises:
            Exception: The request is no good; ``Engine.refusal`` tells what to answer.
        """
        engine = self.engine
        query, session = engine.check_websocket(request)
        if session is not None:
            driver.admit(session, None)
            return None
        admitted = engine.admit(request, query)
        if not isinstance(admitted, Session):
            return self._prepare_later(driver, admitted)
        driver.admit(admitted, engine.open_packet_websocket(admitted))
        return None

    async def _prepare_later(self, driver: EngineConnection, admitted: Awaitable[Session]) -> None:
        session = await admitted
        driver.admit(session, self.engine.open_packet_websocket(session))

    def add_headers(
        self, driver: EngineConnection, request: Request, response: Response
    ) -> Response:
        """Let the application change the headers of a response."""
        source: Any = driver.owner
        for name, value in self.headers_for(source.http_request(request)):
            response.headers[name] = value
        return response

    def headers_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Return the headers that the application adds to the response that accepts a WebSocket.

        Args:
            request: The request.
        """
        options = self.engine.options
        pairs: list[tuple[str, str]] = []
        if options.response_headers is not None:
            try:
                options.response_headers(request.environ, pairs)
            except Exception as exc:
                # As with other requests, the client is served all the same.
                options.logger.error("response_headers raised", exc_info=exc)
        return pairs
