"""What every Python server here does alike: options, TLS, the announcement, uvloop."""

import argparse
import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine

import uvloop

MAX_SIZE = 16 << 20


class Options:
    """The command line of a server: a listening socket and, if wanted, TLS."""

    def __init__(
        self,
        *,
        choices: tuple[str, ...] = (),
        choice: str = "protocol",
        more: Callable[[argparse.ArgumentParser], None] | None = None,
    ) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--port", type=int, default=0)
        parser.add_argument("--cert")
        parser.add_argument("--key")
        if choices:
            parser.add_argument(f"--{choice}", dest="choice", choices=choices, required=True)
        if more:
            more(parser)
        self.arguments = parser.parse_args()
        logging.disable(logging.CRITICAL)

    @property
    def choice(self) -> str:
        return str(self.arguments.choice)

    def listen(self) -> socket.socket:
        """Listen on the port (a free one by default) and say which it is.

        The backlog holds a burst of connections from the moment that the port is announced.
        """
        sock = socket.create_server(("127.0.0.1", self.arguments.port), backlog=4096)
        print("listening on", sock.getsockname()[1], flush=True)
        return sock

    def ssl_context(self) -> ssl.SSLContext | None:
        if self.arguments.cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.arguments.cert, self.arguments.key)
        return context


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
