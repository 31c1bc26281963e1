"""``duplexio serve``: uvicorn, with the front door and our defaults.

The flags are uvicorn's own, taken from its command, so that they follow the installed version;
those that the front door replaces are left out, and its settings are added.
"""

from __future__ import annotations

import os
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click
from uvicorn.config import LOGGING_CONFIG, Config
from uvicorn.main import main as uvicorn_command
from uvicorn.main import run

from ..hosting.settings import Settings, variable_of
from ..hosting.supervisor import AVAILABLE, Supervisor
from .application import check_application

__all__ = ["PROTOCOL", "command"]

#: What uvicorn is told to speak HTTP with.
PROTOCOL = "duplexio.hosting.uvicorn:Protocol"

# The front door is the protocol for HTTP and for WebSockets; and our supervisor asks its workers
# nothing.
_REPLACED = {
    "timeout_worker_healthcheck",
    "http",
    "http2",
    "h11_max_incomplete_event_size",
    "version",
}

_DEFAULTS: dict[str, Any] = {
    # uvicorn waits for ever, also for a WebSocket whose application does not return.
    "timeout_graceful_shutdown": 10,
}


def _own(flag: str, name: str, kind: Any, text: str) -> click.Option:
    """Make the flag of one of our settings; its environment variable counts where it is absent."""
    return click.Option(
        [flag, name],
        type=kind,
        default=getattr(Settings(), name),
        envvar=variable_of(name),
        help=text,
        show_default=True,
    )


_OWN_OPTIONS = [
    _own(
        "--legacy/--no-legacy",
        "legacy",
        None,
        "Also speak the WebSocket drafts of 2009 to 2011 (hixie-75, hixie-76). They have no masks,"
        " so leave it off unless such browsers must be served.",
    ),
    _own(
        "--head-timeout",
        "head_timeout",
        click.FloatRange(min=0),
        "Seconds that the head of a request may take; 0 for ever.",
    ),
    _own(
        "--max-head-size",
        "max_head_size",
        click.IntRange(min=1024),
        "Largest head of a request, in bytes.",
    ),
    _own(
        "--ws-close-timeout",
        "close_timeout",
        click.FloatRange(min=0),
        "Seconds that the closing handshake of a WebSocket may take; 0 for ever.",
    ),
    click.Option(
        ["--drain"],
        type=click.FloatRange(min=0),
        default=10.0,
        envvar="DUPLEXIO_DRAIN",
        help="Seconds over which a worker that is replaced (SIGHUP) ends its sessions.",
        show_default=True,
    ),
]


def _parameters() -> list[click.Parameter]:
    """Return uvicorn's parameters, without those that make no sense here, and our own."""
    parameters: list[click.Parameter] = []
    for parameter in uvicorn_command.params:
        if parameter.name in _REPLACED:
            continue
        if parameter.name in _DEFAULTS:
            parameter = copy(parameter)
            parameter.default = _DEFAULTS[parameter.name]
        parameters.append(parameter)
    return parameters + list(_OWN_OPTIONS)


def serve(app: str, **values: Any) -> None:
    """Serve an ASGI application, with duplexio's WebSockets.

    APP is MODULE:ATTRIBUTE, such as main:app. The flags are those of uvicorn, whose documentation
    describes them.
    """
    replace(
        Settings.from_environ(),
        legacy=values.pop("legacy"),
        head_timeout=values.pop("head_timeout"),
        max_head_size=values.pop("max_head_size"),
        close_timeout=values.pop("close_timeout"),
    ).to_environ()
    if values["ws"] not in ("auto", "none"):
        raise click.UsageError(
            f"--ws is {values['ws']!r}; WebSockets are spoken by duplexio here, or not at all with"
            " --ws none."
        )
    app_dir = values.pop("app_dir", None)
    sys.path.insert(0, app_dir or "")
    check_application(app, app_dir, load=not values.get("reload"))
    if values.get("log_config") is None:
        values["log_config"] = LOGGING_CONFIG
    values["headers"] = [tuple(header.split(":", 1)) for header in values.pop("headers", ())]
    for name in ("reload_dirs", "reload_includes", "reload_excludes"):
        values[name] = list(values.get(name) or ()) or None
    drain = values.pop("drain")
    workers = values["workers"] or int(os.environ.get("WEB_CONCURRENCY", 1))
    if workers > 1 and not values.get("reload"):
        if AVAILABLE:
            serve_with_workers(app, workers, drain, values)
        click.echo("This system has no hand-off between workers; polling needs sticky sessions.")
    run(app, http=PROTOCOL, **values)


def serve_with_workers(app: str, workers: int, drain: float, values: dict[str, Any]) -> NoReturn:
    """Serve an application with several workers, which know each other's sessions.

    Args:
        app: The name of the application.
        workers: How many.
        drain: Seconds over which a worker that is replaced ends its sessions.
        values: The arguments of uvicorn's configuration.
    """
    config = Config(app, http=PROTOCOL, **{**values, "workers": 1})
    try:
        status = Supervisor(config, workers, drain).run()
    finally:
        if config.uds:
            Path(config.uds).unlink(missing_ok=True)
    sys.exit(status)


command = click.Command(
    "serve",
    params=_parameters(),
    callback=serve,
    help=serve.__doc__,
    context_settings={"auto_envvar_prefix": "UVICORN"},
)
