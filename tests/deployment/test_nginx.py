"""nginx in front, with the configuration of the deployment guide."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.hosting.programs import ROOT, Certificates, receive_all, running, split_response

GUIDE = ROOT / "docs" / "guides" / "deploying.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
APP = "tests.hosting.apps:app"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def configuration(upstream, plain, secure, certificates):
    """The guide's configuration, with this test's ports and certificate."""
    found = re.search(r"^```nginx\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    text = found[1]
    for old, new in {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream};",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        "server_name chat.example;": "server_name localhost;",
        "/etc/letsencrypt/live/chat.example/fullchain.pem": str(certificates.cert),
        "/etc/letsencrypt/live/chat.example/privkey.pem": str(certificates.key),
    }.items():
        assert old in text
        text = text.replace(old, new)
    return text


class Proxy:
    """nginx, in front of a server."""

    def __init__(self, folder: Path, server, certificates):
        self.server = server
        self.tls = certificates.client
        self.plain, self.port = free_port(), free_port()
        site = configuration(server.port, self.plain, self.port, certificates)
        folders = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n"
            "events {}\n"
            f"http {{\naccess_log off;\n{folders}\n{site}\n}}\n"
        )
        assert NGINX is not None
        self.process = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(config), "-e", "stderr"],
            stderr=subprocess.PIPE,
            text=True,
        )

    def uri(self, path):
        return f"wss://localhost:{self.port}{path}"

    def wait_until_it_accepts(self):
        while True:
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except ConnectionRefusedError:
                pass

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=10)


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


@pytest.fixture(params=[APP, "tests.hosting.native:routes"], ids=["asgi", "endpoint"])
def proxy(request, tmp_path, certificates):
    serve = ["duplexio.cli", "serve", request.param, "--port", "0"]
    with running(serve) as server:
        proxy = Proxy(tmp_path, server, certificates)
        try:
            proxy.wait_until_it_accepts()
            yield proxy
        finally:
            proxy.stop()


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
