"""The same Starlette application under uvicorn's own WebSocket protocols and our front door."""

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from bench.servers._common import MAX_SIZE, Options

PROTOCOLS = ("duplexio", "websockets", "websockets-sansio", "wsproto")


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while True:
        message = await ws.receive()
        if message["type"] == "websocket.disconnect":
            break
        if (text := message.get("text")) is not None:
            await ws.send_text(text)
        else:
            await ws.send_bytes(message["bytes"])


app = Starlette(routes=[WebSocketRoute("/", echo)])


def main() -> None:
    options = Options(choices=PROTOCOLS)
    http, ws = "httptools", options.protocol
    if ws == "duplexio":
        http, ws = "duplexio.hosting.uvicorn:Protocol", "auto"
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=http,
        ws=ws,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws_per_message_deflate=False,
        ws_max_size=MAX_SIZE,
        ssl_certfile=options.arguments.cert,
        ssl_keyfile=options.arguments.key,
    )
    uvicorn.Server(config).run(sockets=[options.listen()])


if __name__ == "__main__":
    main()
