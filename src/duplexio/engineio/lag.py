"""How long the event loop was blocked, and by whom.

A handler that blocks the loop keeps all sessions from being heard; their pongs lie in the kernel.
What is measured here is credited to them before one is given up.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

__all__ = ["INTERVAL", "LagMonitor"]

#: Seconds between two looks at the clock.
INTERVAL = 0.5

#: Seconds of lag from which on it is logged.
LOGGED = 1.0

#: Seconds of lag that are nothing but a busy machine.
TOLERATED = 0.02


class LagMonitor:
    """Measures the lag of an event loop, while it is started.

    Args:
        loop: The event loop.
        logger: Where a blocked loop is logged.

    Attributes:
        total: Seconds that the loop was blocked, in all.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, logger: Any) -> None:
        self._loop = loop
        self._logger: logging.Logger = logger
        self._handle: asyncio.TimerHandle | None = None
        self._expected = 0.0
        self._suspect = ""
        self._longest = 0.0
        self.total = 0.0

    def start(self) -> None:
        """Begin to measure, unless that was done."""
        if self._handle is None:
            self._expect()

    def stop(self) -> None:
        """Stop measuring."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def current(self) -> float:
        """Return the seconds that the loop was blocked in all, the present ones included."""
        if self._handle is None:
            return self.total
        return self.total + max(0.0, self._loop.time() - self._expected)

    def blame(self, name: str, seconds: float) -> None:
        """Take note of how long a handler has kept the loop.

        Args:
            name: The handler's name, for the log.
            seconds: How long.
        """
        if seconds > self._longest:
            self._longest = seconds
            self._suspect = name

    def _expect(self) -> None:
        self._expected = self._loop.time() + INTERVAL
        self._longest = 0.0
        self._handle = self._loop.call_at(self._expected, self._look)

    def _look(self) -> None:
        lag = self._loop.time() - self._expected
        if lag > TOLERATED:
            self.total += lag
        if lag > LOGGED:
            culprit = ""
            if self._longest > lag / 2:
                culprit = f": the handler {self._suspect} took {self._longest:.1f} s"
            self._logger.warning(
                "the event loop was blocked for %.1f s%s; clients are given that much more time to"
                " answer heartbeats. Use 'await' in handlers, or threads for what blocks",
                lag,
                culprit,
            )
        self._expect()
