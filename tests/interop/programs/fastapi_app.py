"""FastAPI beside Socket.IO, with files."""

import socketio
from fastapi import FastAPI

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
api = FastAPI()
app = socketio.ASGIApp(
    sio,
    other_asgi_app=api,
    static_files={"/": "public/index.html", "/static": "./public"},
)
clients: list[str] = []


@api.get("/users")
async def users():
    return {"count": len(clients)}


@api.post("/announce/{text}")
async def announce(text: str):
    await sio.emit("announcement", {"text": text})
    return {"sent": text}


@sio.event
async def connect(sid, environ):
    clients.append(sid)
    query = environ["QUERY_STRING"]
    await sio.emit(
        "seen",
        {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "colour": "colour=green" in query,
            "agent": environ.get("HTTP_X_AGENT"),
            "scope": environ["asgi.scope"]["type"],
        },
        to=sid,
    )


@sio.event
async def disconnect(sid):
    clients.remove(sid)
