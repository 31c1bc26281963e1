"""Peers that say exactly what a test wants them to say, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

from duplexio.websocket import Server, serve
from duplexio.websocket.frames import Close, Frame, Opcode
from duplexio.websocket.handshake import accept_key
from duplexio.websocket.http11 import Request, parse_request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x01\x02\x03\x04"

QUIET = logging.getLogger("tests.quiet")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


@contextlib.asynccontextmanager
async def serving(handler: Any, **options: Any) -> AsyncIterator[Server]:
    """Run a server of ours; it must end within five seconds when the test is over."""
    options.setdefault("compression", None)
    server = await serve(handler, "127.0.0.1", 0, **options)
    try:
        yield server
    finally:
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)


def port_of(server: Any) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def uri_of(server: Any, path: str = "/") -> str:
    return f"ws://127.0.0.1:{port_of(server)}{path}"


def upgrade(*lines: str, path: str = "/", host: str = "localhost") -> bytes:
    """Write a request that opens a WebSocket, with further header lines."""
    head = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
        *lines,
    ]
    return "".join(f"{line}\r\n" for line in (*head, "")).encode()


def masked(
    opcode: int, data: bytes = b"", *, fin: bool = True, rsv1: bool = False, mask: bytes = MASK
) -> bytes:
    """Write a frame as clients send it."""
    return Frame(opcode, data, fin=fin, rsv1=rsv1).serialize(mask)


def unmasked(opcode: int, data: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """Write a frame as servers send it."""
    return Frame(opcode, data, fin=fin, rsv1=rsv1).serialize()


def close_payload(code: int, reason: str = "") -> bytes:
    return Close(code, reason).serialize()


class Raw:
    """One side of a TCP connection, read and written by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def open(cls, port: int, *lines: str, behind: bytes = b"") -> Self:
        """Connect and open a WebSocket; `behind` is sent together with the request."""
        raw = await cls.connect(port)
        raw.send(upgrade(*lines) + behind)
        head = await raw.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return raw

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read_head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    async def read_all(self) -> bytes:
        """Read until the other side closes."""
        return await asyncio.wait_for(self.reader.read(), 5)

    async def read_frame(self) -> Frame:
        """Read one frame, and take its mask off."""
        return await asyncio.wait_for(self._read_frame(), 5)

    async def _read_frame(self) -> Frame:
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4) if second & 0x80 else b""
        data = await self.reader.readexactly(size)
        if mask:
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        return Frame(first & 0x0F, data, fin=bool(first & 0x80), rsv1=bool(first & 0x40))

    async def read_close(self) -> Close:
        """Read frames up to a close frame."""
        while True:
            frame = await self.read_frame()
            if frame.opcode == Opcode.CLOSE:
                return Close.parse(frame.data)

    def abort(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await asyncio.wait_for(self.writer.wait_closed(), 5)

    async def accept(self, *lines: str, behind: bytes = b"") -> Request:
        """Answer the request of a client, with further header lines and with bytes right behind."""
        request = parse_request(await self.read_head())
        answer = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_key(request.headers['Sec-WebSocket-Key'])}",
            *lines,
        ]
        self.send("".join(f"{line}\r\n" for line in (*answer, "")).encode() + behind)
        return request


@contextlib.asynccontextmanager
async def raw_server(script: Callable[[Raw], Awaitable[None]]) -> AsyncIterator[Any]:
    """Run a scripted server; an exception in the script fails the test."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = Raw(reader, writer)
        try:
            await script(raw)
        finally:
            await raw.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(run(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server
    finally:
        server.close()
        for _ in range(3):  # what was accepted gets its task now
            await asyncio.sleep(0)
        for task in tasks:
            if not task.done():
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                raise result
