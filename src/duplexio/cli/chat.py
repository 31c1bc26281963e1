"""``duplexio chat``: the chat room, with everything it needs."""

from __future__ import annotations

import ipaddress
import socket
import threading
import webbrowser

import click
from uvicorn import Config, Server

from ..chat import Chat, StoreError, default_database
from ..hosting.settings import Settings
from ..hosting.uvicorn import Protocol

__all__ = ["command"]

_PORT = 8000
# How many ports are tried after the default one, when the user names none.
_OTHER_PORTS = 20
# uvicorn waits for ever otherwise, also for a client that does not read.
_SHUTDOWN_TIMEOUT = 5


class ChatProtocol(Protocol):
    """The front door, for browsers of all ages."""

    settings = Settings(legacy=True)


class ChatServer(Server):
    """uvicorn's server, which says where it is and ends long polls when it stops.

    Args:
        config: uvicorn's configuration.
        chat: The chat.
        address: Where the page is.
        database: Where the history is, for people.
        open_browser: Whether to open the page.
    """

    def __init__(
        self, config: Config, chat: Chat, address: str, database: str, open_browser: bool
    ) -> None:
        super().__init__(config)
        self.chat = chat
        self.address = address
        self.database = database
        self.open_browser = open_browser

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        if not self.started:
            return
        click.echo(f"The chat is at {self.address}")
        click.echo(f"From a terminal: duplexio connect ws{self.address.removeprefix('http')}chat")
        click.echo(f"History: {self.database}. Stop with Ctrl+C.")
        if self.open_browser:
            # A browser in the terminal would return only when it is closed.
            threading.Thread(target=webbrowser.open, args=[self.address], daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; the WebSockets are told 1012, and come back to the next server."""
        self.chat.stop_polls()
        await super().shutdown(sockets)


def bind(host: str, port: int | None) -> socket.socket:
    """Open the socket to listen on.

    Args:
        host: Address or name.
        port: The port; ``None`` is the default one, or one after it if that is in use.

    Raises:
        click.ClickException: When that is impossible.
    """
    ports = range(_PORT, _PORT + _OTHER_PORTS + 1) if port is None else [port]
    error = OSError()
    for number in ports:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listening = socket.socket(family, kind, protocol)
        except OSError as exc:
            raise click.ClickException(
                f"Cannot listen on {host!r}: {exc.strerror or exc}."
            ) from exc
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            # Another program may have bound the port too, and is found out only now.
            listening.listen(2048)
        except OSError as exc:
            listening.close()
            error = exc
        else:
            listening.setblocking(False)
            return listening
    raise click.ClickException(
        f"Cannot listen on {host} port {port if port is not None else _PORT}:"
        f" {error.strerror or error}. Choose another with --port."
    )


def address_of(listening: socket.socket, host: str, scheme: str) -> str:
    """Return the page's address, as a browser on this machine can open it."""
    port = listening.getsockname()[1]
    try:
        if ipaddress.ip_address(host).is_unspecified:
            host = "localhost"
    except ValueError:
        pass
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


@click.command(context_settings={"show_default": True})
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on; 0.0.0.0 lets the other machines of the network in.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    show_default=f"{_PORT}, or the next one free",
    help="Port to listen on; 0 chooses a free one.",
)
@click.option(
    "--database",
    metavar="FILE",
    default=None,
    show_default="chat.db in the user's data folder",
    help="SQLite file with the history; :memory: keeps it until the server stops.",
)
@click.option(
    "--history",
    type=click.IntRange(0, 200),
    default=50,
    help="How many of the last messages a newcomer sees.",
)
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=10_000,
    help="How many messages of each room are kept; 0 keeps all.",
)
@click.option("--open/--no-open", "open_browser", default=False, help="Open the page in a browser.")
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="For https.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="For https.")
@click.option(
    "--log-level",
    type=click.Choice(["critical", "error", "warning", "info", "debug"]),
    default="warning",
    help="From which level on to log; info logs each request.",
)
def command(
    host: str,
    port: int | None,
    database: str | None,
    history: int,
    keep: int,
    open_browser: bool,
    ssl_certfile: str | None,
    ssl_keyfile: str | None,
    log_level: str,
) -> None:
    """Run a chat room.

    The page, WebSockets (also those of browsers of 2010) and long polling are on one port. The page
    is at the address that is printed.
    """
    listening = bind(host, port)
    address = address_of(listening, host, "https" if ssl_certfile else "http")
    file = str(default_database()) if database is None else database
    chat = Chat(file, shown=history, keep=keep)
    try:
        chat.open_history()
    except StoreError as exc:
        raise click.ClickException(str(exc)) from exc
    config = Config(
        chat.app,
        http=ChatProtocol,
        lifespan="on",
        log_level=log_level,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )
    server = ChatServer(config, chat, address, file, open_browser)
    _run(server, listening)


def _run(server: ChatServer, listening: socket.socket) -> None:
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        click.echo("The chat has stopped.")
    finally:
        listening.close()
    if not server.started:
        raise SystemExit(3)
