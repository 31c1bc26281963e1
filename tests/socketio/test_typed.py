"""Typed events: what is decoded, what is refused, and what is left alone."""

import json
from dataclasses import dataclass
from typing import TypedDict

import msgspec
import pydantic
import pytest

from duplexio.socketio import AsyncServer
from duplexio.socketio.exceptions import PayloadError
from duplexio.socketio.typed import CACHED, make_payload
from tests.socketio.fakes import Peer, connected


class Struct(msgspec.Struct):
    x: int
    y: int = 0


@dataclass
class Data:
    x: int
    y: int = 0


class Model(pydantic.BaseModel):
    x: int
    y: int = 0


class Typed(TypedDict):
    x: int


@pytest.mark.parametrize("kind", [Struct, Data, Model])
async def test_models_are_decoded_and_checked(kind):
    server, peer, _ = connected()
    seen = []

    @server.event
    async def move(sid, where: kind):
        seen.append(where)
        return where.x  # type: ignore[attr-defined]

    peer.send('21["move",{"x":1}]', '22["move",{"x":"a"}]', '2["move",{}]', '24["move"]')
    first, second, third = peer.take()
    assert first == "31[1]"
    assert seen == [kind(x=1)]
    (error,) = json.loads(second[2:])
    assert error["error"] == "invalid payload"
    assert error["event"] == "move"
    assert "int" in error["message"]
    assert third.startswith('34[{"error":"invalid payload"')
    assert server.hub.counters["invalid_payloads"] == 3
    assert not peer.closed


async def test_several_arguments_defaults_and_the_rest():
    server, peer, _ = connected()
    seen = []

    @server.event
    def a(sid, first: Struct, second: Struct | None = None, *rest: Struct):
        seen.append((first, second, *rest))

    one = '{"x":1}'
    peer.send(f'2["a",{one}]', f'2["a",{one},null]', f'2["a",{one},{one},{one},{one}]', '2["a"]')
    peer.send(f'2["a",{one},{one},1]')
    assert seen == [
        (Struct(1), None),
        (Struct(1), None),
        (Struct(1), Struct(1), Struct(1), Struct(1)),
    ]
    assert server.hub.counters["invalid_payloads"] == 2


async def test_plain_hints_are_checked_only_when_asked():
    server, peer, _ = connected()

    @server.event
    def lenient(sid, data: int, more: Typed):
        return [data, more]

    @server.event(validate=True)
    def strict(sid, data: int, more: Typed):
        return [data, more]

    peer.send('21["lenient","a",2]', '22["strict","a",2]', '23["strict",1,{"x":2}]')
    first, second, third = peer.take()
    assert first == '31[["a",2]]'
    assert second.startswith('32[{"error"')
    assert third == '33[[1,{"x":2}]]'


async def test_plain_hints_beside_models_are_left_alone():
    server, peer, _ = connected()

    @server.event
    def a(sid, data: int, model: Struct):
        return data

    peer.send('21["a","text",{"x":1}]')
    assert peer.take() == ['31["text"]']


async def test_what_is_not_read_is_not_decoded():
    server, peer, _ = connected()
    seen = []

    @server.event
    def a(sid, data: msgspec.Raw):
        seen.append(bytes(data))

    peer.send('2["a",{"x": [1, 2]}]')
    assert seen == [b'{"x": [1, 2]}']


async def test_bytes_in_models():
    class Picture(msgspec.Struct):
        data: bytes

    server, peer, _ = connected()

    @server.event
    def a(sid, picture: Picture):
        return Picture(picture.data + b"!")

    peer.send('51-1["a",{"data":{"_placeholder":true,"num":0}}]', b"x")
    assert peer.take() == ['61-1[{"data":{"_placeholder":true,"num":0}}]', b"x!"]


async def test_reserved_names_and_broken_json_close():
    for message in ('2["connect",{"x":1}]', '2["a",{"x":1}', '2["a",{"x":1}]]'):
        server, peer, _ = connected()

        @server.on("*")
        def anything(name, sid, data: Struct):
            raise AssertionError(name)

        peer.send(message)
        assert peer.closed


async def test_names_with_escapes_and_numbers():
    server, peer, _ = connected()

    def handler(sid, data: Struct):
        return data.x

    server.on('a"b', handler)
    server.on(7, handler)
    peer.send('21["a\\"b",{"x":1}]', '22[7,{"x":2}]', '23["a\\"b",{}]')
    first, second, third = peer.take()
    assert (first, second) == ("31[1]", "32[2]")
    assert third.startswith('33[{"error"')


async def test_methods_and_middleware():
    from duplexio.socketio import AsyncNamespace

    class Moves(AsyncNamespace):
        async def on_move(self, sid, where: Struct):
            return where.x

    server = AsyncServer()
    server.register_namespace(Moves("/a"))
    peer = Peer(server)
    peer.connect("/a")
    peer.send('2/a,1["move",{"x":1}]', '2/a,2["move",{}]')
    first, second = peer.take()
    assert first == "3/a,1[1]"
    assert second.startswith('3/a,2[{"error"')

    @server.use_for_events
    async def through(event, proceed):
        return await proceed()

    peer.send('2/a,1["move",{"x":1}]', '2/a,2["move",{}]')
    first, second = peer.take()
    assert first == "3/a,1[1]"
    assert second.startswith('3/a,2[{"error"')


def test_few_decoders_are_kept_for_numbers_of_arguments():
    """How many arguments come is the client's choice, and a decoder is a kilobyte or more."""

    def move(sid: str, *places: Struct) -> None: ...

    payload = make_payload(move, 1, False)
    assert payload is not None
    for count in (*range(CACHED + 50), 1000):
        text = json.dumps(["move", *[{"x": number} for number in range(count)]])
        assert payload.decode(text, "move") == ["move", *map(Struct, range(count))]
    assert len(payload._decoders) == CACHED + 1
    with pytest.raises(PayloadError):
        payload.decode(json.dumps(["move", *[{"x": 1}] * 100, {"x": "a"}]), "move")
