# cython: annotation_typing=False, binding=False, embedsignature=True
"""Wake the one task that waits for a message, at once.

An asyncio future wakes its task in the next turn of the loop, through a handle of its own. A
message that is being read can do better: no task is running then, so the waiting task can go on in
place, and what it sends is still gathered with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any

__all__ = ["Wakeup"]


class Wakeup:
    """Something that one task awaits once: the least of a future that asyncio's tasks need.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._asyncio_future_blocking = False
        self.callback: Callable[[Any], object] | None = None
        self.context: Context | None = None
        self.asked = False
        self.finished = False
        self.was_cancelled = False

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self.asked and not self.finished:
            self.asked = True
            self._asyncio_future_blocking = True
            return self
        self.result()
        raise StopIteration

    def wake(self, at_once: bool) -> None:
        """Let the waiting task go on.

        Args:
            at_once: Whether it may go on before this returns. While a task is running in the loop,
                as when a transport delivers bytes from within a call, it goes on soon after.
        """
        if self.finished:
            return
        self.finished = True
        callback, self.callback = self.callback, None
        context, self.context = self.context, None
        if callback is None:
            return
        if at_once and context is not None:
            try:
                context.run(callback, self)
            except RuntimeError:
                # A task is running, and asyncio refused to enter another. (What the task itself
                # raises does not come here.)
                self.loop.call_soon(callback, self, context=context)
        else:
            self.loop.call_soon(callback, self, context=context)

    # What asyncio.Task calls

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self.loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Take the task's callback; there is only ever one."""
        if self.finished:
            self.loop.call_soon(callback, self, context=context)
        else:
            self.callback = callback
            self.context = context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget the callback."""
        had = self.callback is not None
        self.callback = None
        return int(had)

    def cancel(self, msg: object = None) -> bool:
        """Cancel the wait, as the task asks for when it is cancelled."""
        if self.finished:
            return False
        self.was_cancelled = True
        self.wake(False)
        return True

    def done(self) -> bool:
        """Return whether the wait is over."""
        return bool(self.finished)

    def cancelled(self) -> bool:
        """Return whether the wait was cancelled."""
        return bool(self.was_cancelled)

    def result(self) -> None:
        """Raise when the wait was cancelled."""
        if self.was_cancelled:
            raise asyncio.CancelledError

    def exception(self) -> None:
        """Raise when the wait was cancelled; there is no other exception."""
        self.result()
