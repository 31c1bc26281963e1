"""The client for asyncio at our own server, through real sockets."""

import asyncio
import inspect
import logging

import pytest
import socketio as original

from duplexio import socketio
from duplexio.engineio.exceptions import PayloadTooLarge
from duplexio.errors import UsageError
from duplexio.socketio import exceptions
from tests.engineio.serving import hosted
from tests.socketio.fakes import until

TRANSPORTS = [["polling"], ["websocket"], None]


def make_server(**options):
    """Return a server, and what its handlers have seen."""
    server = socketio.AsyncServer(**options)
    server.seen = seen = []

    @server.event
    async def connect(sid, environ, auth):
        seen.append(("connect", auth))
        if auth and "refuse" in auth:
            raise socketio.ConnectionRefusedError("not you")

    @server.on("add")
    async def add(sid, a, b):
        return a + b

    @server.on("echo")
    async def echo(sid, *args):
        await server.emit("echo", args, to=sid)

    @server.on("note")
    def note(sid, *args):
        seen.append(args)

    @server.on("slow")
    async def slow(sid, seconds):
        await asyncio.sleep(seconds)
        return "done"

    @server.on("kick")
    async def kick(sid):
        await server.disconnect(sid)

    @server.on("break")
    def break_connection(sid):
        server.hub.adapters["/"].members[sid].session.end("transport error")

    return server


@pytest.fixture
async def server():
    return make_server()


@pytest.fixture
async def url(server):
    async with hosted(socketio.ASGIApp(server)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def sio():
    before = asyncio.all_tasks()
    async with socketio.AsyncClient(reconnection_delay=0.01) as sio:
        yield sio
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()} or own_tasks())


def own_tasks():
    """Return whether all tasks are the server's."""
    return all("socketio/async_client" not in str(task.get_coro()) for task in asyncio.all_tasks())


# The same names as python-socketio's


#: What python-socketio's clients have inside.
INTERNAL = {"eio", "packet_class", "callbacks", "failed_namespaces"}


@pytest.mark.parametrize(
    "name",
    [
        "AsyncClient",
        "AsyncSimpleClient",
        "AsyncClientNamespace",
        "Client",
        "SimpleClient",
        "ClientNamespace",
    ],
)
def test_names_and_arguments(name):
    theirs, ours = getattr(original, name), getattr(socketio, name)
    for method in dir(theirs):
        if method.startswith("_") and method != "__init__":
            continue
        assert hasattr(ours, method), method
        expected = getattr(theirs, method)
        if not inspect.isfunction(expected):
            continue
        own = getattr(ours, method)
        assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(expected), method
        parameters = inspect.signature(own).parameters
        names = list(inspect.signature(expected).parameters.items())
        for position, (key, value) in enumerate(names):
            if value.kind is inspect.Parameter.VAR_KEYWORD:
                continue
            assert list(parameters)[position] == key or key in ("args", "kwargs"), (method, key)
            assert parameters[key].default == value.default, (method, key)


@pytest.mark.parametrize("name", ["AsyncClient", "Client"])
def test_attributes(name):
    theirs, ours = getattr(original, name)(handle_sigint=False), getattr(socketio, name)()
    public = {key for key in vars(theirs) if not key.startswith("_")}
    assert {key for key in public if not hasattr(ours, key)} <= INTERNAL


# Connecting


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_events(server, url, sio, transports, protocol):
    client = socketio.AsyncClient(protocol=protocol)
    events = asyncio.Queue()
    client.on("echo", lambda *args: events.put_nowait(args))
    await client.connect(url, transports=transports)
    assert client.connected
    assert client.namespaces == {"/": client.get_sid()}
    assert client.protocol == protocol
    assert await client.call("add", (1, 2)) == 3
    await client.emit("echo", ({"b": b"x"}, "é"))
    assert await events.get() == ({"b": b"x"}, "é")
    answers = asyncio.Queue()
    await client.emit("add", ("a", "b"), callback=answers.put_nowait)
    assert await answers.get() == "ab"
    await client.send("hello")
    await client.disconnect()
    assert not client.connected
    assert client.namespaces == {}
    assert client.sid is None


async def test_states_are_told(url, sio):
    states = []
    sio.on_state(states.append)
    sio.on_state(lambda state: 1 / 0)
    await sio.connect(url)
    await sio.emit("break")
    await until(lambda: len(states) > 4)
    await sio.disconnect()
    assert states == [
        "connecting",
        "connected",
        "waiting",
        "connecting",
        "connected",
        "disconnected",
    ]


async def test_connecting_twice(url, sio):
    await sio.connect(url)
    with pytest.raises(exceptions.ConnectionError, match="Already connected"):
        await sio.connect(url)


async def test_connecting_again(url, sio):
    for _ in range(2):
        await sio.connect(url)
        assert await sio.call("add", (1, 1)) == 2
        await sio.disconnect()
        with pytest.raises(exceptions.BadNamespaceError):
            await sio.emit("note", 1)


async def test_nobody_is_there(sio):
    errors = []
    sio.on("connect_error", errors.append)
    with pytest.raises(exceptions.ConnectionError):
        await sio.connect("http://127.0.0.1:1")
    assert len(errors) == 1
    assert sio.state == "disconnected"


async def test_a_refusal_carries_what_the_server_says(url, sio):
    with pytest.raises(exceptions.ConnectionError, match="not you") as caught:
        await sio.connect(url, auth={"refuse": 1})
    assert caught.value.data == {"message": "not you"}
    assert sio.state == "disconnected"


@pytest.mark.parametrize("wrong", [{"offline": "x"}, {"retries": -1}, {"ack_timeout": 0}, {"x": 1}])
def test_arguments_that_are_wrong(wrong):
    with pytest.raises(UsageError):
        socketio.AsyncClient(**wrong)


async def test_functions_for_the_url_headers_and_auth(server, url, sio):
    async def get_url():
        return url

    calls = []
    await sio.connect(get_url, headers=lambda: calls.append(1) or {"x": "y"}, auth=lambda: {"a": 1})
    assert ("connect", {"a": 1}) in server.seen
    await sio.emit("break")
    await until(lambda: len(calls) == 2 and sio.connected)


async def test_a_function_that_raises(url, sio):
    def auth():
        raise LookupError("no token")

    with pytest.raises(LookupError):
        await sio.connect(url, auth=auth)
    assert sio.state == "disconnected"


async def test_a_function_that_raises_later_is_asked_again(url, sio, caplog):
    calls = []

    def auth():
        calls.append(1)
        if len(calls) == 2:
            raise LookupError("no token")
        return {}

    await sio.connect(url, auth=auth)
    await sio.emit("break")
    await until(lambda: len(calls) == 3 and sio.connected)
    assert "LookupError" in caplog.text


async def test_a_connect_handler_has_run_when_connect_returns(url, sio):
    done = []

    @sio.event
    async def connect():
        done.append(await sio.call("add", (1, 2)))

    await sio.connect(url)
    assert done == [3]


async def test_retry_goes_on_until_the_server_is_there(sio):
    app = socketio.ASGIApp(make_server())
    async with hosted(app) as port:
        pass
    task = asyncio.ensure_future(sio.connect(f"http://127.0.0.1:{port}", retry=True))
    await until(lambda: sio.state == "waiting")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sio.state == "disconnected"


async def test_attempts_are_limited(server, url):
    sio = socketio.AsyncClient(reconnection_delay=0.01, reconnection_attempts=2)
    errors = []
    sio.on("connect_error", errors.append)
    urls = iter([url])
    await sio.connect(lambda: next(urls, "http://127.0.0.1:1"))
    answer = asyncio.ensure_future(sio.call("slow", 30))
    await asyncio.sleep(0)
    await sio.emit("break")
    await sio.wait()
    assert sio.state == "disconnected"
    assert len(errors) == 2
    with pytest.raises(exceptions.AckLostError):
        await answer


async def test_without_reconnection(url):
    sio = socketio.AsyncClient(reconnection=False)
    reasons = []
    sio.on("disconnect", reasons.append)
    await sio.connect(url)
    await sio.emit("break")
    await sio.wait()
    assert reasons == ["transport error"]


async def test_disconnecting_while_connecting(sio):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    task = asyncio.ensure_future(sio.connect(f"http://127.0.0.1:{port}"))
    await until(lambda: sio.state == "connecting")
    await sio.disconnect()
    with pytest.raises(exceptions.ConnectionError):
        await task
    listener.close()


async def test_handlers_may_disconnect_and_connect(url, sio):
    connected = []

    @sio.event
    async def connect():
        connected.append(1)
        if len(connected) == 1:
            await sio.disconnect()

    with pytest.raises(exceptions.ConnectionError):
        await sio.connect(url)
    assert sio.state == "disconnected"

    @sio.event
    async def disconnect(reason):
        if len(connected) == 2:
            await sio.connect(url)

    await sio.connect(url)
    await sio.disconnect()
    await until(lambda: sio.connected)
    assert len(connected) == 3


# Calls


async def test_a_call_that_takes_too_long(url, sio):
    await sio.connect(url)
    with pytest.raises(exceptions.TimeoutError, match=r"'slow' within 0\.01 s"):
        await sio.call("slow", 5, timeout=0.01)
    assert not sio.hub.spaces["/"].acks


async def test_a_call_that_is_cancelled(url, sio):
    await sio.connect(url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sio.call("slow", 5)
    assert not sio.hub.spaces["/"].acks
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sio.call("add", (n, 1))) for n in range(10)]
    assert [task.result() for task in tasks] == list(range(1, 11))


async def test_a_call_fails_when_the_connection_breaks(url, sio):
    await sio.connect(url)
    answer = asyncio.ensure_future(sio.call("slow", 30))
    await asyncio.sleep(0)
    await sio.emit("break")
    with pytest.raises(exceptions.AckLostError):
        await answer


async def test_retries_survive_a_break(server, url):
    async with socketio.AsyncClient(retries=5, reconnection_delay=0.01) as sio:
        await sio.connect(url)
        answers = [asyncio.ensure_future(sio.call("slow", 0.1)) for _ in range(3)]
        await sio.emit("note", 1)
        await until(lambda: (1,) in server.seen)
        server.hub.adapters["/"].members[sio.get_sid()].session.end("transport error")
        assert await asyncio.gather(*answers) == ["done"] * 3
        await until(lambda: sio.connected)
        assert server.hub.counters["repeated_emits"] == 3


async def test_a_message_that_is_too_large(sio):
    server = make_server(max_http_buffer_size=1000)
    async with hosted(socketio.ASGIApp(server)) as port:
        await sio.connect(f"http://127.0.0.1:{port}")
        with pytest.raises(PayloadTooLarge, match="maxPayload"):
            await sio.call("note", "x" * 1000)
        assert await sio.call("add", (1, 2)) == 3
        assert not sio.hub.spaces["/"].acks


# Handlers


async def test_class_namespaces(server, url, sio):
    calls = []

    class Mine(socketio.AsyncClientNamespace):
        async def on_connect(self):
            calls.append("connect")

        async def on_echo(self, *args):
            calls.append(args)
            await self.emit("note", "got it")

        def on_disconnect(self, reason):
            calls.append(reason)

    namespace = Mine("/")
    with pytest.raises(UsageError, match="not registered"):
        await namespace.emit("x")
    sio.register_namespace(namespace)
    await sio.connect(url)
    assert await namespace.call("add", (1, 2)) == 3
    await namespace.emit("echo", 5)
    await until(lambda: ("got it",) in server.seen)
    await namespace.disconnect()
    assert calls == ["connect", (5,), "client disconnect"]


async def test_a_namespace_of_another_kind(sio):
    for wrong in (object(), socketio.ClientNamespace(), socketio.AsyncNamespace("/")):
        with pytest.raises(UsageError):
            sio.register_namespace(wrong)


async def test_catch_alls(url, sio):
    server = sio
    calls = []
    server.on("*", lambda event, *args: calls.append((event, args)))
    await sio.connect(url)
    await sio.emit("echo", 1)
    await until(lambda: calls)
    assert calls == [("echo", (1,))]


async def test_typed_events(url, sio, caplog):
    import msgspec

    class Point(msgspec.Struct):
        x: int

    points = []

    @sio.event
    def echo(point: Point):
        points.append(point)

    sio.registry.add("echo", "/", echo)
    echo.__annotations__["point"] = Point
    await sio.connect(url)
    await sio.emit("echo", {"x": 1})
    await sio.emit("echo", {"x": "one"})
    await sio.emit("echo", {"x": 2})
    await until(lambda: len(points) == 2)
    assert points == [Point(1), Point(2)]
    assert sio.hub.counters["invalid_payloads"] == 1


async def test_handlers_run_one_after_the_other(url):
    order = []
    async with socketio.AsyncClient(async_handlers=False) as sio:

        @sio.event
        async def echo(number):
            order.append(("begin", number))
            await asyncio.sleep(0.01 if number == 0 else 0)
            order.append(("end", number))

        await sio.connect(url)
        for number in range(3):
            await sio.emit("echo", number)
        await until(lambda: len(order) == 6)
    assert order == [(what, n) for n in range(3) for what in ("begin", "end")]


async def test_slow_handlers_hold_the_server_back(url):
    release = asyncio.Event()
    async with socketio.AsyncClient(max_pending_handlers=3) as sio:

        @sio.event
        async def echo(number):
            await release.wait()

        await sio.connect(url, transports=["websocket"])
        for number in range(10):
            await sio.emit("echo", number)
        await until(lambda: sio.session.reading_paused)
        assert sio.hub.counters["max_pending_handlers"] == 1
        release.set()
        assert await sio.call("add", (1, 2)) == 3


async def test_a_handler_that_raises(url, sio, caplog):
    sio.on("echo", lambda: 1 / 0)
    await sio.connect(url)
    await sio.emit("echo")
    await until(lambda: "ZeroDivisionError" in caplog.text)
    assert sio.connected


async def test_listeners_to_all(url, sio):
    incoming, outgoing = [], []
    sio.on_any(lambda *args: incoming.append(args))
    sio.on_any_outgoing(lambda *args: outgoing.append(args))
    await sio.connect(url)
    await sio.emit("echo", 1)
    await until(lambda: incoming)
    assert outgoing == [("echo", "/", None, 1)]
    assert incoming == [("echo", "/", sio.get_sid(), 1)]


async def test_msgpack_and_json(caplog):
    import json

    server = make_server(serializer="msgpack")
    sio = socketio.AsyncClient(serializer="msgpack")
    async with hosted(socketio.ASGIApp(server)) as port, sio:
        await sio.connect(f"http://127.0.0.1:{port}")
        assert await sio.call("add", ([b"a"], [b"b"])) == [b"a", b"b"]
    sio = socketio.AsyncClient(json=json, logger=logging.getLogger("x"))
    async with hosted(socketio.ASGIApp(make_server())) as port, sio:
        await sio.connect(f"http://127.0.0.1:{port}")
        assert await sio.call("add", ("a", "b")) == "ab"


# The client without handlers


@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_the_simple_client(url, transports):
    async with socketio.AsyncSimpleClient(reconnection_delay=0.01) as sio:
        assert sio.sid is None
        assert sio.transport == ""
        with pytest.raises(exceptions.DisconnectedError):
            await sio.emit("x")
        await sio.connect(url, transports=transports)
        with pytest.raises(RuntimeError):
            await sio.connect(url)
        await sio.emit("echo", (1, b"x"))
        assert await sio.receive() == ["echo", 1, b"x"]
        assert await sio.call("add", (1, 2)) == 3
        with pytest.raises(exceptions.TimeoutError):
            await sio.receive(timeout=0.01)
        states = []
        sio.client.on_state(states.append)
        await sio.emit("break")
        await until(lambda: states)
        await sio.emit("echo", 2)
        await sio.emit("kick")
        assert await sio.receive() == ["echo", 2]
        with pytest.raises(exceptions.DisconnectedError):
            await sio.receive(timeout=5)


async def test_the_simple_client_holds_the_server_back(url):
    async with socketio.AsyncSimpleClient(max_received=4) as sio:
        await sio.connect(url, transports=["websocket"])
        for number in range(20):
            await sio.emit("echo", number)
        await until(lambda: sio.client.session.reading_paused)
        for number in range(20):
            assert await sio.receive(timeout=5) == ["echo", number]
        assert sio.client.hub.counters["max_received"] >= 1


async def test_background_tasks(sio):
    async def task(value, other):
        return value + other

    assert await sio.start_background_task(task, 1, other=2) == 3
    await sio.sleep(0)
    assert await sio.shutdown() is None


async def test_the_application_s_client_of_http(server, url):
    import aiohttp

    http = aiohttp.ClientSession(headers={"x-mine": "1"})
    async with http, socketio.AsyncClient(http_session=http) as sio:
        await sio.connect(url)
        assert sio.transport() == "websocket"
        environ = server.get_environ(sio.get_sid())
        assert environ["HTTP_X_MINE"] == "1"


async def test_extra_options_for_the_websocket(server, url):
    options = {"headers": {"x-mine": "1"}, "origin": url}
    async with socketio.AsyncClient(websocket_extra_options=options) as sio:
        await sio.connect(url, transports="websocket")
        assert server.get_environ(sio.get_sid())["HTTP_X_MINE"] == "1"
