"""Event loops for the tests of the asyncio interfaces.

A module with `LOOPS = ("asyncio", "uvloop")` has its coroutine tests run on each of these loops;
the others run on asyncio's own.
"""

import asyncio
from collections.abc import Callable

import pytest

try:
    import uvloop
except ImportError:  # it has no wheels for some platforms
    uvloop = None  # type: ignore[assignment]

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if uvloop is not None:
    FACTORIES["uvloop"] = uvloop.new_event_loop


def pytest_asyncio_loop_factories(config, item):
    wanted = getattr(item.module, "LOOPS", ("asyncio",))
    return {name: FACTORIES[name] for name in wanted if name in FACTORIES}


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "socks_proxy", "ws_proxy", "wss_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
