"""Servers for the tests of the blocking API: real ones, and scripted ones that misbehave."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Self

from websockets.sync.server import ServerConnection, serve

from duplexio.websocket.frames import Frame, Opcode
from duplexio.websocket.handshake import accept_key
from duplexio.websocket.http11 import Request, parse_request
from duplexio.websocket.sync import create_connection

Handler = Callable[[ServerConnection], None]

QUIET = logging.getLogger("tests.quiet")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


@contextlib.contextmanager
def websockets_server(handler: Handler, **options) -> Iterator[str]:
    """Run a server of the websockets library in a thread; gives its URL."""
    tls = options.get("ssl") is not None
    with serve(handler, "127.0.0.1", 0, logger=QUIET, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.socket.getsockname()[1]
            yield f"wss://localhost:{port}" if tls else f"ws://127.0.0.1:{port}"
        finally:
            server.shutdown()
            thread.join()


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


class Peer:
    """A scripted server's side of one connection."""

    request: Request

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.stream = sock.makefile("rb")

    def close(self) -> None:
        self.stream.close()
        self.sock.close()

    def read_head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            if not line:
                return b""
            head += line
        return head

    def shake_hands(self, *lines: str, behind: bytes = b"") -> None:
        """Answer the handshake, with further header lines, and with bytes right behind."""
        self.request = parse_request(self.read_head())
        answer = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_key(self.request.headers['Sec-WebSocket-Key'])}",
            *lines,
        ]
        self.sock.sendall("".join(f"{line}\r\n" for line in (*answer, "")).encode() + behind)

    def send(self, opcode: int, data: bytes = b"", **bits) -> None:
        self.sock.sendall(Frame(opcode, data, **bits).serialize())

    def read_frame(self) -> tuple[int, bytes]:
        """Read a client's frame; (-1, b"") at the end of the stream."""
        head = self.stream.read(2)
        if len(head) < 2:
            return -1, b""
        assert head[1] & 0x80, "a client's frame must be masked"
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.stream.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.stream.read(8))
        key = self.stream.read(4)
        data = self.stream.read(length)
        return head[0], bytes(byte ^ key[i % 4] for i, byte in enumerate(data))

    def read_close(self) -> bytes:
        """Read frames up to the close frame; return its payload."""
        while True:
            first, data = self.read_frame()
            if first in (-1, 0x80 | Opcode.CLOSE):
                return data

    def read_to_end(self) -> bytes:
        try:
            return self.stream.read()
        except OSError:
            return b""

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class ScriptedServer:
    """Runs a function for each connection, one after the other; what it raises fails the test."""

    def __init__(
        self, script: Callable[[Peer], object], context: ssl.SSLContext | None = None
    ) -> None:
        self.script = script
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.errors: list[BaseException] = []
        self.thread = threading.Thread(target=self.run)

    @property
    def url(self) -> str:
        if self.context is not None:
            return f"wss://localhost:{self.port}/"
        return f"ws://127.0.0.1:{self.port}/"

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(20)
            peer = None
            try:
                if self.context is not None:
                    sock = self.context.wrap_socket(sock, server_side=True)
                peer = Peer(sock)
                self.script(peer)
            except ssl.SSLError:
                pass  # the client did not want to talk
            except BaseException as exc:
                self.errors.append(exc)
            finally:
                (peer or sock).close()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error) -> None:
        # Closing alone does not wake up accept().
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(20)
        assert not self.thread.is_alive()
        if error[0] is None and self.errors:
            raise self.errors[0]


class Relay:
    """Copies bytes both ways between two sockets, until either ends."""

    @staticmethod
    def run(left: socket.socket, right: socket.socket) -> None:
        def copy(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
            for sock in (source, target):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

        back = threading.Thread(target=copy, args=(right, left))
        back.start()
        copy(left, right)
        back.join()


class HTTPProxy(ScriptedServer):
    """An HTTP proxy that knows CONNECT; remembers the requests."""

    def __init__(self, credentials: str | None = None, target: int | None = None) -> None:
        super().__init__(self.serve)
        self.credentials = credentials
        self.target = target
        self.requests: list[str] = []

    def serve(self, peer: Peer) -> None:
        head = peer.read_head().decode()
        if not head:
            return
        self.requests.append(head.split("\r\n")[0])
        if self.credentials is not None:
            wanted = [
                line.split("Basic ")[1]
                for line in head.split("\r\n")
                if line.startswith("Proxy-Authorization: Basic ")
            ]
            if not wanted or b64decode(wanted[0]).decode() != self.credentials:
                peer.sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
        port = head.split()[1].rsplit(":", 1)[1]
        with socket.create_connection(("127.0.0.1", self.target or int(port))) as onward:
            peer.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            Relay.run(peer.sock, onward)


class SOCKSProxy(ScriptedServer):
    """A SOCKS proxy, version 4 (and 4a) or 5; remembers what it was asked for."""

    def __init__(self, credentials: tuple[str, str] | None = None, refuse: bool = False) -> None:
        super().__init__(self.serve)
        self.credentials = credentials
        self.refuse = refuse
        self.requests: list[tuple[int, str, int]] = []

    def serve(self, peer: Peer) -> None:
        read = peer.stream.read
        version = read(1)
        if version == b"\x04":
            host, port = self.read_socks4(peer)
            answers = b"\0\x5b" + bytes(6), b"\0\x5a" + bytes(6)
        elif version == b"\x05":
            methods = read(read(1)[0])
            if self.credentials is None:
                peer.sock.sendall(b"\x05\x00")
            else:
                assert 2 in methods
                peer.sock.sendall(b"\x05\x02")
                read(1)
                name, password = read(read(1)[0]).decode(), read(read(1)[0]).decode()
                good = (name, password) == self.credentials
                peer.sock.sendall(b"\x01\x00" if good else b"\x01\x01")
                if not good:
                    return
            _, _, _, kind = read(4)
            host = socket.inet_ntoa(read(4)) if kind == 1 else read(read(1)[0]).decode()
            (port,) = struct.unpack("!H", read(2))
            answers = b"\x05\x05\x00\x01" + bytes(6), b"\x05\x00\x00\x01" + bytes(6)
        else:
            return
        self.requests.append((version[0], host, port))
        if self.refuse:
            peer.sock.sendall(answers[0])
            return
        with socket.create_connection(("127.0.0.1", port)) as onward:
            peer.sock.sendall(answers[1])
            Relay.run(peer.sock, onward)

    @staticmethod
    def read_socks4(peer: Peer) -> tuple[str, int]:
        def text() -> str:
            data = b""
            while (byte := peer.stream.read(1)) != b"\0":
                data += byte
            return data.decode()

        peer.stream.read(1)
        (port,) = struct.unpack("!H", peer.stream.read(2))
        address = peer.stream.read(4)
        text()
        # 4a: an address that cannot be, and the name behind the user's.
        host = text() if address[:3] == b"\0\0\0" and address[3] else socket.inet_ntoa(address)
        return host, port


@contextlib.contextmanager
def talking_to(script, **options):
    """Connect to a scripted server, which shakes hands first."""

    def run(peer: Peer) -> None:
        peer.shake_hands()
        script(peer)

    with ScriptedServer(run) as server, create_connection(server.url, timeout=10, **options) as ws:
        yield ws
