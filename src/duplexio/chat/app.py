"""The chat as an application: pages, WebSockets and long polls on one port."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..hosting.endpoint import Routes
from ..websocket.origins import SAME_ORIGIN, Origins
from .folders import data_folder
from .http import Receive, Scope, Send, header, respond
from .limits import Limits
from .polling import Polling
from .service import Service
from .sockets import ServiceSource, make_endpoint
from .store import Store

__all__ = ["Chat", "create_app", "default_database"]

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("chat.html", "text/html; charset=utf-8"),
    "/chat.css": ("chat.css", "text/css; charset=utf-8"),
    "/chat.js": ("chat.js", "text/javascript; charset=utf-8"),
    "/plain": ("plain.html", "text/html; charset=utf-8"),
    "/plain.js": ("plain.js", "text/javascript; charset=utf-8"),
    "/plain.css": ("plain.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

# RFC 3986 §3.2: what a host and port may look like, as far as it is put into a header here.
_is_host = re.compile(r"[A-Za-z0-9.\-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?").fullmatch


def default_database() -> Path:
    """Return the file with the user's history."""
    return data_folder() / "chat.db"


class Chat:
    """The chat: an ASGI application.

    Under duplexio's front door (``duplexio serve``, ``duplexio chat``) the WebSockets are served
    natively, and browsers of before RFC 6455 too if it is set to; under another ASGI server they
    are ASGI WebSockets. It keeps its rooms in the process, so run one worker.

    Args:
        database: The file with the history; ``":memory:"`` keeps it no longer than the server
            runs; ``None`` is the file in the user's data folder.
        shown: How many of the last messages a newcomer sees.
        keep: How many messages of each room are kept; 0 for all.
        limits: The limits; :class:`Limits` has their defaults.
        origins: Origins whose pages may connect, as for ``duplexio.websocket.serve``.

    Attributes:
        app: The application that the front door finds the WebSockets' endpoint in.

    Raises:
        StoreError: From the server's start, when the database cannot be used.

    Example:
        >>> app = Chat(":memory:").app
    """

    def __init__(
        self,
        database: str | Path | None = None,
        *,
        shown: int = 50,
        keep: int = 10_000,
        limits: Limits | None = None,
        origins: Origins = SAME_ORIGIN,
    ) -> None:
        self._database = default_database() if database is None else database
        self._shown = shown
        self._keep = keep
        self._limits = limits or Limits()
        self._origins = origins
        self._store: Store | None = None
        self._source = ServiceSource()
        self._polling: Polling | None = None
        self._files = {
            path: ((_PAGE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()
        }
        endpoint = make_endpoint(self._source, self._limits, origins)
        # Some clients can be told a host and a port only.
        self.app = Routes({"/chat": endpoint, "/": endpoint}, self._serve)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve everything but WebSockets."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await _refuse_websocket(scope, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path") or "")
        if path.startswith("/poll/") and self._polling is not None:
            await self._polling(scope, receive, send)
        elif path not in self._files:
            await respond(send, 404, "Not Found\n")
        elif scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, "Method Not Allowed\n", headers=[(b"allow", b"GET, HEAD")])
        else:
            await self._send_file(path, scope, send)

    async def _send_file(self, path: str, scope: Scope, send: Send) -> None:
        """Send a file of the page."""
        data, kind = self._files[path]
        headers = [(b"cache-control", b"no-cache"), (b"referrer-policy", b"no-referrer")]
        if kind.startswith("text/html"):
            policy = content_security_policy(header(scope, b"host") or "")
            headers.append((b"content-security-policy", policy.encode("ascii")))
        await respond(send, 200, data, kind, headers)

    # From start to end

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.start()
        except Exception as exc:
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def open_history(self) -> None:
        """Open the database now, instead of when the server starts.

        Raises:
            StoreError: When it cannot be used.
        """
        if self._store is None:
            self._store = Store(self._database, self._keep)

    def start(self) -> None:
        """Open the history and the rooms; ASGI servers do it when they start.

        Raises:
            StoreError: When the database cannot be used.
        """
        self.open_history()
        assert self._store is not None
        service = Service(self._store, self._limits, self._shown)
        self._store = None
        self._polling = Polling(service, self._origins)
        self._source.service = service

    def stop_polls(self) -> None:
        """Answer the polls that wait, before a server waits for them to end."""
        if self._polling is not None:
            self._polling.close()

    async def stop(self) -> None:
        """Close the rooms and the history; ASGI servers do it when they stop."""
        self.stop_polls()
        service, self._source.service = self._source.service, None
        if service is not None:
            await service.close()


def create_app() -> Any:
    """Make the chat with its defaults: ``duplexio serve --factory duplexio.chat:create_app``."""
    return Chat().app


async def _refuse_websocket(scope: Scope, send: Send) -> None:
    """Say where the chat's WebSocket is, to a client that asks for one elsewhere."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    text = b"There is no WebSocket here; the chat's is at /chat.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
    start = {"type": "websocket.http.response.start", "status": 404, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": text})


def content_security_policy(host: str) -> str:
    """Return the policy of the page: it loads, and talks to, nothing but its own server.

    Args:
        host: The value of the request's ``Host`` header.

    Example:
        >>> "connect-src 'self' ws://localhost:8000 wss://localhost:8000" in (
        ...     content_security_policy("localhost:8000"))
        True
    """
    # Older browsers do not count ws: of the same host as 'self'.
    sockets = f" ws://{host} wss://{host}" if _is_host(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        f" connect-src 'self'{sockets}; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    )
