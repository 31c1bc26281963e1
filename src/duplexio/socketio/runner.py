# cython: annotation_typing=False, binding=False, embedsignature=True
"""Starts handlers at once, where they are called; those that suspend go on as tasks.

Most handlers never suspend. From Python 3.12 on a task can begin eagerly. Before, such a handler
borrows a parked task, which nobody has kept when it ends; one that is known to suspend gets a task
of its own from the beginning, which then costs less.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ..engineio.eager import start_eagerly
from .parked import Parked
from .stepper import Stepper, references, weak_references

__all__ = ["Runner"]

#: Tasks that are kept parked, at most.
MAX_PARKED = 8

_EAGER = sys.version_info >= (3, 12)
# The running task of each loop. Python 3.11 has it under this name, and later ones are not asked.
_running: dict[Any, Any] = {} if _EAGER else asyncio.tasks._current_tasks  # type: ignore[attr-defined]


class Slot:
    """A parked task, with what is asked of it for every coroutine.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.parked = Parked(loop)
        self.task = self.parked.task
        self.woken = self.parked.wake.done
        self.weak = weak_references(self.task)


class Runner:
    """Starts coroutines on one event loop.

    Args:
        loop: The event loop.

    Attributes:
        task: The task of the coroutine that was started last, if it has suspended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.task: asyncio.Task[Any] | None = None
        self.slots: list[Slot] = []
        self.stepper = Stepper()

    def start(self, coroutine: Any, suspends: bool) -> Any:
        """Run a coroutine to where it suspends first.

        Args:
            coroutine: The coroutine.
            suspends: Whether it is expected to suspend.

        Returns:
            Its result; when it has suspended, ``None``, and ``task`` is what goes on with it.

        Raises:
            BaseException: What it has raised.
        """
        if not _EAGER and not suspends:
            return self._borrow(coroutine)
        task = start_eagerly(coroutine, self.loop)
        done = task.done()
        # Another coroutine may have been started meanwhile, by this one.
        self.task = None if done else task
        return task.result() if done else None

    def _borrow(self, coroutine: Any) -> Any:
        """Let a coroutine take its first step in the name of a parked task."""
        loop = self.loop
        slot = self.slots.pop() if self.slots else Slot(loop)
        if slot.woken():
            slot = Slot(loop)  # somebody has cancelled all tasks
        task = slot.task
        kept = references(task)
        running = _running.get(loop)
        _running[loop] = task
        error: BaseException | None = None
        result = None
        suspended = False
        try:
            result = self.stepper.start(coroutine)
            suspended = self.stepper.suspended
            if suspended:
                slot.parked.go_on(coroutine, result, self.stepper.context)
            elif slot.woken():
                # As with any task that is cancelled in its last step.
                error = asyncio.CancelledError()
        except BaseException as exc:
            error = exc
        finally:
            if running is None:
                del _running[loop]
            else:
                _running[loop] = running
        self.task = task if suspended else None
        if suspended:
            return None
        if (
            references(task) == kept
            and weak_references(task) == slot.weak
            and not task._callbacks
            and not slot.woken()
        ):
            if len(self.slots) < MAX_PARKED:
                self.slots.append(slot)
            else:
                slot.parked.end(None, None)
        else:
            # Who has kept it sees a task that ends as the coroutine did.
            slot.parked.end(result, error)
        if error is not None:
            raise error
        return result
