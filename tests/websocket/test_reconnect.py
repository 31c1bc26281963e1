"""When to connect again, and after how long."""

import itertools

import pytest

from duplexio.websocket.exceptions import InvalidMessage, InvalidStatus, InvalidURI
from duplexio.websocket.http11 import Response
from duplexio.websocket.reconnect import backoff, process_exception


def test_delays_grow_to_a_limit():
    delays = list(itertools.islice(backoff(), 20))
    assert 0 <= delays[0] <= 5
    assert delays[1] == 3.1
    assert delays[2] == pytest.approx(3.1 * 1.618)
    assert delays[1:] == sorted(delays[1:])
    assert delays[-1] == 90


def test_the_first_delay_is_left_to_chance():
    assert len({next(backoff()) for _ in range(20)}) > 10


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_statuses_that_pass(status):
    assert process_exception(InvalidStatus(Response(status))) is None


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 426, 501])
def test_statuses_that_do_not(status):
    exc = InvalidStatus(Response(status))
    assert process_exception(exc) is exc


def test_failures_of_the_network_pass():
    assert process_exception(ConnectionResetError()) is None
    assert process_exception(TimeoutError()) is None
    cut = InvalidMessage("cut")
    cut.__cause__ = EOFError()
    assert process_exception(cut) is None


@pytest.mark.parametrize("exc", [InvalidMessage("no HTTP"), InvalidURI("x", "y"), ValueError()])
def test_others_do_not(exc):
    assert process_exception(exc) is exc
