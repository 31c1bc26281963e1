"""Engine.IO, protocols 3 and 4: sessions of messages over HTTP long polling and WebSocket.

The names are those of python-engineio. They are imported from their modules when they are first
used.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = {
    "asgi": ("ASGIApp",),
    "encoded": ("Encoded",),
    "exceptions": ("ConnectionRefusedError", "EngineIOError", "PacketError", "RequestError"),
    "server": ("AsyncServer",),
    "session": ("Session", "SessionHandler"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("." + module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
