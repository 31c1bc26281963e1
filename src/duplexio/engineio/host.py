# cython: annotation_typing=False, binding=False, embedsignature=True
"""The host of sessions on an event loop: what they ask for often, and so is compiled."""

from __future__ import annotations

import asyncio
from typing import Any

from ..websocket.loopstate import LoopState, loop_state
from .channel import SessionHost
from .lag import LagMonitor

__all__ = ["LoopHost"]


class LoopHost(SessionHost):
    """Tells sessions the time of the event loop that first asks for it.

    Args:
        logger: Where a blocked loop is logged.
    """

    def __init__(self, logger: Any) -> None:
        self.logger = logger
        self.shared: LoopState | None = None
        self.monitor: LagMonitor | None = None
        self.unflushed: list[Any] = []
        self.reading = False

    def bind(self) -> None:
        """Stay with the event loop that is running."""
        self.shared = loop_state(asyncio.get_running_loop())
        self.monitor = LagMonitor(self.shared.loop, self.logger)

    def rebind(self) -> None:
        """Go to the event loop that is running, if it is another one.

        Programs that are tested start the same server on one loop after the other. There must be no
        sessions.
        """
        if self.shared is not None and self.shared.loop is not asyncio.get_running_loop():
            self.bind()

    @property
    def loop_state(self) -> LoopState:
        """What the connections of the event loop share."""
        if self.shared is None:
            self.bind()
        assert self.shared is not None
        return self.shared

    @property
    def lag_monitor(self) -> LagMonitor:
        """Measures how long the event loop was blocked."""
        if self.monitor is None:
            self.bind()
        assert self.monitor is not None
        return self.monitor

    def now(self) -> float:
        """Return the time of the event loop."""
        if self.shared is None:
            self.bind()
        assert self.shared is not None
        return self.shared.loop.time()

    def lag(self) -> float:
        """Return for how many seconds, in all, the event loop was blocked so far."""
        return 0.0 if self.monitor is None else self.monitor.current()

    def schedule(self, session: Any, due: float) -> None:
        """Have the session called when a time has come."""
        if self.shared is not None:
            self.shared.timers.schedule(session, due)

    def cancel(self, session: Any) -> None:
        """Forget the time."""
        if self.shared is not None:
            self.shared.timers.cancel(session)

    def flush_soon(self, session: Any) -> None:
        """Have the session flushed at the end of this turn of the loop."""
        if not self.unflushed and not self.reading and self.shared is not None:
            self.shared.loop.call_soon(self.flush_all)
        self.unflushed.append(session)

    def begin_read(self) -> None:
        """Take note that what has arrived is about to be dealt with."""
        self.reading = not self.unflushed

    def end_read(self) -> None:
        """Flush the sessions to which something was sent meanwhile."""
        if self.reading:
            self.reading = False
            if self.unflushed:
                self.flush_all()

    def flush_all(self) -> None:
        """Flush the sessions that wait for it."""
        unflushed, self.unflushed = self.unflushed, []
        for session in unflushed:
            session.flush()
