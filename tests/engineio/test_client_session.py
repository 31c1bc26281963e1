"""A client's session under a clock moved by hand, and against a session of a server."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duplexio.engineio.channel import TRANSPORT_CLOSE, Wire
from duplexio.engineio.client_handshake import Handshake
from duplexio.engineio.client_options import ClientOptions, Remembered
from duplexio.engineio.client_session import TRANSITIONS, ClientSession, Opener, Requests
from duplexio.engineio.encoded import Encoded
from duplexio.engineio.exceptions import PayloadTooLarge, SendBufferFull
from duplexio.engineio.options import SessionOptions
from duplexio.engineio.packets import open_packet
from duplexio.engineio.polls import Poll, Post
from duplexio.engineio.session import Session
from tests.engineio.fakes import FakeHost, FakeWire, Recorder

INTERVAL, TIMEOUT = 25.0, 20.0


class FakeRequests(Requests):
    def __init__(self):
        self.gets = 0
        self.posts = []
        self.stopped = False

    def get(self):
        assert not self.stopped
        self.gets += 1

    def post(self, packets):
        assert not self.stopped
        self.posts.append(packets)

    def stop(self):
        self.stopped = True


def flat(posts):
    return [packet for packets in posts for packet in packets]


class FakeOpener(Opener):
    def __init__(self):
        self.handshake = None
        self.reason = None
        self.words = []

    def greeted(self, handshake):
        self.handshake = handshake

    def said(self, packet):
        self.words.append(packet)

    def failed(self, reason):
        self.reason = reason


def hello(upgrades=("websocket",), max_payload=1000):
    return Handshake("x", upgrades, INTERVAL, TIMEOUT, max_payload)


def make(protocol=4, **options):
    host = FakeHost()
    session = ClientSession(host, ClientOptions(**options), protocol)
    session.handler = handler = Recorder()
    return host, session, handler


def polling(protocol=4, packets=(), max_payload=1000, **options):
    host, session, handler = make(protocol, **options)
    requests = FakeRequests()
    session.open_polling(requests, hello(max_payload=max_payload), list(packets))
    return host, session, handler, requests


def websocket(protocol=4, max_payload=1000, **options):
    host, session, handler = make(protocol, **options)
    wire, opener = FakeWire(), FakeOpener()
    session.await_open(wire, opener)
    packet = open_packet("x", upgrades=(), ping_interval=25, ping_timeout=20, max_payload=1000)
    session.receive_text(wire, packet)
    assert opener.handshake.sid == "x"
    session.open_websocket(hello((), max_payload))
    return host, session, handler, wire


def test_transitions_lead_from_every_phase_to_the_end():
    phases = set(range(7))
    assert {phase for phase, _ in TRANSITIONS} == phases - {6}
    reached = {0}
    while True:
        more = {TRANSITIONS[key] for key in TRANSITIONS if key[0] in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == phases
    assert all((phase, "end") in TRANSITIONS for phase in phases - {6})


class TestPolling:
    def test_messages_behind_the_open_packet_follow_it(self):
        _, session, handler, requests = polling(packets=["4a", b"b", "4c"])
        assert handler.events == ["open"]
        assert handler.messages == ["a", b"b", "c"]
        assert requests.gets == 1
        assert session.remembered == Remembered(4, "polling")

    def test_one_request_waits_and_one_brings(self):
        host, session, _, requests = polling()
        session.send_text("a")
        session.send_binary(b"b")
        assert requests.posts == []
        host.turn()
        assert requests.posts == [["4a", b"b"]]
        session.send_text("c")
        host.turn()
        assert len(requests.posts) == 1
        session.posted(b"ok")
        assert requests.posts[1:] == [["4c"]]
        assert requests.gets == 1
        session.receive_packets(["6"])
        assert requests.gets == 2

    def test_few_packets_until_the_server_says_ok(self):
        host, session, _, requests = polling()
        for number in range(60):
            session.send_text(str(number))
        host.turn()
        session.posted(b"OK")
        session.posted(b"ok")
        assert [len(packets) for packets in requests.posts] == [16, 16, 28]
        assert flat(requests.posts) == [f"4{number}" for number in range(60)]

    def test_a_request_is_no_larger_than_the_server_takes(self):
        host, session, _, requests = polling(max_payload=100)
        for _ in range(5):
            session.send_text("€" * 10)
        session.send_binary(b"x" * 30)
        host.turn()
        while requests.posts[-1:] and session.buffered_packets:
            session.posted(b"ok")
        assert flat(requests.posts) == ["4" + "€" * 10] * 5 + [b"x" * 30]
        assert max(len(packets) for packets in requests.posts) == 2

    def test_attachments_stay_behind_their_text(self):
        host, session, _, requests = polling(max_payload=60)
        session.send_encoded(Encoded("51-x", (b"1" * 20,)))
        session.send_text("next")
        host.turn()
        while session.buffered_packets:
            session.posted(b"ok")
        assert flat(requests.posts) == ["451-x", b"1" * 20, "4next"]

    def test_pause_stops_reading_in_the_middle_of_an_answer(self):
        host, session, handler, requests = polling()
        handler.on_text = lambda session, text, start: (
            handler.messages.append(text[start:]),
            session.pause_reading(),
        )
        session.receive_packets(["4a", "4b"])
        assert handler.messages == ["a"]
        assert requests.gets == 1
        session.resume_reading()
        assert handler.messages == ["a"]
        host.turn()
        assert handler.messages == ["a", "b"]
        session.resume_reading()
        host.turn()
        assert requests.gets == 2

    def test_close_sends_what_waits_and_a_close_packet(self):
        host, session, handler, requests = polling()
        session.send_text("last")
        session.close()
        assert handler.reason == "forced close"
        assert requests.posts == [["4last", "1"]]
        assert session.state == "closing"
        session.posted(b"ok")
        assert session.state == "closed"
        assert requests.stopped
        assert not host.deadlines

    def test_close_does_not_wait_for_ever(self):
        host, session, _, requests = polling(close_timeout=3)
        session.close()
        host.advance(3.1)
        assert session.state == "closed"
        assert requests.stopped

    def test_the_servers_close_packet(self):
        _, session, handler, requests = polling()
        session.receive_packets(["4a", "1", "4b"])
        assert handler.messages == ["a"]
        assert handler.reason == "transport close"
        assert session.closed_by_server
        assert requests.stopped

    def test_a_request_that_fails_ends_the_session(self):
        host, session, handler, requests = polling()
        session.request_failed()
        assert handler.reason == "transport error"
        session.request_failed()
        session.receive_packets(["4late"])
        session.posted(b"ok")
        assert handler.messages == []
        assert requests.stopped
        assert not host.deadlines


class TestUpgrade:
    def upgrading(self, **options):
        host, session, handler, requests = polling(**options)
        wire = FakeWire()
        assert session.upgrade_pending
        assert session.begin_upgrade(wire)
        assert wire.sent == ["2probe"]
        return host, session, handler, requests, wire

    def test_both_requests_are_answered_first(self):
        host, session, handler, requests, wire = self.upgrading()
        session.send_text("a")
        host.turn()
        session.receive_text(wire, "3probe")
        session.send_text("b")
        host.turn()
        assert len(requests.posts) == 1
        assert wire.sent == ["2probe"]
        session.receive_packets(["4from polling", "6"])
        assert requests.gets == 1
        assert wire.sent == ["2probe"]
        session.posted(b"ok")
        assert wire.sent == ["2probe", "5", "4b"]
        assert requests.stopped
        assert session.transport == "websocket"
        assert not session.upgrade_pending
        session.receive_text(wire, "4from the WebSocket")
        assert handler.messages == ["from polling", "from the WebSocket"]

    def test_messages_held_back_come_before_those_of_the_websocket(self):
        host, session, handler, _, wire = self.upgrading()
        session.receive_text(wire, "3probe")
        session.pause_reading()
        session.receive_packets(["4a"])
        assert session.transport == "polling"
        session.resume_reading()
        host.turn()
        assert session.transport == "websocket"
        assert handler.messages == ["a"]

    @pytest.mark.parametrize("answer", ["3", "4early", "3probe2"])
    def test_a_wrong_answer_leaves_the_session_on_polling(self, answer):
        _, session, handler, requests, wire = self.upgrading()
        session.receive_text(wire, answer)
        assert wire.closed == 1000
        assert session.transport == "polling"
        assert not session.upgrade_pending
        assert handler.reason is None
        session.receive_packets(["6"])
        assert requests.gets == 2

    def test_a_websocket_that_is_lost_leaves_the_session_on_polling(self):
        host, session, handler, requests, wire = self.upgrading()
        session.receive_text(wire, "3probe")
        session.send_text("kept")
        session.wire_lost(wire, "transport close")
        host.turn()
        assert requests.posts == [["4kept"]]
        session.receive_packets(["4a"])
        assert handler.messages == ["a"]
        assert requests.gets == 2

    def test_an_upgrade_that_takes_too_long_is_given_up(self):
        host, session, handler, _, wire = self.upgrading(upgrade_timeout=7)
        host.advance(7.1)
        assert wire.closed == 1000
        assert session.transport == "polling"
        assert handler.reason is None

    @pytest.mark.parametrize("probed", [False, True])
    def test_close_meanwhile(self, probed):
        _, session, handler, requests, wire = self.upgrading()
        if probed:
            session.receive_text(wire, "3probe")
        session.close()
        assert handler.reason == "forced close"
        assert wire.closed == 1000
        assert requests.posts == [["1"]]
        session.posted(b"ok")
        assert session.state == "closed"

    def test_no_upgrade_after_the_end(self):
        _, session, _, _ = polling()
        session.close()
        assert not session.begin_upgrade(FakeWire())


class TestWebSocket:
    def test_both_ways(self):
        _, session, handler, wire = websocket()
        session.send_text("a")
        session.send_binary(b"b")
        session.receive_text(wire, "4c")
        session.receive_binary(wire, b"d")
        assert wire.sent == ["4a", b"b"]
        assert handler.messages == ["c", b"d"]

    def test_binary_has_its_type_in_front_in_version_3(self):
        _, session, handler, wire = websocket(3)
        session.send_binary(b"b")
        session.receive_binary(wire, b"\x04d")
        assert wire.sent == [b"\x04b"]
        assert handler.messages == [b"d"]

    def test_close_says_so(self):
        host, session, handler, wire = websocket()
        session.close()
        assert wire.sent == ["1"]
        assert wire.closed == 1000
        assert handler.reason == "forced close"
        assert not host.deadlines

    def test_abort(self):
        _, session, handler, wire = websocket()
        session.abort()
        assert wire.aborted
        assert handler.reason == "forced close"

    def test_loss(self):
        host, session, handler, wire = websocket()
        session.wire_lost(wire, "transport close")
        assert handler.reason == "transport close"
        assert not session.closed_by_server
        assert not host.deadlines

    def test_what_comes_before_the_protocol_is_certain_is_kept(self):
        _, session, handler = make()
        wire, opener = FakeWire(), FakeOpener()
        session.await_open(wire, opener)
        session.receive_text(wire, '0{"sid":"x","pingInterval":25000,"pingTimeout":20000}')
        session.send_early_ping()
        session.receive_text(wire, "4a")
        session.receive_binary(wire, b"b")
        session.receive_text(wire, "3")
        assert wire.sent == ["2"]
        assert opener.words == ["4a", b"b", "3"]
        session.open_early(opener.handshake, ["4a", b"b"])
        assert handler.messages == ["a", b"b"]

    def test_no_open_packet(self):
        _, session, handler = make()
        wire, opener = FakeWire(), FakeOpener()
        session.await_open(wire, opener)
        session.receive_text(wire, "4hello")
        assert "expected '0{" in opener.reason
        session.end("")
        assert wire.closed == 1000
        assert handler.events == []

    def test_lost_before_the_open_packet(self):
        _, session, _ = make()
        wire, opener = FakeWire(), FakeOpener()
        session.await_open(wire, opener)
        session.wire_lost(wire, "transport close")
        assert opener.reason == "transport close"


class TestHeartbeats:
    def test_version_4_answers_pings_and_expects_them(self):
        host, session, handler, wire = websocket()
        for _ in range(3):
            host.advance(INTERVAL)
            session.receive_text(wire, "2")
        assert wire.sent == ["3"] * 3
        host.advance(INTERVAL + TIMEOUT - 1)
        assert handler.reason is None
        host.advance(1.1)
        assert handler.reason == "ping timeout"
        assert session.remembered is None

    def test_version_3_pings_and_expects_answers(self):
        host, session, handler, wire = websocket(3)
        host.advance(INTERVAL + 0.1)
        assert wire.sent == ["2"]
        session.receive_text(wire, "3")
        host.advance(INTERVAL + 0.1)
        assert wire.sent == ["2", "2"]
        host.advance(TIMEOUT + 0.1)
        assert handler.reason == "ping timeout"

    def test_messages_show_that_the_server_is_there(self):
        host, session, handler, wire = websocket()
        host.advance(40)
        session.receive_text(wire, "4a")
        host.advance(10)
        assert handler.reason is None
        host.advance(TIMEOUT)
        assert handler.reason == "ping timeout"

    def test_a_blocked_loop_is_not_the_servers_fault(self):
        host, _, handler, _ = websocket()
        host.advance(60, lag=15)
        assert handler.reason is None
        host.advance(16)
        assert handler.reason == "ping timeout"

    def test_nothing_is_heard_while_reading_is_paused(self):
        host, session, handler, _ = websocket()
        session.pause_reading()
        host.advance(100)
        assert handler.reason is None
        host.advance(400)
        assert handler.reason == "ping timeout"

    def test_a_probe_is_answered_with_its_data(self):
        _, session, _, wire = websocket()
        session.receive_text(wire, "2x")
        assert wire.sent == ["3x"]


class TestLimits:
    @pytest.mark.parametrize("text", ["x" * 1000, "€" * 334, "😀" * 250])
    def test_a_text_that_is_too_large(self, text):
        _, session, _, wire = websocket()
        with pytest.raises(PayloadTooLarge, match="maxPayload"):
            session.send_text(text)
        with pytest.raises(PayloadTooLarge):
            session.check_message(text)
        session.send_text(text[:-1])
        assert wire.sent == ["4" + text[:-1]]

    def test_binary_is_larger_on_polling(self):
        _, session, _, _ = polling()
        session.send_binary(b"x" * 700)
        with pytest.raises(PayloadTooLarge):
            session.send_binary(b"x" * 800)
        _, session, _, _ = websocket()
        session.send_binary(b"x" * 999)
        with pytest.raises(PayloadTooLarge):
            session.send_binary(b"x" * 1001)

    def test_of_a_text_with_attachments_nothing_is_sent(self):
        _, session, _, wire = websocket()
        with pytest.raises(PayloadTooLarge):
            session.send_encoded(Encoded("x", (b"small", b"x" * 2000)))
        assert wire.sent == []

    def test_without_max_payload_everything_goes(self):
        _, session, _, wire = websocket(max_payload=0)
        session.send_text("x" * 100_000)
        assert len(wire.sent) == 1

    def test_a_full_buffer_is_an_error_for_the_sender(self):
        _, session, handler, _ = polling(max_buffered_packets=3)
        for _ in range(3):
            session.send_text("x")
        with pytest.raises(SendBufferFull, match="3 packets"):
            session.send_text("x")
        assert handler.reason is None
        _, session, _, wire = websocket(max_buffered_bytes=100)
        wire.congested = True
        wire.waiting = 90
        session.send_text("x")
        with pytest.raises(SendBufferFull):
            session.send_text("x" * 20)


# A client and a server that play against each other.


class ServerPoll(Poll):
    def __init__(self, game):
        self.game = game

    def answer(self, packets):
        self.game.answers.append([p.packet if isinstance(p, Encoded) else p for p in packets])

    def refuse(self):
        self.game.answers.append(None)


class ServerPost(Post):
    def __init__(self, game):
        self.game = game

    def accept(self):
        self.game.post_answers.append(True)

    def refuse(self):
        self.game.post_answers.append(False)


class Cable(Wire):
    """One end of a WebSocket."""

    def __init__(self, frames):
        super().__init__()
        self.frames = frames
        self.closed = False

    def send_text(self, packet):
        assert not self.closed
        self.frames.append(packet)

    def send_binary(self, data):
        self.send_text(data)

    def close(self, code, reason):
        self.closed = True
        self.frames.append(None)

    def abort(self):
        self.close(1006, "")


class Game(Requests):
    """A network between the two that moves one thing at a time, as it is told."""

    def __init__(self, protocol):
        self.host, self.far = FakeHost(), FakeHost()
        self.server = Session(self.far, SessionOptions(), "x", protocol)
        self.server.handler = self.heard = Recorder()
        self.client = ClientSession(self.host, ClientOptions(), protocol)
        self.client.handler = self.told = Recorder()
        self.gets, self.posts, self.answers, self.post_answers = 0, [], [], []
        self.up, self.down = [], []
        self.here, self.there = Cable(self.up), Cable(self.down)
        self.sent, self.replied = [], []
        self.upgraded = False
        self.server.open_polling(ServerPoll(self), "0{}")
        self.answers.clear()
        self.client.open_polling(self, hello(), [])

    def get(self):
        self.gets += 1

    def post(self, packets):
        self.posts.append(packets)

    def stop(self):
        pass

    def move(self, what):
        if what == 0 and self.gets:
            self.gets -= 1
            self.server.poll(ServerPoll(self))
        elif what == 1 and self.answers:
            packets = self.answers.pop(0)
            assert packets is not None
            self.client.receive_packets(packets)
        elif what == 2 and self.posts:
            post = ServerPost(self)
            assert self.server.begin_post(post)
            self.server.receive_post(post, self.posts.pop(0))
        elif what == 3 and self.post_answers:
            assert self.post_answers.pop(0)
            self.client.posted(b"ok")
        elif what == 4 and self.up:
            packet = self.up.pop(0)
            if packet is None:
                self.server.wire_lost(self.there, TRANSPORT_CLOSE)
            else:
                self.server.receive_text(self.there, packet)
        elif what == 5 and self.down:
            packet = self.down.pop(0)
            if packet is None:
                self.client.wire_lost(self.here, TRANSPORT_CLOSE)
            else:
                self.client.receive_text(self.here, packet)
        elif what == 6:
            self.sent.append(f"c{len(self.sent)}")
            self.client.send_text(self.sent[-1])
        elif what == 7:
            self.replied.append(f"s{len(self.replied)}")
            self.server.send_text(self.replied[-1])
        elif what == 8 and not self.upgraded:
            self.upgraded = True
            assert self.server.begin_upgrade(self.there)
            assert self.client.begin_upgrade(self.here)
        elif what == 9:
            self.host.turn()
            self.far.turn()
        elif what == 10:
            self.host.advance(4)
            self.far.advance(4)


@settings(max_examples=200, deadline=None)
@given(protocol=st.sampled_from([3, 4]), moves=st.lists(st.integers(min_value=0, max_value=10)))
# The server gives the upgrade up just after the client has gone over.
@example(protocol=3, moves=[0, 8, 4, 5, 6, 10, 10, 1, 10])
def test_nothing_is_lost_or_reordered_whatever_the_network_does(protocol, moves):
    game = Game(protocol)
    for move in moves:
        game.move(move)
        if not (game.client.is_open and game.server.is_open):
            # The network was too slow for an upgrade's or a heartbeat's time.
            assert moves.count(10) >= 3
            return
    for _ in range(60 + len(moves)):
        for move in (9, 0, 1, 2, 3, 4, 5):
            game.move(move)
        game.host.advance(0.11)  # the server does not answer every poll at once
        game.far.advance(0.11)
    if not (game.client.is_open and game.server.is_open):
        assert moves.count(10) >= 3
        return
    assert game.heard.messages == game.sent
    assert game.told.messages == game.replied
    if game.upgraded and moves.count(10) < 3:
        assert game.client.transport == game.server.transport == "websocket"
    assert not game.host.failures
    assert not game.far.failures
