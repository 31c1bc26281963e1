"""Tasks that wait for work: for Python 3.11, which has no eager tasks.

A :class:`Parked` task has not begun. A coroutine takes its first step in its name; if that is the
last one, too, the task goes on waiting for another coroutine. If not, the task goes on with it, and
ends with it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from contextvars import Context
from typing import Any

__all__ = ["Parked"]


class Parked:
    """A task that waits for a coroutine.

    Args:
        loop: The event loop.

    Attributes:
        task: The task.
        wake: The future that it waits for.
    """

    __slots__ = ("_context", "_coroutine", "_error", "_future", "_result", "task", "wake")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.wake: asyncio.Future[None] = loop.create_future()
        self._coroutine: Any = None
        self._future: Any = None
        self._context: Context | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        # Its own first step leads to the future, at once: it must not be cancelled before that.
        steps: list[Any] = []
        names = loop.__dict__
        names["call_soon"] = lambda step, *_, context=None: steps.append(step)
        try:
            self.task: asyncio.Task[Any] = asyncio.Task(self._run(), loop=loop)
        finally:
            del names["call_soon"]
        # Nobody is to be told of a task that has never worked.
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]
        running = asyncio.current_task(loop)
        if running is not None:
            asyncio.tasks._leave_task(loop, running)
        try:
            steps.pop()()
        finally:
            if running is not None:
                asyncio.tasks._enter_task(loop, running)

    def go_on(self, coroutine: Any, future: Any, context: Context) -> None:
        """Go on with a coroutine that has suspended in its first step.

        Args:
            coroutine: The coroutine.
            future: What it waits for.
            context: What it runs in.
        """
        self._coroutine = coroutine
        self._future = future
        self._context = context
        self.task._log_destroy_pending = True  # type: ignore[attr-defined]
        if not self.wake.done():
            self.wake.set_result(None)

    def end(self, result: Any, error: BaseException | None) -> None:
        """End as a coroutine did in its first step; somebody may wait for the task.

        Args:
            result: What it has returned.
            error: What it has raised.
        """
        self._result = result
        self._error = error
        if not self.wake.done():
            self.wake.set_result(None)

    async def _run(self) -> Any:
        error: BaseException | None = None
        try:
            await self.wake
        except asyncio.CancelledError as exc:
            error = exc
        if self._coroutine is not None:
            assert self._context is not None
            return await drive(self._coroutine, self._future, self._context, error)
        if self._error is not None:
            raise self._error
        if error is not None and self._result is None:
            raise error
        return self._result


@types.coroutine
def drive(
    coroutine: Any, future: Any, context: Context, error: BaseException | None
) -> Generator[Any, Any, Any]:
    """Run the rest of a coroutine, each step in its context.

    Args:
        coroutine: The coroutine.
        future: What it waits for.
        context: The context.
        error: What the task was cancelled with meanwhile, if it was.
    """
    if error is not None and future is not None and future.cancel():
        # As a task does: the coroutine learns of it through what it waits for.
        error = None
    value = None
    # A turn of the loop, which is all that a bare yield asks for, has passed already.
    passed = future is None
    while True:
        try:
            if error is None and not passed:
                value = yield future
        except BaseException as exc:
            error = exc
        passed = False
        try:
            if error is None:
                future = context.run(coroutine.send, value)
            else:
                thrown, error = error, None
                future = context.run(coroutine.throw, thrown)
        except StopIteration as stop:
            return stop.value
