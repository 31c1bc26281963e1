"""The benchmark's C programs, and what measures with them."""

import shutil
from pathlib import Path

import pytest

from bench import native
from bench.measure import Machinery, Pace
from bench.native import Native

QUICK = Pace(rounds=1, seconds=0.1, warm=0.05, full=False)


@pytest.fixture(scope="session")
def programs() -> Native:
    if not shutil.which("gcc") and not shutil.which("cc"):
        pytest.skip("no C compiler: the benchmark's programs cannot be built")
    return native.build()


@pytest.fixture(scope="module")
def machinery(programs: Native, tmp_path_factory: pytest.TempPathFactory) -> Machinery:
    return Machinery(programs, QUICK, Path(tmp_path_factory.mktemp("bench")))
