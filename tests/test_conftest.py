"""In CI a skipped test is a failed one, unless it says that it may be skipped."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SKIPS = """
import pytest

@pytest.mark.skip(reason="no browser")
def test_marked(): ...

def test_called():
    pytest.skip("no proxy")

@pytest.mark.may_skip("only Windows has it")
def test_allowed():
    pytest.skip("not Windows")

@pytest.mark.xfail(reason="known", strict=True)
def test_expected_to_fail():
    assert 0

def test_passes(): ...
"""
SKIPPED_MODULE = """
import pytest
pytest.importorskip("a_module_that_is_not_there")
"""


@pytest.fixture
def run(tmp_path):
    """Run tests with the conftest of this folder; return the counts and the output."""

    def run(text, **environ):
        (tmp_path / "test_it.py").write_text(text)
        options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", tmp_path]
        options += ["-c", os.devnull, "-o", "markers=may_skip: allowed"]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, tmp_path / "test_it.py"],
            cwd=ROOT,
            env={**os.environ, "CI": "", **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        counts = re.findall(r"(\d+) (\w+)", ran.stdout.splitlines()[-1].rpartition(" in ")[0])
        return {word.rstrip("s"): int(number) for number, word in counts}, ran.stdout

    return run


def test_skips_are_skips_elsewhere(run):
    counts, _ = run(SKIPS)
    assert counts == {"skipped": 3, "xfailed": 1, "passed": 1}


def test_skips_are_failures_in_ci(run):
    counts, said = run(SKIPS, CI="true")
    # What skips before the test itself is an error of its setup.
    assert counts == {"failed": 1, "error": 1, "skipped": 1, "xfailed": 1, "passed": 1}
    assert "skipped in CI, where nothing may be: Skipped: no proxy" in said
    assert "skipped in CI, where nothing may be: Skipped: no browser" in said


def test_a_skipped_module_is_an_error_in_ci(run):
    counts, said = run(SKIPPED_MODULE, CI="true")
    assert counts == {"error": 1}
    assert "a_module_that_is_not_there" in said
