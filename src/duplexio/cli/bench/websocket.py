# cython: annotation_typing=False, binding=False, embedsignature=True
"""Connections of the load that speak plain WebSocket; compiled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from ...websocket.driver import Driver
from ...websocket.loopstate import LoopState
from .recorder import Recorder

if TYPE_CHECKING:
    from ...websocket.options import Options

__all__ = ["WebSocketLoad"]


class WebSocketLoad(Driver):
    """A connection whose messages come back.

    Args:
        loop_state: What the connections of the loop share.
        options: The settings.
        recorder: Counts.
        message: What is sent.
        ordered: Whether each message is answered, in order; else what arrives is counted only.

    Attributes:
        waiting: When the messages were sent that are not answered yet.
        gone: Called with the connection when it has ended.
    """

    def __init__(
        self,
        loop_state: LoopState,
        options: Options,
        recorder: Recorder,
        message: str | bytes,
        ordered: bool,
    ) -> None:
        super().__init__(loop_state, options)
        self.recorder = recorder
        self.message = message
        self.ordered = ordered
        self.waiting: deque[float] = deque()
        self.gone: Callable[[WebSocketLoad], None] | None = None

    def send(self, started: float) -> None:
        """Send a message.

        Args:
            started: When, or when it ought to have been, in the time of ``perf_counter``.
        """
        if self.ordered:
            self.waiting.append(started)
        self.recorder.sent += 1
        output = self.out()
        connection = self.connection
        assert connection is not None
        connection.output = output
        if isinstance(self.message, str):
            connection.send_text(self.message)
        else:
            connection.send_binary(self.message)
        self.sent(output)

    def answered(self) -> None:
        """Count an answer, and send the next message."""
        recorder = self.recorder
        if not self.ordered or not self.waiting:
            recorder.received += 1
            return
        recorder.record(self.waiting.popleft())
        if recorder.running:
            self.send(perf_counter())

    def on_text(self, message: str) -> None:
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        self.answered()

    def on_binary(self, message: bytes) -> None:
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        self.answered()

    def on_lost(self, exc: Exception | None) -> None:
        if self.gone is not None:
            self.gone(self)
