"""What the Socket.IO clients in Python have in common; node_socketio.js is their twin.

ack      emit with an acknowledgement, one at a time
acks     16 emits with acknowledgements at once, again and again (asyncio and Node)
event    the server sends bursts of 16 events, each when the one before has come
connect  connect over a WebSocket, and disconnect, one at a time, with a fresh client each
idle     memory of many clients that are connected and do nothing

The times are those of the process itself: all of its threads, user and system.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from pathlib import Path
from typing import Any

BURST = 16
"""Events that the C server sends for one `burst`, and emits that are in flight in `acks`."""

MESSAGE = {"id": "0" * 16, "n": 12345, "ok": True, "text": "abcdefghi"}
"""64 bytes of JSON, like those of the load generator."""

LIBRARIES = {"duplexio": "duplexio.socketio", "python-socketio": "socketio"}
MODES = ("ack", "acks", "event", "connect", "idle")
TRANSPORTS = ["websocket"]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=LIBRARIES, default="duplexio")
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--warm", type=float, default=0.3)
    parser.add_argument("--clients", type=int, default=1000, help="that are idle, in the end")
    parser.add_argument("--base", type=int, default=100, help="from which on they are counted")
    return parser.parse_args()


class Window:
    """Counts what is done in a stretch of time, and the CPU time that it takes.

    A first stretch is a warm-up, from which only what it has warmed is kept.
    """

    def __init__(self, seconds: float) -> None:
        self.count = 0
        self._cpu, self._begun = time.process_time_ns(), time.monotonic_ns()
        self._end = self._begun + int(seconds * 1e9)

    @property
    def is_over(self) -> bool:
        return time.monotonic_ns() >= self._end

    def result(self) -> dict[str, Any]:
        cpu, wall = time.process_time_ns() - self._cpu, time.monotonic_ns() - self._begun
        count = self.count
        return {"cpu_us": cpu / count / 1e3, "wall_us": wall / count / 1e3, "count": count}


def check(answer: Any) -> None:
    if answer != MESSAGE:
        raise SystemExit(f"the server's message differs: {answer!r}")


class Growth:
    """How the process grows while clients connect."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._bytes = _resident_bytes()
        self._cpu = time.process_time_ns()

    def result(self, clients: int) -> dict[str, Any]:
        cpu = time.process_time_ns() - self._cpu
        more = clients - self._base
        return {
            "resident_bytes": (_resident_bytes() - self._bytes) / more,
            "open_cpu_us": cpu / more / 1e3,
            "threads": len(os.listdir("/proc/self/task")),
            "count": more,
        }


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def finish(result: dict[str, Any]) -> None:
    """Print the result and end: how long libraries take to end is no row."""
    print(json.dumps(result), flush=True)
    os._exit(0)
