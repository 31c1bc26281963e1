"""What the fuzzers run on connections: two that talk, and one that is lied to.

As in ``targets.py``, the input decides everything, and both implementations take part.
"""

import importlib
from collections.abc import Callable
from typing import Any

from duplexio.websocket.frames import is_valid_close_code
from tests.fuzz.targets import TEXTS, Source, cut
from tests.pure import pure_module
from tests.websocket.connecting import Handler, Implementation
from tests.websocket.recording import Event

PURE = Implementation(pure_module("websocket.connection"))
#: Compiled, unless this is a pure run.
FIRST = Implementation(importlib.import_module("duplexio.websocket.connection"))

OPEN = 1


class Speaker(Handler):
    """One side: says what the input tells it to, and notes what it said and heard.

    ``said`` has whole messages, as the other side has to hear them.
    """

    def __init__(self, impl: Implementation, options: dict[str, Any], *, client: bool) -> None:
        super().__init__()
        options = dict(options)
        if (takeover := options.pop("takeover")) is not None:
            options["deflate"] = impl.deflate(
                remote_no_context_takeover=not takeover,
                local_no_context_takeover=not takeover,
                remote_max_window_bits=10,
                local_max_window_bits=10,
                threshold=20,
            )
        self.connection, _ = impl.connect(client=client, handler=self, **options)
        self.said: list[Event] = []
        self.rest: bytes | None = None  # of the message begun, not sent yet
        self.message: tuple[str, bytes] = ("", b"")
        self.pauses = Source(b"")

    def on_ping(self, payload: bytes) -> None:
        super().on_ping(payload)
        if self.connection.state == OPEN:
            self.said.append(("pong", payload))

    def on_text(self, message: str) -> None:
        super().on_text(message)
        if self.pauses.byte() & 1:
            self.connection.pause()

    def act(self, source: Source) -> None:
        """Say something."""
        choice = source.byte()
        connection = self.connection
        if connection.state != OPEN:
            return
        if choice & 0x08:
            data = TEXTS[source.byte() % len(TEXTS)]
        else:
            data = bytes(byte & 0x7F for byte in source.take(source.byte() & 0x1F))
        match choice & 0x07:
            case 0 | 1 | 2 if self.rest is not None:
                self.go_on(source.byte() * 40, fin=bool(choice & 0x10))
            case 0:
                connection.send_text(data.decode())
                self.said.append(("text", data.decode()))
            case 1:
                connection.send_binary((bytes, bytearray, memoryview)[choice >> 4 & 1](data))
                self.said.append(("binary", data))
            case 2:
                self.rest = data
                self.message = ("text" if choice & 0x20 else "binary", data)
                self.go_on(source.byte(), fin=bool(choice & 0x10), opcode=2 - (choice >> 5 & 1))
            case 3:
                connection.send_ping(data[:125])
                self.said.append(("ping", data[:125]))
            case 4:
                connection.send_pong(data[:125])
                self.said.append(("pong", data[:125]))
            case 5:
                connection.set_fragments(bool(choice & 0x80))
            case 6:
                connection.pause() if choice & 0x80 else connection.resume()
            case 7 if choice & 0xE0 == 0xE0:
                code = (1000, 1001, 1005, 1011, 3000, 4999)[source.byte() % 6]
                reason = "" if code == 1005 else data.decode()[:30]
                connection.send_close(code, reason)
                self.said.append(("close", code, reason))

    def go_on(self, count: int, *, fin: bool, opcode: int = 0) -> None:
        """Send a piece of a message."""
        assert self.rest is not None
        count = len(self.rest) if fin else count
        self.connection.send_fragment(opcode, self.rest[:count], fin)
        self.rest = None if fin else self.rest[count:]
        if fin:
            kind, data = self.message
            self.said.append((kind, data.decode() if kind == "text" else data))

    def heard(self) -> list[Event]:
        """Return what was heard, messages in pieces put together."""
        events: list[Event] = []
        kind, pieces = 0, b""
        for event in self.events:
            if event[0] != "fragment":
                events.append(event)
                continue
            _, opcode, payload, fin = event
            assert (kind == 0) == (opcode != 0)
            kind, pieces = kind or opcode, pieces + payload
            if fin:
                events.append(("text", pieces.decode()) if kind == 1 else ("binary", pieces))
                kind, pieces = 0, b""
        return events

    def take(self, wire: bytes) -> None:
        """Read bytes as a driver does, from a backlog when paused."""
        connection = self.connection
        at = 0
        while at < len(wire):
            room = connection.fill_buffer()
            if room is not None:
                count = min(len(room), len(wire) - at)
                room[:count] = wire[at : at + count]
                del room
                connection.filled(count)
                at += count
            else:
                data = bytearray(b"<" + wire[at:] + b">")
                used = connection.receive(data, 1, len(data) - 1)
                assert 0 <= used <= len(wire) - at
                at += used
                connection.resume()

    def summary(self) -> Event:
        """Return all that can be seen of the connection."""
        connection = self.connection
        error = connection.closed_error()
        return (
            self.events,
            int(connection.state),
            str(connection.close_rcvd),
            str(connection.close_sent),
            connection.rcvd_then_sent,
            connection.close_code,
            connection.close_reason,
            type(error).__name__,
            str(error),
            error.initiator,
        )


def settings(flags: int) -> dict[str, Any]:
    """Return what a connection is made with."""
    return {
        "takeover": (None, None, True, False)[flags & 3],
        "max_size": (None, None, 2**20, 70_000)[flags >> 2 & 3],
    }


def talk_target(data: bytes) -> None:
    """A client and a server hear what the other said, all of it, in order, however it is cut."""
    source = Source(data)
    flags = source.byte()
    options = settings(flags & 0x0B)
    sides = [
        Speaker((FIRST, PURE)[flags >> 4 & 1], options, client=True),
        Speaker((FIRST, PURE)[flags >> 5 & 1], options, client=False),
    ]
    cuts = Source(source.take(source.byte() & 0x3F))
    for side in sides:
        side.pauses = Source(source.take(source.byte() & 0x07))
    for _ in range(60):
        if not source:
            break
        choice = source.byte()
        sides[choice & 1].act(source)
        if choice & 2:
            carry(sides[choice >> 2 & 1], sides[1 - (choice >> 2 & 1)], cuts)
    # What is on the way arrives, and what it calls for: pongs and the answer to a close frame.
    for _ in range(2):
        carry(sides[0], sides[1], cuts)
        carry(sides[1], sides[0], cuts)
    for side, other in (sides, sides[::-1]):
        assert len(side.connection.output) == 0
        said = side.said
        closes = [event for event in other.heard() if event[0] == "close"]
        if closes and closes[0] not in said:
            # The answer to a close frame is its echo.
            said = [*said, closes[0]]
            assert closes[0] in other.said
        assert other.heard() == said
    assert sides[0].connection.state == sides[1].connection.state
    for side in sides:
        side.connection.receive_eof()
        assert side.connection.state == 3


def carry(source: Speaker, target: Speaker, cuts: Source) -> None:
    """Carry what one side has written to the other."""
    for piece in cut(source.connection.output.take(), cuts):
        target.take(piece)


def lie_target(data: bytes) -> None:
    """Both implementations do the same with what a peer says, faults and all, at any cut.

    And what they answer is right: at most one close frame, and nothing behind it.
    """
    source = Source(data)
    flags = source.byte()
    options = settings(flags)
    client = bool(flags & 0x10)
    cuts = Source(source.take(source.byte() & 0x1F))
    moves = source.take(source.byte() & 0x1F)
    peer = Speaker(PURE, {**options, "max_size": None}, client=not client)
    wire = bytearray()
    while source and len(wire) < 150_000:
        choice = source.byte()
        if choice >= 0xF8:
            wire += source.take(choice & 7)
        else:
            peer.act(source)
            wire += peer.connection.output.take()
        if choice >= 0xE0 and wire:
            at = (source.byte() << 8 | source.byte()) % min(len(wire), 300)
            wire[-1 - at] ^= source.byte()
    whole = listen(PURE, options, client, b"", [bytes(wire)])
    pieces = cut(bytes(wire), cuts)
    assert listen(FIRST, options, client, b"", pieces) == whole
    expected = listen(PURE, options, client, moves, pieces)
    assert listen(FIRST, options, client, moves, pieces) == expected


def listen(
    impl: Implementation, options: dict[str, Any], client: bool, moves: bytes, pieces: list[bytes]
) -> Event:
    """Read the pieces, with moves of this side between them; return all that came of it."""
    speaker = Speaker(impl, options, client=client)
    source = Source(moves)
    answers = b""
    for piece in pieces:
        choice = source.byte()
        if choice & 3 == 3:
            speaker.act(source)
        elif choice == 0x41:
            speaker.connection.fail(1011, "out of order")
        elif choice == 0x81:
            speaker.connection.receive_eof()
        # Answers are sent at once; the compressor's output depends on nothing else.
        answers += speaker.connection.output.take()
        speaker.take(piece)
        answers += speaker.connection.output.take()
    check_answers(answers, client)
    before = speaker.summary()
    speaker.connection.receive_eof()
    return (before, speaker.summary(), answers)


def check_answers(wire: bytes, client: bool) -> None:
    """Check that what a side sent are frames by the rules, the last of them a close if any."""
    at = 0
    closed = False
    while at < len(wire):
        assert not closed
        first, size = wire[at], wire[at + 1] & 0x7F
        assert bool(wire[at + 1] & 0x80) == client
        at += 2
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(wire[at : at + width])
            assert size > (125 if width == 2 else 65535)
            at += width
        key = wire[at : at + 4] if client else bytes(4)
        at += 4 * client
        data = bytes(byte ^ key[i % 4] for i, byte in enumerate(wire[at : at + size]))
        assert len(data) == size
        at += size
        if first == 0x88:
            closed = True
            assert not data or is_valid_close_code(int.from_bytes(data[:2]))
            data[2:].decode()


TARGETS: dict[str, Callable[[bytes], None]] = {"lie": lie_target, "talk": talk_target}
