"""What the fuzzers run: a target takes any bytes and raises AssertionError when a promise breaks.

Hypothesis (`test_*_fuzz.py`) and atheris (`atheris_targets.py`) share them. The input decides
everything: the frames, the faults in them, and how the bytes are cut into reads.
"""

import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from duplexio.websocket import deflate_codec, kernel
from duplexio.websocket.exceptions import PayloadTooBig, ProtocolError
from tests.pure import pure_module

pure_kernel = pure_module("websocket.kernel")

Events = list[tuple[object, ...]]


class Source:
    """Reads decisions from the bytes of the input; zeros follow when they are used up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


# --- frames -------------------------------------------------------------------------------------

#: Text whose lengths and characters sit at the borders of the kernel's cases.
TEXTS = (
    b"",
    b"x" * 125,
    b"y" * 126,
    "é€😀".encode() * 20,
    b"z" * 9000,
    b"\xc3\xa9" * 33_000,
)
#: What is not text, or not at the end of a message.
NO_TEXTS = (
    "é€😀".encode()[:-1],
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\x80",
)


class Frames:
    """Builds frames in an order that is right, unless the input says otherwise (2 in 100)."""

    def __init__(self, source: Source, *, masked: bool, rsv1: bool) -> None:
        self.source = source
        self.masked = masked
        self.rsv1 = rsv1
        self.inside = False

    def wrong(self) -> bool:
        return self.source.byte() >= 0xFB

    def next(self) -> bytes:
        source = self.source
        choice = source.byte()
        payload = self.payload(choice)
        fin = choice & 0x10
        if choice & 0x60 == 0x60:
            first = 0x80 | (8 if choice & 0x8F == 0x8F else 9 + (choice & 1))
            payload = payload[:125]
        elif self.inside:
            first = 0x80 if fin else 0
            self.inside = not fin
        else:
            first = (0x80 if fin else 0) | 1 + (choice & 1)
            if self.rsv1 and choice & 0x80:
                first |= 0x40
            self.inside = not fin
        if self.wrong():
            first ^= source.byte()
        if self.wrong():
            payload = NO_TEXTS[source.byte() % len(NO_TEXTS)]
        masked = self.masked ^ self.wrong()
        head = self.head(len(payload))
        if not masked:
            return bytes([first]) + head + payload
        key = source.take(4).ljust(4, b"\x55")
        head = bytes([head[0] | 0x80]) + head[1:]
        return bytes([first]) + head + key + pure_kernel.apply_mask(payload, key)

    def payload(self, choice: int) -> bytes:
        if choice & 0x08:
            return TEXTS[self.source.byte() % len(TEXTS)]
        # Seven bits, so that it is text.
        return bytes(byte & 0x7F for byte in self.source.take(self.source.byte() & 0x1F))

    def head(self, length: int) -> bytes:
        """Write the length, in the shortest form unless the input says otherwise."""
        size = 0 if length < 126 else 1 if length < 65536 else 2
        high = 0
        if self.wrong():
            size = self.source.byte() % 3
            high = (self.source.byte() & 1) << 63
        if size == 0:
            return bytes([length & 0x7F])
        if size == 1:
            return b"\x7e" + (length & 0xFFFF).to_bytes(2, "big")
        return b"\x7f" + (length | high).to_bytes(8, "big")


class Recorder:
    """Notes what a reader reports, and does to it what the input says at that point."""

    def __init__(self, actions: bytes) -> None:
        self.actions = Source(actions)
        self.events: Events = []
        self.reader: Any = None

    def note(self, *event: object) -> None:
        self.events.append(event)
        action = self.actions.byte()
        if action & 0x0F == 1:
            self.reader.paused = True
        elif action == 0x20:
            self.reader.release()

    def on_text(self, message: object) -> None:
        self.note("text", message)

    def on_binary(self, message: object) -> None:
        self.note("binary", message)

    def on_compressed(self, *args: object) -> None:
        self.note("compressed", *args)

    def on_fragment(self, *args: object) -> None:
        self.note("fragment", *args)

    def on_control(self, *args: object) -> None:
        self.note("control", *args)

    def on_violation(self, *args: object) -> None:
        self.note("violation", *args)


def read(
    module: ModuleType,
    options: dict[str, Any],
    fragments: bool,
    actions: bytes,
    pieces: list[bytes],
) -> Events:
    """Feed the pieces to a reader as a driver would, and return what it reported."""
    recorder = Recorder(actions)
    reader = recorder.reader = module.FrameReader(recorder, **options)
    reader.fragments = fragments
    for piece in pieces:
        at = 0
        while at < len(piece) and not reader.failed:
            room = reader.fill_buffer()
            if room is not None:
                count = min(len(room), len(piece) - at)
                room[:count] = piece[at : at + count]
                del room
                reader.filled(count)
                at += count
            else:
                buffer = bytearray(b"<" + piece[at:] + b">")
                used = reader.feed(buffer, 1, len(buffer) - 1)
                assert 0 <= used <= len(piece) - at
                assert used or reader.paused
                at += used
            if not reader.failed:
                reader.paused = False
    recorder.events.append(("failed", reader.failed))
    return recorder.events


def cut(data: bytes, source: Source) -> list[bytes]:
    """Cut the bytes where the input says."""
    pieces, at = [], 0
    while at < len(data) and source:
        # Small steps most of the time: the borders are what matters.
        step = source.byte()
        step = step + 1 if step < 0xC0 else (step - 0xBF) * 997
        pieces.append(data[at : at + step])
        at += step
    return [*pieces, data[at:]]


def kernel_target(data: bytes) -> None:
    """Compiled and pure readers report the same, and no cut changes what is reported."""
    source = Source(data)
    flags = source.byte()
    masked, rsv1 = bool(flags & 1), bool(flags & 2)
    options = {
        "masked": masked,
        "rsv1": rsv1,
        "max_size": (None, None, None, 70_000, 9000, 8999, 125, 0)[flags >> 2 & 7],
    }
    fragments = bool(flags & 0x20)
    actions = source.take(source.byte() & 0x0F)
    cuts = Source(source.take(source.byte() & 0x1F))
    frames = Frames(source, masked=masked, rsv1=rsv1)
    wire = b""
    while source and len(wire) < 200_000:
        wire += source.take(5) if frames.wrong() else frames.next()
    pieces = cut(wire, cuts)
    expected = read(pure_kernel, options, fragments, actions, [wire])
    for module in (pure_kernel, kernel):
        assert read(module, options, fragments, actions, pieces) == expected
    assert read(kernel, options, fragments, actions, [wire]) == expected


def output_target(data: bytes) -> None:
    """Compiled and pure outputs write the same bytes, and a reader reads them back."""
    source = Source(data)
    outputs = [kernel.Output(), pure_kernel.Output()]
    wires = [b"", b""]
    while source:
        choice = source.byte()
        payload: Any = TEXTS[choice] if choice < len(TEXTS) else source.take(choice & 0x1F)
        form = source.byte()
        if form & 3 == 1:
            payload = bytearray(payload)
        elif form & 3 == 2:
            payload = memoryview(payload)
        elif form & 3 == 3:
            payload = payload.decode("latin-1")
        key = source.take(4).ljust(4, b"\x55") if form & 4 else None
        for i, output in enumerate(outputs):
            if form & 0x18 == 0x18:
                wires[i] += output.take()
            elif form & 0x18 == 0x10 and not isinstance(payload, str):
                output.append(payload)
            else:
                output.frame(choice, payload, key)
        assert len(outputs[0]) == len(outputs[1])
    taken = [wire + output.take() for wire, output in zip(wires, outputs, strict=True)]
    assert taken[0] == taken[1]


# --- deflate ------------------------------------------------------------------------------------


def inflated(frames: list[bytes], takeover: bool, limit: int) -> list[bytes | int | None]:
    """Decompress frames; an error ends them with its close code."""
    deflate = deflate_codec.PerMessageDeflate(not takeover, not takeover, 10, 10)
    results: list[bytes | int | None] = []
    for i, payload in enumerate(frames):
        try:
            message = deflate.decompress(payload, i % 3 != 1, limit)
        except (ProtocolError, PayloadTooBig) as exc:
            results.append(exc.close_code)
            break
        assert len(message) <= limit
        results.append(message)
    return results


def deflate_target(data: bytes) -> None:
    """Any bytes give messages within the limit, or 1007 or 1009; what is valid comes back whole."""
    source = Source(data)
    flags = source.byte()
    takeover = bool(flags & 1)
    limit = (0, 10, 1000, 20_000)[flags >> 1 & 3]
    sender = deflate_codec.PerMessageDeflate(not takeover, not takeover, 10, 10)
    compressor = zlib.compressobj(wbits=-10)
    frames, plain = [], []
    damaged = False
    while source:
        choice = source.byte()
        if choice >= 0xF0:
            frames.append(source.take(choice & 0x0F))
            damaged = True
            continue
        text = (source.take(choice & 0x0F) + b"lorem ipsum ") * (choice + 1)
        fin = len(frames) % 3 != 1
        if flags & 0x10 and not damaged and not takeover and fin and len(frames) % 3 == 0:
            # A message of one final block (RFC 7692 §7.2.3.4), alone since it has no window.
            compressor = zlib.compressobj(wbits=-10)
            frames.append(compressor.compress(text) + compressor.flush() + b"\x00")
        else:
            frames.append(sender.compress(text, fin))
        plain.append(text)
    results = inflated(frames, takeover, limit)
    assert all(isinstance(result, bytes) or result in (1007, 1009) for result in results)
    if not damaged:
        for text, result in zip(plain, results, strict=False):
            assert result == text or result == 1009
        if limit >= 16_000 and len(frames) < 2:
            assert results == plain


TARGETS: dict[str, Callable[[bytes], None]] = {
    "deflate": deflate_target,
    "kernel": kernel_target,
    "output": output_target,
}
