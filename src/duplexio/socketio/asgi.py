"""A Socket.IO server as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engineio.asgi import ASGIApp as EngineApp
from ..engineio.asgi import Scope, Send, respond
from ..engineio.static_files import StaticFiles
from .browser import FILES, etag

__all__ = ["ASGIApp"]


class ASGIApp(EngineApp):
    """An ASGI application made of a Socket.IO server, and of what is served beside it.

    Args:
        socketio_server: The server.
        other_asgi_app: The application for all other requests.
        static_files: Files to serve, see :func:`duplexio.engineio.static_files.find_file`.
        socketio_path: Path of the server, with or without the one that the application is mounted
            on; ``None`` gives it all requests.
        on_startup: Called when the application starts; may be a coroutine function.
        on_shutdown: Called when it stops; may be a coroutine function.
        serve_client: Whether the client for browsers is served below the server's path:
            ``duplexio.js``, an ES module, and ``socket.io.js``, a script that defines ``io``.

    Example:
        >>> from duplexio import socketio
        >>> sio = socketio.AsyncServer()
        >>> app = socketio.ASGIApp(sio, static_files={"/": "index.html"})
    """

    def __init__(
        self,
        socketio_server: Any,
        other_asgi_app: Any = None,
        static_files: StaticFiles | None = None,
        socketio_path: str | None = "socket.io",
        on_startup: Callable[[], Any] | None = None,
        on_shutdown: Callable[[], Any] | None = None,
        serve_client: bool = True,
    ) -> None:
        super().__init__(
            socketio_server,
            other_asgi_app,
            static_files=static_files,
            engineio_path=socketio_path,
            on_startup=on_startup,
            on_shutdown=on_shutdown,
        )
        self.socketio_server = socketio_server
        self.serve_client = serve_client

    async def serve_beside(self, scope: Scope, path: str, send: Send) -> bool:
        """Serve the client for browsers."""
        name = self.client_file(path)
        if name is None:
            return await super().serve_beside(scope, path, send)
        await _serve_client(name, scope, send)
        return True

    def serves(self, path: str) -> bool:
        """Tell whether requests for a path are the server's.

        Args:
            path: The path, without the one that the application is mounted on.
        """
        return super().serves(path) and self.client_file(path) is None

    def client_file(self, path: str) -> str | None:
        """Return which file of the client a path stands for.

        Args:
            path: The path, without the one that the application is mounted on.
        """
        prefix, _, name = path.rpartition("/")
        if not self.serve_client or name not in FILES:
            return None
        return name if prefix == (self.engineio_path or "/")[:-1] else None


async def _serve_client(name: str, scope: Scope, send: Send) -> None:
    """Answer with a file of the client."""
    if scope["method"] not in ("GET", "HEAD"):
        await respond(send, 405, ((b"allow", b"GET, HEAD"),), b"")
        return
    read, content_type = FILES[name]
    tag = etag(name).encode()
    headers = (
        (b"content-type", content_type.encode()),
        (b"etag", tag),
        # Asked for each time, and sent when it has changed: an update reaches every page.
        (b"cache-control", b"public, max-age=0"),
        (b"x-content-type-options", b"nosniff"),
        # Modules are fetched with CORS, and this one is the same for everybody.
        (b"access-control-allow-origin", b"*"),
    )
    if tag in dict(scope["headers"]).get(b"if-none-match", b""):
        await respond(send, 304, headers, b"", head=True)
        return
    await respond(send, 200, headers, read().encode(), head=scope["method"] == "HEAD")
