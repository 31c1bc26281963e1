"""Threads that run the handlers of a client that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Workers"]

#: Handlers after which the event loop is told that they have ended.
BATCH = 32


class Workers:
    """Threads that run handlers: with one, each ends before the next begins, in their order.

    The threads begin when there is something to do, and end when :meth:`stop` is called and nothing
    is left. They do not keep the interpreter from exiting.

    Args:
        hub: Is told of failures.
        post: Has a function called on the event loop, from any thread.
        count: How many threads there may be.
    """

    def __init__(self, hub: Core, post: Callable[..., None], count: int) -> None:
        self._hub = hub
        self._post = post
        self._count = count
        self._jobs: deque[tuple[Any, ...]] = deque()
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._stopped = False

    # Called on the event loop

    def run(self, dispatcher: Any, party: Any, handler: Any, data: list[Any], ack: int) -> None:
        """Run the handler of an event.

        Args:
            dispatcher: Is told of its end.
            party: Where the event came from.
            handler: The handler.
            data: What it is called with.
            ack: Id of the acknowledgement; -1 for none.
        """
        self._put((dispatcher, party, handler, data, ack))

    def call(self, function: Callable[..., Any], data: list[Any], what: str) -> Any:
        """Run a function.

        Args:
            function: The function.
            data: What it is called with.
            what: What it is, for the log.

        Returns:
            A future that is done when the function has ended.
        """
        done = self._hub.loop.create_future()
        self._put((None, done, function, data, what))
        return done

    def stop(self) -> None:
        """Let the threads end when nothing is left to do."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _put(self, job: tuple[Any, ...]) -> None:
        with self._changed:
            self._stopped = False
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif len(self._threads) < self._count:
                thread = threading.Thread(target=self._work, name="duplexio handlers", daemon=True)
                self._threads.add(thread)
                thread.start()

    # Called by any thread

    def is_current(self) -> bool:
        """Return whether the thread that asks is one of these."""
        return threading.current_thread() in self._threads

    # In the threads

    def _work(self) -> None:
        ended: dict[Any, int] = {}
        while True:
            job = self._take(ended)
            if job is None:
                return
            dispatcher = job[0]
            if dispatcher is None:
                self._run_function(*job[1:])
                continue
            self._run_handler(*job)
            ended[dispatcher] = ended.get(dispatcher, 0) + 1
            if ended[dispatcher] >= BATCH:
                self._post(dispatcher.worked, ended.pop(dispatcher))

    def _take(self, ended: dict[Any, int]) -> tuple[Any, ...] | None:
        """Return the next job, or ``None`` when there will be none."""
        with self._changed:
            if not self._jobs:
                for dispatcher, count in ended.items():
                    self._post(dispatcher.worked, count)
                ended.clear()
                self._idle += 1
                try:
                    while not self._jobs and not self._stopped:
                        self._changed.wait()
                finally:
                    self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._threads.discard(threading.current_thread())
            return None

    def _run_handler(
        self, dispatcher: Any, party: Any, handler: Any, data: list[Any], ack: int
    ) -> None:
        try:
            result = handler.function(*data)
        except Exception as exc:
            self._hub.failed(f"the handler {handler.name} for {party.label()}", exc)
            return
        if ack >= 0:
            self._post(dispatcher.answer, party, handler, ack, result)

    def _run_function(
        self, done: asyncio.Future[None], function: Callable[..., Any], data: list[Any], what: str
    ) -> None:
        try:
            function(*data)
        except Exception as exc:
            self._hub.failed(what, exc)
        finally:
            self._post(_finish, done)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
