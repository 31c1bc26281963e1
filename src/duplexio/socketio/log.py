"""What a server logs of events: which client, which event, and nothing of what is in it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .client import Client

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["EventLog"]


class EventLog:
    """Logs the names of events that come and go.

    Their arguments are not logged, since they may hold secrets; nor is the id of a client of an old
    protocol, which is that of its session and lets whoever knows it speak in the client's name.

    Args:
        hub: What the connections of the server share; its logger is the one that is used.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def came(self, event: Any, namespace: str, sid: str, *args: Any) -> None:
        """Log an event of a client."""
        if self._hub.logger.isEnabledFor(logging.INFO):
            self._hub.logger.info("%s: event %.300r", self._label(sid, namespace), event)

    def went(self, event: Any, namespace: str, to: Any, *args: Any) -> None:
        """Log an event that is emitted."""
        if not self._hub.logger.isEnabledFor(logging.INFO):
            return
        if to is None:
            whom = "all"
        elif isinstance(to, list | tuple | set | frozenset):
            whom = ", ".join([self._label(name, namespace) for name in to]) or "nobody"
        else:
            whom = self._label(to, namespace)
        where = namespace if namespace.isprintable() else repr(namespace)
        self._hub.logger.info("emit %r to %s in %s", event, whom, where)

    def _label(self, name: Any, namespace: str) -> str:
        adapter = self._hub.adapters.get(namespace)
        client = None if adapter is None else adapter.members.get(name)
        return client.label() if isinstance(client, Client) else f"room {name!r}"
