"""Which pages may talk to the server, and what their browsers are told."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from duplexio.engineio.cors import Cors
from duplexio.engineio.exceptions import RequestError
from duplexio.engineio.request import ScopeRequest
from duplexio.errors import UsageError
from tests.engineio.serving import serving

PAGE = "https://page.example"


def request(method="GET", **headers):
    lines = [(b"host", b"here.example")]
    lines += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return ScopeRequest(
        {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": lines}
    )


def check(cors, script=False, **headers):
    """Return the headers of the answer, or ``None`` when the request is refused."""
    try:
        pairs = cors.check(request(**headers), script)
    except RequestError:
        return None
    return {name.decode(): value.decode() for name, value in pairs}


def test_the_server_s_own_pages_by_default():
    cors = Cors()
    assert check(cors) == {}
    for origin in ("http://here.example", "https://here.example"):
        assert check(cors, origin=origin) == {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        }
    for origin in (PAGE, "http://here.example:8000", "http://here.example.evil", "null", "", "x"):
        assert check(cors, origin=origin) is None
    # Behind a proxy that does not pass the host on.
    assert check(cors, origin=PAGE, x_forwarded_host="page.example, other") is not None


def test_one_origin_and_a_list():
    for allowed in (PAGE, [PAGE, "http://b"]):
        cors = Cors(allowed)
        assert check(cors, origin=PAGE)["access-control-allow-origin"] == PAGE
        assert check(cors, origin="http://here.example") is None


def test_all_origins_get_no_credentials_unless_it_is_written():
    for allowed in ("*", ["*"]):
        assert check(Cors(allowed), origin=PAGE) == {"access-control-allow-origin": "*"}
        assert check(Cors(allowed, True), origin=PAGE) == {
            "access-control-allow-origin": PAGE,
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        }
    assert "access-control-allow-credentials" not in check(Cors(PAGE, False), origin=PAGE)


def test_callables():
    seen = []

    def with_environ(origin, environ):
        seen.append(environ["HTTP_HOST"])
        return origin == PAGE

    for allowed in (with_environ, lambda origin: origin == PAGE):
        assert check(Cors(allowed), origin=PAGE)
        assert check(Cors(allowed), origin="http://here.example") is None
    assert seen == ["here.example", "here.example"]


def test_an_empty_list_leaves_it_to_others():
    assert check(Cors([]), origin="http://evil") == {}


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/", "https:page"])
def test_origins_that_are_none(origin):
    with pytest.raises(UsageError, match="page"):
        Cors([origin])


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"origin": PAGE}, False),
        ({"referer": PAGE + "/x"}, False),
        ({"referer": "nonsense"}, False),
        ({"referer": "http://["}, False),
        ({"origin": "http://here.example"}, True),
        ({"referer": "http://here.example/page"}, True),
        ({"referer": "http://here.example/", "sec_fetch_site": "same-origin"}, True),
        ({"referer": "http://here.example/", "sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-origin"}, False),
    ],
)
def test_scripts_must_say_where_they_are_included(headers, allowed):
    assert (check(Cors(), script=True, **headers) is not None) == allowed
    # Switching CORS off does not open the scripts, only allowing all does.
    assert (check(Cors([]), script=True, **headers) is not None) == allowed
    assert check(Cors("*"), script=True, **headers) is not None


# Over HTTP


async def test_preflight():
    async with serving(cors_allowed_origins=PAGE) as peer:
        status, headers, body = await peer.request(
            "OPTIONS",
            "EIO=4&transport=polling",
            Origin=PAGE,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="x-one, x-two",
        )
        assert (status, body) == (204, b"")
        assert headers["access-control-allow-origin"] == PAGE
        assert headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert headers["access-control-allow-headers"] == "x-one, x-two"
        assert headers["access-control-allow-credentials"] == "true"
        assert "content-length" not in headers


async def test_foreign_pages_are_refused_on_both_transports():
    async with serving() as peer:
        status, headers, body = await peer.request(
            "GET", "EIO=4&transport=polling", Origin="http://evil"
        )
        assert status == 403
        assert json.loads(body) == {"code": 4, "message": "Origin not allowed"}
        assert "access-control-allow-origin" not in headers
        with pytest.raises(InvalidStatus) as raised:
            await peer.websocket(origin="http://evil")
        assert raised.value.response.status_code == 403
        assert not peer.events
        async with peer.websocket(origin=f"http://127.0.0.1:{peer.port}") as ws:
            assert (await ws.recv())[0] == "0"


async def test_errors_can_be_read_by_allowed_pages():
    async with serving(cors_allowed_origins=PAGE) as peer:
        status, headers, _ = await peer.request("GET", "EIO=4&transport=polling&sid=x", Origin=PAGE)
        assert status == 400
        assert headers["access-control-allow-origin"] == PAGE


async def test_post_and_poll_have_the_headers_too():
    async with serving(cors_allowed_origins=PAGE) as peer:
        sid = await peer.open(Origin=PAGE)
        query = f"EIO=4&transport=polling&sid={sid}"
        _, headers, _ = await peer.request("POST", query, b"4x", Origin=PAGE)
        assert headers["access-control-allow-origin"] == PAGE
        _, headers, _ = await peer.request("GET", query, Origin=PAGE)
        assert headers["access-control-allow-origin"] == PAGE
