"""One of several processes that serve an application: what the supervisor starts.

A worker is uvicorn's server with three additions: it makes ids that name it, it passes requests on
to the workers whose they are, and it can be drained, which is to end one session after the other
instead of all at once.
"""

from __future__ import annotations

import asyncio
import random
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket
from typing import Any, NamedTuple

from uvicorn import Config, Server
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..engineio.engine import sessions_on
from ..engineio.ids import Owner, set_default_owner
from ..engineio.session import SERVER_SHUTDOWN
from ..websocket.frames import CloseCode
from .asgi import AsgiConnection
from .endpoint import Session
from .handoff import Handoff
from .settings import Settings

__all__ = ["READY", "Assignment", "WorkerServer", "run_worker"]

#: What a worker tells the supervisor when it serves requests.
READY = "ready"


class Assignment(NamedTuple):
    """What the supervisor tells a worker at its start.

    Attributes:
        owner: Its number and generation.
        folder: The folder of the workers' sockets.
        drain: Seconds over which its sessions are ended when it is to be replaced.
    """

    owner: Owner
    folder: str
    drain: float


def run_worker(
    config: Config, assignment: Assignment, sockets: list[socket], channel: Connection
) -> None:
    """Serve, until the supervisor or a signal ends it (called in the new process).

    Args:
        config: uvicorn's configuration, not loaded.
        assignment: Which worker this is.
        sockets: Where to listen.
        channel: The way to the supervisor.
    """
    config.configure_logging()
    # Before the application is imported, which makes its generator of ids.
    set_default_owner(assignment.owner)
    try:
        WorkerServer(config, assignment, channel).run(sockets)
    except KeyboardInterrupt:
        pass  # of the terminal; the supervisor has it, too


class WorkerServer(Server):
    """uvicorn's server in a worker.

    Args:
        config: uvicorn's configuration.
        assignment: Which worker this is.
        channel: The way to the supervisor.
    """

    def __init__(self, config: Config, assignment: Assignment, channel: Connection) -> None:
        super().__init__(config)
        self.assignment = assignment
        self.channel = channel
        self.handoff: Handoff | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to serve, and say so (called by uvicorn)."""
        self.handoff = Handoff(
            self.assignment.owner,
            Path(self.assignment.folder),
            self.make_protocol,
            self.server_state,
            Settings.from_environ(),
        )
        app = self.config.loaded_app
        if isinstance(app, ProxyHeadersMiddleware):
            self.handoff.trusted = app.trusted_hosts
        await super().startup(sockets)
        asyncio.get_running_loop().add_reader(self.channel.fileno(), self._hear)
        self.channel.send(READY)

    def make_protocol(self) -> Any:
        """Make the protocol object of a connection, as uvicorn does for those it accepts."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )

    def _hear(self) -> None:
        """Do what the supervisor says; without a supervisor, end."""
        try:
            number, generation = self.channel.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self.channel.fileno())
            self.should_exit = True
            return
        if self._draining is None:
            self._draining = asyncio.create_task(self.drain(Owner(number, generation)))

    async def drain(self, heir: Owner) -> None:
        """End all sessions, spread over the time for it, and then the process.

        Args:
            heir: Who takes the new sessions of clients that are still connected here.
        """
        assert self.handoff is not None
        loop = asyncio.get_running_loop()
        self.handoff.heir = heir
        for server in self.servers:
            server.close()
        # All clients at once would be back at once.
        ends: list[tuple[float, Any]] = [
            (random.uniform(0, self.assignment.drain), each)
            for each in [*sessions_on(loop), *self._websockets()]
        ]
        began = loop.time()
        for after, each in sorted(ends, key=lambda end: end[0]):
            delay = began + after - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            if isinstance(each, AsgiConnection | Session):
                each.shutdown()
            else:
                each.close(SERVER_SHUTDOWN, CloseCode.SERVICE_RESTART)
        self.should_exit = True

    def _websockets(self) -> list[AsgiConnection | Session]:
        """Return the WebSockets that are no engine's."""
        connections: set[Any] = self.server_state.connections
        return [each for each in connections if isinstance(each, AsgiConnection | Session)]

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop serving (called by uvicorn)."""
        assert self.handoff is not None
        self.handoff.close()
        await super().shutdown(sockets)
