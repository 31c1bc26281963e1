"""What an HTTP request asks of Engine.IO, whoever serves it.

Requests come as an ASGI scope, or as the head that the front door has read. :class:`HttpRequest`
is what both have in common; its dictionaries (``environ``, ``scope``) are made when they are asked
for, since most sessions live and die without anybody asking.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, unquote_plus

from ..websocket.http11 import Request
from .exceptions import BAD_REQUEST, RequestError

__all__ = ["HeadRequest", "HttpRequest", "Query", "ScopeRequest", "error_body", "parse_query"]

Address = tuple[str, int] | None

_KNOWN = frozenset({"EIO", "transport", "sid", "j", "b64"})


@dataclass(slots=True)
class Query:
    """The parameters of Engine.IO.

    Attributes:
        protocol: 4 for ``EIO=4``, 3 for anything else and for nothing: the oldest clients say none.
        transport: The transport, empty where none is named.
        sid: The session's id, empty where none is named.
        script: Number of the callback for JSONP: digits; ``None`` when it is no JSONP.
        b64: Whether the client takes text only.
    """

    protocol: int = 3
    transport: str = ""
    sid: str = ""
    script: str | None = None
    b64: bool = False


def parse_query(text: str) -> Query:
    """Read the parameters of Engine.IO out of a query string.

    Args:
        text: The query string.

    Raises:
        RequestError: A parameter comes twice, or ``j`` is no number.

    Example:
        >>> parse_query("EIO=4&transport=polling&sid=x&t=abc")
        Query(protocol=4, transport='polling', sid='x', script=None, b64=False)
    """
    query = Query()
    seen: set[str] = set()
    for field in text.split("&"):
        name, _, value = field.partition("=")
        if name not in _KNOWN:
            continue
        if name in seen:
            raise RequestError(BAD_REQUEST, detail=f"the parameter {name!r} comes twice")
        seen.add(name)
        if "%" in value or "+" in value:
            value = unquote_plus(value)
        if name == "EIO":
            query.protocol = 4 if value == "4" else 3
        elif name == "transport":
            query.transport = value
        elif name == "sid":
            query.sid = value
        elif name == "b64":
            query.b64 = bool(value)
        elif value.isascii() and value.isdigit() and len(value) <= 10:
            query.script = value
        else:
            raise RequestError(BAD_REQUEST, detail=f"the parameter j is {value[:20]!r}, no number")
    return query


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

    __slots__ = ("_environ", "method")

    def __init__(self, method: str) -> None:
        self.method = method
        self._environ: dict[str, Any] | None = None

    @property
    def query_string(self) -> str:
        """What stands behind the question mark."""
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
        raise NotImplementedError

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        raise NotImplementedError

    @property
    def secure(self) -> bool:
        """Whether the client uses TLS, so far as is known."""
        return self.scope["scheme"] in ("https", "wss")

    @property
    def environ(self) -> dict[str, Any]:
        """The request in the form of WSGI, with the ASGI scope as ``asgi.scope``."""
        if self._environ is None:
            self._environ = make_environ(self.scope)
        return self._environ


class ScopeRequest(HttpRequest):
    """A request that an ASGI server has read.

    Args:
        scope: The ASGI scope, of type ``http`` or ``websocket``.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: dict[str, Any]) -> None:
        super().__init__(scope.get("method", "GET"))
        self._scope = scope

    @property
    def query_string(self) -> str:
        """What stands behind the question mark."""
        return str(self._scope["query_string"], "latin-1")

    def header(self, name: str) -> str | None:
        """Return a header."""
        wanted = name.encode("latin-1")
        values = [value for key, value in self._scope["headers"] if key.lower() == wanted]
        return b", ".join(values).decode("latin-1") if values else None

    @property
    def client(self) -> Address:
        """The address and port of who has connected."""
        client = self._scope.get("client")
        return None if client is None else (client[0], client[1])

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        return self._scope


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
        request: The request; its head is kept.
        site: Who has read it; knows what the head does not tell.
        client: Who has connected.
        secure: Whether the connection uses TLS.
    """

    __slots__ = ("_client", "_scope", "_secure", "_site", "request")

    def __init__(
        self, request: Request, site: Site, client: Address = None, secure: bool = False
    ) -> None:
        super().__init__(request.method)
        self.request = request
        self._site = site
        self._client = client
        self._secure = secure
        self._scope: dict[str, Any] | None = None

    @property
    def query_string(self) -> str:
        """What stands behind the question mark."""
        return self.request.path.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return a header."""
        return self.request.fields.get(name)

    @property
    def client(self) -> Address:
        """The address and port of who has connected."""
        client = self.scope["client"]
        return None if client is None else (client[0], client[1])

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        if self._scope is None:
            self._scope = self._make_scope()
            self.request.compact()
        return self._scope

    def _make_scope(self) -> dict[str, Any]:
        request = self.request
        raw_path, _, query = request.path.partition("?")
        kind = "websocket" if "sec-websocket-key" in request.fields else "http"
        plain = {"http": "http", "websocket": "ws"}[kind]
        client, scheme = self._client, plain + "s" if self._secure else plain
        # The trusted proxies in front know better.
        client, scheme = self._site.client_of(request, client, scheme)
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
        self._site.complete_scope(scope)
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
