"""`duplexio connect --socketio`, as a person uses it and as a script does."""

import asyncio
import socket
import subprocess

import pytest

from duplexio import socketio
from duplexio.cli.connect import UNREACHABLE
from duplexio.cli.events import parse_event, show_value
from tests.cli.terminals import Terminal, duplexio
from tests.engineio.serving import hosted


class Service:
    """A server that answers."""

    def __init__(self):
        self.sio = sio = socketio.AsyncServer(namespaces=["/", "/admin"])
        self.app = socketio.ASGIApp(sio)
        self.auths = []
        for namespace in ("/", "/admin"):
            sio.on("echo", self.echo(namespace), namespace=namespace)
            sio.on("add", lambda sid, a, b: a + b, namespace=namespace)

        @sio.event
        def connect(sid, environ, auth):
            self.auths.append(auth)
            if auth == {"token": "wrong"}:
                raise socketio.ConnectionRefusedError("wrong token")

        @sio.event
        async def kick(sid):
            await sio.disconnect(sid)

        @sio.event
        async def ask(sid):
            async def ask():
                await sio.emit("answered", await sio.call("question", "well?", to=sid), to=sid)

            sio.start_background_task(ask)

        @sio.event
        def count(sid, data):
            return [len(data), b"\x01\x02"]

    def echo(self, namespace):
        async def echo(sid, *args):
            await self.sio.emit("echo", args, to=sid, namespace=namespace)

        return echo


def run(port, *arguments, stdin=None):
    return subprocess.run(
        duplexio("connect", "--socketio", f"127.0.0.1:{port}", *arguments),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def script(*arguments, stdin=None, service=None):
    async with hosted((service or Service()).app) as port:
        return await asyncio.to_thread(run, port, *arguments, stdin=stdin)


class TestInAScript:
    @pytest.mark.parametrize("transports", [(), ("-t", "polling"), ("-t", "websocket")])
    async def test_events(self, transports):
        done = await script("-x", 'echo {"a": 1} "two"', "-x", "echo some text", *transports)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ['["echo", {"a": 1}, "two"]', '["echo", "some text"]']

    async def test_lines_of_standard_input(self):
        done = await script(stdin="/ack add 1 2\n/binary echo 00 ff\n")
        assert done.returncode == 0, done.stderr
        assert set(done.stdout.splitlines()) == {"3", '["echo", <2 bytes: 00 ff>]'}

    async def test_namespaces_and_credentials(self):
        service = Service()
        done = await script(
            *("-n", "/admin", "-n", "/", "--auth", '{"token": "t"}'),
            *("-x", "echo here", "-x", "/namespace /", "-x", "echo there", "-v"),
            service=service,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ['["echo", "here"]', '["echo", "there"]']
        assert service.auths == [{"token": "t"}]
        assert "Connected to /admin as " in done.stderr

    async def test_the_servers_questions_are_answered(self):
        done = await script("-x", "ask", "--answer", '"fine"')
        assert done.stdout.splitlines() == ['["question", "well?"]', '["answered", "fine"]']

    async def test_being_disconnected(self):
        done = await script("-x", "kick", "-w", "10", "-v")
        assert done.returncode == 1
        assert "Disconnected from /: server disconnect" in done.stderr
        assert "Unclosed" not in done.stderr

    async def test_a_refusal(self):
        done = await script("--auth", '{"token": "wrong"}', "-x", "echo 1")
        assert done.returncode == UNREACHABLE
        assert "wrong token" in done.stderr

    async def test_what_is_not_understood(self):
        done = await script("-x", '"', "-x", "/nothing", "-x", "/namespace /other", "-x", "echo 1")
        assert done.stdout == '["echo", 1]\n'
        assert "Not understood" in done.stderr
        assert "no command /nothing" in done.stderr
        assert "Not connected to '/other'" in done.stderr

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        done = run(port, "-x", "echo")
        assert done.returncode == UNREACHABLE
        assert "Cannot connect" in done.stderr

    def test_wrong_usage(self):
        done = run(1, "--auth", "{")
        assert done.returncode == 2
        assert "expected JSON" in done.stderr


async def test_at_a_terminal(tmp_path):
    def talk(terminal):
        terminal.wait_for(r"Connected to http://127\.0\.0\.1:\d+, Engine\.IO 4 over")
        terminal.enter("echo 1 hello")
        terminal.wait_for('< echo "1 hello"')
        terminal.enter("/ack count [1,2,3]")
        terminal.wait_for(r"count is acknowledged after .* ms: \[3, <2 bytes: 01 02>\]")
        terminal.enter("/help")
        terminal.wait_for("/ack EVENT ARGUMENTS")

    def again(terminal):
        terminal.wait_for("The connection is lost")
        terminal.wait_for("Connected to / as")
        terminal.enter('echo "back"')
        terminal.wait_for('< echo "back"')
        terminal.enter("/quit")
        return terminal.wait()

    service = Service()
    async with hosted(service.app) as port:
        terminal = Terminal(
            *duplexio("connect", "--socketio", f"http://127.0.0.1:{port}"),
            XDG_DATA_HOME=str(tmp_path),
        )
        try:
            await asyncio.to_thread(talk, terminal)
            (session,) = service.sio.eio.engine.sessions.values()
            session.wire.abort()
            assert await asyncio.to_thread(again, terminal) == 0
        finally:
            terminal.close()


def test_events_as_people_type_them():
    assert parse_event('"new message" {"a": [1]} null') == ("new message", ({"a": [1]}, None))
    assert parse_event("say") == ("say", ())
    assert parse_event("say 1 x") == ("say", ("1 x",))


@pytest.mark.parametrize("line", ["", "   ", '"'])
def test_what_is_no_event(line):
    with pytest.raises(ValueError, match=r"no event|Unterminated"):
        parse_event(line)


def test_values_as_people_read_them():
    assert show_value([1, {"é": None}, b"\x00" * 20]) == (
        '[1, {"\\u00e9": null}, <20 bytes: ' + " ".join(["00"] * 16) + " …>]"
    )
