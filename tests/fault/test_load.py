"""15,000 connections are held, on polling and on WebSockets, while 1,000 of them talk."""

import asyncio
import json
import os
import resource
import sys
from pathlib import Path

import pytest

from bench.native import build

ROOT = Path(__file__).parent.parent.parent

#: What the load generator holds: how many connections, how, and what it says on them.
HELD = {"websocket": 12_000, "polling": 2_000}
TALKING = {"websocket": 700, "polling": 300}
#: Messages per second, of all that talk on a transport.
RATE = {"websocket": 1000, "polling": 300}
SECONDS = 20
#: A connection of polling is two of TCP in the generator.
DESCRIPTORS = 20_000


class Server:
    """The server, in a process of its own."""

    @classmethod
    async def start(cls):
        server = cls()
        server.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.fault.load_server",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        server.port = int(await server.process.stdout.readline())
        return server

    async def state(self):
        self.process.stdin.write(b"\n")
        return json.loads(await self.process.stdout.readline())

    def resident(self):
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def stop(self):
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), 60)


async def generate(program, server, mode, *options):
    """Start the load generator, which ends with an error when anything is not as it should be."""
    return await asyncio.create_subprocess_exec(
        *(str(program), mode, "--socketio", "--block", "--timeout", "120"),
        *("--port", str(server.port), "--pid", str(server.process.pid)),
        *map(str, options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def result(process):
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


async def reached(server, count, *processes):
    """Wait until so many clients are there."""
    for _ in range(600):
        for process in processes:
            assert process.returncode is None, (await process.stderr.read()).decode()
        state = await server.state()
        if state.get("here", 0) >= count:
            return state
        await asyncio.sleep(0.2)
    raise AssertionError(f"not {count} clients within two minutes: {state}")


def polling(kind):
    return ["--polling"] if kind == "polling" else []


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_fifteen_thousand_connections_while_a_thousand_talk():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, DESCRIPTORS),) * 2)
    program = build().load
    server = await Server.start()
    empty = server.resident()
    # Those that only hold stay until they are told to go.
    holders = []
    count = 0
    for kind, connections in HELD.items():
        before = server.resident()
        holders.append(
            await generate(
                program, server, "idle", *polling(kind),
                "--connections", connections, "--seconds", 300,
            )
        )  # fmt: skip
        count += connections
        await reached(server, count, *holders)
        each = (server.resident() - before) / connections
        print(f"\n{connections:,} idle on {kind}: {each:,.0f} bytes each")
    talkers = {
        kind: await generate(
            program, server, "ack", *polling(kind), "--connections", connections,
            "--rate", RATE[kind], "--seconds", SECONDS, "--warm", 2,
        )
        for kind, connections in TALKING.items()
    }  # fmt: skip
    total = count + sum(TALKING.values())
    await reached(server, total)
    resident = server.resident() - empty
    for kind, process in talkers.items():
        talked = await result(process)
        latency = talked["latency_us"]
        print(
            f"{TALKING[kind]} talk on {kind}: {talked['count']:,} answers in {SECONDS} s, "
            + ", ".join(f"{name} {value / 1000:.1f} ms" for name, value in latency.items())
        )
        assert talked["count"] > 0.9 * RATE[kind] * SECONDS
    print(f"{total:,} connections: {resident / 1e6:.1f} MB, {resident / total:,.0f} bytes each")
    # Nobody was dropped: those that held still do, and those that have talked went by themselves.
    state = await server.state()
    assert state["most"] == total
    assert state["here"] >= count
    assert "ping timeout" not in state
    assert state["log"] == []
    for process in holders:
        assert process.returncode is None
        process.terminate()
        await process.wait()
    await server.stop()
