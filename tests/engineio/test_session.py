"""The session under a fake clock: every phase, every transition, no waiting."""

import itertools

import pytest

from duplexio.engineio import session as module
from duplexio.engineio.encoded import Encoded
from duplexio.engineio.options import SessionOptions
from duplexio.engineio.session import Session
from duplexio.engineio.transitions import TRANSITIONS
from tests.engineio.fakes import (
    OPEN,
    FakeHost,
    FakePoll,
    FakePost,
    FakeWire,
    Recorder,
    poll,
    polling_session,
    post,
    websocket_session,
)


def upgraded_session(protocol=4, **options):
    host, session, handler = polling_session(protocol, **options)
    wire = FakeWire()
    assert session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    session.receive_text(wire, "5")
    assert wire.sent.pop(0) == "3probe"
    return host, session, handler, wire


# The table


def test_every_phase_but_the_last_can_end():
    for phase in range(module.CLOSED):
        assert TRANSITIONS[(phase, module.END)] == module.CLOSED
    assert all(phase != module.CLOSED for phase, _ in TRANSITIONS)


def test_every_phase_can_be_reached():
    assert set(TRANSITIONS.values()) == set(range(1, module.CLOSED + 1))


# Messages


def test_text_and_binary_on_websocket():
    _host, session, handler, wire = websocket_session()
    session.receive_text(wire, "4hello")
    session.receive_text(wire, "4")
    session.receive_binary(wire, b"\x00\x01")
    assert handler.messages == ["hello", "", b"\x00\x01"]
    session.send_text("a")
    session.send_packet("4b")
    session.send_utf8("4€".encode())
    session.send_binary(b"c")
    assert wire.sent == ["4a", "4b", "4€", b"c"]


def test_binary_on_a_websocket_of_protocol_3_has_its_type_in_front():
    _host, session, handler, wire = websocket_session(3)
    session.receive_binary(wire, b"\x04abc")
    session.send_binary(b"def")
    assert handler.messages == [b"abc"]
    assert wire.sent == [b"\x04def"]


@pytest.mark.parametrize(("protocol", "packet"), [(4, "bYWJj"), (3, "b4YWJj")])
def test_base64_on_a_websocket(protocol, packet):
    _host, session, handler, wire = websocket_session(protocol, b64=True)
    session.receive_text(wire, packet)
    session.send_binary(b"abc")
    assert handler.messages == [b"abc"]
    assert wire.sent == [packet]


def test_encoded_messages_are_sent_whole():
    _host, session, _handler, wire = websocket_session()
    encoded = Encoded("2[1]", (b"ab",))
    session.send_encoded(encoded)
    assert wire.sent == [("frames", b"\x81\x0542[1]\x82\x02ab")]
    _host, session, _handler = polling_session()
    session.send_encoded(encoded)
    assert poll(session).result == [encoded]


def test_what_is_sent_in_one_turn_answers_one_poll():
    host, session, _handler = polling_session()
    waiting = poll(session)
    session.send_text("a")
    session.send_binary(b"b")
    assert waiting.result is None
    host.turn()
    assert waiting.result == ["4a", b"b"]
    session.send_text("c")
    session.send_text("d")
    host.turn()
    assert session.buffered_packets == 2
    assert poll(session).result == ["4c", "4d"]
    assert session.buffered_packets == session.buffered_bytes == 0


@pytest.mark.parametrize("protocol", [3, 4])
def test_what_is_sent_on_open_goes_out_with_the_open_packet(protocol):
    class Greeter(Recorder):
        def on_open(self, session):
            session.send_text("0")

    session = Session(FakeHost(), SessionOptions(), "x", protocol)
    session.handler = Greeter()
    session.send_text("early")
    first = FakePoll()
    session.open_polling(first, OPEN)
    assert first.result == [OPEN, "4early", "40"]
    session = Session(FakeHost(), SessionOptions(), "x", protocol)
    session.handler = Greeter()
    session.send_text("early")
    wire = FakeWire()
    session.open_websocket(wire, OPEN)
    assert wire.sent == [OPEN, "4early", "40"]


def test_posted_messages_arrive_in_order():
    _host, session, handler = polling_session()
    assert post(session, "4a", b"b", "4c") == "ok"
    assert handler.messages == ["a", b"b", "c"]


@pytest.mark.parametrize("packet", ["", "7", "x", "b!!!\u20ac"])
def test_an_invalid_packet_ends_the_session(packet):
    host, session, handler = polling_session()
    waiting = poll(session)
    assert post(session, "4a", packet, "4b") == "refused"
    assert handler.messages == ["a"]
    assert handler.reason == "parse error"
    assert waiting.result == ["1"]
    assert host.ended == ["x"]
    assert poll(session).result == "refused"
    host, session, handler, wire = websocket_session()
    session.receive_text(wire, packet)
    assert handler.reason == "parse error"
    assert wire.closed == 1000


@pytest.mark.parametrize("packet", ["0", "5", "6", "6x"])
def test_packets_that_mean_nothing_are_ignored(packet):
    _host, session, handler = polling_session()
    assert post(session, packet) == "ok"
    assert handler.messages == []
    assert session.is_open


def test_a_handler_that_raises_ends_the_session():
    class Broken(Recorder):
        def on_text(self, session, text, start):
            raise ValueError("no")

    host, session, handler, wire = websocket_session(handler=Broken())
    session.receive_text(wire, "4a")
    session.receive_text(wire, "4b")
    assert [str(exc) for exc in host.failures] == ["no"]
    assert handler.reason == "transport error"


# Reading can be paused


def test_a_paused_session_holds_the_post_back():
    _host, session, handler = polling_session()
    session.pause_reading()
    request = FakePost()
    assert session.begin_post(request)
    session.receive_post(request, ["4a", "4b"])
    assert handler.messages == []
    assert request.result is None
    session.resume_reading()
    assert handler.messages == ["a", "b"]
    assert request.result == "ok"


def test_a_handler_may_pause_in_the_middle_of_a_post():
    class Busy(Recorder):
        def on_text(self, session, text, start):
            super().on_text(session, text, start)
            session.pause_reading()

    _host, session, handler = polling_session(handler=Busy())
    request = FakePost()
    session.begin_post(request)
    session.receive_post(request, ["4a", "4b", "4c"])
    assert handler.messages == ["a"]
    session.resume_reading()
    assert handler.messages == ["a", "b"]
    session.resume_reading()
    session.resume_reading()
    assert handler.messages == ["a", "b", "c"]
    assert request.result == "ok"


def test_a_pause_is_kept_over_the_upgrade():
    _host, session, _handler = polling_session()
    session.pause_reading()
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    session.receive_text(wire, "5")
    assert wire.paused
    session.resume_reading()
    assert not wire.paused


# Heartbeats


def test_the_server_pings_in_protocol_4():
    host, session, handler, wire = websocket_session(ping_interval=25, ping_timeout=20)
    host.advance(24.9)
    assert wire.sent == []
    host.advance(0.1)
    assert wire.sent == ["2"]
    host.advance(19)
    session.receive_text(wire, "3")
    host.advance(24.9)
    assert wire.sent == ["2"]
    host.advance(0.2)
    assert wire.sent == ["2", "2"]
    assert handler.reason is None


def test_no_pong_in_time_ends_the_session():
    host, session, handler = polling_session(ping_interval=25, ping_timeout=20)
    waiting = poll(session)
    host.advance(25)
    assert waiting.result == ["2"]
    host.advance(19.9)
    assert handler.reason is None
    host.advance(0.2)
    assert handler.reason == "ping timeout"
    assert poll(session).result == "refused"
    assert host.ended == ["x"]
    assert not host.deadlines


def test_messages_are_no_heartbeats():
    host, session, handler, wire = websocket_session(ping_interval=25, ping_timeout=20)
    host.advance(30)
    session.receive_text(wire, "4a")
    host.advance(16)
    assert handler.reason == "ping timeout"


def test_the_client_pings_in_protocol_3():
    host, session, handler, wire = websocket_session(3, ping_interval=25, ping_timeout=20)
    host.advance(44)
    session.receive_text(wire, "2")
    assert wire.sent == ["3"]
    host.advance(44)
    assert handler.reason is None
    host.advance(2)
    assert handler.reason == "ping timeout"
    assert wire.sent == ["3"]


@pytest.mark.parametrize(("protocol", "packet"), [(3, "3"), (4, "2")])
def test_heartbeats_in_the_wrong_direction_end_the_session(protocol, packet):
    _host, session, handler, wire = websocket_session(protocol)
    session.receive_text(wire, packet)
    assert handler.reason == "transport error"


def test_lag_of_the_loop_is_credited():
    host, session, handler, wire = websocket_session(ping_interval=25, ping_timeout=20)
    host.advance(25)
    assert wire.sent == ["2"]
    # The loop is blocked for 15 of the 20 seconds; the pong may lie in the kernel.
    host.advance(30, lag=15)
    assert handler.reason is None
    session.receive_text(wire, "3")
    host.advance(20)
    assert handler.reason is None


def test_lag_is_credited_only_as_long_as_it_was():
    host, _session, handler, _wire = websocket_session(ping_interval=25, ping_timeout=20)
    host.advance(25)
    host.advance(20, lag=5)
    assert handler.reason is None
    host.advance(4.9)
    assert handler.reason is None
    host.advance(0.2)
    assert handler.reason == "ping timeout"


def test_a_paused_reader_is_given_time_but_not_for_ever():
    host, session, handler, _wire = websocket_session(ping_interval=25, ping_timeout=20)
    session.pause_reading()
    host.advance(25 + 20 * module.PATIENCE)
    assert handler.reason is None
    host.advance(21)
    assert handler.reason == "ping timeout"


def test_without_monitoring_nobody_is_given_up():
    host, _session, handler, _wire = websocket_session(monitor=False)
    host.advance(1000)
    assert handler.reason is None


# Overlapping and lost requests


def test_a_second_poll_ends_the_session():
    _host, session, handler = polling_session()
    first, second = poll(session), poll(session)
    assert first.result == ["1"]
    assert second.result == "refused"
    assert handler.reason == "transport error"


def test_a_second_post_ends_the_session():
    _host, session, handler = polling_session()
    first, second = FakePost(), FakePost()
    assert session.begin_post(first)
    assert not session.begin_post(second)
    assert first.result == second.result == "refused"
    session.receive_post(first, ["4a"])
    assert handler.messages == []
    assert handler.reason == "transport error"


def test_a_poll_that_the_client_gives_up_ends_the_session():
    _host, session, handler = polling_session()
    waiting = poll(session)
    session.poll_lost(waiting)
    assert handler.reason == "transport error"
    assert waiting.result is None


def test_an_answered_poll_cannot_be_lost():
    host, session, handler = polling_session()
    waiting = poll(session)
    session.send_text("a")
    host.turn()
    session.poll_lost(waiting)
    assert handler.reason is None


def test_a_post_that_the_client_gives_up_ends_the_session():
    _host, session, handler = polling_session()
    request = FakePost()
    session.begin_post(request)
    session.post_lost(request)
    assert handler.reason == "transport error"
    assert request.result is None


# The end


def test_the_client_closes_while_a_poll_waits():
    _host, session, handler = polling_session()
    waiting = poll(session)
    assert post(session, "4a", "1") == "ok"
    assert waiting.result == ["6"]
    assert handler.messages == ["a"]
    assert handler.reason == "transport close"
    assert poll(session).result == "refused"
    assert post(session, "4b") == "refused"


def test_the_server_closes_while_a_poll_waits():
    host, session, handler = polling_session()
    waiting = poll(session)
    session.send_text("bye")
    session.close()
    assert waiting.result == ["4bye", "1"]
    assert handler.reason == "forced close"
    assert host.ended == ["x"]


def test_the_close_packet_waits_for_the_next_poll():
    host, session, handler = polling_session()
    session.send_text("bye")
    session.close()
    assert handler.reason == "forced close"
    assert session.state == "closing"
    assert host.ended == []
    session.send_text("too late")
    assert post(session, "4x") == "ok"
    assert handler.messages == []
    host.advance(29)
    assert poll(session).result == ["4bye", "1"]
    assert host.ended == ["x"]
    assert session.state == "closed"


def test_the_close_packet_does_not_wait_for_ever():
    host, session, _handler = polling_session(close_timeout=30)
    session.close()
    host.advance(31)
    assert host.ended == ["x"]
    assert not host.deadlines
    assert poll(session).result == "refused"


def test_the_server_closes_a_websocket_behind_what_was_sent():
    host, session, handler, wire = websocket_session()
    session.send_text("bye")
    session.close("server shutting down", 1001)
    assert wire.sent == ["4bye"]
    assert wire.closed == 1001
    assert handler.reason == "server shutting down"
    session.send_text("too late")
    session.close()
    session.receive_text(wire, "4x")
    assert handler.messages == []
    session.wire_lost(wire, "transport close")
    assert host.ended == ["x"]


def test_a_handler_that_closes_does_not_spoil_the_post():
    class Closer(Recorder):
        def on_text(self, session, text, start):
            session.close()

    for polls in (True, False):
        _host, session, handler = polling_session(handler=Closer())
        if polls:
            poll(session)
        assert post(session, "4a", "4b") == "ok"
        assert handler.reason == "forced close"


def test_the_websocket_ends():
    _host, session, handler, wire = websocket_session()
    session.wire_lost(wire, "transport close")
    assert handler.reason == "transport close"
    assert wire.closed is None


# Buffers


def test_a_client_that_does_not_poll_is_given_up():
    _host, session, handler = polling_session(max_buffered_packets=3)
    for _ in range(4):
        session.send_text("a")
    assert handler.reason == "send buffer overflow"
    _host, session, handler = polling_session(max_buffered_bytes=10)
    session.send_text("a" * 10)
    assert handler.reason == "send buffer overflow"


def test_a_websocket_that_does_not_read_is_given_up():
    _host, session, handler, wire = websocket_session(max_buffered_bytes=100)
    wire.waiting = 101
    session.send_text("a")
    assert handler.reason is None
    wire.congested = True
    session.send_text("b")
    assert handler.reason == "send buffer overflow"
    assert wire.aborted
    _host, session, handler, wire = websocket_session(max_buffered_packets=2)
    wire.congested = True
    for _ in range(3):
        session.send_text("a")
    assert handler.reason == "send buffer overflow"


def test_a_websocket_that_reads_again_starts_from_nothing():
    _host, session, handler, wire = websocket_session(max_buffered_packets=2)
    for _ in range(3):
        wire.congested = True
        session.send_text("a")
        session.send_text("a")
        assert session.buffered_packets == 2
        wire.congested = False
        session.wire_drained(wire)
    assert handler.reason is None
    assert handler.events.count("drained") == 3


def test_clients_that_take_few_packets_at_once():
    _host, session, handler = polling_session()
    session.limit_polls(3)
    for text in "abcdefg":
        session.send_text(text)
    session.send_encoded(Encoded("h", (b"1", b"2", b"3", b"4")))
    session.send_text("i")
    assert poll(session).result == ["4a", "4b", "4c"]
    assert poll(session).result == ["4d", "4e", "4f"]
    assert poll(session).result == ["4g"]
    result = poll(session).result
    assert [packet.text for packet in result] == ["h"]
    assert poll(session).result == ["4i"]
    waiting = poll(session)
    for text in "abcd":
        session.send_text(text)
    session.close()
    assert handler.reason == "forced close"
    assert waiting.result == ["4a", "4b", "4c"]
    assert poll(session).result == ["4d", "1"]
    assert poll(session).result == "refused"


# The upgrade


@pytest.mark.parametrize("protocol", [3, 4])
def test_the_upgrade(protocol):
    host, session, handler = polling_session(protocol)
    waiting = poll(session)
    wire = FakeWire()
    assert session.begin_upgrade(wire)
    assert waiting.result is None
    session.send_text("still polled")
    host.turn()
    assert waiting.result == ["4still polled"]
    waiting = poll(session)
    session.receive_text(wire, "2probe")
    assert wire.sent == ["3probe"]
    assert waiting.result == ["6"]
    session.send_text("held")
    assert session.transport == "polling"
    session.receive_text(wire, "5")
    assert session.transport == "websocket"
    session.send_text("next")
    assert wire.sent == ["3probe", "4held", "4next"]
    session.receive_text(wire, "4hello")
    assert handler.messages == ["hello"]
    assert poll(session).result == "refused"
    assert post(session, "4x") == "refused"
    assert session.is_open
    assert not session.begin_upgrade(FakeWire())


def test_a_client_that_polls_on_after_the_probe_is_answered_slowly():
    host, session, _handler = polling_session()
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    waiting = poll(session)
    host.advance(0.05)
    assert waiting.result is None
    host.advance(0.06)
    assert waiting.result == ["6"]


def test_only_one_websocket_may_try():
    _host, session, _handler = polling_session()
    assert session.begin_upgrade(FakeWire())
    assert not session.begin_upgrade(FakeWire())


def test_probes_of_a_client_that_does_not_read_what_it_asks_for():
    _, session, handler = polling_session()
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    session.receive_text(wire, "2probe")
    assert wire.sent == ["3probe", "3probe"]
    wire.congested = True
    session.receive_text(wire, "2probe")
    assert wire.sent == ["3probe", "3probe"]
    assert wire.closed == 1000
    assert session.is_open
    assert handler.reason is None


@pytest.mark.parametrize("packet", ["4hello", "5", "2", "3probe", "", b"binary"])
def test_a_websocket_that_says_something_else_is_closed_and_the_session_goes_on(packet):
    host, session, handler = polling_session()
    waiting = poll(session)
    wire = FakeWire()
    session.begin_upgrade(wire)
    if isinstance(packet, str):
        session.receive_text(wire, packet)
    else:
        session.receive_binary(wire, packet)
    assert wire.closed == 1000
    assert handler.messages == []
    session.send_text("a")
    host.turn()
    assert waiting.result == ["4a"]
    assert session.begin_upgrade(FakeWire())


def test_an_upgrade_that_takes_too_long():
    host, session, _handler = polling_session(upgrade_timeout=10)
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    host.advance(9.9)
    assert wire.closed is None
    host.advance(0.2)
    assert wire.closed == 1000
    assert session.is_open


def test_a_websocket_that_is_lost_during_the_upgrade():
    for probed in (False, True):
        _host, session, handler = polling_session()
        wire = FakeWire()
        session.begin_upgrade(wire)
        if probed:
            session.receive_text(wire, "2probe")
        session.wire_lost(wire, "transport close")
        session.send_text("a")
        assert poll(session).result == ["4a"]
        assert handler.reason is None


def test_the_session_ends_during_the_upgrade():
    _host, session, handler = polling_session()
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    assert post(session, "1") == "ok"
    assert wire.closed == 1000
    assert handler.reason == "transport close"


def test_the_server_closes_during_the_upgrade():
    # Before the probe the client polls, and learns of the close there.
    host, session, handler = polling_session()
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.close()
    assert wire.closed == 1000
    assert poll(session).result == ["1"]
    # After it the client may have stopped to poll.
    host, session, handler = polling_session()
    wire = FakeWire()
    session.begin_upgrade(wire)
    session.receive_text(wire, "2probe")
    session.send_text("bye")
    session.close()
    assert wire.closed is None
    session.receive_text(wire, "5")
    assert wire.sent == ["3probe", "4bye"]
    assert wire.closed == 1000
    assert host.ended == ["x"]
    assert handler.events.count("forced close") == 1


def test_no_upgrade_where_it_is_not_allowed():
    _host, session, _handler = polling_session(allow_upgrades=False)
    assert not session.begin_upgrade(FakeWire())


def test_the_heartbeat_goes_on_over_the_upgrade():
    host, _session, handler, wire = upgraded_session(ping_interval=25, ping_timeout=20)
    host.advance(25.1)
    assert wire.sent == ["2"]
    host.advance(20)
    assert handler.reason == "ping timeout"


def test_nothing_but_the_end_is_told_before_it_opens():
    host = FakeHost()
    session = Session(host, SessionOptions(), "x", 4)
    session.handler = handler = Recorder()
    assert session.state == "opening"
    assert poll(session).result == "refused"
    assert post(session, "4a") == "refused"
    session.close()
    assert handler.reason == "forced close"
    assert host.ended == ["x"]


def test_a_session_that_was_ended_does_not_open():
    host = FakeHost()
    session = Session(host, SessionOptions(), "x", 4)
    session.close()
    session.handler = handler = Recorder()
    slot = FakePoll()
    session.open_polling(slot, OPEN)
    assert slot.result == "refused"
    wire = FakeWire()
    session.open_websocket(wire, OPEN)
    assert wire.closed == 1001
    assert (wire.sent, handler.events, handler.reason) == ([], [], None)


def test_the_reasons_are_node_s():
    reasons = {module.TRANSPORT_CLOSE, module.TRANSPORT_ERROR, module.PING_TIMEOUT}
    assert reasons == {"transport close", "transport error", "ping timeout"}
    assert len(set(itertools.chain(reasons, [module.FORCED_CLOSE, module.PARSE_ERROR]))) == 5
