"""The opening handshake: what is sent, and what is made of the answer."""

import contextlib
import socket
import threading

import pytest

from duplexio.errors import UsageError
from duplexio.websocket import sync as websocket
from duplexio.websocket.exceptions import InvalidHeader, InvalidUpgrade, NegotiationError
from duplexio.websocket.sync import create_connection
from duplexio.websocket.sync.cookies import COOKIES
from tests.websocket.sync.peers import Peer, ScriptedServer, websockets_server


def headers_of(**options):
    """Return the headers of the request that a client sends."""
    requests = []

    def script(peer: Peer) -> None:
        peer.shake_hands()
        requests.append(peer.request)
        peer.read_close()

    with ScriptedServer(script) as server:
        create_connection(server.url + "chat?room=1", timeout=10, **options).close()
    (request,) = requests
    assert request.path == "/chat?room=1"
    return request.headers, server.port


class TestRequest:
    def test_defaults(self):
        headers, port = headers_of()
        assert headers["Host"] == f"127.0.0.1:{port}"
        assert headers["Origin"] == f"http://127.0.0.1:{port}"
        assert headers["Sec-WebSocket-Version"] == "13"
        assert headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
        assert "Cookie" not in headers
        assert "Sec-WebSocket-Protocol" not in headers

    @pytest.mark.parametrize(
        "header",
        [
            ["X-One: 1", "X-Two:two: with a colon"],
            {"X-One": "1", "X-Two": "two: with a colon", "X-Three": None},
            lambda: ["X-One: 1", "X-Two: two: with a colon"],
        ],
        ids=["list", "dict", "function"],
    )
    def test_own_headers(self, header):
        headers, _ = headers_of(header=header)
        assert headers["X-One"] == "1"
        assert headers["X-Two"] == "two: with a colon"
        assert "X-Three" not in headers

    def test_headers_that_are_made_too(self):
        headers, _ = headers_of(
            header={
                "Host": "other.example",
                "Origin": "https://page.example",
                "User-Agent": "mine",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, other",
            }
        )
        assert headers["Host"] == "other.example"
        assert headers["Origin"] == "https://page.example"
        assert headers["User-Agent"] == "mine"
        assert headers["Sec-WebSocket-Key"] == "dGhlIHNhbXBsZSBub25jZQ=="
        assert "other" not in headers["Sec-WebSocket-Extensions"]

    def test_options(self):
        headers, _ = headers_of(
            host="other.example",
            origin="https://page.example",
            cookie="a=1; b=2",
            subprotocols=["one", "two"],
            connection="Connection: keep-alive, Upgrade",
        )
        assert headers["Host"] == "other.example"
        assert headers["Origin"] == "https://page.example"
        assert headers["Cookie"] == "a=1; b=2"
        assert headers["Sec-WebSocket-Protocol"] == "one, two"
        assert headers["Connection"] == "keep-alive, Upgrade"

    def test_suppressed_origin(self):
        headers, _ = headers_of(suppress_origin=True)
        assert "Origin" not in headers

    def test_suppressed_host(self):
        heads = []

        def script(peer: Peer) -> None:
            heads.append(peer.read_head())

        with (
            ScriptedServer(script) as server,
            pytest.raises(websocket.WebSocketConnectionClosedException),
        ):
            create_connection(server.url, timeout=10, suppress_host=True)
        assert b"Host:" not in heads[0]

    def test_text_beyond_latin_1(self):
        headers, _ = headers_of(header={"X-Name": "żółw"})
        assert headers["X-Name"].encode("latin-1").decode() == "żółw"

    @pytest.mark.parametrize(
        "header", [["no colon"], ["X: a\r\nY: b"], {"X Y": "1"}, {"X": "a\r\nY: b"}]
    )
    def test_headers_that_cannot_be_sent(self, header, echo_url):
        with pytest.raises((UsageError, InvalidHeader)):
            create_connection(echo_url, timeout=10, header=header)

    @pytest.mark.parametrize(
        "url", ["http://a.example", "ws://", "nonsense", "ws://a.example/#x", "ws://a:99999/"]
    )
    def test_url(self, url):
        with pytest.raises(websocket.WebSocketException) as caught:
            create_connection(url, timeout=10)
        # What the library whose place this takes raised.
        assert isinstance(caught.value, ValueError)


class TestAnswer:
    def test_subprotocol(self):
        with (
            websockets_server(lambda ws: None, subprotocols=["two"]) as url,
            create_connection(url, timeout=10, subprotocols=["one", "two"]) as ws,
        ):
            assert ws.subprotocol == ws.getsubprotocol() == "two"

    @pytest.mark.parametrize(
        ("lines", "error"),
        [
            (("Sec-WebSocket-Protocol: other",), NegotiationError),
            (("Sec-WebSocket-Extensions: other",), NegotiationError),
            (("Sec-WebSocket-Accept: wrong",), InvalidHeader),
            (("Upgrade: h2c",), InvalidUpgrade),
        ],
    )
    def test_wrong(self, lines, error):
        with ScriptedServer(lambda peer: peer.shake_hands(*lines)) as server:
            with pytest.raises(error) as caught:
                create_connection(server.url, timeout=10)
            assert isinstance(caught.value, websocket.WebSocketException)

    def test_accept_of_another_key(self):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            )

        with ScriptedServer(script) as server, pytest.raises(InvalidHeader):
            create_connection(server.url, timeout=10)

    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", b"no!"),
            (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno!", None),
            (
                b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nno!\r\n0\r\n\r\n",
                b"no!",
            ),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", None),
        ],
        ids=["body", "cut", "chunked", "no body"],
    )
    def test_refusal(self, answer, body):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(answer)

        with (
            ScriptedServer(script) as server,
            pytest.raises(websocket.WebSocketBadStatusException) as caught,
        ):
            create_connection(server.url, timeout=10)
        error = caught.value
        assert str(error).startswith("Handshake status 403 Forbidden -+-+- {")
        assert (error.status_code, error.status_message, error.resp_body) == (
            403,
            "Forbidden",
            body,
        )
        assert isinstance(error.resp_headers, dict)

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 101", b"\x16\x03\x01", b"220 hello\r\n\r\n"]
    )
    def test_no_answer(self, answer):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(answer)

        with ScriptedServer(script) as server, pytest.raises(websocket.WebSocketException):
            create_connection(server.url, timeout=10)

    def test_answer_without_end(self):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
            with contextlib.suppress(ConnectionError):
                while True:
                    peer.sock.sendall(b"X-Header: value\r\n" * 100)

        with ScriptedServer(script) as server, pytest.raises(websocket.WebSocketException):
            create_connection(server.url, timeout=10)

    def test_slow_answer(self):
        done = threading.Event()

        def script(peer: Peer) -> None:
            # A byte now and then does not put off the end.
            while not done.wait(0.01):
                peer.sock.sendall(b"H")

        with ScriptedServer(script) as server:
            with pytest.raises(websocket.WebSocketTimeoutException):
                create_connection(server.url, timeout=0.05)
            done.set()

    def test_messages_right_behind_it(self):
        def script(peer: Peer) -> None:
            peer.shake_hands(behind=b"\x81\x01a\x89\x00\x81\x01b")
            peer.read_close()

        with ScriptedServer(script) as server, create_connection(server.url, timeout=10) as ws:
            assert [ws.recv(), ws.recv()] == ["a", "b"]


class TestCookies:
    def test_kept_and_sent_back(self, monkeypatch):
        seen = []

        def script(peer: Peer) -> None:
            peer.shake_hands("Set-Cookie: id=7; Domain=cookie.example")
            seen.append(peer.request.headers.get("Cookie"))
            peer.read_close()

        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args: real("127.0.0.1", *args))
        monkeypatch.setattr(COOKIES, "_domains", {})
        with ScriptedServer(script) as server:
            for host, cookie in (("a", None), ("b", None), ("c", "own=1")):
                url = f"ws://{host}.cookie.example:{server.port}/"
                ws = create_connection(url, timeout=10, cookie=cookie)
                assert ws.headers["set-cookie"] == "id=7; Domain=cookie.example"
                ws.close()
        assert seen == [None, "id=7", "id=7; own=1"]


class TestRedirects:
    @staticmethod
    def redirecting(location, status="302 Found"):
        def script(peer: Peer) -> None:
            if not peer.read_head():
                return
            peer.sock.sendall(f"HTTP/1.1 {status}\r\nLocation: {location}\r\n\r\n".encode())

        return ScriptedServer(script)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("scheme", ["ws", "http"])
    def test_followed(self, echo_url, status, scheme):
        target = echo_url.replace("ws:", f"{scheme}:")
        with (
            self.redirecting(target, f"{status} Elsewhere") as server,
            create_connection(server.url, timeout=10) as ws,
        ):
            ws.send("hello")
            assert ws.recv() == "hello"

    def test_on_the_same_server(self):
        paths: list[bytes] = []

        def script(peer: Peer) -> None:
            if not paths:
                paths.append(peer.read_head().split()[1])
                peer.sock.sendall(b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n")
                return
            peer.shake_hands()
            paths.append(peer.request.path.encode())
            assert peer.request.headers["Authorization"] == "Basic eDp5"
            peer.read_close()

        with ScriptedServer(script) as server:
            create_connection(
                server.url, timeout=10, header={"Authorization": "Basic eDp5"}
            ).close()
        assert paths == [b"/", b"/other"]

    def test_secrets_stay(self):
        requests = []

        def script(peer: Peer) -> None:
            peer.shake_hands()
            requests.append(peer.request)
            peer.read_close()

        with ScriptedServer(script) as target, self.redirecting(target.url) as server:
            create_connection(
                server.url,
                timeout=10,
                header={"Authorization": "Basic eDp5", "X-Other": "é"},
                cookie="session=1",
            ).close()
        headers = requests[0].headers
        assert "Authorization" not in headers
        assert "Cookie" not in headers
        assert headers["X-Other"].encode("latin-1").decode() == "é"
        assert headers["Host"] == f"127.0.0.1:{target.port}"

    def test_limit(self):
        with self.redirecting("/again") as server:
            with pytest.raises(websocket.WebSocketException, match="limit"):
                create_connection(server.url, timeout=10)
            assert server.connections == 4
            with pytest.raises(websocket.WebSocketException, match="limit"):
                create_connection(server.url, timeout=10, redirect_limit=0)
            assert server.connections == 5

    def test_nowhere(self):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(b"HTTP/1.1 302 Found\r\n\r\n")

        with (
            ScriptedServer(script) as server,
            pytest.raises(websocket.WebSocketException, match="without Location"),
        ):
            create_connection(server.url, timeout=10)

    @pytest.mark.parametrize("target", ["ftp://a.example/", "ws://a:99999/"])
    def test_to_something_else(self, target):
        with (
            self.redirecting(target) as server,
            pytest.raises(websocket.WebSocketException, match="Invalid redirect target"),
        ):
            create_connection(server.url, timeout=10)

    def test_from_tls_to_plain(self, echo_url, server_context, ca_file):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(f"HTTP/1.1 302 Found\r\nLocation: {echo_url}\r\n\r\n".encode())

        with (
            ScriptedServer(script, server_context) as server,
            pytest.raises(websocket.WebSocketException, match="leave TLS"),
        ):
            create_connection(server.url, timeout=10, sslopt={"ca_certs": ca_file})
