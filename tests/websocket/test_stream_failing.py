"""A peer that breaks the protocol behind good messages: those are received and answered first."""

import asyncio

import pytest

from duplexio.websocket.exceptions import ConnectionClosedError
from duplexio.websocket.server import serve

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: "a", "b" and "c", masked with zeros, and a frame with a reserved bit.
FRAMES = b"".join(b"\x81\x81\x00\x00\x00\x00" + letter for letter in (b"a", b"b", b"c"))
BROKEN = b"\xa1\x80\x00\x00\x00\x00"


async def exchange(handler, **options):
    """Send the good frames and the broken one at once; return all that the server says."""
    async with serve(handler, "127.0.0.1", 0, compression=None, **options) as server:
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(REQUEST + FRAMES + BROKEN)
        await reader.readuntil(b"\r\n\r\n")
        said = await reader.read()
        writer.close()
        await writer.wait_closed()
    return said


async def test_messages_before_the_broken_frame_are_answered():
    codes = []

    async def handler(connection):
        # The first message is taken while the others are read, those when the failure is known.
        for _ in range(3):
            message = await connection.recv()
            await asyncio.sleep(0)
            await connection.send(message)
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
        codes.append(caught.value.sent.code)

    said = await exchange(handler)
    assert said.startswith(b"\x81\x01a\x81\x01b\x81\x01c\x88")
    assert said[11:13] == (1002).to_bytes(2, "big")
    assert codes == [1002]


async def test_a_handler_that_receives_nothing_delays_the_failure_by_close_timeout():
    async def handler(connection):
        await connection.wait_closed()

    said = await exchange(handler, close_timeout=0.2)
    assert said[:1] == b"\x88"
    assert said[2:4] == (1002).to_bytes(2, "big")


async def test_closing_fails_with_the_code_of_the_broken_frame():
    async def handler(connection):
        await connection.recv()
        await asyncio.sleep(0)
        await connection.close()

    said = await exchange(handler)
    assert said[:1] == b"\x88"
    assert said[2:4] == (1002).to_bytes(2, "big")
