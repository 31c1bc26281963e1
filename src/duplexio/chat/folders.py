"""Where programs keep the data of their user."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["data_folder"]


def data_folder(
    platform: str = sys.platform, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Path:
    """Return the folder for duplexio's data of the user; it need not exist yet.

    It is ``%LOCALAPPDATA%`` on Windows, ``~/Library/Application Support`` on macOS, and
    ``$XDG_DATA_HOME`` or ``~/.local/share`` elsewhere (XDG Base Directory Specification 0.8).

    Args:
        platform: ``sys.platform``.
        environ: The environment variables.
        home: The user's home folder.

    Example:
        >>> data_folder("linux", {"XDG_DATA_HOME": "/data"}).as_posix()
        '/data/duplexio'
    """
    if home is None:
        home = Path.home()
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        # The specification says to ignore a relative path.
        given = environ.get("XDG_DATA_HOME", "")
        base = Path(given) if given.startswith("/") else home / ".local" / "share"
    return base / "duplexio"
