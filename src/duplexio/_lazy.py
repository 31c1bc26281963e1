"""Names of a package that are imported from its modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module

__all__ = ["load"]


def load(package: str, module_of: Mapping[str, str], name: str) -> object:
    """Import a name for a package's `__getattr__`, and keep it in the package.

    Args:
        package: The package's import name.
        module_of: For each public name the module that has it, relative to the package.
        name: The name asked for.

    Returns:
        What the module has under that name.

    Raises:
        AttributeError: When the package has no such name.
    """
    module = module_of.get(name)
    if module is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value: object = getattr(import_module("." + module, package), name)
    setattr(sys.modules[package], name, value)
    return value
