"""python-socketio on aiohttp."""

from __future__ import annotations

import asyncio

import socketio
from aiohttp import web

from bench.servers import _socketio
from bench.servers._common import MAX_SIZE, Options, run


async def main() -> None:
    options = Options(more=_socketio.add_options)
    sio = socketio.AsyncServer(async_mode="aiohttp", max_http_buffer_size=MAX_SIZE)
    _socketio.add_handlers(sio, options.arguments)
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, options.listen(), ssl_context=options.ssl_context()).start()
    await asyncio.Future()


if __name__ == "__main__":
    run(main)
