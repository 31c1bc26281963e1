"""Engine.IO, protocols 3 and 4: sessions of messages over HTTP long polling and WebSocket.

The names are those of python-engineio. They are imported from their modules when they are first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import load
from . import exceptions as exceptions

if TYPE_CHECKING:
    from .asgi import ASGIApp as ASGIApp
    from .encoded import Encoded as Encoded
    from .exceptions import ConnectionRefusedError as ConnectionRefusedError
    from .exceptions import EngineIOError as EngineIOError
    from .exceptions import PacketError as PacketError
    from .exceptions import RequestError as RequestError
    from .server import AsyncServer as AsyncServer
    from .session import Session as Session
    from .session import SessionHandler as SessionHandler

_MODULES = {
    "asgi": ("ASGIApp",),
    "encoded": ("Encoded",),
    "exceptions": ("ConnectionRefusedError", "EngineIOError", "PacketError", "RequestError"),
    "server": ("AsyncServer",),
    "session": ("Session", "SessionHandler"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

_ABSENT = {
    **dict.fromkeys(
        ("Server", "WSGIApp", "Middleware"),
        "servers that block, and WSGI, are not in this release; use AsyncServer and ASGIApp",
    ),
    "get_tornado_handler": "Tornado is not supported; ASGIApp runs on any ASGI server",
}


if not TYPE_CHECKING:  # a type checker is to tell of names that there are not

    def __getattr__(name: str) -> object:
        return load(__name__, _MODULE_OF, name, _ABSENT)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
