"""MessagePack as socket.io-msgpack-parser writes and reads it."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.socketio.exceptions import PacketError
from duplexio.socketio.msgpack import MsgpackSerializer, decode_msgpack, encode_msgpack


def decoded(message):
    packet = decode_msgpack(message)
    return packet.kind, packet.namespace, packet.id, packet.data


def test_what_is_absent_is_not_written():
    assert msgspec.msgpack.decode(encode_msgpack(1, "/a", -1, None, absent=True)) == {
        "type": 1,
        "nsp": "/a",
    }
    assert msgspec.msgpack.decode(encode_msgpack(2, "/", 0, ["x", b"y"])) == {
        "type": 2,
        "nsp": "/",
        "data": ["x", b"y"],
        "id": 0,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(id=st.just(-1) | st.integers(0, 2**53 - 1), data=st.lists(JSON))
def test_round_trips(id, data):
    assert decoded(encode_msgpack(2, "/a", id, data)) == (2, "/a", id, data)


def test_nil_counts_as_absent():
    message = msgspec.msgpack.encode({"type": 1, "nsp": "/", "data": None, "id": None})
    assert decoded(message) == (1, "/", -1, None)


def raw(data):
    """Return a packet whose payload is a list of one value, written by hand."""
    return b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91" + data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xd4\x00\x00", None),  # notepack 2: undefined
        (
            b"\xd7\x00" + (1_000_500).to_bytes(8, "big"),
            datetime(1970, 1, 1, 0, 16, 40, 500_000, UTC),
        ),
        (b"\xc7\x03\x00abc", b"abc"),  # notepack 2: ArrayBuffer
        (b"\xc4\x03abc", b"abc"),
        (b"\xd6\xff" + (1).to_bytes(4, "big"), datetime(1970, 1, 1, 0, 0, 1, 0, UTC)),
    ],
)
def test_what_notepack_writes(data, expected):
    assert decode_msgpack(raw(data)).data == [expected]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode({}),
        msgspec.msgpack.encode({"type": 2}),
        msgspec.msgpack.encode({"type": 7, "nsp": "/"}),
        msgspec.msgpack.encode({"type": True, "nsp": "/"}),
        msgspec.msgpack.encode({"type": 2, "nsp": "x"}),
        msgspec.msgpack.encode({"type": 2, "nsp": "/", "id": -1}),
        msgspec.msgpack.encode({"type": 2, "nsp": "/", "id": 1.5}),
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_packet(message):
    with pytest.raises(PacketError):
        decode_msgpack(message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('{"type":0,"nsp":"/a?key=1","query":"key=1"}', (0, "/a?key=1", -1, None)),
        ('{"type":1,"nsp":"/"}', (1, "/", -1, None)),
        (
            msgspec.msgpack.encode({"type": 5, "nsp": "/", "data": ["x", b"1"]}),
            (2, "/", -1, ["x", b"1"]),
        ),
        (
            msgspec.msgpack.encode({"type": 6, "nsp": "/", "data": [b"1"], "id": 3}),
            (3, "/", 3, [b"1"]),
        ),
    ],
)
def test_what_version_2_of_the_parser_writes(message, expected):
    packet = MsgpackSerializer().decode(message)
    assert (packet.kind, packet.namespace, packet.id, packet.data) == expected


@pytest.mark.parametrize("message", ["", "[]", "{", "{}", '{"type":0}'])
def test_text_that_is_no_packet(message):
    with pytest.raises(PacketError):
        MsgpackSerializer().decode(message)


@given(message=st.binary(max_size=60))
def test_whatever_comes_is_a_packet_or_an_error(message):
    try:
        decode_msgpack(message)
    except PacketError:
        pass
