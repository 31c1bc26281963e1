"""The asyncio server, against the websockets library's client and peers written by hand."""

import asyncio
import contextlib
import gc
import logging
import socket
import weakref

import pytest
from websockets.asyncio.client import connect as websockets_connect
from websockets.asyncio.client import unix_connect as websockets_unix_connect
from websockets.exceptions import InvalidStatus

from duplexio.errors import UsageError
from duplexio.websocket import (
    ConnectionClosed,
    Listener,
    NegotiationError,
    ServerConnection,
    basic_auth,
    connect,
    serve,
    unix_serve,
)
from duplexio.websocket.frames import Close, Opcode, State
from duplexio.websocket.server import SERVER_HEADER
from tests.websocket.raw import (
    QUIET,
    Raw,
    close_payload,
    masked,
    port_of,
    serving,
    upgrade,
    uri_of,
)

LOOPS = ("asyncio", "uvloop")


def join(server, path="/", **options):
    """A client of the websockets library."""
    return websockets_connect(uri_of(server, path), logger=QUIET, proxy=None, **options)


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def hold(ws):
    await ws.wait_closed()


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 5)


async def status_of(server, request):
    """Send a request and return the answer, until the server closes."""
    raw = await Raw.connect(port_of(server))
    raw.send(request)
    answer = await raw.read_all()
    await raw.close()
    return answer


class TestWithTheWebsocketsLibrary:
    @pytest.mark.parametrize("handler", [echo, Echo])
    @pytest.mark.parametrize("compression", ["deflate", None])
    async def test_messages(self, handler, compression):
        async with serving(handler, compression=compression) as server, join(server) as ws:
            for message in ("text", b"binary", "", b"", "x" * 70_000, b"y" * 200_000):
                await ws.send(message)
                assert await soon(ws.recv()) == message
            await ws.send(["in ", "pieces"])
            assert await soon(ws.recv()) == "in pieces"
            await soon(await ws.ping())
            header = ws.response.headers.get("Sec-WebSocket-Extensions")
            assert (header is not None) == (compression is not None)
        assert ws.close_code == 1000

    @pytest.mark.parametrize("handler", [echo, Echo])
    async def test_many_messages_at_once(self, handler):
        async with serving(handler) as server, join(server, max_queue=None) as ws:
            for i in range(1000):
                await ws.send(f"{i}")
            assert [await soon(ws.recv()) for _ in range(1000)] == [f"{i}" for i in range(1000)]

    async def test_unix_socket(self, tmp_path):
        path = str(tmp_path / "socket")
        async with unix_serve(echo, path), websockets_unix_connect(path, logger=QUIET) as ws:
            await ws.send("x")
            assert await soon(ws.recv()) == "x"


class TestHandler:
    async def test_its_end_closes_with_1000(self):
        async def handler(ws):
            await ws.send("bye")

        async with serving(handler) as server, join(server) as ws:
            assert [message async for message in ws] == ["bye"]
            assert ws.close_code == 1000

    async def test_an_exception_closes_with_1011_and_is_logged(self, caplog):
        async def handler(ws):
            raise ZeroDivisionError("oh")

        async with serving(handler) as server, join(server) as ws:
            await soon(ws.wait_closed())
            assert ws.close_code == 1011
        (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert record.name == "duplexio.websocket"
        assert record.getMessage() == "connection handler failed"
        assert record.exc_info[0] is ZeroDivisionError

    @pytest.mark.parametrize("grouped", [False, True])
    async def test_the_end_of_its_own_connection_is_no_error(self, caplog, grouped):
        caplog.set_level(logging.INFO, "duplexio.websocket")
        ended = asyncio.Event()

        async def handler(ws):
            try:
                if grouped:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(ws.recv())
                else:
                    while True:
                        await ws.recv()
            finally:
                ended.set()

        async with serving(handler) as server:
            raw = await Raw.open(port_of(server))
            raw.abort()
            await soon(ended.wait())
        assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
        (record,) = [r for r in caplog.records if "under its handler" in r.getMessage()]
        assert record.exc_info is None

    async def test_the_end_of_another_connection_is_an_error(self, caplog):
        async def leave(ws):
            await ws.close()

        async def handler(ws):
            async with connect(uri_of(backend)) as other:
                await other.recv()

        async with serving(leave) as backend, serving(handler) as server, join(server) as ws:
            await soon(ws.wait_closed())
            assert ws.close_code == 1011
        assert "connection handler failed" in caplog.text

    async def test_a_handler_that_is_cancelled_leaves_no_connection(self):
        running = asyncio.get_running_loop().create_future()

        async def handler(ws):
            running.set_result(asyncio.current_task())
            await ws.recv()

        async with serving(handler) as server:
            raw = await Raw.open(port_of(server))
            (await running).cancel()
            with contextlib.suppress(OSError):
                assert await raw.read_all() == b""
            await raw.close()

    async def test_handlers_of_one_read_run_beside_each_other(self):
        inside = 0
        most = 0
        go_on = asyncio.Event()

        async def handler(ws):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            if inside == 3:
                go_on.set()
            await go_on.wait()

        async with (
            serving(handler) as server,
            join(server) as one,
            join(server) as two,
            join(server) as three,
        ):
            for ws in (one, two, three):
                await soon(ws.wait_closed())
        assert most == 3

    async def test_what_it_knows_of_the_connection(self):
        seen = []

        async def handler(ws):
            seen.append(
                (
                    ws.request.path,
                    ws.request.headers["X-Mine"],
                    ws.response.status_code,
                    ws.state,
                    ws.remote_address[0],
                    ws.local_address,
                    ws.server,
                    ws.id == ws.id,
                    ws.logger.name,
                    ws.subprotocol,
                    ws.close_code,
                )
            )

        async with serving(handler) as server:
            address = server.sockets[0].getsockname()
            async with join(server, "/x?y", additional_headers={"X-Mine": "m"}) as ws:
                await soon(ws.wait_closed())
            assert seen == [
                ("/x?y", "m", 101, State.OPEN, "127.0.0.1", address, server, True,
                 "duplexio.websocket", None, None)
            ]  # fmt: skip

    async def test_attributes_may_be_set(self):
        async def handler(ws):
            ws.user = "Ada"
            await ws.send(ws.user)

        async with serving(handler) as server, join(server) as ws:
            assert await soon(ws.recv()) == "Ada"

    async def test_messages_that_come_with_the_handshake(self):
        async with serving(echo) as server:
            raw = await Raw.open(port_of(server), behind=masked(Opcode.TEXT, b"early"))
            assert (await raw.read_frame()).data == b"early"
            await raw.close()


class TestOrigins:
    async def test_the_same_host_may(self):
        async with serving(hold) as server:
            port = port_of(server)
            for origin in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", None):
                async with join(server, origin=origin) as ws:
                    assert ws.response.status_code == 101

    @pytest.mark.parametrize("origin", ["https://evil.example", "null"])
    async def test_others_are_refused_and_the_log_says_what_would_allow_them(self, caplog, origin):
        async with serving(hold) as server:
            with pytest.raises(InvalidStatus) as caught:
                await join(server, origin=origin)
        assert caught.value.response.status_code == 403
        (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert origin in record.getMessage()
        assert f"origins=['{origin}'] would allow this one" in record.getMessage()

    async def test_the_setting_allows_them(self):
        async with serving(hold, origins=["null", "https://a.example"]) as server:
            for origin in ("null", "https://a.example"):
                async with join(server, origin=origin) as ws:
                    assert ws.response.status_code == 101
            with pytest.raises(InvalidStatus):
                await join(server, origin="https://b.example")
        async with (
            serving(hold, origins=None) as server,
            join(server, origin="https://b.example") as ws,
        ):
            assert ws.response.status_code == 101


class TestNegotiation:
    async def test_the_first_supported_subprotocol(self):
        async with serving(hold, subprotocols=["b", "a"]) as server:
            async with join(server, subprotocols=["a", "b"]) as ws:
                assert ws.subprotocol == "b"
            with pytest.raises(InvalidStatus) as caught:
                await join(server, subprotocols=["c"])
        assert caught.value.response.status_code == 400

    async def test_select_subprotocol(self):
        seen = []

        def select(ws, offered):
            seen.append((type(ws), ws.request.path, offered))
            if "bad" in offered:
                raise NegotiationError("no such thing")
            return "b" if "b" in offered else None

        async with serving(hold, select_subprotocol=select) as server:
            async with join(server, subprotocols=["a", "b"]) as ws:
                assert ws.subprotocol == "b"
            async with join(server, subprotocols=["a"]) as ws:
                assert ws.subprotocol is None
            with pytest.raises(InvalidStatus) as caught:
                await join(server, subprotocols=["bad"])
        assert b"no such thing" in caught.value.response.body
        assert seen[0] == (ServerConnection, "/", ["a", "b"])

    async def test_the_server_header(self):
        async with serving(hold) as server, join(server) as ws:
            assert ws.response.headers["Server"] == SERVER_HEADER
        async with serving(hold, server_header=None) as server, join(server) as ws:
            assert "Server" not in ws.response.headers


class TestProcessRequest:
    @pytest.fixture(params=["function", "coroutine function"])
    def made(self, request):
        """Make what may be given to the server of a plain function."""

        def make(function):
            async def later(*arguments):
                await asyncio.sleep(0)
                return function(*arguments)

            return function if request.param == "function" else later

        return make

    async def test_going_on(self, made):
        seen = []

        def process_request(ws, request):
            seen.append((ws.state, request.path, ws.request is request))

        async with (
            serving(echo, process_request=made(process_request)) as server,
            join(server, "/x") as ws,
        ):
            await ws.send("x")
            assert await soon(ws.recv()) == "x"
        assert seen == [(State.CONNECTING, "/x", True)]

    async def test_an_answer_of_ones_own(self, made):
        def process_request(ws, request):
            response = ws.respond(418, "Tea.\n")
            response.headers["X-Mine"] = "yes"
            return response

        async with serving(echo, process_request=made(process_request)) as server:
            with pytest.raises(InvalidStatus) as caught:
                await join(server)
        response = caught.value.response
        assert (response.status_code, response.body) == (418, b"Tea.\n")
        assert response.headers["X-Mine"] == "yes"

    async def test_plain_requests_can_be_answered(self, made):
        def process_request(ws, request):
            return ws.respond(200, "OK\n") if request.path == "/healthz" else None

        async with serving(echo, process_request=made(process_request)) as server:
            answer = await status_of(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nOK\n")

    async def test_an_exception_is_logged_and_answered_with_500(self, made, caplog):
        def process_request(ws, request):
            raise ZeroDivisionError("secret")

        async with serving(echo, process_request=made(process_request)) as server:
            with pytest.raises(InvalidStatus) as caught:
                await join(server)
        assert caught.value.response.status_code == 500
        assert b"secret" not in caught.value.response.body
        assert "opening handshake failed" in caplog.text
        assert "ZeroDivisionError" in caplog.text

    async def test_process_response(self, made):
        def process_response(ws, request, response):
            response.headers["X-Mine"] = "yes"

        async with (
            serving(echo, process_response=made(process_response)) as server,
            join(server) as ws,
        ):
            assert ws.response.headers["X-Mine"] == "yes"
            await ws.send("x")
            assert await soon(ws.recv()) == "x"

    async def test_process_response_may_refuse(self, made):
        def process_response(ws, request, response):
            return ws.respond(503, "Full.\n")

        async with serving(echo, process_response=made(process_response)) as server:
            with pytest.raises(InvalidStatus) as caught:
                await join(server)
        assert caught.value.response.status_code == 503

    async def test_process_response_sees_refusals(self, made):
        seen = []

        def process_request(ws, request):
            return ws.respond(404, "Nothing.\n")

        def process_response(ws, request, response):
            seen.append(response.status_code)

        options = {"process_request": process_request, "process_response": made(process_response)}
        async with serving(echo, **options) as server:
            with pytest.raises(InvalidStatus):
                await join(server)
        assert seen == [404]

    async def test_process_response_that_raises(self, made, caplog):
        def process_response(ws, request, response):
            raise ZeroDivisionError

        async with serving(echo, process_response=made(process_response)) as server:
            with pytest.raises(InvalidStatus) as caught:
                await join(server)
        assert caught.value.response.status_code == 500
        assert "ZeroDivisionError" in caplog.text

    async def test_what_arrives_meanwhile_is_not_lost(self):
        go_on = asyncio.Event()

        async def process_request(ws, request):
            await go_on.wait()

        async with serving(echo, process_request=process_request) as server:
            raw = await Raw.connect(port_of(server))
            raw.send(upgrade())
            for i in range(3):
                await asyncio.sleep(0.005)
                raw.send(masked(Opcode.TEXT, b"%d" % i))
            await asyncio.sleep(0.005)
            go_on.set()
            await raw.read_head()
            assert [(await raw.read_frame()).data for _ in range(3)] == [b"0", b"1", b"2"]
            await raw.close()

    @pytest.mark.parametrize("handler", [echo, Echo])
    async def test_much_that_arrives_meanwhile_waits(self, handler):
        go_on = asyncio.Event()

        async def process_request(ws, request):
            await go_on.wait()

        async with serving(handler, process_request=process_request) as server:
            raw = await Raw.connect(port_of(server))
            raw.send(upgrade())
            for i in range(200):
                raw.send(masked(Opcode.BINARY, bytes([i]) * 10_000))
            await asyncio.sleep(0.05)
            go_on.set()
            await raw.read_head()
            for i in range(200):
                assert (await raw.read_frame()).data == bytes([i]) * 10_000
            await raw.close()

    async def test_a_client_that_goes_meanwhile(self):
        cancelled = asyncio.Event()
        entered = asyncio.Event()

        async def process_request(ws, request):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with serving(echo, process_request=process_request) as server:
            raw = await Raw.connect(port_of(server))
            raw.send(upgrade())
            await soon(entered.wait())
            raw.abort()
            await soon(cancelled.wait())


class TestBasicAuth:
    @pytest.mark.parametrize(
        "options",
        [
            {"credentials": ("ada", "pw")},
            {"credentials": [("bob", "x"), ("ada", "pw")]},
            {"check_credentials": lambda name, word: (name, word) == ("ada", "pw")},
        ],
    )
    async def test_credentials(self, options):
        async def handler(ws):
            await ws.send(ws.username)

        async with serving(handler, process_request=basic_auth("r", **options)) as server:
            port = port_of(server)
            uri = f"ws://ada:pw@127.0.0.1:{port}"
            async with websockets_connect(uri, logger=QUIET, proxy=None) as ws:
                assert await soon(ws.recv()) == "ada"
            for userinfo in ("ada:no@", "eve:pw@", ""):
                with pytest.raises(InvalidStatus) as caught:
                    await websockets_connect(
                        f"ws://{userinfo}127.0.0.1:{port}", logger=QUIET, proxy=None
                    )
                assert caught.value.response.status_code == 401
                challenge = caught.value.response.headers["WWW-Authenticate"]
                assert challenge == 'Basic realm="r", charset="UTF-8"'

    async def test_a_coroutine_function_checks(self):
        async def check(name, word):
            await asyncio.sleep(0)
            return word == "pw"

        process_request = basic_auth(check_credentials=check)
        async with serving(hold, process_request=process_request) as server:
            uri = f"ws://ada:pw@127.0.0.1:{port_of(server)}"
            async with websockets_connect(uri, logger=QUIET, proxy=None) as ws:
                assert ws.response.status_code == 101

    def test_one_of_both(self):
        with pytest.raises(UsageError):
            basic_auth("r")
        with pytest.raises(UsageError):
            basic_auth("r", ("a", "b"), lambda name, word: True)


class TestLife:
    async def test_close_sends_1001(self):
        async with serving(hold) as server, join(server) as ws:
            server.close()
            await soon(server.wait_closed())
            assert ws.close_code == 1001

    async def test_close_with_a_code(self):
        async with serving(Echo) as server, join(server) as ws:
            server.close(code=1012, reason="restart")
            await soon(server.wait_closed())
            assert (ws.close_code, ws.close_reason) == (1012, "restart")

    async def test_handlers_are_waited_for(self):
        done = asyncio.Event()
        finished = []

        async def handler(ws):
            with contextlib.suppress(ConnectionClosed):
                await ws.recv()
            await done.wait()
            finished.append(ws)

        async with serving(handler) as server, join(server):
            server.close()
            waiting = asyncio.ensure_future(server.wait_closed())
            await asyncio.sleep(0.02)
            assert not waiting.done()
            done.set()
            await soon(waiting)
            assert len(finished) == 1

    async def test_connections_can_be_left_to_their_handlers(self):
        async with serving(echo) as server, join(server) as ws:
            server.close(close_connections=False)
            waiting = asyncio.ensure_future(server.wait_closed())
            await asyncio.sleep(0.02)
            assert not server.is_serving()
            await ws.send("still")
            assert await soon(ws.recv()) == "still"
            await ws.close()
            await soon(waiting)

    async def test_openings_are_refused_while_closing(self):
        async def process_request(ws, request):
            await asyncio.Event().wait()

        async with serving(hold, process_request=process_request) as server:
            waiting = await Raw.connect(port_of(server))
            waiting.send(upgrade())
            silent = await Raw.connect(port_of(server))
            await asyncio.sleep(0.02)
            server.close()
            for raw in (waiting, silent):
                assert (await raw.read_all()).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                await raw.close()
            await soon(server.wait_closed())

    async def test_close_twice(self):
        async with serving(hold) as server:
            server.close()
            server.close()
            await soon(server.wait_closed())
            await soon(server.wait_closed())

    async def test_connections(self):
        async with serving(echo) as server:
            assert server.connections == set()
            async with join(server) as one, join(server) as two:
                assert len(server.connections) == 2
                assert all(type(ws) is ServerConnection for ws in server.connections)
                await one.close()
                assert len(server.connections) == 1
                await two.send("x")
                await soon(two.recv())

    async def test_starting_later(self):
        server = await serve(hold, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        async with join(server) as ws:
            assert ws.response.status_code == 101
        server.close()
        await soon(server.wait_closed())
        assert server.get_loop() is asyncio.get_running_loop()

    async def test_serve_forever_until_it_is_cancelled(self):
        server = await serve(hold, "127.0.0.1", 0)
        serving_task = asyncio.ensure_future(server.serve_forever())
        async with join(server) as ws:
            serving_task.cancel()
            await soon(ws.wait_closed())
            assert ws.close_code == 1001
            with pytest.raises(asyncio.CancelledError):
                await serving_task
        assert not server.is_serving()

    async def test_serve_forever_until_it_is_closed(self):
        server = await serve(hold, "127.0.0.1", 0)
        serving_task = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        await soon(serving_task)

    async def test_before_it_is_started(self):
        server = serve(hold, "127.0.0.1", 0)
        assert not server.is_serving()
        with pytest.raises(UsageError, match="not started"):
            server.get_loop()
        await server
        assert await server is server
        server.close()
        await soon(server.wait_closed())

    async def test_it_logs_its_address_and_its_end(self, caplog):
        caplog.set_level(logging.INFO, "duplexio.websocket")
        async with serving(hold) as server:
            port = port_of(server)
        messages = [record.getMessage() for record in caplog.records]
        assert messages == [
            f"server listening on 127.0.0.1:{port}", "server closing", "server closed",
        ]  # fmt: skip

    async def test_a_logger_of_ones_own(self, caplog):
        logger = logging.getLogger("tests.mine")
        caplog.set_level(logging.INFO, "tests.mine")
        async with serving(hold, logger=logger):
            pass
        assert {record.name for record in caplog.records} == {"tests.mine"}

    async def test_sock(self):
        sock = socket.create_server(("127.0.0.1", 0))
        async with serve(echo, sock=sock) as server, join(server) as ws:
            await ws.send("x")
            assert await soon(ws.recv()) == "x"

    async def test_create_connection(self):
        class Mine(ServerConnection):
            async def greet(self):
                await self.send("hello")

        async def handler(ws):
            await ws.greet()

        async with serving(handler, create_connection=Mine) as server, join(server) as ws:
            assert await soon(ws.recv()) == "hello"

    async def test_connections_that_are_over_can_go(self):
        references = []

        async def handler(ws):
            references.append(weakref.ref(ws))
            async for message in ws:
                await ws.send(message)

        async with serving(handler) as server:
            async with join(server) as ws:
                await ws.send("x")
                await ws.recv()
            await asyncio.sleep(0.01)
            gc.collect()
            assert [reference() for reference in references] == [None]

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"subprotocols": "chat"}, "subprotocols"),
            ({"compression": "gzip"}, "gzip"),
            ({"max_size": -1}, "max_size"),
            ({"max_queue": (4, 5)}, "max_queue"),
            ({"open_timeout": 0}, "open_timeout"),
        ],
    )
    async def test_wrong_arguments(self, options, text):
        with pytest.raises(UsageError, match=text):
            serve(hold, "127.0.0.1", 0, **options)


class TestLegacy:
    async def test_off_by_default(self):
        request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"
        async with serving(echo) as server:
            answer = await status_of(server, request)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"legacy=True" in answer

    async def test_hixie_76_with_the_challenge_behind_the_head(self):
        head = (
            b"GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n"
            b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n"
        )
        async with serving(echo, legacy=True) as server:
            raw = await Raw.connect(port_of(server))
            raw.send(head)
            await asyncio.sleep(0.01)
            raw.send(b"^n:d")
            await asyncio.sleep(0.01)
            raw.send(b"s[4U\x00early\xff")
            answer = await raw.read_head()
            assert b"Sec-WebSocket-Location: ws://example.com/demo\r\n" in answer
            assert await raw.reader.readexactly(16) == b"8jKS'y:G*Co,Wxa-"
            assert await raw.reader.readexactly(7) == b"\x00early\xff"
            raw.send(b"\xff\x00")
            assert await raw.read_all() == b"\xff\x00"
            await raw.close()

    async def test_hixie_75_ends_with_the_transport(self):
        codes = []

        class Client(Echo):
            def on_close(self, ws, code, reason):
                codes.append(code)

        request = (
            b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: x\r\n"
            b"Origin: http://x\r\n\r\n"
        )
        async with serving(Client, legacy=True) as server:
            raw = await Raw.connect(port_of(server))
            raw.send(request)
            await raw.read_head()
            raw.send(b"\x00a\xff")
            assert await raw.reader.readexactly(3) == b"\x00a\xff"
            await raw.close()
        assert codes == [1005]


class TestListener:
    async def test_an_instance_for_each_connection(self):
        instances = []

        class Mine(Listener):
            def __init__(self):
                instances.append(self)

            def on_open(self, ws):
                ws.send(f"{len(instances)}")

        async with serving(Mine) as server, join(server) as one, join(server) as two:
            assert (await soon(one.recv()), await soon(two.recv())) == ("1", "2")
        assert instances[0] is not instances[1]

    async def test_close_frames_are_told(self):
        told = asyncio.Queue()

        class Mine(Listener):
            def on_close(self, ws, code, reason):
                told.put_nowait((code, reason))

        async with serving(Mine) as server:
            raw = await Raw.open(port_of(server))
            raw.send(masked(Opcode.CLOSE, close_payload(4000, "bye")))
            assert await raw.read_close() == Close(4000, "bye")
            assert await soon(told.get()) == (4000, "bye")
            await raw.close()
