"""The settings of a connection."""

import logging

import pytest

from duplexio.errors import UsageError
from duplexio.websocket.options import Options, make_options, queue_limits


@pytest.mark.parametrize(
    ("max_queue", "limits"),
    [
        (16, (16, 4)), (1, (1, 0)), (3, (3, 0)), ((8, 2), (8, 2)), ((8, None), (8, 2)),
        (None, None), ((None, None), None), ((None, 3), None),
    ],
)  # fmt: skip
def test_queue_limits(max_queue, limits):
    assert queue_limits(max_queue) == limits


@pytest.mark.parametrize("max_queue", [0, -1, (4, 4), (4, 5), (4, -1), (0, None)])
def test_wrong_queue_limits(max_queue):
    with pytest.raises(UsageError, match="max_queue"):
        queue_limits(max_queue)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ping_interval", 0), ("ping_timeout", -1), ("open_timeout", 0), ("close_timeout", -0.5),
        ("max_size", -1), ("write_limit", -1), ("max_buffered", -1), ("max_size", (1, 2)),
        ("max_size", 1.5),
    ],
)  # fmt: skip
def test_values_out_of_range(name, value):
    with pytest.raises(UsageError, match=name):
        Options(**{name: value})


def test_none_switches_off():
    names = ("ping_interval", "ping_timeout", "open_timeout", "close_timeout", "max_size")
    options = Options(max_buffered=None, **dict.fromkeys(names))
    assert all(getattr(options, name) is None for name in (*names, "max_buffered"))


def test_arguments():
    logger = logging.getLogger("tests.mine")
    options = make_options(max_queue=(8, 1), write_limit=(100, 5), logger=logger, max_size=7)
    assert (options.max_queue, options.write_limit, options.max_size) == ((8, 1), 100, 7)
    assert options.logger is logger
    options = make_options(max_queue=None, write_limit=5, logger=None)
    assert (options.max_queue, options.write_limit) == (None, 5)
    assert options.logger.name == "duplexio.websocket"
