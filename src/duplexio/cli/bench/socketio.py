# cython: annotation_typing=False, binding=False, embedsignature=True
"""Connections of the load that speak Socket.IO; compiled.

They are handlers of our client's Engine.IO sessions, and know of Socket.IO what a load needs: the
packets that are sent are put together once, and of what arrives only the head is read.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

from ...engineio.channel import SessionHandler
from ...engineio.client_dialing import connect
from ...engineio.client_options import ClientOptions
from ...engineio.encoded import Encoded
from ...errors import DuplexioError
from .plan import Plan
from .recorder import Recorder

__all__ = ["Refused", "SocketIOLoad", "open_socketio"]

#: What precedes the time in the payload of a message whose deliveries are measured.
STAMP = "@"
_STAMP_LENGTH = 16

# What counts as an answer, as a number that is compared fast.
_NONE, _ECHO, _ACK, _DELIVERIES = range(4)
_KINDS = {"none": _NONE, "echo": _ECHO, "ack": _ACK, "deliveries": _DELIVERIES}


class Refused(DuplexioError):
    """The namespace has refused the connection."""


class SocketIOLoad(SessionHandler):
    """A connection whose events are answered.

    Args:
        plan: The load.
        recorder: Counts.

    Attributes:
        session: The Engine.IO session; ``None`` before it is open.
        connected: Done when the namespace has accepted.
        gone: Called with the connection, and why, when it has ended.
    """

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        self.plan = plan
        self.recorder = recorder
        self.kind = _KINDS[plan.answer]
        self.prefix = "" if plan.namespace == "/" else f"{plan.namespace},"
        text = ("duplexio " * (plan.payload // 9 + 1))[: plan.payload]
        if self.kind == _DELIVERIES:
            text = text[_STAMP_LENGTH + 1 :]
        self.event = json.dumps(plan.event)
        self.text = text
        self.body = json.dumps([plan.event, text], separators=(",", ":"))
        self.attachments: tuple[bytes, ...] = ()
        if plan.binary:
            placeholder = {"_placeholder": True, "num": 0}
            self.body = json.dumps([plan.event, placeholder], separators=(",", ":"))
            self.attachments = (bytes(plan.payload),)
        self.session: Any = None
        self.next_id = 1
        self.sent_at: dict[int, float] = {}
        self.order: deque[float] = deque()
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: Callable[[Any, str], None] | None = None

    @property
    def waiting(self) -> Any:
        """What waits for answers."""
        return self.sent_at if self.kind == _ACK else self.order

    def send(self, started: float) -> None:
        """Send an event.

        Args:
            started: When, or when it ought to have been, in the time of ``perf_counter``.
        """
        number = ""
        if self.kind == _ACK:
            number = str(self.next_id)
            self.sent_at[self.next_id] = started
            self.next_id += 1
        elif self.kind == _ECHO:
            self.order.append(started)
        self.recorder.sent += 1
        if self.attachments:
            text = f"51-{self.prefix}{number}{self.body}"
            self.session.send_encoded(Encoded(text, self.attachments))
        elif self.kind == _DELIVERIES:
            stamp = f"{STAMP}{int(started * 1e6):0{_STAMP_LENGTH}x}"
            self.session.send_text(f'2{self.prefix}[{self.event},"{stamp}{self.text}"]')
        else:
            self.session.send_text(f"2{self.prefix}{number}{self.body}")

    def on_open(self, session: Any) -> None:
        self.session = session
        if session.protocol == 4 or self.prefix:
            session.send_text(f"0{self.prefix}{self.plan.auth}")

    def on_text(self, session: Any, text: str, start: int) -> None:
        kind = text[start]
        if kind == "3" or kind == "6":
            if self.kind == _ACK:
                self.acknowledged(text, start + 1)
        elif kind == "2" or kind == "5":
            if self.kind == _ECHO and self.order:
                self.answered(self.order.popleft())
            elif self.kind == _DELIVERIES:
                self.delivered(text)
        elif kind == "0":
            if text.startswith(self.prefix, start + 1) and not self.connected.done():
                self.connected.set_result(None)
        elif kind == "4" and not self.connected.done():
            self.connected.set_exception(Refused(f"refused: {text[start + 1 :][:200]}"))

    def on_close(self, session: Any, reason: str) -> None:
        if not self.connected.done():
            self.connected.set_exception(Refused(reason))
        if self.gone is not None:
            self.gone(self, f"disconnected: {reason}")

    def acknowledged(self, text: str, start: int) -> None:
        """Find out which event is acknowledged.

        Args:
            text: The packet.
            start: Where its type ends.
        """
        end = text.find("[", start)
        head = text[start:end]
        if self.prefix or "-" in head:
            head = head[max(head.rfind(","), head.rfind("-")) + 1 :]
        started = self.sent_at.pop(int(head), None)
        if started is not None:
            self.answered(started)

    def answered(self, started: float) -> None:
        """Count an answer, and send the next event."""
        recorder = self.recorder
        recorder.record(started)
        if recorder.running:
            self.send(perf_counter())

    def delivered(self, text: str) -> None:
        """Count an event that any of the clients has sent."""
        position = text.find(STAMP)
        try:
            started = int(text[position + 1 : position + 1 + _STAMP_LENGTH], 16) / 1e6
        except ValueError:
            self.recorder.received += 1  # another event, or one without a time
            return
        self.recorder.record(started)


async def open_socketio(
    plan: Plan, number: int, recorder: Recorder, gone: Callable[[Any, str], None]
) -> SocketIOLoad:
    """Open a connection.

    Args:
        plan: The load.
        number: Number of the connection among all.
        recorder: Counts.
        gone: Called when the connection has ended.

    Raises:
        DuplexioError: It cannot be opened, or the namespace refuses it.
    """
    load = SocketIOLoad(plan, recorder)
    options = ClientOptions(
        transports=plan.transports,
        headers=dict(plan.headers),
        engineio_path=plan.path,
        ssl_verify=not plan.insecure,
        open_timeout=plan.timeout,
        request_timeout=plan.timeout + 60,
    )
    session = await connect(plan.url, load, options)
    try:
        async with asyncio.timeout(plan.timeout):
            await load.connected
    except BaseException:
        load.connected.cancel()
        session.abort()
        raise
    load.gone = gone
    if plan.rooms:
        room = json.dumps([plan.join, f"room-{number % plan.rooms}"])
        session.send_text(f"2{load.prefix}{room}")
    return load
