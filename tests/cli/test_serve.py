import json
import os

import pytest
from click.testing import CliRunner
from uvicorn.main import main as uvicorn_command
from uvicorn.main import run as uvicorn_run
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from duplexio.cli import main
from tests.hosting.programs import Certificates, receive_until, running

APP = "tests.hosting.apps:app"
HIXIE_76 = (
    b"GET /echo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n^n:ds[4U"
)


def serving(*arguments, **options):
    return running(["duplexio.cli", "serve", APP, "--port", "0", *arguments], **options)


@pytest.fixture
def started(monkeypatch):
    """What uvicorn is started with, instead of starting it."""
    calls = []
    monkeypatch.setattr("duplexio.cli.serve.run", lambda app, **values: calls.append(values))
    for name in ("LEGACY", "HEAD_TIMEOUT", "MAX_HEAD_SIZE", "CLOSE_TIMEOUT"):
        # Set first, so that what the command sets is undone at the end.
        monkeypatch.setenv(f"DUPLEXIO_{name}", "")
        monkeypatch.delenv(f"DUPLEXIO_{name}")
    return calls


class TestServing:
    async def test_websockets_and_shutdown(self):
        with serving() as server:
            assert server.get("/hello")[2] == b"hello "
            async with connect(server.uri("/echo")) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"
                server.terminate()
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1012
            server.wait()

    def test_legacy_reaches_the_workers(self):
        with serving("--workers", "2", "--legacy") as server:
            for _ in range(4):
                with server.socket() as sock:
                    sock.sendall(HIXIE_76)
                    assert receive_until(sock, b"8jKS'y:G*Co,Wxa-")

    async def test_tls(self, tmp_path):
        certificates = Certificates(tmp_path)
        with serving(*certificates.flags, tls=certificates.client) as server:
            async with connect(server.uri("/scope"), ssl=server.tls) as ws:
                assert json.loads(await ws.recv())["scheme"] == "wss"


class TestFlags:
    def test_flags_of_uvicorn_are_passed_on(self, started):
        flags = [
            "--host",
            "::",
            "--port",
            "1234",
            "--workers",
            "3",
            "--header",
            "X-A: 1",
            "--reload",
        ]
        result = CliRunner().invoke(main, ["serve", APP, *flags])
        assert result.exit_code == 0, result.output
        (values,) = started
        assert values["http"] == "duplexio.hosting.uvicorn:Protocol"
        assert values["host"] == "::"
        assert values["port"] == 1234
        assert values["workers"] == 3
        assert values["headers"] == [("X-A", " 1")]
        assert values["reload"] is True
        assert values["reload_dirs"] is None
        assert values["timeout_graceful_shutdown"] == 10

    def test_every_value_is_one_that_uvicorn_takes(self, started):
        CliRunner().invoke(main, ["serve", APP])
        (values,) = started
        allowed = uvicorn_run.__kwdefaults__
        assert set(values) <= set(allowed)

    def test_uvicorns_own_command_keeps_its_defaults(self, started):
        defaults = {parameter.name: parameter.default for parameter in uvicorn_command.params}
        assert defaults["timeout_graceful_shutdown"] is None

    def test_settings_come_from_the_environment_too(self, started, monkeypatch):
        monkeypatch.setenv("DUPLEXIO_HEAD_TIMEOUT", "7")
        result = CliRunner().invoke(main, ["serve", "--help"])
        assert "--legacy" in result.output
        assert "--head-timeout" in result.output
        result = CliRunner().invoke(main, ["serve", APP, "--max-head-size", "2048"])
        assert result.exit_code == 0, result.output
        assert os.environ["DUPLEXIO_HEAD_TIMEOUT"] == "7.0"
        assert os.environ["DUPLEXIO_MAX_HEAD_SIZE"] == "2048"
        assert os.environ["DUPLEXIO_LEGACY"] == "0"


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "Missing argument 'APP'"),
            (["main"], "expected MODULE:ATTRIBUTE, such as main:app"),
            (["main.py"], "The file main.py is the module main."),
            (["nowhere:app"], "There is no module 'nowhere' in "),
            (["nowhere.inside:app"], "There is no module 'nowhere.inside' in "),
            (["tests.hosting.apps:application"], "no attribute 'application'; of applications it"),
            ([APP, "--ws", "wsproto"], "WebSockets are spoken by duplexio here"),
            ([APP, "--http", "h11"], "No such option '--http'"),
            ([APP, "--head-timeout", "-1"], "Invalid value for '--head-timeout'"),
        ],
    )
    def test_they_are_told_in_words_that_help(self, started, arguments, message):
        result = CliRunner().invoke(main, ["serve", *arguments])
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
        assert started == []

    def test_a_module_that_does_not_load_shows_its_own_error(self, started, tmp_path, monkeypatch):
        (tmp_path / "broken_module.py").write_text("import no_such_thing\n")
        result = CliRunner().invoke(
            main, ["serve", "broken_module:app", "--app-dir", str(tmp_path)]
        )
        assert isinstance(result.exception, ModuleNotFoundError)
        assert result.exception.name == "no_such_thing"
