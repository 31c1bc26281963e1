"""Clients that vanish from a server in uvicorn as it is; see test_vanishing.py."""

from tests.fault import test_vanishing
from tests.fault.test_vanishing import each_state, vanish

LOOPS = ("uvloop",)


@each_state
async def test_it_ends_once_and_leaves_nothing(state, caplog):
    await vanish(state, "asgi", caplog)


class TestHalfOpen(test_vanishing.TestHalfOpen):
    hosting = "asgi"
