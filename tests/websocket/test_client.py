"""The asyncio client, against the websockets library, servers of ours, and ones written by hand."""

import asyncio
import gc
import logging
import socket
import ssl
import weakref

import pytest
import trustme
from websockets.asyncio.server import serve as websockets_serve
from websockets.asyncio.server import unix_serve as websockets_unix_serve

from duplexio.errors import UsageError
from duplexio.websocket import (
    ClientConnection,
    ClientPerMessageDeflateFactory,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    Listener,
    ListenerConnection,
    NegotiationError,
    SecurityError,
    connect,
    unix_connect,
    unix_serve,
)
from duplexio.websocket.client import USER_AGENT
from duplexio.websocket.frames import Opcode, State
from tests.websocket.raw import (
    QUIET,
    close_payload,
    port_of,
    raw_server,
    serving,
    unmasked,
    uri_of,
)

LOOPS = ("asyncio", "uvloop")


def peer(handler, **options):
    """A server of the websockets library."""
    return websockets_serve(handler, "127.0.0.1", 0, logger=QUIET, **options)


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def hold(ws):
    await ws.wait_closed()


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 5)


def tasks_besides_this():
    return asyncio.all_tasks() - {asyncio.current_task()}


class TestWithTheWebsocketsLibrary:
    async def test_messages(self):
        async with peer(echo) as server, connect(uri_of(server)) as ws:
            for message in ("text", b"binary", "", b"", "x" * 70_000, b"y" * 200_000):
                await ws.send(message)
                assert await soon(ws.recv()) == message
            await ws.send(["in ", "pieces"])
            assert await soon(ws.recv()) == "in pieces"
            assert await soon(await ws.ping()) > 0
        assert ws.close_code == 1000
        assert ws.state is State.CLOSED

    @pytest.mark.parametrize("compression", ["deflate", None])
    async def test_compression(self, compression):
        async with (
            peer(echo) as server,
            connect(uri_of(server), compression=compression) as ws,
        ):
            offered = ws.request.headers.get("Sec-WebSocket-Extensions")
            assert (offered is not None) == (compression is not None)
            chosen = ws.response.headers.get("Sec-WebSocket-Extensions")
            assert (chosen is not None) == (compression is not None)
            for _ in range(3):
                await ws.send("again " * 1000)
                assert await soon(ws.recv()) == "again " * 1000

    async def test_extensions(self):
        factory = ClientPerMessageDeflateFactory(server_no_context_takeover=True)
        async with peer(echo) as server, connect(uri_of(server), extensions=[factory]) as ws:
            assert "server_no_context_takeover" in ws.response.headers["Sec-WebSocket-Extensions"]
            await ws.send("text " * 100)
            assert await soon(ws.recv()) == "text " * 100

    async def test_headers(self):
        seen = []

        async def handler(ws):
            seen.append(ws.request)

        async with peer(handler) as server:
            port = port_of(server)
            uri = f"ws://Ada:secret%21@127.0.0.1:{port}/path?query=1"
            async with connect(
                uri, origin="https://example.com", additional_headers={"X-Mine": "yes"}
            ) as ws:
                await ws.wait_closed()
        (request,) = seen
        assert request.path == "/path?query=1"
        assert request.headers["Origin"] == "https://example.com"
        assert request.headers["X-Mine"] == "yes"
        assert request.headers["User-Agent"] == USER_AGENT
        assert request.headers["Authorization"] == "Basic QWRhOnNlY3JldCE="
        assert request.headers["Host"] == f"127.0.0.1:{port}"

    @pytest.mark.parametrize("length", [10, 7000])
    async def test_the_request_can_be_looked_at(self, length):
        headers = {"X-Long": "x" * length, "Cookie": "a=b"}
        async with (
            peer(hold) as server,
            connect(uri_of(server, "/p?q"), additional_headers=headers) as ws,
        ):
            assert ws.request.path == "/p?q"
            assert ws.request.headers["X-Long"] == "x" * length
            assert ws.request.headers["cookie"] == "a=b"
            assert ws.request is ws.request

    async def test_user_agent(self):
        seen = []

        async def handler(ws):
            seen.append(ws.request.headers.get("User-Agent"))

        async with peer(handler) as server:
            for agent in ("mine/1", None):
                async with connect(uri_of(server), user_agent_header=agent) as ws:
                    await ws.wait_closed()
        assert seen == ["mine/1", None]

    async def test_subprotocols(self):
        async with (
            peer(hold, subprotocols=["b", "a"]) as server,
            connect(uri_of(server), subprotocols=["a", "b"]) as ws,
        ):
            assert ws.subprotocol == "b"

    async def test_the_server_closes(self):
        async def handler(ws):
            await ws.send("bye")
            await ws.close(1001, "going")

        async with peer(handler) as server, connect(uri_of(server)) as ws:
            assert [message async for message in ws] == ["bye"]
            assert (ws.close_code, ws.close_reason) == (1001, "going")

    async def test_addresses_and_identity(self):
        async with (
            peer(hold) as server,
            connect(uri_of(server)) as ws,
            connect(uri_of(server)),
        ):
            assert ws.remote_address == ("127.0.0.1", port_of(server))
            assert ws.local_address[0] == "127.0.0.1"
            assert ws.id is ws.id
            assert ws.logger.name == "duplexio.websocket"

    async def test_unix_socket(self, tmp_path):
        path = str(tmp_path / "socket")
        async with (
            websockets_unix_serve(echo, path, logger=QUIET),
            unix_connect(path) as ws,
        ):
            assert ws.request.headers["Host"] == "localhost"
            await ws.send("x")
            assert await soon(ws.recv()) == "x"

    async def test_unix_socket_of_ours(self, tmp_path):
        path = str(tmp_path / "socket")
        async with unix_serve(echo, path), unix_connect(path, "ws://example.com/room") as ws:
            assert ws.request.path == "/room"
            await ws.send("x")
            assert await soon(ws.recv()) == "x"


class TestTLS:
    @pytest.fixture
    def authority(self):
        return trustme.CA()

    @pytest.fixture
    def server_context(self, authority):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        return context

    @pytest.fixture
    def client_context(self, authority):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    async def test_messages(self, server_context, client_context):
        async with peer(echo, ssl=server_context) as server:
            uri = f"wss://localhost:{port_of(server)}"
            async with connect(uri, ssl=client_context, host="127.0.0.1") as ws:
                for message in ("x", "y" * 300_000):
                    await ws.send(message)
                    assert await soon(ws.recv()) == message
            assert ws.close_code == 1000

    async def test_server_of_ours(self, server_context, client_context):
        async with serving(echo, ssl=server_context) as server:
            uri = f"wss://localhost:{port_of(server)}"
            async with connect(uri, ssl=client_context, host="127.0.0.1") as ws:
                for message in ("x", "y" * 300_000):
                    await ws.send(message)
                    assert await soon(ws.recv()) == message
            assert ws.close_code == 1000

    async def test_server_hostname(self, server_context, client_context):
        async with peer(echo, ssl=server_context) as server:
            uri = f"wss://127.0.0.1:{port_of(server)}"
            async with connect(uri, ssl=client_context, server_hostname="localhost") as ws:
                await ws.send("x")
                assert await soon(ws.recv()) == "x"

    async def test_a_certificate_that_nobody_vouches_for(self, server_context):
        async with peer(hold, ssl=server_context) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(f"wss://localhost:{port_of(server)}", host="127.0.0.1")

    async def test_contradictions(self, client_context):
        with pytest.raises(UsageError, match="ws:// URI"):
            await connect("ws://127.0.0.1:1", ssl=client_context)
        with pytest.raises(UsageError, match="wss:// URI"):
            await connect("wss://127.0.0.1:1", ssl=None)


class TestListener:
    async def test_a_class(self):
        told = []

        class Client(Listener):
            def on_open(self, ws):
                told.append(("open", ws.state, ws.subprotocol))
                ws.send("hello")

            def on_message(self, ws, message):
                told.append(message)
                ws.close(4000, "enough")

            def on_close(self, ws, code, reason):
                told.append((code, reason))

        async with peer(echo, subprotocols=["s"]) as server:
            ws = await connect(uri_of(server), listener=Client, subprotocols=["s"])
            assert isinstance(ws, ListenerConnection)
            assert isinstance(ws.listener, Client)
            await soon(ws.wait_closed())
        assert told == [("open", 1, "s"), "hello", (4000, "enough")]

    async def test_an_instance(self):
        listener = Listener()
        async with peer(hold) as server:
            ws = await connect(uri_of(server), listener=listener)
            assert ws.listener is listener
            ws.close()
            await soon(ws.wait_closed())

    async def test_context_manager_closes(self):
        async with peer(hold) as server:
            async with connect(uri_of(server), listener=Listener) as ws:
                assert ws.state == State.OPEN
            assert ws.state == State.CLOSED
            assert ws.close_code == 1000

    async def test_reconnecting(self):
        opened = asyncio.Queue()

        class Client(Listener):
            def on_open(self, ws):
                opened.put_nowait(ws)

        async def handler(ws):
            await ws.close()

        async with peer(handler) as server:
            count = 0
            async for ws in connect(
                uri_of(server), listener=Client, reconnect_delays=lambda: iter([0] * 9)
            ):
                assert await soon(opened.get()) is ws
                await soon(ws.wait_closed())
                count += 1
                if count == 3:
                    break

    async def test_messages_that_come_with_the_handshake(self):
        got = []

        class Client(Listener):
            def on_message(self, ws, message):
                got.append(message)

        async def script(raw):
            behind = unmasked(Opcode.TEXT, b"early") + unmasked(Opcode.CLOSE, close_payload(1000))
            await raw.accept(behind=behind)
            await raw.read_close()

        async with raw_server(script) as server:
            ws = await connect(uri_of(server), listener=Client)
            await soon(ws.wait_closed())
        assert got == ["early"]


class TestLegacy:
    @pytest.mark.parametrize("draft", [75, 76])
    async def test_hixie(self, draft):
        async with serving(echo, legacy=True, subprotocols=["chat"]) as server:
            async with connect(uri_of(server, "/x?y"), legacy=draft, subprotocols=["chat"]) as ws:
                assert ws.subprotocol == "chat"
                assert ws.request.path == "/x?y"
                await ws.send("old")
                assert await soon(ws.recv()) == "old"
                with pytest.raises(UsageError, match="text only"):
                    await ws.send(b"binary")
            assert ws.close_code == 1005

    @pytest.mark.parametrize("draft", [75, 76])
    async def test_hixie_listener(self, draft):
        got = asyncio.Queue()

        class Client(Listener):
            def on_open(self, ws):
                ws.send("old")

            def on_message(self, ws, message):
                got.put_nowait(message)

        async with (
            serving(echo, legacy=True) as server,
            connect(uri_of(server), legacy=draft, listener=Client),
        ):
            assert await soon(got.get()) == "old"

    async def test_the_answer_in_single_bytes(self):
        async with serving(echo, legacy=True) as server:

            async def relay(raw):
                """Pass every byte of the server on in a packet of its own."""
                reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))

                async def forward():
                    while data := await raw.reader.read(1000):
                        writer.write(data)

                forwarding = asyncio.ensure_future(forward())
                while data := await reader.read(1):
                    raw.send(data)
                    await asyncio.sleep(0)
                await raw.close()
                await forwarding
                writer.close()
                await writer.wait_closed()

            async with raw_server(relay) as relaying, connect(uri_of(relaying), legacy=76) as ws:
                await ws.send("x")
                assert await soon(ws.recv()) == "x"

    async def test_arguments(self):
        with pytest.raises(UsageError, match="legacy is 77"):
            connect("ws://localhost", legacy=77)
        with pytest.raises(UsageError, match="one subprotocol"):
            connect("ws://localhost", legacy=76, subprotocols=["a", "b"])


class TestArguments:
    @pytest.mark.parametrize(
        ("uri", "options", "error", "text"),
        [
            ("http://localhost", {}, InvalidURI, "ws or wss"),
            ("ws://localhost/#x", {}, InvalidURI, "fragment"),
            ("ws://localhost", {"subprotocols": "chat"}, UsageError, "subprotocols"),
            ("ws://localhost", {"compression": "gzip"}, UsageError, "gzip"),
            ("ws://localhost", {"ping_interval": 0}, UsageError, "ping_interval"),
            ("ws://localhost", {"max_size": -1}, UsageError, "max_size"),
            ("ws://localhost", {"max_queue": 0}, UsageError, "max_queue"),
            (
                "ws://localhost",
                {"listener": Listener, "create_connection": ClientConnection},
                UsageError,
                "create_connection",
            ),
        ],
    )
    async def test_wrong_ones_are_refused_at_once(self, uri, options, error, text):
        with pytest.raises(error, match=text):
            connect(uri, **options)

    async def test_create_connection(self):
        class Mine(ClientConnection):
            async def greet(self):
                await self.send("hello")

        async with peer(echo) as server, connect(uri_of(server), create_connection=Mine) as ws:
            await ws.greet()
            assert await soon(ws.recv()) == "hello"

    async def test_sock(self):
        async with peer(echo) as server:
            sock = socket.create_connection(("127.0.0.1", port_of(server)))
            async with connect("ws://example.com/", sock=sock) as ws:
                assert ws.request.headers["Host"] == "example.com"
                await ws.send("x")
                assert await soon(ws.recv()) == "x"

    async def test_host_and_port(self):
        async with (
            peer(echo) as server,
            connect("ws://example.com/", host="127.0.0.1", port=port_of(server)) as ws,
        ):
            assert ws.request.headers["Host"] == "example.com"

    async def test_logger(self):
        logger = logging.getLogger("tests.mine")
        async with peer(hold) as server, connect(uri_of(server), logger=logger) as ws:
            assert ws.logger is logger

    async def test_sending_after_the_network_failed(self):
        async def script(raw):
            await raw.accept()
            raw.abort()

        async with raw_server(script) as server:
            ws = await connect(uri_of(server))
            await soon(ws.wait_closed())
            with pytest.raises(ConnectionClosedError):
                await ws.send(["x"])
            await ws.close()

    async def test_one_connection_at_a_time(self):
        async with peer(hold) as server:
            connecting = connect(uri_of(server))
            async with connecting:
                with pytest.raises(ConcurrencyError):
                    await connecting.__aenter__()
            async with connecting as ws:
                assert ws.state is State.OPEN


class TestFailures:
    async def test_nobody_listens(self):
        async with peer(hold) as server:
            uri = uri_of(server)
        with pytest.raises(OSError, match=r"(?i)connect"):
            await connect(uri)
        assert not tasks_besides_this()

    async def test_refused_with_a_body(self):
        def process_request(ws, request):
            return ws.respond(401, "Who are you?\n")

        async with peer(hold, process_request=process_request) as server:
            with pytest.raises(InvalidStatus) as caught:
                await connect(uri_of(server))
        response = caught.value.response
        assert response.status_code == 401
        assert response.body == b"Who are you?\n"
        assert response.headers["Content-Type"].startswith("text/plain")

    async def test_refused_with_a_body_up_to_the_end(self):
        async def script(raw):
            await raw.read_head()
            raw.send(b"HTTP/1.1 500 Oh\r\n\r\nall ")
            await raw.writer.drain()
            await asyncio.sleep(0.01)
            raw.send(b"of it")

        async with raw_server(script) as server:
            with pytest.raises(InvalidStatus) as caught:
                await soon(connect(uri_of(server)))
        assert caught.value.response.body == b"all of it"

    async def test_refused_with_a_body_in_chunks(self):
        async def script(raw):
            await raw.read_head()
            raw.send(b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n")
            await asyncio.sleep(0.01)
            raw.send(b"0\r\n\r\n")
            await raw.read_all()

        async with raw_server(script) as server:
            with pytest.raises(InvalidStatus) as caught:
                await soon(connect(uri_of(server)))
        assert caught.value.response.body == b"all"

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (b"", "did not receive a valid HTTP response"),
            (b"HTTP/1.1 101 Sw", "did not receive a valid HTTP response"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "status line"),
            (b"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1"),
        ],
    )
    async def test_no_http(self, answer, error):
        async def script(raw):
            await raw.read_head()
            raw.send(answer)

        async with raw_server(script) as server:
            with pytest.raises(InvalidMessage, match=error):
                await soon(connect(uri_of(server)))

    @pytest.mark.parametrize(
        ("lines", "error"),
        [
            (["Sec-WebSocket-Protocol: other"], NegotiationError),
            (["Sec-WebSocket-Extensions: other"], NegotiationError),
            (["Sec-WebSocket-Accept: again"], InvalidHandshake),
        ],
    )
    async def test_answers_that_break_the_rules(self, lines, error):
        async def script(raw):
            await raw.accept(*lines)
            assert await raw.read_all() == b""

        async with raw_server(script) as server:
            with pytest.raises(error):
                await soon(connect(uri_of(server)))

    async def test_interim_responses_are_passed_over(self):
        async def script(raw):
            raw.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            await raw.accept(behind=unmasked(Opcode.TEXT, b"x"))
            await raw.read_close()

        async with (
            raw_server(script) as server,
            connect(uri_of(server), close_timeout=0.1) as ws,
        ):
            assert await soon(ws.recv()) == "x"

    async def test_too_many_interim_responses(self):
        async def script(raw):
            raw.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
            await raw.read_all()

        async with raw_server(script) as server:
            with pytest.raises(InvalidMessage, match="1xx"):
                await soon(connect(uri_of(server)))

    async def test_open_timeout(self):
        async def script(raw):
            assert await raw.reader.read(100_000) != b""
            assert await raw.reader.read() == b""  # the client closes

        async with raw_server(script) as server:
            with pytest.raises(TimeoutError, match="timed out during opening handshake"):
                await connect(uri_of(server), open_timeout=0.05)
        assert not tasks_besides_this()

    @pytest.mark.parametrize("turns", range(12))
    async def test_cancelling_leaves_nothing(self, turns):
        async def script(raw):
            # A request, or none; then the client closes. It is not answered.
            await raw.read_all()

        async with raw_server(script) as server:

            async def open_connection():
                return await connect(uri_of(server))

            connecting = asyncio.ensure_future(open_connection())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            # Whoever was accepted reads the end; an unclosed transport would warn.
            await asyncio.sleep(0.01)
            gc.collect()
        assert not tasks_besides_this()

    async def test_an_exception_in_the_block_closes_with_1011(self):
        codes = []

        async def handler(ws):
            await ws.wait_closed()
            codes.append(ws.close_code)

        async with peer(handler) as server:
            with pytest.raises(ZeroDivisionError):
                async with connect(uri_of(server)):
                    raise ZeroDivisionError
        assert codes == [1011]


class TestRedirects:
    @staticmethod
    def redirecting(location, status=302):
        def process_request(ws, request):
            if request.path != "/old":
                return None
            response = ws.respond(status, "There.\n")
            response.headers["Location"] = location
            return response

        return process_request

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
    async def test_followed(self, status):
        async def handler(ws):
            await ws.send(ws.request.path)

        redirecting = self.redirecting("/new?x=1", status)
        async with (
            peer(handler, process_request=redirecting) as server,
            connect(uri_of(server, "/old")) as ws,
        ):
            assert await soon(ws.recv()) == "/new?x=1"

    async def test_to_another_origin_without_credentials(self):
        async def handler(ws):
            headers = ws.request.headers
            await ws.send(
                ",".join(name for name in ("Authorization", "Cookie", "X-Mine") if name in headers)
            )

        async with peer(handler) as target:
            location = f"http://127.0.0.1:{port_of(target)}/"  # http stands for ws
            async with peer(handler, process_request=self.redirecting(location)) as server:
                headers = {"Authorization": "Basic x", "Cookie": "a=b", "X-Mine": "yes"}
                async with connect(uri_of(server, "/old"), additional_headers=headers) as ws:
                    assert await soon(ws.recv()) == "X-Mine"
                async with connect(uri_of(server, "/new"), additional_headers=headers) as ws:
                    assert await soon(ws.recv()) == "Authorization,Cookie,X-Mine"

    async def test_each_time_from_the_beginning(self):
        # After a redirect, the next connection asks the first server again.
        asked = []

        def process_request(ws, request):
            asked.append(request.path)
            return self.redirecting("/new")(ws, request)

        async with peer(hold, process_request=process_request) as server:
            connecting = connect(uri_of(server, "/old"))
            for _ in range(2):
                async with connecting:
                    pass
        assert asked == ["/old", "/new"] * 2

    async def test_too_many(self):
        async with peer(hold, process_request=self.redirecting("/old")) as server:
            with pytest.raises(SecurityError, match="more than 10 redirects"):
                await soon(connect(uri_of(server, "/old")))

    async def test_not_with_a_socket_given(self):
        async with peer(hold, process_request=self.redirecting("/new")) as server:
            sock = socket.create_connection(("127.0.0.1", port_of(server)))
            with pytest.raises(UsageError, match="socket given"):
                await soon(connect("ws://localhost/old", sock=sock))

    async def test_not_elsewhere_when_the_host_is_given(self):
        redirecting = self.redirecting("ws://other.example/")
        async with peer(hold, process_request=redirecting) as server:
            with pytest.raises(UsageError, match="'host'"):
                await soon(connect("ws://localhost/old", host="127.0.0.1", port=port_of(server)))

    async def test_a_redirect_without_a_location_is_a_refusal(self):
        def process_request(ws, request):
            return ws.respond(302, "Somewhere.\n")

        async with peer(hold, process_request=process_request) as server:
            with pytest.raises(InvalidStatus):
                await soon(connect(uri_of(server)))


class TestReconnecting:
    async def test_after_a_connection_that_ended(self):
        count = 0

        async def handler(ws):
            await ws.send(f"{count}")
            await ws.wait_closed()

        async with peer(handler) as server:
            async for ws in connect(uri_of(server)):
                assert await soon(ws.recv()) == f"{count}"
                count += 1
                if count == 3:
                    break

    async def test_failures_back_off(self, caplog):
        caplog.set_level(logging.INFO, "duplexio.websocket")
        attempts = 0

        def process_request(ws, request):
            nonlocal attempts
            attempts += 1
            if attempts in (1, 2, 4):
                return ws.respond(503, "Later.\n")
            return None

        asked = []

        def delays():
            asked.append("new")
            for delay in (0.0, 0.001, 0.002):
                asked.append(delay)
                yield delay

        async with peer(hold, process_request=process_request) as server:
            opened = 0
            async for _ in connect(uri_of(server), reconnect_delays=delays):
                opened += 1
                if opened == 2:
                    break
        assert asked == ["new", 0.0, 0.001, "new", 0.0]
        assert "connect failed: InvalidStatus" in caplog.text
        assert "HTTP 503; reconnecting in 0.0 seconds" in caplog.text

    async def test_a_server_that_closes_at_once_is_not_hammered(self):
        async def handler(ws):
            await ws.close(1001)

        asked = []

        def delays():
            for i in range(10):
                asked.append(i)
                yield 0

        async with peer(handler) as server:
            opened = 0
            async for ws in connect(uri_of(server), reconnect_delays=delays):
                opened += 1
                assert [message async for message in ws] == []
                if opened == 4:
                    break
        assert asked == [0, 1, 2]

    async def test_fatal_errors_are_raised(self):
        def process_request(ws, request):
            return ws.respond(404, "Nothing.\n")

        async with peer(hold, process_request=process_request) as server:
            with pytest.raises(InvalidStatus):
                await anext(aiter(connect(uri_of(server))))

    @pytest.mark.parametrize("raised", [True, False])
    async def test_process_exception_decides(self, raised):
        def process_request(ws, request):
            return ws.respond(503, "Later.\n")

        def process_exception(exc):
            error = LookupError("enough")
            if raised:
                raise error
            return error

        async with peer(hold, process_request=process_request) as server:
            iterator = aiter(connect(uri_of(server), process_exception=process_exception))
            with pytest.raises(LookupError, match="enough") as caught:
                await anext(iterator)
        assert isinstance(caught.value.__cause__, InvalidStatus)

    async def test_leaving_the_loop_closes_the_connection(self):
        async with peer(hold) as server:
            iterator = aiter(connect(uri_of(server)))
            ws = await anext(iterator)
            await iterator.aclose()
            assert ws.close_code == 1000

    async def test_across_a_restart_of_the_server(self):
        async with peer(echo) as server:
            port = port_of(server)
            iterator = aiter(connect(uri_of(server), reconnect_delays=lambda: iter([0.005] * 500)))
            ws = await anext(iterator)
            await ws.send("before")
            assert await soon(ws.recv()) == "before"
        with pytest.raises(ConnectionClosed):
            await ws.send("x")
        following = asyncio.ensure_future(anext(iterator))
        await asyncio.sleep(0.05)
        async with websockets_serve(echo, "127.0.0.1", port, logger=QUIET):
            ws = await soon(following)
            await ws.send("after")
            assert await soon(ws.recv()) == "after"
            await iterator.aclose()


class TestMemory:
    async def test_a_connection_that_is_over_can_go(self):
        async with peer(echo) as server:
            async with connect(uri_of(server)) as ws:
                await ws.send("x")
                await ws.recv()
            reference = weakref.ref(ws)
            del ws
            await asyncio.sleep(0)
            gc.collect()
            assert reference() is None
            assert not [
                task for task in tasks_besides_this() if "duplexio" in repr(task.get_coro())
            ]

    async def test_masking_keys_differ(self):
        frames = []

        async def script(raw):
            await raw.accept()
            frames.extend([(await raw.reader.readexactly(7))[2:6] for _ in range(100)])

        async with raw_server(script) as server:
            ws = await connect(uri_of(server))
            for _ in range(100):
                await ws.send("x")
            with pytest.raises(ConnectionClosedError):
                await soon(ws.recv())
        assert len(set(frames)) > 90
