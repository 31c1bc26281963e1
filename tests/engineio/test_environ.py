"""An ``environ`` that nobody looks into is not made; to who looks, it is a dictionary."""

import copy
import json
import pickle

import pytest

from duplexio.engineio.environ import Environ
from duplexio.engineio.request import ScopeRequest

CONTENT = {"a": 1, "b": 2}


@pytest.fixture
def environ():
    calls = []

    def make():
        calls.append(1)
        return dict(CONTENT)

    made = Environ(make, lambda environ: None)
    assert isinstance(made, dict)
    assert calls == []
    yield made
    assert calls == [1]


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (lambda environ: environ["a"], 1),
        (lambda environ: environ.get("a"), 1),
        (lambda environ: "a" in environ, True),
        (list, ["a", "b"]),
        (len, 2),
        (bool, True),
        (lambda environ: list(environ.items()), [("a", 1), ("b", 2)]),
        (lambda environ: list(environ.values()), [1, 2]),
        (lambda environ: list(environ.keys()), ["a", "b"]),
        (dict, CONTENT),
        (lambda environ: dict(**environ), CONTENT),
        (lambda environ: {**environ}, CONTENT),
        (lambda environ: environ | {"c": 3}, CONTENT | {"c": 3}),
        (lambda environ: {"c": 3} | environ, {"c": 3} | CONTENT),
        (lambda environ: environ.copy(), CONTENT),
        (copy.copy, CONTENT),
        (json.dumps, '{"a": 1, "b": 2}'),
        (lambda environ: json.dumps([environ]), '[{"a": 1, "b": 2}]'),
        (lambda environ: json.dumps(environ, indent=0), '{\n"a": 1,\n"b": 2\n}'),
        (copy.deepcopy, CONTENT),
        (lambda environ: pickle.loads(pickle.dumps(environ)), CONTENT),
        (repr, repr(CONTENT)),
        (lambda environ: environ == CONTENT, True),
        (lambda environ: environ != CONTENT, False),
        (lambda environ: environ.pop("a"), 1),
        (lambda environ: environ.setdefault("a", 9), 1),
    ],
)
def test_looking(environ, look, expected):
    assert look(environ) == expected


def test_changing(environ):
    environ["c"] = 3
    del environ["a"]
    environ.update(d=4)
    assert environ == {"b": 2, "c": 3, "d": 4}


def test_a_request_keeps_what_somebody_has_looked_into():
    request = ScopeRequest(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"a=1",
            "headers": [],
            "http_version": "1.1",
        }
    )
    unread = request.environ
    assert request.environ is not unread
    assert unread["QUERY_STRING"] == "a=1"
    unread["mine"] = 1
    assert request.environ is unread
    assert request.environ["mine"] == 1
