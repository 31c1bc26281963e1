"""Beginning, end and limits of the front door, in uvicorn as it is started."""

import os
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.hosting.programs import (
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


class TestShutdown:
    @pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
    async def test_open_connections_are_closed_with_1012(self, loop):
        with running(uvicorn(APP, "--loop", loop)) as server:
            async with connect(server.uri("/echo")) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"
                server.terminate()
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1012
            server.wait()
            assert '"code": 1012' in server.log
            assert "the lifespan has ended" in server.log
            assert "Finished server process" in server.log

    def test_a_client_that_does_not_answer_is_not_waited_for_long(self):
        with running(uvicorn(APP)) as server, server.socket() as sock:
            sock.sendall(handshake("/echo"))
            receive_until(sock, b"\r\n\r\n")
            server.terminate()
            assert receive_exactly(sock, 4)[:4] == b"\x88\x02\x03\xf4"  # 1012
            server.wait(timeout=6)

    def test_a_handshake_without_answer_yet_is_503(self):
        with running(uvicorn(APP, "--timeout-graceful-shutdown", "1")) as server:
            with server.socket() as sock:
                sock.sendall(handshake("/late"))
                server.get("/state")
                server.terminate()
                assert split_response(receive_all(sock))[0] == 503
            server.wait()


class TestSeveralProcesses:
    async def test_workers_share_the_port(self):
        with running(uvicorn(APP, "--workers", "2"), ready="startup complete") as server:
            server.wait_for("startup complete", 2)
            sockets = [await connect(server.uri("/echo")) for _ in range(8)]
            for ws in sockets:
                await ws.send("hello")
                assert await ws.recv() == "hello"
            server.terminate()
            for ws in sockets:
                await ws.wait_closed()
                assert ws.close_code == 1012
            server.wait()

    async def test_settings_reach_workers(self):
        environ = {"DUPLEXIO_LEGACY": "1"}
        with running(uvicorn(APP, "--workers", "2"), environ=environ) as server:
            for _ in range(4):
                with server.socket() as sock:
                    sock.sendall(HIXIE_76 + CHALLENGE)
                    assert receive_until(sock, DIGEST)

    async def test_reload_takes_the_new_code(self, tmp_path):
        module = tmp_path / "reloaded.py"
        source = (
            "async def app(scope, receive, send):\n"
            "    if scope['type'] != 'websocket':\n"
            "        return\n"
            "    await receive()\n"
            "    await send({'type': 'websocket.accept'})\n"
            "    await send({'type': 'websocket.send', 'text': '%s'})\n"
        )
        module.write_text(source % "old")
        flags = ["--reload", "--reload-delay", "0.05", "--lifespan", "off"]
        with running(
            uvicorn("reloaded:app", "--app-dir", str(tmp_path), *flags),
            ready="Started server process",
            cwd=tmp_path,
        ) as server:
            async with connect(server.uri("/")) as ws:
                assert await ws.recv() == "old"
            module.write_text(source % "new")
            # A file system may note the time in seconds only.
            os.utime(module, (time.time() + 2, time.time() + 2))
            server.wait_for("Started server process", 2)
            async with connect(server.uri("/")) as ws:
                assert await ws.recv() == "new"


class TestLimits:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def slow_server(cls):
        environ = {"DUPLEXIO_HEAD_TIMEOUT": "0.3", "DUPLEXIO_MAX_HEAD_SIZE": "2000"}
        with running(uvicorn(APP), environ=environ) as server:
            cls.server = server
            yield

    def test_a_head_that_takes_too_long_is_408(self):
        with self.server.socket() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
            assert split_response(receive_all(sock))[0] == 408

    def test_a_connection_that_says_nothing_is_closed(self):
        with self.server.socket() as sock:
            assert receive_all(sock) == b""

    def test_a_head_in_pieces_that_is_too_large_is_431(self):
        with self.server.socket() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
            try:
                for _ in range(100):
                    sock.sendall(b"x" * 100)
            except OSError:
                pass
            data = receive_all(sock)
            assert not data or split_response(data)[0] == 431

    def test_a_websocket_head_that_is_too_large_is_431(self):
        with self.server.socket() as sock:
            sock.sendall(handshake("/echo", "X: " + 3000 * "x"))
            assert split_response(receive_all(sock))[0] == 431

    def test_a_body_may_take_longer_than_a_head(self):
        with self.server.socket() as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
            time.sleep(0.5)
            sock.sendall(b"abcde")
            receive_until(sock, b"hello abcde")

    def test_an_idle_websocket_is_not_closed(self):
        with self.server.socket() as sock:
            sock.sendall(handshake("/echo"))
            _, rest = receive_until(sock, b"\r\n\r\n")
            time.sleep(0.5)
            sock.sendall(text_frame("still here"))
            assert receive_exactly(sock, 12, rest) == b"\x81\x0astill here"


class TestFlags:
    async def test_ws_max_size(self):
        with running(uvicorn(APP, "--ws-max-size", "1000")) as server:
            async with connect(server.uri("/echo")) as ws:
                await ws.send("x" * 1000)
                assert await ws.recv() == "x" * 1000
                await ws.send("x" * 1001)
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1009
            server.wait_for(r'event .*"code": 1009')

    def test_ws_ping_interval_and_timeout(self):
        flags = ["--ws-ping-interval", "0.1", "--ws-ping-timeout", "0.2"]
        with running(uvicorn(APP, *flags)) as server:
            with server.socket() as sock:
                sock.sendall(handshake("/echo"))
                _, rest = receive_until(sock, b"\r\n\r\n")
                ping = receive_exactly(sock, 2, rest)
                assert ping[0] == 0x89
                # No pong: the connection is given up.
                frames = ping + receive_all(sock)
                assert b"\x88" in frames
                assert b"\x03\xf3keepalive ping timeout" in frames
            server.wait_for(r'event .*"code": 1011')

    async def test_no_compression(self):
        with running(uvicorn(APP, "--ws-per-message-deflate", "false")) as server:
            async with connect(server.uri("/echo")) as ws:
                assert "Sec-WebSocket-Extensions" not in ws.response.headers

    async def test_limit_concurrency(self):
        with running(uvicorn(APP, "--limit-concurrency", "2")) as server:
            async with connect(server.uri("/echo")):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(server.uri("/echo"))
            assert caught.value.response.status_code == 503

    def test_limit_max_requests(self):
        environ = {"DUPLEXIO_CLOSE_TIMEOUT": "0.1"}  # this client does not answer close frames
        with running(uvicorn(APP, "--limit-max-requests", "2"), environ=environ) as server:
            for _ in range(2):
                with server.socket() as sock:
                    sock.sendall(handshake("/leave-later"))
                    receive_all(sock)
            server.wait()
            assert "Maximum request limit" in server.log

    async def test_no_websockets(self):
        with running(uvicorn(APP, "--ws", "none")) as server:
            with pytest.raises(InvalidStatus) as caught:
                await connect(server.uri("/echo"))
            assert caught.value.response.status_code == 200  # what the application says to a GET

    async def test_root_path_and_headers(self):
        flags = ["--root-path", "/api", "--header", "X-One: 1", "--no-server-header"]
        with running(uvicorn(APP, *flags)) as server:
            with pytest.raises(InvalidStatus) as caught:
                await connect(server.uri("/scope"))  # the test's application knows no /api
            assert caught.value.response.status_code == 500
            assert "server" not in caught.value.response.headers


HIXIE_76 = (
    b"GET /echo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nSec-WebSocket-Protocol: sample\r\n"
    b"Upgrade: WebSocket\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n"
    b"Origin: http://example.com\r\n\r\n"
)
CHALLENGE = b"^n:ds[4U"
DIGEST = b"8jKS'y:G*Co,Wxa-"


class TestLegacy:
    @pytest.fixture(scope="class", autouse=True, params=[APP, "tests.hosting.native:routes"])
    @classmethod
    def legacy_server(cls, request):
        with running(uvicorn(request.param), environ={"DUPLEXIO_LEGACY": "1"}) as server:
            cls.server = server
            yield

    def test_hixie_76(self):
        with self.server.socket() as sock:
            sock.sendall(HIXIE_76 + CHALLENGE + b"\x00early\xff")
            head, rest = receive_until(sock, DIGEST)
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"Sec-WebSocket-Location: ws://example.com/echo\r\n" in head
            assert receive_exactly(sock, 7, rest) == b"\x00early\xff"
            sock.sendall(b"\x00hello\xff")
            assert receive_exactly(sock, 7) == b"\x00hello\xff"
            sock.sendall(b"\xff\x00")
            assert receive_all(sock) == b"\xff\x00"

    def test_the_challenge_may_come_later(self):
        with self.server.socket() as sock:
            sock.sendall(HIXIE_76 + CHALLENGE[:3])
            sock.sendall(CHALLENGE[3:6])
            sock.sendall(CHALLENGE[6:] + b"\x00hello\xff")
            _, rest = receive_until(sock, DIGEST)
            assert receive_exactly(sock, 7, rest) == b"\x00hello\xff"

    def test_hixie_75(self):
        with self.server.socket() as sock:
            sock.sendall(
                b"GET /echo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
                b"Host: example.com\r\nOrigin: http://example.com\r\n\r\n\x00hello\xff"
            )
            head, rest = receive_until(sock, b"\r\n\r\n")
            assert b"WebSocket-Location: ws://example.com/echo" in head
            assert receive_exactly(sock, 7, rest) == b"\x00hello\xff"

    def test_bad_keys_are_refused(self):
        with self.server.socket() as sock:
            sock.sendall(HIXIE_76.replace(b"4 @1  46546xW%0l 1 5", b"46546") + CHALLENGE)
            assert split_response(receive_all(sock))[0] == 400

    async def test_others_are_served_too(self):
        async with connect(self.server.uri("/echo")) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"


class TestLegacyOff:
    def test_it_is_off_by_default(self):
        with running(uvicorn(APP)) as server, server.socket() as sock:
            sock.sendall(HIXIE_76 + CHALLENGE)
            status, _, body = split_response(receive_all(sock))
            assert status in (400, 426)
            assert b"legacy" in body
