# cython: annotation_typing=False, binding=False, embedsignature=True
"""What a session is on both sides of a connection: messages go out and come in.

A :class:`Channel` writes messages on the WebSocket that carries it, its *wire*, and tells its
handler of those that arrive there. The session of a server (``session.py``) and that of a client
(``client_session.py``) derive from it, and add polling requests, the upgrade, heartbeats and the
end, in which the two sides differ.
"""

from __future__ import annotations

from typing import Any

from .encoded import Encoded, base64_packet
from .exceptions import PacketError
from .packets import decode_base64, decode_typed

__all__ = [
    "BUFFER_OVERFLOW",
    "CLOSED",
    "CLOSING",
    "FORCED_CLOSE",
    "MESSAGE_TOO_BIG",
    "OPENING",
    "PARSE_ERROR",
    "PING_TIMEOUT",
    "POLLING",
    "PROBED",
    "PROBING",
    "SERVER_SHUTDOWN",
    "TRANSPORT_CLOSE",
    "TRANSPORT_ERROR",
    "WEBSOCKET",
    "Channel",
    "SessionHandler",
    "SessionHost",
    "Wire",
]

# The phases of a session.
OPENING = 0  #: the client has not been told its id yet
POLLING = 1  #: open, on polling requests
PROBING = 2  #: the same, and there is a WebSocket that may take over
PROBED = 3  #: the same, and its probe was answered
WEBSOCKET = 4  #: open, on a WebSocket
CLOSING = 5  #: over for the handler; the other side is still to be told
CLOSED = 6


# Why a session ends, in the words of Node's engine.io.
TRANSPORT_CLOSE = "transport close"
TRANSPORT_ERROR = "transport error"
PING_TIMEOUT = "ping timeout"
PARSE_ERROR = "parse error"
FORCED_CLOSE = "forced close"
# Of our own.
SERVER_SHUTDOWN = "server shutting down"
BUFFER_OVERFLOW = "send buffer overflow"
MESSAGE_TOO_BIG = "message too big"


class SessionHandler:
    """What a session tells its owner; derive from it and override what matters.

    The calls come from within the handling of what has arrived, so they must not block.
    """

    def on_open(self, session: Any) -> None:
        """The session is open; what is sent now follows the open packet at once."""

    def on_text(self, session: Any, text: str, start: int) -> None:
        """A text message has arrived.

        Args:
            session: The session.
            text: Holds the message, which is ``text[start:]``.
            start: Where it begins.
        """

    def on_binary(self, session: Any, data: bytes) -> None:
        """A binary message has arrived.

        Args:
            session: The session.
            data: The message.
        """

    def on_close(self, session: Any, reason: str) -> None:
        """The session is over; this is the last call.

        Args:
            session: The session.
            reason: Why, in the words of Node's engine.io.
        """

    def on_drained(self, session: Any) -> None:
        """All that waited to be sent was sent, after the peer had been too slow."""


class SessionHost:
    """What a session needs from outside: the time, and somebody who knows of its end."""

    def now(self) -> float:
        """Return the time, in seconds."""
        raise NotImplementedError

    def lag(self) -> float:
        """Return for how many seconds, in all, the event loop was blocked so far."""
        return 0.0

    def schedule(self, session: Any, due: float) -> None:
        """Have ``session.on_due`` called when the time is ``due``, and not at the one before."""
        raise NotImplementedError

    def cancel(self, session: Any) -> None:
        """Forget the time that was scheduled."""
        raise NotImplementedError

    def flush_soon(self, session: Any) -> None:
        """Have ``session.flush`` called when all that has arrived by now was dealt with."""
        raise NotImplementedError

    def session_ended(self, session: Any) -> None:
        """Forget the session: from now on its id is unknown."""

    def session_cut(self, session: Any) -> None:
        """Take note that the session's connection has ended without a word."""

    def handler_failed(self, session: Any, exc: Exception) -> None:
        """Log that a handler raised; the session ends."""


class Wire:
    """A WebSocket, as a session sees it.

    Attributes:
        congested: Whether what is sent has to wait, since the peer does not read.
    """

    def __init__(self) -> None:
        self.congested = False

    def send_text(self, packet: str) -> None:
        """Send a text message."""
        raise NotImplementedError

    def send_utf8(self, packet: bytes) -> None:
        """Send a text message that is encoded already."""
        raise NotImplementedError

    def send_binary(self, data: bytes) -> None:
        """Send a binary message."""
        raise NotImplementedError

    def send_encoded(self, encoded: Encoded, protocol: int, b64: bool) -> None:
        """Send a text message and its attachments, with nothing in between.

        Args:
            encoded: The messages.
            protocol: 3 or 4.
            b64: Whether the peer takes text only.
        """
        raise NotImplementedError

    def buffered(self) -> int:
        """Return how many bytes wait to be sent."""
        return 0

    def pause_reading(self) -> None:
        """Read no more."""

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""

    def close(self, code: int, reason: str) -> None:
        """Close it, behind what was sent; the session has nothing to do with it any more."""
        raise NotImplementedError

    def abort(self) -> None:
        """End it at once, without what waits."""
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """Wait until it has ended."""


class Channel:
    """What the sessions of both sides have in common.

    Args:
        host: Tells the time, and is told of the end.
        options: Limits and times, such as ``max_buffered_bytes``.
        sid: The session's id, which only the client and the server may know.
        protocol: Version of Engine.IO, 3 or 4.
        b64: Whether the peer takes text only.

    Attributes:
        sid: The id.
        protocol: 3 or 4.
        phase: Where it stands: :data:`OPENING` to :data:`CLOSED`.
        handler: Is told what happens; to be set before the session opens.
        reason: Why it ended; empty until then.
        due: When ``on_due`` is to be called, 0 for never. Kept by the host, as are ``slot`` and
            ``place``.
    """

    def __init__(
        self, host: SessionHost, options: Any, sid: str, protocol: int, b64: bool = False
    ) -> None:
        self.host = host
        self.options = options
        self.sid = sid
        self.protocol = protocol
        self.b64 = b64
        self.phase = OPENING
        self.handler: SessionHandler | None = None
        self.reason = ""
        self.wire: Wire | None = None
        self.candidate: Wire | None = None
        self.upgrade_due = 0.0
        self.ping_due = 0.0
        self.awaiting_pong = False
        self.upgraded = False
        self.paused = False
        self.extensions = 0
        self.waiting = 0  # packets sent since the wire is congested
        self.due = 0.0
        self.slot = -1
        self.place = 0

    # What its users ask

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``; of a session that is over, what it was last."""
        return "websocket" if self.upgraded else "polling"

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent and received."""
        return POLLING <= self.phase <= WEBSOCKET

    @property
    def state(self) -> str:
        """``"opening"``, ``"open"``, ``"closing"`` or ``"closed"``, as Node's ``readyState``."""
        if self.phase == OPENING:
            return "opening"
        if self.phase <= WEBSOCKET:
            return "open"
        return "closing" if self.phase == CLOSING else "closed"

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait to be sent; more than ``max_buffered_bytes`` end the session."""
        if self.wire is not None:
            return self.wire.buffered()
        return self._kept_bytes()

    @property
    def buffered_packets(self) -> int:
        """Packets that wait to be sent; more than ``max_buffered_packets`` end the session."""
        if self.wire is not None:
            return int(self.waiting)
        return self._kept_packets()

    @property
    def reading_paused(self) -> bool:
        """Whether :meth:`pause_reading` holds."""
        return bool(self.paused)

    # What the two sides do in ways of their own

    def _kept_bytes(self) -> int:
        """Return how many bytes wait to be carried by polling requests."""
        raise NotImplementedError

    def _kept_packets(self) -> int:
        """Return how many packets wait to be carried by polling requests."""
        raise NotImplementedError

    def _put(self, packet: Any, size: int) -> None:
        """Keep a packet for a polling request."""
        raise NotImplementedError

    def _receive(self, text: str) -> None:
        """Take a text packet of any type, from whatever transport."""
        raise NotImplementedError

    def _receive_candidate(self, wire: Wire, text: str) -> None:
        """Take what the WebSocket says that may take over."""
        raise NotImplementedError

    def _drop_candidate(self) -> None:
        """Close the WebSocket that was to take over; the session goes on."""
        raise NotImplementedError

    def end(self, reason: str) -> None:
        """End the session now, whatever waits.

        Args:
            reason: What the handler is told.
        """
        raise NotImplementedError

    # Sending

    def send_text(self, text: str) -> None:
        """Send a text message; does nothing when the session is over.

        Args:
            text: The message.
        """
        self.send_packet("4" + text)

    def send_packet(self, packet: str) -> None:
        """Send a text packet that has its type in front already.

        Args:
            packet: The packet, such as ``"4hello"``.
        """
        if self.wire is not None:
            self.wire.send_text(packet)
            if self.wire is not None and self.wire.congested:
                self._check_wire()
        else:
            self._put(packet, len(packet))

    def send_utf8(self, packet: bytes) -> None:
        """Send a text packet that has its type in front and is encoded already.

        Args:
            packet: The packet, such as ``b"4hello"``, in UTF-8.
        """
        if self.wire is not None:
            self.wire.send_utf8(packet)
            if self.wire is not None and self.wire.congested:
                self._check_wire()
        else:
            self._put(packet.decode(), len(packet))

    def send_binary(self, data: bytes) -> None:
        """Send a binary message; does nothing when the session is over.

        Args:
            data: The message.
        """
        wire = self.wire
        if wire is None:
            self._put(data, len(data))
            return
        if self.b64:
            wire.send_text(base64_packet(self.protocol, data))
        elif self.protocol == 3:
            # Engine.IO 3 puts the packet's type in front of binary messages too.
            wire.send_binary(b"\x04" + data)
        else:
            wire.send_binary(data)
        if wire.congested:
            self._check_wire()

    def send_encoded(self, encoded: Encoded) -> None:
        """Send a text message with its attachments, with nothing in between.

        Args:
            encoded: The messages, encoded once for all who get them.
        """
        if self.wire is not None:
            self.wire.send_encoded(encoded, self.protocol, self.b64)
            if self.wire is not None and self.wire.congested:
                self._check_wire()
        else:
            self._put(encoded, encoded.size())

    def _send_all(self, packets: list[Any]) -> None:
        """Send on the WebSocket what was meant for polls."""
        for packet in packets:
            if isinstance(packet, str):
                self.send_packet(packet)
            elif isinstance(packet, Encoded):
                self.send_encoded(packet)
            else:
                self.send_binary(packet)

    def _drained(self) -> None:
        try:
            if self.handler is not None:
                handler = self.handler  # kept while it runs: it may let go of us
                handler.on_drained(self)
        except Exception as exc:
            self._failed(exc)

    def _check_wire(self) -> None:
        """Give a peer up that does not read what it is sent."""
        wire = self.wire
        if wire is None:
            return
        self.waiting += 1
        if (
            wire.buffered() > self.options.max_buffered_bytes
            or self.waiting > self.options.max_buffered_packets
        ):
            self.end(BUFFER_OVERFLOW)

    def wire_drained(self, wire: Wire) -> None:
        """Take note that all that waited on a WebSocket was sent.

        Args:
            wire: The WebSocket.
        """
        if wire is self.wire and self.waiting:
            self.waiting = 0
            self._drained()

    # Receiving

    def receive_text(self, wire: Wire, text: str) -> None:
        """Take a text message of a WebSocket.

        Args:
            wire: The WebSocket.
            text: The message.
        """
        if wire is self.wire and text and text[0] == "4" and self.handler is not None:
            try:
                handler = self.handler  # kept while it runs: it may let go of us
                handler.on_text(self, text, 1)
            except Exception as exc:
                self._failed(exc)
        elif wire is self.wire:
            self._receive(text)
        elif wire is self.candidate:
            self._receive_candidate(wire, text)

    def receive_binary(self, wire: Wire, data: bytes) -> None:
        """Take a binary message of a WebSocket.

        Args:
            wire: The WebSocket.
            data: The message.
        """
        if wire is self.wire:
            if self.protocol == 3:
                self._receive_typed(data)
            else:
                self._deliver_binary(data)
        elif wire is self.candidate:
            self._drop_candidate()

    def _receive_binary(self, text: str) -> None:
        """Take a binary message that was written as text."""
        try:
            data = decode_base64(self.protocol, text)
        except PacketError:
            self.end(PARSE_ERROR)
            return
        self._deliver_binary(data)

    def _receive_typed(self, data: bytes) -> None:
        """Take a binary packet of Engine.IO 3."""
        try:
            packet = decode_typed(data)
        except PacketError:
            self.end(PARSE_ERROR)
            return
        if isinstance(packet, str):
            self._receive(packet)
        else:
            self._deliver_binary(packet)

    def _deliver_binary(self, data: bytes) -> None:
        if self.handler is not None:
            try:
                handler = self.handler  # kept while it runs: it may let go of us
                handler.on_binary(self, data)
            except Exception as exc:
                self._failed(exc)

    def _failed(self, exc: Exception) -> None:
        """A handler has raised what it ought to have dealt with."""
        self.host.handler_failed(self, exc)
        self.end(TRANSPORT_ERROR)

    # The end

    def _tell(self, reason: str) -> None:
        """Tell the handler of the end; it hears of nothing more."""
        self.reason = reason
        handler, self.handler = self.handler, None
        if handler is None:
            return
        try:
            handler.on_close(self, reason)
        except Exception as exc:
            self.host.handler_failed(self, exc)
