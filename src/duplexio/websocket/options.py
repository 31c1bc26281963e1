"""The settings of a connection, shared by all connections of a server."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from .connection import DEFAULT_MAX_SIZE

__all__ = ["Logger", "Options", "make_options", "queue_limits"]

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


def queue_limits(max_queue: int | tuple[int | None, int | None] | None) -> tuple[int, int] | None:
    """Turn the ``max_queue`` argument into a pair of limits.

    Args:
        max_queue: Messages before reading pauses, or a pair with those at which it resumes, which
            are a quarter by default; ``None`` for no limit.

    Returns:
        The pair, or ``None`` for no limit.

    Raises:
        UsageError: When the limits are not whole numbers with 0 <= low < high.
    """
    high, low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)
    if high is None:
        return None
    if low is None:
        low = high // 4
    if not 0 <= low < high:
        raise UsageError(
            f"max_queue is {max_queue!r}; expected a number above 0,"
            " or a pair of a high and a smaller low one"
        )
    return high, low


@dataclass(slots=True, kw_only=True)
class Options:
    """Limits and times of a connection.

    Attributes:
        max_size: Largest message accepted, in bytes after decompression; ``None`` for no limit.
        max_queue: Messages that may wait for ``recv`` before reading pauses, and down to how many
            they must go before it resumes; ``None`` for no limit.
        write_limit: Bytes that may wait to be written before ``send`` waits.
        max_buffered: Bytes that may wait to be written on a connection of the callback API, whose
            ``send`` cannot wait; more than that closes the connection. ``None`` for no limit.
        ping_interval: Seconds between pings; ``None`` for none.
        ping_timeout: Seconds that a pong may take; ``None`` for ever.
        open_timeout: Seconds that the opening handshake may take; ``None`` for ever.
        close_timeout: Seconds that the closing handshake may take; ``None`` for ever.
        logger: Where connections log.
    """

    max_size: int | None = DEFAULT_MAX_SIZE
    max_queue: tuple[int, int] | None = (16, 4)
    write_limit: int = 2**15
    max_buffered: int | None = 2**24
    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    open_timeout: float | None = 10
    close_timeout: float | None = 10
    logger: Logger = field(default_factory=lambda: logging.getLogger("duplexio.websocket"))

    def __post_init__(self) -> None:
        for name in ("ping_interval", "ping_timeout", "open_timeout", "close_timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(
                    f"{name} is {value!r}; expected seconds above 0, or None to switch it off"
                )
        for name in ("max_size", "write_limit", "max_buffered"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 0):
                raise UsageError(f"{name} is {value!r}; expected bytes, 0 or more")


def make_options(
    *,
    max_queue: int | tuple[int | None, int | None] | None,
    write_limit: int | tuple[int, int | None],
    logger: Logger | None,
    **others: Any,
) -> Options:
    """Make options of the arguments of ``serve`` and ``connect``.

    Args:
        max_queue: See :func:`queue_limits`.
        write_limit: A limit, or a pair of which the second number is ignored: writing resumes when
            all is written.
        logger: Where to log; ``None`` for the default.
        others: The attributes of :class:`Options` that are the same as the arguments.

    Returns:
        The options.

    Raises:
        UsageError: When a value is wrong.
    """
    options = Options(
        max_queue=queue_limits(max_queue),
        write_limit=write_limit[0] if isinstance(write_limit, tuple) else write_limit,
        **others,
    )
    if logger is not None:
        options.logger = logger
    return options
