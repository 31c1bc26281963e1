"""The kernel, compiled against pure, on frames and cuts that hypothesis makes up."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import duplexio
from tests.fuzz.targets import kernel_target, output_target

INPUT = st.binary(max_size=400)


@pytest.mark.skipif(
    duplexio.implementation != "c", reason="the compiled modules are not in use: nothing to compare"
)
@pytest.mark.may_skip("the pure run of the same tests has one form only")
class TestCompiledAgainstPure:
    @settings(max_examples=1500)
    @given(INPUT)
    def test_reading(self, data):
        kernel_target(data)

    @settings(max_examples=300)
    @example(b"\x00\x10")  # nothing, appended to nothing
    @given(INPUT)
    def test_writing(self, data):
        output_target(data)


@settings(max_examples=300)
@example(b"")
@given(INPUT)
def test_cuts_do_not_matter(data):
    # In a pure run both readers are the Python form: the cuts alone differ.
    kernel_target(data)
