"""The choice between the compiled modules and their Python form."""

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

import duplexio
from duplexio._impl import SourceOnlyFinder, compiled_modules, missing, select
from tests.pure import implementations, load_pure_package, pure_module

PACKAGE = Path(duplexio.__file__).parent


def stem(name):
    """Return the path of a module of the package, without a suffix."""
    return PACKAGE.joinpath(*name.split("."))


@pytest.fixture
def built(tmp_path):
    """A package's folder in which `sub.fast` has a compiled form and a Python one."""
    folder = tmp_path / "demo"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "__init__.py").write_text("")
    (folder / "sub" / "fast.py").write_text("")
    (folder / "sub" / "fast.pxd").write_text("")
    (folder / "sub" / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    return folder


class TestSelect:
    # Only here: the finder of a package that is really loaded has to stay.
    @pytest.fixture(autouse=True)
    def _restore_meta_path(self):
        before = sys.meta_path[:]
        yield
        sys.meta_path[:] = before

    def test_auto_takes_the_compiled_modules(self, built):
        before = sys.meta_path[:]
        assert select("demo", built, {}) == "c"
        assert sys.meta_path == before

    def test_auto_takes_python_when_one_is_missing(self, built):
        (built / "other.pyx").touch()
        assert select("demo", built, {}) == "python"
        assert isinstance(sys.meta_path[0], SourceOnlyFinder)

    def test_python_ignores_the_compiled_modules(self, built):
        assert select("demo", built, {"DUPLEXIO_IMPL": "python"}) == "python"
        finder = sys.meta_path[0]
        assert isinstance(finder, SourceOnlyFinder)
        spec = finder.find_spec("demo.sub.fast", [str(built / "sub")])
        assert spec is not None
        assert isinstance(spec.loader, SourceFileLoader)

    def test_c_takes_the_compiled_modules(self, built):
        assert select("demo", built, {"DUPLEXIO_IMPL": "c"}) == "c"

    def test_c_names_what_is_missing(self, built):
        (built / "other.pyx").touch()
        (built / "sub" / "other.pyx").touch()
        with pytest.raises(
            ImportError, match=r"\(missing: other, sub\.other\).*make build"
        ) as caught:
            select("demo", built, {"DUPLEXIO_IMPL": "c"})
        assert caught.value.name == "demo"

    @pytest.mark.parametrize("value", ["C", "pure", "", "1"])
    def test_another_value_is_refused_and_named(self, built, value):
        with pytest.raises(ValueError, match=f"DUPLEXIO_IMPL is '{value}'.*'auto'.*'c'.*'python'"):
            select("demo", built, {"DUPLEXIO_IMPL": value})


class TestCompiledModules:
    def test_declarations_without_a_module_are_none(self, built):
        (built / "shared.pxd").touch()
        (built / "plain.py").touch()
        (built / "twin.py").touch()
        (built / "twin.pyx").touch()
        assert compiled_modules(built) == ["sub.fast", "twin"]
        assert missing(built) == ["twin"]

    def test_a_build_for_another_python_does_not_count(self, built):
        fast = built / "sub" / f"fast{EXTENSION_SUFFIXES[0]}"
        fast.rename(fast.with_name("fast.cpython-27-x86_64-linux-gnu.so"))
        assert missing(built) == ["sub.fast"]


class TestFinder:
    def test_other_packages_are_not_its_business(self, built):
        finder = SourceOnlyFinder("demo")
        assert finder.find_spec("demolition.sub", [str(built)]) is None
        assert finder.find_spec("demo", None) is None

    def test_an_unknown_module_is_left_to_others(self, built):
        assert SourceOnlyFinder("demo").find_spec("demo.sub.no", [str(built / "sub")]) is None


class TestPackage:
    def test_implementation_is_what_was_imported(self):
        for form in implementations("websocket.kernel"):
            (module,) = form.values
            wanted = ExtensionFileLoader if form.id == "c" else SourceFileLoader
            assert isinstance(module, ModuleType)
            assert module.__spec__ is not None
            assert isinstance(module.__spec__.loader, wanted)

    def test_pure_package_stands_beside_the_other(self):
        pure = load_pure_package()
        assert pure.implementation == "python"
        assert pure is not duplexio
        assert load_pure_package() is pure
        for name in compiled_modules(PACKAGE):
            module = pure_module(name)
            assert module.__name__ == f"duplexio_pure.{name}"
            assert str(module.__file__).endswith(".py")

    def test_every_compiled_module_has_a_python_form(self):
        modules = compiled_modules(PACKAGE)
        assert "websocket.kernel" in modules
        assert [name for name in modules if not stem(name).with_suffix(".py").exists()] == []

    @pytest.mark.parametrize(
        ("value", "code", "said"),
        [("python", 0, "python"), ("fast", 1, "ValueError: DUPLEXIO_IMPL is 'fast'")],
    )
    def test_a_fresh_interpreter_obeys_the_variable(self, value, code, said):
        ran = subprocess.run(
            [sys.executable, "-c", "import duplexio; print(duplexio.implementation)"],
            env={**os.environ, "DUPLEXIO_IMPL": value},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code
        assert said in ran.stdout + ran.stderr
