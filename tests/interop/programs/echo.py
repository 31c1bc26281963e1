"""An echo, as tutorials have it."""

import socketio

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
app = socketio.ASGIApp(sio)


@sio.event
async def connect(sid, environ):
    await sio.emit("server_response", {"data": "connected", "count": 0}, room=sid)


@sio.event
async def my_event(sid, msg):
    await sio.emit("server_response", {"data": msg["data"].upper()})


@sio.on("my message")
async def my_message(sid, data):
    await sio.emit("server_response", {"data": data}, to=sid)
    return "received", len(data)


@sio.event
async def picture(sid, name, data):
    await sio.emit("picture", (name, {"bytes": data, "size": len(data)}), to=sid)
    return data[::-1]


@sio.event
def message(sid, data):
    return {"got": data}


@sio.event
async def send_me(sid, data):
    await sio.send(data, to=sid)


@sio.event
async def nothing(sid):
    pass


@sio.event
async def many(sid, *args):
    return args


@sio.event
async def fails(sid):
    raise RuntimeError("a mistake")


@sio.event
async def disconnect_request(sid):
    await sio.disconnect(sid)
