"""duplexio.js in Chromium, as pages load it from the server."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from duplexio import socketio
from tests.engineio.serving import hosted
from tests.interop.browser import BLOCKED_WEBSOCKET, CHROMIUM, FLAGS

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium"),
    pytest.mark.timeout(120),
]

MODULE = """<!doctype html><script type="module">
import io from "/socket.io/duplexio.js";
window.socket = io({ reconnectionDelay: 20, reconnectionDelayMax: 100 });
</script>"""
SCRIPT = """<!doctype html><script src="/socket.io/socket.io.js"></script><script>
window.socket = io({ reconnectionDelay: 20, reconnectionDelayMax: 100 });
</script>"""

TALK = """async () => {
  const bytes = new Uint8Array([0, 1, 255]);
  const answer = await socket.timeout(5000).emitWithAck("answer", "hé€😀", { bytes });
  const blob = await socket.emitWithAck("answer", new Blob(["from a file"]));
  const got = new Promise((resolve) => socket.once("said", (...args) => resolve(args)));
  socket.emit("say", 1, [2]);
  return {
    text: answer[0],
    bytes: [...new Uint8Array(answer[1].bytes)],
    blob: new TextDecoder().decode(blob[0]),
    said: await got,
    transport: socket.io.engine.transport.name,
  };
}"""


class Page:
    """An application with one page, and a Socket.IO server beside it."""

    def __init__(self, folder: Path, text: str) -> None:
        (folder / "index.html").write_text(text)
        self.sio = sio = socketio.AsyncServer()
        self.app = socketio.ASGIApp(sio, static_files={"/": str(folder / "index.html")})
        self.received: list[object] = []
        self.changed = asyncio.Event()

        @sio.event
        def answer(sid, *args):
            return list(args)

        @sio.event
        async def say(sid, *args):
            self.received.append(args)
            self.changed.set()
            await sio.emit("said", args, to=sid)


@asynccontextmanager
async def opened(page, script=None):
    """Open the page in Chromium; yield Playwright's page."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        async with hosted(page.app) as port:
            tab = await browser.new_page()
            complaints = []
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            if script:
                await tab.add_init_script(script)
            await tab.goto(f"http://127.0.0.1:{port}/")
            await tab.wait_for_function("window.socket && socket.connected")
            yield tab
            assert complaints == []
            await browser.close()


@pytest.mark.parametrize("text", [MODULE, SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize("blocked", [False, True], ids=["free", "blocked"])
async def test_a_page_talks(tmp_path, text, blocked):
    page = Page(tmp_path, text)
    async with opened(page, BLOCKED_WEBSOCKET if blocked else None) as tab:
        if not blocked:
            await tab.wait_for_function("socket.io.engine.transport.name === 'websocket'")
        told = await tab.evaluate(TALK)
    assert told == {
        "text": "hé€😀",
        "bytes": [0, 1, 255],
        "blob": "from a file",
        "said": [1, [2]],
        "transport": "polling" if blocked else "websocket",
    }


async def test_a_page_that_is_offline_for_a_while(tmp_path):
    page = Page(tmp_path, MODULE)
    async with opened(page) as tab:
        await tab.evaluate("window.reasons = []; socket.on('disconnect', (r) => reasons.push(r))")
        await tab.context.set_offline(True)
        await tab.wait_for_function("!socket.connected")
        await tab.evaluate("socket.emit('say', 'while offline'); socket.volatile.emit('say', 'no')")
        await tab.context.set_offline(False)
        await asyncio.wait_for(page.changed.wait(), 20)
        assert await tab.evaluate("reasons") == ["transport close"]
    assert page.received == [("while offline",)]
