"""What the coroutine connections of servers and clients have in common, apart from the speed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from .exceptions import ConnectionClosed
from .frames import CloseCode, State
from .http11 import Response, parse_response
from .options import Logger
from .stream import StreamConnection

__all__ = ["CoroutineConnection", "run_handler"]


class CoroutineConnection(StreamConnection):
    """A coroutine connection as its users see it, at either end.

    Attributes:
        request: The request of the opening handshake; ``None`` before it.
        subprotocol: The subprotocol agreed on, or ``None``.
        latency: Seconds that the last ping took; 0 before the first.
    """

    @cached_property
    def id(self) -> uuid.UUID:
        """An identifier for logs, made when it is first asked for."""
        return uuid.uuid4()

    @property
    def logger(self) -> Logger:
        """Where this connection logs."""
        return self.options.logger

    @property
    def state(self) -> State:
        """The state of the connection."""
        return State(super().state)

    @property
    def response(self) -> Response | None:
        """The response of the opening handshake; ``None`` before it."""
        return parse_response(self.response_head) if self.response_head else None

    def is_closing_of(self, exc: BaseException) -> bool:
        """Tell whether an exception says no more than that this connection is closed.

        Args:
            exc: What a handler raised; a group counts when all its exceptions do.

        Returns:
            Whether it does.
        """
        if isinstance(exc, BaseExceptionGroup):
            return all(self.is_closing_of(each) for each in exc.exceptions)
        connection = self.connection
        return (
            isinstance(exc, ConnectionClosed)
            and connection is not None
            and exc.rcvd is connection.close_rcvd
            and exc.sent is connection.close_sent
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if exc is None else CloseCode.INTERNAL_ERROR)


async def run_handler(handler: Callable[[Any], Awaitable[None]], connection: Any) -> None:
    """Run a server's handler on an open connection, and close the connection.

    Args:
        handler: The handler. When it returns, the connection is closed with 1000; when it raises,
            with 1011, whatever it raised: a handler is the user's code.
        connection: A :class:`CoroutineConnection`.
    """
    try:
        await handler(connection)
    except asyncio.CancelledError:
        connection.abort()
        raise
    except Exception as exc:
        if connection.is_closing_of(exc):
            connection.options.logger.info("connection closed under its handler: %s", exc)
        else:
            connection.options.logger.error("connection handler failed", exc_info=exc)
        await connection.close(CloseCode.INTERNAL_ERROR)
    else:
        await connection.close()
