"""Programs with clients that block: interrupted, forked, ended while they are connected."""

import asyncio
import os
import signal
import sys
import time

import pytest

from duplexio import engineio, socketio
from tests.engineio.serving import hosted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals and fork of POSIX")

TRANSPORTS = ("polling", "websocket")

ENGINEIO = """
import os, sys, threading, time
from duplexio import engineio, socketio
from duplexio.errors import UsageError
client = engineio.Client()
client.on("disconnect", lambda reason: print(reason, flush=True))
client.connect(sys.argv[1], transports=sys.argv[2])

def tell(main):
    # The main thread waits when a frame of threading.py is above that of client.wait().
    def names(frame):
        while frame is not None:
            yield frame.f_code.co_filename.rsplit("/")[-1]
            frame = frame.f_back
    while not {"threading.py", "sync_client.py"} <= {*names(sys._current_frames()[main])}:
        time.sleep(0.01)
    print("waiting", flush=True)

def wait():
    threading.Thread(target=tell, args=[threading.get_ident()], daemon=True).start()
    client.wait()
"""
SOCKETIO = ENGINEIO.replace("engineio.Client()", "socketio.Client()")
PROGRAMS = {"engineio": ENGINEIO, "socketio": SOCKETIO}


class Program:
    """A program that runs, and what it writes."""

    def __init__(self, process):
        self.process = process

    async def line(self):
        return (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode().strip()

    async def ended(self):
        """Return the rest of its output, its errors and its status."""
        output, errors = await asyncio.wait_for(self.process.communicate(), 20)
        return output.decode(), errors.decode(), self.process.returncode


@pytest.fixture(params=PROGRAMS)
def kind(request):
    return request.param


@pytest.fixture
async def run(kind):
    """A function that runs the program that connects, with more behind it."""
    server = engineio.AsyncServer() if kind == "engineio" else socketio.AsyncServer()
    app = (engineio if kind == "engineio" else socketio).ASGIApp(server)
    programs = []
    async with hosted(app) as port:

        async def start(code, transport):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "ignore::DeprecationWarning"),
                *("-c", PROGRAMS[kind] + code, f"http://127.0.0.1:{port}", transport),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            programs.append(process)
            return Program(process)

        yield start
        for process in programs:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_interrupt_while_it_waits(run, transport):
    program = await run("wait()", transport)
    assert await program.line() == "waiting"
    began = time.monotonic()
    program.process.send_signal(signal.SIGINT)
    output, errors, status = await program.ended()
    assert time.monotonic() - began < 5
    assert output == "client disconnect\n"
    # Nothing but Python's own word of it.
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")
    assert status == -signal.SIGINT


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_interrupt_that_is_caught(run, transport):
    code = """
try:
    wait()
except KeyboardInterrupt:
    print("caught", flush=True)
client.disconnect()
"""
    program = await run(code, transport)
    assert await program.line() == "waiting"
    program.process.send_signal(signal.SIGINT)
    output, errors, status = await program.ended()
    assert sorted(output.split("\n")) == ["", "caught", "client disconnect"]
    assert (errors, status) == ("", 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_end_of_a_program_that_is_connected(run, transport):
    code = """
threading.Thread(target=client.wait, daemon=True).start()
client.send("hello")
print("ends", flush=True)
"""
    program = await run(code, transport)
    assert await program.line() == "ends"
    began = time.monotonic()
    _, errors, status = await program.ended()
    assert time.monotonic() - began < 5
    assert (errors, status) == ("", 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_fork(run, transport):
    code = """
child = os.fork()
if not child:
    try:
        client.send("hello")
    except UsageError:
        print("refused", flush=True)
    fresh = type(client)()
    fresh.connect(sys.argv[1], transports=sys.argv[2])
    print(fresh.transport(), flush=True)
    fresh.disconnect()
    sys.exit(0)
_, status = os.waitpid(child, 0)
print(status, flush=True)
client.send("still there")
client.disconnect()
"""
    program = await run(code, transport)
    assert await program.ended() == (f"refused\n{transport}\n0\nclient disconnect\n", "", 0)
