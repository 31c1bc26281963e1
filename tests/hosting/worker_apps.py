"""What the tests of several workers serve: an echo that tells which process it is."""

import os

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from duplexio import engineio


def make_server():
    eio = engineio.AsyncServer(
        cors_allowed_origins="*", max_http_buffer_size=1_000_000, allow_eio3=True, jsonp=True
    )

    @eio.on("message")
    async def on_message(sid, data):
        await eio.send(sid, str(os.getpid()) if data == "pid" else data)

    return eio


async def whoami(request):
    return PlainTextResponse(f"{os.getpid()} {request.url.scheme} {request.client.host}")


async def _pages(scope, receive, send):
    if scope["type"] == "http":
        await PlainTextResponse(f"{os.getpid()} {scope['scheme']}")(scope, receive, send)


app = engineio.ASGIApp(make_server(), _pages)
mounted = Starlette(
    routes=[
        Route("/whoami", whoami),
        Mount("/engine.io", engineio.ASGIApp(make_server(), None, engineio_path=None)),
    ]
)
broken = None
if os.environ.get("BROKEN_WORKER") and __name__ != "__main__":
    import multiprocessing

    if multiprocessing.parent_process() is not None:
        raise RuntimeError("broken as it was told")
