"""What the tests of the frame reader and of the connection share: sinks that note what they get."""

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from duplexio.websocket.frames import Frame, Opcode

Event = tuple[Any, ...]

#: The masking key of the tests that need none in particular; no two of its bytes are the same.
KEY = bytes.fromhex("37fa213d")


class Recorder:
    """A sink that notes what a reader reports."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_text(self, message: str) -> None:
        self.note("text", message, str)

    def on_binary(self, message: bytes) -> None:
        self.note("binary", message, bytes)

    def on_compressed(self, opcode: int, payload: bytes) -> None:
        self.note("compressed", payload, bytes, opcode)

    def on_fragment(self, opcode: int, payload: bytes, fin: bool, compressed: bool) -> None:
        self.note("fragment", payload, bytes, opcode, fin, compressed)

    def on_control(self, opcode: int, payload: bytes) -> None:
        self.note("control", payload, bytes, opcode)

    def on_violation(self, code: int, reason: str) -> None:
        self.note("violation", reason, str, code)

    def note(self, name: str, value: object, kind: type, *others: int) -> None:
        assert type(value) is kind
        self.events.append((name, *others, value))


def cuts(length: int) -> Iterator[int]:
    """Yield the places to cut at: all of them, or those near the ends when there are many."""
    if length <= 200:
        yield from range(length + 1)
    else:
        yield from range(20)
        yield from (length // 2, length - 2, length - 1, length)


def ways(wire: bytes) -> Iterator[list[bytes]]:
    """Yield the pieces in which bytes can arrive: in one, cut in two anywhere, one by one."""
    yield [wire]
    for cut in cuts(len(wire)):
        yield [wire[:cut], wire[cut:]]
    if len(wire) <= 1000:
        yield [wire[i : i + 1] for i in range(len(wire))]


def feed(
    kernel: ModuleType,
    pieces: Sequence[bytes],
    *,
    masked: bool = True,
    fragments: bool = False,
    **options: Any,
) -> list[Event]:
    """Give the pieces to a new reader and return what it reported."""
    sink = Recorder()
    reader = kernel.FrameReader(sink, masked=masked, **options)
    reader.fragments = fragments
    for piece in pieces:
        assert reader.feed(bytearray(piece)) == len(piece)
    assert reader.failed == any(event[0] == "violation" for event in sink.events)
    return sink.events


def read(kernel: ModuleType, wire: bytes, **options: Any) -> list[Event]:
    """Return what a reader reports of some bytes, which is the same however they are cut."""
    first, *others = ways(wire)
    expected = feed(kernel, first, **options)
    for pieces in others:
        assert feed(kernel, pieces, **options) == expected, [len(piece) for piece in pieces]
    return expected


def failure(kernel: ModuleType, wire: bytes, at: int | None = None, **options: Any) -> int:
    """Return the code of the violation that the last byte, or the one at ``at``, commits.

    The bytes before it must be accepted, and nothing behind it may be read.
    """
    at = len(wire) - 1 if at is None else at
    before = read(kernel, wire[:at], **options)
    assert not [event for event in before if event[0] == "violation"]
    events = read(kernel, wire[: at + 1], **options)
    assert events[:-1] == before
    name, code, reason = events[-1]
    assert name == "violation"
    assert reason
    masked = options.get("masked", True)
    more = wire + text(b"never read", masked=masked) + frame(Opcode.PING, b"", masked=masked)
    assert read(kernel, more, **options) == events
    assert isinstance(code, int)
    return code


def frame(
    opcode: int, data: bytes, *, fin: bool = True, masked: bool = True, **bits: bool
) -> bytes:
    """Return a frame's bytes, written by the reference encoder."""
    return Frame(opcode, data, fin, **bits).serialize(KEY if masked else None)


def text(data: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """Return the bytes of a text frame."""
    return frame(Opcode.TEXT, data, fin=fin, masked=masked)


def binary(data: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """Return the bytes of a binary frame."""
    return frame(Opcode.BINARY, data, fin=fin, masked=masked)


def cont(data: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """Return the bytes of a continuation frame."""
    return frame(Opcode.CONT, data, fin=fin, masked=masked)
