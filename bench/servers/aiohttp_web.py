"""aiohttp.web."""

import asyncio

from aiohttp import WSMsgType, web

from bench.servers._common import MAX_SIZE, Options, run


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_SIZE)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


async def main() -> None:
    options = Options()
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, options.listen(), ssl_context=options.ssl_context()).start()
    await asyncio.Future()


if __name__ == "__main__":
    run(main)
