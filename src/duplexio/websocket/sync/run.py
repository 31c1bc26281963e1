"""One run of a WebSocketApp: connect, deliver, ping, reconnect, close."""

from __future__ import annotations

import random
import threading
from codecs import getincrementaldecoder
from dataclasses import dataclass, field
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from .abnf import ABNF
from .callbacks import Callbacks
from .connecting import getdefaulttimeout
from .core import WebSocket
from .exceptions import (
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketTimeoutException,
)
from .trace import logger

if TYPE_CHECKING:
    from .app import WebSocketApp

__all__ = ["MAX_RECONNECT_DELAY", "Run", "RunOptions"]

#: Longest pause between two attempts to reconnect, in seconds, unless the first is longer.
MAX_RECONNECT_DELAY = 60

#: Seconds after which a run notices at the latest that ``keep_running`` was set to ``False``.
ATTENTION = 1.0

_utf8_decoder = getincrementaldecoder("utf-8")


@dataclass(slots=True, kw_only=True)
class RunOptions:
    """The arguments of ``run_forever``, sorted by who needs them.

    Attributes:
        socket: Arguments of :class:`.core.WebSocket`.
        connect: Arguments of :meth:`.core.WebSocket.connect`.
        ping_interval: Seconds between pings; 0 for none.
        ping_timeout: Seconds that a pong may take; ``None`` for ever.
        ping_payload: What pings carry.
        reconnect: Seconds before reconnecting; 0 for not at all.
        text_as_bytes: Whether text is given to ``on_message`` as bytes.
        dispatcher: The event loop to run in, if it is not ours.
    """

    socket: dict[str, Any] = field(default_factory=dict)
    connect: dict[str, Any] = field(default_factory=dict)
    ping_interval: float = 0
    ping_timeout: float | None = None
    ping_payload: str | bytes = ""
    reconnect: float = 0
    text_as_bytes: bool = False
    dispatcher: Any = None


class Run:
    """One run.

    Args:
        app: The application.
        options: How to run it.
    """

    def __init__(self, app: WebSocketApp, options: RunOptions) -> None:
        self._app = app
        self._options = options
        self._callbacks = Callbacks(app)
        self._websocket: WebSocket | None = None
        self._torn_down = False
        self._wake = threading.Event()
        self._failures = 0  # in a row, to connect or to stay connected
        self._delay = 0.0
        self._connected_at = 0.0
        self._pinged = self._ponged = 0.0
        self._decoder = _utf8_decoder()
        self._cut = b""  # bytes of a character whose end is in the next fragment

    # In our own loop

    def loop(self) -> None:
        """Run until the connection ends, or the application does not want to go on."""
        app = self._app
        reconnecting = False
        try:
            while True:
                try:
                    self._connect(reconnecting)
                    self._read()
                except BaseException as exc:
                    self._disconnected(exc, quiet=reconnecting)
                if not self._options.reconnect or not app.keep_running:
                    return
                self._pause(self._next_delay())
                reconnecting = True
        except KeyboardInterrupt:
            pass  # on_error has been told; the program goes on behind run_forever
        finally:
            self._tear_down()

    def _read(self) -> None:
        """Deliver what arrives, until the connection ends."""
        app, websocket = self._app, self._websocket
        assert websocket is not None
        while app.keep_running:
            if not websocket.wait(self._patience()):
                self._check_pong()
            elif not self._deliver(websocket):
                return

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; :meth:`stop` ends the waiting."""
        until = monotonic() + seconds
        while self._app.keep_running and (left := until - monotonic()) > 0:
            self._wake.wait(min(left, ATTENTION))

    def stop(self) -> None:
        """Do not wait any longer for the next attempt to connect."""
        self._wake.set()

    # In somebody else's loop

    def attach(self, reconnecting: bool = False) -> None:
        """Connect, and let the dispatcher call when something arrives."""
        dispatcher = self._options.dispatcher
        try:
            self._connect(reconnecting)
            websocket = self._websocket
            assert websocket is not None
            dispatcher.read(websocket.sock, self._on_readable)
            if self._options.ping_timeout:
                dispatcher.timeout(
                    self._options.ping_timeout, lambda: self._on_check_due(websocket)
                )
            if websocket.pending():
                # It came with the handshake, so that the socket may not become readable for it.
                dispatcher.timeout(0, self._on_readable)
        except BaseException as exc:
            self._detached(exc, quiet=reconnecting)

    def _on_readable(self) -> bool:
        """Deliver what has arrived; return whether to go on."""
        websocket = self._websocket
        if websocket is None or self._stopped():
            self._tear_down()
            return False
        try:
            while True:
                if not self._deliver(websocket):
                    self._detached(None)
                    return False
                if self._stopped():
                    self._tear_down()
                    return False
                if not websocket.pending():
                    return True
        except BaseException as exc:
            self._detached(exc, quiet=bool(self._options.reconnect))
            return False

    def _on_check_due(self, websocket: WebSocket) -> bool:
        """Look after a missing pong; return whether to look again later."""
        if websocket is not self._websocket or not self._app.keep_running:
            return False
        try:
            if not websocket.wait(0):
                self._check_pong()
            return True
        except WebSocketException as exc:
            self._detached(exc, quiet=bool(self._options.reconnect))
            return False

    def _stopped(self) -> bool:
        """Tell whether the application does not want to go on."""
        return not self._app.keep_running

    def failed(self, error: BaseException) -> None:
        """The dispatcher could not send."""
        self._detached(error, quiet=bool(self._options.reconnect))

    def _detached(self, error: BaseException | None, quiet: bool = False) -> None:
        """The connection has ended: reconnect later, or tear down."""
        if error is not None:
            self._disconnected(error, quiet=quiet)
        if self._options.reconnect and self._app.keep_running:
            self._options.dispatcher.timeout(self._next_delay(), self.attach, True)

    # Connecting and disconnecting

    def _connect(self, reconnecting: bool) -> None:
        app, options = self._app, self._options
        app.last_close_frame = None
        self._decoder, self._cut = _utf8_decoder(), b""
        self._connected_at = monotonic()
        websocket = self._websocket = app.sock = WebSocket(
            app.get_mask_key,
            fire_cont_frame=self._callbacks.defined("on_cont_message"),
            dispatcher=_BufferedSender(options.dispatcher, self) if options.dispatcher else None,
            **options.socket,
        )
        websocket.read_ahead = True
        websocket.settimeout(getdefaulttimeout())
        header = app.header() if callable(app.header) else app.header
        prepared, app.prepared_socket = app.prepared_socket, None
        websocket.connect(
            app.url,
            header=header,
            cookie=app.cookie,
            subprotocols=app.subprotocols,
            socket=prepared,
            **options.connect,
        )
        logger.info("Websocket connected")
        if not app.keep_running:
            return  # closed meanwhile, by another thread
        if options.ping_interval:
            self._start_pinging(websocket)
        if reconnecting and self._callbacks.defined("on_reconnect"):
            self._callbacks.call("on_reconnect")
        else:
            self._callbacks.call("on_open")

    def _disconnected(
        self, error: BaseException, *, quiet: bool, frame: ABNF | None = None
    ) -> None:
        """Take note that the connection has ended, or could not be made."""
        app = self._app
        fatal = isinstance(error, KeyboardInterrupt | SystemExit)
        if not isinstance(error, Exception) and not fatal:
            raise error
        if not app.keep_running and isinstance(error, OSError | WebSocketException):
            return  # the application has closed it, which is no error
        if frame is None:
            app.has_errored = True
        if self._websocket is not None and not fatal:
            # Whatever is left of it: for a connection that is dead there is nothing to wait for.
            self._websocket.close(timeout=0)
        self._stop_pinging()
        if not quiet:
            self._callbacks.call("on_error", error)
        if fatal:
            self._tear_down()
            raise error
        if self._options.reconnect:
            logger.info(f"{error} - reconnect")
        else:
            logger.error(f"{error} - goodbye")
            self._tear_down(frame)

    def _next_delay(self) -> float:
        """Return how long to wait before the next attempt, in seconds.

        The first time it is ``reconnect``; as long as connections do not last it doubles, up to a
        limit, less a random part, so that the clients of a server do not all return at once.
        """
        base = self._options.reconnect
        lasted = monotonic() - self._connected_at
        self._failures = 0 if self._delay and lasted > self._delay else self._failures + 1
        delay: float = min(
            base * 2 ** min(max(self._failures - 1, 0), 32), max(base, MAX_RECONNECT_DELAY)
        )
        self._delay = delay
        return delay if delay == base else delay * random.uniform(0.75, 1)

    def _tear_down(self, frame: ABNF | None = None) -> None:
        """End the run: close the connection and call ``on_close``, once."""
        if self._torn_down:
            return
        self._torn_down = True
        app, websocket = self._app, self._websocket
        asked = self._stopped()
        app.keep_running = False
        app.sock = None
        if websocket is not None:
            # Another thread may be closing it; this waits until it has.
            websocket.close()
            if asked:
                frame = frame or websocket.close_frame
        self._stop_pinging()
        frame = frame or app.last_close_frame
        code, reason = (None, None) if frame is None else _close_reason(frame)
        self._callbacks.call("on_close", code, reason)

    # What arrives

    def _deliver(self, websocket: WebSocket) -> bool:
        """Read once and deliver all of it; return whether the connection goes on."""
        for event in websocket.events():
            if not self._handle(event):
                return False
            if not self._app.keep_running:
                break
        return True

    def _handle(self, event: Any) -> bool:
        call = self._callbacks.call
        if isinstance(event, str):
            message = event.encode() if self._options.text_as_bytes else event
            call("on_data", message, ABNF.OPCODE_TEXT, True)
            call("on_message", message)
        elif isinstance(event, bytes):
            call("on_data", event, ABNF.OPCODE_BINARY, True)
            call("on_message", event)
        else:
            opcode, payload, fin = event
            if opcode == ABNF.OPCODE_CLOSE:
                self._closed(ABNF(1, 0, 0, 0, opcode, 0, payload))
                return False
            if opcode == ABNF.OPCODE_PING:
                call("on_ping", payload)
            elif opcode == ABNF.OPCODE_PONG:
                self._ponged = monotonic()
                self._app.last_pong_tm = time()
                call("on_pong", payload)
            else:
                self._handle_fragment(opcode, payload, fin)
        return True

    def _handle_fragment(self, opcode: int, payload: bytes, fin: bool) -> None:
        """Deliver a piece of a message: the first to ``on_message``, as if it were whole."""
        call = self._callbacks.call
        payload, self._cut = self._cut + payload, b""
        if opcode == ABNF.OPCODE_CONT:
            call("on_data", payload, opcode, int(fin))
            call("on_cont_message", payload, int(fin))
            return
        data: str | bytes = payload
        if opcode == ABNF.OPCODE_TEXT and not self._options.text_as_bytes:
            self._decoder.reset()
            data = self._decoder.decode(payload, fin)
            # A character that the server has cut in two is delivered with the next piece.
            self._cut = self._decoder.getstate()[0]
        call("on_data", data, opcode, True)
        call("on_message", data)

    def _closed(self, frame: ABNF) -> None:
        """The server has closed the connection with a close frame."""
        code, reason = _close_reason(frame)
        if code is None:
            message = "Connection closed"
        elif code == 1000:
            message = "Connection closed normally (code 1000)"
        else:
            message = f"Connection closed (code {code})"
        if reason:
            message = f"{message}: {reason}"
        error = WebSocketConnectionClosedException(message, code, reason or "", "remote")
        self._disconnected(error, quiet=bool(self._options.reconnect), frame=frame)

    # Pings

    def _start_pinging(self, websocket: WebSocket) -> None:
        app = self._app
        self._pinged = self._ponged = 0.0
        app.last_ping_tm = app.last_pong_tm = 0.0
        app.stop_ping = threading.Event()
        # A thread of its own, so that pings go out while a callback takes its time.
        app.ping_thread = threading.Thread(
            target=self._ping, args=(websocket, app.stop_ping), daemon=True, name="websocket-ping"
        )
        app.ping_thread.start()

    def _ping(self, websocket: WebSocket, stop: threading.Event) -> None:
        while not stop.wait(self._options.ping_interval):
            self._pinged = monotonic()
            self._app.last_ping_tm = time()
            try:
                websocket.ping(self._options.ping_payload)
            except (WebSocketException, OSError) as exc:
                logger.debug(f"Failed to send ping: {exc}")

    def _stop_pinging(self) -> None:
        app = self._app
        if app.stop_ping is not None:
            app.stop_ping.set()
        thread = app.ping_thread
        # The socket is closed by now, or about to be: a ping does not wait for long.
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        app.ping_thread = app.stop_ping = None

    def _patience(self) -> float:
        """Return for how long to wait for something to read, before looking after other things."""
        timeout = self._options.ping_timeout
        if not timeout:
            return ATTENTION
        if self._pinged > self._ponged:
            timeout = max(self._pinged + timeout - monotonic(), 0)
        return min(timeout, ATTENTION)

    def _check_pong(self) -> None:
        """Raise when a pong is missing. Nothing is there to be read, so it is not on the way."""
        timeout = self._options.ping_timeout
        if timeout and self._pinged > self._ponged and monotonic() - self._pinged >= timeout:
            raise WebSocketTimeoutException("ping/pong timed out")


class _BufferedSender:
    """Sends through a dispatcher, which writes when the socket can be written to."""

    def __init__(self, dispatcher: Any, run: Run) -> None:
        self._dispatcher = dispatcher
        self._run = run
        # Ctrl-C is 2 on every system; the dispatcher's loop is what it has to end.
        dispatcher.signal(2, dispatcher.abort)

    def send(self, sock: Any, data: bytes) -> int:
        self._dispatcher.buffwrite(sock, data, _send, self._failed)
        return len(data)

    def _failed(self, error: Any = "closed unexpectedly") -> None:
        if not isinstance(error, BaseException):
            error = WebSocketConnectionClosedException(str(error))
        self._run.failed(error)


def _send(sock: Any, data: bytes) -> int:
    return int(sock.send(data))


def _close_reason(frame: ABNF) -> tuple[int | None, str | None]:
    """Return the code and the reason of a close frame; ``None`` for what it has not."""
    payload = bytes(frame.payload())
    if len(payload) < 2:
        return None, None
    return int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace") or None
