"""Socket.IO in every server of ASGI and beside every framework, with the real client of JavaScript.

All servers are started at once and spoken to by one process of clients, since most of the time goes
into starting them.
"""

import signal
import time

import pytest

from tests.deployment.clients import TRANSPORTS, clients, events_of, needs_clients
from tests.hosting.programs import PROTOCOL, Certificates, running, running_together

ALONE = "tests.deployment.socketio_apps:app"
FASTAPI = "tests.deployment.socketio_fastapi:"
DJANGO = "tests.deployment.socketio_django:"

SERVE = ["duplexio.cli", "serve", "{app}", "--port", "0"]
FRONT_DOOR = ["uvicorn", "{app}", "--port", "0", "--http", PROTOCOL]
UVICORN = ["uvicorn", "{app}", "--port", "0"]
H11 = [*UVICORN, "--http", "h11", "--ws", "wsproto", "--loop", "asyncio"]
HYPERCORN = ["hypercorn", "{app}", "--bind", "127.0.0.1:0", "--workers", "0"]
GRANIAN = ["granian", "{app}", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"]

#: How the servers are started, and what they print when they are ready.
SERVERS = {
    "native": (SERVE, ALONE),
    "before_fastapi": (FRONT_DOOR, FASTAPI + "before"),
    "mounted": (FRONT_DOOR, FASTAPI + "mounted"),
    "mounted_below": (SERVE, FASTAPI + "mounted_below"),
    "before_django": (SERVE, DJANGO + "before"),
    "routed_django": (FRONT_DOOR, DJANGO + "routed"),
    "tls": (SERVE, ALONE),
    "unix": (["duplexio.cli", "serve", "{app}", "--uds", "{socket}"], ALONE),
    "uvicorn": (UVICORN, FASTAPI + "before"),
    "uvicorn_h11": (H11, FASTAPI + "attached"),
    "hypercorn": (HYPERCORN, ALONE),
    "granian": (GRANIAN, ALONE),
}
BESIDE = [name for name, (_, app) in SERVERS.items() if app != ALONE]
READY = {"hypercorn": "Running on", "granian": "Started worker"}
PATHS = {"mounted_below": "/below/socket.io/"}

pytestmark = [needs_clients, pytest.mark.timeout(120)]


class Scenario:
    """All servers, and what their clients have seen.

    Attributes:
        servers: The servers by name.
        talks: The events of the clients that have come and gone.
        hello: What the servers have answered beside Socket.IO.
        stays: The events of the clients that were connected when the servers were stopped.
        seconds: How long the servers took to stop.
    """

    def __init__(self, folder):
        self.folder = folder
        self.certificates = Certificates(folder)
        contexts = {name: self.start(name) for name in SERVERS}
        with running_together(contexts) as self.servers:
            self.talks = self.talk()
            self.hello = {
                name: server.get("/hello")
                for name, server in self.servers.items()
                if name in BESIDE
            }
            self.stays, self.seconds = self.stop()

    def start(self, name):
        command, app = SERVERS[name]
        places = {"{app}": app, "{socket}": str(self.folder / "socket")}
        arguments = [places.get(argument, argument) for argument in command]
        tls = None
        if name == "tls":
            arguments += self.certificates.flags
            tls = self.certificates.client
        return running(arguments, tls=tls, ready=READY.get(name, "startup complete"))

    def client(self, name, transport, **more):
        """Return the description of a client."""
        options = {"transports": TRANSPORTS[transport], "path": PATHS.get(name, "/socket.io/")}
        if name == "unix":
            more["socketPath"] = str(self.folder / "socket")
        return {
            "name": f"{name} {transport}",
            "url": "http://localhost" if name == "unix" else self.servers[name].http,
            "upgraded": transport == "upgrade",
            "options": options,
            **more,
        }

    def talk(self):
        """Let clients come, talk and go."""
        specifications = [
            self.client(name, transport, ask="origin")
            for name in self.servers
            for transport in TRANSPORTS
        ]
        return events_of(clients(specifications, self.certificates))

    def stop(self):
        """Stop the servers while clients are connected."""
        specifications = [
            self.client(name, transport, stay="wait" if transport == "polling" else True)
            for name in self.servers
            for transport in TRANSPORTS
        ]
        process = clients(specifications, self.certificates)
        process.wait_for("talked", len(specifications))
        for server in self.servers.values():
            server.wait_for("waiting")
        began = time.monotonic()
        for server in self.servers.values():
            server.terminate()
        for server in self.servers.values():
            server.wait()
        seconds = time.monotonic() - began
        return events_of(process), seconds


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return Scenario(tmp_path_factory.mktemp("socketio"))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", SERVERS)
def test_clients_talk(scenario, name, transport):
    events = scenario.talks[f"{name} {transport}"]
    log = scenario.servers[name].log
    last = TRANSPORTS[transport][-1]
    first = TRANSPORTS[transport][0]
    # On a local connection the upgrade may be over before the client is told that it is connected.
    assert events[0] in (["connect", first], ["connect", last]), (events, log)
    assert events[1] == ["talked", last, "GRÜSSE", True], (events, log)
    kind, answer = events[2]
    assert kind == "answer"
    assert answer["REMOTE_ADDR"] == ("" if name == "unix" else "127.0.0.1")
    assert answer["wsgi.url_scheme"] == ("https" if name == "tls" else "http")
    assert events[3] == ["disconnect", "io client disconnect", None]
    assert "Traceback" not in log


@pytest.mark.parametrize("name", BESIDE)
def test_the_other_application_is_served(scenario, name):
    status, _, body = scenario.hello[name]
    assert (status, b"hello" in body) == (200, True)


@pytest.mark.parametrize("name", SERVERS)
def test_all_is_closed_when_the_server_stops(scenario, name):
    events = {transport: scenario.stays[f"{name} {transport}"][-1] for transport in TRANSPORTS}
    assert events == {
        "polling": ["disconnect", "transport close", None],
        "websocket": ["disconnect", "transport close", 1012],
        "upgrade": ["disconnect", "transport close", 1012],
    }
    server = scenario.servers[name]
    assert server.log.count("disconnected: server shutting down") == 3, server.log
    assert server.log.count("cancelled") == 1
    if name not in BESIDE:
        assert "left 0 []" in server.log
    assert "Traceback" not in server.log
    assert server.process.returncode in (0, -signal.SIGTERM)
    assert scenario.seconds < 8
