"""Clients of all generations come, talk and go: nothing is lost, doubled, or left.

It takes ten minutes; `DUPLEXIO_SOAK_SECONDS` is another number of seconds.
"""

import asyncio
import json
import os
import shutil
import statistics
import sys
from pathlib import Path

import pytest

from tests.engineio.serving import Http
from tests.fault.peers import until
from tests.interop.python_packages import python_packages

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NODE = shutil.which("node")
MODULES = HERE.parent / "interop/node_modules"
SECONDS = float(os.environ.get("DUPLEXIO_SOAK_SECONDS", "600"))

JAVASCRIPT = ("sioc1", "sioc2", "sioc3", "sioc4")
PYTHON = ("socketio4", "socketio5")


class Program:
    """A process of the soak."""

    def __init__(self, name, process):
        self.name = name
        self.process = process

    @classmethod
    async def start(cls, name, *command, **environ):
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(name, process)

    async def result(self):
        """Return what it has printed, once it has ended by itself."""
        output, errors = await self.process.communicate()
        assert self.process.returncode == 0, (self.name, errors.decode()[-2000:])
        return json.loads(output.decode().splitlines()[-1])


async def report(port):
    async with Http(port) as http:
        await http.send("GET", None, path="/report")
        _, _, body = await http.receive()
    return json.loads(body)


async def programs(port, seconds):
    """Start the clients."""
    arguments = (str(port), str(seconds))
    started = [await Program.start("raw", sys.executable, "-m", "tests.fault.soak_raw", *arguments)]
    for name in JAVASCRIPT:
        command = (NODE, str(HERE / "soak_client.cjs"), name, *arguments)
        started.append(await Program.start(name, *command))
    for name in PYTHON:
        folder = await asyncio.to_thread(python_packages, name)
        command = (sys.executable, str(HERE / "soak_client.py"), *arguments)
        started.append(await Program.start(name, *command, PYTHONPATH=str(folder)))
    return started


async def watch(port, seconds, samples):
    """Take a sample of the server's state now and then."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + seconds:
        await asyncio.sleep(min(5.0, seconds / 30))
        samples.append((loop.time() - began, await report(port)))


def level(samples, name, since, before):
    """Return the median of what was sampled in a part of the time."""
    return statistics.median(each[name] for at, each in samples if since <= at <= before)


def check_growth(samples, seconds):
    """Compare the time around the second minute with the last one."""
    begin = min(120.0, seconds * 0.3)
    span = min(60.0, seconds * 0.2)
    lines = []
    for name in ("resident", "blocks", "descriptors", "tasks", "sessions"):
        first = level(samples, name, begin, begin + span)
        last = level(samples, name, seconds - span, seconds)
        lines.append(f"{name} {first:.0f} -> {last:.0f}")
        if name == "resident":
            assert last - first < 3_000_000, lines
        elif name == "blocks":
            assert last - first < first * 0.05 + 5_000, lines
        else:  # those of clients that are here right now
            assert last - first < first * 0.5 + 10, lines
    return ", ".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.skipif(
    NODE is None or not (MODULES / "sioc4").exists(),
    reason="needs node and `make interop-packages`",
)
async def test_clients_of_all_generations(tmp_path):
    port_file = tmp_path / "port"
    server = await Program.start(
        "server", sys.executable, "-m", "tests.fault.soak_server", str(port_file)
    )
    started = []
    try:
        await until(lambda: port_file.exists() and port_file.read_text())
        port = int(port_file.read_text())
        empty = await report(port)
        started = await programs(port, SECONDS)
        samples = []
        watching = asyncio.ensure_future(watch(port, SECONDS, samples))
        results = await asyncio.gather(*[program.result() for program in started])
        await watching
        while (after := await report(port))["sessions"]:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.5)
    finally:
        for program in started:
            if program.process.returncode is None:
                program.process.kill()
        server.process.terminate()
        _, complaints = await server.process.communicate()
    print(f"\nserver: {json.dumps(after)}")
    for program, result in zip(started, results, strict=True):
        print(f"{program.name}: {json.dumps(result)}")
    print(check_growth(samples, SECONDS))
    assert not any(result["errors"] for result in results)
    assert after["errors"] == []
    assert after["counters"] == {}
    assert after["clients"] == after["rooms"] == 0
    assert after["totals"]["connects"] == after["totals"]["disconnects"]
    assert after["descriptors"] == empty["descriptors"]
    assert after["tasks"] <= empty["tasks"] + 8  # those that are parked for handlers to come
    assert all(result["lives"] > 0 for result in results)
    assert complaints.decode() == ""
