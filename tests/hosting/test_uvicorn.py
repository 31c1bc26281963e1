"""The front door, in uvicorn as it is started: with uvloop and asyncio, plain and with TLS."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.hosting.programs import (
    Certificates,
    handshake,
    receive_all,
    receive_exactly,
    receive_until,
    running,
    split_response,
    text_frame,
    uvicorn,
)

APP = "tests.hosting.apps:app"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=["uvloop", "asyncio", "uvloop-tls", "asyncio-tls"])
def server(request, certificates):
    loop, _, tls = request.param.partition("-")
    flags = certificates.flags if tls else []
    with running(
        uvicorn(APP, "--loop", loop, *flags), tls=certificates.client if tls else None
    ) as running_server:
        yield running_server
        running_server.get("/end")


def opened(server, path, **options):
    return connect(server.uri(path), ssl=server.tls, **options)


def last_event(server):
    return json.loads(server.get("/state")[2])["events"][-1]


class TestMessages:
    async def test_text_binary_and_empty_messages_are_echoed(self, server):
        async with opened(server, "/echo") as ws:
            for message in ("hello", "", "héllo ✓", b"\0\xff", b"", "x" * 100_000):
                await ws.send(message)
                assert await ws.recv() == message

    async def test_pipelined_messages_keep_their_order(self, server):
        async with opened(server, "/echo") as ws:
            for i in range(1000):
                await ws.send(str(i))
            assert [await ws.recv() for _ in range(1000)] == [str(i) for i in range(1000)]

    async def test_a_message_of_8_megabytes(self, server):
        message = bytes(range(256)) * 32768
        async with opened(server, "/echo", max_size=None, compression=None) as ws:
            await ws.send(message)
            assert await ws.recv() == message

    async def test_fragments_arrive_as_one_message(self, server):
        async with opened(server, "/echo") as ws:
            await ws.send(iter(["one ", "two ", "three"]))
            assert await ws.recv() == "one two three"

    async def test_permessage_deflate_is_negotiated(self, server):
        async with opened(server, "/echo") as ws:
            assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]

    async def test_several_tasks_may_receive(self, server):
        async with opened(server, "/together") as ws:
            for text in "abc":
                await ws.send(text)
            assert await ws.recv() == "waiting"
            await ws.send("d")
            assert await ws.recv() == "a,b,c,d"

    async def test_ping_is_answered_while_the_application_does_not_receive(self, server):
        async with opened(server, "/ignore") as ws:
            assert await (await ws.ping()) > 0


class TestScope:
    async def test_scope_is_that_of_asgi(self, server):
        async with opened(
            server,
            "/scope?a=1&b=%20",
            subprotocols=["chat", "superchat"],
            additional_headers={"X-Name": "Zoë"},
        ) as ws:
            scope = json.loads(await ws.recv())
        assert scope["type"] == "websocket"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
        assert scope["http_version"] == "1.1"
        assert scope["scheme"] == ("wss" if server.tls else "ws")
        assert scope["path"] == "/scope"
        assert scope["raw_path"] == "/scope"
        assert scope["query_string"] == "a=1&b=%20"
        assert scope["root_path"] == ""
        assert scope["server"] == ["127.0.0.1", server.port]
        assert scope["client"][0] == "127.0.0.1"
        assert scope["subprotocols"] == ["chat", "superchat"]
        assert scope["state"] == {}
        assert "websocket.http.response" in scope["extensions"]
        headers = dict(map(tuple, scope["headers"]))
        assert headers["upgrade"] == "websocket"
        assert headers["x-name"] == "Zoë"

    async def test_trusted_proxies_tell_the_client_and_the_scheme(self, server):
        headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
        async with opened(server, "/scope", additional_headers=headers) as ws:
            scope = json.loads(await ws.recv())
        assert scope["client"][0] == "192.0.2.7"
        assert scope["scheme"] == "wss"
        server.wait_for(r'192\.0\.2\.7:\d+ - "WebSocket /scope" \[accepted\]')

    async def test_any_origin_is_the_applications_business(self, server):
        async with opened(server, "/echo", origin="https://elsewhere.example") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"


class TestOpening:
    async def test_subprotocol_and_headers_of_the_application(self, server):
        async with opened(server, "/choose", subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
            assert ws.response.headers["x-extra"] == "yes"
            assert ws.response.headers["server"] == "uvicorn"
            assert "date" in ws.response.headers
            with pytest.raises(ConnectionClosed):
                await ws.recv()
        assert ws.close_code == 3001
        assert ws.close_reason == "enough"

    def test_frames_in_the_segment_of_the_handshake_are_not_lost(self, server):
        with server.socket() as sock:
            sock.sendall(handshake("/echo") + text_frame("early") + text_frame("bird"))
            _, rest = receive_until(sock, b"\r\n\r\n")
            assert receive_exactly(sock, 13, rest) == b"\x81\x05early\x81\x04bird"

    def test_frames_before_the_application_accepts_are_not_lost(self, server):
        with server.socket() as sock:
            sock.sendall(handshake("/late") + text_frame("first"))
            sock.sendall(text_frame("second"))
            server.get("/release")
            _, rest = receive_until(sock, b"\r\n\r\n")
            assert receive_exactly(sock, 15, rest) == b"\x81\x05first\x81\x06second"

    def test_handshake_byte_by_byte(self, server):
        with server.socket() as sock:
            for byte in handshake("/echo") + text_frame("slow"):
                sock.sendall(bytes([byte]))
            head, rest = receive_until(sock, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
            assert receive_exactly(sock, 6, rest) == b"\x81\x04slow"

    def test_on_a_connection_that_was_kept_alive(self, server):
        with server.socket() as sock:
            for body in (b"", b"again"):
                head = b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
                sock.sendall(head + body)
                head, rest = receive_until(sock, b"\r\n\r\n")
                assert receive_exactly(sock, 6 + len(body), rest) == b"hello " + body
            sock.sendall(handshake("/echo") + text_frame("then"))
            _, rest = receive_until(sock, b"\r\n\r\n")
            assert receive_exactly(sock, 6, rest) == b"\x81\x04then"

    def test_behind_a_request_that_has_no_response_yet(self, server):
        with server.socket() as sock:
            get = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
            sock.sendall(get + handshake("/echo") + text_frame("queued"))
            data, _ = receive_until(sock, b"\x81\x06queued")
            first, _, second = data.partition(b"hello ")
            assert first.startswith(b"HTTP/1.1 200 ")
            assert second.startswith(b"HTTP/1.1 101 ")

    def test_requests_that_are_no_websockets_are_uvicorns(self, server):
        status, head, body = server.get("/hello")
        assert status == 200
        assert b"server: uvicorn" in head
        assert body == b"hello "
        server.wait_for(r'"GET /hello HTTP/1.1" 200')

    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (handshake("/echo").replace(b"Sec-WebSocket-Key: dGhl", b"X-Key: dGhl"), 400),
            (handshake("/echo").replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ="), 400),
            (handshake("/echo").replace(b"Version: 13", b"Version: 99"), 426),
            (handshake("/echo").replace(b"GET", b"PUT"), 405),
            (handshake("/echo").replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
            (handshake("/echo", "Host: again"), 400),
            (handshake("/echo").replace(b"Host: localhost\r\n", b""), 400),
            (handshake("/echo", "X-Line: " + "x" * 9000), 431),
            (handshake("/echo", *[f"X-{i}: 1" for i in range(200)]), 431),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 600_000, 431),
            (b"nonsense\r\n\r\n", 400),
        ],
        ids=[
            "no key",
            "short key",
            "unknown version",
            "method",
            "http 1.0",
            "two hosts",
            "no host",
            "long line",
            "many headers",
            "endless head",
            "not http",
        ],
    )
    def test_bad_requests_get_the_right_status(self, server, request_bytes, status):
        with server.socket() as sock:
            try:
                sock.sendall(request_bytes)
            except OSError:
                pass  # it was refused before it was sent whole
            assert split_response(receive_all(sock))[0] == status


class TestRefusals:
    async def test_close_before_accept_is_403(self, server):
        with pytest.raises(InvalidStatus) as caught:
            await opened(server, "/refuse")
        assert caught.value.response.status_code == 403
        server.wait_for(r'"WebSocket /refuse" 403')
        assert last_event(server) == {"type": "websocket.disconnect", "code": 1006, "reason": ""}

    async def test_response_of_the_application(self, server):
        with pytest.raises(InvalidStatus) as caught:
            await opened(server, "/respond")
        response = caught.value.response
        assert response.status_code == 401
        assert response.body == b"who are you?"
        assert response.headers["www-authenticate"] == "Basic"
        assert response.headers.get_all("content-type") == ["text/plain"]
        server.wait_for(r'"WebSocket /respond" 401')

    @pytest.mark.parametrize("path", ["/fail", "/leave", "/bad-header"])
    async def test_an_application_that_does_not_answer_is_500(self, server, path):
        with pytest.raises(InvalidStatus) as caught:
            await opened(server, path)
        assert caught.value.response.status_code == 500
        assert b"before accept" not in caught.value.response.body


class TestClosing:
    @pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (4242, "raison ✓")])
    async def test_codes_of_the_client_reach_the_application(self, server, code, reason):
        async with opened(server, "/echo") as ws:
            await ws.close(code, reason)
            assert ws.close_code == code
        expected = {"type": "websocket.disconnect", "code": code, "reason": reason}
        server.wait_for(rf'event .*"code": {code}')
        assert last_event(server) == expected

    def test_a_client_that_vanishes_is_1006(self, server):
        before = server.log.count('"code": 1006')
        with server.socket() as sock:
            sock.sendall(handshake("/echo"))
            receive_until(sock, b"\r\n\r\n")
        server.wait_for(r'event .*"code": 1006', before + 1)

    async def test_an_application_that_raises_closes_with_1011(self, server):
        async with opened(server, "/fail-later") as ws:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1011
        server.wait_for("ValueError: after accept")

    async def test_an_application_that_returns_closes_with_1000(self, server):
        async with opened(server, "/leave-later") as ws:
            assert await ws.recv() == "bye"
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1000

    async def test_misuse_raises_in_the_application(self, server):
        async with opened(server, "/misuse") as ws:
            early, twice = json.loads(await ws.recv())
        assert "'websocket.send'" in early
        assert "'websocket.accept'" in twice
        server.wait_for("Unexpected ASGI message 'websocket.send'")

    def test_violations_of_the_protocol_fail_the_connection(self, server):
        with server.socket() as sock:
            sock.sendall(handshake("/echo"))
            _, rest = receive_until(sock, b"\r\n\r\n")
            sock.sendall(b"\x81\x03abc")  # not masked
            assert receive_exactly(sock, 4, rest)[:4][0] == 0x88
        server.wait_for(r'event .*"code": 1002')


class TestBackPressure:
    def test_a_client_that_does_not_read_stops_the_application(self, server):
        with server.socket() as sock:
            sock.sendall(handshake("/flood"))
            receive_until(sock, b"\r\n\r\n")
            counts = [-1]
            while len(counts) < 4 or counts[-1] != counts[-3]:
                counts.append(json.loads(server.get("/state")[2])["sent"])
            # What the sockets hold, and write_limit.
            assert 0 < counts[-1] < 400
            for _ in range(200):
                receive_exactly(sock, 65536)
        server.wait_for(r"event .*ClientDisconnected")

    def test_an_application_that_does_not_receive_stops_the_client(self, server):
        with server.socket(timeout=1) as sock:
            sock.sendall(handshake("/ignore"))
            receive_until(sock, b"\r\n\r\n")
            frame = b"\x82\xfe\xff\xff\0\0\0\0" + bytes(65535)
            with pytest.raises(TimeoutError):
                sock.sendall(2000 * frame)
