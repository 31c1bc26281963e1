"""What travels over HTTP besides packets: JSONP, cookies, compression, headers, environ, limits."""

import asyncio
import gzip
import json
import re
import zlib
from urllib.parse import quote_plus

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duplexio import engineio
from duplexio.engineio.encoded import Encoded
from duplexio.engineio.polling import choose_coding
from tests.engineio.serving import HOSTINGS, Http, error, hosted, serving


@pytest.fixture(params=HOSTINGS)
def hosting(request):
    return request.param


def script(body, index):
    """Return the payload of a script."""
    match = re.fullmatch(rf"___eio\[{index}\]\((.*)\);", body.decode())
    assert match, body
    return json.loads(match[1])


# JSONP


@pytest.mark.parametrize("protocol", [3, 4])
async def test_jsonp(hosting, protocol):
    async with serving(hosting, jsonp=True, cors_allowed_origins="*") as peer:
        base = f"EIO={protocol}&transport=polling&j="
        _, headers, body = await peer.request("GET", base + "0")
        assert headers["content-type"] == "text/javascript; charset=UTF-8"
        assert headers["x-content-type-options"] == "nosniff"
        payload = script(body, 0)
        sid = json.loads(payload[payload.index("{") :])["sid"]
        text = '"\\n\n\u2028€'
        packets = f"4{text}" if protocol == 4 else f"{len(text) + 1}:4{text}"
        form = "d=" + quote_plus(packets.replace("\\n", "\\\\n").replace("\n", "\\n"))
        status, headers, body = await peer.request(
            "POST",
            f"{base}1&sid={sid}",
            form.encode(),
            Content_Type="application/x-www-form-urlencoded",
        )
        assert (status, headers["content-type"], body) == (200, "text/html", b"ok")
        _, _, body = await peer.request("GET", f"{base}2&sid={sid}")
        assert script(body, 2) == packets
        assert peer.messages() == [text]
        await peer.eio.send(sid, b"\x01\x02")
        _, headers, body = await peer.request("GET", f"{base}3&sid={sid}")
        assert script(body, 3) == ("bAQI=" if protocol == 4 else "6:b4AQI=")


@pytest.mark.parametrize("index", ["a", "0a", "", "-1", "1" * 11, "%30%29%3Balert(1)"])
async def test_the_number_of_the_callback_is_digits(index):
    async with serving(jsonp=True, cors_allowed_origins="*") as peer:
        status, _, body = await peer.request("GET", f"EIO=4&transport=polling&j={index}")
        assert (status, json.loads(body)) == (400, error(3, "Bad request"))


async def test_jsonp_of_foreign_pages_is_refused():
    async with serving(jsonp=True) as peer:
        query = "EIO=4&transport=polling&j=0"
        assert (await peer.request("GET", query))[0] == 403
        assert (await peer.request("GET", query, Referer="http://evil/"))[0] == 403
        own = f"http://127.0.0.1:{peer.port}/page"
        assert (await peer.request("GET", query, Referer=own))[0] == 200


# Cookies and headers


async def test_the_cookie_comes_with_the_first_answer(hosting):
    async with serving(hosting, cookie="io") as peer:
        _, headers, body = await peer.request("GET", "EIO=4&transport=polling")
        sid = json.loads(body[1:])["sid"]
        assert headers["set-cookie"] == f"io={sid}; Path=/; HttpOnly; SameSite=Lax"
        query = f"EIO=4&transport=polling&sid={sid}"
        assert "set-cookie" not in (await peer.request("POST", query, b"4x"))[1]
        assert "set-cookie" not in (await peer.request("GET", query))[1]


async def test_the_hook_for_headers(hosting):
    def add(environ, headers):
        headers.append(("X-Path", environ["PATH_INFO"]))

    async with serving(hosting, response_headers=add) as peer:
        _, headers, body = await peer.request("GET", "EIO=4&transport=polling")
        assert headers["x-path"] == "/engine.io/"
        sid = json.loads(body[1:])["sid"]
        query = f"EIO=4&transport=polling&sid={sid}"
        assert (await peer.request("POST", query, b"4x"))[1]["x-path"] == "/engine.io/"
        async with peer.websocket() as ws:
            assert ws.response.headers["x-path"] == "/engine.io/"


# Compression


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("br", None),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0.0", None),
    ],
)
def test_codings(accepted, coding):
    assert choose_coding(accepted) == coding


async def test_large_answers_are_compressed(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        query = f"EIO=4&transport=polling&sid={sid}"
        for coding, decompress in (("gzip", gzip.decompress), ("deflate", zlib.decompress)):
            await peer.eio.send(sid, "x" * 1023)
            _, headers, body = await peer.request("GET", query, Accept_Encoding=coding)
            assert headers["content-encoding"] == coding
            assert decompress(body) == b"4" + b"x" * 1023
            assert len(body) < 100
        await peer.eio.send(sid, "x" * 1022)
        _, headers, body = await peer.request("GET", query, Accept_Encoding="gzip")
        assert "content-encoding" not in headers
        await peer.eio.send(sid, "x" * 1023)
        assert "content-encoding" not in (await peer.request("GET", query))[1]


async def test_permessage_deflate_is_off_unless_it_is_asked_for(hosting):
    async with serving(hosting) as peer, peer.websocket(compression="deflate") as ws:
        assert "sec-websocket-extensions" not in ws.response.headers or hosting == "asgi"
        await ws.recv()
        await ws.send("4" + "x" * 5000)
        assert await ws.recv() == "4" + "x" * 5000


async def test_permessage_deflate():
    async with (
        serving(permessage_deflate=True) as peer,
        peer.websocket(compression="deflate") as ws,
    ):
        assert "permessage-deflate" in ws.response.headers["sec-websocket-extensions"]
        await ws.recv()
        for _ in range(3):
            await ws.send("4" + "x" * 5000)
            assert await ws.recv() == "4" + "x" * 5000
            await ws.send(b"y" * 5000)
            assert await ws.recv() == b"y" * 5000


async def test_a_broadcast_is_compressed_once():
    async with (
        serving(permessage_deflate=True) as peer,
        peer.websocket(compression="deflate") as one,
        peer.websocket(compression="deflate") as other,
        peer.websocket() as plain,
        peer.websocket("EIO=3&transport=websocket", compression="deflate") as old,
    ):
        clients = (one, other, plain, old)
        for ws in clients:
            await ws.recv()
        text = "x" * 5000
        encoded = Encoded(text, (b"y" * 5000, b"z"))
        for _ in range(2):
            for client in peer.eio.clients.values():
                client.session.send_encoded(encoded)
        for ws in clients:
            mark = b"\x04" if ws is old else b""
            for _ in range(2):
                assert await ws.recv() == "4" + text
                assert await ws.recv() == mark + b"y" * 5000
                assert await ws.recv() == mark + b"z"


# environ


async def test_environ_tells_the_truth(hosting):
    async with serving(hosting) as peer, peer.http() as http:
        await http.request(
            "GET",
            "EIO=4&transport=polling&name=%E2%82%AC",
            X_Custom="a",
            Cookie="b=c",
            Bad_Name="x",
        )
        host, port = http.writer.get_extra_info("sockname")
        environ = next(iter(peer.environs.values()))
        assert environ["REMOTE_ADDR"] == host
        assert environ["REMOTE_PORT"] == str(port)
        assert environ["REQUEST_METHOD"] == "GET"
        assert environ["PATH_INFO"] == "/engine.io/"
        assert environ["QUERY_STRING"] == "EIO=4&transport=polling&name=%E2%82%AC"
        assert environ["RAW_URI"] == "/engine.io/?" + environ["QUERY_STRING"]
        assert environ["wsgi.url_scheme"] == "http"
        assert environ["HTTP_X_CUSTOM"] == "a"
        assert environ["HTTP_COOKIE"] == "b=c"
        assert environ["HTTP_HOST"] == f"127.0.0.1:{peer.port}"
        scope = environ["asgi.scope"]
        assert scope["type"] == "http"
        assert scope["client"] == (host, port)
        assert (b"x-custom", b"a") in scope["headers"]
        assert environ is peer.eio.get_environ(next(iter(peer.environs)))


async def test_environ_of_a_websocket(hosting):
    async with serving(hosting) as peer, peer.websocket() as ws:
        await ws.recv()
        environ = next(iter(peer.environs.values()))
        assert environ["asgi.scope"]["type"] == "websocket"
        assert environ["wsgi.url_scheme"] == "http"
        assert environ["REMOTE_PORT"] == str(ws.local_address[1])
        assert environ["HTTP_UPGRADE"] == "websocket"


async def test_proxies_that_uvicorn_trusts(hosting):
    async with serving(hosting) as peer:
        for query in ("EIO=4&transport=polling",):
            await peer.request("GET", query, X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https")
        environ = next(iter(peer.environs.values()))
        assert environ["REMOTE_ADDR"] == "1.2.3.4"
        assert environ["wsgi.url_scheme"] == "https"
    async with serving(hosting, config={"forwarded_allow_ips": "10.0.0.1"}) as peer:
        await peer.request("GET", "EIO=4&transport=polling", X_Forwarded_For="1.2.3.4")
        assert next(iter(peer.environs.values()))["REMOTE_ADDR"] == "127.0.0.1"


# Limits


async def test_connections_in_all(hosting):
    async with serving(hosting, max_connections=2) as peer:
        await peer.open()
        async with peer.websocket() as ws:
            await ws.recv()
            assert (await peer.request("GET", "EIO=4&transport=polling"))[0] == 503
            if hosting != "asgi":
                with pytest.raises(InvalidStatus) as raised:
                    await peer.websocket()
                assert raised.value.response.status_code == 503
        await peer.wait_for("disconnect", "transport close")
        await peer.open()
        assert peer.eio.counters == {"max_connections": 1 if hosting == "asgi" else 2}


async def test_connections_per_address():
    options = {"max_connections_per_address": 1, "trusted_proxies": "127.0.0.0/8"}
    async with serving(config={"forwarded_allow_ips": "9.9.9.9"}, **options) as peer:
        query = "EIO=4&transport=polling"
        assert (await peer.request("GET", query, X_Forwarded_For="1.1.1.1"))[0] == 200
        assert (await peer.request("GET", query, X_Forwarded_For="1.1.1.1"))[0] == 503
        # What the client itself has written counts for nothing.
        forged = "2.2.2.2, 1.1.1.1"
        assert (await peer.request("GET", query, X_Forwarded_For=forged))[0] == 503
        assert (await peer.request("GET", query, X_Forwarded_For="2.2.2.2"))[0] == 200
        assert peer.eio.counters == {"max_connections_per_address": 2}
        await peer.eio.disconnect()
        sid = next(iter(peer.environs))
        assert (await peer.request("GET", f"{query}&sid={sid}"))[2] == b"1"
        assert (await peer.request("GET", query, X_Forwarded_For="1.1.1.1"))[0] == 200


@pytest.mark.parametrize("trusted", [True, False])
async def test_environ_is_what_trusted_proxies_tell(hosting, trusted):
    asked = []
    options = {
        "trusted_proxies": ["127.0.0.1"] if trusted else ["10.0.0.0/8"],
        "cors_allowed_origins": lambda origin, environ: asked.append(environ) or True,
    }
    async with serving(hosting, config={"forwarded_allow_ips": "9.9.9.9"}, **options) as peer:
        headers = {"X-Forwarded-For": "6.6.6.6, 1.1.1.1", "X-Forwarded-Proto": "https"}
        headers["Origin"] = "https://a.example"
        status, *_ = await peer.request("GET", "EIO=4&transport=polling", **headers)
        assert status == 200
        async with peer.websocket(additional_headers=headers) as ws:
            await ws.recv()
        for environ in (*peer.environs.values(), *asked):
            seen = environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]
            assert seen == (("1.1.1.1", "https") if trusted else ("127.0.0.1", "http"))
            assert environ["REMOTE_PORT"].isdigit()
            assert environ["HTTP_X_FORWARDED_FOR"] == "6.6.6.6, 1.1.1.1"
        assert len(asked) == len(peer.environs) == 2


async def test_a_client_that_does_not_read_is_given_up():
    async with serving(max_buffered_bytes=100_000) as peer:
        sid = await peer.open()
        for _ in range(11):
            await peer.eio.send(sid, "x" * 10_000)
        assert peer.events[-1] == ("disconnect", "send buffer overflow")
        async with peer.websocket() as ws:
            await ws.recv()
            sid = list(peer.environs)[-1]
            for _ in range(1000):
                await peer.eio.send(sid, "x" * 100_000)
            await peer.wait_for("disconnect", "send buffer overflow")
            with pytest.raises(ConnectionClosed):
                await receive_all(ws)
        assert peer.eio.counters == {"max_buffered_bytes": 2}


async def receive_all(ws):
    while True:
        await ws.recv()


# Hooks


async def test_allow_request(hosting):
    async def allow(environ):
        await asyncio.sleep(0)
        if "no" in environ["QUERY_STRING"]:
            return False, "members only"
        if "never" in environ["QUERY_STRING"]:
            raise engineio.ConnectionRefusedError("never")
        return "yes" in environ["QUERY_STRING"]

    async with serving(hosting, allow_request=allow) as peer:
        base = "EIO=4&transport=polling&x="
        assert json.loads((await peer.request("GET", base + "no"))[2]) == error(4, "members only")
        assert json.loads((await peer.request("GET", base))[2]) == error(4, "Forbidden")
        assert (await peer.request("GET", base + "yes"))[0] == 200
        with pytest.raises(InvalidStatus) as raised:
            await peer.websocket("EIO=4&transport=websocket&x=no")
        assert raised.value.response.status_code == 403
        async with peer.websocket("EIO=4&transport=websocket&x=yes") as ws:
            assert (await ws.recv())[0] == "0"


# Beside Engine.IO


async def page(scope, receive, send):
    assert scope["type"] == "http"
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"4")],
        }
    )
    await send({"type": "http.response.body", "body": b"page"})


@pytest.mark.parametrize("path", ["eio", "/ws/eio/"])
async def test_below_another_application(hosting, path):
    from starlette.applications import Starlette

    eio = engineio.AsyncServer()
    app = Starlette()
    app.mount("/ws", engineio.ASGIApp(eio, engineio_path=path))
    async with hosted(app, hosting) as port, Http(port) as http:
        query = "EIO=4&transport=polling"
        assert (await http.request("GET", query, path="/ws/eio/"))[0] == 200
        assert (await http.request("GET", query, path="/ws/other/"))[0] == 404
        async with connect(f"ws://127.0.0.1:{port}/ws/eio/?EIO=4&transport=websocket") as ws:
            assert (await ws.recv())[0] == "0"


async def test_an_empty_path_is_all(hosting):
    app = engineio.ASGIApp(engineio.AsyncServer(), engineio_path="")
    async with hosted(app, hosting) as port, Http(port) as http:
        assert (await http.request("GET", "EIO=4&transport=polling", path="/any/"))[0] == 200


async def test_pages_and_polls_on_one_connection(hosting):
    eio = engineio.AsyncServer()
    app = engineio.ASGIApp(eio, page, engineio_path="eio")
    eio.on("message", eio.send)
    async with hosted(app, hosting) as port, Http(port) as http:
        for _ in range(2):
            assert (await http.request("GET", None, path="/"))[2] == b"page"
            _, _, body = await http.request("GET", "EIO=4&transport=polling", path="/eio/")
            sid = json.loads(body[1:])["sid"]
            query = f"EIO=4&transport=polling&sid={sid}"
            assert (await http.request("POST", query, b"4x", path="/eio/"))[2] == b"ok"
            assert (await http.request("GET", query, path="/eio/"))[2] == b"4x"
            assert (await http.request("GET", None, path="/x"))[2] == b"page"
            # The answers come in the order of the requests.
            await http.send("GET", query, path="/eio/")
            await http.send("GET", None, path="/")
            await asyncio.sleep(0.02)
            await eio.send(sid, "later")
            assert (await http.receive())[2] == b"4later"
            assert (await http.receive())[2] == b"page"
        http.writer.write(
            b"GET /eio/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await http.receive())[0] == 101


async def test_a_request_in_pieces(hosting):
    async with serving(hosting) as peer, peer.http() as http:
        sid = await peer.open()
        request = (
            f"POST /engine.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: a\r\n"
            "Content-Length: 6\r\n\r\n4hello"
        ).encode()
        for cut in (1, 10, 60, len(request) - 8, len(request) - 2):
            http.writer.write(request[:cut])
            await asyncio.sleep(0.01)
            http.writer.write(request[cut:])
            assert (await http.receive())[::2] == (200, b"ok")
        http.writer.write(request * 3)
        for _ in range(3):
            assert (await http.receive())[::2] == (200, b"ok")
        assert len(peer.messages()) == 8


async def test_static_files(tmp_path):
    (tmp_path / "index.html").write_text("index")
    (tmp_path / "a.js").write_text("script")
    (tmp_path.parent / "secret.txt").write_text("secret")
    files = {"/": str(tmp_path / "index.html"), "/static": str(tmp_path)}
    async with serving(app_options={"static_files": files}) as peer, peer.http() as http:
        status, headers, body = await http.request("GET", None, path="/")
        assert (status, headers["content-type"], body) == (200, "text/html", b"index")
        _, headers, body = await http.request("GET", None, path="/static/a.js")
        assert (headers["content-type"], body) == ("application/javascript", b"script")
        status, headers, _ = await http.request("HEAD", None, path="/static/a.js")
        assert (status, headers["content-length"]) == (200, "6")
        assert (await http.request("POST", None, b"x", path="/static/a.js"))[0] == 405
        for path in ("/static/../secret.txt", "/static/%2e%2e/secret.txt", "/other", "/static/b"):
            assert (await http.request("GET", None, path=path))[0] == 404


async def test_mounted_in_starlette():
    from starlette.applications import Starlette

    app = Starlette()
    eio = engineio.AsyncServer()
    eio.on("message", eio.send)
    eio.attach(app, "chat")
    async with hosted(app) as port, Http(port) as http:
        _, _, body = await http.request("GET", "EIO=4&transport=polling", path="/chat/")
        sid = json.loads(body[1:])["sid"]
        query = f"EIO=4&transport=polling&sid={sid}"
        assert (await http.request("POST", query, b"4x", path="/chat/"))[2] == b"ok"
        assert (await http.request("GET", query, path="/chat/"))[2] == b"4x"


async def test_the_shutdown_ends_sessions_and_leaves_nothing(hosting):
    async with serving(hosting) as peer:
        sid = await peer.open()
        waiting = Http(peer.port)
        async with waiting, peer.websocket() as ws:
            await ws.recv()
            await waiting.send("GET", f"EIO=4&transport=polling&sid={sid}")
            await asyncio.sleep(0.02)
            await peer.eio.shutdown()
            assert (await waiting.receive())[2] == b"1"
            with pytest.raises(ConnectionClosed) as raised:
                await ws.recv()
            assert raised.value.rcvd is not None
            assert raised.value.rcvd.code == 1001
        assert peer.events.count(("disconnect", "server shutting down")) == 2
        assert not peer.eio.engine.sessions
        assert not peer.eio.clients
        assert (await peer.request("GET", "EIO=4&transport=polling"))[0] == 503


async def test_the_server_of_http_stops():
    async with serving() as peer:
        sid = await peer.open()
        waiting = Http(peer.port)
        await waiting.__aenter__()
        await waiting.send("GET", f"EIO=4&transport=polling&sid={sid}")
        ws = await peer.websocket()
        await ws.recv()
        await asyncio.sleep(0.02)
        receiving = asyncio.gather(waiting.receive(), ws.wait_closed())
        await asyncio.sleep(0)
    (status, headers, body), _ = await receiving
    assert (status, headers["connection"], body) == (200, "close", b"1")
    assert ws.close_code == 1012
    await waiting.__aexit__()
    assert peer.events.count(("disconnect", "server shutting down")) == 2
