"""Connecting through proxies: HTTP, HTTPS and SOCKS ones that are written here."""

import asyncio
import contextlib
import socket
import ssl

import pytest
import trustme
from python_socks import ProxyConnectionError

from duplexio.errors import UsageError
from duplexio.websocket import (
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
    connect,
)
from duplexio.websocket.dialing import choose_proxy
from duplexio.websocket.uri import parse_uri
from tests.websocket.raw import Raw, port_of, raw_server, serving, uri_of

LOOPS = ("asyncio", "uvloop")


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 5)


async def pipe(raw, port):
    """Pass bytes between a connection and a local port, both ways, until either ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def forward(source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
        except OSError:
            pass
        with contextlib.suppress(OSError, RuntimeError):
            target.close()

    await asyncio.gather(forward(raw.reader, writer), forward(reader, raw.writer))
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Tunnels:
    """A proxy that notes what it is asked for, and leads to a port whatever that was."""

    def __init__(self, port):
        self.port = port
        self.heads = []

    async def http(self, raw):
        head = await raw.read_head()
        self.heads.append(head.decode())
        raw.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await pipe(raw, self.port)

    async def socks5(self, raw):
        version, count = await raw.reader.readexactly(2)
        assert version == 5
        methods = await raw.reader.readexactly(count)
        if 2 in methods:
            raw.send(b"\x05\x02")
            _, size = await raw.reader.readexactly(2)
            name = await raw.reader.readexactly(size)
            (size,) = await raw.reader.readexactly(1)
            word = await raw.reader.readexactly(size)
            self.heads.append((name, word))
            raw.send(b"\x01\x00")
        else:
            raw.send(b"\x05\x00")
        *_, kind = await raw.reader.readexactly(4)
        if kind == 3:
            (size,) = await raw.reader.readexactly(1)
            target = (await raw.reader.readexactly(size)).decode()
        else:
            target = socket.inet_ntoa(await raw.reader.readexactly(4))
        port = int.from_bytes(await raw.reader.readexactly(2), "big")
        self.heads.append((target, port))
        raw.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await pipe(raw, self.port)

    async def socks4(self, raw):
        assert await raw.reader.readexactly(2) == b"\x04\x01"
        port = int.from_bytes(await raw.reader.readexactly(2), "big")
        address = await raw.reader.readexactly(4)
        await raw.reader.readuntil(b"\x00")
        target = socket.inet_ntoa(address)
        if address[:3] == b"\x00\x00\x00":
            target = (await raw.reader.readuntil(b"\x00"))[:-1].decode()
        self.heads.append((target, port))
        raw.send(b"\x00\x5a" + bytes(6))
        await pipe(raw, self.port)


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "example.com").configure_cert(context)
    return context


@pytest.fixture
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class TestHTTP:
    async def test_plain(self):
        async with serving(echo) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(tunnels.http) as proxy:
                address = f"http://user:p%40ss@127.0.0.1:{port_of(proxy)}"
                async with connect("ws://example.com/x", proxy=address) as ws:
                    await ws.send("x")
                    assert await soon(ws.recv()) == "x"
                    assert ws.request.headers["Host"] == "example.com"
        (head,) = tunnels.heads
        assert head.startswith("CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n")
        assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head
        assert "User-Agent: Python/" in head

    async def test_tls_through_it(self, server_context, client_context):
        async with serving(echo, ssl=server_context) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(tunnels.http) as proxy:
                address = f"http://127.0.0.1:{port_of(proxy)}"
                async with connect("wss://example.com/", proxy=address, ssl=client_context) as ws:
                    for message in ("x", "y" * 200_000):
                        await ws.send(message)
                        assert await soon(ws.recv()) == message
        assert tunnels.heads[0].startswith("CONNECT example.com:443 ")

    @pytest.mark.parametrize("secure", [False, True])
    async def test_tls_with_it(self, server_context, client_context, secure):
        options = {"ssl": server_context} if secure else {}
        async with serving(echo, **options) as server:
            tunnels = Tunnels(port_of(server))

            def connected(reader, writer):
                running.append(asyncio.ensure_future(tunnels.http(Raw(reader, writer))))

            running = []
            proxy = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=server_context)
            address = f"https://localhost:{port_of(proxy)}"
            uri = "wss://example.com/" if secure else "ws://example.com/"
            options = {"ssl": client_context} if secure else {}
            async with connect(
                uri, proxy=address, proxy_ssl=client_context, family=socket.AF_INET, **options
            ) as ws:
                await ws.send("x")
                assert await soon(ws.recv()) == "x"
            proxy.close()
            await soon(asyncio.gather(*running))

    async def test_from_the_environment(self, monkeypatch):
        async with serving(echo) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(tunnels.http) as proxy:
                monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port_of(proxy)}")
                async with connect("ws://example.com/"):
                    assert len(tunnels.heads) == 1
                monkeypatch.setenv("no_proxy", "127.0.0.1")
                async with connect(uri_of(server)):
                    assert len(tunnels.heads) == 1
                monkeypatch.delenv("no_proxy")
                async with connect(uri_of(server), proxy=None):
                    assert len(tunnels.heads) == 1

    async def test_for_a_listener(self):
        from duplexio.websocket import Listener

        async with serving(echo) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(tunnels.http) as proxy:
                address = f"http://127.0.0.1:{port_of(proxy)}"
                async with connect("ws://example.com/", proxy=address, listener=Listener) as ws:
                    assert ws.state == 1

    @pytest.mark.parametrize(
        ("answer", "error", "text"),
        [
            (b"HTTP/1.1 407 Who\r\n\r\n", InvalidProxyStatus, "HTTP 407"),
            (b"nonsense\r\n\r\n", InvalidProxyMessage, "valid response of the proxy"),
            (b"", InvalidProxyMessage, "closed the connection before it answered"),
            (b"HTTP/1.1 200 OK\r\n\r\nmore", InvalidProxyMessage, "nobody asked for"),
        ],
    )
    async def test_proxies_that_fail(self, answer, error, text):
        async def script(raw):
            await raw.read_head()
            raw.send(answer)
            if answer:
                assert await raw.read_all() == b""  # the client gives up

        async with raw_server(script) as proxy:
            address = f"http://127.0.0.1:{port_of(proxy)}"
            with pytest.raises(error, match=text):
                await soon(connect("ws://example.com/", proxy=address))

    async def test_a_proxy_that_hangs(self):
        async def script(raw):
            await raw.read_head()
            assert await raw.read_all() == b""

        async with raw_server(script) as proxy:
            address = f"http://127.0.0.1:{port_of(proxy)}"
            with pytest.raises(TimeoutError, match="opening handshake"):
                await connect("ws://example.com/", proxy=address, open_timeout=0.05)

    async def test_contradictions(self, client_context):
        with pytest.raises(UsageError, match="http:// proxy"):
            await connect("ws://example.com/", proxy="http://127.0.0.1:1", proxy_ssl=client_context)
        with pytest.raises(UsageError, match="https:// proxy"):
            await connect("ws://example.com/", proxy="https://127.0.0.1:1", proxy_ssl=None)
        with pytest.raises(InvalidProxy, match="ftp"):
            await connect("ws://example.com/", proxy="ftp://127.0.0.1:1")


class TestSOCKS:
    @pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
    async def test_the_proxy_resolves(self, scheme):
        async with serving(echo) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(getattr(tunnels, scheme[:6])) as proxy:
                address = f"{scheme}://127.0.0.1:{port_of(proxy)}"
                async with connect("ws://example.com:8080/", proxy=address) as ws:
                    await ws.send("x")
                    assert await soon(ws.recv()) == "x"
        assert tunnels.heads == [("example.com", 8080)]

    @pytest.mark.parametrize("scheme", ["socks5", "socks4"])
    async def test_we_resolve(self, scheme):
        async with serving(echo) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(getattr(tunnels, scheme[:6])) as proxy:
                address = f"{scheme}://127.0.0.1:{port_of(proxy)}"
                async with connect("ws://127.0.0.2:8080/", proxy=address) as ws:
                    await ws.send("x")
                    assert await soon(ws.recv()) == "x"
        assert tunnels.heads == [("127.0.0.2", 8080)]

    async def test_credentials_and_tls(self, server_context, client_context):
        async with serving(echo, ssl=server_context) as server:
            tunnels = Tunnels(port_of(server))
            async with raw_server(tunnels.socks5) as proxy:
                address = f"socks5h://user:word@127.0.0.1:{port_of(proxy)}"
                async with connect("wss://example.com/", proxy=address, ssl=client_context) as ws:
                    await ws.send("x")
                    assert await soon(ws.recv()) == "x"
        assert tunnels.heads == [(b"user", b"word"), ("example.com", 443)]

    async def test_a_proxy_that_refuses(self):
        async def script(raw):
            await raw.reader.readexactly(3)
            raw.send(b"\x05\x00")
            await raw.reader.read(100)
            raw.send(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")  # connection refused

        async with raw_server(script) as proxy:
            address = f"socks5h://127.0.0.1:{port_of(proxy)}"
            with pytest.raises(ProxyError, match="refused"):
                await soon(connect("ws://example.com/", proxy=address))

    async def test_nobody_listens(self):
        async with serving(echo) as server:
            port = port_of(server)
        with pytest.raises(ProxyConnectionError):
            await connect("ws://example.com/", proxy=f"socks5h://127.0.0.1:{port}")

    async def test_cancelling(self):
        entered = asyncio.Event()

        async def script(raw):
            await raw.reader.readexactly(3)
            entered.set()
            assert await raw.reader.read() == b""

        async with raw_server(script) as proxy:
            address = f"socks5h://127.0.0.1:{port_of(proxy)}"
            connecting = asyncio.ensure_future(connect("ws://example.com/", proxy=address)._open())
            await soon(entered.wait())
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting


class TestChoice:
    @pytest.mark.parametrize(
        ("proxy", "arguments"),
        [
            (None, {}),
            (True, {}),
            ("http://proxy.example", {"unix": True}),
            ("http://proxy.example", {"sock": object()}),
        ],
    )
    def test_none(self, proxy, arguments):
        assert choose_proxy(proxy, parse_uri("ws://localhost/"), arguments) is None

    def test_one(self):
        chosen = choose_proxy("http://proxy.example", parse_uri("ws://localhost/"), {})
        assert chosen.host == "proxy.example"
