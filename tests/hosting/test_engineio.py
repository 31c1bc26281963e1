"""An Engine.IO server that a framework has mounted, behind middleware that rewraps everything."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from duplexio import engineio
from tests.engineio.serving import Peer, hosted


async def dispatch(request, call_next):
    response = await call_next(request)
    response.headers["X-Watched"] = "yes"
    return response


@pytest.fixture(params=["native", "asgi"])
async def peer(request):
    peer = Peer()
    app = Starlette(
        routes=[Mount("/", engineio.ASGIApp(peer.eio))],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=dispatch),
            Middleware(GZipMiddleware, minimum_size=10),
            Middleware(BaseHTTPMiddleware, dispatch=dispatch),
        ],
    )
    async with hosted(app, request.param) as port:
        peer.port = port
        yield peer


async def test_polling(peer):
    sid = await peer.open()
    query = f"EIO=4&transport=polling&sid={sid}"
    async with peer.http() as waiting:
        await waiting.send("GET", query)
        assert (await peer.request("POST", query, b"4hello"))[2] == b"ok"
        _, headers, body = await waiting.receive()
    assert body == b"4hello"
    assert headers["x-watched"] == "yes"


async def test_websocket(peer):
    async with peer.websocket() as ws:
        await ws.recv()
        await ws.send("4hello")
        assert await ws.recv() == "4hello"


async def test_a_client_that_gives_its_poll_up(peer):
    sid = await peer.open()
    async with peer.http() as http:
        await http.send("GET", f"EIO=4&transport=polling&sid={sid}")
        await peer.request("GET", "EIO=4&transport=nothing")
    await peer.wait_for("disconnect", "transport error")


async def test_a_client_that_vanishes_while_it_posts(peer):
    sid = await peer.open()
    query = f"EIO=4&transport=polling&sid={sid}"
    async with peer.http() as http:
        await http.send("POST", query, b"4abc", Content_Length="100")
        await peer.request("GET", "EIO=4&transport=nothing")
    await peer.wait_for("disconnect", "transport error")


async def test_the_server_stops(peer):
    """Not only when the last poll has been answered by itself, after 25 seconds."""
    sid = await peer.open()

    async def poll():
        async with peer.http() as http:
            return await http.request("GET", f"EIO=4&transport=polling&sid={sid}")

    polling = asyncio.create_task(poll())
    await peer.request("GET", "EIO=4&transport=nothing")
    await peer.eio.shutdown()
    assert (await polling)[2] == b"1"
    assert peer.events[-1] == ("disconnect", "server shutting down")
