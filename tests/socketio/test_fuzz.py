"""Whatever a client sends, the server answers, ignores, or closes, and raises nothing."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from duplexio.socketio import AsyncServer
from duplexio.socketio.connection import Connection
from tests.socketio.fakes import Peer

TEXTS = st.sampled_from(
    [
        *["0", '0{"a":1}', "0/a,", "0/a?x=y,", "0/nowhere,", "1", "1/a,"],
        *['2["x"]', '20["x",1]', '2/a,["x"]', '2["typed",{}]', '21["slow"]', '2["leave"]'],
        *["30[]", "31[1]", "3[]", '4{"message":"x"}', '2["connect"]'],
        *['51-["x",{"_placeholder":true,"num":0}]', '50-["x"]', "61-1[]", '52-/a,["x"]'],
    ]
)
MESSAGES = st.lists(TEXTS | st.binary(max_size=4) | st.text(max_size=12), max_size=12)


class Log:
    """Takes errors."""

    def __init__(self, failures):
        self.failures = failures

    def error(self, *args, **kwargs):
        self.failures.append((args, kwargs))

    def info(self, *args):
        pass

    warning = debug = info


def make_server():
    server = AsyncServer(namespaces=["/", "/a"], always_connect=False)

    @server.event
    async def connect(sid, environ, auth):
        if auth:
            await asyncio.sleep(0)

    @server.on("*", namespace="/a")
    def anything(name, sid, *args):
        return args

    @server.event
    async def x(sid, *args):
        await server.emit("x", args, skip_sid=sid, callback=lambda *args: None)
        return args

    @server.event
    async def slow(sid):
        await asyncio.sleep(0)
        return sid

    @server.event
    async def leave(sid):
        await server.disconnect(sid)

    return server


@settings(max_examples=200)
@given(messages=MESSAGES, protocol=st.sampled_from([3, 4]))
def test_any_messages(messages, protocol):
    async def play():
        server = make_server()
        failures = []
        server.hub.logger = Log(failures)
        witness = Peer(server)
        witness.connect()
        peer = Peer(server, protocol)
        for message in messages:
            if not peer.closed:
                peer.send(message)
        for _ in range(5):
            await asyncio.sleep(0)
        if not peer.closed:
            connection = peer.session.handler
            assert isinstance(connection, Connection)
            assert connection.pending == 0
            peer.vanish()
        await asyncio.sleep(0)
        assert not witness.closed
        assert len(server.hub.adapters["/"].members) == 1
        assert failures == []
        await server.shutdown()

    asyncio.run(play())
