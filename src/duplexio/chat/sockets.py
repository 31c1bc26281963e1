"""Clients on WebSockets, of RFC 6455 and of the drafts hixie-75 and hixie-76."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs

from ..errors import ConnectionClosed
from ..hosting.endpoint import Endpoint
from ..websocket.frames import CloseCode
from ..websocket.listener import Listener, ListenerConnection
from ..websocket.origins import Origins
from .errors import ChatError
from .events import error_event
from .limits import Limits
from .service import Service
from .sessions import SUBPROTOCOL, JsonSession, LineSession

__all__ = ["ChatListener", "ServiceSource", "make_endpoint"]


class ServiceSource:
    """Where listeners find the service, which exists only while the server runs.

    Attributes:
        service: The service, or ``None``.
    """

    def __init__(self) -> None:
        self.service: Service | None = None


class ChatListener(Listener):
    """A client on a WebSocket.

    Attributes:
        source: Where the service is.
    """

    source: ClassVar[ServiceSource]

    def __init__(self) -> None:
        self.session: JsonSession | LineSession | None = None
        self._service: Service | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def on_open(self, ws: ListenerConnection) -> None:
        """Begin a session, of the kind that the client speaks."""
        service = self.source.service
        if service is None:
            ws.close(CloseCode.TRY_AGAIN_LATER, "the chat is not running")
            return
        outlet = SocketOutlet(ws)
        session: JsonSession | LineSession
        if ws.subprotocol == SUBPROTOCOL:
            session = JsonSession(service, outlet)
        else:
            assert ws.request is not None
            session = LineSession(service, outlet, room_of(ws.request.path))
        try:
            service.connect()
        except ChatError as exc:
            session.deliver(error_event(exc))
            outlet.end(CloseCode.TRY_AGAIN_LATER, "the chat is full")
            return
        self._service = service
        self.session = session
        self._deadline = asyncio.get_running_loop().call_later(
            service.limits.entry_timeout, self._check_entered, outlet
        )

    def _check_entered(self, outlet: SocketOutlet) -> None:
        if self.session is not None and self.session.member is None:
            outlet.end(CloseCode.POLICY_VIOLATION, "no room was entered in time")

    def on_message(self, ws: ListenerConnection, message: str | bytes) -> None:
        """Give the session what it is told."""
        if self.session is not None:
            self.session.receive(message)

    def on_close(self, ws: ListenerConnection, code: int, reason: str) -> None:
        """End the session."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._service is not None:
            self._service.disconnect()
            self._service = None
        if self.session is not None:
            self.session.lost()
            self.session = None


class SocketOutlet:
    """A session's way to its client.

    Args:
        ws: The connection.
    """

    __slots__ = ("_ws",)

    def __init__(self, ws: ListenerConnection) -> None:
        self._ws = ws

    def send(self, text: str) -> None:
        """Send a message, unless the connection is over."""
        try:
            self._ws.send(text)
        except ConnectionClosed:
            pass

    def end(self, code: int, reason: str) -> None:
        """Close the connection."""
        self._ws.close(code, reason)


def room_of(target: str) -> str:
    """Return the room that a request asks for: the parameter ``room`` of its query.

    Example:
        >>> room_of("/chat?room=tea")
        'tea'
    """
    values = parse_qs(target.partition("?")[2], errors="replace").get("room")
    return values[0] if values else ""


def make_endpoint(source: ServiceSource, limits: Limits, origins: Origins) -> Endpoint:
    """Make the endpoint that clients on WebSockets connect to.

    Args:
        source: Where the service will be.
        limits: The limits.
        origins: Origins whose pages may connect.
    """
    listener = type("BoundChatListener", (ChatListener,), {"source": source})
    return Endpoint(
        listener,
        origins=origins,
        subprotocols=[SUBPROTOCOL],
        # Messages are short, and a compressor per client would cost more than it saves.
        compression=None,
        max_size=limits.frame,
        max_buffered=limits.backlog,
        select_subprotocol=_choose_subprotocol,
    )


def _choose_subprotocol(connection: Any, offered: Sequence[str]) -> str | None:
    """Choose the chat's own subprotocol where it is offered; clients without it speak in lines."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None
