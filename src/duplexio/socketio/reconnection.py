"""When a client tries to connect, and how long it waits in between: a machine without a clock.

The states and what leads from one to the other are the table :data:`TRANSITIONS`. Chance comes from
outside, and so does the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError

__all__ = [
    "CONNECTED",
    "CONNECTING",
    "DISCONNECTED",
    "TRANSITIONS",
    "WAITING",
    "Backoff",
    "Reconnection",
]

# Where a client stands.
DISCONNECTED = "disconnected"  #: it is not connected, and does not try to be
CONNECTING = "connecting"  #: an attempt is being made
CONNECTED = "connected"
WAITING = "waiting"  #: until the next attempt

# What moves it from one to the other.
OPEN = "open"  # the application wants a connection
SUCCEED = "succeed"
RETRY = "retry"  # an attempt failed, or the connection broke, and another attempt is to come
DUE = "due"  # the time of the next attempt has come
STOP = "stop"  # the application, or the server, wants no connection; or all attempts are used up

#: State and event to the next state. What is not here does not happen.
TRANSITIONS = {
    (DISCONNECTED, OPEN): CONNECTING,
    (CONNECTING, SUCCEED): CONNECTED,
    (CONNECTING, RETRY): WAITING,
    (CONNECTING, STOP): DISCONNECTED,
    (CONNECTED, RETRY): WAITING,
    (CONNECTED, STOP): DISCONNECTED,
    (WAITING, DUE): CONNECTING,
    (WAITING, STOP): DISCONNECTED,
}


@dataclass(slots=True, kw_only=True)
class Backoff:
    """How long a client waits between its attempts, and how many it makes.

    Attributes:
        delay: Seconds before the first attempt to reconnect; they double with each further one.
        delay_max: The most that they become.
        randomization: By which part of itself a delay is changed at random: 0.5 makes it half as
            long to one and a half times as long, so that the clients of a server that has gone
            down do not all come back at once.
        attempts: Attempts before giving up; 0 for no end.

    Raises:
        UsageError: A value is wrong.

    Example:
        >>> backoff = Backoff(delay=1, delay_max=5)
        >>> [backoff.seconds(count, 0.5) for count in range(4)]
        [1.0, 2.0, 4.0, 5.0]
    """

    delay: float = 1.0
    delay_max: float = 5.0
    randomization: float = 0.5
    attempts: int = 0

    def __post_init__(self) -> None:
        if self.delay < 0 or self.delay_max < 0:
            raise UsageError(
                f"reconnection_delay is {self.delay!r} and reconnection_delay_max is"
                f" {self.delay_max!r}; expected seconds, 0 or more"
            )
        if not 0 <= self.randomization <= 1:
            raise UsageError(
                f"randomization_factor is {self.randomization!r}; expected a number from 0 to 1"
            )
        if self.attempts < 0:
            raise UsageError(
                f"reconnection_attempts is {self.attempts!r}; expected a whole number, or 0 for"
                " no end"
            )

    def seconds(self, failures: int, chance: float) -> float:
        """Return how long to wait.

        Args:
            failures: Attempts that have failed since the connection broke.
            chance: A random number from 0 to 1.
        """
        # 2**64 times anything is beyond every maximum, and still a float.
        delay = min(self.delay_max, self.delay * 2.0 ** min(failures, 64))
        return max(0.0, delay * (1.0 + self.randomization * (2.0 * chance - 1.0)))


class Reconnection:
    """Whether a client is connected, or tries to be.

    Args:
        backoff: How long it waits, and how often it tries.
        random: Returns a number from 0 to 1.
        changed: Is told of each new state.

    Attributes:
        state: :data:`DISCONNECTED`, :data:`CONNECTING`, :data:`CONNECTED` or :data:`WAITING`.
        failures: Attempts that have failed since the last success, or since the connection broke.

    Example:
        >>> machine = Reconnection(Backoff(attempts=1), lambda: 0.5)
        >>> machine.move(OPEN)
        'connecting'
        >>> machine.move(SUCCEED)
        'connected'
        >>> machine.lost()
        1.0
        >>> machine.move(DUE)
        'connecting'
        >>> machine.failed() is None, machine.state
        (True, 'disconnected')
    """

    def __init__(
        self,
        backoff: Backoff,
        random: Callable[[], float],
        changed: Callable[[str], None] | None = None,
    ) -> None:
        self.backoff = backoff
        self.state = DISCONNECTED
        self.failures = 0
        self._random = random
        self._changed = changed

    def move(self, event: str) -> str:
        """Go on to the next state.

        Args:
            event: What has happened.

        Returns:
            The state.

        Raises:
            UsageError: It cannot happen now.
        """
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise UsageError(f"the client is {self.state}, where {event!r} cannot happen")
        self.state = state
        if state in (CONNECTED, DISCONNECTED) or event == OPEN:
            self.failures = 0
        if self._changed is not None:
            self._changed(state)
        return state

    def lost(self) -> float:
        """Take note that the connection broke.

        Returns:
            Seconds until the next attempt.
        """
        self.failures = 0
        return self._wait()

    def failed(self) -> float | None:
        """Take note that an attempt has failed.

        Returns:
            Seconds until the next attempt; ``None`` when that was the last one.
        """
        self.failures += 1
        if self.backoff.attempts and self.failures >= self.backoff.attempts:
            self.move(STOP)
            return None
        return self._wait()

    def _wait(self) -> float:
        seconds = self.backoff.seconds(self.failures, self._random())
        self.move(RETRY)
        return seconds
