"""The package twice in one process: as it was built, and as Python source only.

`duplexio` is whatever `DUPLEXIO_IMPL` chose. `duplexio_pure` is loaded from the same folder with
the compiled modules left aside, so that a test can hold one against the other. The two share no
classes: an exception of one is not caught by the other's name.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.mark.structures import ParameterSet

import duplexio

PURE = "duplexio_pure"


def load_pure_package() -> ModuleType:
    """Load the package as `duplexio_pure`, without compiled modules, once."""
    if PURE in sys.modules:
        return sys.modules[PURE]
    folder = Path(duplexio.__file__).parent
    spec = importlib.util.spec_from_file_location(
        PURE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PURE] = package
    before = os.environ.get("DUPLEXIO_IMPL")
    os.environ["DUPLEXIO_IMPL"] = "python"
    try:
        spec.loader.exec_module(package)
    finally:
        if before is None:
            del os.environ["DUPLEXIO_IMPL"]
        else:
            os.environ["DUPLEXIO_IMPL"] = before
    return package


def pure_module(name: str) -> ModuleType:
    """Import the Python form of a module, named relative to the package: `websocket.kernel`."""
    load_pure_package()
    return importlib.import_module(f"{PURE}.{name}")


def implementations(name: str) -> list[ParameterSet]:
    """Return the forms of a module as parameters, for `@pytest.mark.parametrize`.

    Two (ids `c` and `python`) where the compiled modules are in use, otherwise one:

        @pytest.mark.parametrize("kernel", implementations("websocket.kernel"))
        def test_mask(kernel): ...
    """
    forms = [pytest.param(pure_module(name), id="python")]
    if duplexio.implementation == "c":
        compiled = importlib.import_module(f"duplexio.{name}")
        forms.insert(0, pytest.param(compiled, id="c"))
    return forms
