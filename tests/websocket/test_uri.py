"""WebSocket URIs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import UsageError
from duplexio.websocket.exceptions import InvalidURI
from duplexio.websocket.uri import WebSocketURI, build_host, parse_uri


class TestSection3_WebSocketURIs:
    @pytest.mark.parametrize(
        ("uri", "parsed"),
        [
            ("ws://localhost/", WebSocketURI(False, "localhost", 80, "/", "")),
            ("wss://localhost/", WebSocketURI(True, "localhost", 443, "/", "")),
            ("WSS://LocalHost/A", WebSocketURI(True, "localhost", 443, "/A", "")),
            ("ws://localhost", WebSocketURI(False, "localhost", 80, "", "")),
            ("ws://localhost?a=b", WebSocketURI(False, "localhost", 80, "", "a=b")),
            ("ws://localhost/a/b?c=d?e", WebSocketURI(False, "localhost", 80, "/a/b", "c=d?e")),
            ("ws://localhost/a;b=c/d;e", WebSocketURI(False, "localhost", 80, "/a;b=c/d;e", "")),
            ("ws://localhost:8080/", WebSocketURI(False, "localhost", 8080, "/", "")),
            ("ws://localhost:/", WebSocketURI(False, "localhost", 80, "/", "")),
            ("wss://localhost:80/", WebSocketURI(True, "localhost", 80, "/", "")),
            ("ws://127.0.0.1:65535/", WebSocketURI(False, "127.0.0.1", 65535, "/", "")),
            ("ws://[::1]/", WebSocketURI(False, "::1", 80, "/", "")),
            ("ws://[FE80::1]:1/", WebSocketURI(False, "fe80::1", 1, "/", "")),
            ("ws://[fe80::1%25eth0]/", WebSocketURI(False, "fe80::1%eth0", 80, "/", "")),
            ("ws://a_b.example/", WebSocketURI(False, "a_b.example", 80, "/", "")),
            ("ws://u:p@h/", WebSocketURI(False, "h", 80, "/", "", "u", "p")),
            ("ws://u:@h/", WebSocketURI(False, "h", 80, "/", "", "u", "")),
            ("ws://u%3A:p%40:q@h/", WebSocketURI(False, "h", 80, "/", "", "u:", "p@:q")),
            ("ws://u@x:p@h/", WebSocketURI(False, "h", 80, "/", "", "u@x", "p")),
            ("ws://h/%C3%A9?%20", WebSocketURI(False, "h", 80, "/%C3%A9", "%20")),
        ],
    )
    def test_valid(self, uri, parsed):
        assert parse_uri(uri) == parsed

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("", "there is no host"),
            ("localhost", "there is no host"),
            ("http://localhost/", "the scheme isn't ws or wss"),
            ("://localhost/", "there is no host"),
            ("//localhost/", "the scheme isn't ws or wss"),
            ("ws:localhost/", "there is no host"),
            ("ws:///a", "there is no host"),
            ("ws://:80/", "there is no host"),
            ("ws://localhost/#a", "a fragment is meaningless"),
            ("ws://localhost/#", "a fragment is meaningless"),
            ("ws://localhost/a b", "character ' ' at 16 must be percent-encoded"),
            ("ws://localhost/\r\nX: y", r"character '\\r' at 15"),
            (" ws://localhost/", "character ' ' at 0"),
            ("ws://local\thost/", r"character '\\t' at 10"),
            ("ws://localhost:x/", "'x' isn't a port"),
            ("ws://localhost:0/", "'0' isn't a port; expected 1 to 65535"),
            ("ws://localhost:65536/", "'65536' isn't a port"),
            ("ws://localhost:-1/", "'-1' isn't a port"),
            ("ws://localhost:1:2/", "'1:2' isn't a port"),
            ("ws://localhost:\u0661/", "isn't a port"),
            ("ws://user@localhost/", "a user name and no password"),
            ("ws://u:%ff@localhost/", "isn't UTF-8"),
            ("ws://[::1/", "Invalid IPv6 URL"),
            ("ws://[::1]x/", r"'\[::1\]x' isn't an IPv6 address in brackets and a port"),
            ("ws://[127.0.0.1]/", "."),  # urlsplit() has messages of its own
            ("ws://[v1.a]/", "'v1.a' isn't an IPv6 address"),
            ("ws://::1/", "there is no host"),
            ("ws://a|b/", "'a|b' isn't a valid host"),
            ("ws://a%/", "isn't a valid host"),
            ("ws://a\\b/", "isn't a valid host"),
        ],
    )
    def test_invalid(self, uri, message):
        with pytest.raises(InvalidURI, match=message.replace("|", r"\|")) as caught:
            parse_uri(uri)
        assert isinstance(caught.value, UsageError)
        assert caught.value.uri == uri

    @pytest.mark.parametrize(
        ("uri", "name"),
        [
            ("ws://h", "/"),
            ("ws://h/", "/"),
            ("ws://h?a", "/?a"),
            ("ws://h/?", "/"),
            ("ws://h/b?a", "/b?a"),
        ],
    )
    def test_resource_name(self, uri, name):
        assert parse_uri(uri).resource_name == name

    @pytest.mark.parametrize(
        ("uri", "host"),
        [
            ("ws://h/", "h"),
            ("ws://h:80/", "h"),
            ("ws://h:443/", "h:443"),
            ("wss://h:443/", "h"),
            ("ws://[::1]:9/", "[::1]:9"),
            ("wss://[::1]/", "[::1]"),
            ("ws://[fe80::1%25eth0]/", "[fe80::1]"),
        ],
    )
    def test_host_header(self, uri, host):
        assert parse_uri(uri).host_header == host

    def test_text_has_no_credentials(self):
        assert str(parse_uri("ws://user:secret@h:80?a")) == "ws://h/?a"
        assert str(parse_uri("wss://h:80/a?b")) == "wss://h:80/a?b"

    def test_user_info(self):
        assert parse_uri("ws://h/").user_info is None
        assert parse_uri("ws://a:b@h/").user_info == ("a", "b")


class TestIRI:
    def test_is_converted(self):
        parsed = parse_uri("ws://Bücher.example:81/é/%C3%A9?ü=&/")
        assert parsed.host == "xn--bcher-kva.example"
        assert parsed.resource_name == "/%C3%A9/%C3%A9?%C3%BC=&/"

    @pytest.mark.parametrize("host", ["é" * 70, "é..example", "\u2028"])
    def test_invalid_name(self, host):
        with pytest.raises(InvalidURI, match="isn't a valid"):
            parse_uri(f"ws://{host}/")


def test_build_host():
    assert build_host("h", 80) == "h:80"
    assert build_host("h", 80, 80) == "h"
    assert build_host("::1", 80) == "[::1]:80"


@given(
    st.text()
    | st.lists(
        st.sampled_from(["ws", "wss", ":", "//", "/", "?", "#", "@", "[", "]", "a", "1", "é", "%"])
    ).map("".join)
    | st.text().map(lambda text: f"ws://{text}/")
)
def test_anything_parses_or_is_refused(uri):
    try:
        parsed = parse_uri(uri)
    except InvalidURI:
        return
    assert parsed.resource_name.isascii()
    assert not any(c.isspace() for c in parsed.resource_name + parsed.host_header)
    assert 0 < parsed.port < 65536
    if parsed.username is None:
        assert parse_uri(str(parsed)).resource_name == parsed.resource_name
