"""Socket.IO, protocols 3 to 5: events with acknowledgements, namespaces and rooms.

The names are those of python-socketio. They are imported from their modules when they are first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import load
from . import exceptions as exceptions

if TYPE_CHECKING:
    from .adapter import Adapter as Adapter
    from .asgi import ASGIApp as ASGIApp
    from .async_client import AsyncClient as AsyncClient
    from .audience import Answers as Answers
    from .audience import RemoteClient as RemoteClient
    from .client_namespace import AsyncClientNamespace as AsyncClientNamespace
    from .client_namespace import ClientNamespace as ClientNamespace
    from .exceptions import (
        AckLostError as AckLostError,
    )
    from .exceptions import (
        BadNamespaceError as BadNamespaceError,
    )
    from .exceptions import (
        ClientGoneError as ClientGoneError,
    )
    from .exceptions import (
        ConnectionError as ConnectionError,
    )
    from .exceptions import (
        ConnectionRefusedError as ConnectionRefusedError,
    )
    from .exceptions import (
        DisconnectedError as DisconnectedError,
    )
    from .exceptions import (
        LimitExceededError as LimitExceededError,
    )
    from .exceptions import (
        PacketError as PacketError,
    )
    from .exceptions import (
        PayloadError as PayloadError,
    )
    from .exceptions import (
        SocketIOError as SocketIOError,
    )
    from .exceptions import (
        TimeoutError as TimeoutError,
    )
    from .limits import ClientLimits as ClientLimits
    from .limits import Limits as Limits
    from .manager import AsyncManager as AsyncManager
    from .middleware import ConnectRequest as ConnectRequest
    from .middleware import Event as Event
    from .namespace import AsyncNamespace as AsyncNamespace
    from .party import NO_ACK as NO_ACK
    from .party import NoAck as NoAck
    from .server import AsyncServer as AsyncServer
    from .simple_client import AsyncSimpleClient as AsyncSimpleClient
    from .sync_client import Client as Client
    from .sync_simple_client import SimpleClient as SimpleClient

_MODULES = {
    "adapter": ("Adapter",),
    "asgi": ("ASGIApp",),
    "async_client": ("AsyncClient",),
    "audience": ("Answers", "RemoteClient"),
    "client_namespace": ("AsyncClientNamespace", "ClientNamespace"),
    "exceptions": (
        "AckLostError",
        "BadNamespaceError",
        "ClientGoneError",
        "ConnectionError",
        "ConnectionRefusedError",
        "DisconnectedError",
        "LimitExceededError",
        "PacketError",
        "PayloadError",
        "SocketIOError",
        "TimeoutError",
    ),
    "limits": ("ClientLimits", "Limits"),
    "manager": ("AsyncManager",),
    "middleware": ("ConnectRequest", "Event"),
    "namespace": ("AsyncNamespace",),
    "party": ("NO_ACK", "NoAck"),
    "server": ("AsyncServer",),
    "simple_client": ("AsyncSimpleClient",),
    "sync_client": ("Client",),
    "sync_simple_client": ("SimpleClient",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

_BLOCKING = (
    "servers that block, and WSGI, are not in this release; use AsyncServer and ASGIApp, with"
    " run_in_thread=True for handlers that block"
)
_MANAGER = (
    "what carries events between servers is not in this release; one server works alone, with its"
    " AsyncManager"
)
_ABSENT = {
    **dict.fromkeys(("Server", "Namespace", "Manager", "WSGIApp", "Middleware"), _BLOCKING),
    **dict.fromkeys(("PubSubManager", "KombuManager", "RedisManager", "KafkaManager"), _MANAGER),
    **dict.fromkeys(("ZmqManager", "AsyncRedisManager", "AsyncAioPikaManager"), _MANAGER),
    "get_tornado_handler": "Tornado is not supported; ASGIApp runs on any ASGI server",
}


if not TYPE_CHECKING:  # a type checker is to tell of names that there are not

    def __getattr__(name: str) -> object:
        return load(__name__, _MODULE_OF, name, _ABSENT)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
