"""A Socket.IO server for many clients: each is in two rooms, and ``ack`` is acknowledged.

It prints the port. For each empty line of its standard input it prints, as JSON, how many clients
there are, and were at most, how many have gone for which reason, and what was logged; at the end of
the input it ends.
"""

import asyncio
import json
import logging
import resource
import sys
from collections import Counter

import uvloop

from duplexio import socketio
from tests.engineio.serving import hosted


class Log(logging.Handler):
    """Keeps what is logged that somebody should act on."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


async def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    log = Log()
    logging.getLogger().addHandler(log)
    server = socketio.AsyncServer()
    here = set()
    seen = Counter()

    @server.event
    async def connect(sid, environ):
        here.add(sid)
        seen["most"] = max(seen["most"], len(here))
        await server.enter_room(sid, "everybody")
        await server.enter_room(sid, f"room {len(here) // 100}")

    @server.event
    def disconnect(sid, reason):
        here.discard(sid)
        seen[reason] += 1

    @server.event
    async def ack(sid, data):
        return data

    async with hosted(socketio.ASGIApp(server)) as port:
        print(port, flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            # A question: what there is now.
            assert line == "\n"
            now = {"here": len(here), **seen, "log": log.lines}
            print(json.dumps(now), flush=True)


uvloop.run(main())
