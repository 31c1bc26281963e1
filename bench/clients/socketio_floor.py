"""The floor for Socket.IO clients: prepared bytes through the socket module, no protocol at all."""

from __future__ import annotations

import base64
import json
import os
import socket

from bench.clients._socketio import MESSAGE, Window, finish, parse_arguments


def open_socket(port: int) -> socket.socket:
    """Open a WebSocket and connect to the namespace."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    received = b""
    while b"}" not in received:
        received += sock.recv(4096)
    sock.sendall(_frame("40"))
    received = b""
    while b"}" not in received:
        received += sock.recv(4096)
    return sock


def _frame(text: str) -> bytes:
    payload = text.encode()
    # A key of zeros, which only a client that measures itself may use, leaves the payload as is.
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def main() -> None:
    arguments = parse_arguments()
    if arguments.mode != "ack":
        raise SystemExit("the floor is of --mode ack")
    sock = open_socket(arguments.port)
    data = json.dumps(MESSAGE, separators=(",", ":"))
    request = _frame(f'42123["ack",{data}]')
    answer = f"43123[{data}]".encode()
    for seconds in (arguments.warm, arguments.seconds):
        window = Window(seconds)
        while not window.is_over:
            for _ in range(20):
                sock.sendall(request)
                if sock.recv(4096)[2:] != answer:
                    raise SystemExit("the server's acknowledgement differs")
            window.count += 20
        result = window.result()
    finish(result)


if __name__ == "__main__":
    main()
