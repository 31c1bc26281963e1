"""Starts the peers and measures them; one class for each kind of row."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.native import Native
from bench.rows import PEERS, Kind, Peer, Row

BENCH = Path(__file__).parent
START_TIMEOUT = 20.0
"""Seconds that a server has to start listening."""

Sample = dict[str, Any]


class PeerFailed(Exception):
    """A peer is missing or broken; the message says why, for the report."""


@dataclass(frozen=True)
class Pace:
    """How long and how often each peer is measured."""

    rounds: int
    seconds: float
    warm: float
    full: bool


@dataclass(frozen=True)
class Cpus:
    """Where servers and generators run; None where there is but one CPU to run on."""

    server: int | None
    generator: int | None

    @classmethod
    def choose(cls) -> Cpus:
        """Take two CPUs, of different cores when there is a choice."""
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            return cls(None, None)
        first = usable[0]
        siblings = _thread_siblings(first)
        others = [cpu for cpu in usable[1:] if cpu not in siblings] or usable[1:]
        return cls(first, others[0])


def _thread_siblings(cpu: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        text = path.read_text()
    except OSError:
        return set()
    siblings: set[int] = set()
    for part in text.strip().split(","):
        low, _, high = part.partition("-")
        siblings.update(range(int(low), int(high or low) + 1))
    return siblings


class Machinery:
    """What every row needs: the C programs, the CPUs, the pace, and scratch space."""

    def __init__(self, native: Native, pace: Pace, scratch: Path) -> None:
        self.native = native
        self.pace = pace
        self.cpus = Cpus.choose()
        self.scratch = scratch
        self._certificate: tuple[Path, Path] | None = None

    def certificate(self) -> tuple[Path, Path]:
        """Make the self-signed certificate and its key, once in a run."""
        if not self.native.tls:
            raise PeerFailed("the generator was built without TLS: OpenSSL's headers are missing")
        if self._certificate is None:
            certificate, key = self.scratch / "certificate.pem", self.scratch / "key.pem"
            openssl = shutil.which("openssl")
            if openssl is None:
                raise PeerFailed("no openssl program to make a certificate with")
            command = [openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
            command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            command += ["-keyout", str(key), "-out", str(certificate)]
            subprocess.run(command, check=True, capture_output=True)
            self._certificate = certificate, key
        return self._certificate

    def command(self, peer: Peer) -> list[str]:
        if peer.program == "limit":
            return [str(self.native.limit), *peer.arguments]
        if peer.program is not None:
            _install_node_modules()
            return ["node", str(BENCH / peer.program), *peer.arguments]
        assert peer.module is not None
        return [sys.executable, "-m", peer.module, *peer.arguments]

    def run(self, command: Sequence[str], timeout: float) -> Sample:
        """Run a measuring program on the generator's CPU and read its line of JSON."""
        try:
            result = subprocess.run(
                command,
                cwd=BENCH.parent,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                preexec_fn=_on_cpu(self.cpus.generator),
            )
        except subprocess.TimeoutExpired:
            raise PeerFailed(f"no result after {timeout:g} s") from None
        if result.returncode:
            raise PeerFailed(_last_line(result.stderr) or f"exit status {result.returncode}")
        sample: Sample = json.loads(result.stdout)
        return sample


def _on_cpu(cpu: int | None) -> Callable[[], None]:
    """Make what a child does first: take its CPU, and be allowed as many files as there may be."""

    def prepare() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    return prepare


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _install_node_modules() -> None:
    """Install the Node peer, once. Raises PeerFailed."""
    packages = json.loads((BENCH / "package.json").read_text())["dependencies"]
    present = all((BENCH / "node_modules" / name).is_dir() for name in packages)
    if present and shutil.which("node"):
        return
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise PeerFailed(f"{program} is not installed")
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    result = subprocess.run(command, cwd=BENCH, capture_output=True, text=True, check=False)
    if result.returncode:
        raise PeerFailed(f"npm ci failed: {_last_line(result.stderr)}")


class Server:
    """A running server.

    `settings` are arguments for what it does, which the C server has not.
    """

    def __init__(
        self, machinery: Machinery, peer: Peer, *, tls: bool, settings: Sequence[str] = ()
    ) -> None:
        command = machinery.command(peer)
        if peer.program != "limit":
            command += settings
        if tls:
            certificate, key = machinery.certificate()
            command += ["--cert", str(certificate), "--key", str(key)]
        self.command = command
        self._errors: IO[bytes] = tempfile.TemporaryFile(dir=machinery.scratch)  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            cwd=BENCH.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            preexec_fn=_on_cpu(machinery.cpus.server),
        )
        try:
            self.port = self._announced_port()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _announced_port(self) -> int:
        assert self._process.stdout is not None
        # The announcement is a line; a server that dies without it closes its end of the pipe.
        with _deadline(self._process, START_TIMEOUT):
            line = self._process.stdout.readline()
        found = re.match(r"listening on (\d+)", line)
        if found is None:
            self._process.kill()
            self._process.wait()
            raise PeerFailed(self.reason())
        return int(found[1])

    def reason(self) -> str:
        """Return the last line that the server wrote on its standard error, or how it ended."""
        self._errors.seek(0)
        line = _last_line(self._errors.read().decode(errors="replace"))
        status = self._process.poll()
        return line if line or status is None else f"ended with status {status}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    """Kill the process when the block takes too long."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Contest:
    """One row being measured: `prepare` each peer, then `measure` each in turn, then `close`."""

    value_key = "cpu_us"

    def __init__(self, machinery: Machinery, row: Row) -> None:
        self.machinery = machinery
        self.row = row
        self.arguments = row.full_arguments if machinery.pace.full else ()
        self.arguments = (*row.arguments, *self.arguments)

    def prepare(self, name: str) -> None:
        """Start what the peer needs. Raises PeerFailed."""

    def measure(self, name: str) -> Sample:
        """Measure once. Raises PeerFailed."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop everything."""

    def start(self, name: str) -> Server:
        """Start the peer's server. Raises PeerFailed."""
        return Server(self.machinery, PEERS[name], tls=self.row.tls, settings=self.row.server)

    def generate(self, server: Server, *extra: str, seconds: float | None = None) -> Sample:
        pace = self.machinery.pace
        seconds = seconds or pace.seconds
        command = [str(self.machinery.native.load), *self.arguments]
        command += ["--port", str(server.port), "--pid", str(server.pid)]
        command += ["--seconds", str(seconds), *extra]
        if self.row.tls:
            command.append("--tls")
        try:
            return self.machinery.run(command, timeout=seconds + pace.warm + 60)
        except PeerFailed as failure:
            said = server.reason()
            raise PeerFailed(f"{failure} (server: {said})" if said else str(failure)) from None


class LoadContest(Contest):
    """All servers run side by side, idle but for the one being measured."""

    def __init__(self, machinery: Machinery, row: Row) -> None:
        super().__init__(machinery, row)
        self.servers: dict[str, Server] = {}

    def prepare(self, name: str) -> None:
        self.servers[name] = self.start(name)

    def measure(self, name: str) -> Sample:
        return self.generate(self.servers[name], "--warm", str(self.machinery.pace.warm))

    def close(self) -> None:
        for server in self.servers.values():
            server.stop()


class LatencyContest(LoadContest):
    """Messages sent when they are due, at half of what each server can do.

    What it can do is measured first, in a closed loop. Then each server gets half of that, and
    half of what the baseline can do, so that they are compared at the same rate, too.
    """

    value_key = "p99_us"

    def __init__(self, machinery: Machinery, row: Row) -> None:
        super().__init__(machinery, row)
        self.capacity: dict[str, float] = {}

    def prepare(self, name: str) -> None:
        super().prepare(name)
        self.capacity[name] = super().measure(name)["per_second"]

    def measure(self, name: str) -> Sample:
        own = self._at(name, self.capacity[name] / 2)
        sample = {"capacity": self.capacity[name], "own": own, "p99_us": own["latency_us"]["p99"]}
        if self.row.baseline in self.capacity:
            sample["same"] = self._at(name, self.capacity[self.row.baseline] / 2)
        return sample

    def _at(self, name: str, rate: float) -> Sample:
        # Of 1,000 samples the slowest is p99.9: short windows would not do.
        return self.generate(
            self.servers[name],
            *("--rate", f"{rate:.0f}", "--warm", str(self.machinery.pace.warm)),
            seconds=4 * self.machinery.pace.seconds,
        )


class MemoryContest(Contest):
    """A fresh server for each measurement, since memory that was grown once stays."""

    value_key = "resident_bytes"

    def measure(self, name: str) -> Sample:
        server = self.start(name)
        try:
            return self.generate(server, "--warm", "1")
        finally:
            server.stop()


class ClientContest(Contest):
    """Client programs on the generator's CPU, one after the other, against one server."""

    def __init__(self, machinery: Machinery, row: Row) -> None:
        super().__init__(machinery, row)
        self.server = Server(machinery, PEERS[row.against], tls=row.tls)

    def measure(self, name: str) -> Sample:
        pace = self.machinery.pace
        command = [*self.machinery.command(PEERS[name]), *self.arguments]
        command += ["--port", str(self.server.port)]
        command += ["--seconds", str(pace.seconds), "--warm", str(pace.warm)]
        return self.machinery.run(command, timeout=pace.seconds + pace.warm + 30)

    def close(self) -> None:
        self.server.stop()


class ClientMemoryContest(ClientContest):
    """Client programs, each of which becomes many idle clients."""

    value_key = "resident_bytes"


class DeflateContest(Contest):
    """Programs that need no server."""

    value_key = "cpu_s_per_gb"

    def measure(self, name: str) -> Sample:
        command = [*self.machinery.command(PEERS[name]), *self.arguments]
        return self.machinery.run(command, timeout=600)


CONTESTS: dict[Kind, type[Contest]] = {
    Kind.LOAD: LoadContest,
    Kind.LATENCY: LatencyContest,
    Kind.MEMORY: MemoryContest,
    Kind.CLIENT: ClientContest,
    Kind.CLIENT_MEMORY: ClientMemoryContest,
    Kind.DEFLATE: DeflateContest,
}


@dataclass
class RowResult:
    """What a row gave: samples by peer, in the order of the rounds, and who failed and why."""

    row: Row
    value_key: str
    samples: dict[str, list[Sample]]
    failures: dict[str, str]
    began: float


def measure_row(machinery: Machinery, row: Row, peers: Sequence[str]) -> RowResult:
    """Measure the peers in turn, again and again, so that what disturbs the machine hits all.

    The memory of an idle connection hardly depends on the machine's load: one round does. Clients
    have an interpreter to start each time: three rounds do. A deflate row is measured once when it
    is full, since it then lasts minutes by itself. A series has many points: three rounds for each.
    """
    contest = CONTESTS[row.kind](machinery, row)
    result = RowResult(row, contest.value_key, {}, {}, time.time())
    rounds = machinery.pace.rounds
    if row.kind in (Kind.MEMORY, Kind.CLIENT_MEMORY):
        rounds = 2 if machinery.pace.full else 1
    if row.series or (row.kind is Kind.CLIENT and not machinery.pace.full):
        rounds = min(rounds, 3)
    if row.kind is Kind.DEFLATE and machinery.pace.full:
        rounds = 1
    try:
        running = []
        for name in peers:
            try:
                contest.prepare(name)
                running.append(name)
            except PeerFailed as failure:
                result.failures[name] = str(failure)
        for _ in range(rounds):
            for name in running:
                if name in result.failures:
                    continue
                try:
                    result.samples.setdefault(name, []).append(contest.measure(name))
                except PeerFailed as failure:
                    result.failures[name] = str(failure)
                    result.samples.pop(name, None)
    finally:
        contest.close()
    return result
