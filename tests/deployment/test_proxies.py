"""Socket.IO behind nginx and HAProxy: set up as the guide says, and not quite."""

import json
import re
from contextlib import ExitStack

import pytest

from tests.deployment.clients import TRANSPORTS, clients, events_of, needs_clients
from tests.deployment.http2 import Client
from tests.deployment.proxies import HAPROXY, NGINX, Site, haproxy, nginx
from tests.hosting.programs import Certificates, running, running_together

APP = "tests.deployment.socketio_apps:app"
SERVE = ["duplexio.cli", "serve", APP, "--port", "0"]
UVICORN = ["uvicorn", APP, "--port", "0"]

NO_UPGRADE = {
    "        proxy_set_header   Upgrade           $http_upgrade;\n": "",
    "        proxy_set_header   Connection        $connection_upgrade;\n": "",
}

NO_HOST = {"        proxy_set_header   Host              $http_host;\n": ""}

#: Which proxy is in front of which server, and how it is set up.
SITES = {
    "nginx": (nginx, "serve", {}),
    "nginx_unix": (nginx, "unix", {}),
    "haproxy": (haproxy, "serve", {}),
    "no_upgrade": (nginx, "uvicorn", NO_UPGRADE),
    "no_host": (nginx, "serve", NO_HOST),
    "impatient_nginx": (nginx, "uvicorn", {"proxy_read_timeout 60s;": "proxy_read_timeout 1s;"}),
    "impatient_haproxy": (
        haproxy,
        "serve_too",
        {"timeout server  60s": "timeout server  1s", "timeout tunnel  60s": "timeout tunnel  1s"},
    ),
}
GOOD = ["nginx", "nginx_unix", "haproxy"]
IMPATIENT = ["impatient_nginx", "impatient_haproxy"]

pytestmark = [
    needs_clients,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed"),
    pytest.mark.timeout(120),
]


class Scenario:
    """The proxies and the servers behind them, and what their clients have seen.

    Attributes:
        servers: The servers by name.
        sites: The sites by name.
        events: The events of the clients.
    """

    def __init__(self, folder):
        certificates = Certificates(folder)
        unix = folder / "socket"
        contexts = {
            "serve": running(SERVE),
            "serve_too": running(SERVE),
            "uvicorn": running(UVICORN),
            "unix": running(
                [*SERVE[:3], "--uds", str(unix), "--forwarded-allow-ips", "*"],
            ),
        }
        with running_together(contexts) as self.servers, ExitStack() as stack:
            self.sites = {}
            for name, (_, server, changes) in SITES.items():
                address = f"127.0.0.1:{self.servers[server].port}"
                if server == "unix":
                    # Only HAProxy takes the path as it is.
                    address = f"unix:{unix}"
                self.sites[name] = Site(address, name, changes)
            for proxy in (nginx, haproxy):
                mine = [self.sites[name] for name in SITES if SITES[name][0] is proxy]
                stack.enter_context(proxy(folder, certificates, *mine))
            self.events = events_of(clients(list(self.describe()), certificates))
            self.http2 = self.talk_http2(certificates)
            impatient = clients(list(self.describe_impatient()), certificates)
            for name in IMPATIENT:
                self.servers[SITES[name][1]].wait_for("connections are cut off")
                for transport in ("polling", "websocket"):
                    impatient.wait_for(f"{name} {transport}.*disconnect")
            impatient.terminate()
            self.events |= events_of(impatient)

    def talk_http2(self, certificates):
        """Open a WebSocket in HTTP/2, as browsers do where it is announced."""
        with Client(self.sites["haproxy"], certificates) as client:
            ws = client.websocket("transport=websocket")
            assert ws.text().startswith("0{")
            ws.send("40")
            assert ws.text().startswith("40{")
            ws.send('420["origin"]')
            (known,) = json.loads(ws.text()[3:])
            return known

    def describe(self):
        """Yield the descriptions of all clients."""
        for name in GOOD:
            for transport in TRANSPORTS:
                upgraded = transport == "upgrade"
                yield self.client(name, transport, self.sites[name].http, upgraded, ask="origin")
        yield self.client("nginx", "foreign", "https://elsewhere.example")
        yield self.client("no_host", "polling", self.sites["no_host"].http)
        yield self.client("no_upgrade", "upgrade")
        yield self.client("no_upgrade", "websocket")

    def describe_impatient(self):
        """Yield the descriptions of clients that will be cut off, one after the other."""
        for name in IMPATIENT:
            for i in range(6):
                transport = ("polling", "websocket")[i % 2]
                yield self.client(name, transport, reconnect=True, delay=150 * i)

    def client(self, name, transport, origin=None, upgraded=False, **more):
        """Return the description of a client, which may be one in a page."""
        options = {"transports": TRANSPORTS.get(transport, ["polling"])}
        if origin is not None:
            options["extraHeaders"] = {"Origin": origin}
        return {
            "name": f"{name} {transport}",
            "url": self.sites[name].http,
            "options": options,
            "upgraded": upgraded,
            **more,
        }


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return Scenario(tmp_path_factory.mktemp("proxies"))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", GOOD)
def test_clients_talk_and_are_known(scenario, name, transport):
    events = scenario.events[f"{name} {transport}"]
    assert events[1] == ["talked", TRANSPORTS[transport][-1], "GRÜSSE", True], events
    answer = events[2][1]
    assert answer["REMOTE_ADDR"] == "127.0.0.1"
    # A proxy names no port: this is not the address of its own connection.
    assert answer["REMOTE_PORT"] == "0"
    assert answer["wsgi.url_scheme"] == "https"
    assert answer["HTTP_HOST"] == f"localhost:{scenario.sites[name].port}"
    assert answer["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


def test_websockets_in_http2(scenario):
    assert scenario.http2["REMOTE_ADDR"] == "127.0.0.1"
    assert scenario.http2["wsgi.url_scheme"] == "https"


def test_pages_of_other_sites_may_not_connect(scenario):
    assert scenario.events["nginx foreign"] == [["connect_error", "xhr poll error", 403]]
    log = scenario.servers["serve"].log
    host = f"localhost:{scenario.sites['nginx'].port}"
    assert "'https://elsewhere.example' may not connect" in log
    assert f"The request was sent to the host {host!r}" in log


def test_without_host_pages_may_not_connect(scenario):
    assert scenario.events["no_host polling"] == [["connect_error", "xhr poll error", 403]]
    assert "The request was sent to the host 'no_host'" in scenario.servers["serve"].log


def test_without_upgrade_clients_stay_on_polling(scenario):
    events = scenario.events["no_upgrade upgrade"]
    assert events[0] == ["connect", "polling"]
    assert events[1] == ["talked", "polling", "GRÜSSE", True]
    assert scenario.events["no_upgrade websocket"] == [
        ["connect_error", "websocket error", "Unexpected server response: 400"]
    ]
    assert scenario.servers["uvicorn"].log.count("without the header 'Upgrade'") == 1


@pytest.mark.parametrize("name", IMPATIENT)
def test_a_proxy_without_patience(scenario, name):
    reasons = {"polling": "transport error", "websocket": "transport close"}
    for transport, reason in reasons.items():
        events = scenario.events[f"{name} {transport}"]
        assert {event[1] for event in events if event[0] == "disconnect"} == {reason}
    log = scenario.servers[SITES[name][1]].log
    assert len(re.findall(r"connections are cut off after 1\.\d s of silence", log)) == 1, log
    assert "nginx: proxy_read_timeout" in log
