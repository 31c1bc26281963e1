"""Clients of all protocols, played by hand: connecting, events, acknowledgements, leaving."""

import asyncio
import json

import pytest

from duplexio import socketio
from duplexio.socketio import AsyncServer
from tests.socketio.fakes import Peer, connected, until

# Connecting


async def test_protocol_5_has_to_connect():
    server = AsyncServer()
    peer = Peer(server)
    assert peer.take() == []
    sid = peer.connect()
    assert len(sid) == 20
    assert sid != peer.session.sid


async def test_protocol_4_is_connected_unasked():
    server = AsyncServer()
    seen = []
    server.on("connect", lambda sid, environ, auth: seen.append((sid, auth)))
    peer = Peer(server, protocol=3)
    assert peer.take() == ["0"]
    assert seen == [(peer.session.sid, None)]
    peer.send("0")
    assert not peer.closed
    assert peer.take() == []


async def test_protocol_4_says_who_it_is_in_the_query_of_a_namespace():
    server = AsyncServer()
    seen = []
    server.on("connect", lambda sid, environ, auth: seen.append((sid, auth)), namespace="/a")
    peer = Peer(server, protocol=3)
    peer.send("0/a?token=x&y=%20z,")
    assert peer.take() == ["0", "0/a,"]
    assert seen == [("/a#" + peer.session.sid, {"token": "x", "y": " z"})]
    peer.send("0/b")
    assert peer.take() == ['4/b,"Invalid namespace"']


async def test_the_handler_gets_environ_and_auth():
    server = AsyncServer()
    seen = []

    @server.event
    async def connect(sid, environ, auth):
        seen.append((sid, environ["X"], auth))

    peer = Peer(server, environ={"X": "y"})
    sid = peer.connect(auth={"token": 1})
    assert seen == [(sid, "y", {"token": 1})]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_connect_handler_may_take_fewer_arguments(count):
    server = AsyncServer()
    seen = []
    if count == 1:
        server.on("connect", lambda sid: seen.append(sid))
    else:
        server.on("connect", lambda sid, environ: seen.append(sid))
    sid = Peer(server).connect(auth={"a": 1})
    assert seen == [sid]


@pytest.mark.parametrize(
    ("error", "five", "four"),
    [
        (None, {"message": "Connection rejected by server"}, "Connection rejected by server"),
        (("no",), {"message": "no"}, "no"),
        (("no", {"code": 7}), {"message": "no", "data": {"code": 7}}, {"code": 7}),
        (("no", 1, 2), {"message": "no", "data": [1, 2]}, [1, 2]),
    ],
)
@pytest.mark.parametrize("suspends", [False, True])
async def test_refusal_with_data(error, five, four, suspends):
    server = AsyncServer(namespaces=["/", "/a"])

    @server.on("connect", namespace="/a")
    async def connect(sid, environ):
        if suspends:
            await asyncio.sleep(0)
        if error is None:
            return False
        raise socketio.ConnectionRefusedError(*error)

    peer = Peer(server)
    peer.send("0/a,")
    await asyncio.sleep(0.01)
    (answer,) = peer.take()
    assert answer.startswith("4/a,")
    assert json.loads(answer[4:]) == five
    peer = Peer(server, protocol=3)
    peer.send("0/a")
    await asyncio.sleep(0.01)
    _, answer = peer.take()
    assert json.loads(answer[4:]) == four
    assert server.hub.adapters["/a"].members == {}


async def test_a_handler_that_raises_refuses(caplog):
    server = AsyncServer()

    @server.event
    def connect(sid, environ):
        raise RuntimeError("oops")

    peer = Peer(server)
    peer.send("0")
    assert peer.take() == ['4{"message":"Connection rejected by server"}']
    assert "oops" in caplog.text


async def test_unknown_namespaces_are_refused():
    peer = Peer(AsyncServer())
    peer.send("0/nowhere,")
    assert peer.take() == ['4/nowhere,{"message":"Invalid namespace"}']


async def test_all_namespaces_may_be_allowed_and_are_forgotten():
    server, peer, _ = connected(namespaces="*")
    peer.connect("/x")
    assert "/x" in server.hub.adapters
    peer.send("1/x,")
    assert "/x" not in server.hub.adapters


async def test_the_reply_goes_out_before_what_the_handler_emits():
    server = AsyncServer()

    @server.event
    async def connect(sid, environ):
        await server.emit("one", to=sid)
        await asyncio.sleep(0)
        await server.emit("two")

    peer = Peer(server)
    peer.send("0")
    assert peer.take() == []
    await asyncio.sleep(0.01)
    first, *others = peer.take()
    assert first.startswith("0{")
    assert others == ['2["one"]', '2["two"]']


async def test_always_connect():
    server = AsyncServer(always_connect=True)
    started = []
    release = asyncio.Event()

    @server.event
    async def connect(sid, environ):
        await server.emit("early", to=sid)
        await release.wait()
        started.append("connect")
        return environ.get("ok")

    server.on("x", lambda sid: started.append("x"))
    peer = Peer(server, environ={"ok": True})
    peer.send("0", '2["x"]')
    first, second = peer.take()
    assert first.startswith("0{")
    assert second == '2["early"]'
    assert started == []
    release.set()
    await asyncio.sleep(0.01)
    assert started == ["connect", "x"]
    peer = Peer(server, environ={"ok": False})
    peer.send("0")
    await asyncio.sleep(0.01)
    assert peer.take()[1:] == ['2["early"]', "1"]


async def test_a_second_connect_closes():
    server, peer, _ = connected()
    reasons = []
    server.on("disconnect", lambda sid, reason: reasons.append(reason))
    peer.send("0")
    assert peer.closed
    assert reasons == ["parse error"]


async def test_connect_timeout():
    server = AsyncServer(connect_timeout=0.05)
    peer, other = Peer(server), Peer(server)
    other.connect()
    await asyncio.sleep(0.15)
    assert peer.closed
    assert not other.closed
    other.send("1")
    await asyncio.sleep(0.15)
    assert other.closed


@pytest.mark.parametrize("message", ['2["x"]', "1", "31[]", "2/a,[1]"])
async def test_another_first_packet_closes(message):
    peer = Peer(AsyncServer())
    peer.send(message)
    assert peer.closed


async def test_a_client_that_leaves_while_its_handler_runs():
    server = AsyncServer()
    release = asyncio.Event()
    seen = []

    @server.event
    async def connect(sid, environ):
        await release.wait()
        seen.append("connect")

    @server.event
    def disconnect(sid, reason):
        seen.append(reason)

    peer = Peer(server)
    peer.send("0")
    peer.vanish()
    assert seen == []
    release.set()
    await asyncio.sleep(0.01)
    assert seen == ["connect", "transport close"]
    assert server.hub.adapters["/"].members == {}


# Events


async def test_events_and_their_arguments():
    server, peer, sid = connected()
    seen = []
    server.on("a", lambda sid, *args: seen.append((sid, args)))
    server.on(7, lambda sid, *args: seen.append((sid, args)))
    peer.send('2["a"]', '2["a",1,{"b":[null]}]', '2[7,"x"]', '2["unknown",1]')
    assert seen == [(sid, ()), (sid, (1, {"b": [None]})), (sid, ("x",))]


@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, "35[]"),
        ((None,), "35[null]"),
        (1, "35[1]"),
        ((1, "b"), '35[1,"b"]'),
        ([1, 2], "35[[1,2]]"),
        ({"a": float("nan")}, '35[{"a":null}]'),
        ((), "35[]"),
    ],
)
async def test_what_a_handler_returns_acknowledges(result, expected, suspends):
    server, peer, _ = connected()

    @server.event
    async def a(sid):
        if suspends:
            await asyncio.sleep(0)
        return result

    peer.send('25["a"]', '2["a"]')
    await asyncio.sleep(0.01)
    assert peer.take() == [expected]


async def test_no_ack_and_unknown_events_are_not_acknowledged():
    server, peer, _ = connected()
    server.on("a", lambda sid: socketio.NO_ACK)
    peer.send('20["a"]', '21["unknown"]')
    assert peer.take() == []


async def test_a_handler_that_raises_acknowledges_nothing(caplog):
    server, peer, _ = connected()

    @server.event
    async def a(sid):
        raise RuntimeError("oops")

    @server.event
    async def b(sid):
        await asyncio.sleep(0)
        raise RuntimeError("later")

    peer.send('20["a"]', '20["b"]')
    await asyncio.sleep(0.01)
    assert peer.take() == []
    assert "oops" in caplog.text
    assert "later" in caplog.text
    assert not peer.closed


async def test_binary_both_ways():
    server, peer, _ = connected()
    server.on("a", lambda sid, data: {"got": data["x"], "more": [b"z"]})
    peer.send('51-3["a",{"x":{"_placeholder":true,"num":0}}]', b"abc")
    assert peer.take() == [
        '62-3[{"got":{"_placeholder":true,"num":0},"more":[{"_placeholder":true,"num":1}]}]',
        b"abc",
        b"z",
    ]


async def test_a_packet_that_announces_no_attachments_is_complete():
    server, peer, _ = connected()
    server.on("a", lambda sid, data: data)
    peer.send('50-3["a",1]')
    assert peer.take() == ["33[1]"]


@pytest.mark.parametrize(
    "messages",
    [
        ("x",),
        ("",),
        ("2[",),
        ("2{}",),
        ("2[]",),
        ('2["connect"]',),
        ('2["disconnect"]',),
        (b"x",),
        ('51-["a"]', '2["a"]'),
        ('511-["a"]',),
        ('51-["a",{"_placeholder":true,"num":1}]', b"x"),
        ("4",),
        ("3[]",),
        ("31{}",),
        ("2" + "[" * 200 + "]" * 200,),
    ],
)
@pytest.mark.parametrize("protocol", [3, 4])
async def test_what_breaks_the_protocol_closes(messages, protocol):
    server = AsyncServer()
    reasons = []
    server.on("disconnect", lambda sid, reason: reasons.append(reason))
    server.on("*", lambda *args: None)
    peer = Peer(server, protocol)
    if protocol == 4:
        peer.connect()
    peer.send(*messages)
    assert peer.closed
    assert reasons == ["parse error"]
    assert server.counters["invalid_packets"] == 1


async def test_arguments_that_nobody_reads_are_not_decoded(monkeypatch):
    server, peer, _ = connected()
    decoded = []
    server.hub.decode = lambda text: decoded.append(text) or json.loads(text)
    server.on("known", lambda sid, data: data)
    peer.send('25["unknown",{"a":1}]', '2["other"]')
    assert decoded == []
    assert peer.take() == []  # as python-socketio: no acknowledgement where nobody has handled it
    peer.send('26["known",{"a":1}]')
    assert decoded == ['["known",{"a":1}]']
    assert peer.take() == ['36[{"a":1}]']
    server.on_any(lambda *args: None)
    peer.send('2["unknown"]')
    assert len(decoded) == 2


@pytest.mark.parametrize(
    "message", ['2["unknown",', '2["unknown",tru]', '2["unknown"]x', '2["connect",1]', '2["x",]']
)
async def test_events_without_a_handler_are_checked_all_the_same(message):
    server, peer, _ = connected()
    peer.send(message)
    assert peer.closed
    assert server.counters["invalid_packets"] == 1


async def test_packets_for_namespaces_left_are_ignored():
    _server, peer, _ = connected(namespaces=["/", "/a"])
    peer.connect("/a")
    peer.send("1/a,", '2/a,["x"]')
    assert not peer.closed
    peer.connect("/a")


# The order of handlers


async def test_handlers_start_in_order_and_overlap():
    server, peer, _ = connected()
    log = []

    @server.event
    async def a(sid, name, steps):
        log.append(f"{name} starts")
        for _ in range(steps):
            await asyncio.sleep(0)
        log.append(f"{name} ends")

    peer.send('2["a",1,3]', '2["a",2,0]', '2["a",3,1]')
    assert log == ["1 starts", "2 starts", "2 ends", "3 starts"]
    await asyncio.sleep(0.01)
    assert log[4:] == ["3 ends", "1 ends"]


async def test_one_handler_after_the_other():
    server, peer, _ = connected(async_handlers=False)
    log = []

    @server.event
    async def a(sid, name, steps):
        log.append(f"{name} starts")
        for _ in range(steps):
            await asyncio.sleep(0)
        log.append(f"{name} ends")

    @server.event
    async def disconnect(sid, reason):
        log.append(reason)

    peer.send('2["a",1,3]', '2["a",2,0]', '2["a",3,1]', "1")
    await asyncio.sleep(0.02)
    assert log == ["1 starts", "1 ends", "client namespace disconnect"]
    _, peer, _ = connected(server)
    log.clear()
    peer.send('2["a",1,3]', '2["a",2,0]', '2["a",3,1]')
    await asyncio.sleep(0.02)
    assert log == ["1 starts", "1 ends", "2 starts", "2 ends", "3 starts", "3 ends"]


async def test_reading_pauses_where_a_client_comes_and_goes():
    server = AsyncServer(max_pending_handlers=3)
    go_on = asyncio.Event()
    running = []

    @server.event
    async def disconnect(sid, reason):
        running.append(sid)
        await go_on.wait()
        running.remove(sid)

    peer = Peer(server)
    for number in range(3):
        assert not peer.session.reading_paused, number
        peer.connect()
        peer.send("1")
    assert len(running) == 3
    assert peer.session.reading_paused
    go_on.set()
    await until(lambda: not peer.session.reading_paused)
    assert running == []
    assert server.counters["max_pending_handlers"] == 1


@pytest.mark.parametrize("overlapping", [True, False])
async def test_reading_pauses_at_max_pending_handlers(overlapping):
    server, peer, _ = connected(max_pending_handlers=3, async_handlers=overlapping)
    release = asyncio.Event()

    @server.event
    async def a(sid):
        await release.wait()

    peer.send('2["a"]', '2["a"]')
    assert not peer.wire.paused
    peer.send('2["a"]')
    assert peer.wire.paused
    assert server.hub.counters["max_pending_handlers"] == 1
    release.set()
    await asyncio.sleep(0.02)
    assert not peer.wire.paused


async def test_a_function_that_blocks_runs_in_a_thread():
    import threading

    server, peer, _ = connected()
    threads = []

    @server.event(run_in_thread=True)
    def a(sid, data):
        threads.append(threading.current_thread())
        return data

    peer.send('21["a","x"]')
    assert await until(peer.take) == ['31["x"]']
    assert threads != [threading.main_thread()]


async def test_a_handler_is_a_task_of_its_own():
    import contextvars

    server, peer, _ = connected()
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    @server.event
    async def a(sid):
        seen.append(variable.get())
        variable.set(1)
        before = asyncio.current_task()
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
        assert asyncio.current_task() is before
        assert variable.get() == 1
        return True

    peer.send('21["a"]', '22["a"]')
    await asyncio.sleep(0.01)
    assert seen == [0, 0]
    assert peer.take() == ["31[true]", "32[true]"]
    assert variable.get() == 0


# Leaving


async def test_reasons():
    server, peer, sid = connected()
    seen = []

    @server.event
    async def disconnect(sid, reason):
        await asyncio.sleep(0)
        seen.append((reason, await server.get_session(sid)))

    await server.save_session(sid, {"a": 1})
    peer.send("1")
    await asyncio.sleep(0.01)
    assert seen == [("client namespace disconnect", {"a": 1})]
    with pytest.raises(KeyError):
        await server.get_session(sid)
    sid = peer.connect()
    await server.disconnect(sid)
    await asyncio.sleep(0.01)
    assert peer.take() == ["1"]
    assert seen[1:] == [("server namespace disconnect", {})]
    peer.connect()
    peer.vanish()
    await asyncio.sleep(0.01)
    assert seen[2:] == [("transport close", {})]


async def test_a_disconnect_handler_may_take_no_reason():
    server, peer, sid = connected()
    seen = []

    @server.event
    def disconnect(sid):
        seen.append(sid)

    peer.vanish()
    assert seen == [sid]


async def test_shutdown_tells_all():
    server, peer, _ = connected()
    reasons = []
    server.on("disconnect", lambda sid, reason: reasons.append(reason))
    cancelled = []

    @server.event
    async def a(sid):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(sid)
            raise

    peer.send('2["a"]')
    await server.shutdown()
    assert peer.closed
    assert reasons == ["server shutting down"]
    assert len(cancelled) == 1


# Limits


async def test_namespaces_are_limited():
    server, peer, _ = connected(namespaces="*", max_namespaces=2)
    peer.connect("/a")
    peer.send("0/b,")
    assert peer.take() == ['4/b,{"message":"Too many namespaces"}']
    assert server.hub.counters["max_namespaces"] == 1


@pytest.mark.parametrize("policy", ["pause", "drop", "disconnect"])
async def test_rates_are_limited(policy):
    server, peer, _ = connected(
        max_packets_per_second=10, policies={"max_packets_per_second": policy}
    )
    seen = []
    server.on("a", lambda sid: seen.append(sid))
    for _ in range(20):
        if not peer.closed and not peer.wire.paused:
            peer.send('2["a"]')
    assert server.hub.counters["max_packets_per_second"] == 1
    if policy == "pause":
        assert peer.wire.paused
        assert len(seen) == 20
        await until(lambda: not peer.wire.paused)
    elif policy == "drop":
        assert len(seen) == 19
        assert not peer.closed
    else:
        assert peer.closed


async def test_bytes_are_limited():
    server, peer, _ = connected(max_bytes_per_second=100)
    server.on("a", lambda sid, data: None)
    peer.send(f'2["a","{"x" * 300}"]')
    assert server.hub.counters == {"max_bytes_per_second": 1}
    assert peer.wire.paused


async def test_a_handler_that_ends_does_not_lift_the_limit_of_a_rate():
    server, peer, _ = connected(max_packets_per_second=10)
    go_on = asyncio.Event()
    ended = []

    @server.on("a")
    async def handle(sid):
        await go_on.wait()
        ended.append(sid)

    while not peer.wire.paused:
        peer.send('2["a"]')
    go_on.set()
    await until(lambda: len(ended) == 20)
    assert peer.wire.paused
    await until(lambda: not peer.wire.paused)


async def test_deep_data_may_be_dropped():
    server, peer, _ = connected(max_json_depth=3, policies={"max_json_depth": "drop"})
    seen = []
    server.on("a", lambda sid, data: seen.append(data))
    peer.send('2["a",[[1]]]', '2["a",[[[1]]]]', '2["a","[[[[[[[["]')
    assert seen == [[[1]], "[[[[[[[["]
    assert server.hub.counters["max_json_depth"] == 1


# Another serializer


async def test_msgpack():
    from duplexio.socketio.msgpack import decode_msgpack, encode_msgpack

    server = AsyncServer(serializer="msgpack")
    server.on("a", lambda sid, data: [data, b"y"])
    peer = Peer(server)
    peer.send(encode_msgpack(0, "/", -1, None, absent=True))
    (answer,) = peer.take()
    assert set(decode_msgpack(answer).data) == {"sid"}
    peer.send(encode_msgpack(2, "/", 0, ["a", b"x"]))
    await server.emit("b", 1)
    first, second = [decode_msgpack(message) for message in peer.take()]
    assert (first.kind, first.id, first.data) == (3, 0, [[b"x", b"y"]])
    assert (second.kind, second.data) == (2, ["b", 1])
    peer.send("x")
    assert peer.closed


async def test_a_refusal_in_messagepack_is_text_to_old_clients():
    from duplexio.socketio.msgpack import decode_msgpack

    server = AsyncServer(serializer="msgpack")

    @server.event
    def connect(sid, environ):
        raise socketio.ConnectionRefusedError("no", {"code": 7})

    peer = Peer(server, protocol=3)
    (answer,) = peer.take()
    assert decode_msgpack(answer[1:]).data == "no"


async def test_what_waits_for_the_connect_handler_is_bounded():
    server = AsyncServer(max_buffered_packets=5, max_pending_handlers=2, always_connect=False)

    @server.event
    async def connect(sid, environ):
        await asyncio.Event().wait()

    peer = Peer(server)
    peer.send("0")
    for number in range(5):
        await server.emit("x", number)
    assert not peer.closed
    await server.emit("x")
    assert peer.closed
    await server.shutdown()


async def test_events_before_the_connect_handler_is_done_pause_reading():
    server = AsyncServer(always_connect=True, max_pending_handlers=2)
    release = asyncio.Event()

    @server.event
    async def connect(sid, environ):
        await release.wait()
        return False

    server.on("x", lambda sid: 1 / 0)
    peer = Peer(server)
    peer.send("0", '2["x"]', '2["x"]')
    assert peer.wire.paused
    release.set()
    await until(lambda: not peer.wire.paused)


async def test_disconnecting_in_the_connect_handler():
    server = AsyncServer()
    reasons = []

    @server.event
    async def connect(sid, environ):
        await server.emit("bye", to=sid)
        await server.disconnect(sid)

    server.on("disconnect", lambda sid, reason: reasons.append(reason))
    peer = Peer(server)
    peer.send("0")
    first, *others = peer.take()
    assert first.startswith("0{")
    assert others == ['2["bye"]', "1"]
    assert reasons == ["server namespace disconnect"]
    assert server.hub.adapters["/"].members == {}


async def test_limits_of_both_layers_are_counted():
    server, peer, _ = connected(max_attachments=2)
    peer.send('53-["a"]')
    assert peer.closed
    server.engine.count("max_connections")
    assert server.counters == {"invalid_packets": 1, "max_attachments": 1, "max_connections": 1}
    assert server.eio.counters == {"max_connections": 1}
