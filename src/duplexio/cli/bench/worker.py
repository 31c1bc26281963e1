"""One process of a load: ``python -m duplexio.cli.bench.worker``.

It reads its plan as a line of JSON, opens the connections, says that it is ready, waits for the
line that says when to begin, and writes a line of JSON for each interval.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from time import perf_counter
from typing import Any, Protocol

from ...errors import DuplexioError
from ...websocket.client import connect
from ..tls import unchecked_tls
from .plan import Plan
from .recorder import Recorder
from .websocket import WebSocketLoad

__all__ = ["INTERVAL", "Worker", "message_of"]

#: Seconds between two reports.
INTERVAL = 0.5

# Connections that are being opened at the same time.
_OPENING = 100

# Seconds between two looks at what is due, when messages are sent at a rate.
_TICK = 0.001


class Client(Protocol):
    """A connection of the load."""

    def send(self, started: float) -> Any:
        """Send a message, which was due at a time."""

    @property
    def waiting(self) -> Any:
        """What waits for answers."""


def message_of(size: int, binary: bool) -> str | bytes:
    """Return a payload of a size: printable, and the same each time."""
    text = ("duplexio " * (size // 9 + 1))[:size]
    return text.encode() if binary else text


class Worker:
    """Does a process's part of a load.

    Args:
        plan: The part.
        report: Called with what there is to say.
    """

    def __init__(self, plan: Plan, report: Any) -> None:
        self.plan = plan
        self.report = report
        self.recorder = Recorder()
        self.clients: list[Any] = []
        self.errors: Counter[str] = Counter()
        self.ended = False
        self._slots = asyncio.Semaphore(_OPENING)

    # Opening

    async def open_all(self) -> None:
        """Open the connections, spread over the time of the ramp."""
        plan = self.plan
        telling = asyncio.ensure_future(self._tell_progress())
        step = plan.ramp_up / plan.connections
        started = perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                for i in range(plan.connections):
                    wait = started + i * step - perf_counter()
                    if wait > 0:
                        await asyncio.sleep(wait)
                    await self._slots.acquire()
                    group.create_task(self._open(plan.first + i))
        finally:
            telling.cancel()

    async def _open(self, number: int) -> None:
        try:
            self.clients.append(await self.open_client(number))
        except (OSError, DuplexioError) as exc:
            self.errors[f"not connected: {str(exc) or type(exc).__name__}"] += 1
        finally:
            self._slots.release()

    async def open_client(self, number: int) -> Any:
        """Open a connection.

        Args:
            number: Its number among all of the load.
        """
        plan = self.plan
        if plan.socketio:
            from .socketio import open_socketio

            return await open_socketio(plan, number, self.recorder, self.client_gone)
        message = message_of(plan.payload, plan.binary)
        options: dict[str, Any] = {}
        if plan.insecure and plan.url.startswith("wss:"):
            options["ssl"] = unchecked_tls()
        make: Any = lambda state, settings: WebSocketLoad(  # noqa: E731
            state, settings, self.recorder, message, plan.answer == "echo"
        )
        client: Any = await connect(
            plan.url,
            additional_headers=plan.headers,
            compression=None,
            open_timeout=plan.timeout,
            close_timeout=plan.timeout,
            ping_interval=None,
            max_size=2**27,
            create_connection=make,
            **options,
        )
        client.gone = self.client_gone
        return client

    def client_gone(self, client: Any, why: str = "disconnected") -> None:
        """Note that a connection has ended."""
        if client in self.clients:
            self.clients.remove(client)
            if not self.ended:
                self.errors[why] += 1

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            self.tell("opening")

    # Working

    async def work(self, begin: float) -> None:
        """Send for as long as the plan says.

        Args:
            begin: When, in the time of ``perf_counter``, which all processes of a machine share.
        """
        plan, recorder = self.plan, self.recorder
        await asyncio.sleep(max(begin - perf_counter(), 0))
        end = begin + plan.warm_up + plan.duration
        recorder.running = plan.rate is None
        pacing = None
        if plan.rate is not None:
            pacing = asyncio.ensure_future(self._pace(plan.rate, begin, end))
        else:
            for client in list(self.clients):
                for _ in range(plan.in_flight):
                    client.send(perf_counter())
        await asyncio.sleep(plan.warm_up)
        recorder.counting = True
        self.tell("begin")
        tick = begin + plan.warm_up
        while tick < end - 1e-6:
            tick = min(tick + INTERVAL, end)
            await asyncio.sleep(max(tick - perf_counter(), 0))
            self.tell("work")
        recorder.running = False
        if pacing is not None:
            await pacing
        await self._await_answers()
        self.ended = True
        self.tell("end")

    async def _pace(self, rate: float, begin: float, end: float) -> None:
        """Send at a rate; latencies count from when a message was due, not from when it went."""
        count = 0
        total = round((end - begin) * rate)
        while count < total:
            due = min(int((perf_counter() - begin) * rate), total)
            while count < due and self.clients:
                self.clients[count % len(self.clients)].send(begin + count / rate)
                count += 1
            if not self.clients:
                return
            await asyncio.sleep(_TICK)

    async def _await_answers(self) -> None:
        deadline = perf_counter() + self.plan.timeout
        # An event that tells of the last answer would cost each of them.
        while any(client.waiting for client in self.clients) and perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        lost = sum(len(client.waiting) for client in self.clients)
        if lost:
            self.errors["not answered"] += lost

    def tell(self, phase: str) -> None:
        """Report what there is since the last report."""
        errors, self.errors = self.errors, Counter()
        self.report(
            {
                "phase": phase,
                "time": perf_counter(),
                "connections": len(self.clients),
                "sent": self.recorder.sent,
                "received": self.recorder.received,
                "errors": dict(errors),
                "latencies": self.recorder.take().as_dict() if phase != "opening" else {},
            }
        )


async def main() -> None:
    """Do what the lines of standard input say."""
    plan = Plan.from_dict(json.loads(sys.stdin.readline()))

    def report(event: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    worker = Worker(plan, report)
    await worker.open_all()
    worker.tell("ready")
    line = await asyncio.to_thread(sys.stdin.readline)
    if not line.strip():
        return  # whoever started us has gone
    await worker.work(float(line))


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
