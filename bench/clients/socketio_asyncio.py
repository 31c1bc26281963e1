"""Socket.IO clients for asyncio, on uvloop."""

from __future__ import annotations

import asyncio
import importlib
from argparse import Namespace
from typing import Any

import uvloop

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


async def ack(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    sio = make()
    await sio.connect(url, transports=TRANSPORTS)
    for seconds in (arguments.warm, arguments.seconds):
        window = Window(seconds)
        while not window.is_over:
            for _ in range(20):
                check(await sio.call("ack", MESSAGE))
            window.count += 20
        result = window.result()
    return result


async def acks(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    sio = make()
    loop = asyncio.get_running_loop()
    window = Window(arguments.warm)
    all_came = loop.create_future()

    def came(data: Any) -> None:
        check(data)
        window.count += 1
        if window.count % BURST == 0:
            all_came.set_result(None)

    await sio.connect(url, transports=TRANSPORTS)
    for seconds in (arguments.warm, arguments.seconds):
        window = Window(seconds)
        while not window.is_over:
            for _ in range(BURST):
                await sio.emit("ack", MESSAGE, callback=came)
            await all_came
            all_came = loop.create_future()
        result = window.result()
    return result


async def event(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    sio = make()
    loop = asyncio.get_running_loop()
    window = Window(arguments.warm)
    over = loop.create_future()

    @sio.event
    async def burst(data: Any) -> None:
        check(data)
        window.count += 1
        if window.count % BURST == 0:
            if window.is_over:
                over.set_result(window.result())
            else:
                await sio.emit("burst", MESSAGE)

    await sio.connect(url, transports=TRANSPORTS)
    await sio.emit("burst", MESSAGE)
    await over
    window, over = Window(arguments.seconds), loop.create_future()
    await sio.emit("burst", MESSAGE)
    result: dict[str, Any] = await over
    return result


async def connect(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    for seconds in (arguments.warm, arguments.seconds):
        window = Window(seconds)
        while not window.is_over:
            sio = make()
            await sio.connect(url, transports=TRANSPORTS)
            await sio.disconnect()
            window.count += 1
        result = window.result()
    return result


async def idle(make: Any, url: str, arguments: Namespace) -> dict[str, Any]:
    clients = []
    growth = None
    for number in range(arguments.clients):
        if number == arguments.base:
            growth = Growth(number)
        sio = make()
        await sio.connect(url, transports=TRANSPORTS, wait_timeout=10)
        clients.append(sio)
    assert growth is not None
    result = growth.result(len(clients))
    if not all(sio.connected for sio in clients):
        raise SystemExit("not all clients have stayed connected")
    return result


def main() -> None:
    arguments = parse_arguments()
    make = importlib.import_module(LIBRARIES[arguments.library]).AsyncClient
    modes = {"ack": ack, "acks": acks, "event": event, "connect": connect, "idle": idle}
    mode = modes[arguments.mode]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        finish(runner.run(mode(make, f"http://127.0.0.1:{arguments.port}", arguments)))


if __name__ == "__main__":
    main()
