import pytest

from duplexio.errors import ProtocolError
from duplexio.hosting.handshake import Offer, challenge_size, render_lines
from duplexio.websocket.connection import Connection
from duplexio.websocket.deflate import server_extensions
from duplexio.websocket.hixie import HixieConnection
from duplexio.websocket.http11 import parse_request
from duplexio.websocket.kernel import Output
from duplexio.websocket.options import Options
from tests.hosting.programs import handshake
from tests.hosting.test_lifecycle import CHALLENGE, DIGEST, HIXIE_76


class Driver:
    """What an offer needs of a driver."""

    def __init__(self):
        self.options = Options()
        self.loop_state = type("LoopState", (), {"cork": Output()})()
        self.subprotocol = None
        self.kept = b""
        self.sent = b""
        self.started = None

    def on_text(self, message): ...
    def on_binary(self, message): ...
    def on_fragment(self, opcode, payload, fin): ...
    def on_ping(self, payload): ...
    def on_pong(self, payload): ...
    def on_close_frame(self, code, reason): ...
    def on_failing(self, code, reason):
        return False

    def on_failure(self, code, reason): ...

    def keep_response(self, head):
        self.kept = head

    def send_raw(self, data):
        self.sent += data

    def start(self, connection, rest=b""):
        self.started = (connection, rest)


def accepted(offer, **arguments):
    driver = Driver()
    values = {"subprotocol": None, "headers": b"", **arguments}
    offer.accept(driver, **values)
    return driver


class TestRenderLines:
    def test_lines(self):
        assert render_lines([(b"a", b"1"), (b"B-c", b"\xe9 x")]) == b"a: 1\r\nB-c: \xe9 x\r\n"

    @pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xe9"])
    def test_names_that_cannot_be_sent(self, name):
        with pytest.raises(RuntimeError, match="invalid header name"):
            render_lines([(name, b"1")])

    @pytest.mark.parametrize("value", [b"a\r\nb: 1", b"a\nb", b"\0", b"\x7f"])
    def test_values_that_cannot_be_sent(self, value):
        with pytest.raises(RuntimeError, match="invalid value"):
            render_lines([(b"a", value)])


class TestOffer:
    def test_the_answer_of_the_rfc(self):
        driver = accepted(Offer(parse_request(handshake("/"))))
        assert driver.sent == (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        assert driver.kept == driver.sent
        connection, rest = driver.started
        assert type(connection) is Connection
        assert rest == b""

    def test_subprotocol_headers_and_what_came_behind(self):
        request = parse_request(handshake("/", "Sec-WebSocket-Protocol: a, b"))
        driver = accepted(
            Offer(request), subprotocol="b", headers=b"x-one: 1\r\n", rest=b"\x81\x80"
        )
        assert driver.sent.endswith(b"sec-websocket-protocol: b\r\nx-one: 1\r\n\r\n")
        assert driver.subprotocol == "b"
        assert driver.started[1] == b"\x81\x80"

    def test_extensions_of_the_server_or_of_who_takes_over(self):
        line = "Sec-WebSocket-Extensions: permessage-deflate"
        offer = Offer(parse_request(handshake("/", line)), extensions=server_extensions("deflate"))
        assert accepted(offer).started[0].deflate is not None
        assert accepted(offer, extensions=[]).started[0].deflate is None
        assert b"Extensions" not in accepted(offer, extensions=[]).sent

    def test_requests_that_are_not_good(self):
        request = parse_request(handshake("/").replace(b"Version: 13", b"Version: 12"))
        with pytest.raises(ProtocolError):
            Offer(request)

    def test_the_answer_of_hixie_76(self):
        request = parse_request(HIXIE_76)
        assert challenge_size(request) == 8
        offer = Offer(request, legacy=True, secure=True, challenge=CHALLENGE)
        driver = accepted(offer, subprotocol="sample")
        assert driver.sent.endswith(b"\r\n\r\n" + DIGEST)
        assert b"Sec-WebSocket-Protocol: sample\r\n" in driver.sent
        assert b"Sec-WebSocket-Location: wss://example.com/echo\r\n" in driver.sent
        assert type(driver.started[0]) is HixieConnection

    def test_hixie_only_where_it_is_on(self):
        with pytest.raises(ProtocolError):
            Offer(parse_request(HIXIE_76), challenge=CHALLENGE)

    def test_other_requests_have_no_challenge(self):
        assert challenge_size(parse_request(handshake("/"))) == 0
