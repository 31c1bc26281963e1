"""The blocking Engine.IO client, with python-engineio's names, arguments and handlers.

It is a face of the session that the asyncio client has, too: the connection lives on the loop of
``background.py``, and handlers run in threads, one after the other in the order of the messages.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from .background import BackgroundLoop, background_loop
from .client_dialing import connect
from .client_extras import from_requests
from .client_face import ClientFace
from .client_options import ClientOptions, Remembered
from .client_session import ClientSession
from .exceptions import ConnectionError, EngineIOError, UsageValueError
from .options import Logger
from .session import SessionHandler
from .workers import Serial, worker_threads

__all__ = ["Client"]

#: Bytes that may wait to be sent before ``send`` waits until they are gone.
HIGH_WATER = 2**20

#: Messages that may wait to be sent before ``send`` waits until they are gone.
MANY_MESSAGES = 10_000

#: Messages whose handlers may wait to be called before nothing more is read.
MAX_PENDING = 1000


class Client(ClientFace):
    """An Engine.IO client that blocks.

    It may be used from many threads. Its handlers run in a thread, one after the other, and may
    use the client themselves.

    Args:
        logger: ``True`` to log what happens, or a logger.
        json: A module with ``dumps``, for what is sent that is neither ``str`` nor ``bytes``.
        request_timeout: Seconds that one request may take.
        http_session: A ``requests.Session``, or a callable that returns one: its cookies, headers,
            Basic Authentication, certificates and proxies are used.
        ssl_verify: ``False`` accepts any certificate.
        handle_sigint: Whether the client disconnects when :meth:`wait` is interrupted by Ctrl+C.
        websocket_extra_options: Further arguments for the WebSocket: those of
            ``websocket.create_connection`` that make sense here.
        timestamp_requests: Whether polling requests carry a timestamp against caches.
        settings: Further limits and settings, which are the attributes of
            :class:`.client_options.ClientOptions`.

    Attributes:
        sid: The session's id; ``None`` without a connection.
        state: ``"disconnected"``, ``"connected"`` or ``"disconnecting"``.

    Raises:
        UsageError: An argument is wrong.

    Example:
        >>> eio = Client()
        >>> @eio.on("message")
        ... def on_message(data):
        ...     print("received", data)
    """

    def __init__(
        self,
        logger: bool | Logger = False,
        json: Any = None,
        request_timeout: float = 5,
        http_session: Any = None,
        ssl_verify: bool = True,
        handle_sigint: bool = True,
        websocket_extra_options: Mapping[str, Any] | None = None,
        timestamp_requests: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(
            logger,
            json,
            request_timeout,
            http_session,
            ssl_verify,
            handle_sigint,
            websocket_extra_options,
            timestamp_requests,
            **settings,
        )
        self._link: _Link | None = None
        self._lock = threading.Lock()

    def connect(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        transports: str | Sequence[str] | None = None,
        engineio_path: str = "engine.io",
    ) -> None:
        """Connect, and go on to a WebSocket where that is possible.

        Args:
            url: Address of the server; its query is sent with all requests.
            headers: Further headers of all requests.
            transports: The transports to use, in the order in which they are tried; by default
                polling first.
            engineio_path: Path of the server.

        Raises:
            ConnectionError: It cannot connect, or the handler of ``connect`` has raised.
            ValueError: It is connected, or there is no such transport.
            UsageError: The calling thread is that of the background loop.
        """
        link = self._link
        if link is not None and not link.background.is_usable:
            self._reset(link)  # a connection of the process that this one was forked from
        if self.state != "disconnected" or not self._lock.acquire(blocking=False):
            raise UsageValueError("the client is not in a disconnected state")
        try:
            http = self.http() if callable(self.http) else self.http
            borrowed = {} if http is None else from_requests(http)
            options = self._options(headers, transports, engineio_path, borrowed)
            key = (url, engineio_path, tuple(options.transports))
            before, remembered = self._remembered
            link = _Link(self, background_loop())
            link.open(url, options, remembered if before == key else None)
            assert link.session is not None
            self._remembered = (key, link.session.remembered)
        finally:
            self._lock.release()

    def wait(self) -> None:
        """Wait until the connection has ended, and the handler of ``disconnect`` is done."""
        link = self._link
        if link is not None:
            link.check()
            try:
                link.ended.wait()
            except KeyboardInterrupt:
                if self.handle_sigint:
                    self.disconnect()
                raise

    def send(self, data: Any) -> None:
        """Send a message, from any thread; without a connection nothing is sent.

        It returns before the message is sent, except while too much waits to be sent.

        Args:
            data: ``str`` and bytes-like objects arrive as what they are, all else as JSON.

        Raises:
            PayloadTooLarge: The server takes no message of this size.
            UsageError: The process was forked from the one that has connected.
        """
        link = self._link
        if link is None or self.state != "connected":
            self.logger.info("a message was not sent: there is no connection")
            return
        if isinstance(data, str):
            link.send(data)
        elif isinstance(data, bytes | bytearray | memoryview):
            link.send(bytes(data))
        else:
            link.send(self._dumps(data))

    def disconnect(self, abort: bool = False, reason: str | None = None) -> None:
        """Disconnect; the handler of ``disconnect`` is done when this returns.

        Args:
            abort: Whether to return before the connections are closed.
            reason: What the handler is told, instead of ``"client disconnect"``.
        """
        link = self._link
        if link is None or self.state != "connected":
            return
        link.check()
        self.state = "disconnecting"
        link.close(reason or self.reason.CLIENT_DISCONNECT, wait=not abort)

    def _reset(self, link: _Link) -> None:
        """Forget a connection that has ended."""
        if self._link is link:
            self.state = "disconnected"
            self.sid = None
            self._link = None
        link.ended.set()

    # What applications use of threads through python-engineio's names

    def start_background_task(
        self, target: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> threading.Thread:
        """Run a function in a thread of its own.

        Args:
            target: The function.
            args: Its arguments.
            kwargs: Its arguments.
        """
        thread = threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float = 0) -> None:
        """Wait.

        Args:
            seconds: How long.
        """
        time.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> queue.Queue[Any]:
        """Return a queue; the arguments are those of ``queue.Queue``."""
        return queue.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[queue.Empty]:
        """Return the exception of a queue that is empty."""
        return queue.Empty

    def create_event(self, *args: Any, **kwargs: Any) -> threading.Event:
        """Return an event."""
        return threading.Event(*args, **kwargs)


class _Link(SessionHandler):
    """One connection of a client, and the handlers that run for it.

    The methods that the session calls run on the background loop; the others in any thread.

    Args:
        client: The client.
        background: The loop.

    Attributes:
        ended: Is set when the connection is over, and the handler of ``disconnect`` is done.
    """

    def __init__(self, client: Client, background: BackgroundLoop) -> None:
        self.client = client
        self.background = background
        self.session: ClientSession | None = None
        self.ended = threading.Event()
        self.given_reason = ""
        self._serial = Serial(worker_threads(), self._failed)
        self._connecting = threading.Event()
        self._waiting = 0
        self._waiting_lock = threading.Lock()
        self._error: Exception | None = None
        self._silent = False

    def _failed(self, exc: Exception) -> None:
        self.client.logger.error("a handler raised", exc_info=exc)

    def check(self) -> None:
        """Raise unless the connection belongs to this process, and may be waited for here."""
        if not self.background.is_usable:
            raise UsageError(
                f"the client was connected by another process than this one ({os.getpid()}), from"
                " which it was forked: call connect() here, or connect after the fork"
            )
        if self.background.is_current:
            raise UsageError(
                "this thread runs the event loop of the blocking clients, so it cannot wait for it"
            )

    # In the thread that uses the client

    def open(self, url: str, options: ClientOptions, remembered: Remembered | None) -> None:
        """Connect, and wait until the handler of ``connect`` is done."""
        try:
            self.background.run(self._open(url, options, remembered))
            if not self._serial.is_current:
                self._connecting.wait()
            if self._error is not None:
                raise ConnectionError(f"Connect handler failed: {self._error}") from self._error
        except BaseException:
            self._silent = True
            if self.session is not None:
                self.background.post(self.session.close)
                self.background.run(self.session.wait_closed())
            self.client._reset(self)
            raise

    async def _open(
        self, url: str, options: ClientOptions, remembered: Remembered | None
    ) -> ClientSession:
        session = await connect(url, self, options, remembered)
        try:
            await session.wait_upgraded()
        except BaseException:
            session.abort()
            raise
        return session

    def send(self, message: str | bytes) -> None:
        """Have a message sent; waits while too much waits to be sent."""
        session = self.session
        if session is None:
            return
        session.check_message(message)
        with self._waiting_lock:
            self._waiting += len(message)
        self.background.post(self._send, session, message)
        if (
            self._waiting > HIGH_WATER
            or self.background.backlog > MANY_MESSAGES
            or session.congested
        ) and not self.background.is_current:
            # This runs behind what was posted.
            self.background.run(session.wait_buffered(HIGH_WATER // 2, MANY_MESSAGES // 2))

    def _send(self, session: ClientSession, message: str | bytes) -> None:
        with self._waiting_lock:
            self._waiting -= len(message)
        try:
            if isinstance(message, str):
                session.send_text(message)
            else:
                session.send_binary(message)
        except EngineIOError as exc:
            self.client.logger.error("a message was not sent: %s", exc)

    def close(self, reason: str, wait: bool) -> None:
        """Disconnect, and wait until the handler of ``disconnect`` is done."""
        session = self.session
        assert session is not None
        self.given_reason = reason
        inside = self._serial.is_current
        self.background.post(session.close)
        if inside:
            # A handler disconnects: that of the disconnect cannot wait for it to end.
            self._tell(reason)
        else:
            self.ended.wait()
        if wait:
            self.background.run(session.wait_closed())

    # On the background loop

    def on_open(self, session: ClientSession) -> None:
        """Call the handler of ``connect``; what arrives meanwhile waits behind it."""
        client = self.client
        self.session = client.session = session
        client._link = self
        client.state = "connected"
        client.sid = session.sid
        client.logger.info("connected by %s, Engine.IO %s", session.transport, session.protocol)
        if "connect" in client.handlers:
            self._serial.submit(self._begin)
        else:
            self._connecting.set()

    def on_text(self, session: ClientSession, text: str, start: int) -> None:
        """Take a text message."""
        self._take(session, text[start:])

    def on_binary(self, session: ClientSession, data: bytes) -> None:
        """Take a binary message."""
        self._take(session, data)

    def _take(self, session: ClientSession, data: Any) -> None:
        if self._silent or "message" not in self.client.handlers:
            return
        self._serial.submit(self._handle, session, data)
        if self._serial.pending > MAX_PENDING:
            session.pause_reading()

    def on_close(self, session: ClientSession, reason: str) -> None:
        """Call the handler of ``disconnect``, behind those of the messages."""
        client = self.client
        client.logger.info("disconnected: %s", reason)
        told = self.given_reason or (
            client.reason.SERVER_DISCONNECT
            if session.closed_by_server
            else client.reason.TRANSPORT_ERROR
        )
        if not self._silent and "disconnect" in client.handlers:
            self._serial.submit(self._tell, told)
        else:
            client._reset(self)

    # In the thread of the handlers

    def _begin(self) -> None:
        try:
            self.client.handlers["connect"]()
        except Exception as exc:
            self.client.logger.error("the connect handler raised", exc_info=exc)
            self._error = exc
            self._silent = True
        finally:
            self._connecting.set()

    def _handle(self, session: ClientSession, data: Any) -> None:
        if session.reading_paused and self._serial.pending < MAX_PENDING // 2:
            self.background.post(session.resume_reading)
        if not self._silent:
            self.client.handlers["message"](data)

    def _tell(self, reason: str) -> None:
        if self.ended.is_set():
            return
        try:
            if not self._silent and "disconnect" in self.client.handlers:
                self._silent = True
                self.client.handlers["disconnect"](reason)
        finally:
            self.client._reset(self)
