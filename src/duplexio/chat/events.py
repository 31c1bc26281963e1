"""What the members of a room are told, in the two shapes in which it travels.

A client of the chat's own protocol gets an event as JSON; one that reads plain lines, as a person
at a terminal or a browser of 2010 does, gets those events that have a line. Each shape is made
once, however many members there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .errors import ChatError

__all__ = ["Event", "Message", "error_event", "welcome_lines"]

_encode = msgspec.json.Encoder().encode


class Message(msgspec.Struct, frozen=True):
    """A message of a room.

    Attributes:
        room: The room.
        number: 1 for the room's first message, and so on without gaps; 0 until it is kept.
        id: What the sender's client calls it; it may send it again without saying it twice.
        uid: The sender.
        name: The sender's nickname at that time.
        text: What was said.
        time: When, in milliseconds since 1970.
    """

    room: str
    number: int
    id: str
    uid: str
    name: str
    text: str
    time: int

    def told(self) -> dict[str, Any]:
        """Return what members are told of it."""
        return {
            "n": self.number,
            "id": self.id,
            "uid": self.uid,
            "name": self.name,
            "text": self.text,
            "time": self.time,
        }

    def line(self) -> str:
        """Return the message as a plain line."""
        return f"{self.name}:{self.text}"


class Event:
    """Something that members are told.

    Args:
        kind: What it is, such as ``"message"`` or ``"joined"``.
        data: Its other fields in JSON.
        lines: What it is in plain lines; mostly one or none.
        about: The uid of the member who did it and is not told it in lines, as they did it.

    Example:
        >>> Event("left", {"uid": "4f", "name": "Ada"}, ["Ada Logout"]).json
        '{"type":"left","uid":"4f","name":"Ada"}'
    """

    __slots__ = ("_json", "about", "data", "kind", "lines")

    def __init__(
        self,
        kind: str,
        data: dict[str, Any],
        lines: Sequence[str] = (),
        about: str | None = None,
    ) -> None:
        self.kind = kind
        self.data = data
        self.lines = lines
        self.about = about
        self._json: str | None = None

    @property
    def json(self) -> str:
        """The event as JSON."""
        if self._json is None:
            self._json = _encode({"type": self.kind, **self.data}).decode()
        return self._json


def error_event(error: ChatError, message_id: str | None = None) -> Event:
    """Make the event that tells a visitor of a refusal.

    Args:
        error: The refusal.
        message_id: The message that was refused, if it was one.
    """
    data: dict[str, Any] = {"code": error.code, "text": error.text}
    if error.retry is not None:
        data["retry"] = round(error.retry, 3)
    if message_id is not None:
        data["id"] = message_id
    return Event("error", data, [f"* {error.text}"])


def welcome_lines(name: str, messages: Sequence[Message]) -> list[str]:
    """Return what a newcomer reads first in plain lines.

    Args:
        name: The newcomer's nickname.
        messages: The last messages.

    Example:
        >>> welcome_lines("Ada", [])
        ['Welcome, Ada !']
    """
    return [f"Welcome, {name} !", *(message.line() for message in messages)]
