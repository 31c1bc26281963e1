"""Reading frames: RFC 6455 section by section, compiled and in Python, at every cut."""

import gc
import random
import struct
import sys
import tracemalloc
import weakref
from types import ModuleType
from typing import Any

import pytest

from duplexio.websocket.frames import Frame, Opcode
from tests.pure import implementations
from tests.websocket.recording import (
    KEY,
    Recorder,
    binary,
    cont,
    failure,
    feed,
    frame,
    read,
    text,
)

#: Lengths around every change in how a length is written (§5.2).
LENGTHS = (0, 1, 2, 3, 4, 7, 8, 9, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537)


@pytest.fixture(params=implementations("websocket.kernel"))
def kernel(request) -> ModuleType:
    return request.param


def head(first: int, length: int, form: int, *, masked: bool = True) -> bytes:
    """Return a frame's head with its length in 0, 2 or 8 more bytes, sensible or not."""
    bit = 0x80 if masked else 0
    if form == 0:
        written = struct.pack("!BB", first, bit | length)
    elif form == 2:
        written = struct.pack("!BBH", first, bit | 126, length)
    else:
        written = struct.pack("!BBQ", first, bit | 127, length)
    return written + (KEY if masked else b"")


class TestSection5_1_Overview:
    """Who masks."""

    def test_a_server_refuses_a_frame_that_is_not_masked(self, kernel):
        assert failure(kernel, text(b"Hello", masked=False), 1) == 1002

    def test_a_client_refuses_a_frame_that_is_masked(self, kernel):
        assert failure(kernel, text(b"Hello"), 1, masked=False) == 1002

    @pytest.mark.parametrize("opcode", [0, 1, 2, 8, 9, 10])
    @pytest.mark.parametrize("masked", [True, False])
    def test_it_holds_for_every_opcode_and_for_empty_frames(self, kernel, opcode, masked):
        wire = frame(opcode, b"", masked=not masked)
        before = text(b"", fin=False, masked=masked) if opcode == 0 else b""
        assert failure(kernel, before + wire, len(before) + 1, masked=masked) == 1002

    def test_the_reasons_say_who_did_it(self, kernel):
        ((_, _, server),) = read(kernel, text(b"", masked=False))
        ((_, _, client),) = read(kernel, text(b""), masked=False)
        assert server == "frame is not masked: a client must mask (RFC 6455 §5.1)"
        assert client == "frame is masked: a server must not mask (RFC 6455 §5.1)"


class TestSection5_2_BaseFraming:
    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("length", LENGTHS)
    def test_every_form_of_length(self, kernel, length, masked):
        data = random.Random(length).randbytes(length)
        events = read(kernel, binary(data, masked=masked), masked=masked)
        assert events == [("binary", data)]

    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("length", LENGTHS)
    def test_two_messages_at_once(self, kernel, length, masked):
        wire = text(b"x" * length, masked=masked) + text("é".encode(), masked=masked)
        assert read(kernel, wire, masked=masked) == [("text", "x" * length), ("text", "é")]

    @pytest.mark.parametrize("length", [0, 1, 125])
    def test_the_shortest_form_in_2_bytes(self, kernel, length):
        assert failure(kernel, head(0x82, length, 2)) == 1002

    @pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535])
    def test_the_shortest_form_in_8_bytes(self, kernel, length):
        assert failure(kernel, head(0x82, length, 8)) == 1002

    @pytest.mark.parametrize("length", [2**63, 2**63 + 5, 2**64 - 1])
    def test_the_most_significant_bit_is_0(self, kernel, length):
        assert failure(kernel, head(0x82, length, 8)) == 1002

    @pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**62, 2**63 - 1])
    def test_a_large_length_is_taken_whole(self, kernel, length):
        assert read(kernel, head(0x82, length, 8) + b"some bytes") == []
        assert failure(kernel, head(0x82, length, 8), max_size=2**31 - 2) == 1009

    @pytest.mark.parametrize("bits", range(0x10, 0x80, 0x10))
    @pytest.mark.parametrize("opcode", [0, 1, 2, 8, 9, 10])
    def test_reserved_bits_are_0(self, kernel, opcode, bits):
        before = text(b"a", fin=False) if opcode == 0 else b""
        wire = before + head(0x80 | bits | opcode, 0, 0)
        assert failure(kernel, wire, len(before) + 1) == 1002

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    @pytest.mark.parametrize("fin", [True, False])
    @pytest.mark.parametrize("inside", [True, False])
    def test_reserved_opcodes(self, kernel, opcode, fin, inside):
        before = text(b"a", fin=False) if inside else b""
        wire = before + frame(opcode, b"", fin=fin)
        assert failure(kernel, wire, len(before) + 1) == 1002

    def test_the_reason_names_what_was_wrong(self, kernel):
        assert read(kernel, head(0xA1, 0, 0)) == [
            (
                "violation",
                1002,
                "reserved bits 010 are set: no extension was agreed that uses them here",
            )
        ]
        assert read(kernel, head(0x83, 0, 0)) == [("violation", 1002, "unknown opcode 3")]


class TestSection5_3_Masking:
    @pytest.mark.parametrize("key", [b"\0\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xff", KEY])
    def test_apply_mask_is_xor(self, kernel, key):
        for length in (*range(40), 1000, 4099):
            data = random.Random(length).randbytes(length)
            expected = bytes(byte ^ key[i % 4] for i, byte in enumerate(data))
            assert kernel.apply_mask(data, key) == expected
            assert kernel.apply_mask(bytearray(expected), key) == data
            assert kernel.apply_mask(memoryview(expected), key) == data

    def test_apply_mask_leaves_its_argument_alone(self, kernel):
        data = bytearray(b"Hello")
        assert kernel.apply_mask(data, KEY).hex() == "7f9f4d5158"
        assert data == b"Hello"

    @pytest.mark.parametrize("key", [b"", b"abc", b"abcde", "abcd", None, bytearray(b"abcd")])
    def test_a_key_has_4_bytes(self, kernel, key):
        with pytest.raises(kernel.UsageError, match="expected 4 bytes"):
            kernel.apply_mask(b"x", key)

    def test_apply_mask_takes_the_bytes_of_any_buffer(self, kernel):
        numbers = memoryview(struct.pack("2I", 1, 2)).cast("I")
        assert kernel.apply_mask(numbers, KEY) == kernel.apply_mask(bytes(numbers), KEY)
        with pytest.raises(BufferError):
            kernel.apply_mask(memoryview(b"abcd")[::2], KEY)

    @pytest.mark.parametrize("key", [b"\0\0\0\0", b"\0\0\0\1", b"\1\0\0\0", b"\xff\xfe\xfd\xfc"])
    @pytest.mark.parametrize("opcode", [1, 2, 9])
    def test_the_key_goes_on_over_cuts(self, kernel, key, opcode):
        data = bytes(range(33, 33 + 61))
        names = {1: ("text", data.decode()), 2: ("binary", data), 9: ("control", 9, data)}
        assert read(kernel, Frame(opcode, data).serialize(key)) == [names[opcode]]

    def test_three_pieces_anywhere(self, kernel):
        data = bytes(range(40))
        wire = binary(data)
        for first in range(len(wire)):
            for second in range(first, len(wire)):
                pieces = [wire[:first], wire[first:second], wire[second:]]
                assert feed(kernel, pieces) == [("binary", data)]

    def test_each_frame_has_its_own_key(self, kernel):
        wire = Frame(1, b"ab", fin=False).serialize(b"1234") + Frame(0, b"cd").serialize(b"wxyz")
        assert read(kernel, wire) == [("text", "abcd")]


class TestSection5_4_Fragmentation:
    def test_fragments_are_put_together(self, kernel):
        wire = text(b"one ", fin=False) + cont(b"two ", fin=False) + cont(b"three")
        assert read(kernel, wire) == [("text", "one two three")]

    def test_empty_fragments(self, kernel):
        wire = binary(b"", fin=False) + cont(b"", fin=False) + cont(b"x", fin=False) + cont(b"")
        assert read(kernel, wire) == [("binary", b"x")]
        assert read(kernel, text(b"", fin=False) + cont(b"")) == [("text", "")]

    def test_many_fragments(self, kernel):
        wire = text(b"", fin=False) + cont(b"ab", fin=False) * 3000 + cont(b"")
        assert feed(kernel, [wire]) == [("text", "ab" * 3000)]

    def test_control_frames_between_fragments(self, kernel):
        wire = (
            text(b"Hel", fin=False)
            + frame(Opcode.PING, b"are you there?")
            + cont(b"l", fin=False)
            + frame(Opcode.PONG, b"")
            + frame(Opcode.PONG, b"y" * 125)
            + cont(b"o")
        )
        assert read(kernel, wire) == [
            ("control", 9, b"are you there?"),
            ("control", 10, b""),
            ("control", 10, b"y" * 125),
            ("text", "Hello"),
        ]

    def test_the_mask_of_a_control_frame_does_not_disturb_the_message(self, kernel):
        wire = (
            Frame(2, b"abc", fin=False).serialize(b"1234")
            + Frame(9, b"pi").serialize(b"wxyz")
            + Frame(0, b"def").serialize(b"5678")
        )
        assert read(kernel, wire) == [("control", 9, b"pi"), ("binary", b"abcdef")]

    def test_a_close_frame_between_fragments(self, kernel):
        wire = text(b"a", fin=False) + frame(Opcode.CLOSE, b"\x03\xe8")
        assert read(kernel, wire) == [("control", 8, b"\x03\xe8")]

    @pytest.mark.parametrize("fin", [True, False])
    def test_a_continuation_without_a_beginning(self, kernel, fin):
        assert failure(kernel, cont(b"x", fin=fin), 1) == 1002

    def test_a_continuation_after_the_end(self, kernel):
        wire = text(b"a", fin=False) + cont(b"b")
        assert failure(kernel, wire + cont(b"c"), len(wire) + 1) == 1002
        assert failure(kernel, text(b"a") + cont(b"c"), len(text(b"a")) + 1) == 1002

    @pytest.mark.parametrize("opcode", [1, 2])
    @pytest.mark.parametrize("fin", [True, False])
    def test_a_message_inside_a_message(self, kernel, opcode, fin):
        before = text(b"a", fin=False)
        assert failure(kernel, before + frame(opcode, b"b", fin=fin), len(before) + 1) == 1002


class TestSection5_5_ControlFrames:
    @pytest.mark.parametrize("opcode", [8, 9, 10])
    @pytest.mark.parametrize("length", [0, 1, 2, 124, 125])
    def test_with_a_payload(self, kernel, opcode, length):
        data = bytes(range(length))
        wire = frame(opcode, data) + text(b"next")
        assert read(kernel, wire) == [("control", opcode, data), ("text", "next")]

    @pytest.mark.parametrize("opcode", [8, 9, 10])
    @pytest.mark.parametrize("length", [126, 65536])
    def test_too_long(self, kernel, opcode, length):
        assert failure(kernel, frame(opcode, bytes(length)), 1) == 1002

    @pytest.mark.parametrize("opcode", [8, 9, 10])
    @pytest.mark.parametrize("length", [0, 5])
    def test_fragmented(self, kernel, opcode, length):
        assert failure(kernel, frame(opcode, bytes(length), fin=False), 1) == 1002

    def test_the_limit_of_messages_is_not_theirs(self, kernel):
        wire = text(b"ab", fin=False) + frame(Opcode.PING, b"x" * 125) + cont(b"c")
        assert read(kernel, wire, max_size=3) == [("control", 9, b"x" * 125), ("text", "abc")]


class TestSection5_7_Examples:
    @pytest.mark.parametrize(
        ("wire", "masked", "event"),
        [
            ("810548656c6c6f", False, ("text", "Hello")),
            ("818537fa213d7f9f4d5158", True, ("text", "Hello")),
            ("010348656c80026c6f", False, ("text", "Hello")),
            ("890548656c6c6f", False, ("control", 9, b"Hello")),
            ("8a8537fa213d7f9f4d5158", True, ("control", 10, b"Hello")),
            ("827e0100" + "2a" * 256, False, ("binary", b"*" * 256)),
            ("827f0000000000010000" + "2a" * 65536, False, ("binary", b"*" * 65536)),
        ],
    )
    def test_the_frames_of_the_standard(self, kernel, wire, masked, event):
        assert read(kernel, bytes.fromhex(wire), masked=masked) == [event]


class TestSection5_8_Extensibility:
    """RSV1 once permessage-deflate was agreed (RFC 7692 §6)."""

    def test_marks_a_compressed_message(self, kernel):
        wire = frame(1, b"\xf2H\xcd", rsv1=True) + text(b"plain") + frame(2, b"", rsv1=True)
        assert read(kernel, wire, rsv1=True) == [
            ("compressed", 1, b"\xf2H\xcd"),
            ("text", "plain"),
            ("compressed", 2, b""),
        ]

    def test_on_the_first_frame_only(self, kernel):
        wire = frame(1, b"\xf2", fin=False, rsv1=True) + frame(9, b"") + cont(b"\xcd")
        assert read(kernel, wire, rsv1=True) == [
            ("control", 9, b""),
            ("compressed", 1, b"\xf2\xcd"),
        ]
        before = frame(1, b"\xf2", fin=False, rsv1=True)
        wire = before + frame(0, b"\xcd", rsv1=True)
        assert failure(kernel, wire, len(before) + 1, rsv1=True) == 1002

    @pytest.mark.parametrize("opcode", [8, 9, 10])
    def test_not_on_control_frames(self, kernel, opcode):
        assert failure(kernel, frame(opcode, b"", rsv1=True), 1, rsv1=True) == 1002

    @pytest.mark.parametrize("first", [0xA1, 0x91, 0xB1, 0xE1, 0xD1, 0xF1])
    def test_the_other_bits_stay_reserved(self, kernel, first):
        assert failure(kernel, head(first, 0, 0), 1, rsv1=True) == 1002


#: For each class of bad UTF-8 (RFC 3629 §3 and §4): the bytes, and where the first bad one is.
BAD_TEXT = {
    "continuation without a start": (b"\x80", 0),
    "highest continuation without a start": (b"\xbf", 0),
    "overlong of 2 bytes": (b"\xc0\xaf", 0),
    "overlong of 2 bytes, highest": (b"\xc1\xbf", 0),
    "overlong of 3 bytes": (b"\xe0\x80\x80", 1),
    "overlong of 3 bytes, highest": (b"\xe0\x9f\xbf", 1),
    "overlong of 4 bytes": (b"\xf0\x80\x80\x80", 1),
    "overlong of 4 bytes, highest": (b"\xf0\x8f\xbf\xbf", 1),
    "first surrogate": (b"\xed\xa0\x80", 1),
    "last surrogate": (b"\xed\xbf\xbf", 1),
    "first beyond U+10FFFF": (b"\xf4\x90\x80\x80", 1),
    "start beyond U+10FFFF": (b"\xf5\x80\x80\x80", 0),
    "start of 5 bytes": (b"\xf8\x88\x80\x80\x80", 0),
    "start of 6 bytes": (b"\xfc\x84\x80\x80\x80\x80", 0),
    "byte order mark of UTF-16": (b"\xfe", 0),
    "highest byte": (b"\xff", 0),
    "ASCII for the 2nd of 2": (b"\xc3A", 1),
    "ASCII for the 2nd of 3": (b"\xe2A", 1),
    "ASCII for the 3rd of 3": (b"\xe2\x82A", 2),
    "ASCII for the 2nd of 4": (b"\xf0A", 1),
    "ASCII for the 3rd of 4": (b"\xf0\x9f\x98A", 3),
    "start for a continuation": (b"\xf0\x9f\xc3\xa9", 2),
    "one continuation too many": (b"\xc3\xa9\xa9", 2),
    "continuation below its range, then right": (b"\xe1\x7f\xbf", 1),
}
CUT_TEXT = [
    b"\xc3",
    b"\xe2",
    b"\xe2\x82",
    b"\xf0",
    b"\xf0\x9f",
    b"\xf0\x9f\x98",
    b"\xed",
    b"\xf4\x8f",
]


class TestSection8_1_Utf8:
    @pytest.mark.parametrize("before", [b"", b"abc", b"0123456789abcdefg", "é€😀".encode() * 5])
    @pytest.mark.parametrize(("bad", "at"), BAD_TEXT.values(), ids=BAD_TEXT)
    def test_fails_at_the_first_bad_byte(self, kernel, bad, at, before):
        """Also when the end of the frame has not arrived, or of the message."""
        data = before + bad + b" and then some"
        wire = text(data)
        assert failure(kernel, wire[:-1], len(wire) - len(data) + len(before) + at) == 1007
        # In a fragment whose frame is whole, too.
        wire = text(before, fin=False) + cont(bad[: at + 1], fin=False)
        assert failure(kernel, wire) == 1007

    @pytest.mark.parametrize("bad", [bad for bad, _ in BAD_TEXT.values()], ids=list(BAD_TEXT))
    def test_fails_in_a_frame_that_arrives_whole(self, kernel, bad):
        expected = ("violation", 1007, "text is not UTF-8 (RFC 6455 §8.1)")
        assert feed(kernel, [text(bad + b".")]) == [expected]

    @pytest.mark.parametrize("cut", CUT_TEXT)
    def test_text_ends_inside_a_character(self, kernel, cut):
        expected = [("violation", 1007, "text ends inside a character of UTF-8 (RFC 6455 §8.1)")]
        assert read(kernel, text(b"abc" + cut)) == expected
        assert read(kernel, text(b"abc" + cut, fin=False) + cont(b"")) == expected
        assert read(kernel, text(b"abc", fin=False) + cont(cut)) == expected

    def test_a_fragment_may_end_inside_a_character(self, kernel):
        data = "aé€😀z".encode()
        for cut in range(len(data) + 1):
            wire = text(data[:cut], fin=False) + frame(9, b"\xff") + cont(data[cut:])
            assert read(kernel, wire) == [("control", 9, b"\xff"), ("text", data.decode())]
        pieces = [cont(bytes([byte]), fin=False) for byte in data]
        wire = text(b"", fin=False) + b"".join(pieces) + cont(b"")
        assert read(kernel, wire) == [("text", data.decode())]

    def test_every_boundary_of_the_ranges(self, kernel):
        points = [0x00, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF]
        points += [0xE000, 0xFFFE, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF]
        message = "".join(map(chr, points))
        assert read(kernel, text(message.encode())) == [("text", message)]

    def test_every_pair_of_bytes_as_python_has_it(self, kernel):
        """Whether the byte is refused at once, waits for more, or makes a character."""
        for first in range(0x80, 0x100):
            for second in range(0x70, 0xD0):
                data = bytes([first, second])
                try:
                    data.decode()
                    refused = False
                except UnicodeDecodeError as exc:
                    refused = exc.reason != "unexpected end of data"
                events = feed(kernel, [text(data + b"...")[:-3]])
                assert bool(events) == refused, data

    def test_binary_messages_and_control_frames_carry_anything(self, kernel):
        wire = binary(b"\xff\xc0", fin=False) + frame(9, b"\xed\xa0") + cont(b"\x80")
        assert read(kernel, wire) == [("control", 9, b"\xed\xa0"), ("binary", b"\xff\xc0\x80")]

    def test_the_state_is_new_for_each_message(self, kernel):
        wire = (
            binary(b"\xc3", fin=False) + cont(b"") + text(b"a") + text(b"", fin=False) + cont(b"b")
        )
        assert read(kernel, wire) == [("binary", b"\xc3"), ("text", "a"), ("text", "b")]


class TestSection10_4_Limits:
    @pytest.mark.parametrize("limit", [0, 1, 125, 126, 65535, 65536])
    @pytest.mark.parametrize("opcode", [1, 2])
    def test_one_frame(self, kernel, opcode, limit):
        ((_, message),) = read(kernel, frame(opcode, b"x" * limit), max_size=limit)
        assert message in ("x" * limit, b"x" * limit)
        wire = frame(opcode, bytes(limit + 1))
        at = len(wire) - limit - 2
        assert failure(kernel, wire, at, max_size=limit) == 1009

    @pytest.mark.parametrize("opcode", [1, 2])
    def test_with_and_without_compression(self, kernel, opcode):
        for rsv1 in (True, False):
            assert failure(kernel, head(0x80 | opcode, 6, 0), max_size=5, rsv1=rsv1) == 1009

    @pytest.mark.parametrize("fragments", [False, True])
    def test_over_fragments(self, kernel, fragments):
        options: dict[str, Any] = {"max_size": 10, "fragments": fragments}
        before = text(b"abcd", fin=False) + frame(9, b"0123456789") + cont(b"efgh", fin=False)
        events = read(kernel, before + cont(b"ij") + text(b"9876543210"), **options)
        if fragments:
            assert events[-2:] == [
                ("fragment", 0, True, False, b"ij"),
                ("fragment", 1, True, False, b"9876543210"),
            ]
        else:
            assert events[1:] == [("text", "abcdefghij"), ("text", "9876543210")]
        wire = before + cont(b"ijk")
        assert failure(kernel, wire, len(wire) - 4, **options) == 1009
        wire = before + cont(b"ij", fin=False) + cont(b"", fin=False) + cont(b"k", fin=False)
        assert failure(kernel, wire, len(wire) - 2, **options) == 1009

    def test_no_sum_overflows(self, kernel):
        for length in (2**63 - 1, 2**63 - 4, 2**62):
            before = text(b"abcd", fin=False)
            wire = before + head(0x80, length, 8)
            assert failure(kernel, wire, max_size=2**62 + 3) == 1009
        wire = text(b"abcd", fin=False) + head(0x80, 2**63 - 1, 8)
        assert failure(kernel, wire) == 1009

    def test_the_reason_names_the_limit(self, kernel):
        events = read(kernel, text(b"abcd", fin=False) + cont(b"e"), max_size=4)
        reason = "message of 5 bytes or more exceeds the limit of 4 bytes"
        assert events == [("violation", 1009, reason)]

    def test_a_limit_above_all_lengths_is_none(self, kernel):
        for limit in (None, 2**63 - 1, 2**63, 2**64, 2**80):
            assert read(kernel, text(b"a"), max_size=limit) == [("text", "a")]

    def test_a_limit_below_0_is_refused(self, kernel):
        with pytest.raises(kernel.UsageError, match="max_size is -1"):
            kernel.FrameReader(Recorder(), masked=True, max_size=-1)

    def test_compressed_messages_may_have_grown(self, kernel):
        """The limit is on what they hold, which only the one who decompresses them can tell."""
        options: dict[str, Any] = {"max_size": 800, "rsv1": True}
        room = 800 + 100 + 1024
        data = bytes(room)
        wire = frame(2, data, rsv1=True)
        assert feed(kernel, [wire], **options) == [("compressed", 2, data)]
        assert failure(kernel, head(0xC2, room + 1, 2), **options) == 1009
        begin = frame(2, data[:1000], fin=False, rsv1=True)
        assert feed(kernel, [begin, cont(data[1000:])], **options) == [("compressed", 2, data)]
        assert feed(kernel, [begin, head(0x80, 925, 2)], **options)[-1][1] == 1009
        # What follows has the plain limit again.
        events = feed(kernel, [wire, head(0x82, 801, 2)], **options)
        assert events[-1][:2] == ("violation", 1009)


class TestMemory:
    @pytest.mark.parametrize("announced", [2**30, 2**62])
    @pytest.mark.parametrize("way", ["feed", "fill"])
    def test_an_announced_length_is_not_memory(self, kernel, announced, way):
        reader = kernel.FrameReader(Recorder(), masked=True)
        tracemalloc.start()
        try:
            reader.feed(bytearray(head(0x82, announced, 8) + b"a few"))
            if way == "fill":
                view = reader.fill_buffer()
                assert len(view) <= 65536
                reader.filled(3)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 200_000

    @pytest.mark.parametrize("opcode", [1, 2])
    @pytest.mark.parametrize("step", [1000, 65536, 2**21])
    def test_a_message_takes_little_more_than_twice_its_size(self, kernel, opcode, step):
        size = 2**20
        wire = frame(opcode, b"a" * size)
        pieces = [bytearray(wire[at : at + step]) for at in range(0, len(wire), step)]

        class Sink(Recorder):
            def note(self, name, value, *others) -> None:
                self.events.append((name, len(value)))

        sink = Sink()
        reader = kernel.FrameReader(sink, masked=True)
        tracemalloc.start()
        try:
            for piece in pieces:
                reader.feed(piece)
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sink.events == [({1: "text", 2: "binary"}[opcode], size)]
        # The key, repeated, and the numbers that Python makes of it are the twin's way to mask.
        whole = step > size and kernel.__file__.endswith(".py")
        assert peak < (6 if whole else 2.5) * size
        assert now < 10_000

    @pytest.mark.parametrize(
        "wire",
        [
            text(b"abc\xff"),
            text(b"abc\xff")[:-1] + b"\0\0",
            text(b"a" * 100_000, fin=False) + text(b"b"),
            text(b"a" * 100_000)[:90_000],
            text(b"a" * 100_000, fin=False) + cont(b"\xff" * 100_000)[:20],
            text(b"a" * 1000, fin=False) + cont(b"a" * 200_000),
            frame(9, b"ping")[:-2],
            text(b"a", fin=False) + cont(b"b" * 5000) + frame(9, bytes(20)) + binary(bytes(9)),
        ],
        ids=range(8),
    )
    def test_nothing_is_left_behind(self, kernel, wire):
        class Silent(Recorder):
            def note(self, *event) -> None:
                pass

        sink = Silent()
        data = bytearray(wire)

        def run(times: int) -> None:
            for _ in range(times):
                data[:] = wire
                reader = kernel.FrameReader(sink, masked=True, max_size=150_000)
                reader.feed(data, 0, len(data) // 2)
                reader.feed(data, len(data) // 2)
                if reader.fill_buffer() is not None:
                    reader.filled(1)

        run(5)
        gc.collect()
        tracemalloc.start()
        try:
            references = sys.getrefcount(sink), sys.getrefcount(data)
            before, _ = tracemalloc.get_traced_memory()
            run(50)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            assert (sys.getrefcount(sink), sys.getrefcount(data)) == references
        finally:
            tracemalloc.stop()
        assert after - before < 2000

    def test_a_failed_reader_lets_go_of_the_message(self, kernel):
        reader = kernel.FrameReader(Recorder(), masked=True)
        tracemalloc.start()
        try:
            reader.feed(bytearray(text(b"a" * 100_000, fin=False)))
            assert tracemalloc.get_traced_memory()[0] > 90_000
            reader.feed(bytearray(text(b"b")))
            assert tracemalloc.get_traced_memory()[0] < 20_000
        finally:
            tracemalloc.stop()

    def test_a_cycle_of_sink_and_reader_is_collected(self, kernel):
        sink = Recorder()
        sink.reader = kernel.FrameReader(sink, masked=True)  # type: ignore[attr-defined]
        gone = weakref.ref(sink)
        del sink
        gc.collect()
        assert gone() is None

    def test_the_buffer_is_free_again(self, kernel):
        """Nothing exports it any more, whatever happened."""
        for wire in (text(b"abc"), text(b"\xff"), text(b"a" * 300)[:200]):
            data = bytearray(wire)
            kernel.FrameReader(Recorder(), masked=True).feed(data)
            data += b"may grow"
