"""A proxy that does what proxies do to long polling and WebSockets when nobody told them better."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

_HOP_BY_HOP = {"connection", "upgrade", "transfer-encoding", "content-length", "keep-alive"}


class MeddlingProxy:
    """An HTTP proxy without WebSockets.

    Args:
        ports: Where the servers are; requests go to one after the other.
        added: Headers that it adds to each answer.
        largest: Bytes of the largest body that it lets through.
        cut: Seconds after which it gives up on a server; ``None`` for never.
        held: Seconds for which it keeps each answer to a waiting poll.
    """

    def __init__(self, *ports, added=(), largest=2**30, cut=None, held=0.0):
        self.ports = ports
        self.added = added
        self.largest = largest
        self.cut = cut
        self.held = held
        self.count = 0

    async def forward(self, request):
        body = await request.read()
        if len(body) > self.largest:
            return web.Response(status=413, text="<html>Request Entity Too Large</html>")
        port = self.ports[self.count % len(self.ports)]
        self.count += 1
        headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _HOP_BY_HOP]
        try:
            async with (
                asyncio.timeout(self.cut),
                self.session.request(
                    request.method,
                    f"http://127.0.0.1:{port}{request.path_qs}",
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                ) as answer,
            ):
                content = await answer.read()
        except TimeoutError:
            return web.Response(status=504, text="<html>Gateway Time-out</html>")
        if "sid" in request.query and request.method == "GET":
            await asyncio.sleep(self.held)
        response = web.Response(status=answer.status, body=content)
        response.headers.clear()
        for name, value in [*answer.headers.items(), *self.added]:
            if name.lower() not in _HOP_BY_HOP:
                response.headers.add(name, value)
        return response

    @asynccontextmanager
    async def running(self):
        """Run it; yield its port."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self.forward)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession(auto_decompress=False) as self.session:
            try:
                yield runner.addresses[0][1]
            finally:
                await runner.cleanup()
