"""The build: what is compiled, and what happens where nothing can be.

Each test builds a small package with the project's own setup.py.
"""

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path):
    """A source tree with a kernel, its twin, a typed class and a module that is only Python."""
    shutil.copy(ROOT / "setup.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "0"\n[tool.setuptools]\npackage-dir = {"" = "src"}\n'
    )
    package = tmp_path / "src" / "duplexio"
    package.mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "plain.py": "x = 1\n",
        "kernel.py": "def twice(x):\n    return 2 * x\n",
        "kernel.pyx": "def twice(unsigned int x):\n    return 2 * x\n",
        "kernel.pxd": "",
        "state.py": "class State:\n    def __init__(self):\n        self.n = 0\n",
        "state.pxd": "cdef class State:\n    cdef public int n\n",
    }.items():
        (package / name).write_text(text)
    return tmp_path


def build(tree, **environ):
    """Run `setup.py build_ext --inplace`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DUPLEXIO_")}
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=tree,
        env={**clean, "CFLAGS": "-O0", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def built(tree):
    """Return the names of the compiled modules in the tree."""
    suffix = EXTENSION_SUFFIXES[0]
    found = (tree / "src" / "duplexio").glob(f"*{suffix}")
    return sorted(path.name.removesuffix(suffix) for path in found)


def test_kernels_and_typed_modules_are_compiled_and_stale_ones_removed(tree):
    ran = build(tree, DUPLEXIO_REQUIRE_EXTENSIONS="1")
    assert ran.returncode == 0, ran.stderr
    assert built(tree) == ["kernel", "state"]
    assert list((tree / "src").rglob("*.c")) == []

    (tree / "src" / "duplexio" / "state.pxd").unlink()
    ran = build(tree)
    assert ran.returncode == 0, ran.stderr
    assert built(tree) == ["kernel"]


def test_without_a_compiler_it_goes_on_and_says_so(tree):
    ran = build(tree, CC="/bin/false")
    assert ran.returncode == 0, ran.stderr
    assert built(tree) == []
    assert "this installation is pure" in ran.stderr


def test_what_cython_refuses_is_left_out_or_an_error(tree):
    (tree / "src" / "duplexio" / "kernel.pyx").write_text("def twice(x: return\n")
    ran = build(tree, DUPLEXIO_REQUIRE_EXTENSIONS="1")
    assert ran.returncode != 0
    ran = build(tree)
    assert ran.returncode == 0, ran.stderr
    assert built(tree) == ["state"]


def test_required_extensions_make_a_failure_an_error(tree):
    ran = build(tree, CC="/bin/false", DUPLEXIO_REQUIRE_EXTENSIONS="1")
    assert ran.returncode != 0
    assert built(tree) == []


def test_extensions_can_be_left_out(tree):
    ran = build(tree, DUPLEXIO_NO_EXTENSIONS="1")
    assert ran.returncode == 0, ran.stderr
    assert built(tree) == []


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"DUPLEXIO_NO_EXTENSIONS": "1", "DUPLEXIO_REQUIRE_EXTENSIONS": "1"},
            "DUPLEXIO_REQUIRE_EXTENSIONS and DUPLEXIO_NO_EXTENSIONS are both 1",
        ),
        ({"DUPLEXIO_NO_EXTENSIONS": "yes"}, "DUPLEXIO_NO_EXTENSIONS is 'yes'; it can be 1"),
    ],
)
def test_contradictions_and_unknown_values_are_refused(tree, environ, said):
    ran = build(tree, **environ)
    assert ran.returncode != 0
    assert said in ran.stderr
