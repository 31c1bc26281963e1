"""WebSocket: server and client, asyncio and blocking, and every draft that browsers ever spoke.

Three programming interfaces stand on one protocol:

* coroutines (``serve``, ``connect``), with the names of the ``websockets`` library;
* callbacks (``Listener``), for those who need every microsecond;
* blocking calls (``create_connection``, ``WebSocketApp``), with the names of ``websocket-client``.

Names are imported from their modules when they are first used, so a blocking program does not pay
for asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_MODULES = {
    "connection": ("Connection", "ConnectionHandler"),
    "deflate": (
        "ClientPerMessageDeflateFactory",
        "PerMessageDeflate",
        "ServerPerMessageDeflateFactory",
    ),
    "exceptions": (
        "ConcurrencyError",
        "ConnectionClosed",
        "ConnectionClosedError",
        "ConnectionClosedOK",
        "DuplicateParameter",
        "InvalidHandshake",
        "InvalidHeader",
        "InvalidHeaderFormat",
        "InvalidHeaderValue",
        "InvalidMessage",
        "InvalidMethod",
        "InvalidOrigin",
        "InvalidParameterName",
        "InvalidParameterValue",
        "InvalidProtocol",
        "InvalidProxy",
        "InvalidProxyMessage",
        "InvalidProxyStatus",
        "InvalidState",
        "InvalidStatus",
        "InvalidURI",
        "InvalidUpgrade",
        "NegotiationError",
        "PayloadTooBig",
        "ProtocolError",
        "ProxyError",
        "SecurityError",
        "TooManyFragments",
        "WebSocketException",
    ),
    "frames": ("Close", "CloseCode", "Frame", "Opcode", "State"),
    "headers": ("Headers", "HeadersLike", "MultipleValuesError"),
    "http11": ("Request", "Response"),
    "listener": ("Listener", "ListenerConnection"),
    "origins": ("SAME_ORIGIN",),
    "server": ("Server", "ServerConnection", "basic_auth", "serve", "unix_serve"),
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
