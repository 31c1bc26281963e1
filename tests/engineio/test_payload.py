"""Payloads and packets: the vectors of the protocol's documents, and what hypothesis finds."""

import json
import re
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duplexio.engineio.encoded import Encoded, utf16_length
from duplexio.engineio.exceptions import PacketError, PayloadTooBig
from duplexio.engineio.packets import decode_base64, decode_typed, open_packet
from duplexio.engineio.payload import (
    decode_form,
    decode_payload,
    encode_payload,
    encode_script,
    encode_text,
)

EMOJI = "\N{GRINNING FACE}"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"))
text_packets = st.builds("".join, st.tuples(st.sampled_from("0123456"), texts))
packets = st.lists(text_packets | st.binary(), min_size=1)


@given(packets, st.sampled_from([3, 4]), st.booleans())
@example(["4€", b"\x00", "4" + EMOJI], 3, False)
@example(["4€", b"\x00", "4" + EMOJI], 3, True)
def test_what_is_written_can_be_read(packets, protocol, binary):
    body = encode_payload(packets, protocol, binary)
    data = body.encode() if isinstance(body, str) else body
    assert decode_payload(data, protocol, isinstance(body, bytes)) == packets


@given(st.binary(max_size=200), st.sampled_from([3, 4]), st.booleans())
def test_anything_else_is_an_error_with_a_message(body, protocol, binary):
    try:
        packets = decode_payload(body, protocol, binary)
    except PacketError as exc:
        error = exc
    else:
        for packet in packets:
            assert isinstance(packet, bytes) or packet[0] in "0123456"
        return
    assert str(error)
    assert error.status in (400, 413)


# The vectors of the Engine.IO protocol, revisions 3 and 4


def test_text_of_protocol_4():
    body = "4hello\x1e2\x1e4world"
    assert encode_payload(["4hello", "2", "4world"], 4) == body
    assert decode_payload(body.encode(), 4) == ["4hello", "2", "4world"]


def test_binary_of_protocol_4():
    assert encode_payload(["4hello", b"\x01\x02\x03\x04"], 4) == "4hello\x1ebAQIDBA=="


def test_text_of_protocol_3():
    assert encode_payload(["4hello", "2"], 3) == "6:4hello1:2"
    assert encode_payload(["4€"], 3) == "2:4€"
    assert encode_payload(["4" + EMOJI], 3) == f"3:4{EMOJI}"
    assert encode_payload([], 3) == "0:"
    assert decode_payload(b"0:", 3) == []
    assert decode_payload("2:4€3:4😀1:2".encode(), 3) == ["4€", "4😀", "2"]


def test_base64_of_protocol_3():
    assert encode_payload(["4€", b"\x01\x02\x03\x04"], 3, binary=False) == "2:4€10:b4AQIDBA=="


def test_binary_of_protocol_3():
    body = bytes.fromhex("0006ff3468656c6c6f0104ff04010203")
    assert encode_payload(["4hello", b"\x01\x02\x03"], 3) == body
    assert decode_payload(body, 3, binary=True) == ["4hello", b"\x01\x02\x03"]
    # Here the length of text is in bytes.
    body = bytes.fromhex("0004ff34e282ac0105ff0401020304")
    assert encode_payload(["4€", b"\x01\x02\x03\x04"], 3) == body
    assert decode_payload(body, 3, binary=True) == ["4€", b"\x01\x02\x03\x04"]


def test_without_binary_packets_protocol_3_stays_text():
    assert encode_payload(["4hello"], 3, binary=True) == "6:4hello"


@pytest.mark.parametrize(
    ("body", "protocol"),
    [
        (b"", 3),
        (b"", 4),
        (b"1", 3),
        (b":", 3),
        (b"2:4", 3),
        (b"-1:4", 3),
        (b"1_0:4234567890", 3),
        (b"00000000001:4", 3),
        ("٣:4ab".encode(), 3),
        (f"2:4{EMOJI}".encode(), 3),
        (f"3:4a{EMOJI}".encode(), 3),
        (f"\u0132:4a{EMOJI}".encode(), 3),
        (f"2\u3a35\u0100{EMOJI}".encode(), 3),
        (b"1:x", 3),
        (b"\x1e", 4),
        (b"4a\x1e", 4),
        (b"4a\x1e\x1e4b", 4),
        (b"7", 4),
        (b"b!", 4),
        (b"bYWI==", 4),
        (b"b3YWJj", 3),
        (b"7:b3YWJj", 3),
        (b"4\xff", 4),
        (b"2:4\xff", 3),
    ],
)
def test_broken_text(body, protocol):
    with pytest.raises(PacketError):
        decode_payload(body, protocol)


@pytest.mark.parametrize(
    "body", ["", "00", "0001", "0001ff", "02 01ff34", "000aff34", "0000ff", "0100ff", "0001ff80"]
)
def test_broken_binary(body):
    with pytest.raises(PacketError):
        decode_payload(bytes.fromhex(body), 3, binary=True)
    with pytest.raises(PacketError):
        decode_payload(b"\x00\x01\xff4", 4, binary=True)


@pytest.mark.parametrize(
    ("body", "protocol", "binary"),
    [(b"2\x1e" * 10 + b"2", 4, False), (b"1:2" * 11, 3, False), (b"\x00\x01\xff2" * 11, 3, True)],
)
def test_too_many_packets(body, protocol, binary):
    assert len(decode_payload(body, protocol, binary, max_packets=11)) == 11
    with pytest.raises(PayloadTooBig, match="10"):
        decode_payload(body, protocol, binary, max_packets=10)


def test_base64_in_lines():
    assert decode_base64(4, "bYW\r\nJj\n") == b"abc"


def test_binary_packets_of_other_types():
    assert decode_typed(b"\x03") == "3"
    with pytest.raises(PacketError):
        decode_typed(b"\x07")
    with pytest.raises(PacketError):
        decode_typed(b"")


def test_times_are_in_milliseconds():
    packet = open_packet(
        "x", upgrades=["websocket"], ping_interval=0.3, ping_timeout=0.2999, max_payload=5
    )
    assert json.loads(packet[1:]) == {
        "sid": "x",
        "upgrades": ["websocket"],
        "pingInterval": 300,
        "pingTimeout": 300,
        "maxPayload": 5,
    }


# Encoded messages


@given(texts, st.lists(st.binary(), max_size=3), st.sampled_from([3, 4]), st.booleans())
def test_an_encoded_message_is_its_packets(text, attachments, protocol, binary):
    encoded = Encoded(text, tuple(attachments))
    for _ in range(2):
        assert encode_payload(["2", encoded], protocol, binary) == encode_payload(
            ["2", "4" + text, *attachments], protocol, binary
        )


@given(st.text())
def test_the_length_that_javascript_sees(text):
    assert utf16_length(text) == sum(2 if ord(char) > 0xFFFF else 1 for char in text)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_can_be_sent(text):
    decoded = encode_text(text).decode()
    assert len(decoded) <= len(text)
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert decoded == text


# JSONP


@given(st.text())
@example('4"a\\n\u2028\u2029</script>')
def test_a_script_is_a_call_with_the_payload(text):
    script = encode_script("12", text)
    match = re.fullmatch(r"___eio\[12\]\((.*)\);", script, re.DOTALL)
    assert match is not None
    assert json.loads(match[1]) == text
    assert not re.search("[\u2028\u2029\n]", script)


def client_escapes(text):
    """What a browser's form sends, as engine.io-client writes it."""
    return ("d=" + quote_plus(text.replace("\\n", "\\\\n").replace("\n", "\\n"))).encode()


@given(texts.filter(lambda text: "\\\\n" not in text and "\\\n" not in text))
@example('4["a\\nb\n"]')
def test_a_form_gives_back_what_was_put_in(text):
    assert decode_form(client_escapes(text)) == text.encode()


def test_other_fields_do_not_matter():
    assert decode_form(b"x=1&d=4%20a+b&y=2") == b"4 a b"
    with pytest.raises(PacketError):
        decode_form(b"x=1&" * 100)
