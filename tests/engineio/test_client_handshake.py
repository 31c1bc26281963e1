"""The first words of servers of all generations."""

import pytest

from duplexio.engineio.client_handshake import (
    body_protocol,
    parse_handshake,
    read_first_body,
    refused,
)
from duplexio.engineio.exceptions import PacketError

OPEN = '0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}'


@pytest.mark.parametrize(
    ("body", "protocol"),
    [
        (OPEN.encode(), 4),
        (f"{len(OPEN)}:{OPEN}2:40".encode(), 3),
        (b"\x00\x07\x07\xff" + OPEN.encode(), 3),
    ],
)
def test_the_generation_shows_in_the_body(body, protocol):
    found, handshake, packets = read_first_body(body, 100)
    assert found == protocol
    assert (handshake.sid, handshake.ping_timeout, handshake.max_payload) == ("x", 5.0, 0)
    assert packets == (["40"] if b"2:40" in body else [])


@pytest.mark.parametrize("body", [b"", b"<html>", b'"not"', b"4hello", b"ok", b"\xff\xfe"])
def test_other_bodies_are_refused(body):
    with pytest.raises(PacketError):
        read_first_body(body, 100)
    assert body_protocol(body) in (0, 4)


@pytest.mark.parametrize(
    "packet",
    [
        "0",
        "0{}",
        "0[]",
        "0null",
        '0{"sid":"","pingInterval":1,"pingTimeout":1}',
        b"\x00{}",
        "40",
        '0{"sid":"x","pingInterval":-1,"pingTimeout":1}',
        '0{"sid":1,"pingInterval":1,"pingTimeout":1}',
        '0{"sid":"x","pingInterval":1,"pingTimeout":1,"maxPayload":"x"}',
    ],
)
def test_open_packets_that_are_none(packet):
    with pytest.raises(PacketError):
        parse_handshake(packet)


def test_times_of_zero_are_those_of_servers_that_cannot_tell_fractions():
    handshake = parse_handshake('0{"sid":"x","pingInterval":0,"pingTimeout":0}')
    assert (handshake.ping_interval, handshake.ping_timeout) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("status", "body", "blame", "words"),
    [
        (400, b'{"code":5,"message":"Unsupported protocol version"}', "protocol", "Unsupported"),
        (400, b'{"code":0,"message":"Transport unknown"}', "transport", "Transport unknown"),
        (403, b'{"code":4,"message":"members only"}', "client", "members only"),
        (401, b'"Unauthorized"', "client", "Unauthorized"),
        (
            400,
            b'"The client is using an unsupported version of the Socket.IO or Engine.IO protocols"',
            "protocol",
            "unsupported version",
        ),
        (400, b'"Invalid transport"', "transport", "Invalid transport"),
        (404, b"<html>no</html>", "transport", "404"),
        (200, b"<html>no</html>", "transport", "200"),
        (502, b"", "transport", "502"),
        (400, b"Bad Request", "unknown", "Bad Request"),
    ],
)
def test_refusals(status, body, blame, words):
    error, found = refused(status, body)
    assert found == blame
    assert words in str(error)
    assert (error.status, error.body) == (status, body)
