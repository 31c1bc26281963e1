"""Try all clients of Socket.IO, and write docs/interop.md.

    python -m tests.interop.matrix

What is tried is what the tests beside this file try.
"""

import contextlib
import datetime
import json
import platform
import re
import subprocess
from pathlib import Path

from playwright.sync_api import sync_playwright

import duplexio
from tests.interop.browser import (
    BLOCKED_WEBSOCKET,
    CHROMIUM,
    FLAGS,
    check_in_page,
    socketio_page,
)
from tests.interop.python_packages import python_packages
from tests.interop.socketio_runs import (
    CHECKS,
    FINAL_FOR_PYTHON,
    HERE,
    PARSERS,
    PYTHON_KINDS,
    ROOT,
    TRANSPORTS,
    check_javascript,
    check_python,
    restarts,
    serve,
    silences,
)

PAGE = ROOT / "docs" / "interop.md"
TITLES = {
    "polling": "Long polling only",
    "websocket": "WebSocket only",
    "polling,websocket": "Long polling, then the upgrade",
    "jsonp": "JSONP",
}
OTHERS = ("MessagePack", "restarts", "silence")
#: What a client does in part, for a reason of its own; the page says which.
PARTLY = "partly"
MARKS = {"-": "-", None: "✓", PARTLY: "partly"}
#: What the columns mean.
COLUMNS = {
    "events": "arguments of all kinds, both ways",
    "unicode": "text outside of ASCII, as the server reads it and as it comes back",
    "acks": "acknowledgements with any number of arguments, both ways, by callback and by `call`",
    "binary": "bytes in nested data, 10 attachments, 100 KB, in events and acknowledgements",
    "namespaces": "several on one connection, with `auth` or a query, and by pattern",
    "refusals": "by a handler with data, by a handler without, unknown namespaces",
    "rooms": "join, leave, emit to rooms and clients, skip the sender",
    "reasons": "why a client has left, as either side is told",
    "order": "300 numbered events each way, during the upgrade too",
    "MessagePack": "all of that with socket.io-msgpack-parser, or python-socketio's serializer",
    "restarts": "the server is killed, then stopped, and comes back on its port: so do the clients",
    "silence": "the server stops answering, then the clients do: the other side notices, and they"
    " connect again",
}
HEAD = """\
# Interoperability

The Socket.IO server with real clients of all generations, under the front door
(`duplexio serve`, compiled: {implementation}, Python {python}), on {date}.
"✓" means that all of it worked, "✗" that something did not, "-" that there is no such thing or that
it was not tried there.

| Column | What is tried |
|---|---|
{columns}
"""
NOTES = """
"partly": python-socketio's clients on long polling come back to a server that has died, but not to
one that has stopped or has given them up, since they take the packet that closes a session for the
last word.

Some clients have faults of their own, which the tests leave room for. Socket.IO 1.x writes text
that is not ASCII twice as UTF-8 on polling requests; this server reads that, and answers in ASCII
(Node's servers from 2.x on do neither). In a browser it also fails on answers of more than about
100 KB of text. python-socketio 4 takes empty bytes for `None`, and tells the server nothing when it
leaves on long polling.

Two more things are tested: programs written for python-socketio,
which run on both libraries with only their imports changed, while the same client talks to both
and has to see the same (`tests/interop/programs`); and a smaller part of the above under stock
uvicorn, as a plain ASGI application.

To try all of it again, which takes a few minutes:

```
make install interop-packages
.venv/bin/python -m tests.interop.matrix
```
"""


class Matrix:
    """What came of it: for each transport and client, what was wrong, by what was tried."""

    def __init__(self):
        self.tables = {transport: {} for transport in TITLES}

    def note(self, transport, client, problems, columns=CHECKS):
        """Take note of problems, by the name of the column."""
        row = self.tables[transport].setdefault(client, {})
        row.update({name: problems.get(name) for name in columns})
        for name, problem in problems.items():
            if problem not in MARKS:
                print(f"{TITLES[transport]}: {client}: {name}: {problem}")

    def render(self, today):
        """Return the page."""
        columns = "\n".join(f"| {name} | {text} |" for name, text in COLUMNS.items())
        parts = [
            HEAD.format(
                implementation="yes" if duplexio.implementation == "c" else "no",
                python=platform.python_version(),
                date=today.isoformat(),
                columns=columns,
            )
        ]
        for transport, rows in self.tables.items():
            names = [
                *CHECKS,
                *(name for name in OTHERS if any(name in row for row in rows.values())),
            ]
            parts.append(f"\n## {TITLES[transport]}\n")
            parts.append("| | " + " | ".join(names) + " |")
            parts.append("|---|" + ":-:|" * len(names))
            for client, row in rows.items():
                marks = [MARKS.get(row.get(name, "-"), "✗") for name in names]
                parts.append(f"| {client} | " + " | ".join(marks) + " |")
        return "\n".join(parts) + "\n" + NOTES

    @property
    def failed(self):
        """Whether anything was wrong."""
        return any(
            problem not in MARKS
            for rows in self.tables.values()
            for row in rows.values()
            for problem in row.values()
        )


def javascript_name(generation):
    """Return a client's name with its version."""
    package = json.loads((HERE / f"node_modules/sioc{generation}/package.json").read_text())
    return f"socket.io-client {package['version']}"


def python_name(version, kind):
    """Return a client's name with its version."""
    folder = python_packages(f"socketio{version}")
    (found,) = folder.glob("python_socketio-*.dist-info")
    return f"python-socketio {found.name.split('-')[1].removesuffix('.dist')}, {kind}"


def chromium_version():
    """Return the version of the browser."""
    done = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"\d+", done.stdout)[0]


def run_clients(matrix, server, msgpack_server):
    """Try the clients in processes of their own."""
    for transport in TRANSPORTS:
        for generation in (1, 2, 3, 4):
            name = javascript_name(generation)
            matrix.note(transport, name, check_javascript(server.url, generation, transport))
            if generation in PARSERS:
                url = msgpack_server.url
                problems = check_javascript(url, generation, transport, parser=True)
                note_messagepack(matrix, transport, name, problems)
        for version in (4, 5):
            for kind in PYTHON_KINDS:
                name = python_name(version, kind)
                matrix.note(transport, name, check_python(server.url, version, kind, transport))
                if version == 5:
                    url = msgpack_server.url
                    problems = check_python(url, version, kind, transport, "msgpack")
                    note_messagepack(matrix, transport, name, problems)


def note_messagepack(matrix, transport, name, problems):
    """Take note of all checks together."""
    problem = {"MessagePack": str(problems)} if problems else {}
    matrix.note(transport, name, problem, ["MessagePack"])


def run_scenes(matrix):
    """Let servers and clients come, go and be silent."""
    for column, scene in (("restarts", restarts), ("silence", silences)):
        problem = None
        try:
            scene()
        except AssertionError as exc:
            problem = str(exc)
        for transport in TRANSPORTS:
            names = {javascript_name(generation): None for generation in (1, 2, 3, 4)}
            for version in (4, 5):
                for kind in PYTHON_KINDS:
                    names[python_name(version, kind)] = f"python {version} {kind}/{transport}"
            for name, alias in names.items():
                kept = PARTLY if alias in FINAL_FOR_PYTHON else None
                matrix.note(transport, name, {column: problem or kept}, [column])


def run_browser(matrix, server):
    """Try the clients in Chromium."""
    version = chromium_version()
    with sync_playwright() as playwright, contextlib.ExitStack() as stack:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        stack.callback(browser.close)

        def check(transport, generation, where, script=None, **settings):
            page = socketio_page(browser.new_context(), server, generation, script)
            problems = check_in_page(page, server.url, generation, **settings)
            matrix.note(transport, f"{javascript_name(generation)}, {where}", problems)

        for generation in (1, 2, 3, 4):
            where = f"Chromium {version}"
            check("polling,websocket", generation, where)
            blocked = f"{where}, WebSockets blocked"
            check("polling", generation, blocked, BLOCKED_WEBSOCKET, polls=True)
        for generation in (1, 2):
            options = {"forceJSONP": True}
            check("jsonp", generation, where, transports=["polling"], options=options)


def main():
    matrix = Matrix()
    with serve() as server, serve(SERIALIZER="msgpack") as msgpack_server:
        run_clients(matrix, server, msgpack_server)
        run_browser(matrix, server)
    run_scenes(matrix)
    write(matrix, PAGE)
    raise SystemExit(1 if matrix.failed else 0)


def write(matrix: Matrix, path: Path) -> None:
    path.write_text(matrix.render(datetime.datetime.now(datetime.UTC).date()))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
