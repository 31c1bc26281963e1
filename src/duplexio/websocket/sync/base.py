"""The connection of a blocking WebSocket: opening it, what is known of it, ending it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol

from ..kernel import MaskKeys
from ..masks import system_mask_keys
from .abnf import ABNF, MaskKeySource, mask_key_of
from .channel import Channel
from .connecting import SocketOption, SocketOptions
from .exceptions import WebSocketException
from .opening import HandshakeResponse, open_websocket

__all__ = ["DEFAULT_MAX_SIZE", "BaseWebSocket", "Sender"]

#: Largest message accepted unless told otherwise, in bytes after decompression: 100 MiB. A client
#: chooses whom it talks to, and the library whose place this takes knows no limit.
DEFAULT_MAX_SIZE = 100 * 2**20


class Sender(Protocol):
    """What sends bytes in place of the socket; see the argument ``dispatcher``."""

    def send(self, sock: Any, data: bytes) -> int:
        """Send bytes, and return how many were taken."""
        ...


class BaseWebSocket:
    """What :class:`.core.WebSocket` is made of, but for sending, receiving and closing."""

    def __init__(
        self,
        get_mask_key: MaskKeySource | None = None,
        sockopt: list[SocketOption] | None = None,
        sslopt: Mapping[str, Any] | None = None,
        fire_cont_frame: bool = False,
        enable_multithread: bool = True,
        skip_utf8_validation: bool = False,
        dispatcher: Sender | None = None,
        max_size: int | None = DEFAULT_MAX_SIZE,
        **options: Any,
    ) -> None:
        self.sock_opt = SocketOptions(sockopt or (), sslopt or {})
        self.handshake_response: HandshakeResponse | None = None
        self.connected = False
        self.close_frame: ABNF | None = None
        self.dispatcher = dispatcher
        self.max_size = max_size
        self.fire_cont_frame = fire_cont_frame
        # Set by those who receive all that has arrived before they wait; see Channel.
        self.read_ahead = False
        self._get_mask_key = get_mask_key
        self._channel: Channel | None = None
        self._closing = Lock()

    # The connection

    def connect(self, url: str, **options: Any) -> None:
        """Connect to a server.

        Args:
            url: Where to: ``ws://…`` or ``wss://…``.
            options: ``header`` (list of lines, dictionary, or function that returns one),
                ``cookie``, ``origin``, ``suppress_origin``, ``host``, ``suppress_host``,
                ``connection`` (a header line), ``subprotocols``, ``timeout``,
                ``redirect_limit`` (3 unless given), ``socket`` (connected already),
                ``compression`` (``"deflate"`` unless given, or ``None``); for a proxy
                ``http_proxy_host``, ``http_proxy_port``, ``http_proxy_auth``, ``http_no_proxy``,
                ``http_proxy_timeout`` and ``proxy_type``.

        Raises:
            WebSocketURLException: The URL is not one of a WebSocket; also a :exc:`ValueError`.
            WebSocketAddressException: The host's name cannot be resolved.
            WebSocketProxyException: The proxy cannot or will not connect.
            WebSocketBadStatusException: The server refuses, or leads in circles.
            WebSocketTimeoutException: It took too long.
            WebSocketException: The server's answer breaks the protocol.
            OSError: The system's reason why there is no connection, such as
                :exc:`ConnectionRefusedError` or :exc:`ssl.SSLCertVerificationError`.

        Example:
            >>> BaseWebSocket().connect("http://example.com")
            Traceback (most recent call last):
                ...
            duplexio.websocket.sync.exceptions.WebSocketURLException: http://example.com isn't a\
 valid URI: the scheme isn't ws or wss
        """
        if self._channel is not None:
            self.shutdown()
        if "timeout" in options:
            self.sock_opt.timeout = options["timeout"]
        opened = open_websocket(url, self.sock_opt, options)
        transport = opened.transport
        write: Callable[[bytes | memoryview], int] | None = None
        if (dispatcher := self.dispatcher) is not None:
            sender = dispatcher  # does not change while connected

            def write(data: bytes | memoryview) -> int:
                return sender.send(transport.sock, bytes(data))

        channel = Channel(
            transport,
            mask_keys=self._mask_keys(),
            max_size=self.max_size,
            deflate=opened.deflate,
            fragments=self.fire_cont_frame,
            read_ahead=self.read_ahead,
            write=write,
        )
        if isinstance(transport.sock, ssl.SSLSocket):
            self._report_pending(transport.sock, channel)
        self._channel = channel
        self.handshake_response = opened.response
        self.close_frame = None
        self.connected = True
        if opened.rest:
            channel.feed(opened.rest)

    def _report_pending(self, sock: ssl.SSLSocket, channel: Channel) -> None:
        """Make ``sock.pending()`` count messages: a TLS record may hold several.

        Programs that wait with ``select`` ask for it before they do.
        """
        pending = sock.pending
        vars(sock)["pending"] = lambda: pending() or int(channel.waiting())

    def _mask_keys(self) -> MaskKeys:
        """Return the source of masking keys: the caller's function, or else the system."""
        source = self._get_mask_key
        if source is None:
            return system_mask_keys()
        # It is asked for one key at a time, as it expects, and not for many as the system is.
        return MaskKeys(lambda count: mask_key_of(source))

    @property
    def get_mask_key(self) -> MaskKeySource | None:
        """The function that returns masking keys; ``None`` for :func:`os.urandom`."""
        return self._get_mask_key

    @get_mask_key.setter
    def get_mask_key(self, source: MaskKeySource | None) -> None:
        self._get_mask_key = source
        if self._channel is not None:
            self._channel.use_mask_keys(self._mask_keys())

    def set_mask_key(self, func: MaskKeySource | None) -> None:
        """Set the function that returns masking keys, for tests.

        Args:
            func: Is given the key's length, 4, and returns the key.
        """
        self.get_mask_key = func

    @property
    def sock(self) -> Any:
        """The socket; ``None`` without a connection.

        It may be waited for, with ``select`` for instance: it is readable as long as there is a
        message. A TLS socket also has to be asked ``sock.pending()`` before. Do not read from it
        or write to it.
        """
        return None if self._channel is None else self._channel.transport.sock

    @property
    def lock(self) -> Any:
        """The lock under which messages are sent; ``None`` without a connection."""
        return None if self._channel is None else self._channel.sending

    @property
    def readlock(self) -> Any:
        """The lock under which messages are received; ``None`` without a connection."""
        return None if self._channel is None else self._channel.reading

    def fileno(self) -> int:
        """Return the socket's descriptor, to wait for it.

        Raises:
            WebSocketException: There is no connection.
        """
        if self._channel is None:
            raise WebSocketException("Connection not established")
        return int(self._channel.transport.sock.fileno())

    def is_ssl(self) -> bool:
        """Tell whether the connection is encrypted."""
        return isinstance(self.sock, ssl.SSLSocket)

    def gettimeout(self) -> float | None:
        """Return how many seconds receiving and sending may take; ``None`` for ever."""
        return self.sock_opt.timeout

    def settimeout(self, timeout: float | None) -> None:
        """Set how many seconds receiving and sending may take.

        Args:
            timeout: Seconds; ``None`` for ever. With 0 nothing waits, and :exc:`BlockingIOError`
                is raised (:exc:`ssl.SSLWantReadError` or :exc:`ssl.SSLWantWriteError` with TLS).
        """
        self.sock_opt.timeout = timeout
        if self._channel is not None:
            self._channel.transport.settimeout(timeout)

    timeout = property(gettimeout, settimeout)

    def getsubprotocol(self) -> str | None:
        """Return the subprotocol that the server has chosen, if any."""
        return None if self.handshake_response is None else self.handshake_response.subprotocol

    subprotocol = property(getsubprotocol)

    def getstatus(self) -> int | None:
        """Return the HTTP status of the handshake: 101; ``None`` before it."""
        return None if self.handshake_response is None else self.handshake_response.status

    status = property(getstatus)

    def getheaders(self) -> dict[str, str] | None:
        """Return the headers of the handshake's response, names in lower case."""
        return None if self.handshake_response is None else self.handshake_response.headers

    headers = property(getheaders)

    def abort(self) -> None:
        """End the connection at once, which wakes up threads that wait in ``recv``."""
        if self.connected and self._channel is not None:
            self._channel.ended = True
            self._channel.transport.shutdown()

    def shutdown(self) -> None:
        """Close the socket at once, without a closing handshake."""
        channel, self._channel = self._channel, None
        self.connected = False
        if channel is not None:
            channel.ended = True
            # Closing alone would not wake up a thread that is reading.
            channel.transport.shutdown()
            channel.transport.close()
