"""Clients of socket.io-client, in a process of their own."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hosting.programs import Server

HERE = Path(__file__).parent
NODE = shutil.which("node")

TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}

needs_clients = pytest.mark.skipif(
    NODE is None or not (HERE.parent / "interop" / "node_modules").exists(),
    reason="needs node and `make interop-packages`",
)


def clients(specifications, certificates):
    """Start clients; what happens to them is in the log, as JSON."""
    process = subprocess.Popen(
        [NODE, str(HERE / "socketio_client.cjs"), json.dumps(specifications)],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(certificates.authority)},
        stdout=subprocess.PIPE,
        text=True,
    )
    return Server(process)


def events_of(process):
    """Wait until all clients have left; return the events of each."""
    process.wait(60)
    process.process.stdout.close()
    events = {}
    for line in process.log.splitlines():
        name, *event = json.loads(line)
        events.setdefault(name, []).append(event)
    return events
