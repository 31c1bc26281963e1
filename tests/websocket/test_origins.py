"""Which pages may connect."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import UsageError
from duplexio.websocket.exceptions import InvalidOrigin
from duplexio.websocket.origins import SAME_ORIGIN, check_origin


class TestSameOrigin:
    """The default: pages of the same host and port."""

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            (None, "example.com"),
            ("http://example.com", "example.com"),
            ("https://example.com", "example.com"),
            ("HTTPS://Example.COM", "example.com"),
            ("http://example.com:8000", "example.com:8000"),
            ("https://example.com:8000", "example.com:8000"),
            # A default port may be written or not.
            ("http://example.com:80", "example.com"),
            ("http://example.com", "example.com:80"),
            ("https://example.com", "example.com:443"),
            ("https://example.com:443", "example.com"),
            ("http://[::1]", "[::1]"),
            ("http://[::1]:8000", "[::1]:8000"),
            ("http://[::1]", "[::1]:80"),
            ("http://127.0.0.1:9", "127.0.0.1:9"),
        ],
    )
    def test_allowed(self, origin, host):
        check_origin(origin, host, SAME_ORIGIN)

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("http://evil.example", "example.com"),
            ("http://example.com.evil.example", "example.com"),
            ("http://evilexample.com", "example.com"),
            ("http://example.com:8001", "example.com:8000"),
            ("http://example.com", "example.com:8000"),
            ("http://example.com:8000", "example.com"),
            ("https://example.com", "example.com:80"),
            ("http://example.com", "example.com:443"),
            ("http://example.com@evil.example", "example.com"),
            ("http://example.com/", "example.com"),
            ("http://example.com:", "example.com:8000"),
            ("http://[::1]:8000", "[::1]:8001"),
            ("http://[::1]", "[::2]"),
            ("null", "null"),
            ("null", "example.com"),
            ("", "example.com"),
            ("", ""),
            ("http://", ""),
            ("example.com", "example.com"),
            ("file://", "example.com"),
            ("app://localhost", "localhost"),
            ("chrome-extension://abcdef", "abcdef"),
            ("http://a.example, http://b.example", "a.example"),
        ],
    )
    def test_refused(self, origin, host):
        with pytest.raises(InvalidOrigin) as caught:
            check_origin(origin, host, SAME_ORIGIN)
        assert caught.value.status == 403

    def test_refusal_names_origin_and_setting(self):
        with pytest.raises(InvalidOrigin) as caught:
            check_origin("http://other:3000", "localhost:8000", SAME_ORIGIN)
        assert str(caught.value) == (
            "invalid Origin header: http://other:3000; this server, 'localhost:8000', allows its"
            " own pages only; origins=['http://other:3000'] would allow this one"
        )

    def test_refusal_explains_null(self):
        with pytest.raises(InvalidOrigin, match=r"origins=\['null'\] would .*opened from disk"):
            check_origin("null", "localhost:8000", SAME_ORIGIN)

    @given(st.text(), st.text())
    def test_anything_is_allowed_or_refused(self, origin, host):
        try:
            check_origin(origin, host, SAME_ORIGIN)
        except InvalidOrigin:
            return
        assert origin.lower().startswith(("http://", "https://"))


class TestNone:
    @pytest.mark.parametrize("origin", [None, "null", "http://evil.example", ""])
    def test_allows_all(self, origin):
        check_origin(origin, "example.com", None)


class TestList:
    @pytest.mark.parametrize(
        ("origin", "origins"),
        [
            ("http://a.example", ["http://a.example"]),
            ("http://b.example", ("http://a.example", "http://b.example")),
            ("null", ["null"]),
            (None, [None, "http://a.example"]),
            ("https://x.a.example", [re.compile(r"https://[a-z]+\.a\.example")]),
        ],
    )
    def test_allowed(self, origin, origins):
        check_origin(origin, "example.com", origins)

    @pytest.mark.parametrize(
        ("origin", "origins"),
        [
            ("http://example.com", []),
            ("http://example.com", ["http://a.example"]),
            ("http://A.example", ["http://a.example"]),
            ("http://a.example:80", ["http://a.example"]),
            (None, ["http://a.example"]),
            (None, [re.compile(".*")]),
            ("", [None]),
            ("https://x.a.example.evil", [re.compile(r"https://[a-z]+\.a\.example")]),
        ],
    )
    def test_refused(self, origin, origins):
        with pytest.raises(InvalidOrigin):
            check_origin(origin, "example.com", origins)

    def test_refusal_names_the_setting(self):
        with pytest.raises(InvalidOrigin, match="adding 'http://b' to the server's origins would"):
            check_origin("http://b", "example.com", ["http://a"])
        with pytest.raises(InvalidOrigin, match="adding None to the server's origins would"):
            check_origin(None, "example.com", ["http://a"])


def test_a_string_is_a_mistake():
    with pytest.raises(UsageError, match="expected a list of origins"):
        check_origin("http://a.example", "a.example", "http://a.example")
