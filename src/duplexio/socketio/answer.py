# cython: annotation_typing=False, binding=False, embedsignature=True
"""The answer to one emit, for the task that waits for it."""

from __future__ import annotations

from typing import Any

from ..websocket.wakeup import Wakeup

__all__ = ["Answer"]


class Answer(Wakeup):
    """What a task awaits that has emitted an event: it goes on as soon as the answer is read.

    Args:
        loop: The event loop.

    Attributes:
        values: The arguments of the acknowledgement; ``None`` before there is one.
        error: Why there will be none; ``None`` when that is not known.
    """

    def __init__(self, loop: Any) -> None:
        Wakeup.__init__(self, loop)
        self.values: list[Any] | None = None
        self.error: BaseException | None = None

    def set_result(self, values: list[Any]) -> None:
        """Take the acknowledgement.

        Args:
            values: Its arguments.
        """
        self.values = values
        self.wake(True)

    def set_exception(self, error: BaseException) -> None:
        """Take note that there will be none.

        Args:
            error: Why.
        """
        self.error = error
        self.wake(False)
