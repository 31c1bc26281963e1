"""A client whose server the test plays: connecting, events, acknowledgements, recovery, the end."""

import pytest

from duplexio.socketio import ClientLimits
from duplexio.socketio.client_space import AckCallback
from duplexio.socketio.exceptions import AckLostError, BadNamespaceError, LimitExceededError
from tests.socketio.client_fakes import Future, Player

# Connecting


def test_it_connects_to_each_namespace():
    player = Player("/", "/a")
    assert player.open({"t": 1}) == ['0{"t":1}', '0/a,{"t":1}']
    player.get('0/a,{"sid":"a1"}')
    assert player.answered == 0
    player.get('0{"sid":"r1"}')
    assert player.answered == 1
    assert player.calls == [("/a", "connect"), ("connect",)]
    assert [space.sid for space in player.hub.spaces.values()] == ["r1", "a1"]


def test_without_auth_there_is_no_payload():
    assert Player().open() == ["0"]


def test_protocol_4_connects_to_the_root_unasked():
    player = Player("/", "/a", protocol=3)
    assert player.open({"token": "x y", "n": 1}) == ["0/a?token=x+y&n=1,"]
    player.get("0", "0/a?token=x+y&n=1,")
    assert [space.sid for space in player.hub.spaces.values()] == ["engine-id", "/a#engine-id"]


def test_a_root_that_nobody_wants_is_ignored():
    player = Player("/a", protocol=3)
    player.open()
    player.get("0", '2["x"]', "0/a")
    assert player.calls == [("/a", "connect")]


@pytest.mark.parametrize(
    ("protocol", "packet", "arguments"),
    [
        (4, '4{"message":"no","data":{"c":7}}', ({"message": "no", "data": {"c": 7}},)),
        (4, '4{"message":"no"}', ({"message": "no"},)),
        (4, '4"Unable to connect"', ("Unable to connect",)),
        (3, '4"no"', ("no",)),
        (3, '4["a"]', ("a",)),
        (3, "4", ()),
    ],
)
def test_a_refusal(protocol, packet, arguments):
    handled = []
    player = Player(protocol=protocol, handlers={"connect_error": lambda *a: handled.append(a)})
    player.open()
    player.get(packet)
    assert handled == [arguments]
    assert player.answered == 1
    with pytest.raises(BadNamespaceError, match="refused"):
        player.emit("x")


def test_a_second_connect_is_ignored():
    player = Player()
    player.connect()
    player.get('0{"sid":"s2"}')
    assert player.calls == [("connect",)]
    assert player.space.sid == "s1"


# Events


def test_events_and_their_answers():
    handlers = {
        "add": lambda a, b: a + b,
        "none": lambda: None,
        "two": lambda: (1, 2),
        "fails": lambda: 1 / 0,
    }
    player = Player(handlers=handlers)
    player.connect()
    player.get('27["add",1,2]', '28["none"]', '29["two"]', '210["fails"]', '211["unknown"]')
    assert player.take() == ["37[3]", "38[]", "39[1,2]", "311[]"]


def test_attachments():
    player = Player()
    player.connect()
    player.get('51-["x",{"_placeholder":true,"num":0}]', b"abc")
    assert player.calls[1:] == [("x", b"abc")]
    player.emit("y", b"def")
    assert player.take() == ['51-["y",{"_placeholder":true,"num":0}]', b"def"]


@pytest.mark.parametrize("packet", ["9", "2[", '2["connect"]', '51-["x"]', "5", '3{"a":1}', ""])
def test_what_is_no_packet_ends_the_connection(packet):
    player = Player()
    player.connect()
    player.get(packet, "6")
    assert player.closed == ["parse error"]
    assert player.calls == [("connect",), ("disconnect", "transport error")]


def test_an_answer_belongs_to_its_connection():
    player = Player()
    player.connect()
    old = player.connection
    player.lose()
    player.connect()
    player.take()
    old.answer(player.space, None, 5, "late")
    assert player.take() == []


def test_early_events_wait_for_the_answer_to_connect():
    player = Player()
    player.open()
    player.get('2["a"]', '2["b"]')
    assert player.calls == []
    player.get('0{"sid":"s1"}')
    assert player.calls == [("connect",), ("a",), ("b",)]


def test_early_events_are_bounded():
    player = Player(limits=ClientLimits(max_early_events=3))
    player.open()
    player.get('2["a"]', '2["b"]', '2["c"]')
    assert not player.closed
    player.get('2["d"]')
    assert player.closed == ["parse error"]
    assert player.hub.counters["max_early_events"] == 1


# Acknowledgements


def test_acknowledgements():
    player = Player()
    player.connect()
    future, seen = Future(), []
    player.emit("x", callback=future)
    player.emit("y", callback=lambda *args: seen.append(args))
    assert player.take() == ['21["x"]', '22["y"]']
    player.get("31[]", "32[1,2]", "32[3]", "399[1]")
    assert future.result == []
    assert seen == [(1, 2)]
    assert player.is_clean()


def test_acknowledgements_that_can_not_come_fail_at_once():
    player = Player()
    player.connect()
    future, lost = Future(), []
    player.emit("x", callback=future)
    player.emit("y", callback=AckCallback(lambda: None, lost.append))
    player.emit("z", callback=lambda: None)
    player.lose("ping timeout")
    assert isinstance(future.error, AckLostError)
    assert "ping timeout" in str(future.error)
    assert isinstance(lost[0], AckLostError)
    assert player.is_clean()


def test_ack_timeout():
    player = Player(ack_timeout=2.0)
    player.connect()
    future, early = Future(), Future()
    player.emit("x", callback=future)
    player.emit("y", callback=early)
    player.get("32[]")
    player.loop.advance(1.9)
    assert not future.done()
    player.loop.advance(0.2)
    assert "ack_timeout" in str(future.error)
    assert early.result == []
    player.get("31[]")
    assert player.is_clean()


def test_too_many_acknowledgements_are_due():
    player = Player(limits=ClientLimits(max_pending_acks=2))
    player.connect()
    futures = [Future() for _ in range(3)]
    for future in futures:
        player.emit("x", callback=future)
    assert [future.done() for future in futures] == [True, False, False]


# While the connection is broken


def test_emits_are_kept_and_sent_in_order():
    player = Player()
    player.connect()
    player.lose()
    future = Future()
    player.emit("a", 1)
    player.emit("b", b"x", callback=future)
    player.emit("c")
    player.open()
    assert player.take() == []
    player.get('0{"sid":"s2"}')
    assert player.take() == ['2["a",1]', '51-1["b",{"_placeholder":true,"num":0}]', b"x", '2["c"]']
    player.get("31[7]")
    assert future.result == [7]
    assert player.is_clean()


def test_what_waits_goes_before_what_the_connect_handler_emits():
    player = Player(handlers={"connect": lambda: player.emit("new")})
    player.connect()
    assert player.take() == ['2["new"]']
    player.lose()
    player.emit("kept")
    player.connect()
    assert player.take() == ['2["kept"]', '2["new"]']


def test_policies():
    player = Player(offline="fail")
    with pytest.raises(BadNamespaceError, match="offline='fail'"):
        player.emit("a")
    player.hub.offline = "drop"
    future = Future()
    player.emit("a", callback=future)
    assert isinstance(future.error, AckLostError)
    player.connect()
    assert player.take() == []
    assert player.hub.counters == {"dropped_emits": 1}


def test_volatile_emits():
    player = Player()
    player.emit("early", volatile=True)
    player.connect()
    player.emit("now", volatile=True)
    player.session.waiting_bytes = 1
    player.emit("slow", volatile=True)
    assert player.take() == ['2["now"]']
    assert player.hub.counters == {"dropped_emits": 2}


def test_limits_of_what_is_kept():
    player = Player(limits=ClientLimits(max_offline_packets=2, max_offline_bytes=100))
    future = Future()
    player.emit("a")
    with pytest.raises(LimitExceededError, match="max_offline_bytes"):
        player.emit("x" * 100, callback=future)
    player.emit("b")
    with pytest.raises(LimitExceededError, match="max_offline_packets"):
        player.emit("c")
    player.connect()
    assert player.take() == ['2["a"]', '2["b"]']
    assert player.is_clean()


def test_an_emit_that_is_forgotten_is_not_sent():
    player = Player()
    id = player.emit("a", callback=Future())
    player.emit("b")
    player.space.forget(id)
    player.connect()
    assert player.take() == ['2["b"]']


def test_data_that_can_not_be_sent_leaves_nothing():
    player = Player()
    player.connect()
    with pytest.raises(TypeError):
        player.emit("a", object(), callback=Future())
    assert player.is_clean()


def test_leaving_gives_everything_up():
    player = Player(retries=2)
    futures = [Future() for _ in range(3)]
    player.connect()
    player.emit("a", callback=futures[0])
    player.lose()
    player.emit("b", callback=futures[1])
    player.leave()
    assert all(isinstance(future.error, AckLostError) for future in futures[:2])
    assert player.is_clean()
    with pytest.raises(BadNamespaceError):
        player.emit("c", callback=futures[2])


# Retries


def test_retries_go_out_one_by_one_to_a_server_that_does_not_know_them():
    player = Player(retries=1)
    assert player.connect() == ['0{"$delivery":"the-client"}']
    for number in range(3):
        player.emit("n", number)
    assert player.take() == ['22["n",0]']
    player.get("32[]")
    assert player.take() == ['24["n",1]']
    player.lose()
    player.connect()
    assert player.take() == ['24["n",1]']
    player.get("34[]", "36[]")
    assert player.take() == ['26["n",2]']
    player.get("36[]")
    assert player.is_clean()


def test_retries_go_out_together_to_a_server_that_knows_them():
    player = Player(retries=1)
    player.connect(**{"$delivery": 128})
    for number in range(40):
        player.emit("n", number)
    assert len(player.take()) == 32
    player.get("34[]")
    assert player.take() == ['266["n",32]']


def test_retries_end():
    player = Player(retries=1, ack_timeout=5.0)
    player.connect()
    future = Future()
    player.emit("a", callback=future)
    assert player.take() == ['22["a"]']
    player.loop.advance(5.1)
    assert player.take() == ['22["a"]']
    player.loop.advance(5.1)
    assert isinstance(future.error, AckLostError)
    assert player.is_clean()


def test_volatile_emits_are_not_retried():
    player = Player(retries=1)
    player.connect()
    player.emit("a", volatile=True, callback=Future())
    player.emit("b")
    # The ids of what may come again are even.
    assert player.take() == ['21["a"]', '22["b"]']


def test_auth_is_beside_what_the_client_says_itself():
    player = Player(retries=1)
    assert player.open({"t": 1}) == ['0{"$delivery":"the-client","t":1}']


# Recovery


def test_recovery():
    player = Player()
    player.connect(pid="p1")
    assert not player.space.recovered
    player.get('2["a",1,"Q8fyIW0"]', '2["b","text"]', '25["c","Q8fyIW0.1"]', '2["d","Q8fyIW0.2"]')
    assert player.calls[1:] == [("a", 1), ("b", "text"), ("c", "Q8fyIW0.1"), ("d",)]
    player.lose()
    assert player.open({"t": 1}) == ['0{"pid":"p1","offset":"Q8fyIW0.2","t":1}']
    player.get('2["missed","Q8fyIW0.3"]', '0{"sid":"s1","pid":"p1"}')
    assert player.space.recovered
    assert player.calls[-2:] == [("connect",), ("missed",)]
    player.lose()
    assert player.open() == ['0{"pid":"p1","offset":"Q8fyIW0.3"}']
    player.get('2["lost","Q8fyIW0.4"]')
    player.lose()
    # Its handler has not run.
    assert player.open() == ['0{"pid":"p1","offset":"Q8fyIW0.3"}']
    player.get('0{"sid":"s9","pid":"p2"}')
    assert not player.space.recovered
    player.lose()
    assert player.open() == ['0{"pid":"p2"}']


def test_the_first_offset_says_which_kind_they_are():
    player = Player()
    player.connect(pid="p1")
    player.get('2["a","Q8fyIW0"]', '2["b","1796000000000-0"]')
    assert player.calls[1:] == [("a",), ("b", "1796000000000-0")]


def test_without_a_pid_there_are_no_offsets():
    player = Player()
    player.connect()
    player.get('2["a","Q8fyIW0"]')
    assert player.calls[1:] == [("a", "Q8fyIW0")]


def test_recovery_can_be_declined():
    player = Player(recovery=False)
    player.connect(pid="p1")
    player.lose()
    assert player.open() == ["0"]


# The end


def test_the_server_disconnects():
    player = Player("/", "/a")
    player.open()
    player.get('0{"sid":"1"}', '0/a,{"sid":"2"}', "1/a,")
    assert player.calls[-1] == ("/a", "disconnect", "server disconnect")
    assert not player.closed
    player.get("1")
    assert player.calls[-1] == ("disconnect", "server disconnect")
    assert player.closed == ["forced close"]


def test_we_disconnect():
    player = Player("/", "/a")
    player.open()
    player.get('0{"sid":"1"}', '0/a,{"sid":"2"}')
    player.connection.close("client disconnect")
    assert player.session.sent == ["1", "1/a,"]
    assert ("disconnect", "client disconnect") in player.calls
    assert ("/a", "disconnect", "client disconnect") in player.calls


def test_handlers_of_old_connections_are_told_of_theirs_only():
    player = Player()
    player.connect()
    old, session = player.connection, player.session
    player.lose()
    player.connect()
    calls = len(player.calls)
    old.on_text(session, '42["x"]', 1)
    assert len(player.calls) == calls
