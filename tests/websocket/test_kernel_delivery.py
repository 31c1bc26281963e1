"""How a reader delivers: pausing, pieces of messages, reading straight into a message."""

import random
from types import ModuleType
from typing import Any

import pytest

from duplexio.websocket.frames import Opcode
from tests.pure import implementations
from tests.websocket.recording import (
    KEY,
    Event,
    Recorder,
    binary,
    cont,
    feed,
    frame,
    read,
    text,
    ways,
)

THREE = text(b"one") + frame(Opcode.PING, b"two") + binary(b"three")
EVENTS = [("text", "one"), ("control", 9, b"two"), ("binary", b"three")]


@pytest.fixture(params=implementations("websocket.kernel"))
def kernel(request) -> ModuleType:
    return request.param


class Pauser(Recorder):
    """Pauses its reader at each event."""

    reader: Any

    def note(self, *event: Any) -> None:
        super().note(*event)
        self.reader.paused = True


def feed_all(reader: Any, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(bytearray(piece))


def drain(reader: Any, data: bytearray) -> list[int]:
    """Feed a buffer, resuming as often as it takes; return where the reader stopped."""
    stops = []
    at = 0
    while at < len(data):
        reader.paused = False
        used = reader.feed(data, at)
        assert used or reader.paused
        at += used
        stops.append(at)
    return stops


class TestFeed:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_takes_any_buffer(self, kernel, kind):
        sink = Recorder()
        data = kind(THREE)
        assert kernel.FrameReader(sink, masked=True).feed(data) == len(THREE)
        assert sink.events == EVENTS
        if kind is not bytearray:
            assert data == THREE

    @pytest.mark.parametrize("bad", [5, "text", None, [1, 2]])
    def test_takes_nothing_else(self, kernel, bad):
        with pytest.raises(TypeError):
            kernel.FrameReader(Recorder(), masked=True).feed(bad)

    def test_reads_what_lies_between_start_and_end(self, kernel):
        sink = Recorder()
        data = bytearray(b"???" + THREE + b"!!")
        reader = kernel.FrameReader(sink, masked=True)
        assert reader.feed(data, 3, 3 + len(THREE)) == len(THREE)
        assert sink.events == EVENTS
        assert data[:3] == b"???"
        assert data[-2:] == b"!!"
        assert reader.feed(data, 7, 7) == 0
        assert reader.feed(data, 0, 0) == 0
        assert len(sink.events) == len(EVENTS)

    @pytest.mark.parametrize(("start", "end"), [(-1, 3), (2, 1), (0, 6), (6, 6), (6, -1)])
    def test_start_and_end_lie_in_the_buffer(self, kernel, start, end):
        with pytest.raises(IndexError, match="not within the 5 bytes given"):
            kernel.FrameReader(Recorder(), masked=True).feed(bytearray(5), start, end)

    def test_a_sink_that_raises_is_heard(self, kernel):
        class Sink(Recorder):
            def note(self, *event: Any) -> None:
                raise LookupError("from the sink")

        for wire in (THREE, frame(9, b""), text(b"\xff"), text(b"a" * 200), binary(b"")):
            for pieces in ways(wire):
                reader = kernel.FrameReader(Sink(), masked=True)
                with pytest.raises(LookupError, match="from the sink"):
                    feed_all(reader, pieces)

    def test_the_base_of_sinks_takes_nothing(self, kernel):
        reader = kernel.FrameReader(kernel.FrameSink(), masked=True)
        with pytest.raises(NotImplementedError):
            reader.feed(THREE)

    def test_a_released_reader_swallows_everything(self, kernel):
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        reader.feed(bytearray(THREE[:4]))
        reader.release()
        assert reader.failed
        assert reader.feed(bytearray(THREE)) == len(THREE)
        assert sink.events == []

    def test_a_sink_may_release_its_reader(self, kernel):
        class Sink(Recorder):
            reader: Any

            def note(self, *event: Any) -> None:
                super().note(*event)
                self.reader.release()

        for pieces in ways(THREE):
            sink = Sink()
            sink.reader = kernel.FrameReader(sink, masked=True)
            for piece in pieces:
                assert sink.reader.feed(bytearray(piece)) == len(piece)
            assert sink.events == EVENTS[:1]


class TestPausing:
    def test_stops_after_each_message(self, kernel):
        for pieces in ways(THREE):
            sink = Pauser()
            sink.reader = kernel.FrameReader(sink, masked=True)
            for piece in pieces:
                drain(sink.reader, bytearray(piece))
            assert sink.events == EVENTS

    def test_tells_how_far_it_came(self, kernel):
        sink = Pauser()
        sink.reader = kernel.FrameReader(sink, masked=True)
        ends = [len(text(b"one")), len(text(b"one") + frame(9, b"two")), len(THREE)]
        assert drain(sink.reader, bytearray(THREE)) == ends

    def test_a_paused_reader_takes_nothing(self, kernel):
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        reader.paused = True
        assert reader.feed(bytearray(THREE)) == 0
        reader.paused = False
        assert reader.feed(bytearray(THREE)) == len(THREE)
        assert sink.events == EVENTS

    def test_paused_inside_a_message(self, kernel):
        sink = Pauser()
        sink.reader = kernel.FrameReader(sink, masked=True)
        wire = text(b"Hel", fin=False) + frame(9, b"!") + cont(b"lo")
        stops = drain(sink.reader, bytearray(wire))
        assert stops == [len(wire) - len(cont(b"lo")), len(wire)]
        assert sink.events == [("control", 9, b"!"), ("text", "Hello")]

    def test_pieces_pause_too(self, kernel):
        wire = text(b"", fin=False) + cont(b"b", fin=False) + cont(b"c")
        for pieces in ways(wire):
            sink = Pauser()
            sink.reader = kernel.FrameReader(sink, masked=True)
            sink.reader.fragments = True
            for piece in pieces:
                drain(sink.reader, bytearray(piece))
            assert [event[-1] for event in sink.events] == [b"", b"b", b"c"]


class TestFragments:
    def test_messages_come_as_they_were_sent(self, kernel):
        wire = (
            text(b"", fin=False)
            + cont("é".encode()[:1], fin=False)
            + frame(9, b"!")
            + cont("é".encode()[1:] + b"x", fin=False)
            + cont(b"")
            + binary(b"whole")
            + text(b"")
        )
        assert read(kernel, wire, fragments=True) == [
            ("fragment", 1, False, False, b""),
            ("fragment", 0, False, False, b"\xc3"),
            ("control", 9, b"!"),
            ("fragment", 0, False, False, b"\xa9x"),
            ("fragment", 0, True, False, b""),
            ("fragment", 2, True, False, b"whole"),
            ("fragment", 1, True, False, b""),
        ]

    def test_every_piece_of_a_compressed_message_says_so(self, kernel):
        wire = frame(2, b"ab", fin=False, rsv1=True) + cont(b"\xff") + binary(b"plain")
        assert read(kernel, wire, fragments=True, rsv1=True) == [
            ("fragment", 2, False, True, b"ab"),
            ("fragment", 0, True, True, b"\xff"),
            ("fragment", 2, True, False, b"plain"),
        ]

    def test_text_is_checked_over_pieces(self, kernel):
        wire = text(b"\xe2\x82", fin=False)
        first = ("fragment", 1, False, False, b"\xe2\x82")
        assert read(kernel, wire + cont(b"\xacx", fin=False), fragments=True)[0] == first
        for more in (cont(b"A"), cont(b""), text(b"")):
            assert read(kernel, wire + more, fragments=True)[0] == first
            assert read(kernel, wire + more, fragments=True)[1][0] == "violation"

    @pytest.mark.parametrize("switches", range(16))
    def test_switched_between_any_two_frames(self, kernel, switches):
        """Nothing is lost, and a message of which a piece was delivered ends in pieces."""
        frames = [text(b"a", fin=False), cont(b"b", fin=False), cont(b"c"), text(b"next")]
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        for number, wire in enumerate(frames):
            reader.fragments = bool(switches >> number & 1)
            for byte in wire:
                reader.feed(bytearray([byte]))
        expected: list[Event] = []
        kept = b""
        for number, letter in enumerate((b"a", b"b", b"c")):
            kept += letter
            fin = letter == b"c"
            if switches >> number & 1 or (fin and expected):
                expected.append(("fragment", 0 if expected else 1, fin, False, kept))
                kept = b""
            elif fin:
                expected.append(("text", "abc"))
        pieces = switches >> 3 & 1
        expected.append(("fragment", 1, True, False, b"next") if pieces else ("text", "next"))
        assert sink.events == expected

    def test_switched_inside_a_frame(self, kernel):
        for wanted in (True, False):
            for cut in range(1, len(text(b"abc"))):
                sink = Recorder()
                reader = kernel.FrameReader(sink, masked=True)
                wire = text(b"abc", fin=False)
                reader.feed(bytearray(wire[:cut]))
                reader.fragments = wanted
                reader.feed(bytearray(wire[cut:]))
                reader.fragments = False
                reader.feed(bytearray(cont(b"d")))
                if wanted:
                    assert [event[-1] for event in sink.events] == [b"abc", b"d"]
                else:
                    assert sink.events == [("text", "abcd")]


def fill(reader: Any, data: bytes, step: int, offers: list[int]) -> None:
    """Give bytes as a transport does that reads where it is told, at most ``step`` at a time."""
    at = 0
    while at < len(data):
        view = reader.fill_buffer()
        if view is None:
            at += reader.feed(bytearray(data[at : at + step]))
            continue
        count = min(len(view), step, len(data) - at)
        offers.append(len(view))
        view[:count] = data[at : at + count]
        view.release()
        reader.filled(count)
        at += count


class TestFillBuffer:
    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("step", [1000, 8191, 65536, 10**6])
    @pytest.mark.parametrize("size", [8191, 8192, 8205, 65535, 65536, 65537, 200_000])
    def test_all_sizes(self, kernel, size, step, masked):
        data = random.Random(size).randbytes(size)
        note = "é€😀".encode() * (size // 9)
        wire = (
            binary(data, masked=masked)
            + text(note, masked=masked)
            + binary(data, fin=False, masked=masked)
            + frame(9, b"between", masked=masked)
            + cont(data, masked=masked)
        )
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=masked)
        offers: list[int] = []
        fill(reader, wire, step, offers)
        assert sink.events == [
            ("binary", data),
            ("text", note.decode()),
            ("control", 9, b"between"),
            ("binary", data + data),
        ]
        assert bool(offers) == (size - step > 8192)
        assert all(8192 <= offer <= size for offer in offers)

    def test_in_pieces(self, kernel):
        data = random.Random(1).randbytes(20_000)
        wire = binary(data, fin=False) + cont(data, fin=False) + cont(data)
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        reader.fragments = True
        offers: list[int] = []
        fill(reader, wire, 3000, offers)
        assert offers
        assert [event[1:] for event in sink.events] == [
            (2, False, False, data),
            (0, False, False, data),
            (0, True, False, data),
        ]

    def test_compressed(self, kernel):
        data = random.Random(1).randbytes(20_000)
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True, rsv1=True)
        fill(reader, frame(1, data, rsv1=True), 3000, [])
        assert sink.events == [("compressed", 1, data)]

    def test_bad_text_fails_at_once(self, kernel):
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        wire = text(b"a" * 20_000 + b"\xff" + b"b" * 20_000)
        fill(reader, wire[:15_000], 5000, [])
        assert sink.events == []
        fill(reader, wire[15_000:20_009], 6000, [])
        assert sink.events == [("violation", 1007, "text is not UTF-8 (RFC 6455 §8.1)")]
        assert reader.fill_buffer() is None

    def test_offers_nothing_when_a_copy_costs_less(self, kernel):
        reader = kernel.FrameReader(Recorder(), masked=True)
        assert reader.fill_buffer() is None
        reader.feed(bytearray(binary(bytes(8191))[:8]))
        assert reader.fill_buffer() is None
        reader = kernel.FrameReader(Recorder(), masked=True)
        reader.feed(bytearray(binary(bytes(8192))[:8]))
        assert len(reader.fill_buffer()) == 8192
        reader = kernel.FrameReader(Recorder(), masked=True)
        reader.feed(bytearray(binary(bytes(20_000))[:3]))
        assert reader.fill_buffer() is None
        reader.feed(bytearray(binary(bytes(20_000))[3:-8000]))
        assert reader.fill_buffer() is None

    @pytest.mark.parametrize("before", [b"", text(b"a", fin=False), binary(b"a", fin=False)])
    @pytest.mark.parametrize("fin", [True, False])
    def test_offers_memory_for_every_kind_of_data(self, kernel, before, fin):
        for opcode in (0,) if before else (1, 2):
            reader = kernel.FrameReader(Recorder(), masked=True)
            reader.feed(bytearray(before + frame(opcode, bytes(10_000), fin=fin)[:8]))
            assert len(reader.fill_buffer()) >= 8192

    def test_offers_nothing_when_nothing_may_be_delivered(self, kernel):
        reader = kernel.FrameReader(Recorder(), masked=True)
        reader.feed(bytearray(binary(bytes(20_000))[:20]))
        assert reader.fill_buffer() is not None
        reader.paused = True
        assert reader.fill_buffer() is None
        with pytest.raises(kernel.UsageError, match="not offered"):
            reader.filled(1)
        reader.paused = False
        assert reader.fill_buffer() is not None
        reader.release()
        assert reader.fill_buffer() is None

    @pytest.mark.parametrize("count", [-1, 20_001, 2**40])
    def test_no_more_than_was_offered_can_be_filled(self, kernel, count):
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        wire = binary(bytes(20_000))
        reader.feed(bytearray(wire[:8]))
        view = reader.fill_buffer()
        with pytest.raises(kernel.UsageError, match="not offered"):
            reader.filled(count)
        view[:] = wire[8:]
        reader.filled(20_000)
        assert sink.events == [("binary", bytes(20_000))]

    def test_an_offer_is_good_once(self, kernel):
        wire = binary(bytes(40_000))
        calls = {"filled": (5,), "feed": (bytearray(b"abc"),), "release": ()}
        for name, arguments in calls.items():
            reader = kernel.FrameReader(Recorder(), masked=True)
            reader.feed(bytearray(wire[:20]))
            assert reader.fill_buffer() is not None
            getattr(reader, name)(*arguments)
            with pytest.raises(kernel.UsageError, match="not offered"):
                reader.filled(5)
        with pytest.raises(kernel.UsageError, match="not offered"):
            kernel.FrameReader(Recorder(), masked=True).filled(0)

    def test_filling_nothing_changes_nothing(self, kernel):
        sink = Recorder()
        reader = kernel.FrameReader(sink, masked=True)
        wire = binary(bytes(20_000))
        reader.feed(bytearray(wire[:20]))
        reader.fill_buffer()
        reader.filled(0)
        reader.feed(bytearray(wire[20:]))
        assert sink.events == [("binary", bytes(20_000))]


def test_random_streams_at_random_cuts(kernel):
    """A long conversation, the same whatever the reads are."""
    draw = random.Random(6455)
    wire = b""
    expected: list[Event] = []
    for _ in range(150):
        size = draw.choice((0, 1, 5, 125, 126, 300, 9000, 66_000))
        data = draw.randbytes(size)
        kind = draw.randrange(3)
        if kind == 0:
            wire += binary(data)
            expected.append(("binary", data))
        elif kind == 1:
            note = data.decode("latin-1")
            wire += text(note[: size // 2].encode(), fin=False) + cont(note[size // 2 :].encode())
            expected.append(("text", note))
        else:
            wire += frame(9, data[:125])
            expected.append(("control", 9, data[:125]))
    assert KEY in wire
    for seed in range(3):
        draw = random.Random(seed)
        pieces = []
        at = 0
        while at < len(wire):
            step = draw.choice((1, 2, 7, 100, 5000, 70_000))
            pieces.append(wire[at : at + step])
            at += step
        assert feed(kernel, pieces) == expected
