"""What servers get wrong: each of these was seen failing on a real one."""

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.engineio.serving import HOSTINGS, error, serving


@pytest.fixture(params=HOSTINGS)
def hosting(request):
    return request.param


# The handshake


async def test_times_are_reported_exactly(hosting):
    async with serving(hosting, ping_interval=0.3, ping_timeout=0.2) as peer:
        _, _, body = await peer.request("GET", "EIO=4&transport=polling")
        data = json.loads(body[1:])
        assert (data["pingInterval"], data["pingTimeout"]) == (300, 200)
        async with peer.websocket() as ws:
            data = json.loads((await ws.recv())[1:])
            assert (data["pingInterval"], data["pingTimeout"]) == (300, 200)
            assert data["upgrades"] == []


async def test_the_open_packet(hosting):
    async with serving(hosting) as peer:
        status, headers, body = await peer.request("GET", "EIO=4&transport=polling")
        assert status == 200
        assert headers["content-type"] == "text/plain; charset=UTF-8"
        assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers
        data = json.loads(body[1:])
        assert len(data.pop("sid")) == 20
        assert data == {
            "upgrades": ["websocket"],
            "pingInterval": 25000,
            "pingTimeout": 20000,
            "maxPayload": 1000000,
        }


@pytest.mark.parametrize(
    ("method", "query", "answer"),
    [
        ("GET", "EIO=4", error(0, "Transport unknown")),
        ("GET", "EIO=4&transport=abc", error(0, "Transport unknown")),
        ("GET", None, error(0, "Transport unknown")),
        ("PUT", "EIO=4&transport=polling", error(2, "Bad handshake method")),
        ("DELETE", "EIO=4&transport=polling", error(2, "Bad handshake method")),
        ("POST", "EIO=4&transport=polling", error(2, "Bad handshake method")),
        ("OPTIONS", "EIO=4&transport=polling", error(2, "Bad handshake method")),
        ("GET", "EIO=4&transport=polling&sid=abc", error(1, "Session ID unknown")),
        ("POST", "EIO=4&transport=polling&sid=abc", error(1, "Session ID unknown")),
        ("GET", "EIO=4&transport=websocket", error(3, "Bad request")),
        ("GET", "EIO=4&transport=polling&transport=polling", error(3, "Bad request")),
        ("GET", "EIO=4&transport=polling&j=0", error(3, "Bad request")),
    ],
)
async def test_bad_requests(hosting, method, query, answer):
    async with serving(hosting) as peer:
        body = b"4x" if method in ("POST", "PUT") else None
        status, headers, body = await peer.request(method, query, body)
        assert status == 400
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == answer
        assert not peer.events


@pytest.mark.parametrize("query", ["EIO=4&transport=abc", "EIO=4&transport=websocket&sid=abc"])
async def test_bad_requests_for_websockets(hosting, query):
    async with serving(hosting) as peer:
        with pytest.raises(InvalidStatus) as raised:
            await peer.websocket(query)
        assert raised.value.response.status_code == 400
        assert not peer.events


async def test_protocol_3_where_it_is_off(hosting):
    async with serving(hosting, allow_eio3=False) as peer:
        for query in ("EIO=3&transport=polling", "transport=polling", "EIO=5&transport=polling"):
            status, _, body = await peer.request("GET", query)
            assert status == 400
            assert json.loads(body) == error(5, "Unsupported protocol version")
        with pytest.raises(InvalidStatus) as raised:
            await peer.websocket("EIO=3&transport=websocket")
        assert raised.value.response.status_code == 400


# Polling requests


async def test_a_post_is_answered_ok(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        status, headers, body = await peer.request("POST", query, b"4hello")
        assert (status, headers["content-type"], body) == (200, "text/html", b"ok")
        assert (await peer.request("GET", query))[2] == b"4hello"


@pytest.mark.parametrize("body", [b"abc", b"4a\x1e\x1e", b"", b"\xff", b"b!"])
async def test_an_invalid_packet(hosting, body):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        async with peer.http() as waiting:
            await waiting.send("GET", query)
            await asyncio.sleep(0.05)
            status, _, answer = await peer.request("POST", query, body)
            assert (status, json.loads(answer)) == (400, error(3, "Bad request"))
            assert (await waiting.receive())[2] == b"1"
        assert peer.events[-1] == ("disconnect", "parse error")
        assert (await peer.request("GET", query))[0] == 400


async def test_a_second_get(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        async with peer.http() as first:
            await first.send("GET", query)
            await asyncio.sleep(0.05)
            assert (await peer.request("GET", query))[0] == 400
            assert (await first.receive())[::2] == (200, b"1")
        assert peer.events[-1] == ("disconnect", "transport error")
        status, _, body = await peer.request("GET", query)
        assert (status, json.loads(body)) == (400, error(1, "Session ID unknown"))


async def test_a_second_post(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        async with peer.http() as first:
            await first.send("POST", query, b"4he", Content_Length=6)
            await asyncio.sleep(0.05)
            assert (await peer.request("POST", query, b"4x"))[0] == 400
        assert peer.events[-1] == ("disconnect", "transport error")
        assert not peer.messages()


async def test_a_get_that_the_client_gives_up(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        async with peer.http() as waiting:
            await waiting.send("GET", query)
            await asyncio.sleep(0.05)
        await peer.wait_for("disconnect", "transport error")
        assert (await peer.request("GET", query))[0] == 400


async def test_the_client_closes(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        async with peer.http() as waiting:
            await waiting.send("GET", query)
            await asyncio.sleep(0.05)
            assert (await peer.request("POST", query, b"1"))[::2] == (200, b"ok")
            assert (await waiting.receive())[::2] == (200, b"6")
        assert peer.events[-1] == ("disconnect", "transport close")
        assert (await peer.request("GET", query))[0] == 400
        assert (await peer.request("POST", query, b"4x"))[0] == 400


async def test_no_pong_in_time(hosting):
    async with serving(hosting, ping_interval=0.1, ping_timeout=0.1) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        assert (await peer.request("GET", query))[2] == b"2"
        await peer.wait_for("disconnect", "ping timeout")
        assert (await peer.request("GET", query))[0] == 400


async def test_a_body_of_protocol_4_is_no_octet_stream(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        answer = await peer.request(
            "POST", query, b"4hello", Content_Type="application/octet-stream"
        )
        assert answer[0] == 400
        assert peer.events[-1] == ("disconnect", "parse error")


# The upgrade


@pytest.mark.parametrize("protocol", [3, 4])
async def test_the_upgrade(hosting, protocol):
    async with serving(hosting) as peer:
        sid = await peer.open(protocol)
        query = f"EIO={protocol}&transport=polling&sid={sid}"
        upgrade = f"EIO={protocol}&transport=websocket&sid={sid}"
        async with peer.http() as polling, peer.websocket(upgrade) as ws:
            await polling.send("GET", query)
            await asyncio.sleep(0.05)
            await ws.send("2probe")
            assert await ws.recv() == "3probe"
            noop = b"6" if protocol == 4 else b"1:6"
            assert (await asyncio.wait_for(polling.receive(), 1))[2] == noop
            await ws.send("5")
            await ws.send("4hello")
            assert await ws.recv() == "4hello"
            status, _, body = await peer.request("GET", query)
            assert (status, json.loads(body)) == (400, error(3, "Bad request"))
            # A refused handshake crashes some clients.
            async with peer.websocket(upgrade) as second:
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(second.recv(), 5)
            await ws.send("4still here")
            assert await ws.recv() == "4still here"
            assert peer.eio.transport(sid) == "websocket"
        await peer.wait_for("disconnect", "transport close")


async def test_nothing_is_lost_or_doubled_in_the_upgrade(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        received = []

        async def poll():
            async with peer.http() as polling:
                while True:
                    body = (await polling.request("GET", query))[2].decode()
                    received.extend(p[1:] for p in body.split("\x1e") if p[0] == "4")
                    if body == "6":
                        return

        sent = 0
        polls = asyncio.create_task(poll())
        async with peer.websocket(f"EIO=4&transport=websocket&sid={sid}") as ws:
            await ws.send("2probe")
            for _ in range(50):
                await peer.eio.send(sid, str(sent))
                sent += 1
                await asyncio.sleep(0)
            assert await ws.recv() == "3probe"
            await polls
            for _ in range(50):
                await peer.eio.send(sid, str(sent))
                sent += 1
            await ws.send("5")
            for _ in range(50):
                await peer.eio.send(sid, str(sent))
                sent += 1
            while len(received) < sent:
                received.append((await asyncio.wait_for(ws.recv(), 5))[1:])
        assert received == [str(number) for number in range(150)]


# Limits


async def test_a_request_over_the_limit(hosting):
    async with serving(hosting, max_http_buffer_size=100) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        assert (await peer.request("POST", query, b"4" + b"x" * 99))[0] == 200
        assert (await peer.request("POST", query, b"4" + b"x" * 100))[0] == 413
        assert [len(message) for message in peer.messages()] == [99]
        assert peer.events[-1] == ("disconnect", "message too big")
        assert peer.eio.counters == {"max_http_buffer_size": 1}


async def test_a_chunked_request_over_the_limit(hosting):
    async with serving(hosting, max_http_buffer_size=100) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        async with peer.http() as http:
            http.writer.write(
                f"POST /engine.io/?{query} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                "\r\n5\r\n4abcd\r\n0\r\n\r\n".encode()
            )
            assert (await http.receive())[::2] == (200, b"ok")
            http.writer.write(
                f"POST /engine.io/?{query} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                "\r\n65\r\n".encode()
                + b"4" * 0x65
                + b"\r\n"
            )
            assert (await http.receive())[0] == 413
        assert peer.messages() == ["abcd"]
        assert peer.events[-1] == ("disconnect", "message too big")


async def test_a_websocket_message_over_the_limit(hosting):
    async with serving(hosting, max_http_buffer_size=100) as peer, peer.websocket() as ws:
        await ws.recv()
        await ws.send("4" + "x" * 99)
        assert len(await ws.recv()) == 100
        await ws.send("4" + "x" * 100)
        with pytest.raises(ConnectionClosed) as raised:
            await ws.recv()
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == 1009
        await peer.wait_for("disconnect", peer.eio.reason.MESSAGE_TOO_BIG)
        assert peer.eio.counters == {"max_http_buffer_size": 1}


# Engine.IO 3


async def test_payloads_of_protocol_3_are_text_unless_a_packet_is_binary(hosting):
    async with serving(hosting) as peer:
        _, headers, body = await peer.request("GET", "EIO=3&transport=polling")
        assert headers["content-type"].startswith("text/plain")
        length, _, packet = body.decode().partition(":")
        assert int(length) == len(packet)
        sid = json.loads(packet[1:])["sid"]
        query = f"EIO=3&transport=polling&sid={sid}"
        body = "2:4€3:4😀".encode()
        assert (await peer.request("POST", query, body))[2] == b"ok"
        _, headers, body = await peer.request("GET", query)
        assert headers["content-type"].startswith("text/plain")
        assert body.decode() == "2:4€3:4😀"
        binary = bytes.fromhex("0006ff3468656c6c6f0104ff04010203")
        answer = await peer.request("POST", query, binary, Content_Type="application/octet-stream")
        assert answer[2] == b"ok"
        _, headers, body = await peer.request("GET", query)
        assert headers["content-type"] == "application/octet-stream"
        assert body == binary


async def test_protocol_3_with_base64(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open(3)
        query = f"EIO=3&transport=polling&sid={sid}&b64=1"
        assert (await peer.request("POST", query, b"6:4hello6:b4AQID"))[2] == b"ok"
        assert (await peer.request("GET", query))[2] == b"6:4hello6:b4AQID"
        assert peer.messages() == ["hello", b"\x01\x02\x03"]


async def test_the_client_pings_in_protocol_3(hosting):
    async with serving(hosting, ping_interval=0.15, ping_timeout=0.15) as peer:
        async with peer.websocket("EIO=3&transport=websocket") as ws:
            await ws.recv()
            for _ in range(4):
                await ws.send("2")
                assert await ws.recv() == "3"
                await asyncio.sleep(0.1)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
        assert peer.events[-1] == ("disconnect", "ping timeout")


# Text stays text


@pytest.mark.parametrize("text", ['{"a":1}', "null", "1", ""])
async def test_text_stays_text(hosting, text):
    async with serving(hosting) as peer, peer.websocket() as ws:
        await ws.recv()
        await ws.send("4" + text)
        assert await ws.recv() == "4" + text
        await ws.send(b"\x00" + text.encode())
        assert await ws.recv() == b"\x00" + text.encode()
        assert peer.messages() == [text, b"\x00" + text.encode()]


# What comes with the handshake


async def test_frames_in_the_segment_of_the_handshake():
    # uvicorn by itself loses them.
    for hosting in ("native", "handover"):
        async with serving(hosting) as peer, peer.http() as http:
            frame = b"\x81\x83\x00\x00\x00\x004hi"
            http.writer.write(
                b"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n"
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame
            )
            await peer.wait_for("message", "hi")
