"""What all tests share: the report's header, skips in CI, the pure-Python package."""

import os
from collections.abc import Generator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import pytest

import duplexio
from duplexio._impl import compiled_modules
from tests.pure import load_pure_package

PACKAGE = Path(duplexio.__file__).parent
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def stale_modules() -> list[str]:
    """Return the compiled modules that are older than their source."""
    stale = []
    for name in compiled_modules(PACKAGE):
        stem = PACKAGE.joinpath(*name.split("."))
        built = stem.with_suffix(EXTENSION_SUFFIXES[0])
        typed = [stem.with_suffix(".pyx"), stem.with_suffix(".pxd")]
        # Where there is a .pyx, the .py is its twin and is not compiled.
        sources = typed if typed[0].exists() else [*typed, stem.with_suffix(".py")]
        if built.exists() and any(
            source.exists() and source.stat().st_mtime > built.stat().st_mtime for source in sources
        ):
            stale.append(name)
    return stale


def pytest_report_header() -> list[str]:
    """Say which implementation is tested, and whether the compiled modules are up to date."""
    lines = [f"duplexio: {duplexio.__version__}, implementation: {duplexio.implementation}"]
    if duplexio.implementation == "c" and (stale := stale_modules()):
        lines.append(f"STALE compiled modules, run `make build`: {', '.join(stale)}")
    return lines


# In CI a skip is a failure: a test that cannot run there proves nothing, and nobody would notice.
# `@pytest.mark.may_skip("reason")` is the exception.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one in CI."""
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if (
        IN_CI
        and report.skipped
        and not expected_failure
        and not item.get_closest_marker("may_skip")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be: {skip_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failed one in CI."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be: {skip_reason(report.longrepr)}"
    return report


def skip_reason(longrepr: object) -> str:
    """Return the words of a skip, with the place."""
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        path, line, reason = longrepr
        return f"{reason} ({path}:{line})"
    return str(longrepr)


@pytest.fixture(scope="session")
def pure_package() -> ModuleType:
    """The package loaded a second time, without its compiled modules, as `duplexio_pure`."""
    return load_pure_package()
