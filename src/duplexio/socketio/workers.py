"""Threads that run the handlers of a client that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..engineio.workers import Serial, worker_threads

if TYPE_CHECKING:
    from .core import Core

__all__ = ["ThreadAnswer", "Workers"]

#: Handlers after which the event loop is told that they have ended, even if more are to come.
BATCH = 32


class ThreadAnswer:
    """What a thread waits for that has emitted an event.

    Attributes:
        id: Of the acknowledgement, when the event was emitted.
        values: The arguments of the acknowledgement; ``None`` before there is one.
        error: Why there will be none; ``None`` when that is not known.
    """

    __slots__ = ("_lock", "error", "id", "values")

    def __init__(self) -> None:
        self.id = -1
        self.values: list[Any] | None = None
        self.error: BaseException | None = None
        # A lock is the least that a thread can wait for.
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float | None) -> bool:
        """Wait for the answer.

        Args:
            timeout: Seconds; ``None`` for no end.

        Returns:
            Whether it has come, or is known not to.
        """
        return self._lock.acquire(timeout=-1 if timeout is None else max(0.0, timeout))

    # Called on the event loop

    def emit(self, space: Any, data: list[Any]) -> None:
        """Emit the event.

        Args:
            space: The namespace.
            data: Name and arguments.
        """
        try:
            self.id = space.emit(data, self)
        except Exception as exc:
            self.set_exception(exc)

    def forget(self, space: Any) -> None:
        """Wait no more.

        Args:
            space: The namespace.
        """
        if not self.done():
            space.forget(self.id)

    def done(self) -> bool:
        """Return whether the answer has come, or is known not to."""
        return self.values is not None or self.error is not None

    def set_result(self, values: list[Any]) -> None:
        """Take the acknowledgement.

        Args:
            values: Its arguments.
        """
        self.values = values
        self._lock.release()

    def set_exception(self, error: BaseException) -> None:
        """Take note that there will be none.

        Args:
            error: Why.
        """
        self.error = error
        self._lock.release()


class Workers:
    """Runs handlers in threads.

    Args:
        hub: Is told of failures.
        post: Has a function called on the event loop, from any thread.
        overlap: Whether handlers may overlap; else each ends before the next one begins, in their
            order.
    """

    def __init__(self, hub: Core, post: Callable[..., object], overlap: bool) -> None:
        self._hub = hub
        self._post = post
        self._overlap = overlap
        self._serial = Serial(worker_threads(), lambda exc: hub.failed("a handler", exc))
        self._ended: dict[Any, int] = {}
        self._running: set[threading.Thread] = set()

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
        self._submit(self._run_handler, dispatcher, party, handler, data, ack)

    def call(self, function: Callable[..., Any], data: Any, what: str) -> Any:
        """Run a function.

        Args:
            function: The function.
            data: What it is called with.
            what: What it is, for the log.

        Returns:
            A future that is done when the function has ended.
        """
        done = self._hub.loop.create_future()
        self._submit(self._run_function, done, function, data, what)
        return done

    def _submit(self, call: Callable[..., None], *args: Any) -> None:
        if not self._overlap:
            self._serial.submit(call, *args)
            return

        def run() -> None:
            thread = threading.current_thread()
            self._running.add(thread)
            try:
                call(*args)
            except Exception as exc:
                self._hub.failed("a handler", exc)
            finally:
                self._running.discard(thread)

        worker_threads().start(run)

    # Called by any thread

    @property
    def is_current(self) -> bool:
        """Whether the thread that asks runs a handler."""
        return self._serial.is_current or threading.current_thread() in self._running

    # In the threads

    def _run_handler(
        self, dispatcher: Any, party: Any, handler: Any, data: list[Any], ack: int
    ) -> None:
        try:
            result = handler.function(*data)
        except Exception as exc:
            self._hub.failed(f"the handler {handler.name} for {party.label()}", exc)
        else:
            if ack >= 0:
                self._post(dispatcher.answer, party, handler, ack, result)
        if self._overlap:
            self._post(dispatcher.worked, 1)
            return
        count = self._ended.pop(dispatcher, 0) + 1
        if count < BATCH and self._serial.pending:
            self._ended[dispatcher] = count
            return
        self._post(dispatcher.worked, count)
        for other, rest in self._ended.items():
            self._post(other.worked, rest)
        self._ended.clear()

    def _run_function(
        self, done: asyncio.Future[None], function: Callable[..., Any], data: Any, what: str
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
