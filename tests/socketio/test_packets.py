"""The text form of packets: examples of the specification, round trips, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.engineio.encoded import Encoded
from duplexio.socketio.assembler import Assembler
from duplexio.socketio.exceptions import PacketError
from duplexio.socketio.packets import parse_head
from tests.pure import implementations

packets_module = pytest.mark.parametrize("packets", implementations("socketio.packets"))


def fields(head):
    return (head.kind, head.namespace, head.id, head.offset, head.attachments)


@packets_module
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", (0, "/", -1, 1, 0)),
        ('0{"token":"x"}', (0, "/", -1, 1, 0)),
        ("0/admin,", (0, "/admin", -1, 8, 0)),
        ("0/admin", (0, "/admin", -1, 7, 0)),
        ('0/admin?token=x,{"a":1}', (0, "/admin?token=x", -1, 16, 0)),
        ("1/admin,", (1, "/admin", -1, 8, 0)),
        ('2["foo"]', (2, "/", -1, 1, 0)),
        ('2/admin,["bar"]', (2, "/admin", -1, 8, 0)),
        ('212["foo"]', (2, "/", 12, 3, 0)),
        ('20["foo"]', (2, "/", 0, 2, 0)),
        ('3/admin,13["bar"]', (3, "/admin", 13, 10, 0)),
        ('4{"message":"no"}', (4, "/", -1, 1, 0)),
        ('51-["baz",{"_placeholder":true,"num":0}]', (5, "/", -1, 3, 1)),
        ('52-/admin,["baz"]', (5, "/admin", -1, 10, 2)),
        ("61-/admin,13[]", (6, "/admin", 13, 12, 1)),
        ('50-["x"]', (5, "/", -1, 3, 0)),
    ],
)
def test_examples_of_the_specification(packets, text, expected):
    assert fields(packets.parse_head(text, 0)) == expected
    shifted = packets.parse_head("4" + text, 1)
    assert shifted.offset == expected[3] + 1


@packets_module
@pytest.mark.parametrize(
    "text",
    [
        *["", "7", "x", "-1", "5", "5[]", "5-[]", "51", "51[]", "5x-[]", "٢[]", "5٢-[]"],
        *["2" + "1" * 40 + "[]", "5" + "9" * 40 + "-[]"],
        *["2/" + "n" * 5000, "2/" + "n" * 5000 + ",[]"],
    ],
)
def test_what_is_no_packet(packets, text):
    with pytest.raises(Exception, match=r"packet|namespace") as caught:
        packets.parse_head(text, 0)
    assert type(caught.value).__name__ == "PacketError"


@packets_module
@pytest.mark.parametrize("data", [["foo"], ["foo", 1, None], [7, "x"], [-1]])
def test_names_of_events(packets, data):
    assert packets.check_event(data) == data[0]


@packets_module
@pytest.mark.parametrize(
    "data",
    [
        *[[], {}, "foo", None, 1, [None], [True], [1.5], [["foo"]]],
        *[["connect"], ["connect_error"], ["disconnect"], ["disconnecting"]],
        *[["newListener"], ["removeListener"]],
    ],
)
def test_what_is_no_event(packets, data):
    with pytest.raises(Exception, match="event") as caught:
        packets.check_event(data)
    assert type(caught.value).__name__ == "PacketError"


@packets_module
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((2, "/", -1, ["foo"]), b'42["foo"]'),
        ((2, "/admin", 12, ["foo", {"a": 1}]), b'42/admin,12["foo",{"a":1}]'),
        ((3, "/", 0, []), b"430[]"),
        ((0, "/", -1, {"sid": "x"}), b'40{"sid":"x"}'),
        ((4, "/admin", -1, "Not authorized"), b'44/admin,"Not authorized"'),
        ((2, "/é", -1, ["ü"]), '42/é,["ü"]'.encode()),
    ],
)
def test_what_is_written(packets, arguments, expected):
    assert packets.encode_packet(*arguments) == expected


@packets_module
def test_packets_without_payload(packets):
    assert packets.encode_packet(1, "/", -1, None, absent=True) == b"41"
    assert packets.encode_packet(0, "/admin", -1, None, absent=True) == b"40/admin,"


@packets_module
def test_packets_with_attachments(packets):
    encoded = packets.encode_packet(2, "/admin", 5, ["a", {"b": b"x"}, bytearray(b"y")])
    assert encoded.text == (
        '52-/admin,5["a",{"b":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]'
    )
    assert encoded.attachments == (b"x", b"y")
    assert packets.encode_packet(3, "/", 1, [b""]).text.startswith("61-1[")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@packets_module
@given(
    kind=st.sampled_from([2, 3]),
    namespace=st.from_regex(r"/[a-z0-9/-]{0,20}", fullmatch=True),
    id=st.just(-1) | st.integers(0, 2**53),
    data=st.lists(JSON, min_size=1),
)
def test_round_trips(packets, kind, namespace, id, data):
    from duplexio.socketio.values import decode_json, insert_binary

    written = packets.encode_packet(kind, namespace, id, data)
    text, attachments = (
        (written.decode()[1:], ())
        if isinstance(written, bytes)
        else (written.text, written.attachments)
    )
    head = packets.parse_head(text, 0)
    assert (head.namespace, head.id, head.attachments) == (namespace, id, len(attachments))
    assert head.kind == kind + (3 if attachments else 0)
    assert insert_binary(decode_json(text[head.offset :]), list(attachments)) == data


@packets_module
@given(text=st.text(alphabet='0123456789-/,?[]{}"a\\', max_size=40) | st.text(max_size=40))
def test_whatever_comes_is_a_packet_or_an_error(packets, text):
    try:
        head = packets.parse_head(text, 0)
    except Exception as exc:
        assert type(exc).__name__ == "PacketError"  # noqa: PT017
    else:
        assert 1 <= head.offset <= len(text)


def test_attachments_are_put_together():
    text = '52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]'
    assembler = Assembler(parse_head(text, 0), text, 10)
    assert not assembler.complete
    assert not assembler.add(b"x")
    assert assembler.add(b"y")
    assert assembler.attachments == [b"x", b"y"]


def test_a_packet_without_attachments_waits_for_none():
    assert Assembler(parse_head('50-["a"]', 0), '50-["a"]', 10).complete


def test_attachments_are_limited():
    with pytest.raises(PacketError, match="max_attachments=10"):
        Assembler(parse_head("511-[]", 0), "511-[]", 10)


def test_encoded_is_the_one_of_the_layer_below():
    packets = pytest.importorskip("duplexio.socketio.packets")
    assert isinstance(packets.encode_packet(2, "/", -1, ["a", b"x"]), Encoded)
