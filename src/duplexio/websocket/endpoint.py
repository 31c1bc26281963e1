"""What the coroutine connections of servers and clients have in common, apart from the speed."""

from __future__ import annotations

import uuid
from functools import cached_property
from types import TracebackType
from typing import Self

from .frames import CloseCode, State
from .http11 import Response, parse_response
from .options import Logger
from .stream import StreamConnection

__all__ = ["EndpointConnection"]


class EndpointConnection(StreamConnection):
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if exc is None else CloseCode.INTERNAL_ERROR)
