"""Socket.IO servers and clients in processes of their own, and what was found with them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.interop.python_packages import python_packages

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = shutil.which("node")
NODE_IS_READY = NODE is not None and (HERE / "node_modules/sioc4").exists()

TRANSPORTS = ("polling", "websocket", "polling,websocket")
#: The checks of socketio_checks.cjs and socketio_client.py.
CHECKS = (
    "events",
    "unicode",
    "acks",
    "binary",
    "namespaces",
    "refusals",
    "rooms",
    "reasons",
    "order",
)
#: JavaScript's parsers for MessagePack, by the generation of the client.
PARSERS = {2: "msgpackparser2", 3: "msgpackparser3", 4: "msgpackparser3"}
PYTHON_KINDS = ("async", "blocking")

FRONT_DOOR = ("-m", "duplexio.cli", "serve")
UVICORN = ("-m", "uvicorn")
#: The commands that serve the application, by their names.
HOSTINGS = {"front door": FRONT_DOOR, "uvicorn": UVICORN}


class Process:
    """A process that prints lines of JSON, and other lines.

    Attributes:
        events: What it has printed as JSON.
        log: Its other lines.
    """

    def __init__(self, *command, environ=None, **options):
        self.events = []
        self.log = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})},
            **options,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                if line.startswith("["):
                    self.events.append(json.loads(line))
                else:
                    self.log.append(line)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, condition, seconds=20):
        """Wait until a function of this process says that it has come so far."""
        with self.changed:
            met = self.changed.wait_for(
                lambda: condition(self) or not self.reader.is_alive(), seconds
            )
        assert met, f"nothing came: {self.events[-20:]}"
        assert condition(self), "it has ended: " + "".join(self.log[-20:])

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Send a signal, and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            # One that was stopped cannot end.
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(20)
        self.reader.join(20)
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def serve(hosting="front door", application="socketio_app:app", port=None, cwd=HERE, **environ):
    """Start a server; it is ready on return. Its `url` says where."""
    port = port or free_port()
    paths = [str(ROOT), environ.pop("PYTHONPATH", "")]
    server = Process(
        sys.executable,
        *HOSTINGS[hosting],
        application,
        *("--port", str(port)),
        environ={"PYTHONPATH": os.pathsep.join(filter(None, paths)), **environ},
        cwd=cwd,
    )
    server.url = f"http://127.0.0.1:{port}"
    server.port = port
    try:
        server.wait_for(lambda server: any("Uvicorn running" in line for line in server.log))
    except AssertionError:
        server.stop()
        raise
    return server


def check(*command, **environ):
    """Run a client that checks a server; return what was wrong, by the name of the check."""
    with Process(*command, environ=environ, cwd=HERE) as client:
        client.wait_for(lambda client: client.events, 60)
    (results,) = client.events[0]
    assert sorted(results) == sorted(CHECKS)
    return {name: problem for name, problem in results.items() if problem is not None}


def check_javascript(url, generation, transports, parser=False):
    """Check with a client in JavaScript, with a parser of MessagePack if told so."""
    return check(
        *(NODE, "socketio_client.cjs", "check", str(generation), url, transports),
        *([PARSERS[generation]] if parser else []),
    )


def check_python(url, version, kind, transports, serializer=None):
    """Check with a client in Python, with another serializer if told so."""
    return check(
        *(sys.executable, "socketio_client.py", "check", kind, url, transports),
        *([] if serializer is None else [serializer]),
        PYTHONPATH=str(python_packages(f"socketio{version}")),
    )


# Clients that stay, while servers come and go


def holding_clients(url):
    """Start clients of all kinds on all transports; return processes with their `names`."""
    processes = []
    if NODE_IS_READY:
        process = Process(NODE, "socketio_client.cjs", "hold", url, cwd=HERE)
        process.names = {f"{number}/{each}" for number in (1, 2, 3, 4) for each in TRANSPORTS}
        processes.append(process)
    for version in (4, 5):
        folder = python_packages(f"socketio{version}")
        for kind in PYTHON_KINDS:
            process = Process(
                *(sys.executable, "socketio_client.py", "hold", kind, url),
                environ={"PYTHONPATH": str(folder)},
                cwd=HERE,
            )
            process.names = {f"python {version} {kind}/{each}" for each in TRANSPORTS}
            processes.append(process)
    return processes


class Crowd:
    """Clients of all kinds that stay, until they are stopped.

    Attributes:
        names: What they call themselves.
    """

    def __init__(self, url):
        self.processes = holding_clients(url)
        self.rounds = 0

    @property
    def names(self):
        return set().union(*(process.names for process in self.processes))

    def lose(self, *names):
        """Expect nothing more of some clients."""
        for process in self.processes:
            process.names -= set(names)

    def wait_for(self, event, names=None):
        """Wait until clients, by default all, have told of an event since the last time here."""
        for process in self.processes:
            wanted = process.names if names is None else process.names & names
            process.wait_for(
                lambda process, wanted=wanted: (
                    wanted <= {told[1] for told in process.events if told[0] == event}
                )
            )

    def forget(self):
        """Forget what the clients have told of so far."""
        for process in self.processes:
            with process.changed:
                process.events.clear()

    def reasons(self):
        """Return why the clients say they were disconnected, by their names."""
        return {
            event[1]: "".join(event[2:])  # the old ones in Python do not say
            for process in self.processes
            for event in process.events
            if event[0] == "disconnect"
        }

    def talk(self):
        """Let all clients emit and receive, again and again while one is not connected."""
        self.rounds += 1
        word = f"é{self.rounds}"

        def heard(process):
            return process.names <= {e[1] for e in process.events if e == ["echo", e[1], word]}

        deadline = time.monotonic() + 20
        waiting = self.processes
        while waiting:
            for process in waiting:
                process.write(word)
            for process in waiting:
                try:
                    process.wait_for(heard, 0.5)
                except AssertionError:
                    if time.monotonic() > deadline:
                        raise
            waiting = [process for process in waiting if not heard(process)]

    def send_signal(self, number):
        for process in self.processes:
            process.send_signal(number)

    def stop(self):
        for process in self.processes:
            process.stop(signal.SIGKILL)


#: Clients that do not come back when a polling request is answered that the server closes the
#: session: python-engineio takes that for the last word.
FINAL_FOR_PYTHON = [
    f"python {version} {kind}/polling" for version in (4, 5) for kind in PYTHON_KINDS
]


def disconnected(server):
    """Return why clients have left, by their names, as the server has said."""
    return {event[1]: event[2] for event in server.events if event[0] == "disconnect"}


def restarts():
    """Let the server be killed, and stop: all clients come back."""
    server = serve()
    crowd = Crowd(server.url)
    try:
        crowd.wait_for("connect")
        crowd.talk()
        for how, reasons in (
            (signal.SIGKILL, {"transport close", "transport error"}),
            (signal.SIGTERM, {"transport close", "transport error", "server disconnect"}),
        ):
            crowd.forget()
            server.stop(how)
            if how == signal.SIGTERM:
                assert disconnected(server) == dict.fromkeys(crowd.names, "server shutting down")
            crowd.wait_for("disconnect")
            assert set(crowd.reasons().values()) <= reasons | {""}, crowd.reasons()
            if how == signal.SIGTERM:
                crowd.lose(*FINAL_FOR_PYTHON)
            server = serve(port=server.port)
            crowd.wait_for("connect")
            crowd.talk()
    finally:
        crowd.stop()
        server.stop()


def silences():
    """Let the server be silent, then the clients: the others notice."""
    with serve(PING="1") as server:
        crowd = Crowd(server.url)
        try:
            crowd.wait_for("connect")
            # The server is silent. (Those in Python wait for an answer for five seconds more.)
            crowd.forget()
            server.send_signal(signal.SIGSTOP)
            names = {name for name in crowd.names if "python" not in name}
            crowd.wait_for("disconnect", names)
            reasons = crowd.reasons()
            assert {reasons[name] for name in names} == {"ping timeout"}, reasons
            server.send_signal(signal.SIGCONT)
            crowd.lose(*FINAL_FOR_PYTHON)
            crowd.talk()
            # The clients are.
            crowd.forget()
            with server.changed:
                server.events.clear()
            crowd.send_signal(signal.SIGSTOP)
            server.wait_for(lambda server: crowd.names <= set(disconnected(server)))
            assert set(disconnected(server).values()) == {"ping timeout"}
            crowd.send_signal(signal.SIGCONT)
            crowd.talk()
        finally:
            crowd.stop()
