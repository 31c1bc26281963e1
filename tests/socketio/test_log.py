"""What logger=True shows: clients, events and reasons, and nothing that is a secret."""

import logging

import pytest

from duplexio.socketio import AsyncServer
from tests.socketio.fakes import Peer


@pytest.fixture
def messages(caplog):
    caplog.set_level(logging.INFO, "duplexio.socketio")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("logger", [True, logging.getLogger("duplexio.socketio")])
async def test_events_are_logged_by_name_without_what_is_in_them(messages, logger):
    server = AsyncServer(logger=logger)

    @server.event
    async def login(sid, password):
        await server.emit("welcome", "secret", to=sid)
        await server.emit("news", "secret")
        await server.emit("news", "secret", to=["red", sid])
        await server.emit("news", "secret", to=[])

    peer = Peer(server)
    sid = peer.connect()
    peer.send('2["login","secret"]')
    peer.vanish()
    label = f"{sid} (/)"
    assert messages() == [
        f"{label}: connected",
        f"{label}: event 'login'",
        f"emit 'welcome' to {label} in /",
        "emit 'news' to all in /",
        f"emit 'news' to room 'red', {label} in /",
        "emit 'news' to nobody in /",
        f"{label}: disconnected: transport close",
    ]


async def test_ids_that_are_secrets_are_cut(messages):
    server = AsyncServer(logger=True, namespaces=["/", "/a"])
    old = Peer(server, protocol=3)
    old.send("0/a,", '2["x"]', '2/a,["x"]')
    (root,) = server.hub.adapters["/"].members
    (other,) = server.hub.adapters["/a"].members
    await server.emit("y", to=root)
    await server.emit("y", to=other, namespace="/a")
    assert sum("event 'x'" in message for message in messages()) == 2
    assert sum("emit 'y'" in message for message in messages()) == 2
    assert not [message for message in messages() if old.session.sid in message]


async def test_events_are_not_logged_unless_asked_for(messages):
    server = AsyncServer()
    peer = Peer(server)
    sid = peer.connect()
    peer.send('2["x"]')
    await server.emit("y")
    assert messages() == [f"{sid} (/): connected"]


async def test_a_logger_that_wants_less_gets_less(caplog):
    caplog.set_level(logging.WARNING, "quiet")
    server = AsyncServer(logger=logging.getLogger("quiet"))
    peer = Peer(server)
    peer.connect()
    peer.send('2["x"]')
    await server.emit("y")
    assert not caplog.records


@pytest.mark.parametrize("protocol", [3, 4])
async def test_names_that_clients_choose_write_no_lines_of_their_own(messages, protocol):
    server = AsyncServer(logger=True, namespaces="*")
    peer = Peer(server, protocol)
    peer.send("0/a\nb,", '2/a\nb,["x\\ny"]')
    await server.emit("z\n", namespace="/a\nb")
    peer.vanish()
    assert len(messages()) >= 4
    assert not [message for message in messages() if "\n" in message]
