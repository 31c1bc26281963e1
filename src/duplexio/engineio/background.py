"""One event loop in a thread of its own, for those who block.

The blocking clients are faces of the asyncio ones: what they do happens on the loop of
:func:`background_loop`, which all of them share. :meth:`BackgroundLoop.run` waits for a coroutine's
result. :meth:`BackgroundLoop.post` does not wait; however many threads post however much, the loop
is woken once for all that is there when it comes to look.

The thread is a daemon, and ends when the interpreter does. A forked process does not inherit it: it
gets a loop of its own when it asks for one.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from ..errors import UsageError

__all__ = ["BackgroundLoop", "background_loop"]

T = TypeVar("T")

#: Seconds that tasks have to end when the interpreter does.
EXIT_TIMEOUT = 1.0

#: Posted calls that are made before the loop looks after its connections again.
POSTS_PER_TURN = 1000


class BackgroundLoop:
    """An event loop in a daemon thread, which begins when it is first needed.

    Args:
        name: Name of the thread.

    Example:
        >>> import asyncio
        >>> background = BackgroundLoop("example")
        >>> background.run(asyncio.sleep(0, "done"))
        'done'
        >>> background.stop()
    """

    def __init__(self, name: str = "duplexio") -> None:
        self._name = name
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False
        self._stopped = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, which runs.

        Raises:
            UsageError: It belongs to the process that this one was forked from, or it was stopped.
        """
        if self._loop is None or self._stopped or self._pid != os.getpid():
            self._start()
        assert self._loop is not None
        return self._loop

    @property
    def is_usable(self) -> bool:
        """Whether it belongs to this process, and was not stopped."""
        return self._pid == os.getpid() and not self._stopped

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is the loop's own, which must not wait for it."""
        return self._thread is threading.current_thread() and self._pid == os.getpid()

    @property
    def backlog(self) -> int:
        """How many posted calls are still to be made."""
        return len(self._posted)

    def _start(self) -> None:
        if self._pid != os.getpid():
            raise UsageError(
                "this was begun before the process was forked, and its connections belong to the"
                " parent process; make a new one here"
            )
        with self._lock:
            if self._stopped:
                raise UsageError("the background loop was stopped, since the interpreter ends")
            if self._loop is not None:
                return
            ready = threading.Event()
            self._thread = threading.Thread(
                target=self._main, args=(ready,), name=self._name, daemon=True
            )
            self._thread.start()
            ready.wait()

    def _main(self, ready: threading.Event) -> None:
        loop = _new_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            try:
                _cancel_all(loop)
            finally:
                asyncio.set_event_loop(None)
                loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the loop, and wait for its result.

        An exception in the waiting thread, such as ``KeyboardInterrupt``, cancels the coroutine.

        Args:
            coroutine: The coroutine.
            timeout: Seconds to wait; ``None`` for ever.

        Raises:
            TimeoutError: It took longer; it is cancelled.
            UsageError: The calling thread is the loop's own, or was forked from the loop's process.
        """
        try:
            if self.is_current:
                raise UsageError(
                    "this thread runs the event loop of the blocking clients, so it cannot wait for"
                    " it; call this from another thread, or use the asyncio client"
                )
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except BaseException:
            coroutine.close()
            raise
        return self._wait(future, timeout)

    def _wait(self, future: Future[T], timeout: float | None) -> T:
        try:
            return future.result(timeout)
        except CancelledError:
            if _ending and threading.current_thread().daemon:
                # The interpreter ends, and this thread with it: as in other calls that block.
                threading.Event().wait()
            raise UsageError(
                "the background loop was stopped, since the interpreter ends"
            ) from None
        except BaseException:
            future.cancel()
            raise

    def post(self, call: Callable[..., object], *args: Any) -> None:
        """Have something called on the loop, in the order of the posts; returns at once.

        Args:
            call: What to call.
            args: Its arguments.

        Raises:
            UsageError: The calling thread was forked from the loop's process.
        """
        loop = self.loop
        self._posted.append((call, args))
        if not self._woken:
            # Two threads may both see that the loop is to be woken, which does no harm.
            self._woken = True
            try:
                loop.call_soon_threadsafe(self._call_posted)
            except RuntimeError:  # it was closed just now
                self._posted.clear()

    def _call_posted(self) -> None:
        # First of all: what is posted from now on wakes the loop again.
        self._woken = False
        posted = self._posted
        for _ in range(min(len(posted), POSTS_PER_TURN)):
            call, args = posted.popleft()
            try:
                call(*args)
            except Exception as exc:
                assert self._loop is not None
                self._loop.call_exception_handler(
                    {"message": f"{call!r}, which was posted to the loop, raised", "exception": exc}
                )
        if posted and not self._woken:
            self._woken = True
            assert self._loop is not None
            self._loop.call_soon(self._call_posted)

    def stop(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Cancel what runs on the loop, and end its thread.

        Args:
            timeout: Seconds to wait for that.
        """
        with self._lock:
            stopped, self._stopped = self._stopped, True
            loop, thread = self._loop, self._thread
        if stopped or loop is None or thread is None or self._pid != os.getpid():
            return
        try:
            loop.call_soon_threadsafe(loop.stop)
        except RuntimeError:
            return
        if thread is not threading.current_thread():
            thread.join(timeout)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks of a loop, and let them end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=EXIT_TIMEOUT))
    loop.run_until_complete(loop.shutdown_asyncgens())
    # Transports that were closed or aborted close their sockets in later turns.
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))


_shared: BackgroundLoop | None = None
_lock = threading.Lock()
_ending = False


def background_loop() -> BackgroundLoop:
    """Return the loop that the blocking clients of this process share."""
    global _shared
    with _lock:
        if _shared is None or _shared._pid != os.getpid():
            _shared = BackgroundLoop()
        return _shared


def _stop_shared() -> None:
    global _ending
    _ending = True
    if _shared is not None:
        _shared.stop()


def _forget_shared() -> None:
    """In a forked process: the parent's loop has no thread here, and its lock may be held."""
    global _shared, _lock
    _shared = None
    _lock = threading.Lock()


atexit.register(_stop_shared)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)
