import pytest

from duplexio.websocket.sync.cookies import CookieJar


@pytest.fixture
def jar():
    return CookieJar()


def test_a_cookie_goes_to_its_domain_and_below(jar):
    jar.add("a.example.com", ["id=1; Domain=example.com", "x=2; Domain=.EXAMPLE.com; Path=/"])
    assert jar.get("example.com") == jar.get("B.example.com") == "id=1; x=2"
    assert jar.get("badexample.com") == ""


def test_a_later_cookie_replaces_an_earlier_one(jar):
    for value in ("1", "2"):
        jar.add("example.com", [f"id={value}; Domain=example.com"])
    assert jar.get("example.com") == "id=2"


@pytest.mark.parametrize(
    "set_cookie",
    [
        "id=1",
        "id=1; Domain=example.org",
        "id=1; Domain=com",
        "id=1; Domain=a.example.com",
        "no cookie at all",
        "",
    ],
)
def test_others_are_not_kept(jar, set_cookie):
    jar.add("example.com", [set_cookie])
    assert jar.get("example.com") == jar.get("example.org") == jar.get("other.com") == ""
