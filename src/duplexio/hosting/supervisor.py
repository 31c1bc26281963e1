"""Keeps several workers running, each a process that serves the application.

The supervisor opens the port, once, and all workers accept from it. It gives each a number and a
generation (how often the number was started), which are in the ids of its sessions, and a folder
where the workers' sockets are. A worker that dies is replaced, by the next generation; ``SIGHUP``
replaces all, one after the other, without a moment in which nobody serves.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from ..engineio.ids import Owner
from ..errors import UsageError
from .handoff import socket_path
from .worker import Assignment, run_worker

__all__ = ["AVAILABLE", "Supervisor"]

#: Whether this system has the sockets that the workers need; others have ``uvicorn --workers``.
AVAILABLE = hasattr(socket, "SO_PEERCRED") and hasattr(socket, "AF_UNIX")

#: Generations that an id tells apart, and workers.
LIMIT = 4096

#: Seconds before a worker that has died is started again: the first time, and at most.
FIRST_BACKOFF = 0.1
MAX_BACKOFF = 30.0

#: Seconds after which a worker counts as well, and its next death as its first.
WELL_AFTER = 60.0

#: Seconds that a worker may take to end, beyond those that its clients have.
GRACE = 5.0

logger = logging.getLogger("uvicorn.error")


class Worker:
    """A worker's process.

    Args:
        owner: Number and generation.
        process: The process.
        channel: The way to it.

    Attributes:
        ready: Whether it serves requests.
        started: When it was started.
        deadline: When it is ended by force; ``None`` for never.
    """

    def __init__(self, owner: Owner, process: Any, channel: Connection) -> None:
        self.owner = owner
        self.process = process
        self.channel = channel
        self.ready = False
        self.started = time.monotonic()
        self.deadline: float | None = None

    def __str__(self) -> str:
        return f"worker {self.owner.worker} [{self.process.pid}]"


class Supervisor:
    """Keeps workers running, until a signal says otherwise.

    Args:
        config: uvicorn's configuration, not loaded.
        workers: How many.
        drain: Seconds over which a worker that is replaced ends its sessions.

    Raises:
        UsageError: There are too many of them, or the system cannot do it.
    """

    def __init__(self, config: Config, workers: int, drain: float = 10.0) -> None:
        if not 1 <= workers < LIMIT:
            raise UsageError(f"{workers} workers are not possible; expected 1 to {LIMIT - 1}")
        if not AVAILABLE:
            raise UsageError("this system has no sockets of the kind that workers need")
        self.config = config
        self.drain = drain
        graceful = config.timeout_graceful_shutdown
        self._patience = None if graceful is None else graceful + GRACE
        self._spawn = get_context("spawn")
        self._sockets: list[socket.socket] = []
        self._folder = Path()
        # The one that serves for each number, and those beside it: replacements that are not ready,
        # and replaced ones that are not gone.
        self._current: dict[int, Worker | None] = dict.fromkeys(range(workers))
        self._others: set[Worker] = set()
        self._generations: dict[int, int] = {}
        self._failures: dict[int, int] = {}
        self._due: dict[int, float] = {}
        # Numbers that are still to be replaced, and the one being replaced.
        self._queue: list[int] = []
        self._replacement: Worker | None = None
        self._leaving: Worker | None = None
        self._complete = False
        self._stopping = False
        self._status = 0
        self._signals: list[int] = []

    def run(self) -> int:
        """Run the workers until a signal ends them.

        Returns:
            The exit status for the process.
        """
        logger.info("Started supervisor process [%d]", os.getpid())
        self._sockets = [self.config.bind_socket()]
        self._folder = Path(tempfile.mkdtemp(prefix="duplexio-"))
        try:
            with self._heard_signals() as ears:
                for number in self._current:
                    self._current[number] = self._start(number)
                while not self._stopping or self._alive():
                    self._turn(ears)
        finally:
            for worker in self._alive():
                worker.process.kill()
                worker.process.join()
            for sock in self._sockets:
                sock.close()
            shutil.rmtree(self._folder, ignore_errors=True)
        logger.info("Stopped supervisor process [%d]", os.getpid())
        return self._status

    @contextmanager
    def _heard_signals(self) -> Iterator[socket.socket]:
        """Note the signals, and make a socket readable when there is one."""
        ears, mouth = socket.socketpair()
        ears.setblocking(False)
        mouth.setblocking(False)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {n: signal.signal(n, lambda n, _: self._signals.append(n)) for n in numbers}
        old_fd = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        try:
            yield ears
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            ears.close()
            mouth.close()

    def _alive(self) -> list[Worker]:
        return [worker for worker in self._current.values() if worker] + list(self._others)

    def _turn(self, ears: socket.socket) -> None:
        """Wait until something happens, and do what is to be done then."""
        alive = self._alive()
        channels = {worker.channel: worker for worker in alive if not worker.channel.closed}
        sentinels = {worker.process.sentinel: worker for worker in alive}
        happened: list[Any] = wait([ears, *channels, *sentinels], self._timeout(alive))
        if ears in happened:
            ears.recv(1024)
        for each in happened:
            if each in channels:
                self._hear(channels[each])
        for each in happened:
            if each in sentinels:
                self._died(sentinels[each])
        while self._signals:
            self._signalled(self._signals.pop(0))
        now = time.monotonic()
        for worker in self._alive():
            if worker.deadline is not None and worker.deadline <= now:
                logger.error("%s does not end; it is killed.", _capital(worker))
                worker.deadline = None
                worker.process.kill()
        if not self._stopping:
            for number in [n for n, due in self._due.items() if due <= now]:
                del self._due[number]
                self._current[number] = self._start(number)
            self._roll()

    def _timeout(self, alive: list[Worker]) -> float | None:
        times = [worker.deadline for worker in alive if worker.deadline is not None]
        if not self._stopping:
            times += self._due.values()
        return max(0.0, min(times) - time.monotonic()) if times else None

    # Beginning

    def _start(self, number: int) -> Worker:
        generation = self._generations.get(number, -1) + 1
        self._generations[number] = generation
        owner = Owner(number, generation % LIMIT)
        here, there = self._spawn.Pipe()
        process = self._spawn.Process(
            target=run_worker,
            args=(
                self.config,
                Assignment(owner, str(self._folder), self.drain),
                self._sockets,
                there,
            ),
        )
        process.start()
        there.close()
        return Worker(owner, process, here)

    def _hear(self, worker: Worker) -> None:
        try:
            worker.channel.recv()
        except (EOFError, OSError):
            worker.channel.close()
            return
        worker.ready = True
        logger.info("%s is ready.", _capital(worker))
        if worker is self._replacement:
            self._replace(worker)
        if not self._complete and all(each and each.ready for each in self._current.values()):
            self._complete = True
            logger.info("All %d workers are ready.", len(self._current))

    # Replacing

    def _roll(self) -> None:
        """Begin to replace the next worker, when the one before is done."""
        if self._replacement is not None or self._leaving is not None or not self._queue:
            return
        number = self._queue.pop(0)
        if self._current[number] is None:
            return  # it has died, and will be started in any case
        self._replacement = self._start(number)
        self._others.add(self._replacement)

    def _replace(self, worker: Worker) -> None:
        """Put a replacement, which is ready, in the place of the worker before it."""
        number = worker.owner.worker
        self._replacement = None
        self._others.discard(worker)
        old, self._current[number] = self._current[number], worker
        self._due.pop(number, None)
        if old is None:
            return
        self._others.add(old)
        self._leaving = old
        logger.info("%s takes over from %s.", _capital(worker), old)
        if self._patience is not None:
            old.deadline = time.monotonic() + self.drain + self._patience
        try:
            old.channel.send(tuple(worker.owner))
        except OSError:
            pass  # it is dying, of which its sentinel will tell

    # The end

    def _died(self, worker: Worker) -> None:
        worker.process.join()
        worker.channel.close()
        socket_path(self._folder, worker.owner).unlink(missing_ok=True)
        if worker in self._others:
            self._others.discard(worker)
            if worker is self._leaving:
                self._leaving = None
            elif worker is self._replacement:
                self._replacement = None
                self._queue.clear()
                if not self._stopping:
                    logger.error(
                        "%s ended before it was ready (%s); the others stay as they are.",
                        _capital(worker),
                        _status(worker),
                    )
            return
        number = worker.owner.worker
        self._current[number] = None
        if self._stopping:
            return
        if not worker.ready and not self._complete:
            logger.error(
                "%s ended before it was ready (%s), so the server ends. The reason is above.",
                _capital(worker),
                _status(worker),
            )
            self._status = STARTUP_FAILURE
            self._stop()
            return
        now = time.monotonic()
        failures = 0 if now - worker.started > WELL_AFTER else self._failures.get(number, 0)
        delay = min(FIRST_BACKOFF * 2**failures, MAX_BACKOFF)
        self._failures[number] = failures + 1
        self._due[number] = now + delay
        logger.warning(
            "%s has died (%s); it is started again in %g s.",
            _capital(worker),
            _status(worker),
            delay,
        )

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            if not self._stopping:
                logger.info("Received SIGHUP: the workers are replaced, one after the other.")
                self._queue = list(self._current)
        elif not self._stopping:
            logger.info("Received %s: the workers end.", signal.Signals(number).name)
            self._stop()
        elif number == signal.SIGINT:
            for worker in self._alive():
                worker.process.kill()  # whoever asks twice does not want to wait

    def _stop(self) -> None:
        self._stopping = True
        for worker in self._alive():
            worker.process.terminate()
            if self._patience is not None:
                worker.deadline = time.monotonic() + self._patience


def _capital(worker: Worker) -> str:
    return str(worker).capitalize()


def _status(worker: Worker) -> str:
    code = worker.process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
