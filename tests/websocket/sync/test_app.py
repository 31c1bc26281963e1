"""WebSocketApp: what it calls and when, pings, reconnecting, threads, dispatchers."""

import contextlib
import os
import random
import selectors
import socket
import threading
import time
from typing import Any

import pytest

from duplexio.websocket import sync as websocket
from duplexio.websocket.frames import Opcode
from duplexio.websocket.sync import ABNF, WebSocketApp
from duplexio.websocket.sync import run as run_module
from tests.websocket.sync.peers import Peer, ScriptedServer, websockets_server


def scripted(script):
    """A server that shakes hands and then runs a script."""

    def run(peer: Peer) -> None:
        peer.shake_hands()
        script(peer)

    return ScriptedServer(run)


class RecordingApp(WebSocketApp):
    """Remembers what it is told, as methods of a subclass."""

    def __init__(self, url, **options):
        super().__init__(url, **options)
        self.log = []

    def on_open(self):
        self.log.append("open")

    def on_message(self, message):
        self.log.append(message)

    def on_error(self, error):
        self.log.append(error)

    def on_close(self, status, msg):
        self.log.append(("close", status, msg))

    def types(self):
        return [type(entry) if isinstance(entry, Exception) else entry for entry in self.log]


def Recording(url, **options) -> Any:
    """Make a RecordingApp, whose methods the tests exchange for functions."""
    return RecordingApp(url, **options)


class TestEvents:
    def test_messages_until_the_server_closes(self):
        def handler(ws):
            for message in ("one", b"two", "three"):
                ws.send(message)
            ws.close(4000, "done")

        with websockets_server(handler) as url:
            app = Recording(url)
            assert app.run_forever() is False
        assert app.log[:4] == ["open", "one", b"two", "three"]
        error, closed = app.log[4:]
        assert isinstance(error, websocket.WebSocketConnectionClosedException)
        assert str(error) == "Connection closed (code 4000): done"
        assert (error.status_code, error.reason) == (4000, "done")
        assert closed == ("close", 4000, "done")
        assert (app.sock, app.keep_running, app.ready()) == (None, False, False)

    def test_functions(self):
        calls: list[tuple[object, ...]] = []

        def handler(ws):
            ws.ping(b"p")
            ws.send("text")
            ws.send(b"data")
            ws.close()

        with websockets_server(handler) as url:
            app = WebSocketApp(
                url,
                on_open=lambda ws: calls.append(("open", ws.ready(), ws.sock.connected)),
                on_message=lambda ws, message: calls.append(("message", message)),
                on_data=lambda ws, data, kind, fin: calls.append(("data", data, kind, fin)),
                on_ping=lambda ws, payload: calls.append(("ping", payload)),
                on_close=lambda ws: calls.append(("close",)),
            )
            app.run_forever()
        assert calls == [
            ("open", True, True),
            ("ping", b"p"),
            ("data", "text", ABNF.OPCODE_TEXT, True),
            ("message", "text"),
            ("data", b"data", ABNF.OPCODE_BINARY, True),
            ("message", b"data"),
            ("close",),
        ]

    def test_fragments(self):
        calls = []

        def script(peer: Peer) -> None:
            # The first piece ends inside a character.
            peer.send(Opcode.TEXT, b"one \xc3", fin=False)
            peer.send(Opcode.CONT, b"\xa9 two", fin=False)
            peer.send(Opcode.CONT, b"", fin=True)
            peer.send(Opcode.BINARY, b"\xc3", fin=False)
            peer.send(Opcode.CONT, b"\xa9", fin=True)
            peer.send(Opcode.TEXT, b"whole")
            peer.send(Opcode.CLOSE)

        with scripted(script) as server:
            WebSocketApp(
                server.url,
                on_message=lambda ws, message: calls.append(message),
                on_cont_message=lambda ws, data, fin: calls.append((data, fin)),
                on_data=lambda ws, data, kind, fin: calls.append(kind),
            ).run_forever()
        assert calls == [
            *(1, "one "),
            *(0, ("é two".encode(), 0)),
            *(0, (b"", 1)),
            *(2, b"\xc3"),
            *(0, (b"\xa9", 1)),
            *(1, "whole"),
        ]

    def test_text_as_bytes(self):
        with websockets_server(lambda ws: ws.send("é")) as url:
            app = Recording(url)
            app.run_forever(skip_utf8_validation=True)
        assert "é".encode() in app.log

    def test_header_function_is_called_for_each_connection(self):
        calls: list[int] = []
        seen = []

        def header():
            calls.append(len(calls))
            return {"X-Number": str(calls[-1])}

        def script(peer: Peer) -> None:
            seen.append(peer.request.headers["X-Number"])

        with scripted(script) as server:
            app = WebSocketApp(server.url, header=header)
            app.on_reconnect = lambda ws: len(seen) < 2 or ws.close()
            app.run_forever(reconnect=0.01)
        assert seen[:2] == ["0", "1"]

    def test_options_reach_the_handshake(self):
        requests = []

        def script(peer: Peer) -> None:
            requests.append(peer.request.headers)
            peer.send(Opcode.CLOSE)

        with scripted(script) as server:
            app = WebSocketApp(server.url, cookie="a=1", subprotocols=["one"], header=["X-Y: 1"])
            app.run_forever(
                host="other.example",
                origin="http://page.example",
                compression=None,
                sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)],
            )
        headers = requests[0]
        assert headers["Host"] == "other.example"
        assert headers["Origin"] == "http://page.example"
        assert headers["Cookie"] == "a=1"
        assert headers["Sec-WebSocket-Protocol"] == "one"
        assert headers["X-Y"] == "1"
        assert "Sec-WebSocket-Extensions" not in headers

    def test_socket_of_the_caller(self, echo_url):
        sock = socket.create_connection(("127.0.0.1", int(echo_url.rsplit(":", 1)[1])))
        app = WebSocketApp(
            "ws://elsewhere.example/",
            socket=sock,
            on_open=lambda ws: ws.send("x"),
            on_message=lambda ws, message: ws.close(),
        )
        assert app.run_forever() is False
        assert sock.fileno() == -1

    def test_a_run_after_a_run(self, echo_url):
        app = Recording(echo_url)
        app.on_open = lambda ws: ws.close()
        for _ in range(3):
            assert app.run_forever() is False
        assert app.log == [("close", 1000, None)] * 3

    def test_tls(self, secure_echo_url, ca_file):
        app = Recording(secure_echo_url)
        app.on_open = lambda ws: ws.send("x" * 100_000)
        app.on_message = lambda ws, message: (app.log.append(len(message)), ws.close())
        assert app.run_forever(sslopt={"ca_certs": ca_file}) is False
        assert app.log == [100_000, ("close", 1000, None)]


class TestSending:
    def test_from_callbacks_and_threads(self, echo_url):
        app = Recording(echo_url)
        received = []

        def on_open(ws):
            def work(name):
                for i in range(50):
                    ws.send_text(f"{name}{i}")
                ws.send_bytes(name.encode())

            ws.workers = [threading.Thread(target=work, args=(name,)) for name in "abc"]
            for worker in ws.workers:
                worker.start()

        def on_message(ws, message):
            received.append(message)
            if len(received) == 153:
                ws.close()

        app.on_open, app.on_message = on_open, on_message
        app.run_forever()
        for worker in app.workers:
            worker.join()
        assert sorted(m for m in received if isinstance(m, bytes)) == [b"a", b"b", b"c"]
        for name in "abc":
            own = [m for m in received if isinstance(m, str) and m[0] == name]
            assert own == [f"{name}{i}" for i in range(50)]

    def test_without_a_connection(self):
        app = WebSocketApp("ws://localhost:1/")
        sends: tuple[Any, ...] = (app.send, app.send_text, app.send_bytes)
        for send in sends:
            with pytest.raises(
                websocket.WebSocketConnectionClosedException, match="Connection is already closed"
            ):
                send("x")


class TestErrors:
    def test_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        app = Recording(f"ws://127.0.0.1:{port}/")
        assert app.run_forever() is True
        assert app.has_errored
        assert app.types() == [ConnectionRefusedError, ("close", None, None)]

    def test_url(self):
        app = Recording("http://a.example/")
        assert app.run_forever() is True
        assert isinstance(app.log[0], websocket.WebSocketURLException)

    def test_status(self):
        def script(peer: Peer) -> None:
            peer.read_head()
            peer.sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")

        with ScriptedServer(script) as server:
            app = Recording(server.url)
            assert app.run_forever() is True
        assert isinstance(app.log[0], websocket.WebSocketBadStatusException)
        assert app.log[0].status_code == 401

    @pytest.mark.parametrize("end", ["close", "reset"])
    def test_the_connection_breaks(self, end):
        def script(peer: Peer) -> None:
            peer.send(Opcode.TEXT, b"last")
            if end == "reset":
                peer.read_frame()
                peer.reset()

        with scripted(script) as server:
            app = Recording(server.url)
            app.on_message = lambda ws, message: (app.log.append(message), ws.send("x"))
            assert app.run_forever() is True
        assert app.log[:2] == ["open", "last"]
        assert isinstance(app.log[2], websocket.WebSocketConnectionClosedException)
        assert app.log[3:] == [("close", None, None)]

    def test_the_server_breaks_the_protocol(self):
        codes = []

        def script(peer: Peer) -> None:
            peer.sock.sendall(b"\x81\x02ok\x83\x00")
            codes.append(peer.read_close()[:2])

        with scripted(script) as server:
            app = Recording(server.url)
            assert app.run_forever() is True
        assert app.types() == [
            "open",
            "ok",
            websocket.WebSocketProtocolException,
            ("close", None, None),
        ]
        assert codes == [(1002).to_bytes(2, "big")]

    def test_too_large(self):
        with websockets_server(lambda ws: ws.send("x" * 2000)) as url:
            app = Recording(url)
            assert app.run_forever(max_size=1000) is True
        assert websocket.WebSocketPayloadException in app.types()

    def test_an_exception_in_a_callback_does_not_end_the_run(self):
        def handler(ws):
            ws.send("one")
            ws.send("two")
            ws.close()

        with websockets_server(handler) as url:
            app = Recording(url)
            app.on_message = lambda ws, message: 1 / 0
            assert app.run_forever() is False
        assert app.types().count(ZeroDivisionError) == 2

    def test_interrupt(self, echo_url):
        def on_open(ws):
            raise KeyboardInterrupt

        app = Recording(echo_url, on_open=on_open)
        assert app.run_forever(reconnect=0.01) is True
        assert [type(entry) for entry in app.log] == [KeyboardInterrupt, tuple]

    def test_exit(self, echo_url):
        def on_open(ws):
            raise SystemExit(3)

        app = Recording(echo_url, on_open=on_open)
        with pytest.raises(SystemExit):
            app.run_forever(reconnect=0.01)
        assert app.log[-1] == ("close", None, None)
        assert app.sock is None

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"ping_interval": 1, "ping_timeout": 1}, "Ensure ping_interval > ping_timeout"),
            ({"ping_interval": 1, "ping_timeout": 2}, "Ensure ping_interval > ping_timeout"),
            ({"ping_timeout": 0}, "Ensure ping_timeout > 0"),
            ({"ping_interval": -1}, "Ensure ping_interval >= 0"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(websocket.WebSocketException) as caught:
            WebSocketApp("ws://localhost:1/").run_forever(**arguments)
        assert str(caught.value) == message

    def test_two_runs_at_once(self, echo_url):
        app = WebSocketApp(echo_url)
        errors = []

        def on_open(ws):
            try:
                ws.run_forever()
            except websocket.WebSocketException as exc:
                errors.append(str(exc))
            ws.close()

        app.on_open = on_open
        app.run_forever()
        assert errors == ["socket is already opened"]


class TestClosing:
    def test_from_a_callback(self, echo_url):
        app = Recording(echo_url)
        app.on_open = lambda ws: (ws.send("one"), ws.send("two"))
        app.on_message = lambda ws, message: (
            app.log.append(message),
            ws.close(status=4001, reason="enough"),
        )
        assert app.run_forever() is False
        assert app.log == ["one", ("close", 4001, "enough")]

    @pytest.mark.parametrize("how", ["close", "keep_running"])
    def test_from_another_thread(self, echo_url, how):
        app = Recording(echo_url)
        opened = threading.Event()
        app.on_open = lambda ws: opened.set()

        def end() -> None:
            opened.wait()
            if how == "close":
                app.close()
            else:
                app.keep_running = False

        thread = threading.Thread(target=end)
        thread.start()
        assert app.run_forever() is False
        thread.join()
        assert app.log == [("close", 1000, None)]
        assert app.sock is None

    def test_server_that_does_not_answer(self):
        with scripted(lambda peer: peer.read_to_end()) as server:
            app = Recording(server.url)
            app.on_open = lambda ws: ws.close(timeout=0.05)
            assert app.run_forever() is False
        assert app.log == [("close", None, None)]

    def test_while_waiting_to_reconnect(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        app = Recording(f"ws://127.0.0.1:{port}/")
        app.on_error = lambda ws, error: threading.Thread(target=ws.close).start()
        started = time.monotonic()
        app.run_forever(reconnect=30)
        assert time.monotonic() - started < 10
        assert app.log == [("close", None, None)]


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
        import gc
        import inspect

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
    import tracemalloc

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
