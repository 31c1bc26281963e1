# cython: annotation_typing=False, binding=True, embedsignature=True
"""The coroutine interface of a connection: ``recv``, ``send``, ``async for``.

Names, arguments and behaviour are those of the ``websockets`` library's asyncio connections.
"""

from __future__ import annotations

import asyncio
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

from .connection import OPEN
from .driver import Driver, Owner
from .exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
)
from .frames import CloseCode
from .loopstate import LoopState
from .wakeup import Wakeup

if TYPE_CHECKING:
    from .options import Options

__all__ = ["Fragment", "StreamConnection"]

# A plain C number when this is compiled.
_OPEN = OPEN

#: So many sends that did not have to wait, and the next lets the other tasks run.
SENDS_PER_TURN = 256

_utf8_decoder = getincrementaldecoder("utf-8")


class Fragment:
    """A piece of a message in the queue, while somebody receives messages in pieces."""

    __slots__ = ("fin", "opcode", "payload")

    def __init__(self, opcode: int, payload: bytes, fin: bool) -> None:
        self.opcode = opcode
        self.payload = payload
        self.fin = fin


class StreamConnection(Driver):
    """A connection whose messages are awaited.

    Attributes:
        latency: Seconds that the last ping of the keepalive took; 0 before the first.
    """

    def __init__(self, loop_state: LoopState, options: Options, owner: Owner | None = None) -> None:
        super().__init__(loop_state, options, owner)
        self.messages: deque[str | bytes | Fragment] = deque()
        self.receiver: Wakeup | None = None
        self.receiving = False
        self.sending: asyncio.Future[None] | None = None  # somebody sends a message in pieces
        self.drainers: list[asyncio.Future[None]] | None = None
        self.pings: dict[bytes, tuple[asyncio.Future[float], float]] | None = None
        self.sends = 0
        self.response_head = b""  # of the opening handshake
        self.unsent = 0
        self.cause: BaseException | None = None
        self.discarding = False
        self.failing: tuple[int, str] | None = None  # put off until the messages are received
        self.high = options.max_queue[0] if options.max_queue is not None else -1
        self.low = options.max_queue[1] if options.max_queue is not None else -1

    # Receiving

    def __aiter__(self) -> StreamConnection:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            if self.receiving:
                raise self.busy()
            while not self.messages:
                await self.await_message()
            message = self.next_message()
            if message is None:
                message = await self.rest_of_message()
            return message
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Receive the next message.

        Cancelling it is safe: no message is lost.

        Args:
            decode: ``None`` returns text as ``str`` and binary as ``bytes``; ``True`` and ``False``
                return ``str`` and ``bytes`` for both.

        Returns:
            The message.

        Raises:
            ConnectionClosed: When the connection is closed and all messages were received.
            ConnectionClosedError: When ``decode`` is ``True`` and a binary message is not UTF-8,
                which closes the connection with 1007.
            ConcurrencyError: When another task is receiving.
        """
        if self.receiving:
            raise self.busy()
        while not self.messages:
            await self.await_message()
        message = self.next_message()
        if message is None:
            message = await self.rest_of_message()
        if decode is None:
            return message
        if not decode:
            return message.encode() if isinstance(message, str) else message
        if isinstance(message, str):
            return message
        try:
            return message.decode()
        except UnicodeDecodeError as exc:
            await self.refuse_text(exc)

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[str | bytes]:
        """Receive the next message in the pieces in which it was sent.

        Cancelling it before the first piece has come is safe.

        Args:
            decode: As for :meth:`recv`.

        Returns:
            An iterator over the pieces. It must be used to its end: what is left of the message
            cannot be told from the next one, so leaving it earlier closes the connection.

        Raises:
            ConnectionClosed: When the connection is closed; see :meth:`recv`.
            ConcurrencyError: When another task is receiving.
        """
        if self.receiving:
            raise self.busy()
        connection = self.connection
        if connection is None:
            raise self.closed()
        connection.set_fragments(True)
        begun = complete = False
        decoder = None
        try:
            while not complete:
                while not self.messages:
                    await self.await_message()
                self.receiving = True
                piece = self.messages.popleft()
                self.refill()
                data: Any = piece
                if not isinstance(piece, Fragment):
                    complete = True
                    if decode is not None and isinstance(piece, str) and not decode:
                        data = piece.encode()
                    elif decode and not isinstance(piece, str):
                        data = piece.decode()
                else:
                    complete = piece.fin
                    if not begun and (decode or (decode is None and piece.opcode == 1)):
                        decoder = _utf8_decoder()
                    data = piece.payload
                    if decoder is not None:
                        data = decoder.decode(data, complete)
                begun = True
                yield data
                self.receiving = False
        except UnicodeDecodeError as exc:
            complete = True
            await self.refuse_text(exc)
        finally:
            self.receiving = False
            connection.set_fragments(False)
            if begun and not complete and not self.lost:
                self.close_soon(CloseCode.INTERNAL_ERROR, "a message was not received to its end")

    async def refuse_text(self, exc: UnicodeDecodeError) -> NoReturn:
        """Fail the connection: a message that should be text is not."""
        if self.connection is not None and not self.lost:
            self.cause = exc
            output = self.out()
            self.connection.output = output
            self.connection.fail(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")
            await self.wait_closed()
        raise self.closed()

    def busy(self) -> ConcurrencyError:
        """Return the exception for a second receiver."""
        return ConcurrencyError(
            "cannot call recv while another coroutine is already running recv or recv_streaming"
        )

    async def await_message(self) -> None:
        """Wait for something in the queue, or raise how the connection was closed."""
        if self.failing is not None:
            self.fail_now()
        if self.lost:
            raise self.closed()
        receiver = Wakeup(self.loop_state.loop)
        self.receiver = receiver
        self.receiving = True
        try:
            await receiver
        finally:
            self.receiving = False
            self.receiver = None

    def next_message(self) -> str | bytes | None:
        """Take the next message; ``None`` when it is there in pieces only."""
        if isinstance(self.messages[0], Fragment):
            return None
        message: Any = self.messages.popleft()
        if self.hold_reading:
            self.refill()
        return message  # type: ignore[no-any-return]

    async def rest_of_message(self) -> str | bytes:
        """Put a message together that has arrived in pieces."""
        text = False
        payloads: list[bytes] = []
        # A cancellation must lose nothing: the pieces stay in the queue until all are there.
        count = 0
        while True:
            if count == len(self.messages):
                if self.hold_reading:
                    self.resume_reading()
                await self.await_more(count)
            piece = self.messages[count]
            assert isinstance(piece, Fragment)  # nothing else comes inside a message
            count += 1
            if count == 1:
                text = piece.opcode == 1
            payloads.append(piece.payload)
            if piece.fin:
                break
        for _ in range(count):
            self.messages.popleft()
        self.refill()
        data = b"".join(payloads)
        return data.decode() if text else data

    async def await_more(self, count: int) -> None:
        """Wait until there is more in the queue than ``count``."""
        while len(self.messages) == count:
            await self.await_message()

    def refill(self) -> None:
        """Read on when the queue has become short."""
        if self.hold_reading and len(self.messages) <= self.low:
            self.resume_reading()

    def closed(self) -> ConnectionClosed:
        """Return the exception that tells how the connection was closed."""
        if self.connection is None:
            return ConnectionClosedError(None, None)
        error = self.connection.closed_error()
        if self.cause is not None:
            error.__cause__ = self.cause
        if self.complaint:
            error.add_note(self.complaint)
        return error

    async def raise_closed(self) -> NoReturn:
        """Wait for the end of a connection that is closing, and raise how it was closed."""
        if self.connection is None and not self.lost:
            raise InvalidState("the connection is not open yet; wait for the opening handshake")
        await self.wait_closed()
        raise self.closed()

    # Sending

    async def send(
        self,
        message: Any,
        text: bool | None = None,
    ) -> None:
        """Send a message.

        It waits while more than ``write_limit`` bytes wait to be written. When it is cancelled
        while it waits, the message is sent all the same; between the pieces of a message it closes
        the connection, since the message cannot be completed.

        Args:
            message: ``str`` goes out as text, bytes-like as binary. An iterable or asynchronous
                iterable of either goes out as one message in pieces.
            text: ``True`` and ``False`` send any of them as text or as binary.

        Raises:
            ConnectionClosed: When the connection is closed; while it is closing, as soon as that
                is over.
            TypeError: When the message is of another type.
        """
        while self.sending is not None:
            await asyncio.shield(self.sending)
        if self.connection is None or self.connection.state != _OPEN:
            await self.raise_closed()
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            self.send_whole(message, text)
            waiting = self.write_blocked or self.fd < 0
            if waiting and self.buffered() > self.options.write_limit:
                await self.drain()
            self.sends += 1
            if self.sends >= SENDS_PER_TURN:
                self.sends = 0
                await asyncio.sleep(0)
        elif isinstance(message, Mapping):
            raise TypeError("data is a dict-like object; send its keys, values or items as a list")
        elif isinstance(message, Iterable):
            await self.send_pieces(_as_async(message), text)
        elif isinstance(message, AsyncIterable):
            await self.send_pieces(message, text)
        else:
            raise TypeError(
                f"message is of type {type(message).__name__};"
                " expected str, bytes-like, or an iterable of them"
            )

    def send_whole(self, message: Any, text: bool | None) -> None:
        """Send a message of one frame, on a connection that is open."""
        connection = self.connection
        assert connection is not None
        output = self.out()
        connection.output = output
        if isinstance(message, str):
            if text is None or text:
                connection.send_text(message)
            else:
                connection.send_binary(message.encode())
        elif text:
            connection.send_fragment(1, message, True)
        else:
            connection.send_binary(message)
        self.sent(output)

    async def send_pieces(self, pieces: AsyncIterable[Any], text: bool | None) -> None:
        """Send a message in the pieces that an asynchronous iterable gives."""
        iterator = pieces.__aiter__()
        try:
            piece = await iterator.__anext__()
        except StopAsyncIteration:
            return
        if not isinstance(piece, (str, bytes, bytearray, memoryview)):
            raise TypeError("iterable must contain bytes or str")
        kind = str if isinstance(piece, str) else (bytes, bytearray, memoryview)
        opcode = 1 if (text is None and isinstance(piece, str)) or text else 2
        self.sending = self.loop_state.loop.create_future()
        began = False
        try:
            # RFC 6455 §5.4: the last piece is known only when the iterator ends, so the message
            # ends with an empty one.
            while True:
                self.send_piece(opcode, piece, False)
                began = True
                opcode = 0
                await self.drain()
                try:
                    piece = await iterator.__anext__()
                except StopAsyncIteration:
                    break
                if not isinstance(piece, kind):
                    raise TypeError("all pieces of a message must be of the same kind")
            self.send_piece(0, b"", True)
        except ConnectionClosed:
            raise
        except BaseException:
            if began:
                self.close_soon(CloseCode.INTERNAL_ERROR, "error in fragmented message")
            raise
        finally:
            self.sending.set_result(None)
            self.sending = None

    def busy_sending(self) -> bool:
        """Return whether a message is being sent in pieces, so that no other can be."""
        return self.sending is not None

    def send_piece(self, opcode: int, piece: Any, fin: bool) -> None:
        """Send a piece of a message."""
        connection = self.connection
        if connection is None or connection.state != _OPEN:
            raise self.closed()
        output = self.out()
        connection.output = output
        connection.send_fragment(opcode, piece.encode() if isinstance(piece, str) else piece, fin)
        self.sent(output)

    async def drain(self) -> None:
        """Wait while more than ``write_limit`` bytes wait to be written."""
        while not self.lost and self.buffered() > self.options.write_limit:
            self.flush_pending()
            if not self.write_blocked:
                return
            future = self.loop_state.loop.create_future()
            if self.drainers is None:
                self.drainers = []
            self.drainers.append(future)
            await future
        if self.lost:
            raise self.closed()

    # Control

    async def ping(
        self, data: str | bytes | bytearray | memoryview | None = None
    ) -> Awaitable[float]:
        """Send a ping.

        Args:
            data: At most 125 bytes, different from those of the pings on their way; ``None`` makes
                them up.

        Returns:
            A future of the pong, whose result is the latency in seconds.

        Raises:
            ConnectionClosed: When the connection is closed.
            ConcurrencyError: When a ping with the same data is on its way.
            UsageError: When there are more than 125 bytes.
        """
        connection = self.connection
        if connection is None or connection.state != _OPEN:
            await self.raise_closed()
        assert connection is not None
        if self.pings is None:
            self.pings = {}
        if data is None:
            self.unsent += 1
            payload = b"%x" % self.unsent
            while payload in self.pings:
                self.unsent += 1
                payload = b"%x" % self.unsent
        else:
            payload = data.encode() if isinstance(data, str) else bytes(data)
        if payload in self.pings:
            raise ConcurrencyError(f"already waiting for a pong with the data {payload!r}")
        output = self.out()
        connection.output = output
        connection.send_ping(payload)
        future = self.loop_state.loop.create_future()
        self.pings[payload] = (future, perf_counter())
        self.sent(output)
        return future

    async def pong(self, data: str | bytes | bytearray | memoryview = b"") -> None:
        """Send a pong that no ping asked for, as a heartbeat in one direction.

        Args:
            data: At most 125 bytes.

        Raises:
            ConnectionClosed: When the connection is closed.
            UsageError: When there are more than 125 bytes.
        """
        connection = self.connection
        if connection is None or connection.state != _OPEN:
            await self.raise_closed()
        assert connection is not None
        output = self.out()
        connection.output = output
        connection.send_pong(data.encode() if isinstance(data, str) else bytes(data))
        self.sent(output)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection, and wait until it is closed.

        It takes ``close_timeout`` at the most; closing a closed connection does nothing.

        Args:
            code: Close code.
            reason: At most 123 bytes in UTF-8.

        Raises:
            UsageError: When the code may not be sent, or the reason is too long.
        """
        if self.sending is not None:
            # RFC 6455 §5.4: no message can begin inside another, but a close frame may stand there.
            # Waiting for the rest of the message could take for ever.
            code, reason = CloseCode.INTERNAL_ERROR, "close during fragmented message"
        self.close_soon(code, reason)
        await self.wait_closed()

    def close_soon(self, code: int, reason: str) -> None:
        """Begin to close the connection, without waiting for it."""
        if self.connection is None:
            self.abort()
            return
        self.fail_now()
        self.begin_close(code, reason)
        # The answer to our close frame stands behind whatever else the peer has sent.
        self.discarding = True
        self.resume_reading()

    # What the driver tells

    def keep_response(self, head: bytes) -> None:
        self.response_head = head

    def on_text(self, message: str) -> None:
        self.enqueue(message)

    def on_binary(self, message: bytes) -> None:
        self.enqueue(message)

    def on_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        self.enqueue(Fragment(opcode, payload, fin))

    def enqueue(self, message: Any) -> None:
        """Put a message into the queue; stop reading when it is full and nobody takes from it."""
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        self.messages.append(message)
        if self.high < 0 or len(self.messages) < self.high:
            return
        if self.receiver is not None and self.loop_state.corked is self:
            self.receiver.wake(True)
        if len(self.messages) >= self.high:
            if self.discarding:
                self.messages.pop()
            else:
                self.pause_reading()

    def read_done(self) -> None:
        if self.receiver is not None and self.messages:
            self.receiver.wake(self.loop_state.corked is self)

    def on_failing(self, code: int, reason: str) -> bool:
        # What came before is received first, so that it can be answered; close_timeout bounds it.
        if self.receiver is not None and self.messages:
            self.receiver.wake(self.loop_state.corked is self)
        if not self.messages or self.failing is not None or self.discarding:
            return False
        self.failing = (code, reason)
        self.await_end()
        return True

    def fail_now(self) -> None:
        """Fail the connection, as :meth:`on_failing` has put off."""
        connection = self.connection
        if self.failing is not None and connection is not None and connection.state == OPEN:
            code, reason = self.failing
            connection.output = self.out()
            connection.fail(code, reason)

    def on_due(self, now: float, lag: float) -> None:
        if self.failing is not None and self.state == OPEN:
            self.fail_now()
        else:
            Driver.on_due(self, now, lag)

    def on_pong(self, payload: bytes) -> None:
        Driver.on_pong(self, payload)
        if self.pings is None or payload not in self.pings:
            return
        # RFC 6455 §5.5.3: a pong may answer only the last of several pings, so it answers for
        # those before it too.
        now = perf_counter()
        while True:
            earliest = next(iter(self.pings))
            future, sent = self.pings.pop(earliest)
            if not future.done():
                future.set_result(now - sent)
            if earliest == payload:
                self.latency = now - sent
                return

    def on_drained(self) -> None:
        drainers, self.drainers = self.drainers, None
        for future in drainers or ():
            if not future.done():
                future.set_result(None)

    def on_lost(self, exc: Exception | None) -> None:
        if self.cause is None:
            self.cause = exc
        if self.receiver is not None:
            self.receiver.wake(False)
        self.on_drained()
        pings, self.pings = self.pings, None
        for waiting, _ in (pings or {}).values():
            if not waiting.done():
                waiting.set_exception(self.closed())
                # A future that is done cannot be cancelled any more, but this keeps asyncio from
                # complaining about a pong that nobody waits for.
                waiting.cancel()


async def _as_async(pieces: Iterable[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece
