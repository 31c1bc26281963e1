"""WebSocket: server and client, asyncio and blocking, and every draft that browsers ever spoke.

Three programming interfaces stand on one protocol:

* coroutines (``serve``, ``connect``), with the names of the ``websockets`` library;
* callbacks (``Listener``), for those who need every microsecond;
* blocking calls (``create_connection``, ``WebSocketApp``), with the names of ``websocket-client``.

Names are imported from their modules when they are first used, so a blocking program does not pay
for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import load

# isort: off
if TYPE_CHECKING:
    from .client import (
        ClientConnection as ClientConnection,
        connect as connect,
        unix_connect as unix_connect,
    )
    from .connection import Connection as Connection, ConnectionHandler as ConnectionHandler
    from .coroutine import CoroutineConnection as CoroutineConnection
    from .deflate import (
        ClientPerMessageDeflateFactory as ClientPerMessageDeflateFactory,
        PerMessageDeflate as PerMessageDeflate,
        ServerPerMessageDeflateFactory as ServerPerMessageDeflateFactory,
    )
    from .exceptions import (
        ConcurrencyError as ConcurrencyError,
        ConnectionClosed as ConnectionClosed,
        ConnectionClosedError as ConnectionClosedError,
        ConnectionClosedOK as ConnectionClosedOK,
        DuplicateParameter as DuplicateParameter,
        InvalidHandshake as InvalidHandshake,
        InvalidHeader as InvalidHeader,
        InvalidHeaderFormat as InvalidHeaderFormat,
        InvalidHeaderValue as InvalidHeaderValue,
        InvalidMessage as InvalidMessage,
        InvalidMethod as InvalidMethod,
        InvalidOrigin as InvalidOrigin,
        InvalidParameterName as InvalidParameterName,
        InvalidParameterValue as InvalidParameterValue,
        InvalidProtocol as InvalidProtocol,
        InvalidProxy as InvalidProxy,
        InvalidProxyMessage as InvalidProxyMessage,
        InvalidProxyStatus as InvalidProxyStatus,
        InvalidState as InvalidState,
        InvalidStatus as InvalidStatus,
        InvalidURI as InvalidURI,
        InvalidUpgrade as InvalidUpgrade,
        NegotiationError as NegotiationError,
        PayloadTooBig as PayloadTooBig,
        ProtocolError as ProtocolError,
        ProxyError as ProxyError,
        SecurityError as SecurityError,
        TooManyFragments as TooManyFragments,
        WebSocketException as WebSocketException,
    )
    from .fanout import broadcast as broadcast
    from .frames import (
        Close as Close,
        CloseCode as CloseCode,
        Frame as Frame,
        Opcode as Opcode,
        State as State,
    )
    from .headers import (
        Headers as Headers,
        HeadersLike as HeadersLike,
        MultipleValuesError as MultipleValuesError,
    )
    from .http11 import Request as Request, Response as Response
    from .listener import Listener as Listener, ListenerConnection as ListenerConnection
    from .origins import SAME_ORIGIN as SAME_ORIGIN
    from .server import (
        Server as Server,
        ServerConnection as ServerConnection,
        basic_auth as basic_auth,
        serve as serve,
        unix_serve as unix_serve,
    )
    from .sync import (
        ABNF as ABNF,
        DEFAULT_SOCKET_OPTION as DEFAULT_SOCKET_OPTION,
        STATUS_ABNORMAL_CLOSED as STATUS_ABNORMAL_CLOSED,
        STATUS_BAD_GATEWAY as STATUS_BAD_GATEWAY,
        STATUS_GOING_AWAY as STATUS_GOING_AWAY,
        STATUS_INVALID_EXTENSION as STATUS_INVALID_EXTENSION,
        STATUS_INVALID_PAYLOAD as STATUS_INVALID_PAYLOAD,
        STATUS_MESSAGE_TOO_BIG as STATUS_MESSAGE_TOO_BIG,
        STATUS_NORMAL as STATUS_NORMAL,
        STATUS_POLICY_VIOLATION as STATUS_POLICY_VIOLATION,
        STATUS_PROTOCOL_ERROR as STATUS_PROTOCOL_ERROR,
        STATUS_SERVICE_RESTART as STATUS_SERVICE_RESTART,
        STATUS_STATUS_NOT_AVAILABLE as STATUS_STATUS_NOT_AVAILABLE,
        STATUS_TLS_HANDSHAKE_ERROR as STATUS_TLS_HANDSHAKE_ERROR,
        STATUS_TRY_AGAIN_LATER as STATUS_TRY_AGAIN_LATER,
        STATUS_UNEXPECTED_CONDITION as STATUS_UNEXPECTED_CONDITION,
        STATUS_UNSUPPORTED_DATA_TYPE as STATUS_UNSUPPORTED_DATA_TYPE,
        WebSocket as WebSocket,
        WebSocketAddressException as WebSocketAddressException,
        WebSocketApp as WebSocketApp,
        WebSocketArgumentException as WebSocketArgumentException,
        WebSocketBadStatusException as WebSocketBadStatusException,
        WebSocketConnectionClosedException as WebSocketConnectionClosedException,
        WebSocketPayloadException as WebSocketPayloadException,
        WebSocketProtocolException as WebSocketProtocolException,
        WebSocketProxyException as WebSocketProxyException,
        WebSocketTimeoutException as WebSocketTimeoutException,
        WebSocketURLException as WebSocketURLException,
        _abnf as _abnf,
        _app as _app,
        _core as _core,
        _exceptions as _exceptions,
        _logging as _logging,
        create_connection as create_connection,
        enableTrace as enableTrace,
        getdefaulttimeout as getdefaulttimeout,
        isEnabledForDebug as isEnabledForDebug,
        isEnabledForError as isEnabledForError,
        isEnabledForTrace as isEnabledForTrace,
        setReconnect as setReconnect,
        set_reconnect as set_reconnect,
        setdefaulttimeout as setdefaulttimeout,
    )
# isort: on

# What is imported from where when it is first used; the imports above say the same to checkers.
_MODULES = {
    "client": ("ClientConnection", "connect", "unix_connect"),
    "connection": ("Connection", "ConnectionHandler"),
    "coroutine": ("CoroutineConnection",),
    "deflate": (
        "ClientPerMessageDeflateFactory",
        "PerMessageDeflate",
        "ServerPerMessageDeflateFactory",
    ),
    "exceptions": (
        "ConcurrencyError",
        "ConnectionClosed",
        "ConnectionClosedError",
        "ConnectionClosedOK",
        "DuplicateParameter",
        "InvalidHandshake",
        "InvalidHeader",
        "InvalidHeaderFormat",
        "InvalidHeaderValue",
        "InvalidMessage",
        "InvalidMethod",
        "InvalidOrigin",
        "InvalidParameterName",
        "InvalidParameterValue",
        "InvalidProtocol",
        "InvalidProxy",
        "InvalidProxyMessage",
        "InvalidProxyStatus",
        "InvalidState",
        "InvalidStatus",
        "InvalidURI",
        "InvalidUpgrade",
        "NegotiationError",
        "PayloadTooBig",
        "ProtocolError",
        "ProxyError",
        "SecurityError",
        "TooManyFragments",
        "WebSocketException",
    ),
    "fanout": ("broadcast",),
    "frames": ("Close", "CloseCode", "Frame", "Opcode", "State"),
    "headers": ("Headers", "HeadersLike", "MultipleValuesError"),
    "http11": ("Request", "Response"),
    "listener": ("Listener", "ListenerConnection"),
    "origins": ("SAME_ORIGIN",),
    "server": ("Server", "ServerConnection", "basic_auth", "serve", "unix_serve"),
    "sync": (
        "ABNF",
        "DEFAULT_SOCKET_OPTION",
        "STATUS_ABNORMAL_CLOSED",
        "STATUS_BAD_GATEWAY",
        "STATUS_GOING_AWAY",
        "STATUS_INVALID_EXTENSION",
        "STATUS_INVALID_PAYLOAD",
        "STATUS_MESSAGE_TOO_BIG",
        "STATUS_NORMAL",
        "STATUS_POLICY_VIOLATION",
        "STATUS_PROTOCOL_ERROR",
        "STATUS_SERVICE_RESTART",
        "STATUS_STATUS_NOT_AVAILABLE",
        "STATUS_TLS_HANDSHAKE_ERROR",
        "STATUS_TRY_AGAIN_LATER",
        "STATUS_UNEXPECTED_CONDITION",
        "STATUS_UNSUPPORTED_DATA_TYPE",
        "WebSocket",
        "WebSocketAddressException",
        "WebSocketApp",
        "WebSocketArgumentException",
        "WebSocketBadStatusException",
        "WebSocketConnectionClosedException",
        "WebSocketPayloadException",
        "WebSocketProtocolException",
        "WebSocketProxyException",
        "WebSocketTimeoutException",
        "WebSocketURLException",
        "_abnf",
        "_app",
        "_core",
        "_exceptions",
        "_logging",
        "create_connection",
        "enableTrace",
        "getdefaulttimeout",
        "isEnabledForDebug",
        "isEnabledForError",
        "isEnabledForTrace",
        "setReconnect",
        "set_reconnect",
        "setdefaulttimeout",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    return load(__name__, _MODULE_OF, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
