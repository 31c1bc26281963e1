# cython: annotation_typing=False, binding=False, embedsignature=True
"""What an HTTP request asks of Engine.IO, whoever serves it.

Requests come as an ASGI scope, or as the head that the front door has read. :class:`HttpRequest`
is what both have in common; its dictionaries (``environ``, ``scope``) are made when they are asked
for, since most sessions live and die without anybody asking.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, unquote_plus

from ..websocket.http11 import Request, parse_request
from .environ import Environ
from .exceptions import BAD_REQUEST, RequestError

__all__ = ["HeadRequest", "HttpRequest", "Query", "ScopeRequest", "error_body", "parse_query"]

Address: TypeAlias = "tuple[str, int] | None"


class Query:
    """The parameters of Engine.IO.

    Attributes:
        protocol: 4 for ``EIO=4``, 3 for anything else and for nothing: the oldest clients say none.
        transport: The transport, empty where none is named.
        sid: The session's id, empty where none is named.
        script: Number of the callback for JSONP: digits; ``None`` when it is no JSONP.
        b64: Whether the client takes text only.
    """

    def __init__(self) -> None:
        self.protocol = 3
        self.transport = ""
        self.sid = ""
        self.script: str | None = None
        self.b64 = False


def parse_query(text: str) -> Query:
    """Read the parameters of Engine.IO out of a query string.

    Args:
        text: The query string.

    Raises:
        RequestError: A parameter comes twice, or ``j`` is no number.

    Example:
        >>> query = parse_query("EIO=4&transport=polling&sid=x&t=abc")
        >>> query.protocol, query.transport, query.sid, query.b64
        (4, 'polling', 'x', False)
    """
    query = Query()
    seen = 0
    start = 0
    stop = -1
    length = len(text)
    while stop < length:
        start = stop + 1
        stop = text.find("&", start)
        if stop < 0:
            stop = length
        if stop == start or text[start] not in "Etsbj":
            continue
        equals = text.find("=", start, stop)
        if equals < 0:
            equals = stop
        name = text[start:equals]
        value = text[equals + 1 : stop]
        if name == "EIO":
            bit = 1
        elif name == "transport":
            bit = 2
        elif name == "sid":
            bit = 4
        elif name == "b64":
            bit = 8
        elif name == "j":
            bit = 16
        else:
            continue
        if seen & bit:
            raise RequestError(BAD_REQUEST, detail=f"the parameter {name!r} comes twice")
        seen |= bit
        _set(query, bit, unquote_plus(value) if "%" in value or "+" in value else value)
    return query


def _set(query: Query, bit: int, value: str) -> None:
    """Set the parameter that a bit of ``seen`` stands for."""
    if bit == 1:
        query.protocol = 4 if value == "4" else 3
    elif bit == 2:
        query.transport = value
    elif bit == 4:
        query.sid = value
    elif bit == 8:
        query.b64 = value != ""
    elif value.isascii() and value.isdigit() and len(value) <= 10:
        query.script = value
    else:
        raise RequestError(BAD_REQUEST, detail=f"the parameter j is {value[:20]!r}, no number")


def error_body(error: RequestError) -> bytes:
    """Return the body of the response to a request that is no good.

    Args:
        error: What is wrong.

    Example:
        >>> error_body(RequestError(1))
        b'{"code":1,"message":"Session ID unknown"}'
    """
    data = {"code": error.code, "message": error.message}
    return json.dumps(data, separators=(",", ":")).encode()


class HttpRequest:
    """A request, as Engine.IO sees it.

    Attributes:
        method: The method.
    """

    def __init__(self, method: str) -> None:
        self.method = method
        self.built_environ: dict[str, Any] | None = None

    def query_string(self) -> str:
        """Return what stands behind the question mark."""
        raise NotImplementedError

    def header(self, name: str) -> str | None:
        """Return a header, several of one name joined by commas.

        Args:
            name: Its name, in lower case.
        """
        raise NotImplementedError

    @property
    def client(self) -> Address:
        """The address and port of who has connected, as the server tells it."""
        client = self.scope.get("client")
        return None if client is None else (client[0], client[1])

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        raise NotImplementedError

    @property
    def environ(self) -> dict[str, Any]:
        """The request in the form of WSGI, with the ASGI scope as ``asgi.scope``.

        It is kept once somebody has looked into it: one that nobody reads, which ``connect``
        handlers are given all the same, would cost an idle client 300 bytes.
        """
        if self.built_environ is None:
            return Environ(self.make_environ, self.keep_environ)
        return self.built_environ

    def keep_environ(self, environ: dict[str, Any]) -> None:
        """Keep what somebody has looked into, as ``environ`` from now on (called by it).

        Args:
            environ: It.
        """
        if self.built_environ is None:
            self.built_environ = environ

    def make_environ(self) -> dict[str, Any]:
        """Make what ``environ`` is filled with."""
        return make_environ(self.scope)

    def amend_environ(self, amend: Callable[[dict[str, Any]], None]) -> None:
        """Have ``environ`` changed when it is filled.

        Args:
            amend: Called with the dictionary.
        """

        def make() -> dict[str, Any]:
            environ = self.make_environ()
            amend(environ)
            return environ

        self.built_environ = Environ(make, self.keep_environ)


class ScopeRequest(HttpRequest):
    """A request that an ASGI server has read.

    Args:
        scope: The ASGI scope, of type ``http`` or ``websocket``.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        super().__init__(scope.get("method", "GET"))
        self.given_scope = scope

    def query_string(self) -> str:
        """Return what stands behind the question mark."""
        return str(self.given_scope["query_string"], "latin-1")

    def header(self, name: str) -> str | None:
        """Return a header."""
        wanted = name.encode("latin-1")
        values = [value for key, value in self.given_scope["headers"] if key.lower() == wanted]
        return b", ".join(values).decode("latin-1") if values else None

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        return self.given_scope


class Site(Protocol):
    """Who reads the heads of requests.

    Attributes:
        logger: Where openings are logged.
        connections: All connections.
    """

    logger: Any
    connections: set[Any]

    def client_of(self, request: Request, client: Address, scheme: str) -> tuple[Address, str]:
        """Return the client's address and scheme, as the trusted proxies in front tell them."""

    def complete_scope(self, scope: dict[str, Any]) -> None:
        """Add what the server knows to a scope that was made of a request's head."""


class HeadRequest(HttpRequest):
    """A request that the front door has read.

    Args:
        method: The method.
        target: Path and query.
        fields: The headers by their names in lower case; ``None`` to read them out of the head.
        head: The bytes of the head.
        site: Who has read it; knows what the head does not tell.
        client: Who has connected.
        secure: Whether the connection uses TLS.
    """

    def __init__(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None,
        head: bytes,
        site: Site,
        client: Address = None,
        secure: bool = False,
    ) -> None:
        self.start(method, target, fields, head, site, client, secure)

    def start(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None,
        head: bytes,
        site: Site,
        client: Address,
        secure: bool,
    ) -> None:
        """Do what the constructor does, which costs more when this is compiled."""
        self.method = method
        self.built_environ = None
        self.target = target
        self.fields: Mapping[str, str] | None = fields
        self.head = head
        self.site = site
        self.peer = client
        self.secure = secure
        self.built_scope: dict[str, Any] | None = None

    def query_string(self) -> str:
        """Return what stands behind the question mark."""
        mark = self.target.find("?")
        return self.target[mark + 1 :] if mark >= 0 else ""

    def header(self, name: str) -> str | None:
        """Return a header."""
        if self.fields is None:
            self.fields = self.request().fields
        return self.fields.get(name)

    def request(self) -> Request:
        """Return the request, read again."""
        return parse_request(self.head)

    def compact(self) -> None:
        """Forget what can be read again from the head."""
        self.fields = None

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        if self.built_scope is None:
            self.built_scope = self.make_scope()
        return self.built_scope

    def make_scope(self) -> dict[str, Any]:
        """Make the ASGI scope."""
        request = self.request()
        raw_path, _, query = request.path.partition("?")
        kind = "websocket" if "sec-websocket-key" in request.fields else "http"
        scheme = {"http": "http", "websocket": "ws"}[kind] + ("s" if self.secure else "")
        # The trusted proxies in front know better.
        client, scheme = self.site.client_of(request, self.peer, scheme)
        scope = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": request.protocol.rpartition("/")[2],
            "method": request.method,
            "scheme": scheme,
            "server": None,
            "client": client,
            "root_path": "",
            "path": unquote(raw_path) if "%" in raw_path else raw_path,
            "raw_path": raw_path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.raw_items()
            ],
        }
        self.site.complete_scope(scope)
        return scope


def make_environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Make a WSGI environment of an ASGI scope (PEP 3333).

    Args:
        scope: The scope.

    Returns:
        The environment. Where the scope names neither client nor server (on a Unix socket), the
        variables of their addresses are empty.
    """
    client = scope.get("client") or ("", "")
    server = scope.get("server") or ("", "")
    query = scope["query_string"].decode("latin-1")
    root_path = scope.get("root_path") or ""
    path = scope["path"]
    raw_path = scope.get("raw_path")
    raw_uri = raw_path.decode("latin-1") if raw_path else path
    scheme = scope.get("scheme", "http")
    environ: dict[str, Any] = {
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": {"ws": "http", "wss": "https"}.get(scheme, scheme),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.async": True,
        "SERVER_SOFTWARE": "duplexio",
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "SERVER_NAME": str(server[0] or ""),
        "SERVER_PORT": str("" if server[1] is None else server[1]),
        "REMOTE_ADDR": str(client[0]),
        "REMOTE_PORT": str(client[1]),
        "REQUEST_METHOD": scope.get("method", "GET"),
        "SCRIPT_NAME": root_path,
        "PATH_INFO": path.removeprefix(root_path),
        "QUERY_STRING": query,
        "RAW_URI": f"{raw_uri}?{query}" if query else raw_uri,
        "asgi.scope": scope,
    }
    _add_headers(environ, scope["headers"])
    return environ


def _add_headers(environ: dict[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if b"_" in name:
            continue  # it would pass for the header of that name with a hyphen
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
