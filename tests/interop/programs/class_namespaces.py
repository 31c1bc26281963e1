"""Handlers in classes, one for each namespace."""

import socketio

sio = socketio.AsyncServer(async_mode="asgi")


class Game(socketio.AsyncNamespace):
    """The main one."""

    async def on_connect(self, sid, environ):
        await self.save_session(sid, {"moves": 0})
        await self.emit("ready", to=sid)

    async def on_move(self, sid, x, y):
        async with self.session(sid) as session:
            session["moves"] += 1
            moves = session["moves"]
        await self.emit("moved", (x, y, moves))
        return True

    def on_plain(self, sid, data):
        return data

    async def on_ask_me(self, sid):
        answer = await self.call("question", {"what": "colour"}, to=sid)
        await self.emit("answered", {"answer": answer}, to=sid)

    async def on_ask_later(self, sid):
        async def done(*args):
            await self.emit("answered", {"args": list(args)}, to=sid)

        await self.emit("question", "number", to=sid, callback=done)

    async def on_leave(self, sid):
        await self.disconnect(sid)


class Lobby(socketio.AsyncNamespace):
    """Another one, with rooms."""

    def on_connect(self, sid, environ, auth):
        if auth == {"banned": True}:
            raise socketio.exceptions.ConnectionRefusedError("banned", {"until": "tomorrow"})

    async def on_disconnect(self, sid, reason):
        await self.emit("gone", {"why": reason == self.server.reason.CLIENT_DISCONNECT})

    async def on_join(self, sid, room):
        await self.enter_room(sid, room)
        await self.emit("joined", {"room": room}, room=room)

    async def on_part(self, sid, room):
        await self.leave_room(sid, room)
        return [name for name in self.rooms(sid) if name != sid]

    async def trigger_event(self, event, *args):
        if event == "anything":
            return ["caught", *args[1:]]
        return await super().trigger_event(event, *args)


sio.register_namespace(Game("/"))
sio.register_namespace(Lobby("/lobby"))
app = socketio.ASGIApp(sio)
