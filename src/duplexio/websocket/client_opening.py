"""A client's side of the opening handshake, on an asyncio connection.

It sends the request, gathers the response and starts the connection. All its rules are in
``handshake``, ``hixie_handshake``, ``http11`` and ``body``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .body import BodyReader
from .connection import Connection
from .exceptions import InvalidMessage, InvalidStatus
from .handshake import ClientHandshake
from .hixie import HixieConnection
from .hixie_handshake import Draft, HixieClientHandshake
from .http11 import Response, find_head_end, parse_request, parse_response

__all__ = ["ClientOpening", "HixieOpening"]

#: Requests shorter than this are kept as bytes.
SHORT_REQUEST = 4096

#: Responses with a status of 1xx that may precede the answer (RFC 9110 §15.2).
MAX_INTERIM_RESPONSES = 8


class ClientOpening:
    """The opening handshake of one connection.

    Args:
        driver: The connection.
        handshake: The request, and the check of its response.

    Attributes:
        opened: Is done when the connection is started, or has the exception that says why not.
    """

    __slots__ = ("_body", "_buffer", "_driver", "_interim", "_searched", "handshake", "opened")

    def __init__(self, driver: Any, handshake: Any) -> None:
        self._driver = driver
        self._buffer = b""
        self._searched = 0
        self._interim = 0
        self._body: tuple[Response, BodyReader] | None = None
        self.handshake = handshake
        self.opened: asyncio.Future[None] = driver.loop_state.loop.create_future()

    # What the driver tells

    def connected(self) -> None:
        """Send the request."""
        request, data = self.request()
        # Its bytes take a fraction of the memory, and are parsed again if somebody asks. (Those of
        # a long one could exceed the limits of parsing.)
        self._driver.head = data[: find_head_end(data)] if len(data) < SHORT_REQUEST else request
        self._driver.send_raw(data)

    def received(self, data: bytes) -> None:
        """Take bytes of the response, or those behind it."""
        if self.opened.done():
            return
        try:
            if self._body is not None:
                self._take_body(data)
                return
            self._buffer = self._buffer + data if self._buffer else data
            self._take_head()
        except Exception as exc:
            self._fail(exc)

    def timed_out(self) -> None:
        """Give up waiting for the response."""
        self._fail(TimeoutError("timed out during opening handshake"))

    def lost(self, exc: Exception | None) -> None:
        """Give up: the server has closed the connection."""
        if self.opened.done():
            return
        if self._body is not None:
            response, reader = self._body
            reader.feed_eof()
            self._refused(response, reader)
            return
        error = InvalidMessage("did not receive a valid HTTP response")
        where = "inside its head" if self._buffer else "before it"
        error.__cause__ = EOFError(f"the connection was closed {where}")
        error.__cause__.__cause__ = exc
        self._fail(error)

    # What it does

    def request(self) -> tuple[Any, bytes]:
        """Return the request, and its bytes."""
        handshake: ClientHandshake = self.handshake
        return handshake.request, handshake.request.serialize()

    def answer(
        self, response: Response, rest: bytes
    ) -> tuple[Connection, str | None, bytes] | None:
        """Check a response with the status 101.

        Args:
            response: The response.
            rest: What has arrived behind its head.

        Returns:
            The connection, the subprotocol and what belongs to the connection of ``rest``; ``None``
            when more bytes are needed.
        """
        agreement = self.handshake.check_response(response)
        driver = self._driver
        connection = Connection(
            driver,
            client=True,
            max_size=driver.options.max_size,
            deflate=agreement.extensions[0] if agreement.extensions else None,
            mask_keys=driver.loop_state.mask_keys,
        )
        return connection, agreement.subprotocol, rest

    def _take_head(self) -> None:
        while True:
            end = find_head_end(self._buffer, searched=self._searched)
            if end < 0:
                self._searched = len(self._buffer)
                return
            head = self._buffer[:end]
            response = parse_response(head)
            if 100 <= response.status_code < 200 and response.status_code != 101:
                # RFC 9110 §15.2: the final response is still to come.
                self._interim += 1
                if self._interim > MAX_INTERIM_RESPONSES:
                    raise InvalidMessage(
                        f"more than {MAX_INTERIM_RESPONSES} responses with a status of 1xx"
                    )
                self._buffer = self._buffer[end:]
                self._searched = 0
                continue
            break
        driver = self._driver
        driver.keep_response(head)
        if response.status_code != 101:
            self._body = response, BodyReader(response)
            rest, self._buffer = self._buffer[end:], b""
            self._take_body(rest)
            return
        answer = self.answer(response, self._buffer[end:])
        if answer is None:
            return
        connection, driver.subprotocol, rest = answer
        self._buffer = b""
        self.opened.set_result(None)
        driver.start(connection, rest)

    def _take_body(self, data: bytes) -> None:
        assert self._body is not None
        response, reader = self._body
        if data:
            reader.feed(data)
        if reader.done:
            self._refused(response, reader)

    def _refused(self, response: Response, reader: BodyReader) -> None:
        response.body = bytes(reader.body)
        self._fail(InvalidStatus(response))

    def _fail(self, exc: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc)
        self._driver.abort()


class HixieOpening(ClientOpening):
    """The opening handshake of hixie-75 or hixie-76.

    Args:
        driver: The connection.
        handshake: The request, and the check of its response.
        draft: 75 or 76.
    """

    __slots__ = ("_draft",)

    def __init__(self, driver: Any, handshake: HixieClientHandshake, draft: Draft) -> None:
        super().__init__(driver, handshake)
        self._draft = draft

    def request(self) -> tuple[Any, bytes]:
        """Return the request, and its bytes with those that follow the head."""
        data: bytes = self.handshake.data
        return parse_request(data[: find_head_end(data)]), data

    def answer(
        self, response: Response, rest: bytes
    ) -> tuple[Connection, str | None, bytes] | None:
        """Check a response with the status 101; hixie-76 has sixteen bytes behind its head."""
        size = self.handshake.digest_size
        if len(rest) < size:
            return None
        agreement = self.handshake.check_response(response, rest[:size])
        driver = self._driver
        connection = HixieConnection(
            driver, draft=self._draft, client=True, max_size=driver.options.max_size
        )
        return connection, agreement.subprotocol, rest[size:]
