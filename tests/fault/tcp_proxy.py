"""A TCP proxy that does to a connection what networks do: cut, delay, drop, half-close."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any


class Fault:
    """What happens to the bytes of one direction.

    Args:
        piece: Largest number of bytes passed on at once; 0 for all that came.
        jitter: Whether the sizes of the pieces are left to chance, up to `piece`.
        delay: Seconds before each piece.
        drop_after: Bytes after which the rest vanishes, without a word to anybody.
        reset_after: Bytes after which both connections are reset.
        end_after: Bytes after which this direction ends (a half-close), and the rest vanishes.
        seed: For chance.
    """

    def __init__(
        self,
        *,
        piece: int = 0,
        jitter: bool = False,
        delay: float = 0.0,
        drop_after: int | None = None,
        reset_after: int | None = None,
        end_after: int | None = None,
        seed: int = 1,
    ) -> None:
        self.piece = piece
        self.jitter = jitter
        self.delay = delay
        self.drop_after = drop_after
        self.reset_after = reset_after
        self.end_after = end_after
        self.random = random.Random(seed)

    def pieces(self, data: bytes) -> list[bytes]:
        if not self.piece:
            return [data]
        result = []
        while data:
            size = self.random.randint(1, self.piece) if self.jitter else self.piece
            result.append(data[:size])
            data = data[size:]
        return result


class _Pair:
    """One connection through the proxy."""

    def __init__(self, client: Any, server: Any) -> None:
        self.client = client
        self.server = server

    def reset(self) -> None:
        for _, writer in (self.client, self.server):
            writer.transport.abort()

    async def forward(self, source: Any, target: Any, fault: Fault) -> None:
        reader, writer = source[0], target[1]
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                limits = [fault.drop_after, fault.reset_after, fault.end_after]
                limit = min((limit for limit in limits if limit is not None), default=None)
                if limit is not None:
                    data = data[: max(0, limit - passed)]
                for piece in fault.pieces(data):
                    if fault.delay:
                        await asyncio.sleep(fault.delay)
                    writer.write(piece)
                    await writer.drain()
                    if fault.piece:
                        await asyncio.sleep(0)
                    passed += len(piece)
                if passed == fault.reset_after:
                    self.reset()
                    return
                if passed == fault.end_after:
                    writer.write_eof()
                    fault.end_after = None
                    fault.drop_after = passed
            writer.write_eof()

    async def close(self) -> None:
        writers = [self.client[1], self.server[1]]
        for writer in writers:
            writer.close()
        await asyncio.gather(*[w.wait_closed() for w in writers], return_exceptions=True)


@contextlib.asynccontextmanager
async def tcp_proxy(
    port: int, *, up: Fault | None = None, down: Fault | None = None
) -> AsyncIterator[int]:
    """Run the proxy in front of a local port.

    Args:
        port: Where it leads.
        up: What happens to bytes on their way to the server.
        down: What happens to bytes on their way to the client.

    Yields:
        The proxy's own port.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await asyncio.open_connection("127.0.0.1", port)
        pair = _Pair((reader, writer), server)
        try:
            await asyncio.gather(
                pair.forward(pair.client, pair.server, up or Fault()),
                pair.forward(pair.server, pair.client, down or Fault()),
            )
        except asyncio.CancelledError:
            pair.reset()
            raise
        finally:
            await pair.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(run(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # uvloop closes its handles in later turns
            await asyncio.sleep(0)
