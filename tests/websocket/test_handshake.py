"""The opening handshake of RFC 6455 §4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import ProtocolError, UsageError
from duplexio.websocket.exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMethod,
    InvalidOrigin,
    InvalidParameterName,
    InvalidProtocol,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
)
from duplexio.websocket.handshake import (
    DRAFT_VERSIONS,
    ClientHandshake,
    accept,
    accept_key,
    build_key,
    choose_subprotocol,
    reject,
    rejection,
    render_headers,
)
from duplexio.websocket.headers import Headers
from duplexio.websocket.http11 import Request, Response, parse_request, parse_response
from duplexio.websocket.uri import parse_uri

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Extension:
    def __init__(self, name, params):
        self.name = name
        self.params = params


class Factory:
    """An extension that knows the parameters it was given, on both sides."""

    def __init__(self, name, *known):
        self.name = name
        self.known = known
        self.seen = []

    def _check(self, params, accepted):
        self.seen.append((list(params), [extension.name for extension in accepted]))
        for key, _ in params:
            if key not in self.known:
                raise InvalidParameterName(key)
        return Extension(self.name, list(params))

    def process_request_params(self, params, accepted):
        extension = self._check(params, accepted)
        return extension.params, extension

    def get_request_params(self):
        return [(key, None) for key in self.known]

    def process_response_params(self, params, accepted):
        return self._check(params, accepted)


def make_request(changes=(), *, method="GET", protocol="HTTP/1.1", path="/chat", **more):
    """A valid request, with headers replaced, removed (None) or repeated (a list)."""
    headers = {
        "Host": "server.example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **dict(changes),
        **{f"Sec-WebSocket-{name.capitalize()}": value for name, value in more.items()},
    }
    head = f"{method} {path} {protocol}\r\n"
    for name, value in headers.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                head += f"{name}: {item}\r\n"
    return parse_request(head.encode("latin-1") + b"\r\n")


class TestSection4_2_1_ReadingTheClientsHandshake:
    def test_example_of_section_1_3(self):
        request = make_request(
            {
                "Origin": "http://example.com",
                "Sec-WebSocket-Protocol": "chat, superchat",
            }
        )
        accepted = accept(request, origins=["http://example.com"], subprotocols=["chat"])
        assert accepted.data == (
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Upgrade: websocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            b"Sec-WebSocket-Protocol: chat\r\n"
            b"\r\n"
        )
        assert accepted.subprotocol == "chat"
        assert accepted.extensions == []

    def test_a_request_made_by_hand(self):
        headers = {"Host": "a", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}  # fmt: skip
        assert accept(Request("/", headers)).data == accept(make_request()).data

    def test_forgets_what_can_be_read_again(self):
        request = make_request()
        accept(request)
        assert request._fields is None
        assert request.headers["sec-websocket-key"] == KEY

    @pytest.mark.parametrize("method", ["POST", "HEAD", "get", "CONNECT"])
    def test_1_method(self, method):
        with pytest.raises(InvalidMethod, match=f"HTTP method: {method}"):
            accept(make_request(method=method))

    def test_1_version(self):
        with pytest.raises(InvalidProtocol, match=r"HTTP version: HTTP/1\.0"):
            accept(make_request(protocol="HTTP/1.0"))

    @pytest.mark.parametrize("value", ["websocket", "WebSocket", "WEBSOCKET", "h2c, websocket"])
    def test_3_upgrade(self, value):
        accept(make_request({"Upgrade": value}))

    @pytest.mark.parametrize("value", [None, "", "h2c", "websocket/13", "websockets"])
    def test_3_upgrade_wrong(self, value):
        with pytest.raises(InvalidUpgrade) as caught:
            accept(make_request({"Upgrade": value}))
        assert (caught.value.name, caught.value.status) == ("Upgrade", 426)

    @pytest.mark.parametrize("value", ["Upgrade", "upgrade", "keep-alive, Upgrade", ",UPGRADE,,",
                                       ["keep-alive", "Upgrade"]])  # fmt: skip
    def test_4_connection(self, value):
        accept(make_request({"Connection": value}))

    @pytest.mark.parametrize("value", [None, "", "keep-alive", "close", "Upgrade-Insecure"])
    def test_4_connection_wrong(self, value):
        with pytest.raises(InvalidUpgrade) as caught:
            accept(make_request({"Connection": value}))
        assert caught.value.name == "Connection"

    @pytest.mark.parametrize("name", ["Connection", "Upgrade"])
    def test_3_and_4_malformed(self, name):
        with pytest.raises(InvalidHeaderFormat):
            accept(make_request({name: "a b"}))

    @pytest.mark.parametrize(
        "key",
        [
            KEY,
            "AQIDBAUGBwgJCgsMDQ4PEC==",  # of RFC 6455 §4.1, whose last character has bits to spare
            "+/" * 11 + "==",
        ],
    )
    def test_5_key(self, key):
        accepted = accept(make_request(key=key))
        assert accepted.response.headers["Sec-WebSocket-Accept"] == accept_key(key)

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "x",
            KEY[:-1],
            KEY + "=",
            KEY[:-2],
            "dGhlIHNhbXBsZSBub25jZSE=",  # 17 bytes
            "dGhlIHNhbXBsZSBub25j",  # 15 bytes
            "dGhlIHNhbXBsZSBub25jZSEh",  # 18 bytes in 24 characters
            "dGhlIHNhbXBsZSBub25jZQ=a",
            "dGhlIHNhbXBsZSBub25=ZQ==",
            "dGhlIHNhbXBsZSBub25-ZQ==",
            "dGhlIHNhbXBs ZSBub25jZQ=",
            "\xe9GhlIHNhbXBsZSBub25jZQ==",
        ],
    )
    def test_5_key_wrong(self, key):
        with pytest.raises(InvalidHeaderValue, match="expected 16 bytes in base64"):
            accept(make_request(key=key))

    def test_5_key_missing(self):
        with pytest.raises(InvalidHeader, match="missing Sec-WebSocket-Key header"):
            accept(make_request(key=None))

    @pytest.mark.parametrize("version", ["0", "8", "12", "14", "013", "13, 8", "", "x"])
    def test_6_version_wrong(self, version):
        with pytest.raises(InvalidHeaderValue, match="expected 13") as caught:
            accept(make_request(version=version))
        assert caught.value.status == 426

    def test_6_version_missing(self):
        with pytest.raises(InvalidHeader, match="missing Sec-WebSocket-Version header") as caught:
            accept(make_request(version=None))
        assert caught.value.status == 400

    @pytest.mark.parametrize("version", ["13", "8", "7"])
    def test_6_version_of_the_last_drafts(self, version):
        accept(make_request(version=version), versions=DRAFT_VERSIONS)

    @pytest.mark.parametrize("version", ["8", "7"])
    def test_6_origin_of_the_last_drafts(self, version):
        request = make_request(version=version, origin="http://evil.example")
        with pytest.raises(InvalidOrigin, match="evil"):
            accept(request, versions=DRAFT_VERSIONS)

    def test_7_origin(self):
        accept(make_request({"Origin": "https://server.example.com"}))
        with pytest.raises(InvalidOrigin):
            accept(make_request({"Origin": "https://example.com"}))
        accept(make_request({"Origin": "https://example.com"}), origins=None)


class TestSection4_2_2_SendingTheServersHandshake:
    def test_further_headers(self):
        extra = render_headers([("Server", "x"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
        response = accept(make_request(), extra=extra).response
        assert response.headers["server"] == "x"
        assert response.headers.get_all("set-cookie") == ["a", "b"]

    def test_further_headers_cannot_break_the_head(self):
        with pytest.raises(InvalidHeaderValue):
            render_headers({"X": "a\r\n\r\nb"})

    @given(st.binary(min_size=16, max_size=16))
    def test_4_any_key(self, nonce):
        key = build_key(nonce)
        response = accept(make_request(key=key)).response
        ClientHandshake("ws://h/", key).check_response(response)


class TestSubprotocols:
    """RFC 6455 §4.2.2, step 5.5."""

    @pytest.mark.parametrize(
        ("offered", "supported", "chosen"),
        [
            (None, None, None),
            (None, [], None),
            ("chat", None, None),
            ("chat", ["chat"], "chat"),
            ("superchat, chat", ["chat", "superchat"], "chat"),
            (["superchat", "chat"], ["other", "superchat"], "superchat"),
        ],
    )
    def test_chosen(self, offered, supported, chosen):
        request = make_request({"Sec-WebSocket-Protocol": offered})
        accepted = accept(request, subprotocols=supported)
        assert accepted.subprotocol == chosen
        assert accepted.response.headers.get("Sec-WebSocket-Protocol") == chosen

    @pytest.mark.parametrize(
        ("offered", "message"),
        [
            (None, "missing subprotocol; expected one of chat, superchat"),
            ("other", "invalid subprotocol; expected one of chat, superchat"),
            ("Chat", "invalid subprotocol"),
        ],
    )
    def test_none_in_common(self, offered, message):
        request = make_request({"Sec-WebSocket-Protocol": offered})
        with pytest.raises(NegotiationError, match=message) as caught:
            accept(request, subprotocols=["chat", "superchat"])
        assert caught.value.status == 400

    def test_malformed(self):
        request = make_request({"Sec-WebSocket-Protocol": "a b"})
        with pytest.raises(InvalidHeaderFormat):
            accept(request, subprotocols=["a"])
        accept(make_request({"Sec-WebSocket-Protocol": "a b"}))

    @pytest.mark.parametrize("chosen", ["b", None])
    def test_selected_by_the_application(self, chosen):
        seen = []

        def select(offered):
            seen.append(offered)
            return chosen

        request = make_request({"Sec-WebSocket-Protocol": "a, b"})
        assert accept(request, select_subprotocol=select).subprotocol == chosen
        assert seen == [["a", "b"]]

    def test_selected_although_not_offered(self):
        with pytest.raises(UsageError, match="returned 'c', which the client does not offer: a"):
            choose_subprotocol(["a"], (), lambda offered: "c")

    def test_selection_may_refuse(self):
        def select(offered):
            raise NegotiationError("not today")

        with pytest.raises(NegotiationError, match="not today"):
            accept(make_request(), select_subprotocol=select)


class TestExtensions:
    """RFC 6455 §9.1, the server's side."""

    def negotiate(self, offered, *factories):
        accepted = accept(make_request({"Sec-WebSocket-Extensions": offered}), extensions=factories)
        answer = accepted.response.headers.get("Sec-WebSocket-Extensions")
        return answer, [extension.name for extension in accepted.extensions]

    def test_none_supported(self):
        assert self.negotiate("x-a") == (None, [])

    def test_none_offered(self):
        assert self.negotiate(None, Factory("x-a")) == (None, [])

    def test_unknown(self):
        assert self.negotiate("x-b", Factory("x-a")) == (None, [])

    def test_accepted_with_parameters(self):
        answer = self.negotiate('x-a; p="1"; q', Factory("x-a", "p", "q"))
        assert answer == ("x-a; p=1; q", ["x-a"])

    def test_the_client_falls_back(self):
        # RFC 7692 §5.1: a client gives several offers of one extension, in order of preference.
        assert self.negotiate("x-a; new, x-a", Factory("x-a")) == ("x-a", ["x-a"])

    def test_order_is_the_clients(self):
        answer = self.negotiate("x-b, x-a", Factory("x-a"), Factory("x-b"))
        assert answer == ("x-b, x-a", ["x-b", "x-a"])

    def test_factories_see_what_was_accepted_before(self):
        second = Factory("x-b")
        self.negotiate(["x-a", "x-b"], Factory("x-a"), second)
        assert second.seen == [([], ["x-a"])]

    def test_several_factories_of_one_name(self):
        answer = self.negotiate("x-a; q", Factory("x-a", "p"), Factory("x-a", "q"))
        assert answer == ("x-a; q", ["x-a"])

    def test_malformed(self):
        with pytest.raises(InvalidHeaderFormat):
            self.negotiate("x-a;", Factory("x-a"))
        self.negotiate("x-a;")  # nobody reads it


class TestRejection:
    @pytest.mark.parametrize(
        ("exc", "status", "headers"),
        [
            (InvalidMethod("POST"), 405, {"Allow": "GET"}),
            (InvalidProtocol("HTTP/1.0"), 505, {}),
            (InvalidOrigin("null"), 403, {}),
            (InvalidHeader("Sec-WebSocket-Key"), 400, {}),
            (
                InvalidUpgrade("Upgrade"),
                426,
                {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
            ),
            (NegotiationError("none in common"), 400, {}),
            (ProtocolError("busy", status=503), 503, {}),
        ],
    )
    def test_of_protocol_errors(self, exc, status, headers):
        response = rejection(exc)
        assert response.status_code == status
        assert str(exc).encode() in response.body
        common = {"connection", "content-length", "content-type"}
        assert {name: response.headers[name] for name in headers} == headers
        assert set(response.headers) == common | {name.lower() for name in headers}
        assert response.headers["Content-Length"] == str(len(response.body))
        assert response.headers["Connection"] == "close"

    def test_section_4_4_names_the_versions(self):
        with pytest.raises(InvalidHeaderValue) as caught:
            accept(make_request(version="12"), versions=DRAFT_VERSIONS)
        response = rejection(caught.value, versions=DRAFT_VERSIONS)
        assert response.status_code == 426
        assert response.headers["Sec-WebSocket-Version"] == "13, 8, 7"

    def test_of_other_exceptions_tells_nothing(self):
        response = rejection(ValueError("the password is 1234"))
        assert response.status_code == 500
        assert b"1234" not in response.body

    def test_of_a_plain_browser_says_what_this_is(self):
        with pytest.raises(InvalidUpgrade) as caught:
            accept(make_request({"Upgrade": None, "Connection": "keep-alive"}))
        assert b"This address is for WebSockets" in rejection(caught.value).body

    def test_date(self):
        date = "Fri, 20 Nov 2026 00:00:00 GMT"
        assert rejection(InvalidMethod("X"), date=date).headers["Date"] == date
        assert rejection(ValueError(), date=date).headers["Date"] == date

    def test_response_can_be_sent(self):
        response = rejection(InvalidHeaderValue("X", "\xe9\ud800"))
        head, _, body = response.serialize().partition(b"\r\n\r\n")
        assert parse_response(head + b"\r\n\r\n").status_code == 400
        assert body.decode() == (
            "Failed to open a WebSocket connection: invalid X header: \xe9\\ud800.\n"
        )

    def test_reject_with_further_headers(self):
        response = reject(401, "Who are you?\n", [("WWW-Authenticate", 'Basic realm="x"')])
        assert (response.status_code, response.reason_phrase) == (401, "Unauthorized")
        assert response.headers["WWW-Authenticate"] == 'Basic realm="x"'


class TestSection4_1_ClientsRequest:
    def headers(self, uri="ws://example.com/chat", **kwargs):
        return ClientHandshake(uri, KEY, **kwargs).request.headers

    def test_least(self):
        request = ClientHandshake("ws://example.com/chat?room=1", KEY).request
        assert request.serialize() == (
            b"GET /chat?room=1 HTTP/1.1\r\n"
            b"Host: example.com\r\n"
            b"Upgrade: websocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n"
            b"\r\n"
        )

    def test_most(self):
        headers = self.headers(
            "wss://user:password@example.com:80/",
            origin="https://example.com",
            user_agent="test/1",
            subprotocols=["chat", "superchat"],
            extensions=[Factory("x-a", "p"), Factory("x-b")],
            headers=[("Cookie", "a=1"), ("X", "1"), ("X", "2")],
        )
        assert headers["Host"] == "example.com:80"
        assert headers["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
        assert headers["Origin"] == "https://example.com"
        assert headers["User-Agent"] == "test/1"
        assert headers["Sec-WebSocket-Protocol"] == "chat, superchat"
        assert headers["Sec-WebSocket-Extensions"] == "x-a; p, x-b"
        assert headers["Cookie"] == "a=1"
        assert headers.get_all("X") == ["1", "2"]

    def test_server_accepts_it(self):
        handshake = ClientHandshake(
            "ws://example.com/", KEY, origin="http://example.com", subprotocols=["a"],
            extensions=[Factory("x-a", "p")],
        )  # fmt: skip
        request = parse_request(handshake.request.serialize())
        accepted = accept(request, subprotocols=["a"], extensions=[Factory("x-a", "p")])
        agreement = handshake.check_response(accepted.response)
        assert agreement.subprotocol == "a"
        assert [extension.name for extension in agreement.extensions] == ["x-a"]

    @pytest.mark.parametrize("name", ["host", "Origin", "user-agent", "Authorization"])
    def test_own_headers_replace_the_made_ones(self, name):
        headers = self.headers(
            "ws://u:p@example.com/", headers={name: "mine"}, origin="http://x", user_agent="x"
        )
        assert headers.get_all(name) == ["mine"]

    def test_own_subprotocols_count_as_offered(self):
        handshake = ClientHandshake(
            "ws://h/", KEY, subprotocols=["a"], headers={"sec-websocket-protocol": "b, a, c"}
        )
        assert handshake.request.headers.get_all("Sec-WebSocket-Protocol") == ["a, b, c"]
        response = make_response({"Sec-WebSocket-Protocol": "c"})
        assert handshake.check_response(response).subprotocol == "c"

    def test_the_callers_headers_stay_as_they_are(self):
        headers = Headers(A="1")
        self.headers(headers=headers)
        assert list(headers.raw_items()) == [("A", "1")]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-WebSocket-Key": "x"},
            {"sec-websocket-extensions": "x"},
            {"X": "a\r\nb"},
            {"a b": "c"},
            [("Host", "a"), ("host", "b")],
        ],
    )
    def test_headers_that_cannot_be_sent(self, headers):
        with pytest.raises(UsageError):
            self.headers(headers=headers)

    @pytest.mark.parametrize("subprotocols", ["chat", ["a", "a"], ["a b"], [""]])
    def test_10_subprotocols_that_cannot_be_sent(self, subprotocols):
        with pytest.raises(UsageError):
            self.headers(subprotocols=subprotocols)

    def test_invalid_uri(self):
        with pytest.raises(InvalidURI):
            ClientHandshake("http://example.com/", KEY)

    def test_parsed_uri(self):
        assert self.headers(parse_uri("ws://h:81/"))["Host"] == "h:81"


def make_response(changes=(), status=101):
    headers = Headers()
    for name, value in {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": ACCEPT,
        **dict(changes),
    }.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                headers[name] = item
    return Response(status, None, headers)


class TestSection4_1_CheckingTheServersResponse:
    def check(self, changes=(), status=101, **kwargs):
        handshake = ClientHandshake("ws://example.com/", KEY, **kwargs)
        return handshake.check_response(make_response(changes, status))

    def test_valid(self):
        agreement = self.check()
        assert (agreement.subprotocol, agreement.extensions) == (None, [])

    @pytest.mark.parametrize("status", [200, 301, 401, 426, 503])
    def test_1_status(self, status):
        with pytest.raises(InvalidStatus, match=f"HTTP {status}") as caught:
            self.check({}, status)
        assert caught.value.response.status_code == status

    @pytest.mark.parametrize("value", [None, "", "h2c", "websocket, h2c", ["websocket"] * 2])
    def test_2_upgrade(self, value):
        with pytest.raises(InvalidUpgrade, match="Upgrade header"):
            self.check({"Upgrade": value})
        self.check({"Upgrade": "WebSocket"})

    @pytest.mark.parametrize("value", [None, "", "close"])
    def test_3_connection(self, value):
        with pytest.raises(InvalidUpgrade, match="Connection header"):
            self.check({"Connection": value})
        self.check({"Connection": ["keep-alive", "upgrade"]})

    @pytest.mark.parametrize("value", [None, "", ACCEPT.lower(), ACCEPT[:-1], KEY, [ACCEPT] * 2])
    def test_4_accept(self, value):
        with pytest.raises(InvalidHeader, match="Sec-WebSocket-Accept header"):
            self.check({"Sec-WebSocket-Accept": value})

    def test_5_extension_not_offered(self):
        with pytest.raises(NegotiationError, match=r"unsupported extension: x-a; p \(not offered"):
            self.check({"Sec-WebSocket-Extensions": "x-a; p"}, extensions=[Factory("x-b")])

    def test_5_extension_with_unknown_parameter(self):
        with pytest.raises(NegotiationError, match=r"x-a; q=1 \(invalid parameter name: q"):
            self.check({"Sec-WebSocket-Extensions": "x-a; q=1"}, extensions=[Factory("x-a")])

    def test_5_extensions_in_several_headers(self):
        second = Factory("x-b", "p")
        agreement = self.check(
            {"Sec-WebSocket-Extensions": ["x-a", "x-b; p=1"]}, extensions=[second, Factory("x-a")]
        )
        assert [extension.name for extension in agreement.extensions] == ["x-a", "x-b"]
        assert second.seen == [([("p", "1")], ["x-a"])]

    def test_5_malformed(self):
        with pytest.raises(InvalidHeaderFormat):
            self.check({"Sec-WebSocket-Extensions": ";"}, extensions=[Factory("x-a")])

    def test_6_subprotocol(self):
        agreement = self.check({"Sec-WebSocket-Protocol": "b"}, subprotocols=["a", "b"])
        assert agreement.subprotocol == "b"
        assert self.check({}, subprotocols=["a"]).subprotocol is None

    @pytest.mark.parametrize("value", ["c", "B", "a, b", ""])
    def test_6_subprotocol_not_offered(self, value):
        with pytest.raises(NegotiationError, match="offered: a, b"):
            self.check({"Sec-WebSocket-Protocol": value}, subprotocols=["a", "b"])

    def test_6_subprotocol_when_none_was_offered(self):
        with pytest.raises(NegotiationError, match="offered: none"):
            self.check({"Sec-WebSocket-Protocol": "a"})

    def test_6_subprotocol_twice(self):
        with pytest.raises(InvalidHeader, match="multiple values"):
            self.check({"Sec-WebSocket-Protocol": ["a", "a"]}, subprotocols=["a"])


class TestKeys:
    def test_example(self):
        assert accept_key(KEY) == ACCEPT
        assert build_key(b"the sample nonce") == KEY

    @pytest.mark.parametrize("size", [0, 15, 17])
    def test_nonce_of_another_size(self, size):
        with pytest.raises(UsageError, match=f"has 16 bytes, not {size}"):
            build_key(bytes(size))


header_values = st.sampled_from(
    [
        "",
        "websocket",
        "Upgrade",
        "keep-alive",
        "13",
        KEY,
        "null",
        "http://a",
        ",",
        ";",
        "=",
        '"',
        "x",
    ]
) | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)


class TestAnything:
    @given(
        st.dictionaries(
            st.sampled_from(
                ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Origin",
                 "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]
            ),
            header_values,
        )
    )  # fmt: skip
    def test_a_request_is_accepted_or_refused_with_a_status(self, changes):
        try:
            accepted = accept(
                make_request(changes), subprotocols=["x"], extensions=[Factory("x", "x")]
            )
        except InvalidHandshake as exc:
            response = rejection(exc)
            assert 400 <= response.status_code < 500
            head = response.serialize().partition(b"\r\n\r\n")[0]
            assert parse_response(head + b"\r\n\r\n").status_code == response.status_code
        else:
            assert accepted.response.status_code == 101

    @given(
        st.dictionaries(
            st.sampled_from(
                ["Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
                 "Sec-WebSocket-Extensions"]
            ),
            header_values | st.just(ACCEPT),
        )
    )  # fmt: skip
    def test_a_response_is_accepted_or_refused(self, changes):
        handshake = ClientHandshake(
            "ws://h/", KEY, subprotocols=["x"], extensions=[Factory("x", "x")]
        )
        try:
            agreement = handshake.check_response(make_response(changes))
        except InvalidHandshake:
            return
        assert agreement.subprotocol in (None, "x")
