"""Whether a connection on which nothing happens stays until the next heartbeat."""

from __future__ import annotations

import asyncio
import time

from ...websocket.client import ClientConnection
from ...websocket.exceptions import ConnectionClosed, InvalidHandshake
from .findings import Finding, good, note, problem
from .probe import FAILURES, NotEngineIO, Polling, Requests, read_opening
from .transports import Spoken

__all__ = ["check_idle"]

# Seconds that a heartbeat may come late before we think that it never will.
_GRACE = 5.0

_ADVICE = (
    "A proxy ends what is idle for less than the heartbeat: raise its timeout (in nginx:"
    " proxy_read_timeout; in haproxy: timeout server and timeout tunnel), or lower ping_interval."
)


async def check_idle(requests: Requests, spoken: Spoken, longest: float) -> list[Finding]:
    """Wait on both transports for the first heartbeat.

    Args:
        requests: How to ask.
        spoken: What the server speaks.
        longest: Seconds to wait at most.
    """
    protocol = spoken.protocol or max(spoken.websockets, default=None)
    if protocol is None:
        return []
    opening = spoken.openings.get(protocol)
    if opening is not None and opening.ping_interval > longest:
        return [
            note(
                "Idle",
                f"The heartbeat comes every {opening.ping_interval:g} s, which was not waited for.",
                f"--wait {opening.ping_interval + 1:g} does.",
            )
        ]
    waits = []
    if spoken.openings:
        waits.append(wait_on_polling(requests, protocol))
    if protocol in spoken.websockets:
        waits.append(wait_on_websocket(requests, protocol, longest))
    return list(await asyncio.gather(*waits))


async def wait_on_polling(requests: Requests, protocol: int) -> Finding:
    """Let a poll wait for as long as polls do."""
    area = "Idle, polling"
    started = time.monotonic()
    try:
        async with requests.polling(protocol) as session:
            opening = session.opening
            if opening.protocol == 3 and not opening.packets:
                await session.get()  # the connection of the main namespace
            ping = asyncio.ensure_future(_ping_later(session))
            try:
                answer = await session.get(timeout=opening.ping_interval + _GRACE)
            finally:
                ping.cancel()
            waited = time.monotonic() - started
    except NotEngineIO as exc:
        return note(area, f"Not examined: {exc}.")
    except FAILURES:
        waited = time.monotonic() - started
        return problem(area, f"A waiting poll was cut off after {waited:.0f} s.", _ADVICE)
    if answer.status != 200:
        return problem(
            area, f"A waiting poll was answered {answer.summary(60)} after {waited:.0f} s.", _ADVICE
        )
    return good(area, f"A poll waits until the heartbeat ({waited:.0f} s).")


async def _ping_later(session: Polling) -> None:
    """Ping when it is time, where it is the client that does: in Engine.IO 3."""
    if session.opening.protocol == 3:
        await asyncio.sleep(session.opening.ping_interval)
        await session.post("2")


async def wait_on_websocket(requests: Requests, protocol: int, longest: float) -> Finding:
    """Let a WebSocket be idle for as long as it ever is."""
    area = "Idle, WebSocket"
    query = {"EIO": str(protocol), "transport": "websocket"}
    started = time.monotonic()
    try:
        async with requests.websocket(query, origin=requests.target.origin or None) as ws:
            opening = read_opening(await ws.recv(), protocol)
            if opening is None:
                return note(area, "Not examined: the first message opens no session.")
            if opening.ping_interval > longest:
                return note(area, f"Not waited for {opening.ping_interval:g} s.")
            async with asyncio.timeout(opening.ping_interval + _GRACE):
                await _await_heartbeat(ws, protocol, opening.ping_interval)
    except TimeoutError:
        return problem(area, f"No heartbeat came in {time.monotonic() - started:.0f} s.", _ADVICE)
    except (ConnectionClosed, InvalidHandshake, OSError):
        waited = time.monotonic() - started
        return problem(area, f"An idle WebSocket was cut off after {waited:.0f} s.", _ADVICE)
    return good(
        area, f"An idle WebSocket stays until the heartbeat ({time.monotonic() - started:.0f} s)."
    )


async def _await_heartbeat(ws: ClientConnection, protocol: int, interval: float) -> None:
    if protocol == 3:
        await asyncio.sleep(interval)
        await ws.send("2")
    awaited = "3" if protocol == 3 else "2"
    while await ws.recv() != awaited:
        pass
