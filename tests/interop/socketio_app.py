"""The application that Socket.IO clients of all kinds are tried on.

It is run by a server in a process of its own, and prints what happens as lines of JSON. Settings
come from the environment: SERIALIZER, and PING with the seconds between heartbeats.
"""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import parse_qs

from duplexio import socketio

HERE = Path(__file__).parent
PING = float(os.environ.get("PING", "25"))

sio = socketio.AsyncServer(
    async_mode="asgi",
    cors_allowed_origins=json.loads(os.environ.get("ORIGINS", "null")),
    serializer=os.environ.get("SERIALIZER", "default"),
    ping_interval=PING,
    ping_timeout=PING,
    jsonp=True,
)
numbers: dict[str, list[int]] = {}
left: dict[str, asyncio.Future[str]] = {}


def show(*event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def token_of(environ):
    """Return what a client calls itself."""
    return parse_qs(environ["QUERY_STRING"]).get("token", [""])[0]


def gone(token):
    """Return the future of the reason why a client leaves."""
    return left.setdefault(token, asyncio.get_running_loop().create_future())


@sio.event
async def connect(sid, environ):
    query = parse_qs(environ["QUERY_STRING"])
    if "refuse" in query:
        raise socketio.ConnectionRefusedError("not today", {"code": 7, "words": ["a", "é"]})
    # What is sent meanwhile waits until the client knows that it is connected.
    await sio.emit("welcome", {"transport": sio.transport(sid)}, to=sid)
    numbers[sid] = []
    show("connect", token_of(environ))


@sio.event
def disconnect(sid, reason):
    numbers.pop(sid, None)
    token = token_of(sio.get_environ(sid))
    show("disconnect", token, reason)
    if token and not gone(token).done():
        gone(token).set_result(reason)


@sio.event
async def echo(sid, *args):
    await sio.emit("echo", args, to=sid)


@sio.event
def ack(sid, *args):
    return args or None


@sio.event
def codes(sid, text):
    """Return what a text consists of."""
    return [ord(letter) for letter in text]


@sio.event
async def ask(sid, *args):
    """Ask the client the same, and return its answer."""
    return await sio.call("question", args, to=sid, timeout=10)


@sio.event
async def ask_by_callback(sid, *args):
    answer = asyncio.get_running_loop().create_future()
    await sio.emit("question", args, to=sid, callback=lambda *values: answer.set_result(values))
    return await asyncio.wait_for(answer, 10)


@sio.event
def number(sid, value):
    numbers[sid].append(value)


@sio.event
def counted(sid):
    return numbers[sid]


@sio.event
async def flood(sid, count):
    """Emit numbers, a few at a time."""
    for value in range(count):
        await sio.emit("number", value, to=sid)
        if value % 3 == 2:
            await sio.sleep(0.001)


@sio.event
def transport(sid):
    return sio.transport(sid)


@sio.event
async def join(sid, room):
    await sio.enter_room(sid, room)
    return sorted(name for name in sio.rooms(sid) if name != sid)


@sio.event
async def leave(sid, room):
    await sio.leave_room(sid, room)
    return sorted(name for name in sio.rooms(sid) if name != sid)


@sio.event
async def say(sid, room, text, skip):
    await sio.emit("said", text, to=room, skip_sid=sid if skip else None)


@sio.event
async def kick(sid):
    await sio.disconnect(sid)


@sio.event
async def why(sid, token):
    """Return why another client has left, once it has."""
    return await asyncio.wait_for(asyncio.shield(gone(token)), 10)


# Other namespaces


@sio.on("connect", namespace="/admin")
def connect_admin(sid, environ, auth):
    # The old clients in Python can say something with the connection only.
    if "secret" not in ((auth or {}).get("key"), *parse_qs(environ["QUERY_STRING"]).get("key", [])):
        raise socketio.ConnectionRefusedError("who are you?", {"code": 401})


@sio.on("ack", namespace="/admin")
def ack_admin(sid, *args):
    return "admin", *args


@sio.on("kick", namespace="/admin")
async def kick_admin(sid):
    await sio.disconnect(sid, namespace="/admin")


@sio.on("connect", namespace="/closed")
def connect_closed(sid, environ):
    return False


@sio.on("ack", namespace=re.compile(r"/room-\d+"))
def ack_room(namespace, sid, *args):
    return namespace, *args


PAGES = {
    "/": str(HERE / "socketio_page.html"),
    "/checks.js": {
        "filename": str(HERE / "socketio_checks.cjs"),
        "content_type": "text/javascript; charset=utf-8",
    },
    "/clients": str(HERE / "node_modules"),
}
app = socketio.ASGIApp(sio, static_files=PAGES)
