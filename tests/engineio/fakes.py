"""What a session's tests put around it: a clock moved by hand, and what records the calls."""

from duplexio.engineio.channel import SessionHandler, SessionHost, Wire
from duplexio.engineio.options import SessionOptions
from duplexio.engineio.polls import Poll, Post
from duplexio.engineio.session import Session


class FakeHost(SessionHost):
    """A host whose time passes when it is told to."""

    def __init__(self):
        self.time = 1000.0
        self.blocked = 0.0
        self.deadlines = {}
        self.unflushed = []
        self.ended = []
        self.failures = []

    def now(self):
        return self.time

    def lag(self):
        return self.blocked

    def schedule(self, session, due):
        self.deadlines[session.sid] = (due, session)

    def cancel(self, session):
        self.deadlines.pop(session.sid, None)

    def flush_soon(self, session):
        self.unflushed.append(session)

    def session_ended(self, session):
        self.ended.append(session.sid)

    def handler_failed(self, session, exc):
        self.failures.append(exc)

    def turn(self):
        """End the turn of the loop: what is to be flushed is."""
        unflushed, self.unflushed = self.unflushed, []
        for session in unflushed:
            session.flush()

    def advance(self, seconds, lag=0.0):
        """Let time pass, and deadlines with it; with ``lag`` the loop was blocked as long."""
        end = self.time + seconds
        if lag:
            self.time = end
            self.blocked += lag
        while True:
            due = min(self.deadlines.values(), key=lambda pair: pair[0], default=None)
            if due is None or due[0] > end:
                break
            self.time = max(self.time, due[0])
            del self.deadlines[due[1].sid]
            due[1].on_due(self.time, lag)
            self.turn()
        self.time = end
        self.turn()


class FakeWire(Wire):
    """Records what is sent on it: ``str`` for text, ``bytes`` for binary."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.closed = None
        self.aborted = False
        self.waiting = 0
        self.paused = False

    def send_text(self, packet):
        assert self.closed is None
        self.sent.append(packet)

    def send_utf8(self, packet):
        self.send_text(packet.decode())

    def send_binary(self, data):
        assert self.closed is None
        self.sent.append(data)

    def send_encoded(self, encoded, protocol, b64):
        assert self.closed is None
        self.sent.append(("frames", encoded.frames(protocol, b64)))

    def buffered(self):
        return self.waiting

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def close(self, code, reason):
        assert self.closed is None
        self.closed = code

    def abort(self):
        assert self.closed is None
        self.closed = 1006
        self.aborted = True


class FakePoll(Poll):
    """Records its answer: the packets, or ``"refused"``."""

    def __init__(self):
        self.result = None

    def answer(self, packets):
        assert self.result is None
        self.result = list(packets)

    def refuse(self):
        assert self.result is None
        self.result = "refused"


class FakePost(Post):
    """Records its answer: ``"ok"`` or ``"refused"``."""

    def __init__(self):
        self.result = None

    def accept(self):
        assert self.result is None
        self.result = "ok"

    def refuse(self):
        assert self.result is None
        self.result = "refused"


class Recorder(SessionHandler):
    """Records what a session tells."""

    def __init__(self):
        self.events = []
        self.messages = []
        self.reason = None

    def on_open(self, session):
        self.events.append("open")

    def on_text(self, session, text, start):
        assert self.reason is None
        self.messages.append(text[start:])

    def on_binary(self, session, data):
        assert self.reason is None
        self.messages.append(data)

    def on_close(self, session, reason):
        assert self.reason is None
        self.events.append(reason)
        self.reason = reason

    def on_drained(self, session):
        self.events.append("drained")


OPEN = '0{"sid":"x"}'


def polling_session(protocol=4, handler=None, host=None, **options):
    """Return host, session and handler of a session that is open on polling requests."""
    host = host or FakeHost()
    session = Session(host, SessionOptions(**options), "x", protocol)
    session.handler = handler = handler or Recorder()
    poll = FakePoll()
    session.open_polling(poll, OPEN)
    assert poll.result[0] == OPEN
    return host, session, handler


def websocket_session(protocol=4, handler=None, host=None, b64=False, **options):
    """Return host, session, handler and wire of a session that is open on a WebSocket."""
    host = host or FakeHost()
    session = Session(host, SessionOptions(**options), "x", protocol, b64)
    session.handler = handler = handler or Recorder()
    wire = FakeWire()
    session.open_websocket(wire, OPEN)
    assert wire.sent[0] == OPEN
    del wire.sent[0]
    return host, session, handler, wire


def post(session, *packets):
    """Send a request with packets; return its answer."""
    request = FakePost()
    if session.begin_post(request):
        session.receive_post(request, list(packets))
    return request.result


def poll(session, host=None):
    """Send a request that waits for packets; return it."""
    request = FakePoll()
    session.poll(request)
    if host is not None:
        host.turn()
    return request
