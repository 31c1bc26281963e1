"""Ids of sessions: secrets of 20 characters, with a place for who owns them.

An id is 15 bytes in the alphabet of base64 for URLs. All are random; or, where several workers
serve one address, 12 are, and the first three name the worker and its generation, so that a request
can be brought to the worker that knows the session. (Node's sharded Redis adapter takes rooms whose
name has 20 characters for the rooms of one client, so the length matters.)
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import NamedTuple

from ..errors import UsageError

__all__ = ["ID_LENGTH", "IdGenerator", "Owner", "owner_of", "owner_prefix", "set_default_owner"]

#: Characters of an id.
ID_LENGTH = 20

_BITS = 12


class Owner(NamedTuple):
    """Who owns a session.

    Attributes:
        worker: Number of the worker, below 4096.
        generation: How often the worker was restarted, modulo 4096.
    """

    worker: int
    generation: int


_default_owner: Owner | None = None


def set_default_owner(owner: Owner | None) -> None:
    """Say whose sessions those of this process are, for the generators that are made from now on.

    Args:
        owner: The owner; ``None`` where there is one worker only.
    """
    global _default_owner
    _default_owner = owner


def owner_prefix(owner: Owner) -> str:
    """Return the four characters that all ids of an owner begin with.

    Args:
        owner: The owner.

    Raises:
        UsageError: Its numbers are too large.

    Example:
        >>> owner_prefix(Owner(1, 2))
        'ABAC'
    """
    if not all(0 <= number < 1 << _BITS for number in owner):
        raise UsageError(f"{owner} does not fit into an id; expected numbers below 4096")
    number = owner.worker << _BITS | owner.generation
    return urlsafe_b64encode(number.to_bytes(3, "big")).decode("ascii")


class IdGenerator:
    """Makes ids.

    Args:
        entropy: Returns as many strong random bytes as it is asked for.
        owner: Whose sessions they are; by default the process's, of :func:`set_default_owner`;
            random ids where there is none, since there is one worker only.

    Raises:
        UsageError: The numbers of the owner are too large.

    Example:
        >>> IdGenerator(bytes, Owner(1, 2)).next()
        'ABACAAAAAAAAAAAAAAAA'
    """

    __slots__ = ("_entropy", "_prefix")

    def __init__(self, entropy: Callable[[int], bytes], owner: Owner | None = None) -> None:
        self._entropy = entropy
        owner = owner or _default_owner
        self._prefix = "" if owner is None else owner_prefix(owner)

    def next(self) -> str:
        """Return a new id."""
        # Three bytes are four characters, so the two parts can be encoded apart.
        random = self._entropy(12 if self._prefix else 15)
        return self._prefix + urlsafe_b64encode(random).decode("ascii")


def owner_of(sid: str) -> Owner | None:
    """Return who owns a session, of an id that was made for an owner.

    Args:
        sid: The id, as it came from a client.

    Returns:
        The owner; ``None`` when this is no id.

    Example:
        >>> owner_of("ABACAAAAAAAAAAAAAAAA")
        Owner(worker=1, generation=2)
    """
    if len(sid) != ID_LENGTH:
        return None
    try:
        data = b64decode(sid, altchars=b"-_", validate=True)
    except ValueError:
        return None
    if len(data) != ID_LENGTH * 6 // 8:
        return None
    number = int.from_bytes(data[:3], "big")
    return Owner(number >> _BITS, number & (1 << _BITS) - 1)
