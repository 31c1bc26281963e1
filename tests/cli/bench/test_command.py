"""`duplexio bench`, against real servers."""

import asyncio
import json
import re
import socket
import subprocess
import xml.etree.ElementTree

import click
import pytest

from duplexio import socketio
from duplexio.cli.bench.command import FAILED, UNREACHABLE, make_plan
from duplexio.websocket import Listener, serve
from tests.cli.terminals import duplexio
from tests.engineio.serving import hosted


class Echo(Listener):
    received = 0

    def on_message(self, ws, message):
        Echo.received += 1
        ws.send(message)


class Silent(Listener):
    pass


class Leaving(Listener):
    def on_message(self, ws, message):
        ws.close(1001)


def run(*arguments):
    return subprocess.run(
        duplexio("bench", "--warm-up", "0.1", *arguments),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


async def bench(listener, *arguments):
    async with serve(listener, "127.0.0.1", 0, origins=None) as server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(run, f"ws://127.0.0.1:{port}/", *arguments)


async def test_a_load_in_two_processes_and_what_it_writes(tmp_path):
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    Echo.received = 0
    done = await bench(
        Echo,
        *("-c", "7", "-d", "1", "-i", "3", "-p", "2", "-s", "100"),
        *("--json", str(data), "--html", str(page)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 of 7" in done.stdout
    assert "p99.9" in done.stdout
    results = json.loads(data.read_text())
    assert results["connections"] == 7
    assert results["processes"] == 2
    assert results["errors"] == {}
    assert len(results["intervals"]) == 2
    # What went during the warm-up, and at the end, was received but not counted.
    assert 0 < results["received"] <= Echo.received
    latency = results["latency"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    text = page.read_text()
    assert text.count("<svg") == 3
    for part in text.split("<svg")[1:]:
        xml.etree.ElementTree.fromstring("<svg" + part[: part.index("</svg>") + 6])


async def test_a_rate():
    Echo.received = 0
    done = await bench(Echo, "-c", "3", "-d", "1", "--rate", "200", "--binary")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Echo.received == 220  # 1 second, and a tenth of one to warm up


async def test_answers_that_do_not_come():
    done = await bench(Silent, "-c", "2", "-d", "0.5", "--timeout", "0.2")
    assert done.returncode == FAILED
    assert "not answered (2 times)" in done.stdout


async def test_connections_that_end():
    done = await bench(Leaving, "-c", "2", "-d", "0.5", "--timeout", "0.2")
    assert done.returncode == FAILED
    assert "disconnected (2 times)" in done.stdout


def application():
    """What the command's help asks of a Socket.IO server."""
    sio = socketio.AsyncServer(namespaces=["/", "/other"])
    for namespace in ("/", "/other"):
        sio.on("message", lambda sid, data: data, namespace=namespace)

    @sio.event
    async def echo(sid, data):
        await sio.emit("echo", data, to=sid)

    @sio.event
    async def join(sid, room):
        await sio.enter_room(sid, room)

    @sio.event
    async def say(sid, data):
        await sio.emit("said", data, room="room-0")

    @sio.event
    def connect(sid, environ, auth):
        if auth == {"token": "wrong"}:
            raise socketio.ConnectionRefusedError("wrong token")

    return socketio.ASGIApp(sio)


async def bench_socketio(*arguments):
    async with hosted(application()) as port:
        return await asyncio.to_thread(run, f"http://127.0.0.1:{port}", "-c", "4", *arguments)


class TestSocketIO:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("-i", "4"),
            ("--binary",),
            ("--answer", "echo", "--event", "echo"),
            ("--answer", "echo", "--event", "echo", "--binary"),
            ("--namespace", "/other"),
            ("-t", "polling"),
            ("-t", "polling", "-t", "websocket", "--rate", "100"),
        ],
        ids=" ".join,
    )
    async def test_answers(self, arguments):
        done = await bench_socketio("-d", "0.5", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 of 4" in done.stdout
        answers = re.search(r"answers +([\d,]+)", done.stdout)
        assert int(answers[1].replace(",", "")) > 0

    async def test_deliveries_to_a_room(self, tmp_path):
        data = tmp_path / "data.json"
        done = await bench_socketio(
            *("-d", "1", "--answer", "deliveries", "--event", "say", "--rate", "50"),
            *("--rooms", "2", "-p", "2", "--json", str(data)),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        results = json.loads(data.read_text())
        # Two of the four are in the room; a delivery may fall into the next interval.
        assert abs(results["received"] - 2 * results["sent"]) <= 4
        assert 0 < results["latency"]["p50"] < 5

    async def test_a_refusal(self):
        done = await bench_socketio("--auth", '{"token":"wrong"}')
        assert done.returncode == UNREACHABLE
        assert "wrong token" in done.stdout


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = run(f"ws://127.0.0.1:{port}", "-c", "2")
    assert done.returncode == UNREACHABLE
    assert "not connected" in done.stdout


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("ws://localhost", {"answer": "ack"}, "no acknowledgements"),
        ("http://localhost", {"auth": "{"}, "no JSON"),
        ("http://localhost", {"answer": "none"}, "give --rate"),
    ],
)
def test_wrong_usage(url, options, text):
    arguments = {
        "socketio": None,
        "answer": None,
        "auth": "",
        "rate": None,
        "headers": (),
        "transports": (),
        **options,
    }
    with pytest.raises(click.UsageError, match=text):
        make_plan(url, **arguments)


def test_what_an_address_means():
    arguments = {
        "answer": None,
        "auth": "",
        "rate": None,
        "headers": (),
        "transports": (),
    }
    plan = make_plan("https://localhost", socketio=None, **arguments)
    assert (plan.socketio, plan.answer) == (True, "ack")
    plan = make_plan("localhost:1", socketio=None, **arguments)
    assert (plan.url, plan.socketio, plan.answer) == ("ws://localhost:1", False, "echo")
    plan = make_plan("localhost:1", socketio=True, **arguments)
    assert plan.url == "http://localhost:1"
