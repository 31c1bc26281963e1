"""Where duplexio runs: in uvicorn (the front door), and under any ASGI server.

* ``duplexio.hosting.uvicorn:Protocol`` is a class for uvicorn's ``--http``, which serves the
  WebSockets of every ASGI application with our protocol.
* :class:`Endpoint` is an ASGI application made of a handler of ``duplexio.websocket``; under the
  front door its frames never become ASGI messages. :class:`Routes` puts endpoints on paths, in
  front of another application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import load

if TYPE_CHECKING:
    from .endpoint import Endpoint, Routes
    from .settings import Settings

__all__ = ["Endpoint", "Routes", "Settings"]

_MODULE_OF = {"Endpoint": "endpoint", "Routes": "endpoint", "Settings": "settings"}


def __getattr__(name: str) -> object:
    return load(__name__, _MODULE_OF, name)
