"""What a task awaits that is woken in place."""

import asyncio
import contextvars

import pytest

from duplexio.websocket.wakeup import Wakeup

LOOPS = ("asyncio", "uvloop")

variable = contextvars.ContextVar("variable", default="outside")


async def start(wakeup, notes):
    async def wait():
        variable.set("inside")
        try:
            await wakeup
            notes.append(variable.get())
        except asyncio.CancelledError:
            notes.append("cancelled")
            raise

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    return task


async def test_in_place_outside_of_tasks():
    loop = asyncio.get_running_loop()
    wakeup, notes = Wakeup(loop), []
    task = await start(wakeup, notes)
    woken = loop.create_future()

    def wake():
        assert asyncio.current_task() is None
        wakeup.wake(True)
        woken.set_result(list(notes))  # what has happened already

    loop.call_soon(wake)
    assert await woken == ["inside"]
    await task


async def test_in_the_next_turn():
    wakeup, notes = Wakeup(asyncio.get_running_loop()), []
    task = await start(wakeup, notes)
    wakeup.wake(False)
    wakeup.wake(False)
    assert notes == []
    await task
    assert notes == ["inside"]
    assert wakeup.done()
    assert not wakeup.cancelled()


async def test_inside_of_another_task_it_is_the_next_turn():
    wakeup, notes = Wakeup(asyncio.get_running_loop()), []
    task = await start(wakeup, notes)
    wakeup.wake(True)
    assert notes == []
    await task
    assert notes == ["inside"]


async def test_woken_before_it_is_awaited():
    wakeup, notes = Wakeup(asyncio.get_running_loop()), []
    wakeup.wake(True)
    await (await start(wakeup, notes))
    assert notes == ["inside"]


async def test_woken_between_the_await_and_the_tasks_interest():
    loop = asyncio.get_running_loop()
    wakeup = Wakeup(loop)
    called = loop.create_future()
    wakeup.wake(True)
    wakeup.add_done_callback(called.set_result)
    assert await called is wakeup


async def test_cancelling():
    wakeup, notes = Wakeup(asyncio.get_running_loop()), []
    task = await start(wakeup, notes)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes == ["cancelled"]
    assert wakeup.cancelled()
    with pytest.raises(asyncio.CancelledError):
        wakeup.result()
    with pytest.raises(asyncio.CancelledError):
        wakeup.exception()
    wakeup.wake(True)  # too late: nothing happens


async def test_cancelling_one_that_was_woken_in_the_same_turn():
    wakeup, notes = Wakeup(asyncio.get_running_loop()), []
    task = await start(wakeup, notes)
    wakeup.wake(False)
    assert not wakeup.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_callback_can_be_removed():
    loop = asyncio.get_running_loop()
    wakeup = Wakeup(loop)
    assert wakeup.get_loop() is loop
    wakeup.add_done_callback(print)
    assert wakeup.remove_done_callback(print) == 1
    assert wakeup.remove_done_callback(print) == 0
    wakeup.wake(True)


async def test_time_limits():
    wakeup = Wakeup(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await wakeup
