"""The blocking WebSocket against a real server, and against ones that misbehave in every state."""

import socket
import threading

import pytest

from duplexio.errors import UsageError
from duplexio.websocket import sync as websocket
from duplexio.websocket.frames import Opcode
from duplexio.websocket.sync import ABNF, WebSocket, create_connection
from tests.websocket.sync.peers import Peer, echo, talking_to, websockets_server


@pytest.fixture
def ws(echo_url):
    with create_connection(echo_url, timeout=10) as ws:
        yield ws


class TestMessages:
    @pytest.mark.parametrize("message", ["", "hello", "é" * 100, "x" * 70000, "y" * 2_000_000])
    def test_text(self, ws, message):
        ws.send(message)
        assert ws.recv() == message

    @pytest.mark.parametrize("message", [b"", b"hello", bytes(70000), bytes(2_000_000)])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_binary(self, ws, message, kind):
        ws.send_binary(kind(message))
        assert ws.recv() == message

    def test_send_returns_the_length_of_the_frame(self, ws):
        assert [ws.send("x" * length) for length in (0, 10, 63)] == [6, 16, 69]
        assert ws.send(b"text", ABNF.OPCODE_TEXT) == 10
        assert ws.send_bytes(b"x" * 10) == 16

    def test_names_of_send(self, ws):
        ws.send_text("a")
        ws.send_bytes(b"b")
        ws.send("é", ABNF.OPCODE_BINARY)
        assert [ws.recv() for _ in range(3)] == ["a", b"b", b"\xe9"]

    def test_recv_data_has_bytes_also_of_text(self, ws):
        ws.send("é")
        assert ws.recv_data() == (ABNF.OPCODE_TEXT, "é".encode())

    def test_fragments_out(self, ws):
        ws.send_frame(ABNF.create_frame("one ", ABNF.OPCODE_TEXT, 0))
        ws.ping("between")
        ws.send_frame(ABNF.create_frame("twö", ABNF.OPCODE_CONT, 1))
        assert ws.recv() == "one twö"

    def test_iteration(self, ws):
        for i in range(3):
            ws.send(str(i))
        messages = iter(ws)
        assert [next(messages), next(ws), ws.next()] == ["0", "1", "2"]

    def test_control_frames(self, ws):
        ws.ping("payload")
        ws.send("x")
        opcode, frame = ws.recv_data_frame(control_frame=True)
        assert (opcode, frame.data, frame.fin) == (ABNF.OPCODE_PONG, b"payload", 1)
        assert ws.recv() == "x"
        ws.ping()
        ws.pong("unasked")
        ws.send("y")
        assert ws.recv() == "y"

    def test_control_frame_too_long(self, ws):
        with pytest.raises(UsageError, match="at most 125"):
            ws.ping(bytes(126))

    def test_nonsense_frame(self, ws):
        with pytest.raises(ValueError, match="OPCODE"):
            ws.send("x", 3)
        with pytest.raises(ValueError, match="not 0 or 1"):
            ws.send_frame(ABNF(2))

    def test_masking_keys_of_the_caller(self):
        asked = []
        frames: list[bytes] = []

        def key(count):
            asked.append(count)
            return "abcd" if len(asked) > 1 else b"1234"

        def script(peer: Peer) -> None:
            frames.extend(peer.stream.read(6) for _ in range(3))
            peer.read_close()

        with talking_to(script, get_mask_key=key) as ws:
            ws.send("")
            ws.send("")
            ws.set_mask_key(lambda count: b"5678")
            ws.send("")
            assert asked == [4, 4]
        assert frames == [b"\x81\x801234", b"\x81\x80abcd", b"\x81\x805678"]

    def test_deflate_is_used(self, ws):
        text = "the same again and again, " * 100
        assert "permessage-deflate" in ws.headers["sec-websocket-extensions"]
        assert ws.send(text) < 200
        assert ws.recv() == text

    def test_deflate_can_be_switched_off(self, echo_url):
        text = "the same again and again, " * 100
        with create_connection(echo_url, timeout=10, compression=None) as ws:
            assert "sec-websocket-extensions" not in ws.headers
            assert ws.send(text) == len(text) + 8
            assert ws.recv() == text


class TestFragments:
    PIECES = ((Opcode.TEXT, b"one "), (Opcode.CONT, "é".encode()[:1]), (Opcode.CONT, b"\xa9"))

    def script(self, peer: Peer) -> None:
        for i, (opcode, data) in enumerate(self.PIECES):
            peer.send(opcode, data, fin=i == 2)
            peer.send(Opcode.PING, b"x")
        peer.read_close()

    def test_are_joined(self):
        with talking_to(self.script) as ws:
            assert ws.recv() == "one é"

    def test_one_by_one(self):
        with talking_to(self.script, fire_cont_frame=True) as ws:
            frames = [ws.recv_data_frame() for _ in range(3)]
            assert [(opcode, frame.fin, frame.data) for opcode, frame in frames] == [
                (1, 0, b"one "),
                (0, 0, b"\xc3"),
                (0, 1, b"\xa9"),
            ]


class TestState:
    def test_before_connecting(self):
        ws = WebSocket()
        assert (ws.connected, ws.sock, ws.status, ws.headers, ws.subprotocol) == (
            False,
            None,
            None,
            None,
            None,
        )
        assert (ws.lock, ws.readlock, ws.is_ssl()) == (None, None, False)
        ws.close()
        ws.abort()
        with pytest.raises(websocket.WebSocketException, match="not established"):
            ws.fileno()
        for call in (ws.recv, ws.recv_frame, ws.send_close, lambda: ws.send("x")):
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                call()

    def test_while_connected(self, ws):
        assert (ws.connected, ws.status, ws.getstatus()) == (True, 101, 101)
        assert ws.getheaders()["upgrade"] == "websocket"
        assert ws.handshake_response.status == 101
        assert ws.fileno() == ws.sock.fileno()
        assert (ws.is_ssl(), ws.timeout, ws.gettimeout()) == (False, 10, 10)
        ws.timeout = 5
        assert ws.sock.gettimeout() == 5

    def test_connecting_again(self, ws, echo_url):
        first = ws.sock
        ws.connect(echo_url)
        assert first.fileno() == -1
        ws.send("x")
        assert ws.recv() == "x"

    def test_default_timeout(self, echo_url):
        websocket.setdefaulttimeout(7)
        try:
            with create_connection(echo_url) as ws:
                assert websocket.getdefaulttimeout() == ws.gettimeout() == 7
        finally:
            websocket.setdefaulttimeout(None)

    def test_class_to_make(self, echo_url):
        class Own(WebSocket):
            pass

        with create_connection(echo_url, timeout=10, class_=Own) as ws:
            assert type(ws) is Own


class TestTimeout:
    def test_nothing_comes(self, ws):
        ws.settimeout(0.01)
        with pytest.raises(websocket.WebSocketTimeoutException, match="timed out"):
            ws.recv()
        ws.settimeout(10)
        ws.send("still there")
        assert ws.recv() == "still there"

    def test_in_the_middle_of_a_message(self):
        more = threading.Event()

        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x81\x05He")
            more.wait(10)
            peer.sock.sendall(b"llo")
            peer.read_close()

        with talking_to(script) as ws:
            ws.settimeout(0.01)
            with pytest.raises(websocket.WebSocketTimeoutException):
                ws.recv()
            more.set()
            ws.settimeout(10)
            assert ws.recv() == "Hello"

    def test_none_at_all(self, ws):
        ws.settimeout(0)
        with pytest.raises(BlockingIOError):
            ws.recv()

    def test_server_that_does_not_read(self):
        read = threading.Event()
        received = []

        def script(peer: Peer) -> None:
            read.wait(10)
            while (frame := peer.read_frame())[0] not in (-1, 0x88):
                received.append(frame)

        message = bytes(100_000)
        with talking_to(script, sockopt=[(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)]) as ws:
            ws.settimeout(0.05)
            sent = []

            def send_on() -> None:
                while True:
                    ws.send_binary(message)
                    sent.append(message)

            with pytest.raises(websocket.WebSocketTimeoutException):
                send_on()
            read.set()
            ws.settimeout(10)
            # What was written in part comes first, whole.
            ws.send_binary(b"last")
        assert all(frame == (0x82, message) for frame in received[:-1])
        assert received[-1] == (0x82, b"last")
        assert len(received) - 1 in (len(sent), len(sent) + 1)


class TestClosing:
    def test_by_the_client(self):
        got = []
        with talking_to(lambda peer: got.append(peer.read_close())) as ws:
            ws.close(4000, "because")
            assert (ws.connected, ws.sock) == (False, None)
        assert got == [b"\x0f\xa0because"]

    def test_code_and_reason_of_the_answer(self, ws):
        ws.close(3000, b"bye")
        assert ws.close_frame.data == b"\x0b\xb8bye"

    def test_by_the_server(self):
        got = []

        def script(peer: Peer) -> None:
            peer.send(Opcode.CLOSE, b"\x03\xe9bye")
            got.append(peer.read_close())

        with talking_to(script) as ws:
            assert ws.recv() == ""
            assert not ws.connected
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                ws.recv()
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                ws.send("x")
        assert got == [b"\x03\xe9bye"]

    def test_frame_of_the_server(self):
        def script(peer: Peer) -> None:
            peer.send(Opcode.CLOSE, b"\x03\xe9bye")

        with talking_to(script) as ws:
            assert ws.recv_data() == (ABNF.OPCODE_CLOSE, b"\x03\xe9bye")

    def test_messages_on_the_way_are_dropped(self):
        def script(peer: Peer) -> None:
            peer.read_close()
            peer.send(Opcode.TEXT, b"late")
            peer.send(Opcode.CLOSE, b"\x03\xe8")

        with talking_to(script) as ws:
            ws.close()
            assert ws.close_frame.data == b"\x03\xe8"

    def test_server_that_does_not_answer(self):
        with talking_to(lambda peer: peer.read_to_end()) as ws:
            ws.close(timeout=0.05)
            assert ws.close_frame is None
            assert ws.sock is None

    def test_close_frame_first_and_messages_after(self):
        def script(peer: Peer) -> None:
            peer.read_close()
            peer.send(Opcode.TEXT, b"last words")
            peer.send(Opcode.CLOSE, b"\x03\xe8")

        with talking_to(script) as ws:
            ws.send_close(1000, "enough")
            assert not ws.connected
            assert ws.recv() == "last words"
            assert ws.recv_data() == (ABNF.OPCODE_CLOSE, b"\x03\xe8")

    def test_close_frame_as_a_frame(self):
        got = []

        def script(peer: Peer) -> None:
            got.append(peer.read_close())

        with talking_to(script) as ws:
            ws.send(b"\x0f\xa0x", ABNF.OPCODE_CLOSE)
            with pytest.raises(UsageError, match="close frame"):
                ws.send(b"\x03", ABNF.OPCODE_CLOSE)
        assert got == [b"\x0f\xa0x"]

    @pytest.mark.parametrize("code", [-1, 999, 1006, 1015, 65536])
    def test_codes_that_may_not_be_sent(self, ws, code):
        for close in (ws.close, ws.send_close):
            with pytest.raises(ValueError, match="invalid range"):
                close(code)
        ws.send("still open")
        assert ws.recv() == "still open"

    def test_reason_too_long(self, ws):
        with pytest.raises(UsageError, match="123"):
            ws.close(reason="x" * 124)

    def test_shutdown(self, ws):
        sock = ws.sock
        ws.shutdown()
        assert sock.fileno() == -1
        assert not ws.connected


def test_leaks(echo_url):
    """A thousand connections leave no descriptor behind."""
    import gc
    import os

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    gc.collect()
    before = descriptors()
    with websockets_server(echo) as url:
        for i in range(100):
            ws = create_connection(url, timeout=10)
            ws.send("x")
            assert ws.recv() == "x"
            if i % 2:
                ws.close()
            else:
                ws.shutdown()
    gc.collect()
    assert descriptors() <= before
