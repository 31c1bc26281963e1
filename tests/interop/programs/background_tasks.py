"""A task that emits on a timer, begun with the first client, and one begun with the application."""

import asyncio

import socketio

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", logger=False)
started = asyncio.Event()
task = None


async def background_task():
    """Example of how to send server generated events to clients."""
    count = 0
    while count < 5:
        await sio.sleep(0.02)
        count += 1
        await sio.emit("my_response", {"data": "Server generated event", "count": count})


async def on_startup():
    started.set()


app = socketio.ASGIApp(sio, on_startup=on_startup)


@sio.event
async def connect(sid, environ):
    global task
    if task is None:
        task = sio.start_background_task(background_task)


@sio.event
async def was_started(sid):
    return started.is_set()


@sio.event
async def work(sid, seconds):
    async def job(number):
        await sio.sleep(seconds)
        await sio.emit("done", number, to=sid)

    for number in range(3):
        sio.start_background_task(job, number)
    await asyncio.gather(*(asyncio.sleep(seconds) for _ in range(2)))
    return "worked"


@sio.event
async def add(sid, a, b):
    return await asyncio.get_running_loop().run_in_executor(None, lambda: a + b)


@sio.on("ask", namespace="/")
async def ask(sid):
    try:
        answer = await sio.call("question", ("a", 1), to=sid, timeout=0.2)
    except socketio.exceptions.TimeoutError:
        answer = "timeout"
    return answer
