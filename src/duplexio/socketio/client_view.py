"""What a client for asyncio tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .client_space import ClientHub, Space
from .client_target import Target
from .party import CONNECTED as JOINED
from .reconnection import CONNECTED, Reconnection
from .registration import Registration

if TYPE_CHECKING:
    from .client_connection import ClientConnection

__all__ = ["ClientView"]


class ClientView(Registration):
    """The attributes of an :class:`.AsyncClient` that change with its connection."""

    hub: ClientHub
    logger: Any
    _machine: Reconnection
    _listeners: list[Callable[[str], object]]
    _spaces: dict[str, Space]
    _connection: ClientConnection | None
    _target: Target

    def is_asyncio_based(self) -> bool:
        """Return ``True``."""
        return True

    @property
    def state(self) -> str:
        """``"disconnected"``, ``"connecting"``, ``"connected"`` or ``"waiting"``.

        It is waiting between two attempts to connect again.
        """
        return self._machine.state

    def on_state(self, listener: Callable[[str], object]) -> Callable[[str], object]:
        """Register a function that is told of each new :attr:`state` (a decorator).

        Args:
            listener: Called with the state.
        """
        self._listeners.append(listener)
        return listener

    def _changed(self, state: str) -> None:
        self.logger.info("the client is %s", state)
        for listener in self._listeners:
            try:
                listener(state)
            except Exception as exc:
                self.hub.failed(f"a listener to the state {state!r}", exc)

    @property
    def connected(self) -> bool:
        """Whether the client is connected."""
        return self._machine.state == CONNECTED

    @property
    def namespaces(self) -> dict[str, str]:
        """The ids of the client in the namespaces that it is connected to, by their names."""
        return {space.name: space.sid for space in self._spaces.values() if space.state == JOINED}

    @property
    def sid(self) -> str | None:
        """Id of the Engine.IO session, which is a secret; ``None`` when there is none."""
        session = self.session
        return None if session is None else session.sid

    @property
    def session(self) -> Any:
        """The Engine.IO session; ``None`` when there is none."""
        return None if self._connection is None else self._connection.session

    @property
    def recovered(self) -> bool:
        """Whether the server has recovered the last connection, in all namespaces."""
        spaces = [space for space in self._spaces.values() if space.state == JOINED]
        return bool(spaces) and all(space.recovered for space in spaces)

    @property
    def connection_url(self) -> Any:
        """What :meth:`connect` was given as ``url``."""
        return self._target.url

    @property
    def connection_headers(self) -> Any:
        """What :meth:`connect` was given as ``headers``."""
        return self._target.headers

    @property
    def connection_auth(self) -> Any:
        """What :meth:`connect` was given as ``auth``."""
        return self._target.auth

    @property
    def connection_transports(self) -> Any:
        """What :meth:`connect` was given as ``transports``."""
        return self._target.transports

    @property
    def connection_namespaces(self) -> list[str]:
        """The namespaces that the client was told to connect to."""
        return self._target.namespaces

    @property
    def socketio_path(self) -> str:
        """What :meth:`connect` was given as ``socketio_path``."""
        return self._target.path

    def get_sid(self, namespace: str | None = None) -> str | None:
        """Return the client's id in a namespace; ``None`` when it is not connected to it.

        Args:
            namespace: The namespace, by default ``/``.
        """
        space = self._spaces.get(namespace or "/")
        return space.sid if space is not None and space.state == JOINED else None

    def transport(self) -> str | None:
        """Return the transport in use, ``"polling"`` or ``"websocket"``; ``None`` for none."""
        session = self.session
        return None if session is None else session.transport

    @property
    def protocol(self) -> int | None:
        """The version of Engine.IO in use, 3 or 4; ``None`` when there is no connection."""
        session = self.session
        return None if session is None else session.protocol
