"""Writing frames: the kernel's output against the reference encoder."""

import array
import os
import random
import resource
import struct
import sys
import tracemalloc
from types import ModuleType

import pytest

from duplexio.websocket.frames import Frame
from tests.pure import implementations
from tests.websocket.recording import KEY

#: Around every change in how a length is written or a payload is kept.
LENGTHS = (0, 1, 7, 8, 9, 125, 126, 127, 511, 512, 16383, 16384, 16385, 65535, 65536, 300_000)
LARGE = bytes(range(256)) * 100


class OwnBytes(bytes):
    pass


class OwnText(str):
    __slots__ = ()


@pytest.fixture(params=implementations("websocket.kernel"))
def kernel(request) -> ModuleType:
    return request.param


class TestFrame:
    @pytest.mark.parametrize("key", [None, KEY, b"\0\0\0\0"])
    @pytest.mark.parametrize("length", LENGTHS)
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, OwnBytes])
    def test_bytes_of_every_length(self, kernel, kind, length, key):
        data = random.Random(length).randbytes(length)
        output = kernel.Output()
        payload = kind(data)
        output.frame(0x82, payload, key)
        expected = Frame(2, data).serialize(key)
        assert len(output) == output.size() == len(expected)
        assert output.take() == expected
        assert payload == data
        assert len(output) == 0

    @pytest.mark.parametrize("key", [None, KEY])
    @pytest.mark.parametrize("length", LENGTHS)
    @pytest.mark.parametrize("letter", ["a", "é", "€", "😀", "\0", "\x7f", "\x80"])
    @pytest.mark.parametrize("kind", [str, OwnText])
    def test_text_of_every_length_and_kind(self, kernel, kind, letter, length, key):
        message = kind(letter * length)
        output = kernel.Output()
        output.frame(0x81, message, key)
        assert output.take() == Frame(1, message.encode()).serialize(key)

    @pytest.mark.parametrize("first", [0x00, 0x01, 0x41, 0x80, 0x88, 0xC2, 0xFF])
    def test_the_first_byte_is_the_callers(self, kernel, first):
        output = kernel.Output()
        output.frame(first, b"abc")
        output.frame(first, b"abc", KEY)
        output.frame(first, LARGE)
        written = output.take()
        assert [written[0], written[5], written[14]] == [first] * 3

    def test_frames_follow_each_other(self, kernel):
        draw = random.Random(1)
        output = kernel.Output()
        for _ in range(20):
            expected = b""
            for _ in range(draw.randrange(1, 20)):
                data = draw.randbytes(draw.choice(LENGTHS[:-2]))
                key = draw.choice((None, KEY))
                kind = draw.choice((bytes, bytearray, memoryview))
                output.frame(0x82, kind(data), key)
                expected += Frame(2, data).serialize(key)
                assert len(output) == len(expected)
            assert output.take() == expected

    @pytest.mark.parametrize("large", [LARGE, LARGE.decode("latin-1"), "a" * 50_000])
    def test_behind_a_large_payload(self, kernel, large):
        """Which is not copied until it must be."""
        data = large.encode() if isinstance(large, str) else large
        whole = Frame(2, data).serialize()
        output = kernel.Output()
        output.frame(0x82, large)
        output.frame(0x89, b"ping")
        output.frame(0x82, large)
        output.frame(0x82, large)
        output.append(b"tail")
        ping = Frame(9, b"ping").serialize()
        assert output.take() == whole + ping + whole + whole + b"tail"
        output.frame(0x82, large)
        output.clear()
        output.frame(0x89, b"ping")
        assert output.take() == ping

    def test_what_can_change_may_change(self, kernel):
        data = bytearray(LARGE)
        output = kernel.Output()
        for payload in (data, memoryview(data)):
            output.frame(0x82, payload)
        data[:] = bytes(len(data))
        assert output.take() == Frame(2, LARGE).serialize() * 2

    def test_a_large_payload_lives_as_long_as_it_must(self, kernel):
        output = kernel.Output()
        output.frame(0x82, b"".join([LARGE, b"x"]))
        noise = [bytes([65]) * (len(LARGE) + 1) for _ in range(20)]
        assert output.take() == Frame(2, LARGE + b"x").serialize()
        assert noise

    def test_nothing_keeps_the_payload_once_it_is_sent(self, kernel):
        for payload in (b"".join([LARGE, b"x"]), "é" * 20_000):
            before = sys.getrefcount(payload)
            output = kernel.Output()
            output.frame(0x82, payload)
            output.take()
            assert sys.getrefcount(payload) == before
            output.frame(0x82, payload)
            output.frame(0x82, b"")
            assert sys.getrefcount(payload) == before
            output.frame(0x82, payload)
            output.clear()
            assert sys.getrefcount(payload) == before
            output.frame(0x82, payload)
            del output
            assert sys.getrefcount(payload) == before

    def test_items_of_more_bytes(self, kernel):
        numbers = array.array("I", [1, 2, 3])
        expected = Frame(2, numbers.tobytes()).serialize(KEY)
        for payload in (numbers, memoryview(numbers)):
            output = kernel.Output()
            output.frame(0x82, payload, KEY)
            assert output.take() == expected
            output.append(payload)
            assert output.take() == numbers.tobytes()


class TestErrors:
    """Nothing of a frame that cannot be written is left in the output."""

    @pytest.mark.parametrize("key", [None, KEY])
    @pytest.mark.parametrize("text", ["\ud800", "a\udfff", "é\ud800" * 10_000])
    def test_lone_surrogates(self, kernel, text, key):
        self.check(kernel, text, key, UnicodeEncodeError)

    @pytest.mark.parametrize("key", [None, KEY])
    def test_a_buffer_with_gaps(self, kernel, key):
        self.check(kernel, memoryview(b"abcdef")[::2], key, BufferError)

    @pytest.mark.parametrize("key", [None, KEY])
    @pytest.mark.parametrize("payload", [5, None, [1, 2], {"a": 1}, 1.5])
    def test_no_buffer_at_all(self, kernel, payload, key):
        self.check(kernel, payload, key, TypeError)

    @pytest.mark.parametrize("key", [b"", b"abc", b"abcde", "abcd", 4, bytearray(4)])
    @pytest.mark.parametrize("payload", ["text", b"bytes", bytearray(3)])
    def test_a_key_has_4_bytes(self, kernel, payload, key):
        self.check(kernel, payload, key, kernel.UsageError)

    def check(self, kernel, payload, key, error) -> None:
        output = kernel.Output()
        output.append(b"before")
        with pytest.raises(error):
            output.frame(0x81, payload, key)
        assert len(output) == 6
        output.frame(0x82, b"after")
        assert output.take() == b"before\x82\x05after"

    @pytest.mark.parametrize("bad", ["text", None, 7])
    def test_append_takes_buffers(self, kernel, bad):
        output = kernel.Output()
        with pytest.raises(TypeError):
            output.append(bad)
        with pytest.raises(BufferError):
            output.append(memoryview(b"abcdef")[::2])
        assert output.take() == b""


class TestMemory:
    def test_a_large_payload_is_not_copied(self, kernel):
        if kernel.__file__.endswith(".py"):
            return  # The twin copies: it has but one buffer.
        payload = bytes(2**22)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outputs = [kernel.Output() for _ in range(64)]
        for output in outputs:
            output.frame(0x82, payload)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert sum(map(len, outputs)) > 64 * 2**22
        assert grown < 2**15  # KiB; copies would take 2**18

    def test_an_emptied_output_lets_go_of_much_memory(self, kernel):
        """And a dropped one of all: 2 GiB pass through here."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kept = []
        payload = bytearray(2**22)
        for number in range(256):
            output = kernel.Output()
            output.frame(0x82, payload)
            if number % 2:
                output.clear()
                output.frame(0x89, b"")
                kept.append(output)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert len(kept) == 128
        assert grown < 2**16  # KiB

    def test_errors_leave_nothing_behind(self, kernel):
        gaps = memoryview(b"abcdef")[::2]

        def run() -> None:
            for payload in ("\ud800", gaps, 5, "é\ud800" * 1000):
                for key in (None, KEY, b"bad"):
                    try:
                        kernel.Output().frame(0x81, payload, key)
                    except (ValueError, BufferError, TypeError, kernel.UsageError):
                        continue
                    raise AssertionError("no error")

        for _ in range(3):
            run()
        tracemalloc.start()
        try:
            run()
            references = sys.getrefcount(gaps), sys.getrefcount(KEY)
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(20):
                run()
            after, _ = tracemalloc.get_traced_memory()
            assert (sys.getrefcount(gaps), sys.getrefcount(KEY)) == references
        finally:
            tracemalloc.stop()
        assert after - before < 4000


class TestMaskKeys:
    def test_keys_come_from_the_source_in_order(self, kernel):
        asked = []

        def entropy(count: int) -> bytes:
            asked.append(count)
            return struct.pack(f"{count // 4}I", *range(count // 4))

        keys = kernel.MaskKeys(entropy)
        drawn = [keys.next() for _ in range(130)]
        assert asked == [256, 256, 256]
        assert drawn == [struct.pack("I", number % 64) for number in range(130)]

    def test_a_source_of_4_bytes_is_asked_for_each(self, kernel):
        numbers = iter(range(10))
        keys = kernel.MaskKeys(lambda _: bytes([next(numbers)]) * 4)
        assert [keys.next() for _ in range(10)] == [bytes([n]) * 4 for n in range(10)]

    def test_a_forked_process_draws_its_own(self, kernel):
        numbers = iter(range(10))
        keys = kernel.MaskKeys(lambda count: bytes([next(numbers)]) * count)
        assert [keys.next(), keys.next()] == [bytes(4)] * 2
        keys.forget()
        assert [keys.next(), keys.next()] == [b"\1\1\1\1"] * 2

    def test_a_rest_too_short_for_a_key_is_left(self, kernel):
        keys = kernel.MaskKeys(lambda _: b"abcdefg")
        assert [keys.next() for _ in range(3)] == [b"abcd"] * 3

    def test_keys_of_the_system_do_not_repeat(self, kernel):
        keys = kernel.MaskKeys(os.urandom)
        drawn = {keys.next() for _ in range(1000)}
        assert len(drawn) > 990
        assert {len(key) for key in drawn} == {4}

    @pytest.mark.parametrize("bad", [b"", b"abc", "abcd", None, bytearray(256)])
    def test_a_bad_source_is_refused(self, kernel, bad):
        with pytest.raises(kernel.UsageError, match="source of masking keys"):
            kernel.MaskKeys(lambda _: bad).next()

    def test_a_failing_source_is_heard(self, kernel):
        def broken(_: int) -> bytes:
            raise OSError("no entropy")

        keys = kernel.MaskKeys(broken)
        for _ in range(2):
            with pytest.raises(OSError, match="no entropy"):
                keys.next()
