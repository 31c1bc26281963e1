"""Clients that poll, over a real server."""

import asyncio
import http.client
import json
from urllib.parse import unquote, urlencode

import pytest

from duplexio.chat import Limits
from tests.chat.servers import running_chat, until

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Browser:
    """Requests to a chat, each in a thread of its own."""

    def __init__(self, running, session="", after=0):
        self.running = running
        self.session = session
        self.after = after

    async def request(self, method, path, body=None, kind=JSON, headers=None):
        return await asyncio.to_thread(self._request, method, path, body, kind, headers or {})

    def _request(self, method, path, body, kind, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=20)
        try:
            if body is not None:
                headers = {"Content-Type": kind, **headers}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    async def enter(self, name, room="lobby", **fields):
        body = json.dumps({"type": "join", "name": name, "room": room, **fields})
        status, text = await self.request("POST", "/poll/enter", body)
        if status == 200:
            self.session = json.loads(text)["session"]
            self.after = 0
        return status, json.loads(text)

    async def events(self):
        status, text = await self.request(
            "GET", f"/poll/events?session={self.session}&after={self.after}"
        )
        assert status == 200, text
        answer = json.loads(text)
        self.after = answer["next"]
        return answer["events"]

    async def told(self, kind):
        while True:
            for event in await self.events():
                if event["type"] == kind:
                    return event

    async def send(self, kind, **fields):
        body = json.dumps({"type": kind, **fields})
        status, text = await self.request("POST", f"/poll/send?session={self.session}", body)
        return status, text


class TestJson:
    async def test_two_talk(self):
        async with running_chat() as running, running.member("Ada") as ada:
            grace = Browser(running)
            assert (await grace.enter("Grace"))[0] == 200
            assert (await grace.told("welcome"))["name"] == "Grace"
            assert (await grace.send("say", id="m1", text="by post"))[0] == 204
            assert (await ada.told("message"))["text"] == "by post"
            assert (await grace.told("message"))["text"] == "by post"
            await ada.say("by socket")
            assert (await grace.told("message"))["text"] == "by socket"

    async def test_a_get_waits_for_news(self):
        async with running_chat() as running, running.member("Ada") as ada:
            grace = Browser(running)
            await grace.enter("Grace")
            while (await ada.told("rooms"))["rooms"][0]["members"] != 2:
                pass
            await grace.events()
            waiting = asyncio.ensure_future(grace.told("message"))
            await ada.say("news")
            assert (await waiting)["text"] == "news"

    async def test_a_get_without_news_ends_after_a_while(self):
        limits = Limits(poll_wait=0.1)
        async with running_chat(limits=limits) as running:
            grace = Browser(running)
            await grace.enter("Grace")
            while await grace.events():
                pass

    async def test_an_answer_that_was_lost_is_given_again(self):
        async with running_chat() as running:
            grace = Browser(running)
            await grace.enter("Grace")
            (first, *_) = await grace.events()
            lost = Browser(running, grace.session, after=0)
            (again, *_) = await lost.events()
            assert first["type"] == again["type"] == "welcome"

    async def test_what_is_confirmed_is_not_given_again(self):
        async with running_chat() as running:
            grace = Browser(running)
            await grace.enter("Grace")
            await grace.told("welcome")
            await grace.send("say", id="m1", text="x")
            assert "welcome" not in [event["type"] for event in await grace.events()]

    async def test_a_refused_entry(self):
        async with running_chat() as running, running.member("Ada"):
            status, error = await Browser(running).enter("Ada")
            assert (status, error["code"]) == (409, "name_taken")
            assert running.chat._source.service.clients == 1

    async def test_coming_back(self):
        async with running_chat() as running, running.member("Ada") as ada:
            grace = Browser(running)
            await grace.enter("Grace")
            me = await grace.told("welcome")
            await ada.say("missed")
            again = Browser(running)
            fields = {key: me[key] for key in ("uid", "key", "history")}
            await again.enter("Grace", last=0, **fields)
            welcome = await again.told("welcome")
            assert welcome["uid"] == me["uid"]
            assert [m["text"] for m in welcome["messages"]] == ["missed"]

    async def test_who_stops_polling_has_left(self):
        limits = Limits(poll_pause=0.2, leave_delay=0.1)
        async with running_chat(limits=limits) as running, running.member("Ada") as ada:
            grace = Browser(running)
            await grace.enter("Grace")
            assert (await ada.told("left"))["name"] == "Grace"
            status, text = await grace.request("GET", f"/poll/events?session={grace.session}")
            assert (status, json.loads(text)["code"]) == (404, "gone")
            assert running.chat._source.service.clients == 1

    async def test_leaving(self):
        async with running_chat() as running, running.member("Ada") as ada:
            grace = Browser(running)
            await grace.enter("Grace")
            await grace.send("leave")
            assert (await ada.told("left"))["name"] == "Grace"

    async def test_the_later_of_two_gets_wins(self):
        async with running_chat() as running, running.member("Ada") as ada:
            grace = Browser(running)
            await grace.enter("Grace")
            while await ada.told("rooms") and running.hub.due() is not None:
                pass
            await grace.events()
            first = asyncio.ensure_future(Browser(running, grace.session, grace.after).events())
            second = asyncio.ensure_future(Browser(running, grace.session, grace.after).events())
            done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in done] == [[]]
            await ada.say("news")
            (event, *_) = await (first if second in done else second)
            assert event["text"] == "news"


class TestRefusals:
    async def test_a_megabyte(self):
        async with running_chat() as running:
            grace = Browser(running)
            await grace.enter("Grace")
            status, text = await grace.send("say", id="m1", text="x" * 2**20)
            assert status == 413
            assert "65,536 bytes" in json.loads(text)["text"]

    async def test_a_post_of_another_site(self):
        async with running_chat() as running:
            status, text = await Browser(running).request(
                "POST", "/poll/enter", "{}", headers={"Origin": "https://evil.example"}
            )
            assert (status, json.loads(text)["code"]) == (403, "origin")

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/poll/send"), ("POST", "/poll/events"), ("GET", "/poll/"), ("GET", "/poll/x")],
    )
    async def test_what_there_is_not(self, method, path):
        async with running_chat() as running:
            status, _ = await Browser(running).request(method, path)
            assert status == 404

    async def test_an_unknown_session(self):
        async with running_chat() as running:
            status, text = await Browser(running, "guess").send("say", id="m1", text="x")
            assert (status, json.loads(text)["code"]) == (404, "gone")

    async def test_too_many_clients(self):
        async with running_chat(limits=Limits(clients=1)) as running, running.member("Ada"):
            status, error = await Browser(running).enter("Grace")
            assert (status, error["code"]) == (503, "full")

    async def test_a_client_that_never_asks_holds_little(self):
        limits = Limits(backlog=5_000, burst=1000, rate=1000.0)
        async with running_chat(limits=limits) as running, running.member("Ada") as ada:
            grace = Browser(running)
            await grace.enter("Grace")
            for count in range(5):
                await ada.say("x" * 4000, f"f{count}")
            events = await grace.events()
            assert sum(len(json.dumps(event)) for event in events) < 12_000
            status, _ = await grace.request(
                "GET", f"/poll/events?session={grace.session}&after={grace.after}"
            )
            assert status == 404

    async def test_a_server_that_stops_answers_those_who_wait(self):
        async with running_chat() as running:
            grace = Browser(running)
            await grace.enter("Grace")
            await grace.events()
            waiting = asyncio.ensure_future(
                grace.request("GET", f"/poll/events?session={grace.session}&after={grace.after}")
            )
            polls = running.chat._polling._polls
            await until(lambda: any(poll.waiting > 1 for poll in polls.values()))
        assert (await waiting)[0] in (200, 404, 503)


class TestLines:
    """What the plain page does, and what curl can do."""

    async def enter(self, browser, **fields):
        status, text = await browser.request("POST", "/poll/enter", urlencode(fields), FORM)
        if status == 200:
            browser.session = text.strip()
        return status, text

    async def lines(self, browser):
        path = f"/poll/events?session={browser.session}&after={browser.after}"
        status, text = await browser.request("GET", path)
        assert status == 200
        browser.after, *lines = text.splitlines()
        return [unquote(line) for line in lines]

    async def test_a_conversation(self):
        async with running_chat() as running, running.member("Ada", "tea") as ada:
            old = Browser(running)
            assert (await self.enter(old, name="Old", room="tea"))[0] == 200
            assert await self.lines(old) == ["Welcome, Old !"]
            send = f"/poll/send?session={old.session}"
            fields = {"id": "m1", "text": "héllo & more"}
            for _ in range(2):  # as if the first answer had been lost
                status, _ = await old.request("POST", send, urlencode(fields), FORM)
                assert status == 204
            assert (await ada.told("message"))["text"] == "héllo & more"
            await ada.say("two\nlines, 100 %")
            assert await self.lines(old) == ["Ada:two\nlines, 100 %"]
            await old.request("POST", send, urlencode({"text": "quit"}), FORM)
            assert (await ada.told("left"))["name"] == "Old"

    async def test_a_refused_entry_is_explained_in_plain_text(self):
        async with running_chat() as running, running.member("Ada"):
            status, text = await self.enter(Browser(running), name="Ada")
            assert status == 409
            assert text == "The name Ada is taken in this room. Ada2 is free, for example.\n"
            status, text = await self.enter(Browser(running), room="lobby")
            assert status == 409
            assert "choose a name" in text

    async def test_too_many_fields(self):
        async with running_chat() as running:
            status, text = await self.enter(Browser(running), **{f"f{i}": 1 for i in range(100)})
            assert status == 400
            assert "too many fields" in text
