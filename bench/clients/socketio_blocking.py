"""Socket.IO clients that block."""

from __future__ import annotations

import importlib
import threading
from argparse import Namespace
from typing import Any

from bench.clients._socketio import (
    BURST,
    LIBRARIES,
    MESSAGE,
    TRANSPORTS,
    Growth,
    Window,
    check,
    finish,
    parse_arguments,
)


def ack(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    sio = make()
    sio.connect(url, transports=TRANSPORTS)
    for seconds in (arguments.warm, arguments.seconds):
        window = Window(seconds)
        while not window.is_over:
            for _ in range(20):
                check(sio.call("ack", MESSAGE))
            window.count += 20
        result = window.result()
    return result


def event(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    sio = make()
    window, over = Window(arguments.warm), threading.Event()
    # python-socketio calls each handler in a thread of its own.
    lock = threading.Lock()

    @sio.event
    def burst(data: Any) -> None:
        check(data)
        with lock:
            window.count += 1
            ended = window.count % BURST == 0
        if ended:
            if window.is_over:
                over.set()
            else:
                sio.emit("burst", MESSAGE)

    sio.connect(url, transports=TRANSPORTS)
    sio.emit("burst", MESSAGE)
    over.wait()
    window, over = Window(arguments.seconds), threading.Event()
    sio.emit("burst", MESSAGE)
    over.wait()
    return window.result()


def connect(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    for seconds in (arguments.warm, arguments.seconds):
        window = Window(seconds)
        while not window.is_over:
            sio = make()
            sio.connect(url, transports=TRANSPORTS)
            sio.disconnect()
            window.count += 1
        result = window.result()
    return result


def idle(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    clients = []
    growth = None
    for number in range(arguments.clients):
        if number == arguments.base:
            growth = Growth(number)
        sio = make()
        sio.connect(url, transports=TRANSPORTS, wait_timeout=10)
        clients.append(sio)
    assert growth is not None
    result = growth.result(len(clients))
    if not all(sio.connected for sio in clients):
        raise SystemExit("not all clients have stayed connected")
    return result


def main() -> None:
    arguments = parse_arguments()
    make = importlib.import_module(LIBRARIES[arguments.library]).Client
    mode = {"ack": ack, "event": event, "connect": connect, "idle": idle}[arguments.mode]
    finish(mode(make, f"http://127.0.0.1:{arguments.port}", arguments))


if __name__ == "__main__":
    main()
