"""WebSocketApp: what it calls and when, pings, reconnecting, threads, dispatchers."""

import socket
import threading
import time
from typing import Any

import pytest

from duplexio.websocket import sync as websocket
from duplexio.websocket.frames import Opcode
from duplexio.websocket.sync import ABNF, WebSocketApp
from tests.websocket.sync.peers import Peer, ScriptedServer, websockets_server
from tests.websocket.sync.recording import Recording, scripted


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
