"""Applications that remember what they are told, and the servers for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from duplexio.websocket.sync import WebSocketApp
from tests.websocket.sync.peers import Peer, ScriptedServer


def scripted(script: Callable[[Peer], object]) -> ScriptedServer:
    """A server that shakes hands and then runs a script."""

    def run(peer: Peer) -> None:
        peer.shake_hands()
        script(peer)

    return ScriptedServer(run)


class RecordingApp(WebSocketApp):
    """Remembers what it is told, as methods of a subclass."""

    def __init__(self, url, **options):
        super().__init__(url, **options)
        self.log = []

    def on_open(self):
        self.log.append("open")

    def on_message(self, message):
        self.log.append(message)

    def on_error(self, error):
        self.log.append(error)

    def on_close(self, status, msg):
        self.log.append(("close", status, msg))

    def types(self):
        return [type(entry) if isinstance(entry, Exception) else entry for entry in self.log]


def Recording(url, **options) -> Any:
    """Make a RecordingApp, whose methods the tests exchange for functions."""
    return RecordingApp(url, **options)
