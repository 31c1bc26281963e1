# cython: annotation_typing=False, binding=False, embedsignature=True
"""The transport of WebSockets: a connection of ours that feeds a session.

An :class:`EngineConnection` drives the connection on an asyncio transport, like those of
``duplexio.websocket``; what it receives it gives to its session by a plain call. The session knows
it as its *wire*.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..websocket.driver import Driver, Owner
from ..websocket.frames import CloseCode
from ..websocket.loopstate import LoopState
from .channel import MESSAGE_TOO_BIG, SERVER_SHUTDOWN, TRANSPORT_CLOSE, TRANSPORT_ERROR, Wire
from .encoded import Encoded
from .session import Session

if TYPE_CHECKING:
    from ..websocket.options import Options

__all__ = ["DriverWire", "EngineConnection", "Turns"]

# The state of a connection that is open, as in ``websocket.connection``.
OPEN = 1


class Turns:
    """Counts the turns of the event loop in which something is broadcast.

    Args:
        loop: The event loop.

    Attributes:
        count: The number of the present one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.count = 0
        self.counting = False

    def keep_counting(self) -> None:
        """Count on when this turn is over."""
        if not self.counting:
            self.counting = True
            self.loop.call_soon(self.next)

    def next(self) -> None:
        """Begin the next turn."""
        self.counting = False
        self.count += 1


class DriverWire(Wire):
    """The wire of a session, made of a connection of ours.

    Args:
        driver: The connection.
    """

    def __init__(self, driver: EngineConnection) -> None:
        super().__init__()
        self.driver = driver
        self.turn = -1  # of the loop, when the last shared frames were sent

    def send_text(self, packet: str) -> None:
        """Send a text message."""
        driver = self.driver
        connection = driver.connection
        if connection is None or connection.state != OPEN:
            return
        output = driver.out()
        if connection.deflate is None:
            output.frame(0x81, packet)
        else:
            connection.output = output
            connection.send_text(packet)
        driver.sent(output)

    def send_utf8(self, packet: bytes) -> None:
        """Send a text message that is encoded already."""
        driver = self.driver
        connection = driver.connection
        if connection is None or connection.state != OPEN:
            return
        output = driver.out()
        if connection.deflate is None:
            output.frame(0x81, packet)
        else:
            connection.output = output
            connection.send_fragment(1, packet, True)
        driver.sent(output)

    def send_binary(self, data: bytes) -> None:
        """Send a binary message."""
        driver = self.driver
        connection = driver.connection
        if connection is None or connection.state != OPEN:
            return
        output = driver.out()
        connection.output = output
        connection.send_binary(data)
        driver.sent(output)

    def send_encoded(self, encoded: Encoded, protocol: int, b64: bool) -> None:
        """Send a text message and its attachments, with nothing in between."""
        driver = self.driver
        connection = driver.connection
        if connection is None or connection.state != OPEN:
            return
        if connection.deflate is None:
            if encoded.is_large_and_new():
                output = driver.out()
                encoded.write_once(output, protocol, b64)
                driver.sent(output)
                return
            frames = encoded.frames(protocol, b64)
        else:
            # Without a context that outlives a message (see opening.py), one compression does for
            # all.
            frames = encoded.deflated(protocol, b64, connection.deflate)
        turns = driver.turns
        if self.turn != turns.count:
            self.turn = turns.count
            turns.keep_counting()
            driver.send_shared(frames)
        else:
            # More than one broadcast in this turn of the loop: all but the first go in one write.
            output = driver.out()
            output.append(frames)
            driver.sent(output)

    def buffered(self) -> int:
        """Return how many bytes wait to be sent."""
        return self.driver.buffered()

    def pause_reading(self) -> None:
        """Read no more."""
        self.driver.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        self.driver.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Close it, behind what was sent."""
        self.driver.session = None
        # What still comes, such as the answer to the close frame, has to be read.
        self.driver.resume_reading()
        self.driver.begin_close(code, reason)

    def abort(self) -> None:
        """End it at once."""
        self.driver.session = None
        self.driver.abort()

    async def wait_closed(self) -> None:
        """Wait until it has ended."""
        await self.driver.wait_closed()


class EngineConnection(Driver):
    """A WebSocket that carries a session, or may do so soon.

    Args:
        loop_state: What the connections of the event loop share.
        options: Limits and times of a WebSocket.
        turns: Counts the turns of the loop, for all connections of an engine.
        owner: Is told of the beginning and the end.

    Attributes:
        session: The session; ``None`` once it has nothing to do with this connection any more.
        packet: The open packet of a new session; ``None`` when the session is to be upgraded.
        wire: What the session knows this connection as.
    """

    def __init__(
        self, loop_state: LoopState, options: Options, turns: Turns, owner: Owner | None = None
    ) -> None:
        super().__init__(loop_state, options, owner)
        self.turns = turns
        self.session: Session | None = None
        self.packet: str | None = None
        self.wire: DriverWire | None = None

    def admit(self, session: Session, packet: str | None) -> None:
        """Take the session, before the opening handshake is answered.

        Args:
            session: The session.
            packet: Its open packet; ``None`` when it is to be upgraded.
        """
        self.session = session
        self.packet = packet
        if self.lost:
            self.leave(TRANSPORT_CLOSE)

    # What the connection tells

    def on_text(self, message: str) -> None:
        """Take a text message."""
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        session = self.session
        wire = self.wire
        if session is not None and wire is not None:
            session.receive_text(wire, message)

    def on_binary(self, message: bytes) -> None:
        """Take a binary message."""
        self.budget -= 1
        if self.budget <= 0:
            self.spend()
        session = self.session
        wire = self.wire
        if session is not None and wire is not None:
            session.receive_binary(wire, message)

    def on_failure(self, code: int, reason: str) -> None:
        """Take note that the client broke the protocol."""
        Driver.on_failure(self, code, reason)
        session = self.session
        if session is None:
            return
        if code == CloseCode.MESSAGE_TOO_BIG:
            # The one failure that an operator can do something about.
            self.options.logger.warning(
                "%s: %s; max_http_buffer_size sets the limit", session.sid[:6], reason
            )
            self.leave(MESSAGE_TOO_BIG)
        else:
            self.options.logger.info("%s: WebSocket failed: %s", session.sid[:6], reason)
            self.leave(TRANSPORT_ERROR)

    def on_close_frame(self, code: int, reason: str) -> None:
        """Take note that the client closes."""
        Driver.on_close_frame(self, code, reason)
        self.leave(TRANSPORT_CLOSE)

    # What the driver tells

    def on_started(self) -> None:
        """Open the session, or try to take it over."""
        session = self.session
        if session is None:
            # The session has ended while the handshake was going on.
            self.begin_close(CloseCode.GOING_AWAY, "")
            return
        self.wire = wire = DriverWire(self)
        packet, self.packet = self.packet, None
        if packet is not None:
            session.open_websocket(wire, packet)
        elif not session.begin_upgrade(wire):
            # Refusing the handshake would be the other way to say so, but some clients crash on it.
            self.session = None
            self.begin_close(CloseCode.NORMAL_CLOSURE, "")

    def pause_writing(self) -> None:
        """Take note that the kernel takes no more (called by asyncio)."""
        Driver.pause_writing(self)
        if self.wire is not None:
            self.wire.congested = True

    def on_drained(self) -> None:
        """Take note that all that waited has been written."""
        wire = self.wire
        if wire is not None:
            wire.congested = False
            if self.session is not None:
                self.session.wire_drained(wire)

    def on_lost(self, exc: Exception | None) -> None:
        """Take note that the transport has ended."""
        if self.session is not None and self.wire is not None:
            self.session.host.session_cut(self.session)
        self.leave(TRANSPORT_CLOSE)
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.congested = False

    def shutdown(self, timeout: float) -> None:
        """Close, since the server stops.

        Args:
            timeout: Seconds that the client has to answer the close frame.
        """
        if self.opening is not None:
            opening: Any = self.opening
            opening.unavailable()
        elif self.session is not None:
            self.session.close(SERVER_SHUTDOWN, CloseCode.SERVICE_RESTART)
        if not self.lost:
            self.schedule(timeout)

    def leave(self, reason: str) -> None:
        """Tell the session that it has lost this connection."""
        session, self.session = self.session, None
        if session is None:
            return
        wire = self.wire
        packet, self.packet = self.packet, None
        if wire is None:
            if packet is None:
                return  # it would have been upgraded, but goes on where it is
            # The application has let the client in, so it is to hear of its coming and going.
            wire = DriverWire(self)
            session.open_websocket(wire, packet)
        session.wire_lost(wire, reason)
