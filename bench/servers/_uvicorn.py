"""How an ASGI application is served here: by uvicorn, with its own protocols or our front door."""

from typing import Any

import uvicorn

from bench.servers._common import MAX_SIZE, Options

PROTOCOLS = ("duplexio", "websockets", "websockets-sansio", "wsproto")


def serve(app: Any, options: Options, protocol: str) -> None:
    """Serve the application with one of PROTOCOLS."""
    http, ws = "httptools", protocol
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
