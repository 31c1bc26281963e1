"""Brings a request to the worker whose session it is for, before a byte of it is answered.

An id of a session names the worker that knows it (see ``engineio/ids.py``). A worker that receives
another one's request passes the connection on: its descriptor, with the bytes read so far, goes
through a Unix socket (``SCM_RIGHTS``), and the other one serves the connection as if it had
accepted it, until a request comes that is somebody else's again. Where the descriptor is not all
(TLS ends in this process), the other one gets one end of a socket pair, and this one copies.

The sockets are of the kind ``SOCK_SEQPACKET``, so that a message stays whole, with its descriptor.
They are in a folder that is the user's alone, and both sides ask the kernel who the other is.
Nothing here ever blocks: when a worker is gone, or takes nothing, the request is served where it
is, which tells the client that there is no such session.
"""

from __future__ import annotations

import array
import asyncio
import json
import logging
import os
import re
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from ..engineio.engine import knows_session
from ..engineio.ids import Owner, owner_of, owner_prefix
from ..errors import UsageError
from .pipe import begin_pipe, connect_pipe
from .settings import Settings

__all__ = ["LOCAL", "MORE", "MOVED", "Handoff", "Origin", "handoff_of", "socket_path"]

# What became of the beginning of a request.
LOCAL = 0  # it is to be served here
MOVED = 1  # it is gone, and the connection with it
MORE = 2  # it does not tell yet whose it is

#: Bytes of one message; a kernel's socket buffer holds several of them.
CHUNK = 60_000

#: Longest beginning of a request that is waited for to tell whose it is.
MAX_LINE = 8192

#: Seconds that the messages of one connection may take to arrive.
DEADLINE = 10.0

#: Addresses that are counted at once; with more of them, the count begins anew.
MAX_ADDRESSES = 10_000

#: Messages that are read at once, before other events of the loop have their turn.
READS_PER_TURN = 32

logger = logging.getLogger("uvicorn.error")

# The alphabet is that of ids; what ends a parameter has to stand behind it.
_find_sid = re.compile(rb"[A-Z]+ [^ \r\n]*?[?&]sid=([A-Za-z0-9_-]{20})[& #\r\n]").match
_forwarded = re.compile(rb"\r\nx-forwarded-for:[ \t]*([^\r\n]*)", re.IGNORECASE).search


class Origin(NamedTuple):
    """Where a connection came from.

    Attributes:
        client: The client's address, ``(host, port)``, where it has one.
        server: The address that it has connected to.
        scheme: ``"http"`` or ``"https"``.
    """

    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    scheme: Literal["http", "https"]


def socket_path(folder: Path, owner: Owner) -> Path:
    """Return where a worker listens for what others pass on.

    Args:
        folder: The folder of the workers' sockets.
        owner: The worker.
    """
    return folder / f"{owner.worker}-{owner.generation}"


def check_folder(folder: Path) -> None:
    """Make sure that nobody else can put sockets into a folder.

    Args:
        folder: The folder.

    Raises:
        UsageError: Somebody can.
    """
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise UsageError(
            f"{folder} is not a folder of this user alone (owner {state.st_uid}, mode"
            f" {stat.filemode(state.st_mode)}); the workers' sockets need one with mode 0700"
        )


def same_user(sock: socket.socket) -> bool:
    """Tell whether the process at the other end of a Unix socket runs as our user.

    Args:
        sock: The socket.
    """
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", data)[1] == os.geteuid())


_handoffs: WeakKeyDictionary[Any, Handoff] = WeakKeyDictionary()


def handoff_of(server_state: Any) -> Handoff | None:
    """Return what brings requests to other workers, where there are some.

    Args:
        server_state: uvicorn's state of the server.
    """
    return _handoffs.get(server_state)


class Handoff:
    """Passes connections on to other workers, and takes those that they pass on.

    Args:
        owner: This worker.
        folder: The folder of the workers' sockets.
        make_protocol: Makes the protocol object of a connection.
        server_state: uvicorn's state of the server.
        settings: The limits.

    Attributes:
        heir: Who takes requests for no session, when this worker takes in no more.
        counters: How often what has happened: ``moved`` (``piped`` of them through this process),
            ``arrived``, ``unknown`` (there was no such session), ``paused`` (not passed on because
            of that), ``failed`` (the other worker was gone, or took nothing), ``refused`` (a
            message or a process that is none of ours).

    Raises:
        UsageError: The folder is not ours alone.
    """

    def __init__(
        self,
        owner: Owner,
        folder: Path,
        make_protocol: Callable[[], Any],
        server_state: Any,
        settings: Settings,
    ) -> None:
        check_folder(folder)
        self.owner = owner
        self.folder = folder
        self.make_protocol = make_protocol
        self.server_state = server_state
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.heir: Owner | None = None
        self.trusted: Any = ()
        self.counters: dict[str, int] = {}
        self._prefix = owner_prefix(owner).encode()
        self._peers: dict[Owner, Peer] = {}
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unknown: dict[str, tuple[float, int]] = {}
        self._paused: dict[str, float] = {}
        self._path = socket_path(folder, owner)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen(128)
        self.loop.add_reader(self._listener.fileno(), self._accept)
        _handoffs[server_state] = self

    def count(self, name: str) -> None:
        """Count what has happened."""
        self.counters[name] = self.counters.get(name, 0) + 1

    # Passing on

    def take(self, connection: Any, transport: Any, data: bytes) -> int:
        """Pass a connection on, if the request that begins on it is another worker's.

        Args:
            connection: The protocol object of the connection, which has nothing going on.
            transport: Its transport.
            data: What has arrived.

        Returns:
            :data:`LOCAL`, :data:`MOVED` or :data:`MORE`.
        """
        found = _find_sid(data)
        if found is None:
            if self.heir is None:
                if len(data) < MAX_LINE and b"\n" not in data:
                    return MORE
                return LOCAL
            owner: Owner | None = self.heir
        elif found[1].startswith(self._prefix):
            return LOCAL
        else:
            owner = owner_of(found[1].decode())
        peer = None if owner is None else self._peer(owner)
        if peer is None:
            return LOCAL
        origin = connection.origin or _origin_of(transport)
        key = self._key(origin, data)
        if found is not None and self._is_paused(key):
            self.count("paused")
            return LOCAL
        if peer.queued >= self.settings.handoff_max_queued:
            self.count("failed")
            return LOCAL
        sid = "" if found is None else found[1].decode()
        return self._move(peer, connection, transport, data, origin, key, sid)

    def _move(
        self,
        peer: Peer,
        connection: Any,
        transport: Any,
        data: bytes,
        origin: Origin,
        key: str,
        sid: str,
    ) -> int:
        own: socket.socket | None = None
        # With TLS, and behind an answer that is not all on its way, the descriptor is not all.
        if transport.get_extra_info("sslcontext") is None and not transport.get_write_buffer_size():
            fd = os.dup(transport.get_extra_info("socket").fileno())
        else:
            own, other = socket.socketpair()
            fd = other.detach()
        note = {"key": key, "sid": sid, "size": len(data), "origin": origin}
        if not peer.send(json.dumps(note).encode(), fd):
            if own is not None:
                own.close()
            self._drop(peer)
            self.count("failed")
            return LOCAL
        for start in range(0, len(data), CHUNK):
            peer.send(data[start : start + CHUNK])
        self.count("moved")
        if own is None:
            transport.abort()  # the connection lives on, by the other descriptor
        else:
            self.count("piped")
            connection.leave()
            front = begin_pipe(self.server_state.connections, transport)
            self.keep(self.loop.create_task(connect_pipe(front, own)))
        return MOVED

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Keep a task from being collected."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _peer(self, owner: Owner) -> Peer | None:
        """Return the way to a worker, if it is there."""
        peer = self._peers.get(owner)
        if peer is not None:
            return peer
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(str(socket_path(self.folder, owner)))
            ours = same_user(sock)
        except OSError:
            sock.close()
            return None
        if not ours:
            sock.close()
            self.count("refused")
            logger.error("The socket of worker %d belongs to another user; unused.", owner.worker)
            return None
        peer = self._peers[owner] = Peer(self, owner, sock)
        return peer

    def _drop(self, peer: Peer) -> None:
        self._peers.pop(peer.owner, None)
        peer.close()

    # Forged ids

    def _key(self, origin: Origin, data: bytes) -> str:
        """Return whom to count: the client, as a trusted proxy in front tells it."""
        host = "" if origin.client is None else origin.client[0]
        if self.trusted and host in self.trusted:
            found = _forwarded(data)
            if found is not None:
                return str(found[1][:200].decode("latin-1").rpartition(",")[2].strip())
        return host

    def _is_paused(self, key: str) -> bool:
        until = self._paused.get(key)
        if until is None:
            return False
        if self.loop.time() < until:
            return True
        del self._paused[key]
        return False

    def unknown(self, key: str) -> None:
        """Take note that a request was passed on for a session that does not exist.

        Args:
            key: Whose request it was.
        """
        self.count("unknown")
        settings = self.settings
        now = self.loop.time()
        since, count = self._unknown.pop(key, (now, 0))
        if now - since > settings.handoff_window:
            since, count = now, 0
        if count < settings.handoff_max_unknown:
            if len(self._unknown) >= MAX_ADDRESSES:
                self._unknown.clear()
            self._unknown[key] = since, count + 1
            return
        if len(self._paused) >= MAX_ADDRESSES:
            self._paused.clear()
        self._paused[key] = now + settings.handoff_pause
        logger.warning(
            "%s asks for too many sessions that do not exist; its requests are not passed on to"
            " other workers for %g seconds.",
            key or "Somebody without an address",
            settings.handoff_pause,
        )

    # Taking over

    def _accept(self) -> None:
        for _ in range(READS_PER_TURN):
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if not same_user(sock):
                self.count("refused")
                logger.error("A process of another user wants to pass connections on; refused.")
                sock.close()
                continue
            sock.setblocking(False)
            self._links.add(Link(self, sock))

    def forget(self, link: Link) -> None:
        """Forget a worker that has gone."""
        self._links.discard(link)

    def arrived(self, sock: socket.socket, origin: Origin, data: bytes) -> None:
        """Serve a connection that another worker has passed on.

        Args:
            sock: The connection.
            origin: Where it came from.
            data: What was read of it.
        """
        self.count("arrived")
        self.keep(self.loop.create_task(self._connect(sock, origin, data)))

    async def _connect(self, sock: socket.socket, origin: Origin, data: bytes) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: Arrival(self, origin, data), sock)
        except OSError:
            sock.close()  # the client has gone

    def close(self) -> None:
        """Take nothing more, and pass nothing more on; what has arrived is still served."""
        self._path.unlink(missing_ok=True)
        self._accept()
        self.loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for link in list(self._links):
            link.read()
            link.close()
        for peer in list(self._peers.values()):
            self._drop(peer)


class Peer:
    """The way to another worker.

    Args:
        handoff: Whose it is.
        owner: The other worker.
        sock: The socket, connected.

    Attributes:
        queued: Bytes that the other worker has not taken yet.
    """

    def __init__(self, handoff: Handoff, owner: Owner, sock: socket.socket) -> None:
        self.handoff = handoff
        self.owner = owner
        self.sock = sock
        self.queued = 0
        self._queue: deque[tuple[bytes, int]] = deque()
        handoff.loop.add_reader(sock.fileno(), self._read)

    def send(self, message: bytes, fd: int = -1) -> bool:
        """Send a message, now or when the other worker takes it.

        Args:
            message: The message.
            fd: A descriptor to send along, which is closed here.

        Returns:
            ``False`` when the other worker is gone.
        """
        if not self._queue:
            try:
                self._send(message, fd)
                return True
            except (BlockingIOError, InterruptedError):
                self.handoff.loop.add_writer(self.sock.fileno(), self._flush)
            except OSError:
                if fd >= 0:
                    os.close(fd)
                return False
        self._queue.append((message, fd))
        self.queued += len(message)
        return True

    def _send(self, message: bytes, fd: int) -> None:
        rights = array.array("i", [fd]) if fd >= 0 else None
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights is not None else []
        self.sock.sendmsg([message], extra, socket.MSG_NOSIGNAL)
        if fd >= 0:
            os.close(fd)

    def _flush(self) -> None:
        while self._queue:
            message, fd = self._queue[0]
            try:
                self._send(message, fd)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.handoff._drop(self)
                return
            self._queue.popleft()
            self.queued -= len(message)
        self.handoff.loop.remove_writer(self.sock.fileno())

    def _read(self) -> None:
        """Hear of sessions that the other worker does not know."""
        for _ in range(READS_PER_TURN):
            try:
                key = self.sock.recv(1024)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                key = b""
            if not key:
                self.handoff._drop(self)
                return
            self.handoff.unknown(key[1:].decode("latin-1"))

    def close(self) -> None:
        """Close the way; what was not taken is closed, too."""
        if self.sock.fileno() >= 0:
            self.handoff.loop.remove_reader(self.sock.fileno())
            self.handoff.loop.remove_writer(self.sock.fileno())
            self.sock.close()
        for _, fd in self._queue:
            if fd >= 0:
                os.close(fd)
        self._queue.clear()
        self.queued = 0


class Link:
    """The way from another worker.

    Args:
        handoff: Whose it is.
        sock: The socket, accepted.
    """

    def __init__(self, handoff: Handoff, sock: socket.socket) -> None:
        self.handoff = handoff
        self.sock = sock
        # The connection that is arriving: its socket, what is told of it, and what was read of it.
        self._coming: socket.socket | None = None
        self._note: dict[str, Any] = {}
        self._data = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        handoff.loop.add_reader(sock.fileno(), self.read)

    def read(self) -> None:
        """Read what the other worker sends."""
        for _ in range(READS_PER_TURN):
            if self.sock.fileno() < 0:
                return
            try:
                message, fds, flags, _ = socket.recv_fds(
                    self.sock, 65_536, 4, socket.MSG_CMSG_CLOEXEC
                )
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                message, fds, flags = b"", [], 0
            if not message:
                _close_all(fds)
                self.close()
                return
            self._take(message, fds, flags)

    def _take(self, message: bytes, fds: list[int], flags: int) -> None:
        truncated = flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        if self._coming is None:
            if truncated or len(fds) != 1 or not self._begin(message, fds[0]):
                self._refuse(fds)
        elif fds or truncated:
            self._refuse(fds)
        else:
            self._data += message
        if self._coming is not None and len(self._data) >= self._note["size"]:
            self._finish()

    def _begin(self, message: bytes, fd: int) -> bool:
        """Take the first message; return whether it is one."""
        try:
            note = json.loads(message)
            size, key, sid = note["size"], note["key"], note["sid"]
            client, server, scheme = note["origin"]
        except (ValueError, KeyError, TypeError):
            return False
        limit = self.handoff.settings.handoff_max_queued
        right = isinstance(size, int) and 0 < size <= limit and scheme in ("http", "https")
        if not right or not isinstance(key, str) or not isinstance(sid, str):
            return False
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        self._note = {
            "size": size,
            "key": key,
            "sid": sid,
            "origin": Origin(
                tuple(client) if client else None, tuple(server) if server else None, scheme
            ),
        }
        self._data = bytearray()
        self._coming = socket.socket(fileno=fd)
        self._timer = self.handoff.loop.call_later(DEADLINE, self._late)
        return True

    def _finish(self) -> None:
        assert self._coming is not None
        assert self._timer is not None
        self._timer.cancel()
        sock, self._coming = self._coming, None
        note, data = self._note, bytes(self._data)
        self._data = bytearray()
        sock.setblocking(False)
        if note["sid"] and not knows_session(self.handoff.loop, note["sid"]):
            try:
                # A message has to have a byte, and there may be no address.
                self.sock.send(b"-" + note["key"].encode("latin-1", "replace"))
            except OSError:
                pass  # it is busy, or gone: then it is not told
        self.handoff.arrived(sock, note["origin"], data)

    def _refuse(self, fds: list[int]) -> None:
        _close_all(fds)
        self.handoff.count("refused")
        logger.error("What another process has passed on is not a connection; refused.")
        self.close()

    def _late(self) -> None:
        self.handoff.count("refused")
        logger.error("A connection that was passed on did not arrive whole in time.")
        self.close()

    def close(self) -> None:
        """Close the way, and what has not arrived whole."""
        if self._timer is not None:
            self._timer.cancel()
        if self._coming is not None:
            self._coming.close()
            self._coming = None
        if self.sock.fileno() >= 0:
            self.handoff.loop.remove_reader(self.sock.fileno())
            self.sock.close()
        self.handoff.forget(self)


class Arrival(asyncio.Protocol):
    """The first protocol object of a connection that another worker has passed on.

    Args:
        handoff: What has taken it.
        origin: Where it came from.
        data: What was read of it.
    """

    def __init__(self, handoff: Handoff, origin: Origin, data: bytes) -> None:
        self.handoff = handoff
        self.origin = origin
        self.data = data
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Take the transport (called by asyncio)."""
        self.transport = transport
        # Not here, where the transport is not ready for another protocol object yet.
        self.handoff.loop.call_soon(self.begin)

    def data_received(self, data: bytes) -> None:
        """Keep what comes meanwhile (called by asyncio)."""
        self.data += data

    def begin(self) -> None:
        """Go on as if the connection had been accepted here."""
        if self.transport.is_closing():
            return
        protocol = self.handoff.make_protocol()
        protocol.connection_made(self.transport)
        protocol.arrive(self.origin)
        self.transport.set_protocol(protocol)
        protocol.data_received(self.data)


def _origin_of(transport: Any) -> Origin:
    peer = transport.get_extra_info("peername")
    name = transport.get_extra_info("sockname")
    return Origin(
        (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) and peer else None,
        (str(name[0]), int(name[1])) if isinstance(name, tuple) and name else None,
        "http" if transport.get_extra_info("sslcontext") is None else "https",
    )


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
