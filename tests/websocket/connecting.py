"""Connections for tests: the modules of one implementation, and handlers that note their calls."""

import importlib
import itertools
import struct
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.websocket.recording import Event, frame

#: What a handler has to have.
METHODS = (
    "on_text",
    "on_binary",
    "on_fragment",
    "on_ping",
    "on_pong",
    "on_close_frame",
    "on_failure",
)


class Handler:
    """Notes what a connection tells it."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_text(self, message: str) -> None:
        self.events.append(("text", message))

    def on_binary(self, message: bytes) -> None:
        self.events.append(("binary", message))

    def on_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        assert type(fin) is bool
        self.events.append(("fragment", opcode, payload, fin))

    def on_ping(self, payload: bytes) -> None:
        self.events.append(("ping", payload))

    def on_pong(self, payload: bytes) -> None:
        self.events.append(("pong", payload))

    def on_close_frame(self, code: int, reason: str) -> None:
        self.events.append(("close", int(code), reason))

    def on_failure(self, code: int, reason: str) -> None:
        self.events.append(("failure", int(code), reason))


class Implementation(SimpleNamespace):
    """The modules of the package that was compiled, or of its Python form."""

    def __init__(self, connection: ModuleType) -> None:
        package = connection.__name__.rpartition(".")[0]
        modules = {
            name: importlib.import_module(f"{package}.{name}")
            for name in ("connection", "deflate_codec", "exceptions", "frames", "kernel")
        }
        super().__init__(**modules)

    def keys(self) -> Any:
        """Return masking keys, the same in every run and none like the other."""
        numbers = itertools.count(1)
        return self.kernel.MaskKeys(lambda _: (next(numbers) * 2654435761 % 2**32).to_bytes(4))

    def deflate(self, **options: Any) -> Any:
        """Return permessage-deflate for one side, with context takeover unless told otherwise."""
        defaults = {
            "remote_no_context_takeover": False,
            "local_no_context_takeover": False,
            "remote_max_window_bits": 15,
            "local_max_window_bits": 15,
        }
        return self.deflate_codec.PerMessageDeflate(**{**defaults, **options})

    def connect(self, *, client: bool = False, handler: Any = None, **options: Any) -> Any:
        """Return a connection and its handler."""
        handler = Handler() if handler is None else handler
        if client:
            options.setdefault("mask_keys", self.keys())
        return self.connection.Connection(handler, client=client, **options), handler


def send(source: Any, target: Any) -> bytes:
    """Carry what is in one connection's output to another connection; return it."""
    wire: bytes = source.output.take()
    data = bytearray(wire)
    assert target.receive(data, 0, len(data)) == len(data)
    return wire


def plain(wire: bytes) -> list[tuple[int, bytes]]:
    """Return the frames in some bytes: the first byte and the payload of each."""
    frames = []
    at = 0
    while at < len(wire):
        first, size = wire[at], wire[at + 1] & 0x7F
        masked = wire[at + 1] & 0x80
        at += 2
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(wire[at : at + width])
            at += width
        key = bytes(4)
        if masked:
            key = wire[at : at + 4]
            at += 4
        data = wire[at : at + size]
        assert len(data) == size
        frames.append((first, bytes(byte ^ key[i % 4] for i, byte in enumerate(data))))
        at += size
    return frames


def close_frame(code: int | None, reason: bytes = b"", *, masked: bool = True) -> bytes:
    """Return the bytes of a close frame, right or wrong."""
    data = b"" if code is None else struct.pack("!H", code) + reason
    return frame(8, data, masked=masked)


def receive(connection: Any, wire: bytes) -> None:
    """Give a connection bytes that it has to take whole."""
    assert connection.receive(bytearray(wire)) == len(wire)
