"""Two-way messages between browsers, servers and clients: WebSocket, Engine.IO, Socket.IO.

The public modules are imported by name:

    from duplexio import websocket

`duplexio.implementation` says whether the compiled modules are in use (`"c"`) or their Python
form (`"python"`); see `DUPLEXIO_IMPL`.
"""

from pathlib import Path

from ._impl import Implementation, select

__version__ = "0.1.0.dev0"

#: `"c"` or `"python"`. Chosen before anything else of the package is imported.
implementation: Implementation = select(__name__, Path(__file__).parent)

__all__ = ["__version__", "implementation"]
