"""Names of a package that are imported from its modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module

__all__ = ["load"]


def load(
    package: str, module_of: Mapping[str, str], name: str, absent: Mapping[str, str] | None = None
) -> object:
    """Import a name for a package's `__getattr__`, and keep it in the package.

    Args:
        package: The package's import name.
        module_of: For each public name the module that has it, relative to the package.
        name: The name asked for.
        absent: Names that a program may expect, with what to do without them.

    Returns:
        What the module has under that name.

    Raises:
        AttributeError: When the package has no such name.
        ImportError: The same, when it is absent and `from package import name` asks for it.
    """
    module = module_of.get(name)
    if module is None:
        if absent is not None and name in absent:
            message = f"{package} has no {name}: {absent[name]}"
            # `from package import name` replaces an AttributeError by a message of its own. It
            # looks for the name through a function of importlib, with us two frames above that.
            if sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap":
                raise ImportError(message, name=package)
            raise AttributeError(message)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value: object = getattr(import_module("." + module, package), name)
    setattr(sys.modules[package], name, value)
    return value
