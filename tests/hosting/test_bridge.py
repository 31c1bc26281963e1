"""An endpoint over ASGI messages, against an ASGI server written by hand."""

import asyncio

import pytest

from duplexio.hosting import Endpoint
from duplexio.websocket import ConnectionClosed, Listener


class AsgiServer:
    """What an ASGI server does for one WebSocket.

    Attributes:
        sent: The messages of the application.
        broken: What its `send` raises.
        slow: Whether its `send` returns, when it is set.
    """

    def __init__(self, application, headers=(), extensions=None):
        self.incoming = asyncio.Queue()
        self.sent = asyncio.Queue()
        self.broken = None
        self.slow = asyncio.Event()
        self.slow.set()
        self.scope = {
            "type": "websocket",
            "path": "/chat",
            "raw_path": b"/chat",
            "query_string": b"a=1",
            "scheme": "wss",
            "client": ("192.0.2.1", 5),
            "server": ("192.0.2.2", 443),
            "headers": [(b"host", b"example.com"), *headers],
        }
        if extensions is not None:
            self.scope["extensions"] = extensions
        self.receive("connect")
        self.task = asyncio.create_task(application(self.scope, self.incoming.get, self._send))

    async def _send(self, message):
        await self.slow.wait()
        if self.broken is not None:
            raise self.broken
        self.sent.put_nowait(message)

    def receive(self, kind, **values):
        self.incoming.put_nowait({"type": f"websocket.{kind}", **values})

    async def next(self):
        message = await asyncio.wait_for(self.sent.get(), 5)
        return {**message, "type": message["type"].removeprefix("websocket.")}

    async def accepted(self):
        assert (await self.next())["type"] == "accept"
        return self

    async def end(self):
        await asyncio.wait_for(self.task, 5)


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class TestMessages:
    async def test_text_and_binary(self):
        server = await AsgiServer(Endpoint(echo)).accepted()
        server.receive("receive", text="hello")
        assert await server.next() == {"type": "send", "text": "hello"}
        server.receive("receive", bytes=b"\0\xff", text=None)
        assert await server.next() == {"type": "send", "bytes": b"\0\xff"}
        server.receive("receive", bytes=None, text="")
        assert await server.next() == {"type": "send", "text": ""}
        server.receive("disconnect", code=1000)
        await server.end()

    async def test_large_messages_are_cut_for_reading_only(self):
        server = await AsgiServer(Endpoint(echo, max_size=2**20)).accepted()
        message = bytes(range(256)) * 4000
        server.receive("receive", bytes=message)
        assert await server.next() == {"type": "send", "bytes": message}
        server.receive("disconnect", code=1000)
        await server.end()

    async def test_fragments_go_out_as_one_message(self):
        async def handler(ws):
            await ws.send(["one ", "two"])

        server = await AsgiServer(Endpoint(handler)).accepted()
        assert await server.next() == {"type": "send", "text": "one two"}
        assert await server.next() == {"type": "close", "code": 1000, "reason": ""}
        await server.end()

    async def test_pings_are_answered_on_this_side(self):
        async def handler(ws):
            await ws.send(str(await (await ws.ping()) >= 0))

        server = await AsgiServer(Endpoint(handler)).accepted()
        assert await server.next() == {"type": "send", "text": "True"}
        await server.next()
        await server.end()

    async def test_what_the_handler_knows(self):
        async def handler(ws):
            await ws.send(f"{ws.request.path} {ws.remote_address} {ws.local_address}")
            assert ws.scope["scheme"] == "wss"

        server = await AsgiServer(Endpoint(handler)).accepted()
        assert (await server.next())["text"] == "/chat?a=1 ('192.0.2.1', 5) ('192.0.2.2', 443)"
        await server.next()
        await server.end()


class TestClosing:
    async def test_the_handlers_code(self):
        async def handler(ws):
            await ws.close(4001, "enough")
            assert ws.close_code == 4001

        server = await AsgiServer(Endpoint(handler)).accepted()
        assert await server.next() == {"type": "close", "code": 4001, "reason": "enough"}
        await server.end()

    @pytest.mark.parametrize(
        ("message", "code", "reason"),
        [
            ({"code": 1001, "reason": "away"}, 1001, "away"),
            ({"code": 1005}, 1005, ""),
            ({}, 1005, ""),
            ({"code": 1006, "reason": None}, 1006, ""),
        ],
    )
    async def test_the_clients_code(self, message, code, reason):
        closed = asyncio.get_running_loop().create_future()

        class Note(Listener):
            def on_close(self, ws, code, reason):
                closed.set_result((code, reason))

        server = await AsgiServer(Endpoint(Note)).accepted()
        server.receive("disconnect", **message)
        assert await asyncio.wait_for(closed, 5) == (code, reason)
        await server.end()
        assert server.sent.empty()

    async def test_messages_before_the_end_are_delivered(self):
        got = []

        async def handler(ws):
            got.extend([message async for message in ws])

        server = await AsgiServer(Endpoint(handler, max_queue=(2, 1))).accepted()
        for i in range(20):
            server.receive("receive", text=str(i))
        server.receive("disconnect", code=1000)
        await server.end()
        assert got == [str(i) for i in range(20)]

    async def test_a_message_that_is_too_big(self):
        server = await AsgiServer(Endpoint(echo, max_size=10)).accepted()
        server.receive("receive", text="x" * 11)
        message = await server.next()
        assert (message["type"], message["code"]) == ("close", 1009)
        await server.end()

    async def test_a_handler_that_raises(self, caplog):
        async def handler(ws):
            raise ValueError("oops")

        server = await AsgiServer(Endpoint(handler)).accepted()
        assert (await server.next())["code"] == 1011
        await server.end()
        assert "oops" in caplog.text

    async def test_an_asgi_server_that_refuses_a_message(self):
        ended = asyncio.get_running_loop().create_future()

        async def handler(ws):
            await ws.recv()
            try:
                while True:
                    await ws.send(bytes(10_000))
            except ConnectionClosed as exc:
                ended.set_result(exc.code)

        server = await AsgiServer(Endpoint(handler)).accepted()
        server.broken = OSError("the client has gone")
        server.receive("receive", text="go")
        assert await asyncio.wait_for(ended, 5) == 1006
        await server.end()

    @pytest.mark.parametrize("listens", [False, True])
    async def test_cancelling_the_application(self, listens):
        server = await AsgiServer(Endpoint(Listener if listens else echo)).accepted()
        server.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server.end()
        assert len(asyncio.all_tasks()) == 1


class TestBackPressure:
    async def test_an_asgi_server_that_does_not_take_messages(self):
        sent = 0

        async def handler(ws):
            nonlocal sent
            while True:
                await ws.send(bytes(10_000))
                sent += 1

        server = await AsgiServer(Endpoint(handler, write_limit=50_000)).accepted()
        server.slow.clear()
        before = -1
        while sent != before:
            before = sent
            for _ in range(100):
                await asyncio.sleep(0)
        assert 0 < sent < 1000
        server.slow.set()
        for _ in range(sent + 10):
            assert len((await server.next())["bytes"]) == 10_000
        server.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server.end()

    async def test_a_handler_that_does_not_receive(self):
        released = asyncio.Event()

        async def handler(ws):
            await released.wait()
            await echo(ws)

        server = await AsgiServer(Endpoint(handler, max_queue=(4, 1))).accepted()
        for i in range(100):
            server.receive("receive", text=str(i))
        for _ in range(1000):
            await asyncio.sleep(0)
        # Four in the queue, and one that was on its way.
        assert server.incoming.qsize() >= 94
        released.set()
        for i in range(100):
            assert (await server.next())["text"] == str(i)
        server.receive("disconnect", code=1000)
        await server.end()


class TestRefusals:
    async def test_with_the_response_extension(self):
        server = AsgiServer(
            Endpoint(echo),
            headers=[(b"origin", b"https://elsewhere.example")],
            extensions={"websocket.http.response": {}},
        )
        start = await server.next()
        assert (start["type"], start["status"]) == ("http.response.start", 403)
        assert b"elsewhere" in (await server.next())["body"]
        await server.end()

    async def test_without_it(self):
        server = AsgiServer(Endpoint(echo), headers=[(b"origin", b"https://elsewhere.example")])
        assert await server.next() == {"type": "close"}
        await server.end()


class TestOtherScopes:
    async def test_lifespan(self):
        sent = []
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive():
            return next(messages)

        async def send(message):
            sent.append(message["type"])

        await Endpoint(echo)({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
