"""Many clients at once: asked, looked at, moved, parted with."""

import asyncio

import pytest

from duplexio import socketio
from duplexio.socketio import AsyncNamespace, AsyncServer
from tests.socketio.fakes import Peer, connected, until


def three(**options):
    server = AsyncServer(namespaces=["/", "/a"], **options)
    peers = [Peer(server) for _ in range(3)]
    return server, peers, [peer.connect() for peer in peers]


async def test_all_answers():
    server, (a, b, c), (x, y, z) = three()
    asked = asyncio.create_task(server.call_all("q", (1, b"2")))
    await until(lambda: a.wire.sent and c.wire.sent)
    assert a.take() == ['51-1["q",1,{"_placeholder":true,"num":0}]', b"2"]
    c.send('31["c"]')
    b.send("31[1,2]")
    a.send("31[]")
    answers = await asked
    assert answers.by_sid == {z: "c", y: (1, 2), x: None}
    assert list(answers.by_sid) == [z, y, x]
    assert answers.missing == []


async def test_who_does_not_answer_and_who_leaves():
    server, (a, b, c), (x, y, z) = three()
    await server.sockets_join("r")
    asked = asyncio.create_task(server.call_all("q", to="r", timeout=0.05))
    await until(lambda: a.wire.sent)
    a.send("31[true]")
    b.vanish()
    answers = await asked
    assert answers.by_sid == {x: True}
    assert sorted(answers.missing) == sorted([y, z])
    c.send('31["late"]')  # is not taken for the answer to something else
    assert not server._find(z, "/").acks
    assert answers.by_sid == {x: True}


async def test_it_ends_when_all_have_left():
    server, (a, b, c), sids = three()
    asked = asyncio.create_task(server.call_all("q", timeout=1000))
    await until(lambda: a.wire.sent)
    for peer in (a, b, c):
        peer.vanish()
    answers = await asked
    assert (answers.by_sid, answers.missing) == ({}, sids)


async def test_nobody_is_asked():
    server = AsyncServer()
    assert (await server.call_all("q", to="r")).missing == []
    server, (_, b, _), (x, y, z) = three()
    asked = asyncio.create_task(server.call_all("q", skip_sid=[x], skip_room=z))
    await until(lambda: b.wire.sent)
    b.send("31[0]")
    assert (await asked).by_sid == {y: 0}


async def test_a_call_that_is_cancelled_waits_for_nothing():
    server, (a, _, _), sids = three()
    asked = asyncio.create_task(server.call_all("q"))
    await until(lambda: a.wire.sent)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not any(server._find(sid, "/").acks for sid in sids)


async def test_outgoing_listeners_hear_it_once():
    server, _, _ = three()
    heard = []
    server.on_any_outgoing(lambda *args: heard.append(args))
    asked = asyncio.create_task(server.call_all("q", 1, to="r", timeout=0.01))
    await asked
    assert heard == [("q", "/", "r", 1)]


async def test_clients_are_found():
    server, _, (x, y, z) = three()
    await server.enter_room(y, "r")
    await server.save_session(y, {"name": "Y"})
    assert [each.sid for each in await server.fetch_sockets()] == [x, y, z]
    (found,) = await server.fetch_sockets("r")
    assert (found.sid, found.namespace, found.rooms) == (y, "/", [y, "r"])
    assert found.data == {"name": "Y"}
    assert found.environ["REQUEST_METHOD"] == "GET"
    found.data["name"] = "other"
    assert (await server.get_session(y))["name"] == "Y"
    assert y not in repr(found)
    assert [each.sid for each in await server.fetch_sockets(skip_room="r")] == [x, z]
    assert [each.sid for each in await server.fetch_sockets(z)] == [z]
    assert await server.fetch_sockets("r", namespace="/a") == []
    assert await server.fetch_sockets(namespace="/nowhere") == []


async def test_those_who_have_left_are_not_found():
    server = AsyncServer()
    release = asyncio.Event()
    seen = []

    @server.event
    async def disconnect(sid):
        seen.extend(await server.fetch_sockets())
        await release.wait()

    server, peer, _ = connected(server)
    peer.vanish()
    assert await server.fetch_sockets() == seen == []
    release.set()


async def test_joining_and_leaving():
    server, _, (x, y, z) = three()
    await server.sockets_join(["a", "b"], to=[x, y])
    assert server.rooms(x) == [x, "a", "b"]
    assert server.rooms(z) == [z]
    await server.sockets_join("c", to="a", skip_room=y)
    assert (server.rooms(x), server.rooms(y)) == ([x, "a", "b", "c"], [y, "a", "b"])
    await server.sockets_leave(["b", "c", "never"], to="a")
    assert (server.rooms(x), server.rooms(y)) == ([x, "a"], [y, "a"])
    await server.sockets_leave("a")
    assert server.rooms(x) == [x]
    with pytest.raises(ValueError, match="sid room"):
        await server.sockets_join(x, to=y)


async def test_the_limit_of_rooms_holds():
    server, _, (x, y, z) = three(max_rooms=1)
    await server.enter_room(y, "r")
    with pytest.raises(socketio.LimitExceededError, match="max_rooms=1"):
        await server.sockets_join("s")
    assert [len(server.rooms(sid)) for sid in (x, y, z)] == [2, 2, 2]
    assert server.counters["max_rooms"] == 1


@pytest.mark.parametrize("close", [False, True])
async def test_disconnecting(close):
    server = AsyncServer(namespaces=["/", "/a"])
    gone = []
    server.on("disconnect", lambda sid, reason: gone.append((sid, reason)))
    peers = [Peer(server) for _ in range(3)]
    x, y, z = [peer.connect() for peer in peers]
    peers[1].connect("/a")
    await server.sockets_join("r", to=[x, y])
    await server.disconnect_sockets("r", close=close)
    assert sorted(gone) == sorted([(x, "server namespace disconnect"), (y, gone[0][1])])
    assert [peer.take() for peer in peers] == [["1"], ["1"], []]
    assert len(await server.fetch_sockets(namespace="/a")) == (not close)
    assert [each.sid for each in await server.fetch_sockets()] == [z]


async def test_class_namespaces_do_it_in_their_namespace():
    class Chat(AsyncNamespace):
        pass

    server = AsyncServer()
    chat = Chat("/chat")
    server.register_namespace(chat)
    peer = Peer(server)
    sid = peer.connect("/chat")
    await chat.sockets_join("r")
    assert [each.sid for each in await chat.fetch_sockets("r")] == [sid]
    assert (await chat.call_all("q", to="r", timeout=0.01)).missing == [sid]
    await chat.sockets_leave("r", to=sid)
    assert chat.rooms(sid) == [sid]
    peer.take()
    await chat.disconnect_sockets()
    assert peer.take() == ["1/chat,"]
