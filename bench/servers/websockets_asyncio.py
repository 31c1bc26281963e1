"""websockets, its asyncio API (only a coroutine API)."""

import asyncio

from websockets.asyncio.server import ServerConnection, serve

from bench.servers._common import MAX_SIZE, Options, run


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    options = Options()
    async with serve(
        echo,
        sock=options.listen(),
        ssl=options.ssl_context(),
        compression=None,
        max_size=MAX_SIZE,
    ):
        await asyncio.Future()


if __name__ == "__main__":
    run(main)
