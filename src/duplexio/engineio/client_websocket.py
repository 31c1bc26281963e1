# cython: annotation_typing=False, binding=False, embedsignature=True
"""The transport of WebSockets of a client: a connection of ours that feeds a session.

It is the counterpart of ``websocket.py``: what a :class:`ClientConnection` receives it gives to its
session by a plain call, and what the session sends goes out in one write at the end of the read, or
of the turn of the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..websocket.driver import Driver
from ..websocket.frames import CloseCode
from ..websocket.loopstate import LoopState
from .channel import TRANSPORT_CLOSE, TRANSPORT_ERROR, Wire
from .client_session import ClientSession, Opener
from .encoded import Encoded

if TYPE_CHECKING:
    from ..websocket.options import Options

__all__ = ["ClientConnection", "ClientWire"]

# The state of a connection that is open, as in ``websocket.connection``.
OPEN = 1


class ClientWire(Wire):
    """The wire of a client's session, made of a connection of ours.

    Args:
        driver: The connection.
    """

    def __init__(self, driver: ClientConnection) -> None:
        super().__init__()
        self.driver = driver

    def send_text(self, packet: str) -> None:
        """Send a text message."""
        driver = self.driver
        connection = driver.connection
        if connection is None or connection.state != OPEN:
            return
        output = driver.out()
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
        self.send_text(encoded.packet)
        for data in encoded.attachments:
            self.send_binary(b"\x04" + data if protocol == 3 else data)

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


class ClientConnection(Driver):
    """A WebSocket that carries a client's session, or may do so soon.

    Args:
        loop_state: What the connections of the event loop share.
        options: Limits and times of a WebSocket.
        session: The session, which holds on to it until it has ended.
        opener: Is told of the beginning of a new session; ``None`` when the session is to be
            upgraded.

    Attributes:
        session: The session; ``None`` once it has nothing to do with this connection any more.
        wire: What the session knows this connection as; ``None`` until it is open.
    """

    def __init__(
        self,
        loop_state: LoopState,
        options: Options,
        session: ClientSession,
        opener: Opener | None = None,
    ) -> None:
        super().__init__(loop_state, options, None)
        self.begin = opener
        self.session: ClientSession | None = session
        self.holder: ClientSession | None = session
        self.wire: ClientWire | None = None
        session.hold()

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
        """Take note that the server broke the protocol."""
        Driver.on_failure(self, code, reason)
        if self.session is None:
            return
        if code == CloseCode.MESSAGE_TOO_BIG:
            # The one failure that an operator can do something about.
            self.options.logger.warning("%s; max_size sets the limit", reason)
        else:
            self.options.logger.info("WebSocket failed: %s", reason)
        self.leave(TRANSPORT_ERROR)

    def on_close_frame(self, code: int, reason: str) -> None:
        """Take note that the server closes."""
        Driver.on_close_frame(self, code, reason)
        self.leave(TRANSPORT_CLOSE)

    # What the driver tells

    def on_started(self) -> None:
        """Wait for the open packet, or try to take the session over."""
        session = self.session
        self.wire = wire = ClientWire(self)
        opener, self.begin = self.begin, None
        if session is None:
            self.begin_close(CloseCode.GOING_AWAY, "")
        elif opener is not None:
            session.await_open(wire, opener)
        elif not session.begin_upgrade(wire):
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
        self.leave(TRANSPORT_CLOSE)
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.congested = False
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.release()

    def leave(self, reason: str) -> None:
        """Tell the session that it has lost this connection."""
        session, self.session = self.session, None
        if session is not None and self.wire is not None:
            session.wire_lost(self.wire, reason)
