"""Applications of the frameworks run on our protocol as they are."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.hosting.programs import running, uvicorn

FRAMEWORKS = ("starlette", "fastapi", "litestar", "django_channels")


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(request):
    with running(
        uvicorn(f"tests.hosting.frameworks:{request.param}"), ready=r"Uvicorn running"
    ) as running_server:
        running_server.framework = request.param
        yield running_server


async def test_echo(server):
    async with connect(server.uri("/echo")) as ws:
        for message in ("hello", "héllo ✓", "x" * 100_000):
            await ws.send(message)
            assert await ws.recv() == message
    server.wait_for("disconnected")


async def test_many_in_flight(server):
    async with connect(server.uri("/echo")) as ws:
        for i in range(200):
            await ws.send(str(i))
        assert [await ws.recv() for _ in range(200)] == [str(i) for i in range(200)]


@pytest.mark.parametrize("server", ["litestar", "django_channels"], indirect=True)
async def test_handlers_in_threads(server):
    async with connect(server.uri("/listener")) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_refusal(server):
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.uri("/deny"))
    expected = 418 if server.framework == "starlette" else 403
    assert caught.value.response.status_code == expected


@pytest.mark.parametrize("server", ["fastapi"], indirect=True)
async def test_a_dependency_that_refuses(server):
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.uri("/echo?token=bad"))
    assert caught.value.response.status_code == 403


def test_http(server):
    status, _, body = server.get("/hello")
    assert status == 200
    assert b"hello" in body
