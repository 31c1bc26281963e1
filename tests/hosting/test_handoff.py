"""What reaches a worker through its socket, and is not what it should be."""

import asyncio
import json
import os
import socket

import pytest

from duplexio.engineio.ids import Owner, owner_prefix
from duplexio.errors import UsageError
from duplexio.hosting import handoff as module
from duplexio.hosting.handoff import LOCAL, MORE, MOVED, Handoff, Origin, socket_path
from duplexio.hosting.settings import Settings

OWN = Owner(0, 0)
OTHER = Owner(1, 0)
SID = owner_prefix(OTHER) + "A" * 16
HEAD = f"GET /engine.io/?EIO=4&transport=polling&sid={SID} HTTP/1.1\r\n\r\n".encode()


class State:
    """uvicorn's state of a server, as far as it is needed."""

    def __init__(self):
        self.connections = set()


class Receiver(asyncio.Protocol):
    """The protocol object of a connection that has arrived."""

    def __init__(self, arrived):
        self.arrived = arrived
        self.origin = None

    def connection_made(self, transport):
        self.transport = transport

    def arrive(self, origin):
        self.origin = origin

    def data_received(self, data):
        self.arrived.put_nowait((self.origin, data, self.transport))


class Connection:
    """A connection on which a request has begun."""

    origin = None

    def __init__(self, transport):
        self.transport = transport


@pytest.fixture
async def worker(tmp_path):
    """Start a worker's hand-off; yields a function that starts another."""
    tmp_path.chmod(0o700)
    started = []

    def start(owner=OWN, **settings):
        arrived = asyncio.Queue()
        each = Handoff(owner, tmp_path, lambda: Receiver(arrived), State(), Settings(**settings))
        each.arrivals = arrived
        started.append(each)
        return each

    yield start
    for each in started:
        each.close()
        while not each.arrivals.empty():
            each.arrivals.get_nowait()[2].abort()
    for _ in range(3):  # transports close in the loop's next turn
        await asyncio.sleep(0)


async def accepted():
    """A connection: the client's socket, and the transport of the server."""
    loop = asyncio.get_running_loop()
    client, sock = socket.socketpair()
    sock.setblocking(False)
    client.setblocking(False)
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, sock)
    return client, transport


def attach(worker):
    """Connect to a worker's socket, as another worker does."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    sock.connect(str(socket_path(worker.folder, worker.owner)))
    return sock


def note(**values):
    whole = {"key": "", "sid": "", "size": 4, "origin": [None, None, "http"], **values}
    return json.dumps(whole).encode()


async def ended(sock):
    """Wait until the worker has hung up."""
    assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 10), 5) == b""
    sock.close()


async def test_a_connection_is_passed_on_with_what_was_read(worker):
    own, other = worker(OWN), worker(OTHER)
    client, transport = await accepted()
    data = HEAD + b"x" * 200_000
    assert own.take(Connection(transport), transport, data) == MOVED
    _, received, there = await asyncio.wait_for(other.arrivals.get(), 5)
    assert received == data
    there.write(b"answer")
    loop = asyncio.get_running_loop()
    assert await asyncio.wait_for(loop.sock_recv(client, 100), 5) == b"answer"
    there.close()
    client.close()
    assert own.counters["moved"] == other.counters["arrived"] == 1


async def test_the_origin_stays_known(worker):
    own, other = worker(OWN), worker(OTHER)
    client, transport = await accepted()
    connection = Connection(transport)
    connection.origin = Origin(("192.0.2.1", 4), ("192.0.2.2", 443), "https")
    assert own.take(connection, transport, HEAD) == MOVED
    origin, _, there = await asyncio.wait_for(other.arrivals.get(), 5)
    assert origin == connection.origin
    there.close()
    client.close()


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (HEAD.replace(SID.encode(), owner_prefix(OWN).encode() + b"A" * 16), LOCAL),
        (HEAD.replace(b"sid=", b"xsid="), LOCAL),
        (HEAD.replace(b"A HTTP", b" HTTP"), LOCAL),
        (b"GET /engine.io/?EIO=4 HTTP/1.1\r\nX: ?sid=" + SID.encode() + b"&\r\n\r\n", LOCAL),
        (b"GET /engine.io/?EIO=4", MORE),
        (b"G" * 9000, LOCAL),
        (HEAD.partition(b" HTTP")[0], MORE),
    ],
)
async def test_what_is_nobody_elses(worker, data, verdict):
    own, other = worker(OWN), worker(OTHER)
    client, transport = await accepted()
    assert own.take(Connection(transport), transport, data) == verdict
    assert not other.counters
    transport.close()
    client.close()


async def test_a_worker_that_is_not_there(worker):
    own = worker(OWN)
    client, transport = await accepted()
    assert own.take(Connection(transport), transport, HEAD) == LOCAL
    # The file of one that was killed is still there.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(str(socket_path(own.folder, OTHER)))
    sock.close()
    assert own.take(Connection(transport), transport, HEAD) == LOCAL
    transport.close()
    client.close()


async def test_a_worker_that_takes_nothing(worker):
    own = worker(OWN, handoff_max_queued=10_000)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.bind(str(socket_path(own.folder, OTHER)))
        sock.listen()
        verdicts = []
        while LOCAL not in verdicts:
            client, transport = await accepted()
            verdicts.append(own.take(Connection(transport), transport, HEAD + b"x" * 50_000))
            transport.abort()
            client.close()
            assert len(verdicts) < 100
    assert verdicts[0] == MOVED
    assert own.counters["failed"] == 1


async def test_unknown_sessions_are_reported_and_limited(worker):
    own, other = worker(OWN, handoff_max_unknown=3), worker(OTHER)
    reports = asyncio.Queue()
    unknown = own.unknown

    def report(key):
        unknown(key)
        reports.put_nowait(key)

    own.unknown = report
    verdicts = []
    for _ in range(5):
        client, transport = await accepted()
        connection = Connection(transport)
        connection.origin = Origin(("192.0.2.1", 4), None, "http")
        verdict = own.take(connection, transport, HEAD)
        verdicts.append(verdict)
        if verdict == MOVED:
            _, _, there = await asyncio.wait_for(other.arrivals.get(), 5)
            there.abort()
            assert await asyncio.wait_for(reports.get(), 5) == "192.0.2.1"
        transport.abort()
        client.close()
    assert verdicts == [MOVED] * 4 + [LOCAL]
    assert own.counters["paused"] == 1


async def test_a_message_without_a_descriptor(worker):
    own = worker(OWN)
    sock = attach(own)
    sock.send(note())
    await ended(sock)
    assert own.counters == {"refused": 1}


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense",
        b"[]",
        b"{}",
        note(size=0),
        note(size=10**9),
        note(size="1"),
        note(sid=1),
        note(origin=[None, None, "gopher"]),
    ],
)
async def test_a_message_that_is_none(worker, message):
    own = worker(OWN)
    sock = attach(own)
    one, two = socket.socketpair()
    socket.send_fds(sock, [message], [one.fileno()])
    one.close()
    await ended(sock)
    assert own.counters == {"refused": 1}
    assert two.recv(1) == b""  # the descriptor was closed
    two.close()


async def test_a_descriptor_that_is_no_socket(worker):
    own = worker(OWN)
    sock = attach(own)
    reading, writing = os.pipe()
    socket.send_fds(sock, [note()], [reading])
    await ended(sock)
    assert own.counters == {"refused": 1}
    os.close(reading)
    os.close(writing)


async def test_data_that_does_not_come(worker, monkeypatch):
    monkeypatch.setattr(module, "DEADLINE", 0.05)
    own = worker(OWN)
    sock = attach(own)
    one, two = socket.socketpair()
    socket.send_fds(sock, [note()], [one.fileno()])
    one.close()
    await ended(sock)
    assert own.counters == {"refused": 1}
    assert two.recv(1) == b""
    two.close()


async def test_another_user_may_not_connect(worker, monkeypatch):
    own = worker(OWN)
    monkeypatch.setattr(module, "same_user", lambda sock: False)
    await ended(attach(own))
    assert own.counters == {"refused": 1}


async def test_another_users_socket_is_not_used(worker, monkeypatch):
    own, other = worker(OWN), worker(OTHER)
    monkeypatch.setattr(module, "same_user", lambda sock: False)
    client, transport = await accepted()
    assert own.take(Connection(transport), transport, HEAD) == LOCAL
    assert own.counters == {"refused": 1}
    assert "arrived" not in other.counters
    transport.close()
    client.close()


async def test_a_folder_of_others_is_refused(tmp_path):
    tmp_path.chmod(0o750)
    with pytest.raises(UsageError, match="0700"):
        Handoff(OWN, tmp_path, Receiver, State(), Settings())


async def test_the_proxys_clients_are_told_apart(worker):
    own = worker(OWN)
    own.trusted = {"127.0.0.1"}
    proxy = Origin(("127.0.0.1", 1), None, "http")
    assert own._key(proxy, b"GET / HTTP/1.1\r\nX-Forwarded-For: 9, 192.0.2.7\r\n") == "192.0.2.7"
    assert own._key(proxy, b"GET / HTTP/1.1\r\n") == "127.0.0.1"
    stranger = Origin(("192.0.2.1", 1), None, "http")
    assert own._key(stranger, b"GET / HTTP/1.1\r\nX-Forwarded-For: 9\r\n") == "192.0.2.1"
