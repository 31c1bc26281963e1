"""The client that blocks, at our own server, from threads and forked processes."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from duplexio import socketio
from duplexio.engineio.exceptions import PayloadTooLarge
from duplexio.errors import UsageError
from duplexio.socketio import exceptions
from tests.engineio.serving import hosted
from tests.socketio.test_client_async import make_server

TRANSPORTS = [["polling"], ["websocket"], None]


class Host:
    """A server on an event loop in a thread of its own."""

    def __init__(self, **options):
        self.options = options

    def __enter__(self):
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.main()))
        self.thread.start()
        assert self.ready.wait(10)
        return self

    async def main(self):
        self.loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.server = make_server(**self.options)
        async with hosted(socketio.ASGIApp(self.server)) as port:
            self.url = f"http://127.0.0.1:{port}"
            self.ready.set()
            await self.ended.wait()

    def __exit__(self, *exc):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(10)


@pytest.fixture(scope="module")
def host():
    with Host() as host:
        yield host


@pytest.fixture
def sio():
    with socketio.Client(reconnection_delay=0.01) as sio:
        yield sio


def wait_for(event):
    assert event.wait(10)


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_events(host, sio, transports):
    received, got = [], threading.Event()

    @sio.event
    def echo(*args):
        received.append(args)
        got.set()

    sio.connect(host.url, transports=transports)
    assert sio.connected
    assert sio.state == "connected"
    assert sio.namespaces == {"/": sio.get_sid()}
    assert sio.transport() in ("polling", "websocket")
    assert sio.sid
    assert sio.protocol == 4
    assert not sio.recovered
    assert sio.call("add", (1, 2)) == 3
    sio.emit("echo", ({"b": b"x"}, "é"))
    wait_for(got)
    assert received == [({"b": b"x"}, "é")]
    answered = threading.Event()
    sio.emit("add", ("a", "b"), callback=lambda answer: answer == "ab" and answered.set())
    wait_for(answered)
    sio.send("hello")
    sio.disconnect()
    assert sio.state == "disconnected"
    with pytest.raises(exceptions.BadNamespaceError):
        sio.emit("echo")


def test_handlers_run_in_order_and_may_call(host, sio):
    seen, done = [], threading.Event()

    @sio.event
    def connect():
        seen.append(sio.call("add", (1, 1)))

    @sio.event
    def echo(number):
        seen.append((number, sio.call("add", (number, 1))))
        if number == 9:
            done.set()

    sio.connect(host.url)
    assert seen == [2]
    for number in range(10):
        sio.emit("echo", number)
    wait_for(done)
    assert seen[1:] == [(number, number + 1) for number in range(10)]


def test_handlers_may_overlap_when_asked_to(host):
    barrier = threading.Barrier(3)
    with socketio.Client(async_handlers=True) as sio:

        @sio.event
        def echo(number):
            barrier.wait(10)

        sio.connect(host.url)
        sio.emit("echo", 1)
        sio.emit("echo", 2)
        barrier.wait(10)


def test_handlers_may_disconnect_and_connect(host, sio):
    connected, back = [], threading.Event()

    @sio.event
    def connect():
        connected.append(1)
        if len(connected) == 2:
            back.set()

    @sio.event
    def echo():
        sio.disconnect()

    @sio.event
    def disconnect(reason):
        if len(connected) == 1:
            sio.connect(host.url)

    sio.connect(host.url)
    sio.emit("echo")
    wait_for(back)


def test_disconnect_waits_for_its_handler(host, sio):
    reasons = []
    sio.on("disconnect", reasons.append)
    sio.connect(host.url)
    sio.disconnect()
    assert reasons == ["client disconnect"]


def test_answers_of_handlers(host, sio):
    got = threading.Event()
    results = []

    async def ask():
        client = next(iter(host.server.hub.adapters["/"].members.values()))
        return await host.server.call("question", "x", to=client.sid)

    sio.on("question", lambda text: (text, 7))
    sio.connect(host.url)
    results.append(asyncio.run_coroutine_threadsafe(ask(), host.loop).result(10))
    assert results == [("x", 7)]
    got.set()


def test_a_break(host, sio):
    states, back = [], threading.Event()

    @sio.on_state
    def state(value):
        states.append(value)
        if states.count("connected") == 2:
            back.set()

    lost = []
    sio.connect(host.url)
    failed = threading.Event()
    sio.emit("slow", 30, callback=print, on_failure=lambda exc: (lost.append(exc), failed.set()))
    sio.emit("break")
    wait_for(failed)
    wait_for(back)
    assert isinstance(lost[0], exceptions.AckLostError)
    assert sio.call("add", (1, 2)) == 3


def test_wait_returns_when_the_server_disconnects(host, sio):
    sio.connect(host.url)
    timer = threading.Timer(0.05, sio.emit, ("kick",))
    timer.start()
    sio.wait()
    timer.join()
    assert sio.state == "disconnected"


def test_errors(host, sio):
    with pytest.raises(exceptions.ConnectionError):
        sio.connect("http://127.0.0.1:1")
    with pytest.raises(exceptions.ConnectionError, match="not you"):
        sio.connect(host.url, auth=lambda: {"refuse": 1})
    sio.connect(host.url)
    with pytest.raises(TypeError):
        sio.emit("x", object())
    with pytest.raises(exceptions.TimeoutError):
        sio.call("slow", 5, timeout=0.01)
    with pytest.raises(PayloadTooLarge):
        sio.emit("x", "x" * 2_000_000)


def test_many_threads(host, sio):
    sio.connect(host.url)

    def work(name):
        for number in range(20):
            sio.emit("note", (name, number))
        return sio.call("add", (name, 1))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(100, 108))) == list(range(101, 109))
    for name in range(100, 108):
        notes = [args[1] for args in host.server.seen if args[0] == name]
        assert notes == list(range(20))


def test_a_class_namespace(host, sio):
    got = threading.Event()

    class Mine(socketio.ClientNamespace):
        def on_echo(self, value):
            if self.call("add", (value, 1)) == 8:
                got.set()

    with pytest.raises(UsageError):
        sio.register_namespace(socketio.AsyncClientNamespace())
    with pytest.raises(UsageError):
        sio.register_namespace(object())
    namespace = Mine()
    sio.register_namespace(namespace)
    sio.connect(host.url)
    namespace.emit("echo", 7)
    wait_for(got)
    namespace.send("x")
    namespace.disconnect()
    assert not sio.connected


def test_it_cannot_be_used_on_its_own_loop(host, sio):
    sio.connect(host.url)
    errors, done = [], threading.Event()

    def call():
        try:
            sio.call("add", (1, 2))
        except UsageError as exc:
            errors.append(exc)
        done.set()

    sio.post(call)
    wait_for(done)
    assert len(errors) == 1


def test_background_tasks(sio):
    got = []
    thread = sio.start_background_task(lambda a, b: got.append(a + b), 1, b=2)
    thread.join(10)
    sio.sleep(0)
    assert got == [3]
    assert not sio.is_asyncio_based()


# The client without handlers


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_simple_client(host, transports):
    with socketio.SimpleClient(reconnection_delay=0.01) as sio:
        with pytest.raises(exceptions.DisconnectedError):
            sio.receive()
        sio.connect(host.url, transports=transports)
        with pytest.raises(RuntimeError):
            sio.connect(host.url)
        assert sio.sid
        assert sio.transport
        sio.emit("echo", (1, b"x"))
        assert sio.receive() == ["echo", 1, b"x"]
        assert sio.call("add", (1, 2)) == 3
        with pytest.raises(exceptions.TimeoutError):
            sio.receive(timeout=0.01)
        sio.emit("kick")
        with pytest.raises(exceptions.DisconnectedError):
            sio.receive(timeout=5)


def test_the_simple_client_holds_the_server_back(host):
    with socketio.SimpleClient(max_received=4) as sio:
        sio.connect(host.url, transports=["websocket"])
        for number in range(20):
            sio.emit("echo", number)
        for number in range(20):
            assert sio.receive(timeout=5) == ["echo", number]


# Processes


def run(program, url):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_program_that_ends_while_connected(host):
    done = run(
        """
        import sys
        from duplexio import socketio
        sio = socketio.Client()
        sio.connect(sys.argv[1])
        print(sio.call("add", (1, 2)))
        """,
        host.url,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("3\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork(host):
    done = run(
        """
        import os, sys, warnings
        from duplexio import socketio
        from duplexio.errors import UsageError
        sio = socketio.Client()
        sio.connect(sys.argv[1])
        # Python 3.12 and later warn of forks in programs with threads, as this one is.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            try:
                sio.call("add", (1, 2))
            except UsageError as exc:
                print("UsageError", flush=True)
            other = socketio.Client()
            other.connect(sys.argv[1])
            print(other.call("add", (2, 2)), flush=True)
            other.disconnect()
            os._exit(0)
        os.waitpid(child, 0)
        print(sio.call("add", (1, 2)))
        sio.disconnect()
        """,
        host.url,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("UsageError\n4\n3\n", "", 0)


def test_the_application_s_client_of_http(host):
    # What is asked of a requests.Session.
    http = SimpleNamespace(
        headers={"x-mine": "1"}, cookies=[], auth=None, verify=True, cert=None, proxies={}
    )
    with socketio.Client(http_session=http, websocket_extra_options={"timeout": 5}) as sio:
        sio.connect(host.url)
        assert host.server.get_environ(sio.get_sid())["HTTP_X_MINE"] == "1"
