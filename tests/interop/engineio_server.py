"""An echo server of python-engineio, of either version: python engineio_server.py OPTIONS.

Writes its port, and then what happens, a JSON text a line. It ends when its input does.
"""

import asyncio
import json
import sys

import engineio
from aiohttp import web


def note(*event):
    print(json.dumps(event), flush=True)


async def main(options):
    eio = engineio.AsyncServer(async_mode="aiohttp", **options)

    @eio.on("connect")
    async def connect(sid, environ):
        query = environ["QUERY_STRING"]
        note("connect", 3 if "EIO=3" in query else 4, eio.transport(sid))
        if "refuse" in query:
            return False
        await eio.send(sid, "hello")
        return None

    @eio.on("message")
    async def message(sid, data):
        if data == "close me":
            await eio.disconnect(sid)
        else:
            await eio.send(sid, data)

    @eio.on("disconnect")
    def disconnect(sid, reason=None):
        note("disconnect", reason)

    app = web.Application()
    eio.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    note("listening", site._server.sockets[0].getsockname()[1])
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(json.loads(sys.argv[1])))
