"""A Socket.IO server on its own; those beside other applications are in other modules."""

import asyncio
import os

from duplexio import socketio


def make_server(**options):
    """Return an echo server that says on standard output what happens."""
    interval = float(os.environ.get("PING_INTERVAL", "25"))
    sio = socketio.AsyncServer(ping_interval=interval, **options)

    @sio.event
    async def echo(sid, data):
        await sio.emit("server_response", {"data": data["data"].upper()}, to=sid)
        return data

    @sio.event
    def origin(sid):
        """Tell the client what is known of it."""
        environ = sio.get_environ(sid)
        names = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST", "HTTP_X_FORWARDED_FOR")
        return {name: environ.get(name) for name in (*names, "wsgi.url_scheme")}

    @sio.event
    async def wait(sid):
        """Run until the server stops."""
        print("waiting", flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise

    @sio.event
    async def disconnect(sid, reason):
        await asyncio.sleep(0.01)  # as when it writes to a database
        print("disconnected:", reason, flush=True)

    return sio


def report(sio):
    """Return a function that tells what a server that has stopped has left behind."""

    def stopped():
        # Names of coroutines: a task of ours would show.
        tasks = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
        ours = [name for name in tasks if name in ("wait", "disconnect") or "Engine" in name]
        print("left", len(sio.engine.sessions), ours, flush=True)

    return stopped


sio = make_server()

#: The server is all there is.
app = socketio.ASGIApp(sio, on_shutdown=report(sio))
