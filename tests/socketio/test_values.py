"""JSON and bytes: what msgspec refuses, what JavaScript expects, and what peers may not send."""

import enum
import json
import math
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.socketio.exceptions import PacketError
from tests.pure import implementations

values_module = pytest.mark.parametrize("values", implementations("socketio.values"))

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.floats()
DATA = st.recursive(
    SCALARS | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Name(str):
    __slots__ = ()


class Level(enum.IntEnum):
    HIGH = 3


class Point(msgspec.Struct):
    x: int
    data: bytes


@dataclass
class Picture:
    name: str
    data: bytes


@values_module
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", 1, None, True, 1.5], b'["a",1,null,true,1.5]'),
        ([math.nan, math.inf, -math.inf], b"[null,null,null]"),
        ([Name("x"), Level.HIGH], b'["x",3]'),
        ({None: 1, True: 2}, b'{"null":1,"true":2}'),
        ([Name("x"), {"a": (math.nan, 1)}], b'["x",{"a":[null,1]}]'),
        ("\ud800", b'"\\ud800"'),
        ([2**70], b"[1180591620717411303424]"),
        ({1: 2}, b'{"1":2}'),
    ],
)
def test_what_is_written(values, value, expected):
    assert values.encode_json(value) == expected


@values_module
def test_what_has_no_form_in_json_is_refused(values):
    with pytest.raises(TypeError):
        values.encode_json([object()])
    cycle = []
    cycle.append(cycle)
    with pytest.raises((ValueError, RecursionError)):
        values.encode_json(cycle)
    with pytest.raises(ValueError, match="refers to itself"):
        values.scan(cycle)


@values_module
def test_what_the_standard_library_reads_is_read(values):
    assert values.decode_json('"\\ud800"') == "\ud800"
    assert math.isnan(values.decode_json("[NaN]")[0])
    assert values.decode_json("[1e400]") == [math.inf]


@values_module
@pytest.mark.parametrize("text", ["", "[", "[1,]", "{a:1}", "[1]x", "[" * 100_000])
def test_what_is_no_json_is_refused(values, text):
    with pytest.raises(Exception, match="JSON") as caught:
        values.decode_json(text)
    assert type(caught.value).__name__ == "PacketError"


@values_module
def test_scan_finds_bytes_anywhere(values):
    assert values.scan({"a": [1, ("x", None)]}) == values.PLAIN
    for data in (b"x", bytearray(b"x"), memoryview(b"x")):
        assert values.scan({"a": [1, (data,)]}) == values.BINARY
    assert values.scan([Name("x"), Level.HIGH]) == values.PLAIN
    assert values.scan([Point(1, b"x")]) == values.OPAQUE
    assert values.scan([Picture("a", b"x"), b""]) == values.OPAQUE | values.BINARY


@values_module
def test_structs_and_dataclasses_keep_their_bytes(values):
    data = values.normalize([Point(1, b"x"), Picture("a", b"y")])
    assert data == [{"x": 1, "data": b"x"}, {"name": "a", "data": b"y"}]


@values_module
@given(data=DATA)
def test_bytes_come_back_where_they_were(values, data):
    attachments = []
    plain = values.extract_binary(data, attachments)
    assert values.scan(plain) == values.PLAIN
    read = values.decode_json(values.encode_json(plain).decode())
    back = values.insert_binary(read, attachments)
    expected = json.loads(
        json.dumps(_nulls(data), default=lambda found: {"bytes": found.hex()}), parse_int=int
    )
    assert json.loads(json.dumps(back, default=lambda found: {"bytes": found.hex()})) == expected


def _nulls(value):
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _nulls(item) for key, item in value.items()}
    return [_nulls(item) for item in value] if isinstance(value, list) else value


@values_module
@pytest.mark.parametrize("number", [-1, 1, 1.0, "0", None, True, 10**30])
def test_a_placeholder_names_an_attachment_that_is_there(values, number):
    with pytest.raises(Exception, match="there is no attachment"):
        values.insert_binary([{"_placeholder": True, "num": number}], [b"x"])


@values_module
def test_a_value_that_looks_like_a_placeholder_is_one_only_with_true(values):
    data = [{"_placeholder": False, "num": 0}, {"_placeholder": 1, "num": 0}]
    assert values.insert_binary(data, [b"x"]) == [
        {"_placeholder": False, "num": 0},
        {"_placeholder": 1, "num": 0},
    ]


@values_module
@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("[[[]]]", 3, True),
        ("[[[]]]", 2, False),
        ('[["[[[["]]', 2, True),
        ('[["\\"[[[["]]', 2, True),
        ("[[],[],[],[]]", 2, True),
        ('[{"a":{}}]', 2, False),
        ("[" * 10_000, 100, False),
    ],
)
def test_depth(values, text, limit, expected):
    assert values.check_depth("42" + text, 2, limit) is expected


def test_a_module_of_the_users():
    from duplexio.socketio.values import Json

    class Shouting:
        @staticmethod
        def dumps(value, separators):
            return json.dumps(value, separators=separators).upper()

        loads = staticmethod(json.loads)

    codec = Json(Shouting)
    assert codec.encode(["a"]) == b'["A"]'
    assert codec.decode('["a"]') == ["a"]
    with pytest.raises(PacketError):
        codec.decode("[")
