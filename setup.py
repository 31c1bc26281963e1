"""Compile the modules that have a Cython form. The metadata is in pyproject.toml.

A module is compiled when it is a `.pyx`, or a `.py` with a `.pxd` of the same name beside it
(the types of Cython's pure mode). Each keeps a Python form that does the same, so a machine
without a C compiler gets a working package too. Two environment variables decide:

DUPLEXIO_REQUIRE_EXTENSIONS=1   a module that does not compile is an error
DUPLEXIO_NO_EXTENSIONS=1        nothing is compiled
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, PlatformError, SetupError

SOURCE = Path("src")
GENERATED = Path("build", "cython")

NOTE = """
**********************************************************************************
duplexio: the compiled modules could not be built, so this installation is pure
Python: it does the same, several times slower. The reason was:

    {reason}

A C compiler and Python's headers make it fast (on Debian: apt install gcc
python3-dev). Set DUPLEXIO_REQUIRE_EXTENSIONS=1 to make this an error.
**********************************************************************************
"""


def flag(name: str) -> bool:
    """Return whether an environment variable is 1; anything but 0, 1 or empty is an error."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise SetupError(f"{name} is {value!r}; it can be 1 (yes), 0 (no) or unset (no).")
    return value == "1"


REQUIRED = flag("DUPLEXIO_REQUIRE_EXTENSIONS")
DISABLED = flag("DUPLEXIO_NO_EXTENSIONS")
if REQUIRED and DISABLED:
    raise SetupError(
        "DUPLEXIO_REQUIRE_EXTENSIONS and DUPLEXIO_NO_EXTENSIONS are both 1: the first demands "
        "the compiled modules, the second forbids them. Unset one."
    )


def compiled_sources() -> list[Path]:
    """Return the source of every module that has a compiled form."""
    package = SOURCE / "duplexio"
    kernels = set(package.rglob("*.pyx"))
    typed = {
        pxd.with_suffix(".py")
        for pxd in package.rglob("*.pxd")
        if pxd.with_suffix(".pyx") not in kernels and pxd.with_suffix(".py").exists()
    }
    return sorted(kernels | typed)


def extensions() -> list[Extension]:
    """Return one extension per compiled module, named as it is imported."""
    # What Cython generates has functions that it does not use.
    arguments = [] if sys.platform == "win32" else ["-O3", "-Wno-unused-function"]
    return [
        Extension(
            ".".join(source.relative_to(SOURCE).with_suffix("").parts),
            [source.as_posix()],
            extra_compile_args=arguments,
            optional=not REQUIRED,
        )
        for source in compiled_sources()
    ]


class BuildExtensions(build_ext):
    """Build the compiled modules; where that fails and may fail, say so and go on without."""

    given_up = False

    def run(self) -> None:
        """Build everything; without a usable compiler at all, go on."""
        try:
            super().run()
        except PlatformError as error:
            self.give_up(error)
        if self.inplace:
            self.remove_stale()

    def finalize_options(self) -> None:
        """Use every core."""
        super().finalize_options()
        if not self.parallel:
            self.parallel = os.cpu_count()

    def build_extensions(self) -> None:
        """Translate the modules to C, one after the other, then compile them side by side."""
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError as CythonError

        translated = []
        for ext in self.extensions:
            try:
                ext.sources = cythonize(
                    [ext],
                    build_dir=GENERATED.as_posix(),
                    compiler_directives={"language_level": 3},
                    show_all_warnings=False,
                    force=bool(self.force),
                    quiet=True,
                )[0].sources
            except CythonError as error:
                self.give_up(error)
            else:
                translated.append(ext)
        self.extensions = translated
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Compile one module if its C is newer than what is built."""
        try:
            super().build_extension(ext)
        except (CCompilerError, BaseError) as error:
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Raise the error where compiled modules are required, else print once what it means."""
        if REQUIRED:
            raise error
        if not self.given_up:
            print(NOTE.format(reason=error), file=sys.stderr)
        self.given_up = True

    def remove_stale(self) -> None:
        """Delete built modules in the source tree whose source is no longer compiled.

        They would still win over the Python file at import.
        """
        expected = {Path(self.get_ext_fullpath(ext.name)).resolve() for ext in self.extensions}
        suffix = self.get_ext_filename("x").removeprefix("x")
        for built in (SOURCE / "duplexio").rglob(f"*{suffix}"):
            if built.resolve() not in expected:
                built.unlink()


setup(
    ext_modules=[] if DISABLED else extensions(),
    cmdclass={"build_ext": BuildExtensions},
)
