# cython: annotation_typing=False, binding=False, embedsignature=True
"""The asyncio driver of a connection: it moves bytes, and keeps the deadlines.

A :class:`Driver` is the protocol object of an asyncio transport. It begins with an *opening* (the
opening handshake of a server or a client, which is given the bytes that arrive), and from
:meth:`Driver.start` on drives a :class:`~duplexio.websocket.connection.Connection`. What the two
programming interfaces add to it is in ``listener.py`` and ``stream.py``.

How bytes are written: what is sent while a read is being handled is gathered in the loop's *cork*
and goes out in one write at the end of the read; what is sent from elsewhere goes out at the end of
the turn of the loop. On plain sockets the write goes straight to the descriptor; what the kernel
does not take is given to the transport, and from then on the connection's own output waits until
the transport has got rid of it.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from . import rawsend
from .connection import CLOSED, OPEN, Connection, ConnectionHandler
from .frames import CloseCode
from .http11 import Request, parse_request
from .kernel import Output
from .loopstate import LoopState

if TYPE_CHECKING:
    from .options import Options

__all__ = ["CORK_LIMIT", "Driver", "Opening", "Owner"]

#: Gathered bytes above this go out at once.
CORK_LIMIT = 65536

#: Messages that a read may deliver before the clock is looked at.
FAIR_COUNT = 64

#: Seconds that a read may go on delivering messages before other connections get their turn.
FAIR_TIME = 0.001

#: A wake-up later than this many seconds means that the loop was blocked, not that a peer is dead.
BLOCKED = 0.1

#: How often ``ping_timeout`` begins anew for one ping because its pong may lie unread: because
#: reading was paused meanwhile, or the loop was blocked. So a handler that takes its time is not
#: taken for a dead peer, and a dead peer behind a handler that hangs is noticed in the end.
PATIENCE = 10


# Plain C numbers when this is compiled, since they are compared for every message or write.
_OPEN = OPEN
_CORK_LIMIT = CORK_LIMIT
_FAIR_COUNT = FAIR_COUNT

# Instead of a descriptor: there is none to write to, or it has not been asked for yet.
_NO_FD = -1
_SECOND_WRITE = -2
_FIRST_WRITE = -3


class Owner(Protocol):
    """Who keeps the connections: a server, or the call that made a client's."""

    def connection_started(self, driver: Any) -> None:
        """The opening handshake is over."""

    def connection_ended(self, driver: Any) -> None:
        """The transport has ended, of a connection that was started or not."""


class Opening(Protocol):
    """The opening handshake of a connection."""

    def connected(self) -> None:
        """The transport is there."""

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""

    def timed_out(self) -> None:
        """``open_timeout`` is over."""

    def lost(self, exc: Exception | None) -> None:
        """The transport has ended before the connection was started."""


class Driver(ConnectionHandler, asyncio.BufferedProtocol):
    """Drives one connection on an asyncio transport.

    Args:
        loop_state: What the connections of the event loop share.
        options: Limits and times.
        owner: Is told of the beginning and the end.

    Attributes:
        transport: The transport, also after it was closed.
        connection: The protocol's state; ``None`` until the opening handshake is over.
        opening: The opening handshake, to be set before the transport is connected; ``None`` when
            somebody else calls :meth:`start`.
        head: The request of the opening handshake, or the bytes of its head.
        subprotocol: The subprotocol agreed on, or ``None``.
        complaint: Why this side gave the connection up; empty unless it did.
    """

    def __init__(self, loop_state: LoopState, options: Options, owner: Owner | None = None) -> None:
        self.loop_state = loop_state
        self.options = options
        self.owner = owner
        self.opening: Opening | None = None
        self.head: bytes | Request = b""
        self.subprotocol: str | None = None
        self.transport: Any = None
        self.connection: Connection | None = None
        self.pending: Output | None = None  # what is sent while no read is being handled
        self.backlog: bytes | None = None  # received, but not read while reading is paused
        self.fd = _NO_FD
        self.slot = -1
        self.place = 0
        self.seat = -1
        self.complaint = ""
        self.closers: list[asyncio.Future[None]] | None = None
        self.due = 0.0
        self.ping_sent = 0.0  # when the keepalive's ping was sent, 0 while none is on its way
        self.latency = 0.0
        self.budget = 0
        self.extensions = 0  # of the deadline of the pong
        self.was_paused = False  # since that deadline was set
        self.filling = False
        self.write_blocked = False
        self.read_paused = False
        self.hold_reading = False
        self.yielding = False
        self.closing = False
        self.lost = False

    # The transport's side: asyncio.BufferedProtocol

    def connection_made(self, transport: Any) -> None:
        """Take the transport (called by asyncio)."""
        self.transport = transport
        if rawsend.AVAILABLE and transport.get_extra_info("sslcontext") is None:
            self.fd = _FIRST_WRITE
        # If we write ourselves, the transport is to say at once when it has bytes waiting.
        transport.set_write_buffer_limits(0 if self.fd != _NO_FD else self.options.write_limit)
        timeout = self.options.open_timeout
        if self.opening is not None:
            if timeout is not None:
                self.schedule(timeout)
            self.opening.connected()

    def get_buffer(self, sizehint: int) -> Any:
        """Return where the next bytes are to be put (called by asyncio)."""
        if self.loop_state.outstanding:
            buffer = self.loop_state.private.get(self)
            if buffer is None:
                self.loop_state.private[self] = buffer = bytearray(CORK_LIMIT)
            return memoryview(buffer)
        if self.connection is not None:
            view = self.connection.fill_buffer()
            if view is not None:
                self.filling = True
                return view
        # A view: over TLS asyncio reads into slices of it, and a slice of a bytearray is a copy.
        return self.loop_state.view

    def buffer_updated(self, nbytes: int) -> None:
        """Handle the bytes that were put there (called by asyncio)."""
        corked = self.cork()
        try:
            if self.filling:
                self.filling = False
                self.budget = _FAIR_COUNT
                if self.connection is not None:
                    self.connection.output = self.out()
                    self.connection.filled(nbytes)
                self.read_done()
            else:
                data = self.loop_state.buffer
                if self.loop_state.outstanding:
                    data = self.loop_state.private[self]
                if self.backlog is not None:
                    # Reading was paused, but the transport had this on its way already.
                    self.backlog += bytes(data[:nbytes])
                else:
                    self.read(data, nbytes)
        finally:
            if corked:
                self.uncork()

    def feed(self, data: bytes) -> None:
        """Handle bytes that were read by somebody else, such as those behind a request's head.

        Args:
            data: The bytes.
        """
        corked = self.cork()
        try:
            self.read(bytearray(data), len(data))
        finally:
            if corked:
                self.uncork()

    def eof_received(self) -> None:
        """Let the transport close itself (called by asyncio)."""

    def pause_writing(self) -> None:
        """Take note that the kernel takes no more (called by asyncio)."""
        self.write_blocked = True

    def resume_writing(self) -> None:
        """Write what has waited (called by asyncio)."""
        self.write_blocked = False
        if self.pending is not None and not self.lost:
            self.flush_pending()
        if not self.write_blocked:
            self.on_drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the transport has ended (called by asyncio)."""
        if self.lost:
            return
        self.lost = True
        self.fd = _NO_FD
        self.pending = None
        self.backlog = None
        if self.loop_state.outstanding:
            self.loop_state.private.pop(self, None)
        self.loop_state.timers.cancel(self)
        opening, self.opening = self.opening, None
        if self.connection is not None:
            self.connection.receive_eof()
        self.write_blocked = False
        if opening is not None:
            opening.lost(exc)
        self.on_lost(exc)
        closers, self.closers = self.closers, None
        for future in closers or ():
            if not future.done():
                future.set_result(None)
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.connection_ended(self)

    # Reading

    def read(self, data: bytearray, end: int) -> None:
        """Read ``data[:end]``; what cannot be read now becomes the backlog."""
        used = 0
        if self.opening is not None and self.connection is None:
            self.opening.received(bytes(data[:end]))
            return
        self.budget = _FAIR_COUNT
        self.loop_state.read_began = 0.0
        if self.connection is not None:
            self.connection.output = self.out()  # for what it answers by itself
            used = self.connection.receive(data, 0, end)
            if used < end:
                self.backlog = bytes(data[used:end])
        self.read_done()
        if self.yielding:
            self.yielding = False
            self.pause_transport()
            self.loop_state.loop.call_soon(self.read_backlog)

    def read_done(self) -> None:
        """Called when a read has been handled; for the interfaces to wake who waits."""

    def spend(self) -> None:
        """Called when a read has delivered as many messages as its budget allows.

        A connection that sends without end must not starve the others.
        """
        self.budget = _FAIR_COUNT
        now = self.loop_state.loop.time()
        if not self.loop_state.read_began:
            self.loop_state.read_began = now
        elif now - self.loop_state.read_began > FAIR_TIME and self.connection is not None:
            self.yielding = True
            self.connection.pause()

    def read_backlog(self) -> None:
        """Go on with what was not read when reading was paused."""
        if self.lost or self.hold_reading or self.connection is None:
            return
        self.connection.resume()
        backlog, self.backlog = self.backlog, None
        if backlog is not None:
            self.feed(backlog)
        if self.backlog is None and not self.hold_reading:
            self.resume_transport()

    def pause_transport(self) -> None:
        """Stop reading from the transport."""
        if not self.read_paused and not self.lost and not self.transport.is_closing():
            self.read_paused = True
            self.was_paused = True
            self.transport.pause_reading()

    def resume_transport(self) -> None:
        """Go on reading from the transport."""
        if self.read_paused:
            self.read_paused = False
            if not self.lost and not self.transport.is_closing():
                self.transport.resume_reading()

    def pause_reading(self) -> None:
        """Stop reading: the peer will notice when the buffers between it and us are full."""
        self.hold_reading = True
        if self.connection is not None:
            self.connection.pause()
        self.pause_transport()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        if self.hold_reading:
            self.hold_reading = False
            # Never inside the caller: its message is not dealt with yet.
            self.loop_state.loop.call_soon(self.read_backlog)

    # Writing

    def cork(self) -> bool:
        """Begin to gather what is sent; return whether this call began it."""
        if self.loop_state.corked is not None:
            return False
        self.loop_state.corked = self
        return True

    def uncork(self) -> None:
        """Write what was gathered."""
        self.loop_state.corked = None
        output = self.loop_state.cork
        if output.size():
            self.write(output)
        if self.closing and not self.lost:
            self.finish_closing()

    def out(self) -> Output:
        """Return the output to put bytes into now; :meth:`sent` is to be called after."""
        if self.pending is not None:
            return self.pending
        if self.loop_state.corked is self:
            return self.loop_state.cork
        self.pending = Output()
        if not self.write_blocked:
            self.loop_state.flush_soon(self)
        return self.pending

    def sent(self, output: Output) -> None:
        """Called when bytes were put into ``output``."""
        if output.size() >= _CORK_LIMIT and not self.write_blocked:
            if output is self.pending:
                self.flush_pending()
            else:
                self.write(output)

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: the heads of the opening handshake.

        Args:
            data: The bytes.
        """
        output = self.out()
        output.append(data)
        self.sent(output)

    def send_shared(self, data: bytes) -> None:
        """Send bytes that many connections send: they are written from where they are.

        Nothing waits for them to be written, so ``max_buffered`` holds.

        Args:
            data: Whole frames.
        """
        if (
            self.pending is not None
            or self.fd < 0
            or self.write_blocked
            # What this connection sent before has to go first.
            or self.loop_state.corked is self
        ):
            self.send_raw(data)
            self.check_buffered()
            return
        try:
            count = rawsend.write_bytes(data, self.fd)
        except OSError:
            self.abort()
            return
        if count < len(data):
            self.transport.write(data[count:])
            self.check_buffered()

    def send_alone(self, opcode: int, payload: bytes) -> None:
        """Send a message without waiting for it to be written, so ``max_buffered`` holds.

        Args:
            opcode: 1 (text, in UTF-8) or 2 (binary).
            payload: The message.

        Raises:
            ConnectionClosed: When the connection is not open.
        """
        connection = self.connection
        assert connection is not None
        output = self.out()
        connection.output = output
        connection.send_fragment(opcode, payload, True)
        self.sent(output)
        self.check_buffered()

    def flush_pending(self) -> None:
        """Write what was sent outside of a read, unless the kernel takes no more."""
        output = self.pending
        if output is None or self.write_blocked:
            return
        self.pending = None
        if self.connection is not None and self.loop_state.corked is self:
            self.connection.output = self.loop_state.cork
        self.write(output)

    def write(self, output: Output) -> None:
        """Write an output; what the kernel does not take waits in the transport."""
        if self.lost or self.transport is None:
            output.clear()
            return
        if self.write_blocked:
            # The cork of a connection that cannot write: it becomes the connection's own.
            if self.pending is None:
                self.pending = Output()
            self.pending.append(output.take())
            return
        if self.fd < _NO_FD:
            self.find_descriptor()
        if self.fd >= 0:
            try:
                if rawsend.write_output(output, self.fd):
                    return
            except OSError:
                output.clear()
                self.abort()
                return
        self.transport.write(output.take())

    def find_descriptor(self) -> None:
        """Ask for the socket's descriptor, from the second write on.

        uvloop makes an object for it, which a connection that never sends need not have.
        """
        if self.fd == _FIRST_WRITE:
            self.fd = _SECOND_WRITE
            return
        socket = self.transport.get_extra_info("socket")
        self.fd = _NO_FD if socket is None else socket.fileno()

    def buffered(self) -> int:
        """Return how many bytes wait to be written."""
        count = 0
        if self.pending is not None:
            count += self.pending.size()
        if self.loop_state.corked is self:
            count += self.loop_state.cork.size()
        if self.write_blocked or self.fd < 0:
            count += self.transport.get_write_buffer_size()
        return count

    # Life and death

    def start(self, connection: Connection, rest: bytes = b"") -> None:
        """Begin to drive a connection: the opening handshake is over.

        Args:
            connection: The protocol's state, whose handler this driver is.
            rest: What has arrived behind the opening handshake.
        """
        self.opening = None
        self.connection = connection
        self.loop_state.timers.cancel(self)
        interval = self.options.ping_interval
        if interval is not None and connection.can_ping:
            self.schedule(interval)
        self.on_started()
        if self.owner is not None:
            self.owner.connection_started(self)
        if not rest:
            return
        if asyncio.current_task() is None:
            self.feed(rest)
        else:
            # A message may let the task that waits for it go on in place, but not inside another.
            self.backlog = rest
            self.loop_state.loop.call_soon(self.read_backlog)

    def begin_close(self, code: int, reason: str) -> None:
        """Send a close frame, unless one was sent, and give the peer time to answer it.

        Args:
            code: Close code.
            reason: At most 123 bytes in UTF-8.
        """
        connection = self.connection
        if connection is None or connection.state != _OPEN:
            return
        output = self.out()
        connection.output = output
        connection.send_close(code, reason)
        self.await_end()

    def await_end(self) -> None:
        """Give the transport ``close_timeout`` to end, and end it then."""
        self.ping_sent = 0.0
        if not self.lost:
            self.loop_state.timers.cancel(self)
            timeout = self.options.close_timeout
            if timeout is not None:
                self.schedule(timeout)

    def close_transport(self) -> None:
        """Close the transport, once what waits has been written."""
        self.closing = True
        if self.loop_state.corked is not self:
            self.finish_closing()

    def hand_over(self) -> None:
        """Give what still waits to the transport, which is about to be closed."""
        self.flush_pending()
        output, self.pending = self.pending, None
        if output is not None and not self.lost:
            self.transport.write(output.take())

    def finish_closing(self) -> None:
        """Close the transport, which first writes what it has."""
        self.hand_over()
        self.fd = _NO_FD  # it may belong to somebody else once the transport has closed it
        self.transport.close()

    def refuse(self) -> None:
        """Close after an answer that opens no WebSocket."""
        self.opening = None
        self.await_end()
        self.close_transport()

    def abort(self) -> None:
        """End the transport at once, without a close frame and without what waits."""
        self.fd = _NO_FD
        self.pending = None
        if self.transport is not None and not self.lost:
            self.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        if self.lost:
            return
        future = self.loop_state.loop.create_future()
        if self.closers is None:
            self.closers = []
        self.closers.append(future)
        try:
            await future
        finally:
            if self.closers is not None:
                self.closers.remove(future)

    def check_buffered(self) -> None:
        """Give a peer up that does not read what is sent without waiting for it."""
        limit = self.options.max_buffered
        if limit is not None and not self.complaint and self.buffered() > limit:
            self.complaint = (
                f"{self.buffered()} bytes wait to be written, more than max_buffered={limit}:"
                " the peer does not read"
            )
            self.options.logger.warning("connection aborted: %s", self.complaint)
            self.abort()

    def schedule(self, delay: float) -> None:
        """Have :meth:`on_due` called after ``delay`` seconds."""
        self.loop_state.timers.schedule(self, self.loop_state.loop.time() + delay)

    def on_due(self, now: float, lag: float) -> None:
        """Act on the deadline that has passed (called by the loop's timers)."""
        connection = self.connection
        if connection is None:
            if self.opening is not None:
                self.opening.timed_out()
            else:
                self.abort()  # it was refused, and does not take the answer
        elif connection.state != _OPEN:
            if not self.complaint:
                self.complaint = "the closing handshake took longer than close_timeout"
            self.abort()
        elif not self.ping_sent or self.options.ping_timeout is None:
            self.send_keepalive(now)
        elif (lag > BLOCKED or self.was_paused) and self.extensions < PATIENCE:
            # The loop was blocked, or we were not reading: the pong may be here, unread.
            self.extensions += 1
            self.was_paused = self.read_paused
            self.schedule(self.options.ping_timeout)
        else:
            self.options.logger.info("keepalive ping timeout")
            output = self.out()
            connection.output = output
            connection.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")

    def send_keepalive(self, now: float) -> None:
        """Send the keepalive's ping; its payload tells it from the application's pings."""
        assert self.connection is not None
        self.ping_sent = perf_counter()  # the clock of some loops is coarse
        self.extensions = 0
        self.was_paused = self.read_paused
        output = self.out()
        self.connection.output = output
        self.connection.send_ping(b"keepalive")
        timeout = self.options.ping_timeout
        self.schedule((self.options.ping_interval or 0) if timeout is None else timeout)

    # What the connection tells: connection.ConnectionHandler

    def on_pong(self, payload: bytes) -> None:
        if payload == b"keepalive" and self.ping_sent:
            now = self.loop_state.loop.time()
            self.latency = perf_counter() - self.ping_sent
            self.ping_sent = 0.0
            self.loop_state.timers.schedule(
                self, max(now, now - self.latency + (self.options.ping_interval or 0))
            )

    def on_close_frame(self, code: int, reason: str) -> None:
        assert self.connection is not None
        if not self.connection.client or not self.connection.can_ping:
            # RFC 6455 §7.1.1: the server closes the TCP connection, so that it is the server that
            # holds the TIME_WAIT state. In the drafts without pings either side does, and for
            # hixie-75 that is the whole closing handshake.
            self.close_transport()
        self.await_end()

    def on_failure(self, code: int, reason: str) -> None:
        # Closing with unread bytes in the kernel would reset the connection, and the peer could
        # lose our close frame. So only our half is closed now; what still comes is thrown away
        # until the peer has closed its half, or close_timeout is over.
        self.complaint = reason
        self.resume_reading()
        self.await_end()
        if self.loop_state.corked is self:
            self.write(self.loop_state.cork)
        self.hand_over()
        if not self.lost:
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.close_transport()

    # What the interfaces add

    def keep_response(self, head: bytes) -> None:
        """Called with the response of the opening handshake, for those who keep it."""

    def on_started(self) -> None:
        """Called when the opening handshake is over."""

    def on_drained(self) -> None:
        """Called when all that waited has been written."""

    def on_lost(self, exc: Exception | None) -> None:
        """Called when the transport has ended."""

    def busy_sending(self) -> bool:
        """Return whether a message is being sent in pieces, so that no other can be."""
        return False

    # What their users can ask

    @property
    def request(self) -> Request | None:
        """The request of the opening handshake; ``None`` before it has arrived.

        It is parsed when it is first asked for: an idle connection owns no more than its bytes.
        """
        if isinstance(self.head, bytes):
            if not self.head:
                return None
            self.head = parse_request(self.head)
        return self.head

    @property
    def state(self) -> int:
        """0 connecting, 1 open, 2 closing, 3 closed (``frames.State``)."""
        if self.connection is None:
            return CLOSED if self.lost else 0
        return self.connection.state

    @property
    def close_code(self) -> int | None:
        """The close code received, 1006 if none came; ``None`` while the connection is open."""
        return None if self.connection is None else self.connection.close_code

    @property
    def close_reason(self) -> str | None:
        """The close reason received, empty if none came; ``None`` while the connection is open."""
        return None if self.connection is None else self.connection.close_reason

    @property
    def remote_address(self) -> Any:
        """The peer's address, as the socket gives it: for IP a tuple of host and port."""
        return None if self.transport is None else self.transport.get_extra_info("peername")

    @property
    def local_address(self) -> Any:
        """Our address, as the socket gives it."""
        return None if self.transport is None else self.transport.get_extra_info("sockname")
