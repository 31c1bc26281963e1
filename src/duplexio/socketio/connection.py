# cython: annotation_typing=False, binding=False, embedsignature=True
"""Socket.IO on one Engine.IO session: packets in, handlers called, packets out.

A :class:`Connection` is what a session tells of its messages. It has a :class:`.Client` for each
namespace that it has joined.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from ..engineio.channel import PARSE_ERROR, SessionHandler
from ..engineio.session import Session
from .assembler import Assembler
from .client import CONNECTED, CONNECTING, GONE, Client, is_coroutine
from .exceptions import ConnectionRefusedError, PacketError, PayloadError
from .handlers import Handler
from .hub import Hub, Message
from .limits import Rate
from .middleware import run_connect, run_event
from .packets import (
    ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    RESERVED_EVENTS,
    Head,
    check_event,
    parse_head,
)
from .values import check_depth, decode_json, insert_binary

__all__ = [
    "CLIENT_DISCONNECT",
    "SERVER_DISCONNECT",
    "Connection",
]

# Why a client has left, in the words of Node's socket.io.
CLIENT_DISCONNECT = "client namespace disconnect"
SERVER_DISCONNECT = "server namespace disconnect"
CONNECT_TIMEOUT = "forced server close"

#: Seconds from which on a handler is named when the loop was blocked.
NOTABLE = 0.1


class Connection(SessionHandler):
    """Socket.IO on one Engine.IO session.

    Args:
        hub: What the connections of the server share.
        session: The session.

    Attributes:
        hub: What the connections of the server share.
        session: The session.
        protocol: Version of Engine.IO: 3 carries the protocols 3 and 4 of Socket.IO, 4 carries 5.
        root: The client in the namespace ``/``.
        others: The clients in other namespaces, by their names.
        due: The end of ``connect_timeout``; kept by the timer, as ``slot`` and ``place``.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self.hub = hub
        self.session = session
        self.protocol = session.protocol
        self.root: Client | None = None
        self.others: dict[str, Client] | None = None
        self.assembler: Assembler | None = None
        self.waiting: deque[Any] | None = None
        self.rates: list[Rate | None] | None = None
        self.pending = 0
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

    def on_text(self, session: Session, text: str, start: int) -> None:
        """Take a packet, or its beginning."""
        hub = self.hub
        if hub.rated and not self._admit(len(text) - start):
            return
        try:
            if hub.serializer is not None:
                self._receive_message(text[start:])
                return
            if self.assembler is not None:
                raise PacketError("a text message came where an attachment was due")
            head = parse_head(text, start)
            if head.kind < BINARY_EVENT:
                self._receive(head.kind, head, text, None)
                return
            assembler = Assembler(head, text, hub.max_attachments)
            if assembler.complete:
                self._receive(head.kind - 3, head, text, [])
            else:
                self.assembler = assembler
        except PacketError as exc:
            self.fail(exc)

    def on_binary(self, session: Session, data: bytes) -> None:
        """Take an attachment, or a packet that a serializer reads."""
        if self.hub.rated and not self._admit(len(data)):
            return
        try:
            if self.hub.serializer is not None:
                self._receive_message(data)
                return
            assembler = self.assembler
            if assembler is None:
                raise PacketError("a binary message came where no attachment was due")
            if assembler.add(data):
                self.assembler = None
                head = assembler.head
                self._receive(head.kind - 3, head, assembler.text, assembler.attachments)
        except PacketError as exc:
            self.fail(exc)

    def on_close(self, session: Session, reason: str) -> None:
        """Take note that the session is over."""
        self._cancel_timer()
        self.assembler = None
        for client in self.clients():
            self.leave(client, reason)

    def on_due(self, now: float, lag: float) -> None:
        """End a session that has connected to no namespace in time (called by the timer)."""
        if self.root is None and not self.others:
            self.hub.logger.info(
                "%s: connected to no namespace within connect_timeout=%s s",
                self.session.sid[:6],
                self.hub.connect_timeout,
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

    def _receive(self, kind: int, head: Head, text: str, attachments: list[bytes] | None) -> None:
        """Take a packet in text."""
        hub = self.hub
        offset = head.offset
        if len(text) - offset > hub.max_depth and not check_depth(text, offset, hub.max_depth):
            if hub.count("max_json_depth") == "drop":
                return
            raise PacketError(f"the data is nested deeper than max_json_depth={hub.max_depth}")
        if kind == EVENT:
            client = self.find(head.namespace)
            if client is not None:
                self._receive_event(client, head.id, text, offset, attachments)
            else:
                self._stray(head.namespace)
            return
        data = None
        if offset < len(text):
            data = self._decode(text[offset:])
            if attachments is not None:
                data = insert_binary(data, attachments)
        self._receive_other(kind, head.namespace, head.id, data)

    def _decode(self, text: str) -> Any:
        return decode_json(text) if self.hub.decode is None else self.hub.decode(text)

    def _receive_message(self, message: Any) -> None:
        """Take a packet that the serializer reads."""
        packet = self.hub.serializer.decode(message)
        if packet.kind == EVENT:
            name = check_event(packet.data)
            client = self.find(packet.namespace)
            if client is not None:
                self._receive_decoded(client, name, packet.data, packet.id)
            else:
                self._stray(packet.namespace)
        else:
            self._receive_other(packet.kind, packet.namespace, packet.id, packet.data)

    def _receive_other(self, kind: int, namespace: str, id: int, data: Any) -> None:
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
            self._stray(namespace)
        elif kind == ACK:
            if type(data) is not list or id < 0:
                raise PacketError("an acknowledgement is a list and has an id")
            client.resolve(id, data)
        elif kind == DISCONNECT:
            self.leave(client, CLIENT_DISCONNECT)
        else:
            raise PacketError("only servers send CONNECT_ERROR")

    def _stray(self, namespace: str) -> None:
        """Take note of a packet for a namespace that the client is not in."""
        if self.root is None and not self.others and self.due:
            raise PacketError("the first packet was not CONNECT")
        # It may have crossed our DISCONNECT.
        self.hub.logger.debug("%s: a packet for %r", self.session.sid[:6], namespace)

    def _receive_event(
        self, client: Client, ack: int, text: str, offset: int, attachments: list[bytes] | None
    ) -> None:
        hub = self.hub
        routes = hub.routes_of(client.adapter)
        if routes.typed and attachments is None and not routes.event_middleware:
            name = _peek_name(text, offset)
            handler = None if name is None else routes.find(name)
            if handler is not None and handler.payload is not None and not hub.incoming:
                if name in RESERVED_EVENTS:
                    raise PacketError(f"the event {name!r} is reserved")
                try:
                    data = handler.payload.decode(text[offset:], name)
                except PayloadError as exc:
                    self._refuse_payload(client, exc, ack)
                    return
                self._call(client, handler, name, data, ack)
                return
        data = self._decode(text[offset:])
        name = check_event(data)
        if attachments is not None:
            insert_binary(data, attachments)
        self._receive_decoded(client, name, data, ack)

    def _receive_decoded(self, client: Client, name: Any, data: list[Any], ack: int) -> None:
        hub = self.hub
        routes = hub.routes_of(client.adapter)
        for listener in hub.incoming:
            try:
                listener(name, client.adapter.name, client.sid, *data[1:])
            except Exception as exc:
                hub.failed(f"a listener to all events, for {client.label()}", exc)
        handler = routes.find(name)
        if handler is None:
            return
        if routes.event_middleware:
            handler = run_event(routes.event_middleware, handler, client, name)
        elif handler.payload is not None:
            try:
                data = handler.payload.convert(data)
            except PayloadError as exc:
                self._refuse_payload(client, exc, ack)
                return
        self._call(client, handler, name, data, ack)

    def _refuse_payload(self, client: Client, exc: PayloadError, ack: int) -> None:
        self.hub.count("invalid_payloads")
        self.hub.logger.warning("%s: %s", client.label(), exc)
        if ack >= 0:
            client.acknowledge(ack, exc.answer())

    # Handlers

    def _call(self, client: Client, handler: Handler, name: Any, data: list[Any], ack: int) -> None:
        if handler.style == 0:  # SID
            data[0] = client.sid
        else:
            data = handler.arguments(name, client.adapter.name, client.sid, data)
        if client.state == CONNECTED and not self.hub.serial:
            self._start(client, handler, data, ack)
        else:
            self.dispatch(client, handler, data, ack)

    def dispatch(self, client: Client, handler: Handler, data: list[Any], ack: int) -> None:
        """Start a handler, now or when it is its turn.

        Args:
            client: The client.
            handler: The handler.
            data: What it is called with.
            ack: Id of the acknowledgement; -1 for none.
        """
        if client.state == CONNECTING:
            if client.early is None:
                client.early = []
            client.early.append((handler, data, ack))
            if len(client.early) >= self.hub.max_pending:
                self._pause()
        elif self.hub.serial and self.pending:
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((client, handler, data, ack))
            if self.pending + len(self.waiting) >= self.hub.max_pending:
                self._pause()
        else:
            self._start(client, handler, data, ack)

    def _pause(self) -> None:
        if not self.session.reading_paused:
            self.hub.count("max_pending_handlers")
            self.session.pause_reading()

    def _start(self, client: Client, handler: Handler, data: list[Any], ack: int) -> None:
        """Start a handler, and run it to where it suspends first."""
        hub = self.hub
        began = perf_counter()
        try:
            result = handler.function(*data)
            if is_coroutine(result):
                runner = hub.runner
                result = runner.start(result, handler.suspends)
                handler.suspends = runner.task is not None
                if handler.suspends:
                    self._suspended(client, handler, ack, runner.task)
                    self._blame(handler, began)
                    return
        except asyncio.CancelledError:
            return
        except Exception as exc:
            hub.failed(f"the handler {handler.name} for {client.label()}", exc)
            return
        self._blame(handler, began)
        if ack >= 0:
            self._acknowledge(client, handler, ack, result)

    def _suspended(self, client: Client, handler: Handler, ack: int, task: Any) -> None:
        """Wait for a handler that has suspended."""
        self.pending += 1
        if self.pending >= self.hub.max_pending:
            self._pause()
        self.hub.keep_task(task)
        task.add_done_callback(partial(self._finished, client, handler, ack))

    def _blame(self, handler: Handler, began: float) -> None:
        took = perf_counter() - began
        if took > NOTABLE:
            self.hub.engine.lag_monitor.blame(handler.name, took)

    def _acknowledge(self, client: Client, handler: Handler, ack: int, result: Any) -> None:
        try:
            client.acknowledge(ack, result)
        except (TypeError, ValueError) as exc:
            self.hub.failed(f"writing what {handler.name} returned to {client.label()}", exc)

    def _finished(self, client: Client, handler: Handler, ack: int, task: Any) -> None:
        """Go on when a handler that suspended is done."""
        self.pending -= 1
        if not task.cancelled():
            exc = task.exception()
            if exc is not None:
                self.hub.failed(f"the handler {handler.name} for {client.label()}", exc)
            elif ack >= 0:
                self._acknowledge(client, handler, ack, task.result())
        self._next()

    def _next(self) -> None:
        waiting = self.waiting
        while waiting and not self.pending:
            client, handler, data, ack = waiting.popleft()
            if handler is None:
                self._end(client, data)
            elif client.state == CONNECTED:
                self._start(client, handler, data, ack)
        count = self.pending + (len(waiting) if waiting else 0)
        if self.session.reading_paused and count < self.hub.max_pending:
            self.session.resume_reading()

    # Connecting

    def connect(self, namespace: str, auth: Any) -> None:
        """Connect the client to a namespace, if it may.

        Args:
            namespace: The namespace.
            auth: What the client says about itself.
        """
        hub = self.hub
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
        client = Client(hub, self.session, self, adapter, self._make_sid(namespace))
        if namespace == "/":
            self.root = client
        elif self.others is None:
            self.others = {namespace: client}
        else:
            self.others[namespace] = client
        adapter.add(client)
        if hub.always_connect:
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

    def _make_sid(self, namespace: str) -> str:
        if self.protocol == 4:
            sid: str = self.hub.server.generate_id()
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
            self._end(client, client.reason)
            self._expect_connect()
            return
        self.hub.logger.info("%s: connected", client.label())
        early = client.accepted()
        if early is not None:
            for handler, data, ack in early:
                self.dispatch(client, handler, data, ack)
        if self.session.reading_paused:
            self._next()

    def _not_connected(self, client: Client, exc: BaseException) -> None:
        hub = self.hub
        told = client.told
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
            self._next()

    def _refuse(self, namespace: str, exc: ConnectionRefusedError) -> None:
        """Tell the client that it is not let into a namespace."""
        data: Any = exc.error_args
        if self.protocol == 3:
            # Node's servers say one or the other to these clients.
            data = exc.message if exc.data is None else exc.data
        packet = self.hub.packet(CONNECT_ERROR, namespace, -1, data)
        if type(packet) is bytes:
            self.session.send_utf8(packet)
        elif type(packet) is Message and type(packet.data) is bytes:
            self.session.send_binary(packet.data)
        elif type(packet) is Message:
            self.session.send_text(packet.data)
        else:
            self.session.send_encoded(packet)
        self._expect_connect()

    def _expect_connect(self) -> None:
        """Give the client time to connect to a namespace, if it is in none."""
        if self.root is None and not self.others and self.session.is_open:
            state = self.hub.engine.loop_state
            state.timers.schedule(self, state.loop.time() + self.hub.connect_timeout)

    def _cancel_timer(self) -> None:
        if self.due:
            self.hub.engine.loop_state.timers.cancel(self)

    # Leaving

    def leave(self, client: Client, reason: str) -> None:
        """Let a client leave its namespace, and tell its disconnect handler.

        Args:
            client: The client.
            reason: Why.
        """
        if client.state == GONE or client.reason:
            return
        client.reason = reason
        if client.state == CONNECTING:
            return  # its connect handler is to end first
        self.hub.logger.info("%s: disconnected: %s", client.label(), reason)
        client.vanish()
        if self.hub.serial and self.pending:
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((client, None, reason, -1))
        else:
            self._end(client, reason)
        self._forget_name(client)
        self._expect_connect()

    def _end(self, client: Client, reason: str) -> None:
        """Run the disconnect handler, which may still ask for what is known of the client."""
        client.vanish()
        self._forget_name(client)
        hub = self.hub
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
                    hub.keep_task(runner.task)
                    runner.task.add_done_callback(partial(self._ended, client))
                    return
        except asyncio.CancelledError:
            pass
        except Exception as exc:
            hub.failed(f"the disconnect handler for {client.label()}", exc)
        self._forget(client)

    def _ended(self, client: Client, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.hub.failed(f"the disconnect handler for {client.label()}", task.exception())
        self._forget(client)

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
            self.hub.adapters.pop(adapter.name, None)

    # Limits, and peers that break the protocol

    def fail(self, exc: PacketError) -> None:
        """End the session, since what came was no packet.

        Args:
            exc: What is wrong.
        """
        self.hub.count("invalid_packets")
        self.hub.logger.info("%s: closed: %s", self.session.sid[:6], exc)
        self.assembler = None
        self.session.close(PARSE_ERROR)

    def _admit(self, size: int) -> bool:
        """Return whether a message may come in, according to the rates."""
        hub = self.hub
        limits = hub.limits
        now = hub.engine.now()
        if self.rates is None:
            self.rates = [
                None if limit is None else Rate(limit, now)
                for limit in (limits.max_packets_per_second, limits.max_bytes_per_second)
            ]
        names = ("max_packets_per_second", "max_bytes_per_second")
        for rate, name, amount in zip(self.rates, names, (1, size), strict=True):
            delay = 0.0 if rate is None else rate.take(amount, now)
            if not delay:
                continue
            hub.count(name)
            policy = limits.policy(name)
            if policy == "disconnect":
                hub.logger.warning("%s: closed: %s is reached", self.session.sid[:6], name)
                self.session.close()
                return False
            if policy == "drop":
                return False
            if not self.session.reading_paused:
                self.session.pause_reading()
                hub.loop.call_later(delay, self._next)
        return True


def _peek_name(text: str, offset: int) -> str | None:
    """Return the name of an event without decoding it; ``None`` where that takes more."""
    if not text.startswith('["', offset):
        return None
    end = text.find('"', offset + 2)
    name = text[offset + 2 : end]
    return None if end < 0 or "\\" in name else name
