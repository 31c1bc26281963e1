"""Runs the load generator, and stands in for servers that err."""

import base64
import contextlib
import hashlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

from bench.measure import Machinery, Sample

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n\r\n"
)


def generate(machinery: Machinery, port: int, pid: int, *arguments: str) -> Sample:
    """Run the generator for a moment."""
    mode, *rest = arguments
    command = [str(machinery.native.load), mode, "--port", str(port), "--pid", str(pid)]
    return machinery.run([*command, "--seconds", "0.1", "--warm", "0.05", *rest], timeout=30)


def accept_key(key: str) -> bytes:
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest)


def shake_hands(connection: socket.socket, accept: bytes | None = None) -> None:
    """Read the request of a WebSocket and accept it, with a wrong key if one is given."""
    head = connection.recv(4096).decode()
    key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    connection.sendall(ACCEPTED % (accept or accept_key(key)))


@contextlib.contextmanager
def server_of_one(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, int]]:
    """Serve one connection in a thread; give its port, and a process whose CPU clock is read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        bystander = subprocess.Popen(["sleep", "60"])
        try:
            yield listener.getsockname()[1], bystander.pid
        finally:
            bystander.kill()
            bystander.wait()
            thread.join()
