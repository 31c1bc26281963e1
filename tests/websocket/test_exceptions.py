"""The exceptions of the WebSocket layer."""

import copy
import inspect
import pickle
import re

import pytest

from duplexio import errors
from duplexio.websocket import exceptions
from duplexio.websocket.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    DuplicateParameter,
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidParameterName,
    InvalidParameterValue,
    InvalidProtocol,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidState,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
    ProxyError,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyFragments,
    TooManyHeaders,
    WebSocketException,
)
from duplexio.websocket.frames import Close
from duplexio.websocket.http11 import Response

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]

EXAMPLES = [
    (
        ConnectionClosed(None, None),
        "no close frame received or sent",
    ),
    (
        ConnectionClosed(Close(1000, ""), None),
        "received 1000 (OK); no close frame sent",
    ),
    (
        ConnectionClosed(None, Close(1001, "bye")),
        "sent 1001 (going away) bye; no close frame received",
    ),
    (
        ConnectionClosedOK(Close(1001, ""), Close(1001, ""), True),
        "received 1001 (going away); then sent 1001 (going away)",
    ),
    (
        ConnectionClosedError(Close(1011, ""), Close(1002, "bad"), False),
        "sent 1002 (protocol error) bad; then received 1011 (internal error)",
    ),
    (
        ConnectionClosedError(Close(3999, ""), Close(4999, "x"), True),
        "received 3999 (registered); then sent 4999 (private use) x",
    ),
    (InvalidURI("http://x", "wrong"), "http://x isn't a valid URI: wrong"),
    (InvalidProxy("ftp://x", "wrong"), "ftp://x isn't a valid proxy: wrong"),
    (InvalidProxyStatus(Response(407)), "proxy rejected connection: HTTP 407"),
    (InvalidMethod("POST"), "unsupported HTTP method: POST; expected GET"),
    (InvalidProtocol("HTTP/2.0"), "unsupported HTTP version: HTTP/2.0; expected HTTP/1.1"),
    (InvalidStatus(Response(404)), "server rejected WebSocket connection: HTTP 404"),
    (InvalidHeader("Host"), "missing Host header"),
    (InvalidHeader("Host", ""), "empty Host header"),
    (InvalidHeader("Host", "?"), "invalid Host header: ?"),
    (
        InvalidHeaderFormat("X", "expected token", "a|", 1),
        "invalid X header: expected token at 1 in a|",
    ),
    (InvalidHeaderValue("X", "1"), "invalid X header: 1"),
    (InvalidOrigin("http://x"), "invalid Origin header: http://x"),
    (InvalidOrigin("http://x", "set it"), "invalid Origin header: http://x; set it"),
    (InvalidOrigin(None), "missing Origin header"),
    (InvalidUpgrade("Upgrade"), "missing Upgrade header"),
    (DuplicateParameter("a"), "duplicate parameter: a"),
    (InvalidParameterName("a"), "invalid parameter name: a"),
    (InvalidParameterValue("a", None), "missing value for parameter a"),
    (InvalidParameterValue("a", ""), "empty value for parameter a"),
    (InvalidParameterValue("a", "9"), "invalid value for parameter a: 9"),
    (PayloadTooBig(None, 4), "frame exceeds limit of 4 bytes"),
    (PayloadTooBig(5, 4), "frame with 5 bytes exceeds limit of 4 bytes"),
    (PayloadTooBig(5, 8, 4), "frame with 5 bytes after reading 4 bytes exceeds limit of 8 bytes"),
    (TooManyFragments(7), "fragmented message exceeds limit of 7 frames"),
]


@pytest.mark.parametrize(("exc", "text"), EXAMPLES)
def test_text(exc, text):
    assert str(exc) == text


@pytest.mark.parametrize("exc", [exc for exc, _ in EXAMPLES], ids=lambda exc: type(exc).__name__)
def test_pickling_and_copying_keep_the_text(exc):
    # Responses do not travel: their headers may be of any type.
    if hasattr(exc, "response"):
        assert str(copy.copy(exc)) == str(exc)
    else:
        assert str(pickle.loads(pickle.dumps(exc))) == str(exc)


def test_every_class_is_listed_and_derives_from_one_base():
    defined = {
        name
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__
    }
    assert defined == set(exceptions.__all__)
    assert all(issubclass(cls, WebSocketException) for cls in CLASSES)
    assert issubclass(WebSocketException, errors.DuplexioError)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    assert exceptions.__doc__ is not None
    path: list[str] = []
    listed = set()
    for indent, name in re.findall(r"^( *)\* :exc:`(\w+)`", exceptions.__doc__, re.MULTILINE):
        depth = len(indent) // 4
        path[depth:] = [name]
        listed.add(name)
        bases = [base.__name__ for base in getattr(exceptions, name).__bases__]
        if depth:
            assert path[depth - 1] in bases
    assert listed == set(exceptions.__all__)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_belongs_to_one_family(cls):
    families = [errors.UsageError, errors.ProtocolError, errors.ConnectionClosed]
    expected = 0 if cls is WebSocketException else 1
    assert sum(issubclass(cls, family) for family in families) == expected


@pytest.mark.parametrize(
    "cls", [InvalidURI, InvalidProxy, InvalidState, ConcurrencyError], ids=lambda cls: cls.__name__
)
def test_misuse(cls):
    assert issubclass(cls, errors.UsageError)


def test_builtin_bases_that_callers_catch():
    assert issubclass(InvalidState, AssertionError)
    assert issubclass(ConcurrencyError, RuntimeError)


@pytest.mark.parametrize(
    ("cls", "status"),
    [
        (InvalidHandshake, 400),
        (InvalidMessage, 400),
        (InvalidHeader, 400),
        (NegotiationError, 400),
        (SecurityError, 400),
        (StatusLineTooLong, 400),
        (ProxyError, 400),
        (InvalidProxyMessage, 400),
        (InvalidOrigin, 403),
        (InvalidMethod, 405),
        (RequestLineTooLong, 414),
        (InvalidUpgrade, 426),
        (HeaderLineTooLong, 431),
        (TooManyHeaders, 431),
        (InvalidProtocol, 505),
    ],
)
def test_status_of_handshake_faults(cls, status):
    assert cls.status == status
    assert issubclass(cls, InvalidHandshake)


@pytest.mark.parametrize(
    ("cls", "code"), [(ProtocolError, 1002), (PayloadTooBig, 1009), (TooManyFragments, 1009)]
)
def test_close_code_of_frame_faults(cls, code):
    assert cls.close_code == code


def test_a_protocol_error_may_have_another_close_code():
    assert ProtocolError("not UTF-8", close_code=1007).close_code == 1007


class TestConnectionClosed:
    @pytest.mark.parametrize(
        ("rcvd", "sent", "first", "code", "reason", "initiator"),
        [
            (None, None, None, 1006, "", None),
            (Close(1001, "a"), None, None, 1001, "a", "remote"),
            (None, Close(1001, "a"), None, 1006, "", "local"),
            (Close(1001, "a"), Close(1000, "b"), True, 1001, "a", "remote"),
            (Close(1001, "a"), Close(1000, "b"), False, 1001, "a", "local"),
        ],
    )
    def test_code_reason_and_initiator(self, rcvd, sent, first, code, reason, initiator):
        exc = ConnectionClosed(rcvd, sent, first)
        assert (exc.code, exc.reason, exc.initiator) == (code, reason, initiator)
        assert (exc.rcvd, exc.sent, exc.rcvd_then_sent) == (rcvd, sent, first)

    def test_is_caught_by_the_family(self):
        with pytest.raises(errors.ConnectionClosed) as caught:
            raise ConnectionClosedOK(Close(1000, ""), Close(1000, ""), True)
        assert caught.value.code == 1000
