"""Open connections of hixie-75 and hixie-76."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import UsageError
from duplexio.websocket.connection import Connection
from duplexio.websocket.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
)
from duplexio.websocket.frames import Close, State
from duplexio.websocket.hixie import HixieConnection

CLOSE = b"\xff\x00"


class Recorder:
    """A handler that keeps what it is told."""

    def __init__(self):
        self.events: list[Any] = []
        self.connection: Any = None
        self.pause_after = -1

    def on_text(self, message):
        self.events.append(message)
        if len(self.events) == self.pause_after:
            self.connection.pause()

    def on_binary(self, message):
        raise AssertionError("the drafts carry text only")

    def on_fragment(self, opcode, payload, fin):
        raise AssertionError("the drafts have no fragments")

    def on_ping(self, payload):
        raise AssertionError("the drafts have no pings")

    on_pong = on_ping

    def on_close_frame(self, code, reason):
        self.events.append(("close", code, reason))

    def on_failure(self, code, reason):
        self.events.append(("failure", code, reason))


def make(**kwargs):
    recorder = Recorder()
    recorder.connection = HixieConnection(recorder, **kwargs)
    return recorder.connection, recorder.events


def text(*messages):
    return b"".join(b"\x00" + message.encode() + b"\xff" for message in messages)


@pytest.fixture(params=[75, 76])
def draft(request):
    return request.param


class TestReceivingText:
    @pytest.mark.parametrize("message", ["", "Hello", "\0", "é€😀", "x" * 100_000])
    def test_whole(self, draft, message):
        connection, events = make(draft=draft)
        data = text(message)
        assert connection.receive(bytearray(data)) == len(data)
        assert events == [message]
        assert connection.state == State.OPEN

    def test_several_in_one_read(self, draft):
        connection, events = make(draft=draft)
        connection.receive(text("a", "", "b"))
        assert events == ["a", "", "b"]

    def test_byte_by_byte(self, draft):
        connection, events = make(draft=draft)
        for byte in text("a€b", "😀"):
            assert connection.receive(bytearray([byte])) == 1
        assert events == ["a€b", "😀"]

    def test_part_of_a_buffer(self):
        connection, events = make()
        buffer = bytearray(b"\xff\xff" + text("abc") + b"\x00zzz\xff")
        assert connection.receive(buffer, 2, 4) == 2
        assert connection.receive(buffer, 4, 7) == 3
        assert events == ["abc"]

    def test_nothing_refers_to_the_buffer(self):
        connection, events = make()
        buffer = bytearray(b"\x00abc")
        connection.receive(buffer)
        buffer[:] = b"zzzzz"
        buffer.clear()  # would raise BufferError if somebody held a view
        connection.receive(b"\xff")
        assert events == ["abc"]

    @pytest.mark.parametrize(
        "payload", [b"\xc3", b"\x80", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5", b"a\xfeb"]
    )
    def test_not_utf8(self, draft, payload):
        connection, events = make(draft=draft)
        data = b"\x00" + payload + b"\xff" + text("later")
        assert connection.receive(data) == len(data)
        assert [event[:2] for event in events] == [("failure", 1007)]
        assert connection.state == State.CLOSING
        assert connection.output.take() == (CLOSE if draft == 76 else b"")

    def test_not_utf8_fails_at_the_first_bad_byte(self):
        connection, events = make()
        connection.receive(b"\x00abc\xc3")
        assert events == []
        connection.receive(b"\x28")
        assert [event[:2] for event in events] == [("failure", 1007)]

    def test_no_memory_is_offered_to_read_into(self):
        assert make()[0].fill_buffer() is None

    def test_pausing(self):
        recorder = Recorder()
        recorder.pause_after = 2
        connection = recorder.connection = HixieConnection(recorder)
        events = recorder.events
        data = text("a", "b", "c")
        used = connection.receive(data)
        assert (events, used) == (["a", "b"], 6)
        assert connection.receive(data, used) == 0
        connection.resume()
        assert connection.receive(data, used) == 3
        assert events == ["a", "b", "c"]


class TestReceivingOtherFrames:
    """Section 5.3 of hixie-76: they are read and dropped."""

    @pytest.mark.parametrize(
        "frame",
        [
            b"\x01abc\xff",
            b"\x7f\xff",
            b"\x80\x00",
            b"\x80\x03abc",
            b"\xfe\x03\xff\x00\xff",
            b"\xff\x01\x00",
            b"\x80\x81\x00" + b"\xff" * 128,
            b"\x80\x80\x80\x01x",
        ],
    )
    def test_dropped(self, draft, frame):
        data = text("a") + frame + text("b")
        for step in (1, 2, 3, len(data)):
            connection, events = make(draft=draft)
            for start in range(0, len(data), step):
                connection.receive(data[start : start + step])
            assert events == ["a", "b"]

    def test_hixie_75_has_no_closing_frame(self):
        connection, events = make(draft=75)
        connection.receive(CLOSE + text("a"))
        assert events == ["a"]
        assert connection.state == State.OPEN


class TestLimits:
    @pytest.mark.parametrize(
        "frame",
        [
            b"\x00aaaaa",
            b"\x00aaaaa\xff",
            b"\x01aaaaa",
            b"\x80\x05",
            b"\x80\x80\x81\x00",
            b"\xff" + b"\xff" * 20,
        ],
    )
    def test_frame_too_big(self, draft, frame):
        for step in (1, len(frame)):
            connection, events = make(draft=draft, max_size=4)
            for start in range(0, len(frame), step):
                connection.receive(frame[start : start + step])
            assert events == [("failure", 1009, "frame exceeds limit of 4 bytes")]
            assert connection.close_sent == Close(1009, "frame exceeds limit of 4 bytes")

    def test_counts_bytes(self):
        connection, events = make(max_size=4)
        connection.receive(text("éé", "aaaa"))
        connection.receive(text("ééa"))
        assert events[:2] == ["éé", "aaaa"]
        assert events[2][:2] == ("failure", 1009)

    def test_no_limit(self):
        connection, events = make(max_size=None)
        connection.receive(text("x" * 2_000_000))
        assert len(events[0]) == 2_000_000

    def test_default_is_that_of_rfc6455(self):
        assert make()[0].max_size == Connection(Recorder()).max_size

    def test_an_endless_length_is_refused(self):
        connection, events = make(max_size=None)
        connection.receive(b"\x80" + b"\xff" * 100_000)
        assert [event[:2] for event in events] == [("failure", 1009)]


class TestClosing:
    def test_by_the_peer(self):
        connection, events = make()
        data = text("a") + CLOSE + text("b")
        assert connection.receive(data) == len(data)
        assert events == ["a", ("close", 1005, "")]
        assert connection.output.take() == CLOSE
        assert connection.state == State.CLOSING
        assert connection.rcvd_then_sent is True
        connection.receive_eof()
        assert (connection.state, connection.close_code) == (State.CLOSED, 1005)
        assert connection.close_reason == ""
        assert isinstance(connection.closed_error(), ConnectionClosedOK)

    def test_by_this_side(self):
        connection, events = make()
        connection.send_close(1001, "bye")
        connection.send_close()
        assert connection.output.take() == CLOSE
        assert connection.state == State.CLOSING
        connection.receive(text("a") + CLOSE)
        assert events == ["a", ("close", 1005, "")]
        assert connection.output.take() == b""
        assert connection.rcvd_then_sent is False
        assert connection.close_sent == Close(1001, "bye")
        assert isinstance(connection.closed_error(), ConnectionClosedOK)

    def test_without_a_closing_handshake(self):
        connection, events = make()
        assert (connection.close_code, connection.close_reason) == (None, None)
        connection.receive(b"\x00abc")
        connection.receive_eof()
        assert events == []
        assert connection.close_code == 1006
        assert isinstance(connection.closed_error(), ConnectionClosedError)
        assert connection.receive(b"def\xff") == 4
        assert events == []

    def test_after_a_failure(self):
        connection, events = make()
        connection.receive(b"\x00\x80")
        connection.send_close()
        connection.receive(CLOSE)
        connection.receive_eof()
        assert len(events) == 1
        assert connection.output.take() == CLOSE
        assert isinstance(connection.closed_error(), ConnectionClosedError)

    def test_a_failure_while_closing_sends_no_second_closing_frame(self):
        connection, events = make()
        connection.send_close()
        connection.receive(b"\x00\x80")
        assert events[0][:2] == ("failure", 1007)
        assert connection.output.take() == CLOSE

    def test_with_a_code_that_is_not_good(self):
        connection, _ = make()
        connection.send_close(1011)
        connection.receive(CLOSE)
        assert isinstance(connection.closed_error(), ConnectionClosedError)

    @pytest.mark.parametrize(("code", "reason"), [(1006, ""), (1000, "x" * 124)])
    def test_with_what_rfc6455_refuses(self, draft, code, reason):
        connection, _ = make(draft=draft)
        with pytest.raises(UsageError):
            connection.send_close(code, reason)
        assert connection.state == State.OPEN

    def test_hixie_75_by_this_side(self):
        connection, events = make(draft=75)
        connection.send_close(1000)
        assert connection.output.take() == b""
        assert events == [("close", 1005, "")]
        assert connection.rcvd_then_sent is False
        connection.receive_eof()
        assert connection.close_code == 1005
        assert isinstance(connection.closed_error(), ConnectionClosedOK)

    def test_hixie_75_by_the_peer(self):
        connection, events = make(draft=75)
        connection.receive_eof()
        assert events == []
        assert connection.close_code == 1005
        assert isinstance(connection.closed_error(), ConnectionClosedOK)

    def test_hixie_75_after_a_failure(self):
        connection, _ = make(draft=75)
        connection.receive(b"\x00\x80")
        connection.receive_eof()
        assert connection.close_code == 1006
        assert isinstance(connection.closed_error(), ConnectionClosedError)


class TestSending:
    def test_text(self, draft):
        connection, _ = make(draft=draft)
        connection.send_text("a€")
        connection.send_text("")
        assert connection.output.take() == b"\x00a\xe2\x82\xac\xff\x00\xff"

    def test_text_with_a_lone_surrogate(self):
        connection, _ = make()
        with pytest.raises(UnicodeEncodeError):
            connection.send_text("\ud800")
        assert connection.output.take() == b""

    def test_pieces(self):
        connection, _ = make()
        connection.send_fragment(1, b"a\xe2", False)
        connection.send_fragment(0, b"\x82", False)
        connection.send_fragment(0, b"\xac", True)
        connection.send_fragment(1, b"b", True)
        assert connection.output.take() == b"\x00a\xe2\x82\xac\xff\x00b\xff"

    def test_pieces_cannot_end_the_frame(self):
        connection, _ = make()
        with pytest.raises(UsageError, match="0xFF"):
            connection.send_fragment(1, b"a\xff\x00", True)
        assert connection.output.take() == b""

    def test_binary(self, draft):
        connection, _ = make(draft=draft)
        with pytest.raises(UsageError, match=f"hixie-{draft}, which carries text only"):
            connection.send_binary(b"x")
        with pytest.raises(UsageError, match="text only"):
            connection.send_fragment(2, b"x", True)
        assert connection.output.take() == b""

    def test_pings_and_pongs_are_not_sent(self, draft):
        connection, _ = make(draft=draft)
        connection.send_ping(b"x")
        connection.send_pong(b"x")
        assert connection.output.take() == b""

    def test_when_closing(self, draft):
        connection, _ = make(draft=draft)
        connection.send_close()
        connection.output.take()
        for send in (
            lambda: connection.send_text("x"),
            lambda: connection.send_binary(b"x"),
            lambda: connection.send_fragment(1, b"x", True),
        ):
            with pytest.raises(ConnectionClosed):
                send()
        assert connection.output.take() == b""


@given(st.lists(st.text(max_size=40)), st.lists(st.integers(0, 400)))
def test_both_sides_understand_each_other_however_the_bytes_are_cut(messages, cuts):
    client, _ = make(client=True)
    server, events = make()
    for message in messages:
        client.send_text(message)
    client.send_close()
    data = client.output.take()
    edges = sorted({0, len(data), *[cut for cut in cuts if cut < len(data)]})
    for start, stop in pairwise(edges):
        server.receive(data, start, stop)
    assert events == [*messages, ("close", 1005, "")]
    client.receive(server.output.take())
    assert isinstance(client.closed_error(), ConnectionClosedOK)


pieces = st.lists(
    st.sampled_from([b"\x00", b"\xff", b"\x80", b"\x01", b"abc", b"\xc3", b"\xa9", b"\x05", CLOSE])
    | st.binary(max_size=5)
)


@given(st.sampled_from([75, 76]), pieces)
def test_cuts_make_no_difference(draft, cut):
    """Any bytes at all: the same events whole as in pieces, and never an exception."""
    whole, expected = make(draft=draft, max_size=8)
    data = b"".join(cut)
    assert whole.receive(data) == len(data)
    parts, events = make(draft=draft, max_size=8)
    for piece in cut:
        assert parts.receive(bytearray(piece)) == len(piece)
    bytewise, single = make(draft=draft, max_size=8)
    for byte in data:
        bytewise.receive(bytes([byte]))
    assert [e[:2] for e in events] == [e[:2] for e in expected] == [e[:2] for e in single]
    assert parts.output.take() == whole.output.take() == bytewise.output.take()
    assert parts.state == whole.state == bytewise.state


@given(pieces, st.integers(1, 5))
def test_memory_is_bounded(cut, repeat):
    connection, _ = make(max_size=8)
    for piece in cut * repeat:
        connection.receive(piece)
        held = connection._text.tell() if connection._text is not None else 0
        assert held <= 8
