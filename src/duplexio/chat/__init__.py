"""A chat room that runs on duplexio: WebSockets of every age, and long polling, on one port.

``duplexio chat`` starts it; :class:`Chat` is the ASGI application for other servers and for tests.
"""

from __future__ import annotations

from .app import Chat, create_app, default_database
from .errors import ChatError, StoreError
from .limits import Limits

__all__ = ["Chat", "ChatError", "Limits", "StoreError", "create_app", "default_database"]
