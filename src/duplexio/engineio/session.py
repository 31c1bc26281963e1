# cython: annotation_typing=False, binding=False, embedsignature=True
"""One client's session, without any input or output: Engine.IO 3 and 4.

A :class:`Session` lives longer than the transports that carry it: it begins on polling requests or
on a WebSocket, may go on from the first to the second, and ends when the client says so, when its
transport breaks, or when it does not answer a heartbeat. It is told what arrives
(:meth:`~Session.poll`, :meth:`~Session.receive_text`, …), and says what it has to say by calling
its handler, its wire, the polls that wait, and its host, which also tells it the time.

The transitions between its phases are the table :data:`~.transitions.TRANSITIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .channel import (
    BUFFER_OVERFLOW,
    CLOSED,
    CLOSING,
    FORCED_CLOSE,
    MESSAGE_TOO_BIG,
    OPENING,
    PARSE_ERROR,
    PING_TIMEOUT,
    POLLING,
    PROBED,
    PROBING,
    SERVER_SHUTDOWN,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    WEBSOCKET,
    Channel,
    SessionHandler,
    SessionHost,
    Wire,
)
from .polls import Poll, Polling, Post
from .transitions import (
    CANDIDATE,
    CANDIDATE_GONE,
    END,
    LINGER,
    OPEN_POLLING,
    OPEN_WEBSOCKET,
    PROBE,
    TRANSITIONS,
    UPGRADE,
)

if TYPE_CHECKING:
    from .options import SessionOptions

__all__ = [
    "BUFFER_OVERFLOW",
    "FORCED_CLOSE",
    "MESSAGE_TOO_BIG",
    "PARSE_ERROR",
    "PING_TIMEOUT",
    "SERVER_SHUTDOWN",
    "TRANSPORT_CLOSE",
    "TRANSPORT_ERROR",
    "Session",
    "SessionHandler",
    "SessionHost",
]

#: Seconds after which a poll is answered that came while the client ought to go on to its
#: WebSocket. The first is answered at once, so a client that goes on polling is slowed down.
NUDGE = 0.1

#: Seconds of the loop's lag below which nothing is credited.
NOTABLE_LAG = 0.05

#: How often a heartbeat's deadline is put off, at most, because we were not reading.
PATIENCE = 10


class Session(Channel):
    """One client's session, on the server.

    Args:
        host: Tells the time, and is told of the end.
        options: Limits and times.
        sid: The session's id, which only the client may know.
        protocol: Version of Engine.IO, 3 or 4.
        b64: Whether the client takes text only.

    Attributes:
        request: The request that began it; kept for its owner.
    """

    def __init__(
        self,
        host: SessionHost,
        options: SessionOptions,
        sid: str,
        protocol: int,
        b64: bool = False,
    ) -> None:
        super().__init__(host, options, sid, protocol, b64)
        self.request: Any = None
        self.polling: Polling | None = Polling()
        self.lag_mark = 0.0

    @property
    def writable(self) -> bool:
        """Whether what is sent now can go at once, so far as this side knows."""
        if self.wire is not None:
            return not self.wire.congested
        return self.polling is not None and self.polling.slot is not None

    def _kept_bytes(self) -> int:
        return 0 if self.polling is None else self.polling.size

    def _kept_packets(self) -> int:
        return 0 if self.polling is None else len(self.polling.buffer)

    # Opening

    def open_polling(self, slot: Poll, packet: str) -> None:
        """Open on polling requests.

        Args:
            slot: The request of the handshake.
            packet: The open packet.
        """
        if self.phase == CLOSED:
            slot.refuse()  # it was ended while the client was let in
            return
        self._move(OPEN_POLLING)
        assert self.polling is not None
        self.polling.slot = slot
        # What was sent while it was opening comes after.
        self.polling.buffer.insert(0, packet)
        self.polling.size += len(packet)
        self._opened()
        self.flush()

    def open_websocket(self, wire: Wire, packet: str) -> None:
        """Open on a WebSocket.

        Args:
            wire: The WebSocket.
            packet: The open packet.
        """
        if self.phase == CLOSED:
            wire.close(1001, "")  # it was ended while the client was let in
            return
        self._move(OPEN_WEBSOCKET)
        early, self.polling = self.polling, None
        self.upgraded = True
        self.wire = wire
        wire.send_text(packet)
        if early is not None and early.buffer:
            self._send_all(early.buffer)
        self._opened()

    def _opened(self) -> None:
        now = self.host.now()
        self.ping_due = now + self.options.ping_interval
        if self.protocol == 3:
            # The client has to ping: it is given as long as it gives us.
            self.ping_due += self.options.ping_timeout
            self.lag_mark = self.host.lag()
        self._arm()
        if self.handler is not None:
            try:
                handler = self.handler  # kept while it runs: it may let go of us
                handler.on_open(self)
            except Exception as exc:
                self._failed(exc)

    # Sending

    def _put(self, packet: Any, size: int) -> None:
        """Keep a packet for the next poll."""
        polling = self.polling
        if polling is None or self.phase >= WEBSOCKET:
            return
        polling.buffer.append(packet)
        polling.size += size
        if (
            polling.size > self.options.max_buffered_bytes
            or len(polling.buffer) > self.options.max_buffered_packets
        ):
            self.end(BUFFER_OVERFLOW)
        elif polling.slot is not None and not polling.flushing:
            polling.flushing = True
            self.host.flush_soon(self)

    def flush(self) -> None:
        """Answer the poll that waits with what there is to send (called by the host)."""
        polling = self.polling
        if polling is None:
            return
        polling.flushing = False
        slot = polling.slot
        if slot is None or not polling.buffer or not POLLING <= self.phase <= PROBED:
            return
        polling.slot = None
        polling.nudge_due = 0.0
        slot.answer(polling.take())
        if self.handler is not None and self.phase != OPENING:
            self._drained()

    def limit_polls(self, packets: int) -> None:
        """Send no more than so many packets at once, while on polling requests.

        Args:
            packets: How many.
        """
        if self.polling is not None:
            self.polling.limit = packets

    # Receiving

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
        elif kind == "3" or kind == "2":
            self._heartbeat(kind)
        elif kind == "b":
            self._receive_binary(text)
        elif kind == "1":
            self.end(TRANSPORT_CLOSE)
        elif kind not in ("0", "5", "6"):
            # Those three mean nothing here, and Node's server does not mind them either.
            self.end(PARSE_ERROR)

    def pause_reading(self) -> None:
        """Take no more messages: the client will notice, since it cannot go on sending."""
        if not self.paused:
            self.paused = True
            if self.wire is not None:
                self.wire.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        if self.paused:
            self.paused = False
            if self.wire is not None:
                self.wire.resume_reading()
            elif self.polling is not None and self.polling.inbox is not None:
                self._deliver_inbox()

    # Heartbeats

    def _heartbeat(self, kind: str) -> None:
        """Take a ping or a pong."""
        if (kind == "2") != (self.protocol == 3):
            # Only the client pings in Engine.IO 3, only the server in Engine.IO 4.
            self.end(TRANSPORT_ERROR)
            return
        now = self.host.now()
        self.awaiting_pong = False
        self.extensions = 0
        self.ping_due = now + self.options.ping_interval
        if self.protocol == 3:
            self.ping_due += self.options.ping_timeout
            self.lag_mark = self.host.lag()
            self.send_packet("3")
        self._arm()

    def _ping_due(self, now: float, lag: float) -> None:
        """Send the ping that is due, or end the session when its answer is."""
        if self.protocol == 4 and not self.awaiting_pong:
            self.awaiting_pong = True
            self.extensions = 0
            self.lag_mark = self.host.lag()
            self.ping_due = now + self.options.ping_timeout
            self.send_packet("2")
            return
        if not self.options.monitor:
            self.ping_due = 0.0
            return
        # What the client has sent may lie unread: because the loop was blocked, or since reading
        # is paused. That is not the client's fault.
        blocked = max(lag, self.host.lag() - self.lag_mark)
        if self.extensions < PATIENCE and (blocked > NOTABLE_LAG or self.paused):
            self.extensions += 1
            self.lag_mark = self.host.lag()
            self.ping_due = now + (self.options.ping_timeout if self.paused else blocked)
            return
        self.end(PING_TIMEOUT)

    def silence(self) -> float:
        """Return the seconds since the last heartbeat; -1 while an answer is waited for."""
        if self.awaiting_pong or not self.ping_due:
            return -1.0
        options = self.options
        wait = options.ping_interval + (options.ping_timeout if self.protocol == 3 else 0)
        return float(self.host.now() + wait - self.ping_due)

    def on_due(self, now: float, lag: float) -> None:
        """Act on the deadline that has passed (called by the host).

        Args:
            now: The time, in seconds.
            lag: By how many seconds this call is late because the event loop was blocked.
        """
        if self.phase == CLOSED:
            return
        if self.upgrade_due and now >= self.upgrade_due:
            self._drop_candidate()
        if self.ping_due and now >= self.ping_due:
            if self.phase == CLOSING:
                self._finish(self.reason)
                return
            self._ping_due(now, lag)
        polling = self.polling
        if polling is not None and polling.nudge_due and now >= polling.nudge_due:
            self._nudge()
        self._arm()

    def _arm(self) -> None:
        """Tell the host when the next deadline is."""
        if self.phase == CLOSED:
            return
        due = self.ping_due
        if self.upgrade_due and (not due or self.upgrade_due < due):
            due = self.upgrade_due
        polling = self.polling
        if polling is not None and polling.nudge_due and (not due or polling.nudge_due < due):
            due = polling.nudge_due
        if due:
            self.host.schedule(self, due)

    # Polling requests

    def poll(self, slot: Poll) -> None:
        """Take a request that waits for packets; it is answered now or later.

        Args:
            slot: The request.
        """
        polling = self.polling
        if polling is None or not (POLLING <= self.phase <= PROBED or self.phase == CLOSING):
            slot.refuse()
        elif self.phase == CLOSING:
            packets = polling.take()
            if polling.buffer:
                slot.answer(packets)
                return
            slot.answer([*packets, "1"])
            self._finish(self.reason)
        elif polling.slot is not None:
            # Packets could get lost between two answers: the session cannot go on.
            self.end(TRANSPORT_ERROR)
            slot.refuse()
        else:
            polling.slot = slot
            if polling.buffer:
                self.flush()
            elif self.phase == PROBED:
                polling.nudge_due = self.host.now() + NUDGE
                self._arm()

    def poll_lost(self, slot: Poll) -> None:
        """Take note that a request that waits was given up by the client.

        Args:
            slot: The request.
        """
        if self.polling is not None and self.polling.slot is slot:
            self.polling.slot = None
            self.host.session_cut(self)
            self.end(TRANSPORT_ERROR)

    def begin_post(self, post: Post) -> bool:
        """Take note that a request with packets begins.

        Args:
            post: The request, which was refused when this returns ``False``.

        Returns:
            Whether to go on and call :meth:`receive_post` when it is there.
        """
        polling = self.polling
        if polling is None or self.phase == OPENING or self.phase > CLOSING:
            post.refuse()
            return False
        if polling.post is not None:
            self.end(TRANSPORT_ERROR)
            post.refuse()
            return False
        polling.post = post
        return True

    def receive_post(self, post: Post, packets: list[str | bytes]) -> None:
        """Take the packets of a request that has begun.

        Args:
            post: The request; it is answered when the packets were taken.
            packets: Text packets (``str``) and binary messages (``bytes``).
        """
        polling = self.polling
        if polling is None or polling.post is not post:
            return  # it was refused when the session ended
        if self.phase == CLOSING:
            polling.post = None
            post.accept()
            return
        polling.inbox = packets
        polling.position = 0
        self._deliver_inbox()

    def fail_post(self, post: Post, reason: str = PARSE_ERROR) -> None:
        """End the session, since a request brought no valid packets or was not finished.

        Args:
            post: The request, which is answered by whoever calls this.
            reason: What the handler is told.
        """
        polling = self.polling
        if polling is not None and polling.post is post:
            polling.post = None
            self.end(reason)

    def post_lost(self, post: Post) -> None:
        """Take note that the client gave up a request with packets.

        Args:
            post: The request.
        """
        polling = self.polling
        if polling is not None and polling.post is post:
            polling.post = None
            self.end(TRANSPORT_ERROR)

    def _deliver_inbox(self) -> None:
        """Deliver the packets of a request, until reading is paused or all are."""
        polling = self.polling
        assert polling is not None
        inbox = polling.inbox
        assert inbox is not None
        count = len(inbox)
        while polling.position < count:
            if self.paused:
                return
            packet = inbox[polling.position]
            polling.position += 1
            if isinstance(packet, str):
                if packet[:1] == "1":
                    self._client_closes(polling)
                    return
                self._receive(packet)
            else:
                self._deliver_binary(packet)
            if self.polling is not polling or polling.inbox is None:
                return
        polling.inbox = None
        post, polling.post = polling.post, None
        if post is not None:
            post.accept()

    def _client_closes(self, polling: Polling) -> None:
        """The client closes: a poll that waits is answered with nothing to do."""
        polling.inbox = None
        post, polling.post = polling.post, None
        slot, polling.slot = polling.slot, None
        if slot is not None:
            slot.answer(["6"])
        if post is not None:
            post.accept()
        self.end(TRANSPORT_CLOSE)

    # The upgrade

    def begin_upgrade(self, wire: Wire) -> bool:
        """Take a WebSocket that may take the session over.

        Args:
            wire: The WebSocket.

        Returns:
            Whether it may; if not, it is to be closed by whoever calls this.
        """
        if not self.options.allow_upgrades or (self.phase, CANDIDATE) not in TRANSITIONS:
            return False
        self._move(CANDIDATE)
        self.candidate = wire
        self.upgrade_due = self.host.now() + self.options.upgrade_timeout
        self._arm()
        return True

    def _receive_candidate(self, wire: Wire, text: str) -> None:
        if wire.congested:
            # One answer is all that an upgrade takes, and this client does not read.
            self._drop_candidate()
        elif text == "2probe" and (self.phase, PROBE) in TRANSITIONS:
            wire.send_text("3probe")
            first = self.phase == PROBING
            self._move(PROBE)
            if first:
                self._nudge()
        elif text == "5" and (self.phase, UPGRADE) in TRANSITIONS:
            self._upgrade(wire)
        else:
            self._drop_candidate()

    def _nudge(self) -> None:
        """Answer the poll that waits, so that the client can go on to its WebSocket."""
        polling = self.polling
        if polling is None:
            return
        polling.nudge_due = 0.0
        if polling.buffer:
            self.flush()
            return
        slot, polling.slot = polling.slot, None
        if slot is not None:
            slot.answer(["6"])

    def _upgrade(self, wire: Wire) -> None:
        """Go on on the WebSocket, with what was not fetched."""
        polling = self.polling
        assert polling is not None
        closing = self.phase == CLOSING
        slot, polling.slot = polling.slot, None
        if slot is not None:
            # The client has no use for this answer, but it must not wait for ever.
            slot.answer(["6"])
        post, polling.post = polling.post, None
        if post is not None:
            post.refuse()
        self.candidate = None
        self.upgrade_due = 0.0
        self.polling = None
        self.upgraded = True
        self.wire = wire
        if closing:
            self._send_all(polling.buffer)
            self._finish(self.reason, 1012 if self.reason == SERVER_SHUTDOWN else 1000)
            return
        self._move(UPGRADE)
        self._send_all(polling.buffer)
        if self.paused and self.wire is not None:
            self.wire.pause_reading()
        self._arm()

    def _drop_candidate(self) -> None:
        """Close the WebSocket that did not do what an upgrade takes; the session goes on."""
        wire, self.candidate = self.candidate, None
        self.upgrade_due = 0.0
        if wire is None:
            return
        self._move(CANDIDATE_GONE)
        wire.close(1000, "")

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
            self.upgrade_due = 0.0
            self._move(CANDIDATE_GONE)

    # The end

    def close(self, reason: str = FORCED_CLOSE, code: int = 1000) -> None:
        """End the session, behind what was sent; does nothing when it is over.

        The handler is told at once. A client on polling requests learns of it with its next one.

        Args:
            reason: What the handler is told.
            code: Close code for a WebSocket.
        """
        polling = self.polling
        if not POLLING <= self.phase <= WEBSOCKET:
            if self.phase == OPENING:
                self.end(reason)
            return
        if polling is not None and polling.limit and len(polling.buffer) >= polling.limit:
            self.flush()  # the close packet does not fit into this answer
        if polling is None or polling.slot is not None:
            self._end(reason, code)
            return
        # Nobody is there to be told: the packet waits for the next poll, or for the WebSocket.
        if self.phase == PROBING:
            self._drop_candidate()
        self._move(LINGER)
        polling.inbox = None
        post, polling.post = polling.post, None
        if post is not None:
            post.accept()
        self.ping_due = self.host.now() + self.options.close_timeout
        self._arm()
        self._tell(reason)

    def end(self, reason: str) -> None:
        """End the session now, whatever waits.

        Args:
            reason: What the handler is told.
        """
        if self.phase != CLOSED:
            self._end(reason, 1000)

    def _end(self, reason: str, code: int) -> None:
        polling = self.polling
        if polling is not None and polling.slot is not None and self.phase <= PROBED:
            slot, polling.slot = polling.slot, None
            slot.answer([*polling.buffer, "1"])
        if self.wire is not None and reason == BUFFER_OVERFLOW:
            # It does not read: a close frame behind all the rest would not reach it.
            wire, self.wire = self.wire, None
            wire.abort()
        self._finish(reason, code)

    def _finish(self, reason: str, code: int = 1000) -> None:
        """Let go of everything, and tell who has to know."""
        told = self.phase == CLOSING
        self._move(END)
        self.host.cancel(self)
        self.ping_due = self.upgrade_due = 0.0
        polling, self.polling = self.polling, None
        wire, self.wire = self.wire, None
        candidate, self.candidate = self.candidate, None
        if wire is not None:
            wire.close(code, "")
        if candidate is not None:
            candidate.close(1000, "")
        if polling is not None:
            polling.inbox = None
            if polling.slot is not None:
                polling.slot.refuse()
                polling.slot = None
            post, polling.post = polling.post, None
            if post is not None:
                if reason in (PARSE_ERROR, TRANSPORT_ERROR, PING_TIMEOUT):
                    post.refuse()
                else:
                    post.accept()
        if not told:
            # Also when it was not open yet: whoever has let the client in hears of its end.
            self._tell(reason)
        self.handler = None
        self.host.session_ended(self)

    def _move(self, event: str) -> None:
        """Go where an event leads."""
        self.phase = TRANSITIONS[(self.phase, event)]
