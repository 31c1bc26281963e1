"""The connection after the opening handshake: masking, pings, messages, limits, its handler."""

import gc
import weakref
from typing import Any

import pytest

from duplexio.websocket.frames import Frame
from tests.pure import implementations
from tests.websocket.connecting import (
    METHODS,
    Handler,
    Implementation,
    close_frame,
    plain,
    receive,
    send,
)
from tests.websocket.recording import KEY, binary, cont, frame, text

OPEN, CLOSING, CLOSED = 1, 2, 3


@pytest.fixture(params=implementations("websocket.connection"))
def impl(request) -> Implementation:
    return Implementation(request.param)


@pytest.fixture(params=[False, True], ids=["server", "client"])
def client(request) -> bool:
    return request.param


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

    def test_a_range_of_the_buffer(self, impl):
        connection, handler = impl.connect()
        data = bytearray(b"??" + text(b"a") + b"!!")
        assert connection.receive(data, 0, 0) == 0
        assert connection.receive(data, 2, len(data) - 2) == len(text(b"a"))
        assert handler.events == [("text", "a")]

    def test_it_tells_which_side_it_is(self, impl, client):
        connection, _ = impl.connect(client=client)
        assert bool(connection.client) == client
        assert connection.can_ping

    def test_the_output_can_be_exchanged(self, impl):
        connection, _ = impl.connect()
        first = connection.output
        connection.send_text("a")
        connection.output = impl.kernel.Output()
        connection.send_text("b")
        assert (first.take(), connection.output.take()) == (b"\x81\x01a", b"\x81\x01b")
        shared = impl.kernel.Output()
        connection, _ = impl.connect(output=shared)
        connection.send_text("c")
        assert connection.output is shared
        assert shared.take() == b"\x81\x01c"


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
