"""How a load is split."""

import json

from hypothesis import given
from hypothesis import strategies as st

from duplexio.cli.bench.plan import Plan


@given(st.integers(1, 1000), st.integers(1, 20))
def test_the_parts_are_the_whole(connections, processes):
    plan = Plan(url="ws://localhost", connections=connections, rate=1000.0)
    parts = plan.parts(processes)
    numbers = [part.first + i for part in parts for i in range(part.connections)]
    assert numbers == list(range(connections))
    assert abs(sum(part.rate for part in parts) - 1000) < 1e-6


def test_it_survives_json():
    plan = Plan(url="ws://localhost", headers=(("A", "b"),), transports=("polling", "websocket"))
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan
