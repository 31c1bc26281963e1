"""Latencies in buckets."""

import math

from hypothesis import given
from hypothesis import strategies as st

from duplexio.cli.bench.histogram import Histogram

latencies = st.floats(min_value=1e-6, max_value=1000)


@given(st.lists(latencies, min_size=1, max_size=50), st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_within_a_percent_or_a_microsecond(values, percent):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]
    assert abs(histogram.percentile(percent) - exact) <= max(exact * 0.01, 1.01e-6)


@given(st.lists(latencies), st.lists(latencies))
def test_parts_add_up_to_the_whole(first, second):
    whole, part, other = Histogram(), Histogram(), Histogram()
    for value in first:
        whole.add(value)
        part.add(value)
    for value in second:
        whole.add(value)
        other.add(value)
    # As JSON carries it: keys are text.
    part.merge({str(bucket): times for bucket, times in other.as_dict().items()})
    assert part.count == whole.count
    assert part.as_dict() == whole.as_dict()


def test_bars():
    histogram = Histogram()
    for milliseconds in (0.5, 1.5, 1.6, 2.5, 100):
        histogram.add(milliseconds / 1000)
    assert histogram.bars([0, 0.001, 0.002]) == [1, 2, 2]


def test_nothing():
    histogram = Histogram()
    assert histogram.percentile(99) == 0
    assert histogram.mean() == 0
