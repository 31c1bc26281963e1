"""Hears that the process is to end, where the server of ASGI does not say so.

ASGI tells an application that the server stops when all requests have been answered. A request of
long polling waits for 25 seconds, and so the server would wait for it. The signal that has stopped
the server is the only thing to be heard before.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .engine import Engine

__all__ = ["Herald", "listen"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Herald:
    """Handles a signal: ends the sessions of engines, and does what the server does.

    Args:
        handler: The handler of the server.

    Attributes:
        engines: The engines.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler
        self.engines: set[Engine] = set()

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        """Handle the signal (called by Python)."""
        for engine in self.engines:
            try:
                engine.loop_state.loop.call_soon_threadsafe(engine.stop)
            except RuntimeError:
                pass  # the loop is closed
        return self.handler(number, frame)


def listen(engine: Engine) -> None:
    """Let an engine hear the signals that stop the server, if the server handles any.

    Where it does not (in a thread, in a worker that is told otherwise), nothing is changed. The
    server undoes this when it stops, since it puts back the handlers that it has found.

    Args:
        engine: The engine.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if not callable(signal.getsignal(signal.SIGTERM)):
        return
    for number in SIGNALS:
        handler: Any = signal.getsignal(number)
        if not callable(handler) or handler is signal.default_int_handler:
            continue
        herald = handler
        if type(handler) is not Herald:
            herald = Herald(handler)
            signal.signal(number, herald)
        herald.engines.add(engine)
