"""The same echo in each framework, unmodified: what its users write."""

import channels.routing
import django
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from fastapi import Depends, FastAPI, WebSocketException
from fastapi import WebSocket as FastAPIWebSocket
from litestar import Litestar, get
from litestar import WebSocket as LitestarWebSocket
from litestar.handlers import WebsocketListener, websocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

# Starlette


async def starlette_echo(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send_text(await ws.receive_text())
    except WebSocketDisconnect as exc:
        print("disconnected", exc.code, flush=True)


async def starlette_deny(ws: WebSocket) -> None:
    await ws.send_denial_response(PlainTextResponse("not today", status_code=418))


async def starlette_hello(request):
    return PlainTextResponse("hello")


starlette = Starlette(
    routes=[
        Route("/hello", starlette_hello),
        WebSocketRoute("/echo", starlette_echo),
        WebSocketRoute("/deny", starlette_deny),
    ]
)

# FastAPI

fastapi = FastAPI()


async def token(token: str = "") -> str:
    if token == "bad":
        raise WebSocketException(code=1008, reason="bad token")
    return token


@fastapi.get("/hello")
async def fastapi_hello() -> str:
    return "hello"


@fastapi.websocket("/echo")
async def fastapi_echo(ws: FastAPIWebSocket, token: str = Depends(token)) -> None:
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(message)
    print("disconnected", flush=True)


@fastapi.websocket("/deny")
async def fastapi_deny(ws: FastAPIWebSocket) -> None:
    raise WebSocketException(code=1008)


# Litestar


@get("/hello", sync_to_thread=False)
def litestar_hello() -> str:
    return "hello"


@websocket("/echo")
async def litestar_echo(socket: LitestarWebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_data("text"):
        await socket.send_data(message)
    print("disconnected", flush=True)


class LitestarListener(WebsocketListener):
    path = "/listener"

    def on_receive(self, data: str) -> str:
        return data


@websocket("/deny")
async def litestar_deny(socket: LitestarWebSocket) -> None:
    await socket.close(code=4003)


litestar = Litestar([litestar_hello, litestar_echo, LitestarListener, litestar_deny])

# Django Channels


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data, bytes_data=bytes_data)

    async def disconnect(self, code):
        print("disconnected", code, flush=True)


class SyncEcho(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data=text_data, bytes_data=bytes_data)


class Deny(AsyncWebsocketConsumer):
    async def connect(self):
        await self.close()


def django_hello(request):
    return HttpResponse("hello")


urlpatterns = [path("hello", django_hello)]
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests", INSTALLED_APPS=["channels"]
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402 - after the setup

django_channels = channels.routing.ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": channels.routing.URLRouter(
            [
                path("echo", Echo.as_asgi()),
                path("listener", SyncEcho.as_asgi()),
                path("deny", Deny.as_asgi()),
            ]
        ),
    }
)
