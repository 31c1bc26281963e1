"""One timer for all the deadlines of an event loop.

A connection has one deadline at a time (its next ping, the pong it waits for, the end of the
closing handshake), and it moves much more often than it passes. So a deadline is a number that its
owner may push back for free; the wheel looks at it when the earlier time comes, and puts the owner
back if it is not due. Only the earliest slot has a timer in the event loop.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Protocol

__all__ = ["SLOTS_PER_SECOND", "TimerWheel"]

#: Resolution of the wheel: a deadline is noticed up to 1/64 s late, never early.
SLOTS_PER_SECOND = 64


class Timed(Protocol):
    """What has a deadline.

    Attributes:
        due: The deadline in seconds of the loop's clock, or 0 for none.
        slot: The wheel's own note of where the owner stands; -1 to begin with.
        place: The same, within the slot.
    """

    due: float
    slot: int
    place: int

    def on_due(self, now: float, lag: float) -> None:
        """Act on the deadline that has passed; may set the next one with ``schedule``."""


class TimerWheel:
    """Deadlines of the connections of one event loop.

    Args:
        loop: The event loop whose clock counts.
    """

    __slots__ = ("_handle", "_loop", "_next", "_order", "_slots")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, list[Timed]] = {}
        self._order: list[int] = []
        self._handle: asyncio.TimerHandle | None = None
        self._next = -1

    def schedule(self, owner: Timed, due: float) -> None:
        """Set the deadline of an owner, in place of the one it had.

        Args:
            owner: Whose ``on_due`` will be called.
            due: When, in seconds of the loop's clock.
        """
        owner.due = due
        slot = int(due * SLOTS_PER_SECOND) + 1
        if owner.slot >= 0:
            if owner.slot <= slot:
                return
            self._remove(owner)
        owners = self._slots.get(slot)
        if owners is None:
            self._slots[slot] = owners = []
            heapq.heappush(self._order, slot)
            if self._next < 0 or slot < self._next:
                self._arm(slot)
        owner.slot = slot
        owner.place = len(owners)
        owners.append(owner)

    def cancel(self, owner: Timed) -> None:
        """Forget an owner's deadline.

        Args:
            owner: May be one that has none.
        """
        owner.due = 0.0
        if owner.slot >= 0:
            self._remove(owner)

    def _remove(self, owner: Timed) -> None:
        # A list takes a fifth of the memory of a set; the last owner moves into the gap.
        owners = self._slots[owner.slot]
        last = owners.pop()
        if last is not owner:
            owners[owner.place] = last
            last.place = owner.place
        owner.slot = -1

    def _arm(self, slot: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._next = slot
        self._handle = self._loop.call_at(slot / SLOTS_PER_SECOND, self._run)

    def _run(self) -> None:
        self._handle = None
        self._next = -1
        now = self._loop.time()
        current = int(now * SLOTS_PER_SECOND)
        passed: list[Timed] = []
        lag = 0.0
        while self._order and self._order[0] <= current:
            slot = heapq.heappop(self._order)
            lag = max(lag, now - slot / SLOTS_PER_SECOND)
            passed.extend(self._slots.pop(slot))
        for owner in passed:
            owner.slot = -1
        for owner in passed:
            # One owner may have cancelled or moved another's deadline meanwhile.
            if owner.due > now:
                self.schedule(owner, owner.due)
            elif owner.due and owner.slot < 0:
                owner.due = 0.0
                try:
                    owner.on_due(now, lag)
                except Exception as exc:
                    # An owner that raises must not stop the clock of all the others.
                    self._loop.call_exception_handler(
                        {"message": "a deadline could not be dealt with", "exception": exc}
                    )
        while self._order and not self._slots[self._order[0]]:
            del self._slots[heapq.heappop(self._order)]
        if self._order and (self._next < 0 or self._order[0] < self._next):
            self._arm(self._order[0])
