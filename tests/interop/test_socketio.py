"""Real clients of Socket.IO, of all generations, on every transport."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.interop.socketio_runs import (
    NODE_IS_READY,
    PARSERS,
    PYTHON_KINDS,
    TRANSPORTS,
    check_javascript,
    check_python,
    restarts,
    serve,
    silences,
)

pytestmark = pytest.mark.timeout(120)

needs_node = pytest.mark.skipif(not NODE_IS_READY, reason="needs node and `make interop-packages`")


@pytest.fixture(scope="module")
def server():
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def plain_server():
    with serve("uvicorn") as server:
        yield server


@pytest.fixture(scope="module")
def msgpack_server():
    with serve(SERIALIZER="msgpack") as server:
        yield server


def on_each_transport(check, url, *arguments):
    """Run a check on all transports at the same time."""
    with ThreadPoolExecutor() as threads:
        runs = {name: threads.submit(check, url, *arguments, name) for name in TRANSPORTS}
        problems = {name: run.result() for name, run in runs.items()}
    assert problems == {name: {} for name in TRANSPORTS}


@needs_node
@pytest.mark.parametrize("generation", [1, 2, 3, 4])
def test_javascript(server, generation):
    on_each_transport(check_javascript, server.url, generation)


@pytest.mark.parametrize("kind", PYTHON_KINDS)
@pytest.mark.parametrize("version", [4, 5])
def test_python(server, version, kind):
    on_each_transport(check_python, server.url, version, kind)


@needs_node
@pytest.mark.parametrize("generation", PARSERS)
def test_javascript_with_messagepack(msgpack_server, generation):
    on_each_transport(partial(check_javascript, parser=True), msgpack_server.url, generation)


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_python_with_messagepack(msgpack_server, kind):
    on_each_transport(partial(check_python, serializer="msgpack"), msgpack_server.url, 5, kind)


@needs_node
@pytest.mark.parametrize("generation", [1, 4])
def test_plain_asgi_with_javascript(plain_server, generation):
    on_each_transport(check_javascript, plain_server.url, generation)


def test_plain_asgi_with_python(plain_server):
    assert check_python(plain_server.url, 5, "async", "polling,websocket") == {}


def test_clients_come_back_when_the_server_does():
    restarts()


def test_silence_is_noticed_on_both_sides():
    silences()
