"""The application: its pages, and other ASGI servers."""

import asyncio
import http.client
import re
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from uvicorn import Config, Server

import duplexio.chat
from duplexio.chat import Chat, create_app
from duplexio.chat.app import content_security_policy
from duplexio.chat.errors import StoreError
from duplexio.chat.folders import data_folder
from duplexio.chat.sessions import SUBPROTOCOL
from duplexio.websocket.client import connect
from tests.chat.servers import JsonClient, running_chat, until

PAGE = Path(duplexio.chat.__file__).parent / "page"


async def request(running, path, method="GET", headers=None):
    return await asyncio.to_thread(_request, running.port, path, method, headers or {})


def _request(port, path, method, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


class TestPages:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/", "text/html; charset=utf-8"),
            ("/?room=tea", "text/html; charset=utf-8"),
            ("/plain", "text/html; charset=utf-8"),
            ("/chat.js", "text/javascript; charset=utf-8"),
            ("/chat.css", "text/css; charset=utf-8"),
            ("/plain.js", "text/javascript; charset=utf-8"),
            ("/plain.css", "text/css; charset=utf-8"),
            ("/icon.svg", "image/svg+xml"),
        ],
    )
    async def test_served(self, path, kind):
        async with running_chat() as running:
            status, headers, body = await request(running, path)
            assert (status, headers["Content-Type"]) == (200, kind)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert body
            status, headers, body = await request(running, path, "HEAD")
            assert (status, body) == (200, "")

    async def test_only_what_there_is(self):
        async with running_chat() as running:
            for path in ("/nothing", "/../app.py", "/page/chat.html", "/chat.html"):
                assert (await request(running, path))[0] == 404
            status, headers, _ = await request(running, "/", "POST")
            assert (status, headers["Allow"]) == (405, "GET, HEAD")

    async def test_the_policy_is_strict(self):
        async with running_chat() as running:
            _, headers, _ = await request(running, "/")
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert f"ws://127.0.0.1:{running.port}" in policy
            assert "unsafe" not in policy

    @pytest.mark.parametrize(
        "host", ["", "a; script-src *", "a b", "evil'", "[::1", "x" * 10 + "\x7f", "a,b"]
    )
    def test_no_host_can_change_the_policy(self, host):
        assert "connect-src 'self';" in content_security_policy(host)

    def test_pages_refer_to_nothing_elsewhere(self):
        for file in PAGE.iterdir():
            text = re.sub(r'xmlns="[^"]*"|"http://www.w3.org/TR/[^"]*"', "", file.read_text())
            assert not re.search(r"""(src|href)=["']?(https?:)?//|url\(|@import""", text), file

    def test_pages_have_no_scripts_or_styles_inside(self):
        for file in PAGE.glob("*.html"):
            text = file.read_text()
            assert not re.search(r"<script(?![^>]*\bsrc=)", text), file
            assert not re.search(r"<style|\sstyle=|\son\w+=", text), file


@asynccontextmanager
async def other_server(app):
    """Run the application in uvicorn with its own WebSockets, which are ASGI's."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(app, http="httptools", ws="websockets-sansio", log_level="warning"))
    task = asyncio.ensure_future(server.serve(sockets=[listening]))
    await until(lambda: server.started or task.done())
    try:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/chat"
    finally:
        server.should_exit = True
        await task
        listening.close()


async def test_it_runs_under_another_asgi_server():
    async with (
        other_server(Chat(":memory:").app) as uri,
        connect(uri, subprotocols=[SUBPROTOCOL]) as ws,
        connect(uri) as lines,
    ):
        ada = JsonClient(ws)
        await ada.join("Ada")
        await lines.send("Grace")
        assert await lines.recv() == "Welcome, Grace !"
        await ada.say("hello")
        assert await lines.recv() == "Ada:hello"
        await lines.send("quit")
        assert (await ada.told("left"))["name"] == "Grace"


def test_the_default_database_is_in_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert duplexio.chat.default_database() == tmp_path / "duplexio" / "chat.db"
    create_app()
    assert list(tmp_path.iterdir()) == []  # nothing is opened before the server starts


def test_a_history_that_cannot_be_used(tmp_path):
    (tmp_path / "notes").write_text("notes" * 1000)
    with pytest.raises(StoreError):
        Chat(tmp_path / "notes").open_history()


async def test_a_server_that_cannot_use_its_history_does_not_start(tmp_path):
    (tmp_path / "notes").write_text("notes" * 1000)
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    await Chat(tmp_path / "notes").app({"type": "lifespan"}, receive, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "not an SQLite database" in sent[0]["message"]


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {}, "/home/ada/.local/share/duplexio"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/duplexio"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "/home/ada/.local/share/duplexio"),
        ("darwin", {}, "/home/ada/Library/Application Support/duplexio"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/duplexio"),
        ("win32", {}, "/home/ada/AppData/Local/duplexio"),
    ],
)
def test_data_folders(platform, environ, folder):
    assert data_folder(platform, environ, Path("/home/ada")).as_posix() == folder
