"""A server's opening handshakes: late, cut into pieces, wrong, and many at once."""

import asyncio

import pytest

from duplexio.websocket import Listener
from duplexio.websocket.frames import Opcode
from duplexio.websocket.http11 import MAX_HEAD_SIZE, MAX_LINE_LENGTH
from tests.websocket.raw import Raw, close_payload, masked, port_of, serving, upgrade

LOOPS = ("asyncio", "uvloop")


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


both = pytest.mark.parametrize("handler", [echo, Echo])

CONVERSATION = (
    upgrade()
    + masked(Opcode.TEXT, b"first")
    + masked(Opcode.PING, b"p")
    + masked(Opcode.BINARY, b"second")
)
CLOSE = masked(Opcode.CLOSE, close_payload(1000))


@both
async def test_cut_at_every_byte(handler):
    async with serving(handler) as server:

        async def talk(at):
            raw = await Raw.connect(port_of(server))
            raw.writer.transport.set_write_buffer_limits(0)
            raw.send(CONVERSATION[:at])
            await raw.writer.drain()
            await asyncio.sleep(0.005)
            raw.send(CONVERSATION[at:])
            head = await raw.read_head()
            frames = [await raw.read_frame() for _ in range(3)]
            raw.send(CLOSE)
            frames.append(await raw.read_frame())
            await raw.close()
            return head, [(frame.opcode, frame.data) for frame in frames]

        expected = None
        for start in range(1, len(CONVERSATION), 60):
            cuts = range(start, min(start + 60, len(CONVERSATION)))
            for result in await asyncio.gather(*[talk(at) for at in cuts]):
                expected = expected or result
                assert result[0] == expected[0]
                # A coroutine answers when it runs; the pong does not wait for it.
                assert sorted(result[1]) == sorted(expected[1])
                assert result[1][-1] == (8, close_payload(1000))


@both
async def test_in_single_bytes(handler):
    async with serving(handler) as server:
        raw = await Raw.connect(port_of(server))
        for i in range(len(CONVERSATION)):
            raw.send(CONVERSATION[i : i + 1])
            await asyncio.sleep(0)
        await raw.read_head()
        frames = [(await raw.read_frame()).data for _ in range(3)]
        assert set(frames) == {b"first", b"p", b"second"}
        raw.send(CLOSE)
        assert (await raw.read_close()).code == 1000
        await raw.close()


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"426", b"This address is for WebSockets"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"405", b"expected GET"),
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", b"505", b"HTTP/1.0"),
        (b"nonsense\r\n\r\n", b"400", b"request line"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400", b"TLS"),
        (b"GET /" + b"x" * MAX_LINE_LENGTH + b" HTTP/1.1", b"414", b""),
        (b"GET / HTTP/1.1\r\n" + b"X: yyyyyyy\r\n" * (MAX_HEAD_SIZE // 12 + 1), b"431", b""),
        (upgrade().replace(b"13", b"12"), b"426", b"12; expected 13"),
        (upgrade().replace(b"dGhl", b"dG"), b"400", b"Sec-WebSocket-Key"),
        (upgrade("Origin: https://evil.example"), b"403", b"https://evil.example"),
    ],
)
async def test_requests_that_are_refused(request_, status, text):
    async with serving(echo) as server:
        raw = await Raw.connect(port_of(server))
        raw.send(request_)
        answer = await raw.read_all()
        assert answer.startswith(b"HTTP/1.1 " + status + b" "), answer
        assert text in answer
        assert b"\r\nConnection: close\r\n" in answer
        assert b"\r\nDate: " in answer
        await raw.close()


async def test_the_time_is_limited():
    async with serving(echo, open_timeout=0.05) as server:
        silent = await Raw.connect(port_of(server))
        slow = await Raw.connect(port_of(server))
        for byte in upgrade()[:10]:
            slow.send(bytes([byte]))
            await asyncio.sleep(0.002)
        for raw in (silent, slow):
            answer = await raw.read_all()
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b"within 0.05 s" in answer
            await raw.close()


async def test_the_time_of_process_request_counts():
    cancelled = asyncio.Event()

    async def process_request(ws, request):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(echo, open_timeout=0.05, process_request=process_request) as server:
        raw = await Raw.connect(port_of(server))
        raw.send(upgrade())
        assert (await raw.read_all()).startswith(b"HTTP/1.1 408 ")
        await asyncio.wait_for(cancelled.wait(), 5)
        await raw.close()


async def test_a_client_that_does_not_take_its_refusal():
    async with serving(echo, close_timeout=0.05) as server:
        raw = await Raw.connect(port_of(server))
        raw.send(b"nonsense\r\n\r\n")
        await asyncio.sleep(0.15)
        # It ends although the client has not closed its side.
        assert not server._opening
        raw.abort()


async def test_a_client_that_goes_before_its_request_is_complete():
    async with serving(echo) as server:
        for data in (b"", upgrade()[:50]):
            raw = await Raw.connect(port_of(server))
            raw.send(data)
            await raw.close()
        await asyncio.sleep(0.01)
        assert not server._opening


async def test_without_a_time_limit():
    async with serving(echo, open_timeout=None) as server:
        raw = await Raw.connect(port_of(server))
        await asyncio.sleep(0.02)
        raw.send(upgrade() + masked(Opcode.TEXT, b"x"))
        await raw.read_head()
        assert (await raw.read_frame()).data == b"x"
        await raw.close()
