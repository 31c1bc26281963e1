import select
import socket
import ssl
import threading

import pytest

from duplexio.errors import UsageError
from duplexio.websocket import sync as websocket
from duplexio.websocket.sync import create_connection
from duplexio.websocket.sync.tls import CA_BUNDLE
from tests.websocket.sync.peers import Peer, ScriptedServer, echo, websockets_server


@pytest.fixture
def ws(secure_echo_url, ca_file):
    with create_connection(secure_echo_url, timeout=10, sslopt={"ca_certs": ca_file}) as ws:
        yield ws


def talk(ws):
    ws.send("hello")
    assert ws.recv() == "hello"


class TestMessages:
    def test_both_ways(self, ws):
        assert ws.is_ssl()
        talk(ws)
        ws.send_binary(bytes(3_000_000))
        assert ws.recv() == bytes(3_000_000)

    def test_timeout(self, ws):
        ws.settimeout(0.01)
        with pytest.raises(websocket.WebSocketTimeoutException):
            ws.recv()
        ws.settimeout(10)
        talk(ws)

    def test_not_waiting(self, ws):
        ws.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            ws.recv()
        ws.send("hello")
        select.select([ws], [], [], 10)
        assert ws.recv() == "hello"

    def test_reading_and_writing_in_two_threads(self, ws):
        """A reader that was there first, and finds records without data, stops no sender."""
        count = 300
        received: list[str | bytes] = []
        started = threading.Event()

        def read() -> None:
            started.set()
            received.extend(ws.recv() for _ in range(count))

        ws.settimeout(None)
        thread = threading.Thread(target=read)
        thread.start()
        started.wait()
        messages = [f"{i}" * 1000 for i in range(count)]
        for message in messages:
            ws.send(message)
        thread.join(20)
        assert received == messages

    @pytest.mark.parametrize("end", ["abort", "shutdown"])
    def test_waking_up_a_reader(self, ws, end):
        outcome = []
        started = threading.Event()

        def read() -> None:
            started.set()
            try:
                ws.recv()
            except websocket.WebSocketConnectionClosedException as exc:
                outcome.append(exc)

        ws.settimeout(None)
        thread = threading.Thread(target=read)
        thread.start()
        started.wait()
        getattr(ws, end)()
        thread.join(10)
        assert len(outcome) == 1

    def test_pending_counts_messages(self, server_context, ca_file):
        """Several messages in a record: select() does not see them, pending() does."""

        def run(peer: Peer) -> None:
            peer.shake_hands()
            peer.sock.sendall(b"\x81\x01a\x81\x01b")
            peer.read_close()

        with (
            ScriptedServer(run, server_context) as server,
            create_connection(server.url, timeout=10, sslopt={"ca_certs": ca_file}) as ws,
        ):
            assert ws.recv() == "a"
            assert not select.select([ws], [], [], 0)[0]
            assert ws.sock.pending()
            assert ws.recv() == "b"
            assert not ws.sock.pending()

    def test_end_without_goodbye(self, server_context, ca_file):
        def run(peer: Peer) -> None:
            peer.shake_hands()
            socket.socket.shutdown(peer.sock, socket.SHUT_RDWR)

        with (
            ScriptedServer(run, server_context) as server,
            create_connection(server.url, timeout=10, sslopt={"ca_certs": ca_file}) as ws,
            pytest.raises(websocket.WebSocketConnectionClosedException),
        ):
            ws.recv()

    def test_server_that_does_not_read(self, server_context, ca_file):
        read = threading.Event()
        received = []

        def run(peer: Peer) -> None:
            peer.shake_hands()
            read.wait(10)
            while (frame := peer.read_frame())[0] not in (-1, 0x88):
                received.append(frame)

        message = bytes(100_000)
        with (
            ScriptedServer(run, server_context) as server,
            create_connection(server.url, timeout=10, sslopt={"ca_certs": ca_file}) as ws,
        ):
            ws.settimeout(0.05)

            def send_on() -> None:
                while True:
                    ws.send_binary(message)

            with pytest.raises(websocket.WebSocketTimeoutException):
                send_on()
            read.set()
            ws.settimeout(10)
            ws.send_binary(b"last")
        assert all(frame == (0x82, message) for frame in received[:-1])
        assert received[-1] == (0x82, b"last")


class TestTrust:
    def test_unknown_authority(self, secure_echo_url):
        with pytest.raises(ssl.SSLCertVerificationError):
            create_connection(secure_echo_url, timeout=10)

    @pytest.mark.parametrize(
        "options",
        [
            {"cert_reqs": ssl.CERT_NONE},
            {"cert_reqs": ssl.CERT_NONE, "check_hostname": False},
        ],
    )
    def test_any_certificate(self, secure_echo_url, options):
        with create_connection(secure_echo_url, timeout=10, sslopt=options) as ws:
            talk(ws)

    def test_another_name(self, authority, ca_file):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("example.com").configure_cert(context)
        with websockets_server(echo, ssl=context) as url:
            with pytest.raises(ssl.SSLCertVerificationError):
                create_connection(url, timeout=10, sslopt={"ca_certs": ca_file})
            for options in ({"check_hostname": False}, {"server_hostname": "example.com"}):
                sslopt = {"ca_certs": ca_file, **options}
                with create_connection(url, timeout=10, sslopt=sslopt) as ws:
                    talk(ws)

    def test_bundle_of_the_environment(self, secure_echo_url, ca_file, monkeypatch):
        monkeypatch.setenv(CA_BUNDLE, ca_file)
        with create_connection(secure_echo_url, timeout=10) as ws:
            talk(ws)

    def test_folder_of_the_environment(self, secure_echo_url, tmp_path, monkeypatch):
        monkeypatch.setenv(CA_BUNDLE, str(tmp_path))
        with pytest.raises(ssl.SSLCertVerificationError):
            create_connection(secure_echo_url, timeout=10)

    def test_context_of_the_caller(self, secure_echo_url, authority):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with create_connection(secure_echo_url, timeout=10, sslopt={"context": context}) as ws:
            talk(ws)

    @pytest.mark.parametrize("form", ["certfile", "cert_chain"])
    def test_certificate_of_the_client(self, authority, ca_file, tmp_path, form):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        path = str(tmp_path / "client.pem")
        authority.issue_cert("client@example.com").private_key_and_cert_chain_pem.write_to_path(
            path
        )
        own = {"certfile": path} if form == "certfile" else {"cert_chain": (path, None, None)}
        with websockets_server(echo, ssl=context) as url:
            sslopt = {"ca_certs": ca_file, **own}
            with create_connection(url, timeout=10, sslopt=sslopt) as ws:
                talk(ws)

    def test_ciphers_and_curve(self, secure_echo_url, ca_file):
        sslopt = {
            "ca_certs": ca_file,
            "ssl_version": ssl.PROTOCOL_TLS_CLIENT,
            "ciphers": "ECDHE+AESGCM",
            "ecdh_curve": "prime256v1",
            "suppress_ragged_eofs": True,
            "do_handshake_on_connect": True,
        }
        with create_connection(secure_echo_url, timeout=10, sslopt=sslopt) as ws:
            talk(ws)

    @pytest.mark.parametrize(
        "options",
        [
            {"ca_certs": "/nowhere.pem"},
            {"certfile": "/nowhere.pem"},
            {"cert_reqs": ssl.CERT_NONE, "check_hostname": True},
            {"ciphers": "none that exists"},
        ],
    )
    def test_options_that_cannot_be(self, secure_echo_url, options):
        with pytest.raises(UsageError):
            create_connection(secure_echo_url, timeout=10, sslopt=options)

    def test_chain_of_the_wrong_form(self, secure_echo_url):
        with pytest.raises(ValueError, match="cert_chain"):
            create_connection(secure_echo_url, timeout=10, sslopt={"cert_chain": "file.pem"})

    def test_handshake_that_is_put_off(self, secure_echo_url, ca_file):
        sslopt = {"ca_certs": ca_file, "do_handshake_on_connect": False}
        with create_connection(secure_echo_url, timeout=10, sslopt=sslopt) as ws:
            talk(ws)

    def test_key_log(self, secure_echo_url, ca_file, tmp_path, monkeypatch):
        log = tmp_path / "keys"
        monkeypatch.setenv("SSLKEYLOGFILE", str(log))
        with create_connection(secure_echo_url, timeout=10, sslopt={"ca_certs": ca_file}) as ws:
            talk(ws)
        assert "CLIENT_TRAFFIC_SECRET" in log.read_text()


def test_server_that_speaks_no_tls(echo_url):
    with pytest.raises(ssl.SSLError):
        create_connection(echo_url.replace("ws:", "wss:"), timeout=10)
