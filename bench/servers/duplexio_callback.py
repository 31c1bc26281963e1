"""duplexio, callback API."""

from __future__ import annotations

from bench.servers._common import MAX_SIZE, Options, run
from duplexio import websocket


class Echo(websocket.Listener):
    def on_message(self, ws: websocket.ListenerConnection, message: str | bytes) -> None:
        ws.send(message)


async def main() -> None:
    options = Options()
    async with websocket.serve(
        Echo,
        sock=options.listen(),
        ssl=options.ssl_context(),
        compression=None,
        max_size=MAX_SIZE,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    run(main)
