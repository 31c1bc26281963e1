# cython: annotation_typing=False, binding=False, embedsignature=True
"""Socket.IO on one Engine.IO session, on the side of a client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from ..engineio.channel import Channel
from .client_space import ClientHub, Space
from .core import transmit
from .delivery import DELIVERY
from .dispatcher import Dispatcher
from .exceptions import PacketError
from .packets import ACK, CONNECT, CONNECT_ERROR, DISCONNECT
from .party import CONNECTED, CONNECTING, GONE, Party

__all__ = ["CLIENT_DISCONNECT", "SERVER_DISCONNECT", "TRANSPORT_ERROR", "ClientConnection"]

# Why a client is connected no more, in the words of python-socketio.
CLIENT_DISCONNECT = "client disconnect"
SERVER_DISCONNECT = "server disconnect"
TRANSPORT_ERROR = "transport error"


class ClientConnection(Dispatcher):
    """What a client makes of one Engine.IO session.

    Each attempt to connect has one of its own, so that nothing of one reaches the next; what is to
    reach it is in the :class:`.Space` objects.

    Args:
        hub: What the connections of the client share.
        owner: Is told of what happens, by ``connection_answered``, ``connection_drained`` and
            ``connection_closed``.

    Attributes:
        client_hub: What the connections of the client share.
        unanswered: Namespaces for which the server has not answered yet.
        told: Futures of the handlers for ``connect`` and ``connect_error`` that still run.
        closing: What handlers are told of the reason when we close; empty when we do not.
    """

    def __init__(self, hub: ClientHub, owner: Any) -> None:
        Dispatcher.__init__(self, hub, None)
        self.client_hub = hub
        self.owner = owner
        self.unanswered = 0
        self.told: list[Any] = []
        self.closing = ""

    # What the session tells

    def on_open(self, session: Channel) -> None:
        """Take note of the session; the owner goes on with :meth:`start`."""
        self.session = session
        self.protocol = session.protocol
        for space in self.client_hub.spaces.values():
            if space.state != GONE:
                space.begin(self, session)
                self.unanswered += 1

    def start(self, auth: Any) -> None:
        """Connect to the namespaces.

        Args:
            auth: What the client says about itself.
        """
        for space in list(self.client_hub.spaces.values()):
            if space.connection is not self or space.state != CONNECTING:
                continue
            if self.protocol == 4:
                payload = space.connect_payload(auth)
                packet = self.hub.packet(CONNECT, space.name, -1, payload, payload is None)
                transmit(self.session, packet)
            elif space.name != "/":
                name = space.name
                if isinstance(auth, dict) and auth:
                    # Protocol 4 has no payload here; servers read the query of the namespace.
                    name += "?" + urlencode(auth)
                transmit(self.session, self.hub.packet(CONNECT, name, -1, None, True))

    def on_drained(self, session: Channel) -> None:
        """Tell the owner that what was sent has gone."""
        self.owner.connection_drained()

    def on_close(self, session: Channel, reason: str) -> None:
        """Tell handlers and the owner that the session is over."""
        self.assembler = None
        detail = self.closing or reason
        parted = []
        for space in list(self.client_hub.spaces.values()):
            if space.connection is self:
                if space.state == CONNECTED:
                    parted.append(space)
                space.lost(f"the connection is over: {detail}")
        # The owner first: handlers may ask what the client does now, and may connect again.
        self.owner.connection_closed(self, reason)
        for space in parted:
            self.part(space, self.closing or TRANSPORT_ERROR)

    # Packets

    def find(self, namespace: str) -> Party | None:
        """Return the namespace, if the client is in it, or is to be."""
        space: Space | None = self.client_hub.spaces.get(namespace)
        if space is None or space.connection is not self or space.state == GONE:
            return None
        return space

    def receive_other(self, kind: int, namespace: str, id: int, data: Any) -> None:
        """Take a packet that is no event."""
        # Servers of protocol 4 give the query back.
        space: Any = self.find(namespace.partition("?")[0])
        if space is None:
            self.stray(namespace)
        elif kind == ACK:
            if type(data) is not list or id < 0:
                raise PacketError("an acknowledgement is a list and has an id")
            space.resolve(id, data)
        elif kind == CONNECT:
            self._connected(space, data)
        elif kind == CONNECT_ERROR:
            self._refused(space, data)
        elif kind == DISCONNECT:
            self._disconnected(space)

    def _connected(self, space: Space, data: Any) -> None:
        """Take note that the server has let the client in."""
        if space.state == CONNECTED:
            return
        fields = data if type(data) is dict else {}
        sid = fields.get("sid")
        if type(sid) is not str:
            # https://github.com/socketio/socket.io-protocol, revisions 3 and 4.
            sid = self.session.sid
            if space.name != "/":
                sid = f"{space.name}#{sid}"
        early, space.early = space.early, None
        space.connected(sid, fields.get("pid"), fields.get(DELIVERY))
        self.hub.logger.info("%s: connected", space.label())
        self._told(self.client_hub.tell(space, "connect"))
        if early is not None:
            for handler, arguments, ack in early:
                self.dispatch(space, handler, arguments, ack)
        self._answered()

    def _refused(self, space: Space, data: Any) -> None:
        """Take note that the server does not let the client in."""
        self.hub.logger.info("%s: refused: %r", space.label(), data)
        answered = space.state == CONNECTED
        space.leave(f"the server has refused the client: {data!r}")
        space.refusal = "" if data is None else data
        if data is None:
            arguments = []
        elif type(data) is list:
            arguments = data
        else:
            arguments = [data]
        self._told(self.client_hub.tell(space, "connect_error", *arguments))
        if not answered:
            self._answered()

    def _disconnected(self, space: Space) -> None:
        """Take note that the server has disconnected the client."""
        answered = space.state == CONNECTED
        space.leave("the server has disconnected the client")
        if not answered:
            space.refusal = SERVER_DISCONNECT
            self._answered()
        if not any(each.state != GONE for each in self.client_hub.spaces.values()):
            self.closing = SERVER_DISCONNECT
            self.session.close()
        if answered:
            self.part(space, SERVER_DISCONNECT)

    def _told(self, future: Any) -> None:
        if future is not None:
            self.told.append(future)

    def _answered(self) -> None:
        self.unanswered -= 1
        self.owner.connection_answered(self)

    def stray(self, namespace: str) -> None:
        """Ignore a packet for a namespace that the client is not in."""
        # It may have crossed our DISCONNECT; and protocol 4 connects everybody to "/".
        self.hub.logger.debug("a packet for the namespace %r, which is not connected", namespace)

    def part(self, space: Space, reason: str) -> None:
        """Tell the handler that a namespace is connected no more, when it is its turn.

        Args:
            space: The namespace.
            reason: Why.
        """
        self.hub.logger.info("%s: disconnected: %s", space.label(), reason)
        self.finish_in_turn(space, reason)

    def finish(self, party: Any, reason: str) -> None:
        """Tell the handler that a namespace is connected no more."""
        future = self.client_hub.tell(party, "disconnect", reason)
        if future is not None:
            self.owner.handler_runs(future)

    def close(self, reason: str) -> None:
        """Leave all namespaces and end the session.

        Args:
            reason: What handlers are told.
        """
        self.closing = self.closing or reason
        for space in self.client_hub.spaces.values():
            if space.connection is self:
                space.say_goodbye()
        if self.session is not None:
            self.session.close()

    # Handlers

    def unhandled(self, party: Party, ack: int) -> None:
        """Acknowledge an event that has no handler, as python-socketio does."""
        if ack >= 0:
            self.answer(party, None, ack, None)

    def answer(self, party: Any, handler: Any, ack: int, result: Any) -> None:
        """Acknowledge an event, unless the connection that it came on is over."""
        if party.connection is self:
            Dispatcher.answer(self, party, handler, ack, result)

    def may_run(self, party: Party) -> bool:
        """Return ``True``: what has come is handled, even when the connection is over."""
        return True

    def go_on(self) -> None:
        """Start the handlers whose turn it is, and read on when few are left."""
        if self.session is not None:
            Dispatcher.go_on(self)

    def kept_early(self, count: int) -> None:
        """Bound what comes before the server has said that the client is connected."""
        # Reading on is the only way to learn that it is.
        if count > self.client_hub.max_early:
            self.hub.count("max_early_events")
            raise PacketError(
                f"more than max_early_events={self.client_hub.max_early} events"
                " came before the answer to CONNECT"
            )
