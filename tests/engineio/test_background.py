"""The background loop: posts, waiting, wrong threads, fork, the interpreter's end."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from duplexio.engineio.background import BackgroundLoop
from duplexio.engineio.workers import Serial, WorkerThreads
from duplexio.errors import UsageError


@pytest.fixture
def background():
    loop = BackgroundLoop("test")
    yield loop
    loop.stop(5)


def test_posts_of_one_turn_wake_the_loop_once(background, monkeypatch):
    loop = background.loop
    held, go = threading.Event(), threading.Event()
    loop.call_soon_threadsafe(lambda: (held.set(), go.wait(10)))
    assert held.wait(10)
    woken = []
    wake = loop.call_soon_threadsafe

    class Counting:
        def __getattr__(self, name):
            return getattr(loop, name)

        def call_soon_threadsafe(self, *args):
            woken.append(args)
            return wake(*args)

    monkeypatch.setattr(background, "_loop", Counting())
    got = []
    for number in range(5000):
        background.post(got.append, number)
    assert len(woken) == 1
    go.set()
    monkeypatch.setattr(background, "_loop", loop)
    background.run(asyncio.sleep(0.01))
    while background.backlog:
        background.run(asyncio.sleep(0))
    assert got == list(range(5000))


def test_posts_from_many_threads_keep_each_ones_order(background):
    got = []

    def post(name):
        for number in range(1000):
            background.post(got.append, (name, number))

    threads = [threading.Thread(target=post, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while background.backlog:
        background.run(asyncio.sleep(0))
    background.run(asyncio.sleep(0))
    for name in range(6):
        assert [number for who, number in got if who == name] == list(range(1000))


def test_a_post_that_raises_does_not_stop_the_others(background):
    errors, got = [], []
    background.loop.call_soon_threadsafe(
        background.loop.set_exception_handler, lambda loop, context: errors.append(context)
    )
    background.run(asyncio.sleep(0))
    background.post(lambda: 1 / 0)
    background.post(got.append, 1)
    background.run(asyncio.sleep(0.01))
    assert got == [1]
    assert isinstance(errors[0]["exception"], ZeroDivisionError)


def test_waiting_from_the_loops_own_thread_is_refused(background):
    async def inside():
        with pytest.raises(UsageError, match="this thread runs the event loop"):
            background.run(asyncio.sleep(0))
        return background.is_current

    assert background.run(inside())
    assert not background.is_current


def test_a_timeout_cancels(background):
    cancelled = threading.Event()

    async def long():
        try:
            await asyncio.sleep(100)
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        background.run(long(), timeout=0.01)
    assert cancelled.wait(10)


def test_stop_cancels_and_ends_the_thread():
    background = BackgroundLoop("test")
    cancelled = threading.Event()

    async def long():
        try:
            await asyncio.sleep(100)
        finally:
            cancelled.set()

    def wait():
        with pytest.raises(UsageError):
            background.run(long())

    waiting = threading.Thread(target=wait)
    waiting.start()
    background.run(asyncio.sleep(0.01))
    background.stop(10)
    waiting.join(10)
    assert cancelled.is_set()
    assert not waiting.is_alive()
    with pytest.raises(UsageError, match="stopped"):
        background.run(asyncio.sleep(0))


PROGRAM = """
import asyncio, os, sys, threading
from duplexio.engineio.background import background_loop
from duplexio.errors import UsageError
parent = background_loop()
parent.run(asyncio.sleep(0))
asyncio.run_coroutine_threadsafe(asyncio.sleep(1000), parent.loop)
child = os.fork()
if not child:
    try:
        parent.run(asyncio.sleep(0))
    except UsageError as exc:
        assert "forked" in str(exc)
    else:
        os._exit(3)
    assert background_loop() is not parent
    assert background_loop().run(asyncio.sleep(0, 5)) == 5
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert parent.run(asyncio.sleep(0, 6)) == 6
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_and_the_interpreters_end():
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_serial_calls_keep_their_order_and_free_their_thread():
    threads = WorkerThreads(max_threads=4)
    failures, got, done = [], [], threading.Event()
    one, other = Serial(threads, failures.append), Serial(threads, failures.append)
    go = threading.Event()
    one.submit(go.wait, 10)
    for number in range(100):
        one.submit(got.append, number)
        other.submit(got.append, -number)
    one.submit(lambda: 1 / 0)
    one.submit(done.set)
    go.set()
    assert done.wait(10)
    assert [number for number in got if number > 0] == list(range(1, 100))
    assert len(failures) == 1
    assert threads.count <= 4
    assert not one.is_current
