"""What the sans-I/O modules may import: nothing that does I/O, keeps time or makes chance."""

import ast
from pathlib import Path

import pytest

import duplexio

PACKAGE = Path(duplexio.__file__).parent
SANS_IO = [
    "errors.py",
    *(
        f"websocket/{name}.py"
        for name in (
            "body",
            "connection",
            "deflate",
            "deflate_codec",
            "deflate_codec",
            "exceptions",
            "frames",
            "handshake",
            "headers",
            "hixie",
            "http11",
            "kernel",
        )
    ),
]
FORBIDDEN = {"asyncio", "random", "secrets", "select", "socket", "ssl", "threading", "time"}


def imported(path):
    """Return the top-level names of the modules that a file imports from outside its package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("name", SANS_IO)
def test_sans_io_modules_stay_so(name):
    assert imported(PACKAGE / name) & FORBIDDEN == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_imports_inside_the_package_are_relative(path):
    # The tests load the package a second time under another name: an absolute import would reach
    # over to the first.
    assert "duplexio" not in imported(path)
