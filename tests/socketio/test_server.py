"""The server's own methods: emitting, rooms, calls, sessions, class namespaces, middleware."""

import asyncio
import re
import threading

import pytest

from duplexio import socketio
from duplexio.errors import UsageError
from duplexio.socketio import AsyncNamespace, AsyncServer
from tests.socketio.fakes import Peer, connected, until

# Emitting


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, '2["x"]'),
        (1, '2["x",1]'),
        ((1, "b"), '2["x",1,"b"]'),
        ([1, 2], '2["x",[1,2]]'),
        ((), '2["x"]'),
        ({}, '2["x",{}]'),
    ],
)
async def test_what_is_emitted(data, expected):
    server, peer, sid = connected()
    await server.emit("x", data)
    await server.emit("x", data, to=sid)
    await server.emit("x", data, room=sid)
    await server.emit("x", data, to=[sid, sid])
    assert peer.take() == [expected] * 4


async def test_send_and_numbers_as_names():
    server, peer, sid = connected()
    await server.send("hello")
    await server.emit(7, to=sid)
    assert peer.take() == ['2["message","hello"]', "2[7]"]


async def test_bytes_go_with_their_text():
    server, peer, sid = connected()
    await server.emit("x", {"a": b"1"}, to=sid)
    await server.emit("x", b"2")
    text = '51-["x",%s{"_placeholder":true,"num":0}%s]'
    assert peer.take() == [text % ('{"a":', "}"), b"1", text % ("", ""), b"2"]


async def test_who_gets_it():
    server = AsyncServer(namespaces=["/", "/a"])
    peers = [Peer(server) for _ in range(4)]
    a, b, c, d = [peer.connect() for peer in peers]
    elsewhere = Peer(server)
    elsewhere.connect("/a")
    await server.enter_room(a, "r")
    await server.enter_room(b, "r")
    await server.enter_room(b, "s")
    await server.enter_room(c, "s")

    async def who(**arguments):
        await server.emit("x", **arguments)
        assert elsewhere.take() == []
        answers = [peer.take() for peer in peers]
        assert all(len(answer) <= 1 for answer in answers)
        return "".join(name for name, answer in zip("abcd", answers, strict=True) if answer)

    assert await who() == "abcd"
    assert await who(to=a) == "a"
    assert await who(to="r") == "ab"
    assert await who(room=["r", "s"]) == "abc"
    assert await who(to=["r", d]) == "abd"
    assert await who(to="r", skip_sid=a) == "b"
    assert await who(skip_sid=[a, d]) == "bc"
    assert await who(skip_room="r") == "cd"
    assert await who(to="r", skip_room=["s"]) == "a"
    assert await who(to="nobody") == ""
    assert await who(to=[]) == ""
    await server.leave_room(a, "r")
    assert await who(to="r") == "b"
    await server.close_room("r")
    assert await who(to="r") == ""
    assert server.rooms(b) == [b, "s"]
    await server.disconnect(b)
    for peer in peers:
        peer.take()
    assert await who(to="s") == "c"
    assert await who() == "acd"
    assert server.rooms(b) == []
    await server.disconnect(c)
    peers[2].take()
    assert server.hub.adapters["/"].rooms == {}


async def test_rooms_of_clients_that_are_not_there():
    server, _, sid = connected()
    with pytest.raises(ValueError, match="not connected"):
        await server.enter_room("nobody", "r")
    with pytest.raises(ValueError, match="not connected"):
        await server.enter_room(sid, "r", namespace="/a")
    await server.leave_room("nobody", "r")
    await server.close_room("r", namespace="/a")
    await server.disconnect("nobody")


async def test_rooms_are_limited():
    server, peer, sid = connected(max_rooms=2)
    for room in ("a", "b", "a"):
        await server.enter_room(sid, room)
    with pytest.raises(socketio.LimitExceededError, match="max_rooms=2"):
        await server.enter_room(sid, "c")
    assert server.rooms(sid) == [sid, "a", "b"]
    assert server.hub.counters["max_rooms"] == 1
    assert not peer.closed


async def test_callbacks():
    server, peer, sid = connected()
    other = Peer(server)
    other.connect()
    seen = []

    async def later(*args):
        seen.append(args)

    await server.emit("x", to=sid, callback=lambda *args: seen.append(args))
    await server.emit("x", callback=later)
    assert peer.take() == ['21["x"]', '22["x"]']
    assert other.take() == ['21["x"]']
    peer.send('31[1,"b"]', "32[]", "31[2]", "399[]")
    other.send("31[true]")
    await asyncio.sleep(0.01)
    assert seen == [(1, "b"), (), (True,)]


async def test_a_callback_that_raises_is_logged(caplog):
    server, peer, sid = connected()

    async def later():
        raise RuntimeError("later")

    def fail():
        raise RuntimeError("now")

    await server.emit("x", to=sid, callback=fail)
    await server.emit("x", to=sid, callback=later)
    peer.send("31[]", "32[]")
    await asyncio.sleep(0.01)
    assert "now" in caplog.text
    assert "later" in caplog.text
    assert not peer.closed


@pytest.mark.parametrize(("answer", "expected"), [("[]", None), ("[1]", 1), ("[1,2]", (1, 2))])
async def test_call(answer, expected):
    server, peer, sid = connected()
    calling = asyncio.ensure_future(server.call("x", 1, to=sid))
    await asyncio.sleep(0)
    assert peer.take() == ['21["x",1]']
    peer.send("31" + answer)
    assert await calling == expected


async def test_call_times_out():
    server, peer, sid = connected()
    with pytest.raises(socketio.TimeoutError, match="no answer to 'x'"):
        await server.call("x", sid=sid, timeout=0.01)
    peer.send("31[]")
    assert not peer.closed
    client = server.hub.adapters["/"].members[sid]
    assert not client.acks


@pytest.mark.parametrize("how", ["vanish", "leave", "disconnect"])
async def test_call_fails_at_once_when_the_client_leaves(how):
    server, peer, sid = connected()
    calling = asyncio.ensure_future(server.call("x", to=sid))
    await asyncio.sleep(0)
    if how == "vanish":
        peer.vanish()
    elif how == "leave":
        peer.send("1")
    else:
        await server.disconnect(sid)
    with pytest.raises(socketio.ClientGoneError) as caught:
        await asyncio.wait_for(calling, 1)
    assert isinstance(caught.value, socketio.TimeoutError)
    with pytest.raises(socketio.DisconnectedError):
        await server.call("x", to=sid)


async def test_call_needs_one_client():
    with pytest.raises(UsageError, match="'to'"):
        await AsyncServer().call("x")


async def test_pending_acknowledgements_are_limited():
    server, _, sid = connected(max_pending_acks=2)
    calls = [asyncio.ensure_future(server.call("x", to=sid)) for _ in range(3)]
    with pytest.raises(socketio.ClientGoneError):
        await calls[0]
    assert server.hub.counters["max_pending_acks"] == 1
    for call in calls[1:]:
        call.cancel()
    await asyncio.wait(calls)


async def test_emitting_from_other_threads():
    server, peer, _ = connected()

    def work():
        for number in range(100):
            server.emit_threadsafe("x", number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    await asyncio.sleep(0.01)
    assert peer.take() == [f'2["x",{number}]' for number in range(100)]


def test_emitting_from_other_threads_before_the_server_runs():
    AsyncServer().emit_threadsafe("x")


async def test_many_emits_let_others_run():
    server, _, _ = connected()
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    for _ in range(64):
        await server.emit("x")
    assert turns == [1]


# What is known of clients


async def test_sessions():
    server, peer, sid = connected()
    assert await server.get_session(sid) == {}
    async with server.session(sid) as session:
        session["a"] = 1
    assert await server.get_session(sid) == {"a": 1}
    await server.save_session(sid, {"b": 2})
    assert await server.get_session(sid) == {"b": 2}
    with pytest.raises(KeyError):
        await server.get_session(sid, namespace="/a")
    assert server.transport(sid) == "websocket"
    assert server.get_environ(sid)["REQUEST_METHOD"] == "GET"
    assert server.get_environ("nobody") is None
    assert dict(server.environ) == {peer.session.sid: server.get_environ(sid)}


# Who is responsible


async def test_catch_alls():
    server = AsyncServer(namespaces="*")
    log = []

    def note(name):
        def handler(*args):
            log.append((name, *args))
            return name

        return handler

    server.on("x", note("x"), namespace="/a")
    server.on("*", note("any"), namespace="/a")
    server.on("x", note("x everywhere"), namespace="*")
    server.on("*", note("any everywhere"), namespace="*")
    server.on("connect", note("connect everywhere"), namespace="*")
    peer = Peer(server)
    a, b = peer.connect("/a"), peer.connect("/b")
    peer.send('2/a,["x",1]', '2/a,["y",1]', '2/b,["x",1]', '2/b,["y",1]', "1/b,")
    assert [entry[:3] for entry in log[:2]] == [
        ("connect everywhere", "/a", a),
        ("connect everywhere", "/b", b),
    ]
    assert log[2:] == [
        ("x", a, 1),
        ("any", "y", a, 1),
        ("x everywhere", "/b", b, 1),
        ("any everywhere", "y", "/b", b, 1),
    ]


async def test_patterns_of_namespaces():
    server = AsyncServer()
    seen = []
    server.on("x", lambda *args: seen.append(args), namespace=re.compile(r"/room-\d+"))
    peer = Peer(server)
    sid = peer.connect("/room-7")
    peer.send('2/room-7,["x",1]', "0/room-,")
    assert seen == [("/room-7", sid, 1)]
    assert peer.take() == ['4/room-,{"message":"Invalid namespace"}']


async def test_class_namespaces():
    log = []

    class Chat(AsyncNamespace):
        def on_connect(self, sid, environ):
            log.append("connect")

        async def on_say(self, sid, text):
            await self.enter_room(sid, "r")
            async with self.session(sid) as session:
                session["said"] = text
            await self.emit("said", text, room="r")
            return self.rooms(sid) == [sid, "r"]

        def on_disconnect(self, sid):
            log.append("disconnect")

    server = AsyncServer()
    server.register_namespace(Chat("/chat"))
    peer = Peer(server)
    sid = peer.connect("/chat")
    peer.send('2/chat,5["say","hi"]', '2/chat,6["unknown"]')
    assert peer.take() == ['2/chat,["said","hi"]', "3/chat,5[true]", "3/chat,6[]"]
    assert await server.get_session(sid, "/chat") == {"said": "hi"}
    peer.vanish()
    assert log == ["connect", "disconnect"]


async def test_a_class_namespace_for_all():
    seen = []

    class Any(AsyncNamespace):
        def on_x(self, *args):
            seen.append(args)

    server = AsyncServer(namespaces="*")
    server.register_namespace(Any("*"))
    peer = Peer(server)
    sid = peer.connect("/q")
    peer.send('2/q,["x",1]')
    assert seen == [("/q", sid, 1)]


async def test_a_class_namespace_that_dispatches_itself():
    seen = []

    class Own(AsyncNamespace):
        async def trigger_event(self, event, *args):
            seen.append((event, *args))
            return "ok"

    server = AsyncServer()
    server.register_namespace(Own("/a"))
    peer = Peer(server)
    sid = peer.connect("/a")
    peer.send('2/a,1["x",2]', "1/a,")
    assert peer.take() == ['3/a,1["ok"]']
    assert [entry[0] for entry in seen] == ["connect", "x", "disconnect"]
    assert seen[1] == ("x", sid, 2)
    assert seen[2] == ("disconnect", sid, "client namespace disconnect")


def test_what_is_no_namespace():
    with pytest.raises(UsageError, match="AsyncNamespace"):
        AsyncServer().register_namespace(object())
    with pytest.raises(UsageError, match="register_namespace"):
        AsyncNamespace("/a").server  # noqa: B018


async def test_handlers_added_later_count():
    server, peer, _ = connected()
    peer.send('20["a"]')
    server.on("a", lambda sid: 1)
    peer.send('21["a"]')
    assert peer.take() == ["31[1]"]


# Middleware and listeners


async def test_middleware_for_connections():
    server = AsyncServer()
    log = []

    @server.use_for_connections
    async def first(request, proceed):
        log.append((request.sid, request.namespace, request.environ["REQUEST_METHOD"]))
        if request.auth != {"token": 1}:
            raise socketio.ConnectionRefusedError("who are you?", {"retry": False})
        return await proceed()

    @server.use_for_connections(namespace="/a")
    def elsewhere(request, proceed):
        raise AssertionError

    @server.event
    def connect(sid, environ, auth):
        log.append(auth)

    peer = Peer(server)
    peer.send("0")
    await asyncio.sleep(0.01)
    assert peer.take() == ['4{"message":"who are you?","data":{"retry":false}}']
    sid = peer.connect(auth={"token": 1})
    assert log[1:] == [(sid, "/", "GET"), {"token": 1}]


async def test_middleware_for_events():
    server, peer, sid = connected()

    @server.use_for_events
    async def double(event, proceed):
        assert (event.sid, event.namespace) == (sid, "/")
        if event.name == "forbidden":
            return {"error": "forbidden"}
        event.args = [argument * 2 for argument in event.args]
        return await proceed()

    @server.use_for_events
    async def count(event, proceed):
        return [await proceed(), len(event.args)]

    server.on("a", lambda sid, x: x)
    server.on("forbidden", lambda sid: 1 / 0)
    peer.send('21["a",4]', '22["forbidden"]')
    await asyncio.sleep(0.01)
    assert peer.take() == ["31[[8,1]]", '32[{"error":"forbidden"}]']


async def test_listeners():
    server, peer, sid = connected()
    log = []
    server.on_any(lambda *args: log.append(("in", *args)))
    server.on_any_outgoing(lambda *args: log.append(("out", *args)))
    peer.send('2["a",1]')
    await server.emit("b", (1, 2), to=sid)
    await server.emit("c")
    assert log == [
        ("in", "a", "/", sid, 1),
        ("out", "b", "/", sid, 1, 2),
        ("out", "c", "/", None),
    ]


# Arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"serializer": "pickle"},
        {"client_manager": object()},
        {"max_rooms": 0},
        {"max_attachments": -1},
        {"max_packets_per_second": 0},
        {"policies": {"max_rooms": "pause"}},
        {"policies": {"nonsense": "drop"}},
        {"nonsense": 1},
        {"ping_interval": 0},
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(UsageError):
        AsyncServer(**arguments)


async def test_the_log_names_clients_and_reasons_and_no_secret(caplog):
    import logging

    caplog.set_level(logging.INFO, "duplexio.socketio")
    server = AsyncServer(logger=True)
    peer = Peer(server, protocol=3)
    peer.vanish()
    _, peer5, sid = connected(server)
    assert "connected" in caplog.text
    assert "transport close" in caplog.text
    assert sid in caplog.text
    assert peer.session.sid not in caplog.text
    assert peer5.session.sid not in caplog.text


async def test_a_json_module_of_the_users():
    import json

    class Module:
        calls = 0

        @classmethod
        def dumps(cls, value, **options):
            cls.calls += 1
            return json.dumps(value, **options)

        @classmethod
        def loads(cls, text):
            cls.calls += 1
            return json.loads(text)

    server, peer, _ = connected(json=Module)
    server.on("a", lambda sid, data: data)
    peer.send('20["a",{"b":[1]}]')
    assert peer.take() == ['30[{"b":[1]}]']
    assert Module.calls == 3


async def test_background_tasks():
    server, peer, _ = connected()

    async def work(name, times):
        for number in range(times):
            await server.sleep(0)
            await server.emit(name, number)

    server.start_background_task(work, "tick", times=2)
    assert await until(lambda: len(peer.wire.sent) == 2)
    assert peer.take() == ['2["tick",0]', '2["tick",1]']


async def test_class_namespaces_that_dispatch_by_themselves_may_have_methods_with_fewer_arguments():
    server = AsyncServer()
    seen = []

    class Chat(AsyncNamespace):
        async def trigger_event(self, event, *args):
            return await super().trigger_event(event, *args)

        def on_connect(self, sid):
            seen.append("connect")

        async def on_disconnect(self, sid):
            seen.append("disconnect")

    server.register_namespace(Chat("/chat"))
    peer = Peer(server)
    peer.connect("/chat", auth={"x": 1})
    peer.send("1/chat,")
    assert seen == ["connect", "disconnect"]


# The manager


async def test_the_manager_sees_who_is_connected():
    server, _, sid = connected()
    entered = asyncio.Event()
    go_on = asyncio.Event()
    manager = server.manager

    @server.on("connect", namespace="/slow")
    async def connect(sid, environ):
        entered.set()
        await go_on.wait()

    assert manager.is_connected(sid)
    assert list(manager.rooms["/"]) == [None, sid]
    assert "/slow" not in manager.rooms
    peer = Peer(server)
    peer.send("0/slow,")
    await entered.wait()
    assert list(manager.rooms) == manager.get_namespaces() == ["/", "/slow"]
    ((slow, eio_sid),) = manager.get_participants("/slow", None)
    assert not manager.is_connected(slow, "/slow")
    go_on.set()
    await until(lambda: manager.is_connected(slow, "/slow"))
    assert manager.sid_from_eio_sid(eio_sid, "/slow") == slow
    assert manager.rooms["/slow"] == {None: {slow: eio_sid}, slow: {slow: eio_sid}}
    assert peer.session.sid == eio_sid
    peer.vanish()
    assert manager.rooms.get("/slow") is None
    assert manager.eio_sid_from_sid(slow, "/slow") is None
    with pytest.raises(KeyError):
        manager.rooms["/"]["no room"]


def test_a_manager_belongs_to_one_server():
    manager = socketio.AsyncManager()
    with pytest.raises(UsageError, match="has no server"):
        manager.get_namespaces()
    server = AsyncServer(client_manager=manager)
    assert server.manager is manager
    with pytest.raises(UsageError, match="belongs to another server"):
        AsyncServer(client_manager=manager)
    with pytest.raises(UsageError, match="expected an AsyncManager"):
        AsyncServer(client_manager="redis://")


async def test_nobody_enters_the_room_of_another_client():
    server, _, sid = connected()
    other = Peer(server).connect()
    with pytest.raises(ValueError, match="sid room"):
        await server.enter_room(other, sid)
    with pytest.raises(ValueError, match="sid room"):
        await server.close_room(sid)
    await server.enter_room(sid, sid)
    assert server.rooms(sid) == [sid]


def test_what_is_registered_is_seen():
    server = AsyncServer()

    @server.event
    def x(sid): ...

    namespace = AsyncNamespace("/a")
    server.register_namespace(namespace)
    assert server.handlers == {"/": {"x": x}}
    assert server.namespace_handlers == {"/a": namespace}


def test_the_admin_ui_is_refused():
    with pytest.raises(UsageError, match="Admin UI"):
        AsyncServer().instrument(auth=False)


# Volatile events


async def test_volatile_events_are_for_those_who_can_have_them():
    server = AsyncServer()
    peers = [Peer(server) for _ in range(2)]
    first, second = [peer.connect() for peer in peers]
    await server.emit("v", 1, volatile=True)
    assert [peer.take() for peer in peers] == [['2["v",1]']] * 2
    peers[0].wire.congested = True
    await server.emit("v", 2, volatile=True)
    await server.emit("v", 3, to=first, volatile=True)
    await server.emit("v", 4, to=second, skip_sid="x", volatile=True)
    assert [peer.take() for peer in peers] == [[], ['2["v",2]', '2["v",4]']]
    assert server.counters["dropped_volatile"] == 2
    await server.emit("v", 5, namespace="/nowhere", volatile=True)
    with pytest.raises(UsageError, match="callback"):
        await server.emit("v", volatile=True, callback=print)


async def test_volatile_events_do_not_wait_for_the_connect_handler():
    server = AsyncServer()

    @server.event
    async def connect(sid, environ):
        await server.emit("v", to=sid, volatile=True)
        await server.emit("a", to=sid)

    peer = Peer(server)
    peer.send("0")
    assert [text[:4] for text in peer.take()] == ['0{"s', '2["a']


# Several event loops


def test_emitting_from_threads_survives_event_loops():
    server = AsyncServer()
    seen = []
    server.on_any_outgoing(lambda event, *args: seen.append(event))

    async def serve():
        server.engine.rebind()  # as the engine does for its first client
        Peer(server).connect()
        server.engine.sessions.clear()

    async def serve_again():
        await serve()
        server.emit_threadsafe("again")
        await until(lambda: seen)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(serve())
    server.emit_threadsafe("the loop does not get to this")
    loop.close()
    server.emit_threadsafe("nobody is there")
    asyncio.run(serve_again())
    assert seen == ["again"]


def test_handlers_run_on_the_event_loop_of_their_time():
    server = AsyncServer()

    @server.event
    async def hello(sid):
        await asyncio.sleep(0)
        return 1

    async def serve():
        server.engine.rebind()
        peer = Peer(server)
        peer.connect()
        peer.send('21["hello"]')
        assert await until(peer.take) == ["31[1]"]
        server.engine.sessions.clear()

    asyncio.run(serve())
    asyncio.run(serve())
