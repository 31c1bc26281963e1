"""Run the Autobahn test suite against a server or a client, and judge its report strictly.

    python -m tests.conformance.autobahn            # the quick part of all, compiled and pure
    python -m tests.conformance.autobahn --full     # all 517 cases; writes docs/conformance.*
    python -m tests.conformance.autobahn --peer websockets --sides server

The suite is a program for Python 2.7. Where that is found (`PYTHON27`, pyenv's 2.7.18, or the
path), a virtual environment with the suite is made once, in `.venvs/autobahn`.

A case passes when both `behavior` and `behaviorClose` are OK or INFORMATIONAL.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duplexio
from tests.conformance.peers import CLIENTS, SERVERS

ROOT = Path(__file__).parents[2]
REPORTS = Path(__file__).parent / "reports"
VENV = ROOT / ".venvs" / "autobahn"

PASSING = {"OK", "INFORMATIONAL"}

#: The basic families whole, the cheapest case of each kind of the others: about 30 s for a side.
QUICK_CASES = [
    *(f"{family}.*" for family in range(1, 8)),
    "9.1.1",
    "9.1.3",
    "9.2.1",
    "9.2.3",
    "9.3.1",
    "9.4.1",
    "9.5.1",
    "9.6.1",
    "9.7.1",
    "9.8.1",
    "10.*",
    *(f"12.{kind}.{case}" for kind in range(1, 6) for case in (1, 5)),
    *(f"13.{kind}.{case}" for kind in range(1, 8) for case in (1, 5)),
]
#: How many cases those are.
QUICK_COUNT = 281
ALL_CASES = ["*"]
ALL_COUNT = 517

FAMILIES = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Close handshake",
    "9": "Limits and performance",
    "10": "Auto-fragmentation",
    "12": "permessage-deflate, different payloads",
    "13": "permessage-deflate, different parameters",
}


class AutobahnMissing(Exception):
    """The suite cannot be had on this machine; the message says why."""


@dataclass
class Failure:
    """A case that did not pass, in the suite's words."""

    case: str
    behavior: str
    behavior_close: str
    detail: str

    def __str__(self) -> str:
        return f"{self.case}: {self.behavior}, closing {self.behavior_close}: {self.detail}"


@dataclass
class Result:
    """What the suite found in one run."""

    agent: str
    outcomes: dict[str, tuple[str, str]]
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def families(self) -> dict[str, tuple[int, int]]:
        """Return the number of cases that passed and of all, by family."""
        counts = dict.fromkeys(FAMILIES, (0, 0))
        for case, outcome in self.outcomes.items():
            family = case.partition(".")[0]
            passed, total = counts[family]
            counts[family] = (passed + (set(outcome) <= PASSING), total + 1)
        return counts

    @property
    def summary(self) -> str:
        """One line for people."""
        passed = len(self.outcomes) - len(self.failures)
        return f"{self.agent}: {passed} of {len(self.outcomes)} cases pass ({self.seconds:.0f} s)"


# --- the suite's own environment ----------------------------------------------------------------


def find_python27() -> str:
    """Return a Python 2.7, or raise AutobahnMissing."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in (
        os.environ.get("PYTHON27"),
        str(pyenv / "versions" / "2.7.18" / "bin" / "python"),
        shutil.which("python2.7"),
    ):
        if candidate and Path(candidate).exists():
            return candidate
    raise AutobahnMissing(
        "the Autobahn suite needs Python 2.7, which is not here: "
        "`pyenv install 2.7.18`, or set PYTHON27"
    )


def wstest() -> Path:
    """Return the suite's program, after installing it if need be."""
    program = VENV / "bin" / "wstest"
    VENV.parent.mkdir(exist_ok=True)
    with open(VENV.parent / "autobahn.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (VENV / ".installed").exists():
            install(find_python27())
    return program


def install(python: str) -> None:
    """Make the environment. The interpreter itself is left as it is."""
    tool = VENV.parent / "autobahn-virtualenv"
    pip = ["install", "--quiet", "--disable-pip-version-check"]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    for command, environment in (
        ([python, "-m", "pip", *pip, "--target", str(tool), "virtualenv<20.22"], quiet),
        (
            [python, "-m", "virtualenv", "--quiet", "--clear", str(VENV)],
            {**quiet, "PYTHONPATH": str(tool)},
        ),
        ([str(VENV / "bin" / "python"), "-m", "pip", *pip, "autobahntestsuite"], quiet),
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr[-2000:]
            raise AutobahnMissing(
                f"cannot install the Autobahn suite: {' '.join(command)} said\n{said}"
            )
    shutil.rmtree(tool)
    (VENV / ".installed").touch()


# --- running it ---------------------------------------------------------------------------------


def peer_command(side: str, peer: str, *args: str) -> list[str]:
    return [sys.executable, "-m", "tests.conformance.peers", side, peer, *args]


def environment(implementation: str) -> dict[str, str]:
    return {**os.environ, "DUPLEXIO_IMPL": implementation, "PYTHONWARNINGS": "default"}


@contextlib.contextmanager
def running(command: list[str], log: IO[bytes], **kwargs: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process as long as the block runs."""
    process = subprocess.Popen(command, cwd=ROOT, stderr=log, **kwargs)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run_server(
    peer: str, implementation: str, cases: list[str], out: Path, timeout: float
) -> Result:
    """Test a server with the suite's fuzzing client."""
    program = wstest()
    agent = f"{peer}-server-{implementation}"
    folder = fresh(out / agent)
    with open(folder / "peer.log", "wb") as log:
        command = peer_command("server", peer)
        with running(
            command, log, stdout=subprocess.PIPE, env=environment(implementation)
        ) as server:
            assert server.stdout is not None
            port = server.stdout.readline().strip().decode()
            if not port:
                raise RuntimeError(f"the server did not start: {tail(folder / 'peer.log')}")
            spec = {
                "outdir": str(folder),
                "servers": [{"agent": agent, "url": f"ws://127.0.0.1:{port}"}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
            started = time.monotonic()
            with open(folder / "wstest.log", "wb") as suite_log:
                subprocess.run(
                    [program, "-m", "fuzzingclient", "-s", write_spec(folder, spec)],
                    stdout=suite_log,
                    stderr=subprocess.STDOUT,
                    check=True,
                    timeout=timeout,
                )
            if server.poll() is not None:
                raise RuntimeError(f"the server ended by itself: {tail(folder / 'peer.log')}")
    return judge(folder, agent, time.monotonic() - started)


def run_client(
    peer: str, implementation: str, cases: list[str], out: Path, timeout: float
) -> Result:
    """Test a client with the suite's fuzzing server."""
    program = wstest()
    agent = f"{peer}-client-{implementation}"
    folder = fresh(out / agent)
    url = f"ws://127.0.0.1:{free_port()}"
    spec = {
        "url": url,
        "outdir": str(folder),
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    # Port 0: without a web server for browsers to test themselves.
    command = [str(program), "-m", "fuzzingserver", "-s", write_spec(folder, spec), "-u", "0"]
    with (
        open(folder / "wstest.log", "wb") as suite_log,
        open(folder / "peer.log", "wb") as log,
        running(command, suite_log, stdout=suite_log) as suite,
    ):
        wait_until_listening(url, suite, folder / "wstest.log")
        started = time.monotonic()
        done = subprocess.run(
            peer_command("client", peer, url, agent),
            cwd=ROOT,
            stderr=log,
            env=environment(implementation),
            timeout=timeout,
        )
        seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"the client failed: {tail(folder / 'peer.log')}")
    return judge(folder, agent, seconds)


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_spec(folder: Path, spec: dict[str, Any]) -> str:
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return str(path)


def tail(path: Path) -> str:
    return path.read_text(errors="replace")[-2000:]


def free_port() -> int:
    """Return a port that was free a moment ago: the suite cannot say which it chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_listening(url: str, suite: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the suite takes connections, which it does not announce."""
    host, _, port = url.removeprefix("ws://").partition(":")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and suite.poll() is None:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the suite's server does not listen: {tail(log)}")


# --- judging ------------------------------------------------------------------------------------


def judge(folder: Path, agent: str, seconds: float = 0.0) -> Result:
    """Read the suite's report."""
    report = json.loads((folder / "index.json").read_text())[agent]
    result = Result(agent, {}, seconds=seconds)
    for case in sorted(report, key=case_order):
        entry = report[case]
        outcome = (entry["behavior"], entry["behaviorClose"])
        result.outcomes[case] = outcome
        if not set(outcome) <= PASSING:
            detail = json.loads((folder / entry["reportfile"]).read_text())
            words = [detail["result"], detail["resultClose"]]
            result.failures.append(Failure(case, *outcome, " ".join(words)))
    return result


def case_order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


# --- the table in the documentation -------------------------------------------------------------


def write_documents(results: list[Result], folder: Path) -> None:
    """Put the results of full runs into `conformance.json`, and make `conformance.md` of it.

    Runs of other agents that are in the file already stay there, each with its own date.
    """
    path = folder / "conformance.json"
    runs = {run["agent"]: run for run in json.loads(path.read_text())} if path.exists() else {}
    runs.update((result.agent, record(result)) for result in results)
    # Compiled first; the same agents in the same order.
    ordered = sorted(
        runs.values(), key=lambda run: (run["agent"].endswith("-python"), run["agent"])
    )
    path.write_text(json.dumps(ordered, indent=2) + "\n")
    (folder / "conformance.md").write_text(table(ordered))


def record(result: Result) -> dict[str, Any]:
    return {
        "agent": result.agent,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "duplexio": duplexio.__version__,
        "python": platform.python_version(),
        "suite": suite_version(),
        "cases": len(result.outcomes),
        "passed": len(result.outcomes) - len(result.failures),
        "families": {name: list(counts) for name, counts in result.families().items()},
        "failures": [str(failure) for failure in result.failures],
    }


def suite_version() -> str:
    said = subprocess.run([wstest(), "-a"], capture_output=True, text=True, check=True)
    return " ".join(said.stdout.split())


def table(runs: list[dict[str, Any]]) -> str:
    """Return the page with the table."""
    lines = [
        "# Conformance",
        "",
        "The [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) has "
        f"{ALL_COUNT} cases. A case",
        "passes when both its behaviour and the way it closes are judged OK or INFORMATIONAL;",
        "NON-STRICT, WRONG CODE and UNCLEAN count as failures.",
        "",
        "| Cases passed | "
        + " | ".join(f"{run['passed']} of {run['cases']}" for run in runs)
        + " |",
        "|---|" + "--:|" * len(runs),
        *(
            f"| {title} | " + " | ".join(str(run[key]) for run in runs) + " |"
            for title, key in (("Agent", "agent"), ("Date", "date"), ("Python", "python"))
        ),
    ]
    for family, title in FAMILIES.items():
        cells = ["{} / {}".format(*run["families"][family]) for run in runs]
        lines.append(f"| {family}.* {title} | " + " | ".join(cells) + " |")
    suites = ", ".join(sorted({run["suite"] for run in runs}))
    lines += [
        "",
        f"The suite was: {suites}. An agent's name says what is tested (`duplexio` is the",
        "coroutine API, `listener` the callbacks, `blocking` the blocking client), on which side,",
        "and whether the modules were compiled (`c`) or not (`python`). To run it again, about ten",
        "minutes for each column:",
        "",
        "```",
        "python -m tests.conformance.autobahn --full",
        "```",
        "",
    ]
    failures = [f"- {run['agent']}, case {failure}" for run in runs for failure in run["failures"]]
    if failures:
        lines += ["## Cases that fail", "", *failures, ""]
    return "\n".join(lines)


# --- the command --------------------------------------------------------------------------------


def peers(name: str | None, sides: list[str] | None) -> list[tuple[str, str]]:
    """Return what to test, by default everything of ours."""
    everything = [("server", peer) for peer in SERVERS] + [("client", peer) for peer in CLIENTS]
    return [
        (peer, side)
        for side, peer in everything
        if (peer == name if name else peer.startswith("duplexio")) and side in (sides or side)
    ]


RUN = {"server": run_server, "client": run_client}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="all cases; writes the documents")
    parser.add_argument(
        "--cases", nargs="+", metavar="CASE", help="these cases, such as 5.* 12.1.1"
    )
    parser.add_argument(
        "--peer", choices=sorted({*SERVERS, *CLIENTS}), help="test only this (see peers.py)"
    )
    parser.add_argument("--sides", nargs="+", choices=["server", "client"])
    parser.add_argument("--implementations", nargs="+", choices=["c", "python"])
    # The suite waits more than it works.
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at the same time")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where to write them")
    options = parser.parse_args()
    cases = options.cases or (ALL_CASES if options.full else QUICK_CASES)

    lock = threading.Lock()

    def run(job: tuple[str, str, str]) -> Result:
        implementation, peer, side = job
        result = RUN[side](peer, implementation, cases, REPORTS, 3600)
        with lock:
            print("\n  ".join([result.summary, *map(str, result.failures)]), flush=True)
            if options.full and not options.cases:
                write_documents([result], options.docs)
        return result

    with ThreadPoolExecutor(options.jobs) as executor:
        results = list(
            executor.map(
                run,
                (
                    (implementation, peer, side)
                    for implementation in options.implementations or ["c", "python"]
                    for peer, side in peers(options.peer, options.sides)
                ),
            )
        )
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
