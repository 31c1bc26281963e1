"""Disconnect clients when the process is interrupted (Ctrl-C).

What was done before on an interrupt, by Python or by the application, is done afterwards, too.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["add", "remove"]

_clients: dict[int, tuple[Any, asyncio.AbstractEventLoop]] = {}
_before: Any = None
_installed = False


def add(client: Any) -> None:
    """Have a client disconnected on an interrupt; it is connected now.

    Args:
        client: An asyncio client, from its event loop.
    """
    global _before, _installed
    _clients[id(client)] = (client, asyncio.get_running_loop())
    # Only the main thread may; clients in others are disconnected if one there has done so.
    if not _installed and threading.current_thread() is threading.main_thread():
        _before = signal.signal(signal.SIGINT, _interrupted)
        _installed = True


def remove(client: Any) -> None:
    """Undo :func:`add`.

    Args:
        client: The client.
    """
    global _installed
    _clients.pop(id(client), None)
    if (
        _installed
        and not _clients
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is _interrupted
    ):
        signal.signal(signal.SIGINT, _before)
        _installed = False


def _interrupted(number: int, frame: FrameType | None) -> None:
    for client, loop in list(_clients.values()):
        session = client.session
        if session is not None and not loop.is_closed():
            loop.call_soon_threadsafe(session.close)
    if callable(_before):
        _before(number, frame)
    elif _before is signal.SIG_DFL:
        signal.default_int_handler(number, frame)
