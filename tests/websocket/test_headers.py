"""Headers and the grammars of their values."""

import base64
from collections.abc import MutableMapping
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import UsageError
from duplexio.websocket.exceptions import (
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
)
from duplexio.websocket.headers import (
    Headers,
    MultipleValuesError,
    build_authorization_basic,
    build_extension,
    build_subprotocol,
    build_www_authenticate_basic,
    parse_authorization_basic,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
)

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
tokens = st.text(TOKEN_CHARACTERS, min_size=1, max_size=12)
# Text made of what the grammars are about, so that most of it is nearly right.
nearly = st.lists(
    st.sampled_from(["a", "permessage-deflate", ";", ",", "=", '"', "\\", " ", "\t", "é", "(", "1"])
).map("".join)


class TestHeaders:
    @pytest.fixture
    def headers(self):
        return Headers([("Connection", "Upgrade"), ("Server", "me")])

    @pytest.fixture
    def twice(self):
        return Headers([("Server", "a"), ("server", "b")])

    def test_is_a_mapping(self, headers):
        assert isinstance(headers, MutableMapping)
        assert dict(headers) == {"connection": "Upgrade", "server": "me"}
        assert list(headers) == ["connection", "server"]
        assert len(headers) == 2
        assert headers.get("x") is None

    def test_text(self, headers):
        assert str(headers) == "Connection: Upgrade\r\nServer: me\r\n\r\n"
        assert headers.serialize() == b"Connection: Upgrade\r\nServer: me\r\n\r\n"
        assert repr(headers) == "Headers([('Connection', 'Upgrade'), ('Server', 'me')])"

    def test_latin1_goes_round(self):
        assert Headers({"X": "\xe9"}).serialize() == b"X: \xe9\r\n\r\n"

    @pytest.mark.parametrize("name", ["Server", "server", "SERVER"])
    def test_names_have_no_case(self, headers, name):
        assert name in headers
        assert headers[name] == "me"

    def test_other_objects_are_not_in_it(self, headers):
        assert 1 not in headers
        assert None not in headers

    def test_missing(self, headers):
        with pytest.raises(KeyError):
            headers["X"]
        assert headers.get_all("X") == []

    def test_setting_adds(self, headers):
        headers["Server"] = "you"
        assert headers.get_all("server") == ["me", "you"]

    def test_several_values(self, twice):
        with pytest.raises(MultipleValuesError) as caught:
            twice["Server"]
        assert str(caught.value) == "'Server'"
        assert str(MultipleValuesError("a", "b")) == "('a', 'b')"
        assert isinstance(caught.value, LookupError)
        assert list(twice.raw_items()) == [("Server", "a"), ("server", "b")]

    def test_what_get_all_returns_is_the_callers(self, twice):
        twice.get_all("server").clear()
        assert twice.get_all("server") == ["a", "b"]

    def test_deleting_removes_all(self, twice):
        del twice["SERVER"]
        assert list(twice.raw_items()) == []
        assert "server" not in twice

    def test_deleting_what_is_not_there(self, headers):
        with pytest.raises(KeyError):
            del headers["X"]

    def test_clear(self, headers):
        headers.clear()
        assert (len(headers), str(headers)) == (0, "\r\n")

    def test_copy_is_independent(self, twice):
        copy = twice.copy()
        assert copy == twice
        copy["server"] = "c"
        del twice["server"]
        assert copy.get_all("server") == ["a", "b", "c"]

    @pytest.mark.parametrize(
        "source",
        [
            Headers([("A", "1"), ("A", "2")]),
            [("A", "1"), ("A", "2")],
            (pair for pair in [("A", "1"), ("A", "2")]),
        ],
    )
    def test_from_pairs(self, source):
        assert Headers(source).get_all("a") == ["1", "2"]

    def test_from_mappings_and_keywords(self):
        class Keys:
            def keys(self):
                return ["B"]

            def __getitem__(self, key):
                return "2"

        assert list(Headers({"A": "1"}, c="3").raw_items()) == [("A", "1"), ("c", "3")]
        assert list(Headers(Keys()).raw_items()) == [("B", "2")]

    def test_update_from_headers_keeps_all_values(self, headers, twice):
        headers.update(twice)
        assert headers.get_all("server") == ["me", "a", "b"]

    def test_equality(self, headers):
        assert headers == Headers({"connection": "Upgrade", "server": "me"})
        assert headers != Headers({"connection": "Upgrade"})
        assert headers != {"connection": "Upgrade", "server": "me"}

    def test_is_not_hashable(self, headers):
        with pytest.raises(TypeError):
            hash(headers)

    @pytest.mark.parametrize(
        "value", ["a\r\nSet-Cookie: b", "a\nb", "a\0b", "a\rb", "\u20ac", "\x7f"]
    )
    def test_values_cannot_add_lines(self, headers, value):
        with pytest.raises(InvalidHeaderValue):
            headers["X"] = value
        assert "X" not in headers

    @pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "(x)"])
    def test_names_are_tokens(self, headers, name):
        with pytest.raises(InvalidHeader, match="is not a token"):
            headers[name] = "x"


class TestLists:
    """RFC 9110 §5.6.1."""

    @pytest.mark.parametrize("parse", [parse_connection, parse_upgrade, parse_subprotocol])
    @pytest.mark.parametrize(
        ("value", "items"),
        [
            ("a", ["a"]),
            ("a, b", ["a", "b"]),
            ("a,b,\tc \t", ["a", "b", "c"]),
            (",, a ,, ,b,", ["a", "b"]),
            ("  a  ", ["a"]),
        ],
    )
    def test_valid(self, parse, value, items):
        assert parse(value) == items

    @pytest.mark.parametrize("parse", [parse_connection, parse_upgrade, parse_subprotocol])
    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("", "expected token at 0 in "),
            (" , ", "expected token at 3 in  , "),
            ("a b", "expected comma at 2 in a b"),
            ("a;b", "expected comma at 1 in a;b"),
            ('"a"', 'expected token at 0 in "a"'),
            ("a, é", "expected token at 3 in a, é"),
            ("a\n", "expected comma at 1 in a\n"),
        ],
    )
    def test_invalid(self, parse, value, error):
        with pytest.raises(InvalidHeaderFormat) as caught:
            parse(value)
        assert str(caught.value).endswith(error)

    def test_upgrade_may_have_versions(self):
        assert parse_upgrade("websocket, h2c/1.0") == ["websocket", "h2c/1.0"]
        with pytest.raises(InvalidHeaderFormat, match="expected comma"):
            parse_upgrade("a/b/c")
        with pytest.raises(InvalidHeaderFormat, match="expected comma"):
            parse_connection("a/b")

    @given(st.lists(tokens, min_size=1))
    def test_round_trip(self, items):
        assert parse_subprotocol(", ".join(items)) == items

    @given(nearly | st.text())
    def test_anything_parses_or_is_refused(self, value):
        for parse in (parse_connection, parse_upgrade, parse_subprotocol, parse_extension):
            try:
                assert parse(value)
            except InvalidHeaderFormat as exc:
                assert exc.status == 400  # noqa: PT017


class TestSubprotocols:
    """RFC 6455 §4.1, item 10."""

    def test_build(self):
        assert build_subprotocol(["chat", "superchat"]) == "chat, superchat"
        assert build_subprotocol(()) == ""

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("chat", "expected a list"),
            (["a b"], "'a b' is not a token"),
            ([""], "'' is not a token"),
            (["a\r\nb"], "is not a token"),
            (["a", "a"], "the same one twice"),
        ],
    )
    def test_refused(self, value, message):
        with pytest.raises(UsageError, match=message):
            build_subprotocol(value)


class TestExtensions:
    """RFC 6455 §9.1."""

    @pytest.mark.parametrize(
        ("value", "offers"),
        [
            ("foo", [("foo", [])]),
            ("foo, bar", [("foo", []), ("bar", [])]),
            ("foo; name; token=token", [("foo", [("name", None), ("token", "token")])]),
            ('foo; quoted="string"', [("foo", [("quoted", "string")])]),
            (r'foo; quoted="\s\t"', [("foo", [("quoted", "st")])]),
            (
                "foo ;\ta = 1 , bar;b",
                [("foo", [("a", "1")]), ("bar", [("b", None)])],
            ),
            (",foo;a=1,,bar, ", [("foo", [("a", "1")]), ("bar", [])]),
            (
                "permessage-deflate; client_max_window_bits",
                [("permessage-deflate", [("client_max_window_bits", None)])],
            ),
        ],
    )
    def test_valid(self, value, offers):
        assert parse_extension(value) == offers

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("", "expected token at 0"),
            (",", "expected token at 1"),
            ("foo;", "expected token at 4"),
            ("foo; ;a", "expected token at 4"),
            ("foo bar", "expected comma at 4"),
            ("foo; a b", "expected comma at 7"),
            ("foo; a=", "expected token or quoted string at 7"),
            ('foo; a="', "expected token or quoted string at 7"),
            ('foo; a="b', "expected token or quoted string at 7"),
            ('foo; a="b c"', "expected a token in the quotes at 7"),
            ('foo; a=""', "expected a token in the quotes at 7"),
            (r'foo; a="\"', "expected token or quoted string at 7"),
            ('foo; a="b"c', "expected comma at 10"),
            ("foo; a=b=c", "expected comma at 8"),
        ],
    )
    def test_invalid(self, value, error):
        with pytest.raises(InvalidHeaderFormat, match=error):
            parse_extension(value)

    @given(
        st.lists(
            st.tuples(tokens, st.lists(st.tuples(tokens, st.none() | tokens), max_size=3)),
            min_size=1,
            max_size=4,
        )
    )
    def test_round_trip(self, offers):
        assert parse_extension(build_extension(offers)) == offers


class TestTime:
    @pytest.mark.parametrize(
        "value",
        [
            "," * 200_000,
            " " * 200_000,
            " ," * 100_000,
            "a" + " " * 200_000 + "é",
            "a;b=" + '"' + "\\" * 200_000,
            "a" + ";b" * 100_000 + "é",
            'a;b="' + "x" * 200_000,
            'a;b="x"' * 30_000,
        ],
    )
    @pytest.mark.parametrize("parse", [parse_extension, parse_subprotocol, parse_upgrade])
    def test_is_linear(self, parse, value):
        # Far longer than a line of a head may be; quadratic parsing would take minutes.
        started = process_time()
        with pytest.raises(InvalidHeaderFormat):
            parse(value)
        assert process_time() - started < 5


class TestBasicAuthentication:
    """RFC 7617 §2."""

    def test_example(self):
        assert (
            build_authorization_basic("Aladdin", "open sesame")
            == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        )

    def test_example_in_utf8(self):
        assert build_authorization_basic("test", "123£") == "Basic dGVzdDoxMjPCow=="

    @given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])), st.text())
    def test_round_trip(self, username, password):
        try:
            value = build_authorization_basic(username, password)
        except UnicodeEncodeError:
            return  # a lone surrogate that stands for no byte
        assert parse_authorization_basic(value) == (username, password)

    def test_what_is_not_utf8_goes_round(self):
        value = "Basic " + base64.b64encode(b"\xff:\xfe").decode()
        assert build_authorization_basic(*parse_authorization_basic(value)) == value

    def test_colon_in_the_name(self):
        with pytest.raises(UsageError, match="has a colon"):
            build_authorization_basic("a:b", "c")

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("", "expected Basic credentials, not ''"),
            ("Basic", "expected Basic credentials, not 'Basic'"),
            ("Digest a=b", "expected Basic credentials, not 'Digest'"),
            ("Basic a=b=", "expected Basic credentials"),
            ("Basic YQ== ", "expected Basic credentials"),
            ("Basic YQ", "expected credentials in base64"),
            ("Basic YQ==", "expected username:password"),
        ],
    )
    def test_invalid(self, value, error):
        with pytest.raises(InvalidHeaderValue, match=error):
            parse_authorization_basic(value)

    def test_scheme_has_no_case(self):
        assert parse_authorization_basic("bAsIc OjE=") == ("", "1")

    def test_challenge(self):
        value = build_www_authenticate_basic('a "b" \\')
        assert value == r'Basic realm="a \"b\" \\", charset="UTF-8"'

    def test_challenge_that_cannot_be_sent(self):
        with pytest.raises(UsageError, match="cannot carry"):
            build_www_authenticate_basic("a\r\nb")
