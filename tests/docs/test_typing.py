"""What mypy and pyright see of a Socket.IO program: its handlers' types, and its mistakes."""

import re
import subprocess
import sys

import pytest

PROGRAM = """
from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, assert_type

import msgspec

from duplexio import engineio, socketio


class Move(msgspec.Struct):
    x: int
    y: int = 0


sio = socketio.AsyncServer(cors_allowed_origins="*", max_rooms=3)
app = socketio.ASGIApp(sio)
eio = engineio.AsyncServer()


@sio.event
def move(sid: str, where: Move) -> int:
    return where.x


@sio.on("named", namespace="/a", validate=True)
def named(sid: str, data: dict[str, int]) -> socketio.NoAck:
    return socketio.NO_ACK


@sio.event(namespace="/a")
async def other(sid: str) -> str:
    return "x"


@sio.use_for_connections
async def check(request: socketio.ConnectRequest, proceed: Any) -> Any:
    assert_type(request.environ, dict[str, Any])
    return await proceed()


@sio.use_for_events(namespace="/a")
def each(event: socketio.Event, proceed: Any) -> str:
    return event.sid


@sio.on_any
def listener(event: str, namespace: str, sid: str, *args: Any) -> None: ...


@eio.on("message")
def message(sid: str, data: str | bytes) -> None: ...


class Chat(socketio.AsyncNamespace):
    async def on_say(self, sid: str, text: str) -> None:
        await self.emit("x", text, to=sid)
        async with self.session(sid) as session:
            assert_type(session, dict[str, Any])


sio.register_namespace(Chat("/chat"))


async def main() -> None:
    assert_type(move("a", Move(1)), int)
    assert_type(named("a", {"x": 1}), socketio.NoAck)
    assert_type(await other("a"), str)
    assert_type(each(socketio.Event("x", [], "a", "/"), None), str)
    assert_type(listener("x", "/", "a"), None)
    assert_type(message("a", b""), None)
    await sio.emit("x", 1, to="a", skip_sid=["b"])
    assert_type(sio.rooms("a"), list[Any])
    async with sio.session("a") as session:
        assert_type(session, dict[str, Any])
    assert_type(sio.manager.rooms, Mapping[str, Mapping[Any, Mapping[str, str]]])
    assert_type(sio.hub.counters, dict[str, int])
    assert_type(socketio.Limits().max_rooms, int)
"""

#: Each line is a mistake.
MISTAKES = """
move("a", Move("x"))
move("a", {"x": 1})
sio.emti("x")
sio.on("x", namspace="/a")
sio.event(namespace=7)
socketio.AsyncSever()
engineio.AsyncSever()
sio.rooms(7)
named("a", {"x": "y"})
"""


def checked(tool, folder):
    """Check the program in a folder; return what the tool says, and in which lines."""
    command = {
        "mypy": ["mypy", "--strict", "--cache-dir", str(folder / "cache")],
        "pyright": ["pyright", "--pythonpath", sys.executable],
    }[tool]
    done = subprocess.run(
        [sys.executable, "-m", *command, "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    return said, {int(line) for line in re.findall(r"program\.py:(\d+):.* error: ", said)}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_types_and_mistakes(tool, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM + MISTAKES)
    first = PROGRAM.count("\n") + 2
    count = MISTAKES.count("\n") - 1
    said, lines = checked(tool, tmp_path)
    assert lines == set(range(first, first + count)), said
