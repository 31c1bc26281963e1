"""When to connect again after a failure, and after how long."""

from __future__ import annotations

import random
from collections.abc import Generator

from .exceptions import InvalidMessage, InvalidStatus

__all__ = ["backoff", "process_exception"]

#: Seconds before the first new attempt, at the most; the time is chosen at random, so that the
#: clients of a server that restarts do not come back all at once (RFC 6455 §7.2.3).
INITIAL_DELAY = 5.0

#: Seconds before the second new attempt.
MIN_DELAY = 3.1

#: Seconds between attempts, at the most.
MAX_DELAY = 90.0

#: By how much the delay grows with each attempt.
FACTOR = 1.618

# What a server or a proxy in front of it answers while it is starting or overloaded.
_TRANSIENT_STATUSES = frozenset((500, 502, 503, 504))


def backoff(
    initial_delay: float = INITIAL_DELAY,
    min_delay: float = MIN_DELAY,
    max_delay: float = MAX_DELAY,
    factor: float = FACTOR,
) -> Generator[float, None, None]:
    """Give the delays between attempts to connect (RFC 6455 §7.2.3).

    Args:
        initial_delay: Seconds before the first new attempt, at the most.
        min_delay: Seconds before the second.
        max_delay: Seconds between attempts, at the most.
        factor: By how much the delay grows.

    Returns:
        A generator without end.

    Example:
        >>> delays = backoff(initial_delay=0, min_delay=1, max_delay=5, factor=2)
        >>> [next(delays) for _ in range(5)]
        [0.0, 1, 2, 4, 5]
    """
    yield random.random() * initial_delay
    delay = min_delay
    while delay < max_delay:
        yield delay
        delay *= factor
    while True:
        yield max_delay


def process_exception(exc: Exception) -> Exception | None:
    """Tell whether it makes sense to connect again after a failure.

    Failures of the network and time-outs pass, as do answers with the status 500, 502, 503 or 504;
    all else would only fail again.

    Args:
        exc: Why connecting failed.

    Returns:
        ``None`` to try again, or the exception to raise.

    Example:
        >>> process_exception(ConnectionRefusedError()) is None
        True
    """
    if isinstance(exc, (OSError, TimeoutError)):
        return None
    if isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError):
        return None
    if isinstance(exc, InvalidStatus) and exc.response.status_code in _TRANSIENT_STATUSES:
        return None
    return exc
