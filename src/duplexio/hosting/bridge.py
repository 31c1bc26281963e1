"""An endpoint behind an ASGI server that hands nothing over: frames made of messages.

A connection of ours speaks WebSocket with its transport. Here the transport is a :class:`Bridge`,
which plays the client in memory, and turns what the connection says into ASGI messages and back. So
the endpoint's handler gets the same connection as everywhere, with its queues, limits and close
codes; it costs a few microseconds per message. Pings are the ASGI server's business: those of the
handler are answered here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from ..errors import UsageError
from ..websocket.connection import OPEN, Connection, ConnectionHandler
from ..websocket.frames import CloseCode
from ..websocket.kernel import MaskKeys

__all__ = ["Bridge"]


class Bridge(ConnectionHandler):
    """The transport of a connection, made of an ASGI server's ``receive`` and ``send``.

    Args:
        driver: The connection, not started yet.
        scope: The ASGI scope.
        receive: The ASGI server's.
        send: The ASGI server's, which has sent ``websocket.accept``.
    """

    def __init__(
        self,
        driver: Any,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._extra = {"peername": scope.get("client"), "sockname": scope.get("server")}
        self._driver = driver
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        # The limits are those of the ASGI server and of the driver. Masks protect nothing here.
        masks = MaskKeys(bytes)
        self._peer = Connection(self, client=True, mask_keys=masks, max_size=None)
        self._outgoing: deque[tuple[dict[str, Any], int]] = deque()
        self._size = 0
        self._high = 0
        self._blocked = False
        self._more = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._fed = asyncio.Event()
        self._closing = False
        self._ended = False
        self._disconnected = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        driver = self._driver
        driver.connection_made(self)
        driver.start(Connection(driver, max_size=driver.options.max_size))
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._end()

    # From the ASGI server to the connection

    async def _read(self) -> None:
        while not self._ended:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._disconnected = True
                if not self._disconnect(message):
                    return
            else:
                data = message.get("bytes")
                if data is not None:
                    self._peer.send_binary(data)
                else:
                    self._peer.send_text(message["text"])
            # Not in this task: reading may wake the handler's in place.
            self._fed.clear()
            self._loop.call_soon(self._feed, self._peer.output.take())
            if self._disconnected:
                return
            await self._fed.wait()
            await self._reading.wait()

    def _disconnect(self, message: dict[str, Any]) -> bool:
        """Say to the connection that the client closes; return whether that was possible."""
        code = message.get("code") or CloseCode.NO_STATUS_RCVD
        if self._peer.state != OPEN:
            return False
        try:
            self._peer.send_close(code, message.get("reason") or "")
        except UsageError:  # 1006: nothing was said
            self._end()
            return False
        return True

    def _feed(self, data: bytes) -> None:
        """Let the connection read bytes, as a transport does."""
        driver = self._driver
        start = 0
        while start < len(data) and not self._ended:
            buffer = memoryview(driver.get_buffer(len(data) - start))
            count = min(len(buffer), len(data) - start)
            buffer[:count] = data[start : start + count]
            buffer.release()
            driver.buffer_updated(count)
            start += count
        self._fed.set()

    # From the connection to the ASGI server

    async def _write(self) -> None:
        while not self._ended:
            while self._outgoing:
                message, size = self._outgoing.popleft()
                try:
                    if not self._disconnected:
                        await self._send(message)
                except Exception as exc:
                    # What an ASGI server raises when the client has gone is its own choice.
                    self._driver.options.logger.debug("the ASGI server refused", exc_info=exc)
                    self._end()
                    return
                self._size -= size
            if self._blocked:
                self._blocked = False
                self._driver.resume_writing()
            if self._closing:
                self._end()
                return
            self._more.clear()
            if not self._outgoing:
                await self._more.wait()

    def _put(self, message: dict[str, Any], size: int) -> None:
        self._outgoing.append((message, size))
        self._size += size
        self._more.set()
        if self._size > self._high and not self._blocked:
            self._blocked = True
            self._driver.pause_writing()

    def on_text(self, message: str) -> None:
        """Take a text message of the connection."""
        self._put({"type": "websocket.send", "text": message}, len(message))

    def on_binary(self, message: bytes) -> None:
        """Take a binary message of the connection."""
        self._put({"type": "websocket.send", "bytes": message}, len(message))

    def on_close_frame(self, code: int, reason: str) -> None:
        """Take the close frame of the connection."""
        if code == CloseCode.NO_STATUS_RCVD:
            code = CloseCode.NORMAL_CLOSURE
        self._put({"type": "websocket.close", "code": int(code), "reason": reason}, 0)

    # What the connection calls of an asyncio.Transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the addresses, as the ASGI server tells them."""
        return self._extra.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the connection."""
        if data and not self._ended:
            self._peer.receive(bytearray(data))
            if self._peer.output.size():
                # A pong, or the answer to a close frame, which ASGI does not show.
                self._loop.call_soon(self._feed, self._peer.output.take())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take the number of bytes that may wait."""
        self._high = high or 0

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return self._size

    def pause_reading(self) -> None:
        """Stop receiving messages."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Go on receiving messages."""
        self._reading.set()

    def can_write_eof(self) -> bool:
        """Return that there is no closing of one half."""
        return False

    def is_closing(self) -> bool:
        """Return whether the transport is about to end."""
        return self._closing or self._ended

    def close(self) -> None:
        """End when all that waits was sent."""
        self._closing = True
        self._more.set()

    def abort(self) -> None:
        """End now."""
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = self._closing = True
            self._outgoing.clear()
            for event in (self._more, self._reading, self._fed):
                event.set()
            self._loop.call_soon(self._driver.connection_lost, None)
