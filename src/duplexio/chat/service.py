"""The rooms at work: with the history, the clock and the event loop."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from .errors import ChatError
from .events import Event, Message, error_event
from .identity import Identities
from .limits import Limits
from .rooms import Entry, Hub, Seat
from .store import Store

__all__ = ["Service"]

logger = logging.getLogger("duplexio.chat")

_STORE_RETRY = 5.0

Entered = Callable[[ChatError | None], None]


class Service:
    """The rooms of a running server.

    It has to be made in the event loop.

    Args:
        store: The history.
        limits: The limits.
        shown: How many of the last messages a newcomer gets.

    Attributes:
        hub: The rooms.
        limits: The limits.
        clients: How many clients are connected.
    """

    def __init__(self, store: Store, limits: Limits, shown: int) -> None:
        self.limits = limits
        self.clients = 0
        self._unkept = 0
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._entering: dict[str, list[tuple[Seat, Entry, Entered]]] = {}
        self.hub = Hub(
            limits,
            Identities(store.secret, secrets.token_bytes),
            self._loop.time,
            store.history,
            shown,
            store.rooms(limits.rooms - 1),
        )
        store.start(self._loop.call_soon_threadsafe)

    # Clients

    def connect(self) -> None:
        """Count a client.

        Raises:
            ChatError: When there are too many.
        """
        if self.clients >= self.limits.clients:
            raise ChatError(
                "full", "The chat is full at the moment. Try again in a while.", retry=30.0
            )
        self.clients += 1

    def disconnect(self) -> None:
        """Count a client no more."""
        self.clients -= 1

    def enter(self, seat: Seat, entry: Entry, entered: Entered) -> None:
        """Let a visitor into a room, once its last messages are there.

        Args:
            seat: The connection.
            entry: Who wants to go where.
            entered: Called when it is done, with the error if there is one.
        """
        if entry.room in self.hub.rooms:
            self._enter_open(seat, entry, entered)
            return
        waiting = self._entering.get(entry.room)
        if waiting is not None:
            waiting.append((seat, entry, entered))
            return
        try:
            self.hub.check_room(entry.room)
        except ChatError as exc:
            entered(exc)
            return
        self._entering[entry.room] = [(seat, entry, entered)]
        self._store.load(
            entry.room, self.limits.replay, lambda result: self._loaded(entry.room, result)
        )

    def _loaded(self, room: str, result: list[Message] | Exception) -> None:
        for seat, entry, entered in self._entering.pop(room):
            if isinstance(result, Exception):
                logger.error("the history cannot be read: %s", result)
                entered(
                    ChatError(
                        "storage",
                        "The history cannot be read at the moment. Try again in a while.",
                        _STORE_RETRY,
                    )
                )
                continue
            try:
                # The one before may have been refused, and the room closed again.
                self.hub.open_room(room, result)
            except ChatError as exc:
                entered(exc)
                continue
            self._enter_open(seat, entry, entered)

    def _enter_open(self, seat: Seat, entry: Entry, entered: Entered) -> None:
        error = None
        try:
            self.hub.enter(seat, entry)
        except ChatError as exc:
            error = exc
        self.schedule()
        entered(error)

    def say(self, seat: Seat, message_id: str, text: str) -> None:
        """Keep a message, and tell it to the room then.

        Raises:
            ChatError: When it is refused.
        """
        if self._unkept >= self.limits.unkept:
            raise ChatError(
                "busy", "The server cannot keep up. The message will be tried again.", _STORE_RETRY
            )
        message = self.hub.say(seat, message_id, text, time.time_ns() // 1_000_000)
        self._unkept += 1
        self._store.append(message, lambda result: self._appended(seat, message, result))

    def _appended(self, seat: Seat, message: Message, result: Message | int | Exception) -> None:
        self._unkept -= 1
        if isinstance(result, Message):
            self.hub.kept(result)
        else:
            self.hub.not_kept(message)
            if isinstance(result, int):
                seat.deliver(Event("saved", {"id": message.id, "n": result}))
            else:
                logger.error("a message cannot be kept: %s", result)
                seat.deliver(
                    error_event(
                        ChatError(
                            "storage",
                            "The message could not be saved. It will be tried again.",
                            _STORE_RETRY,
                        ),
                        message.id,
                    )
                )
        self.schedule()

    # Time

    def schedule(self) -> None:
        """Set the timer for what the rooms have to do next; call it after each change."""
        due = self.hub.due()
        if self._timer is not None:
            if due is not None and self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.hub.tick()
        self.schedule()

    async def close(self) -> None:
        """End the timer, write what is to be written, and close the history."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self._store.close)
