# cython: annotation_typing=False, binding=False, embedsignature=True
"""A namespace as a client sees it: what it emits there, and what the server owes it.

A :class:`Space` outlives connections: it is where emits wait for the next one, and where the client
remembers how far it has come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..engineio.channel import Channel
from ..engineio.exceptions import PayloadTooLarge
from ..errors import DuplexioError
from .core import Core, transmit
from .delivery import DELIVERY
from .exceptions import AckLostError, BadNamespaceError
from .handlers import Routes
from .limits import ClientLimits
from .old_clients import in_ascii
from .outbox import Budget, Outbox, Retries, largest_message
from .packets import DISCONNECT, EVENT
from .party import CONNECTED, CONNECTING, GONE, Party, is_coroutine
from .recovery import offset_kind

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["AckCallback", "ClientHub", "Space"]


class AckCallback:
    """A function for an acknowledgement, and one for when there will be none.

    Args:
        function: Called with the arguments of the acknowledgement.
        failed: Called with the exception.
    """

    __slots__ = ("failed", "function")

    def __init__(self, function: Callable[..., Any], failed: Callable[..., Any] | None) -> None:
        self.function = function
        self.failed = failed

    def __call__(self, *args: Any) -> Any:
        """Take the acknowledgement."""
        return self.function(*args)


def ignore(*args: Any) -> None:
    """Take an acknowledgement that only the client itself has asked for."""


class ClientHub(Core):
    """What the connections of one client share, one after the other.

    Args:
        registry: The handlers.
        limits: What the server may do, and what the client keeps.
        wall_clock: Returns the time, in seconds since 1970.

    Attributes:
        registry: The handlers.
        spaces: The namespaces of the client.
        offline: What happens to emits while it is not connected: ``"buffer"``, ``"fail"`` or
            ``"drop"``.
        retries: How often an emit is sent again that is not acknowledged; 0 for never.
        ack_timeout: Seconds that an acknowledgement may take; ``None`` for no end.
        recovery: Whether the state of the last connection is asked for.
        delivery: The client's id for emits that are sent again; empty for none.
        budget: How much may be kept.
        tasks: Handlers that have suspended, and other tasks.
    """

    def __init__(
        self, registry: Registry, limits: ClientLimits, wall_clock: Callable[[], float]
    ) -> None:
        Core.__init__(self, limits)
        self.registry = registry
        self.max_early = limits.max_early_events
        self.wall_clock = wall_clock
        self.spaces: dict[str, Space] = {}
        self.offline = "buffer"
        self.retries = 0
        self.ack_timeout: float | None = None
        self.recovery = True
        self.delivery = ""
        self.budget = Budget(limits.max_offline_packets, limits.max_offline_bytes)
        self.tasks: set[Any] = set()
        registry.changed = self.forget_routes

    def forget_routes(self) -> None:
        """Find out anew which handlers are whose."""
        for space in self.spaces.values():
            space.known_routes = None

    def keep_task(self, task: Any) -> None:
        """Keep a task from being collected until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def tell(self, space: Space, event: str, *args: Any) -> Any:
        """Call the handler of one of the client's own events.

        Args:
            space: The namespace.
            event: ``"connect"``, ``"connect_error"`` or ``"disconnect"``.
            args: What the handler may take.

        Returns:
            A future that is done when the handler is; ``None`` when it is already, or when there
            is none.
        """
        handler = getattr(space.routes(), event)
        if handler is None:
            return None
        data = handler.arguments(event, space.name, space.sid, [event, *args[: handler.arity]])
        what = f"the handler {handler.name} for {space.label()}"
        if self.workers is not None and not handler.direct:
            return self.workers.call(handler.function, data, what)
        try:
            result = handler.function(*data)
            if is_coroutine(result):
                return self.run(self._guard(result, what))
        except Exception as exc:
            self.failed(what, exc)
        return None

    async def _guard(self, coroutine: Any, what: str) -> None:
        try:
            await coroutine
        except Exception as exc:
            self.failed(what, exc)

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine to where it suspends first.

        Args:
            coroutine: The coroutine.

        Returns:
            The task that goes on with it; ``None`` when it has ended.
        """
        runner = self.runner
        runner.start(coroutine, False)
        task = runner.task
        if task is not None:
            self.keep_task(task)
        return task


class Space(Party):
    """A namespace of a client.

    It is :data:`.party.CONNECTING` while the client is not connected to it but tries to be, and
    :data:`.party.GONE` when it does not.

    Args:
        hub: What the connections of the client share.
        name: The namespace.

    Attributes:
        client_hub: What the connections of the client share.
        connection: The connection that it is used on; ``None`` for none.
        session: Its session.
        outbox: Emits that wait.
        reliable: Emits that are retried; ``None`` when the client retries none.
        pid: The server's name for the state that it would recover; ``None`` for none.
        offset: Of the last event that has come; ``None`` for none.
        recovered: Whether the server has recovered the state of the connection before.
        refusal: What the server has said when it refused the client; ``None`` when it did not.
        known_routes: The handlers; ``None`` when they are to be found out.
    """

    def __init__(self, hub: ClientHub, name: str) -> None:
        Party.__init__(self, hub, name, "")
        self.client_hub = hub
        self.connection: Any = None
        self.session: Channel | None = None
        self.outbox = Outbox(hub.budget)
        self.reliable: Retries | None = None
        if hub.retries:
            self.reliable = Retries(hub.budget, hub.retries, hub.ack_timeout)
        self.pid: str | None = None
        self.offset: str | None = None
        self.new_offset: str | None = None
        self.kind = 0
        self.recovered = False
        self.refusal: Any = None
        self.known_routes: Routes | None = None
        self.timer: Any = None

    def routes(self) -> Any:
        """Return the handlers."""
        if self.known_routes is None:
            self.known_routes = self.client_hub.registry.routes(self.name)
        return self.known_routes

    def label(self) -> str:
        """Return how logs call it."""
        return f"the namespace {self.name!r}"

    def gone(self, why: str) -> Exception:
        """Return what those are told who wait for an answer."""
        return AckLostError(f"no answer can come any more: {why}")

    def expect_ack(self, callback: Any) -> int:
        """Return the id for an acknowledgement; an even one belongs to an emit that is retried."""
        if self.reliable is not None and self.last_ack & 1:
            self.last_ack += 1
        return Party.expect_ack(self, callback)

    def overrun(self) -> None:
        """End the connection to a server that owes too many acknowledgements."""
        if self.session is not None:
            self.session.end("forced close")

    # Emitting

    def emit(self, data: list[Any], callback: Any = None, volatile: bool = False) -> int:
        """Send an event, or keep it until it can be sent.

        Args:
            data: Name and arguments.
            callback: What to do with the acknowledgement: a future, a function, or an
                :class:`AckCallback`; ``None`` when none is wanted.
            volatile: Whether to forget it when it cannot go now.

        Returns:
            The id of the acknowledgement; -1 for none.

        Raises:
            BadNamespaceError: The client is not connected, and emits are not kept.
            LimitExceededError: Too much is kept already.
            TypeError: The data has no form that can be sent.
        """
        hub = self.client_hub
        if self.state == GONE:
            raise BadNamespaceError(
                f"{self.name} is not a connected namespace: {self.refused_why()}"
            )
        for listener in hub.outgoing:
            listener(data[0], self.name, None, *data[1:])
        if self.reliable is not None and not volatile:
            return self._emit_reliably(data, callback)
        if self.state != CONNECTED:
            if volatile or hub.offline == "drop":
                self._drop(callback)
                return -1
            if hub.offline == "fail":
                raise BadNamespaceError(
                    f"{self.name} is not a connected namespace, and offline='fail' keeps nothing"
                )
        elif volatile and self.is_congested():
            self._drop(callback)
            return -1
        id = -1 if callback is None else self.expect_ack(callback)
        try:
            packet = hub.packet(EVENT, self.name, id, data)
            if self.state == CONNECTED:
                self.transmit(packet)
            else:
                self.outbox.add(packet, id)
        except BaseException:
            self.forget(id)
            raise
        if id >= 0 and hub.ack_timeout is not None:
            hub.loop.call_later(hub.ack_timeout, self._overdue, id, callback)
        return id

    def emit_packet(self, packet: Any, volatile: bool) -> None:
        """Send an event that was written by another thread, or keep it.

        Args:
            packet: The packet, which asks for no acknowledgement.
            volatile: Whether to forget it when it cannot go now.
        """
        hub = self.client_hub
        try:
            if self.state == CONNECTED:
                if not volatile or not self.is_congested():
                    self.transmit(packet)
                    return
            elif self.state == CONNECTING and hub.offline == "buffer" and not volatile:
                self.outbox.add(packet, -1)
                return
            hub.count("dropped_emits")
        except DuplexioError as exc:
            hub.logger.error("%s: an emit was not sent: %s", self.label(), exc)
            hub.count("unsendable_emits")

    def check_size(self, packet: Any) -> None:
        """Refuse a packet that is larger than the server takes.

        Args:
            packet: The packet.

        Raises:
            PayloadTooLarge: It is.
        """
        session: Any = self.session
        limit = 0 if session is None else session.max_payload
        if limit and largest_message(packet) > limit:
            raise PayloadTooLarge(
                f"a message takes {largest_message(packet)} bytes, and the server takes no more"
                f" than {limit} at once (its maxPayload): send it in pieces, or raise the server's"
                " max_http_buffer_size"
            )

    def _emit_reliably(self, data: list[Any], callback: Any) -> int:
        reliable = self.reliable
        assert reliable is not None
        if not self.last_ack & 1:
            self.last_ack += 1
        id = Party.expect_ack(self, ignore if callback is None else callback)
        try:
            reliable.add(id, self.client_hub.packet(EVENT, self.name, id, data))
        except BaseException:
            self.forget(id)
            raise
        if self.state == CONNECTED:
            self.pump()
        return id

    def is_congested(self) -> bool:
        """Return whether what is sent has to wait."""
        session = self.session
        return session is None or session.buffered_bytes > 0

    def refused_why(self) -> str:
        """Return why the client is not connected here."""
        if self.refusal is not None:
            return f"the server has refused it: {self.refusal!r}"
        return "the client was disconnected from it"

    def _drop(self, callback: Any) -> None:
        self.client_hub.count("dropped_emits")
        if callback is not None:
            self.give_up(callback, "the emit was dropped, since it could not go at once")

    def forget(self, id: int) -> None:
        """Wait no more for an acknowledgement, and do not send what asks for it any more.

        Args:
            id: Its id.
        """
        if id >= 0:
            if self.acks is not None:
                self.acks.pop(id, None)
            self.outbox.remove(id)
            if self.reliable is not None and self.reliable.remove(id):
                self.pump()

    def _overdue(self, id: int, callback: Any) -> None:
        if self.acks is not None and self.acks.get(id) is callback:
            self.forget(id)
            self.give_up(callback, f"it took longer than ack_timeout={self.client_hub.ack_timeout}")

    def give_up(self, callback: Any, why: str) -> None:
        """Tell who waits for an acknowledgement that it will not come."""
        if type(callback) is not AckCallback:
            Party.give_up(self, callback, why)
        elif callback.failed is not None:
            what = f"the function that is told of a lost answer in {self.label()}"
            hub = self.client_hub
            if hub.workers is not None:
                hub.workers.call(callback.failed, [self.gone(why)], what)
                return
            try:
                result = callback.failed(self.gone(why))
                if is_coroutine(result):
                    hub.run(hub._guard(result, what))
            except Exception as exc:
                hub.failed(what, exc)

    def resolve(self, id: int, data: list[Any]) -> None:
        """Take an acknowledgement."""
        if self.reliable is not None and self.reliable.remove(id):
            Party.resolve(self, id, data)
            self.pump()
        else:
            Party.resolve(self, id, data)

    def pump(self) -> None:
        """Send what is to be retried, and is not under way."""
        reliable = self.reliable
        if reliable is None or self.state != CONNECTED:
            return
        for entry in reliable.to_send(self.client_hub.now()):
            self._send_kept(entry.packet, entry.id)
        self._arm()

    def _arm(self) -> None:
        """Have :meth:`_check` called when the next acknowledgement is overdue."""
        reliable = self.reliable
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if reliable is not None:
            due = reliable.due()
            if due:
                self.timer = self.client_hub.loop.call_at(due, self._check)

    def _check(self) -> None:
        self.timer = None
        reliable = self.reliable
        if reliable is not None:
            self._give_up_ids(reliable.overdue(self.client_hub.now()), "it took too long")
            self.pump()
            self._arm()

    def _give_up_ids(self, ids: Any, why: str) -> None:
        for id in ids:
            callback = None if self.acks is None else self.acks.pop(id, None)
            if callback is not None:
                self.give_up(callback, why)

    def _send_kept(self, packet: Any, id: int) -> None:
        """Send what was kept; nobody is there to whom it could be raised that it cannot be sent."""
        try:
            self.transmit(packet)
        except DuplexioError as exc:
            self.client_hub.logger.error("%s: a kept emit was not sent: %s", self.label(), exc)
            self.client_hub.count("unsendable_emits")
            callback = None if self.acks is None else self.acks.pop(id, None)
            if self.reliable is not None:
                self.reliable.remove(id)
            if callback is not None:
                self.give_up(callback, str(exc))

    def transmit(self, packet: Any) -> None:
        """Send a packet now."""
        session = self.session
        if session is not None:
            if session.protocol == 3 and session.transport == "polling":
                # A server 1.x would read it as if each byte were a character.
                packet = in_ascii(packet)
            transmit(session, packet)

    # Recovery

    def take_offset(self, data: list[Any]) -> None:
        """Take the offset off the payload of an event."""
        if len(data) < 2:
            return
        last = data[len(data) - 1]
        if type(last) is not str:
            return
        kind = offset_kind(last, self.client_hub.wall_clock() * 1000)
        # The offsets of one server are of one kind: another string that looks like one is none.
        if not kind or (self.kind and kind != self.kind):
            return
        self.kind = kind
        data.pop()
        if self.state == CONNECTED:
            self.offset = last
        else:
            # It counts only when its handler is sure to run.
            self.new_offset = last

    def connect_payload(self, auth: Any) -> Any:
        """Return what the client says about itself when it connects.

        Args:
            auth: What the application says.
        """
        hub = self.client_hub
        own: dict[str, Any] = {}
        if hub.recovery and self.pid is not None:
            own["pid"] = self.pid
            if self.offset is not None:
                own["offset"] = self.offset
        if hub.retries:
            own[DELIVERY] = hub.delivery
        if not own:
            return auth
        return {**own, **auth} if isinstance(auth, dict) else own

    # Its life

    def begin(self, connection: Any, session: Channel) -> None:
        """Be used on a new connection.

        Args:
            connection: The connection.
            session: Its session.
        """
        self.connection = connection
        self.session = session
        self.state = CONNECTING
        self.refusal = None
        self.early = None
        self.new_offset = None
        # Events that were missed come before the answer to CONNECT.
        self.numbered = self.pid is not None and self.client_hub.recovery

    def connected(self, sid: str, pid: Any, window: Any) -> None:
        """Take note that the server has let the client in, and send what was kept.

        Args:
            sid: The client's id.
            pid: Names the state that the server would recover; ``None`` for none.
            window: How many emits of a client the server knows again; ``None`` for none.
        """
        self.state = CONNECTED
        self.sid = sid
        self.recovered = pid is not None and pid == self.pid
        if self.new_offset is not None:
            self.offset = self.new_offset
            self.new_offset = None
        elif not self.recovered:
            # JavaScript's client keeps the offset, which means nothing to another state.
            self.offset = None
            self.kind = 0
        self.pid = pid if type(pid) is str else None
        self.numbered = self.pid is not None and self.client_hub.recovery
        if self.reliable is not None:
            self.reliable.deduplicates = type(window) is int
        for packet, id in self.outbox.take():
            if self.state == CONNECTED:
                self._send_kept(packet, id)
            else:
                self.outbox.add(packet, id)
        self.pump()

    def lost(self, why: str) -> None:
        """Take note that the connection is over; there may be another one.

        Args:
            why: The reason.
        """
        self.state = CONNECTING
        self.connection = None
        self.session = None
        self.early = None
        if self.reliable is not None:
            self._give_up_ids(
                self.reliable.lost(),
                f"it was sent {self.client_hub.retries + 1} times: {why}",
            )
            self._arm()
        if self.acks:
            kept = self.outbox.ids()
            self._give_up_ids(
                [id for id in self.acks if id not in kept and not self._is_retried(id)], why
            )

    def _is_retried(self, id: int) -> bool:
        return self.reliable is not None and id in self.reliable

    def leave(self, why: str) -> None:
        """Be connected no more: what waits is given up.

        Args:
            why: The reason.
        """
        self.state = GONE
        self.connection = None
        self.session = None
        self.early = None
        self.sid = ""
        self.pid = self.offset = None
        self.outbox.take()
        if self.reliable is not None:
            self.reliable.clear()
            self._arm()
        self.give_up_all(why)

    def say_goodbye(self) -> None:
        """Tell the server that the client leaves the namespace."""
        if self.state == CONNECTED:
            self.transmit(self.client_hub.packet(DISCONNECT, self.name, -1, None, True))
