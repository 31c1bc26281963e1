"""A blocking client: send a message, wait for its echo, again, on one connection.

`socket` is the floor: one prepared frame through the socket module, no WebSocket library at all.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import time
from collections.abc import Callable

RoundTrip = Callable[[str], str | bytes]


def bare_socket(port: int, message: str) -> RoundTrip:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(4096)
    payload = message.encode()
    if len(payload) > 125:
        raise SystemExit("the bare socket sends messages of up to 125 bytes")
    # A key of zeros, which only a client that measures itself may use, leaves the payload as is.
    frame = bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload

    def round_trip(_: str) -> str:
        sock.sendall(frame)
        return sock.recv(4096)[2:].decode()

    return round_trip


def duplexio_client(port: int, _: str) -> RoundTrip:
    from duplexio import websocket

    ws = websocket.create_connection(f"ws://127.0.0.1:{port}/")

    def round_trip(message: str) -> str | bytes:
        ws.send(message)
        return ws.recv()

    return round_trip


def websocket_client(port: int, _: str) -> RoundTrip:
    import websocket

    ws = websocket.create_connection(f"ws://127.0.0.1:{port}/")

    def round_trip(message: str) -> str | bytes:
        ws.send(message)
        return ws.recv()

    return round_trip


def websockets_sync(port: int, _: str) -> RoundTrip:
    from websockets.sync.client import connect

    ws = connect(f"ws://127.0.0.1:{port}/", compression=None)

    def round_trip(message: str) -> str | bytes:
        ws.send(message)
        return ws.recv()

    return round_trip


LIBRARIES = {
    "socket": bare_socket,
    "duplexio": duplexio_client,
    "websocket-client": websocket_client,
    "websockets": websockets_sync,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--warm", type=float, default=0.3)
    arguments = parser.parse_args()

    message = ("0123456789abcdef" * (arguments.size // 16 + 1))[: arguments.size]
    round_trip = LIBRARIES[arguments.library](arguments.port, message)
    for seconds in (arguments.warm, arguments.seconds):
        cpu, begun = time.process_time_ns(), time.monotonic_ns()
        end = begun + int(seconds * 1e9)
        count = 0
        while time.monotonic_ns() < end:
            for _ in range(20):
                if round_trip(message) != message:
                    raise SystemExit("the echo differs")
            count += 20
        cpu, wall = time.process_time_ns() - cpu, time.monotonic_ns() - begun
    result = {"cpu_us": cpu / count / 1e3, "wall_us": wall / count / 1e3, "count": count}
    print(json.dumps(result), flush=True)
    os._exit(0)  # no closing handshake: libraries differ in how long they wait, which is no row


if __name__ == "__main__":
    main()
