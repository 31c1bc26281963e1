"""The client for browsers, as one file: ``duplexio.js``, and a script with a global ``io``.

Its parts are in the folder ``javascript``. They are plain ES modules, and import from each other by
lines of their own, so that joining them is taking these lines out.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

__all__ = ["FILES", "client_module", "client_script", "etag"]

# In the order in which they need each other.
_PARTS = ("emitter", "log", "parser", "transports", "engine", "socket", "manager", "index")

_import = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";\n', re.MULTILINE)
_export = re.compile(r"^export (?=(?:async )?(?:class|function|const) )", re.MULTILINE)


@cache
def _joined() -> str:
    folder = files(__package__).joinpath("javascript")
    parts = [folder.joinpath(f"{name}.js").read_text("utf-8") for name in _PARTS]
    return "\n".join(_export.sub("", _import.sub("", part)) for part in parts)


@cache
def client_module() -> str:
    """Return the client as an ES module.

    Example:
        >>> "export { io as default" in client_module()
        True
    """
    return f"{_joined()}\nexport {{ io as default, io, connect, protocol, Manager, Socket }};\n"


@cache
def client_script() -> str:
    """Return the client as a script that defines ``io``.

    Example:
        >>> client_script().startswith("(function () {")
        True
    """
    return f'(function () {{\n"use strict";\n{_joined()}\nglobalThis.io = io;\n}})();\n'


@cache
def client_types() -> str:
    """Return the declarations for TypeScript."""
    return files(__package__).joinpath("javascript", "duplexio.d.ts").read_text("utf-8")


#: What is served beside the endpoint: the name to the function that returns the text, and its type.
FILES = {
    "duplexio.js": (client_module, "text/javascript; charset=utf-8"),
    "duplexio.d.ts": (client_types, "text/plain; charset=utf-8"),
    "socket.io.js": (client_script, "text/javascript; charset=utf-8"),
    "socket.io.min.js": (client_script, "text/javascript; charset=utf-8"),
    "socket.io.esm.min.js": (client_module, "text/javascript; charset=utf-8"),
}


@cache
def etag(name: str) -> str:
    """Return the entity tag of a file (RFC 9110 §8.8.3)."""
    return f'"{sha256(FILES[name][0]().encode()).hexdigest()[:20]}"'
