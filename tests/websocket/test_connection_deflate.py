"""A connection with permessage-deflate (RFC 7692 §6)."""

import array
import random
import zlib
from typing import Any

import pytest

from tests.pure import implementations
from tests.websocket.connecting import Implementation, receive, send
from tests.websocket.recording import cont, frame, text, ways

JSON = '{"name": "value", "numbers": [1, 2, 3], "text": "naïve €"}, ' * 20


@pytest.fixture(params=implementations("websocket.connection"))
def impl(request) -> Implementation:
    return Implementation(request.param)


@pytest.fixture(params=[True, False], ids=["takeover", "no takeover"])
def pair(request, impl) -> tuple[Any, Any, Any, Any]:
    """A client and a server with their handlers."""
    options = {
        "remote_no_context_takeover": not request.param,
        "local_no_context_takeover": not request.param,
        "threshold": 64,
    }
    client, told = impl.connect(client=True, deflate=impl.deflate(**options))
    server, heard = impl.connect(deflate=impl.deflate(**options))
    return client, told, server, heard


def deflated(data: bytes) -> bytes:
    """Return a message compressed by zlib itself (§7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class TestMessages:
    def test_both_ways(self, pair):
        client, told, server, heard = pair
        for source, target, handler in ((client, server, heard), (server, client, told)):
            for _ in range(3):
                source.send_text(JSON)
                source.send_binary(JSON.encode())
                wire = send(source, target)
                assert len(wire) < len(JSON) / 2
                assert wire[0] == 0xC1
            assert handler.events == [("text", JSON), ("binary", JSON.encode())] * 3

    def test_short_messages_are_sent_as_they_are(self, pair):
        _, told, server, _ = pair
        for source in (server,):
            source.send_text("x" * 63)
            source.send_binary(b"")
            wire = send(source, pair[0])
            assert (wire[0], wire[65]) == (0x81, 0x82)
        assert told.events == [("text", "x" * 63), ("binary", b"")]

    def test_plain_messages_arrive_too(self, pair):
        _, _, server, heard = pair
        receive(server, text(b"plain") + frame(1, deflated(b"packed"), rsv1=True) + text(b"plain"))
        assert heard.events == [("text", "plain"), ("text", "packed"), ("text", "plain")]

    def test_at_every_cut(self, impl):
        wire = frame(1, deflated("é€".encode()), rsv1=True) + frame(9, b"!")
        for pieces in ways(wire):
            connection, handler = impl.connect(deflate=impl.deflate())
            for piece in pieces:
                receive(connection, piece)
            assert handler.events == [("text", "é€"), ("ping", b"!")]

    def test_control_frames_are_not_compressed(self, pair):
        client, told, server, _ = pair
        server.send_ping(b"x" * 125)
        server.send_close(1000, "y" * 100)
        wire = server.output.take()
        assert wire == b"\x89\x7d" + b"x" * 125 + b"\x88\x66\x03\xe8" + b"y" * 100
        receive(client, wire)
        assert told.events == [("ping", b"x" * 125), ("close", 1000, "y" * 100)]

    def test_lone_surrogates_cannot_be_sent(self, pair):
        client, _, server, heard = pair
        with pytest.raises(UnicodeEncodeError):
            client.send_text("\ud800" * 100)
        assert len(client.output) == 0
        client.send_text(JSON)
        send(client, server)
        assert heard.events == [("text", JSON)]

    def test_buffers_of_other_items(self, pair):
        client, _, server, heard = pair
        numbers = array.array("I", range(100))
        for payload in (memoryview(numbers), memoryview(numbers).cast("B"), bytearray(400)):
            client.send_binary(payload)
            send(client, server)
            assert heard.events.pop() == ("binary", bytes(payload))


class TestFragments:
    def test_a_message_in_pieces(self, pair):
        client, _, server, heard = pair
        data = JSON.encode()
        for cut in (0, 1, 30, 500, len(data)):
            client.send_fragment(1, data[:cut], False)
            client.send_ping(b"!")
            client.send_fragment(0, data[cut:], False)
            client.send_fragment(0, b"", True)
            client.send_text(JSON)
            send(client, server)
            assert heard.events == [("ping", b"!"), ("text", JSON), ("text", JSON)]
            heard.events.clear()

    def test_rsv1_is_on_the_first_only(self, pair):
        _, _, server, _ = pair
        server.send_fragment(2, b"ab", False)
        first = server.output.take()
        server.send_fragment(0, b"cd", False)
        second = server.output.take()
        server.send_fragment(0, b"ef", True)
        third = server.output.take()
        assert (first[0], second[0], third[0]) == (0x42, 0x00, 0x80)

    def test_delivered_in_pieces(self, pair):
        client, _, server, heard = pair
        server.set_fragments(True)
        data = JSON.encode()
        pieces = [data[:10], data[10:45], data[45:]]
        for _ in range(2):
            client.send_fragment(1, pieces[0], False)
            client.send_fragment(0, pieces[1], False)
            client.send_fragment(0, pieces[2], True)
            send(client, server)
        whole = [(1, pieces[0], False), (0, pieces[1], False), (0, pieces[2], True)]
        assert heard.events == [("fragment", *event) for event in whole] * 2

    def test_text_in_pieces_is_checked(self, impl):
        for bad in (b"\xff", b"\xc3A", b"\xed\xa0\x80"):
            connection, handler = impl.connect(deflate=impl.deflate())
            connection.set_fragments(True)
            receive(connection, frame(1, deflated(b"fine" + bad), fin=False, rsv1=True))
            assert [event[:2] for event in handler.events] == [("failure", 1007)]

    def test_text_in_pieces_may_be_cut_inside_a_character(self, impl):
        connection, handler = impl.connect(deflate=impl.deflate())
        connection.set_fragments(True)
        compressor = zlib.compressobj(wbits=-15)
        first = compressor.compress(b"\xe2") + compressor.flush(zlib.Z_SYNC_FLUSH)
        last = compressor.compress(b"\x82") + compressor.flush(zlib.Z_SYNC_FLUSH)
        receive(connection, frame(1, first, fin=False, rsv1=True))
        assert handler.events == [("fragment", 1, b"\xe2", False)]
        receive(connection, cont(last[:-4]))
        assert handler.events[1][:2] == ("failure", 1007)

    def test_binary_pieces_are_not_checked(self, impl):
        connection, handler = impl.connect(deflate=impl.deflate())
        connection.set_fragments(True)
        receive(connection, text(b"a", fin=False) + cont(b"b"))
        receive(connection, frame(2, deflated(b"\xff"), rsv1=True))
        assert handler.events[2] == ("fragment", 2, b"\xff", True)


class TestErrors:
    @pytest.mark.parametrize(
        "bad", [b"\xff\xff", b"\x06", b"\x01\x05\x00", b"\x00\x05\x00\x00\x00x"]
    )
    @pytest.mark.parametrize("fragments", [True, False])
    def test_corrupt_data(self, impl, bad, fragments):
        connection, handler = impl.connect(deflate=impl.deflate())
        connection.set_fragments(fragments)
        receive(connection, frame(2, bad, rsv1=True) + text(b"never read"))
        assert [event[:2] for event in handler.events] == [("failure", 1007)]
        assert connection.output.take()[:4][2:] == b"\x03\xef"

    @pytest.mark.parametrize("bad", [b"\xff", b"a\xc3", b"\xc0\x80"])
    def test_text_that_is_not_utf8(self, impl, bad):
        connection, handler = impl.connect(deflate=impl.deflate())
        receive(connection, frame(1, deflated(bad), rsv1=True) + text(b"never read"))
        assert [event[:2] for event in handler.events] == [("failure", 1007)]

    def test_rsv1_without_the_extension(self, impl):
        connection, handler = impl.connect()
        receive(connection, frame(1, deflated(b"a"), rsv1=True))
        assert [event[:2] for event in handler.events] == [("failure", 1002)]


class TestLimits:
    @pytest.mark.parametrize("fragments", [True, False])
    @pytest.mark.parametrize("noise", [True, False])
    def test_the_limit_is_on_what_the_message_holds(self, impl, noise, fragments):
        """Also when compressing made it longer."""
        data = random.Random(1).randbytes(5000) if noise else bytes(5000)
        packed = deflated(data)
        assert (len(packed) > 5000) == noise
        wire = frame(2, packed, rsv1=True)
        connection, handler = impl.connect(deflate=impl.deflate(), max_size=5000)
        connection.set_fragments(fragments)
        receive(connection, wire)
        assert handler.events[0][0] == ("fragment" if fragments else "binary")
        connection, handler = impl.connect(deflate=impl.deflate(), max_size=4999)
        connection.set_fragments(fragments)
        receive(connection, wire)
        assert [event[:2] for event in handler.events] == [("failure", 1009)]

    def test_a_bomb(self, impl):
        connection, handler = impl.connect(deflate=impl.deflate())
        bomb = deflated(bytes(2**26))
        assert len(bomb) < 2**17
        receive(connection, frame(2, bomb, rsv1=True))
        assert [event[:2] for event in handler.events] == [("failure", 1009)]

    def test_over_pieces(self, impl):
        compressor = zlib.compressobj(wbits=-15)
        pieces = [
            compressor.compress(bytes(1000)) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(3)
        ]
        for limit, good in ((3000, True), (2999, False)):
            connection, handler = impl.connect(deflate=impl.deflate(), max_size=limit)
            connection.set_fragments(True)
            receive(connection, frame(2, pieces[0], fin=False, rsv1=True))
            receive(connection, cont(pieces[1], fin=False) + cont(pieces[2][:-4]))
            assert len(handler.events) == 3
            assert (handler.events[2][:2] == ("failure", 1009)) is not good


def test_the_contexts_are_freed_when_the_transport_ends(impl):
    deflate = impl.deflate()
    connection, _ = impl.connect(deflate=deflate)
    connection.send_text(JSON)
    receive(connection, frame(1, deflated(JSON.encode()), rsv1=True))
    assert deflate.memory_bytes > 10_000
    connection.receive_eof()
    assert deflate.memory_bytes == 0
