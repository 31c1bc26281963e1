"""The same Starlette application under uvicorn's own WebSocket protocols and our front door."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from bench.servers import _uvicorn
from bench.servers._common import Options


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
    options = Options(choices=_uvicorn.PROTOCOLS)
    _uvicorn.serve(app, options, options.choice)


if __name__ == "__main__":
    main()
