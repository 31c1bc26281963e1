"""What a client says, and what it is told: the chat's own protocol in JSON, and plain lines.

A session is the same over a WebSocket and over long polling; the transport gives it what arrives
and is its outlet.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import Protocol

import msgspec

from .errors import ChatError
from .events import Event, error_event
from .names import clean_room
from .rooms import Entry, Seat
from .service import Service

__all__ = ["SUBPROTOCOL", "JsonSession", "LineSession", "Outlet"]

#: The WebSocket subprotocol of clients that speak JSON. Those that ask for none get plain lines.
SUBPROTOCOL = "chat.duplexio"

# Requests that may wait while the history is read for the one before.
_MAX_WAITING = 64


class Join(msgspec.Struct, tag_field="type", tag="join", frozen=True):
    """Enter a room; see :class:`.rooms.Entry`."""

    name: str
    room: str = ""
    uid: str = ""
    key: str = ""
    history: str = ""
    last: int | None = None


class Say(msgspec.Struct, tag_field="type", tag="say", frozen=True):
    """Say something in the room."""

    id: str
    text: str


class Typing(msgspec.Struct, tag_field="type", tag="typing", frozen=True):
    """Let the others know that somebody is typing."""


class Leave(msgspec.Struct, tag_field="type", tag="leave", frozen=True):
    """Leave the room, for good."""


Request = Join | Say | Typing | Leave

_decode = msgspec.json.Decoder(Request).decode


class Outlet(Protocol):
    """What a session needs of its transport."""

    def send(self, text: str) -> None:
        """Send a message to the client; does nothing when it is gone."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection with a WebSocket close code, once all is sent."""


class Session(Seat):
    """What both kinds of sessions share.

    Args:
        service: The rooms and the history.
        outlet: The transport.
    """

    def __init__(self, service: Service, outlet: Outlet) -> None:
        super().__init__()
        self.service = service
        self.outlet = outlet
        self.entering = False
        self.gone = False
        self._waiting: deque[Say | Typing | Leave | Join] = deque()

    def do(self, request: Request) -> None:
        """Do what the client asks for, after what it has asked for before."""
        if self.entering:
            if len(self._waiting) >= _MAX_WAITING:
                self.outlet.end(1008, "too many requests before entering a room")
                return
            self._waiting.append(request)
            return
        try:
            if isinstance(request, Say):
                self.service.say(self, request.id, request.text)
            elif isinstance(request, Join):
                self._enter(request)
            elif isinstance(request, Typing):
                self.service.hub.typing(self)
                self.service.schedule()
            else:
                self.leave()
        except ChatError as exc:
            self.deliver(error_event(exc, request.id if isinstance(request, Say) else None))

    def _enter(self, request: Join) -> None:
        limits = self.service.limits
        entry = Entry(
            room=clean_room(request.room, limits),
            name=request.name,
            uid=request.uid,
            key=request.key,
            history=request.history,
            last=request.last,
        )
        self.entering = True
        self.service.enter(self, entry, self._entered)

    def _entered(self, error: ChatError | None) -> None:
        self.entering = False
        if self.gone:
            self.service.hub.drop(self)
            self.service.schedule()
            return
        if error is not None:
            self.refused_entry(error)
        while self._waiting and not self.entering:
            self.do(self._waiting.popleft())

    def refused_entry(self, error: ChatError) -> None:
        """Tell the client that it cannot enter."""
        self.deliver(error_event(error))

    def leave(self) -> None:
        """Leave the room, for good."""
        self.service.hub.leave(self)
        self.service.schedule()

    def lost(self) -> None:
        """Take note that the connection has ended."""
        self.gone = True
        if not self.entering:
            self.service.hub.drop(self)
            self.service.schedule()


class JsonSession(Session):
    """A client that speaks JSON.

    Example:
        A client sends ``{"type": "join", "room": "lobby", "name": "Ada"}`` and is told
        ``{"type": "welcome", "uid": "…", …}``.
    """

    def receive(self, message: str | bytes) -> None:
        """Take a message of the client."""
        try:
            request = _decode(message)
        except (msgspec.DecodeError, UnicodeError) as exc:
            self.deliver(error_event(ChatError("bad_request", f"Not understood: {exc}")))
            return
        self.do(request)

    def deliver(self, event: Event) -> None:
        """Tell the client something."""
        self.outlet.send(event.json)


class LineSession(Session):
    """A client that speaks plain lines: first its name, then what it says, at last ``quit``.

    Args:
        service: The rooms and the history.
        outlet: The transport.
        room: The room that it has asked for.
    """

    resumable = False

    def __init__(self, service: Service, outlet: Outlet, room: str) -> None:
        super().__init__(service, outlet)
        self.room = room

    def receive(self, message: str | bytes, message_id: str = "") -> None:
        """Take a line of the client.

        Args:
            message: The line; it may contain line breaks.
            message_id: What the client calls it, if it may send it again.
        """
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        if not text.strip():
            return
        if self.member is None and not self.entering:
            self.enter(text)
        elif text.strip() == "quit":
            self.do(Leave())
        else:
            self.do(Say(id=message_id or secrets.token_urlsafe(12), text=text))

    def enter(self, name: str) -> None:
        """Enter the room with a name."""
        self.do(Join(name=name, room=self.room))

    def leave(self) -> None:
        """Leave the room and close the connection."""
        super().leave()
        self.outlet.end(1000, "")

    def deliver(self, event: Event) -> None:
        """Tell the client what there is to tell in lines."""
        if event.about is not None and self.member is not None and event.about == self.member.uid:
            return
        for line in event.lines:
            self.outlet.send(line)
