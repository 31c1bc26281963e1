"""Real clients of Engine.IO, of both protocols, over each transport and over the upgrade."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from duplexio import engineio
from tests.engineio.serving import HOSTINGS, hosted
from tests.interop.python_packages import python_packages

HERE = Path(__file__).parent
NODE = shutil.which("node")
MESSAGES = 200

pytestmark = pytest.mark.timeout(120)


class Echo:
    """An echo server that ends a session when it is asked to."""

    def __init__(self):
        self.eio = eio = engineio.AsyncServer()
        self.reasons = []
        self.received = []

        @eio.on("message")
        async def message(sid, data):
            if data == "close me":
                await eio.disconnect(sid)
                return
            self.received.append(data)
            await eio.send(sid, data)

        @eio.on("disconnect")
        def disconnect(sid, reason):
            self.reasons.append(reason)


async def run(*command, **environ):
    """Run a client; return what it has printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=HERE,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    events = [json.loads(line) for line in output.decode().split("\n") if line]
    assert process.returncode == 0, (events[-3:], errors.decode()[-2000:])
    return events


def plain(messages):
    return [list(m["binary"]) if isinstance(m, dict) else m for m in messages]


def check(echo, events, ordered=True):
    messages = plain([event[1] for event in events if event[0] == "message"])
    sent = [list(data) if isinstance(data, bytes) else data for data in echo.received]
    if not ordered:
        messages, sent = sorted(messages, key=str), sorted(sent, key=str)
    assert messages == sent
    assert [0, 1, 2, 255, 4] in messages
    assert '€ 😀 \u2028\\n\n"' in messages
    assert echo.reasons == ["forced close"]
    assert not echo.eio.engine.sessions


@pytest.mark.skipif(
    NODE is None or not (HERE / "node_modules/eioc6").exists(),
    reason="needs node and `make interop-packages`",
)
@pytest.mark.parametrize("hosting", HOSTINGS)
@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
@pytest.mark.parametrize("module", ["eioc3", "eioc6"])
async def test_javascript(module, transports, hosting):
    echo = Echo()
    async with hosted(engineio.ASGIApp(echo.eio), hosting) as port:
        arguments = (module, str(port), transports, str(MESSAGES))
        events = await run(NODE, "engineio_client.cjs", *arguments)
    check(echo, events)
    assert events[0] == ["open", transports.partition(",")[0]]
    if "," in transports:
        assert ["upgrade", "websocket"] in events
        assert echo.received[:50] == [f"early{number}" for number in range(50)]
    assert events[-1] == ["close", "transport close"]


@pytest.mark.parametrize("hosting", HOSTINGS)
@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
@pytest.mark.parametrize("package", ["engineio3", "engineio4"])
async def test_python(package, transports, hosting):
    folder = await asyncio.to_thread(python_packages, package)
    echo = Echo()
    async with hosted(engineio.ASGIApp(echo.eio), hosting) as port:
        events = await run(
            sys.executable,
            "engineio_client.py",
            str(port),
            transports,
            str(MESSAGES),
            PYTHONPATH=str(folder),
        )
    # Its handlers run in threads, each in its own.
    check(echo, events, ordered=False)
    assert echo.received[-1] == f"n{MESSAGES - 1}"
