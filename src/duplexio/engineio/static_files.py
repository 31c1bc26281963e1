"""The files that an application serves beside its messages.

The rules are python-engineio's: a dictionary from URL paths to files or folders. It is meant for
examples and small applications; web servers do this better.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["find_file"]

_TYPES = {".js": "application/javascript"}  # as python-engineio says it

StaticFiles = Mapping[str, str | Mapping[str, Any]]


def find_file(path: str, static_files: StaticFiles) -> tuple[str, str] | None:
    """Return the file that a path stands for.

    Args:
        path: The path of a request.
        static_files: From paths to files. A value is a file's name, or a dictionary of ``filename``
            and ``content_type``. The longest path that is the beginning of the requested one
            counts; the rest is looked for in its folder. For a folder the key ``""`` names the file
            to serve, ``index.html`` by default.

    Returns:
        The file's name and its content type, or ``None``: there is none, or it is outside of the
        folder.

    Example:
        >>> find_file("/about", {"/about": "about.html"})
        ('about.html', 'text/html')
    """
    rule, rest = _find_rule(path, static_files)
    if rule is None:
        return None
    settings = {"filename": rule} if isinstance(rule, str) else rule
    filename = str(settings["filename"])
    if rest:
        folder = Path(filename)
        target = folder / rest.lstrip("/")
        if not target.resolve().is_relative_to(folder.resolve()):
            return None
        filename = f"{filename.rstrip('/')}/{rest.lstrip('/')}"
    content_type = settings.get("content_type")
    if filename.endswith("/"):
        index = static_files.get("", "index.html")
        if not isinstance(index, str):
            content_type = index.get("content_type", content_type)
            index = str(index["filename"])
        filename += index
    if content_type is None:
        suffix = Path(filename).suffix.lower()
        content_type = _TYPES.get(suffix) or mimetypes.guess_type(filename)[0]
    return filename, content_type or "application/octet-stream"


def _find_rule(path: str, static_files: StaticFiles) -> tuple[Any, str]:
    if path in static_files:
        return static_files[path], ""
    head, rest = path, ""
    while head:
        head, _, last = head.rpartition("/")
        rest = f"/{last}{rest}"
        if head and head in static_files:
            return static_files[head], rest
        if head + "/" in static_files:
            return static_files[head + "/"], rest
    return None, ""
