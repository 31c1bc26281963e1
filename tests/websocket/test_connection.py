"""The connection after the opening handshake: RFC 6455 §5.5, §6 and §7, and RFC 7692 §6."""

import gc
import struct
import tracemalloc
import weakref
from typing import Any

import pytest

from duplexio.websocket.frames import Frame, is_valid_close_code
from tests.pure import implementations
from tests.websocket.connecting import METHODS, Handler, Implementation, send
from tests.websocket.recording import KEY, binary, cont, frame, text, ways

OPEN, CLOSING, CLOSED = 1, 2, 3


@pytest.fixture(params=implementations("websocket.connection"))
def impl(request) -> Implementation:
    return Implementation(request.param)


@pytest.fixture(params=[False, True], ids=["server", "client"])
def client(request) -> bool:
    return request.param


def plain(wire: bytes) -> list[tuple[int, bytes]]:
    """Return the frames in some bytes: the first byte and the payload of each."""
    frames = []
    at = 0
    while at < len(wire):
        first, size = wire[at], wire[at + 1] & 0x7F
        masked = wire[at + 1] & 0x80
        at += 2
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(wire[at : at + width])
            at += width
        key = bytes(4)
        if masked:
            key = wire[at : at + 4]
            at += 4
        data = wire[at : at + size]
        assert len(data) == size
        frames.append((first, bytes(byte ^ key[i % 4] for i, byte in enumerate(data))))
        at += size
    return frames


def close_frame(code: int | None, reason: bytes = b"", *, masked: bool = True) -> bytes:
    """Return the bytes of a close frame, right or wrong."""
    data = b"" if code is None else struct.pack("!H", code) + reason
    return frame(8, data, masked=masked)


def receive(connection: Any, wire: bytes) -> None:
    assert connection.receive(bytearray(wire)) == len(wire)


class TestHandlers:
    def test_any_object_with_the_methods_will_do(self, impl):
        connection, handler = impl.connect()
        receive(connection, text(b"a") + binary(b"b") + frame(9, b"c") + frame(10, b"d"))
        assert handler.events == [("text", "a"), ("binary", b"b"), ("ping", b"c"), ("pong", b"d")]

    @pytest.mark.parametrize("missing", METHODS)
    def test_an_object_without_one_is_refused(self, impl, missing):
        handler = type("Odd", (), {name: lambda *_: None for name in METHODS if name != missing})()
        with pytest.raises(impl.kernel.UsageError, match=f"has no method {missing}"):
            impl.connect(handler=handler)

    def test_a_class_that_derives_has_what_it_writes(self, impl):
        class Own(impl.connection.ConnectionHandler):  # type: ignore[misc,name-defined]
            heard: Any = None

            def on_text(self, message: str) -> None:
                self.heard = message

        connection, handler = impl.connect(handler=Own())
        receive(connection, frame(9, b"") + binary(b"") + text(b"a") + frame(10, b""))
        assert handler.heard == "a"
        connection.set_fragments(True)
        receive(connection, text(b"b") + close_frame(1000))
        assert handler.heard == "a"
        connection, handler = impl.connect(handler=Own())
        receive(connection, b"\xff\xff")
        assert connection.state == CLOSING

    def test_a_handler_that_does_nothing(self, impl):
        connection, _ = impl.connect(handler=impl.connection.ConnectionHandler())
        receive(connection, text(b"a") + binary(b"") + frame(9, b"") + frame(10, b"") + b"\x88\x80")
        assert connection.state == OPEN
        receive(connection, b"1234")
        assert connection.state == CLOSING

    def test_an_error_in_the_handler_is_heard(self, impl):
        class Broken(Handler):
            def on_text(self, message: str) -> None:
                raise LookupError(message)

        connection, _ = impl.connect(handler=Broken())
        with pytest.raises(LookupError, match="Hello"):
            receive(connection, text(b"Hello"))


class TestSection5_1_Masking:
    def test_a_client_needs_keys(self, impl):
        with pytest.raises(impl.kernel.UsageError, match="mask_keys"):
            impl.connection.Connection(Handler(), client=True)

    def test_a_client_masks_everything_with_keys_of_its_own(self, impl):
        connection, _ = impl.connect(client=True)
        connection.send_text("Hello")
        connection.send_binary(b"Hello" * 5000)
        connection.send_fragment(1, b"a", False)
        connection.send_fragment(0, b"b", True)
        connection.send_ping(b"c")
        connection.send_pong(b"d")
        connection.send_close(1000, "e")
        wire = connection.output.take()
        sent = plain(wire)
        assert sent == [
            (0x81, b"Hello"),
            (0x82, b"Hello" * 5000),
            (0x01, b"a"),
            (0x80, b"b"),
            (0x89, b"c"),
            (0x8A, b"d"),
            (0x88, b"\x03\xe8e"),
        ]
        keys = impl.keys()
        assert wire == b"".join(
            Frame(first & 15, data, first > 127).serialize(keys.next()) for first, data in sent
        )

    def test_a_server_masks_nothing(self, impl):
        connection, _ = impl.connect(mask_keys=impl.keys())
        connection.send_text("Hello")
        connection.send_close()
        assert connection.output.take() == b"\x81\x05Hello\x88\x02\x03\xe8"

    def test_the_wrong_way_round_is_refused(self, impl, client):
        connection, handler = impl.connect(client=client)
        receive(connection, text(b"Hello", masked=client))
        assert [event[:2] for event in handler.events] == [("failure", 1002)]


class TestSection5_5_1_Close:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999])
    @pytest.mark.parametrize("reason", ["", "bye", "é" * 61, "x" * 123])
    def test_an_answer_echoes_the_code(self, impl, client, code, reason):
        wire = close_frame(code, reason.encode(), masked=not client)
        for pieces in ways(wire) if len(wire) < 20 else [[wire]]:
            connection, handler = impl.connect(client=client)
            for piece in pieces:
                receive(connection, piece)
            ((first, data),) = plain(connection.output.take())
            assert (first, data) == (0x88, struct.pack("!H", code) + reason.encode())
            assert handler.events == [("close", code, reason)]
            assert connection.state == CLOSING
            assert connection.close_rcvd == connection.close_sent
            assert connection.close_rcvd == impl.frames.Close(code, reason)
            assert connection.rcvd_then_sent is True

    def test_without_a_code(self, impl, client):
        connection, handler = impl.connect(client=client)
        receive(connection, close_frame(None, masked=not client))
        assert plain(connection.output.take()) == [(0x88, b"")]
        assert handler.events == [("close", 1005, "")]
        connection.receive_eof()
        assert (connection.close_code, connection.close_reason) == (1005, "")

    @pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000])
    def test_a_code_that_may_not_travel(self, impl, client, code):
        assert not is_valid_close_code(code)
        connection, handler = impl.connect(client=client)
        receive(connection, close_frame(code, b"why", masked=not client))
        assert [event[:2] for event in handler.events] == [("failure", 1002)]
        ((first, data),) = plain(connection.output.take())
        assert first == 0x88
        assert data[:2] == struct.pack("!H", 1002)
        assert str(code).encode() in data
        assert connection.close_rcvd is None

    def test_a_payload_of_1_byte(self, impl):
        connection, handler = impl.connect()
        receive(connection, frame(8, b"\x03"))
        assert [event[:2] for event in handler.events] == [("failure", 1002)]
        assert plain(connection.output.take())[0][1][:2] == b"\x03\xea"

    @pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"ok\xed\xa0\x80", b"\xc0\x80"])
    def test_a_reason_that_is_not_utf8(self, impl, reason):
        connection, handler = impl.connect()
        receive(connection, close_frame(1000, reason))
        assert [event[:2] for event in handler.events] == [("failure", 1007)]
        assert plain(connection.output.take())[0][1][:2] == b"\x03\xef"

    def test_what_follows_is_ignored(self, impl, client):
        masked = not client
        wire = close_frame(1000, masked=masked)
        more = text(b"late", masked=masked) + b"\xff\xff\xff" + close_frame(1001, masked=masked)
        for pieces in ways(wire + more):
            connection, handler = impl.connect(client=client)
            for piece in pieces:
                receive(connection, piece)
            assert handler.events == [("close", 1000, "")]
            assert len(plain(connection.output.take())) == 1
            assert connection.fill_buffer() is None

    def test_nothing_is_sent_behind_it(self, impl, client):
        connection, _ = impl.connect(client=client)
        connection.send_close(1001, "going")
        connection.send_close(1000, "again")
        connection.send_close(99999, "x" * 200)
        assert plain(connection.output.take()) == [(0x88, b"\x03\xe9going")]
        error = impl.exceptions.ConnectionClosed
        for method, arguments in (
            ("send_text", ("a",)),
            ("send_binary", (b"a",)),
            ("send_fragment", (1, b"a", True)),
            ("send_ping", ()),
            ("send_pong", ()),
        ):
            with pytest.raises(error):
                getattr(connection, method)(*arguments)
        receive(connection, frame(9, b"are you there?", masked=not client))
        assert len(connection.output) == 0

    @pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000, -1])
    def test_a_code_that_may_not_be_sent(self, impl, code):
        connection, _ = impl.connect()
        with pytest.raises(impl.kernel.UsageError, match="may not be sent"):
            connection.send_close(code)
        assert connection.state == OPEN
        assert connection.close_sent is None
        assert len(connection.output) == 0

    @pytest.mark.parametrize("reason", ["x" * 124, "é" * 62, "\ud800"])
    def test_a_reason_that_may_not_be_sent(self, impl, reason):
        connection, _ = impl.connect()
        with pytest.raises(impl.kernel.UsageError, match="reason"):
            connection.send_close(1000, reason)
        assert connection.state == OPEN
        connection.send_text("still open")
        assert plain(connection.output.take()) == [(0x81, b"still open")]

    def test_closing_without_a_code(self, impl):
        connection, _ = impl.connect()
        connection.send_close(1005)
        assert connection.output.take() == b"\x88\x00"
        connection, _ = impl.connect()
        with pytest.raises(impl.kernel.UsageError, match="no room for the reason"):
            connection.send_close(1005, "but why")


class TestSection5_5_2_PingPong:
    @pytest.mark.parametrize("length", [0, 1, 125])
    def test_a_ping_is_answered_with_its_payload(self, impl, client, length):
        data = bytes(range(length))
        connection, handler = impl.connect(client=client)
        receive(connection, frame(9, data, masked=not client))
        assert handler.events == [("ping", data)]
        assert plain(connection.output.take()) == [(0x8A, data)]

    def test_every_ping_is_answered_in_order(self, impl):
        connection, _ = impl.connect()
        receive(connection, b"".join(frame(9, bytes([n])) for n in range(50)))
        assert plain(connection.output.take()) == [(0x8A, bytes([n])) for n in range(50)]

    def test_inside_a_message(self, impl, client):
        masked = not client
        connection, handler = impl.connect(client=client)
        receive(connection, text(b"a", fin=False, masked=masked) + frame(9, b"!", masked=masked))
        assert plain(connection.output.take()) == [(0x8A, b"!")]
        receive(connection, cont(b"b", masked=masked))
        assert handler.events == [("ping", b"!"), ("text", "ab")]

    def test_the_pong_is_there_when_the_handler_hears_of_the_ping(self, impl):
        class Looker(Handler):
            def on_ping(self, payload: bytes) -> None:
                self.events.append(("output", connection.output.take()))

        connection, handler = impl.connect(handler=Looker())
        receive(connection, frame(9, b"x"))
        assert handler.events == [("output", b"\x8a\x01x")]

    def test_a_pong_that_nobody_asked_for(self, impl):
        connection, handler = impl.connect()
        receive(connection, frame(10, b"here I am"))
        assert handler.events == [("pong", b"here I am")]
        assert len(connection.output) == 0

    def test_no_pong_behind_our_close_frame_but_messages_still_arrive(self, impl):
        connection, handler = impl.connect()
        connection.send_close()
        connection.output.take()
        receive(connection, frame(9, b"x") + frame(10, b"y") + text(b"on its way"))
        assert handler.events == [("ping", b"x"), ("pong", b"y"), ("text", "on its way")]
        assert len(connection.output) == 0

    @pytest.mark.parametrize("method", ["send_ping", "send_pong"])
    def test_at_most_125_bytes(self, impl, method):
        connection, _ = impl.connect()
        getattr(connection, method)(b"x" * 125)
        assert len(connection.output.take()) == 127
        with pytest.raises(impl.kernel.UsageError, match="126 bytes"):
            getattr(connection, method)(b"x" * 126)
        assert len(connection.output) == 0
        getattr(connection, method)()
        assert connection.output.take()[1:] == b"\x00"


class TestSection6_Messages:
    @pytest.mark.parametrize("message", ["", "Hello", "é", "€" * 100, "😀" * 30_000, "a" * 70_000])
    def test_text_goes_through(self, impl, client, message):
        source, _ = impl.connect(client=client)
        target, handler = impl.connect(client=not client)
        source.send_text(message)
        send(source, target)
        assert handler.events == [("text", message)]

    @pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 200_000])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_bytes_go_through(self, impl, client, kind, length):
        source, _ = impl.connect(client=client)
        target, handler = impl.connect(client=not client)
        source.send_binary(kind(bytes(length)))
        send(source, target)
        assert handler.events == [("binary", bytes(length))]

    def test_lone_surrogates_cannot_be_sent(self, impl, client):
        connection, _ = impl.connect(client=client)
        with pytest.raises(UnicodeEncodeError):
            connection.send_text("a\ud800")
        assert len(connection.output) == 0
        connection.send_text("b")
        assert plain(connection.output.take()) == [(0x81, b"b")]

    def test_pieces_are_sent_as_they_come(self, impl):
        connection, _ = impl.connect()
        connection.send_fragment(1, b"\xe2\x82", False)
        connection.send_ping(b"!")
        connection.send_fragment(0, b"\xac", False)
        connection.send_fragment(0, b"", True)
        assert plain(connection.output.take()) == [
            (0x01, b"\xe2\x82"),
            (0x89, b"!"),
            (0x00, b"\xac"),
            (0x80, b""),
        ]

    def test_pieces_are_delivered_on_demand(self, impl):
        connection, handler = impl.connect()
        connection.set_fragments(True)
        receive(connection, text(b"a", fin=False) + cont(b"") + binary(b"b"))
        connection.set_fragments(False)
        receive(connection, text(b"c"))
        assert handler.events == [
            ("fragment", 1, b"a", False),
            ("fragment", 0, b"", True),
            ("fragment", 2, b"b", True),
            ("text", "c"),
        ]

    def test_pausing_leaves_the_rest_to_the_owner(self, impl):
        class Pauser(Handler):
            def on_text(self, message: str) -> None:
                super().on_text(message)
                connection.pause()

        connection, handler = impl.connect(handler=Pauser())
        wire = bytearray(text(b"a") + text(b"b") + frame(9, b""))
        used = connection.receive(wire)
        assert used == len(text(b"a"))
        assert connection.receive(wire, used) == 0
        connection.resume()
        assert connection.receive(wire, used) == len(text(b"b"))
        assert handler.events == [("text", "a"), ("text", "b")]
        connection.resume()
        connection.receive(wire, 2 * used)
        assert handler.events[2:] == [("ping", b"")]

    def test_a_large_message_is_read_where_it_will_lie(self, impl):
        connection, handler = impl.connect()
        assert connection.fill_buffer() is None
        wire = binary(b"x" * 50_000)
        receive(connection, wire[:100])
        connection.pause()
        assert connection.fill_buffer() is None
        connection.resume()
        at = 100
        while at < len(wire):
            view = connection.fill_buffer()
            assert view is not None
            count = min(len(view), 20_000, len(wire) - at)
            view[:count] = wire[at : at + count]
            del view
            connection.filled(count)
            at += count
            if len(wire) - at < 8192:
                receive(connection, wire[at:])
                break
        assert handler.events == [("binary", b"x" * 50_000)]
        receive(connection, wire[:100])
        connection.receive_eof()
        assert connection.fill_buffer() is None

    def test_the_output_can_be_exchanged(self, impl):
        connection, _ = impl.connect()
        first = connection.output
        connection.send_text("a")
        connection.output = impl.kernel.Output()
        connection.send_text("b")
        assert (first.take(), connection.output.take()) == (b"\x81\x01a", b"\x81\x01b")


class TestSection7_Closing:
    """Who closed, how, and what is told of it."""

    def test_begun_by_this_side(self, impl, client):
        here, heard = impl.connect(client=client)
        there, told = impl.connect(client=not client)
        here.send_close(1001, "going")
        assert (here.state, here.close_code, here.close_reason) == (CLOSING, None, None)
        send(here, there)
        send(there, here)
        assert told.events == heard.events == [("close", 1001, "going")]
        assert (here.rcvd_then_sent, there.rcvd_then_sent) == (False, True)
        for side in (here, there):
            assert side.state == CLOSING
            side.receive_eof()
            assert (side.state, side.close_code, side.close_reason) == (CLOSED, 1001, "going")
        error = here.closed_error()
        assert type(error) is impl.exceptions.ConnectionClosedOK
        assert (error.code, error.reason, error.initiator) == (1001, "going", "local")
        assert str(error) == ("sent 1001 (going away) going; then received 1001 (going away) going")
        assert there.closed_error().initiator == "remote"

    def test_begun_by_both_at_once(self, impl):
        here, heard = impl.connect()
        there, told = impl.connect(client=True)
        here.send_close(1000, "here")
        there.send_close(4000, "there")
        send(here, there)
        send(there, here)
        assert told.events == [("close", 1000, "here")]
        assert heard.events == [("close", 4000, "there")]
        assert here.rcvd_then_sent is there.rcvd_then_sent is False
        assert len(here.output) == len(there.output) == 0
        assert type(here.closed_error()) is impl.exceptions.ConnectionClosedError

    @pytest.mark.parametrize("code", [1000, 1001, 1005, 1002, 1003, 1011, 3000, 4000])
    @pytest.mark.parametrize("answer", [1000, 1001, 1005, 1002, 4001])
    def test_both_codes_decide_whether_it_was_as_it_should_be(self, impl, code, answer):
        connection, _ = impl.connect()
        connection.send_close(code)
        receive(connection, close_frame(None if answer == 1005 else answer))
        connection.receive_eof()
        fine = {1000, 1001, 1005}
        good = impl.exceptions.ConnectionClosedOK
        bad = impl.exceptions.ConnectionClosedError
        expected = good if code in fine and answer in fine else bad
        assert type(connection.closed_error()) is expected
        with pytest.raises(expected):
            connection.send_text("late")

    def test_the_transport_ends_without_a_close_frame(self, impl):
        connection, handler = impl.connect()
        receive(connection, text(b"part", fin=False) + cont(b"cut off")[:-2])
        connection.receive_eof()
        assert handler.events == []
        assert (connection.state, connection.close_code, connection.close_reason) == (3, 1006, "")
        error = connection.closed_error()
        assert type(error) is impl.exceptions.ConnectionClosedError
        assert (error.code, error.initiator, error.rcvd, error.sent) == (1006, None, None, None)
        assert str(error) == "no close frame received or sent"
        receive(connection, cont(b"late"))
        assert handler.events == []

    def test_the_transport_ends_before_the_answer(self, impl):
        connection, _ = impl.connect()
        connection.send_close(1000)
        connection.receive_eof()
        assert connection.close_code == 1006
        error = connection.closed_error()
        assert type(error) is impl.exceptions.ConnectionClosedError
        assert str(error) == "sent 1000 (OK); no close frame received"
        assert (error.code, error.initiator) == (1006, "local")

    def test_once_closed_nothing_happens(self, impl):
        connection, handler = impl.connect()
        connection.receive_eof()
        connection.fail(1002, "too late")
        connection.send_close(1000)
        connection.receive_eof()
        assert connection.receive(bytearray(text(b"late")), 2, 5) == 3
        assert (connection.state, handler.events, len(connection.output)) == (CLOSED, [], 0)
        for method in ("send_ping", "send_pong"):
            with pytest.raises(impl.exceptions.ConnectionClosedError):
                getattr(connection, method)()


class TestSection7_1_7_Failing:
    @pytest.mark.parametrize(
        ("wire", "code"),
        [
            (b"\xc1\x80", 1002),
            (text(b"", masked=False), 1002),
            (frame(3, b""), 1002),
            (frame(9, b"", fin=False), 1002),
            (cont(b""), 1002),
            (text(b"", fin=False) + text(b""), 1002),
            (text(b"\xff"), 1007),
            (text(b"\xe2\x82"), 1007),
            (binary(bytes(101)), 1009),
            (close_frame(1006), 1002),
            (close_frame(1000, b"\xff"), 1007),
        ],
    )
    def test_the_peer_is_told_why(self, impl, wire, code):
        for pieces in ways(wire):
            connection, handler = impl.connect(max_size=100)
            receive(connection, text(b"fine"))
            for piece in pieces:
                receive(connection, piece)
            receive(connection, text(b"never read") + close_frame(1000))
            assert handler.events[0] == ("text", "fine")
            ((kind, told, reason),) = handler.events[1:]
            assert (kind, told) == ("failure", code)
            expected = struct.pack("!H", code) + reason.encode()[:123]
            assert plain(connection.output.take()) == [(0x88, expected)]
            assert connection.state == CLOSING
            assert connection.close_sent.code == code
            connection.receive_eof()
            assert connection.close_code == 1006
            assert type(connection.closed_error()) is impl.exceptions.ConnectionClosedError

    def test_by_the_owner(self, impl, client):
        connection, handler = impl.connect(client=client)
        connection.fail(1011, "keepalive ping timeout")
        assert plain(connection.output.take()) == [(0x88, b"\x03\xf3keepalive ping timeout")]
        assert handler.events == [("failure", 1011, "keepalive ping timeout")]
        receive(connection, text(b"ignored", masked=not client))
        assert len(handler.events) == 1

    @pytest.mark.parametrize(
        ("reason", "sent"),
        [
            ("x" * 123, b"x" * 123),
            ("x" * 124, b"x" * 123),
            ("é" * 62, "é".encode() * 61),
            ("€" * 50, "€".encode() * 41),
            ("xx" + "😀" * 50, b"xx" + "😀".encode() * 30),
            ("lone \ud800", b"lone ?"),
        ],
    )
    def test_the_reason_is_cut_between_characters(self, impl, reason, sent):
        connection, handler = impl.connect()
        connection.fail(1008, reason)
        assert plain(connection.output.take()) == [(0x88, struct.pack("!H", 1008) + sent)]
        assert handler.events == [("failure", 1008, reason)]

    def test_behind_our_close_frame_there_is_no_other(self, impl):
        connection, handler = impl.connect()
        connection.send_close(1000)
        connection.output.take()
        receive(connection, b"\xff\xff")
        assert [event[:2] for event in handler.events] == [("failure", 1002)]
        assert len(connection.output) == 0
        assert connection.close_sent.code == 1000

    def test_a_failure_lets_go_of_the_message(self, impl):
        connection, _ = impl.connect()
        tracemalloc.start()
        try:
            receive(connection, text(b"x" * 200_000, fin=False))
            assert tracemalloc.get_traced_memory()[0] > 150_000
            connection.fail(1011, "enough")
            assert tracemalloc.get_traced_memory()[0] < 20_000
        finally:
            tracemalloc.stop()


class TestLimits:
    def test_exactly_at_the_limit(self, impl, client):
        connection, handler = impl.connect(client=client, max_size=1000)
        masked = not client
        receive(connection, binary(bytes(1000), masked=masked))
        receive(connection, text(b"x" * 400, fin=False, masked=masked))
        receive(connection, cont(b"x" * 600, masked=masked))
        assert [event[0] for event in handler.events] == ["binary", "text"]
        receive(connection, binary(bytes(1001), masked=masked)[:14])
        assert handler.events[2][:2] == ("failure", 1009)

    def test_1_mib_unless_told_otherwise(self, impl):
        assert impl.connection.DEFAULT_MAX_SIZE == 2**20
        connection, handler = impl.connect()
        receive(connection, binary(bytes(2**20)) + binary(bytes(2**20 + 1))[:14])
        assert [event[0] for event in handler.events] == ["binary", "failure"]
        assert handler.events[1][1] == 1009

    def test_none(self, impl):
        connection, handler = impl.connect(max_size=None)
        receive(connection, binary(bytes(2**20 + 1)))
        assert handler.events == [("binary", bytes(2**20 + 1))]


def test_a_cycle_of_handler_and_connection_is_collected(impl):
    for options in ({}, {"deflate": impl.deflate()}):
        connection, handler = impl.connect(**options)
        handler.connection = connection
        receive(connection, text(b"a" * 100, fin=False))
        gone = weakref.ref(handler)
        del connection, handler
        gc.collect()
        assert gone() is None


def test_the_key_of_the_peer_is_of_no_consequence(impl):
    for key in (KEY, bytes(4), b"\xff" * 4):
        connection, handler = impl.connect()
        receive(connection, Frame(1, "naïve".encode()).serialize(key))
        assert handler.events == [("text", "naïve")]
