"""Threads that run the handlers of the blocking clients.

The handlers of one client run one after the other, in the order of its messages, so a client that
is not busy needs no thread, and one that is needs one. The threads are daemons: a handler that
blocks for ever does not keep the interpreter from ending.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["MAX_THREADS", "Serial", "WorkerThreads", "worker_threads"]

#: Threads at most: so many clients may be busy with handlers at the same time.
MAX_THREADS = 512

#: Seconds that an idle thread waits for work before it ends.
IDLE_TIMEOUT = 5.0

Call = Callable[[], object]


class WorkerThreads:
    """Threads that come when there is work, and go when there is none.

    Args:
        max_threads: How many there may be; work waits when all are busy.
        name: Name of the threads.
    """

    def __init__(self, max_threads: int = MAX_THREADS, name: str = "duplexio-handler") -> None:
        self.max_threads = max_threads
        self._name = name
        self._lock = threading.Lock()
        self._work: SimpleQueue[Call] = SimpleQueue()
        self._free = 0  # threads without work, less the work that waits
        self.count = 0

    def start(self, call: Call) -> None:
        """Run something in a thread, as soon as one is free.

        Args:
            call: What to run; it must not raise.
        """
        with self._lock:
            self._free -= 1
            self._work.put(call)
            if self._free < 0 and self.count < self.max_threads:
                self.count += 1
                self._free += 1
                threading.Thread(target=self._main, name=self._name, daemon=True).start()

    def _main(self) -> None:
        while True:
            try:
                call = self._work.get(timeout=IDLE_TIMEOUT)
            except Empty:
                with self._lock:
                    if self._work.empty():
                        self.count -= 1
                        self._free -= 1
                        return
                continue
            call()
            del call
            with self._lock:
                self._free += 1


class Serial:
    """Calls that are made one after the other, in threads.

    Args:
        threads: The threads.
        failed: Is called with what a call raises.
    """

    def __init__(self, threads: WorkerThreads, failed: Callable[[Exception], object]) -> None:
        self._threads = threads
        self._failed = failed
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._lock = threading.Lock()
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is the one that makes the calls now."""
        return self._thread is threading.current_thread()

    @property
    def pending(self) -> int:
        """How many calls are still to be made."""
        return len(self._calls)

    def submit(self, call: Callable[..., object], *args: Any) -> None:
        """Have something called when all that was submitted before is done.

        Args:
            call: What to call.
            args: Its arguments.
        """
        with self._lock:
            self._calls.append((call, args))
            if self._running:
                return
            self._running = True
        self._threads.start(self._run)

    def _run(self) -> None:
        self._thread = threading.current_thread()
        while True:
            with self._lock:
                if not self._calls:
                    self._running = False
                    self._thread = None
                    return
                call, args = self._calls.popleft()
            try:
                call(*args)
            except Exception as exc:
                self._failed(exc)


_shared = WorkerThreads()


def worker_threads() -> WorkerThreads:
    """Return the threads that the blocking clients of this process share."""
    return _shared


def _forget_shared() -> None:
    """In a forked process: the parent's threads are not here."""
    global _shared
    _shared = WorkerThreads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)
