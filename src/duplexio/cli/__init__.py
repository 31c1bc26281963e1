"""The command line: ``duplexio serve``, and what other modules of this package add.

Each command is a module with a function ``command`` that is a click command; :data:`COMMANDS` says
where they are. They are imported when they are used, so that ``duplexio connect`` does not wait for
uvicorn.
"""

from __future__ import annotations

from importlib import import_module

import click

from .. import __version__, implementation

__all__ = ["COMMANDS", "main"]

#: The commands: the module of each, and what it does in a line.
COMMANDS: dict[str, tuple[str, str]] = {
    "bench": (".bench", "Put load on a server, and measure how it answers."),
    "chat": (".chat", "Run a chat room."),
    "connect": (".connect", "Talk to a WebSocket server from the terminal."),
    "doctor": (".doctor", "Find out what a server speaks, and what stands in its way."),
    "serve": (".serve", "Serve an ASGI application with uvicorn and duplexio's WebSockets."),
    "types": (".types", "Write a Socket.IO server's events as TypeScript or AsyncAPI."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0], __name__).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__, prog_name="duplexio", message=f"%(prog)s %(version)s ({implementation})"
)
def main() -> None:
    """WebSocket and Socket.IO for Python: servers, a chat room, clients, load, diagnosis."""
