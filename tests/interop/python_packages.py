"""Old and new Python clients, each installed into a folder of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "python_modules"
COMMON = ["requests", "websocket-client", "aiohttp"]
PACKAGES = {
    "engineio3": ["python-engineio<4", *COMMON],
    "engineio4": ["python-engineio>=4", *COMMON],
    "socketio4": ["python-socketio<5", "python-engineio<4", *COMMON],
    "socketio5": ["python-socketio>=5", "python-engineio>=4", "msgpack", *COMMON],
}


def python_packages(name):
    """Return the folder with the packages of that name, installed when they are not there."""
    folder = FOLDER / name
    stamp = folder / ".installed"
    wanted = "\n".join(PACKAGES[name])
    if not stamp.exists() or stamp.read_text() != wanted:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
        done = subprocess.run(
            [*command, "--target", str(folder), *PACKAGES[name]],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{name} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        stamp.write_text(wanted)
    return folder
