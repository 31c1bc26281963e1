"""The bytes below a blocking WebSocket: a plain socket, a TLS socket, or something like one.

A transport reads and writes with a timeout. Reading and writing happen in two threads at once.
"""

from __future__ import annotations

import select
import ssl
from math import ceil
from socket import SHUT_RDWR, SHUT_WR, socket
from threading import Lock
from typing import Any, Protocol

__all__ = ["ForeignTransport", "SocketTransport", "TLSTransport", "Transport", "make_transport"]

#: Reading from a socket-like object that can only return bytes: how many it is asked for.
FOREIGN_READ = 16384


class Transport(Protocol):
    """What a channel needs of the bytes below it.

    Attributes:
        sock: The socket.
        can_peek: Whether bytes can be looked at without taking them.
    """

    sock: Any
    can_peek: bool

    def receive_into(self, buffer: bytearray | memoryview, count: int = 0, flags: int = 0) -> int:
        """Read into a buffer, and return how many bytes; 0 at the end of the stream."""
        ...

    def receive_now(self, buffer: bytearray | memoryview, count: int = 0, flags: int = 0) -> int:
        """Read without waiting, when :meth:`wait` has told that there is something."""
        ...

    def send(self, data: bytes | memoryview) -> int:
        """Write what fits, at least one byte, and return how many."""
        ...

    def settimeout(self, timeout: float | None) -> None:
        """Set how many seconds each of the above may take."""
        ...

    def wait(self, timeout: float | None) -> bool:
        """Wait until there is something to read; tell whether there is."""
        ...

    def pending(self) -> bool:
        """Tell whether there is something to read that the socket does not show."""
        ...

    def finish(self) -> None:
        """End the stream that is sent; receiving goes on."""
        ...

    def shutdown(self) -> None:
        """End the connection both ways, which wakes up whoever waits for it."""
        ...

    def close(self) -> None:
        """Close the socket."""
        ...


class _Base:
    """What all transports have in common."""

    can_peek = False

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def settimeout(self, timeout: float | None) -> None:
        self.sock.settimeout(timeout)

    def wait(self, timeout: float | None) -> bool:
        return wait_for(self.sock, timeout)

    def pending(self) -> bool:
        return False

    def finish(self) -> None:
        self._shutdown(SHUT_WR)

    def shutdown(self) -> None:
        self._shutdown(SHUT_RDWR)

    def _shutdown(self, how: int) -> None:
        try:
            self.sock.shutdown(how)
        except (OSError, AttributeError):
            pass  # it has ended already, or cannot be ended so

    def close(self) -> None:
        self.sock.close()


class SocketTransport(_Base):
    """A plain socket, which threads may share as it is.

    Args:
        sock: The socket, connected.
    """

    can_peek = True

    def __init__(self, sock: socket) -> None:
        super().__init__(sock)
        # The socket's own methods: nothing stands between a message and the system.
        self.receive_into = self.receive_now = sock.recv_into
        self.send = sock.send


class ForeignTransport(_Base):
    """An object that is like a socket: it has at least ``recv``, ``send`` and ``close``.

    Args:
        sock: The object.
    """

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.send = sock.send

    def receive_into(self, buffer: bytearray | memoryview, count: int = 0, flags: int = 0) -> int:
        """Read into a buffer, by way of ``recv``."""
        data = self.sock.recv(min(count or len(buffer), FOREIGN_READ))
        buffer[: len(data)] = data
        return len(data)

    receive_now = receive_into

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout, if the object knows of one."""
        if hasattr(self.sock, "settimeout"):
            self.sock.settimeout(timeout)


class TLSTransport(_Base):
    """A TLS socket, made safe for reading and writing in two threads at once.

    OpenSSL does not allow that, so each call is made under a lock, and never waits in it: the
    socket is set not to block, and waiting is done here. Even a client that only reads needs this,
    since its reading answers pings while another thread sends.

    Args:
        sock: The socket, connected, its handshake done.
        timeout: Seconds that reading or writing may take; ``None`` for ever, 0 for not at all.
    """

    def __init__(self, sock: ssl.SSLSocket, timeout: float | None) -> None:
        super().__init__(sock)
        self.timeout = timeout
        self._lock = Lock()
        self._receive_into = sock.recv_into
        self._send = sock.send
        # The socket's own method, as the channel may have put another one in its place.
        self._pending = sock.pending
        sock.setblocking(False)

    def settimeout(self, timeout: float | None) -> None:
        """Set how many seconds reading and writing may take."""
        self.timeout = timeout

    def receive_into(self, buffer: bytearray | memoryview, count: int = 0, flags: int = 0) -> int:
        """Read into a buffer, and return how many bytes; 0 at the end of the stream."""
        # Asking first saves the exception that is raised when there is nothing yet.
        ready = self.timeout == 0 or self._pending() > 0
        while True:
            if not ready and not wait_for(self.sock, self.timeout):
                raise TimeoutError("timed out")
            write = False
            with self._lock:
                try:
                    return self._receive_into(buffer, count)
                except ssl.SSLWantReadError:
                    if self.timeout == 0:
                        raise
                except ssl.SSLWantWriteError:
                    if self.timeout == 0:
                        raise
                    write = True
            # A part of a record, or one that carries no data; or TLS itself has something to say.
            ready = False
            if write and not wait_for(self.sock, self.timeout, write=True):
                raise TimeoutError("timed out")

    def receive_now(self, buffer: bytearray | memoryview, count: int = 0, flags: int = 0) -> int:
        """Read what OpenSSL has, or can get, without waiting."""
        with self._lock:
            return self._receive_into(buffer, count)

    def send(self, data: bytes | memoryview) -> int:
        """Write what fits, and return how many bytes."""
        while True:
            write = True
            with self._lock:
                try:
                    return self._send(data)
                except ssl.SSLWantWriteError:
                    if self.timeout == 0:
                        raise
                except ssl.SSLWantReadError:
                    if self.timeout == 0:
                        raise
                    write = False
            if not wait_for(self.sock, self.timeout, write=write):
                raise TimeoutError("timed out")

    def wait(self, timeout: float | None) -> bool:
        """Wait until there is something to read; tell whether there is."""
        return self._pending() > 0 or wait_for(self.sock, timeout)

    def pending(self) -> bool:
        """Tell whether OpenSSL has something that has been taken from the socket."""
        return self._pending() > 0

    def _shutdown(self, how: int) -> None:
        try:
            # Not SSLSocket's own, which would take away what another thread is using.
            socket.shutdown(self.sock, how)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        """Close the socket, when nobody is using it."""
        with self._lock:
            self.sock.close()


def make_transport(sock: Any, timeout: float | None) -> Transport:
    """Make the transport for a socket.

    Args:
        sock: The socket, connected, or an object like one.
        timeout: Seconds that reading or writing may take; ``None`` for ever, 0 for not at all.

    Returns:
        The transport.
    """
    transport: Transport
    if isinstance(sock, ssl.SSLSocket):
        transport = TLSTransport(sock, timeout)
    elif isinstance(sock, socket):
        transport = SocketTransport(sock)
    else:
        transport = ForeignTransport(sock)
    transport.settimeout(timeout)
    return transport


def wait_for(sock: Any, timeout: float | None, *, write: bool = False) -> bool:
    """Wait until a socket can be read from, or written to.

    Args:
        sock: The socket.
        timeout: Seconds to wait at most; ``None`` for ever.
        write: Whether to wait until it can be written to.

    Returns:
        Whether it can be; also when it has failed, which reading or writing then tells.
    """
    if sock.fileno() < 0:
        return True  # closed by another thread
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(None if timeout is None else ceil(max(timeout, 0) * 1000)))
    # Windows has no poll(), and no limit of 1024 descriptors in its select().
    lists = ([], [sock], [sock]) if write else ([sock], [], [sock])
    return any(select.select(*lists, None if timeout is None else max(timeout, 0)))
