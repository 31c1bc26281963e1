"""The Socket.IO client for asyncio without handlers: events are waited for."""

from __future__ import annotations

import asyncio
import builtins
from collections import deque
from typing import Any

from .async_client import AsyncClient
from .exceptions import DisconnectedError, TimeoutError
from .reconnection import DISCONNECTED

__all__ = ["AsyncSimpleClient", "Inbox"]


class Inbox:
    """Events that wait to be received, and the connection that is held back when they are many.

    Args:
        client: The client.
        namespace: Where the events come from.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        self.events: deque[list[Any]] = deque()
        self._client = client
        self._limit = client.hub.limits.max_received
        self._paused: Any = None
        client.registry.add("*", namespace, self.receive, direct=True)
        client.on_state(self.state_changed)

    def receive(self, event: Any, *args: Any) -> None:
        """Take an event."""
        self.events.append([event, *args])
        if len(self.events) >= self._limit:
            session = self._client.session
            if session is not None and not session.reading_paused:
                self._client.hub.count("max_received")
                self._paused = session
                session.pause_reading()
        self.wake()

    def state_changed(self, state: str) -> None:
        """Take note of what the client does."""
        if state == DISCONNECTED:
            self.wake()

    def wake(self) -> None:
        """Wake who waits for an event."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Return whether the connection that was held back may go on."""
        return self._paused is not None and len(self.events) <= self._limit // 2

    def go_on(self) -> None:
        """Read on from the connection."""
        session, self._paused = self._paused, None
        if session is not None and session.is_open:
            session.resume_reading()


class AsyncInbox(Inbox):
    """An inbox for a task that waits."""

    def __init__(self, client: Any, namespace: str) -> None:
        self.waiter: asyncio.Future[None] | None = None
        Inbox.__init__(self, client, namespace)

    def wake(self) -> None:
        """Wake who waits for an event."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class AsyncSimpleClient:
    """A Socket.IO client for asyncio that has no handlers: events are waited for.

    Args:
        args: The arguments of :class:`.AsyncClient`.
        kwargs: The same.

    Attributes:
        client: The :class:`.AsyncClient`; ``None`` when this is not connected.
        namespace: The namespace.

    Example:
        >>> async def main():
        ...     async with AsyncSimpleClient() as sio:
        ...         await sio.connect("http://localhost:5000")
        ...         await sio.emit("join", "lobby")
        ...         event, *arguments = await sio.receive(timeout=5)
    """

    client_class = AsyncClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client_args = args
        self.client_kwargs = kwargs
        self.client: AsyncClient | None = None
        self.namespace = "/"
        self._inbox: AsyncInbox | None = None

    async def connect(
        self,
        url: Any,
        headers: Any = {},  # noqa: B006 - python-socketio's default; it is not changed
        auth: Any = None,
        transports: str | list[str] | None = None,
        namespace: str = "/",
        socketio_path: str = "socket.io",
        wait_timeout: float = 5,
    ) -> None:
        """Connect to a server; the arguments are those of :meth:`.AsyncClient.connect`.

        Args:
            url: The address.
            headers: Headers of all requests.
            auth: What the client says about itself.
            transports: The transports.
            namespace: The namespace.
            socketio_path: Path of the server.
            wait_timeout: Seconds that the namespace has to be connected.

        Raises:
            RuntimeError: This is connected already.
            ConnectionError: There is no connection to be had.
        """
        if self.connected:
            raise RuntimeError("Already connected")
        self.namespace = namespace
        self.client = client = self.client_class(*self.client_args, **self.client_kwargs)
        self._inbox = AsyncInbox(client, namespace)
        await client.connect(
            url,
            headers=headers,
            auth=auth,
            transports=transports,
            namespaces=[namespace],
            socketio_path=socketio_path,
            wait_timeout=wait_timeout,
        )

    @property
    def connected(self) -> bool:
        """Whether this is connected, or tries to be again."""
        return self.client is not None and self.client.state != DISCONNECTED

    @property
    def input_buffer(self) -> deque[list[Any]]:
        """The events that wait to be received."""
        return deque() if self._inbox is None else self._inbox.events

    @property
    def sid(self) -> str | None:
        """The client's id, which another connection changes; ``None`` for none."""
        return None if self.client is None else self.client.get_sid(self.namespace)

    @property
    def transport(self) -> str | None:
        """The transport in use, ``"polling"`` or ``"websocket"``; empty for none."""
        return "" if self.client is None else self.client.transport()

    def _connected_client(self) -> AsyncClient:
        if self.client is None or not self.connected:
            raise DisconnectedError("the client is not connected")
        return self.client

    async def emit(self, event: Any, data: Any = None) -> None:
        """Emit an event; while the connection is broken it is kept for the next one.

        Args:
            event: The name.
            data: The argument; several in a tuple.

        Raises:
            DisconnectedError: The client is not connected, and does not try to be.
        """
        await self._connected_client().emit(event, data, self.namespace)

    async def call(self, event: Any, data: Any = None, timeout: float | None = 60) -> Any:
        """Emit an event and wait for the answer; see :meth:`.AsyncClient.call`.

        Args:
            event: The name.
            data: The argument; several in a tuple.
            timeout: Seconds to wait; ``None`` for no end.

        Raises:
            TimeoutError: The server does not answer in time, or can answer no more.
            DisconnectedError: The client is not connected, and does not try to be.
        """
        return await self._connected_client().call(event, data, self.namespace, timeout)

    async def receive(self, timeout: float | None = None) -> list[Any]:
        """Wait for an event.

        Args:
            timeout: Seconds to wait; ``None`` for no end.

        Returns:
            The name of the event and its arguments.

        Raises:
            TimeoutError: None has come in time.
            DisconnectedError: None waits, and the client is not connected and does not try to be.
        """
        inbox = self._inbox
        if inbox is None:
            raise DisconnectedError("the client is not connected")
        try:
            async with asyncio.timeout(timeout):
                while not inbox.events:
                    self._connected_client()
                    inbox.waiter = asyncio.get_running_loop().create_future()
                    await inbox.waiter
        except builtins.TimeoutError:
            raise TimeoutError(f"no event has come within {timeout} s") from None
        event = inbox.events.popleft()
        if inbox.has_room():
            inbox.go_on()
        return event

    async def disconnect(self) -> None:
        """Disconnect from the server; does nothing when this is not connected."""
        client, self.client = self.client, None
        if client is not None:
            await client.disconnect()

    async def __aenter__(self) -> AsyncSimpleClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.disconnect()
