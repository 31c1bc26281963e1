"""Coroutines that begin at once, where they are called, and go on as tasks if they suspend.

Most handlers never suspend; they have run when the message that they handle has been read, and what
they send goes out with the rest. A task that suspends is an ordinary one, with its identity,
context and cancellation.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine
from typing import Any

__all__ = ["start_eagerly"]

if sys.version_info >= (3, 12):

    def start_eagerly(
        coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[Any]:
        """Start a coroutine as a task, and run it to where it suspends first.

        Args:
            coroutine: The coroutine.
            loop: The event loop, which must be running.

        Returns:
            The task, which is done when the coroutine did not suspend.
        """
        return asyncio.Task(coroutine, loop=loop, eager_start=True)

else:
    from asyncio.tasks import _enter_task, _leave_task

    def start_eagerly(
        coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[Any]:
        """Start a coroutine as a task, and run it to where it suspends first.

        Args:
            coroutine: The coroutine.
            loop: The event loop, which must be running.

        Returns:
            The task, which is done when the coroutine did not suspend.
        """
        # Python 3.11 has no eager tasks. A task asks the loop for its first step when it is made:
        # that step is caught here, and taken now.
        steps: list[Any] = []
        names = loop.__dict__
        names["call_soon"] = lambda step, *_, context=None: steps.append(step)
        context = contextvars.copy_context()
        try:
            task = asyncio.Task(coroutine, loop=loop, context=context)
        finally:
            del names["call_soon"]
        running = asyncio.current_task(loop)
        if running is not None:
            _leave_task(loop, running)
        try:
            context.run(steps.pop())
        finally:
            if running is not None:
                _enter_task(loop, running)
        return task
