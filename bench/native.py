"""Builds the load generator and the C server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
BUILD = Path(__file__).parent / "_build"
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror")
TLS = ("-DWITH_TLS", "-lssl", "-lcrypto")
PROGRAMS = {
    "load": (
        "load.c",
        "client.c",
        "polling.c",
        "echo.c",
        "socketio.c",
        "latency.c",
        "process.c",
        "stream.c",
        "accept_key.c",
    ),
    "limit": ("limit.c", "limit_socketio.c", "stream.c", "accept_key.c"),
}


class BuildError(Exception):
    """The C programs cannot be built here; the message says why."""


@dataclass(frozen=True)
class Native:
    """The built programs, and whether they speak TLS."""

    load: Path
    limit: Path
    tls: bool
    compiler: str


def build(directory: Path = BUILD) -> Native:
    """Build what is older than its sources.

    Raises:
        BuildError: There is no C compiler, or it fails.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BuildError("no C compiler (gcc or cc) on the PATH")
    directory.mkdir(parents=True, exist_ok=True)
    tls = _has_openssl(compiler)
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    for name, sources in PROGRAMS.items():
        program = directory / name
        if program.exists() and program.stat().st_mtime > newest:
            continue
        _compile(
            [compiler, *FLAGS, *(str(SOURCES / source) for source in sources)],
            program,
            TLS if tls else (),
        )
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return Native(
        load=directory / "load",
        limit=directory / "limit",
        tls=tls,
        compiler=version.stdout.splitlines()[0],
    )


def _compile(command: list[str], program: Path, libraries: tuple[str, ...]) -> None:
    """Compile to a name of its own first, so that a running program is never written to."""
    fresh = program.with_suffix(".new")
    result = subprocess.run(
        [*command, "-o", str(fresh), *libraries], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BuildError(f"{program.name}: {result.stderr.strip()}")
    fresh.replace(program)


def _has_openssl(compiler: str) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "probe.c"
        source.write_text("#include <openssl/ssl.h>\nint main(void) { return !TLS_method(); }\n")
        command = [compiler, str(source), "-o", str(source.with_suffix("")), *TLS]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
