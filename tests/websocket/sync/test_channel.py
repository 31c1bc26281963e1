"""What every message goes through: threads, select(), servers that misbehave in every state."""

import contextlib
import select
import socket
import threading

import pytest

from duplexio.websocket import sync as websocket
from duplexio.websocket.frames import Opcode
from duplexio.websocket.sync import create_connection
from tests.websocket.sync.peers import Peer, ScriptedServer, talking_to, websockets_server


@pytest.fixture
def ws(echo_url):
    with create_connection(echo_url, timeout=10) as ws:
        yield ws


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
    def readable(ws, seconds: float = 10) -> bool:
        return bool(select.select([ws], [], [], seconds)[0])

    def test_one_message_at_a_time(self):
        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x81\x01a\x81\x01b\x89\x00\x81\x01c")
            peer.read_close()

        with talking_to(script) as ws:
            for expected in "abc":
                assert self.readable(ws)
                assert ws.recv() == expected
            assert not self.readable(ws, 0)

    def test_messages_that_come_with_the_handshake(self):
        def run(peer: Peer) -> None:
            peer.shake_hands(behind=b"\x81\x01a\x81\x01b")
            peer.read_close()

        with ScriptedServer(run) as server, create_connection(server.url, timeout=10) as ws:
            for expected in "ab":
                assert self.readable(ws)
                assert ws.recv() == expected
            assert not self.readable(ws, 0)

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
            assert not self.readable(ws, 0)


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
        closed = threading.Event()

        def script(peer: Peer) -> None:
            for i in range(100):
                peer.send(Opcode.TEXT, str(i).encode())
                peer.send(Opcode.PING)
            peer.sock.close()
            closed.set()

        with talking_to(script) as ws:
            # A pong that came before the peer closed would make it reset the connection, and its
            # kernel drop what was still to be sent.
            closed.wait()
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
