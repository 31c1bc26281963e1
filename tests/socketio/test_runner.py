"""Handlers that start at once are tasks like any other."""

import asyncio
import contextvars
import sys
import weakref

import pytest

from tests.pure import implementations

runner_module = pytest.mark.parametrize("module", implementations("socketio.runner"))
variable = contextvars.ContextVar("variable", default=0)


@pytest.fixture(params=[False, True], ids=["borrowed", "own"])
def suspends(request):
    return request.param


def make(module):
    return module.Runner(asyncio.get_running_loop())


@runner_module
async def test_it_runs_at_once_and_returns(module, suspends):
    runner = make(module)

    async def handler():
        return asyncio.current_task()

    before = asyncio.current_task()
    assert runner.start(handler(), suspends) is not before
    assert asyncio.current_task() is before
    assert runner.task is None


@runner_module
async def test_it_raises(module, suspends):
    runner = make(module)

    async def handler():
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            runner.start(handler(), suspends)
    assert asyncio.current_task() is not None


@runner_module
async def test_it_goes_on_as_the_same_task(module, suspends):
    runner = make(module)
    future = asyncio.get_running_loop().create_future()

    async def handler():
        task = asyncio.current_task()
        value = await future
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        return value

    runner.start(handler(), suspends)
    task = runner.task
    assert not task.done()
    future.set_result(7)
    assert await task == 7


@runner_module
async def test_contexts_are_its_own(module, suspends):
    runner = make(module)

    async def handler(value):
        assert variable.get() == 0
        variable.set(value)
        await asyncio.sleep(0)
        assert variable.get() == value
        await asyncio.create_task(child(value))
        return value

    async def child(value):
        assert variable.get() == value

    async def quick():
        assert variable.get() == 0
        variable.set(9)

    for _ in range(3):
        runner.start(quick(), suspends)
    tasks = []
    for value in (1, 2):
        runner.start(handler(value), suspends)
        tasks.append(runner.task)
    assert await asyncio.gather(*tasks) == [1, 2]
    assert variable.get() == 0


@runner_module
@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_cancelling(module, suspends, turns):
    runner = make(module)
    log = []
    future = asyncio.get_running_loop().create_future()

    async def handler():
        try:
            await future
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    runner.start(handler(), suspends)
    task = runner.task
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cancelled"]
    assert future.cancelled()


@runner_module
async def test_cancelling_what_is_swallowed(module, suspends):
    runner = make(module)

    async def handler():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return "kept"

    runner.start(handler(), suspends)
    runner.task.cancel()
    assert await runner.task == "kept"


@runner_module
async def test_cancelling_itself(module, suspends):
    runner = make(module)
    log = []

    async def suspending():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def quick():
        asyncio.current_task().cancel()
        return 1

    runner.start(suspending(), suspends)
    with pytest.raises(asyncio.CancelledError):
        await runner.task
    assert log == ["cancelled"]
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            runner.start(quick(), suspends)


@runner_module
async def test_timeouts_and_groups(module, suspends):
    runner = make(module)

    async def handler():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, value)) for value in range(3)]
        return [task.result() for task in tasks]

    runner.start(handler(), suspends)
    assert await runner.task == [0, 1, 2]


@runner_module
@pytest.mark.parametrize("how", ["reference", "weak", "callback"])
async def test_a_task_that_was_kept_is_not_lent_again(module, how):
    runner = make(module)
    kept = []
    ended = []

    async def keep():
        task = asyncio.current_task()
        if how == "reference":
            kept.append(task)
        elif how == "weak":
            kept.append(weakref.ref(task))
        else:
            task.add_done_callback(ended.append)
        return "result"

    async def who():
        return id(asyncio.current_task())

    first = runner.start(who(), False)
    if sys.version_info < (3, 12):
        assert runner.start(who(), False) == first
    assert runner.start(keep(), False) == "result"
    task = kept[0] if how == "reference" else kept[0]() if how == "weak" else None
    if task is not None:
        assert await task == "result"
        assert runner.start(who(), False) != id(task)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(ended) == (how == "callback")


@runner_module
async def test_one_starts_another(module, suspends):
    runner = make(module)
    inner = []

    async def suspending():
        await asyncio.sleep(0)
        return "inner"

    async def outer():
        runner.start(suspending(), suspends)
        inner.append(runner.task)
        return "outer"

    assert runner.start(outer(), suspends) == "outer"
    assert runner.task is None
    assert await inner[0] == "inner"


@runner_module
async def test_they_go_on_in_the_order_in_which_they_started(module):
    runner = make(module)
    log = []

    async def handler(number):
        await asyncio.sleep(0)
        log.append(number)

    for number in range(4):
        runner.start(handler(number), number > 0)
    await asyncio.sleep(0.01)
    assert log == [0, 1, 2, 3]
