"""Our Socket.IO clients at the servers of all generations: Node's and python-socketio's."""

import asyncio

import pytest

from duplexio import socketio
from duplexio.socketio import exceptions
from tests.interop.socketio_servers import HAS_NODE, running
from tests.socketio.fakes import until

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not HAS_NODE, reason="needs node and `make interop-packages`"),
]

NODE = ["sios1", "sios2", "sios3", "sios4"]
PYTHON = ["socketio4", "socketio5"]
OLD = {"sios1", "sios2", "socketio4"}
TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}
TEXT = 'é € 😀 \u2028\\n\n"'
WAIT = {"wait_timeout": 10}


def client(**options):
    """Return a client that keeps what it gets in a queue: ``(event, arguments)``."""
    options.setdefault("reconnection_delay", 0.05)
    sio = socketio.AsyncClient(**options)
    sio.events = asyncio.Queue()

    def collect(event, *args):
        sio.events.put_nowait((event, *args))

    sio.on("*", collect)
    sio.on("connect_error", lambda *args: collect("connect_error", *args))
    return sio


async def get(sio, name=None):
    async with asyncio.timeout(20):
        while True:
            event = await sio.events.get()
            if name is None or event[0] == name:
                return event


async def exercise(sio, namespace="/", binary=True, empty=b""):
    """Send what there is, back and forth."""
    await sio.emit("echo", (1, TEXT, [None, True, {"a": 1.5}]), namespace)
    assert await get(sio) == ("echo", 1, TEXT, [None, True, {"a": 1.5}])
    assert await sio.call("add", (1, 2), namespace) == 3
    await sio.emit("ask", "how?", namespace)
    assert await get(sio) == ("question", "how?")
    assert await get(sio) == ("answer", "like", "this")
    if binary:
        data = {"b": [bytes(range(256)), empty], "t": "x"}
        await sio.emit("echo", (data, b"\xff"), namespace)
        assert await get(sio) == ("echo", data, b"\xff")
    for number in range(50):
        await sio.emit("echo", number, namespace)
    for number in range(50):
        assert await get(sio) == ("echo", number)


def answer_questions(sio, namespace="/"):
    @sio.on("question", namespace=namespace)
    def question(text):
        sio.events.put_nowait(("question", text))
        return "like", "this"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", [*NODE, *PYTHON])
async def test_events(kind, transport):
    async with running(kind) as server:
        sio = client()
        answer_questions(sio)
        await sio.connect(server.url, transports=TRANSPORTS[transport], **WAIT)
        assert sio.protocol == (3 if kind in OLD else 4)
        if transport == "upgrade":
            async with asyncio.timeout(10):
                await sio.session.wait_upgraded()
        assert sio.transport() == ("polling" if transport == "polling" else "websocket")
        # https://github.com/socketio/engine.io-parser, 1.x: text beside binary data is written
        # as UTF-8 twice on polling requests, in one body of both.
        # python-engineio 3 makes of an empty binary message something else.
        empty = b"\x00" if kind == "socketio4" else b""
        await exercise(sio, binary=not (kind == "sios1" and transport == "polling"), empty=empty)
        sid = await sio.call("who")
        assert sid == sio.get_sid()
        await sio.disconnect()
        assert sio.state == "disconnected"


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_both_generations_at_one_server(transport):
    async with running("sios4", allowEIO3=True) as server:
        for protocol in (3, 4, None):
            sio = client(protocol=protocol)
            answer_questions(sio)
            await sio.connect(server.url, transports=[transport], **WAIT)
            assert sio.protocol == (protocol or 4)
            await exercise(sio)
            await sio.disconnect()


async def test_a_protocol_that_is_not_served_is_refused():
    async with running("sios4") as server:
        sio = client(protocol=3)
        with pytest.raises(exceptions.ConnectionError):
            await sio.connect(server.url, transports=["polling"], **WAIT)
        assert sio.state == "disconnected"


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("kind", [*NODE, "socketio5"])
async def test_namespaces(kind, transport):
    async with running(kind) as server:
        sio = client()
        for namespace in ("/admin", "/chat"):
            answer_questions(sio, namespace)
            sio.on("*", lambda *event: sio.events.put_nowait(event), namespace)
        await sio.connect(
            server.url,
            namespaces=["/", "/admin", "/chat"],
            auth={"token": "x"},
            transports=[transport],
            **WAIT,
        )
        assert set(sio.namespaces) == {"/", "/admin", "/chat"}
        await asyncio.gather(*[sio.call("add", (1, 1), name) for name in sio.namespaces])
        await exercise(sio, "/admin", binary=not (kind == "sios1" and transport == "polling"))
        await sio.disconnect()


@pytest.mark.parametrize("kind", [*NODE, "socketio5"])
async def test_refusal(kind):
    async with running(kind) as server:
        sio = client()
        errors = []
        sio.on("connect_error", errors.append, "/admin")
        with pytest.raises(exceptions.ConnectionError, match="/admin") as caught:
            await sio.connect(server.url, namespaces=["/", "/admin"], auth={"token": "no"}, **WAIT)
        expected = {"code": 7} if kind in OLD else {"message": "not you", "data": {"code": 7}}
        assert errors == [expected]
        assert caught.value.refusals == {"/admin": expected}
        assert sio.state == "disconnected"
        # Without waiting, the rest goes on.
        await sio.connect(server.url, namespaces=["/", "/admin"], auth={"token": "no"}, wait=False)
        await until(lambda: len(errors) == 2 and "/" in sio.namespaces)
        assert await sio.call("add", (2, 2)) == 4
        with pytest.raises(exceptions.BadNamespaceError, match="refused"):
            await sio.emit("echo", 1, "/admin")
        await sio.disconnect()


@pytest.mark.parametrize("kind", [*NODE, "socketio5"])
async def test_the_server_disconnects(kind):
    async with running(kind) as server:
        sio = client()
        reasons = []
        sio.on("disconnect", reasons.append)
        await sio.connect(server.url, **WAIT)
        answer = asyncio.ensure_future(sio.call("never"))
        await sio.emit("kick")
        async with asyncio.timeout(10):
            await sio.wait()
        assert reasons == [sio.reason.SERVER_DISCONNECT]
        with pytest.raises(exceptions.AckLostError):
            await answer
        with pytest.raises(exceptions.BadNamespaceError):
            await sio.emit("echo", 1)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("kind", [*NODE, *PYTHON])
async def test_a_restart(kind, transport):
    async with running(kind) as server:
        sio = client()
        reasons = []
        sio.on("disconnect", reasons.append)
        await sio.connect(server.url, transports=[transport], **WAIT)
        assert await sio.call("add", (1, 2)) == 3
        await server.stop()
        await until(lambda: not sio.connected)
        for number in range(20):
            await sio.emit("echo", number)
        await server.start()
        assert [await get(sio, "echo") for _ in range(20)] == [("echo", n) for n in range(20)]
        assert reasons == [sio.reason.TRANSPORT_ERROR]
        await sio.disconnect()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_recovery(transport):
    async with running("sios4", connectionStateRecovery={}) as server:
        sio = client(reconnection_delay=0.3, randomization_factor=0)
        await sio.connect(server.url, transports=[transport], **WAIT)
        assert not sio.recovered
        sid = sio.get_sid()
        await sio.emit("number", 1)
        assert await get(sio) == ("number", 1)
        # A string that is no offset, at the end of an event that has none.
        if transport == "websocket":  # on polling requests it may have nowhere to go
            await sio.emit("volatile", "Message")
            assert await get(sio) == ("volatile", "Message")
        await sio.emit("break", 5)
        for number in range(5):
            assert await get(sio) == ("missed", number)
        await until(lambda: sio.connected)
        assert sio.recovered
        assert sio.get_sid() == sid
        await sio.emit("number", 2)
        assert await get(sio) == ("number", 2)
        await sio.disconnect()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sios2", {"parser": "msgpackparser2"}),
        ("sios4", {"parser": "msgpackparser3"}),
        ("socketio5", {"serializer": "msgpack"}),
    ],
)
async def test_messagepack(kind, options):
    async with running(kind, **options) as server:
        sio = client(serializer="msgpack")
        answer_questions(sio)
        await sio.connect(server.url, namespaces=["/", "/chat"], **WAIT)
        await exercise(sio)
        await sio.disconnect()


@pytest.mark.parametrize("kind", ["sios2", "sios4"])
async def test_retries_at_a_server_that_does_not_know_them(kind):
    async with running(kind) as server:
        sio = client(retries=5, ack_timeout=5)
        await sio.connect(server.url, **WAIT)
        answers = await asyncio.gather(*[sio.call("once", f"k{n}") for n in range(20)])
        assert answers == [1] * 20
        await sio.disconnect()


@pytest.mark.parametrize("kind", ["sios2", "sios4", "socketio5"])
async def test_auth_and_headers_are_asked_for_at_each_attempt(kind):
    async with running(kind) as server:
        asked = []

        async def auth():
            asked.append("auth")
            return {"token": "x"}

        def headers():
            asked.append("headers")
            return {"x-test": "yes"}

        sio = client()
        await sio.connect(server.url, auth=auth, headers=headers, namespaces="/admin", **WAIT)
        if kind != "socketio5":
            assert await sio.call("header", "x-test", "/admin") == "yes"
        await server.stop()
        await server.start()
        await until(lambda: asked.count("auth") >= 2 and sio.connected)
        assert asked.count("headers") >= 2
        await sio.disconnect()
