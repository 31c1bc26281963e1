"""A client without sockets: on sessions that record what it sends, or that lead to a server."""

import json

from duplexio.engineio.channel import Channel, SessionHost
from duplexio.socketio import ClientLimits
from duplexio.socketio.client_connection import ClientConnection
from duplexio.socketio.client_space import ClientHub, Space
from duplexio.socketio.outbox import packet_size
from duplexio.socketio.party import GONE
from duplexio.socketio.registry import Registry

#: The time of the tests, in seconds since 1970; "Q8fyIW0" is an offset of it.
NOW = 1_796_000_000.0


class Handle:
    def __init__(self, when, function, args):
        self.when, self.function, self.args = when, function, args
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class FakeLoop:
    """What a client asks of an event loop, with a clock that the test moves."""

    def __init__(self):
        self.now = 100.0
        self.handles = []

    def time(self):
        return self.now

    def call_at(self, when, function, *args):
        handle = Handle(when, function, args)
        self.handles.append(handle)
        return handle

    def call_later(self, delay, function, *args):
        return self.call_at(self.now + delay, function, *args)

    def advance(self, seconds):
        self.now += seconds
        due = [handle for handle in self.handles if handle.when <= self.now]
        self.handles = [handle for handle in self.handles if handle.when > self.now]
        for handle in due:
            if not handle.cancelled:
                handle.function(*handle.args)


class FakeSession(Channel):
    """A session that records what is sent, as the messages of Engine.IO."""

    def __init__(self, protocol=4, sid="engine-id"):
        Channel.__init__(self, SessionHost(), None, sid, protocol)
        self.sent = []
        self.max_payload = 0
        self.waiting_bytes = 0
        self.ended = None
        self.reading = True
        self.over = False

    @property
    def buffered_bytes(self):
        return self.waiting_bytes

    @property
    def reading_paused(self):
        return not self.reading

    def send_utf8(self, packet):
        self.put(packet[1:].decode())

    def send_text(self, text):
        self.put(text)

    def send_binary(self, data):
        self.put(data)

    def send_encoded(self, encoded):
        self.put(encoded.text, *encoded.attachments)

    def put(self, *messages):
        if not self.over:
            self.sent += messages

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def close(self, reason="forced close"):
        self.end(reason)

    def end(self, reason):
        if not self.over:
            self.over = True
            self.ended = reason
            if self.handler is not None:
                handler, self.handler = self.handler, None
                handler.on_close(self, reason)

    def take(self):
        sent, self.sent = self.sent, []
        return sent


class Player:
    """A client whose server the test plays.

    Attributes:
        hub: What its connections share.
        calls: What its handlers were called with.
        answered: How often it was told that all namespaces have their answer.
        closed: The reasons for which connections have ended.
    """

    def __init__(self, *namespaces, protocol=4, limits=None, handlers=None, **options):
        self.protocol = protocol
        self.registry = Registry(client=True)
        self.loop = FakeLoop()
        self.hub = ClientHub(self.registry, limits or ClientLimits(), lambda: NOW)
        self.hub.bind_loop(self.loop)
        self.hub.delivery = "the-client"
        for name, value in options.items():
            setattr(self.hub, name, value)
        self.calls = []
        self.answered = 0
        self.closed = []
        self.running = []
        names = namespaces or ("/",)
        for name in names:
            self.hub.spaces[name] = Space(self.hub, name)
            for event in ("connect", "connect_error", "disconnect"):
                self.registry.add(event, name, self.recorder(event, name))
        for name, function in (handlers or {}).items():
            self.registry.add(name, names[0], function)
        if not handlers:
            self.registry.add("*", names[0], self.recorder(None, names[0]))
        self.session = None
        self.connection = None

    def recorder(self, event, namespace):
        def record(*args):
            front = [] if event is None else [event]
            place = [] if namespace == "/" else [namespace]
            self.calls.append((*place, *front, *args))

        return record

    @property
    def space(self):
        return next(iter(self.hub.spaces.values()))

    # What the connection tells its owner

    def connection_answered(self, connection):
        if connection.unanswered <= 0:
            self.answered += 1

    def connection_drained(self):
        pass

    def handler_runs(self, future):
        self.running.append(future)

    def connection_closed(self, connection, reason):
        self.closed.append(reason)

    # What the test does

    def open(self, auth=None):
        """Make a connection; return what the client says first."""
        self.connection = ClientConnection(self.hub, self)
        self.session = FakeSession(self.protocol)
        self.session.handler = self.connection
        self.connection.on_open(self.session)
        self.connection.start(auth)
        return self.session.take()

    def connect(self, **fields):
        """Make a connection, and let it into ``/``."""
        first = self.open()
        if self.protocol == 3:
            self.get("0")
        else:
            self.get("0" + json.dumps({"sid": "s1", **fields}))
        return first

    def get(self, *messages):
        """Get messages from the server."""
        for message in messages:
            if isinstance(message, str):
                self.connection.on_text(self.session, "4" + message, 1)
            else:
                self.connection.on_binary(self.session, message)

    def take(self):
        return self.session.take()

    def emit(self, *data, **options):
        return self.space.emit(list(data), **options)

    def lose(self, reason="transport close"):
        self.session.end(reason)

    def leave(self):
        for space in self.hub.spaces.values():
            space.leave("client disconnect")

    def is_clean(self):
        """Return whether nothing is kept."""
        budget = self.hub.budget
        spaces = self.hub.spaces.values()
        return (budget.packets, budget.bytes) == (0, 0) and all(
            not space.acks and not len(space.outbox) and not space.reliable for space in spaces
        )


class Future:
    """A future, as far as it is needed, without a loop."""

    def __init__(self):
        self.result = self.error = None

    def done(self):
        return self.result is not None or self.error is not None

    def set_result(self, result):
        self.result = result

    def set_exception(self, error):
        self.error = error


__all__ = ["GONE", "NOW", "FakeSession", "Future", "Player", "packet_size"]
