# cython: annotation_typing=False, binding=False, embedsignature=True
"""The polling requests of a client, as its session sees them, and what waits for them."""

from __future__ import annotations

from typing import Any

from .encoded import Encoded

__all__ = ["Poll", "Polling", "Post"]


class Poll:
    """A request of the client that waits for packets (GET)."""

    def answer(self, packets: list[Any]) -> None:
        """Answer with packets.

        Args:
            packets: Text packets (``str``), binary messages (``bytes``), and :class:`Encoded`.
        """
        raise NotImplementedError

    def refuse(self) -> None:
        """Answer that the request is bad."""
        raise NotImplementedError


class Post:
    """A request of the client that brings packets (POST)."""

    def accept(self) -> None:
        """Answer that all is well."""
        raise NotImplementedError

    def refuse(self) -> None:
        """Answer that the request is bad."""
        raise NotImplementedError


class Polling:
    """What a session has only while it is on polling requests."""

    def __init__(self) -> None:
        self.buffer: list[Any] = []
        self.size = 0
        self.slot: Poll | None = None
        self.post: Post | None = None  # being received, or held back
        self.inbox: list[str | bytes] | None = None  # its packets, while some are not delivered
        self.position = 0
        self.nudge_due = 0.0
        self.flushing = False
        self.limit = 0  # packets that an answer may have; 0 for any number

    def take(self) -> list[Any]:
        """Remove from the buffer what one answer may carry, and return it."""
        packets = self.buffer
        if self.limit and len(packets) > 0:
            count = end = 0
            while end < len(packets):
                packet = packets[end]
                count += 1 + (len(packet.attachments) if isinstance(packet, Encoded) else 0)
                if count > self.limit and end:
                    break
                end += 1
            if end < len(packets):
                self.buffer = packets[end:]
                self.size = 0
                for packet in self.buffer:
                    self.size += packet.size() if isinstance(packet, Encoded) else len(packet)
                return packets[:end]
        self.buffer = []
        self.size = 0
        return packets
