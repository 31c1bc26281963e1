"""Socket.IO under uvicorn: the same application on duplexio and on python-socketio."""

from __future__ import annotations

import importlib
from typing import Any

from bench.servers import _socketio, _uvicorn
from bench.servers._common import MAX_SIZE, Options

LIBRARIES = {"duplexio": "duplexio.socketio", "python-socketio": "socketio"}


def main() -> None:
    options = Options(choices=tuple(LIBRARIES), choice="library", more=_socketio.add_options)
    library: Any = importlib.import_module(LIBRARIES[options.choice])
    sio = library.AsyncServer(async_mode="asgi", max_http_buffer_size=MAX_SIZE)
    _socketio.add_handlers(sio, options.arguments)
    protocol = "duplexio" if options.choice == "duplexio" else "websockets-sansio"
    _uvicorn.serve(library.ASGIApp(sio), options, protocol)


if __name__ == "__main__":
    main()
