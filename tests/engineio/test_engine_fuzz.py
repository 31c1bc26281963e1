"""Any requests, in any order: each is answered once or waits, and nothing grows without bound."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from duplexio.engineio.engine import Engine
from duplexio.engineio.options import make_options
from duplexio.engineio.polling import PostRequest, Responder
from duplexio.engineio.request import ScopeRequest
from tests.engineio.fakes import FakeWire, Recorder


class Answer(Responder):
    def __init__(self):
        self.status = None
        self.body = b""

    def respond(self, status, headers, body):
        assert self.status is None
        assert 200 <= status < 600
        for name, value in headers:
            assert name.islower()
            assert b"\n" not in value
        self.status = status
        self.body = body


class Echo(Recorder):
    def on_text(self, session, text, start):
        super().on_text(session, text, start)
        session.send_text(text[start:])

    def on_binary(self, session, data):
        super().on_binary(session, data)
        session.send_binary(data)


pieces = st.sampled_from(
    [b"4a", b"\x1e", b"1", b"2", b"3", b"5", b"bAA==", b"2:4x", b"1:1", b"\x00\x01\xff4", b"d=4a"]
)
bodies = st.lists(pieces, max_size=4).map(b"".join) | st.binary(max_size=30)
versions = st.sampled_from(["EIO=3", "EIO=4", ""])
requests = st.tuples(
    st.just("request"),
    st.sampled_from(["GET", "GET", "POST", "POST", "OPTIONS", "PUT"]),
    versions,
    st.sampled_from(["transport=polling", "transport=websocket", "transport=x", ""]),
    st.sampled_from(["sid=1", "sid=2", "sid=3", ""]),
    st.sampled_from(["", "", "", "b64=1", "j=0", "j=x", "%=&&=%zz"]),
    bodies,
    st.sampled_from([b"text/plain", b"application/octet-stream"]),
)
steps = st.one_of(
    requests,
    requests,
    st.tuples(st.just("wire"), st.sampled_from("123")),
    st.tuples(
        st.just("frame"),
        st.integers(0, 3),
        st.sampled_from(["2probe", "5", "4a", "2", "", "x", "1", "b!"]) | st.binary(max_size=3),
    ),
    st.tuples(st.just("lose"), st.integers(0, 3)),
    st.tuples(st.just("send"), st.sampled_from("123")),
    st.tuples(st.just("close"), st.sampled_from("123")),
    st.tuples(st.just("turn")),
)


@given(st.lists(steps, max_size=40))
@settings(max_examples=300, deadline=None)
def test_sequences(sequence):
    asyncio.run(play(sequence))


class Play:
    """An engine, and what was done to it."""

    def __init__(self):
        self.handlers = []
        self.turns = []
        self.wires = []
        self.answers = []
        self.given_up = set()
        ids = iter(range(1, 1000))
        options = make_options(
            jsonp=True, cors_allowed_origins="*", max_connections=3, max_buffered_packets=20
        )
        self.engine = Engine(options, self.accept, lambda: str(next(ids)))

    def accept(self, session, request):
        self.handlers.append(Echo())
        return self.handlers[-1]

    def request(self, method, *rest):
        *query, body, content_type = rest
        scope = {
            "type": "http",
            "method": method,
            "path": "/",
            "query_string": "&".join(query).encode(),
            "headers": [(b"content-type", content_type)],
        }
        answer = Answer()
        turn = self.engine.begin(ScopeRequest(scope), answer)
        if isinstance(turn, PostRequest) and turn.feed(body):
            turn.finish()
        if turn is None:
            assert answer.status is not None
        else:
            self.turns.append((turn, answer))
        self.answers.append(answer)

    def wire(self, sid):
        session = self.engine.sessions.get(sid)
        wire = FakeWire()
        if session is not None and session.begin_upgrade(wire):
            self.wires.append((session, wire))

    def frame(self, number, data):
        if self.wires:
            session, wire = self.wires[number % len(self.wires)]
            if isinstance(data, str):
                session.receive_text(wire, data)
            else:
                session.receive_binary(wire, data)

    def lose(self, number):
        if self.turns:
            turn, answer = self.turns[number % len(self.turns)]
            if answer.status is None:
                self.given_up.add(answer)
            turn.lost()

    def send(self, sid):
        session = self.engine.sessions.get(sid)
        if session is not None:
            session.send_text("x")

    def close(self, sid):
        session = self.engine.sessions.get(sid)
        if session is not None:
            session.close()


async def play(sequence):
    game = Play()
    for kind, *arguments in sequence:
        if kind == "turn":
            await asyncio.sleep(0)
        else:
            getattr(game, kind)(*arguments)
        assert len(game.engine.sessions) <= 3
    await game.engine.shutdown(0.01)
    await asyncio.sleep(0)
    assert not game.engine.sessions
    for handler in game.handlers:
        assert handler.events[0] == "open"
        assert handler.reason is not None
    for _, wire in game.wires:
        assert wire.closed is not None
    for answer in game.answers:
        assert answer.status is not None or answer in game.given_up
