"""The body of a response that refuses the WebSocket."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.websocket.body import BodyReader
from duplexio.websocket.exceptions import InvalidMessage, SecurityError
from duplexio.websocket.http11 import MAX_LINE_LENGTH, Response

CHUNKED = {"Transfer-Encoding": "chunked"}


def read(headers, data, status=404, **kwargs):
    reader = BodyReader(Response(status, None, headers), **kwargs)
    reader.feed(data)
    return reader


class TestRFC9112Section6_3_MessageBodyLength:
    @pytest.mark.parametrize("status", [100, 101, 204, 304])
    def test_statuses_without_body(self, status):
        reader = read({"Content-Length": "5"}, b"hello", status)
        assert (reader.done, bytes(reader.body)) == (True, b"")

    def test_content_length(self):
        reader = read({"Content-Length": "5"}, b"hel")
        assert not reader.done
        reader.feed(b"lo, more")
        assert (reader.done, bytes(reader.body)) == (True, b"hello")

    def test_content_length_zero(self):
        assert read({"Content-Length": "0"}, b"").done

    def test_content_length_twice_the_same(self):
        assert read([("Content-Length", "1"), ("Content-Length", "1")], b"a").done

    @pytest.mark.parametrize("length", ["", "-1", "+1", "1, 2", "0x1", "\xb2", "9" * 19])
    def test_content_length_that_is_no_number(self, length):
        with pytest.raises(SecurityError, match="invalid Content-Length"):
            read({"Content-Length": length}, b"")

    def test_content_lengths_that_differ(self):
        with pytest.raises(SecurityError, match="invalid Content-Length"):
            read([("Content-Length", "1"), ("Content-Length", "2")], b"")

    def test_until_the_end_of_the_stream(self):
        reader = read({}, b"hel")
        reader.feed(b"lo")
        assert not reader.done
        reader.feed_eof()
        assert (reader.done, bytes(reader.body)) == (True, b"hello")

    def test_a_body_cut_short_is_kept(self):
        reader = read({"Content-Length": "5"}, b"hel")
        reader.feed_eof()
        assert (reader.done, bytes(reader.body)) == (True, b"hel")


class TestRFC9112Section7_1_Chunked:
    DATA = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n"

    def test_whole(self):
        reader = read(CHUNKED, self.DATA)
        assert (reader.done, bytes(reader.body)) == (True, b"hello, world")

    @given(st.lists(st.integers(0, len(DATA)), max_size=8))
    def test_any_cuts(self, cuts):
        reader = BodyReader(Response(500, None, CHUNKED))
        edges = [0, *sorted(cuts), len(self.DATA)]
        for start, stop in pairwise(edges):
            reader.feed(self.DATA[start:stop])
        assert (reader.done, bytes(reader.body)) == (True, b"hello, world")

    @pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, chunked"])
    def test_other_codings(self, coding):
        with pytest.raises(InvalidMessage, match="unsupported transfer coding"):
            read({"Transfer-Encoding": coding}, b"")

    def test_coding_decides_over_length(self):
        assert read({**CHUNKED, "Content-Length": "1"}, b"2\r\nab\r\n0\r\n").body == b"ab"

    @pytest.mark.parametrize("size", [b"", b"-1", b"0x1", b"g", b"1_0", b"f" * 16])
    def test_size_that_is_no_number(self, size):
        with pytest.raises(SecurityError, match="invalid chunk size"):
            read(CHUNKED, size + b"\r\n")

    def test_chunk_longer_than_it_says(self):
        with pytest.raises(InvalidMessage, match="does not end with CRLF"):
            read(CHUNKED, b"1\r\nabcd")

    def test_line_without_end(self):
        with pytest.raises(SecurityError, match="chunk line longer"):
            read(CHUNKED, b"1;" + b"x" * MAX_LINE_LENGTH)


class TestLimit:
    def test_announced(self):
        with pytest.raises(SecurityError, match="exceeds 4 bytes"):
            read({"Content-Length": "5"}, b"", max_size=4)

    def test_until_the_end(self):
        reader = read({}, b"1234", max_size=4)
        with pytest.raises(SecurityError, match="exceeds 4 bytes"):
            reader.feed(b"5")

    def test_chunked(self):
        with pytest.raises(SecurityError, match="exceeds 4 bytes"):
            read(CHUNKED, b"3\r\nabc\r\n2\r\n", max_size=4)

    @given(st.binary(max_size=200))
    def test_garbage_is_refused_or_bounded(self, data):
        reader = BodyReader(Response(500, None, CHUNKED), max_size=50)
        try:
            reader.feed(data)
        except (SecurityError, InvalidMessage):
            pass
        assert len(reader.body) <= 50
