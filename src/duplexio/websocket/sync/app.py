"""WebSocketApp: a connection that calls functions, with websocket-client's names."""

from __future__ import annotations

import socket as socket_module
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .abnf import ABNF, MaskKeySource
from .callbacks import Callback
from .connecting import SocketOption
from .core import DEFAULT_MAX_SIZE, Data, WebSocket
from .exceptions import WebSocketArgumentException, WebSocketConnectionClosedException
from .run import Run, RunOptions

__all__ = ["WebSocketApp", "setReconnect", "set_reconnect"]

Header = Sequence[str] | Mapping[str, str]

_reconnect: float = 0


def set_reconnect(reconnectInterval: float) -> None:
    """Set after how many seconds :meth:`WebSocketApp.run_forever` reconnects.

    Args:
        reconnectInterval: Seconds; 0, the default, for not at all.
    """
    global _reconnect
    _reconnect = reconnectInterval


#: The same under an older name.
setReconnect = set_reconnect


class WebSocketApp:
    """A WebSocket client that calls functions.

    They are given to the constructor, assigned later, or defined as methods of a subclass. A
    function or a bound method gets the application first: ``on_message(ws, message)``; a method of
    a subclass does not, since it has it as ``self``: ``on_message(self, message)``. Both may be
    written in the other way. What they raise is logged and given to ``on_error``.

    Args:
        url: Where to connect.
        header: Further headers of the handshake: lines, a dictionary, or a function that returns
            either and is called for each connection.
        on_open: ``(ws)``: the connection is open.
        on_reconnect: ``(ws)``: it is open again; without this function ``on_open`` is called.
        on_message: ``(ws, message)``: a message has arrived, ``str`` or ``bytes``.
        on_error: ``(ws, error)``: connecting failed, the connection ended in another way than
            by :meth:`close`, or a function raised an exception.
        on_close: ``(ws, code, reason)`` or ``(ws)``: the run is over; code and reason are those of
            the server's close frame, or ``None``.
        on_ping: ``(ws, payload)``: a ping has arrived, and been answered.
        on_pong: ``(ws, payload)``: a pong has arrived.
        on_cont_message: ``(ws, data, fin)``: with this function messages are delivered in the
            fragments in which they were sent; the first goes to ``on_message``.
        keep_running: Has no effect.
        get_mask_key: Returns the masking key of each frame, given its length, 4; for tests.
        cookie: Value of the ``Cookie`` header.
        subprotocols: Subprotocols to offer.
        on_data: ``(ws, data, opcode, fin)``: called before ``on_message`` and
            ``on_cont_message``.
        socket: A socket that is connected already, for the first connection.

    Attributes:
        sock: The :class:`WebSocket`, while running.
        keep_running: Whether the run is to go on; setting it to ``False`` ends it within a second.
        has_errored: Whether the last run has met an error.
        last_ping_tm: When the last ping was sent, as :func:`time.time`; 0 without one.
        last_pong_tm: When the last pong arrived; 0 without one.

    Example:
        >>> class Printer(WebSocketApp):
        ...     def on_message(self, message):
        ...         print(message)
        >>> Printer("ws://localhost:1").run_forever()
        True
    """

    on_open: Callback | None = None
    on_reconnect: Callback | None = None
    on_message: Callback | None = None
    on_error: Callback | None = None
    on_close: Callback | None = None
    on_ping: Callback | None = None
    on_pong: Callback | None = None
    on_cont_message: Callback | None = None
    on_data: Callback | None = None

    def __init__(
        self,
        url: str,
        header: Header | Callable[[], Header] | None = None,
        on_open: Callback | None = None,
        on_reconnect: Callback | None = None,
        on_message: Callback | None = None,
        on_error: Callback | None = None,
        on_close: Callback | None = None,
        on_ping: Callback | None = None,
        on_pong: Callback | None = None,
        on_cont_message: Callback | None = None,
        keep_running: bool = True,
        get_mask_key: MaskKeySource | None = None,
        cookie: str | None = None,
        subprotocols: list[str] | None = None,
        on_data: Callback | None = None,
        socket: socket_module.socket | None = None,
    ) -> None:
        self.url = url
        self.header: Header | Callable[[], Header] = [] if header is None else header
        self.cookie = cookie
        given = {
            "on_open": on_open,
            "on_reconnect": on_reconnect,
            "on_message": on_message,
            "on_error": on_error,
            "on_close": on_close,
            "on_ping": on_ping,
            "on_pong": on_pong,
            "on_cont_message": on_cont_message,
            "on_data": on_data,
        }
        # What is not given must not hide the method of a subclass.
        vars(self).update({name: value for name, value in given.items() if value is not None})
        self.keep_running = False
        self.get_mask_key = get_mask_key
        self.sock: WebSocket | None = None
        self.last_ping_tm = 0.0
        self.last_pong_tm = 0.0
        self.ping_thread: threading.Thread | None = None
        self.stop_ping: threading.Event | None = None
        self.ping_interval: float = 0
        self.ping_timeout: float | None = None
        self.ping_payload: str | bytes = ""
        self.subprotocols = subprotocols
        self.prepared_socket = socket
        self.has_errored = False
        self.last_close_frame: ABNF | None = None
        self._run: Run | None = None

    def send(self, data: Data, opcode: int = ABNF.OPCODE_TEXT) -> None:
        """Send a message; from any thread.

        Args:
            data: The message.
            opcode: What it is: one of ``ABNF.OPCODES``.

        Raises:
            WebSocketConnectionClosedException: There is no connection.
            WebSocketTimeoutException: The server did not take it in time.
        """
        sock = self.sock
        if sock is None or sock.send(data, opcode) == 0:
            raise WebSocketConnectionClosedException("Connection is already closed.")

    def send_text(self, text_data: str) -> None:
        """Send a text message; see :meth:`send`."""
        self.send(text_data, ABNF.OPCODE_TEXT)

    def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send a binary message; see :meth:`send`."""
        self.send(data, ABNF.OPCODE_BINARY)

    def ready(self) -> bool:
        """Tell whether messages can be sent."""
        return self.sock is not None and self.sock.connected

    def close(self, **kwargs: Any) -> None:
        """Close the connection and end the run; from any thread.

        Args:
            kwargs: Arguments of :meth:`WebSocket.close`.
        """
        self.keep_running = False
        if self._run is not None:
            self._run.stop()
        sock = self.sock
        if sock is not None:
            sock.close(**kwargs)
            if sock.close_frame is not None:
                self.last_close_frame = sock.close_frame
            self.sock = None

    def run_forever(
        self,
        sockopt: list[SocketOption] | None = None,
        sslopt: Mapping[str, Any] | None = None,
        ping_interval: float = 0,
        ping_timeout: float | None = None,
        ping_payload: str | bytes = "",
        http_proxy_host: str | None = None,
        http_proxy_port: int | str | None = None,
        http_no_proxy: list[str] | None = None,
        http_proxy_auth: tuple[str, str] | None = None,
        http_proxy_timeout: float | None = None,
        skip_utf8_validation: bool = False,
        host: str | None = None,
        origin: str | None = None,
        dispatcher: Any = None,
        suppress_origin: bool = False,
        suppress_host: bool = False,
        proxy_type: str | None = None,
        reconnect: float | None = None,
        *,
        compression: str | None = "deflate",
        max_size: int | None = DEFAULT_MAX_SIZE,
        redirect_limit: int = 3,
    ) -> bool:
        """Connect, and call the functions until the connection ends.

        Args:
            sockopt: Arguments of ``setsockopt``, one tuple for each call.
            sslopt: Options of TLS, see :func:`.tls.wrap_tls`.
            ping_interval: Seconds between pings; 0 for none.
            ping_timeout: Seconds that a pong may take, less than ``ping_interval``; ``None`` for
                ever. Without one the run ends with :exc:`WebSocketTimeoutException`.
            ping_payload: What pings carry, at most 125 bytes.
            http_proxy_host: Host of a proxy; the environment is asked unless given.
            http_proxy_port: Its port.
            http_no_proxy: Hosts that are connected to without a proxy.
            http_proxy_auth: Name and password for the proxy.
            http_proxy_timeout: Seconds that a SOCKS proxy may take.
            skip_utf8_validation: Whether text is given to ``on_message`` as bytes. It is checked
                in any case, at no cost worth saving.
            host: Value of the ``Host`` header.
            origin: Value of the ``Origin`` header.
            dispatcher: An event loop to run in, such as the module ``rel``; it has ``read``,
                ``buffwrite``, ``timeout``, ``signal`` and ``abort``. This method then returns at
                once.
            suppress_origin: Whether to send no ``Origin`` header.
            suppress_host: Whether to send no ``Host`` header.
            proxy_type: ``http`` unless given, ``socks4``, ``socks4a``, ``socks5`` or ``socks5h``.
            reconnect: Seconds before reconnecting; 0 for not at all, ``None`` for what
                :func:`set_reconnect` has set. As long as connections do not last, the pause
                doubles, up to a minute.
            compression: ``"deflate"`` to offer permessage-deflate, ``None`` not to.
            max_size: Largest message accepted, in bytes after decompression; ``None`` for no limit.
            redirect_limit: How many redirects to follow.

        Returns:
            Whether there was an error; ``False`` after a close frame of the server, or
            :meth:`close`.

        Raises:
            WebSocketException: The arguments make no sense, or a run is going on.
        """
        if ping_timeout is not None and ping_timeout <= 0:
            raise WebSocketArgumentException("Ensure ping_timeout > 0")
        if ping_interval < 0:
            raise WebSocketArgumentException("Ensure ping_interval >= 0")
        if ping_timeout and ping_interval and ping_interval <= ping_timeout:
            raise WebSocketArgumentException("Ensure ping_interval > ping_timeout")
        if self.sock is not None:
            raise WebSocketArgumentException("socket is already opened")
        options = RunOptions(
            socket={"sockopt": sockopt, "sslopt": sslopt, "max_size": max_size},
            connect={
                "http_proxy_host": http_proxy_host,
                "http_proxy_port": http_proxy_port,
                "http_no_proxy": http_no_proxy,
                "http_proxy_auth": http_proxy_auth,
                "http_proxy_timeout": http_proxy_timeout,
                "host": host,
                "origin": origin,
                "suppress_origin": suppress_origin,
                "suppress_host": suppress_host,
                "proxy_type": proxy_type,
                "compression": compression,
                "redirect_limit": redirect_limit,
            },
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            ping_payload=ping_payload,
            reconnect=_reconnect if reconnect is None else reconnect,
            text_as_bytes=skip_utf8_validation,
            dispatcher=dispatcher,
        )
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.ping_payload = ping_payload
        self.has_errored = False
        self.keep_running = True
        self._run = Run(self, options)
        if dispatcher:
            self._run.attach()
        else:
            self._run.loop()
        return self.has_errored
