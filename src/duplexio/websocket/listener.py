# cython: annotation_typing=False, binding=False, embedsignature=True
"""The callback interface: for those who need every microsecond.

A :class:`Listener` is told what happens on one connection by plain calls, and answers with plain
calls of its :class:`ListenerConnection`. There is no task, no queue and no awaiting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .driver import Driver, Owner
from .frames import CloseCode
from .loopstate import LoopState

if TYPE_CHECKING:
    from .options import Options

__all__ = ["Listener", "ListenerConnection"]


class Listener:
    """What happens on one connection; derive from it and override what you need.

    Give the class to ``serve`` (each connection gets an instance of its own) or to ``connect``.
    The methods run in the event loop, so they must not block. An exception in one of them is
    logged and closes the connection with 1011.

    Example:
        >>> class Echo(Listener):
        ...     def on_message(self, ws: ListenerConnection, message: str | bytes) -> None:
        ...         ws.send(message)
    """

    # A subclass that says the same saves 32 bytes a connection.
    __slots__ = ()

    def on_open(self, ws: ListenerConnection) -> None:
        """The connection is open.

        Args:
            ws: The connection, the same in all calls.
        """

    def on_message(self, ws: ListenerConnection, message: str | bytes) -> None:
        """A message has arrived.

        Args:
            ws: The connection.
            message: ``str`` for text, ``bytes`` for binary.
        """

    def on_close(self, ws: ListenerConnection, code: int, reason: str) -> None:
        """The connection has ended; this is the last call.

        Args:
            ws: The connection.
            code: Close code received; 1005 when it had none, 1006 when no close frame came.
            reason: The reason that came with it; for 1006 why this side gave up, if it did.
        """

    def on_ping(self, ws: ListenerConnection, payload: bytes) -> None:
        """A ping has arrived; its pong was sent already.

        Args:
            ws: The connection.
            payload: At most 125 bytes.
        """

    def on_pong(self, ws: ListenerConnection, payload: bytes) -> None:
        """A pong has arrived.

        Args:
            ws: The connection.
            payload: What the ping carried.
        """

    def on_writable(self, ws: ListenerConnection) -> None:
        """All that waited to be written has been written, after the peer had been too slow.

        Args:
            ws: The connection.
        """


class ListenerConnection(Driver):
    """A connection as a :class:`Listener` sees it.

    Attributes:
        request: The request of the opening handshake.
        subprotocol: The subprotocol agreed on, or ``None``.
        listener: The listener; ``None`` until the connection is open.
        latency: Seconds that the last ping of the keepalive took; 0 before the first.
    """

    def __init__(
        self,
        loop_state: LoopState,
        options: Options,
        factory: Callable[[], Listener],
        owner: Owner | None = None,
    ) -> None:
        super().__init__(loop_state, options, owner)
        self.factory = factory
        self.listener: Any = None

    def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message; what the peer cannot take yet waits in memory.

        What is sent while a message is being handled goes out in one write when all that has
        arrived is handled; otherwise at the end of the loop's turn. See :attr:`buffered_bytes`
        for what waits; more than ``max_buffered`` closes the connection.

        Args:
            message: ``str`` goes out as text, bytes as binary.

        Raises:
            ConnectionClosed: When the connection is not open.
            TypeError: When the message is something else.
            UnicodeEncodeError: When the text has lone surrogates.
        """
        connection = self.connection
        if connection is None:
            raise RuntimeError("the connection is not open yet: send from on_open on")
        output = self.out()
        connection.output = output
        if isinstance(message, str):
            connection.send_text(message)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            connection.send_binary(message)
        else:
            raise TypeError(
                f"message is of type {type(message).__name__}; expected str or bytes-like"
            )
        self.sent(output)
        if self.write_blocked:
            self.check_buffered()

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping; its pong arrives at ``on_pong``.

        Args:
            payload: At most 125 bytes.

        Raises:
            ConnectionClosed: When the connection is not open.
            UsageError: When the payload is too long.
        """
        if self.connection is not None:
            output = self.out()
            self.connection.output = output
            self.connection.send_ping(payload)
            self.sent(output)

    def pong(self, payload: bytes = b"") -> None:
        """Send a pong that no ping asked for.

        Args:
            payload: At most 125 bytes.

        Raises:
            ConnectionClosed: When the connection is not open.
            UsageError: When the payload is too long.
        """
        if self.connection is not None:
            output = self.out()
            self.connection.output = output
            self.connection.send_pong(payload)
            self.sent(output)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake; does nothing once it has begun.

        ``on_close`` follows when the connection has ended, after ``close_timeout`` at the latest.
        Messages that the peer sent before its answer still arrive, also after ``pause_reading``.

        Args:
            code: Close code.
            reason: At most 123 bytes in UTF-8.

        Raises:
            UsageError: When the code may not be sent, or the reason is too long.
        """
        self.begin_close(code, reason)
        # The peer's answer stands behind whatever else it has sent.
        self.resume_reading()

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self.buffered()

    @property
    def reading_paused(self) -> bool:
        """Whether :meth:`pause_reading` holds."""
        return bool(self.hold_reading)

    # What the driver tells

    def on_started(self) -> None:
        self.listener = self.factory()
        try:
            self.listener.on_open(self)
        except Exception as exc:
            self.callback_failed(exc)

    def on_text(self, message: str) -> None:
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        try:
            self.listener.on_message(self, message)
        except Exception as exc:
            self.callback_failed(exc)

    def on_binary(self, message: bytes) -> None:
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        try:
            self.listener.on_message(self, message)
        except Exception as exc:
            self.callback_failed(exc)

    def on_ping(self, payload: bytes) -> None:
        try:
            self.listener.on_ping(self, payload)
        except Exception as exc:
            self.callback_failed(exc)

    def on_pong(self, payload: bytes) -> None:
        Driver.on_pong(self, payload)
        try:
            self.listener.on_pong(self, payload)
        except Exception as exc:
            self.callback_failed(exc)

    def on_drained(self) -> None:
        if self.listener is None:
            return
        try:
            self.listener.on_writable(self)
        except Exception as exc:
            self.callback_failed(exc)

    def on_lost(self, exc: Exception | None) -> None:
        listener = self.listener
        if listener is None or self.connection is None:
            return
        reason = self.connection.close_reason
        try:
            listener.on_close(self, self.connection.close_code, reason or self.complaint)
        except Exception as error:
            self.callback_failed(error)

    def callback_failed(self, exc: Exception) -> None:
        """Log what a listener raised, and close the connection with 1011."""
        self.options.logger.error("%s raised", type(self.listener).__name__, exc_info=exc)
        if not self.lost:
            self.begin_close(CloseCode.INTERNAL_ERROR, "")
