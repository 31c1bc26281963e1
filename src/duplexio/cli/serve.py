"""``duplexio serve``: uvicorn, with the front door and our defaults.

The flags are uvicorn's own, taken from its command, so that they follow the installed version;
those that the front door replaces are left out, and its settings are added.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from uvicorn.config import LOGGING_CONFIG
from uvicorn.importer import ImportFromStringError, import_from_string
from uvicorn.main import main as uvicorn_command
from uvicorn.main import run

from ..hosting.settings import Settings

__all__ = ["PROTOCOL", "command"]

#: What uvicorn is told to speak HTTP with.
PROTOCOL = "duplexio.hosting.uvicorn:Protocol"

# The front door is the protocol for HTTP and for WebSockets.
_REPLACED = {"http", "http2", "h11_max_incomplete_event_size", "version"}

_DEFAULTS: dict[str, Any] = {
    # uvicorn waits for ever, also for a WebSocket whose application does not return.
    "timeout_graceful_shutdown": 10,
}

_OWN_OPTIONS = [
    click.Option(
        ["--legacy/--no-legacy"],
        default=Settings().legacy,
        help="Also speak the WebSocket drafts of 2009 to 2011 (hixie-75, hixie-76). They have no"
        " masks, so leave it off unless such browsers must be served.",
        show_default=True,
    ),
    click.Option(
        ["--head-timeout"],
        type=click.FloatRange(min=0),
        default=Settings().head_timeout,
        help="Seconds that the head of a request may take; 0 for ever.",
        show_default=True,
    ),
    click.Option(
        ["--max-head-size"],
        type=click.IntRange(min=1024),
        default=Settings().max_head_size,
        help="Largest head of a request, in bytes.",
        show_default=True,
    ),
    click.Option(
        ["--ws-close-timeout", "close_timeout"],
        type=click.FloatRange(min=0),
        default=Settings().close_timeout,
        help="Seconds that the closing handshake of a WebSocket may take; 0 for ever.",
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
            parameter.default = _DEFAULTS[parameter.name]
        parameters.append(parameter)
    return parameters + list(_OWN_OPTIONS)


def serve(app: str, **values: Any) -> None:
    """Serve an ASGI application, with duplexio's WebSockets.

    APP is MODULE:ATTRIBUTE, such as main:app. The flags are those of uvicorn, whose documentation
    describes them.
    """
    Settings(
        legacy=values.pop("legacy"),
        head_timeout=values.pop("head_timeout"),
        max_head_size=values.pop("max_head_size"),
        close_timeout=values.pop("close_timeout"),
    ).to_environ()
    app_dir = values.pop("app_dir", None)
    sys.path.insert(0, app_dir or "")
    _check_app(app, app_dir)
    if values.get("log_config") is None:
        values["log_config"] = LOGGING_CONFIG
    values["headers"] = [tuple(header.split(":", 1)) for header in values.pop("headers", ())]
    for name in ("reload_dirs", "reload_includes", "reload_excludes"):
        values[name] = list(values.get(name) or ()) or None
    run(app, http=PROTOCOL, **values)


def _check_app(app: str, app_dir: str | None) -> None:
    """Say what is wrong with the name of an application, in words that help."""
    module, colon, attribute = app.partition(":")
    where = Path(app_dir or ".").resolve()
    if not colon or not module or not attribute:
        hint = ""
        if module.endswith(".py"):
            hint = f" A file {module} is the module {Path(module).stem}."
        raise click.UsageError(
            f"The application is {app!r}; expected MODULE:ATTRIBUTE, such as main:app.{hint}"
        )
    try:
        import_from_string(app)
    except ImportFromStringError as exc:
        if sys.modules.get(module) is None:
            raise click.UsageError(
                f"There is no module {module!r} in {where} or on Python's path. Start from the"
                " folder that it is in, or name the folder with --app-dir."
            ) from exc
        names = sorted(
            name
            for name, value in vars(sys.modules[module]).items()
            if not name.startswith("_") and callable(value) and not isinstance(value, type)
        )
        found = f" It has {', '.join(names[:10])}." if names else ""
        raise click.UsageError(f"The module {module!r} has no {attribute!r}.{found}") from exc


command = click.Command(
    "serve",
    params=_parameters(),
    callback=serve,
    help=serve.__doc__,
    context_settings={"auto_envvar_prefix": "UVICORN"},
)
