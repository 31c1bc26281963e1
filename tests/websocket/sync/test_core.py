"""The blocking WebSocket against a real server, and against ones that misbehave in every state."""

import contextlib
import select
import socket
import threading

import pytest

from duplexio.errors import UsageError
from duplexio.websocket import sync as websocket
from duplexio.websocket.frames import Opcode
from duplexio.websocket.sync import ABNF, WebSocket, create_connection
from tests.websocket.sync.peers import Peer, ScriptedServer, echo, websockets_server


@pytest.fixture
def ws(echo_url):
    with create_connection(echo_url, timeout=10) as ws:
        yield ws


@contextlib.contextmanager
def talking_to(script, **options):
    """Connect to a scripted server, which shakes hands first."""

    def run(peer: Peer) -> None:
        peer.shake_hands()
        script(peer)

    with ScriptedServer(run) as server, create_connection(server.url, timeout=10, **options) as ws:
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


class TestThreads:
    def test_many_senders(self, ws):
        count, size = 200, 3

        def send(name: str) -> None:
            for i in range(count):
                ws.send(f"{name}:{i}:{name * 100}")

        threads = [threading.Thread(target=send, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        received: dict[str, list[int]] = {name: [] for name in "abc"}
        for _ in range(count * size):
            name, number, rest = ws.recv().split(":")
            assert rest == name * 100
            received[name].append(int(number))
        for thread in threads:
            thread.join()
        # Compressed with context takeover: the order on the wire is that of the compressor.
        assert received == {name: list(range(count)) for name in "abc"}

    @pytest.mark.parametrize("end", ["abort", "shutdown", "close"])
    def test_waking_up_a_reader(self, ws, end):
        outcome = []
        started = threading.Event()

        def read() -> None:
            started.set()
            try:
                outcome.append(ws.recv())
            except websocket.WebSocketConnectionClosedException as exc:
                outcome.append(exc)

        thread = threading.Thread(target=read)
        thread.start()
        started.wait()
        getattr(ws, end)()
        thread.join(10)
        assert not thread.is_alive()
        # With close() it may be this thread or that one that receives the close frame.
        assert outcome == [""] or isinstance(
            outcome[0], websocket.WebSocketConnectionClosedException
        )

    def test_closing_while_another_thread_never_stops_reading(self):
        def script(peer: Peer) -> None:
            peer.read_to_end()

        with talking_to(script) as ws:
            ws.settimeout(None)
            errors = []

            def read() -> None:
                try:
                    ws.recv()
                except websocket.WebSocketException as exc:
                    errors.append(exc)

            thread = threading.Thread(target=read)
            thread.start()
            ws.close(timeout=0.05)
            thread.join(10)
            assert [type(error) for error in errors] == [
                websocket.WebSocketConnectionClosedException
            ]

    def test_a_sender_that_waits_does_not_stop_the_reader(self):
        """A server that writes before it reads; a pong waits for its turn, and comes."""
        read = threading.Event()
        pongs = []

        def script(peer: Peer) -> None:
            peer.send(Opcode.PING, b"first")
            peer.send(Opcode.TEXT, b"read me")
            read.wait(10)
            while (frame := peer.read_frame())[0] not in (-1, 0x88):
                if frame[0] == 0x8A:
                    pongs.append(frame[1])

        with talking_to(script, sockopt=[(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)]) as ws:
            ws.settimeout(None)
            thread = threading.Thread(target=ws.send_binary, args=(bytes(20_000_000),))
            thread.start()
            while not ws.lock.locked():
                pass
            assert ws.recv() == "read me"
            read.set()
            thread.join(10)
        assert pongs == [b"first"]


class TestSelect:
    """Programs wait for the socket itself: it is readable as long as there is a message."""

    @staticmethod
    def readable(ws) -> bool:
        return bool(select.select([ws], [], [], 0)[0])

    def test_one_message_at_a_time(self):
        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x81\x01a\x81\x01b\x89\x00\x81\x01c")
            peer.read_close()

        with talking_to(script) as ws:
            for expected in "abc":
                assert self.readable(ws)
                assert ws.recv() == expected
            assert not self.readable(ws)

    def test_messages_that_come_with_the_handshake(self):
        def run(peer: Peer) -> None:
            peer.shake_hands(behind=b"\x81\x01a\x81\x01b")
            peer.read_close()

        with ScriptedServer(run) as server, create_connection(server.url, timeout=10) as ws:
            for expected in "ab":
                assert self.readable(ws)
                assert ws.recv() == expected
            assert not self.readable(ws)

    def test_large_message_in_pieces(self):
        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x82\x7f" + (300_000).to_bytes(8, "big"))
            for _ in range(30):
                peer.sock.sendall(bytes(10_000))
            peer.sock.sendall(b"\x81\x01a")
            peer.read_close()

        with talking_to(script) as ws:
            assert ws.recv() == bytes(300_000)
            assert ws.recv() == "a"
            assert not self.readable(ws)


class TestFaults:
    """RFC 6455 §7.1.7: the connection is failed with the code that says why."""

    @pytest.mark.parametrize(
        ("data", "code", "error"),
        [
            (b"\x81\x81abcd\x00", 1002, "WebSocketProtocolException"),
            (b"\xc1\x00", 1002, "WebSocketProtocolException"),
            (b"\x83\x00", 1002, "WebSocketProtocolException"),
            (b"\x80\x00", 1002, "WebSocketProtocolException"),
            (b"\x09\x00", 1002, "WebSocketProtocolException"),
            (b"\x89\x7e\x00\x7e", 1002, "WebSocketProtocolException"),
            (b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 1002, "WebSocketProtocolException"),
            (b"\x88\x01x", 1002, "WebSocketProtocolException"),
            (b"\x88\x02\x03\xee", 1002, "WebSocketProtocolException"),
            (b"\x81\x01\xff", 1007, "WebSocketPayloadException"),
            (b"\x88\x03\x03\xe8\xff", 1007, "WebSocketPayloadException"),
            (b"\x82\x7e\x04\x01", 1009, "WebSocketPayloadException"),
        ],
        ids=[
            "masked",
            "reserved bit",
            "unknown opcode",
            "nothing to continue",
            "fragmented ping",
            "long ping",
            "length",
            "close of one byte",
            "close code",
            "text",
            "reason",
            "too large",
        ],
    )
    def test_frames(self, data, code, error):
        got = []

        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x81\x02ok" + data)
            got.append(peer.read_close())

        with talking_to(script, max_size=1024, compression=None) as ws:
            # What was good before is not lost.
            assert ws.recv() == "ok"
            with pytest.raises(getattr(websocket, error)) as caught:
                ws.recv()
            assert caught.value.close_code == code
            assert (ws.connected, ws.sock) == (False, None)
        assert int.from_bytes(got[0][:2], "big") == code

    def test_compressed_bomb(self):
        with (
            websockets_server(lambda ws: ws.send("x" * 10_000_000)) as url,
            create_connection(url, timeout=10, max_size=100_000) as ws,
            pytest.raises(websocket.WebSocketPayloadException, match="100000"),
        ):
            ws.recv()

    def test_the_close_frame_arrives_although_the_server_is_sending(self):
        got = []

        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x82\x7f" + (10**9).to_bytes(8, "big") + bytes(500_000))
            got.append(peer.read_close())

        with (
            talking_to(script, max_size=1024, compression=None) as ws,
            pytest.raises(websocket.WebSocketPayloadException),
        ):
            ws.recv()
        assert got[0][:2] == (1009).to_bytes(2, "big")

    @pytest.mark.parametrize("before", [b"", b"\x81", b"\x81\x05He", b"\x01\x02He", b"\x89\x04p"])
    @pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
    def test_cut(self, before, reset):
        def script(peer: Peer) -> None:
            peer.sock.sendall(before)
            if reset:
                peer.reset()

        with talking_to(script) as ws:
            with pytest.raises(websocket.WebSocketConnectionClosedException) as caught:
                ws.recv()
            assert isinstance(caught.value, ConnectionResetError) or not reset or before
            assert (ws.connected, ws.sock) == (False, None)

    def test_messages_before_the_end_are_received(self):
        def script(peer: Peer) -> None:
            for i in range(100):
                peer.send(Opcode.TEXT, str(i).encode())
                peer.send(Opcode.PING)

        with talking_to(script) as ws:
            # The pongs meet a closed socket; that must not hide what has arrived.
            assert [ws.recv() for _ in range(100)] == [str(i) for i in range(100)]
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                ws.recv()

    def test_half_close(self):
        got = []

        def script(peer: Peer) -> None:
            peer.sock.shutdown(socket.SHUT_WR)
            got.append(peer.read_frame())

        with talking_to(script) as ws:
            ws.send("x")
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                ws.recv()
        assert got == [(0x81, b"x")]

    def test_sending_after_the_end(self):
        closed = threading.Event()

        def script(peer: Peer) -> None:
            peer.reset()
            closed.set()

        with talking_to(script) as ws:
            closed.wait(10)

            def send_on() -> None:
                while True:
                    ws.send("x" * 1000)

            with pytest.raises(websocket.WebSocketConnectionClosedException) as caught:
                send_on()
            assert isinstance(caught.value, ConnectionError)
            assert not ws.connected

    def test_pings_without_end_from_a_server_that_does_not_read(self):
        def script(peer: Peer) -> None:
            for _ in range(20_000):
                peer.send(Opcode.PING, bytes(125))
            peer.send(Opcode.TEXT, b"done")
            peer.read_close()

        with talking_to(script, sockopt=[(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)]) as ws:
            ws.settimeout(0)
            while True:
                select.select([ws], [], [], 10)
                with contextlib.suppress(BlockingIOError):
                    if ws.recv() == "done":
                        break
            # Pongs wait in memory of limited size only.
            assert len(ws._channel.connection.output) <= 2 * 65536


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
