"""The clients behind proxies, with TLS, and with the application's own client of HTTP."""

import asyncio
import contextlib
import ssl
import warnings

import aiohttp
import pytest
import requests
import trustme

from duplexio import engineio
from duplexio.engineio.exceptions import ConnectionError
from tests.engineio.serving import serving
from tests.websocket.raw import port_of, raw_server
from tests.websocket.test_dialing import Tunnels, pipe

TRANSPORTS = ("polling", "websocket")
KINDS = (engineio.AsyncClient, engineio.Client)


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def call(function, *args, **kwargs):
    """Call a method of either client."""
    if asyncio.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def http_client(**options):
    """Make a client of HTTP with what will go away with aiohttp 4, and is in use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "secret"), **options)


@contextlib.asynccontextmanager
async def connected(kind, url, transports, headers=None, **options):
    """Connect a client, see that messages go both ways, and disconnect at the end."""
    client = kind(**options)
    loop = asyncio.get_running_loop()
    got = asyncio.Event()
    client.on("message", lambda data: loop.call_soon_threadsafe(got.set))
    await call(client.connect, url, transports=transports, headers=headers or {})
    try:
        await call(client.send, "hello")
        await asyncio.wait_for(got.wait(), 10)
        yield client
    finally:
        await call(client.disconnect)


class Proxies(Tunnels):
    """Proxies that also forward plain requests, as HTTP proxies do for polling."""

    async def http(self, raw):
        head = await raw.read_head()
        self.heads.append(head.decode())
        if head.startswith(b"CONNECT "):
            raw.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            # Servers take the absolute form as well (RFC 9112 §3.2.2).
            raw.reader._buffer[:0] = head
        await pipe(raw, self.port)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transports", TRANSPORTS)
class TestProxies:
    async def test_http(self, kind, transports):
        async with serving() as peer:
            proxies = Proxies(peer.port)
            async with raw_server(proxies.http) as proxy:
                address = f"http://user:p%40ss@127.0.0.1:{port_of(proxy)}"
                async with connected(kind, "http://example.com", transports, proxy=address):
                    pass
        first = "CONNECT example.com:80 " if transports == "websocket" else "GET http://example.com"
        assert proxies.heads
        for head in proxies.heads:
            assert head.startswith((first, "POST http://example.com/"))
            assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head

    @pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
    async def test_socks(self, kind, transports, scheme):
        async with serving() as peer:
            proxies = Proxies(peer.port)
            async with raw_server(getattr(proxies, scheme[:6])) as proxy:
                address = f"{scheme}://127.0.0.1:{port_of(proxy)}"
                async with connected(kind, "http://example.com", transports, proxy=address):
                    pass
        assert set(proxies.heads) == {("example.com", 80)}

    async def test_that_of_the_environment(self, kind, transports, monkeypatch):
        async with serving() as peer:
            proxies = Proxies(peer.port)
            async with raw_server(proxies.http) as proxy:
                monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port_of(proxy)}")
                async with connected(kind, "http://example.com", transports):
                    assert proxies.heads
                count = len(proxies.heads)
                async with connected(kind, f"http://127.0.0.1:{peer.port}", transports, proxy=None):
                    assert len(proxies.heads) == count

    async def test_http_with_tls(self, kind, transports, tls):
        async with serving(config=tls.server) as peer:
            proxies = Proxies(peer.port)
            async with raw_server(proxies.http) as proxy:
                address = f"http://user:p%40ss@127.0.0.1:{port_of(proxy)}"
                url = "https://localhost"
                async with connected(kind, url, transports, proxy=address, ssl=tls.context()):
                    pass
        assert proxies.heads
        for head in proxies.heads:
            assert head.startswith("CONNECT localhost:443 ")
            assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head

    async def test_a_proxy_that_refuses(self, kind, transports):
        async def refuse(raw):
            await raw.read_head()
            raw.send(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        async with raw_server(refuse) as proxy:
            client = kind(proxy=f"http://127.0.0.1:{port_of(proxy)}")
            with pytest.raises(ConnectionError, match="407"):
                await call(client.connect, "http://example.com", transports=transports)
            assert client.state == "disconnected"


class Tls:
    """Certificates of a server and of a client, and how each side is told of them."""

    def __init__(self, path):
        authority = trustme.CA()
        self.ca = str(path / "ca.pem")
        self.cert = str(path / "cert.pem")
        self.key = str(path / "key.pem")
        self.own = str(path / "own.pem")
        authority.cert_pem.write_to_path(self.ca)
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(self.key)
        for index, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(self.cert, append=index > 0)
        authority.issue_cert("someone@example.com").private_key_and_cert_chain_pem.write_to_path(
            self.own
        )
        self.server = {"ssl_certfile": self.cert, "ssl_keyfile": self.key}
        self.asking = {
            **self.server,
            "ssl_ca_certs": self.ca,
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
        }

    def context(self, own=False):
        context = ssl.create_default_context(cafile=self.ca)
        if own:
            context.load_cert_chain(self.own)
        return context


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return Tls(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transports", TRANSPORTS)
class TestTls:
    async def test_a_certificate_that_is_trusted(self, kind, transports, tls):
        async with serving(config=tls.server) as peer:
            url = f"https://127.0.0.1:{peer.port}"
            async with connected(kind, url, transports, ssl=tls.context()):
                pass
            async with connected(kind, url, transports, ssl_verify=False):
                pass

    async def test_one_that_is_not(self, kind, transports, tls):
        async with serving(config=tls.server) as peer:
            client = kind()
            with pytest.raises(ConnectionError, match=r"(?i)certificate.verify.failed"):
                await call(client.connect, f"https://127.0.0.1:{peer.port}", transports=transports)
            assert client.state == "disconnected"

    async def test_the_client_s_own(self, kind, transports, tls):
        async with serving(config=tls.asking) as peer:
            url = f"https://127.0.0.1:{peer.port}"
            async with connected(kind, url, transports, ssl=tls.context(own=True)):
                pass
            client = kind(ssl=tls.context())
            with pytest.raises(ConnectionError):
                await call(client.connect, url, transports=transports)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_headers_and_cookies(kind, transports):
    async with serving() as peer:
        headers = {"X-Test": "yes", "Cookie": "a=1; b=2", "Authorization": "Bearer t"}
        url = f"http://127.0.0.1:{peer.port}"
        async with connected(kind, url, transports, headers) as client:
            environ = peer.environs[client.sid]
            assert environ["HTTP_X_TEST"] == "yes"
            assert environ["HTTP_COOKIE"] == "a=1; b=2"
            assert environ["HTTP_AUTHORIZATION"] == "Bearer t"


@pytest.mark.parametrize("transports", TRANSPORTS)
class TestClientsOfHttp:
    async def test_that_of_aiohttp(self, transports, tls):
        async with serving(config=tls.server) as peer:
            url = f"https://127.0.0.1:{peer.port}"
            async with http_client(
                headers={"X-Mine": "1"},
                cookies={"c": "3"},
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                connector=aiohttp.TCPConnector(ssl=tls.context()),
            ) as http:
                async with connected(
                    engineio.AsyncClient, url, transports, http_session=http
                ) as client:
                    environ = peer.environs[client.sid]
                assert environ["HTTP_X_MINE"] == "1"
                assert environ["HTTP_COOKIE"] == "c=3"
                assert environ["HTTP_AUTHORIZATION"] == "Basic bWU6c2VjcmV0"
                assert not http.closed
                # It can be used on.
                async with http.get(f"{url}/engine.io/") as response:
                    assert response.status == 400

    async def test_that_of_requests(self, transports, tls):
        with requests.Session() as http:
            http.headers["X-Mine"] = "1"
            http.cookies.set("c", "3")
            http.auth = ("me", "secret")
            http.verify = tls.ca
            http.cert = tls.own
            async with serving(config=tls.asking) as peer:
                url = f"https://127.0.0.1:{peer.port}"
                async with connected(engineio.Client, url, transports, http_session=http) as client:
                    environ = peer.environs[client.sid]
                assert environ["HTTP_X_MINE"] == "1"
                assert environ["HTTP_COOKIE"] == "c=3"
                assert environ["HTTP_AUTHORIZATION"] == "Basic bWU6c2VjcmV0"
                http.verify = False
                async with connected(engineio.Client, url, transports, http_session=http):
                    pass


OPEN = b'0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}'


@pytest.mark.parametrize("made", ["given", "function"])
async def test_a_get_that_was_cut_off_is_not_sent_again(made):
    """What was in its answer is lost, so the session is over."""
    targets = []

    async def answer(raw):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                targets.append((await raw.read_head()).split()[:2])
                if b"sid=" in targets[-1][1]:
                    return
                raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(OPEN), OPEN))

    async with raw_server(answer) as server, aiohttp.ClientSession() as http:
        given = http if made == "given" else aiohttp.ClientSession
        client = engineio.AsyncClient(http_session=given)
        url = f"http://127.0.0.1:{port_of(server)}"
        await client.connect(url, transports="polling")
        await asyncio.wait_for(client.wait(), 10)
        assert len(targets) == 2
        assert not http.closed


async def test_a_client_of_http_that_is_closed_meanwhile():
    async with serving() as peer:
        url = f"http://127.0.0.1:{peer.port}"
        http = aiohttp.ClientSession()
        client = engineio.AsyncClient(http_session=http)
        await client.connect(url, transports="polling")
        await http.close()
        await client.send("nobody hears this")
        await asyncio.wait_for(client.wait(), 10)
        assert client.state == "disconnected"
        with pytest.raises(ConnectionError, match="closed"):
            await client.connect(url, transports="polling")
