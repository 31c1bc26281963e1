"""What gives a proxy away that stands in the way."""

import logging

import pytest

from duplexio.engineio.proxies import ProxyWatch
from tests.engineio.serving import Http, serving

CUT = "cut off after 10.0 s of silence, before the heartbeat that comes every ping_interval=25 s"


@pytest.fixture
def watch(caplog):
    caplog.set_level(logging.WARNING)
    return ProxyWatch(25, logging.getLogger("test"))


def feed(watch, silences, every=1.0):
    for number, silence in enumerate(silences):
        watch.cut(1000 + number * every, silence)


def test_connections_that_last_equally_long(watch, caplog):
    feed(watch, [10.0, 10.02, 9.98, 10.05])
    assert not caplog.messages
    watch.cut(2000, 10.0)
    assert len(caplog.messages) == 1
    assert CUT in caplog.messages[0]
    feed(watch, [10.0] * 10)
    assert len(caplog.messages) == 1


def test_pages_that_are_closed_meanwhile(watch, caplog):
    feed(watch, [3.0, 10.0, 10.0, 10.0, 21.0, 10.0, 7.5, 10.0, 10.0, 10.0])
    assert not caplog.messages
    watch.cut(2000, 10.0)
    assert len(caplog.messages) == 1


def test_pages_that_are_closed(watch, caplog):
    feed(watch, [number * 7.3 % 25 for number in range(1000)])
    assert not caplog.messages


def test_many_that_are_cut_at_once(watch, caplog):
    feed(watch, [10.0] * 1000, every=0.0001)
    assert not caplog.messages


@pytest.mark.parametrize("hosting", ["native", "handover", "asgi"])
async def test_requests_without_upgrade(hosting, caplog):
    async with serving(hosting) as peer:
        for _ in range(2):
            status, _, _ = await peer.request(
                "GET", "EIO=4&transport=websocket", Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="
            )
            assert status == 400
        # A mistake of the client is not the proxy's.
        await peer.request("GET", "EIO=4&transport=websocket")
    assert len([m for m in caplog.messages if "without the header 'Upgrade'" in m]) == 1


@pytest.mark.parametrize("hosting", ["native", "handover", "asgi"])
async def test_how_connections_end(hosting, monkeypatch):
    """Those that are cut count, those that are closed do not."""
    cuts = []
    monkeypatch.setattr(ProxyWatch, "cut", lambda self, now, silence: cuts.append(silence))
    async with serving(hosting) as peer:
        async with peer.websocket() as ws:
            await ws.recv()
        await peer.wait_for("disconnect", "transport close")
        assert cuts == []
        ws = await peer.websocket()
        await ws.recv()
        ws.transport.abort()
        while not cuts:
            peer.changed.clear()
            await peer.changed.wait()
        assert 0 < cuts[0] < 5
        sid = await peer.open()
        async with Http(peer.port) as http:
            await http.send("GET", f"EIO=4&transport=polling&sid={sid}")
            await peer.request("GET", "EIO=4&transport=nothing")
        await peer.wait_for("disconnect", "transport error")
        assert len(cuts) == 2
