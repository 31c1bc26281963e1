"""Engine.IO, protocols 3 and 4: sessions of messages over HTTP long polling and WebSocket.

The names are those of python-engineio. They are imported from their modules when they are first
used.
"""

from __future__ import annotations

from .._lazy import load

_MODULES = {
    "asgi": ("ASGIApp",),
    "encoded": ("Encoded",),
    "exceptions": ("ConnectionRefusedError", "EngineIOError", "PacketError", "RequestError"),
    "server": ("AsyncServer",),
    "session": ("Session", "SessionHandler"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    return load(__name__, _MODULE_OF, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
