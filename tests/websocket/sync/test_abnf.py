import pytest

from duplexio.websocket import sync as websocket
from duplexio.websocket.sync import ABNF

KEY = bytes.fromhex("37fa213d")


class TestFormat:
    @pytest.mark.parametrize("key", [KEY, KEY.decode("latin-1")], ids=["bytes", "str"])
    def test_example_of_the_rfc(self, key):
        frame = ABNF.create_frame("Hello", ABNF.OPCODE_TEXT)
        frame.get_mask_key = lambda count: key
        assert frame.format().hex() == "818537fa213d7f9f4d5158"

    def test_unmasked_fragment(self):
        frame = ABNF(0, 0, 0, 0, ABNF.OPCODE_TEXT, 0, "Hel")
        assert frame.format().hex() == "010348656c"

    @pytest.mark.parametrize(
        ("length", "head"),
        [(125, "827d"), (126, "827e007e"), (65535, "827effff"), (65536, "827f0000000000010000")],
    )
    def test_lengths(self, length, head):
        frame = ABNF(1, 0, 0, 0, ABNF.OPCODE_BINARY, 0, bytes(length))
        assert frame.format() == bytes.fromhex(head) + bytes(length)

    def test_text_as_binary_data_is_latin_1(self):
        assert ABNF(1, 0, 0, 0, ABNF.OPCODE_BINARY, 0, "é").format() == b"\x82\x01\xe9"

    @pytest.mark.parametrize("frame", [ABNF(fin=2), ABNF(1, rsv1=3), ABNF(1, opcode=3)])
    def test_nonsense_is_refused(self, frame):
        with pytest.raises(ValueError, match=r"not 0 or 1|OPCODE"):
            frame.format()


class TestValidate:
    @pytest.mark.parametrize(
        "frame",
        [
            ABNF(1, opcode=ABNF.OPCODE_TEXT, data=b"x"),
            ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b""),
            ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b"\x03\xe8bye"),
            ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b"\x0f\xa0"),
        ],
        ids=str,
    )
    def test_good(self, frame):
        frame.validate()

    @pytest.mark.parametrize(
        "frame",
        [
            ABNF(1, rsv1=1),
            ABNF(1, opcode=3),
            ABNF(0, opcode=ABNF.OPCODE_PING),
            ABNF(1, opcode=ABNF.OPCODE_PING, data=bytes(126)),
            ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b"x"),
            ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b"\x03\xee"),
            ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b"\x03\xe8\xff"),
        ],
        ids=str,
    )
    def test_bad(self, frame):
        with pytest.raises(websocket.WebSocketProtocolException):
            frame.validate()

    def test_reason_that_is_not_utf_8_may_pass(self):
        ABNF(1, opcode=ABNF.OPCODE_CLOSE, data=b"\x03\xe8\xff").validate(skip_utf8_validation=True)


def test_mask_is_its_own_reverse():
    masked = ABNF.mask(KEY, b"Hello")
    assert masked.hex() == "7f9f4d5158"
    assert ABNF.mask(KEY.decode("latin-1"), masked) == b"Hello"
    assert ABNF.mask(KEY, None) == b""


def test_names():
    assert ABNF.OPCODE_MAP[ABNF.OPCODE_PING] == "ping"
    assert str(websocket.STATUS_NORMAL) == "1000"
    assert str(websocket.STATUS_TLS_HANDSHAKE_ERROR) == "1015"
    assert str(ABNF.create_frame("é", ABNF.OPCODE_TEXT)) == r"fin=1 opcode=1 data=b'\xc3\xa9'"
