"""AsyncClient and Client against our own server; their names against python-engineio's."""

import asyncio
import inspect
import json
import subprocess
import sys
import threading

import pytest

from duplexio import engineio
from duplexio.engineio.exceptions import ConnectionError, PayloadTooLarge
from duplexio.errors import UsageError
from tests.engineio.serving import serving
from tests.interop.python_packages import python_packages

TRANSPORTS = [None, "polling", "websocket", ["websocket", "polling"]]


def client_of(kind, **options):
    client = kind(**options)
    client.got = got = []
    client.on("connect", lambda: got.append("connect"))
    client.on("message", got.append)
    client.on("disconnect", got.append)
    return client


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it is no event that is waited for
            await asyncio.sleep(0.005)


class TestAsync:
    @pytest.mark.parametrize("protocol", [None, 3, 4])
    @pytest.mark.parametrize("transports", TRANSPORTS)
    async def test_echo(self, transports, protocol):
        async with serving() as peer:
            client = client_of(engineio.AsyncClient, protocol=protocol)
            await client.connect(f"http://127.0.0.1:{peer.port}", transports=transports)
            assert client.state == "connected"
            assert client.transport() == ("polling" if transports == "polling" else "websocket")
            assert client.sid in peer.eio.clients
            messages = ["a", "€😀", b"\x00\x04", "", *map(str, range(100))]
            for message in messages:
                await client.send(message)
            await client.send({"a": [1]})
            await until(lambda: len(client.got) == len(messages) + 2)
            assert client.got == ["connect", *messages, '{"a": [1]}']
            await client.disconnect()
            assert client.got[-1] == "client disconnect"
            assert (client.state, client.sid) == ("disconnected", None)
            await client.wait()
            await peer.wait_for("disconnect", "transport close")
        assert len(asyncio.all_tasks()) == 1

    async def test_it_can_connect_again_and_remembers_what_worked(self):
        async with serving() as peer:
            client = client_of(engineio.AsyncClient)
            url = f"http://127.0.0.1:{peer.port}"
            await client.connect(url)
            with pytest.raises(ValueError, match="not in a disconnected state"):
                await client.connect(url)
            await client.disconnect()
            await client.connect(url)
            assert client.session.upgrades == ()  # it began on a WebSocket
            await client.disconnect()

    async def test_the_server_closes(self):
        async with serving() as peer:
            client = client_of(engineio.AsyncClient)
            for transports, reason in (
                ("polling", "server disconnect"),
                ("websocket", "transport error"),
            ):
                await client.connect(f"http://127.0.0.1:{peer.port}", transports=transports)
                await peer.eio.disconnect(client.sid)
                await asyncio.wait_for(client.wait(), 10)
                assert client.got[-1] == reason
                assert client.state == "disconnected"

    async def test_the_connect_handler_comes_first_and_may_refuse(self):
        async with serving() as peer:
            client = engineio.AsyncClient()
            events = []

            @client.on("connect")
            async def connect():
                await client.send("hello")
                await asyncio.sleep(0.05)
                events.append("connected")

            client.on("message", events.append)
            await client.connect(f"http://127.0.0.1:{peer.port}")
            await until(lambda: len(events) == 2)
            assert events == ["connected", "hello"]
            await client.disconnect()

            @client.on("connect")
            async def refuse():
                raise RuntimeError("not today")

            with pytest.raises(ConnectionError, match="Connect handler failed: not today"):
                await client.connect(f"http://127.0.0.1:{peer.port}")
            assert client.state == "disconnected"
            await until(lambda: not peer.eio.engine.sessions)

    async def test_cancelling_leaves_nothing(self):
        async with serving() as peer:
            for turns in range(0, 30, 3):
                client = client_of(engineio.AsyncClient)
                task = asyncio.ensure_future(client.connect(f"http://127.0.0.1:{peer.port}"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                (error,) = await asyncio.gather(task, return_exceptions=True)
                if error is None:
                    await client.disconnect()
                assert client.state == "disconnected"
            await until(lambda: len(asyncio.all_tasks()) <= 3)

    async def test_a_handler_may_disconnect(self):
        async with serving() as peer:
            client = client_of(engineio.AsyncClient)

            @client.on("message")
            async def message(data):
                await client.disconnect()

            await client.connect(f"http://127.0.0.1:{peer.port}")
            await client.send("bye")
            await asyncio.wait_for(client.wait(), 10)
            assert client.got == ["connect", "client disconnect"]

    async def test_nobody_listens(self):
        client = client_of(engineio.AsyncClient)
        with pytest.raises(ConnectionError):
            await client.connect("http://127.0.0.1:1")
        assert client.got == []

    async def test_too_large(self):
        async with serving(max_http_buffer_size=1000) as peer:
            client = client_of(engineio.AsyncClient)
            await client.connect(f"http://127.0.0.1:{peer.port}")
            with pytest.raises(PayloadTooLarge):
                await client.send("x" * 1000)
            await client.send("x" * 999)
            await until(lambda: len(client.got) == 2)
            await client.disconnect()

    async def test_headers_query_and_cookies_reach_the_server(self):
        async with serving(cookie="io") as peer:
            client = client_of(engineio.AsyncClient)
            await client.connect(f"http://127.0.0.1:{peer.port}?token=t", headers={"X-Test": "yes"})
            environ = peer.environs[client.sid]
            assert "token=t" in environ["QUERY_STRING"]
            assert environ["HTTP_X_TEST"] == "yes"
            await client.disconnect()

    async def test_a_session_of_aiohttp_is_used_and_left_open(self):
        import aiohttp

        async with serving() as peer, aiohttp.ClientSession(headers={"X-Mine": "1"}) as http:
            for transports in ("polling", "websocket"):
                client = client_of(engineio.AsyncClient, http_session=http)
                await client.connect(f"http://127.0.0.1:{peer.port}", transports=transports)
                assert peer.environs[client.sid]["HTTP_X_MINE"] == "1"
                await client.disconnect()
            assert not http.closed


class TestBlocking:
    @pytest.mark.parametrize("transports", TRANSPORTS)
    async def test_echo_from_many_threads(self, transports):
        async with serving() as peer:
            await asyncio.to_thread(self.echo, peer, transports)

    def echo(self, peer, transports):
        client = client_of(engineio.Client)
        done = threading.Event()
        client.on("message", lambda data: (client.got.append(data), data == "end" and done.set()))
        client.connect(f"http://127.0.0.1:{peer.port}", transports=transports)
        assert client.transport() == ("polling" if transports == "polling" else "websocket")

        def send(name):
            for number in range(300):
                client.send(f"{name} {number}")

        threads = [threading.Thread(target=send, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.send(b"\x04")
        client.send("end")
        assert done.wait(10)
        for name in "abc":
            mine = [m for m in client.got if isinstance(m, str) and m.startswith(name + " ")]
            assert mine == [f"{name} {number}" for number in range(300)]
        assert client.got[0] == "connect"
        assert client.got[-2:] == [b"\x04", "end"]
        client.disconnect()
        assert client.got[-1] == "client disconnect"
        client.wait()
        assert client.state == "disconnected"
        client.send("nobody hears this")

    async def test_a_handler_may_disconnect_and_connect_again(self):
        async with serving() as peer:
            await asyncio.to_thread(self.reconnect, f"http://127.0.0.1:{peer.port}")

    def reconnect(self, url):
        client = client_of(engineio.Client)
        client.on("message", lambda data: client.disconnect())
        client.connect(url)
        client.send("bye")
        client.wait()
        assert client.got == ["connect", "client disconnect"]
        client.connect(url)
        client.disconnect()

    async def test_the_connect_handler_may_refuse(self):
        async with serving() as peer:
            client = client_of(engineio.Client)
            client.on("connect", lambda: 1 / 0)
            with pytest.raises(ConnectionError, match="Connect handler failed"):
                await asyncio.to_thread(client.connect, f"http://127.0.0.1:{peer.port}")
            assert client.state == "disconnected"

    async def test_from_the_background_loops_own_thread(self):
        from duplexio.engineio.background import background_loop

        async def inside():
            with pytest.raises(UsageError):
                engineio.Client().connect("http://127.0.0.1:1")

        await asyncio.to_thread(lambda: background_loop().run(inside()))


PROGRAM = """
import sys, threading, time
from duplexio import engineio
client = engineio.Client()
client.connect(sys.argv[1], transports=sys.argv[2])
client.send("hello")
threading.Thread(target=client.wait, daemon=True).start()
print(client.transport(), "requests" in sys.modules, flush=True)
"""


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_the_interpreter_ends_with_a_client_connected(transport):
    async with serving() as peer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, f"http://127.0.0.1:{peer.port}", transport),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 20)
        assert (output.decode(), errors.decode()) == (f"{transport} False\n", "")
        assert process.returncode == 0


def test_a_program_with_websockets_only_does_not_load_aiohttp():
    code = "import sys; from duplexio import engineio; engineio.Client(); engineio.AsyncClient();"
    code += "print('aiohttp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "False\n"


SIGNATURES = """
import engineio, inspect, json, sys
print(json.dumps({
    kind: {
        name: [p.name for p in inspect.signature(member).parameters.values()]
        for name, member in inspect.getmembers(getattr(engineio, kind), inspect.isfunction)
        if not name.startswith("_") or name == "__init__"
    }
    for kind in ("Client", "AsyncClient")
}))
"""


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_the_names_and_arguments_are_python_engineios(kind):
    done = subprocess.run(
        [sys.executable, "-c", SIGNATURES],
        env={"PYTHONPATH": str(python_packages("engineio4"))},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ours = getattr(engineio, kind)
    for name, arguments in json.loads(done.stdout)[kind].items():
        mine = [*inspect.signature(getattr(ours, name)).parameters]
        assert mine[: len(arguments)] == arguments, name
    assert ours.reason.CLIENT_DISCONNECT == "client disconnect"


@pytest.mark.parametrize("kind", [engineio.Client, engineio.AsyncClient])
def test_wrong_use(kind):
    with pytest.raises(UsageError):
        kind(no_such_setting=1)
    with pytest.raises(UsageError):
        kind(protocol=2)
    with pytest.raises(UsageError):
        kind(websocket_extra_options={"no_such": 1})
    with pytest.raises(ValueError, match="no event"):
        kind().on("messages")
