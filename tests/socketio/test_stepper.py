"""The first steps of coroutines."""

import asyncio
import contextvars

import pytest

from duplexio.socketio.stepper import Stepper, clock, references

variable = contextvars.ContextVar("variable", default="outside")


def test_the_clock_goes_on():
    began = clock()
    sum(range(100_000))
    assert 0 < clock() - began < 10


def test_references_tells_of_one_more():
    value = object()
    before = references(value)
    kept = [value]
    assert references(value) == before + 1
    del kept


def test_what_a_coroutine_returns_is_returned():
    async def answer():
        return 42

    stepper = Stepper()
    assert stepper.start(answer()) == 42
    assert not stepper.suspended


def test_what_a_coroutine_waits_for_is_returned():
    stepper = Stepper()
    loop = asyncio.new_event_loop()
    try:
        future = loop.create_future()

        async def wait():
            variable.set("inside")
            return await future

        coroutine = wait()
        assert stepper.start(coroutine) is future
        assert stepper.suspended
        assert stepper.context[variable] == "inside"
        assert variable.get() == "outside"
        coroutine.close()
    finally:
        loop.close()


def test_what_a_coroutine_raises_is_raised():
    async def fail():
        variable.set("inside")
        raise KeyError("no")

    stepper = Stepper()
    with pytest.raises(KeyError, match="no"):
        stepper.start(fail())
    assert not stepper.suspended
    assert variable.get() == "outside"


def test_a_coroutine_may_start_another():
    stepper = Stepper()

    async def inner():
        await asyncio.sleep(0)

    async def outer():
        coroutine = inner()
        stepper.start(coroutine)
        assert stepper.suspended
        coroutine.close()
        return "done"

    assert stepper.start(outer()) == "done"
    assert not stepper.suspended
