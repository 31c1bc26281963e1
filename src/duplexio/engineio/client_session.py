# cython: annotation_typing=False, binding=False, embedsignature=True
"""A client's session, without any input or output: Engine.IO 3 and 4.

A :class:`ClientSession` is the other end of what ``session.py`` keeps for a server. It begins on
polling requests or on a WebSocket, may go on from the first to the second, and ends when either
side says so, when its transport breaks, or when no heartbeat comes. It tells its *requests* when to
send one, its wire what to send, its handler what has arrived, and its host what time it is waiting
for.

While it is on polling requests there is always one that waits for packets (unless reading is
paused), and at most one that brings some. Before the session goes on to a WebSocket both have to be
answered, so that no packet overtakes another.

The transitions between its phases are the table :data:`TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .channel import (
    CLOSED,
    CLOSING,
    FORCED_CLOSE,
    OPENING,
    PARSE_ERROR,
    PING_TIMEOUT,
    POLLING,
    PROBED,
    PROBING,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    WEBSOCKET,
    Channel,
    SessionHost,
    Wire,
)
from .client_handshake import Handshake, parse_handshake
from .client_options import Remembered
from .encoded import Encoded
from .exceptions import PacketError, PayloadTooLarge, SendBufferFull

if TYPE_CHECKING:
    from .client_options import ClientOptions

__all__ = ["TRANSITIONS", "ClientSession", "Opener", "Requests"]

# What moves a session from one phase to another.
OPEN_POLLING = "open polling"
OPEN_WEBSOCKET = "open websocket"
CANDIDATE = "candidate"  # a WebSocket is open that may take over
PROBE_ANSWERED = "probe answered"  # the server says "3probe" there
UPGRADE = "upgrade"  # both requests are answered, and we say "5"
CANDIDATE_GONE = "candidate gone"  # the WebSocket is no good
CLOSE = "close"  # we close, and the server is still to be told
END = "end"

#: Phase and event to the next phase. What is not here does not happen.
TRANSITIONS = {
    (OPENING, OPEN_POLLING): POLLING,
    (OPENING, OPEN_WEBSOCKET): WEBSOCKET,
    (OPENING, END): CLOSED,
    (POLLING, CANDIDATE): PROBING,
    (POLLING, CLOSE): CLOSING,
    (POLLING, END): CLOSED,
    (PROBING, PROBE_ANSWERED): PROBED,
    (PROBING, CANDIDATE_GONE): POLLING,
    (PROBING, CLOSE): CLOSING,
    (PROBING, END): CLOSED,
    (PROBED, UPGRADE): WEBSOCKET,
    (PROBED, CANDIDATE_GONE): POLLING,
    (PROBED, CLOSE): CLOSING,
    (PROBED, END): CLOSED,
    (WEBSOCKET, END): CLOSED,
    (CLOSING, END): CLOSED,
}

#: Seconds of the loop's lag below which nothing is credited.
NOTABLE_LAG = 0.05

#: How often a heartbeat's deadline is put off, at most, because we were not reading.
PATIENCE = 10

#: Packets of a request before the server has said "ok" to one: python-engineio's servers end a
#: session for more than these, and say "OK".
FEW_PACKETS = 16

#: Packets of a request to other servers.
MANY_PACKETS = 10_000

#: Bytes that a packet may add to a body beside its own: separators, lengths, a type.
OVERHEAD = 14

#: Bytes that wait for a polling request, from which on a session is congested.
CONGESTED = 2**18

#: Stands for the largest message of a server that does not tell it.
UNLIMITED = 2**62


class Requests:
    """Who sends polling requests for a session."""

    def get(self) -> None:
        """Send a request that waits for packets; its answer is for ``receive_packets``."""
        raise NotImplementedError

    def post(self, packets: list[Any]) -> None:
        """Send a request with packets; its answer is for ``posted``.

        Args:
            packets: Text packets (``str``) and binary messages (``bytes``).
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Give up all requests: there will be no more."""
        raise NotImplementedError


class Opener:
    """Who waits for a session to begin on a WebSocket."""

    def greeted(self, handshake: Handshake) -> None:
        """The server has sent its open packet; ``open_websocket`` is to be called."""
        raise NotImplementedError

    def said(self, packet: str | bytes) -> None:
        """The server has sent something else behind it, and the session is not open yet."""
        raise NotImplementedError

    def failed(self, reason: str) -> None:
        """There will be no session."""
        raise NotImplementedError


class ClientPolling:
    """What a session has only while it is on polling requests."""

    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.buffer: list[Any] = []
        self.size = 0
        self.getting = False
        self.posting = False
        self.flushing = False
        self.inbox: list[str | bytes] | None = None  # of an answer, while some are not delivered
        self.position = 0
        self.limit = FEW_PACKETS

    def take(self, max_payload: int) -> list[Any]:
        """Remove from the buffer what one request may carry, and return it."""
        buffer = self.buffer
        count = len(buffer)
        if count > self.limit:
            count = self.limit
        end = 0
        room = max_payload
        while end < count:
            packet = buffer[end]
            room -= packet_size(packet) + OVERHEAD
            if room < 0 and end:
                break
            end += 1
        packets = buffer[:end]
        self.buffer = buffer[end:]
        if not self.buffer:
            self.size = 0
        else:
            for packet in packets:
                self.size -= len(packet)
        return packets


def packet_size(packet: str | bytes) -> int:
    """Return how many bytes a packet takes in a polling request, at most."""
    if isinstance(packet, bytes):
        return 2 + (len(packet) + 2) // 3 * 4  # base64
    if packet.isascii():
        return len(packet)
    return len(packet.encode("utf-8", "surrogatepass"))


class ClientSession(Channel):
    """A session, on the client.

    Args:
        host: Tells the time, and is told of the end.
        options: Limits and times.
        protocol: Version of Engine.IO that was asked for, 3 or 4.

    Attributes:
        max_payload: Bytes that the server takes at once; 0 when it does not say.
        upgrades: The transports that the server offers to go on to.
        ping_interval: Seconds between heartbeats.
        ping_timeout: Seconds that the answer to one may take.
        closed_by_server: Whether the server has ended the session with a close packet.
        upgrade_pending: Whether the session is about to go on to a WebSocket.
    """

    def __init__(self, host: SessionHost, options: ClientOptions, protocol: int) -> None:
        super().__init__(host, options, "", protocol, False)
        self.polling: ClientPolling | None = None
        self.opener: Opener | None = None
        self.upgrades: tuple[str, ...] = ()
        self.max_payload = 0
        self.safe_length = UNLIMITED
        self.ping_interval = 0.0
        self.ping_timeout = 0.0
        self.heard = False
        self.greeted = False
        self.closed_by_server = False
        self.upgrade_pending = False
        self.holders = 0
        self.watchers: list[Callable[[], None]] | None = None

    # What its users ask

    @property
    def remembered(self) -> Remembered | None:
        """What worked; ``None`` where heartbeats did not, which may be the protocol's fault."""
        if self.reason == PING_TIMEOUT:
            return None
        return Remembered(self.protocol, self.transport)

    async def wait_closed(self) -> None:
        """Wait until the session is over, and its connections are closed."""
        host: Any = self.host
        await host.wait_for(self, self._is_gone)

    async def wait_upgraded(self) -> None:
        """Wait until the session has gone on to a WebSocket, or it is certain that it will not."""
        host: Any = self.host
        await host.wait_for(self, self._is_settled)

    def _is_gone(self) -> bool:
        return self.phase == CLOSED and not self.holders

    def _is_settled(self) -> bool:
        return not self.upgrade_pending or self.phase >= WEBSOCKET

    def _kept_bytes(self) -> int:
        return 0 if self.polling is None else self.polling.size

    def _kept_packets(self) -> int:
        return 0 if self.polling is None else len(self.polling.buffer)

    @property
    def congested(self) -> bool:
        """Whether what is sent now has to wait for what was sent before."""
        wire = self.wire
        if wire is not None:
            return bool(wire.congested)
        return self._kept_bytes() > CONGESTED

    async def wait_buffered(self, max_bytes: int, max_packets: int) -> None:
        """Wait until no more waits to be sent than this, or the session is over.

        Args:
            max_bytes: Bytes.
            max_packets: Packets.
        """

        def arrived() -> bool:
            return self.phase >= CLOSING or (
                self.buffered_bytes <= max_bytes and self.buffered_packets <= max_packets
            )

        host: Any = self.host
        await host.flushed()
        await host.wait_for(self, arrived)

    def check_message(self, message: str | bytes) -> None:
        """Check that the server takes a message; may be called from any thread.

        Args:
            message: The message.

        Raises:
            PayloadTooLarge: It does not.
        """
        if len(message) + 1 > self.safe_length:
            if isinstance(message, str):
                self._check_text("4" + message)
            else:
                self._check_binary(message)

    # Who carries it

    def hold(self) -> None:
        """Take note of a connection, or of several, that will be released."""
        self.holders += 1

    def release(self) -> None:
        """Take note that what :meth:`hold` was called for is gone."""
        self.holders -= 1
        self._changed()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have something called when the session has changed.

        Args:
            watcher: What to call.
        """
        if self.watchers is None:
            self.watchers = []
        self.watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Undo :meth:`watch`.

        Args:
            watcher: What was given to it.
        """
        if self.watchers is not None and watcher in self.watchers:
            self.watchers.remove(watcher)

    def _changed(self) -> None:
        for watcher in list(self.watchers or ()):
            watcher()

    # Opening

    def await_open(self, wire: Wire, opener: Opener) -> None:
        """Wait for the open packet on a WebSocket.

        Args:
            wire: The WebSocket.
            opener: Is told when it is there.
        """
        self.candidate = wire
        self.opener = opener

    def open_websocket(self, handshake: Handshake) -> None:
        """Open on the WebSocket that was given to :meth:`await_open`.

        Args:
            handshake: What the server has said.
        """
        self._move(OPEN_WEBSOCKET)
        self.opener = None
        self.wire, self.candidate = self.candidate, None
        self.upgraded = True
        self._opened(handshake)

    def open_polling(
        self, requests: Requests, handshake: Handshake, packets: list[str | bytes]
    ) -> None:
        """Open on polling requests.

        Args:
            requests: Who sends them.
            handshake: What the server has said.
            packets: What came behind it.
        """
        self._move(OPEN_POLLING)
        self.polling = ClientPolling(requests)
        self.upgrade_pending = (
            "websocket" in handshake.upgrades
            and "websocket" in self.options.transports
            and self.options.upgrade
        )
        self._opened(handshake)
        polling = self.polling
        if polling is not None:
            polling.getting = True  # the request of the handshake
            self.receive_packets(packets)

    def open_early(self, handshake: Handshake, packets: list[str | bytes]) -> None:
        """Open on a WebSocket on which more than the open packet has arrived already.

        Args:
            handshake: What the server has said.
            packets: What came behind it.
        """
        self.open_websocket(handshake)
        for packet in packets:
            wire = self.wire
            if wire is None:
                return
            if isinstance(packet, str):
                self.receive_text(wire, packet)
            else:
                self.receive_binary(wire, packet)

    @property
    def is_greeted(self) -> bool:
        """Whether there is a WebSocket on which the session can be opened."""
        return self.phase == OPENING and self.greeted and self.candidate is not None

    def send_early_ping(self) -> None:
        """Send a ping before the session is open: servers of Engine.IO 3 only answer it."""
        if self.is_greeted and self.candidate is not None:
            self.candidate.send_text("2")

    def choose_protocol(self, protocol: int) -> None:
        """Take note of the protocol that the server speaks; to be called before the session opens.

        Args:
            protocol: 3 or 4.
        """
        self.protocol = protocol

    def _opened(self, handshake: Handshake) -> None:
        self.sid = handshake.sid
        self.upgrades = handshake.upgrades
        self.ping_interval = handshake.ping_interval
        self.ping_timeout = handshake.ping_timeout
        self.max_payload = handshake.max_payload
        if self.max_payload:
            # Below this many characters no text can take more bytes than the server takes.
            self.safe_length = max(0, self.max_payload // 4 - OVERHEAD)
        self.ping_due = self.host.now() + self.ping_interval
        if self.protocol == 4:
            self.ping_due += self.ping_timeout
        self._arm()
        if self.handler is not None:
            try:
                handler = self.handler  # kept while it runs: it may let go of us
                handler.on_open(self)
            except Exception as exc:
                self._failed(exc)

    # Sending

    def send_packet(self, packet: str) -> None:
        """Send a text packet that has its type in front already.

        Args:
            packet: The packet, such as ``"4hello"``.

        Raises:
            PayloadTooLarge: The server takes no packet of this size.
            SendBufferFull: Too much waits to be sent.
        """
        if len(packet) > self.safe_length:
            self._check_text(packet)
        wire = self.wire
        if wire is not None:
            if wire.congested:
                self._check_room(len(packet))
            wire.send_text(packet)
        else:
            self._put(packet, len(packet))

    def send_utf8(self, packet: bytes) -> None:
        """Send a text packet that has its type in front and is encoded already.

        Args:
            packet: The packet, such as ``b"4hello"``, in UTF-8.

        Raises:
            PayloadTooLarge: The server takes no packet of this size.
            SendBufferFull: Too much waits to be sent.
        """
        if len(packet) > self.safe_length:
            self._check_size(len(packet))
        wire = self.wire
        if wire is not None:
            if wire.congested:
                self._check_room(len(packet))
            wire.send_utf8(packet)
        else:
            text = packet.decode()
            self._put(text, len(text))

    def send_binary(self, data: bytes) -> None:
        """Send a binary message; does nothing when the session is over.

        Args:
            data: The message.

        Raises:
            PayloadTooLarge: The server takes no message of this size.
            SendBufferFull: Too much waits to be sent.
        """
        if len(data) > self.safe_length:
            self._check_binary(data)
        wire = self.wire
        if wire is None:
            self._put(data, len(data))
            return
        if wire.congested:
            self._check_room(len(data))
        # Engine.IO 3 puts the packet's type in front of binary messages too.
        wire.send_binary(b"\x04" + data if self.protocol == 3 else data)

    def send_encoded(self, encoded: Encoded) -> None:
        """Send a text message with its attachments, with nothing in between.

        Args:
            encoded: The messages.

        Raises:
            PayloadTooLarge: The server takes no message of this size; nothing was sent.
            SendBufferFull: Too much waits to be sent; nothing was sent.
        """
        if len(encoded.packet) > self.safe_length:
            self._check_text(encoded.packet)
        for data in encoded.attachments:
            if len(data) > self.safe_length:
                self._check_binary(data)
        wire = self.wire
        if wire is not None:
            if wire.congested:
                self._check_room(encoded.size())
            wire.send_encoded(encoded, self.protocol, False)
            return
        polling = self.polling
        if polling is None:
            return
        self._check_kept(polling, encoded.size(), 1 + len(encoded.attachments))
        self._put(encoded.packet, len(encoded.packet))
        for data in encoded.attachments:
            self._put(data, len(data))

    def _check_text(self, packet: str) -> None:
        self._check_size(packet_size(packet))

    def _check_binary(self, data: bytes) -> None:
        # On polling requests it is written in base64, unless the body is binary.
        text = self.wire is None and self.protocol == 4
        self._check_size(packet_size(data) if text else len(data) + 1)

    def _check_size(self, size: int) -> None:
        if self.wire is None and self.protocol == 3:
            size += OVERHEAD  # its length stands in front of it
        if self.max_payload and size > self.max_payload and self.phase < CLOSING:
            raise PayloadTooLarge(
                f"a message takes {size} bytes, and the server takes no more than"
                f" {self.max_payload} at once (its maxPayload): send it in pieces, or raise the"
                " server's max_http_buffer_size"
            )

    def _check_room(self, size: int) -> None:
        """Refuse a message that would wait on a WebSocket behind too many others."""
        wire = self.wire
        options = self.options
        if wire is None:
            return
        if (
            wire.buffered() + size > options.max_buffered_bytes
            or self.waiting >= options.max_buffered_packets
        ):
            raise self._full()
        self.waiting += 1

    def _check_kept(self, polling: ClientPolling, size: int, count: int) -> None:
        """Refuse messages that would wait for a polling request behind too many others."""
        options = self.options
        if (
            polling.size + size > options.max_buffered_bytes
            or len(polling.buffer) + count > options.max_buffered_packets
        ):
            raise self._full()

    def _full(self) -> SendBufferFull:
        return SendBufferFull(
            f"{self.buffered_packets} packets of {self.buffered_bytes} bytes wait to be sent:"
            " the server takes them more slowly than they come (max_buffered_bytes and"
            " max_buffered_packets are the limits); wait until some are gone"
        )

    def _put(self, packet: Any, size: int) -> None:
        """Keep a packet for the next polling request."""
        polling = self.polling
        if polling is None or self.phase >= CLOSING:
            return
        self._check_kept(polling, size, 1)
        polling.buffer.append(packet)
        polling.size += size
        if not polling.flushing and not polling.posting:
            polling.flushing = True
            self.host.flush_soon(self)

    def flush(self) -> None:
        """Send a request with what waits, if none is on its way (called by the host).

        And go on reading, after :meth:`resume_reading`.
        """
        polling = self.polling
        if polling is None:
            return
        polling.flushing = False
        if not self.paused and not polling.getting and self.phase != CLOSING:
            self._deliver_inbox(polling)
            if self.polling is not polling:
                return
        if polling.posting or not polling.buffer or self.phase == PROBED:
            return
        polling.posting = True
        polling.requests.post(polling.take(self.max_payload or UNLIMITED))

    def posted(self, answer: bytes) -> None:
        """Take note that a request with packets was answered well.

        Args:
            answer: The body of the answer.
        """
        polling = self.polling
        if polling is None:
            return
        polling.posting = False
        if answer == b"ok":
            polling.limit = MANY_PACKETS
        if self.phase == CLOSING:
            if polling.buffer:
                self.flush()
            else:
                self._finish(self.reason)
        elif self.phase == PROBED:
            self._try_upgrade()
        elif polling.buffer:
            self.flush()
            self._changed()
        else:
            self._drained()
            self._changed()

    def wire_drained(self, wire: Wire) -> None:
        """Take note that all that waited on a WebSocket was sent.

        Args:
            wire: The WebSocket.
        """
        if wire is self.wire:
            self.waiting = 0
            self._drained()
            self._changed()

    # Receiving

    def receive_text(self, wire: Wire, text: str) -> None:
        """Take a text message of a WebSocket.

        Args:
            wire: The WebSocket.
            text: The message.
        """
        if wire is self.wire:
            self.heard = True
            if text and text[0] == "4" and self.handler is not None:
                try:
                    handler = self.handler  # kept while it runs: it may let go of us
                    handler.on_text(self, text, 1)
                except Exception as exc:
                    self._failed(exc)
            else:
                self._receive(text)
        elif wire is self.candidate:
            self._receive_candidate(wire, text)

    def receive_binary(self, wire: Wire, data: bytes) -> None:
        """Take a binary message of a WebSocket.

        Args:
            wire: The WebSocket.
            data: The message.
        """
        self.heard = True
        if wire is self.candidate and self.phase == OPENING and self.greeted:
            if self.opener is not None:
                self.opener.said(data)
        else:
            Channel.receive_binary(self, wire, data)

    def receive_packets(self, packets: list[str | bytes]) -> None:
        """Take the packets of an answer to a request that waited for them.

        Args:
            packets: Text packets (``str``) and binary messages (``bytes``).
        """
        polling = self.polling
        if polling is None:
            return
        polling.getting = False
        self.heard = True
        polling.inbox = packets
        polling.position = 0
        self._deliver_inbox(polling)

    def _deliver_inbox(self, polling: ClientPolling) -> None:
        """Deliver the packets of an answer, until reading is paused or all are."""
        inbox = polling.inbox
        while inbox is not None and polling.position < len(inbox):
            if self.paused and self.phase != CLOSING:
                return
            packet = inbox[polling.position]
            polling.position += 1
            if isinstance(packet, str):
                self._receive(packet)
            else:
                self._deliver_binary(packet)
            if self.polling is not polling:
                return
        polling.inbox = None
        if self.phase == PROBED:
            self._try_upgrade()
        else:
            self._next_get()

    def _next_get(self) -> None:
        """Have packets waited for, unless that is done or nobody wants any."""
        polling = self.polling
        if (
            polling is not None
            and not polling.getting
            and polling.inbox is None
            and not self.paused
            and (self.phase == POLLING or self.phase == PROBING)
        ):
            polling.getting = True
            polling.requests.get()

    def request_failed(self) -> None:
        """Take note that a polling request has failed: the session cannot go on."""
        if self.polling is not None:
            self.end(TRANSPORT_ERROR)

    def request_malformed(self) -> None:
        """Take note that the answer to a polling request is none."""
        if self.polling is not None:
            self.end(PARSE_ERROR)

    def _receive(self, text: str) -> None:
        """Take a text packet of any type, from whatever transport."""
        kind = text[:1]
        if kind == "4":
            if self.handler is not None:
                try:
                    handler = self.handler  # kept while it runs: it may let go of us
                    handler.on_text(self, text, 1)
                except Exception as exc:
                    self._failed(exc)
        elif kind == "2":
            self._pinged(text)
        elif kind == "3":
            self._ponged()
        elif kind == "b":
            self._receive_binary(text)
        elif kind == "1":
            self.closed_by_server = self.phase != CLOSING
            self.end(TRANSPORT_CLOSE)
        elif kind not in ("0", "5", "6"):
            # Those three mean nothing here: a noop only answers a request that waits.
            self.end(PARSE_ERROR)

    def pause_reading(self) -> None:
        """Take no more messages: the server will notice, since it cannot go on sending."""
        if not self.paused:
            self.paused = True
            if self.wire is not None:
                self.wire.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        if not self.paused:
            return
        self.paused = False
        polling = self.polling
        if self.wire is not None:
            self.wire.resume_reading()
        elif polling is not None:
            # Never inside the caller: its message is not dealt with yet.
            self.host.flush_soon(self)

    # Heartbeats

    def _pinged(self, text: str) -> None:
        """Answer a ping of the server, which only has some in Engine.IO 4."""
        if self.protocol == 3 or self.phase >= CLOSING:
            return
        self.extensions = 0
        self.heard = False
        self.ping_due = self.host.now() + self.ping_interval + self.ping_timeout
        self._arm()
        self.send_packet("3" + text[1:])

    def _ponged(self) -> None:
        """Take the answer to a ping of ours."""
        if self.protocol == 4 or self.phase >= CLOSING:
            return
        self.awaiting_pong = False
        self.extensions = 0
        self.heard = False
        self.ping_due = self.host.now() + self.ping_interval
        self._arm()

    def _ping_due(self, now: float, lag: float) -> None:
        """Send the ping that is due, or end the session when none has come, or no answer to it."""
        if self.protocol == 3 and not self.awaiting_pong:
            self.awaiting_pong = True
            self.extensions = 0
            self.ping_due = now + self.ping_timeout
            self.send_packet("2")
        elif self.heard:
            # Something has come meanwhile, behind which the heartbeat may be on its way.
            self.heard = False
            self.ping_due = now + self.ping_timeout
        elif self.extensions < PATIENCE and (lag > NOTABLE_LAG or self.paused):
            # It may be here, unread: the loop was blocked, or reading is paused.
            self.extensions += 1
            self.ping_due = now + (self.ping_timeout if self.paused else lag)
        else:
            self.end(PING_TIMEOUT)

    def on_due(self, now: float, lag: float) -> None:
        """Act on the deadline that has passed (called by the host).

        Args:
            now: The time, in seconds.
            lag: By how many seconds this call is late because the event loop was blocked.
        """
        if self.phase == CLOSED:
            return
        if self.phase == CLOSING:
            if now >= self.ping_due:
                self._finish(self.reason)
        else:
            if self.upgrade_due and now >= self.upgrade_due:
                self._drop_candidate()
            if self.ping_due and now >= self.ping_due:
                self._ping_due(now, lag)
        self._arm()

    def _arm(self) -> None:
        """Tell the host when the next deadline is."""
        if self.phase == CLOSED:
            return
        due = self.ping_due
        if self.upgrade_due and self.upgrade_due < due:
            due = self.upgrade_due
        self.host.schedule(self, due)

    # The upgrade

    def begin_upgrade(self, wire: Wire) -> bool:
        """Take a WebSocket that was opened with the session's id, and try to go on to it.

        Args:
            wire: The WebSocket.

        Returns:
            Whether the session can; if not, whoever calls this is to close the WebSocket.
        """
        if (self.phase, CANDIDATE) not in TRANSITIONS:
            return False
        self._move(CANDIDATE)
        self.candidate = wire
        self.upgrade_due = self.host.now() + self.options.upgrade_timeout
        self._arm()
        wire.send_text("2probe")
        return True

    def upgrade_failed(self) -> None:
        """Take note that there is no WebSocket to go on to."""
        self.upgrade_pending = False
        self._changed()

    def _receive_candidate(self, wire: Wire, text: str) -> None:
        if self.phase == OPENING and self.greeted:
            if self.opener is not None:
                self.opener.said(text)
        elif self.phase == OPENING:
            self._greet(text)
        elif text == "3probe" and self.phase == PROBING:
            # From now on no request is begun; those on their way have to be answered.
            self._move(PROBE_ANSWERED)
            self._try_upgrade()
        else:
            self._drop_candidate()

    def _greet(self, text: str) -> None:
        """Take the first packet of a WebSocket."""
        opener = self.opener
        if opener is None:
            return
        try:
            handshake = parse_handshake(text)
        except PacketError as exc:
            opener.failed(str(exc))
            return
        self.greeted = True
        opener.greeted(handshake)

    def _try_upgrade(self) -> None:
        """Go on on the WebSocket, if all requests are answered and dealt with."""
        polling = self.polling
        wire = self.candidate
        if (
            polling is None
            or wire is None
            or polling.getting
            or polling.posting
            or polling.inbox is not None
        ):
            return
        self._move(UPGRADE)
        self.candidate = None
        self.upgrade_due = 0.0
        self.polling = None
        self.upgraded = True
        self.upgrade_pending = False
        self.wire = wire
        wire.send_text("5")
        polling.requests.stop()
        for packet in polling.buffer:
            if isinstance(packet, str):
                wire.send_text(packet)
            else:
                wire.send_binary(b"\x04" + packet if self.protocol == 3 else packet)
        if self.paused:
            wire.pause_reading()
        self._arm()
        self._drained()
        self._changed()

    def _drop_candidate(self) -> None:
        """Close the WebSocket that is no good for an upgrade; the session goes on."""
        wire, self.candidate = self.candidate, None
        if wire is None:
            return
        wire.close(1000, "")
        if self.phase == OPENING:
            return
        self._candidate_gone()

    def _candidate_gone(self) -> None:
        self.upgrade_due = 0.0
        self.upgrade_pending = False
        self._move(CANDIDATE_GONE)
        self._changed()
        self._next_get()
        self.flush()

    def wire_lost(self, wire: Wire, reason: str) -> None:
        """Take note that a WebSocket has ended.

        Args:
            wire: The WebSocket.
            reason: :data:`TRANSPORT_CLOSE` or :data:`TRANSPORT_ERROR`.
        """
        if wire is self.wire:
            self.wire = None
            self.end(reason)
        elif wire is self.candidate:
            self.candidate = None
            if self.phase == OPENING:
                opener, self.opener = self.opener, None
                if opener is not None:
                    opener.failed(reason)
            else:
                self._candidate_gone()

    # The end

    def close(self, reason: str = FORCED_CLOSE) -> None:
        """End the session, behind what was sent; does nothing when it is over.

        The handler is told at once.

        Args:
            reason: What the handler is told.
        """
        if not POLLING <= self.phase <= WEBSOCKET:
            if self.phase == OPENING:
                self.end(reason)
            return
        if self.wire is not None:
            self.wire.send_text("1")
            self._finish(reason)
            return
        polling = self.polling
        assert polling is not None
        wire, self.candidate = self.candidate, None
        self._move(CLOSE)
        self.upgrade_due = 0.0
        self.upgrade_pending = False
        if wire is not None:
            wire.close(1000, "")
        polling.buffer.append("1")
        self.ping_due = self.host.now() + self.options.close_timeout
        self._arm()
        self._tell(reason)
        self.flush()
        self._changed()

    def abort(self) -> None:
        """End the session at once, without a word to the server and without what waits."""
        wire, self.wire = self.wire, None
        candidate, self.candidate = self.candidate, None
        if wire is not None:
            wire.abort()
        if candidate is not None:
            candidate.abort()
        self.end(FORCED_CLOSE)

    def end(self, reason: str) -> None:
        """End the session now, whatever waits.

        Args:
            reason: What the handler is told.
        """
        if self.phase != CLOSED:
            self._finish(reason)

    def _finish(self, reason: str) -> None:
        """Let go of everything, and tell who has to know."""
        opened = POLLING <= self.phase <= WEBSOCKET
        self._move(END)
        self.host.cancel(self)
        self.ping_due = self.upgrade_due = 0.0
        polling, self.polling = self.polling, None
        wire, self.wire = self.wire, None
        candidate, self.candidate = self.candidate, None
        opener, self.opener = self.opener, None
        self.upgrade_pending = False
        if wire is not None:
            wire.close(1000, "")
        if candidate is not None:
            candidate.close(1000, "")
        if polling is not None:
            polling.inbox = None
            polling.requests.stop()
        if opener is not None:
            opener.failed(reason)
        if opened:
            self._tell(reason)
        elif not self.reason:
            self.reason = reason
        self.handler = None
        self.host.session_ended(self)
        self._changed()

    def _move(self, event: str) -> None:
        """Go where an event leads."""
        self.phase = TRANSITIONS[(self.phase, event)]
