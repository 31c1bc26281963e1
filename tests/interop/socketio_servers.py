"""Socket.IO servers in processes of their own: Node's of all generations, and python-socketio's."""

import asyncio
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from tests.interop.python_packages import python_packages

HERE = Path(__file__).parent
NODE = shutil.which("node")
HAS_NODE = NODE is not None and (HERE / "node_modules/sios4").exists()


class Server:
    """A server in a process.

    Attributes:
        port: Where it listens; the same after a restart.
    """

    def __init__(self, command, environ, options):
        self._command = command
        self._environ = environ
        self._options = options
        self._process = None
        self.port = 0

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            str(self.port),
            json.dumps(self._options),
            cwd=HERE,
            env={**os.environ, **self._environ},
            stdout=asyncio.subprocess.PIPE,
        )
        line = await self._process.stdout.readline()
        assert line, "the server did not start"
        self.port = int(line)

    async def stop(self):
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def running(kind, **options):
    """Run a server: ``"sios1"`` to ``"sios4"`` of Node, ``"socketio4"`` or ``"socketio5"``."""
    if kind.startswith("sios"):
        server = Server([NODE, "socketio_server.cjs", kind], {}, options)
    else:
        folder = await asyncio.to_thread(python_packages, kind)
        command = [sys.executable, "-W", "ignore", "socketio_server.py"]
        server = Server(command, {"PYTHONPATH": str(folder)}, options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
