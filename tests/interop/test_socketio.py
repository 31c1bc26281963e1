"""Real clients of Socket.IO, of all generations, on every transport."""

import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.interop.socketio_runs import (
    NODE_IS_READY,
    PARSERS,
    PYTHON_KINDS,
    TRANSPORTS,
    Crowd,
    check_javascript,
    check_python,
    serve,
)

pytestmark = pytest.mark.timeout(120)

needs_node = pytest.mark.skipif(not NODE_IS_READY, reason="needs node and `make interop-packages`")
#: Clients that do not come back when a polling request is answered that the server closes the
#: session: python-engineio takes that for the last word.
FINAL_FOR_PYTHON = [
    f"python {version} {kind}/polling" for version in (4, 5) for kind in PYTHON_KINDS
]


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


def disconnected(server):
    """Return why clients have left, by their names, as the server has said."""
    return {event[1]: event[2] for event in server.events if event[0] == "disconnect"}


def test_clients_come_back_when_the_server_does():
    server = serve()
    crowd = Crowd(server.url)
    try:
        crowd.wait_for("connect")
        crowd.talk()
        for how, reasons in (
            (signal.SIGKILL, {"transport close", "transport error"}),
            (signal.SIGTERM, {"transport close", "transport error", "server disconnect"}),
        ):
            crowd.forget()
            server.stop(how)
            if how == signal.SIGTERM:
                assert disconnected(server) == dict.fromkeys(crowd.names, "server shutting down")
            crowd.wait_for("disconnect")
            assert set(crowd.reasons().values()) <= reasons | {""}, crowd.reasons()
            if how == signal.SIGTERM:
                crowd.lose(*FINAL_FOR_PYTHON)
            server = serve(port=server.port)
            crowd.wait_for("connect")
            crowd.talk()
    finally:
        crowd.stop()
        server.stop()


def test_silence_is_noticed_on_both_sides():
    with serve(PING="1") as server:
        crowd = Crowd(server.url)
        try:
            crowd.wait_for("connect")
            # The server is silent. (Those in Python wait for an answer for five seconds more.)
            crowd.forget()
            server.send_signal(signal.SIGSTOP)
            names = {name for name in crowd.names if "python" not in name}
            crowd.wait_for("disconnect", names)
            reasons = crowd.reasons()
            assert {reasons[name] for name in names} == {"ping timeout"}, reasons
            server.send_signal(signal.SIGCONT)
            crowd.lose(*FINAL_FOR_PYTHON)
            crowd.talk()
            # The clients are.
            crowd.forget()
            with server.changed:
                server.events.clear()
            crowd.send_signal(signal.SIGSTOP)
            server.wait_for(lambda server: crowd.names <= set(disconnected(server)))
            assert set(disconnected(server).values()) == {"ping timeout"}
            crowd.send_signal(signal.SIGCONT)
            crowd.talk()
        finally:
            crowd.stop()
