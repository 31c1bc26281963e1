"""Servers as their users start them, in processes of their own."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme

ROOT = Path(__file__).parents[2]
PROTOCOL = "duplexio.hosting.uvicorn:Protocol"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Server:
    """A server that was started.

    Attributes:
        port: Where it listens.
        process: Its process.
        tls: The client's settings, when it uses TLS.
    """

    def __init__(self, process, tls=None):
        self.process = process
        self.tls = tls
        self.port = 0
        self._lines = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._lines.append(None)
            self._changed.notify_all()

    @property
    def log(self):
        with self._changed:
            return "\n".join(line for line in self._lines if line is not None)

    def wait_for(self, pattern, count=1, timeout=30.0):
        """Wait until a pattern stands in so many lines of the log; return the last match."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [m for line in self._lines if line and (m := re.search(pattern, line))]
                if len(found) >= count:
                    return found[count - 1]
                ended = self._lines and self._lines[-1] is None
                remaining = deadline - time.monotonic()
                if ended or remaining <= 0:
                    log = "\n".join(line or "" for line in self._lines)
                    raise AssertionError(f"no {pattern!r} x {count} in the log:\n{log}")
                self._changed.wait(remaining)

    def wait_until_it_accepts(self, timeout=10.0):
        """Wait until a connection succeeds: not every server listens when it says so."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=timeout).close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, self.log
                time.sleep(0.02)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=20.0):
        """Wait for the end of the process; return its exit status."""
        status = self.process.wait(timeout)
        self._thread.join(timeout)
        return status

    # Clients

    @property
    def http(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def uri(self, path):
        return f"{'wss' if self.tls else 'ws'}://localhost:{self.port}{path}"

    def socket(self, timeout=10.0):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        if self.tls is not None:
            sock = self.tls.wrap_socket(sock, server_hostname="localhost")
        return sock

    def get(self, path, headers=()):
        """Return the status, the head and the body of a GET."""
        with self.socket() as sock:
            lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
            sock.sendall("\r\n".join([*lines, "", ""]).encode())
            return split_response(receive_all(sock))


def start(arguments, *, tls=None, environ=None, cwd=ROOT):
    """Start `python -m ...`; the port must be in what it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            **(environ or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Server(process, tls)


@contextmanager
def running(arguments, *, tls=None, environ=None, cwd=ROOT, ready=r"startup complete") -> Iterator:
    """Run a server as long as the context lasts."""
    # Granian does not say which port it was given, so it is told one that was free just now.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = [argument.format(port=port) for argument in arguments]
    server = start(arguments, tls=tls, environ=environ, cwd=cwd)
    try:
        if "--uds" not in arguments:
            server.port = int(server.wait_for(r"https?://(?:127\.0\.0\.1|localhost):(\d+)")[1])
            server.wait_for(ready)
            server.wait_until_it_accepts()
        else:
            server.wait_for(ready)
        yield server
    finally:
        if server.process.poll() is None:
            server.terminate()
            try:
                server.wait()
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.wait()
                raise AssertionError(f"the server did not stop:\n{server.log}") from None
        server.process.stdout.close()


@contextmanager
def running_together(contexts) -> Iterator:
    """Enter contexts of servers at once; yield what they yield, by the same names."""
    with ExitStack() as stack, ThreadPoolExecutor(len(contexts)) as pool:
        entering = {name: pool.submit(context.__enter__) for name, context in contexts.items()}
        for name, future in entering.items():
            if future.exception() is None:
                stack.push(contexts[name].__exit__)
        yield {name: future.result() for name, future in entering.items()}


def uvicorn(app, *flags):
    """Arguments of uvicorn with the front door."""
    return ["uvicorn", app, "--port", "0", "--http", PROTOCOL, *flags]


class Certificates:
    """A certificate for localhost, and what a client needs to trust it."""

    def __init__(self, folder):
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        self.cert = folder / "cert.pem"
        self.key = folder / "key.pem"
        certificate.private_key_pem.write_to_path(self.key)
        for i, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(self.cert, append=i > 0)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)

    @property
    def flags(self):
        return ["--ssl-certfile", str(self.cert), "--ssl-keyfile", str(self.key)]


# Raw HTTP and frames, for what no client library does


def handshake(path, *lines):
    """The bytes of a request for a WebSocket."""
    head = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode()


def text_frame(text):
    """A masked text frame of a client; the mask is zero."""
    payload = text.encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def receive_until(sock, end):
    """Receive up to some bytes; return what came before them, and what came behind."""
    data = b""
    while end not in data:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    head, _, rest = data.partition(end)
    return head, rest


def receive_exactly(sock, count, data=b""):
    while len(data) < count:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


def receive_all(sock):
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return data


def split_response(data):
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head, body
