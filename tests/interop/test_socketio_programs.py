"""Programs for python-socketio, with only their imports changed.

Each program runs with python-socketio under uvicorn, and with duplexio under the front door and
under uvicorn. The same client talks to all, and has to see the same.
"""

import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web

from duplexio import socketio
from duplexio.errors import UsageError
from tests.interop.python_packages import python_packages
from tests.interop.socketio_runs import HERE, NODE, NODE_IS_READY, Process, serve

PROGRAMS = HERE / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))

pytestmark = [
    pytest.mark.skipif(not NODE_IS_READY, reason="needs node and `make interop-packages`"),
    pytest.mark.timeout(120),
]


def with_imports_changed(text):
    """Return a program for python-socketio as one for duplexio."""
    text = re.sub(r"^import socketio$", "from duplexio import socketio", text, flags=re.MULTILINE)
    return re.sub(r"^from socketio\b", "from duplexio.socketio", text, flags=re.MULTILINE)


def transcript(server, name, transports, how=signal.SIGTERM):
    """Return what a client sees of a program; end the server with a signal."""
    try:
        command = (NODE, "client.cjs", name, server.url, transports)
        with Process(*command, cwd=PROGRAMS) as client:
            client.wait_for(lambda client: client.events, 60)
    finally:
        server.stop(how)
    (events,) = client.events[0]
    return events


@pytest.mark.parametrize(
    ("name", "transports"),
    [*((name, "polling,websocket") for name in NAMES), ("echo", "polling"), ("echo", "websocket")],
)
def test_program(name, transports, tmp_path):
    shutil.copytree(PROGRAMS / "public", tmp_path / "public")
    text = with_imports_changed((PROGRAMS / f"{name}.py").read_text())
    assert "from duplexio import socketio" in text
    (tmp_path / f"{name}.py").write_text(text)
    folder = str(python_packages("socketio5"))
    with ThreadPoolExecutor() as threads:
        starts = [
            threads.submit(serve, "uvicorn", f"{name}:app", cwd=PROGRAMS, PYTHONPATH=folder),
            threads.submit(serve, "front door", f"{name}:app", cwd=tmp_path),
            threads.submit(serve, "uvicorn", f"{name}:app", cwd=tmp_path),
        ]
        # uvicorn would wait long for the polling requests of theirs.
        signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGTERM]
        runs = [
            threads.submit(transcript, each.result(), name, transports, how)
            for each, how in zip(starts, signals, strict=True)
        ]
        theirs, ours, plain = (run.result() for run in runs)
    assert "failed" not in theirs, theirs["failed"]
    assert ours == theirs
    assert plain == theirs


@pytest.mark.parametrize("mode", ["aiohttp", "sanic", "tornado"])
def test_servers_that_are_not_asgi_are_named(mode):
    with pytest.raises(UsageError, match=f"async_mode is '{mode}'; expected 'asgi' or None"):
        socketio.AsyncServer(async_mode=mode)


def test_an_application_that_mounts_nothing():
    with pytest.raises(UsageError, match="cannot mount applications"):
        socketio.AsyncServer().attach(web.Application())
