"""duplexio, coroutine API."""

from __future__ import annotations

from bench.servers._common import MAX_SIZE, Options, run
from duplexio import websocket


async def echo(ws: websocket.ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    options = Options()
    async with websocket.serve(
        echo,
        sock=options.listen(),
        ssl=options.ssl_context(),
        compression=None,
        max_size=MAX_SIZE,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    run(main)
