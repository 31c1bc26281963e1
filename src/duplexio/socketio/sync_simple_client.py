"""The Socket.IO client that blocks, without handlers: events are waited for."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from .exceptions import DisconnectedError, TimeoutError
from .reconnection import DISCONNECTED
from .simple_client import Inbox
from .sync_client import Client

__all__ = ["SimpleClient"]


class ThreadInbox(Inbox):
    """An inbox for a thread that waits."""

    def __init__(self, client: Any, namespace: str) -> None:
        self.changed = threading.Condition()
        Inbox.__init__(self, client, namespace)

    def wake(self) -> None:
        """Wake who waits for an event."""
        with self.changed:
            self.changed.notify()


class SimpleClient:
    """A Socket.IO client that has no handlers and blocks: events are waited for.

    Args:
        args: The arguments of :class:`.Client`.
        kwargs: The same.

    Attributes:
        client: The :class:`.Client`; ``None`` when this is not connected.
        namespace: The namespace.

    Example:
        >>> def main():
        ...     with SimpleClient() as sio:
        ...         sio.connect("http://localhost:5000")
        ...         sio.emit("join", "lobby")
        ...         event, *arguments = sio.receive(timeout=5)
    """

    client_class = Client

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client_args = args
        self.client_kwargs = kwargs
        self.client: Client | None = None
        self.namespace = "/"
        self._inbox: ThreadInbox | None = None

    def connect(
        self,
        url: Any,
        headers: Any = {},  # noqa: B006 - python-socketio's default; it is not changed
        auth: Any = None,
        transports: str | list[str] | None = None,
        namespace: str = "/",
        socketio_path: str = "socket.io",
        wait_timeout: float = 5,
    ) -> None:
        """Connect to a server; the arguments are those of :meth:`.Client.connect`.

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
        self._inbox = ThreadInbox(client, namespace)
        client.connect(
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

    def _connected_client(self) -> Client:
        if self.client is None or not self.connected:
            raise DisconnectedError("the client is not connected")
        return self.client

    def emit(self, event: Any, data: Any = None) -> None:
        """Emit an event; see :meth:`.AsyncSimpleClient.emit`."""
        self._connected_client().emit(event, data, self.namespace)

    def call(self, event: Any, data: Any = None, timeout: float | None = 60) -> Any:
        """Emit an event and wait for the answer; see :meth:`.AsyncSimpleClient.call`."""
        return self._connected_client().call(event, data, self.namespace, timeout)

    def receive(self, timeout: float | None = None) -> list[Any]:
        """Wait for an event; see :meth:`.AsyncSimpleClient.receive`."""
        inbox = self._inbox
        if inbox is None:
            raise DisconnectedError("the client is not connected")
        until = None if timeout is None else time.monotonic() + timeout
        with inbox.changed:
            while not inbox.events:
                self._connected_client()
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"no event has come within {timeout} s")
                inbox.changed.wait(left)
            event = inbox.events.popleft()
        if inbox.has_room():
            self._connected_client().post(inbox.go_on)
        return event

    def disconnect(self) -> None:
        """Disconnect from the server; does nothing when this is not connected."""
        client, self.client = self.client, None
        if client is not None:
            client.disconnect()

    def __enter__(self) -> SimpleClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.disconnect()
