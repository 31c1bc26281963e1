"""The answer to a request for a WebSocket that somebody else decides on: an ASGI application.

The rules are those of ``websocket.handshake``. They are checked before the application is asked, so
that it never sees a request that could not be accepted; the answer is written when it has decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..websocket.connection import Connection
from ..websocket.handshake import DRAFT_VERSIONS, Acceptance, accept
from ..websocket.hixie import HixieConnection
from ..websocket.hixie_handshake import CHALLENGE_SIZE, accept_hixie, hixie_draft
from ..websocket.http11 import Request

__all__ = ["Offer", "challenge_size", "render_lines"]

_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch

RawHeaders = Iterable[tuple[bytes, bytes]]


def render_lines(headers: RawHeaders) -> bytes:
    """Write the lines of headers as ASGI gives them.

    Args:
        headers: Pairs of name and value.

    Returns:
        The lines, each with its CRLF.

    Raises:
        RuntimeError: When a name or a value cannot be sent, as uvicorn raises.

    Example:
        >>> render_lines([(b"server", b"duplexio")])
        b'server: duplexio\\r\\n'
    """
    lines = []
    for name, value in headers:
        if not _is_name(name):
            raise RuntimeError(f"invalid header name {name!r}; expected a token (RFC 9110 §5.1)")
        if not _is_value(value):
            raise RuntimeError(f"invalid value {value!r} of the header {name!r}: control character")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


def challenge_size(request: Request) -> int:
    """Return how many bytes of the handshake follow the head of a request.

    Args:
        request: The request, on a server that speaks the old drafts.
    """
    return CHALLENGE_SIZE if hixie_draft(request) == 76 else 0


class Offer:
    """A request for a WebSocket that may be accepted.

    Args:
        request: The request.
        extensions: Factories of the supported extensions.
        legacy: Whether the drafts hixie-75 and hixie-76 are spoken.
        secure: Whether the client uses TLS, as it sees it.
        challenge: The bytes behind the head of a hixie-76 request.

    Attributes:
        request: The request.

    Raises:
        InvalidHandshake: The request cannot be accepted; see ``websocket.handshake.rejection``.
    """

    __slots__ = ("_acceptance", "_challenge", "_draft", "_extensions", "_secure", "request")

    def __init__(
        self,
        request: Request,
        *,
        extensions: Sequence[Any] = (),
        legacy: bool = False,
        secure: bool = False,
        challenge: bytes = b"",
    ) -> None:
        self.request = request
        self._challenge = challenge
        self._secure = secure
        self._extensions = extensions
        self._draft = hixie_draft(request) if legacy else None
        self._acceptance = self._accept(None, extensions)

    def accept(
        self,
        driver: Any,
        subprotocol: str | None,
        headers: bytes,
        extensions: Sequence[Any] | None = None,
        rest: bytes = b"",
    ) -> None:
        """Answer 101, and start the connection.

        Args:
            driver: Whose connection it is, with its transport.
            subprotocol: The subprotocol chosen, if any.
            headers: Lines of further headers.
            extensions: Factories of the supported extensions, in place of those of before.
            rest: What has arrived behind the request.
        """
        acceptance = self._acceptance
        if extensions is not None and list(extensions) != list(self._extensions):
            acceptance = self._accept(None, extensions)
        if self._draft is None:
            if subprotocol is not None:
                line = (b"sec-websocket-protocol", subprotocol.encode("latin-1"))
                headers = render_lines([line]) + headers
            data = acceptance.data[:-2] + headers + b"\r\n"
            connection = Connection(
                driver,
                max_size=driver.options.max_size,
                deflate=acceptance.extensions[0] if acceptance.extensions else None,
                output=driver.loop_state.cork,
            )
        else:
            # The order of lines matters to these clients, so the answer is written anew.
            data = self._accept(subprotocol, ()).data
            connection = HixieConnection(
                driver, draft=self._draft, max_size=driver.options.max_size
            )
        driver.keep_response(data)
        driver.subprotocol = subprotocol
        driver.send_raw(data)
        driver.start(connection, rest)

    def _accept(self, subprotocol: str | None, extensions: Sequence[Any]) -> Acceptance:
        if self._draft is None:
            return accept(
                self.request, origins=None, extensions=extensions, versions=DRAFT_VERSIONS
            )
        return accept_hixie(
            self.request,
            self._challenge,
            secure=self._secure,
            origins=None,
            select_subprotocol=None if subprotocol is None else (lambda offered: subprotocol),
        )
