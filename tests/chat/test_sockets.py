"""Clients on WebSockets, over a real server: JSON, plain lines, hixie-76."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time

import pytest

from duplexio.chat import Limits
from duplexio.websocket.client import connect
from duplexio.websocket.exceptions import ConnectionClosed, InvalidStatus
from tests.chat.servers import chat_command, running_chat

HIXIE_HEAD = (
    b"GET /chat?room=museum HTTP/1.1\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Host: 127.0.0.1:%(port)d\r\n"
    b"Origin: http://127.0.0.1:%(port)d\r\n"
    b"Sec-WebSocket-Key1: 4 @1  46546xW%%0l 1 5\r\n"
    b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n"
    b"\r\n"
)
HIXIE_BODY = b"^n:ds[4U"
HIXIE_ANSWER = b"8jKS'y:G*Co,Wxa-"


class TestJson:
    async def test_two_talk(self):
        async with (
            running_chat() as running,
            running.member("Ada") as ada,
            running.member("Grace") as grace,
        ):
            assert (await ada.told("joined"))["name"] == "Grace"
            said = await ada.say("hello")
            heard = await grace.told("message")
            assert said == heard
            assert (heard["n"], heard["name"], heard["text"]) == (1, "Ada", "hello")
            assert abs(heard["time"] - time.time() * 1000) < 60_000

    async def test_a_newcomer_sees_the_last_messages(self):
        async with running_chat(shown=2) as running, running.member("Ada") as ada:
            for text in ("one", "two", "three"):
                await ada.say(text)
            async with running.member("Grace") as grace:
                assert [m["text"] for m in grace.welcome["messages"]] == ["two", "three"]

    async def test_requests_behind_the_first_wait_for_it(self):
        async with running_chat() as running, running.client() as client:
            await client.send("join", name="Ada")
            await client.send("say", id="m1", text="at once")
            assert (await client.next())["type"] == "welcome"
            assert (await client.told("message"))["text"] == "at once"

    async def test_the_same_message_again(self):
        async with running_chat() as running, running.member("Ada") as ada:
            await ada.say("hello", "same")
            await ada.send("say", id="same", text="hello")
            assert await ada.told("saved") == {"type": "saved", "id": "same", "n": 1}
            await ada.say("next")
            async with running.member("Grace") as grace:
                assert [m["text"] for m in grace.welcome["messages"]] == ["hello", "next"]

    async def test_coming_back_to_what_was_missed(self):
        async with running_chat() as running, running.member("Ada") as ada:
            async with running.member("Grace") as grace:
                me = {key: grace.welcome[key] for key in ("uid", "key", "history")}
            await ada.say("missed")
            async with running.member("Grace", last=0, **me) as grace:
                assert [m["text"] for m in grace.welcome["messages"]] == ["missed"]
                assert grace.welcome["uid"] == me["uid"]

    async def test_leaving(self):
        async with (
            running_chat() as running,
            running.member("Ada") as ada,
            running.member("Grace") as grace,
        ):
            await grace.send("leave")
            assert (await ada.told("left"))["name"] == "Grace"

    async def test_typing(self):
        async with (
            running_chat() as running,
            running.member("Ada") as ada,
            running.member("Grace") as grace,
        ):
            await grace.send("typing")
            assert (await ada.told("typing"))["name"] == "Grace"

    @pytest.mark.parametrize(
        "message",
        ["nonsense", "{}", '{"type": "dance"}', '{"type": "say"}', '{"type": "join", "name": 3}'],
    )
    async def test_what_is_not_understood(self, message):
        async with running_chat() as running, running.client() as client:
            await client.ws.send(message)
            error = await client.next()
            assert (error["type"], error["code"]) == ("error", "bad_request")
            await client.join("Ada")

    async def test_a_refused_name_can_be_followed_by_another(self):
        async with running_chat() as running, running.member("Ada"), running.client() as client:
            await client.send("join", name="Ada")
            error = await client.next()
            assert error["code"] == "name_taken"
            await client.join("Ada2")

    async def test_lone_surrogates_do_no_harm(self):
        async with running_chat() as running, running.member("Ada") as ada:
            await ada.ws.send('{"type": "say", "id": "m1", "text": "a\\ud800b"}')
            event = await ada.told("error")
            assert event["code"] == "bad_request"
            await ada.say("still here")


class TestLimits:
    async def test_a_text_that_is_too_long(self):
        async with running_chat() as running, running.member("Ada") as ada:
            await ada.send("say", id="m1", text="x" * 4001)
            error = await ada.told("error")
            assert (error["code"], error["id"]) == ("text_too_long", "m1")
            assert "4,001 characters; 4,000 at most" in error["text"]

    async def test_a_megabyte_closes_the_connection_and_nobody_else(self):
        async with running_chat() as running, running.member("Ada") as ada:
            async with running.member("Grace") as grace:
                with pytest.raises(ConnectionClosed) as caught:
                    await grace.say("x" * 2**20)
                assert caught.value.code == 1009
                assert "the limit of 65536 bytes" in caught.value.reason
            assert (await ada.say("still here"))["n"] == 1

    async def test_too_fast(self):
        limits = Limits(burst=2, rate=0.5)
        async with running_chat(limits=limits) as running, running.member("Ada") as ada:
            await ada.say("one")
            await ada.send("say", id="m2", text="two")
            error = await ada.told("error")
            assert (error["code"], error["id"]) == ("too_fast", "m2")
            assert 0 < error["retry"] <= 2

    async def test_a_disk_that_cannot_keep_up(self):
        limits = Limits(unkept=1)
        async with running_chat(limits=limits) as running, running.member("Ada") as ada:
            store = running.chat._source.service._store
            resume = threading.Event()
            store._jobs.put((lambda database: resume.wait(10), lambda outcome: None))
            await ada.send("say", id="m1", text="one")
            await ada.send("say", id="m2", text="two")
            error = await ada.told("error")
            assert (error["code"], error["id"]) == ("busy", "m2")
            assert error["retry"] > 0
            resume.set()
            assert (await ada.told("message"))["id"] == "m1"
            await ada.say("two", "m2")

    async def test_a_disk_that_fails(self, monkeypatch):
        async with running_chat() as running, running.member("Ada") as ada:
            with monkeypatch.context() as patch:

                def full(database, message):
                    raise sqlite3.OperationalError("database or disk is full")

                patch.setattr(running.chat._source.service._store, "_insert", full)
                await ada.send("say", id="m1", text="one")
                error = await ada.told("error")
                assert (error["code"], error["id"]) == ("storage", "m1")
            assert (await ada.say("one", "m1"))["n"] == 1

    async def test_too_many_clients(self):
        async with (
            running_chat(limits=Limits(clients=1)) as running,
            running.member("Ada"),
            running.client() as client,
        ):
            error = await client.next()
            assert error["code"] == "full"
            with pytest.raises(ConnectionClosed) as caught:
                await client.next()
            assert caught.value.code == 1013

    async def test_who_enters_no_room_is_sent_away(self):
        limits = Limits(entry_timeout=0.05)
        async with running_chat(limits=limits) as running, running.client() as client:
            with pytest.raises(ConnectionClosed) as caught:
                await client.next()
            assert caught.value.code == 1008

    async def test_a_reader_that_is_too_slow_is_disconnected(self):
        limits = Limits(backlog=2**16, burst=10_000, rate=10_000.0)
        async with (
            running_chat(limits=limits) as running,
            running.member("Ada") as ada,
            running.client(max_queue=1) as slow,
        ):
            await slow.join("Slow")
            await ada.told("joined")
            # What fits into the kernel's buffers comes first.
            for count in range(20_000):
                await ada.say("x" * 4000, f"flood-{count}")
                if not any(m.name == "Slow" and m.seats for m in _members(running)):
                    break
            else:
                pytest.fail("the slow reader was never disconnected")


def _members(running):
    return [m for room in running.hub.rooms.values() for m in room.members.values()]


class TestOrigins:
    async def test_pages_of_others_are_refused(self):
        async with running_chat() as running:
            with pytest.raises(InvalidStatus) as caught:
                await connect(running.uri, origin="https://evil.example")
            assert caught.value.response.status_code == 403

    async def test_its_own_page_is_not(self):
        async with (
            running_chat() as running,
            connect(running.uri, origin=running.http),
        ):
            pass

    async def test_elsewhere_is_no_websocket(self):
        async with running_chat() as running:
            with pytest.raises(InvalidStatus) as caught:
                await connect(running.uri.replace("/chat", "/nowhere"))
            assert caught.value.response.status_code == 404
            assert b"at /chat" in bytes(caught.value.response.body)


class TestLines:
    async def test_talking(self):
        async with (
            running_chat() as running,
            running.line_client("Ada") as ada,
            running.line_client("Grace") as grace,
        ):
            assert await ada.recv() == "Grace Login"
            await grace.send("hello")
            assert await ada.recv() == "Grace:hello"
            await ada.send("hi")
            assert await grace.recv() == "Ada:hi"  # and not her own line
            await grace.send("quit")
            assert await ada.recv() == "Grace Logout"
            await grace.wait_closed()
            assert grace.close_code == 1000

    async def test_a_connection_that_breaks_is_a_logout(self):
        async with (
            running_chat() as running,
            running.line_client("Ada") as ada,
            running.line_client("Grace") as grace,
        ):
            await ada.recv()
            grace.transport.abort()
            assert await ada.recv() == "Grace Logout"

    async def test_with_clients_that_speak_json(self):
        async with (
            running_chat() as running,
            running.member("Ada") as ada,
            running.line_client("Terminal") as lines,
        ):
            assert (await ada.told("joined"))["name"] == "Terminal"
            await lines.send("from a terminal\r\n")
            assert (await ada.told("message"))["text"] == "from a terminal"
            await ada.say("from the page")
            assert await lines.recv() == "Ada:from the page"

    async def test_the_room_is_in_the_address(self):
        async with (
            running_chat() as running,
            running.line_client("Ada", "tea"),
            running.line_client("Ada", "other"),
        ):
            assert set(running.hub.rooms) == {"tea", "other"}

    async def test_the_last_messages_follow_the_welcome(self):
        async with running_chat(shown=2) as running, running.member("Ada") as ada:
            for text in ("one", "two", "three"):
                await ada.say(text)
            async with running.line_client("Grace") as grace:
                assert await grace.recv() == "Ada:two"
                assert await grace.recv() == "Ada:three"

    async def test_a_refused_name_is_explained_and_asked_for_again(self):
        async with (
            running_chat() as running,
            running.line_client("Ada"),
            running.line_client() as client,
        ):
            await client.send("Ada")
            assert await client.recv() == (
                "* The name Ada is taken in this room. Ada2 is free, for example."
            )
            await client.send("Ada2")
            assert await client.recv() == "Welcome, Ada2 !"

    async def test_empty_lines_mean_nothing(self):
        async with running_chat() as running, running.line_client() as client:
            await client.send("\n")
            await client.send("Ada\n")
            assert await client.recv() == "Welcome, Ada !"

    async def test_any_subprotocol_but_ours_is_lines(self):
        async with (
            running_chat() as running,
            connect(running.uri, subprotocols=["other"]) as ws,
        ):
            assert ws.subprotocol is None
            await ws.send("Ada")
            assert await ws.recv() == "Welcome, Ada !"

    async def test_a_client_that_knows_no_path(self):
        async with (
            running_chat() as running,
            connect(running.uri.removesuffix("/chat")) as ws,
        ):
            await ws.send("Ada")
            assert await ws.recv() == "Welcome, Ada !"


class Hixie:
    """A browser of 2010, byte by byte."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port, *, pause=0.0):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HIXIE_HEAD % {b"port": port})
        if pause:
            await writer.drain()
            # Nothing may be answered before the key is complete.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), pause)
            writer.write(HIXIE_BODY[:3])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), pause)
            writer.write(HIXIE_BODY[3:])
        else:
            writer.write(HIXIE_BODY)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Sec-WebSocket-Location: ws://127.0.0.1:%d/chat?room=museum\r\n" % port in head
        assert await reader.readexactly(16) == HIXIE_ANSWER
        return cls(reader, writer)

    def send(self, line):
        self.writer.write(b"\x00" + line.encode() + b"\xff")

    async def line(self):
        frame = await self.reader.readuntil(b"\xff")
        assert frame[:1] == b"\x00"
        return frame[1:-1].decode()

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()


class TestHixie76:
    @pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at once", "key bytes later"])
    async def test_a_conversation(self, pause):
        async with running_chat() as running, running.member("Ada", "museum") as ada:
            netscape = await Hixie.open(running.port, pause=pause)
            netscape.send("Netscape")
            assert await netscape.line() == "Welcome, Netscape !"
            assert (await ada.told("joined"))["name"] == "Netscape"
            netscape.send("héllo")
            assert (await ada.told("message"))["text"] == "héllo"
            await ada.say("hi")
            assert await netscape.line() == "Ada:hi"
            netscape.send("quit")
            assert (await ada.told("left"))["name"] == "Netscape"
            assert await netscape.reader.readexactly(2) == b"\xff\x00"
            netscape.writer.write(b"\xff\x00")
            assert await netscape.reader.read() == b""
            await netscape.close()

    async def test_two_of_them(self):
        async with running_chat() as running:
            one = await Hixie.open(running.port)
            one.send("One")
            assert await one.line() == "Welcome, One !"
            two = await Hixie.open(running.port)
            two.send("Two")
            assert await two.line() == "Welcome, Two !"
            assert await one.line() == "Two Login"
            two.send("hello")
            assert await one.line() == "Two:hello"
            two.send("quit")
            assert await one.line() == "Two Logout"
            await one.close()
            await two.close()

    async def test_lines_that_come_with_the_handshake(self):
        async with running_chat() as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            head = HIXIE_HEAD % {b"port": running.port}
            writer.write(head + HIXIE_BODY + b"\x00Early\xff\x00hello\xff")
            await reader.readuntil(HIXIE_ANSWER)
            assert await reader.readuntil(b"\xff") == b"\x00Welcome, Early !\xff"
            writer.close()
            await writer.wait_closed()


class TestProcess:
    """The server as its users start it."""

    async def start(self, *arguments):
        process = await asyncio.create_subprocess_exec(
            *chat_command("--port", "0", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("The chat is at http://127.0.0.1:"), line
        return process, int(line.rsplit(":", 1)[1].strip("/\n"))

    async def test_clients_are_told_of_a_restart_and_the_history_stays(self, tmp_path):
        database = str(tmp_path / "chat.db")
        process, port = await self.start("--database", database)
        async with connect(f"ws://127.0.0.1:{port}/chat", subprotocols=["chat.duplexio"]) as ws:
            await ws.send('{"type": "join", "name": "Ada"}')
            await ws.send('{"type": "say", "id": "m1", "text": "kept"}')
            while json.loads(await ws.recv())["type"] != "message":
                pass
            process.send_signal(signal.SIGTERM)
            await ws.wait_closed()
            assert ws.close_code == 1012
        await process.communicate()
        process, port = await self.start("--database", database)
        async with connect(f"ws://127.0.0.1:{port}/chat") as ws:
            await ws.send("Grace")
            assert await ws.recv() == "Welcome, Grace !"
            assert await ws.recv() == "Ada:kept"
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
        assert process.returncode == 0
        assert b"The chat has stopped." in output
        assert b"Traceback" not in output
