"""Which applications the front door serves itself."""

from types import SimpleNamespace

import pytest

from duplexio import engineio, socketio
from duplexio.hosting.native import native_engine


def front_door(app):
    config = SimpleNamespace(limit_concurrency=None, timeout_keep_alive=5)
    return SimpleNamespace(outermost=app, config=config, server_state=None)


def engine_app():
    return engineio.ASGIApp(engineio.AsyncServer())


def socket_app():
    return socketio.ASGIApp(socketio.AsyncServer())


@pytest.mark.parametrize("make", [engine_app, socket_app])
def test_our_own_applications_are_served_natively(make):
    app = make()
    native = native_engine(front_door(app))
    assert native is not None
    assert native.app is app


def test_an_application_that_sees_every_request_is_not():
    class Counting(socketio.ASGIApp):
        async def __call__(self, scope, receive, send):
            await super().__call__(scope, receive, send)

    assert native_engine(front_door(Counting(socketio.AsyncServer()))) is None
