"""Masking keys for the connections of this process, from the system's entropy.

Keys are drawn for many frames at once, and a forked process inherits what was drawn. It must not
use the same keys as its parent, so it forgets them.
"""

from __future__ import annotations

import os
from weakref import WeakSet

from .kernel import MaskKeys

__all__ = ["system_mask_keys"]

_in_use: WeakSet[MaskKeys] = WeakSet()


def system_mask_keys() -> MaskKeys:
    """Return a new source of masking keys; it may serve any number of connections of one thread.

    Returns:
        The source, whose keys an attacker cannot foresee (RFC 6455 §5.3).
    """
    keys = MaskKeys(os.urandom)
    _in_use.add(keys)
    return keys


def _forget_all() -> None:
    for keys in list(_in_use):
        keys.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
