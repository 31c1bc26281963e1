"""The connections that somebody keeps, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

__all__ = ["Roster"]


class Seated(Protocol):
    """What can be in a roster.

    Attributes:
        seat: The roster's own note of where the member is; -1 when it is in none.
    """

    seat: int


Member = TypeVar("Member", bound=Seated)


class Roster(Generic[Member]):
    """A collection of connections, each in it once, in no order.

    It takes 8 bytes for each, a sixth of what a set takes, and adds and removes as quickly.
    """

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: list[Member] = []

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        """Iterate over a copy, so that members may leave meanwhile."""
        return iter(self._members.copy())

    def add(self, member: Member) -> None:
        """Add a connection that is in no roster.

        Args:
            member: The connection.
        """
        member.seat = len(self._members)
        self._members.append(member)

    def discard(self, member: Member) -> None:
        """Remove a connection, if it is here.

        Args:
            member: The connection, which is in this roster or in none.
        """
        if member.seat < 0:
            return
        last = self._members.pop()
        if last is not member:
            # The last one moves into the gap.
            self._members[member.seat] = last
            last.seat = member.seat
        member.seat = -1
