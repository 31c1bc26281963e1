# cython: annotation_typing=False, binding=False, embedsignature=True
"""What all the connections of an event loop share: a read buffer, an output, a timer.

An idle connection owns no buffers. All read into one, which is parsed in place; and what is sent
while a read is being handled is gathered in one output, the cork, and written at its end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .kernel import Output
from .masks import system_mask_keys
from .timers import TimerWheel

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["READ_BUFFER", "LoopState"]

#: Size of the read buffer of an event loop, in bytes.
READ_BUFFER = 262144

_ATTRIBUTE = "_duplexio_websocket_state"


class LoopState:
    """Shared by the connections of one event loop.

    Args:
        loop: The event loop.

    Attributes:
        buffer: Where connections read into; what outlives the read is copied out of it.
        view: A view of it.
        outstanding: Whether reads stay outstanding while others are handled (Windows' proactor),
            so that connections cannot share the buffer.
        private: The buffers of the connections, where they cannot share one.
        cork: Gathers what the connection being read sends.
        corked: The connection being read.
        timers: The deadlines of all connections.
        read_began: When the current read had used up its budget of messages for the first time, in
            seconds of the loop's clock; 0 before that.
        mask_keys: Where the masking keys of all clients come from: one pool for all keeps each
            connection small.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.buffer = bytearray(READ_BUFFER)
        self.view = memoryview(self.buffer)
        self.outstanding = hasattr(loop, "_proactor")
        self.private: dict[Driver, bytearray] = {}
        self.cork = Output()
        self.corked: Driver | None = None
        self.timers = TimerWheel(loop)
        self.mask_keys = system_mask_keys()
        self.unflushed: list[Driver] = []
        self.read_began = 0.0

    def flush_soon(self, driver: Driver) -> None:
        """Flush a connection's output at the end of this turn of the loop.

        Args:
            driver: The connection, which must not be waiting for this already.
        """
        if not self.unflushed:
            self.loop.call_soon(self._flush)
        self.unflushed.append(driver)

    def _flush(self) -> None:
        unflushed, self.unflushed = self.unflushed, []
        for driver in unflushed:
            driver.flush_pending()


def loop_state(loop: asyncio.AbstractEventLoop) -> LoopState:
    """Return the state of an event loop, made when it is first asked for.

    Args:
        loop: The event loop, which keeps the state as long as it lives.
    """
    state: LoopState | None = getattr(loop, _ATTRIBUTE, None)
    if state is None:
        state = LoopState(loop)
        setattr(loop, _ATTRIBUTE, state)
    return state
