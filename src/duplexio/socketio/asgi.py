"""A Socket.IO server as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engineio.asgi import ASGIApp as EngineApp
from ..engineio.static_files import StaticFiles

__all__ = ["ASGIApp"]


class ASGIApp(EngineApp):
    """An ASGI application made of a Socket.IO server, and of what is served beside it.

    Args:
        socketio_server: The server.
        other_asgi_app: The application for all other requests.
        static_files: Files to serve, see :func:`duplexio.engineio.static_files.find_file`.
        socketio_path: Path of the server; ``None`` gives it all requests.
        on_startup: Called when the application starts; may be a coroutine function.
        on_shutdown: Called when it stops; may be a coroutine function.

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
