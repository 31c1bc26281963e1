"""Connections, compiled and pure, on conversations that hypothesis makes up."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.connection_targets import lie_target, talk_target

INPUT = st.binary(max_size=400)


@settings(max_examples=600)
@example(b"")
@given(INPUT)
def test_two_connections_understand_each_other(data):
    talk_target(data)


@settings(max_examples=600)
@example(b"")
@given(INPUT)
def test_a_peer_that_breaks_the_rules(data):
    lie_target(data)
