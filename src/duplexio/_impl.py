"""Which implementation of the compiled modules is imported: the C one or the Python one.

Every module that is compiled has a Python form under the same name, and both are in the same
folder: Python prefers the compiled file. The environment variable `DUPLEXIO_IMPL` is read when
the package is imported:

- `auto` (the default): the compiled modules when all of them are there, else Python;
- `c`: the compiled modules, and an ImportError when one is missing;
- `python`: the Python form, although the compiled one is there.

It is one or the other for the whole package, so that a report that names the implementation
tells the whole truth.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Literal

Implementation = Literal["c", "python"]

VARIABLE = "DUPLEXIO_IMPL"


class SourceOnlyFinder:
    """Find the submodules of one package as Python source, and nothing else.

    It stands before Python's own finders in `sys.meta_path`, which would prefer an extension
    module of the same name.

    Args:
        package: the package's import name.
    """

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a source file for a module of the package, else None."""
        if path is None or not fullname.startswith(self.package + "."):
            return None
        for folder in path:
            finder = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))
            spec = finder.find_spec(fullname)
            # A spec without a loader is a namespace package: none of ours.
            if spec is not None and spec.loader is not None:
                return spec
        return None


def compiled_modules(folder: Path) -> list[str]:
    """Return the modules that have a compiled form, built or not.

    They are those with a `.pyx`, or with a `.pxd` beside their `.py`: what setup.py compiles. The
    Cython sources are installed with the package, so the answer is the same everywhere.

    Args:
        folder: the package's folder.

    Returns:
        Names relative to the package, dotted and sorted.
    """
    names = set()
    for parent, _, files in os.walk(folder):
        for file in files:
            stem, _, suffix = file.rpartition(".")
            if suffix == "pyx" or (suffix == "pxd" and f"{stem}.py" in files):
                names.add(".".join((*Path(parent).relative_to(folder).parts, stem)))
    return sorted(names)


def missing(folder: Path) -> list[str]:
    """Return which of the compiled modules are not built for this Python.

    Args:
        folder: the package's folder.

    Returns:
        Names relative to the package, dotted and sorted.
    """
    return [
        name
        for name in compiled_modules(folder)
        if not any(
            os.path.exists(os.path.join(folder, *name.split(".")) + suffix)
            for suffix in EXTENSION_SUFFIXES
        )
    ]


def select(package: str, folder: Path, environ: Mapping[str, str] = os.environ) -> Implementation:
    """Choose the implementation and make the following imports of the package follow it.

    Args:
        package: the package's import name.
        folder: the package's folder.
        environ: where `DUPLEXIO_IMPL` is looked up.

    Returns:
        `"c"` or `"python"`.

    Raises:
        ValueError: `DUPLEXIO_IMPL` is none of `auto`, `c` and `python`.
        ImportError: `DUPLEXIO_IMPL` is `c` and a compiled module is missing.
    """
    wanted = environ.get(VARIABLE, "auto")
    if wanted not in ("auto", "c", "python"):
        raise ValueError(
            f"{VARIABLE} is {wanted!r}; it can be 'auto' (compiled modules if they are there), "
            "'c' (an error without them) or 'python' (never them)."
        )
    absent = missing(folder)
    if wanted == "c" and absent:
        raise ImportError(
            f"{VARIABLE} is 'c', but {package} has no compiled modules for Python "
            f"{sys.version_info.major}.{sys.version_info.minor} in {folder} "
            f"(missing: {', '.join(absent)}). Install a wheel, or build them with a C "
            "compiler (DUPLEXIO_REQUIRE_EXTENSIONS=1 pip install duplexio; `make build` in a "
            f"clone), or unset {VARIABLE}.",
            name=package,
        )
    if wanted != "python" and not absent:
        return "c"
    sys.meta_path.insert(0, SourceOnlyFinder(package))
    return "python"
