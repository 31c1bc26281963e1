"""Endpoints of ours: outermost, behind a Starlette application with middleware, and in FastAPI."""

import asyncio
import json

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from duplexio.hosting import Endpoint, Routes
from duplexio.websocket import Listener, Response


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)

    def on_close(self, ws, code, reason):
        print("closed", type(ws).__name__, code, reason, flush=True)


async def tell(ws):
    """Tell the client what the handler knows of it."""
    scope = ws.scope or {}
    await ws.send(
        json.dumps(
            {
                "path": ws.request.path,
                "host": ws.request.headers["Host"],
                "client": ws.remote_address,
                "subprotocol": ws.subprotocol,
                "user": scope.get("user_name"),
                "room": scope.get("path_params", {}).get("room"),
                "scope": ws.scope is not None,
            }
        )
    )
    await ws.close(4000, "told")


async def fail(ws):
    raise ValueError("in the handler")


async def flood(ws):
    """Send until the client has gone."""
    global sent
    while True:
        await ws.send(bytes(65536))
        sent += 1


sent = 0


async def check(ws, request):
    await asyncio.sleep(0)
    if "token=good" not in request.path:
        return Response(401, None, {"WWW-Authenticate": "Bearer"}, b"no token")
    return None


def brand(ws, request, response):
    response.headers["X-Brand"] = "ours"


ENDPOINTS = {
    "/echo": Endpoint(echo),
    "/listener": Endpoint(Echo),
    "/tell": Endpoint(tell, subprotocols=["b", "a"]),
    "/open": Endpoint(echo, origins=None),
    "/guarded": Endpoint(echo, process_request=check, process_response=brand),
    "/small": Endpoint(echo, max_size=1000),
    "/fail": Endpoint(fail),
    "/flood": Endpoint(flood),
}


async def hello(request):
    return PlainTextResponse("hello")


async def show_sent(request):
    return PlainTextResponse(str(sent))


class Watch:
    """Middleware that sees the messages, adds to the scope and to the response, and may refuse."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        scope["user_name"] = "ann"
        if b"refuse" in scope["query_string"]:
            await receive()
            await send({"type": "websocket.close"})
            return
        if b"strip" in scope["query_string"]:
            # What middleware that builds its messages anew does.
            scope = {**scope, "extensions": {}}

        async def watch_send(message):
            print("sent", message["type"], flush=True)
            if message["type"] == "websocket.accept":
                message = {**message, "headers": [*message["headers"], (b"x-watched", b"yes")]}
            await send(message)

        await self.app(scope, receive, watch_send)
        print("the application has returned", flush=True)


inner = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/sent", show_sent),
        WebSocketRoute("/rooms/{room}", ENDPOINTS["/tell"]),
        *[WebSocketRoute(path, endpoint) for path, endpoint in ENDPOINTS.items()],
        Mount("/mounted", ENDPOINTS["/echo"]),
    ],
    middleware=[Middleware(Watch)],
)

#: The endpoints are outermost.
routes = Routes(ENDPOINTS, fallback=inner)

#: One endpoint is all there is.
alone = ENDPOINTS["/echo"]
