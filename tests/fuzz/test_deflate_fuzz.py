"""Decompression on bytes that hypothesis makes up, valid and damaged."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import deflate_target


@settings(max_examples=1000)
@given(st.binary(max_size=200))
def test_any_frames(data):
    deflate_target(data)
