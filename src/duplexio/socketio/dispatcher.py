# cython: annotation_typing=False, binding=False, embedsignature=True
"""Messages of one Engine.IO session become packets, and events call handlers: on either side.

A :class:`Dispatcher` is what a session tells of its messages. What the packets are good for that
are no events, the connection of a server or of a client knows, which derives from it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

from ..engineio.channel import PARSE_ERROR, Channel, SessionHandler
from .assembler import Assembler
from .exceptions import PacketError, PayloadError
from .handlers import Handler, Routes
from .limits import Rate
from .middleware import run_event
from .old_clients import undouble
from .packets import BINARY_EVENT, EVENT, RESERVED_EVENTS, Head, check_event, parse_head
from .party import CONNECTED, CONNECTING, Party, is_coroutine, readable
from .stepper import clock
from .values import check_depth, decode_json, insert_binary, is_deep, is_json

__all__ = ["Dispatcher"]

#: Seconds from which on a handler is named when the loop was blocked.
NOTABLE = 0.1


class Dispatcher(SessionHandler):
    """What both sides do with the messages of one Engine.IO session.

    Args:
        hub: What the connections share: a :class:`.core.Core`.

    Attributes:
        hub: What the connections share.
        session: The session; ``None`` before it is open.
        protocol: Version of Engine.IO: 3 carries the protocols 3 and 4 of Socket.IO, 4 carries 5.
        pending: Handlers that have suspended.
        exact: Whether text is known to come as it is meant; see ``old_clients.py``.
    """

    def __init__(self, hub: Any, session: Any) -> None:
        self.hub = hub
        self.session = session
        self.protocol = 0 if session is None else session.protocol
        self.assembler: Assembler | None = None
        self.waiting: deque[Any] | None = None
        self.rates: list[Rate | None] | None = None
        self.throttle: Any = None  # the timer while reading is paused because of a rate
        self.pending = 0
        self.exact = False

    # What the session tells

    def on_text(self, session: Channel, text: str, start: int) -> None:
        """Take a packet, or its beginning."""
        hub = self.hub
        if hub.rated and not self._admit(len(text) - start):
            return
        if self.protocol == 3 and not text.isascii():
            text = self._read_old(text)
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

    def on_binary(self, session: Channel, data: bytes) -> None:
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

    # What the two sides do in different ways

    def _read_old(self, text: str) -> str:
        """Return what a message of Engine.IO 3 says that is not ASCII; see ``old_clients.py``."""
        if self.exact or self.session.transport != "polling" or self.hub.serializer is not None:
            return text
        once = undouble(text)
        if once is None:
            self.exact = True
            return text
        return once

    def find(self, namespace: str) -> Party | None:
        """Return who is on the other side of a namespace.

        Args:
            namespace: The namespace.
        """
        raise NotImplementedError

    def receive_other(self, kind: int, namespace: str, id: int, data: Any) -> None:
        """Take a packet that is no event.

        Args:
            kind: The type.
            namespace: The namespace.
            id: Of the acknowledgement; -1 for none.
            data: The payload.
        """
        raise NotImplementedError

    def stray(self, namespace: str) -> None:
        """Take note of a packet for a namespace that is not connected.

        Args:
            namespace: The namespace.
        """
        raise NotImplementedError

    def unhandled(self, party: Party, ack: int) -> None:
        """Take note of an event that has no handler.

        Args:
            party: Where it comes from.
            ack: Id of the acknowledgement; -1 for none.
        """

    def finish(self, party: Party, reason: str) -> None:
        """Tell the application that a party has left.

        Args:
            party: The party.
            reason: Why.
        """
        raise NotImplementedError

    def finish_in_turn(self, party: Party, reason: str) -> None:
        """Have :meth:`finish` called when the handlers before have ended.

        Args:
            party: The party.
            reason: Why it has left.
        """
        if self.hub.serial and self.pending:
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((party, None, reason, -1))
        else:
            self.finish(party, reason)

    def may_run(self, party: Party) -> bool:
        """Return whether a handler whose turn it is may run.

        Args:
            party: Where its event came from.
        """
        return party.state == CONNECTED or party.deduplicated

    def kept_early(self, count: int) -> None:
        """Take note of how much has come before it is known whether the party may be there.

        Args:
            count: Handlers that wait for that.
        """
        if count >= self.hub.max_pending:
            self.pause()

    # Packets

    def _receive(
        self, kind: int, head: Head, text: str, attachments: list[bytes | None] | None
    ) -> None:
        """Take a packet in text."""
        hub = self.hub
        offset = head.offset
        if len(text) - offset > hub.max_depth and not check_depth(text, offset, hub.max_depth):
            if hub.count("max_json_depth") == "drop":
                return
            raise PacketError(f"the data is nested deeper than max_json_depth={hub.max_depth}")
        if kind == EVENT:
            party = self.find(head.namespace)
            if party is None:
                self.stray(head.namespace)
            elif head.id < 0 or not party.deduplicated or not party.is_repeated(head.id):
                self._receive_event(party, head.id, text, offset, attachments)
            return
        data = None
        if offset < len(text):
            data = self._decode(text[offset:])
            if attachments is not None:
                data = insert_binary(data, attachments)
        self.receive_other(kind, head.namespace, head.id, data)

    def _decode(self, text: str) -> Any:
        return decode_json(text) if self.hub.decode is None else self.hub.decode(text)

    def _receive_message(self, message: Any) -> None:
        """Take a packet that the serializer reads."""
        hub = self.hub
        packet = hub.serializer.decode(message)
        if len(message) > hub.max_depth and is_deep(packet.data, hub.max_depth):
            if hub.count("max_json_depth") == "drop":
                return
            raise PacketError(f"the data is nested deeper than max_json_depth={hub.max_depth}")
        if packet.kind == EVENT:
            name = check_event(packet.data)
            party = self.find(packet.namespace)
            if party is None:
                self.stray(packet.namespace)
            elif packet.id < 0 or not party.deduplicated or not party.is_repeated(packet.id):
                self._receive_decoded(party, name, packet.data, packet.id)
        else:
            self.receive_other(packet.kind, packet.namespace, packet.id, packet.data)

    def _receive_event(
        self, party: Party, ack: int, text: str, offset: int, attachments: list[bytes | None] | None
    ) -> None:
        hub = self.hub
        routes = party.routes()
        if routes.fallback is None and self._is_unread(party, routes, text, offset, attachments):
            self.unhandled(party, ack)
            return
        if routes.typed and attachments is None and not (routes.event_middleware or party.numbered):
            name = _peek_name(text, offset)
            handler = None if name is None else routes.find(name)
            if handler is not None and handler.payload is not None and not hub.incoming:
                if name in RESERVED_EVENTS:
                    raise PacketError(f"the event {name!r} is reserved")
                try:
                    data = handler.payload.decode(text[offset:], name)
                except PayloadError as exc:
                    self._refuse_payload(party, exc, ack)
                    return
                self._call(party, handler, name, data, ack)
                return
        data = self._decode(text[offset:])
        name = check_event(data)
        if attachments is not None:
            insert_binary(data, attachments)
        self._receive_decoded(party, name, data, ack)

    def _is_unread(
        self, party: Party, routes: Routes, text: str, offset: int, attachments: list[Any] | None
    ) -> bool:
        """Return whether nobody reads an event, whose JSON is right, so nothing is made of it."""
        if attachments is not None or party.numbered or self.hub.incoming:
            return False
        name = _peek_name(text, offset)
        return (
            name is not None
            and name not in routes.events
            and name not in RESERVED_EVENTS
            and is_json(text[offset:])
        )

    def _receive_decoded(self, party: Party, name: Any, data: list[Any], ack: int) -> None:
        hub = self.hub
        routes = party.routes()
        if party.numbered and ack < 0:
            party.take_offset(data)
        for listener in hub.incoming:
            try:
                listener(name, party.name, party.sid, *data[1:])
            except Exception as exc:
                hub.failed(f"a listener to all events, for {party.label()}", exc)
        handler = routes.find(name)
        if handler is None:
            self.unhandled(party, ack)
            return
        if routes.event_middleware:
            handler = run_event(routes.event_middleware, handler, party, name)
        elif handler.payload is not None:
            try:
                data = handler.payload.convert(data)
            except PayloadError as exc:
                self._refuse_payload(party, exc, ack)
                return
        self._call(party, handler, name, data, ack)

    def _refuse_payload(self, party: Party, exc: PayloadError, ack: int) -> None:
        self.hub.count("invalid_payloads")
        self.hub.logger.warning("%s: %s", party.label(), readable(str(exc)))
        if ack >= 0:
            party.acknowledge(ack, exc.answer())

    # Handlers

    def _call(self, party: Party, handler: Handler, name: Any, data: list[Any], ack: int) -> None:
        if handler.style == 0:  # SID
            data[0] = party.sid
        else:
            data = handler.arguments(name, party.name, party.sid, data)
        if party.state == CONNECTED and not self.hub.serial:
            self._start(party, handler, data, ack)
        else:
            self.dispatch(party, handler, data, ack)

    def dispatch(self, party: Party, handler: Handler, data: list[Any], ack: int) -> None:
        """Start a handler, now or when it is its turn.

        Args:
            party: The party.
            handler: The handler.
            data: What it is called with.
            ack: Id of the acknowledgement; -1 for none.
        """
        if party.state == CONNECTING:
            if party.early is None:
                party.early = []
            party.early.append((handler, data, ack))
            self.kept_early(len(party.early))
        elif self.hub.serial and self.pending:
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((party, handler, data, ack))
            if self.pending + len(self.waiting) >= self.hub.max_pending:
                self.pause()
        else:
            self._start(party, handler, data, ack)

    def pause(self) -> None:
        """Read no more for now: too many handlers run, or wait."""
        if not self.session.reading_paused:
            self.hub.count("max_pending_handlers")
            self.session.pause_reading()

    def _start(self, party: Party, handler: Handler, data: list[Any], ack: int) -> None:
        """Start a handler, and run it to where it suspends first."""
        hub = self.hub
        if hub.workers is not None and not handler.direct:
            self.pending += 1
            if self.pending >= hub.max_pending:
                self.pause()
            hub.workers.run(self, party, handler, data, ack)
            return
        began = clock()
        try:
            result = handler.function(*data)
            if is_coroutine(result):
                runner = hub.runner
                result = runner.start(result, handler.suspends)
                handler.suspends = runner.task is not None
                if handler.suspends:
                    self._suspended(party, handler, ack, runner.task)
                    self._blame(handler, began)
                    return
        except asyncio.CancelledError:
            party.unanswered(ack)
            return
        except Exception as exc:
            hub.failed(f"the handler {handler.name} for {party.label()}", exc)
            party.unanswered(ack)
            return
        self._blame(handler, began)
        if ack >= 0:
            self.answer(party, handler, ack, result)

    def _suspended(self, party: Party, handler: Handler, ack: int, task: Any) -> None:
        """Wait for a handler that has suspended."""
        self.pending += 1
        if self.pending >= self.hub.max_pending:
            self.pause()
        self.hub.keep_task(task)
        task.add_done_callback(partial(self._finished, party, handler, ack))

    def _blame(self, handler: Handler, began: float) -> None:
        took = clock() - began
        if took > NOTABLE:
            self.hub.blame(handler.name, took)

    def answer(self, party: Party, handler: Handler, ack: int, result: Any) -> None:
        """Acknowledge an event with what its handler has returned.

        Args:
            party: Where the event came from.
            handler: The handler.
            ack: Id of the acknowledgement.
            result: What it has returned.
        """
        try:
            party.acknowledge(ack, result)
        except (TypeError, ValueError) as exc:
            self.hub.failed(f"writing what {handler.name} returned to {party.label()}", exc)

    def _finished(self, party: Party, handler: Handler, ack: int, task: Any) -> None:
        """Go on when a handler that suspended is done."""
        self.pending -= 1
        exc = None if task.cancelled() else task.exception()
        if exc is not None:
            self.hub.failed(f"the handler {handler.name} for {party.label()}", exc)
        if exc is not None or task.cancelled():
            party.unanswered(ack)
        elif ack >= 0:
            self.answer(party, handler, ack, task.result())
        self.go_on()

    def worked(self, count: int) -> None:
        """Take note that handlers have ended in their threads.

        Args:
            count: How many.
        """
        self.pending -= count
        self.go_on()

    def go_on(self) -> None:
        """Start the handlers whose turn it is, and read on when few are left."""
        waiting = self.waiting
        while waiting and not self.pending:
            party, handler, data, ack = waiting.popleft()
            if handler is None:
                self.finish(party, data)
            elif self.may_run(party):
                self._start(party, handler, data, ack)
        count = self.pending + (len(waiting) if waiting else 0)
        if self.session.reading_paused and count < self.hub.max_pending and self.throttle is None:
            self.session.resume_reading()

    # Limits, and peers that break the protocol

    def fail(self, exc: PacketError) -> None:
        """End the session, since what came was no packet.

        Args:
            exc: What is wrong.
        """
        self.hub.count("invalid_packets")
        if exc.limit:
            self.hub.count(exc.limit)
        self.hub.logger.info("%s: closed: %s", self.session.sid[:6], exc)
        self.assembler = None
        self.session.close(PARSE_ERROR)

    def _admit(self, size: int) -> bool:
        """Return whether a message may come in, according to the rates."""
        hub = self.hub
        limits = hub.limits
        now = hub.now()
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
            self.session.pause_reading()
            if self.throttle is None or self.throttle.when() < now + delay:
                self.let_go()
                self.throttle = hub.loop.call_later(delay, self._catch_up)
        return True

    def _catch_up(self) -> None:
        """Read on: what came too fast is in time now."""
        self.throttle = None
        self.go_on()

    def let_go(self) -> None:
        """Wait no more for the time at which to read on."""
        throttle, self.throttle = self.throttle, None
        if throttle is not None:
            throttle.cancel()


def _peek_name(text: str, offset: int) -> str | None:
    """Return the name of an event without decoding it; ``None`` where that takes more."""
    if not text.startswith('["', offset):
        return None
    end = text.find('"', offset + 2)
    name = text[offset + 2 : end]
    return None if end < 0 or "\\" in name else name
