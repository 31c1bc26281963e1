"""Socket.IO's clients in Chromium: with WebSockets, without them, and on JSONP."""

import json

import pytest
from playwright.sync_api import sync_playwright

from tests.interop.browser import (
    BLOCKED_WEBSOCKET,
    BUNDLES,
    CHROMIUM,
    FLAGS,
    check_in_page,
    socketio_page,
)
from tests.interop.socketio_runs import NODE_IS_READY, serve

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium"),
    pytest.mark.skipif(not NODE_IS_READY, reason="needs node and `make interop-packages`"),
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server():
    with serve() as server:
        yield server


@pytest.fixture
def visit(browser):
    """Return a function that opens the server's page with a client of some generation."""
    contexts = []

    def visit(server, generation, script=None):
        contexts.append(browser.new_context())
        return socketio_page(contexts[-1], server, generation, script)

    yield visit
    for context in contexts:
        context.close()


def check(page, server, generation, **settings):
    assert check_in_page(page, server.url, generation, **settings) == {}


@pytest.mark.parametrize("generation", BUNDLES)
def test_with_websockets(visit, server, generation):
    page = visit(server, generation)
    check(page, server, generation)
    assert page.sockets


@pytest.mark.parametrize("generation", BUNDLES)
def test_with_websockets_blocked(visit, server, generation):
    page = visit(server, generation, BLOCKED_WEBSOCKET)
    check(page, server, generation, polls=True)
    assert not page.sockets


@pytest.mark.parametrize("generation", [1, 2])
def test_jsonp(visit, server, generation):
    page = visit(server, generation)
    requests = []
    page.on("request", lambda request: requests.append(request.resource_type))
    check(
        page,
        server,
        generation,
        transports=["polling"],
        options={"forceJSONP": True},
    )
    assert "script" in requests
    assert "xhr" not in requests


def test_messagepack_in_the_bundle(browser, visit, server):
    page = visit(server, 4)
    page.add_script_tag(url="/clients/sioc4/dist/socket.io.msgpack.min.js")
    with serve(SERIALIZER="msgpack", ORIGINS=json.dumps([server.url])) as other:
        check(page, other, 4)


def test_pages_of_other_origins_may_be_let_in(visit, server):
    with serve(ORIGINS=json.dumps([server.url])) as other:
        for script, polls in ((None, False), (BLOCKED_WEBSOCKET, True)):
            page = visit(server, 4, script)
            check(page, other, 4, polls=polls)


def test_pages_of_other_origins_are_kept_out(visit, server):
    page = visit(server, 4)
    with serve() as other:
        for transports in (["polling"], ["websocket"]):
            message = page.evaluate(
                """([url, transports]) => new Promise((resolve) => {
                  const socket = io(url, { transports, reconnection: false });
                  socket.on("connect", () => resolve("connected"));
                  socket.on("connect_error", (error) => resolve(error.message));
                })""",
                [other.url, transports],
            )
            assert message in ("xhr poll error", "websocket error")
