"""A client and a session play against each other, through reordering, loss and delay.

The client is a model of Node's: it polls, posts, upgrades, answers heartbeats. Between the two
there is a network that delays every request, answer and frame as it likes, and may cut connections.
What must hold: messages arrive in order, none twice, none invented; none is lost on a session that
holds; each side learns of the end once; and nothing is left behind.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from duplexio.engineio.channel import CLOSED, CLOSING, WEBSOCKET, Wire
from duplexio.engineio.options import SessionOptions
from duplexio.engineio.polls import Poll, Post
from duplexio.engineio.session import Session
from tests.engineio.fakes import OPEN, FakeHost, Recorder

INTERVAL = 25.0
TIMEOUT = 20.0


class NetworkPoll(Poll):
    """A request that waits; its answer travels back when the network likes."""

    def __init__(self, machine):
        self.machine = machine
        self.answered = False
        self.given_up = False

    def answer(self, packets):
        assert not self.answered
        self.answered = True
        if not self.given_up:
            self.machine.answers.append((self, list(packets)))

    def refuse(self):
        assert not self.answered
        self.answered = True
        if not self.given_up:
            self.machine.answers.append((self, None))


class NetworkPost(Post):
    """A request with packets."""

    def __init__(self, machine, packets):
        self.machine = machine
        self.packets = packets
        self.answered = False
        self.begun = False

    def accept(self):
        assert not self.answered
        self.answered = True
        self.machine.post_answers.append(True)

    def refuse(self):
        assert not self.answered
        self.answered = True
        self.machine.post_answers.append(False)


class NetworkWire(Wire):
    """A WebSocket whose frames travel when the network likes, in order."""

    def __init__(self):
        super().__init__()
        self.to_client = []
        self.to_server = []
        self.closed = False  # by the server
        self.cut = False

    def send_text(self, packet):
        assert not self.closed
        self.to_client.append(packet)

    def send_utf8(self, packet):
        self.send_text(packet.decode())

    def send_binary(self, data):
        self.send_text(data)

    def close(self, code, reason):
        assert not self.closed
        self.closed = True
        self.to_client.append(None)

    def abort(self):
        self.close(1006, "")


class ClientAndSession(RuleBasedStateMachine):
    @initialize(protocol=st.sampled_from([3, 4]), early=st.booleans())
    def open(self, protocol, early):
        self.protocol = protocol
        self.host = FakeHost()
        self.session = Session(
            self.host,
            SessionOptions(ping_interval=INTERVAL, ping_timeout=TIMEOUT, upgrade_timeout=10),
            "x",
            protocol,
        )
        self.session.handler = self.recorder = Recorder()
        # What travels.
        self.requests = []  # polls on their way to the server
        self.answers = []
        self.post = None
        self.post_travels = False
        self.post_answers = []
        self.wire = None
        # The client.
        self.client_open = False
        self.client_closed = False
        self.client_received = []
        self.client_queue = []
        self.client_transport = "polling"
        self.client_polling = True  # a request is on its way or waits
        self.upgrading = None  # None, "probing", "pausing"
        self.cut = False
        # What both have sent.
        self.server_sent = []
        self.client_sent = []
        self.counter = 0
        first = NetworkPoll(self)
        self.waiting = first
        if early:
            self.server_sends()
        self.session.open_polling(first, OPEN)

    # The server's application

    @rule()
    def server_sends(self):
        self.counter += 1
        text = f"s{self.counter}"
        if self.session.is_open or self.session.phase == 0:
            self.server_sent.append(text)
        self.session.send_text(text)

    @rule()
    def turn_of_the_loop(self):
        self.host.turn()

    @precondition(lambda self: self.session.is_open)
    @rule(pause=st.booleans())
    def server_pauses(self, pause):
        if pause:
            self.session.pause_reading()
        else:
            self.session.resume_reading()

    @precondition(lambda self: self.counter > 10)
    @rule()
    def server_closes(self):
        self.session.close()

    # The network: polling

    @precondition(lambda self: self.requests)
    @rule()
    def poll_arrives(self):
        self.session.poll(self.requests.pop(0))

    @precondition(lambda self: self.answers)
    @rule()
    def answer_arrives(self):
        poll, packets = self.answers.pop(0)
        if poll is self.waiting:
            self.waiting = None
            self.client_polling = False
            if packets is None:
                self.client_ends()
                return
            for packet in packets:
                self.client_takes(packet)
            if (
                not self.client_closed
                and self.client_transport == "polling"
                and self.upgrading != "pausing"
            ):
                self.client_polls()

    @precondition(lambda self: self.post is not None and self.post_travels)
    @rule()
    def post_arrives(self):
        self.post_travels = False
        if not self.session.begin_post(self.post):
            return
        self.post.begun = True
        self.session.receive_post(self.post, self.post.packets)

    @precondition(lambda self: self.post_answers)
    @rule()
    def post_answer_arrives(self):
        accepted = self.post_answers.pop(0)
        self.post = None
        if not accepted:
            self.client_ends()

    # The network: the WebSocket

    @precondition(lambda self: self.wire is not None and self.wire.to_server and not self.wire.cut)
    @rule()
    def frame_arrives_at_server(self):
        # A server that has paused reading, or closed, reads no frames of messages.
        if self.session.reading_paused and self.session.phase == WEBSOCKET:
            return
        self.session.receive_text(self.wire, self.wire.to_server.pop(0))

    @precondition(lambda self: self.wire is not None and self.wire.to_client and not self.wire.cut)
    @rule()
    def frame_arrives_at_client(self):
        packet = self.wire.to_client.pop(0)
        if packet is None:
            wire, self.wire = self.wire, None
            if self.client_transport == "websocket":
                self.client_ends()
            elif self.upgrading is not None:
                self.upgrading = None
                if not self.client_polling and not self.client_closed:
                    self.client_polls()
            self.session.wire_lost(wire, "transport close")
        elif self.client_transport == "websocket":
            self.client_takes(packet)
        elif self.client_closed:
            pass
        elif packet == "3probe" and self.upgrading == "probing":
            self.upgrading = "pausing"
        else:
            raise AssertionError(f"{packet!r} before the upgrade")

    # The client

    def client_takes(self, packet):
        if self.client_closed:
            return
        if packet == OPEN:
            assert not self.client_open
            self.client_open = True
        elif packet == "2":
            assert self.protocol == 4
            self.client_queue.append("3")
        elif packet == "1":
            self.client_ends()
        elif packet[0] == "4":
            assert self.client_open
            self.client_received.append(packet[1:])
        else:
            assert packet in ("3", "6")

    def client_polls(self):
        assert not self.client_polling
        self.client_polling = True
        self.waiting = NetworkPoll(self)
        self.requests.append(self.waiting)

    def client_ends(self):
        self.client_closed = True
        self.upgrading = None

    @precondition(lambda self: self.client_open and not self.client_closed)
    @rule()
    def client_sends(self):
        self.counter += 1
        text = f"c{self.counter}"
        self.client_sent.append(text)
        self.client_queue.append("4" + text)

    @precondition(
        lambda self: (
            self.client_open
            and not self.client_closed
            and self.client_queue
            and (
                (self.client_transport == "polling" and self.post is None and not self.upgrading)
                or self.client_transport == "websocket"
                or (self.upgrading == "probing" and self.post is None)
            )
        )
    )
    @rule()
    def client_flushes(self):
        queue, self.client_queue = self.client_queue, []
        if self.client_transport == "websocket":
            if self.wire is not None:
                self.wire.to_server.extend(queue)
        else:
            self.post = NetworkPost(self, queue)
            self.post_travels = True

    @precondition(lambda self: self.protocol == 3 and self.client_open and not self.client_closed)
    @rule()
    def client_pings(self):
        self.client_queue.append("2")

    @precondition(
        lambda self: (
            self.client_open
            and not self.client_closed
            and self.client_transport == "polling"
            and self.wire is None
        )
    )
    @rule()
    def client_probes(self):
        wire = NetworkWire()
        if not self.session.begin_upgrade(wire):
            return
        self.wire = wire
        self.upgrading = "probing"
        wire.to_server.append("2probe")

    @precondition(
        lambda self: self.upgrading == "pausing" and not self.client_polling and self.post is None
    )
    @rule()
    def client_upgrades(self):
        self.upgrading = None
        self.client_transport = "websocket"
        self.wire.to_server.append("5")

    @precondition(lambda self: self.client_open and self.counter > 12 and self.post is None)
    @rule()
    def client_closes(self):
        if not self.client_closed and self.client_transport == "polling" and not self.upgrading:
            self.post = NetworkPost(self, [*self.client_queue, "1"])
            self.post_travels = True
            self.client_queue = []
            self.client_closed = True

    # Failures

    @precondition(lambda self: self.counter > 8)
    @rule()
    def network_cuts_the_websocket(self):
        if self.wire is not None and not self.wire.cut and not self.wire.closed:
            self.wire.cut = True
            was_current = self.client_transport == "websocket"
            self.cut = self.cut or was_current
            self.session.wire_lost(self.wire, "transport close")
            self.wire = None
            if was_current:
                self.client_ends()
            else:
                self.upgrading = None
                if not self.client_polling and not self.client_closed:
                    self.client_polls()

    @precondition(lambda self: self.counter > 8 and self.waiting is not None)
    @rule()
    def network_cuts_the_poll(self):
        poll = self.waiting
        if poll in self.requests or poll.answered:
            return
        poll.given_up = True
        self.cut = True
        self.session.poll_lost(poll)
        self.client_ends()

    @rule(seconds=st.sampled_from([0.05, 1.0, 5.0, 9.0]))
    def time_passes(self, seconds):
        self.host.advance(seconds)

    # What must hold

    @invariant()
    def messages_are_in_order_and_never_doubled(self):
        if not hasattr(self, "session"):
            return
        received = self.recorder.messages
        assert received == self.client_sent[: len(received)]
        assert self.client_received == self.server_sent[: len(self.client_received)]

    @invariant()
    def the_end_is_told_once_and_leaves_nothing(self):
        if not hasattr(self, "session"):
            return
        session = self.session
        assert not self.host.failures
        assert len(self.host.ended) <= 1
        if session.phase == CLOSED:
            assert self.host.ended == ["x"]
            assert not self.host.deadlines
            assert self.recorder.reason is not None
            assert session.wire is None
        elif session.phase != CLOSING:
            assert self.recorder.reason is None
            assert self.host.deadlines

    def teardown(self):
        """On a session that holds, everything arrives in the end."""
        if not hasattr(self, "session") or self.cut:
            return
        self.session.resume_reading()
        for _ in range(200):
            if not self.session.is_open or self.client_closed:
                return
            before = (len(self.client_received), len(self.recorder.messages))
            self.host.turn()
            if self.requests:
                self.poll_arrives()
            if self.answers:
                self.answer_arrives()
            if self.post is not None and self.post_travels:
                self.post_arrives()
            if self.post_answers:
                self.post_answer_arrives()
            if self.wire is not None and self.wire.to_server:
                self.frame_arrives_at_server()
            if self.wire is not None and self.wire.to_client:
                self.frame_arrives_at_client()
            if self.upgrading == "pausing" and not self.client_polling and self.post is None:
                self.client_upgrades()
            self.host.advance(0.11)
            if self.client_queue and self.post is None and not self.upgrading:
                self.client_flushes()
            if before == (len(self.client_received), len(self.recorder.messages)) and (
                self.client_received == self.server_sent
                and self.recorder.messages == self.client_sent
            ):
                break
        if self.session.is_open and not self.client_closed and self.client_open:
            assert self.client_received == self.server_sent
            assert self.recorder.messages == self.client_sent


TestClientAndSession = ClientAndSession.TestCase
TestClientAndSession.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
