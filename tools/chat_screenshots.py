"""Take the pictures of the chat that the documentation shows: docs/images/chat-*.png.

usage: .venv/bin/python tools/chat_screenshots.py

It starts `duplexio chat` with an empty history and lets three people talk in Chromium, so the
pictures are always those of the present page. Run it after a change of the page, and look at them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
IMAGES = Path(__file__).parents[1] / "docs" / "images"
DESKTOP = (1080, 700)
PHONE = (390, 780)


def enter(
    browser: Browser, url: str, name: str, size: tuple[int, int], scheme: str, room: str = ""
) -> Page:
    """Open the page as somebody."""
    width, height = size
    page = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=2 if size == PHONE else 1,
        locale="en-GB",
    ).new_page()
    page.goto(f"{url}?room={room}" if room else url)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_contain_text("Connected")
    return page


def say(page: Page, text: str) -> None:
    """Say something, and wait until it is kept."""
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Message", exact=True).press("Enter")
    expect(page.get_by_role("log")).to_contain_text(text.partition("\n")[0])


def talk(browser: Browser, url: str) -> None:
    """Let people talk, and take the pictures."""
    ada = enter(browser, url, "Ada", DESKTOP, "light")
    grace = enter(browser, url, "Grace", DESKTOP, "dark")
    alan = enter(browser, url, "Alan", PHONE, "light")
    enter(browser, url, "Barbara", DESKTOP, "light", "compilers")
    say(ada, "Good morning! The page, WebSockets and long polling are all on one port.")
    say(grace, "I restarted the server while you were away. Did you notice?")
    say(grace, "What I wrote meanwhile went out when it was back.")
    say(ada, "Not a message is missing, and none came twice.")
    say(alan, "<script>alert('hello')</script> is just text here. Good.")
    say(ada, "Shift+Enter makes lines:\n1. like\n2. these")
    grace.get_by_label("Message", exact=True).fill("I wonder")
    expect(ada.locator("#typing")).to_contain_text("Grace is typing")
    expect(ada.locator("#rooms")).to_contain_text("compilers")
    ada.screenshot(path=IMAGES / "chat-light.png")
    grace.screenshot(path=IMAGES / "chat-dark.png")
    alan.screenshot(path=IMAGES / "chat-phone.png")


def main() -> None:
    """Start a server, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    code = "from duplexio.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "chat", "--port", "0", "--database", ":memory:"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            talk(browser, url)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    print(f"Look at the pictures in {IMAGES}.")


if __name__ == "__main__":
    main()
