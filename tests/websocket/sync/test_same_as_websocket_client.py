"""The same program, run with websocket-client and with the blocking API, prints the same."""

import gc
import inspect
import threading
import warnings
from collections.abc import Callable

import pytest
import websocket as original

from duplexio.websocket import sync as ours
from tests.websocket.sync.peers import websockets_server


def handler(ws):
    path = ws.request.path
    if path == "/push":
        for i in range(3):
            ws.send(f"m{i}")
        ws.close(1001, "bye")
    elif path == "/drop":
        ws.send("x")
        ws.socket.shutdown(2)
    elif path == "/fragments":
        ws.send(["ab", "cd", "ef"])
        ws.close(4000, "done")
    elif path == "/ping":
        ws.ping(b"p1")
        ws.send("after")
        ws.close()
    else:
        for message in ws:
            ws.send(message)


@pytest.fixture(scope="module")
def url():
    with websockets_server(handler) as url:
        yield url


def callbacks(say):
    return {
        "on_open": lambda ws: say("open", ws.sock.connected),
        "on_message": lambda ws, message: say("message", repr(message)),
        "on_error": lambda ws, error: say("error", type(error).__name__, str(error)),
        "on_close": lambda ws, code, reason: say("close", code, reason),
        "on_ping": lambda ws, data: say("ping", data),
        "on_pong": lambda ws, data: say("pong", data),
        "on_data": lambda ws, data, kind, fin: say("data", repr(data), kind, fin),
    }


def attempt(say, call):
    try:
        say(repr(call()))
    except Exception as exc:
        say(type(exc).__name__, str(exc))


PROGRAMS: dict[str, Callable[..., object]] = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@program
def server_pushes_and_closes(websocket, url, say):
    say(websocket.WebSocketApp(url + "/push", **callbacks(say)).run_forever())


@program
def server_drops_the_connection(websocket, url, say):
    say(websocket.WebSocketApp(url + "/drop", **callbacks(say)).run_forever())


@program
def nobody_listens(websocket, url, say):
    say(websocket.WebSocketApp("ws://127.0.0.1:1/", **callbacks(say)).run_forever())


@program
def fragments(websocket, url, say):
    app = websocket.WebSocketApp(
        url + "/fragments",
        on_cont_message=lambda ws, data, fin: say("cont", data, fin),
        **callbacks(say),
    )
    say(app.run_forever())


@program
def server_pings(websocket, url, say):
    say(websocket.WebSocketApp(url + "/ping", **callbacks(say)).run_forever())


@program
def closing_in_a_callback(websocket, url, say):
    def on_message(ws, message):
        say("message", message)
        ws.close(status=1000)

    functions = callbacks(say) | {"on_open": lambda ws: ws.send("hello"), "on_message": on_message}
    say(websocket.WebSocketApp(url, **functions).run_forever())


@program
def bound_methods_of_another_object(websocket, url, say):
    class Other:
        def on_open(self, ws):
            say("open")

        def on_message(self, ws, message):
            say("message", message)

        def on_close(self, ws, code, reason):
            say("close", code, reason)

    other = Other()
    app = websocket.WebSocketApp(
        url + "/push",
        on_open=other.on_open,
        on_message=other.on_message,
        on_close=other.on_close,
    )
    say(app.run_forever())


@program
def interrupt(websocket, url, say):
    def on_open(ws):
        raise KeyboardInterrupt

    app = websocket.WebSocketApp(url, **callbacks(say) | {"on_open": on_open})
    say(app.run_forever())


@program
def exit_in_a_callback(websocket, url, say):
    def on_open(ws):
        raise SystemExit(3)

    app = websocket.WebSocketApp(url, **callbacks(say) | {"on_open": on_open})
    try:
        app.run_forever()
    except SystemExit as exc:
        say("exit", exc.code)


@program
def exceptions_in_a_callback(websocket, url, say):
    def on_message(ws, message):
        raise RuntimeError(message)

    app = websocket.WebSocketApp(url + "/push", **callbacks(say) | {"on_message": on_message})
    say(app.run_forever())


@program
def arguments(websocket, url, say):
    for options in (
        {"ping_interval": 1, "ping_timeout": 1},
        {"ping_interval": 1, "ping_timeout": 2},
        {"ping_timeout": 0},
        {"ping_interval": -1},
    ):
        try:
            websocket.WebSocketApp(url).run_forever(**options)
        except websocket.WebSocketException as exc:
            say(exc)


@program
def reconnecting(websocket, url, say):
    count = 0

    def on_open(ws):
        nonlocal count
        count += 1
        say("open", count)
        if count == 3:
            ws.close()

    functions = callbacks(say) | {"on_open": on_open, "on_reconnect": on_open}
    # Whether the server's answer comes before it drops the connection is a matter of chance.
    functions["on_close"] = lambda ws, code, reason: say("close")
    say(websocket.WebSocketApp(url + "/drop", **functions).run_forever(reconnect=0.01))


@program
def closing_from_another_thread(websocket, url, say):
    opened = threading.Event()
    app = websocket.WebSocketApp(url, on_open=lambda ws: opened.set())

    def end():
        opened.wait(10)
        app.close()

    thread = threading.Thread(target=end)
    thread.start()
    # The original looks up this often.
    app.run_forever(ping_timeout=0.1)
    thread.join()
    say(app.sock, app.keep_running)


@program
def messages(websocket, url, say):
    ws = websocket.create_connection(url, timeout=5)
    say(ws.send("hi"), ws.recv(), ws.send_binary(b"x"), ws.recv(), ws.send("é"), ws.recv_data())
    say(ws.send_text("a"), ws.recv(), ws.send_bytes(b"b"), ws.recv())
    say(ws.connected, ws.status, ws.subprotocol, ws.gettimeout(), ws.is_ssl())
    say(ws.getheaders()["upgrade"], ws.handshake_response.status)
    ws.ping("x")
    say(ws.recv_data_frame(True)[1])
    ws.close()
    say(ws.connected, ws.sock, ws.close_frame)


@program
def frames(websocket, url, say):
    ws = websocket.create_connection(url, timeout=5)
    say(ws.send_frame(websocket.ABNF.create_frame("a", websocket.ABNF.OPCODE_TEXT, 0)))
    say(ws.send_frame(websocket.ABNF.create_frame("b", websocket.ABNF.OPCODE_CONT, 1)))
    say(ws.recv())
    ws.close()
    frame = websocket.ABNF(1, 0, 0, 0, websocket.ABNF.OPCODE_BINARY, 1, b"x" * 200)
    frame.get_mask_key = lambda count: b"abcd"
    say(frame.format(), websocket.ABNF.OPCODE_MAP, websocket.ABNF.mask(b"abcd", b"hello"))
    say(websocket.STATUS_NORMAL, websocket.STATUS_TRY_AGAIN_LATER)


@program
def nothing_comes(websocket, url, say):
    ws = websocket.create_connection(url, timeout=5)
    ws.settimeout(0.01)
    attempt(say, ws.recv)
    attempt(say, ws.recv)
    ws.settimeout(5)
    ws.send("x")
    attempt(say, ws.recv)
    ws.close()


@program
def after_the_end(websocket, url, say):
    ws = websocket.create_connection(url, timeout=5)
    ws.close()
    ws.close()
    for call in (ws.recv, lambda: ws.send("x"), ws.ping):
        attempt(say, call)


@program
def the_server_closes(websocket, url, say):
    ws = websocket.create_connection(url + "/push", timeout=5)
    for _ in range(6):
        attempt(say, ws.recv)
        say(ws.connected)


@program
def the_server_drops(websocket, url, say):
    ws = websocket.create_connection(url + "/drop", timeout=5)
    for _ in range(3):
        attempt(say, ws.recv)
        say(ws.connected, ws.sock is None)


@program
def fragments_one_by_one(websocket, url, say):
    ws = websocket.create_connection(url + "/fragments", timeout=5, fire_cont_frame=True)
    for _ in range(4):
        opcode, frame = ws.recv_data_frame()
        say(opcode, frame)


@program
def masking_keys(websocket, url, say):
    asked: list[int] = []
    ws = websocket.create_connection(url, timeout=5)

    def key(count):
        asked.append(count)
        return b"\0\0\0\0"

    ws.set_mask_key(key)
    ws.send("a")
    ws.send("b")
    say(asked, ws.recv(), ws.recv())
    ws.close()


@program
def connecting_to_nonsense(websocket, url, say):
    for target, kind in (
        ("http://x", ValueError),
        ("ws://", ValueError),
        ("nonsense", ValueError),
        ("ws://127.0.0.1:1/", ConnectionRefusedError),
        ("ws://nowhere.invalid/", websocket.WebSocketAddressException),
    ):
        with pytest.raises(kind):
            websocket.create_connection(target, timeout=5)
        say(target, kind.__name__)


def run(function, module, url):
    lines: list[str] = []
    function(module, url, lambda *words: lines.append(" ".join(map(str, words))))
    return lines


@pytest.mark.parametrize("name", PROGRAMS)
def test_same(name, url):
    with warnings.catch_warnings():
        # The original leaves sockets to the garbage collector, which complains.
        warnings.simplefilter("ignore", ResourceWarning)
        expected = run(PROGRAMS[name], original, url)
        gc.collect()
    assert expected
    assert run(PROGRAMS[name], ours, url) == expected


NAMES = [
    name
    for name in dir(original)
    if not name.startswith("_") and (name.startswith(("STATUS_", "WebSocket")) or name == "ABNF")
]


@pytest.mark.parametrize(
    "name",
    [
        *NAMES,
        "create_connection",
        "enableTrace",
        "setdefaulttimeout",
        "getdefaulttimeout",
        "isEnabledForDebug",
        "isEnabledForError",
        "isEnabledForTrace",
        "set_reconnect",
        "_abnf",
        "_app",
        "_core",
        "_exceptions",
    ],
)
def test_names(name):
    assert hasattr(original, name)
    assert hasattr(ours, name)


@pytest.mark.parametrize("class_name", ["WebSocket", "WebSocketApp", "ABNF"])
def test_methods(class_name):
    theirs = {name for name in dir(getattr(original, class_name)) if not name.startswith("_")}
    # Internal in the original, by its documentation.
    missing = theirs - set(dir(getattr(ours, class_name)))
    assert missing <= {"create_dispatcher"}


@pytest.mark.parametrize(
    "function", [("WebSocketApp", "__init__"), ("WebSocketApp", "run_forever")], ids=str
)
def test_arguments_have_the_same_order(function):
    class_name, method = function
    theirs = inspect.signature(getattr(getattr(original, class_name), method))
    own = inspect.signature(getattr(getattr(ours, class_name), method))
    names = list(theirs.parameters)
    assert list(own.parameters)[: len(names)] == names
