"""The first steps of coroutines, and what is asked about each of them.

The compiled form of this module (``stepper.pyx``) does without the exception that is made when a
coroutine returns, and without a call of the interpreter for each question.
"""

from __future__ import annotations

from contextvars import copy_context
from sys import getrefcount
from time import perf_counter
from typing import Any
from weakref import getweakrefcount

__all__ = ["Stepper", "clock", "references", "weak_references"]


def clock() -> float:
    """Return seconds, of a clock that only tells how long something takes."""
    return perf_counter()


def references(value: Any) -> int:
    """Return how many references to an object there are; only of use to see whether they change.

    Args:
        value: The object.
    """
    return getrefcount(value)


def weak_references(value: Any) -> int:
    """Return how many weak references to an object there are; from Python 3.12 on nobody asks.

    Args:
        value: The object.
    """
    return getweakrefcount(value)


class Stepper:
    """Lets coroutines take their first step, each in a context of its own.

    Attributes:
        suspended: Whether the last one has suspended.
        context: The context of the last one that has.
    """

    def __init__(self) -> None:
        self.suspended = False
        self.context: Any = None

    def start(self, coroutine: Any) -> Any:
        """Let a coroutine take its first step.

        Args:
            coroutine: The coroutine.

        Returns:
            What it waits for, if it has suspended; else what it has returned.

        Raises:
            BaseException: What it has raised.

        Example:
            >>> async def add(a, b):
            ...     return a + b
            >>> stepper = Stepper()
            >>> stepper.start(add(1, 2)), bool(stepper.suspended)
            (3, False)
        """
        self.suspended = False
        context = copy_context()
        try:
            waited_for = context.run(coroutine.send, None)
        except StopIteration as stop:
            self.suspended = False
            return stop.value
        except BaseException:
            self.suspended = False
            raise
        self.suspended = True
        self.context = context
        return waited_for
