"""Notices proxies in front that stand in the way, and says what to do about it.

Proxies close connections on which nothing was said for some time. Where that is less than the time
between two heartbeats, each idle client is cut off again and again, and neither it nor the log of
this server would say why. What gives the proxy away is that all of them have lasted equally long.

Others do not pass on what makes a request one for a WebSocket; then clients stay on polling, and
nobody is told.
"""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["ProxyWatch"]

#: By how many more connections have lasted equally long than not, before it is logged. Those that
#: end because somebody has closed a page last for some time or other.
TELLING = 5

#: Seconds by which they may differ, beside a hundredth of how long they have lasted.
TOLERANCE = 0.1

#: Seconds that lie between two that count: when many are cut at once, that has another reason.
APART = 0.1


class ProxyWatch:
    """Watches how connections begin and end; says each thing once.

    Args:
        ping_interval: Seconds between two heartbeats.
        logger: Where to log.
    """

    def __init__(self, ping_interval: float, logger: Any) -> None:
        self._interval = ping_interval
        self._logger: logging.Logger = logger
        self._silence = 0.0
        self._last = 0.0
        self._count = 0
        self._upgrade_is_lost = False

    def upgrade_lost(self) -> None:
        """Take note of a request that was one for a WebSocket when the client has sent it."""
        if not self._upgrade_is_lost:
            self._upgrade_is_lost = True
            self._logger.warning(
                "a request for a WebSocket has come without the header 'Upgrade': a proxy in front"
                " does not pass it on, so clients have to stay on polling. nginx needs"
                " proxy_http_version 1.1, and proxy_set_header for Upgrade and Connection"
            )

    def cut(self, now: float, silence: float) -> None:
        """Take note of a connection that was cut while nobody spoke.

        Args:
            now: The time, in seconds.
            silence: Seconds since the last heartbeat, or since the client has come.
        """
        if self._count >= TELLING or silence < TOLERANCE:
            return  # it was said
        if now - self._last < APART:
            return
        self._last = now
        if self._count == 0:
            self._silence = silence
        if abs(silence - self._silence) > max(TOLERANCE, silence / 100):
            self._count -= 1
            return
        self._count += 1
        if self._count == TELLING:
            self._logger.warning(
                "connections are cut off after %.1f s of silence, before the heartbeat that comes"
                " every ping_interval=%g s: a proxy in front has less patience. Raise its timeout"
                " (nginx: proxy_read_timeout; HAProxy: timeout server, timeout tunnel) above"
                " ping_interval, or lower ping_interval",
                self._silence,
                self._interval,
            )
