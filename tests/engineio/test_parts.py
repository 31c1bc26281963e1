"""The small parts: ids, cookies, queries, environ, static files, coroutines that begin at once."""

import asyncio
import contextvars
import os

import pytest

from duplexio.engineio.eager import start_eagerly
from duplexio.engineio.exceptions import ConnectionRefusedError, EngineIOError, RequestError
from duplexio.engineio.ids import ID_LENGTH, IdGenerator, Owner, owner_of
from duplexio.engineio.options import Cookie
from duplexio.engineio.request import ScopeRequest, parse_query
from duplexio.engineio.static_files import find_file
from duplexio.errors import ProtocolError, UsageError

# Ids


def test_ids_have_20_characters_for_urls_and_differ():
    generator = IdGenerator(os.urandom)
    ids = {generator.next() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(sid) for sid in ids} == {ID_LENGTH} == {20}
    assert all(sid.replace("-", "a").replace("_", "a").isalnum() for sid in ids)


@pytest.mark.parametrize("owner", [Owner(0, 0), Owner(1, 2), Owner(4095, 4095)])
def test_ids_name_their_owner_and_keep_96_random_bits(owner):
    asked = []

    def entropy(count):
        asked.append(count)
        return os.urandom(count)

    sid = IdGenerator(entropy, owner).next()
    assert owner_of(sid) == owner
    assert asked == [12]


@pytest.mark.parametrize("sid", ["", "x", "!" * 20, "€" * 20, "A" * 19 + "=", "A" * 21])
def test_what_is_no_id_has_no_owner(sid):
    assert owner_of(sid) is None


def test_owners_that_do_not_fit():
    for owner in (Owner(4096, 0), Owner(0, 4096), Owner(-1, 0)):
        with pytest.raises(UsageError):
            IdGenerator(os.urandom, owner)


# Cookies


def test_all_attributes_of_a_cookie():
    cookie = Cookie(
        {
            "name": "sid",
            "path": "/x",
            "Domain": "example.com",
            "Max-Age": 60,
            "Secure": True,
            "HttpOnly": False,
            "SameSite": lambda: "Strict",
            "Expires": None,
        }
    )
    assert (
        cookie.header("x")
        == "sid=x; path=/x; Domain=example.com; Max-Age=60; Secure; SameSite=Strict"
    )


# Queries


def fields(text):
    query = parse_query(text)
    return query.protocol, query.transport, query.sid, query.script, query.b64


def test_queries():
    assert fields("") == (3, "", "", None, False)
    assert fields("EIO=4") == (4, "", "", None, False)
    for version in ("3", "5", "04", "4.0", ""):
        assert fields(f"EIO={version}")[0] == 3
    assert fields("transport=poll%69ng&sid=a%2Bb+c&b64=1&j=007&x=y&x=z") == (
        3,
        "polling",
        "a+b c",
        "007",
        True,
    )


@pytest.mark.parametrize("text", ["sid=a&sid=a", "EIO=4&EIO=4", "j=x", "j="])
def test_bad_queries(text):
    with pytest.raises(RequestError) as raised:
        parse_query(text)
    assert raised.value.code == 3


# environ


def scope(**changes):
    return {
        "type": "websocket",
        "path": "/app/engine.io/",
        "query_string": b"a=b",
        "headers": [],
    } | changes


def test_environ_of_a_scope():
    environ = ScopeRequest(
        scope(
            raw_path=b"/app/engine%2Eio/",
            root_path="/app",
            scheme="wss",
            client=("::1", 5),
            server=("/run/socket", None),
            http_version="2",
            headers=[
                (b"content-type", b"text/plain"),
                (b"x-a", b"1"),
                (b"x-a", b"2"),
                (b"cookie", b"a=1"),
                (b"cookie", b"b=2"),
                (b"x_a", b"forged"),
                (b"x-b", "ä".encode("latin-1")),
            ],
        )
    ).environ
    assert environ["SCRIPT_NAME"] == "/app"
    assert environ["PATH_INFO"] == "/engine.io/"
    assert environ["RAW_URI"] == "/app/engine%2Eio/?a=b"
    assert environ["wsgi.url_scheme"] == "https"
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("::1", "5")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("/run/socket", "")
    assert environ["SERVER_PROTOCOL"] == "HTTP/2"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_B"] == "ä"


def test_environ_without_addresses():
    environ = ScopeRequest(scope()).environ
    assert environ["REMOTE_ADDR"] == environ["SERVER_NAME"] == ""


def test_headers_of_a_scope():
    request = ScopeRequest(scope(headers=[(b"X-A", b"1"), (b"x-a", b"2")]))
    assert request.header("x-a") == "1, 2"
    assert request.header("x-b") is None
    assert request.client is None


# Static files


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ("index.html", "text/html")),
        ("/index", ("index.html", "text/html")),
        ("/js/a.js", ("public/js/a.js", "application/javascript")),
        ("/js/sub/a.css", ("public/js/sub/a.css", "text/css")),
        ("/js/", ("public/js/main.html", "text/html")),
        ("/typed", ("data", "text/x-mine")),
        ("/js/../../secret", None),
        ("/js//etc/passwd", ("public/js/etc/passwd", "application/octet-stream")),
        ("/other", None),
    ],
)
def test_static_files(path, expected):
    files = {
        "/": "index.html",
        "/index": "index.html",
        "/js": "public/js",
        "/js/": "public/js/",
        "/typed": {"filename": "data", "content_type": "text/x-mine"},
        "": "main.html",
    }
    if path == "/other":
        del files["/"]
    assert find_file(path, files) == expected


# Coroutines that begin at once


async def test_coroutines_that_do_not_suspend_are_done_at_once():
    loop = asyncio.get_running_loop()
    outer = asyncio.current_task()
    seen = []

    async def work(result):
        seen.append(asyncio.current_task())
        if isinstance(result, Exception):
            raise result
        return result

    task = start_eagerly(work(1), loop)
    assert task.done()
    assert task.result() == 1
    assert seen == [task]
    assert asyncio.current_task() is outer
    task = start_eagerly(work(ValueError("no")), loop)
    assert isinstance(task.exception(), ValueError)


async def test_coroutines_that_suspend_go_on_as_tasks():
    loop = asyncio.get_running_loop()
    variable = contextvars.ContextVar("variable", default=0)
    steps = []

    async def work():
        variable.set(1)
        steps.append("begun")
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        steps.append(variable.get())
        await asyncio.sleep(1000)

    task = start_eagerly(work(), loop)
    assert steps == ["begun"]
    assert variable.get() == 0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert steps == ["begun", 1]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_coroutine_cancelled_before_it_goes_on():
    async def work():
        await asyncio.sleep(1000)

    task = start_eagerly(work(), asyncio.get_running_loop())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Exceptions


def test_the_families():
    assert issubclass(RequestError, ProtocolError)
    assert issubclass(RequestError, EngineIOError)
    import builtins

    assert issubclass(ConnectionRefusedError, builtins.ConnectionRefusedError)
    assert str(RequestError(3, detail="why")) == "Bad request: why"
    assert RequestError(4).status == 403
    assert RequestError(0).status == 400
