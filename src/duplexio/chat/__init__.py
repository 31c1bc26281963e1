"""A chat room that runs on duplexio: WebSockets of every age, and long polling, on one port.

``duplexio chat`` starts it; :class:`Chat` is the ASGI application for other servers and for tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import load

if TYPE_CHECKING:
    from .app import Chat, create_app, default_database
    from .errors import ChatError, StoreError
    from .limits import Limits

__all__ = ["Chat", "ChatError", "Limits", "StoreError", "create_app", "default_database"]

_MODULE_OF = {
    "Chat": "app",
    "ChatError": "errors",
    "Limits": "limits",
    "StoreError": "errors",
    "create_app": "app",
    "default_database": "app",
}


def __getattr__(name: str) -> object:
    return load(__name__, _MODULE_OF, name)
