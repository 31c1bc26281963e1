"""A server with typed events, for `duplexio types`."""

import dataclasses
import enum
from typing import Literal, NotRequired, TypedDict

import msgspec

from duplexio import socketio


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct):
    """A place on the board."""

    x: int
    y: int = 0


@dataclasses.dataclass
class Message:
    text: str
    author: str | None = None
    colour: Colour = Colour.RED
    trail: list[Point] = dataclasses.field(default_factory=list)
    data: bytes = b""


class Filter(TypedDict):
    room: str
    limit: NotRequired[int]


sio = socketio.AsyncServer()


@sio.event
async def say(sid: str, message: Message) -> None:
    """Say something."""


@sio.event
def move(sid, where: Point, speed: float = 1.0) -> tuple[Point, bool]:
    return where, True


@sio.on("list rooms")
def list_rooms(sid, filter: Filter) -> dict[str, list[int]]:
    return {}


@sio.event
def anything(sid, *args):
    pass


@sio.event
def connect(sid, environ):
    pass


class Admin(socketio.AsyncNamespace):
    def on_ban(self, sid, user: str, delete: Literal["all", "none"]) -> bool:
        return True


sio.register_namespace(Admin("/admin-area"))
sio.declare("said", Message)
sio.declare("question", str, Point, Point, answer=bool)
sio.declare("banned", str, namespace="/admin-area")
app = socketio.ASGIApp(sio)
