"""The Socket.IO application that all Python servers run; node_socketio.js is its twin.

ack        is acknowledged with its argument
echo       is emitted back to its sender
broadcast  is emitted to everybody
room       is emitted to the next of the rooms, which have ten members each
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from typing import Any

import msgspec

MEMBERS = 10
GROUPS = 100
"""Groups of clients that are in the same rooms: 1,000 clients fill them."""


class Message(msgspec.Struct):
    """What the load generator sends, when it is short."""

    id: str
    n: int
    ok: bool
    text: str


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--handlers", choices=("plain", "suspend", "typed"), default="plain")
    parser.add_argument("--rooms", type=int, default=0, help="with ten members each")
    parser.add_argument("--in-two-rooms", action="store_true", help="each client, when it connects")


def add_handlers(sio: Any, arguments: argparse.Namespace) -> None:
    """Register the handlers on a server of either library."""
    {"plain": _add_plain, "suspend": _add_suspending, "typed": _add_typed}[arguments.handlers](sio)
    if arguments.in_two_rooms:
        _enter_two_rooms(sio)
    elif arguments.rooms:
        _add_rooms(sio, arguments.rooms)


def _add_plain(sio: Any) -> None:
    @sio.event
    async def ack(sid: str, data: Any) -> Any:
        return data

    @sio.event
    async def echo(sid: str, data: Any) -> None:
        await sio.emit("echo", data, to=sid)

    @sio.event
    async def broadcast(sid: str, data: Any) -> None:
        await sio.emit("broadcast", data)


def _add_suspending(sio: Any) -> None:
    @sio.event
    async def ack(sid: str, data: Any) -> Any:
        await asyncio.sleep(0)
        return data


def _add_typed(sio: Any) -> None:
    @sio.event
    async def ack(sid: str, data: Message) -> Message:
        return data

    @sio.event
    async def echo(sid: str, data: Message) -> None:
        await sio.emit("echo", data, to=sid)


def _enter_two_rooms(sio: Any) -> None:
    clients = itertools.count()

    @sio.event
    async def connect(sid: str, environ: Any, auth: Any) -> None:
        await sio.enter_room(sid, "lobby")
        await sio.enter_room(sid, f"table-{next(clients) % 100}")


def _add_rooms(sio: Any, count: int) -> None:
    clients, turns = itertools.count(), itertools.count()

    @sio.event
    async def connect(sid: str, environ: Any, auth: Any) -> None:
        group = next(clients) // MEMBERS % GROUPS
        for number in range(group, count, GROUPS):
            await sio.enter_room(sid, f"room-{number}")

    @sio.event
    async def room(sid: str, data: Any) -> None:
        await sio.emit("room", data, to=f"room-{next(turns) % count}")
