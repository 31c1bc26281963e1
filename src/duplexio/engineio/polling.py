# cython: annotation_typing=False, binding=False, embedsignature=True
"""The transport of polling requests and of JSONP, whoever speaks HTTP.

The server of HTTP gives each request to ``Engine.begin`` with a *responder*, which takes the
answer, now or later. A request that waits, or whose body is still to come, is one of the objects
here.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from .channel import MESSAGE_TOO_BIG, PARSE_ERROR
from .cors import HeaderList
from .exceptions import BAD_REQUEST, PacketError, PayloadTooBig, RequestError
from .payload import decode_form, decode_payload, encode_payload, encode_script, encode_text
from .polls import Poll, Post
from .request import HttpRequest, Query, error_body
from .session import TRANSPORT_CLOSE, Session

if TYPE_CHECKING:
    from .options import ServerOptions

__all__ = [
    "ACCEPTED",
    "TEXT",
    "Handshake",
    "PollRequest",
    "PostRequest",
    "Responder",
    "respond_error",
]

_NO_STORE = (b"cache-control", b"no-store")

# The headers of nearly all answers; the same objects each time, so that they can be recognized.
TEXT: HeaderList = ((b"content-type", b"text/plain; charset=UTF-8"), _NO_STORE)
BINARY = ((b"content-type", b"application/octet-stream"), _NO_STORE)
# Some browsers would offer text/plain, the answer to a form, as a download.
ACCEPTED = ((b"content-type", b"text/html"), _NO_STORE)
ERROR = ((b"content-type", b"application/json"), _NO_STORE)
# A script of a foreign type would not be run; and nothing else is to be taken for a script.
SCRIPT = (
    (b"content-type", b"text/javascript; charset=UTF-8"),
    (b"x-content-type-options", b"nosniff"),
    _NO_STORE,
)


class Responder:
    """Takes the answer to one request."""

    def respond(self, status: int, headers: HeaderList, body: bytes) -> None:
        """Answer; ``content-length`` and the like are for the server of HTTP to add.

        Args:
            status: The HTTP status.
            headers: The headers, with names in lower case.
            body: The body.
        """
        raise NotImplementedError


def respond_error(responder: Responder, error: RequestError, headers: HeaderList = ()) -> None:
    """Answer that a request is no good.

    Args:
        responder: Takes the answer.
        error: What is wrong.
        headers: Headers of CORS.
    """
    responder.respond(error.status or 400, ERROR + headers, error_body(error))


class Turn:
    """What the kinds of requests have in common.

    Args:
        options: How to answer.
        request: The request.
        query: Its parameters.
        headers: Headers of CORS.
        responder: Takes the answer.
    """

    def __init__(
        self,
        options: ServerOptions,
        request: HttpRequest,
        query: Query,
        headers: HeaderList,
        responder: Responder,
    ) -> None:
        self.start(options, request, query, headers, responder)

    def start(
        self,
        options: ServerOptions,
        request: HttpRequest,
        query: Query,
        headers: HeaderList,
        responder: Responder,
    ) -> None:
        """Do what the constructor does, which costs more when this is compiled."""
        self.options = options
        self.request = request
        self.query = query
        self.headers = headers
        self.responder = responder

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        """Answer, with the headers that all answers to this request have."""
        if self.headers:
            headers += self.headers
        hook = self.options.response_headers
        if hook is not None:
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            try:
                hook(self.request.environ, pairs)
                lines = [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in pairs
                ]
                headers = tuple(lines)
            except Exception as exc:
                self.options.logger.error("response_headers raised", exc_info=exc)
        self.responder.respond(status, headers, body)

    def send_packets(self, packets: list[Any], extra: HeaderList = ()) -> None:
        """Answer with packets."""
        query = self.query
        headers: HeaderList
        payload = encode_payload(packets, query.protocol, not query.b64 and query.script is None)
        if isinstance(payload, bytes):
            body, headers = payload, BINARY
        elif query.script is not None:
            body, headers = encode_text(encode_script(query.script, payload)), SCRIPT
        else:
            body, headers = encode_text(payload), TEXT
        if self.options.http_compression and len(body) >= self.options.compression_threshold:
            coding = choose_coding(self.request.header("accept-encoding"))
            if coding is not None:
                body = compress(body, coding)
                headers += (
                    (b"content-encoding", coding.encode()),
                    (b"vary", b"Accept-Encoding"),
                )
        self.send(200, headers + extra if extra else headers, body)

    def send_error(self, error: RequestError) -> None:
        """Answer that the request is no good."""
        self.send(error.status or 400, ERROR, error_body(error))


class PollRequest(Poll):
    """A request that waits for packets.

    Args:
        turn: The request.
        session: Its session.
    """

    def __init__(self, turn: Turn, session: Session) -> None:
        self.turn = turn
        self.session = session

    def answer(self, packets: list[Any]) -> None:
        """Answer with packets (called by the session)."""
        self.turn.send_packets(packets)

    def refuse(self) -> None:
        """Answer that the request is bad (called by the session)."""
        self.turn.send_error(RequestError(BAD_REQUEST))

    def lost(self) -> None:
        """Take note that the client has given the request up."""
        self.session.poll_lost(self)


class Handshake(Poll):
    """The request that begins a session on polling requests.

    Args:
        turn: The request.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.session: Session | None = None
        self.gone = False

    def opened(self, session: Session, packet: str) -> None:
        """Open the session that was admitted.

        Args:
            session: The session.
            packet: The open packet.
        """
        self.session = session
        session.open_polling(self, packet)
        if self.gone:
            session.end(TRANSPORT_CLOSE)

    def failed(self, error: RequestError) -> None:
        """Answer that there will be no session.

        Args:
            error: Why.
        """
        self.turn.send_error(error)

    def answer(self, packets: list[Any]) -> None:
        """Answer with packets (called by the session)."""
        cookie = self.turn.options.cookie
        extra: HeaderList = ()
        if cookie is not None and self.session is not None:
            extra = ((b"set-cookie", cookie.header(self.session.sid).encode("latin-1")),)
        self.turn.send_packets(packets, extra)

    def refuse(self) -> None:
        """Answer that the request is bad (called by the session)."""
        self.turn.send_error(RequestError(BAD_REQUEST))

    def lost(self) -> None:
        """Take note that the client has given the request up."""
        self.gone = True
        if self.session is not None:
            self.session.poll_lost(self)


class PostRequest(Post):
    """A request that brings packets.

    Args:
        turn: The request.
        session: Its session, which has taken note of it.
    """

    def __init__(self, turn: Turn, session: Session) -> None:
        self.turn = turn
        self.session = session
        self.chunks: list[bytes] = []
        self.size = 0
        self.done = False

    def begin(self) -> bool:
        """Begin to receive the body; return whether to go on."""
        if not self.session.begin_post(self):
            return False
        kind = (self.turn.request.header("content-type") or "").lower()
        if self.turn.query.protocol == 4 and kind.startswith("application/octet-stream"):
            # Engine.IO 4 writes binary packets as text.
            self.fail(RequestError(BAD_REQUEST, detail="a body of application/octet-stream"))
            return False
        length = self.turn.request.header("content-length")
        if length is not None and length.isdigit() and int(length) > self.limit():
            self.too_big()
            return False
        return not self.done

    def limit(self) -> int:
        """Return how many bytes the body may have."""
        return self.turn.options.session.max_payload

    def feed(self, data: bytes) -> bool:
        """Take bytes of the body.

        Args:
            data: The bytes.

        Returns:
            Whether more of them are of use.
        """
        if self.done:
            return False
        self.size += len(data)
        if self.size > self.limit():
            self.too_big()
            return False
        self.chunks.append(data)
        return True

    def finish(self) -> None:
        """Take note that the body is complete."""
        if self.done:
            return
        chunks = self.chunks
        body: bytes = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        turn = self.turn
        query = turn.query
        try:
            if query.script is not None:
                body = decode_form(body)
            kind = turn.request.header("content-type")
            binary = kind is not None and kind.lower().startswith("application/octet-stream")
            packets = decode_payload(body, query.protocol, binary, turn.options.session.max_packets)
        except PayloadTooBig as exc:
            self.fail(RequestError(BAD_REQUEST, "Payload too large", str(exc), status=413))
        except PacketError as exc:
            self.fail(RequestError(BAD_REQUEST, detail=str(exc)))
        else:
            self.session.receive_post(self, packets)

    def too_big(self) -> None:
        """Refuse a body that is too large."""
        detail = f"a body of more than max_http_buffer_size={self.limit()} bytes"
        self.fail(RequestError(BAD_REQUEST, "Payload too large", detail, status=413))

    def fail(self, error: RequestError) -> None:
        """Answer that the request is no good; its session, which has lost packets, is over."""
        if self.done:
            return
        self.done = True
        self.chunks = []
        logger = self.turn.options.logger
        # What is too large is the one failure that an operator can do something about.
        too_big = error.status == 413
        log = logger.warning if too_big else logger.info
        log("%s: request refused: %s", self.session.sid[:6], error)
        self.turn.send_error(error)
        self.session.fail_post(self, MESSAGE_TOO_BIG if too_big else PARSE_ERROR)

    def accept(self) -> None:
        """Answer that all is well (called by the session)."""
        if not self.done:
            self.done = True
            self.turn.send(200, ACCEPTED, b"ok")

    def refuse(self) -> None:
        """Answer that the request is bad (called by the session)."""
        if not self.done:
            self.done = True
            self.turn.send_error(RequestError(BAD_REQUEST))

    def lost(self) -> None:
        """Take note that the client has given the request up."""
        self.done = True
        self.session.post_lost(self)


def choose_coding(accepted: str | None) -> str | None:
    """Choose a coding that the client accepts (RFC 9110 §12.5.3).

    Args:
        accepted: Value of ``Accept-Encoding``.

    Example:
        >>> choose_coding("gzip, deflate, br"), choose_coding("gzip;q=0, deflate")
        ('gzip', 'deflate')
    """
    if not accepted:
        return None
    offered = {}
    for item in accepted.lower().split(","):
        name, _, weight = item.partition(";")
        offered[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    for coding in ("gzip", "deflate"):
        if offered.get(coding):
            return coding
    return None


def compress(body: bytes, coding: str) -> bytes:
    """Compress a body.

    Args:
        body: The body.
        coding: ``gzip`` or ``deflate``, which is the format of zlib (RFC 9110 §8.4.1.2).
    """
    compressor = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return compressor.compress(body) + compressor.flush()
