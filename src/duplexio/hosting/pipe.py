"""Copies between a connection and another worker, where the descriptor cannot be passed on."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

__all__ = ["PipeEnd", "begin_pipe", "connect_pipe"]


def begin_pipe(connections: set[Any], transport: Any) -> PipeEnd:
    """Take a connection from its protocol object, at once: more of it may be on its way to that.

    Args:
        connections: All connections of the server, of which the pipe becomes one.
        transport: The connection.

    Returns:
        What :func:`connect_pipe` goes on with.
    """
    front = PipeEnd(connections)
    front.transport = transport
    connections.add(front)
    transport.set_protocol(front)
    transport.pause_reading()
    return front


async def connect_pipe(front: PipeEnd, sock: socket.socket) -> None:
    """Copy between a connection and a socket that another worker serves, until one of them ends.

    Args:
        front: The connection.
        sock: The socket.
    """
    transport = front.transport
    sock.setblocking(False)
    try:
        _, back = await asyncio.get_running_loop().create_connection(
            lambda: PipeEnd(front.connections), sock=sock
        )
    except OSError:
        sock.close()
        transport.close()
        return
    front.other, back.other = back, front
    # Both may have received something in the meantime.
    back.transport.write(front.early)
    transport.write(back.early)
    front.early = back.early = b""
    if transport.is_closing() or back.transport.is_closing():
        transport.close()
        back.transport.close()
        return
    transport.resume_reading()


class PipeEnd(asyncio.Protocol):
    """One of the two connections between which is copied.

    Args:
        connections: All connections of the server.

    Attributes:
        transport: The transport.
        other: The other end.
        early: What has arrived before there was one.
    """

    def __init__(self, connections: set[Any]) -> None:
        self.connections = connections
        self.transport: Any = None
        self.other: PipeEnd | None = None
        self.early = b""

    def connection_made(self, transport: Any) -> None:
        """Take the transport (called by asyncio)."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Copy (called by asyncio)."""
        if self.other is None:
            self.early += data
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Read no more from the other end (called by asyncio)."""
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other end again (called by asyncio)."""
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end, behind what was copied (called by asyncio)."""
        self.connections.discard(self)
        other, self.other = self.other, None
        if other is not None:
            other.other = None
            other.transport.close()

    def shutdown(self) -> None:
        """Close the connection, since the server stops."""
        self.transport.close()
