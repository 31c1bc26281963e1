"""A chat with rooms, that remembers who is who."""

import socketio

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])
app = socketio.ASGIApp(sio, socketio_path="/chat/socket.io")


@sio.event
async def connect(sid, environ, auth):
    name = auth["name"]
    await sio.save_session(sid, {"name": name})
    await sio.emit("users", {"joined": name}, skip_sid=sid)


@sio.event
async def disconnect(sid):
    session = await sio.get_session(sid)
    await sio.emit("users", {"left": session["name"]})


@sio.event
async def enter(sid, data):
    await sio.enter_room(sid, data["room"])
    async with sio.session(sid) as session:
        session["room"] = data["room"]
    return sorted(room for room in sio.rooms(sid) if room != sid)


@sio.event
async def leave(sid, data):
    await sio.leave_room(sid, data["room"])
    return sorted(room for room in sio.rooms(sid) if room != sid)


@sio.event
async def say(sid, data):
    session = await sio.get_session(sid)
    text = f"{session['name']}: {data['text']}"
    await sio.emit("said", {"text": text}, room=session["room"], skip_sid=sid)
    return text


@sio.event
async def shout(sid, data):
    for room in data["rooms"]:
        await sio.emit("said", {"text": data["text"], "room": room}, to=room)


@sio.event
async def close(sid, data):
    await sio.emit("said", {"text": "closing"}, to=data["room"])
    await sio.close_room(data["room"])


@sio.event
async def whisper(sid, data):
    await sio.emit("said", {"text": data["text"]}, to=data["to"])
    return sio.transport(sid) in ("polling", "websocket")
