"""`duplexio doctor`: servers as they should be, and what proxies do to them."""

import asyncio
import json
import socket
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import pytest

from duplexio import engineio, socketio
from duplexio.cli.doctor.examine import PROBLEMS, UNREACHABLE, examine, parse_url
from duplexio.cli.doctor.findings import Level, good, note, problem
from duplexio.cli.doctor.network import judge_clock, judge_origins
from duplexio.cli.doctor.probe import Answer, Target, read_opening
from duplexio.cli.doctor.report import summary
from duplexio.websocket.server import serve
from tests.cli.meddling_proxy import MeddlingProxy
from tests.cli.terminals import duplexio
from tests.engineio.serving import hosted


def application(**options):
    return socketio.ASGIApp(socketio.AsyncServer(**options))


async def examined(port, *, path="/socket.io/", origin="", wait=0.0, timeout=5.0):
    target = Target(f"http://127.0.0.1:{port}", path, origin=origin, timeout=timeout)
    return [finding async for finding in examine(target, wait)]


def bad(findings):
    """Return what is not as it should be, by area."""
    return {f.area: f for f in findings if f.level in (Level.WARNING, Level.PROBLEM)}


@asynccontextmanager
async def behind(app=None, servers=1, **meddling):
    """Serve an application behind a proxy; yield the proxy's port."""
    async with AsyncExitStack() as stack:
        ports = []
        for _ in range(servers):
            served = hosted(app or application(cors_allowed_origins="*"))
            ports.append(await stack.enter_async_context(served))
        proxy = MeddlingProxy(*ports, **meddling)
        yield await stack.enter_async_context(proxy.running())


class TestAServerAsItShouldBe:
    async def test_everything_is_good(self):
        async with hosted(application(ping_interval=0.3)) as port:
            findings = await examined(port, wait=1)
        assert not bad(findings)
        areas = [finding.area for finding in findings]
        for area in (
            "Engine.IO 4",
            "Engine.IO 3",
            "WebSocket, 4",
            "WebSocket, 3",
            "Upgrade, 4",
            "Upgrade, 3",
            "Socket.IO",
            "Stickiness",
            "Buffering",
            "Size",
            "Latency",
            "Idle, polling",
            "Idle, WebSocket",
        ):
            assert area in areas, findings

    async def test_it_leaves_no_session(self):
        sio = socketio.AsyncServer()
        gone = asyncio.Event()
        clients = set()

        @sio.event
        def connect(sid, environ):
            clients.add(sid)

        @sio.event
        def disconnect(sid, reason):
            clients.discard(sid)
            if not clients:
                gone.set()

        async with hosted(socketio.ASGIApp(sio)) as port:
            await examined(port)
            await asyncio.wait_for(gone.wait(), 10)

    async def test_engineio_alone(self):
        app = engineio.ASGIApp(engineio.AsyncServer())
        async with hosted(app) as port:
            findings = await examined(port, path="/engine.io/")
        assert not bad(findings)
        assert any("Engine.IO only" in f.text for f in findings), findings

    async def test_the_heartbeat_is_not_waited_for_too_long(self):
        async with hosted(application()) as port:
            findings = await examined(port, wait=1)
        (idle,) = [f for f in findings if f.area == "Idle"]
        assert "every 25 s" in idle.text


class TestServersWithTroubles:
    async def test_a_connection_that_is_refused(self):
        sio = socketio.AsyncServer()

        @sio.event
        def connect(sid, environ, auth):
            raise socketio.ConnectionRefusedError("no token")

        async with hosted(socketio.ASGIApp(sio)) as port:
            findings = await examined(port)
        assert "'no token'" in bad(findings)["Socket.IO"].text

    async def test_another_path(self):
        app = socketio.ASGIApp(socketio.AsyncServer(), socketio_path="api/socket.io")
        async with hosted(app) as port:
            findings = await examined(port)
        assert "--path /api/socket.io/" in bad(findings)["Path"].advice

    async def test_origins(self):
        async with hosted(application(cors_allowed_origins=["https://ours.example"])) as port:
            assert not bad(await examined(port, origin="https://ours.example"))
            findings = await examined(port, origin="https://theirs.example")
        assert "cors_allowed_origins" in bad(findings)["CORS"].advice

    async def test_every_origin_with_cookies(self):
        app = application(cors_allowed_origins="*", cors_credentials=True)
        async with hosted(app) as port:
            findings = await examined(port)
        assert "any site may connect, with the cookies" in bad(findings)["CORS"].text

    async def test_jsonp(self):
        app = application(jsonp=True, cors_allowed_origins="*")
        async with hosted(app) as port:
            assert "JSONP" in bad(await examined(port))

    async def test_only_websocket(self):
        async with hosted(application(transports=["websocket"])) as port:
            findings = await examined(port)
        assert not bad(findings), findings
        assert any(f.area == "WebSocket, 4" and f.level is Level.GOOD for f in findings)

    async def test_a_websocket_without_engineio(self):
        async def echo(ws):
            async for message in ws:
                await ws.send(message)

        async with serve(echo, "127.0.0.1", 0, origins=None) as server:
            port = server.sockets[0].getsockname()[1]
            findings = await examined(port, path="/chat/")
        assert not bad(findings), findings
        assert any("pong" in f.text for f in findings)


class TestProxies:
    async def test_one_without_websockets(self):
        async with behind() as port:
            findings = bad(await examined(port))
        assert set(findings) == {"WebSocket, 4", "WebSocket, 3", "Upgrade, 4", "Upgrade, 3"}
        assert "Upgrade" in findings["Upgrade, 4"].text

    async def test_two_workers_without_stickiness(self):
        async with behind(servers=2) as port:
            finding = bad(await examined(port))["Stickiness"]
        assert "does not know" in finding.text
        assert "sticky" in finding.advice

    async def test_one_that_adds_cors_again(self):
        async with behind(added=[("Access-Control-Allow-Origin", "*")]) as port:
            finding = bad(await examined(port))["CORS"]
        assert "2 times" in finding.text

    async def test_one_that_takes_small_bodies_only(self):
        async with behind(largest=100_000) as port:
            finding = bad(await examined(port))["Size"]
        assert "client_max_body_size" in finding.advice

    async def test_one_that_keeps_answers_back(self):
        async with behind(held=1.2) as port:
            finding = bad(await examined(port))["Buffering"]
        assert finding.level is Level.WARNING

    async def test_one_that_never_gives_them(self):
        async with behind(held=60) as port:
            finding = bad(await examined(port, timeout=0.5))["Socket.IO"]
        assert "proxy_buffering off" in finding.advice

    async def test_one_that_is_less_patient_than_the_heartbeat(self):
        app = application(ping_interval=1.5, cors_allowed_origins="*")
        async with behind(app, cut=0.5) as port:
            finding = bad(await examined(port, wait=2))["Idle, polling"]
        assert "HTTP 504" in finding.text
        assert "proxy_read_timeout" in finding.advice


class TestJudgement:
    def test_clocks(self):
        now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        assert judge_clock("Thu, 01 Jan 2026 12:00:03 GMT", now, 0)[0].level is Level.GOOD
        (late,) = judge_clock("Thu, 01 Jan 2026 11:59:00 GMT", now, 0)
        assert late.level is Level.WARNING
        assert "60 s behind" in late.text
        assert judge_clock("noon", now, 0)[0].level is Level.NOTE

    @pytest.mark.parametrize(
        ("headers", "status", "level"),
        [
            ((), 400, Level.PROBLEM),
            ((), 200, Level.PROBLEM),
            ((("access-control-allow-origin", "*"),), 200, Level.GOOD),
            ((("access-control-allow-origin", "https://page.example"),), 200, Level.GOOD),
            ((("access-control-allow-origin", "https://other.example"),), 200, Level.PROBLEM),
            ((("access-control-allow-origin", "https://page.example, *"),), 200, Level.PROBLEM),
        ],
    )
    def test_origins(self, headers, status, level):
        answer = Answer(status, headers, b"", 0.0)
        (finding,) = judge_origins(answer, "https://page.example", wanted=True, same=False)
        assert finding.level is level

    @pytest.mark.parametrize("body", [b"", b"<html>", b"0{}", b"2:40", b"4hello", b"0{", b"\xff"])
    def test_what_opens_no_session(self, body):
        assert read_opening(body, 4) is None

    def test_the_opening_of_version_3(self):
        packet = '0{"sid":"abc","upgrades":["websocket"],"pingInterval":300,"pingTimeout":20000}'
        body = f"{len(packet)}:{packet}2:40"
        opening = read_opening(body, 4)
        assert opening.protocol == 3
        assert opening.ping_interval == 0.3
        assert opening.packets == ("40",)

    @pytest.mark.parametrize("url", ["ftp://example.com", "http://", "://x"])
    def test_what_is_no_url(self, url):
        with pytest.raises(ValueError, match="expected something like"):
            parse_url(url)

    def test_the_summary(self):
        assert summary([problem("A", "b", "c"), good("D", "e"), note("F", "g")]) == (
            "1 problem, no warnings."
        )


def run(*arguments):
    return subprocess.run(
        duplexio("doctor", *arguments), capture_output=True, text=True, timeout=30, check=False
    )


class TestTheCommand:
    async def test_it_shows_findings_and_ends_with_a_status(self):
        async with hosted(application(cors_allowed_origins="*")) as port:
            done = await asyncio.to_thread(run, f"localhost:{port}", "--wait", "0")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "Long polling works" in done.stdout
            assert done.stdout.endswith("No problems, no warnings.\n")
            done = await asyncio.to_thread(run, f"localhost:{port}/elsewhere", "--json")
            report = json.loads(done.stdout)
            assert done.returncode == PROBLEMS
            assert report["url"] == f"http://localhost:{port}/elsewhere/"
            assert report["findings"][-1]["area"] == "Path"

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        done = run(f"http://127.0.0.1:{port}")
        assert done.returncode == UNREACHABLE
        assert "cannot be reached: Connection refused" in " ".join(done.stdout.split())

    def test_a_wrong_url(self):
        done = run("ftp://example.com")
        assert done.returncode == 2
        assert "expected something like https://example.com" in done.stderr
