"""Clients that are not let in, in all the ways there are."""

import socketio
from socketio.exceptions import ConnectionRefusedError

sio = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(sio)


@sio.event
async def connect(sid, environ, auth):
    if auth is None:
        raise ConnectionRefusedError("authentication failed")
    how = auth["how"]
    if how == "false":
        return False
    if how == "data":
        raise ConnectionRefusedError("no", {"code": 401, "hint": "é"})
    if how == "several":
        raise ConnectionRefusedError("no", 1, "two")
    if how == "empty":
        raise ConnectionRefusedError
    if how == "before":
        await sio.emit("hello", {"early": True}, to=sid)
    return None


@sio.on("connect", namespace="/sync")
def connect_sync(sid, environ):
    raise socketio.exceptions.ConnectionRefusedError("never here")


@sio.event
async def ping_me(sid):
    return "pong"


@sio.on("connect", namespace="/ok")
def connect_ok(sid, environ):
    return "whatever"
