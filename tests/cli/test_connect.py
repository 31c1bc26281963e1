"""`duplexio connect`, as a person uses it and as a script does."""

import asyncio
import os
import ssl
import subprocess
import threading
from http import HTTPStatus
from typing import Any

import pytest
import trustme

from duplexio.cli.connect import CLOSED, UNREACHABLE, complete_uri, explain_close
from duplexio.cli.console import hex_dump, printable
from duplexio.websocket.http11 import Response
from duplexio.websocket.server import serve
from tests.cli.terminals import Terminal, duplexio


async def handler(ws):
    """Echo; some messages are orders."""
    async for message in ws:
        if message == "binary":
            await ws.send(bytes(range(20)))
        elif message == "escape":
            await ws.send("\x1b[2J\x07gone")
        elif message == "headers":
            await ws.send(repr(sorted(ws.request.headers.raw_items())))
        elif isinstance(message, str) and message.startswith("close "):
            await ws.close(int(message.split()[1]), "as you wish")
        elif message == "abort":
            ws.transport.abort()
        else:
            await ws.send(message)


def process_request(connection, request):
    if request.path == "/refused":
        body = b"You are not on the list.\n\x1b[31m"
        headers = {"Content-Length": str(len(body)), "Content-Type": "text/plain"}
        return Response(HTTPStatus.FORBIDDEN, headers=headers, body=body)
    return None


class EchoServer:
    """A server in a thread of its own."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))
        self.thread.start()
        self.ready.wait(10)

    async def run(self):
        self.loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        async with serve(
            handler,
            "127.0.0.1",
            0,
            origins=None,
            select_subprotocol=lambda ws, offered: offered[0] if offered else None,
            process_request=process_request,
            **self.options,
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.stopped.wait()

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(10)


@pytest.fixture(scope="module")
def server():
    server = EchoServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def uri(server):
    return f"ws://127.0.0.1:{server.port}/"


def run(*arguments, stdin=None, **environ):
    return subprocess.run(
        duplexio("connect", *arguments),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.fixture
def connected(uri, tmp_path):
    """Return a function that starts the program at a terminal, connected."""
    terminals = []

    def connected(*arguments, address=uri):
        terminal = Terminal(*duplexio("connect", address, *arguments), XDG_DATA_HOME=str(tmp_path))
        terminals.append(terminal)
        terminal.wait_for("Connected to ws")
        terminal.wait_for("> ")
        return terminal

    yield connected
    for terminal in terminals:
        terminal.close()


class TestAtATerminal:
    def test_lines_are_sent_and_answers_shown_with_the_time(self, connected):
        terminal = connected()
        terminal.enter("hello there")
        terminal.wait_for(r"\d\d:\d\d:\d\d < hello there")
        terminal.enter("/quit")
        assert terminal.wait() == 0
        assert "Closed: code 1000, OK." in terminal.text

    def test_binary_messages_are_shown_in_hexadecimal(self, connected):
        terminal = connected()
        terminal.enter("binary")
        terminal.wait_for("< 20 bytes")
        terminal.wait_for(r"00000000  00 01 02 03 .* 0f +\|\.{16}\|")
        terminal.wait_for(r"00000010  10 11 12 13 +\|\.{4}\|")
        terminal.enter("/binary 64 75 70")
        terminal.wait_for(r"64 75 70 +\|dup\|")
        terminal.enter("/binary xyz")
        terminal.wait_for("Not hexadecimal")

    def test_what_others_send_cannot_drive_the_terminal(self, connected):
        terminal = connected()
        terminal.enter("escape")
        terminal.wait_for(r"< \\x1b\[2J\\x07gone")

    def test_ping(self, connected):
        terminal = connected()
        terminal.enter("/ping")
        terminal.wait_for(r"Pong after \d+\.\d ms")
        terminal.enter("/ping " + "x" * 126)
        terminal.wait_for("No ping: .*125")

    def test_close_with_a_code_and_a_reason(self, connected):
        terminal = connected()
        terminal.enter("/close 1002 for testing")
        assert terminal.wait() == CLOSED
        assert "code 1002, protocol error" in terminal.text
        assert "The reason given: for testing" in terminal.text

    def test_codes_that_cannot_be_sent(self, connected):
        terminal = connected()
        terminal.enter("/close 1006")
        terminal.wait_for("Not closed: ")
        terminal.enter("/close soon")
        terminal.wait_for("The close code is 'soon'")
        terminal.enter("still here")
        terminal.wait_for("< still here")

    def test_the_server_closes(self, connected):
        terminal = connected()
        terminal.enter("close 1012")
        assert terminal.wait() == CLOSED
        assert "code 1012, service restart: the server restarts, try again" in terminal.text
        assert "The reason given: as you wish" in terminal.text

    def test_the_connection_breaks(self, connected):
        terminal = connected()
        terminal.enter("abort")
        assert terminal.wait() == CLOSED
        assert "broke off without a closing handshake (1006)" in terminal.text

    def test_a_slash_is_doubled_to_be_sent(self, connected):
        terminal = connected()
        terminal.enter("//quit")
        terminal.wait_for("< /quit")
        terminal.enter("/dance")
        terminal.wait_for("There is no command /dance")
        terminal.enter("/help")
        terminal.wait_for("/binary HEX")

    @pytest.mark.parametrize("key", ["\x04", "\x03"], ids=["Ctrl+D", "Ctrl+C"])
    def test_the_keys_that_end_it(self, connected, key):
        terminal = connected()
        terminal.type(key)
        assert terminal.wait() == 0
        assert "Closed: code 1000" in terminal.text

    def test_lines_can_be_edited(self, connected):
        terminal = connected()
        terminal.type("hellp\x7fo")
        terminal.enter("")
        terminal.wait_for("< hello")

    def test_lines_are_remembered_from_one_run_to_the_next(self, connected, tmp_path):
        terminal = connected()
        terminal.enter("remember this")
        terminal.wait_for("< remember this")
        terminal.enter("/quit")
        terminal.wait()
        file = tmp_path / "duplexio" / "connect-history"
        assert "remember this" in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
        terminal = connected()
        terminal.type("\x1b[A\x1b[A\r")  # up, up
        terminal.wait_for("< remember this")

    def test_colours_can_be_left_out(self, connected):
        terminal = connected("--color")
        terminal.enter("hello")
        terminal.wait_for("< hello")
        assert b"\x1b[0;32;1m< " in terminal.raw
        terminal = connected("--no-color")
        terminal.enter("hello")
        terminal.wait_for("< hello")
        assert b";32" not in terminal.raw


class TestInAScript:
    def test_lines_of_standard_input(self, uri):
        done = run(uri, "-w", "0.2", stdin="one\ntwo\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "one\ntwo\n", "")

    def test_messages_of_the_command_line(self, uri):
        done = run(uri, "-x", "one", "-x", "binary", "-w", "0.2")
        assert done.stdout == "one\n" + bytes(range(20)).hex() + "\n"
        assert done.returncode == 0

    def test_notices_go_to_standard_error(self, uri):
        done = run(uri, "-v", "-x", "close 1008")
        assert done.returncode == CLOSED
        assert done.stdout == ""
        assert f"Connected to {uri}" in done.stderr
        assert "code 1008, policy violation" in done.stderr

    def test_commands_are_nothing_special(self, uri):
        assert run(uri, "-w", "0.2", stdin="/quit\n").stdout == "/quit\n"

    def test_the_exit_status_tells_how_it_was_closed(self, uri):
        assert run(uri, "-x", "close 1000").returncode == 0
        assert run(uri, "-x", "close 1001").returncode == 0
        assert run(uri, "-x", "close 4000").returncode == CLOSED
        assert run(uri, "-x", "abort").returncode == CLOSED

    def test_headers_origin_and_subprotocol(self, uri):
        done = run(
            uri, "-H", "X-Colour: blue", "-o", "https://example.com", "-s", "other", "-x", "headers"
        )
        assert "('X-Colour', 'blue')" in done.stdout
        assert "('Origin', 'https://example.com')" in done.stdout
        assert "('Sec-WebSocket-Protocol', 'other')" in done.stdout

    def test_a_server_that_closes_does_not_wait_for_our_input(self, uri):
        process = subprocess.Popen(
            duplexio("connect", uri),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write("close 1011\n")
        process.stdin.flush()  # and not closed
        assert process.wait(20) == CLOSED
        process.communicate()


class TestFailures:
    def test_refused_with_the_servers_words(self, uri):
        done = run(uri + "refused", "-x", "hello")
        assert done.returncode == UNREACHABLE
        assert "HTTP 403 Forbidden" in done.stderr
        assert "You are not on the list." in done.stderr
        assert "\x1b" not in done.stderr

    def test_nobody_listens(self):
        done = run("ws://127.0.0.1:1/", "-x", "hello")
        assert done.returncode == UNREACHABLE
        assert done.stderr == "Nothing listens on 127.0.0.1:1: the connection was refused.\n"

    def test_no_such_host(self):
        done = run("ws://no-such-host.invalid/", "-x", "hello")
        assert done.returncode == UNREACHABLE
        assert "The host no-such-host.invalid is not known" in done.stderr

    def test_no_tls(self, server):
        done = run(f"wss://127.0.0.1:{server.port}/", "-x", "hello")
        assert done.returncode == UNREACHABLE
        assert "Try ws:// instead" in done.stderr

    @pytest.mark.parametrize("address", ["ftp://example.com", "ws://", "ws://host:port/"])
    def test_no_websocket_uri(self, address):
        done = run(address, "-x", "hello")
        assert done.returncode == 2
        assert "ws://localhost:8000/chat" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_header_without_a_colon(self, uri):
        done = run(uri, "-H", "nonsense", "-x", "hello")
        assert done.returncode == 2
        assert "'NAME: VALUE'" in done.stderr

    def test_a_certificate_that_nobody_trusts(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        server = EchoServer(ssl=context)
        try:
            uri = f"wss://127.0.0.1:{server.port}/"
            done = run(uri, "-x", "hello")
            assert done.returncode == UNREACHABLE
            assert "cannot be trusted" in done.stderr
            assert "--insecure" in done.stderr
            done = run(uri, "--insecure", "-x", "hello", "-w", "0.2")
            assert (done.returncode, done.stdout) == (0, "hello\n")
        finally:
            server.stop()


class TestWords:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (1000, "code 1000, OK."),
            (1005, "without a code (1005)."),
            (1006, "the connection broke off without a closing handshake (1006)."),
            (None, "the connection broke off without a closing handshake (1006)."),
            (1013, "code 1013, try again later: the server is overloaded."),
            (3000, "code 3000, a registered code."),
            (4321, "code 4321, an application's own code."),
        ],
    )
    def test_close_codes(self, code, words):
        assert explain_close(code, "") == words

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("localhost:8000", "ws://localhost:8000"),
            ("ws://a/", "ws://a/"),
            ("WSS://a/", "WSS://a/"),
            ("http://a/x", "ws://a/x"),
            ("https://a/x", "wss://a/x"),
        ],
    )
    def test_addresses(self, typed, meant):
        assert complete_uri(typed) == meant

    def test_control_characters(self):
        assert printable("a\tb\nc\x00\x9b\x7f") == "a\tb\nc\\x00\\x9b\\x7f"

    def test_long_binary_messages_are_cut(self):
        text = hex_dump(bytes(100), limit=32)
        assert text.splitlines()[-1].strip() == "and 68 bytes more"
        assert len(text.splitlines()) == 3
