"""A server whose clients are sessions on wires that record what is sent: no socket, no peer."""

import asyncio
import json

from duplexio.engineio.session import Session
from duplexio.socketio import AsyncServer
from tests.engineio.fakes import FakeWire

OPEN = "0{}"


class FakeRequest:
    """The request of a session."""

    client = ("127.0.0.1", 1234)

    def __init__(self, environ=None):
        self.environ = {"REQUEST_METHOD": "GET"} if environ is None else environ


class Peer:
    """A client of a server, played by the test: each message it gets is ``str`` or ``bytes``."""

    def __init__(self, server, protocol=4, environ=None):
        engine = server.engine
        self.wire = FrameWire(protocol)
        sid = server.eio.generate_id()
        self.session = Session(engine, engine.options.session, sid, protocol)
        self.session.request = FakeRequest(environ)
        engine.sessions[sid] = self.session
        engine.lag_monitor.start()
        self.session.handler = server._accept(self.session, self.session.request)
        self.session.open_websocket(self.wire, OPEN)
        assert self.wire.sent.pop(0) == OPEN

    def send(self, *messages):
        """Send Engine.IO messages."""
        for message in messages:
            if isinstance(message, str):
                self.session.receive_text(self.wire, "4" + message)
            else:
                data = message if self.session.protocol == 4 else b"\x04" + message
                self.session.receive_binary(self.wire, data)

    def take(self):
        """Return the messages that came since the last call, without Engine.IO's type."""
        sent, self.wire.sent = self.wire.sent, []
        return [message[1:] if isinstance(message, str) else message for message in sent]

    @property
    def closed(self):
        return self.wire.closed is not None

    def vanish(self):
        """Break the connection."""
        self.session.wire_lost(self.wire, "transport close")

    def connect(self, namespace="/", auth=None):
        """Connect to a namespace; return the client's id."""
        head = "0" if namespace == "/" else f"0{namespace},"
        self.send(head + ("" if auth is None else json.dumps(auth)))
        (answer,) = self.take()
        assert answer.startswith(head + '{"sid":"'), answer
        return json.loads(answer[len(head) :])["sid"]


class FrameWire(FakeWire):
    """Takes what was encoded for many apart again."""

    def __init__(self, protocol):
        super().__init__()
        self.protocol = protocol

    def send_encoded(self, encoded, protocol, b64):
        assert protocol == self.protocol
        self.sent.append(encoded.packet)
        self.sent += encoded.attachments

    async def wait_closed(self):
        pass


def connected(server=None, namespace="/", **options):
    """Return a server, a client of protocol 5, and its id."""
    server = server or AsyncServer(**options)
    peer = Peer(server)
    return server, peer, peer.connect(namespace)


async def until(condition):
    """Give the event loop turns until a condition holds, for at most five seconds."""
    for _ in range(500):
        result = condition()
        if result:
            return result
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 5 s")
