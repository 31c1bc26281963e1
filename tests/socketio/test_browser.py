"""The client for browsers, as it is joined and served."""

import re
from importlib.resources import files

import pytest

from duplexio import socketio
from duplexio.socketio.browser import FILES, client_module, client_script, etag
from tests.engineio.serving import HOSTINGS, Http, hosted

MODULES = files("duplexio.socketio").joinpath("javascript")


@pytest.mark.parametrize("text", [client_module(), client_script()], ids=["module", "script"])
def test_the_parts_are_joined(text):
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert len(re.findall(r"^export ", text, re.MULTILINE)) == text.count("export {")
    for name in ("Emitter", "Decoder", "Polling", "Engine", "Manager", "Socket"):
        assert len(re.findall(rf"^class {name} ", text, re.MULTILINE)) == 1


def test_names_do_not_collide():
    # What two parts call the same would be one thing when they are joined.
    names = []
    for part in MODULES.iterdir():
        if part.name.endswith(".js"):
            top = r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)"
            names += re.findall(top, part.read_text("utf-8"), re.MULTILINE)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("hosting", HOSTINGS)
class TestServing:
    async def test_each_file(self, hosting):
        async with (
            hosted(socketio.ASGIApp(socketio.AsyncServer()), hosting) as port,
            Http(port) as http,
        ):
            for name, (read, content_type) in FILES.items():
                status, headers, body = await http.request("GET", None, path=f"/socket.io/{name}")
                assert status == 200
                assert headers["content-type"] == content_type
                assert headers["etag"] == etag(name)
                assert body.decode() == read()

    async def test_a_file_that_the_browser_has(self, hosting):
        async with (
            hosted(socketio.ASGIApp(socketio.AsyncServer()), hosting) as port,
            Http(port) as http,
        ):
            path = "/socket.io/duplexio.js"
            tag = etag("duplexio.js")
            status, _, body = await http.request("GET", None, path=path, If_None_Match=tag)
            assert (status, body) == (304, b"")
            status, _, body = await http.request("HEAD", None, path=path)
            assert (status, body) == (200, b"")
            status, _, body = await http.request("POST", None, b"x", path=path)
            assert status == 405
            # And the connection goes on.
            status, _, body = await http.request(
                "GET", "EIO=4&transport=polling", path="/socket.io/"
            )
            assert (status, body[:1]) == (200, b"0")

    async def test_none(self, hosting):
        app = socketio.ASGIApp(socketio.AsyncServer(), serve_client=False)
        async with hosted(app, hosting) as port, Http(port) as http:
            status, _, body = await http.request("GET", None, path="/socket.io/duplexio.js")
            assert status == 400
            assert b"Transport unknown" in body

    async def test_below_another_path(self, hosting):
        app = socketio.ASGIApp(socketio.AsyncServer(), socketio_path="api/live")
        async with hosted(app, hosting) as port, Http(port) as http:
            status, _, _ = await http.request("GET", None, path="/api/live/socket.io.js")
            assert status == 200
            status, _, _ = await http.request("GET", None, path="/socket.io/socket.io.js")
            assert status == 404
