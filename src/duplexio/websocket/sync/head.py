"""Reading the head of an HTTP response from a transport."""

from __future__ import annotations

import ssl
from socket import MSG_PEEK
from time import monotonic

from ..http11 import MAX_HEAD_SIZE, find_head_end
from .exceptions import (
    WebSocketConnectionClosedException,
    WebSocketTimeoutException,
    connection_lost,
)
from .transport import Transport

__all__ = ["read_head", "receive_some"]

#: Bytes asked for at a time.
READ_SIZE = 4096


def read_head(transport: Transport, timeout: float | None) -> tuple[bytes, bytes]:
    """Read the head of a response, and from a plain socket nothing behind it.

    Args:
        transport: Where it comes from.
        timeout: Seconds that the whole head may take; ``None`` for ever.

    Returns:
        The head with its empty line, and what was read behind it.

    Raises:
        InvalidMessage: It is not the head of a response.
        SecurityError: It exceeds a limit.
        WebSocketConnectionClosedException: The connection ended before it did.
        WebSocketTimeoutException: It did not come in time.
    """
    deadline = None if timeout is None else monotonic() + timeout
    received = bytearray()
    buffer = bytearray(READ_SIZE)
    try:
        while True:
            if deadline is not None:
                # Also a server that sends a byte now and then has to be done by then.
                transport.settimeout(max(deadline - monotonic(), 0.001))
            searched = len(received)
            flags = MSG_PEEK if transport.can_peek else 0
            count = receive_some(transport, buffer, READ_SIZE, flags)
            received += buffer[:count]
            end = find_head_end(received, searched=searched, max_head=MAX_HEAD_SIZE)
            if flags:
                # What was looked at is taken, up to the end of the head.
                count = count if end < 0 else end - searched
                while count:
                    count -= receive_some(transport, buffer, count)
            if end >= 0:
                return bytes(received[:end]), b"" if flags else bytes(received[end:])
    finally:
        transport.settimeout(timeout)


def receive_some(transport: Transport, buffer: bytearray, count: int, flags: int = 0) -> int:
    """Read once; raise where the stream ends or fails.

    Args:
        transport: Where to read from.
        buffer: Where to put it.
        count: Bytes at most.
        flags: Flags of ``recv``.

    Returns:
        How many bytes were read.

    Raises:
        WebSocketConnectionClosedException: The stream has ended, or failed.
        WebSocketTimeoutException: Nothing came in time.
    """
    try:
        received = transport.receive_into(buffer, count, flags)
    except TimeoutError as exc:
        raise WebSocketTimeoutException("Connection timed out") from exc
    except (BlockingIOError, ssl.SSLError):
        raise
    except OSError as exc:
        raise connection_lost(exc) from exc
    if not received:
        raise WebSocketConnectionClosedException("Connection to remote host was lost.")
    return received
