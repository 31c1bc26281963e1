"""Proxies."""

import pytest

from duplexio.websocket.exceptions import InvalidProxy, InvalidProxyMessage, InvalidProxyStatus
from duplexio.websocket.proxy import (
    Proxy,
    build_connect_request,
    check_connect_response,
    get_proxy,
    parse_proxy,
)
from duplexio.websocket.uri import parse_uri


class TestParseProxy:
    @pytest.mark.parametrize(
        ("address", "proxy"),
        [
            ("http://h", Proxy("http", "h", 80)),
            ("https://h", Proxy("https", "h", 443)),
            ("http://h:3128/", Proxy("http", "h", 3128)),
            ("http://[::1]:3128", Proxy("http", "::1", 3128)),
            ("http://u:p%20w@h:1", Proxy("http", "h", 1, "u", "p w")),
            ("socks4://h", Proxy("socks4", "h", 1080)),
            ("socks4a://h", Proxy("socks4a", "h", 1080)),
            ("socks5://h", Proxy("socks5", "h", 1080)),
            ("socks5h://h:1", Proxy("socks5h", "h", 1)),
            ("http://Bücher.example", Proxy("http", "xn--bcher-kva.example", 80)),
        ],
    )
    def test_valid(self, address, proxy):
        assert parse_proxy(address) == proxy

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ("h:3128", "there is no host"),
            ("ftp://h", "scheme 'ftp' isn't supported; expected one of http, https, socks4"),
            ("ws://h", "scheme 'ws' isn't supported"),
            ("http://", "there is no host"),
            ("http://h/x", "is meaningless"),
            ("http://h?x", "is meaningless"),
            ("http://h#x", "is meaningless"),
            ("http://u@h", "no password"),
            ("http://h:0", "isn't a port"),
            ("http://h\n", "must be percent-encoded"),
        ],
    )
    def test_invalid(self, address, message):
        with pytest.raises(InvalidProxy, match=message) as caught:
            parse_proxy(address)
        assert caught.value.proxy == address

    def test_user_info(self):
        assert parse_proxy("http://h").user_info is None
        assert parse_proxy("http://u:p@h").user_info == ("u", "p")


class TestGetProxy:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch):
        for scheme in ("ws", "wss", "socks", "https", "http", "no", "all"):
            for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
                monkeypatch.delenv(name, raising=False)
        # What a system may name beside the environment has no place in the test.
        monkeypatch.setenv("unrelated_proxy", "http://unrelated")
        return monkeypatch

    def test_none(self):
        assert get_proxy(parse_uri("ws://h/")) is None

    @pytest.mark.parametrize(
        ("uri", "order"),
        [("ws://h/", ["ws", "socks", "https", "http"]), ("wss://h/", ["wss", "socks", "https"])],
    )
    def test_order(self, environment, uri, order):
        expected = None
        for scheme in reversed(order):
            environment.setenv(f"{scheme}_proxy", f"socks5h://{scheme}")
            expected = f"socks5h://{scheme}"
            assert get_proxy(parse_uri(uri)) == expected

    @pytest.mark.parametrize(
        ("uri", "scheme"), [("wss://h/", "ws"), ("wss://h/", "http"), ("ws://h/", "wss")]
    )
    def test_proxies_of_other_schemes(self, environment, uri, scheme):
        environment.setenv(f"{scheme}_proxy", "http://p")
        assert get_proxy(parse_uri(uri)) is None

    def test_upper_case(self, environment):
        environment.setenv("HTTPS_PROXY", "http://p")
        assert get_proxy(parse_uri("wss://h/")) == "http://p"

    def test_the_systems_socks_proxy_is_given_as_http(self, environment):
        environment.setenv("socks_proxy", "http://p:1080")
        assert get_proxy(parse_uri("wss://h/")) == "socks5h://p:1080"

    @pytest.mark.parametrize("no_proxy", ["*", "h", "other,h", "h:80"])
    def test_exceptions(self, environment, no_proxy):
        environment.setenv("http_proxy", "http://p")
        environment.setenv("no_proxy", no_proxy)
        assert get_proxy(parse_uri("ws://h/")) is None
        assert get_proxy(parse_uri("ws://a/")) == (None if no_proxy == "*" else "http://p")


class TestConnect:
    """RFC 9110 §9.3.6."""

    def test_request(self):
        data = build_connect_request(parse_proxy("http://p"), parse_uri("ws://[::1]/chat"))
        assert data == b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"

    def test_credentials_of_the_proxy_and_no_other(self):
        data = build_connect_request(
            parse_proxy("http://Aladdin:open%20sesame@p"),
            parse_uri("wss://user:secret@h/"),
            user_agent="test",
        )
        assert data == (
            b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nUser-Agent: test\r\n"
            b"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        )

    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    @pytest.mark.parametrize("status", [b"200 Connection established", b"299"])
    def test_accepted(self, version, status):
        check_connect_response(b"HTTP/%b %b\r\n\r\n" % (version, status))

    @pytest.mark.parametrize("status", [101, 301, 407, 502])
    def test_refused(self, status):
        with pytest.raises(InvalidProxyStatus, match=f"HTTP {status}") as caught:
            check_connect_response(f"HTTP/1.1 {status} No\r\nX: y\r\n\r\n".encode())
        assert caught.value.response.headers["x"] == "y"

    @pytest.mark.parametrize("head", [b"\x05\x00", b"HTTP/2 200 OK\r\n\r\n", b"SSH-2.0\r\n\r\n",
                                      b"HTTP/1.1 200 %b\r\n\r\n" % bytes(9000)])  # fmt: skip
    def test_malformed(self, head):
        with pytest.raises(InvalidProxyMessage, match="valid response of the proxy"):
            check_connect_response(head)
