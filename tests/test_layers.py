"""The rules on imports that import-linter (`make lint`) cannot check."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import duplexio

PACKAGE = Path(duplexio.__file__).parent
ROOT = Path(__file__).parents[1]


def imported(path):
    """Return the top-level names of the modules that a file imports from outside its package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_inside_the_package_are_relative(path):
    # The tests load the package a second time under another name: an absolute import would reach
    # over to the first.
    assert "duplexio" not in imported(path)


def test_compiled_protocol_modules_import_what_their_python_forms_may():
    # import-linter reads Python only; the contract holds for the .pyx beside it too.
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "forbidden"
    )
    kernels = [
        path
        for path in PACKAGE.rglob("*.pyx")
        if ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        in contract["source_modules"]
    ]
    assert kernels
    for path in kernels:
        names = re.findall(r"^\s*(?:c?import|from)\s+(\w+)", path.read_text(), re.MULTILINE)
        assert set(names) & set(contract["forbidden_modules"]) == set(), path
