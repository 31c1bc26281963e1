"""A server's side of the opening handshake, on an asyncio connection.

It gathers the request's head, lets the application look at it, answers, and starts the connection.
All its rules are in ``http11``, ``handshake`` and ``hixie_handshake``.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any

from ..errors import ProtocolError
from .connection import Connection
from .exceptions import InvalidOrigin
from .handshake import DRAFT_VERSIONS, Acceptance, accept, reject, rejection
from .hixie import HixieConnection
from .hixie_handshake import CHALLENGE_SIZE, Draft, accept_hixie, hixie_draft
from .http11 import Request, Response, find_head_end, parse_request
from .origins import SAME_ORIGIN, Origins

__all__ = ["MAX_EARLY_BYTES", "ServerOpening", "ServerPolicy"]

#: Bytes that a client may send behind its request before it has the answer; reading pauses then.
MAX_EARLY_BYTES = 2**16


@dataclass(slots=True, kw_only=True)
class ServerPolicy:
    """What a server accepts.

    Attributes:
        origins: Which origins are allowed; see :data:`.origins.Origins`.
        extensions: Factories of the supported extensions.
        subprotocols: Supported subprotocols, in order of preference.
        select_subprotocol: Called with the connection and what its client offers; chooses one.
        process_request: Called with connection and request; may return the response, and may be
            a coroutine function.
        process_response: Called with connection, request and response; may return another one,
            and may be a coroutine function.
        extra: Lines of further headers for all responses.
        legacy: Whether the drafts hixie-75 and hixie-76 are spoken.
        secure: Whether the server's connections use TLS.
    """

    origins: Origins = SAME_ORIGIN
    extensions: Sequence[Any] = ()
    subprotocols: Sequence[str] | None = None
    select_subprotocol: Callable[[Any, Sequence[str]], str | None] | None = None
    process_request: Callable[[Any, Request], Any] | None = None
    process_response: Callable[[Any, Request, Response], Any] | None = None
    extra: bytes = b""
    legacy: bool = False
    secure: bool = False


class ServerOpening:
    """The opening handshake of one connection.

    Args:
        driver: The connection.
        policy: What the server accepts.
    """

    __slots__ = (
        "_buffer",
        "_done",
        "_draft",
        "_driver",
        "_held",
        "_policy",
        "_request",
        "_searched",
        "_task",
    )

    def __init__(self, driver: Any, policy: ServerPolicy) -> None:
        self._driver = driver
        self._policy = policy
        self._buffer = b""
        self._searched = 0
        self._request: Request | None = None
        self._draft: Draft | None = None  # hixie, when the request is of that kind
        self._task: asyncio.Task[None] | None = None
        self._done = False
        self._held = False

    # What the driver tells

    def connected(self) -> None:
        """The transport is there; the client speaks first."""

    def received(self, data: bytes) -> None:
        """Take bytes of the request, or those behind it."""
        if self._done:
            return
        self._buffer = self._buffer + data if self._buffer else data
        try:
            if self._request is None:
                end = find_head_end(self._buffer, searched=self._searched)
                if end < 0:
                    self._searched = len(self._buffer)
                    return
                self._request = parse_request(self._buffer[:end])
                self._buffer = self._buffer[end:]
                if self._policy.legacy:
                    self._draft = hixie_draft(self._request)
            elif self._task is not None:
                self._hold()
                return
            if self._draft == 76 and len(self._buffer) < CHALLENGE_SIZE:
                return  # eight bytes that the head does not announce are still to come
            self._process()
        except Exception as exc:
            self._refuse(exc)

    def timed_out(self) -> None:
        """Answer that it took too long."""
        if self._task is not None:
            self._task.cancel()
        self._respond(
            reject(
                HTTPStatus.REQUEST_TIMEOUT,
                "The opening handshake was not completed within"
                f" {self._driver.options.open_timeout} s.\n",
                date=formatdate(usegmt=True),
            )
        )

    def unavailable(self) -> None:
        """Answer that the server is about to stop."""
        if self._task is not None:
            self._task.cancel()
        self._respond(
            reject(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The server is shutting down.\n",
                date=formatdate(usegmt=True),
            )
        )

    def lost(self, exc: Exception | None) -> None:
        """Stop what is going on; there is nobody left to answer."""
        self._done = True
        if self._task is not None:
            self._task.cancel()

    # What it does

    def _hold(self) -> None:
        """Stop reading when a client sends much before it has the answer."""
        if len(self._buffer) > MAX_EARLY_BYTES and not self._held:
            self._held = True
            self._driver.pause_reading()

    def _process(self) -> None:
        """Let the application look at the request, then answer it."""
        request = self._request
        assert request is not None
        policy = self._policy
        self._driver.head = request
        response = None
        if policy.process_request is not None:
            response = policy.process_request(self._driver, request)
            if inspect.isawaitable(response):
                self._task = asyncio.ensure_future(self._process_later(request, response))
                self._hold()
                return
        self._answer(request, response)

    async def _process_later(self, request: Request, answer: Any) -> None:
        try:
            response = await answer
            self._task = None
            self._answer(request, response)
        except Exception as exc:
            self._task = None
            self._refuse(exc)

    def _answer(self, request: Request, response: Response | None) -> None:
        if self._done:
            return
        if response is not None:
            self._conclude(request, response, None)
            return
        acceptance = self._accept(request)
        if self._policy.process_response is None:
            self._start(acceptance, acceptance.data)
        else:
            self._conclude(request, acceptance.response, acceptance)

    def _accept(self, request: Request) -> Acceptance:
        policy = self._policy
        select = policy.select_subprotocol
        if select is not None:
            select = partial(select, self._driver)
        if self._draft is not None:
            challenge = b""
            if self._draft == 76:
                challenge = self._buffer[:CHALLENGE_SIZE]
                self._buffer = self._buffer[CHALLENGE_SIZE:]
            return accept_hixie(
                request,
                challenge,
                secure=policy.secure,
                origins=policy.origins,
                subprotocols=policy.subprotocols,
                select_subprotocol=select,
                extra=policy.extra,
            )
        return accept(
            request,
            origins=policy.origins,
            extensions=policy.extensions,
            subprotocols=policy.subprotocols,
            select_subprotocol=select,
            extra=policy.extra,
            versions=DRAFT_VERSIONS,
        )

    def _conclude(
        self, request: Request, response: Response, acceptance: Acceptance | None
    ) -> None:
        """Let the application look at the response, then send it."""
        if self._policy.process_response is not None:
            changed = self._policy.process_response(self._driver, request, response)
            if inspect.isawaitable(changed):
                self._task = asyncio.ensure_future(
                    self._conclude_later(response, acceptance, changed)
                )
                return
            response = changed or response
        self._send(response, acceptance)

    async def _conclude_later(
        self, response: Response, acceptance: Acceptance | None, changed: Any
    ) -> None:
        try:
            response = await changed or response
            self._task = None
            self._send(response, acceptance)
        except Exception as exc:
            self._task = None
            self._refuse(exc)

    def _send(self, response: Response, acceptance: Acceptance | None) -> None:
        if self._done:
            return
        if acceptance is not None and response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._start(acceptance, response.serialize())
        else:
            self._respond(response)

    def _start(self, acceptance: Acceptance, data: bytes) -> None:
        """Answer 101 and begin the connection, with what has arrived behind the request."""
        self._done = True
        driver = self._driver
        request = self._request
        assert request is not None
        if self._draft is not None:
            connection: Connection = HixieConnection(
                driver, draft=self._draft, max_size=driver.options.max_size
            )
        else:
            connection = Connection(
                driver,
                max_size=driver.options.max_size,
                deflate=acceptance.extensions[0] if acceptance.extensions else None,
                output=driver.loop_state.cork,
            )
            if self._policy.process_request is None and self._policy.process_response is None:
                # Nobody has seen the request, let alone changed it: its bytes will do.
                driver.head = request.head
        driver.keep_response(data)
        driver.subprotocol = acceptance.subprotocol
        driver.send_raw(data)
        if self._held:
            driver.resume_reading()
        driver.start(connection, self._buffer)

    def _refuse(self, exc: Exception) -> None:
        """Answer an exception: the client's fault with its status, another one with 500."""
        if self._done:
            return
        logger = self._driver.options.logger
        if isinstance(exc, InvalidOrigin):
            logger.warning("connection refused: %s", exc)
        elif isinstance(exc, ProtocolError):
            logger.info("connection refused: %s", exc)
        else:
            logger.error("opening handshake failed", exc_info=exc)
        self._respond(rejection(exc, date=formatdate(usegmt=True), versions=DRAFT_VERSIONS))

    def _respond(self, response: Response) -> None:
        """Answer without opening a WebSocket, and close."""
        self._done = True
        data = response.serialize()
        self._driver.keep_response(data)
        self._driver.send_raw(data)
        self._driver.refuse()
