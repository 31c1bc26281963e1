"""duplexio.js, in Node: against our server and against Node's."""

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from duplexio import socketio
from duplexio.socketio.browser import client_module
from tests.engineio.serving import hosted

HERE = Path(__file__).parent
NODE = shutil.which("node")
TRANSPORTS = ["polling", "websocket", "polling,websocket"]

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.timeout(120),
]


def application():
    sio = socketio.AsyncServer(namespaces=["/", "/other", "/refusing"], cors_allowed_origins="*")
    tries: dict[str, int] = {}

    for namespace in ("/", "/other"):

        @sio.on("echo", namespace=namespace)
        async def echo(sid, *args, namespace=namespace):
            await sio.emit("echo", args, to=sid, namespace=namespace)

        @sio.on("answer", namespace=namespace)
        def answer(sid, *args):
            return list(args)

        @sio.on("where", namespace=namespace)
        def where(sid, namespace=namespace):
            return namespace

    @sio.on("silence")
    def silence(sid):
        return socketio.NO_ACK

    @sio.on("ask me")
    async def ask_me(sid, value):
        async def ask():
            answer = await sio.call("question", value, to=sid)
            await sio.emit("you said", tuple(answer), to=sid)

        sio.start_background_task(ask)

    @sio.on("kick me")
    async def kick_me(sid):
        await sio.disconnect(sid)

    @sio.on("third time")
    def third_time(sid, key):
        tries[key] = tries.get(key, 0) + 1
        return tries[key] if tries[key] >= 3 else socketio.NO_ACK

    @sio.on("connect", namespace="/refusing")
    def connect(sid, environ, auth):
        if not auth.get("let"):
            raise socketio.ConnectionRefusedError("not you", auth)

    return socketio.ASGIApp(sio)


@asynccontextmanager
async def serving(kind):
    if kind == "duplexio":
        async with hosted(application()) as port:
            yield port
        return
    process = await asyncio.create_subprocess_exec(
        NODE, "duplexio_js_server.cjs", cwd=HERE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = tmp_path_factory.mktemp("duplexio_js") / "duplexio.mjs"
    path.write_text(client_module())
    return path


@pytest.mark.parametrize("transports", TRANSPORTS)
@pytest.mark.parametrize("kind", ["duplexio", "node"])
async def test_everything(kind, transports, module):
    async with serving(kind) as port:
        process = await asyncio.create_subprocess_exec(
            NODE,
            "duplexio_js.mjs",
            str(module),
            f"http://127.0.0.1:{port}",
            transports,
            kind,
            cwd=HERE,
            env=os.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    results = [json.loads(line) for line in output.decode().splitlines()]
    failed = [result for result in results if not result["ok"]]
    assert not failed, failed
    assert process.returncode == 0, errors.decode()[-2000:]
    assert len(results) == 18
