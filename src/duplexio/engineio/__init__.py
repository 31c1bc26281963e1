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
    from .async_client import AsyncClient as AsyncClient
    from .client_dialing import connect as connect
    from .client_options import ClientOptions as ClientOptions
    from .client_options import Remembered as Remembered
    from .client_session import ClientSession as ClientSession
    from .encoded import Encoded as Encoded
    from .exceptions import ConnectionRefusedError as ConnectionRefusedError
    from .exceptions import EngineIOError as EngineIOError
    from .exceptions import PacketError as PacketError
    from .exceptions import PayloadTooLarge as PayloadTooLarge
    from .exceptions import RequestError as RequestError
    from .exceptions import SendBufferFull as SendBufferFull
    from .server import AsyncServer as AsyncServer
    from .session import Session as Session
    from .session import SessionHandler as SessionHandler
    from .sync_client import Client as Client

_MODULES = {
    "asgi": ("ASGIApp",),
    "async_client": ("AsyncClient",),
    "client_dialing": ("connect",),
    "client_options": ("ClientOptions", "Remembered"),
    "client_session": ("ClientSession",),
    "encoded": ("Encoded",),
    "exceptions": (
        "ConnectionRefusedError",
        "EngineIOError",
        "PacketError",
        "PayloadTooLarge",
        "RequestError",
        "SendBufferFull",
    ),
    "server": ("AsyncServer",),
    "session": ("Session", "SessionHandler"),
    "sync_client": ("Client",),
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
