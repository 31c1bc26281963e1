# cython: annotation_typing=False, binding=False, embedsignature=True
"""Socket.IO on one Engine.IO session: packets in, handlers called, packets out.

A :class:`Connection` is what a session tells of its messages. It has a :class:`.Client` for each
namespace that it has joined.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from ..engineio.session import Session
from .client import CONNECTED, CONNECTING, GONE, Client
from .core import transmit
from .delivery import DELIVERY
from .dispatcher import Dispatcher
from .exceptions import ConnectionRefusedError, PacketError
from .hub import Hub
from .middleware import run_connect
from .old_clients import in_ascii
from .packets import ACK, CONNECT, CONNECT_ERROR, DISCONNECT
from .party import Party, is_coroutine

__all__ = [
    "CLIENT_DISCONNECT",
    "SERVER_DISCONNECT",
    "Connection",
]

# Why a client has left, in the words of Node's socket.io.
CLIENT_DISCONNECT = "client namespace disconnect"
SERVER_DISCONNECT = "server namespace disconnect"
CONNECT_TIMEOUT = "forced server close"


class Connection(Dispatcher):
    """Socket.IO on one Engine.IO session.

    Args:
        hub: What the connections of the server share.
        session: The session.

    Attributes:
        server_hub: What the connections of the server share.
        root: The client in the namespace ``/``.
        others: The clients in other namespaces, by their names.
        due: The end of ``connect_timeout``; kept by the timer, as ``slot`` and ``place``.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        Dispatcher.__init__(self, hub, session)
        self.server_hub = hub
        self.root: Client | None = None
        self.others: dict[str, Client] | None = None
        self.due = 0.0
        self.slot = -1
        self.place = 0

    # What the session tells

    def on_open(self, session: Session) -> None:
        """Connect clients of old protocols to ``/``, and give others time to do so."""
        if self.protocol == 3:
            self.connect("/", None)
        else:
            self._expect_connect()

    def on_close(self, session: Session, reason: str) -> None:
        """Take note that the session is over."""
        self._cancel_timer()
        self.let_go()
        self.assembler = None
        for client in self.clients():
            self.leave(client, reason)

    def on_due(self, now: float, lag: float) -> None:
        """End a session that has connected to no namespace in time (called by the timer)."""
        if self.root is None and not self.others:
            self.server_hub.logger.info(
                "%s: connected to no namespace within connect_timeout=%s s",
                self.session.sid[:6],
                self.server_hub.connect_timeout,
            )
            self.session.close(CONNECT_TIMEOUT)

    # Packets

    def find(self, namespace: str) -> Client | None:
        """Return the client in a namespace.

        Args:
            namespace: The namespace.
        """
        if namespace == "/":
            return self.root
        return None if self.others is None else self.others.get(namespace)

    def clients(self) -> list[Client]:
        """Return the clients in all namespaces."""
        found = [] if self.root is None else [self.root]
        if self.others is not None:
            found.extend(self.others.values())
        return found

    def receive_other(self, kind: int, namespace: str, id: int, data: Any) -> None:
        """Take a packet that is no event."""
        if kind == CONNECT:
            if self.protocol == 3:
                namespace, _, query = namespace.partition("?")
                data = dict(parse_qsl(query)) if query else None
            elif data is not None and type(data) is not dict:
                raise PacketError("the payload of CONNECT is an object")
            if self.find(namespace) is None:
                self.connect(namespace, data)
            elif self.protocol == 4 or namespace != "/":
                raise PacketError(f"the client is in the namespace {namespace!r} already")
            # Clients of old protocols may ask for "/", which they are in from the beginning.
            return
        client = self.find(namespace)
        if client is None:
            self.stray(namespace)
        elif kind == ACK:
            if type(data) is not list or id < 0:
                raise PacketError("an acknowledgement is a list and has an id")
            client.resolve(id, data)
        elif kind == DISCONNECT:
            self.leave(client, CLIENT_DISCONNECT)
        else:
            raise PacketError("only servers send CONNECT_ERROR")

    def stray(self, namespace: str) -> None:
        """Take note of a packet for a namespace that the client is not in."""
        if self.root is None and not self.others and self.due:
            raise PacketError("the first packet was not CONNECT")
        # It may have crossed our DISCONNECT.
        self.server_hub.logger.debug("%s: a packet for %r", self.session.sid[:6], namespace)

    # Connecting

    def connect(self, namespace: str, auth: Any) -> None:
        """Connect the client to a namespace, if it may.

        Args:
            namespace: The namespace.
            auth: What the client says about itself.
        """
        hub = self.server_hub
        self._cancel_timer()
        if len(self.clients()) >= hub.limits.max_namespaces:
            if hub.count("max_namespaces") == "disconnect":
                self.session.close()
                return
            self._refuse(namespace, ConnectionRefusedError("Too many namespaces"))
            return
        adapter = hub.server.find_adapter(namespace)
        if adapter is None:
            self._refuse(namespace, ConnectionRefusedError("Invalid namespace"))
            return
        recovery = hub.recovery if self.protocol == 4 else None
        state = None
        if recovery is not None:
            state, auth = recovery.find(namespace, auth, self.session)
        sid = self._make_sid(namespace) if state is None else state.sid
        client = Client(hub, self.session, self, adapter, sid)
        if self.protocol == 4 and auth is not None and DELIVERY in auth:
            auth = self._know(client, auth)
        if namespace == "/":
            self.root = client
        elif self.others is None:
            self.others = {namespace: client}
        else:
            self.others[namespace] = client
        adapter.add(client)
        if recovery is not None:
            recovery.begin(client, state)
        # What a client has missed is not for one that is not let in any more.
        if hub.always_connect and state is None:
            client.tell()
        routes = hub.routes_of(adapter)
        if routes.connect is None and not routes.connect_middleware:
            self._accept(client)
            return
        try:
            verdict = run_connect(routes, client, auth)
            if is_coroutine(verdict):
                runner = hub.runner
                verdict = runner.start(verdict, False)
                if runner.task is not None:
                    hub.keep_task(runner.task)
                    runner.task.add_done_callback(partial(self._connected, client))
                    return
        except BaseException as exc:
            self._not_connected(client, exc)
        else:
            self._judge(client, verdict)

    def _know(self, client: Client, auth: Any) -> Any:
        """Know the emits of a client again; return what the application is told of it."""
        delivery = self.server_hub.deliveries.find(client.name, auth.pop(DELIVERY), client)
        if delivery is not None:
            client.remember(delivery)
        return auth or None

    def _make_sid(self, namespace: str) -> str:
        if self.protocol == 4:
            sid: str = self.server_hub.server.generate_id()
            return sid
        # https://github.com/socketio/socket.io-protocol, revisions 3 and 4: made of the session's.
        return self.session.sid if namespace == "/" else f"{namespace}#{self.session.sid}"

    def _connected(self, client: Client, task: Any) -> None:
        """Go on when a connect handler that suspended is done."""
        if task.cancelled():
            self._not_connected(client, asyncio.CancelledError())
            return
        exc = task.exception()
        if exc is None:
            self._judge(client, task.result())
        else:
            self._not_connected(client, exc)

    def _judge(self, client: Client, verdict: Any) -> None:
        if verdict is False:
            self._not_connected(client, ConnectionRefusedError())
        else:
            self._accept(client)

    def _accept(self, client: Client) -> None:
        if client.reason:
            # It has left while the handler ran, which is told so now.
            if client.reason == SERVER_DISCONNECT and not client.told:
                client.tell()
                client.send(DISCONNECT, -1, None, True)
            self.finish(client, client.reason)
            self._expect_connect()
            return
        self.server_hub.logger.info("%s: connected", client.label())
        early = client.accepted()
        if early is not None:
            for handler, data, ack in early:
                self.dispatch(client, handler, data, ack)
        if self.session.reading_paused:
            self.go_on()

    def _not_connected(self, client: Client, exc: BaseException) -> None:
        hub = self.server_hub
        told = client.told
        recovery = hub.recovery
        # One that has lost its connection meanwhile was not refused, unless the handler says so.
        refused = not client.reason or isinstance(exc, ConnectionRefusedError)
        if recovery is not None and client.recoverable is not None and refused:
            recovery.refuse(client)
        client.vanish()
        self._forget(client)
        if not isinstance(exc, ConnectionRefusedError):
            if isinstance(exc, Exception):
                hub.failed(f"the connect handler for {client.label()}", exc)
            elif not isinstance(exc, asyncio.CancelledError):
                raise exc
            exc = ConnectionRefusedError()
        if client.reason:
            return
        hub.logger.info("%s: refused: %s", client.label(), exc.message)
        if told:
            client.transmit(hub.packet(DISCONNECT, client.adapter.name, -1, None, True))
        else:
            self._refuse(client.adapter.name, exc)
        self._expect_connect()
        if self.session.reading_paused:
            self.go_on()

    def _refuse(self, namespace: str, exc: ConnectionRefusedError) -> None:
        """Tell the client that it is not let into a namespace."""
        data: Any = exc.error_args
        if self.protocol == 3:
            # Node's servers say one or the other to these clients. The MessagePack of these takes
            # only text: socket.io-msgpack-parser 2, isDataValid.
            brief = exc.data is None or self.hub.serializer is not None
            data = exc.message if brief else exc.data
        packet = self.server_hub.packet(CONNECT_ERROR, namespace, -1, data)
        if self.protocol == 3:
            packet = in_ascii(packet)
        transmit(self.session, packet)
        self._expect_connect()

    def _expect_connect(self) -> None:
        """Give the client time to connect to a namespace, if it is in none."""
        if self.root is None and not self.others and self.session.is_open:
            state = self.server_hub.engine.loop_state
            state.timers.schedule(self, state.loop.time() + self.server_hub.connect_timeout)

    def _cancel_timer(self) -> None:
        if self.due:
            self.server_hub.engine.loop_state.timers.cancel(self)

    # Leaving

    def dismiss(self, client: Client) -> None:
        """Disconnect a client from its namespace, and tell it.

        Args:
            client: The client.
        """
        if client.state == CONNECTED or client.told:
            client.send(DISCONNECT, -1, None, True)
        self.leave(client, SERVER_DISCONNECT)

    def leave(self, client: Client, reason: str) -> None:
        """Let a client leave its namespace, and tell its disconnect handler.

        Args:
            client: The client.
            reason: Why.
        """
        if client.state == GONE or client.reason:
            return
        client.reason = reason
        recovery = self.server_hub.recovery
        if recovery is not None and client.recoverable is not None:
            recovery.end(client, reason)
        if client.state == CONNECTING:
            return  # its connect handler is to end first
        self.server_hub.logger.info("%s: disconnected: %s", client.label(), reason)
        client.vanish()
        self.finish_in_turn(client, reason)
        self._forget_name(client)
        self._expect_connect()

    def finish(self, party: Party, reason: str) -> None:
        """Run the disconnect handler, which may still ask for what is known of the client."""
        client: Any = party
        client.vanish()
        self._forget_name(client)
        hub = self.server_hub
        handler = hub.routes_of(client.adapter).disconnect
        if handler is None:
            self._forget(client)
            return
        data: list[Any] = ["disconnect", reason] if handler.arity else ["disconnect"]
        data = handler.arguments("disconnect", client.adapter.name, client.sid, data)
        try:
            result = handler.function(*data)
            if is_coroutine(result):
                runner = hub.runner
                runner.start(result, False)
                if runner.task is not None:
                    hub.engine.keep_farewell(runner.task)
                    runner.task.add_done_callback(partial(self._ended, client))
                    # Who comes and goes must not start more of them than of other handlers.
                    self.pending += 1
                    if self.pending >= hub.max_pending and self.session.is_open:
                        self.pause()
                    return
        except asyncio.CancelledError:
            pass
        except Exception as exc:
            hub.failed(f"the disconnect handler for {client.label()}", exc)
        self._forget(client)

    def _ended(self, client: Client, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.server_hub.failed(f"the disconnect handler for {client.label()}", task.exception())
        self._forget(client)
        self.pending -= 1
        self.go_on()

    def _forget_name(self, client: Client) -> None:
        if client is self.root:
            self.root = None
        elif self.others is not None and self.others.get(client.adapter.name) is client:
            del self.others[client.adapter.name]

    def _forget(self, client: Client) -> None:
        self._forget_name(client)
        adapter = client.adapter
        adapter.remove(client)
        client.data = None
        if not adapter.kept and not adapter.members:
            self.server_hub.adapters.pop(adapter.name, None)
