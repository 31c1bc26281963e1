"""Connection state recovery on the server: who returns, with what, and who does not."""

import asyncio
import json

import pytest

from duplexio.errors import UsageError
from duplexio.socketio import AsyncServer
from duplexio.socketio.recovery import OURS, offset_kind
from duplexio.socketio.recovery_store import Entry, MemoryStore, Recoverable
from duplexio.socketio.server_recovery import ConnectionStateRecovery
from tests.socketio.fakes import Peer, until


class Guest:
    """A client with a memory: what it has got, its pid and its last offset."""

    def __init__(self, server, namespace="/", auth=None):
        self.server = server
        self.head = "0" if namespace == "/" else f"0{namespace},"
        self.event = "2" if namespace == "/" else f"2{namespace},"
        self.auth = auth or {}
        self.pid = self.offset = self.sid = None
        self.recovered = False
        self.got = []
        self.order = []
        self.return_()

    def return_(self, **fields):
        """Connect, as JavaScript's client does."""
        self.peer = Peer(self.server)
        said = dict(self.auth)
        if self.pid is not None:
            said["pid"] = self.pid
            if self.offset is not None:
                said["offset"] = self.offset
        said.update(fields)
        self.peer.send(self.head + json.dumps(said))
        self.read()
        return self

    def read(self):
        for text in self.peer.take():
            if text.startswith(self.event + "["):
                data = json.loads(text[len(self.event) :])
                assert offset_kind(data[-1], 0) == OURS
                self.offset = data.pop()
                self.got.append(data)
                self.order.append(data[0])
            elif text.startswith(self.head + "{"):
                answer = json.loads(text[len(self.head) :])
                self.recovered = self.pid is not None and answer["pid"] == self.pid
                self.pid, self.sid = answer["pid"], answer["sid"]
                self.order.append("CONNECT")
            else:
                self.order.append(text)
        return self.got

    def cut(self, reason="transport close"):
        self.read()
        self.peer.session.end(reason)


def recovering(**options):
    return AsyncServer(connection_state_recovery=options or True)


async def test_what_is_missed_comes_before_the_answer():
    server = recovering()
    guest = Guest(server)
    await server.emit("a", 1)
    guest.cut()
    await server.emit("b", (2, b"x".hex()))
    await server.emit("c", to=guest.sid)
    before = guest.sid
    guest.return_()
    assert guest.recovered
    assert guest.sid == before
    assert guest.order == ["CONNECT", "a", "b", "c", "CONNECT"]
    assert guest.got == [["a", 1], ["b", 2, "78"], ["c"]]
    assert server.counters["recoveries"] == 1


async def test_binary_events_come_too():
    server = recovering()
    guest = Guest(server)
    guest.cut()
    await server.emit("b", b"1")
    guest.peer = peer = Peer(server)
    peer.send("0" + json.dumps({"pid": guest.pid}))
    text, data, _ = peer.take()
    assert text.startswith('51-["b",{"_placeholder":true,"num":0},"$o.')
    assert data == b"1"


async def test_it_works_when_no_event_had_come():
    server = recovering()
    await server.emit("before")
    guest = Guest(server)
    assert guest.got == []
    guest.cut()
    await server.emit("missed")
    guest.return_()
    assert guest.recovered
    assert guest.got == [["missed"]]


async def test_what_was_lost_in_flight_comes_again():
    server = recovering()
    guest = Guest(server)
    await server.emit("a")
    guest.read()
    await server.emit("b")
    guest.peer.take()  # never arrives
    guest.cut()
    guest.return_()
    assert guest.got == [["a"], ["b"]]


async def test_old_offsets_before_this_state_count_from_its_beginning():
    server = recovering()
    guest = Guest(server)
    await server.emit("a")
    guest.cut()
    guest.return_(pid="unknown")
    assert not guest.recovered
    await server.emit("b")
    guest.peer.take()
    guest.cut()
    guest.return_()
    assert guest.recovered
    assert guest.got == [["a"], ["b"]]


async def test_rooms_and_the_session_are_restored():
    server = recovering()
    guest = Guest(server)
    await server.enter_room(guest.sid, "r")
    await server.save_session(guest.sid, {"name": "G"})
    guest.cut()
    await server.emit("r", to="r")
    await server.emit("s", to="s")
    guest.return_()
    assert guest.got == [["r"]]
    assert server.rooms(guest.sid) == [guest.sid, "r"]
    assert await server.get_session(guest.sid) == {"name": "G"}
    assert server.recovered(guest.sid)
    await server.emit("now", to="r")
    assert guest.read()[-1] == ["now"]


async def test_rooms_at_the_time_decide():
    server = recovering()
    guest = Guest(server)
    await server.enter_room(guest.sid, "old")
    await server.emit("too early", to="new")
    await server.emit("in time", to="old")
    await server.leave_room(guest.sid, "old")
    await server.emit("too late", to="old")
    await server.enter_room(guest.sid, "new")
    await server.emit("not for it", skip_room="new")
    await server.emit("nor this", skip_sid=guest.sid)
    await server.emit("for it", skip_room="old")
    guest.peer.take()
    guest.cut()
    guest.return_()
    assert guest.got == [["in time"], ["for it"]]


async def test_closed_rooms():
    server = recovering()
    guest = Guest(server)
    await server.enter_room(guest.sid, "r")
    await server.emit("in time", to="r")
    await server.close_room("r")
    await server.emit("too late", to="r")
    guest.peer.take()
    guest.cut()
    guest.return_()
    assert guest.got == [["in time"]]


async def test_the_handler_is_told_and_what_it_emits_comes_last():
    server = recovering()
    told = []

    @server.event
    async def connect(sid, environ, auth):
        told.append((server.recovered(sid), auth, server.rooms(sid)[1:]))
        await server.emit("welcome", to=sid)
        await asyncio.sleep(0)
        await server.emit("news")
        await server.enter_room(sid, "r")

    guest = Guest(server, auth={"token": 1})
    await until(lambda: guest.read() and guest.pid)
    guest.cut()
    await server.emit("missed", to="r")
    guest.order.clear()
    guest.return_()
    await until(lambda: guest.read() and "CONNECT" in guest.order)
    assert guest.order == ["missed", "CONNECT", "welcome", "news"]
    assert told == [(False, {"token": 1}, []), (True, {"token": 1}, ["r"])]


async def test_one_that_is_not_let_in_any_more_gets_nothing():
    server = recovering()
    allowed = [True]

    @server.event
    def connect(sid, environ):
        return allowed[0]

    guest = Guest(server)
    guest.cut()
    await server.emit("secret")
    allowed[0] = False
    guest.return_()
    assert guest.got == []
    assert guest.order[-1].startswith('4{"message"')
    allowed[0] = True
    guest.return_()
    assert not guest.recovered
    assert guest.got == []


async def test_told_early_or_not_the_missed_wait_for_the_handler():
    server = AsyncServer(connection_state_recovery=True, always_connect=True)
    allowed = [True]

    @server.event
    def connect(sid, environ):
        return allowed[0]

    guest = Guest(server)
    guest.cut()
    await server.emit("secret")
    allowed[0] = False
    guest.return_()
    assert guest.got == []


@pytest.mark.parametrize("skip", [False, True])
async def test_middleware_runs_again_unless_told_otherwise(skip):
    server = recovering(skip_middlewares=skip)
    seen = []

    @server.use_for_connections
    async def check(request, proceed):
        seen.append(request.recovered)
        return await proceed()

    @server.event
    def connect(sid, environ):
        seen.append("handler")

    guest = Guest(server)
    await until(lambda: guest.read() or guest.pid)
    guest.cut()
    guest.return_()
    await until(lambda: guest.read() or guest.recovered)
    assert seen == [False, "handler", *([] if skip else [True]), "handler"]


async def test_a_cut_while_the_handler_runs_loses_nothing():
    server = recovering()
    gates = [asyncio.Event() for _ in range(3)]
    gates[0].set()
    gates[2].set()
    calls = []

    @server.event
    async def connect(sid, environ):
        number = len(calls)
        calls.append(sid)
        await gates[number].wait()

    guest = Guest(server)
    await until(lambda: guest.read() or guest.pid)
    guest.cut()
    await server.emit("a")
    guest.return_()
    await server.emit("b")
    guest.cut()
    guest.return_()
    await until(lambda: guest.read() and guest.recovered)
    gates[1].set()
    await server.emit("c")
    await until(lambda: len(guest.read()) == 3)
    assert guest.got == [["a"], ["b"], ["c"]]
    assert guest.order == ["CONNECT", "a", "b", "CONNECT", "c"]


async def test_a_client_that_returns_before_its_end_is_known():
    server = recovering()
    reasons = []
    server.on("disconnect", lambda sid, reason: reasons.append(reason))
    guest = Guest(server)
    await server.emit("a")
    guest.read()
    old = guest.peer
    await server.emit("lost")
    guest.return_()
    assert guest.recovered
    assert guest.got == [["a"], ["lost"]]
    assert reasons == ["transport error"]
    assert not old.session.is_open
    await server.emit("b")
    assert guest.read()[-1] == ["b"]


@pytest.mark.parametrize(
    ("reason", "recovered"),
    [
        ("transport close", True),
        ("transport error", True),
        ("ping timeout", True),
        ("server shutting down", True),
        ("forced close", True),
        ("parse error", False),
    ],
)
async def test_which_ends_can_be_recovered_from(reason, recovered):
    server = recovering()
    guest = Guest(server)
    guest.cut(reason)
    assert guest.return_().recovered is recovered


async def test_deliberate_ends():
    server = recovering()
    guest = Guest(server)
    guest.peer.send("1")
    guest.cut()
    assert not guest.return_().recovered
    await server.disconnect(guest.sid)
    guest.cut()
    assert not guest.return_().recovered
    guest.cut()
    await server.disconnect(guest.sid)  # while it is away
    assert not guest.return_().recovered
    await server.enter_room(guest.sid, "r")
    guest.cut()
    await server.disconnect_sockets("other")
    await server.disconnect_sockets(skip_room="r")
    assert guest.return_().recovered
    guest.cut()
    await server.disconnect_sockets("r")
    assert not guest.return_().recovered


@pytest.mark.parametrize(
    "fields",
    [
        {"pid": "x"},
        {"pid": 1},
        {"pid": None},
        {"pid": ["x"]},
        {"offset": "x"},
        {"offset": 1},
        {"offset": "$o.AAAAAAAA.1"},
        {"offset": "future"},
    ],
)
async def test_what_is_forged_or_foreign_is_refused(fields):
    server = recovering()
    guest = Guest(server)
    await server.emit("a")
    guest.cut()
    if fields == {"offset": "future"}:
        fields = {"offset": guest.offset[:-1] + "f"}
    await server.emit("b")
    before = guest.sid
    guest.return_(**fields)
    assert not guest.recovered
    assert guest.sid != before
    assert guest.got == [["a"]]
    assert server.counters["recoveries_refused"] == 1


async def test_a_pid_is_for_its_namespace_and_for_one_return():
    server = AsyncServer(connection_state_recovery=True, namespaces=["/", "/a"])
    guest = Guest(server)
    stranger = Guest(server, "/a")
    stranger.cut()
    stranger.return_(pid=guest.pid)
    assert guest.peer.session.is_open
    assert stranger.pid != guest.pid
    guest.cut()
    first, second = Guest(server), Guest(server)
    pid = guest.pid
    first.cut()
    first.return_(pid=pid)
    assert first.sid == guest.sid
    second.cut()
    second.return_(pid=pid)  # takes it over
    assert second.sid == guest.sid
    assert not first.peer.session.is_open


async def test_volatile_events_repeat_the_offset_and_are_not_kept():
    server = recovering()
    guest = Guest(server)
    await server.emit("v0", volatile=True)
    guest.read()
    await server.emit("a")
    guest.read()
    offset = guest.offset
    await server.emit("v1", volatile=True)
    assert guest.read()[-1] == ["v1"]
    assert guest.offset == offset
    guest.cut()
    await server.emit("v2", volatile=True)
    await server.emit("b")
    guest.return_()
    assert guest.got == [["v0"], ["a"], ["v1"], ["b"]]


async def test_offsets_are_equal_for_all_and_old_clients_get_none():
    server = recovering()
    peers = [Peer(server), Peer(server)]
    for peer in peers:
        peer.send("0")
        peer.take()
    old = Peer(server, 3)
    assert "pid" not in json.dumps(old.take())
    await server.emit("a", "text")
    first, second = (peer.take() for peer in peers)
    assert first == second
    assert old.take() == ['2["a","text"]']


async def test_events_with_acknowledgements_have_no_offset():
    server = recovering()
    guest = Guest(server)
    await server.emit("a", callback=print)
    assert guest.peer.take() == ['21["a"]']


async def test_ids_of_acknowledgements_go_on():
    server = recovering()
    guest = Guest(server)
    await server.emit("a", callback=print)
    guest.peer.take()
    guest.cut()
    guest.return_()
    await server.emit("b", callback=print)
    assert guest.peer.take() == ['22["b"]']


async def test_listeners_see_no_offset():
    server = recovering()
    heard = []
    server.on_any_outgoing(lambda *args: heard.append(args))
    Guest(server)
    await server.emit("a", 1)
    assert heard == [("a", "/", None, 1)]


async def test_data_that_cannot_be_sent_takes_no_number():
    server = recovering()
    guest = Guest(server)
    with pytest.raises(TypeError):
        await server.emit("a", object())
    await server.emit("b")
    guest.read()
    assert guest.offset.endswith(".1")


async def test_too_much_to_keep_is_refused():
    server = recovering(max_packets=2)
    guest = Guest(server)
    guest.cut()
    for number in range(2):
        await server.emit("a", number)
    assert guest.return_().recovered
    guest.cut()
    for number in range(3):
        await server.emit("b", number)
    guest.return_()
    assert not guest.recovered
    assert guest.got == [["a", 0], ["a", 1]]


async def test_more_than_a_session_may_buffer_is_refused():
    server = AsyncServer(connection_state_recovery=True, max_buffered_bytes=1000)
    guest = Guest(server)
    guest.cut()
    for _ in range(4):
        await server.emit("a", "x" * 400)
    assert not guest.return_().recovered


async def test_time_is_limited():
    server = recovering(max_disconnection_duration=100)
    now = [1000.0]
    server.hub.recovery._hub = FakeTime(server.hub, now)
    guest = Guest(server)
    guest.cut()
    now[0] += 99
    assert guest.return_().recovered
    guest.cut()
    now[0] += 101
    assert not guest.return_().recovered


async def test_a_quiet_client_is_recovered_though_others_had_much():
    server = recovering(max_disconnection_duration=100)
    now = [1000.0]
    server.hub.recovery._hub = FakeTime(server.hub, now)
    guest = Guest(server)
    for _ in range(10):
        await server.emit("for others", to="others")
        now[0] += 1000
    assert len(server.hub.recovery.store.after(0)) == 1
    guest.cut()
    await server.emit("a")
    assert guest.return_().recovered
    assert guest.got == [["a"]]


class FakeTime:
    """A hub at a time that the test sets."""

    def __init__(self, hub, now):
        self._hub = hub
        self._now = now

    def __getattr__(self, name):
        return getattr(self._hub, name)

    def now(self):
        return self._now[0]


async def test_it_is_off_by_default():
    server = AsyncServer()
    peer = Peer(server)
    peer.send("0")
    (answer,) = peer.take()
    assert "pid" not in answer
    await server.emit("a")
    assert peer.take() == ['2["a"]']
    assert not server.recovered(json.loads(answer[1:])["sid"])


@pytest.mark.parametrize(
    "value",
    [1, "yes", {"maxDisconnectionDuration": 1}, {"max_packets": 0}, {"max_bytes": "x"}],
)
def test_wrong_options(value):
    with pytest.raises(UsageError, match="expected"):
        AsyncServer(connection_state_recovery=value)


def test_options_in_any_form():
    options = ConnectionStateRecovery(max_clients=3)
    assert AsyncServer(connection_state_recovery=options).hub.recovery.options is options
    assert AsyncServer(connection_state_recovery=False).hub.recovery is None


# The store


def test_a_store_is_bounded():
    store = MemoryStore(max_packets=10, max_bytes=100, max_clients=2)
    for number in range(1, 6):
        store.append(Entry(number, number, "/", b"", 30))
    assert [entry.number for entry in store.after(0)] == [3, 4, 5]
    assert (store.oldest, store.floor) == (3, 2)
    store.expire(5, 0)
    assert [entry.number for entry in store.after(0)] == [5]
    assert (store.oldest, store.floor) == (5, 2)
    for pid in "abc":
        state = Recoverable(pid, pid, "/", 0)
        state.left = 1.0 if pid == "b" else 2.0
        store.put(state)
    assert [state.pid for state in store.away("/")] == ["b", "c"]
    assert store.away("/a") == []
    store.expire(0, 2.0)
    assert store.take("b") is None
    assert store.take("c").pid == "c"
    assert store.take("c") is None


def test_past_rooms_are_bounded():
    state = Recoverable("p", "s", "/", 0)
    for number in range(1000):
        state.join("r", number)
        state.leave("r", number + 1, number - 5)
    assert len(state.past) <= 33
    assert state.was_in("r", 1000)
    state.join("q", 1000)
    state.leave("q", 1000, 0)
    assert not state.was_in("q", 1000)
