"""The log of the blocking API, and the trace of all that is sent and received.

The logger is named ``websocket``, as programs that set its level expect.
"""

from __future__ import annotations

import logging

__all__ = [
    "Trace",
    "enableTrace",
    "isEnabledForDebug",
    "isEnabledForError",
    "isEnabledForTrace",
    "logger",
    "trace",
]

logger = logging.getLogger("websocket")
# Without a handler of the program's, nothing is printed.
logger.addHandler(logging.NullHandler())


class Trace:
    """Whether everything is traced, and where to.

    Attributes:
        enabled: Whether it is; looked up for every message.
    """

    __slots__ = ("_handler", "_level", "enabled")

    def __init__(self) -> None:
        self.enabled = False
        self._handler: logging.Handler | None = None
        self._level = logger.level

    def start(self, handler: logging.Handler, level: str) -> None:
        """Trace to a handler, in place of an earlier one."""
        self._remove()
        if not self.enabled:
            self._level = logger.level
        self._handler = handler
        logger.addHandler(handler)
        logger.setLevel(level)
        self.enabled = True

    def stop(self) -> None:
        """Trace no more; the logger is as it was."""
        if self.enabled:
            self._remove()
            logger.setLevel(self._level)
            self.enabled = False

    def _remove(self) -> None:
        if self._handler is not None:
            logger.removeHandler(self._handler)
            self._handler = None

    def message(self, text: str) -> None:
        """Write a line, when tracing."""
        if self.enabled:
            logger.debug(text)

    def block(self, title: str, text: str) -> None:
        """Write several lines with a title, when tracing."""
        if self.enabled:
            logger.debug(f"--- {title} ---")
            logger.debug(text)
            logger.debug("-----------------------")


#: The trace of the process.
trace = Trace()


def enableTrace(
    traceable: bool, handler: logging.Handler | None = None, level: str = "DEBUG"
) -> None:
    """Show all that is sent and received, for finding faults.

    Passwords, cookies and messages are shown as they are.

    Args:
        traceable: Whether to show it.
        handler: Where to; standard error unless given.
        level: Name of the level from which on the logger ``websocket`` shows messages.

    Example:
        >>> enableTrace(True)
        >>> isEnabledForTrace()
        True
        >>> enableTrace(False)
    """
    if traceable:
        trace.start(logging.StreamHandler() if handler is None else handler, level)
    else:
        trace.stop()


def isEnabledForError() -> bool:
    """Tell whether the logger ``websocket`` shows errors."""
    return logger.isEnabledFor(logging.ERROR)


def isEnabledForDebug() -> bool:
    """Tell whether the logger ``websocket`` shows messages for finding faults."""
    return logger.isEnabledFor(logging.DEBUG)


def isEnabledForTrace() -> bool:
    """Tell whether :func:`enableTrace` is in effect."""
    return trace.enabled
