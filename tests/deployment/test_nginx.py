"""nginx in front, with the configuration of the deployment guide."""

import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.deployment.proxies import NGINX, Site, nginx
from tests.hosting.programs import Certificates, receive_all, running, split_response

APP = "tests.hosting.apps:app"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


@pytest.fixture(params=[APP, "tests.hosting.native:routes"], ids=["asgi", "endpoint"])
def proxy(request, tmp_path, certificates):
    serve = ["duplexio.cli", "serve", request.param, "--port", "0"]
    with running(serve) as server:
        site = Site(f"127.0.0.1:{server.port}")
        site.server = server
        site.tls = certificates.client
        with nginx(tmp_path, certificates, site):
            yield site


async def test_messages_and_the_servers_restart(proxy):
    async with connect(proxy.uri("/echo"), ssl=proxy.tls, max_size=None) as ws:
        for message in ("hello", b"\0\xff", "x" * 1_000_000):
            await ws.send(message)
            assert await ws.recv() == message
        proxy.server.terminate()
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1012


async def test_pages_of_the_site_may_connect_and_others_may_not(proxy, request):
    own = f"https://localhost:{proxy.port}"
    async with connect(proxy.uri("/echo"), ssl=proxy.tls, origin=own) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"
    if "endpoint" in request.node.callspec.id:
        with pytest.raises(InvalidStatus) as caught:
            await connect(proxy.uri("/echo"), ssl=proxy.tls, origin="https://elsewhere.example")
        assert caught.value.response.status_code == 403


async def test_who_the_client_is(proxy, request):
    if "endpoint" in request.node.callspec.id:
        async with connect(proxy.uri("/tell"), ssl=proxy.tls, subprotocols=["a"]) as ws:
            told = json.loads(await ws.recv())
            assert told["host"] == f"localhost:{proxy.port}"
            # The port 0 shows that this is what the proxy said, and not the proxy itself.
            assert told["client"] == ["127.0.0.1", 0]
    else:
        async with connect(proxy.uri("/scope"), ssl=proxy.tls) as ws:
            scope = json.loads(await ws.recv())
            assert scope["scheme"] == "wss"
            assert scope["client"] == ["127.0.0.1", 0]


def test_http_is_sent_to_https_and_passed_on(proxy):
    with socket.create_connection(("127.0.0.1", proxy.plain), timeout=10) as sock:
        sock.sendall(b"GET /hello?a=1 HTTP/1.0\r\nHost: localhost\r\n\r\n")
        status, head, _ = split_response(receive_all(sock))
        assert status == 301
        assert b"Location: https://localhost/hello?a=1" in head
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain,
        proxy.tls.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"hello" in split_response(receive_all(sock))[2]
