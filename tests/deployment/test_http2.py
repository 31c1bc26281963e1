"""Socket.IO over HTTP/2: polling, and WebSockets by extended CONNECT (RFC 8441), in hypercorn."""

import json

import h2.settings
import pytest

from tests.deployment.http2 import Client, sid_of
from tests.hosting.programs import Certificates, running

APP = "tests.deployment.socketio_apps:app"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("http2"))


@pytest.fixture
def server(certificates):
    files = ["--certfile", str(certificates.cert), "--keyfile", str(certificates.key)]
    arguments = ["hypercorn", APP, "--bind", "127.0.0.1:0", "--workers", "0", *files]
    with running(arguments, tls=certificates.client, ready="Running on") as server:
        yield server


def test_all_transports_on_one_connection(server, certificates):
    with Client(server, certificates) as client:
        assert client.settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1

        # A WebSocket from the beginning
        ws = client.websocket("transport=websocket")
        sid_of(ws.text())
        ws.send("40")
        assert ws.text().startswith('40{"sid":')
        ws.send('420["echo",{"data":"a"}]')
        assert ws.text() == '42["server_response",{"data":"A"}]'
        assert ws.text() == '430[{"data":"a"}]'

        # Polling, and from there on to a WebSocket
        sid = sid_of(client.begin("GET", "transport=polling").answer())
        polling = f"transport=polling&sid={sid}"
        assert client.begin("POST", polling, b"40").answer() == "ok"
        assert client.begin("GET", polling).answer().startswith("40{")
        poll = client.begin("GET", polling)
        upgraded = client.websocket(f"transport=websocket&sid={sid}")
        upgraded.send("2probe")
        assert upgraded.text() == "3probe"
        assert poll.answer() == "6"
        upgraded.send("5")
        upgraded.send('420["origin"]')
        (known,) = json.loads(upgraded.text()[3:])
        assert known == {
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": str(client.sock.getsockname()[1]),
            "HTTP_HOST": client.authority,
            "HTTP_X_FORWARDED_FOR": None,
            "wsgi.url_scheme": "https",
        }

        # The end
        poll = client.begin("GET", "transport=polling")
        poll = client.begin("GET", f"transport=polling&sid={sid_of(poll.answer())}")
        client.begin("GET", "transport=polling").answer()  # so the one before has arrived
        server.terminate()
        for stream in (ws, upgraded):
            assert stream.receive() == (8, (1012).to_bytes(2, "big"))
        assert poll.answer() == "1"
    server.wait()
    assert server.log.count("disconnected: server shutting down") == 2
    assert "left 0 []" in server.log
    assert "Traceback" not in server.log
