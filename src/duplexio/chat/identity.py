"""Who is who: a uid for every newcomer, and the key that proves it when they come back."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

__all__ = ["UID_BYTES", "Identities"]

#: Random bytes of a uid; a uid is twice as many characters.
UID_BYTES = 8


class Identities:
    """Makes uids, and keys that only this history's servers can make.

    A uid is public: it stands on every message. Whoever comes back with it, after a reload or a
    restart of the server, proves by the key that it is theirs. The key is made from the uid, so
    that nothing about visitors has to be kept.

    Args:
        secret: Of the history's file.
        random_bytes: Called with a number; returns so many random bytes.

    Example:
        >>> identities = Identities(b"secret", lambda count: bytes(count))
        >>> uid = identities.new_uid()
        >>> identities.owns(uid, identities.key_of(uid))
        True
    """

    def __init__(self, secret: bytes, random_bytes: Callable[[int], bytes]) -> None:
        self._secret = secret
        self._random_bytes = random_bytes

    def new_uid(self) -> str:
        """Return a uid that nobody had before."""
        return self._random_bytes(UID_BYTES).hex()

    def key_of(self, uid: str) -> str:
        """Return the key of a uid; whoever has it can speak as its owner."""
        return hmac.new(self._secret, uid.encode(), hashlib.sha256).hexdigest()[:32]

    def owns(self, uid: str, key: str) -> bool:
        """Tell whether a key is that of a uid."""
        return hmac.compare_digest(self.key_of(uid).encode(), key.encode("utf-8", "replace"))
