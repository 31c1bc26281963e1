"""Where redirects lead, and which are not followed."""

import pytest

from duplexio.errors import UsageError
from duplexio.websocket.exceptions import InvalidURI, SecurityError
from duplexio.websocket.http11 import Response
from duplexio.websocket.redirects import redirect_target, redirected_headers


def redirect(location, status=302):
    return Response(status, "There", {"Location": location})


@pytest.mark.parametrize(
    ("uri", "location", "target"),
    [
        ("ws://a/x/y", "z", "ws://a/x/z"),
        ("ws://a/x", "/z?q", "ws://a/z?q"),
        ("ws://a/x", "//b/z", "ws://b/z"),
        ("ws://a/x", "wss://a/x", "wss://a/x"),
        ("ws://a/x", "http://b:81/z", "ws://b:81/z"),
        ("ws://a/x", "https://b/z", "wss://b/z"),
        ("wss://u:p@a/x", "/y", "wss://u:p@a/y"),
        ("wss://u:p@a/x", "wss://b/y", "wss://b/y"),
    ],
)
def test_targets(uri, location, target):
    assert redirect_target(uri, redirect(location), {}) == target


@pytest.mark.parametrize("status", [200, 101, 304, 404])
def test_other_statuses_are_no_redirects(status):
    assert redirect_target("ws://a/", redirect("/x", status), {}) is None


def test_without_a_location():
    assert redirect_target("ws://a/", Response(302, "There"), {}) is None


def test_not_out_of_tls():
    for location in ("ws://a/", "http://a/"):
        with pytest.raises(SecurityError, match="leave TLS"):
            redirect_target("wss://a/", redirect(location), {})


def test_not_to_what_is_no_websocket():
    with pytest.raises(InvalidURI):
        redirect_target("ws://a/", redirect("ftp://a/"), {})


@pytest.mark.parametrize("name", ["host", "port", "unix"])
def test_not_elsewhere_when_arguments_say_where(name):
    assert redirect_target("ws://a/", redirect("/x"), {name: "given"}) == "ws://a/x"
    with pytest.raises(UsageError, match=f"'{name}'"):
        redirect_target("ws://a/", redirect("ws://b/"), {name: "given"})


def test_not_with_a_socket():
    with pytest.raises(UsageError, match="socket"):
        redirect_target("ws://a/", redirect("/x"), {"sock": object()})


def test_credentials_stay_with_their_origin():
    headers = [
        ("authorization", "Basic x"),
        ("COOKIE", "a"),
        ("Proxy-Authorization", "y"),
        ("X", "z"),
    ]
    assert redirected_headers("ws://a/", "ws://a/b", headers) is headers
    for target in ("ws://b/", "ws://a:81/", "wss://a/"):
        assert list(redirected_headers("ws://a/", target, headers).raw_items()) == [("X", "z")]
    assert redirected_headers("ws://a/", "ws://b/", None) is None
