"""Which transports carry TLS.

On POSIX systems those of ``aiofastnet`` are used, where it is installed: they cost less than those
of uvloop and of asyncio (a message of 32 B takes 0.87 times the processor time that it takes on
uvloop's, one of 8 KiB 0.82 times). Plain sockets stay with the event loop's own transports, which
take a fifth of the memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["create_connection", "create_server"]

_fast: Any = None
if sys.platform != "win32":
    try:
        import aiofastnet as _fast
    except ImportError:
        pass


async def create_server(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], Any], *args: Any, **kwargs: Any
) -> asyncio.Server:
    """Listen, as ``loop.create_server`` does.

    Args:
        loop: The event loop.
        factory: Makes the protocol object of each connection.
        args: As for ``loop.create_server``.
        kwargs: As for ``loop.create_server``; with ``ssl`` the connections use TLS.

    Returns:
        The listening server.
    """
    if _fast is not None and kwargs.get("ssl") is not None:
        server: asyncio.Server = await _fast.create_server(loop, factory, *args, **kwargs)
        return server
    return await loop.create_server(factory, *args, **kwargs)


async def create_connection(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], Any], *args: Any, **kwargs: Any
) -> tuple[Any, Any]:
    """Connect, as ``loop.create_connection`` does.

    Args:
        loop: The event loop.
        factory: Makes the protocol object.
        args: As for ``loop.create_connection``.
        kwargs: As for ``loop.create_connection``; with ``ssl`` the connection uses TLS.

    Returns:
        The transport and the protocol object.
    """
    if _fast is not None and kwargs.get("ssl") is not None:
        pair: tuple[Any, Any] = await _fast.create_connection(loop, factory, *args, **kwargs)
        return pair
    return await loop.create_connection(factory, *args, **kwargs)
