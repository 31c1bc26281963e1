"""The heads of HTTP/1.1 requests and responses, read strictly (RFC 9112) and lazily.

A WebSocket begins with one request and one response. Reading them is on the path of every
connection, and what was read stays with the connection as long as it lives; so a received
:class:`Request` keeps only the bytes of its head, and its :class:`Headers` are built when somebody
first asks for them.

Whatever a proxy in front could understand in another way than this module is refused rather than
repaired: a bare LF or CR, a folded line, a space before the colon, NUL, a second ``Host``.

Every limit has a name and a default here, and an argument of the function that applies it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from .exceptions import (
    HeaderLineTooLong,
    InvalidHeader,
    InvalidMessage,
    InvalidProtocol,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from .headers import TOKEN, Headers, HeadersLike

__all__ = [
    "MAX_HEADERS",
    "MAX_HEAD_SIZE",
    "MAX_LINE_LENGTH",
    "Request",
    "Response",
    "find_head_end",
    "parse_request",
    "parse_response",
]

#: Longest line of a head in bytes, without its CRLF. Apache httpd and nginx use about the same.
MAX_LINE_LENGTH = 8192

#: Most header lines in a head. Apache httpd takes 100.
MAX_HEADERS = 128

#: Largest head in bytes. Room for several long lines (cookies, tokens), and no more than that:
#: each connection that has not finished its handshake may hold this much.
MAX_HEAD_SIZE = 65_536

_is_token = re.compile(TOKEN).fullmatch
_is_target = re.compile(r"[\x21-\x7e]+").fullmatch
_is_http_version = re.compile(r"HTTP/[0-9]\.[0-9]").fullmatch
_is_status = re.compile(r"[1-5][0-9]{2}").fullmatch

# Deleting these octets from a head leaves nothing, or what may not be in it.
_ALLOWED_OCTETS = b"\t\n\r" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

# Names as clients spell them, so that most lines need neither validation nor str.lower().
_KNOWN_NAMES = {
    spelling: spelling.lower()
    for name in (
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Length",
        "Cookie",
        "DNT",
        "Date",
        "Forwarded",
        "Host",
        "Origin",
        "Pragma",
        "Sec-Fetch-Dest",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "Sec-GPC",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Server",
        "Upgrade",
        "User-Agent",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Real-IP",
    )
    for spelling in (name, name.lower())
}

# Two of these in one request mean different things to different readers (RFC 9112 §3.2 and §6.3,
# RFC 6455 §11.3, RFC 6454 §7.3).
_SINGLE_FIELDS = frozenset(
    {
        "content-length",
        "host",
        "origin",
        "sec-websocket-key",
        "sec-websocket-key1",
        "sec-websocket-key2",
        "sec-websocket-version",
    }
)


class Request:
    """A request that opens a WebSocket.

    One that was received holds the bytes of its head and little else.

    Args:
        path: Request target: path and query, as they are on the wire.
        headers: The headers.
        method: The method; ``GET`` for WebSockets.
        protocol: The protocol; ``HTTP/1.1`` for WebSockets.

    Attributes:
        path: Request target: path and query, percent-encoded as they came.
        method: The method.
        protocol: The protocol.
        head: The head as received, with the empty line at its end; ``b""`` when it was not
            received but made here.

    Example:
        >>> request = parse_request(b"GET /chat?room=1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        >>> request.path, request.headers["host"]
        ('/chat?room=1', 'localhost')
    """

    __slots__ = ("_fields", "_headers", "head", "method", "path", "protocol")

    def __init__(
        self, path: str, headers: HeadersLike, method: str = "GET", protocol: str = "HTTP/1.1"
    ) -> None:
        self.path = path
        self.method = method
        self.protocol = protocol
        self.head = b""
        if not isinstance(headers, Headers):
            headers = Headers(headers)
        self._headers: Headers | None = headers
        self._fields: dict[str, str] | None = None

    @property
    def headers(self) -> Headers:
        """The headers, built when first asked for and kept from then on."""
        if self._headers is None:
            self._headers = _headers_of(self.head)
        return self._headers

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers by name in lower case, several of one name joined by commas.

        This is the cheap view that the handshake uses (RFC 9110 §5.3 allows the joining). It must
        not be changed; change :attr:`headers`.
        """
        if self._headers is not None:
            # Whoever has asked for the headers may have changed them.
            return {name: ", ".join(values) for name, values in self._headers.lists()}
        if self._fields is None:
            self._fields = _fields_of(self.head.decode("latin-1").split("\r\n"))
        return self._fields

    def compact(self) -> None:
        """Forget what can be read again from the head. The handshake calls it when it is done."""
        self._fields = None

    def serialize(self) -> bytes:
        """Return the head's bytes, written anew."""
        line = f"{self.method} {self.path} {self.protocol}\r\n"
        return line.encode("ascii") + self.headers.serialize()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return (self.method, self.path, self.protocol, self.headers) == (
            other.method,
            other.path,
            other.protocol,
            other.headers,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path} {self.protocol}>"


class Response:
    """A response to a request that would open a WebSocket.

    Args:
        status_code: The status, 101 when the WebSocket opens.
        reason_phrase: Text beside the status; ``None`` for the usual one.
        headers: The headers.
        body: The body, for statuses that have one.

    Example:
        >>> Response(404, "Not Found", {"Content-Length": "5"}, b"Gone\\n").serialize()
        b'HTTP/1.1 404 Not Found\\r\\nContent-Length: 5\\r\\n\\r\\nGone\\n'
    """

    __slots__ = ("body", "headers", "reason_phrase", "status_code")

    def __init__(
        self,
        status_code: int,
        reason_phrase: str | None = None,
        headers: HeadersLike = (),
        body: bytes | bytearray = b"",
    ) -> None:
        if reason_phrase is None:
            reason_phrase = HTTPStatus(status_code).phrase
        self.status_code = int(status_code)
        self.reason_phrase = reason_phrase
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    def serialize(self) -> bytes:
        """Return the bytes of the response, with its body as it is."""
        line = f"HTTP/1.1 {self.status_code} {self.reason_phrase}\r\n"
        return b"".join((line.encode("latin-1"), self.headers.serialize(), self.body))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return (self.status_code, self.reason_phrase, self.headers, self.body) == (
            other.status_code,
            other.reason_phrase,
            other.headers,
            other.body,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Response {self.status_code} {self.reason_phrase}>"


def find_head_end(
    buffer: bytes | bytearray,
    start: int = 0,
    stop: int | None = None,
    *,
    searched: int = 0,
    max_line: int = MAX_LINE_LENGTH,
    max_head: int = MAX_HEAD_SIZE,
) -> int:
    """Find where a head ends.

    What can never become a head is refused as soon as that is certain, so that nobody waits for
    the rest of it.

    Args:
        buffer: What has been received.
        start: Where the head begins in it.
        stop: Where the received bytes end in it; ``None`` for the buffer's end.
        searched: How many bytes from ``start`` were there in the last call, which returned -1.
        max_line: Longest line in bytes.
        max_head: Largest head in bytes.

    Returns:
        The position after the empty line, where the WebSocket's bytes begin; -1 when the head is
        not complete yet.

    Raises:
        RequestLineTooLong: When the first line is too long (of a request).
        StatusLineTooLong: The same of a response.
        HeaderLineTooLong: When the head is too large.
        InvalidMessage: When this is not HTTP, or a line ends in a bare LF.

    Example:
        >>> find_head_end(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\\x81\\x00")
        27
    """
    if stop is None:
        stop = len(buffer)
    end = buffer.find(b"\r\n\r\n", start + searched - 3 if searched > 3 else start, stop)
    if end >= 0:
        if end + 4 - start > max_head:
            raise _head_too_large(max_head)
        return end + 4
    if stop == start:
        return -1
    if buffer[start] == 0x16:
        # The first byte of a TLS record that carries a handshake (RFC 8446 §5.1).
        raise InvalidMessage("received TLS; this port speaks plain HTTP, so use ws:// in the URI")
    newline = buffer.find(b"\n", start, stop)
    if newline < 0:
        if stop - start > max_line + 1:
            raise _first_line_too_long(bytes(buffer[start : start + 5]), max_line)
    elif newline == start or buffer[newline - 1] != 0x0D:
        raise InvalidMessage("line that ends in a bare LF; expected CRLF")
    if stop - start > max_head:
        raise _head_too_large(max_head)
    return -1


def parse_request(
    head: bytes | bytearray | memoryview,
    *,
    max_line: int = MAX_LINE_LENGTH,
    max_headers: int = MAX_HEADERS,
    max_head: int = MAX_HEAD_SIZE,
) -> Request:
    """Parse the head of a request (RFC 9112 §2 to §6).

    Args:
        head: All of the head, up to and including the empty line.
        max_line: Longest line in bytes, without its CRLF.
        max_headers: Most header lines.
        max_head: Largest head in bytes.

    Returns:
        The request, which keeps a copy of the head.

    Raises:
        RequestLineTooLong: The first line exceeds ``max_line`` (status 414).
        HeaderLineTooLong: Another line does, or the head exceeds ``max_head`` (431).
        TooManyHeaders: There are more than ``max_headers`` (431).
        InvalidProtocol: The protocol is neither HTTP/1.1 nor HTTP/1.0 (505).
        InvalidHeader: A header is missing, double, or has a value that is not allowed (400).
        InvalidMessage: The head is malformed, or announces a body (400).

    Example:
        >>> parse_request(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n").method
        'GET'
    """
    head = bytes(head)
    lines = _split(head, max_line, max_headers, max_head)
    start = lines[0].split(" ")
    if len(start) != 3:
        raise InvalidMessage(f"invalid request line {lines[0]!r}; expected 'GET /path HTTP/1.1'")
    method, target, protocol = start
    if method != "GET" and not _is_token(method):
        raise InvalidMessage(f"invalid method {method!r} in the request line")
    if not _is_target(target):
        raise InvalidMessage(f"invalid target {target!r} in the request line; expected ASCII")
    if protocol != "HTTP/1.1" and protocol != "HTTP/1.0":
        if _is_http_version(protocol):
            raise InvalidProtocol(protocol)
        raise InvalidMessage(f"invalid protocol {protocol!r} in the request line")
    fields = _fields_of(lines)
    if "host" not in fields and protocol == "HTTP/1.1":
        raise InvalidHeader("Host")
    if target[0] != "/":
        target = _origin_form(target, method, fields)
    if method == "GET" and ("transfer-encoding" in fields or "content-length" in fields):
        _refuse_body(fields)
    request = Request.__new__(Request)
    request.path = target
    request.method = method
    request.protocol = protocol
    request.head = head
    request._headers = None
    request._fields = fields
    return request


def parse_response(
    head: bytes | bytearray | memoryview,
    *,
    max_line: int = MAX_LINE_LENGTH,
    max_headers: int = MAX_HEADERS,
    max_head: int = MAX_HEAD_SIZE,
    allow_http10: bool = False,
) -> Response:
    """Parse the head of a response (RFC 9112 §4).

    Args:
        head: All of the head, up to and including the empty line.
        max_line: Longest line in bytes, without its CRLF.
        max_headers: Most header lines.
        max_head: Largest head in bytes.
        allow_http10: Whether HTTP/1.0 passes, which some proxies answer CONNECT with.

    Returns:
        The response with an empty body; :class:`.body.BodyReader` reads the body, if there is one.

    Raises:
        StatusLineTooLong: The first line exceeds ``max_line``.
        HeaderLineTooLong: Another line does, or the head exceeds ``max_head``.
        TooManyHeaders: There are more than ``max_headers``.
        InvalidMessage: The head is malformed.

    Example:
        >>> parse_response(b"HTTP/1.1 404 Not Found\\r\\nServer: x\\r\\n\\r\\n").status_code
        404
    """
    head = bytes(head)
    lines = _split(head, max_line, max_headers, max_head)
    # The reason may hold spaces, and its own space may be missing (RFC 9112 §4).
    protocol, _, rest = lines[0].partition(" ")
    status, _, reason = rest.partition(" ")
    if protocol != "HTTP/1.1" and not (allow_http10 and protocol == "HTTP/1.0"):
        raise InvalidMessage(f"invalid status line {lines[0]!r}; expected HTTP/1.1, status, reason")
    if not _is_status(status):
        raise InvalidMessage(f"invalid status {status!r} in {lines[0]!r}; expected 100 to 599")
    headers = Headers()
    for name, value in _pairs_of(lines):
        headers.add(name, value)
    return Response(int(status), reason, headers)


def _split(head: bytes, max_line: int, max_headers: int, max_head: int) -> list[str]:
    """Split a head into lines, check what holds for all of them, and the limits.

    Returns:
        The first line, the header lines, and two empty strings.
    """
    if len(head) > max_head:
        raise _head_too_large(max_head)
    # Latin-1 keeps each byte a character, and costs a copy only.
    text = head.decode("latin-1")
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    if breaks < 2 or lines[-1] or lines[-2]:
        raise InvalidMessage("incomplete head; expected an empty line at its end")
    if len(head) > max_line:
        if len(lines[0]) > max_line:
            raise _first_line_too_long(head[:5], max_line)
        for line in lines:
            if len(line) > max_line:
                name = line.partition(":")[0][:100]
                raise HeaderLineTooLong(f"header {name!r} exceeds {max_line} bytes")
    if breaks - 2 > max_headers:
        raise TooManyHeaders(f"{breaks - 2} headers; expected no more than {max_headers}")
    # A bare CR or LF ends a line for some readers and not for others (RFC 9112 §2.2).
    if text.count("\n") != breaks or text.count("\r") != breaks:
        raise InvalidMessage("bare CR or LF in the head; expected CRLF")
    if wrong := head.translate(None, _ALLOWED_OCTETS):
        raise InvalidMessage(f"control character {wrong[:1]!r} in the head")
    return lines


def _fields_of(lines: list[str]) -> dict[str, str]:
    """Read the header lines into a dictionary; see :attr:`Request.fields`."""
    fields: dict[str, str] = {}
    known = _KNOWN_NAMES
    for i in range(1, len(lines) - 2):
        name, colon, value = lines[i].partition(":")
        key = known.get(name)
        if key is None or not colon:
            _check_name(name, colon, lines[i])
            key = name.lower()
        if key in fields:
            if key in _SINGLE_FIELDS:
                raise InvalidHeader(name, "multiple values; expected one")
            fields[key] += ", " + value.strip(" \t")
        else:
            fields[key] = value.strip(" \t")
    return fields


def _pairs_of(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Read the header lines into pairs, with the names as they are spelled."""
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if name not in _KNOWN_NAMES or not colon:
            _check_name(name, colon, line)
        yield name, value.strip(" \t")


def _check_name(name: str, colon: str, line: str) -> None:
    """Refuse a header line without a name that is a token (RFC 9112 §5.1 and §5.2)."""
    if line[:1] in (" ", "\t"):
        raise InvalidMessage(f"folded header line {line[:100]!r}; line folding is obsolete")
    if not colon:
        raise InvalidMessage(f"header line without a colon: {line[:100]!r}")
    if name[-1:] in (" ", "\t"):
        raise InvalidMessage(f"space between the header name {name.rstrip()[:100]!r} and its colon")
    if not _is_token(name):
        raise InvalidMessage(f"invalid header name {name[:100]!r}")


def _headers_of(head: bytes) -> Headers:
    """Build the headers of a head that was checked before."""
    headers = Headers()
    for name, value in _pairs_of(head.decode("latin-1").split("\r\n")):
        headers.add(name, value)
    return headers


def _origin_form(target: str, method: str, fields: Mapping[str, str]) -> str:
    """Reduce a target in absolute form to path and query (RFC 9112 §3.2.2, RFC 6455 §4.2.1)."""
    scheme, colon, rest = target.partition("://")
    if colon and scheme.lower() in ("http", "https", "ws", "wss"):
        match = re.match(r"([^/?#]*)([^#]*)\Z", rest)
        if match and match[1].lower() == fields.get("host", "").lower():
            resource = match[2]
            return resource if resource.startswith("/") else "/" + resource
        raise InvalidMessage(f"the target {target!r} and the Host header do not agree")
    if method != "GET":
        return target  # "*" of OPTIONS and the authority of CONNECT; answered with 405 later.
    raise InvalidMessage(f"invalid target {target!r} in the request line; expected a path")


def _refuse_body(fields: Mapping[str, str]) -> None:
    """Refuse a request with a body: its bytes would be taken for frames."""
    if "transfer-encoding" in fields:
        raise InvalidMessage("the request has a Transfer-Encoding; expected no body")
    # Some devices announce that there is none.
    if fields["content-length"] != "0":
        raise InvalidMessage(f"the request has a body of {fields['content-length'][:20]!r} bytes")


def _first_line_too_long(beginning: bytes, limit: int) -> SecurityError:
    if beginning.startswith(b"HTTP/"):
        return StatusLineTooLong(f"the status line exceeds {limit} bytes")
    return RequestLineTooLong(f"the request line exceeds {limit} bytes")


def _head_too_large(limit: int) -> HeaderLineTooLong:
    return HeaderLineTooLong(f"the head exceeds {limit} bytes")
