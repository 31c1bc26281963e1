"""Starts the processes of a load, and adds up what they count."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from .histogram import Histogram
from .plan import Plan
from .worker import INTERVAL

__all__ = ["Interval", "Results", "WorkerFailed", "run", "seconds_of"]

# Seconds between the word to begin and the beginning.
_LEAD = 0.2


class WorkerFailed(Exception):
    """A process of the load has ended before its time."""


@dataclass
class Interval:
    """What was counted in an interval.

    Attributes:
        number: Which it is.
        sent: Messages sent.
        received: Answers, or deliveries.
        connections: Connections at its end.
        latencies: How long the answers took.
    """

    number: int
    sent: int = 0
    received: int = 0
    connections: int = 0
    latencies: Histogram = field(default_factory=Histogram)


@dataclass
class Results:
    """What a load has measured so far.

    Attributes:
        plan: The load.
        processes: In how many processes.
        phase: ``opening``, ``working`` or ``done``.
        connections: Connections that are open.
        opened: Connections that were open when all that could be opened were.
        opening_seconds: How long opening them took.
        intervals: What was counted, by time.
        latencies: Of all that was measured.
        errors: What went wrong, and how often.
    """

    plan: Plan
    processes: int
    phase: str = "opening"
    connections: int = 0
    opened: int = 0
    opening_seconds: float = 0.0
    intervals: list[Interval] = field(default_factory=list)
    latencies: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        """Messages sent while it was measured."""
        return sum(interval.sent for interval in self.intervals)

    @property
    def received(self) -> int:
        """Answers or deliveries while it was measured."""
        return sum(interval.received for interval in self.intervals)


class _Part:
    """One process, and what it had counted at its last report."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.connections = 0
        self.sent = 0
        self.received = 0
        self.intervals = 0


class _Run:
    def __init__(self, results: Results, changed: Callable[[Results], None]) -> None:
        self.results = results
        self.changed = changed
        self.parts: list[_Part] = []

    async def start(self, plan: Plan) -> _Part:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "duplexio.cli.bench.worker",
            stdin=PIPE,
            stdout=PIPE,
            stderr=None if os.environ.get("PYTHONDEVMODE") else DEVNULL,
            limit=2**24,
        )
        part = _Part(process)
        self.parts.append(part)
        self.write(part, json.dumps(plan.as_dict()))
        return part

    def write(self, part: _Part, line: str) -> None:
        assert part.process.stdin is not None
        part.process.stdin.write(line.encode() + b"\n")

    async def follow(self, part: _Part, until: str) -> None:
        """Take the reports of a process up to that of a phase."""
        assert part.process.stdout is not None
        while line := await part.process.stdout.readline():
            event = json.loads(line)
            self.take(part, event)
            if event["phase"] == until:
                return
        status = await part.process.wait()
        raise WorkerFailed(f"A process of the load has ended with status {status}.")

    def take(self, part: _Part, event: dict[str, Any]) -> None:
        results = self.results
        results.connections += event["connections"] - part.connections
        part.connections = event["connections"]
        results.errors.update(event["errors"])
        if event["phase"] == "work":
            if part.intervals == len(results.intervals):
                results.intervals.append(Interval(part.intervals))
            interval = results.intervals[part.intervals]
            interval.sent += event["sent"] - part.sent
            interval.received += event["received"] - part.received
            interval.connections += event["connections"]
            interval.latencies.merge(event["latencies"])
            part.intervals += 1
        if event["phase"] in ("work", "end"):
            results.latencies.merge(event["latencies"])
        part.sent, part.received = event["sent"], event["received"]
        self.changed(results)

    async def go(self, parts: list[Plan]) -> None:
        started = perf_counter()
        for plan in parts:
            await self.start(plan)
        await asyncio.gather(*(self.follow(part, "ready") for part in self.parts))
        results = self.results
        results.opened = results.connections
        results.opening_seconds = perf_counter() - started
        if not results.opened:
            return
        results.phase = "working"
        begin = perf_counter() + _LEAD
        for part in self.parts:
            self.write(part, str(begin))
        await asyncio.gather(*(self.follow(part, "end") for part in self.parts))

    async def stop(self) -> None:
        for part in self.parts:
            if part.process.returncode is None:
                part.process.kill()
            await part.process.wait()


async def run(plan: Plan, processes: int, changed: Callable[[Results], None]) -> Results:
    """Run a load.

    Args:
        plan: The load.
        processes: How many processes share it.
        changed: Called with the results whenever there is more of them.

    Returns:
        The results.

    Raises:
        WorkerFailed: A process has ended before its time.
    """
    parts = plan.parts(processes)
    running = _Run(Results(plan, len(parts)), changed)
    try:
        await running.go(parts)
    finally:
        await running.stop()
    running.results.phase = "done"
    changed(running.results)
    return running.results


def seconds_of(intervals: list[Interval]) -> float:
    """Return how long intervals took."""
    return len(intervals) * INTERVAL
