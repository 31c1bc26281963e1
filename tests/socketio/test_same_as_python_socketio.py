"""The same program, run with python-socketio and with ours, does the same on the wire."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from contextlib import AsyncExitStack

import engineio as original_engineio
import pytest
import socketio as original
from websockets.asyncio.client import connect

from duplexio import engineio, socketio
from tests.engineio.serving import hosted

# Names

#: In python-socketio, and not in this release; each says so.
ABSENT = {
    "AsyncAioPikaManager",
    "AsyncRedisManager",
    "KafkaManager",
    "KombuManager",
    "Manager",
    "Middleware",
    "Namespace",
    "PubSubManager",
    "RedisManager",
    "Server",
    "WSGIApp",
    "ZmqManager",
    "get_tornado_handler",
}
#: The clients, which have tests of their own.
CLIENTS = {name for name in original.__all__ if "Client" in name}

#: Methods and attributes of classes that no program has use for: steps of serving a request, and
#: packets that are objects.
INTERNAL = {
    "AsyncServer": {
        "log_message_keys",
        "manager_initialized",
        "not_handled",
        "packet_class",
        "send_packet",
        "sequence_number",
        "service_task_event",
        "service_task_handle",
        "start_service_task",
        "cookie",
    },
    "AsyncNamespace": set(),
    "ASGIApp": {"lifespan", "not_found", "serve_static_file"},
}


def pairs():
    for theirs, ours in ((original, socketio), (original_engineio, engineio)):
        for name in INTERNAL:
            if hasattr(theirs, name):
                yield pytest.param(getattr(theirs, name), getattr(ours, name), id=name)


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def defaults(function):
    return {name: item.default for name, item in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize("name", sorted(set(original.__all__) - ABSENT - CLIENTS))
def test_names(name):
    assert hasattr(socketio, name)


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_names_that_are_absent_say_what_to_do(name):
    assert name in original.__all__
    assert not hasattr(socketio, name)
    with pytest.raises(AttributeError, match=f"has no {name}: .+"):
        getattr(socketio, name)
    with pytest.raises(ImportError, match=f"has no {name}: .+"):
        exec(f"from duplexio.socketio import {name}")


def test_names_of_engineio_that_are_absent_say_so():
    with pytest.raises(ImportError, match="use AsyncServer and ASGIApp"):
        exec("from duplexio.engineio import WSGIApp")


def test_exceptions():
    for name in public(original.exceptions):
        theirs, ours = getattr(original.exceptions, name), getattr(socketio.exceptions, name)
        assert theirs.__mro__[1].__name__ in {base.__name__ for base in ours.__mro__}
    # The others are raised only inside of python-engineio, or by its clients.
    assert public(original_engineio.exceptions) - public(engineio.exceptions) <= {
        "ConnectionError",
        "QueueEmpty",
        "SocketIsClosedError",
    }


@pytest.mark.parametrize(("theirs", "ours"), list(pairs()))
def test_methods_and_their_arguments(theirs, ours):
    missing = public(theirs) - public(ours)
    assert missing <= INTERNAL[theirs.__name__]
    for name in ["__init__", *sorted(public(theirs) - missing)]:
        expected = getattr(theirs, name)
        method = getattr(ours, name)
        if not inspect.isfunction(expected) or name in ("handle_request", "instrument"):
            continue
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(expected), name
        names = {
            key: value.default for key, value in inspect.signature(expected).parameters.items()
        }
        if name == "__init__":
            # Ours tells apart whether it was asked for.
            names.pop("cors_credentials", None)
        own = defaults(method)
        assert list(own)[: len(names)] == list(names) or name == "__init__", name
        assert names.items() <= own.items(), name


def test_attributes():
    theirs = original.AsyncServer(async_mode="asgi")
    ours = socketio.AsyncServer(async_mode="asgi")
    assert public(theirs) - public(ours) <= INTERNAL["AsyncServer"]
    assert public(theirs.eio) - public(ours.eio) <= INTERNAL["AsyncServer"]
    for name in ("ping_interval", "ping_timeout", "max_http_buffer_size", "allow_upgrades"):
        assert getattr(ours.eio, name) == getattr(theirs.eio, name)
    assert set(vars(original.AsyncServer.reason)) <= set(vars(socketio.AsyncServer.reason))
    assert public(original_engineio.AsyncServer.reason) <= public(engineio.AsyncServer.reason)
    assert ours.async_mode == theirs.async_mode
    assert list(ours.reserved_events) == theirs.reserved_events


# Programs


def in_order(name):
    """Sort ids, which are random, and longer, behind other names."""
    return (len(name), "" if len(name) > 10 else name)


class Client:
    """A client that speaks packets, and says what it gets.

    Attributes:
        name: What stands for its ids.
        ids: Its ids, by namespace.
    """

    def __init__(self, name, ws, say):
        self.name = name
        self.ws = ws
        self.say = say
        self.ids = {}

    async def send(self, *packets):
        for packet in packets:
            await self.ws.send("4" + packet if isinstance(packet, str) else packet)

    async def get(self, count=1):
        """Receive packets, and say what they are."""
        for _ in range(count):
            packet = await asyncio.wait_for(self.ws.recv(), 10)
            assert packet != "2", "a ping came"
            if isinstance(packet, str):
                packet = packet[1:]
                if packet.startswith("0"):
                    namespace, _, data = packet[1:].rpartition(",")
                    self.ids[namespace or "/"] = json.loads(data)["sid"]
                # What is escaped in the JSON may differ.
                start = re.search(r'[\[{"]|$', packet).start()
                if start < len(packet):
                    packet = packet[:start] + json.dumps(json.loads(packet[start:]))
            self.say(self.name, "<-", packet)

    async def connect(self, namespace="/", auth=None):
        head = "0" if namespace == "/" else f"0{namespace},"
        await self.send(head + ("" if auth is None else json.dumps(auth)))
        await self.get()


class Stage:
    """What a program has: the library, a server, and clients that connect to it."""

    def __init__(self, module, stack):
        self.socketio = module
        self.sio = None
        self.lines = []
        self.clients = []
        self._stack = stack
        self._port = 0
        self._changed = asyncio.Event()

    def server(self, **options):
        self.sio = self.socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", **options)
        return self.sio

    def say(self, *words):
        self.lines.append(words)
        self._changed.set()

    async def told(self, count):
        """Wait until so many lines were said, all in all."""
        while len(self.lines) < count:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)

    async def client(self, namespace="/", auth=None):
        if not self._port:
            app = self.socketio.ASGIApp(self.sio)
            self._port = await self._stack.enter_async_context(hosted(app, "asgi"))
        name = "abc"[len(self.clients)]
        url = f"ws://127.0.0.1:{self._port}/socket.io/?EIO=4&transport=websocket"
        ws = await self._stack.enter_async_context(connect(url, compression=None))
        client = Client(name, ws, self.say)
        self.clients.append(client)
        assert (await ws.recv()).startswith("0{")
        if namespace is not None:
            await client.connect(namespace, auth)
        return client

    def transcript(self):
        """Return what was said, with names in place of the ids."""
        text = json.dumps(self.lines, default=repr)
        for client in self.clients:
            for namespace, sid in client.ids.items():
                text = text.replace(sid, f"{client.name}{namespace}")
        return json.loads(text)


PROGRAMS: dict[str, Callable[..., object]] = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@program
async def echo(stage):
    sio = stage.server()

    @sio.on("message")
    async def message(sid, msg):
        await sio.emit("server_response", {"data": msg["data"].upper()}, to=sid)

    a = await stage.client()
    await a.send('2["message",{"data":"hellö"}]')
    await a.get()


@program
async def what_handlers_return(stage):
    sio = stage.server()
    values = [None, 1, "x", (), (None,), (1, 2), [1, 2], {"a": None}, True, False, 1.5, b"\x01"]

    @sio.event
    def value(sid, index):
        return values[index]

    a = await stage.client()
    for index, result in enumerate(values):
        await a.send(f'2{index}["value",{index}]')
        await a.get(2 if isinstance(result, bytes) else 1)


@program
async def what_is_emitted(stage):
    sio = stage.server()
    a = await stage.client()
    for data in (None, 1, "é", (1, "b"), [1, 2], (), {}, {"b": [b"1", {"c": b"2"}]}):
        await sio.emit("x", data)
    await sio.send("hello")
    await a.get(11)


@program
async def binary(stage):
    sio = stage.server()

    @sio.event
    async def data(sid, first, second):
        stage.say("handler", first, second["b"])
        return second

    a = await stage.client()
    await a.send(
        '52-7["data",{"_placeholder":true,"num":1},{"b":{"_placeholder":true,"num":0}}]', b"0", b"1"
    )
    await stage.told(2)
    await a.get(2)


@program
async def connect_and_its_arguments(stage):
    sio = stage.server()

    @sio.event
    def connect(sid, environ, auth):
        stage.say("connect", environ["REQUEST_METHOD"], environ["PATH_INFO"], auth)
        return None if auth is None else auth["in"]

    await stage.client(auth={"in": True, "x": "y"})
    b = await stage.client(None)
    await b.send('0{"in":false}')
    await b.get()


@program
async def refusing(stage):
    sio = stage.server(namespaces="*")

    @sio.event(namespace="/message")
    def connect(sid, environ):
        raise stage.socketio.exceptions.ConnectionRefusedError("members only")

    @sio.on("connect", namespace="/data")
    async def connect_with_data(sid, environ, auth):
        raise stage.socketio.exceptions.ConnectionRefusedError("members only", {"code": 7})

    @sio.on("connect", namespace="/more")
    async def connect_with_more(sid, environ):
        raise stage.socketio.exceptions.ConnectionRefusedError("members only", 1, 2)

    @sio.on("connect", namespace="/nothing")
    async def connect_with_nothing(sid, environ):
        raise stage.socketio.exceptions.ConnectionRefusedError

    a = await stage.client(None)
    for namespace in ("message", "data", "more", "nothing"):
        await a.send(f"0/{namespace},")
        await a.get()


@program
async def always_connect(stage):
    sio = stage.server(always_connect=True)

    @sio.event
    def connect(sid, environ):
        return False

    a = await stage.client()
    await asyncio.wait_for(a.ws.recv(), 10)


@program
async def disconnecting(stage):
    sio = stage.server()

    @sio.event
    async def leave(sid):
        await sio.disconnect(sid)

    @sio.event
    async def disconnect(sid, reason):
        async with sio.session(sid) as session:
            stage.say("disconnect", session)

    @sio.event
    async def connect(sid, environ):
        await sio.save_session(sid, {"name": "x"})

    a = await stage.client()
    await a.send('2["leave"]')
    await a.get()
    await stage.told(3)
    b = await stage.client()
    await b.send("1")
    await stage.told(5)


@program
async def handlers_of_the_old_kind(stage):
    sio = stage.server()

    @sio.event
    def connect(sid, environ):
        stage.say("connect")

    @sio.event
    def disconnect(sid):
        stage.say("disconnect")

    a = await stage.client()
    await a.send("1")
    await stage.told(3)


@program
async def catch_alls(stage):
    sio = stage.server()

    @sio.on("*")
    async def anything(event, sid, *data):
        stage.say("*", event, data)
        return event

    @sio.on("*", namespace="*")
    async def anything_anywhere(event, namespace, sid, *data):
        stage.say("**", event, namespace, data)
        return namespace

    @sio.on("known", namespace="*")
    async def known_anywhere(namespace, sid, *data):
        stage.say("known", namespace, data)

    @sio.on("known", namespace="/a")
    async def known(sid, *data):
        stage.say("known in /a", data)

    a = await stage.client()
    await a.connect("/a")
    for number, (namespace, event) in enumerate(
        (where, what) for where in ("", "/a,") for what in ("known", "other")
    ):
        await a.send(f'2{namespace}{number}["{event}",1,"x"]')
        await a.get()


@program
async def class_namespaces(stage):
    sio = stage.server()

    class Chat(stage.socketio.AsyncNamespace):
        def on_connect(self, sid, environ):
            stage.say("connect")

        async def on_disconnect(self, sid):
            stage.say("disconnect")

        async def on_say(self, sid, text):
            await self.emit("said", text, skip_sid=sid)
            return "ok"

        def on_join(self, sid, room):
            return self.namespace

    chat = Chat("/chat")
    sio.register_namespace(chat)
    a = await stage.client("/chat")
    b = await stage.client("/chat")
    await a.send('2/chat,1["say","hi"]')
    await a.get()
    await b.get()
    await a.send('2/chat,2["join","r"]', '2/chat,3["unknown"]')
    await a.get(2)
    await a.send("1/chat,")
    await stage.told(9)
    stage.say(chat.server is sio, chat.is_asyncio_based())


@program
async def namespaces_that_dispatch_by_themselves(stage):
    sio = stage.server()

    class Chat(stage.socketio.AsyncNamespace):
        async def trigger_event(self, event, *args):
            stage.say(event, len(args))
            return await super().trigger_event(event.replace("-", "_"), *args)

        async def on_connect(self, sid, environ, auth):
            stage.say("connected", auth)

        def on_disconnect(self, sid):
            stage.say("disconnected")

        def on_one_two(self, sid, data):
            return data

    sio.register_namespace(Chat("/chat"))
    a = await stage.client("/chat", auth={"x": 1})
    await a.send('2/chat,1["one-two",3]')
    await a.get()
    await a.send("1/chat,")
    await stage.told(7)


@program
async def rooms(stage):
    sio = stage.server()
    a, b, c = [await stage.client() for _ in range(3)]
    ids = [client.ids["/"] for client in (a, b, c)]
    await sio.enter_room(ids[0], "r")
    await sio.enter_room(ids[1], "r")
    await sio.enter_room(ids[1], "s")
    await sio.enter_room(ids[2], 3)
    stage.say([sorted(map(str, sio.rooms(sid)), key=in_order) for sid in ids])
    for number, arguments in enumerate(
        (
            {"room": "r"},
            {"to": ["r", "s"]},
            {"to": "r", "skip_sid": ids[0]},
            {"to": 3},
            {"skip_sid": [ids[0], ids[2]]},
            {"to": ids[0]},
            {"to": "nobody"},
        )
    ):
        await sio.emit("x", number, **arguments)
    await sio.leave_room(ids[0], "r")
    await sio.close_room("s")
    await sio.leave_room("nobody", "r")
    stage.say([sorted(map(str, sio.rooms(sid)), key=in_order) for sid in ids])
    await sio.emit("end")
    await a.get(4)
    await b.get(5)
    await c.get(2)
    for refused in (sio.enter_room(ids[0], ids[1]), sio.close_room(ids[1])):
        try:
            await refused
        except ValueError as exc:
            stage.say(str(exc))


@program
async def acknowledgements(stage):
    sio = stage.server()
    a = await stage.client()
    sid = a.ids["/"]

    async def callback(*args):
        stage.say("callback", args)

    await sio.emit("x", 1, to=sid, callback=callback)
    await a.get()
    await a.send("31[1,2]")
    await stage.told(3)
    answers = []
    for text in ("[]", "[1]", '[1,"x"]'):
        call = asyncio.ensure_future(sio.call("y", (1, 2), to=sid, timeout=5))
        await a.get()
        number = len(answers) + 2
        await a.send(f"3{number}{text}")
        answers.append(await call)
    stage.say(answers)
    try:
        await sio.call("z", to=sid, timeout=0.01)
    except stage.socketio.exceptions.TimeoutError as exc:
        stage.say(type(exc).__name__)
    await a.get()


@program
async def sessions_and_what_is_known(stage):
    sio = stage.server(namespaces=["/", "/a"])
    a = await stage.client()
    await a.connect("/a")
    sid, other = a.ids["/"], a.ids["/a"]
    async with sio.session(sid) as session:
        session["name"] = "x"
    async with sio.session(other, namespace="/a") as session:
        stage.say(session)
    stage.say(await sio.get_session(sid), sio.transport(sid))
    stage.say(sio.get_environ(sid)["QUERY_STRING"], sio.get_environ(other, "/a")["PATH_INFO"])
    stage.say(len(sio.environ))
    for call in (lambda: sio.transport("nobody"), lambda: sio.eio.transport("nobody")):
        try:
            call()
        except KeyError as exc:
            stage.say(type(exc).__name__)


@program
async def looking_into_the_manager(stage):
    sio = stage.server(client_manager=stage.socketio.AsyncManager(), namespaces=["/", "/a"])
    manager = sio.manager

    @sio.event
    def disconnect(sid):
        stage.say("disconnect", sid)

    stage.say(bool(manager.rooms))
    a, b = [await stage.client() for _ in range(2)]
    await b.connect("/a")
    one, two = a.ids["/"], b.ids["/"]
    await sio.enter_room(one, "r")
    await sio.enter_room(two, "r")
    stage.say(sorted(manager.get_namespaces()), sorted(manager.rooms))
    stage.say(sorted(map(str, manager.rooms["/"]), key=in_order), len(manager.rooms["/"]))
    stage.say(list(manager.rooms["/"]["r"]), list(manager.rooms["/"][None]))
    stage.say(list(manager.rooms.get("/a", {})), manager.rooms.get("/b", {}).get("r", set()))
    stage.say([sid for sid, _ in manager.get_participants("/", "r")])
    stage.say([sid for sid, _ in manager.get_participants("/", ["r", one])])
    stage.say([sid for sid, _ in manager.get_participants("/", None)])
    stage.say(list(manager.get_participants("/b", "r")), list(manager.get_participants("/", "s")))
    stage.say([manager.is_connected(sid, "/") for sid in (one, "nobody")])
    stage.say([manager.is_connected(one, space) for space in ("/a", "/b")])
    eio_sid = manager.eio_sid_from_sid(one, "/")
    stage.say(eio_sid in sio.environ, eio_sid in sio.eio.sockets, eio_sid != one)
    stage.say(manager.sid_from_eio_sid(eio_sid, "/") == one)
    stage.say(manager.sid_from_eio_sid(eio_sid, "/a"), manager.sid_from_eio_sid("x", "/"))
    stage.say(manager.eio_sid_from_sid("nobody", "/"), manager.eio_sid_from_sid(one, "/b"))
    stage.say(sio.environ[manager.rooms["/"][one][one]]["PATH_INFO"], manager.get_rooms(one, "/"))
    count = len(stage.lines)
    await sio.eio.disconnect(eio_sid)
    await stage.told(count + 1)


@program
async def background_tasks(stage):
    sio = stage.server()

    async def count(first, last):
        for number in range(first, last):
            await sio.sleep(0.001)
            await sio.emit("tick", number)

    a = await stage.client()
    task = sio.start_background_task(count, 1, last=4)
    await a.get(3)
    await task


@program
async def unknown_namespaces_are_refused(stage):
    stage.server()
    a = await stage.client(None)
    await a.send("0/nowhere,")
    # The message differs: theirs is a string, which is lost in a JavaScript client.
    assert (await a.ws.recv()).startswith("44/nowhere,")
    await a.connect()


async def run(module, function):
    async with AsyncExitStack() as stack:
        stage = Stage(module, stack)
        await function(stage)
        return stage.transcript()


@pytest.mark.parametrize("name", PROGRAMS)
async def test_same(name):
    expected = await run(original, PROGRAMS[name])
    assert expected
    assert await run(socketio, PROGRAMS[name]) == expected
