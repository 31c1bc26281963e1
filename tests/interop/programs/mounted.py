"""Socket.IO mounted into an application, as FastAPI's users do."""

import socketio
from fastapi import FastAPI

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=["http://example.com"])
app = FastAPI()
app.mount("/ws", socketio.ASGIApp(sio, socketio_path="/ws/socket.io"))


@app.get("/")
def index():
    return {"hello": "world"}


@sio.on("*")
async def anything(event, sid, *data):
    await sio.emit("caught", {"event": event, "data": list(data)}, to=sid)
    return event


@sio.on("*", namespace="*")
async def anywhere(event, namespace, sid, *data):
    return [namespace, event, *data]


@sio.on("connect", namespace="/known")
async def connect_known(sid, environ):
    pass
