import errno
from typing import Any

import pytest

from duplexio import errors
from duplexio.websocket import exceptions
from duplexio.websocket import sync as websocket
from duplexio.websocket.sync.exceptions import connection_lost


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("WebSocketAddressException", errors.DuplexioError),
        ("WebSocketBadStatusException", errors.ProtocolError),
        ("WebSocketConnectionClosedException", errors.ConnectionClosed),
        ("WebSocketPayloadException", errors.ProtocolError),
        ("WebSocketProtocolException", errors.ProtocolError),
        ("WebSocketProxyException", errors.ProtocolError),
        ("WebSocketTimeoutException", errors.DuplexioError),
        ("WebSocketArgumentException", errors.UsageError),
        ("WebSocketURLException", errors.UsageError),
    ],
)
def test_families(name, family):
    kind = getattr(websocket, name)
    assert issubclass(kind, family)
    assert issubclass(kind, websocket.WebSocketException)


def test_the_base_class_is_that_of_the_other_apis():
    assert websocket.WebSocketException is exceptions.WebSocketException


def test_connection_closed():
    error = websocket.WebSocketConnectionClosedException("gone", 4000, "because", "remote")
    assert str(error) == "gone"
    assert (error.status_code, error.code, error.reason) == (4000, 4000, "because")
    error = websocket.WebSocketConnectionClosedException("lost")
    assert (error.status_code, error.code, error.reason, error.initiator) == (None, 1006, "", None)


@pytest.mark.parametrize(
    ("number", "builtin"),
    [
        (errno.ECONNRESET, ConnectionResetError),
        (errno.EPIPE, BrokenPipeError),
        (errno.ECONNABORTED, ConnectionAbortedError),
    ],
)
def test_a_lost_connection_is_also_what_the_system_says(number, builtin):
    lost: Any = connection_lost(OSError(number, "text"))
    assert {builtin, websocket.WebSocketConnectionClosedException} <= set(type(lost).__mro__)
    assert (lost.errno, lost.strerror) == (number, "text")
    assert "text" in str(lost)


def test_other_errors_of_the_system_are_a_lost_connection_too():
    assert type(connection_lost(OSError(errno.EHOSTUNREACH, "text"))) is (
        websocket.WebSocketConnectionClosedException
    )
