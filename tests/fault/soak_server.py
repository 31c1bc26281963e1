"""The server of the soak: numbers what it sends, checks the numbers it gets, tells how it does.

usage: python -m tests.fault.soak_server PORT_FILE
"""

import asyncio
import gc
import json
import os
import random
import socket
import sys
from pathlib import Path

import uvicorn

from duplexio import socketio
from duplexio.engineio.asgi import respond
from duplexio.hosting.uvicorn import Protocol

#: Seconds between two messages for a client.
PACE = 0.1

PING_INTERVAL = 2
PING_TIMEOUT = 20  # a busy machine is no defect


class Talk:
    """What was said between the server and one client.

    Attributes:
        heard: Number of the last message that the client sent.
        sent: Number of the last one that was sent to it.
        leaving: Whether the client has said that it goes, and is sent no more.
    """

    def __init__(self):
        self.heard = 0
        self.sent = 0
        self.leaving = False


class Soak:
    """The server, and what it has found wrong."""

    def __init__(self):
        self.server = server = socketio.AsyncServer(
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            cors_allowed_origins="*",
        )
        self.talks = {}
        self.errors = []
        self.totals = dict.fromkeys(("connects", "disconnects", "heard", "sent", "broadcasts"), 0)
        self.reasons = {}
        self.draw = random.Random(4)

        @server.event
        async def connect(sid, environ):
            assert sid not in self.talks
            self.talks[sid] = Talk()
            self.totals["connects"] += 1
            await server.enter_room(sid, "all")

        @server.event
        async def disconnect(sid, reason):
            if self.talks.pop(sid, None) is None:
                self.errors.append(f"{sid} left twice")
            self.totals["disconnects"] += 1
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

        @server.event
        async def n(sid, number, data=None):
            talk = self.talks[sid]
            if number != talk.heard + 1:
                self.errors.append(f"{sid} sent {number} after {talk.heard}")
            if data is not None and data != bytes([number % 256]) * 100:
                self.errors.append(f"{sid} sent wrong bytes with {number}")
            talk.heard = number
            self.totals["heard"] += 1
            return number

        @server.event
        async def bye(sid, sent):
            talk = self.talks[sid]
            talk.leaving = True
            if sent != talk.heard:
                self.errors.append(f"{sid} sent {sent} messages, {talk.heard} came")
            return talk.sent, talk.heard

    async def talk(self):
        """Send each client its next message, and all of them one, for ever."""
        server = self.server
        while True:
            await asyncio.sleep(PACE)
            for sid, talk in list(self.talks.items()):
                if talk.leaving or sid not in self.talks:
                    continue
                talk.sent += 1
                self.totals["sent"] += 1
                data = talk.sent
                if self.draw.random() < 0.1:
                    data = (talk.sent, bytes([talk.sent % 256]) * 100)
                await server.emit("m", data, to=sid)
            self.totals["broadcasts"] += 1
            await server.emit("b", self.totals["broadcasts"], room="all")

    def report(self):
        gc.collect()
        hub = self.server.hub
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "resident": pages * os.sysconf("SC_PAGE_SIZE"),
            "blocks": sys.getallocatedblocks(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "tasks": len(asyncio.all_tasks()),
            "sessions": len(self.server.engine.sessions),
            "clients": len(self.talks),
            "rooms": sum(len(adapter.rooms) for adapter in hub.adapters.values()),
            "counters": hub.counters,
            "refused": self.server.engine.refused,
            "reasons": self.reasons,
            "totals": self.totals,
            "errors": self.errors[:20],
        }

    async def __call__(self, scope, receive, send):
        """Answer with the report."""
        body = json.dumps(self.report()).encode()
        await respond(send, 200, ((b"content-type", b"application/json"),), body)


def main():
    soak = Soak()
    tasks = []

    async def start():
        tasks.append(asyncio.ensure_future(soak.talk()))

    async def stop():
        tasks[0].cancel()

    app = socketio.ASGIApp(soak.server, soak, on_startup=start, on_shutdown=stop)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    Path(sys.argv[1]).write_text(str(listening.getsockname()[1]))
    config = uvicorn.Config(app, http=Protocol, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
