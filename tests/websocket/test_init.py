"""The public names, which are imported when they are first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import duplexio.websocket as package
from duplexio.websocket import sync

SOURCE = ast.parse(Path(package.__file__).read_text())


def typed_names():
    """The names that type checkers see, by module."""
    (block,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    return {
        node.module: tuple(name.asname for name in node.names)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }


def test_type_checkers_see_the_same_names():
    assert typed_names() == package._MODULES


@pytest.mark.parametrize("name", sorted(package._MODULE_OF))
def test_each_can_be_imported(name):
    assert getattr(package, name) is not None


def test_no_name_is_that_of_a_module():
    # An import of the module would put it in the place of the name.
    modules = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
    assert modules.isdisjoint(package._MODULE_OF)


def test_the_names_of_the_blocking_api_are_here():
    missing = [name for name in sync.__all__ if getattr(package, name, None) is None]
    assert missing == []


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_dir():
    assert {"connect", "serve", "WebSocketApp"} <= set(dir(package))


def test_a_blocking_program_does_not_load_asyncio():
    program = (
        "import sys; from duplexio.websocket import WebSocket, create_connection;"
        "print('asyncio' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
