# cython: annotation_typing=False, binding=False, embedsignature=True
"""What one process counts; compiled, since it is done for each message."""

from __future__ import annotations

from array import array
from time import perf_counter

from .histogram import Histogram

__all__ = ["Recorder"]

# Latencies below so many microseconds have a counter each.
_EXACT = 131_072


class Recorder:
    """Counts messages and latencies.

    Attributes:
        counting: Whether latencies are counted: not while the load warms up.
        running: Whether answers are followed by further messages.
        sent: Messages sent so far.
        received: Answers and deliveries so far.
    """

    def __init__(self) -> None:
        self.counting = False
        self.running = False
        self.sent = 0
        self.received = 0
        self.counts = array("I", bytes(4 * _EXACT))
        self.view = memoryview(self.counts)
        self.above: list[float] = []

    def record(self, started: float) -> None:
        """Count an answer.

        Args:
            started: When its message was sent, or ought to have been, in the time of
                ``perf_counter``.
        """
        self.received += 1
        if self.counting:
            latency = perf_counter() - started
            if latency * 1e6 < _EXACT:
                self.view[int(latency * 1e6)] += 1
            else:
                self.above.append(latency)

    def take(self) -> Histogram:
        """Return the latencies since the last time."""
        histogram = Histogram()
        for microseconds, times in enumerate(self.counts):
            if times:
                histogram.add(microseconds / 1e6, times)
                self.counts[microseconds] = 0
        for latency in self.above:
            histogram.add(latency)
        self.above.clear()
        return histogram
