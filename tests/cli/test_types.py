"""`duplexio types`: what it writes, and what TypeScript makes of it."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from duplexio import socketio
from duplexio.errors import UsageError
from duplexio.socketio.browser import client_types
from tests.cli.terminals import duplexio

ROOT = Path(__file__).parents[2]
APP = "tests.cli.types_app"
PACKAGES = ROOT / "tests/interop/node_modules"
TSC = PACKAGES / ".bin/tsc"

# What uses the interfaces rightly, and what does not: each line marked so must be an error.
PROGRAM = """
import { io, Socket } from "CLIENT";
import type {
  AdminAreaClientToServerEvents, AdminAreaServerToClientEvents, ClientToServerEvents, Point,
  ServerToClientEvents,
} from "./events";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://localhost");
socket.on("said", (message) => {
  const text: string = message.text;
  const trail: Point[] | undefined = message.trail;
  // @ts-expect-error
  const wrong: number = message.text;
});
socket.on("question", (value, point, point2, answer) => answer(point.x > point2.x && value === ""));
socket.on("connect", () => {});
socket.emit("say", { text: "hello", colour: "blue", data: new ArrayBuffer(1) });
socket.emit("anything", 1, "two");
async function ask() {
  const rooms: { [key: string]: number[] } = await socket.emitWithAck("list rooms", { room: "a" });
  const [where, done]: [Point, boolean] = await socket.emitWithAck("move", { x: 1 }, 2);
  // @ts-expect-error
  const wrong: string = await socket.emitWithAck("list rooms", { room: "a" });
}
// @ts-expect-error
socket.emit("say", { author: "nobody" });
// @ts-expect-error
socket.emit("say", { text: "hello", colour: "green" });
// @ts-expect-error
socket.emit("shout");
// @ts-expect-error
socket.on("shouted", () => {});
const admin: Socket<AdminAreaServerToClientEvents, AdminAreaClientToServerEvents> =
  io("http://localhost/admin-area");
admin.on("banned", (value) => value.length);
admin.emit("ban", "somebody", "all", (answer: boolean) => {});
// @ts-expect-error
admin.emit("ban", "somebody", "some", (answer: boolean) => {});
"""


def types(*arguments):
    return subprocess.run(
        duplexio("types", "--app-dir", str(ROOT), *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def written():
    done = types(f"{APP}:app")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_interfaces(written):
    assert (
        '  "list rooms": (filter: Filter, answer: (answer: { [key: string]: number[] }) => void)'
        in (written)
    )
    assert "  /** Say something. */\n  say: (message: Message) => void;" in written
    assert '  ban: (user: string, delete_: "all" | "none", answer:' in written
    assert (
        "/** A place on the board. */\nexport interface Point {\n  x: number;\n  y?: number;"
        in (written)
    )
    assert 'export type Colour = "blue" | "red";' in written
    assert "connect" not in written


@pytest.mark.skipif(not TSC.exists(), reason="needs the packages of tests/interop")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("client", ["socket.io-client", "duplexio"])
def test_typescript_understands_them(client, written, tmp_path):
    (tmp_path / "events.ts").write_text(written)
    if client == "duplexio":
        (tmp_path / "duplexio.d.ts").write_text(client_types())
    else:
        shutil.copytree(PACKAGES, tmp_path / "node_modules", symlinks=True, ignore=_others)
        (tmp_path / "node_modules/socket.io-client").symlink_to(tmp_path / "node_modules/sioc4")
    name = "./duplexio" if client == "duplexio" else "socket.io-client"
    (tmp_path / "program.ts").write_text(PROGRAM.replace("CLIENT", name))
    done = subprocess.run(
        [
            str(TSC),
            *("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"),
            *(
                "--module",
                "esnext",
                "--moduleResolution",
                "bundler",
                "--typeRoots",
                "none",
                "program.ts",
            ),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _others(folder, names):
    """Leave out what the client does not need, and older clients of the same name."""
    if Path(folder) != PACKAGES:
        return []
    needed = ("sioc4", "@socket.io", "socket.io-parser", "engine.io-client", "engine.io-parser")
    return [name for name in names if name not in needed]


def test_asyncapi(tmp_path):
    path = tmp_path / "events.json"
    done = types(f"{APP}:sio", "--format", "asyncapi", "--title", "Board", "-o", str(path))
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["title"] == "Board"
    assert document["channels"]["main"]["address"] == "/"
    assert document["channels"]["admin_area"]["address"] == "/admin-area"
    say = document["channels"]["main"]["messages"]["receive_say"]
    assert say["payload"]["prefixItems"] == [{"$ref": "#/components/schemas/Message"}]
    assert say["summary"] == "Say something."
    question = document["channels"]["main"]["messages"]["send_question"]
    assert question["x-ack"] == {"type": "boolean"}
    # Every reference leads somewhere.
    text = path.read_text()
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/')[1:]}:
        value = document
        for step in reference.split("/"):
            value = value[step]


@pytest.mark.parametrize(
    ("app", "text"),
    [
        ("nothing:app", "no module 'nothing'"),
        (f"{APP}:nothing", "no attribute 'nothing'"),
        (f"{APP}:Point", "expected a Socket.IO server"),
    ],
)
def test_what_is_no_server(app, text):
    done = types(app)
    assert done.returncode == 2
    assert text in done.stderr


def test_what_cannot_be_declared():
    sio = socketio.AsyncServer()
    with pytest.raises(UsageError, match="'said' cannot be declared"):
        sio.declare("said", msgspec.UnsetType, object)
