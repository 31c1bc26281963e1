"""Requests that overlap, are replayed or forged, and WebSockets that come twice."""

import asyncio
import tracemalloc

import pytest

from tests.engineio.serving import error
from tests.fault.peers import Census, complaints, serving, settled, until
from tests.websocket.raw import masked, upgrade

LOOPS = ("uvloop",)

UNKNOWN = error(1, "Session ID unknown")
BAD = error(3, "Bad request")


@pytest.fixture(params=["native", "asgi"])
def hosting(request):
    return request.param


def code(answer):
    status, _, body = answer
    return status, body


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_two_requests_at_once_end_the_session(hosting, method, caplog):
    async with serving(hosting) as site:
        before = Census()
        async with site.http() as first, site.http() as second:
            query = await first.connected()
            if method == "GET":
                await first.send("GET", query)
                await until(lambda: any(s.writable for s in site.engine.sessions.values()))
                status, _, _ = await second.get(query)
                assert (await first.receive())[0::2] == (200, b"1")
            else:
                await first.send("POST", query, b"42", Content_Length="100")
                await asyncio.sleep(0.05)
                status, _, _ = await second.post(query, b'42["say"]')
                assert (await first.receive())[0] == 400
            assert status == 400
            assert site.reasons() == ["transport error"]
            assert site.heard == []
            # From now on, its id is as good as any that never was.
            for again in (await second.get(query), await second.post(query, b"3")):
                assert again[0] == 400
            assert site.engine.refused[1] == 2
        await settled(site, before)
    assert complaints(caplog) == []


async def test_forged_ids_are_counted_and_cost_nothing(hosting, caplog):
    async with serving(hosting) as site:
        witness = await site.client()
        async with site.http() as http:
            query = await http.connected()
            sid = query.rpartition("=")[2]
            forged = [
                "x", "A" * 20, "0" * 256, "%00", "..%2F", "%F0%9F", sid[:-1], sid.swapcase(),
                "a" * 5000,
            ]  # fmt: skip
            requests = 0
            for each in forged * 5:
                bad = f"EIO=4&transport=polling&sid={each}"
                assert (await http.get(bad))[0] == 400
                assert (await http.post(bad, b"41"))[0] == 400
                requests += 2
            assert sum(site.engine.refused.values()) == requests
            for each in forged:
                async with site.http() as other:
                    path = f"/socket.io/?EIO=4&transport=websocket&sid={each}"
                    other.writer.write(upgrade(path=path))
                    status, _, _ = await other.receive()
                    assert status in (400, 403)
                    requests += 1
            assert sum(site.engine.refused.values()) == requests
            # The real one is none the worse for it.
            assert len(site.engine.sessions) == 2
            assert (await http.post(query, b'420["say",1]'))[0] == 200
            assert (await http.get(query))[2] == b"430[1]"
        witness.say('421["say",2]')
        assert await witness.text() == "431[2]"
        await witness.close()
    assert complaints(caplog) == []


async def test_a_replayed_request_after_the_upgrade(hosting):
    async with serving(hosting) as site, site.http() as http:
        query = await http.connected()
        ws = await site.websocket(query.replace("polling", "websocket"))
        ws.say("2probe")
        assert await ws.text() == "3probe"
        ws.say("5", '420["say",1]')
        assert await ws.text() == "430[1]"
        for _ in range(3):
            assert (await http.get(query))[0] == 400
            assert (await http.post(query, b'42["say",2]'))[0] == 400
        assert site.engine.refused == {3: 6}
        # A second WebSocket is accepted, since some clients crash otherwise, and closed.
        for _ in range(3):
            second = await site.websocket(query.replace("polling", "websocket"))
            second.say("2probe", "5", '42["say",3]')
            assert await second.ended() in (1000, 1005)
            await second.close()
        ws.say('421["say",4]')
        assert await ws.text() == "431[4]"
        assert site.heard == [(1,), (4,)]
        await ws.close()


async def test_another_protocol_than_in_the_handshake(hosting):
    async with serving(hosting) as site, site.http() as http:
        query = await http.connected()
        other = query.replace("EIO=4", "EIO=3")
        assert (await http.get(other))[0] == 400
        assert (await http.post(other, b"1:1"))[0] == 400
        assert (await http.post(query, b'420["say",1]'))[0] == 200
        assert (await http.get(query))[2] == b"430[1]"


@pytest.mark.parametrize("packet", ["4hello", "5", "", b"x", "2", "2probe2"])
async def test_a_candidate_that_does_something_else(hosting, packet):
    """It is closed; the session goes on where it was."""
    async with serving(hosting) as site, site.http() as http:
        query = await http.connected()
        ws = await site.websocket(query.replace("polling", "websocket"))
        ws.say(packet)
        assert await ws.ended() in (1000, 1005)
        await ws.close()
        assert (await http.post(query, b'420["say",1]'))[0] == 200
        assert (await http.get(query))[2] == b"430[1]"
        assert site.left == []


async def test_a_candidate_that_waits_is_closed(hosting):
    async with serving(hosting, upgrade_timeout=0.2) as site, site.http() as http:
        query = await http.connected()
        ws = await site.websocket(query.replace("polling", "websocket"))
        second = await site.websocket(query.replace("polling", "websocket"))
        assert await second.ended() in (1000, 1005)
        assert await ws.ended() in (1000, 1005)
        assert (await http.post(query, b'420["say",1]'))[0] == 200
        assert (await http.get(query))[2] == b"430[1]"
        for each in (ws, second):
            await each.close()


async def test_a_flood_of_probes_that_reads_nothing():
    async with serving() as site, site.http() as http:
        query = await http.connected()
        ws = await site.websocket(query.replace("polling", "websocket"))
        ws.reader._limit = 1000
        flood = masked(1, b"2probe") * 10_000
        tracemalloc.start()
        for _ in range(60):
            ws.send(flood)
            await asyncio.wait_for(ws.writer.drain(), 10)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3_000_000
        ws.reset()
        assert (await http.post(query, b'420["say",1]'))[0] == 200
        assert (await http.get(query))[2] == b"430[1]"
