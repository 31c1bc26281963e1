"""``duplexio types``, the command."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ...socketio.contract import contract_of
from ...socketio.registration import Registration
from ..application import check_application
from .asyncapi import asyncapi
from .typescript import typescript

__all__ = ["command"]


@click.command(context_settings={"show_default": True})
@click.argument("app")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["typescript", "asyncapi"]),
    default="typescript",
    help="What to write.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file.")
@click.option("--app-dir", default=None, help="Look for the module in this folder.")
@click.option("--title", default="Socket.IO events", help="Title of the AsyncAPI document.")
def command(app: str, form: str, output: Path | None, app_dir: str | None, title: str) -> None:
    """Write down which events a Socket.IO server and its clients exchange.

    APP is MODULE:ATTRIBUTE, such as main:sio: the server, or its ASGI application. What clients
    emit is read off the handlers, what the server emits off its declarations (sio.declare).
    """
    sys.path.insert(0, app_dir or "")
    check_application(app, app_dir)
    contracts = contract_of(find_server(app).registry)
    if form == "typescript":
        text = typescript(contracts)
    else:
        text = json.dumps(asyncapi(contracts, title), indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def find_server(app: str) -> Registration:
    """Return the server that a name stands for.

    Args:
        app: MODULE:ATTRIBUTE.

    Raises:
        click.UsageError: It is something else.
    """
    module, _, attribute = app.partition(":")
    value: Any = import_module(module)
    for name in attribute.split("."):
        value = getattr(value, name)
    server = getattr(value, "socketio_server", value)
    if not isinstance(server, Registration):
        raise click.UsageError(
            f"{app} is {type(value).__name__}; expected a Socket.IO server, or the ASGIApp made of"
            " one."
        )
    return server
