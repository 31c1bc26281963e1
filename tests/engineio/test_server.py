"""AsyncServer, with the names, arguments and handlers of python-engineio."""

import asyncio
import json
import logging

import pytest
from websockets.exceptions import ConnectionClosed

from duplexio import engineio
from duplexio.engineio.exceptions import ConnectionRefusedError
from duplexio.errors import UsageError
from tests.engineio.serving import HOSTINGS, error, hosted, serving


def echoing(**options):
    eio = engineio.AsyncServer(**options)
    eio.on("message", eio.send)
    return eio


class Running:
    """A server with handlers of the test's own."""

    def __init__(self, eio, hosting="native", **app):
        self.eio = eio
        self.hosting = hosting
        self.app = engineio.ASGIApp(eio, **app)

    async def __aenter__(self):
        from tests.engineio.serving import Peer

        self.context = hosted(self.app, self.hosting)
        peer = Peer.__new__(Peer)
        peer.port = await self.context.__aenter__()
        peer.eio = self.eio
        return peer

    async def __aexit__(self, *exc):
        await self.context.__aexit__(*exc)


# Handlers


async def test_handlers_may_be_coroutine_functions():
    eio = engineio.AsyncServer()
    seen = []
    gone = asyncio.Event()

    @eio.on("connect")
    async def connect(sid, environ):
        await asyncio.sleep(0)
        seen.append(("connect", environ["REQUEST_METHOD"]))
        await eio.send(sid, "welcome")

    @eio.on("message")
    async def message(sid, data):
        await asyncio.sleep(0)
        seen.append(data)

    @eio.on("disconnect")
    async def disconnect(sid, reason):
        await asyncio.sleep(0)
        seen.append(reason)
        # The client's data is still there.
        assert await eio.get_session(sid) == {}
        gone.set()

    await play(eio, gone)
    assert seen == [("connect", "GET"), "hello", b"bytes", "transport close"]
    assert not eio.clients


async def test_handlers_may_be_functions():
    eio = engineio.AsyncServer()
    seen = []
    gone = asyncio.Event()

    @eio.on("connect")
    def connect(sid, environ):
        seen.append(("connect", environ["REQUEST_METHOD"]))
        eio.start_background_task(eio.send, sid, "welcome")

    @eio.on("disconnect")
    def disconnect(sid):  # as it was before there were reasons
        gone.set()

    eio.on("message", lambda sid, data: seen.append(data))
    await play(eio, gone)
    assert seen == [("connect", "GET"), "hello", b"bytes"]
    assert not eio.clients


async def play(eio, gone):
    """Connect, receive a message, send two, and go."""
    async with Running(eio) as peer:
        async with peer.websocket() as ws:
            assert (await ws.recv())[0] == "0"
            assert await ws.recv() == "4welcome"
            await ws.send("4hello")
            await ws.send(b"bytes")
        await asyncio.wait_for(gone.wait(), 5)


async def test_what_is_sent_in_connect_follows_the_open_packet():
    eio = engineio.AsyncServer()

    @eio.on("connect")
    async def connect(sid, environ):
        await eio.send(sid, "early")

    async with Running(eio) as peer:
        _, _, body = await peer.request("GET", "EIO=4&transport=polling")
        assert body.decode().split("\x1e")[1:] == ["4early"]
        _, _, body = await peer.request("GET", "EIO=3&transport=polling")
        assert body.decode().endswith("6:4early")


@pytest.mark.parametrize("hosting", HOSTINGS)
@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        (False, "Forbidden"),
        ("members only", "members only"),
        ({"why": 1}, '{"why": 1}'),
        (ConnectionRefusedError("full"), "full"),
        (ConnectionRefusedError(), "Forbidden"),
    ],
)
async def test_connect_may_refuse(hosting, verdict, message):
    eio = engineio.AsyncServer()
    gone = []
    eio.on("disconnect", lambda sid, reason: gone.append(reason))

    @eio.on("connect")
    async def connect(sid, environ):
        await asyncio.sleep(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    async with Running(eio, hosting) as peer:
        status, _, body = await peer.request("GET", "EIO=4&transport=polling")
        assert (status, json.loads(body)) == (403, error(4, message))
        with pytest.raises(Exception, match="403"):
            await peer.websocket()
        assert not gone
        assert not eio.clients
        assert not eio.engine.sessions


@pytest.mark.parametrize("hosting", HOSTINGS)
async def test_connect_that_raises(hosting, caplog):
    eio = engineio.AsyncServer()

    @eio.on("connect")
    def connect(sid, environ):
        raise ValueError("a bug")

    async with Running(eio, hosting) as peer:
        status, _, body = await peer.request("GET", "EIO=4&transport=polling")
        assert (status, json.loads(body)) == (500, error(3, "Internal server error"))
        assert "a bug" in caplog.text
        assert not eio.engine.sessions


async def test_the_client_goes_while_connect_runs():
    eio = engineio.AsyncServer()
    entered = asyncio.Event()
    leave = asyncio.Event()
    gone = []
    eio.on("disconnect", lambda sid, reason: gone.append(reason))

    @eio.on("connect")
    async def connect(sid, environ):
        entered.set()
        await leave.wait()

    for websocket in (False, True):
        entered.clear()
        leave.clear()
        async with Running(eio) as peer, peer.http() as http:
            query = f"EIO=4&transport={'websocket' if websocket else 'polling'}"
            headers = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec_WebSocket_Version": "13",
                "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            await http.send("GET", query, **(headers if websocket else {}))
            await asyncio.wait_for(entered.wait(), 5)
            http.writer.transport.abort()
            await asyncio.sleep(0.05)
            leave.set()
            await asyncio.sleep(0.05)
            assert not eio.engine.sessions
            assert not eio.clients


async def test_handlers_that_raise_are_logged_and_the_session_goes_on(caplog):
    eio = engineio.AsyncServer()

    @eio.on("message")
    async def message(sid, data):
        if data == "late":
            await asyncio.sleep(0)
        if data != "good":
            raise ValueError(f"bug {data}")
        await eio.send(sid, data)

    @eio.on("disconnect")
    def disconnect(sid, reason):
        raise ValueError("bug at the end")

    async with Running(eio) as peer:
        async with peer.websocket() as ws:
            await ws.recv()
            for text in ("4bad", "4late", "4good"):
                await ws.send(text)
            assert await ws.recv() == "4good"
        await asyncio.sleep(0.05)
        for text in ("bug bad", "bug late", "bug at the end"):
            assert text in caplog.text
        assert not eio.clients


async def test_handlers_start_in_order_and_may_overlap():
    eio = engineio.AsyncServer()
    log = []
    release = asyncio.Event()

    @eio.on("message")
    async def message(sid, data):
        log.append(f"start {data}")
        if data == "a":
            await release.wait()
        log.append(f"end {data}")
        await eio.send(sid, data)

    async with Running(eio) as peer, peer.websocket() as ws:
        await ws.recv()
        for text in ("4a", "4b"):
            await ws.send(text)
        assert await ws.recv() == "4b"
        release.set()
        assert await ws.recv() == "4a"
        assert log == ["start a", "start b", "end b", "end a"]


async def test_without_async_handlers_each_ends_before_the_next():
    eio = engineio.AsyncServer(async_handlers=False)
    log = []

    @eio.on("message")
    async def message(sid, data):
        log.append(f"start {data}")
        await asyncio.sleep(0.01)
        log.append(f"end {data}")
        await eio.send(sid, data)

    async with Running(eio) as peer, peer.websocket() as ws:
        await ws.recv()
        for text in ("4a", "4b", "4c"):
            await ws.send(text)
        assert [await ws.recv() for _ in range(3)] == ["4a", "4b", "4c"]
        assert log == ["start a", "end a", "start b", "end b", "start c", "end c"]


@pytest.mark.parametrize("async_handlers", [True, False])
async def test_reading_pauses_when_too_many_handlers_run(async_handlers):
    eio = engineio.AsyncServer(max_pending_handlers=5, async_handlers=async_handlers)
    running = 0
    most = 0
    release = asyncio.Event()

    @eio.on("message")
    async def message(sid, data):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        await eio.send(sid, data)

    async with Running(eio) as peer, peer.websocket() as ws:
        await ws.recv()
        for number in range(20):
            await ws.send(f"4{number}")
        await asyncio.sleep(0.05)
        client = next(iter(eio.clients.values()))
        assert client.session.reading_paused
        assert most == (5 if async_handlers else 1)
        release.set()
        assert sorted([int((await ws.recv())[1:]) for _ in range(20)]) == list(range(20))
        assert not client.session.reading_paused


# What the application asks for


async def test_sessions():
    eio = echoing()
    async with Running(eio) as peer:
        sid = await peer.open()
        assert await eio.get_session(sid) == {}
        await eio.save_session(sid, {"a": 1})
        async with eio.session(sid) as data:
            data["b"] = 2
        assert await eio.get_session(sid) == {"a": 1, "b": 2}
        for call in (eio.get_session("x"), eio.save_session("x", {})):
            with pytest.raises(KeyError, match="Session not found"):
                await call


async def test_sending():
    eio = echoing()
    async with Running(eio) as peer, peer.websocket() as ws:
        await ws.recv()
        sid = next(iter(eio.clients))
        for data, frame in [
            ("text", "4text"),
            (b"bytes", b"bytes"),
            (bytearray(b"bytes"), b"bytes"),
            (memoryview(b"bytes"), b"bytes"),
            ({"a": [1]}, '4{"a": [1]}'),
            (None, "4null"),
        ]:
            await eio.send(sid, data)
            assert await ws.recv() == frame
        await eio.send("nobody", "x")
        assert eio.transport(sid) == "websocket"
        assert eio.get_environ(sid)["REQUEST_METHOD"] == "GET"
        assert eio.get_environ("nobody") is None
        with pytest.raises(KeyError):
            eio.transport("nobody")


async def test_sends_give_the_loop_a_turn():
    eio = echoing()
    async with Running(eio) as peer:
        sid = await peer.open()
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(count())
        for _ in range(1000):
            await eio.send(sid, "x")
        task.cancel()
        assert turns >= 10


async def test_disconnecting():
    eio = echoing()
    gone = []
    eio.on("disconnect", lambda sid, reason: gone.append(reason))
    async with Running(eio) as peer, peer.websocket() as ws:
        await ws.recv()
        sid = next(iter(eio.clients))
        await eio.send(sid, "bye")
        await eio.disconnect(sid)
        assert gone == ["forced close"] == [engineio.AsyncServer.reason.SERVER_DISCONNECT]
        assert await ws.recv() == "4bye"
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        await eio.disconnect(sid)
        for _ in range(2):
            await peer.open()
        await eio.disconnect()
        assert len(gone) == 3
        assert not eio.clients


async def test_a_custom_id():
    class Server(engineio.AsyncServer):
        def generate_id(self):
            return "my-id"

    eio = Server()
    async with Running(eio) as peer:
        assert await peer.open() == "my-id"
        # The same id again would let one client into the session of another.
        assert (await peer.request("GET", "EIO=4&transport=polling"))[0] == 500


async def test_helpers():
    eio = echoing()
    async with Running(eio):
        done = eio.create_event()

        async def work(*args, **kwargs):
            await eio.sleep()
            queue = eio.create_queue(maxsize=1)
            with pytest.raises(eio.get_queue_empty_exception()):
                queue.get_nowait()
            done.set()
            return args, kwargs

        task = eio.start_background_task(work, 1, a=2)
        assert await task == ((1,), {"a": 2})
        assert done.is_set()
        forever = eio.start_background_task(asyncio.sleep, 1000)
        await eio.shutdown()
        assert forever.cancelled()


async def test_handle_request():
    eio = echoing()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        await eio.handle_request(scope, receive, send)

    async with hosted(engineio.ASGIApp(echoing(), app, engineio_path="/other/"), "asgi") as port:
        from tests.engineio.serving import Http

        async with Http(port) as http:
            assert (await http.request("GET", "EIO=4&transport=polling", path="/any/"))[0] == 200
        assert len(eio.clients) == 1


# Arguments


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"async_mode": "tornado"}, "async_mode"),
        ({"transports": "carrier-pigeon"}, "transports"),
        ({"transports": []}, "transports"),
        ({"ping_interval": 0}, "ping_interval"),
        ({"ping_timeout": -1}, "ping_timeout"),
        ({"ping_interval": (25, -1)}, "ping_grace"),
        ({"max_http_buffer_size": 0}, "max_payload"),
        ({"max_http_buffer_size": 1.5}, "max_payload"),
        ({"max_connections": -1}, "max_connections"),
        ({"max_pending_handlers": 0}, "max_pending_handlers"),
        ({"cookie": {"name": "a;b"}}, "cookie"),
        ({"cookie": {"name": "io", "Path": "/\n"}}, "cookie"),
        ({"no_such_thing": 1}, "no_such_thing"),
        ({"cors_allowed_origins": ["example.com"]}, "cors_allowed_origins"),
    ],
)
def test_wrong_arguments_are_named(arguments, match):
    with pytest.raises(UsageError, match=match):
        engineio.AsyncServer(**arguments)


def test_unknown_events():
    eio = engineio.AsyncServer()
    with pytest.raises(UsageError, match="nonsense"):
        eio.on("nonsense", print)


async def test_the_grace_period_is_told_to_the_client():
    options = {"ping_interval": (0.1, 5), "ping_timeout": 0.5}
    async with serving(**options) as peer, peer.websocket() as ws:
        assert json.loads((await ws.recv())[1:])["pingInterval"] == 5100
        assert await asyncio.wait_for(ws.recv(), 2) == "2"


async def test_transports():
    async with serving(transports=["polling"]) as peer:
        _, _, body = await peer.request("GET", "EIO=4&transport=polling")
        assert json.loads(body[1:])["upgrades"] == []
        with pytest.raises(Exception, match="400"):
            await peer.websocket()
    async with serving(transports="websocket") as peer:
        assert (await peer.request("GET", "EIO=4&transport=polling"))[0] == 400
        async with peer.websocket() as ws:
            assert (await ws.recv())[0] == "0"


async def test_no_upgrades():
    async with serving(allow_upgrades=False) as peer:
        _, _, body = await peer.request("GET", "EIO=4&transport=polling")
        data = json.loads(body[1:])
        assert data["upgrades"] == []
        async with peer.websocket(f"EIO=4&transport=websocket&sid={data['sid']}") as ws:
            with pytest.raises(ConnectionClosed):
                await ws.recv()


async def test_clients_that_are_not_monitored_live():
    async with serving(ping_interval=0.05, ping_timeout=0.05, monitor_clients=False) as peer:
        sid = await peer.open()
        await asyncio.sleep(0.3)
        assert sid in peer.eio.clients


def test_loggers():
    assert engineio.AsyncServer().logger is logging.getLogger("duplexio.engineio")
    mine = logging.getLogger("mine")
    assert engineio.AsyncServer(logger=mine).logger is mine
    default = logging.getLogger("duplexio.engineio")
    try:
        assert engineio.AsyncServer(logger=True).logger.level == logging.INFO
    finally:
        default.setLevel(logging.NOTSET)


async def test_the_log_can_be_read_and_holds_no_secret(caplog):
    caplog.set_level(logging.INFO)
    async with serving() as peer:
        sid = await peer.open()
        await peer.request("POST", f"EIO=4&transport=polling&sid={sid}", b"xx")
        await peer.request("GET", f"EIO=4&transport=polling&sid={sid}")
        log = "\n".join(r.getMessage() for r in caplog.records if r.name == "duplexio.engineio")
        assert f"{sid[:6]}: connected by polling" in log
        assert f"{sid[:6]}: disconnected: parse error" in log
        assert "request refused: Session ID unknown" in log
        assert sid not in log


# A blocked loop


async def test_a_blocked_loop_is_logged_with_the_handler(caplog):
    import time

    eio = engineio.AsyncServer(ping_interval=0.2, ping_timeout=0.3)

    @eio.on("message")
    def hog(sid, data):
        time.sleep(1.7)

    async with Running(eio) as peer, peer.websocket() as ws:
        await ws.recv()
        pongs = asyncio.create_task(answer_pings(ws))
        await ws.send("4x")
        await asyncio.sleep(2.2)
        assert len(eio.clients) == 1
        pongs.cancel()
        assert "the event loop was blocked for" in caplog.text
        assert "hog took 1." in caplog.text


async def answer_pings(ws):
    async for packet in ws:
        if packet == "2":
            await ws.send("3")


# The settings


async def test_settings_are_seen():
    eio = engineio.AsyncServer(
        ping_interval=(2, 1),
        ping_timeout=3,
        max_http_buffer_size=4,
        allow_upgrades=False,
        http_compression=False,
        compression_threshold=5,
        transports="polling",
        cors_allowed_origins="https://a.example",
    )
    assert (eio.ping_interval, eio.ping_interval_grace_period, eio.ping_timeout) == (2, 1, 3)
    assert (eio.max_http_buffer_size, eio.compression_threshold) == (4, 5)
    assert (eio.allow_upgrades, eio.http_compression) == (False, False)
    assert eio.transports == ("polling",)
    assert eio.cors_allowed_origins == "https://a.example"
    assert eio.cors_credentials
    with pytest.raises(AttributeError):
        eio.max_http_buffer_size = 5


async def test_allowed_origins_may_be_set_later():
    eio = echoing(cors_allowed_origins="https://a.example")
    query = "EIO=4&transport=polling"
    async with Running(eio) as peer:
        assert (await peer.request("GET", query, Origin="https://b.example"))[0] == 403
        eio.cors_allowed_origins = ["https://b.example"]
        status, headers, _ = await peer.request("GET", query, Origin="https://b.example")
        assert status == 200
        assert headers["access-control-allow-origin"] == "https://b.example"
        eio.cors_allowed_origins = []
        status, headers, _ = await peer.request("GET", query, Origin="https://c.example")
        assert status == 200
        assert "access-control-allow-origin" not in headers
        with pytest.raises(UsageError):
            eio.cors_allowed_origins = ["b.example"]


async def test_what_is_known_of_sessions():
    eio = echoing()
    seen = []
    done = asyncio.Event()

    @eio.on("disconnect")
    async def disconnect(sid):
        await asyncio.sleep(0)
        seen.append((eio.transport(sid), eio.get_environ(sid)["REQUEST_METHOD"]))
        assert await eio.get_session(sid) == {}
        done.set()

    async with Running(eio) as peer:
        sid = await peer.open()
        assert list(eio.sockets) == [sid]
        assert eio.transport(sid) == "polling"
        assert eio.get_environ("nobody") is None
        with pytest.raises(KeyError):
            eio.transport("nobody")
        await eio.disconnect(sid)
        poll = await peer.request("GET", f"EIO=4&transport=polling&sid={sid}")
        assert (poll[0], poll[2]) == (200, b"1")
        await done.wait()
        assert not eio.sockets
        assert seen == [("polling", "GET")]


# The end comes while a client is being let in


async def shake_hands(peer, transport):
    """Ask for a session; return the status of the answer."""
    headers = {}
    if transport == "websocket":
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
    status, _, _ = await peer.request("GET", f"EIO=4&transport={transport}", **headers)
    return status


# Refused upgrades are answered as Node's server does, or with what ASGI has for that.
REFUSALS = {"polling": (403, 503), "websocket": (400, 403, 503)}


def errors_in(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "ERROR" and record.name.startswith("duplexio")
    ]


@pytest.mark.parametrize("hosting", HOSTINGS)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_the_server_stops_while_a_connect_handler_runs(hosting, transport, caplog):
    entered, go_on = asyncio.Event(), asyncio.Event()
    async with serving(hosting) as peer:

        @peer.eio.on("connect")
        async def connect(sid, environ):
            entered.set()
            await go_on.wait()

        answer = asyncio.ensure_future(shake_hands(peer, transport))
        await asyncio.wait_for(entered.wait(), 10)
        peer.eio.engine.stop()
        go_on.set()
        assert await answer in REFUSALS[transport]
        await peer.wait_for("disconnect", "server shutting down")
        assert not peer.eio.engine.sessions
        assert not peer.eio.clients
        assert errors_in(caplog) == []


@pytest.mark.parametrize("hosting", HOSTINGS)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_connect_handler_disconnects_its_client(hosting, transport, caplog):
    async with serving(hosting) as peer:

        @peer.eio.on("connect")
        async def connect(sid, environ):
            await peer.eio.disconnect(sid)

        assert await shake_hands(peer, transport) in REFUSALS[transport]
        await peer.wait_for("disconnect", "forced close")
        assert not peer.eio.engine.sessions
        assert not peer.eio.clients
        assert errors_in(caplog) == []


@pytest.mark.parametrize("hosting", HOSTINGS)
async def test_a_hook_of_headers_that_raises_leaves_no_session_behind(hosting, caplog):
    def add_headers(environ, headers):
        raise RuntimeError("no headers")

    async with serving(hosting, response_headers=add_headers) as peer:
        async with peer.websocket() as ws:
            await ws.recv()
            await ws.send("4hello")
            assert await ws.recv() == "4hello"
        assert await shake_hands(peer, "polling") == 200
        await peer.wait_for("disconnect", "transport close")
        assert "response_headers raised" in errors_in(caplog)


async def test_the_access_log_of_the_front_door_holds_no_secret(caplog, request):
    for name in ("uvicorn.access", "uvicorn.error"):
        # Whoever has configured uvicorn's logging before keeps its records from the root logger.
        caplog.set_level(logging.INFO, name)
        logging.getLogger(name).addHandler(caplog.handler)
        request.addfinalizer(lambda n=name: logging.getLogger(n).removeHandler(caplog.handler))
    async with serving("native") as peer:
        sid = await peer.open()
        await peer.request("POST", f"EIO=4&transport=polling&sid={sid}", b"4x")
        async with peer.websocket(f"EIO=4&transport=websocket&sid={sid}") as ws:
            await ws.send("2probe")
            await ws.recv()
        lines = [r.getMessage() for r in caplog.records if r.name.startswith("uvicorn")]
    shown = f"sid={sid[:6]}…"
    assert any('"POST /engine.io/?EIO=4' in line and shown in line for line in lines)
    assert any('"WebSocket /engine.io/?EIO=4' in line and shown in line for line in lines)
    assert not [line for line in lines if sid in line]
