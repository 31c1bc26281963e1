"""The tables of limits in the documentation are those of the code."""

import re
from pathlib import Path

import pytest

from duplexio.engineio.options import ServerOptions, SessionOptions, make_options
from duplexio.socketio.limits import POLICIES, Limits

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "socketio-limits.md"
ROW = re.compile(r"^\| `(\w+)` \| ([\w,.]+) \| ([^|]+) \|(.*)$", re.MULTILINE)
ROWS = {name: (default, third.strip()) for name, default, third, _ in ROW.findall(PAGE.read_text())}

#: Options of Engine.IO that are limits, and what they are called as arguments.
BELOW = {
    **dict.fromkeys(["max_packets", "max_buffered_bytes", "max_buffered_packets"], SessionOptions),
    **dict.fromkeys(["ping_interval", "ping_timeout"], SessionOptions),
    **dict.fromkeys(["upgrade_timeout", "close_timeout"], SessionOptions),
    **dict.fromkeys(["max_connections", "max_connections_per_address"], ServerOptions),
    "max_http_buffer_size": None,
}


def written(value):
    return "none" if value is None else f"{value:,.0f}"


def test_no_limit_is_forgotten():
    assert set(ROWS) == set(POLICIES) | set(BELOW)
    fields = set(SessionOptions.__dataclass_fields__) | set(ServerOptions.__dataclass_fields__)
    limits = {name for name in fields if name.startswith("max_") or name.endswith("_timeout")}
    assert limits - {"max_payload"} <= set(BELOW)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_defaults_and_policies(name):
    default, policies = ROWS[name]
    assert default == written(getattr(Limits(), name))
    assert tuple(policies.split(", ")) == POLICIES[name]


@pytest.mark.parametrize("name", sorted(BELOW))
def test_defaults_of_engineio(name):
    options = make_options()
    if name == "max_http_buffer_size":
        value = options.session.max_payload
    else:
        value = getattr(options.session if BELOW[name] is SessionOptions else options, name)
    assert ROWS[name][0] == written(value)
