"""A server of python-socketio, as socketio_server.cjs, for the version that PYTHONPATH has."""

import asyncio
import json
import sys

import socketio
from aiohttp import web

wait = asyncio.wait


def wait_for_coroutines(things, **kwargs):
    """Do what ``asyncio.wait`` did before Python 3.11, for which python-socketio 4 was written."""
    return wait([asyncio.ensure_future(thing) for thing in things], **kwargs)


asyncio.wait = wait_for_coroutines  # type: ignore[assignment]
port, options = int(sys.argv[1]), json.loads(sys.argv[2])
sio = socketio.AsyncServer(async_mode="aiohttp", **options)


class Events(socketio.AsyncNamespace):
    def __init__(self, namespace):
        super().__init__(namespace)
        self.auth = {}

    async def on_connect(self, sid, environ, auth=None):
        self.auth[sid] = auth
        if self.namespace == "/admin" and (auth or {}).get("token") != "x":
            raise socketio.exceptions.ConnectionRefusedError("not you", {"code": 7})

    async def on_echo(self, sid, *args):
        await self.emit("echo", args, room=sid)

    async def on_back(self, sid, *args):
        return args

    async def on_add(self, sid, a, b):
        return a + b

    async def on_ask(self, sid, *args):
        async def answered(*more):
            await self.emit("answer", more, room=sid)

        await self.emit("question", args, room=sid, callback=answered)

    async def on_who(self, sid):
        return sid

    async def on_kick(self, sid):
        await self.disconnect(sid)


for name in ("/", "/admin", "/chat"):
    sio.register_namespace(Events(name))


async def main():
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
