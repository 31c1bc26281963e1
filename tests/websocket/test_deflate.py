"""Negotiation of permessage-deflate: RFC 7692 section 7.1, against the `websockets` library."""

import itertools
from typing import Any

import pytest
from websockets import exceptions as peer_exceptions
from websockets.extensions import permessage_deflate as peer

from duplexio.errors import UsageError
from duplexio.websocket.deflate import (
    DEFAULT_WINDOW_BITS,
    ClientPerMessageDeflateFactory,
    CompressionSettingError,
    ExtensionParameter,
    ServerPerMessageDeflateFactory,
    client_extensions,
    server_extensions,
)
from duplexio.websocket.exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
)

FLAGS = [False, True]
BITS = [None, 8, 10, 15]


def attributes(deflate):
    return (
        deflate.remote_no_context_takeover,
        deflate.local_no_context_takeover,
        deflate.remote_max_window_bits,
        deflate.local_max_window_bits,
    )


# --- server -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "offer", "response"),
    [
        # What the client asks for is granted.
        ({}, [], []),
        ({}, ["server_no_context_takeover"], ["server_no_context_takeover"]),
        ({}, ["client_no_context_takeover"], ["client_no_context_takeover"]),
        ({}, ["server_max_window_bits=10"], ["server_max_window_bits=10"]),
        ({}, ["server_max_window_bits=8"], ["server_max_window_bits=8"]),
        ({}, ["client_max_window_bits"], []),
        ({}, ["client_max_window_bits=10"], ["client_max_window_bits=10"]),
        # What the server is set to is answered.
        ({"server_no_context_takeover": True}, [], ["server_no_context_takeover"]),
        ({"client_no_context_takeover": True}, [], ["client_no_context_takeover"]),
        ({"server_max_window_bits": 12}, [], ["server_max_window_bits=12"]),
        ({"client_max_window_bits": 12}, [], []),
        ({"client_max_window_bits": 12}, ["client_max_window_bits"], ["client_max_window_bits=12"]),
        # The smaller window counts.
        (
            {"server_max_window_bits": 12},
            ["server_max_window_bits=10"],
            ["server_max_window_bits=10"],
        ),
        (
            {"server_max_window_bits": 12},
            ["server_max_window_bits=15"],
            ["server_max_window_bits=12"],
        ),
        (
            {"client_max_window_bits": 12},
            ["client_max_window_bits=10"],
            ["client_max_window_bits=10"],
        ),
        (
            {"client_max_window_bits": 12},
            ["client_max_window_bits=15"],
            ["client_max_window_bits=12"],
        ),
    ],
)
def test_server_response(settings, offer, response):
    def params(texts):
        return [(name, value or None) for name, _, value in (t.partition("=") for t in texts)]

    factory = ServerPerMessageDeflateFactory(**settings)
    assert factory.process_request_params(params(offer), [])[0] == params(response)


def all_offers():
    for server_alone, client_alone, server_bits, client_bits in itertools.product(
        FLAGS, FLAGS, BITS, [*BITS, True]
    ):
        params: list[ExtensionParameter] = []
        if server_alone:
            params.append(("server_no_context_takeover", None))
        if client_alone:
            params.append(("client_no_context_takeover", None))
        if server_bits is not None:
            params.append(("server_max_window_bits", str(server_bits)))
        if client_bits is not None:
            value = None if client_bits is True else str(client_bits)
            params.append(("client_max_window_bits", value))
        yield params


def outcome(exception, call, *args):
    try:
        return call(*args)
    except exception:
        return None


@pytest.mark.parametrize("server_bits", [None, 10, 15])  # they cannot compress with 8
@pytest.mark.parametrize("client_bits", BITS)
def test_server_agrees_with_websockets_on_every_offer(server_bits, client_bits):
    compared = 0
    for server_alone, client_alone, required in itertools.product(FLAGS, FLAGS, FLAGS):
        if required and client_bits is None:
            continue
        settings = (server_alone, client_alone, server_bits, client_bits, None, required)
        ours = ServerPerMessageDeflateFactory(*settings)
        theirs = peer.ServerPerMessageDeflateFactory(*settings)
        for offer in all_offers():
            ours_says = outcome(NegotiationError, ours.process_request_params, offer, [])

            theirs_says = outcome(
                peer_exceptions.NegotiationError, theirs.process_request_params, offer, []
            )
            if ("server_max_window_bits", "8") in offer and theirs_says is None:
                # They cannot compress with a window that small.
                continue
            compared += 1
            if theirs_says is None or ours_says is None:
                assert ours_says is theirs_says
                continue
            assert ours_says[0] == theirs_says[0]
            ours_does, theirs_does = attributes(ours_says[1]), attributes(theirs_says[1])
            assert ours_does[:3] == theirs_does[:3]
            # Where no limit was agreed on, this side chooses a smaller window than the largest.
            unlimited = "server_max_window_bits" not in dict(ours_says[0])
            assert ours_does[3] == (DEFAULT_WINDOW_BITS if unlimited else theirs_does[3])
    assert compared >= 200


def test_server_can_require_that_the_client_takes_a_limit():
    factory = ServerPerMessageDeflateFactory(
        client_max_window_bits=10, require_client_max_window_bits=True
    )
    with pytest.raises(NegotiationError, match="does not offer client_max_window_bits"):
        factory.process_request_params([], [])
    response, deflate = factory.process_request_params([("client_max_window_bits", None)], [])
    assert response == [("client_max_window_bits", "10")]
    assert deflate.remote_max_window_bits == 10


# --- client -------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_bits", BITS)
@pytest.mark.parametrize("client_bits", [None, 10, 15, True])
def test_client_agrees_with_websockets_on_every_response(server_bits, client_bits):
    compared = 0
    for server_alone, client_alone in itertools.product(FLAGS, FLAGS):
        settings = (server_alone, client_alone, server_bits, client_bits)
        ours = ClientPerMessageDeflateFactory(*settings)
        theirs = peer.ClientPerMessageDeflateFactory(*settings)
        assert ours.get_request_params() == theirs.get_request_params()
        for response in all_offers():
            ours_says = outcome(NegotiationError, ours.process_response_params, response, [])

            theirs_says = outcome(
                peer_exceptions.NegotiationError, theirs.process_response_params, response, []
            )
            if ("client_max_window_bits", "8") in response and theirs_says is None:
                continue
            compared += 1
            if theirs_says is None or ours_says is None:
                assert ours_says is theirs_says
                continue
            ours_does, theirs_does = attributes(ours_says), attributes(theirs_says)
            assert ours_does[:3] == theirs_does[:3]
            unlimited = client_bits in (None, True) and "client_max_window_bits" not in dict(
                response
            )
            assert ours_does[3] == (DEFAULT_WINDOW_BITS if unlimited else theirs_does[3])
    assert compared >= 200


@pytest.mark.parametrize(
    ("settings", "response", "message"),
    [
        ({"server_no_context_takeover": True}, [], "did not accept server_no_context_takeover"),
        (
            {"server_max_window_bits": 10},
            [],
            "answered server_max_window_bits=None; 10 was offered",
        ),
        (
            {"server_max_window_bits": 10},
            [("server_max_window_bits", "11")],
            "answered server_max_window_bits=11; 10 was offered",
        ),
        (
            {"client_max_window_bits": None},
            [("client_max_window_bits", "10")],
            "client_max_window_bits without an offer",
        ),
        (
            {"client_max_window_bits": 10},
            [("client_max_window_bits", "11")],
            "answered client_max_window_bits=11; 10 was offered",
        ),
    ],
)
def test_client_refuses_an_answer_that_does_not_fit(settings, response, message):
    factory = ClientPerMessageDeflateFactory(**settings)
    with pytest.raises(NegotiationError, match=message):
        factory.process_response_params(response, [])


def test_client_takes_a_window_of_256_bytes():
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=8)
    assert factory.get_request_params() == [("client_max_window_bits", "8")]
    deflate = factory.process_response_params([("client_max_window_bits", "8")], [])
    assert deflate.local_max_window_bits == 8


# --- both ---------------------------------------------------------------------------------------


def process(side, params, accepted=()):
    if side == "server":
        return ServerPerMessageDeflateFactory().process_request_params(params, accepted)
    return ClientPerMessageDeflateFactory().process_response_params(params, accepted)


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize(
    ("params", "exception", "message"),
    [
        ([("unknown", None)], InvalidParameterName, "invalid parameter name: unknown"),
        (
            [("server_no_context_takeover", None)] * 2,
            DuplicateParameter,
            "duplicate parameter: server_no_context_takeover",
        ),
        ([("client_max_window_bits", "9")] * 2, DuplicateParameter, "client_max_window_bits"),
        ([("server_no_context_takeover", "1")], InvalidParameterValue, "takeover: 1"),
        ([("client_no_context_takeover", "")], InvalidParameterValue, "empty value"),
        ([("server_max_window_bits", None)], InvalidParameterValue, "missing value"),
        *(
            ([(name, value)], InvalidParameterValue, f"invalid value for parameter {name}")
            for name in ("server_max_window_bits", "client_max_window_bits")
            for value in ("7", "16", "08", "+9", " 9", "9.0", "x", "\u0669")
        ),
    ],
)
def test_invalid_parameters_are_refused(side, params, exception, message):
    with pytest.raises(exception, match=message):
        process(side, params)


def test_a_response_needs_a_value_for_client_max_window_bits():
    with pytest.raises(InvalidParameterValue, match="missing value"):
        process("client", [("client_max_window_bits", None)])


@pytest.mark.parametrize("side", ["client", "server"])
def test_the_extension_is_accepted_once(side):
    first = process("client", [])
    with pytest.raises(NegotiationError, match="permessage-deflate was accepted already"):
        process(side, [], [first])


@pytest.mark.parametrize(
    "factory", [ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory]
)
@pytest.mark.parametrize(
    "settings",
    [
        {"server_max_window_bits": 7},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 7},
        {"client_max_window_bits": 16},
        {"compress_settings": {"wbits": 12}},
    ],
)
def test_settings_out_of_range_are_refused(factory, settings):
    with pytest.raises(CompressionSettingError):
        factory(**settings)


def test_a_limit_cannot_be_required_without_one():
    with pytest.raises(CompressionSettingError, match="without client_max_window_bits"):
        ServerPerMessageDeflateFactory(require_client_max_window_bits=True)


@pytest.mark.parametrize("side", ["client", "server"])
def test_settings_reach_the_extension(side):
    settings: dict[str, Any] = {"compress_settings": {"level": 1}, "threshold": 5}
    if side == "server":
        deflate = ServerPerMessageDeflateFactory(**settings).process_request_params([], [])[1]
    else:
        deflate = ClientPerMessageDeflateFactory(**settings).process_response_params([], [])
    assert deflate.threshold == 5
    assert deflate._settings["level"] == 1


@pytest.mark.parametrize("server_bits", [8, 9, 15])
@pytest.mark.parametrize("client_bits", [8, 9, 15])
@pytest.mark.parametrize("server_alone", FLAGS)
@pytest.mark.parametrize("client_alone", FLAGS)
def test_what_is_negotiated_works_both_ways(server_bits, client_bits, server_alone, client_alone):
    client_factory = ClientPerMessageDeflateFactory(
        server_alone, client_alone, server_bits, client_bits
    )
    response, server = ServerPerMessageDeflateFactory().process_request_params(
        client_factory.get_request_params(), []
    )
    client = client_factory.process_response_params(response, [])
    assert attributes(client) == (server_alone, client_alone, server_bits, client_bits)
    assert attributes(server) == (client_alone, server_alone, client_bits, server_bits)
    for message in [b"to and fro " * 100, b"to", b"to and fro " * 10_000]:
        assert server.decompress(client.compress(message)) == message
        assert client.decompress(server.compress(message)) == message


def test_compression_argument():
    assert client_extensions(None) == server_extensions(None) == []
    (client,) = client_extensions("deflate")
    assert client.get_request_params() == [("client_max_window_bits", None)]
    (server,) = server_extensions("deflate")
    response, deflate = server.process_request_params(client.get_request_params(), [])
    assert response == [("server_max_window_bits", "13"), ("client_max_window_bits", "13")]
    assert attributes(deflate) == (False, False, 13, 13)


@pytest.mark.parametrize("function", [client_extensions, server_extensions])
def test_a_factory_given_by_the_user_is_kept(function):
    factory = ClientPerMessageDeflateFactory(server_max_window_bits=9)
    assert function("deflate", [factory]) == [factory]
    assert function(None, [factory]) == [factory]
    with pytest.raises(CompressionSettingError, match="compression is 'gzip'; expected 'deflate'"):
        function("gzip")


@pytest.mark.parametrize("extensions", [client_extensions, server_extensions])
def test_other_extensions_are_refused(extensions):
    class Other:
        name = "x-other"

    with pytest.raises(UsageError, match="x-other"):
        extensions("deflate", [Other()])
