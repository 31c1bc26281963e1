"""The chat's page in Chromium, with real servers that are stopped, killed and started again."""

import json
import re
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.chat.servers import chat_command
from tests.interop.browser import BLOCKED_WEBSOCKET, CHROMIUM, FLAGS

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")

# A page that was changed, and checks nothing itself.
NO_LIMIT = """
const unlimited = (value) => {
  for (const event of value.events || [value]) if (event.limits) event.limits.text = 1e9;
  return value;
};
const { parse } = JSON;
JSON.parse = (...args) => unlimited(parse(...args) || {});
const { json } = Response.prototype;
Response.prototype.json = async function () { return unlimited(await json.call(this)); };
"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class ChatProcess:
    """A server that can be killed and started again where it was."""

    def __init__(self, database):
        self.database = database
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process: Any = None

    def start(self):
        self.process = subprocess.Popen(
            chat_command("--port", str(self.port), "--database", str(self.database)),
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert self.url in line, line
        # What else it says would fill the pipe.
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(20)
        self.reader.join(20)
        self.process.stdout.close()


@pytest.fixture
def server(tmp_path):
    server = ChatProcess(tmp_path / "chat.db")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def problems():
    """What browsers complain of."""
    return []


@pytest.fixture
def visit(browser, server, problems):
    """Return a function that opens the page as somebody else."""
    contexts = []

    def visit(name=None, room="", script=None, path="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: note(message))
        page.goto(server.url + path + (f"?room={room}" if room else ""))
        if name is not None:
            join(page, name)
        return page

    def note(message):
        # A connection that is refused while the server is away is no fault of the page.
        if message.type == "error" and not re.search(r"ERR_|WebSocket|status of", message.text):
            problems.append(message.text)

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


def join(page, name):
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join").click()
    expect(status(page)).to_contain_text("Connected")


def status(page):
    return page.get_by_role("status")


def say(page, text):
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Message", exact=True).press("Enter")


def bubbles(page):
    return page.get_by_role("log").locator(".bubble")


def texts(page, count):
    """Return the texts in the log when there are so many."""
    expect(bubbles(page)).to_have_count(count)
    return bubbles(page).all_inner_texts()


def test_two_pages_talk(visit):
    ada, grace = visit("Ada"), visit("Grace")
    expect(ada.get_by_role("log")).to_contain_text("Grace joined")
    say(ada, "hello")
    texts(grace, 1)
    say(grace, "hi Ada")
    assert texts(ada, 2) == texts(grace, 2) == ["hello", "hi Ada"]
    expect(grace.get_by_role("log").locator(".message").first).to_contain_text("Ada")
    expect(ada.locator("#people li")).to_have_count(2)
    expect(ada.locator("#people")).to_contain_text("you")


def test_typing_is_shown_until_the_message_comes(visit):
    ada, grace = visit("Ada"), visit("Grace")
    grace.get_by_label("Message", exact=True).fill("I am")
    expect(ada.locator("#typing")).to_have_text("Grace is typing…")
    say(grace, "I am done")
    expect(ada.locator("#typing")).to_have_text("")


def test_a_newcomer_sees_what_was_said(visit):
    ada = visit("Ada")
    for text in ("one", "two"):
        say(ada, text)
    texts(ada, 2)
    assert texts(visit("Grace"), 2) == ["one", "two"]


def test_a_reload_keeps_name_and_messages(visit):
    ada, grace = visit("Ada"), visit("Grace")
    say(ada, "one")
    texts(grace, 1)
    grace.reload()
    expect(status(grace)).to_contain_text("Connected")
    assert texts(grace, 1) == ["one"]
    say(grace, "two")
    assert texts(ada, 2) == ["one", "two"]
    # It was away for so short a time that nobody needs to hear of it.
    expect(ada.get_by_role("log")).not_to_contain_text("left")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restart_of_the_server_loses_and_repeats_nothing(visit, server, how):
    ada, grace = visit("Ada"), visit("Grace")
    say(ada, "before 1")
    texts(grace, 1)
    say(grace, "before 2")
    texts(ada, 2)
    texts(grace, 2)
    server.stop(how)
    expect(status(ada)).not_to_contain_text("Connected")
    if how == signal.SIGTERM:
        expect(status(ada)).to_contain_text("restarting")
    for count in range(3):
        say(ada, f"meanwhile {count}")
    expect(ada.locator("#pending .bubble")).to_have_count(3)
    expect(ada.locator("#pending")).to_contain_text("Sending…")
    server.start()
    expected = ["before 1", "before 2", "meanwhile 0", "meanwhile 1", "meanwhile 2"]
    expect(bubbles(ada)).to_have_count(5, timeout=30_000)
    expect(bubbles(grace)).to_have_count(5, timeout=30_000)
    assert texts(ada, 5) == texts(grace, 5) == expected
    expect(ada.locator("#pending .bubble")).to_have_count(0)
    # Nor is it in the history twice.
    assert texts(visit("Alan"), 5) == expected
    assert "left" not in ada.get_by_role("log").inner_text()


def test_killed_while_talking_each_message_comes_once_and_in_order(visit, server):
    ada, grace = visit("Ada"), visit("Grace")
    for count in range(4):
        say(ada, f"text {count}")
    server.stop(signal.SIGKILL)
    for count in range(4, 8):
        say(ada, f"text {count}")
    server.start()
    expected = [f"text {count}" for count in range(8)]
    for page in (ada, grace):
        expect(bubbles(page)).to_have_count(8, timeout=30_000)
        assert texts(page, 8) == expected


def test_a_reload_while_the_server_is_away_keeps_what_is_not_sent(visit, server):
    ada = visit("Ada")
    page = server.url
    server.stop()
    say(ada, "remember me")
    expect(ada.locator("#pending .bubble")).to_have_count(1)
    server.start()
    ada.goto(page)
    assert texts(ada, 1) == ["remember me"]
    expect(ada.locator("#pending .bubble")).to_have_count(0)


def test_the_messages_of_others_are_text(visit):
    hostile = [
        "<script>window.hacked = 1</script>",
        "<img src=x onerror='window.hacked = 2'>",
        "<a href='javascript:window.hacked=3'>click</a>",
        "javascript:alert(1) and https://example.com/<b>x</b>",
        "&lt;b&gt; &amp; \u202eesrever",
    ]
    mallory = visit("<img src=x onerror=h()>")
    ada = visit("Ada")
    for text in hostile:
        say(mallory, text)
    shown = texts(ada, len(hostile))
    assert shown == [text.replace("\u202e", "") for text in hostile]
    assert ada.evaluate("window.hacked") is None
    assert mallory.evaluate("window.hacked") is None
    inside = ada.get_by_role("log").evaluate(
        "log => [...log.querySelectorAll('*')].map(e => e.tagName)"
    )
    assert not {"SCRIPT", "IMG", "B"} & set(inside) - {"B"}
    links = (
        ada.get_by_role("log")
        .locator("a")
        .evaluate_all("links => links.map(link => [link.href, link.rel, link.target])")
    )
    assert links == [["https://example.com/", "noopener noreferrer nofollow", "_blank"]]
    expect(ada.locator("#people")).to_contain_text("<img src=x onerror=h()>")
    assert ada.locator("#people img, .byline img").count() == 0


def test_scripts_in_the_page_would_not_run(visit, problems):
    ada = visit("Ada")
    ada.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\">')"
    )
    ada.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " { textContent: 'window.hacked = 1' }))"
    )
    assert ada.evaluate("window.hacked") is None
    assert len(problems) == 2
    assert all("Content Security Policy" in problem for problem in problems)
    problems.clear()


def test_a_megabyte_is_refused_with_a_reason_and_kept_for_shortening(visit):
    ada = visit("Ada")
    say(ada, "x" * 2**20)
    expect(ada.get_by_role("alert").filter(has_text="Not sent")).to_contain_text(
        "1,048,576 characters, and 4,000 at most are allowed"
    )
    assert len(ada.get_by_label("Message", exact=True).input_value()) == 2**20
    expect(ada.locator("#counter")).to_contain_text("1,048,576 of 4,000")
    say(ada, "short")
    assert texts(ada, 1) == ["short"]


@pytest.mark.parametrize("script", ["", BLOCKED_WEBSOCKET], ids=["websocket", "polling"])
def test_the_server_refuses_what_is_too_large_without_the_pages_help(visit, script):
    ada, grace = visit("Ada", script=NO_LIMIT + script), visit("Grace")
    say(ada, "x" * 100_000)
    alert = ada.get_by_role("alert").filter(has_text=re.compile("too large"))
    expect(alert).to_contain_text(re.compile("65,?536 bytes"))
    expect(ada.locator("#pending .failed")).to_contain_text("Not sent")
    expect(status(ada)).to_contain_text("Connected", timeout=15_000)
    say(ada, "still here")
    assert texts(grace, 1) == ["still here"]
    ada.get_by_role("button", name="Delete").click()
    expect(ada.locator("#pending .bubble")).to_have_count(0)


@pytest.mark.parametrize("script", [BLOCKED_WEBSOCKET, "delete window.WebSocket;"])
def test_without_websocket_it_polls(visit, script):
    ada, grace = visit("Ada", script=script), visit("Grace")
    expect(status(ada)).to_have_text("Connected (long polling)")
    say(ada, "by polling")
    texts(grace, 1)
    say(grace, "by WebSocket")
    assert texts(ada, 2) == texts(grace, 2) == ["by polling", "by WebSocket"]


def test_polling_survives_a_restart(visit, server):
    ada, grace = visit("Ada", script=BLOCKED_WEBSOCKET), visit("Grace")
    say(ada, "one")
    texts(grace, 1)
    server.stop()
    say(ada, "two")
    server.start()
    for page in (ada, grace):
        expect(bubbles(page)).to_have_count(2, timeout=30_000)
        assert texts(page, 2) == ["one", "two"]


def test_a_name_that_is_taken_is_explained(visit):
    visit("Ada")
    other = visit()
    other.get_by_label("Your name").fill("ada")
    other.get_by_role("button", name="Join").click()
    expect(other.get_by_role("alert").filter(has_text="taken")).to_contain_text("ada2 is free")
    join(other, "ada2")


def test_rooms_and_what_is_unread_in_them(visit):
    ada, grace = visit("Ada"), visit("Grace", room="tea")
    assert "room=tea" in grace.url
    ada.get_by_role("navigation").get_by_role("button", name=re.compile("tea")).click()
    expect(ada.get_by_role("heading", name="#tea")).to_be_visible()
    say(grace, "welcome to tea")
    assert texts(ada, 1) == ["welcome to tea"]
    ada.get_by_role("button", name=re.compile("lobby")).click()
    expect(ada.get_by_role("heading", name="#lobby")).to_be_visible()
    expect(bubbles(ada)).to_have_count(0)
    say(grace, "are you there?")
    expect(ada.get_by_role("button", name=re.compile(r"tea\s*1 unread"))).to_be_visible()
    ada.get_by_label("Name of another room").fill("Brand New")
    ada.get_by_label("Name of another room").press("Enter")
    expect(ada.get_by_role("heading", name="#brand-new")).to_be_visible()


def test_a_room_that_cannot_be_entered_leaves_us_where_we_are(visit):
    ada = visit("Ada")
    say(ada, "here")
    texts(ada, 1)
    ada.get_by_label("Name of another room").fill("no/such")
    ada.get_by_label("Name of another room").press("Enter")
    expect(ada.get_by_role("alert").filter(has_text="letters, digits")).to_be_visible()
    expect(ada.get_by_role("heading", name="#lobby")).to_be_visible()
    assert texts(ada, 1) == ["here"]
    say(ada, "still here")
    assert texts(ada, 2) == ["here", "still here"]


def test_what_is_said_while_changing_rooms_is_said_in_the_new_one(visit):
    ada = visit("Ada")
    ada.evaluate(
        """() => {
            document.querySelector("#room-new").value = "Brand New";
            document.querySelector("#room-form").requestSubmit();
            document.querySelector("#text").value = "first";
            document.querySelector("#composer").requestSubmit();
        }"""
    )
    expect(ada.get_by_role("heading", name="#brand-new")).to_be_visible()
    assert texts(ada, 1) == ["first"]
    expect(ada.locator("#pending .bubble")).to_have_count(0)


def test_a_network_that_comes_back(visit):
    ada, grace = visit("Ada"), visit("Grace")
    ada.context.set_offline(True)
    expect(status(ada)).to_contain_text("Connection lost")
    say(ada, "later")
    ada.context.set_offline(False)
    assert texts(grace, 1) == ["later"]
    ada.get_by_role("button", name="Leave").click()
    ada.context.set_offline(True)
    ada.context.set_offline(False)
    expect(grace.get_by_role("log")).to_contain_text("Ada left")
    expect(ada.get_by_label("Your name")).to_be_visible()
    expect(grace.locator("#people li")).to_have_count(1)


def test_unread_messages_are_counted_while_scrolled_away(visit):
    ada, grace = visit("Ada", viewport={"width": 800, "height": 400}), visit("Grace")
    for count in range(8):
        say(grace, f"text {count}")
    texts(ada, 8)
    ada.locator("#scroll").evaluate("scroll => { scroll.scrollTop = 0; }")
    jump = ada.locator("#jump")
    expect(jump).to_be_visible()
    say(grace, "news")
    expect(jump).to_have_text("↓ 1 new message")
    expect(ada).to_have_title(re.compile(r"^\(1\) #lobby"))
    jump.click()
    expect(jump).to_be_hidden()
    expect(ada).to_have_title(re.compile("^#lobby"))


def test_leaving(visit):
    ada, grace = visit("Ada"), visit("Grace")
    grace.get_by_role("button", name="Leave").click()
    expect(grace.get_by_label("Your name")).to_be_focused()
    expect(ada.get_by_role("log")).to_contain_text("Grace left")
    join(grace, "Hopper")
    expect(ada.get_by_role("log")).to_contain_text("Hopper joined")


def test_by_keyboard_alone(visit):
    page = visit()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("line 1")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("line 2")
    page.keyboard.press("Enter")
    assert texts(page, 1) == ["line 1\nline 2"]
    # The rest of the page can be reached, the log among it, to scroll it.
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"log", "leave", "room-new"} <= reached


def test_on_a_phone(visit):
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    ada = visit("Ada", **phone)
    say(ada, "a long word " + "x" * 200)
    texts(ada, 1)
    assert ada.evaluate("document.documentElement.scrollWidth") <= 360
    expect(ada.get_by_role("complementary")).to_be_hidden()
    ada.get_by_role("button", name="Rooms and people").click()
    expect(ada.get_by_role("complementary")).to_be_visible()
    expect(ada.get_by_role("button", name="Close the list")).to_be_focused()
    ada.keyboard.press("Escape")
    expect(ada.get_by_role("complementary")).to_be_hidden()


def luminance(page, selector):
    colour = page.locator(selector).evaluate("e => getComputedStyle(e).backgroundColor")
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3])


def test_light_and_dark(visit):
    light, dark = visit("Ada", color_scheme="light"), visit("Grace", color_scheme="dark")
    assert luminance(light, "body") > 600
    assert luminance(dark, "body") < 150


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core, which tools/interop_packages.sh gets")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(visit, scheme):
    ada, grace = visit("Ada", color_scheme=scheme), visit("Grace")
    say(grace, "hello https://example.com")
    say(ada, "hi")
    texts(ada, 2)
    say(ada, "x" * 5000)
    entry = visit(color_scheme=scheme)
    phone = visit("Alan", color_scheme=scheme, viewport={"width": 360, "height": 640})
    phone.get_by_role("button", name="Rooms and people").click()
    expect(phone.get_by_role("button", name="Close the list")).to_be_focused()
    for page in (ada, entry, phone, visit(path="plain")):
        assert violations(page) == []


def violations(page):
    # As a test's own script it is not subject to the page's policy.
    page.evaluate(AXE.read_text())
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{found['id']}: {found['help']}: {json.dumps(node['target'])}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


class TestPlainPage:
    def test_talking(self, visit, server):
        ada, old = visit("Ada"), visit(path="plain")
        old.get_by_label("Your name").fill("Old Browser")
        old.get_by_role("button", name="Join").click()
        expect(old.get_by_role("log")).to_contain_text("Welcome, Old Browser !")
        old.get_by_label("Message", exact=True).fill("<b>plain</b> & simple")
        old.get_by_role("button", name="Send").click()
        assert texts(ada, 1) == ["<b>plain</b> & simple"]
        expect(old.get_by_role("log")).to_contain_text("Old Browser:<b>plain</b> & simple")
        say(ada, "two\nlines")
        expect(old.get_by_role("log")).to_contain_text("Ada:two\nlines")
        old.get_by_role("button", name="Leave").click()
        expect(ada.get_by_role("log")).to_contain_text("Old Browser left")

    def test_it_comes_back_after_a_restart(self, visit, server):
        old = visit(path="plain")
        old.get_by_label("Your name").fill("Old")
        old.get_by_role("button", name="Join").click()
        expect(old.get_by_role("log")).to_contain_text("Welcome, Old !")
        server.stop()
        server.start()
        expect(status(old)).to_contain_text("Connected", timeout=30_000)
        ada = visit("Ada")
        say(ada, "back again")
        expect(old.get_by_role("log")).to_contain_text("Ada:back again")

    def test_a_refused_name(self, visit):
        visit("Ada")
        old = visit(path="plain")
        old.get_by_label("Your name").fill("Ada")
        old.get_by_role("button", name="Join").click()
        expect(status(old)).to_contain_text("Ada2 is free")

    def test_browsers_without_modules_are_sent_there(self, visit):
        page = visit(room="tea")
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'),"
            " { src: '/plain.js' }))"
        )
        page.wait_for_url("**/plain?room=tea")
        expect(page.get_by_label("Room")).to_have_value("tea")


@contextmanager
def nothing_fetched_from_elsewhere(page, url):
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    yield
    assert requested
    assert all(address.startswith((url, url.replace("http", "ws"))) for address in requested)


def test_nothing_is_fetched_from_elsewhere(visit, server):
    page = visit()
    with nothing_fetched_from_elsewhere(page, server.url):
        page.reload()
        join(page, "Ada")
        say(page, "hello")
        texts(page, 1)
