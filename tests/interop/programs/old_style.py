"""A program from the days of python-socketio 4, ported just so far that it runs on 5."""

import socketio

sio = socketio.AsyncServer(
    async_mode="asgi", async_handlers=False, ping_interval=25, ping_timeout=5
)
app = socketio.ASGIApp(sio, None, static_files=None, socketio_path="socket.io")
log: list[str] = []


def on_connect(sid, environ):
    log.append("connect")


def on_disconnect(sid):
    log.append("disconnect")


sio.on("connect", on_connect)
sio.on("disconnect", handler=on_disconnect)


@sio.on("slow")
async def slow(sid, number):
    await sio.sleep(0.05 if number == 0 else 0)
    log.append(f"slow {number}")


@sio.on("log")
def get_log(sid):
    return list(log)


@sio.on("numbers")
async def numbers(sid, count):
    for number in range(count):
        await sio.emit("number", number, room=sid, ignore_queue=True)


@sio.on(7)
async def seven(sid, data):
    return [7, data]


@sio.event(namespace="/other")
async def ping_me(sid, *args):
    await sio.emit("ponged", list(args), namespace="/other", room=sid)


@sio.event
async def odd(sid):
    await sio.emit("odd", None, to=sid)
    await sio.emit("odd", [], to=sid)
    await sio.emit("odd", (), to=sid)
    await sio.emit("odd", ("a", None, {"b": [1, 2.5, True]}), to=sid)
    await sio.emit("odd", {"nested": {"list": [{"x": b"\x00\x01"}]}}, to=sid)
    await sio.emit("odd", "\u2028 é 😀", to=sid)
    await sio.emit("odd", {1: "one", "2": 2}, to=sid)
    await sio.emit("odd", 2**53, to=sid)
    await sio.emit("odd", to=[sid])
