import socket
import time

import pytest

from duplexio.websocket import sync as websocket
from duplexio.websocket.sync import DEFAULT_SOCKET_OPTION, create_connection
from duplexio.websocket.sync.connecting import choose_proxy
from duplexio.websocket.uri import parse_uri
from tests.websocket.sync.peers import HTTPProxy, ScriptedServer, SOCKSProxy


def talk(url, **options):
    with create_connection(url, timeout=10, **options) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


class TestTCP:
    def test_options_of_the_socket(self, echo_url):
        option = (socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        with create_connection(echo_url, timeout=10, sockopt=(option,)) as ws:
            assert ws.sock.getsockopt(*option[:2]) == 2 * 8192
            for level, name, value in DEFAULT_SOCKET_OPTION:
                assert ws.sock.getsockopt(level, name) == value

    def test_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            create_connection(f"ws://127.0.0.1:{port}", timeout=10)

    def test_unknown_host(self):
        with pytest.raises(websocket.WebSocketAddressException):
            create_connection("ws://nowhere.invalid", timeout=10)

    def test_addresses_are_tried_in_turn(self, echo_url, monkeypatch):
        port = int(echo_url.rsplit(":", 1)[1])
        with socket.create_server(("127.0.0.1", 0)) as server:
            closed = server.getsockname()[1]

        def resolve(host, *args):
            assert host == "two.example"
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each))
                for each in (closed, port)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        talk("ws://two.example/")

    def test_timeout(self, monkeypatch):
        class Slow(socket.socket):
            def connect(self, address):
                raise TimeoutError("timed out")

        monkeypatch.setattr(socket, "socket", Slow)
        with pytest.raises(websocket.WebSocketTimeoutException) as caught:
            create_connection("ws://127.0.0.1:1", timeout=0.05)
        # What the system says, too: the library whose place this takes raised that.
        assert isinstance(caught.value, TimeoutError)

    def test_socket_of_the_caller(self, echo_url):
        port = int(echo_url.rsplit(":", 1)[1])
        sock = socket.create_connection(("127.0.0.1", port))
        with create_connection("ws://elsewhere.example/", timeout=10, socket=sock) as ws:
            assert ws.sock is sock
            ws.send("hello")
            assert ws.recv() == "hello"

    def test_object_like_a_socket(self, echo_url):
        port = int(echo_url.rsplit(":", 1)[1])

        class Like:
            def __init__(self, sock):
                self.sock = sock

            def recv(self, count):
                return self.sock.recv(count)

            def send(self, data):
                return self.sock.send(data)

            def close(self):
                self.sock.close()

            def fileno(self):
                return self.sock.fileno()

        sock = Like(socket.create_connection(("127.0.0.1", port)))
        with create_connection("ws://elsewhere.example/", timeout=10, socket=sock) as ws:
            ws.send("hello" * 100_000)
            assert ws.recv() == "hello" * 100_000

    def test_nothing_is_left_open_after_a_failure(self):
        """A warning about a socket that was not closed would fail this test."""
        with (
            ScriptedServer(lambda peer: peer.sock.sendall(b"nonsense\r\n\r\n")) as server,
            pytest.raises(websocket.WebSocketException),
        ):
            create_connection(server.url, timeout=10)


class TestHTTPProxy:
    def test_tunnel(self, echo_url):
        with HTTPProxy() as proxy:
            talk(echo_url, http_proxy_host="127.0.0.1", http_proxy_port=proxy.port)
        assert proxy.requests == [f"CONNECT {echo_url.removeprefix('ws://')} HTTP/1.1"]

    def test_tunnel_for_tls(self, secure_echo_url, ca_file):
        with HTTPProxy() as proxy:
            talk(
                secure_echo_url,
                http_proxy_host="127.0.0.1",
                http_proxy_port=str(proxy.port),
                proxy_type="http",
                sslopt={"ca_certs": ca_file},
            )
        assert len(proxy.requests) == 1

    def test_credentials(self, echo_url):
        with HTTPProxy(credentials="user:pass word") as proxy:
            address = {"http_proxy_host": "127.0.0.1", "http_proxy_port": proxy.port}
            talk(echo_url, **address, http_proxy_auth=("user", "pass word"))
            with pytest.raises(websocket.WebSocketProxyException, match="status: 407"):
                talk(echo_url, **address, http_proxy_auth=("user", "other"))

    def test_no_port(self, echo_url):
        with pytest.raises(websocket.WebSocketProxyException, match="port 0"):
            talk(echo_url, http_proxy_host="127.0.0.1")

    def test_unknown_type(self, echo_url):
        with pytest.raises(websocket.WebSocketProxyException, match="ftp"):
            talk(echo_url, http_proxy_host="127.0.0.1", http_proxy_port=1, proxy_type="ftp")

    @pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 502 Bad\r\n\r\n"])
    def test_bad_answer(self, echo_url, answer):
        def script(peer):
            peer.read_head()
            peer.sock.sendall(answer)

        with ScriptedServer(script) as proxy, pytest.raises(websocket.WebSocketProxyException):
            talk(echo_url, http_proxy_host="127.0.0.1", http_proxy_port=proxy.port)

    def test_of_the_environment(self, echo_url, monkeypatch):
        with HTTPProxy() as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            talk(echo_url)
            talk(echo_url, http_no_proxy=["127.0.0.0/8"])
        assert len(proxy.requests) == 1


class TestSOCKSProxy:
    @pytest.mark.parametrize(
        ("kind", "asked"),
        [
            ("socks4", (4, "127.0.0.1")),
            ("socks4a", (4, "localhost")),
            ("socks5", (5, "127.0.0.1")),
            ("socks5h", (5, "localhost")),
        ],
    )
    def test_who_resolves_the_name(self, echo_url, kind, asked):
        port = int(echo_url.rsplit(":", 1)[1])
        with SOCKSProxy() as proxy:
            talk(
                f"ws://localhost:{port}",
                http_proxy_host="127.0.0.1",
                http_proxy_port=proxy.port,
                proxy_type=kind,
            )
        assert proxy.requests == [(*asked, port)]

    def test_credentials(self, echo_url):
        with SOCKSProxy(credentials=("user", "secret")) as proxy:
            address = {
                "http_proxy_host": "127.0.0.1",
                "http_proxy_port": proxy.port,
                "proxy_type": "socks5",
            }
            talk(echo_url, **address, http_proxy_auth=("user", "secret"))
            with pytest.raises(websocket.WebSocketProxyException):
                talk(echo_url, **address, http_proxy_auth=("user", "wrong"))

    def test_refusal(self, echo_url):
        with SOCKSProxy(refuse=True) as proxy, pytest.raises(websocket.WebSocketProxyException):
            talk(
                echo_url,
                http_proxy_host="127.0.0.1",
                http_proxy_port=proxy.port,
                proxy_type="socks5",
            )

    def test_tls(self, secure_echo_url, ca_file):
        with SOCKSProxy() as proxy:
            talk(
                secure_echo_url,
                http_proxy_host="127.0.0.1",
                http_proxy_port=proxy.port,
                proxy_type="socks5h",
                sslopt={"ca_certs": ca_file},
            )
        assert proxy.requests[0][1] == "localhost"

    def test_of_the_environment(self, echo_url, monkeypatch):
        with SOCKSProxy() as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
            talk(echo_url)
        assert len(proxy.requests) == 1

    def test_proxy_that_says_nothing(self, echo_url):
        with ScriptedServer(lambda peer: peer.read_to_end()) as proxy:
            started = time.monotonic()
            with pytest.raises(websocket.WebSocketProxyException):
                talk(
                    echo_url,
                    http_proxy_host="127.0.0.1",
                    http_proxy_port=proxy.port,
                    proxy_type="socks5",
                    http_proxy_timeout=0.05,
                )
            assert time.monotonic() - started < 5


class TestChoice:
    """Which proxy is chosen, without connecting to it."""

    PROXY = "http://user:p%40ss@proxy.example:3128"

    def choose(self, uri="ws://a.example.com/", **options):
        return choose_proxy(parse_uri(uri), options)

    def test_none(self):
        assert self.choose() is None

    @pytest.mark.parametrize(
        ("variable", "uri"),
        [
            ("http_proxy", "ws://a.example.com"),
            ("HTTP_PROXY", "ws://a.example.com"),
            ("https_proxy", "wss://a.example.com"),
            ("HTTPS_PROXY", "wss://a.example.com"),
        ],
    )
    def test_environment(self, monkeypatch, variable, uri):
        monkeypatch.setenv(variable, self.PROXY)
        proxy = self.choose(uri)
        assert (proxy.scheme, proxy.host, proxy.port) == ("http", "proxy.example", 3128)
        assert proxy.user_info == ("user", "p@ss")

    def test_environment_without_scheme(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "proxy.example:3128")
        assert self.choose().port == 3128

    def test_environment_of_the_other_scheme(self, monkeypatch):
        monkeypatch.setenv("https_proxy", self.PROXY)
        assert self.choose("ws://a.example.com") is None

    def test_header_of_a_cgi_request(self, monkeypatch):
        monkeypatch.setenv("REQUEST_METHOD", "GET")
        monkeypatch.setenv("HTTP_PROXY", self.PROXY)
        assert self.choose() is None

    @pytest.mark.parametrize("value", ["gopher://proxy.example", "https://proxy.example"])
    def test_environment_that_cannot_be_used(self, monkeypatch, value):
        monkeypatch.setenv("http_proxy", value)
        with pytest.raises(websocket.WebSocketProxyException):
            self.choose()

    @pytest.mark.parametrize(
        ("no_proxy", "uri"),
        [
            ("*", "ws://a.example.com"),
            ("a.example.com", "ws://a.example.com"),
            ("other, example.com", "ws://a.example.com"),
            (".example.com", "ws://a.example.com"),
            ("10.0.0.0/8", "ws://10.1.2.3"),
            ("10.1.2.3", "ws://10.1.2.3"),
            ("fe80::/10", "ws://[fe80::1]"),
        ],
    )
    @pytest.mark.parametrize("how", ["environment", "option"])
    def test_exempt(self, monkeypatch, no_proxy, uri, how):
        monkeypatch.setenv("http_proxy", self.PROXY)
        if how == "environment":
            monkeypatch.setenv("NO_PROXY", no_proxy)
            assert self.choose(uri) is None
        else:
            assert self.choose(uri, http_no_proxy=no_proxy.split(",")) is None

    @pytest.mark.parametrize(
        ("no_proxy", "uri"),
        [
            ("example.com", "ws://badexample.com"),
            ("b.example.com", "ws://a.example.com"),
            ("10.0.0.0/8", "ws://11.0.0.1"),
            ("10.0.0.0/8", "ws://a.example.com"),
            ("", "ws://localhost"),
        ],
    )
    def test_not_exempt(self, monkeypatch, no_proxy, uri):
        monkeypatch.setenv("http_proxy", self.PROXY)
        monkeypatch.setenv("no_proxy", no_proxy)
        assert self.choose(uri) is not None
