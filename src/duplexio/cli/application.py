"""The name of an application on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

__all__ = ["check_application"]


def check_application(app: str, app_dir: str | None, *, load: bool = True) -> None:
    """Say what is wrong with the name of an application, in words that help.

    Args:
        app: The name.
        app_dir: Where ``--app-dir`` looks for it.
        load: Whether this process may import it: with ``--reload`` it is the others that do, since
            a module with a mistake is to be waited for.

    Raises:
        click.UsageError: There is no such application.
    """
    module, colon, attribute = app.partition(":")
    if not colon or not module or not attribute:
        hint = f" The file {module} is the module {Path(module).stem}." if _is_file(module) else ""
        raise click.UsageError(
            f"The application is {app!r}; expected MODULE:ATTRIBUTE, such as main:app.{hint}"
        )
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        found = False
    if not found:
        where = Path(app_dir or ".").resolve()
        raise click.UsageError(
            f"There is no module {module!r} in {where} or on Python's path. Start from the folder"
            " that it is in, or name the folder with --app-dir."
        )
    if not load:
        return
    value: object = import_module(module)
    for name in attribute.split("."):
        if not hasattr(value, name):
            names = ", ".join(_applications(vars(value))) or "nothing that could be one"
            raise click.UsageError(
                f"{module!r} has no attribute {attribute!r}; of applications it has {names}."
            )
        value = getattr(value, name)


def _is_file(module: str) -> bool:
    return module.endswith(".py")


def _applications(namespace: Mapping[str, object]) -> list[str]:
    """Return the names of what could be an application."""
    return sorted(
        name
        for name, value in namespace.items()
        if not name.startswith("_") and callable(value) and not isinstance(value, type)
    )[:10]
