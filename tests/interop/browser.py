"""Debian's Chromium, driven by Playwright."""

from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]

#: A script for a page whose WebSockets a proxy swallows: they fail before they are open.
BLOCKED_WEBSOCKET = """
window.WebSocket = class extends EventTarget {
  static OPEN = 1;
  constructor() { super(); setTimeout(() => this.onclose({ code: 1006, reason: "" }), 20); }
  send() {}
  close() {}
};
"""

#: The bundles in the packages of Socket.IO's clients, by generation.
BUNDLES = {1: "socket.io.min.js", 2: "socket.io.js", 3: "socket.io.min.js", 4: "socket.io.min.js"}


def socketio_page(context, server, generation, script=None):
    """Open the page of socketio_app.py with a client; its `sockets` are the WebSockets it opens."""
    page = context.new_page()
    if script:
        page.add_init_script(script)
    page.goto(server.url)
    page.add_script_tag(url=f"/clients/sioc{generation}/dist/{BUNDLES[generation]}")
    page.sockets = []
    page.on("websocket", lambda socket: page.sockets.append(socket))
    return page


def check_in_page(page, url, generation, **settings):
    """Check a server; return what was wrong, by the name of the check."""
    results = page.evaluate(
        "(settings) => socketioChecks({ io, ...settings })",
        {
            "transports": ["polling", "websocket"],
            "generation": generation,
            "url": url,
            **settings,
        },
    )
    return {name: problem for name, problem in results.items() if problem is not None}
