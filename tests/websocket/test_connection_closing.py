"""How a connection is closed, and how it fails: RFC 6455 §5.5.1 and §7."""

import struct
import tracemalloc

import pytest

from duplexio.websocket.frames import is_valid_close_code
from tests.pure import implementations
from tests.websocket.connecting import (
    Handler,
    Implementation,
    close_frame,
    plain,
    receive,
    send,
)
from tests.websocket.recording import binary, cont, frame, text, ways

OPEN, CLOSING, CLOSED = 1, 2, 3


@pytest.fixture(params=implementations("websocket.connection"))
def impl(request) -> Implementation:
    return Implementation(request.param)


@pytest.fixture(params=[False, True], ids=["server", "client"])
def client(request) -> bool:
    return request.param


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

    @pytest.mark.parametrize("derived", [True, False])
    def test_the_handler_may_ask_to_wait(self, impl, derived):
        """Until it has dealt with the messages that came before."""

        class Waiting:
            wait = True

            def on_failing(self, code: int, reason: str) -> bool:
                self.events.append(("failing", code))  # type: ignore[attr-defined]
                return self.wait

        bases = (Handler, impl.connection.ConnectionHandler) if derived else (Handler,)
        connection, handler = impl.connect(handler=type("Both", (Waiting, *bases), {})())
        receive(connection, text(b"\xff") + text(b"never read"))
        assert handler.events == [("failing", 1007)]
        assert connection.state == OPEN
        connection.send_text("still here")
        assert plain(connection.output.take()) == [(0x81, b"still here")]
        handler.wait = False
        connection.fail(1007, "now")
        assert handler.events[1:] == [("failing", 1007), ("failure", 1007, "now")]
        assert plain(connection.output.take()) == [(0x88, b"\x03\xefnow")]

    def test_only_the_method_that_asks_is_enough(self, impl):
        class Own(impl.connection.ConnectionHandler):  # type: ignore[misc,name-defined]
            def on_failing(self, code: int, reason: str) -> bool:
                return True

        connection, _ = impl.connect(handler=Own())
        receive(connection, text(b"\xff"))
        assert connection.state == OPEN

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
