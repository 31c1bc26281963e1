"""Runs of a WebSocketApp: pings, reconnecting, other event loops."""

import contextlib
import gc
import inspect
import os
import random
import selectors
import socket
import threading
import time
import tracemalloc

from duplexio.websocket import sync as websocket
from duplexio.websocket.frames import Opcode
from duplexio.websocket.sync import WebSocketApp
from duplexio.websocket.sync import run as run_module
from tests.websocket.sync.peers import Peer, ScriptedServer, websockets_server
from tests.websocket.sync.recording import Recording, scripted


class TestPings:
    def test_none(self, echo_url):
        pings = []

        def script(peer: Peer) -> None:
            peer.sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                pings.append(peer.read_frame())
            peer.sock.settimeout(10)
            peer.send(Opcode.CLOSE)

        with scripted(script) as server:
            app = WebSocketApp(server.url)
            app.run_forever(ping_interval=0, ping_timeout=0.1)
            assert app.ping_thread is None
        assert pings == []

    def test_sent_and_answered(self):
        pings = []

        def script(peer: Peer) -> None:
            for _ in range(3):
                first, data = peer.read_frame()
                pings.append((first, data))
                peer.send(Opcode.PONG, data)
            peer.send(Opcode.CLOSE)

        pongs = []
        with scripted(script) as server:
            app = WebSocketApp(server.url, on_pong=lambda ws, data: pongs.append(data))
            app.on_pong = lambda ws, data: pongs.append((data, ws.last_pong_tm >= ws.last_ping_tm))
            assert app.run_forever(ping_interval=0.05, ping_timeout=0.04, ping_payload="x") is False
        assert pings == [(0x89, b"x")] * 3
        assert pongs == [(b"x", True)] * 3
        assert app.last_ping_tm > 0

    def test_missing_pong(self):
        with scripted(lambda peer: peer.read_to_end()) as server:
            app = Recording(server.url)
            started = time.monotonic()
            assert app.run_forever(ping_interval=0.1, ping_timeout=0.05) is True
            assert time.monotonic() - started < 5
        assert app.types() == [
            "open",
            websocket.WebSocketTimeoutException,
            ("close", None, None),
        ]
        assert str(app.log[1]) == "ping/pong timed out"
        assert app.ping_thread is None

    def test_missing_pong_over_tls(self, server_context, ca_file):
        """The head of a record makes the socket readable, and is no message."""

        def script(peer: Peer) -> None:
            peer.shake_hands()
            os.write(peer.sock.fileno(), b"\x17\x03\x03\x00\x50")
            peer.read_to_end()

        websocket.setdefaulttimeout(3)
        try:
            with ScriptedServer(script, server_context) as server:
                app = Recording(server.url)
                app.run_forever(ping_interval=0.2, ping_timeout=0.05, sslopt={"ca_certs": ca_file})
        finally:
            websocket.setdefaulttimeout(None)
        assert [str(entry) for entry in app.log] == [
            "open",
            "ping/pong timed out",
            "('close', None, None)",
        ]

    def test_missing_pong_of_a_server_that_does_not_read(self):
        """A sender that waits for ever, and with it the ping, is woken up."""
        done = threading.Event()

        def script(peer: Peer) -> None:
            done.wait(20)

        with scripted(script) as server:
            app = Recording(server.url)
            failed = []

            def fill() -> None:
                try:
                    app.send_bytes(bytes(50_000_000))
                except websocket.WebSocketException as exc:
                    failed.append(exc)

            threads = [threading.Thread(target=fill)]
            app.on_open = lambda ws: threads[0].start()
            assert app.run_forever(ping_interval=0.1, ping_timeout=0.05) is True
            done.set()
            threads[0].join(10)
        assert len(failed) == 1
        assert websocket.WebSocketTimeoutException in app.types()

    def test_a_slow_callback_is_not_taken_for_a_dead_server(self):
        """The pong is there, behind messages; it has only not been looked at."""

        def script(peer: Peer) -> None:
            peer.send(Opcode.TEXT, b"slow")
            _, data = peer.read_frame()
            peer.send(Opcode.TEXT, b"fast")
            peer.send(Opcode.PONG, data)
            got_pong.wait(10)
            peer.send(Opcode.CLOSE)

        got_pong = threading.Event()
        errors = []
        pinged = threading.Event()

        def on_message(ws, message):
            if message == "slow":
                # As long as the pong may take, and more.
                while not ws.last_ping_tm:
                    pinged.wait(0.01)
                pinged.wait(0.1)

        with scripted(script) as server:
            app = WebSocketApp(
                server.url,
                on_message=on_message,
                on_pong=lambda ws, data: got_pong.set(),
                on_error=lambda ws, error: errors.append(type(error)),
            )
            app.run_forever(ping_interval=0.2, ping_timeout=0.05)
        assert websocket.WebSocketTimeoutException not in errors


class TestReconnecting:
    def test_again_and_again_without_recursion_or_leaks(self):
        """Each connection has the stack, the threads and the descriptors of the first."""
        depths = []
        threads = []
        descriptors = []

        def opened(ws):
            depths.append(len(inspect.stack()))
            gc.collect()
            threads.append(threading.active_count())
            descriptors.append(len(os.listdir("/proc/self/fd")))
            if len(depths) == 30:
                ws.close()

        with scripted(lambda peer: peer.send(Opcode.TEXT, b"bye")) as server:
            app = WebSocketApp(server.url, on_open=opened, on_reconnect=opened)
            # The pauses stay short: it is the number of connections that counts.
            app.run_forever(reconnect=0.001, ping_interval=10)
        assert len(depths) == 30
        assert len(set(depths)) == 1
        assert max(threads[1:]) <= threads[0] + 1
        assert max(descriptors[1:]) <= descriptors[0] + 2

    def test_which_callbacks(self):
        calls = []

        def script(peer: Peer) -> None:
            peer.send(Opcode.TEXT, b"x")

        with scripted(script) as server:
            app = WebSocketApp(
                server.url,
                on_open=lambda ws: calls.append("open"),
                on_message=lambda ws, message: calls.append(message),
                on_error=lambda ws, error: calls.append(type(error).__name__),
                on_close=lambda ws, status, msg: calls.append("close"),
            )

            def on_reconnect(ws):
                calls.append("reconnect")
                if calls.count("reconnect") == 2:
                    ws.close()

            app.on_reconnect = on_reconnect
            app.run_forever(reconnect=0.01)
        # Only the first loss is told; on_close is for the end of the run.
        assert calls == [
            *("open", "x", "WebSocketConnectionClosedException"),
            *("reconnect", "x", "reconnect"),
            "close",
        ]

    def test_after_a_close_frame(self):
        calls = []
        with scripted(lambda peer: peer.send(Opcode.CLOSE, b"\x03\xf4")) as server:
            app = WebSocketApp(server.url, on_error=lambda ws, error: calls.append(error))

            def on_open(ws):
                calls.append("open")
                if len(calls) == 3:
                    ws.close()

            app.on_open = on_open
            app.run_forever(reconnect=0.01)
        assert calls == ["open"] * 3

    def test_default(self):
        calls = []
        websocket.set_reconnect(0.01)
        try:
            with scripted(lambda peer: None) as server:
                app = WebSocketApp(server.url)

                def on_reconnect(ws):
                    calls.append("reconnect")
                    ws.close()

                app.on_reconnect = on_reconnect
                app.run_forever()
        finally:
            websocket.setReconnect(0)
        assert calls == ["reconnect"]

    @staticmethod
    def delays(monkeypatch, base, durations):
        """Return the pauses of a run whose connections last as given."""
        app = WebSocketApp("ws://localhost:1/")
        run = run_module.Run(app, run_module.RunOptions(reconnect=base))
        now = [1000.0]
        monkeypatch.setattr(run_module, "monotonic", lambda: now[0])
        monkeypatch.setattr(random, "uniform", lambda low, high: high)
        result = []
        for duration in durations:
            run._connected_at = now[0]
            now[0] += duration
            result.append(run._next_delay())
            now[0] += result[-1]
        return result

    def test_backing_off(self, monkeypatch):
        assert self.delays(monkeypatch, 5, [0] * 6) == [5, 10, 20, 40, 60, 60]

    def test_a_pause_longer_than_the_limit_stays(self, monkeypatch):
        assert self.delays(monkeypatch, 300, [0] * 3) == [300, 300, 300]

    def test_a_connection_that_lasts_begins_anew(self, monkeypatch):
        assert self.delays(monkeypatch, 5, [0, 0, 0, 100, 0]) == [5, 10, 20, 5, 5]

    def test_many_attempts(self, monkeypatch):
        assert self.delays(monkeypatch, 1, [0] * 2000)[-1] == 60


class Rel:
    """An event loop with the interface of the module rel."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.signals = []
        self.writes = 0
        self.aborted = False

    def signal(self, number, callback):
        self.signals.append(number)

    def abort(self):
        self.aborted = True

    def read(self, sock, callback):
        self.selector.register(sock, selectors.EVENT_READ, callback)

    def buffwrite(self, sock, data, send, failed):
        self.writes += 1
        try:
            while data:
                data = data[send(sock, data) :]
        except OSError as exc:
            failed(exc)

    def timeout(self, delay, callback, *arguments):
        self.timers.append((time.monotonic() + delay, delay, callback, arguments))

    def dispatch(self, until):
        deadline = time.monotonic() + 20
        while not until():
            assert time.monotonic() < deadline
            for timer in list(self.timers):
                due, delay, callback, arguments = timer
                if due <= time.monotonic():
                    self.timers.remove(timer)
                    if callback(*arguments):
                        self.timeout(delay, callback, *arguments)
            for key, _ in self.selector.select(0.01) if self.selector.get_map() else ():
                if not key.data():
                    self.selector.unregister(key.fileobj)
        self.selector.close()


class TestDispatcher:
    def test_messages(self, echo_url):
        rel = Rel()
        app = Recording(echo_url)
        app.on_open = lambda ws: [ws.send(str(i)) for i in range(3)]

        def on_message(ws, message):
            app.log.append(message)
            if message == "2":
                ws.send("3" * 100_000)
            elif len(message) > 1:
                ws.close()

        app.on_message = on_message
        assert app.run_forever(dispatcher=rel) is False
        rel.dispatch(until=lambda: app.sock is None)
        assert app.log[:3] == ["0", "1", "2"]
        assert rel.signals == [2]
        assert rel.writes >= 4

    def test_messages_that_came_with_the_handshake(self, server_context, ca_file):
        def script(peer: Peer) -> None:
            peer.shake_hands(behind=b"\x81\x01a\x81\x01b\x88\x02\x03\xe8")

        rel = Rel()
        with ScriptedServer(script, server_context) as server:
            app = Recording(server.url)
            app.run_forever(dispatcher=rel, sslopt={"ca_certs": ca_file})
            rel.dispatch(until=lambda: not app.keep_running)
        assert app.log[:3] == ["open", "a", "b"]
        assert app.log[-1] == ("close", 1000, None)

    def test_end(self):
        rel = Rel()
        with scripted(lambda peer: peer.send(Opcode.TEXT, b"x")) as server:
            app = Recording(server.url)
            app.run_forever(dispatcher=rel)
            rel.dispatch(until=lambda: not app.keep_running)
        assert app.types() == [
            "open",
            "x",
            websocket.WebSocketConnectionClosedException,
            ("close", None, None),
        ]

    def test_missing_pong(self):
        rel = Rel()
        with scripted(lambda peer: peer.read_to_end()) as server:
            app = Recording(server.url)
            app.run_forever(dispatcher=rel, ping_interval=0.1, ping_timeout=0.05)
            rel.dispatch(until=lambda: not app.keep_running)
        assert app.types()[1:] == [websocket.WebSocketTimeoutException, ("close", None, None)]

    def test_reconnecting(self):
        rel = Rel()
        opened = []
        with scripted(lambda peer: None) as server:
            app = WebSocketApp(server.url, on_open=lambda ws: opened.append(ws))

            def on_reconnect(ws):
                opened.append(ws)
                if len(opened) == 3:
                    ws.close()

            app.on_reconnect = on_reconnect
            app.run_forever(dispatcher=rel, reconnect=0.01)
            rel.dispatch(until=lambda: not app.keep_running)
        assert len(opened) == 3

    def test_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        rel = Rel()
        app = Recording(f"ws://127.0.0.1:{port}/")
        assert app.run_forever(dispatcher=rel) is True
        rel.dispatch(until=lambda: not app.keep_running)
        assert app.types() == [ConnectionRefusedError, ("close", None, None)]


def test_memory_of_a_long_run():
    """Ten thousand messages leave nothing behind."""
    count = 10_000

    def handler(ws):
        for _ in range(count):
            ws.send(b"x" * 32)
        ws.close()

    received = [0]

    def on_message(ws, message):
        received[0] += 1
        if received[0] == 100:
            tracemalloc.start()
        elif received[0] == count:
            sizes.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()

    sizes: list[int] = []
    with websockets_server(handler) as url:
        WebSocketApp(url, on_message=on_message).run_forever(compression=None)
    assert received == [count]
    assert sizes[0] < 5_000_000
