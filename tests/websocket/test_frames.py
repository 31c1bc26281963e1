"""Frames as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import UsageError
from duplexio.websocket.exceptions import ProtocolError
from duplexio.websocket.frames import (
    CLOSE_CODE_EXPLANATIONS,
    CONTROL_OPCODES,
    DATA_OPCODES,
    EXTERNAL_CLOSE_CODES,
    OK_CLOSE_CODES,
    Close,
    CloseCode,
    Frame,
    Opcode,
    State,
    is_valid_close_code,
)

MASK = bytes.fromhex("37fa213d")


class TestSection5_2_BaseFramingProtocol:
    def test_opcodes(self):
        assert [int(opcode) for opcode in Opcode] == [0, 1, 2, 8, 9, 10]
        assert set(Opcode) == DATA_OPCODES | CONTROL_OPCODES

    @pytest.mark.parametrize(
        ("field", "bit"), [("fin", 0x80), ("rsv1", 0x40), ("rsv2", 0x20), ("rsv3", 0x10)]
    )
    def test_bits(self, field, bit):
        frame = Frame(Opcode.TEXT, b"", fin=False)
        setattr(frame, field, True)
        assert frame.serialize() == bytes([bit | 1, 0])

    @pytest.mark.parametrize(
        ("length", "header"),
        [
            (0, "8200"),
            (125, "827d"),
            (126, "827e007e"),
            (127, "827e007f"),
            (65535, "827effff"),
            (65536, "827f0000000000010000"),
        ],
    )
    def test_length_in_its_shortest_form(self, length, header):
        data = bytes(length)
        assert Frame(Opcode.BINARY, data).serialize() == bytes.fromhex(header) + data

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    def test_reserved_opcodes_are_refused(self, opcode):
        with pytest.raises(ProtocolError, match=f"opcode {opcode:#x} is reserved"):
            Frame(opcode, b"").check()

    @pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
    def test_data_of_any_buffer(self, data):
        assert Frame(Opcode.TEXT, data).serialize() == b"\x81\x03abc"


class TestSection5_3_Masking:
    def test_a_key_is_applied_byte_by_byte(self):
        assert Frame(Opcode.BINARY, b"\0\0\0\0\0").serialize(b"abcd") == b"\x82\x85abcdabcda"

    @pytest.mark.parametrize("mask", [b"", b"abc", b"abcde"])
    def test_a_key_has_four_bytes(self, mask):
        with pytest.raises(UsageError, match=f"a masking key has 4 bytes, not {len(mask)}"):
            Frame(Opcode.TEXT, b"x").serialize(mask)

    @given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
    def test_masking_twice_gives_the_data(self, data, mask):
        once = Frame(Opcode.BINARY, data).serialize(mask)[-len(data) or 10**6 :]
        twice = Frame(Opcode.BINARY, once).serialize(mask)[-len(data) or 10**6 :]
        assert twice == data


class TestSection5_5_ControlFrames:
    @pytest.mark.parametrize("opcode", sorted(CONTROL_OPCODES))
    def test_payload_limit(self, opcode):
        Frame(opcode, bytes(125)).check()
        with pytest.raises(ProtocolError, match="126 bytes; control frames carry at most 125"):
            Frame(opcode, bytes(126)).check()

    @pytest.mark.parametrize("opcode", sorted(CONTROL_OPCODES))
    def test_must_not_be_fragmented(self, opcode):
        with pytest.raises(ProtocolError, match="fragmented"):
            Frame(opcode, b"", fin=False).check()

    @pytest.mark.parametrize("opcode", sorted(DATA_OPCODES))
    def test_data_frames_may_be_long_and_fragmented(self, opcode):
        Frame(opcode, bytes(126), fin=False).check()


class TestSection5_5_1_Close:
    def test_empty_payload(self):
        assert Close.parse(b"") == Close(CloseCode.NO_STATUS_RCVD, "")
        assert Close(CloseCode.NO_STATUS_RCVD, "").serialize() == b""

    def test_payload_of_one_byte(self):
        with pytest.raises(ProtocolError, match="payload of 1 byte") as caught:
            Close.parse(b"\x03")
        assert caught.value.close_code == 1002

    @pytest.mark.parametrize(
        "data", [b"\x03\xe8ok", bytearray(b"\x03\xe8ok"), memoryview(b"\x03\xe8ok")]
    )
    def test_code_and_reason(self, data):
        assert Close.parse(data) == Close(1000, "ok")
        assert Close(1000, "ok").serialize() == b"\x03\xe8ok"

    @pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\xc0\x80"])
    def test_reason_that_is_not_utf8(self, reason):
        with pytest.raises(ProtocolError, match="not UTF-8") as caught:
            Close.parse(b"\x03\xe8" + reason)
        assert caught.value.close_code == 1007

    def test_reason_at_its_limit(self):
        reason = "é" * 61 + "a"
        assert len(Close(1000, reason).serialize()) == 125

    def test_reason_too_long(self):
        with pytest.raises(UsageError, match="124 bytes of UTF-8; at most 123 fit"):
            Close(1000, "é" * 62).serialize()

    def test_reason_with_a_lone_surrogate(self):
        with pytest.raises(UsageError, match="cannot be encoded"):
            Close(1000, "\ud800").serialize()

    def test_reason_without_code(self):
        with pytest.raises(UsageError, match="no room for the reason 'bye'"):
            Close(1005, "bye").serialize()

    @given(st.binary(max_size=125))
    def test_anything_parses_or_is_a_protocol_error(self, data):
        try:
            close = Close.parse(data)
        except ProtocolError:
            return
        assert close.serialize() == data


class TestSection5_7_Examples:
    @pytest.mark.parametrize(
        ("frame", "mask", "data"),
        [
            (Frame(Opcode.TEXT, b"Hello"), None, "810548656c6c6f"),
            (Frame(Opcode.TEXT, b"Hello"), MASK, "818537fa213d7f9f4d5158"),
            (Frame(Opcode.TEXT, b"Hel", fin=False), None, "010348656c"),
            (Frame(Opcode.CONT, b"lo"), None, "80026c6f"),
            (Frame(Opcode.PING, b"Hello"), None, "890548656c6c6f"),
            (Frame(Opcode.PONG, b"Hello"), MASK, "8a8537fa213d7f9f4d5158"),
        ],
    )
    def test_small(self, frame, mask, data):
        assert frame.serialize(mask) == bytes.fromhex(data)

    def test_256_bytes(self):
        assert Frame(Opcode.BINARY, bytes(256)).serialize()[:4] == bytes.fromhex("827e0100")

    def test_64_kib(self):
        data = Frame(Opcode.BINARY, bytes(65536)).serialize()
        assert data[:10] == bytes.fromhex("827f0000000000010000")


class TestSection7_4_StatusCodes:
    def test_codes_that_may_travel(self):
        assert [code for code in range(70_000) if is_valid_close_code(code)] == [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
            *range(3000, 5000),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
    )
    def test_codes_that_may_not(self, code):
        with pytest.raises(ProtocolError, match=f"code {code}, which may not be sent") as caught:
            Close.parse(code.to_bytes(2, "big"))
        assert caught.value.close_code == 1002

    @pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 2999, 5000, 70_000])
    def test_codes_that_are_not_sent(self, code):
        with pytest.raises(UsageError, match=f"close code {code} may not be sent"):
            Close(code, "").serialize()

    def test_every_code_has_an_explanation(self):
        assert set(CLOSE_CODE_EXPLANATIONS) == set(CloseCode)

    def test_codes_of_an_orderly_end(self):
        assert {1000, 1001, 1005} == OK_CLOSE_CODES
        assert 1005 not in EXTERNAL_CLOSE_CODES

    @pytest.mark.parametrize(
        ("close", "text"),
        [
            (Close(1000), "1000 (OK)"),
            (Close(CloseCode.GOING_AWAY, "bye"), "1001 (going away) bye"),
            (Close(1005), "1005 (no status received [internal])"),
            (Close(1004), "1004 (unknown)"),
            (Close(3000), "3000 (registered)"),
            (Close(4000, "mine"), "4000 (private use) mine"),
        ],
    )
    def test_text(self, close, text):
        assert str(close) == text


def test_states_are_those_of_browsers():
    assert [(state.name, int(state)) for state in State] == [
        ("CONNECTING", 0), ("OPEN", 1), ("CLOSING", 2), ("CLOSED", 3),
    ]  # fmt: skip
