"""The opening handshakes of hixie-75 and hixie-76."""

import random
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio.errors import UsageError
from duplexio.websocket.exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from duplexio.websocket.handshake import accept, rejection, render_headers
from duplexio.websocket.hixie_handshake import (
    CHALLENGE_SIZE,
    DIGEST_SIZE,
    HixieClientHandshake,
    accept_hixie,
    build_challenge_key,
    challenge_response,
    hixie_draft,
    key_number,
)
from duplexio.websocket.http11 import find_head_end, parse_request, parse_response

KEY1 = "4 @1  46546xW%0l 1 5"
KEY2 = "12998 5 Y3 1  .P00"
CHALLENGE = b"^n:ds[4U"
DIGEST = b"8jKS'y:G*Co,Wxa-"

ORIGIN = "http://example.com"
ACCEPTED_75 = (
    b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"WebSocket-Origin: http://example.com\r\n"
    b"WebSocket-Location: ws://example.com/demo\r\n"
)
ACCEPTED_76 = (
    b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Origin: http://example.com\r\n"
    b"Sec-WebSocket-Location: ws://example.com/demo\r\n"
)


def make_request(draft, changes=(), *, method="GET", path="/demo"):
    """A valid request of a draft, with headers replaced, removed (None) or added."""
    headers = {
        "Upgrade": "WebSocket",
        "Connection": "Upgrade",
        "Host": "example.com",
        "Origin": ORIGIN,
    }
    if draft == 76:
        headers["Sec-WebSocket-Key1"] = KEY1
        headers["Sec-WebSocket-Key2"] = KEY2
    headers.update(dict(changes))
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    return parse_request(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1"))


class TestRecognition:
    @pytest.mark.parametrize("draft", [75, 76])
    def test_drafts(self, draft):
        assert hixie_draft(make_request(draft)) == draft

    @pytest.mark.parametrize("name", ["Sec-WebSocket-Key1", "Sec-WebSocket-Key2"])
    def test_one_key_is_enough(self, name):
        assert hixie_draft(make_request(76, {name: None})) == 76

    @pytest.mark.parametrize(
        "changes",
        [
            {"Upgrade": None},
            {"Upgrade": "h2c"},
            {"Sec-WebSocket-Version": "13"},
            {"Sec-WebSocket-Version": "8"},
            {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
        ],
    )
    def test_others(self, changes):
        request = make_request(76, changes)
        assert hixie_draft(request) is None
        with pytest.raises(InvalidUpgrade):
            accept_hixie(request, CHALLENGE)

    @pytest.mark.parametrize("draft", [75, 76])
    def test_rfc6455_refuses_them(self, draft):
        with pytest.raises(
            InvalidHeader, match=r"Version header: missing, .*legacy=True"
        ) as caught:
            accept(make_request(draft))
        assert rejection(caught.value).status_code == 400


class TestHixie76Keys:
    """Section 5.2 of the draft, steps 4 to 10."""

    def test_numbers_of_the_example(self):
        assert key_number("Sec-WebSocket-Key1", KEY1) == 829309203
        assert key_number("Sec-WebSocket-Key2", KEY2) == 259970620

    def test_vector(self):
        assert challenge_response(KEY1, KEY2, CHALLENGE) == DIGEST

    def test_vector_of_section_1_3(self):
        key1, key2 = "18x 6]8vM;54 *(5:  {   U1]8  z [  8", "1_ tx7X d  <  nw  334J702) 7]o}` 0"
        assert challenge_response(key1, key2, b"Tm[K T2u") == b"fQJ,fN/4F4!~K~MH"

    @pytest.mark.parametrize(
        ("key", "number"),
        [
            ("1 0", 10),
            ("0 0", 0),
            ("4294967295 x", 4294967295),
            ("0" * 5000 + " 7", 7),
            ("4 2 9 4 9 6 7 2 8 0 x", 429496728),
            ("\xb2 4", 4),
        ],
    )
    def test_valid(self, key, number):
        assert key_number("K", key) == number

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ("", "expected digits"),
            ("a b c", "expected digits"),
            ("\xb2 \xb3", "expected digits"),
            ("12345", "expected spaces"),
            ("123\t4", "expected spaces"),
            ("1 2 3", "expected 123 to be a multiple of its 2 spaces"),
            ("4294967296 x", "expected a number of 32 bits"),
            ("9" * 8000 + " 0", "expected a number of 32 bits"),
        ],
    )
    def test_refused(self, key, message):
        with pytest.raises(InvalidHeaderValue, match=message):
            key_number("K", key)

    @given(st.text(st.sampled_from("0123456789 ab")))
    def test_anything_is_a_number_of_32_bits_or_refused(self, key):
        try:
            number = key_number("K", key)
        except InvalidHeaderValue:
            return
        assert 0 <= number < 2**32
        assert number * key.count(" ") == int("".join(c for c in key if c.isdigit()))

    @given(st.randoms(use_true_random=False))
    def test_built_keys_are_valid(self, rng):
        key, number = build_challenge_key(rng.randrange)
        assert key_number("K", key) == number
        assert key == key.strip(" ")
        assert 1 <= key.count(" ") <= 12
        padding = [c for c in key if not ("0" <= c <= "9" or c == " ")]
        assert 1 <= len(padding) <= 12
        assert all(0x21 <= ord(c) <= 0x2F or 0x3A <= ord(c) <= 0x7E for c in padding)

    @pytest.mark.parametrize("choose", [lambda limit: 0, lambda limit: limit - 1])
    def test_built_keys_at_the_edges(self, choose):
        key, number = build_challenge_key(choose)
        assert key_number("K", key) == number


class TestHixie76Server:
    def test_example(self):
        accepted = accept_hixie(make_request(76), CHALLENGE)
        assert accepted.data == ACCEPTED_76 + b"\r\n" + DIGEST
        assert (accepted.subprotocol, accepted.extensions) == (None, [])

    def test_response_as_a_value_keeps_the_digest(self):
        accepted = accept_hixie(make_request(76), CHALLENGE)
        assert accepted.response.body == DIGEST
        assert accepted.response.serialize() == accepted.data

    def test_location(self):
        request = make_request(
            76, {"Host": "example.com:8443", "Origin": "https://example.com:8443"}, path="/a?b=%20"
        )
        data = accept_hixie(request, CHALLENGE, secure=True).data
        assert b"Sec-WebSocket-Location: wss://example.com:8443/a?b=%20\r\n" in data

    def test_without_origin(self):
        data = accept_hixie(make_request(76, {"Origin": None}), CHALLENGE).data
        assert b"Sec-WebSocket-Origin: null\r\n" in data

    def test_further_headers(self):
        extra = render_headers({"Set-Cookie": "a=b"})
        data = accept_hixie(make_request(76), CHALLENGE, extra=extra).data
        assert data == ACCEPTED_76 + b"Set-Cookie: a=b\r\n\r\n" + DIGEST

    def test_subprotocol(self):
        request = make_request(76, {"Sec-WebSocket-Protocol": "sample"})
        accepted = accept_hixie(request, CHALLENGE, subprotocols=["other", "sample"])
        assert accepted.subprotocol == "sample"
        assert accepted.data == ACCEPTED_76 + b"Sec-WebSocket-Protocol: sample\r\n\r\n" + DIGEST

    def test_subprotocol_that_nobody_asked_for_is_left_out(self):
        request = make_request(76, {"Sec-WebSocket-Protocol": "sample"})
        assert accept_hixie(request, CHALLENGE).data == ACCEPTED_76 + b"\r\n" + DIGEST

    def test_no_common_subprotocol(self):
        request = make_request(76, {"Sec-WebSocket-Protocol": "sample"})
        with pytest.raises(NegotiationError, match="expected one of other"):
            accept_hixie(request, CHALLENGE, subprotocols=["other"])

    def test_selected_subprotocol(self):
        request = make_request(76, {"Sec-WebSocket-Protocol": "sample"})
        accepted = accept_hixie(request, CHALLENGE, select_subprotocol=lambda offered: offered[0])
        assert accepted.subprotocol == "sample"

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"Connection": None}, InvalidUpgrade),
            ({"Connection": "keep-alive"}, InvalidUpgrade),
            ({"Host": ""}, InvalidHeader),
            ({"Origin": "http://evil.example"}, InvalidOrigin),
            ({"Sec-WebSocket-Key1": None}, InvalidHeader),
            ({"Sec-WebSocket-Key2": None}, InvalidHeader),
            ({"Sec-WebSocket-Key1": "1234"}, InvalidHeaderValue),
            ({"Sec-WebSocket-Key2": "1 2 3"}, InvalidHeaderValue),
        ],
    )
    def test_refused(self, changes, error):
        with pytest.raises(error):
            accept_hixie(make_request(76, changes), CHALLENGE)

    def test_method(self):
        with pytest.raises(InvalidMethod):
            accept_hixie(make_request(76, method="POST"), CHALLENGE)

    @pytest.mark.parametrize("size", [0, 7, 9])
    def test_challenge_of_another_size(self, size):
        with pytest.raises(InvalidMessage, match=f"{size} bytes after the head; expected 8"):
            accept_hixie(make_request(76), bytes(size))

    def test_origins(self):
        request = make_request(76, {"Origin": "http://other.example"})
        accept_hixie(request, CHALLENGE, origins=None)
        accept_hixie(request, CHALLENGE, origins=["http://other.example"])


class TestHixie75Server:
    def test_example(self):
        assert accept_hixie(make_request(75)).data == ACCEPTED_75 + b"\r\n"

    def test_response_is_compared_byte_by_byte_so_nothing_is_added(self):
        accepted = accept_hixie(make_request(75), extra=b"Server: x\r\n")
        assert accepted.data == ACCEPTED_75 + b"\r\n"

    def test_location_with_tls(self):
        data = accept_hixie(make_request(75), secure=True).data
        assert b"WebSocket-Location: wss://example.com/demo\r\n" in data

    def test_subprotocol(self):
        request = make_request(75, {"WebSocket-Protocol": "sample"})
        accepted = accept_hixie(request, subprotocols=["sample"])
        assert accepted.subprotocol == "sample"
        assert accepted.data == ACCEPTED_75 + b"WebSocket-Protocol: sample\r\n\r\n"

    def test_origin(self):
        with pytest.raises(InvalidOrigin):
            accept_hixie(make_request(75, {"Origin": "http://evil.example"}))


@pytest.fixture
def randbelow():
    return random.Random(76).randrange


class TestClient:
    def split(self, data):
        end = find_head_end(data)
        return parse_request(data[:end]), data[end:]

    def answer(self, draft, changes=(), **kwargs):
        """Make a client and the response to it, with some headers changed."""
        handshake = HixieClientHandshake("ws://example.com/demo", draft, self.randbelow, **kwargs)
        request, challenge = self.split(handshake.data)
        data = accept_hixie(
            request,
            challenge,
            origins=None,
            select_subprotocol=lambda offered: offered[0] if offered else None,
        ).data
        end = find_head_end(data)
        response = parse_response(data[:end])
        for name, value in dict(changes).items():
            del response.headers[name]
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    response.headers[name] = item
        return handshake, response, data[end:]

    @pytest.fixture(autouse=True)
    def _random(self, randbelow):
        self.randbelow = randbelow

    def test_75_request(self):
        handshake = HixieClientHandshake("ws://example.com/demo", 75, self.randbelow)
        assert handshake.data == (
            b"GET /demo HTTP/1.1\r\n"
            b"Upgrade: WebSocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Host: example.com\r\n"
            b"Origin: http://example.com\r\n"
            b"\r\n"
        )
        assert handshake.digest_size == 0

    def test_76_request(self):
        handshake = HixieClientHandshake("wss://example.com:80/", 76, self.randbelow)
        request, challenge = self.split(handshake.data)
        assert len(challenge) == CHALLENGE_SIZE
        assert handshake.digest_size == DIGEST_SIZE
        assert request.headers["Host"] == "example.com:80"
        assert request.headers["Origin"] == "https://example.com:80"
        assert hixie_draft(request) == 76

    @pytest.mark.parametrize("draft", [75, 76])
    @pytest.mark.parametrize("subprotocol", [None, "sample"])
    def test_agreement(self, draft, subprotocol):
        handshake, response, digest = self.answer(draft, subprotocol=subprotocol, origin="null")
        agreement = handshake.check_response(response, digest)
        assert (agreement.subprotocol, agreement.extensions) == (subprotocol, [])

    def test_further_headers(self):
        handshake = HixieClientHandshake("ws://h/", 76, self.randbelow, headers={"Cookie": "a=b"})
        assert self.split(handshake.data)[0].headers["Cookie"] == "a=b"

    @pytest.mark.parametrize(
        "kwargs",
        [{"headers": {"X": "a\r\nb"}}, {"origin": "a\nb"}, {"subprotocol": "a b"}],
    )
    def test_what_cannot_be_sent(self, kwargs):
        with pytest.raises(UsageError):
            HixieClientHandshake("ws://h/", 76, self.randbelow, **kwargs)

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("Upgrade", "h2c", InvalidUpgrade),
            ("Upgrade", None, InvalidHeader),
            ("Connection", "close", InvalidUpgrade),
            ("Sec-WebSocket-Origin", "http://x", InvalidHeaderValue),
            ("Sec-WebSocket-Origin", None, InvalidHeader),
            ("Sec-WebSocket-Location", "wss://example.com/demo", InvalidHeaderValue),
            ("Sec-WebSocket-Location", ["ws://example.com/demo"] * 2, InvalidHeader),
            ("Sec-WebSocket-Protocol", "other", NegotiationError),
            ("Sec-WebSocket-Protocol", None, NegotiationError),
        ],
    )
    def test_response_refused(self, name, value, error):
        handshake, response, digest = self.answer(76, {name: value}, subprotocol="sample")
        with pytest.raises(error):
            handshake.check_response(response, digest)

    def test_status(self):
        handshake, _, digest = self.answer(76)
        with pytest.raises(InvalidStatus, match="HTTP 400"):
            handshake.check_response(parse_response(b"HTTP/1.1 400 No\r\n\r\n"), digest)

    @pytest.mark.parametrize("digest", [b"", bytes(16), md5(b"").digest()])
    def test_digest(self, digest):
        handshake, response, _ = self.answer(76)
        with pytest.raises(InvalidMessage, match="answer to the challenge is wrong"):
            handshake.check_response(response, digest)


@given(
    st.dictionaries(
        st.sampled_from(
            ["Upgrade", "Connection", "Host", "Origin", "Sec-WebSocket-Key1", "Sec-WebSocket-Key2",
             "Sec-WebSocket-Protocol"]
        ),
        st.none()
        | st.sampled_from([KEY1, KEY2, "WebSocket", "Upgrade", "1 2", "x"])
        | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20),
    ),
    st.binary(max_size=9),
)  # fmt: skip
def test_anything_is_accepted_or_refused(changes, challenge):
    try:
        request = make_request(76, changes)
        accepted = accept_hixie(request, challenge, subprotocols=["x"], origins=None)
    except InvalidHandshake as exc:
        assert rejection(exc).status_code in (400, 426)  # noqa: PT017
    else:
        assert find_head_end(accepted.data) in (len(accepted.data), len(accepted.data) - 16)
