"""Send one message on many connections: encode it once, write the same bytes to all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .connection import OPEN, Connection
from .exceptions import ConcurrencyError
from .hixie import HixieConnection
from .kernel import Output

__all__ = ["broadcast"]

_TEXT = 1
_BINARY = 2
_FIN = 0x80
_RSV1 = 0x40


class _Broadcast:
    """A message in the forms that the connections need, each made when it is first needed."""

    __slots__ = ("_compressed", "_hixie", "_plain", "opcode", "payload")

    def __init__(self, opcode: int, payload: bytes) -> None:
        self.opcode = opcode
        self.payload = payload
        self._plain: bytes | None = None
        self._hixie: bytes | None = None
        self._compressed: dict[tuple[int, ...], bytes] = {}

    def send(self, driver: Any) -> None:
        """Send the message on one connection."""
        connection: Connection = driver.connection
        if isinstance(connection, HixieConnection):
            if self.opcode == _BINARY:
                connection.send_binary(self.payload)  # raises, and says why
            if self._hixie is None:
                self._hixie = b"\x00%b\xff" % self.payload
            driver.send_shared(self._hixie)
        elif connection.client:
            # RFC 6455 §5.3: a client masks each frame with a key of its own.
            driver.send_alone(self.opcode, self.payload)
        elif connection.deflate is None or not connection.deflate.wants(len(self.payload)):
            if self._plain is None:
                self._plain = _frame(_FIN | self.opcode, self.payload)
            driver.send_shared(self._plain)
        else:
            deflate = connection.deflate
            shape = deflate.shape
            frame = self._compressed.get(shape)
            if frame is None:
                data = deflate.compress_shared(self.payload)
                frame = self._compressed[shape] = _frame(_FIN | _RSV1 | self.opcode, data)
            deflate.note_shared(self.payload)
            driver.send_shared(frame)


def broadcast(
    connections: Iterable[Any],
    message: str | bytes | bytearray | memoryview,
    *,
    raise_exceptions: bool = False,
    text: bool | None = None,
) -> None:
    """Send a message on many connections, without waiting for any of them.

    The message is encoded once, and compressed once for all connections with the same settings;
    the same bytes are written to all. Connections that are not open are passed over, and so are
    those on which a message is just being sent in pieces, which is logged.

    A peer that does not read makes nobody wait: what it does not take waits in memory, up to
    ``max_buffered`` bytes of its connection. More than that ends the connection without a closing
    handshake, and is logged.

    Args:
        connections: Connections of servers or clients, of coroutines or listeners;
            ``server.connections`` for instance.
        message: ``str`` goes out as text, bytes-like as binary.
        raise_exceptions: Whether to raise the failures of single connections, when all is done;
            otherwise they are logged.
        text: ``True`` and ``False`` send bytes as text, which must be UTF-8, and ``str`` as binary.

    Raises:
        TypeError: When the message is of another type.
        ExceptionGroup: The failures, with ``raise_exceptions``.

    Example:
        >>> broadcast([], "nobody is here")
    """
    if isinstance(message, str):
        shared = _Broadcast(_BINARY if text is False else _TEXT, message.encode())
    elif isinstance(message, (bytes, bytearray, memoryview)):
        shared = _Broadcast(_TEXT if text else _BINARY, bytes(message))
    else:
        raise TypeError(f"message is of type {type(message).__name__}; expected str or bytes-like")
    failures: list[Exception] = []
    for driver in connections:
        connection = driver.connection
        if connection is None or connection.state != OPEN:
            continue
        try:
            if driver.busy_sending():
                raise ConcurrencyError("a message is being sent in pieces on this connection")
            shared.send(driver)
        except Exception as exc:
            if raise_exceptions:
                failures.append(exc)
            else:
                driver.options.logger.warning("skipped broadcast: %s", exc)
    if failures:
        raise ExceptionGroup("skipped broadcast", failures)


def _frame(first: int, payload: bytes) -> bytes:
    output = Output()
    output.frame(first, payload)
    return output.take()
