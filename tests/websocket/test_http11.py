"""Heads of HTTP/1.1."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duplexio import errors
from duplexio.websocket.exceptions import (
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidProtocol,
    RequestLineTooLong,
    StatusLineTooLong,
    TooManyHeaders,
)
from duplexio.websocket.headers import Headers
from duplexio.websocket.http11 import (
    MAX_HEAD_SIZE,
    MAX_HEADERS,
    MAX_LINE_LENGTH,
    Request,
    Response,
    find_head_end,
    parse_request,
    parse_response,
)

LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
CHROME = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: localhost:8000\r\nConnection: Upgrade\r\n"
    b"Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)"
    b" AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n"
    b"Upgrade: websocket\r\nOrigin: http://localhost:8000\r\nSec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def request(*lines, start=LINE):
    return parse_request(start + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


class TestRequest:
    def test_of_a_browser(self):
        parsed = parse_request(CHROME)
        assert (parsed.method, parsed.path, parsed.protocol) == ("GET", "/chat?room=1", "HTTP/1.1")
        assert parsed.headers["upgrade"] == "websocket"
        assert parsed.headers["User-Agent"].endswith("Safari/537.36")
        assert parsed.serialize() == parsed.head == CHROME

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_head_is_copied(self, kind):
        data = bytearray(LINE + HOST + b"\r\n")
        parsed = parse_request(kind(data))
        data[:] = bytes(len(data))
        assert parsed.head == LINE + HOST + b"\r\n"
        assert parsed.headers["Host"] == "localhost"

    def test_headers_are_built_once(self):
        parsed = parse_request(CHROME)
        assert parsed.headers is parsed.headers
        parsed.headers["X"] = "1"
        assert parsed.headers["x"] == "1"

    def test_fields_follow_changed_headers(self):
        parsed = request(b"A: 1")
        assert parsed.fields["a"] == "1"
        parsed.headers["A"] = "2"
        assert parsed.fields["a"] == "1, 2"

    def test_fields_can_be_read_again_once_forgotten(self):
        parsed = parse_request(CHROME)
        before = dict(parsed.fields)
        parsed.compact()
        assert parsed.fields == before

    def test_idle_one_owns_little_beside_its_head(self):
        parsed = parse_request(CHROME)
        parsed.compact()
        parts = [getattr(parsed, name) for name in Request.__slots__ if name != "head"]
        owned = [part for part in parts if part is not None and part not in ("GET", "HTTP/1.1")]
        assert owned == ["/chat?room=1"]
        assert not hasattr(parsed, "__dict__")
        assert sys.getsizeof(parsed) <= 80

    def test_made_by_hand(self):
        made = Request("/x", [("Host", "a"), ("X", "1")])
        assert (made.method, made.protocol, made.head) == ("GET", "HTTP/1.1", b"")
        assert made.serialize() == b"GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n"
        assert made.fields == {"host": "a", "x": "1"}
        assert repr(made) == "<Request GET /x HTTP/1.1>"

    def test_equality(self):
        assert request(b"A: 1") == Request("/", {"host": "localhost", "a": "1"})
        assert request(b"A: 1") != Request("/", {"host": "localhost", "a": "2"})
        assert request(b"A: 1") != "GET /"
        with pytest.raises(TypeError):
            hash(request())


class TestRFC9112Section2_2_MessageParsing:
    @pytest.mark.parametrize(
        "head",
        [
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET / HTTP/1.1\r\rHost: a\r\n\r\n",
        ],
    )
    def test_bare_cr_or_lf(self, head):
        with pytest.raises(InvalidMessage):
            parse_request(head)

    @pytest.mark.parametrize("octet", [*range(9), 11, 12, *range(14, 32), 127])
    @pytest.mark.parametrize(
        "place",
        [
            b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a%bb\r\n\r\n",
            b"GET / HTTP/1.1\r\nHo%bst: a\r\n\r\n",
        ],
    )
    def test_control_characters(self, octet, place):
        with pytest.raises(InvalidMessage, match="control character"):
            parse_request(place % bytes([octet]))

    @pytest.mark.parametrize(
        "head",
        [b"", b"\r\n", b"\r\n\r\n", LINE, LINE + HOST, LINE + HOST + b"\r\n\r\n", CHROME[:-1],
         CHROME + b"x", CHROME + CHROME],
    )  # fmt: skip
    def test_what_is_not_one_head(self, head):
        with pytest.raises(InvalidMessage):
            parse_request(head)


class TestRFC9112Section3_RequestLine:
    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"GET",
            b"GET /",
            b"GET / HTTP/1.1 ",
            b" GET / HTTP/1.1",
            b"GET  / HTTP/1.1",
            b"GET /a b HTTP/1.1",
            b"GET /\tHTTP/1.1",
            b"G(T / HTTP/1.1",
            b"GET  HTTP/1.1",
            b"GET /\xe9 HTTP/1.1",
            b"GET / HTTP/11",
            b"GET / http/1.1",
            b"GET / HTTP/1.1x",
            b"GET / ICY",
            b"\x16\x03\x01\x02\x00",
        ],
    )
    def test_malformed(self, line):
        with pytest.raises(InvalidMessage):
            request(start=line + b"\r\n")

    @pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0"])
    def test_other_versions(self, version):
        with pytest.raises(InvalidProtocol, match=f"unsupported HTTP version: HTTP/{version}") as e:
            request(start=f"GET / HTTP/{version}\r\n".encode())
        assert e.value.status == 505

    def test_http10_is_left_to_the_handshake(self):
        assert parse_request(b"GET / HTTP/1.0\r\n\r\n").protocol == "HTTP/1.0"

    def test_other_methods_are_left_to_the_handshake(self):
        parsed = request(b"Content-Length: 5", start=b"POST /x HTTP/1.1\r\n")
        assert parsed.method == "POST"

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            (b"/", "/"),
            (b"/%20?a=%C3%A9&b", "/%20?a=%C3%A9&b"),
            (b"//x", "//x"),
            (b"http://localhost/chat", "/chat"),
            (b"ws://LOCALHOST/chat?x", "/chat?x"),
            (b"https://localhost", "/"),
            (b"https://localhost?a=b", "/?a=b"),
        ],
    )
    def test_section_3_2_targets(self, target, path):
        assert request(start=b"GET %b HTTP/1.1\r\n" % target).path == path

    @pytest.mark.parametrize(
        "target",
        [
            b"http://other/chat",
            b"http://localhost:80/",
            b"http://user@localhost/",
            b"http://localhost/#fragment",
            b"http:/localhost/",
            b"ftp://localhost/",
            b"chat",
            b"*",
            b"localhost:80",
        ],
    )
    def test_section_3_2_targets_that_are_refused(self, target):
        with pytest.raises(InvalidMessage, match="target"):
            request(start=b"GET %b HTTP/1.1\r\n" % target)

    @pytest.mark.parametrize("line", [b"OPTIONS * HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n"])
    def test_section_3_2_targets_of_other_methods(self, line):
        assert request(start=line).path == line.split()[1].decode()

    def test_section_3_2_host_is_needed(self):
        with pytest.raises(InvalidHeader, match="missing Host header"):
            parse_request(LINE + b"X: y\r\n\r\n")


class TestRFC9112Section5_FieldSyntax:
    @pytest.mark.parametrize(
        ("line", "name", "value"),
        [
            (b"A: b", "A", "b"),
            (b"A:b", "A", "b"),
            (b"A:", "A", ""),
            (b"A: \t b c \t", "A", "b c"),
            (b"A: b: c", "A", "b: c"),
            (b"!#$%&'*+-.^_`|~09aZ: x", "!#$%&'*+-.^_`|~09aZ", "x"),
            (b"A: \xe9\xff", "A", "\xe9\xff"),
        ],
    )
    def test_valid(self, line, name, value):
        parsed = request(line)
        assert parsed.fields[name.lower()] == value
        assert list(parsed.headers.raw_items())[1] == (name, value)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b"A : b", "space between the header name 'A' and its colon"),
            (b"Host : b", "space between the header name 'Host' and its colon"),
            (b"A\t: b", "space between the header name 'A' and its colon"),
            (b" A: b", "folded header line"),
            (b"\tb", "folded header line"),
            (b"A", "without a colon"),
            (b"Upgrade", "without a colon"),
            (b": b", "invalid header name ''"),
            (b"A B: c", "invalid header name 'A B'"),
            (b"A(: c", "invalid header name"),
            (b"\xe9: c", "invalid header name"),
        ],
    )
    def test_malformed(self, line, message):
        with pytest.raises(InvalidMessage, match=message) as caught:
            request(line)
        assert caught.value.status == 400

    def test_several_of_one_name_are_joined(self):
        parsed = request(b"Connection: keep-alive", b"connection: Upgrade")
        assert parsed.fields["connection"] == "keep-alive, Upgrade"
        assert parsed.headers.get_all("Connection") == ["keep-alive", "Upgrade"]

    @pytest.mark.parametrize(
        "name",
        ["Host", "HOST", "Content-Length", "Origin", "Sec-WebSocket-Key", "sec-websocket-version",
         "Sec-WebSocket-Key1", "Sec-WebSocket-Key2"],
    )  # fmt: skip
    def test_double_fields_that_must_be_single(self, name):
        line = name.encode() + b": 0"
        with pytest.raises(InvalidHeader, match="multiple values"):
            request(line, line)

    @given(
        st.lists(
            st.tuples(
                st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=9).map(lambda s: "X" + s),
                st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20),
            ),
            max_size=20,
        )
    )
    def test_round_trip(self, pairs):
        made = Request("/", [("Host", "a"), *pairs])
        parsed = parse_request(made.serialize())
        stripped = [(name, value.strip(" \t")) for name, value in made.headers.raw_items()]
        assert list(parsed.headers.raw_items()) == stripped
        assert parsed.fields == Request("/", stripped).fields


class TestRFC9112Section6_MessageBody:
    def test_no_body(self):
        assert request(b"Content-Length: 0").fields["content-length"] == "0"

    @pytest.mark.parametrize("length", [b"1", b"+0", b"-1", b"00", b"x", b"", b"0, 0"])
    def test_body(self, length):
        with pytest.raises(InvalidMessage, match="has a body"):
            request(b"Content-Length: " + length)

    @pytest.mark.parametrize("coding", [b"chunked", b"identity", b""])
    def test_transfer_coding(self, coding):
        with pytest.raises(InvalidMessage, match="Transfer-Encoding"):
            request(b"Transfer-Encoding: " + coding, b"Content-Length: 0")


class TestLimits:
    def test_defaults(self):
        assert (MAX_LINE_LENGTH, MAX_HEADERS, MAX_HEAD_SIZE) == (8192, 128, 65536)

    def test_request_line(self):
        path = b"/" * (MAX_LINE_LENGTH - len(b"GET  HTTP/1.1"))
        request(start=b"GET %b HTTP/1.1\r\n" % path)
        with pytest.raises(RequestLineTooLong, match="exceeds 8192 bytes") as caught:
            request(start=b"GET %b/ HTTP/1.1\r\n" % path)
        assert caught.value.status == 414

    def test_header_line(self):
        request(b"A: " + b"x" * (MAX_LINE_LENGTH - 3))
        with pytest.raises(HeaderLineTooLong, match="header 'A' exceeds 8192 bytes") as caught:
            request(b"A: " + b"x" * (MAX_LINE_LENGTH - 2))
        assert caught.value.status == 431

    def test_number_of_headers(self):
        request(*[b"A: b"] * (MAX_HEADERS - 1))
        with pytest.raises(TooManyHeaders, match="129 headers; expected no more than 128") as e:
            request(*[b"A: b"] * MAX_HEADERS)
        assert e.value.status == 431

    def test_size_of_the_head(self):
        line = b"A: " + b"x" * 8000
        request(*[line] * 8)
        with pytest.raises(HeaderLineTooLong, match="the head exceeds 65536 bytes") as caught:
            request(*[line] * 9)
        assert caught.value.status == 431

    @pytest.mark.parametrize(
        ("limit", "error"),
        [
            ({"max_line": 10}, RequestLineTooLong),
            ({"max_line": 14}, HeaderLineTooLong),
            ({"max_headers": 0}, TooManyHeaders),
            ({"max_head": 34}, HeaderLineTooLong),
        ],
    )
    def test_are_arguments(self, limit, error):
        with pytest.raises(error):
            parse_request(LINE + HOST + b"\r\n", **limit)

    @pytest.mark.parametrize("limit", [{"max_line": 15}, {"max_headers": 1}, {"max_head": 35}])
    def test_are_inclusive(self, limit):
        parse_request(LINE + HOST + b"\r\n", **limit)

    def test_status_line(self):
        with pytest.raises(StatusLineTooLong, match="exceeds 8192 bytes"):
            parse_response(b"HTTP/1.1 200 %b\r\n\r\n" % (b"x" * MAX_LINE_LENGTH))


class TestRFC9112Section4_StatusLine:
    def test_response(self):
        parsed = parse_response(b"HTTP/1.1 101 Switching Protocols\r\nA: 1\r\na:2\r\n\r\n")
        assert (parsed.status_code, parsed.reason_phrase) == (101, "Switching Protocols")
        assert list(parsed.headers.raw_items()) == [("A", "1"), ("a", "2")]
        assert parsed.body == b""

    @pytest.mark.parametrize("line", [b"HTTP/1.1 200 ", b"HTTP/1.1 200"])
    def test_reason_may_be_empty(self, line):
        assert parse_response(line + b"\r\n\r\n").reason_phrase == ""

    def test_reason_may_be_latin1(self):
        assert parse_response(b"HTTP/1.1 200 \xe9\r\n\r\n").reason_phrase == "\xe9"

    @pytest.mark.parametrize(
        "line",
        [b"", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.0 200 OK", b"HTTP/2 200 OK", b"ICY 200 OK",
         b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 600 X", b"HTTP/1.1 099 X",
         b"HTTP/1.1 +20 X", b"HTTP/1.1  200 OK", b"http/1.1 200 OK", b"HTTP/1.1 \xb2\xb2\xb2 X"],
    )  # fmt: skip
    def test_malformed(self, line):
        with pytest.raises(InvalidMessage):
            parse_response(line + b"\r\n\r\n")

    def test_http10_of_proxies(self):
        assert parse_response(b"HTTP/1.0 200 OK\r\n\r\n", allow_http10=True).status_code == 200

    def test_made_by_hand(self):
        made = Response(404, None, {"A": "1"}, b"body")
        assert made.serialize() == b"HTTP/1.1 404 Not Found\r\nA: 1\r\n\r\nbody"
        assert repr(made) == "<Response 404 Not Found>"
        assert made == Response(404, "Not Found", Headers(a="1"), b"body")
        assert made != Response(404, "Not Found", Headers(a="1"), b"")
        assert made != 404
        with pytest.raises(TypeError):
            hash(made)


class TestFindHeadEnd:
    def test_found(self):
        assert find_head_end(CHROME) == len(CHROME)
        assert find_head_end(bytearray(CHROME + b"\x81\x00")) == len(CHROME)

    def test_inside_a_buffer(self):
        buffer = bytearray(b"\r\n\r\n" + CHROME + b"more")
        assert find_head_end(buffer, 4) == 4 + len(CHROME)
        assert find_head_end(buffer, 4, 4 + len(CHROME)) == 4 + len(CHROME)
        assert find_head_end(buffer, 4, 3 + len(CHROME)) == -1

    @pytest.mark.parametrize("head", [CHROME, b"HTTP/1.1 200 OK\r\n\r\n"])
    def test_every_cut(self, head):
        for cut in range(len(head)):
            assert find_head_end(head, 0, cut) == -1
            assert find_head_end(head, 0, searched=cut) == len(head)

    def test_nothing_yet(self):
        assert find_head_end(b"") == -1
        assert find_head_end(b"abc", 3) == -1

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (b"\x16\x03\x01", "received TLS"),
            (b"GET / HTTP/1.1\n", "bare LF"),
            (b"\nGET / HTTP/1.1\r\n", "bare LF"),
        ],
    )
    def test_what_can_never_be_a_head_is_refused_early(self, data, error):
        with pytest.raises(InvalidMessage, match=error):
            find_head_end(data)

    def test_line_without_end(self):
        assert find_head_end(b"G" * (MAX_LINE_LENGTH + 1)) == -1
        with pytest.raises(RequestLineTooLong):
            find_head_end(b"G" * (MAX_LINE_LENGTH + 2))
        with pytest.raises(StatusLineTooLong):
            find_head_end(b"HTTP/1.1 200 " + b"G" * MAX_LINE_LENGTH)

    def test_head_without_end(self):
        head = LINE + b"A: b\r\n" * 11_000
        with pytest.raises(HeaderLineTooLong):
            find_head_end(head)
        with pytest.raises(HeaderLineTooLong):
            find_head_end(head + b"\r\n")
        assert find_head_end(head + b"\r\n", max_head=100_000) == len(head) + 2

    @given(
        st.binary(max_size=60)
        | st.lists(st.sampled_from([b"\r", b"\n", b"a", b":", b" "])).map(b"".join)
    )
    def test_agrees_with_the_parser(self, data):
        """What is found is all of what the parser would take, never more."""
        try:
            end = find_head_end(data)
        except InvalidHandshake:
            return
        if end < 0:
            assert b"\r\n\r\n" not in data
        else:
            assert data[:end].index(b"\r\n\r\n") == end - 4


class TestAnything:
    @given(
        st.binary(max_size=200)
        | st.lists(
            st.sampled_from(
                [b"GET", b" ", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"Host", b": ", b":", b"\n",
                 b"a", b"\r", b"\t", b"Content-Length", b"0", b"http://", b"200", b"\xff", b"\0"]
            )
        ).map(b"".join)
        | st.lists(st.sampled_from([b"a: b\r\n", b"Host: a\r\n", b"Origin: x\r\n", b" c\r\n"])).map(
            lambda lines: LINE + b"".join(lines) + b"\r\n"
        )
    )  # fmt: skip
    @example(CHROME)
    def test_is_a_message_or_a_protocol_error(self, data):
        try:
            parsed = parse_request(data)
        except errors.ProtocolError as exc:
            assert exc.status in (400, 414, 431, 505)  # noqa: PT017
        else:
            assert parsed.fields == Request(parsed.path, parsed.headers).fields
            again = parse_request(parsed.serialize())
            assert again == parsed
        try:
            response = parse_response(data)
        except errors.ProtocolError:
            pass
        else:
            assert parse_response(response.serialize()) == response
