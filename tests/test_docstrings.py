"""Every example of a docstring runs, and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest

import duplexio

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(duplexio.__path__, "duplexio.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
