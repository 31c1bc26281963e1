"""Socket.IO, protocols 3 to 5: events with acknowledgements, namespaces and rooms.

The names are those of python-socketio. They are imported from their modules when they are first
used.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = {
    "exceptions": (
        "BadNamespaceError",
        "ClientGoneError",
        "ConnectionError",
        "ConnectionRefusedError",
        "DisconnectedError",
        "LimitExceededError",
        "PacketError",
        "PayloadError",
        "SocketIOError",
        "TimeoutError",
    ),
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
