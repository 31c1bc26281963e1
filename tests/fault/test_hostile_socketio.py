"""Hostile clients of Socket.IO: what each does, how it ends, what it costs, and its neighbours."""

import asyncio
import gc
import json
import tracemalloc
from contextlib import contextmanager

import pytest

from duplexio import socketio
from tests.fault.peers import Census, complaints, serving, settled, soon, until
from tests.websocket.raw import masked

LOOPS = ("uvloop",)

DEEP = 100_000
RESERVED = (
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"
)  # fmt: skip
HOLE = '{"_placeholder":true,"num":%s}'

#: Packets that end the session, as messages on a WebSocket that is connected to "/".
FATAL = {
    "nothing": [""],
    "unknown packet of Engine.IO": ["9"],
    "empty packet": ["4"],
    "unknown packet": ["4x"],
    "packet out of range": ["47"],
    "event without payload": ["42"],
    "event that is an object": ['42{"a":1}'],
    "event without name": ["42[]"],
    "event named by an object": ["42[{}]"],
    "event named by null": ["42[null]"],
    "event named by a fraction": ["42[1.5]"],
    **{f"event named {name}": [f'42["{name}"]'] for name in RESERVED},
    "escaped reserved name": ['42["\\u0063onnect"]'],
    "half an event": ['42["say",'],
    "two events in one": ['42["say"]["say"]'],
    "number without end": ["42" + "1" * 17 + '["say"]'],
    "second CONNECT": ["40"],
    "CONNECT with a string": ['40/a,"x"'],
    "CONNECT with a list": ["40/a,[1]"],
    "CONNECT_ERROR from a client": ['44{"message":"x"}'],
    "acknowledgement without id": ["43[]"],
    "acknowledgement with an object": ["431{}"],
    "negative id": ["43-1[]"],
    "name of a namespace without end": ["42/" + "n" * 3000],
    "digits of 5,000": ['42["say",' + "1" * 5000 + "]"],
    "deep lists": ['42["say",' + "[" * DEEP + "]" * DEEP + "]"],
    "deep objects": ['42["say",' + '{"a":' * DEEP + "1" + "}" * DEEP + "]"],
    "deep lists without end": ["42" + "[" * DEEP],
    "deep CONNECT": ['40/a,{"a":' + "[" * 200 + "]" * 200 + "}"],
    "binary without text": [b"x"],
    "attachments that are not counted": ['45["say"]'],
    "negative attachments": ['45-1-["say"]'],
    "eleven attachments": ['4511-["say"]'],
    "attachments by the billion": ['459999999999999999-["say"]'],
    "text where an attachment is due": [f'451-["say",{HOLE % 0}]', '42["say"]'],
    "placeholder out of range": [f'451-["say",{HOLE % 1}]', b"x"],
    "negative placeholder": [f'451-["say",{HOLE % -1}]', b"x"],
    "placeholder that is a string": ['451-["say",' + HOLE % '"0"' + "]", b"x"],
    "placeholder that is true": [f'451-["say",{HOLE % "true"}]', b"x"],
    "placeholder that is huge": [f'451-["say",{HOLE % 10**30}]', b"x"],
    "one attachment for many": [f'451-["say",{HOLE % 0},{HOLE % 0}]', b"x"],
    "reserved event with attachments": [f'451-["disconnect",{HOLE % 0}]', b"x"],
}

#: Packets that mean nothing, or are odd but valid: the session goes on. With the answer, if any.
HARMLESS = {
    "acknowledgement of nothing": (["431[]", "430[]", "439007199254740991[]"], None),
    "event for a namespace it is not in": (['42/nowhere,["say"]', '42/a,["say"]'], None),
    "leaving a namespace it is not in": (["41/nowhere,"], None),
    "namespace that there is not": (["40/nowhere,"], '44/nowhere,{"message":"Invalid namespace"}'),
    "event without handler": (['42["x"]', '421["x"]', "42[7]"], None),
    "no attachments": (['450-1["say",1]'], "431[1]"),
    "lone surrogates": (['421["say","\\ud800x"]'], '431["\\ud800x"]'),
    "infinity": (['421["say",1e999]'], "431[null]"),
    "many digits": (['421["say",' + "1" * 4000 + "]"], "431[" + "1" * 4000 + "]"),
    "open packet and noop of Engine.IO": (["0{}", "6", "5"], None),
    "half of a placeholder": (['421["say",{"_placeholder":1,"num":0}]'],
                              '431[{"_placeholder":1,"num":0}]'),
    "placeholder without attachments": ([f'421["say",{HOLE % 0}]'], f"431[{HOLE % 0}]"),
    "keys twice": (['421["say",{"a":1,"a":2}]'], '431[{"a":2}]'),
    "__proto__": (['421["say",{"__proto__":1}]'], '431[{"__proto__":1}]'),
}  # fmt: skip


@pytest.fixture(params=["native", "asgi"])
def hosting(request):
    return request.param


@contextmanager
def measured(limit):
    """Let no more than so many bytes be allocated at any time."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


async def test_packets_that_end_the_session(hosting, caplog):
    async with serving(hosting) as site:
        neighbour = await site.client()
        for case, packets in FATAL.items():
            ws = await site.client()
            site.left.clear()
            ws.say(*packets)
            assert await ws.ended() is not None, case
            await until(lambda: site.left)
            assert site.left == [(ws.sid, "parse error")], case
            await ws.close()
        assert site.heard == []
        neighbour.say('421["say","all is well"]')
        assert await neighbour.text() == '431["all is well"]'
        assert site.counters["invalid_packets"] == len(FATAL) - 2  # two are none of Socket.IO's
        await neighbour.close()
    assert complaints(caplog) == []


async def test_packets_that_end_the_session_on_polling(hosting, caplog):
    async with serving(hosting) as site:
        for case, packets in FATAL.items():
            async with site.http() as http:
                query = await http.connected()
                site.left.clear()
                body = "\x1e".join(p if isinstance(p, str) else "bAA==" for p in packets).encode()
                status, _, _ = await http.post(query, body)
                assert site.reasons() == ["parse error"], case
                assert status in (200, 400), case
                # What closes is told to the next poll at the latest.
                answer = await http.get(query)
                assert (answer[0], answer[2]) == (200, b"1") or answer[0] == 400, case
        await until(site.empty)
    assert complaints(caplog) == []


async def test_packets_that_mean_nothing(hosting, caplog):
    async with serving(hosting) as site:
        ws = await site.client()
        for case, (packets, answer) in HARMLESS.items():
            ws.say(*packets)
            if answer is not None:
                got = await ws.text()
                assert json.loads(got.lstrip("0123456789/nowhre,")) == json.loads(
                    answer.lstrip("0123456789/nowhre,")
                ), case
            ws.say('427["say","still here"]')
            assert await ws.text() == '437["still here"]', case
        assert site.left == []
        await ws.close()
    assert complaints(caplog) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(1, b'42["say","\xff"]'), 1007),
        (masked(1, b'42["say","\xed\xa0\x80"]'), 1007),  # a surrogate in UTF-8
        (masked(1, b'42["say","' + b"x" * 100_000), 1009),
        (masked(2, bytes(100_001)), 1009),
        (masked(1, b"4" + b"x" * 60_000, fin=False) + masked(0, b"x" * 60_000), 1009),
    ],
    ids=["invalid UTF-8", "surrogate", "text too big", "binary too big", "fragments too big"],
)
async def test_messages_that_are_none(hosting, data, code, caplog):
    async with serving(hosting, max_http_buffer_size=100_000) as site:
        ws = await site.client()
        ws.send(data)
        assert await ws.ended() == code
        await until(lambda: site.left)
        assert site.heard == []
        await ws.close()
        await until(site.empty)
    assert complaints(caplog) == []


BODIES = {
    "too many packets": (4, b"\x1e".join([b"2"] * 10_001), 413),
    "too many packets of length 0": (3, b"0:" * 10_001, 413),
    "too big": (4, b"4" + b"x" * 1_000_000, 413),
    "not UTF-8": (4, b'42["say","\xff"]', 400),
    "nothing": (4, b"", 400),
    "no packet": (4, b"x", 400),
    "one bad packet behind good ones": (4, b'42["say"]\x1ex', 400),
    "no base64": (4, b"b***", 400),
    "length without number": (3, b"x:4", 400),
    "length that is too long": (3, b"9:4", 400),
    "length that is endless": (3, b"1" * 100_000, 400),
    "length that is huge": (3, b"9999999999:4", 400),
    "negative length": (3, b"-1:4", 400),
    "length in the middle of a character": (3, "2:4😀".encode(), 400),
}


async def test_bodies_that_are_none(hosting, caplog):
    async with serving(hosting) as site:
        for case, (protocol, body, expected) in BODIES.items():
            async with site.http() as http:
                query = await http.open(protocol)
                status, _, _ = await http.post(query, body)
                assert status == expected, case
                assert not site.engine.sessions, case
        assert site.heard == []
        told = [case for case, (protocol, *_) in BODIES.items() if protocol == 3]
        assert dict(zip(told, site.reasons(), strict=True)) == {
            case: "message too big" if "too many" in case else "parse error" for case in told
        }
        async with site.http() as http:
            query = await http.open()
            status, _, _ = await http.request(
                "POST", query, b"\x04x", Content_Type="application/octet-stream"
            )
            assert status == 400
        async with site.http() as http:
            # It is refused before it comes.
            await http.send("POST", await http.open(), b"", Content_Length="10000000000")
            assert (await http.receive())[0] == 413
        await until(site.empty)
    assert complaints(caplog) == []


# Floods: each has a bound


async def test_acknowledgements_that_nobody_waits_for():
    async with serving() as site:
        ws = await site.client()
        with measured(3_000_000):
            for _ in range(20):
                ws.send(masked(1, b"431[]") * 2000)
                await ws.writer.drain()
            ws.say('421["say"]')
            assert await ws.text() == "431[]"
        await ws.close()


async def test_one_attachment_cannot_be_made_many():
    """Or an echo would send a megabyte for each of thousands of placeholders."""
    async with serving() as site:
        ws = await site.client()
        with measured(20_000_000):  # of 18 GB
            ws.say('451-1["say",' + ",".join([HOLE % 0] * 20_000) + "]", bytes(900_000))
            assert await ws.ended() is not None
        assert site.reasons() == ["parse error"]
        await ws.close()


async def test_namespaces_without_number(caplog):
    async with serving(namespaces="*", max_namespaces=50) as site:
        before = Census()
        ws = await site.client()
        for number in range(1000):
            ws.say(f"40/n{number},")
        answers = [await ws.text() for _ in range(1000)]
        refused = [answer for answer in answers if answer.startswith("44")]
        assert len(refused) == 951
        assert json.loads(refused[0].partition(",")[2]) == {"message": "Too many namespaces"}
        assert site.counters["max_namespaces"] == 951
        assert len(site.server.hub.adapters) <= 52
        for number in range(49):
            ws.say(f"41/n{number},")
        await until(lambda: len(site.server.hub.adapters) <= 3)
        # Coming and going leaves nothing either.
        with measured(3_000_000):
            for number in range(2000):
                ws.say(f"40/again{number},", f"41/again{number},")
                if number % 50 == 49:
                    for _ in range(50):
                        assert (await ws.text()).startswith("40/again")
        await ws.close()
        await settled(site, before)
        assert len(site.server.hub.adapters) <= 3
    assert complaints(caplog) == []


async def test_names_of_namespaces_cannot_forge_log_lines(caplog):
    caplog.set_level("INFO")
    async with serving(namespaces="*") as site:
        ws = await site.client()
        for name in ("/x\nERROR root: fake", "/\x1b[2J", "/\u2028x", "/" + "y" * 2000):
            ws.say(f"40{name},")
            assert (await ws.text()).startswith("40/")
            ws.say(f"41{name},")
        ws.say('421["say"]')
        assert await ws.text() == "431[]"
        await ws.close()
        await until(site.empty)
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 500


async def test_rooms_without_number(caplog):
    async with serving(max_rooms=100) as site:
        ws = await site.client()
        for number in range(1000):
            ws.say(f'42["join","r{number}"]')
        ws.say('421["say"]')
        assert await ws.text() == "431[]"
        assert site.left_over()["rooms"] == 100
        assert site.counters["max_rooms"] == 900
        await ws.close()
        await until(site.empty)
    # A client that asks for too much must not fill the log with tracebacks.
    assert complaints(caplog) == []


async def test_events_before_the_connect_handler_is_done():
    async with serving(max_pending_handlers=20) as site:
        ws = await site.websocket()
        ws.say('40{"wait":true}')
        await site.held()
        flood = masked(1, b'42["say","' + b"x" * 10_000 + b'"]') * 10
        with measured(8_000_000):
            for _ in range(1000):  # until the server takes no more
                ws.send(flood)
                try:
                    await asyncio.wait_for(ws.writer.drain(), 0.5)
                except TimeoutError:
                    break
            else:
                raise AssertionError("the server reads on and on")
            assert site.heard == []
        site.gate.set()
        await until(lambda: len(site.heard) > 30)
        assert site.counters["max_pending_handlers"] > 0
        ws.reset()
        await until(site.empty)


async def test_handlers_that_wait(hosting):
    async with serving(hosting, max_pending_handlers=20) as site:
        ws = await site.client()
        for number in range(200):
            ws.say(f'42{number}["wait"]')
        await until(lambda: site.waiting >= 20)
        await asyncio.sleep(0.05)
        assert site.waiting == 20
        site.gate.set()
        answers = [await ws.text() for _ in range(200)]
        assert sorted(answers) == sorted(f'43{number}["done"]' for number in range(200))
        await ws.close()


async def test_attachments_that_never_come():
    """What waits for them is bounded, and a client that sends nothing else is given up."""
    async with serving(max_attachments=10, max_http_buffer_size=100_000) as site:
        clients = [await site.client() for _ in range(5)]
        with measured(5 * 1_500_000):
            for ws in clients:
                ws.say('4510-["say"]', *[bytes(99_000)] * 9)
                await ws.writer.drain()
            clients[0].say('42["say"]')
            assert await clients[0].ended() is not None
        assert site.reasons() == ["parse error"]
        for ws in clients:
            await ws.close()
        await until(site.empty)


async def test_connections_from_one_address(hosting, caplog):
    async with serving(hosting, max_connections_per_address=10) as site:
        before = Census()
        clients = [await site.client() for _ in range(8)]
        async with site.http() as http:
            for _ in range(2):
                await http.open()
            for _ in range(50):
                status, _, body = await http.get("EIO=4&transport=polling")
                assert (status, json.loads(body)["message"]) == (503, "Too many connections")
        assert len(site.engine.sessions) == 10
        assert site.engine.refused == {3: 50}
        await clients.pop().close()
        await until(lambda: len(site.engine.sessions) == 9)
        clients.append(await site.client())
        for ws in clients:
            await ws.close()
        for session in list(site.engine.sessions.values()):
            session.end("transport close")
        await settled(site, before)
    assert complaints(caplog) == []


async def test_sessions_that_connect_to_nothing(hosting):
    async with serving(hosting, connect_timeout=0.2) as site:
        ws = await site.websocket()
        async with site.http() as http:
            query = await http.open()
            assert (await http.get(query))[2] == b"1"
        await ws.text()
        assert await ws.ended() is not None
        await until(site.empty)
        assert site.left == []
        await ws.close()


async def test_a_body_that_comes_byte_by_byte(hosting, caplog):
    """It ends with its session, and so does its connection, whatever else it sends."""
    async with serving(hosting, ping_interval=0.2, ping_timeout=0.1) as site:
        before = Census()
        async with site.http() as http:
            query = await http.open()
            await http.send("POST", query, b"", Content_Length="900000")
            loop = asyncio.get_running_loop()
            began = loop.time()
            answering = asyncio.ensure_future(http.receive())
            while not answering.done():
                http.writer.write(b"x")
                await asyncio.sleep(0.02)
                assert loop.time() - began < 2
            assert answering.result()[0] == 400
            assert not site.engine.sessions
        await settled(site, before)
    assert complaints(caplog) == []


# The same, where packets are MessagePack

MSGPACK = {
    "nothing": b"",
    "no MessagePack": b"\xc1",
    "half a map": b"\x84\xa4type\x02",
    "a list": b"\x90",
    "deep lists": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data" + b"\x91" * DEEP + b"\xc0",
    "nested deeper than allowed": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3say"
    + b"\x91" * 300 + b"\xc0",
    "list of billions": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdd\xff\xff\xff\xff",
    "string of gigabytes": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdb\xff\xff\xff\xff",
    "map with a map as a key": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3say\x81\x80\x01",
    "map with a list as a key": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3say"
    + b"\x81\x91\x80\x01",
    "type that is a list": b"\x83\xa4type\x90\xa3nsp\xa1/\xa4data\x90",
    "namespace that is a number": b"\x83\xa4type\x02\xa3nsp\x01\xa4data\x91\xa3say",
    "negative id": b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\xff\xa4data\x91\xa3say",
    "huge id": b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\xcf" + b"\xff" * 8 + b"\xa4data\x91\xa3say",
    "string that is not UTF-8": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3say\xa1\xff",
    "reserved name": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xaadisconnect",
    "year beyond all calendars": b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3say\xc7\x0c\xff"
    + b"\0" * 4 + b"\x7f" + b"\xff" * 7,
}  # fmt: skip


async def test_msgpack_that_ends_the_session(caplog):
    async with serving(serializer="msgpack") as site:
        for case, data in MSGPACK.items():
            ws = await site.websocket()
            await ws.text()
            ws.say(socketio.msgpack.encode_msgpack(0, "/", -1, None, absent=True))
            assert isinstance(await ws.message(), bytes)
            site.left.clear()
            ws.say(data)
            assert await soon(ws.ended()) is not None, case
            await until(lambda: site.left)
            assert site.reasons() == ["parse error"], case
            await ws.close()
        assert site.heard == []
        await until(site.empty)
    assert complaints(caplog) == []
