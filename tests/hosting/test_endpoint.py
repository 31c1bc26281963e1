"""Endpoints wherever they can be: the same behaviour, whatever carries their frames."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duplexio.errors import UsageError
from duplexio.hosting import Endpoint, Routes
from tests.hosting.programs import (
    handshake,
    receive_exactly,
    receive_until,
    running,
    text_frame,
    uvicorn,
)

OUTERMOST = "tests.hosting.native:routes"
BEHIND = "tests.hosting.native:inner"

# How the frames of an endpoint can travel, and what the log says when the server is ready.
WAYS = {
    "outermost": (uvicorn(OUTERMOST), "startup complete"),
    "outermost-asyncio": (uvicorn(OUTERMOST, "--loop", "asyncio"), "startup complete"),
    "behind middleware": (uvicorn(BEHIND), "startup complete"),
    "uvicorn": (["uvicorn", BEHIND, "--port", "0"], "startup complete"),
    "hypercorn": (["hypercorn", BEHIND, "-b", "127.0.0.1:0"], "Running on"),
    "granian": (
        ["granian", "--interface", "asgi", "--port", "{port}", BEHIND],
        "Started worker-1",
    ),
}


@pytest.fixture(scope="module", params=WAYS)
def way(request):
    return request.param


@pytest.fixture(scope="module")
def server(way):
    arguments, ready = WAYS[way]
    with running(arguments, ready=ready) as running_server:
        yield running_server


@pytest.fixture(scope="module", params=[OUTERMOST, BEHIND], ids=["outermost", "behind"])
def door(request):
    with running(uvicorn(request.param)) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def behind():
    with running(uvicorn(BEHIND)) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def alone():
    with running(uvicorn("tests.hosting.native:alone")) as running_server:
        yield running_server


def opened(server, path, **options):
    return connect(server.uri(path), **options)


async def status_of(server, path, **options):
    with pytest.raises(InvalidStatus) as caught:
        await opened(server, path, **options)
    return caught.value.response


class TestEverywhere:
    @pytest.mark.parametrize("path", ["/echo", "/listener"])
    async def test_messages_are_echoed(self, server, path):
        async with opened(server, path) as ws:
            for message in ("hello", "héllo ✓", b"\0\xff", "", b"", "x" * 100_000):
                await ws.send(message)
                assert await ws.recv() == message

    async def test_pipelined_messages_keep_their_order(self, server):
        async with opened(server, "/echo") as ws:
            for i in range(500):
                await ws.send(str(i))
            assert [await ws.recv() for _ in range(500)] == [str(i) for i in range(500)]

    async def test_a_large_message(self, server):
        message = bytes(range(256)) * 3000
        async with opened(server, "/echo", compression=None) as ws:
            await ws.send(message)
            assert await ws.recv() == message

    async def test_what_the_handler_knows(self, server, way):
        async with opened(server, "/tell?x=1", subprotocols=["a", "b"]) as ws:
            told = json.loads(await ws.recv())
            with pytest.raises(ConnectionClosed):
                await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4000, "told")
        assert ws.subprotocol == "b"
        assert told["path"] == "/tell?x=1"
        assert told["host"] == f"localhost:{server.port}"
        assert told["client"][0] == "127.0.0.1"
        assert told["subprotocol"] == "b"
        assert told["scope"] is not way.startswith("outermost")

    async def test_pages_of_other_origins_are_refused(self, server):
        response = await status_of(server, "/echo", origin="https://elsewhere.example")
        assert response.status_code == 403
        server.wait_for("https://elsewhere.example")

    async def test_pages_of_the_same_host_are_not(self, server):
        async with opened(server, "/echo", origin=f"http://localhost:{server.port}") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"

    async def test_origins_can_be_allowed(self, server):
        async with opened(server, "/open", origin="https://elsewhere.example") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"

    async def test_process_request_may_answer(self, server):
        response = await status_of(server, "/guarded")
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["X-Brand"] == "ours"
        assert response.body == b"no token"

    async def test_process_response_may_add(self, server, way):
        async with opened(server, "/guarded?token=good") as ws:
            if way != "granian":  # which sends no headers of websocket.accept
                assert ws.response.headers["X-Brand"] == "ours"
            await ws.send("hello")
            assert await ws.recv() == "hello"

    async def test_no_common_subprotocol(self, server):
        assert (await status_of(server, "/tell")).status_code == 400

    async def test_messages_above_the_limit_close_with_1009(self, server):
        async with opened(server, "/small") as ws:
            await ws.send("x" * 1001)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1009

    async def test_a_handler_that_raises_closes_with_1011(self, server):
        async with opened(server, "/fail") as ws:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1011
        server.wait_for("ValueError: in the handler")

    async def test_a_listener_learns_of_the_end(self, server, way):
        before = server.log.count("closed EndpointListenerConnection")
        async with opened(server, "/listener") as ws:
            await ws.close(4100, "done")
        told = server.wait_for("closed EndpointListenerConnection (.*)", before + 1)[1]
        # Hypercorn tells nobody the code, and Granian not the reason.
        assert told == {"hypercorn": "1006 ", "granian": "4100 "}.get(way, "4100 done")

    def test_a_client_that_does_not_read_stops_the_handler(self, server):
        with server.socket() as sock:
            sock.sendall(handshake("/flood"))
            receive_until(sock, b"\r\n\r\n")
            counts = [-1]
            while len(counts) < 4 or counts[-1] != counts[-3]:
                counts.append(int(server.get("/sent")[2]))
            for _ in range(20):
                receive_exactly(sock, 65536)
        assert counts[-1] < 500


class TestUnderTheFrontDoor:
    """What only the front door gives."""

    async def test_compression_is_negotiated_for_the_endpoint(self, door):
        async with opened(door, "/echo") as ws:
            assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
            await ws.send("x" * 1000)
            assert await ws.recv() == "x" * 1000

    async def test_pings_reach_the_client_and_the_handler(self, door):
        async with opened(door, "/echo") as ws:
            assert await (await ws.ping()) > 0

    def test_frames_in_the_segment_of_the_handshake_are_not_lost(self, door):
        with door.socket() as sock:
            sock.sendall(handshake("/echo") + text_frame("early") + text_frame("bird"))
            _, rest = receive_until(sock, b"\r\n\r\n")
            assert receive_exactly(sock, 13, rest) == b"\x81\x05early\x81\x04bird"

    async def test_openings_are_logged(self, door):
        async with opened(door, "/echo?a=1"):
            door.wait_for(r'127\.0\.0\.1:\d+ - "WebSocket /echo\?a=1" \[accepted\]')

    async def test_trusted_proxies_tell_the_client(self, door):
        headers = {"X-Forwarded-For": "192.0.2.7"}
        async with opened(door, "/tell", subprotocols=["a"], additional_headers=headers) as ws:
            assert json.loads(await ws.recv())["client"] == ["192.0.2.7", 0]
        door.wait_for(r'192\.0\.2\.7:0 - "WebSocket /tell" \[accepted\]')

    async def test_default_headers_are_sent(self, door):
        async with opened(door, "/echo") as ws:
            assert ws.response.headers["server"] == "uvicorn"
            assert "date" in ws.response.headers

    def test_other_requests_are_the_applications(self, door):
        assert door.get("/hello")[2] == b"hello"

    @pytest.mark.parametrize("path", ["/echo", "/listener"])
    @pytest.mark.parametrize("app", [OUTERMOST, BEHIND], ids=["outermost", "behind"])
    async def test_shutdown_is_1012(self, app, path):
        with running(uvicorn(app)) as stopping:
            async with opened(stopping, path) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"
                stopping.terminate()
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1012
            stopping.wait()
            assert "Finished server process" in stopping.log


class TestBehindMiddleware:
    async def test_middleware_sees_the_opening_and_no_frames(self, behind):
        async with opened(behind, "/echo") as ws:
            assert ws.response.headers["x-watched"] == "yes"
            await ws.send("hello")
            await ws.recv()
        behind.wait_for("the application has returned")
        assert "sent websocket.accept" in behind.log
        assert "sent websocket.send" not in behind.log

    async def test_the_scope_carries_what_middleware_and_router_found(self, behind):
        async with opened(behind, "/rooms/blue", subprotocols=["a"]) as ws:
            told = json.loads(await ws.recv())
        assert told["user"] == "ann"
        assert told["room"] == "blue"

    async def test_middleware_may_refuse(self, behind):
        assert (await status_of(behind, "/echo?refuse")).status_code == 403

    async def test_a_mounted_endpoint(self, behind):
        async with opened(behind, "/mounted/") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"

    async def test_without_the_handover_it_works_over_messages(self, behind):
        async with opened(behind, "/echo?strip") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        behind.wait_for("sent websocket.send")


class TestAlone:
    async def test_it_serves_every_path(self, alone):
        async with opened(alone, "/whatever") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"

    def test_a_page_is_answered_with_426(self, alone):
        status, head, _ = alone.get("/")
        assert status == 426
        assert b"upgrade: websocket" in head


class TestUsage:
    def test_handler_must_be_callable(self):
        with pytest.raises(UsageError, match="expected a coroutine function"):
            Endpoint("handler")  # type: ignore[arg-type]

    def test_subprotocols_must_be_a_list(self):
        with pytest.raises(UsageError, match="expected a list"):
            Endpoint(print, subprotocols="chat")  # type: ignore[arg-type]

    def test_paths_begin_with_a_slash(self):
        with pytest.raises(UsageError, match="must begin with '/'"):
            Routes({"chat": Endpoint(print)})  # type: ignore[arg-type]
