"""Clients that vanish, in every state: the session ends, once, in time, and leaves nothing."""

import asyncio

import pytest

from duplexio import socketio
from tests.fault.peers import PATH, Census, complaints, serving, settled, soon, until
from tests.fault.tcp_proxy import Fault, tcp_proxy
from tests.websocket.raw import masked, upgrade

LOOPS = ("asyncio", "uvloop")

#: Seconds after which a silent client is given up.
PINGS = {"ping_interval": 0.3, "ping_timeout": 0.2}
SILENCE = 0.5

CLOSE, ERROR, PING = "transport close", "transport error", "ping timeout"


# Where a client may stand when it vanishes: each of these brings one there, and returns its
# connections and what its disconnect handler has to be told; nothing, where it had not connected.


async def in_the_head(site):
    http = site.http()
    await http.__aenter__()
    http.writer.write(f"GET {PATH}?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nX-".encode())
    return [http], []


async def in_the_head_of_a_websocket(site):
    http = site.http()
    await http.__aenter__()
    http.writer.write(upgrade(path=f"{PATH}?EIO=4&transport=websocket")[:-10])
    return [http], []


async def before_connect(site):
    ws = await site.websocket()
    await ws.text()
    return [ws], []


async def in_a_poll_before_connect(site):
    http = await site.http().__aenter__()
    await http.send("GET", await http.open())
    return [http], []


async def in_a_poll(site):
    http = await site.http().__aenter__()
    await http.send("GET", await http.connected())
    return [http], [ERROR]


async def between_polls(site):
    http = await site.http().__aenter__()
    await http.connected()
    return [http], [PING]


async def in_a_post(site):
    http = await site.http().__aenter__()
    query = await http.connected()
    await http.send("POST", query, b'42["say"', Content_Length="1000")
    return [http], [ERROR]


async def in_the_connect_handler_on_polling(site):
    http = await site.http().__aenter__()
    query = await http.open()
    await http.post(query, b'40{"wait":true}')
    await http.send("GET", query)
    await site.held()
    return [http], [ERROR]


async def in_the_connect_handler(site):
    ws = await site.websocket()
    ws.say('40{"wait":true}')
    await site.held()
    return [ws], [CLOSE]


async def in_the_connect_handlers_of_two_namespaces(site):
    ws = await site.client()
    ws.say('40/a,{"wait":true}')
    await site.held()
    return [ws], [CLOSE, CLOSE]


async def in_a_handler(site):
    ws = await site.client()
    ws.say('421["wait"]')
    await site.held()
    return [ws], [CLOSE]


async def probing(site):
    http = await site.http().__aenter__()
    query = await http.connected()
    await http.send("GET", query)
    ws = await site.websocket(query.replace("polling", "websocket"))
    return [ws, http], [ERROR]


async def between_probe_and_upgrade(site):
    http = await site.http().__aenter__()
    query = await http.connected()
    ws = await site.websocket(query.replace("polling", "websocket"))
    ws.say("2probe")
    assert await ws.text() == "3probe"
    return [ws, http], [PING]


async def right_after_the_upgrade(site):
    connections, _ = await between_probe_and_upgrade(site)
    connections[0].say("5", '420["say",1]')
    assert await connections[0].text() == "430[1]"
    return connections, [CLOSE]


async def in_a_frame(site):
    ws = await site.client()
    ws.send(masked(1, b'42["say","' + b"x" * 1000)[:500])
    return [ws], [CLOSE]


async def in_a_message(site):
    ws = await site.client()
    ws.send(masked(1, b'42["say","' + b"x" * 1000, fin=False))
    return [ws], [CLOSE]


async def between_text_and_attachments(site):
    ws = await site.client()
    ws.say(
        '452-["say",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', bytes(100_000)
    )
    return [ws], [CLOSE]


async def owing_an_acknowledgement(site):
    ws = await site.client()
    ws.say('42["ask"]')
    assert await ws.text() == '421["question"]'
    return [ws], [CLOSE]


async def in_rooms_and_namespaces(site):
    ws = await site.client()
    await ws.join("/a")
    ws.say('42["join","r"]', '42["join","s"]', '420["say"]')
    assert await ws.text() == "430[]"
    assert site.left_over()["rooms"] == 2
    return [ws], [CLOSE, CLOSE]


STATES = [
    in_the_head, in_the_head_of_a_websocket, before_connect, in_a_poll_before_connect, in_a_poll,
    between_polls, in_a_post, in_the_connect_handler_on_polling, in_the_connect_handler,
    in_the_connect_handlers_of_two_namespaces, in_a_handler, probing, between_probe_and_upgrade,
    right_after_the_upgrade, in_a_frame, in_a_message, between_text_and_attachments,
    owing_an_acknowledgement, in_rooms_and_namespaces,
]  # fmt: skip


each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)


async def vanish(state, hosting, caplog):
    """Bring clients to a state, let one end its connections and one reset them."""
    async with serving(hosting, **PINGS) as site:
        # What is made once is there from now on.
        warm = await site.client()
        await warm.close()
        await until(lambda: site.left)
        for _ in range(3):
            await asyncio.sleep(0)
        before = Census()
        site.left.clear()
        closing, reasons = await state(site)
        resetting, _ = await state(site)
        for connection in closing:
            connection.writer.close()
        for connection in resetting:
            connection.reset()
        began = asyncio.get_running_loop().time()
        if site.waiting:
            # Who leaves while its connect handler runs is told of when that has ended.
            await until(lambda: not site.engine.sessions, 5)
            site.gate.set()
        await settled(site, before)
        assert sorted(site.reasons()) == sorted(reasons * 2)
        assert len({sid for sid, _ in site.left}) == len(site.left)
        assert asyncio.get_running_loop().time() - began < SILENCE + 0.6
        if state is owing_an_acknowledgement:
            assert [type(each) for each in site.answers] == [socketio.ClientGoneError] * 2
        assert complaints(caplog) == []


@each_state
async def test_it_ends_once_and_leaves_nothing(state, caplog):
    await vanish(state, "native", caplog)


class TestHalfOpen:
    """What a client says, or is told, vanishes on the way, and nobody is told so."""

    hosting = "native"

    async def test_a_websocket(self, caplog):
        async with serving(self.hosting, **PINGS) as site:
            before = Census()
            up, down = Fault(), Fault()
            async with tcp_proxy(site.port, up=up, down=down) as port:
                here, site.port = site.port, port
                ws = await site.client()
                site.port = here
                up.drop_after = down.drop_after = 0
                calling = asyncio.ensure_future(site.server.call("question", to=ws.sid))
                await until(lambda: site.left, 2)
                with pytest.raises(socketio.DisconnectedError):
                    await soon(calling, 1)
                assert site.left == [(ws.sid, PING)]
                assert not site.engine.sessions
                await ws.close()
            await settled(site, before)
        assert complaints(caplog) == []

    async def test_a_poll(self, caplog):
        """It is answered at last, whether that arrives or not."""
        async with serving(self.hosting, **PINGS) as site:
            before = Census()
            up, down = Fault(), Fault()
            async with tcp_proxy(site.port, up=up, down=down) as port:
                here, site.port = site.port, port
                http = await site.http().__aenter__()
                site.port = here
                await http.send("GET", await http.connected())
                await until(lambda: any(s.writable for s in site.engine.sessions.values()))
                up.drop_after = down.drop_after = 0
                await until(lambda: site.left, 2)
                assert site.reasons() == [PING]
                http.writer.close()
            await settled(site, before)
        assert complaints(caplog) == []

    async def test_a_post(self, caplog):
        """The body that does not come ends with the session, and so does the request."""
        async with serving(self.hosting, **PINGS) as site:
            before = Census()
            async with site.http() as http:
                query = await http.connected()
                await http.send("POST", query, b'42["say"', Content_Length="1000")
                status, _, _ = await http.receive()
                assert status == 400
                assert site.reasons() == [PING]
                assert site.empty()
            await settled(site, before)
        assert complaints(caplog) == []


async def test_a_half_close_is_a_close():
    """A client that says it will send no more cannot answer heartbeats."""
    async with serving(**PINGS) as site:
        ws = await site.client()
        ws.writer.write_eof()
        await until(lambda: site.left, 2)
        assert site.reasons() == [CLOSE]
        assert await ws.ended() is None
        await ws.close()
