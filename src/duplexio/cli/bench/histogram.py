"""Latencies, counted in buckets whose width grows with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil

__all__ = ["Histogram"]

# Buckets up to a number of microseconds are one microsecond wide; above it there are so many for
# each doubling, so that a bucket is never wider than 1/64 of what it holds.
_EXACT = 128
_PER_DOUBLING = 64


def _bucket(microseconds: int) -> int:
    if microseconds < _EXACT:
        return max(microseconds, 0)
    shift = microseconds.bit_length() - 7
    return _EXACT + (shift - 1) * _PER_DOUBLING + (microseconds >> shift) - _PER_DOUBLING


def _middle(bucket: int) -> float:
    """Return the middle of a bucket, in microseconds."""
    if bucket < _EXACT:
        return float(bucket)
    shift, rest = divmod(bucket - _EXACT, _PER_DOUBLING)
    return (rest + _PER_DOUBLING + 0.5) * float(1 << (shift + 1))


class Histogram:
    """How often each latency was seen, with an error of at most 1 percent.

    Example:
        >>> histogram = Histogram()
        >>> for milliseconds in range(1, 101):
        ...     histogram.add(milliseconds / 1000)
        >>> round(histogram.percentile(50) * 1000), round(histogram.percentile(99) * 1000)
        (50, 99)
    """

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        self.count = 0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a latency.

        Args:
            seconds: The latency.
            times: How often it was seen.
        """
        self.buckets[_bucket(int(seconds * 1e6))] += times
        self.count += times

    def merge(self, counts: Mapping[str, int] | Mapping[int, int]) -> None:
        """Add what :meth:`as_dict` returned elsewhere."""
        for bucket, times in counts.items():
            self.buckets[int(bucket)] += times
            self.count += times

    def as_dict(self) -> dict[int, int]:
        """Return the buckets that are not empty."""
        return dict(self.buckets)

    def percentile(self, percent: float) -> float:
        """Return the latency that so many percent do not exceed, in seconds; 0 for none at all."""
        wanted = ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return _middle(bucket) / 1e6
        return 0.0

    def mean(self) -> float:
        """Return the mean, in seconds."""
        total = sum(_middle(bucket) * times for bucket, times in self.buckets.items())
        return total / self.count / 1e6 if self.count else 0.0

    def bars(self, edges: Iterable[float]) -> list[int]:
        """Count the latencies between edges.

        Args:
            edges: In seconds, ascending; the last bar is open.

        Returns:
            One number for each edge: of the latencies from it up to the next.
        """
        limits = [edge * 1e6 for edge in edges]
        counts = [0] * len(limits)
        position = 0
        for bucket in sorted(self.buckets):
            middle = _middle(bucket)
            while position + 1 < len(limits) and middle >= limits[position + 1]:
                position += 1
            counts[position] += self.buckets[bucket]
        return counts
