"""The blocking WebSocket, with websocket-client's names and behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from ..exceptions import ProtocolError
from ..frames import Close, is_valid_close_code
from .abnf import ABNF, STATUS_NORMAL, STATUS_STATUS_NOT_AVAILABLE
from .base import DEFAULT_MAX_SIZE, BaseWebSocket
from .channel import Channel
from .connecting import getdefaulttimeout
from .exceptions import (
    WebSocketArgumentException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketPayloadException,
    WebSocketProtocolException,
)
from .trace import trace

__all__ = ["CLOSE_TIMEOUT", "DEFAULT_MAX_SIZE", "Data", "WebSocket", "create_connection"]

#: Seconds that :meth:`WebSocket.close` waits for the server's close frame.
CLOSE_TIMEOUT = 3

#: Seconds that the server has to end the connection, after this side has failed it.
DRAIN_TIMEOUT = 1

Data = str | bytes | bytearray | memoryview

OVER = (
    WebSocketConnectionClosedException,
    WebSocketProtocolException,
    WebSocketPayloadException,
)


class WebSocket(BaseWebSocket):
    """A WebSocket client whose methods wait until they are done.

    Any number of threads may send; one at a time receives, while others wait for it. As a context
    manager it is closed at the end; iterating over it receives.

    Args:
        get_mask_key: Returns the masking key of each frame, given its length, 4; for tests.
            :func:`os.urandom` unless given.
        sockopt: Arguments of ``setsockopt``, one tuple for each call.
        sslopt: Options of TLS, see :func:`.tls.wrap_tls`.
        fire_cont_frame: Whether :meth:`recv_data` returns a message in the fragments in which it
            was sent.
        enable_multithread: Has no effect: it is always safe to use several threads.
        skip_utf8_validation: Has no effect on what is received: text is checked as it arrives, at
            no cost worth saving.
        dispatcher: Sends in place of the socket: ``dispatcher.send(sock, data)``.
        max_size: Largest message accepted, in bytes after decompression; ``None`` for no limit.
        options: Options of :meth:`connect`, which are of no use here and accepted, so that one
            dictionary can be given to both.

    Attributes:
        connected: Whether messages can be sent and received.
        handshake_response: The server's answer: ``status``, ``headers`` and ``subprotocol``.
        close_frame: The server's close frame, once :meth:`close` has received it.
        sock_opt: How sockets are made: ``sockopt``, ``sslopt`` and ``timeout``.

    Example:
        >>> ws = WebSocket()
        >>> ws.connected
        False
    """

    # Sending

    def send(self, payload: Data, opcode: int = ABNF.OPCODE_TEXT) -> int:
        """Send a message or a frame.

        When sending times out, what could be written in part stays first in line and goes out
        with the next message; a message of which nothing could be written is dropped, unless it
        is compressed or encrypted.

        Args:
            payload: The message; with the opcode of text, bytes must be UTF-8.
            opcode: What it is: one of ``ABNF.OPCODES``.

        Returns:
            How many bytes the frame has, as sent.

        Raises:
            WebSocketConnectionClosedException: The connection is closed, or broke.
            WebSocketTimeoutException: The server did not take it in time.
        """
        channel = self._channel
        if channel is None:
            raise WebSocketConnectionClosedException("socket is already closed.")
        if trace.enabled:
            trace.message(f"++Sent decoded: {ABNF.create_frame(payload, opcode)}")
        try:
            if opcode == 1:
                if isinstance(payload, str):
                    return channel.send_text(payload)
                return channel.send_text(str(payload, "utf-8"))
            if opcode == 2:
                data = payload.encode("latin-1") if isinstance(payload, str) else payload
                return channel.send_binary(data)
            return self._send_raw(channel, ABNF.create_frame(payload, opcode))
        except WebSocketConnectionClosedException:
            self.connected = False
            raise

    def send_text(self, text_data: str) -> int:
        """Send a text message; see :meth:`send`."""
        return self.send(text_data, ABNF.OPCODE_TEXT)

    def send_bytes(self, data: bytes | bytearray | memoryview) -> int:
        """Send a binary message; see :meth:`send`."""
        return self.send(data, ABNF.OPCODE_BINARY)

    def send_binary(self, payload: bytes | bytearray | memoryview) -> int:
        """Send a binary message; see :meth:`send`."""
        return self.send(payload, ABNF.OPCODE_BINARY)

    def send_frame(self, frame: ABNF) -> int:
        """Send a frame as it is, uncompressed: a fragment of a message, for instance.

        Args:
            frame: The frame. It is masked whatever its ``mask_value``, as a client's must be;
                its own ``get_mask_key`` gives the key when it has one.

        Returns:
            How many bytes the frame has, as sent.

        Raises:
            ValueError: The frame's opcode or bits make no sense.
            WebSocketException: As :meth:`send`.
        """
        channel = self._channel
        if channel is None:
            raise WebSocketConnectionClosedException("socket is already closed.")
        if trace.enabled:
            trace.message(f"++Sent decoded: {frame}")
        return self._send_raw(channel, frame)

    def _send_raw(self, channel: Channel, frame: ABNF) -> int:
        if any(bit not in (0, 1) for bit in (frame.fin, frame.rsv1, frame.rsv2, frame.rsv3)):
            raise ValueError("not 0 or 1")
        if frame.opcode not in ABNF.OPCODES:
            raise ValueError("Invalid OPCODE")
        data = frame.payload()
        if frame.opcode == ABNF.OPCODE_CLOSE:
            try:
                close = Close.parse(data)
            except ProtocolError as exc:
                raise WebSocketArgumentException(f"the close frame cannot be sent: {exc}") from exc
            channel.send_close(close.code, close.reason)
            return 6 + len(data)
        first = frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4 | frame.opcode
        return channel.send_frame(first, data)

    def ping(self, payload: str | bytes = "") -> None:
        """Send a ping.

        Args:
            payload: At most 125 bytes, which the pong brings back.
        """
        self._send_control(ABNF.OPCODE_PING, payload)

    def pong(self, payload: str | bytes = "") -> None:
        """Send a pong. Pings are answered without it, whenever something is received.

        Args:
            payload: At most 125 bytes.
        """
        self._send_control(ABNF.OPCODE_PONG, payload)

    def _send_control(self, opcode: int, payload: str | bytes) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        if len(data) > 125:
            raise WebSocketArgumentException(
                f"the payload has {len(data)} bytes; a control frame carries at most 125"
            )
        self.send(data, opcode)

    # Receiving

    def recv(self) -> str | bytes:
        """Wait for the next message.

        Returns:
            Text as ``str``, binary data as ``bytes``; an empty ``str`` when the server has closed
            the connection with a close frame. The call after that raises.

        Raises:
            WebSocketConnectionClosedException: The connection is closed, or broke.
            WebSocketTimeoutException: Nothing came in time; trying again is fine.
            WebSocketProtocolException: The server broke the protocol.
            WebSocketPayloadException: The message is too large, or is text that is not UTF-8.
        """
        channel = self._channel
        if channel is None:
            raise WebSocketConnectionClosedException("Connection is closed")
        try:
            event = channel.message()
        except OVER as exc:
            self._fail(exc)
            raise
        if trace.enabled:
            self._trace_event(event)
        if isinstance(event, str | bytes):
            return event
        frame = self._frame_of(event)
        if frame.opcode == ABNF.OPCODE_TEXT:
            return str(frame.data, "utf-8") if not isinstance(frame.data, str) else frame.data
        return event[1] if frame.opcode == ABNF.OPCODE_BINARY else ""

    def recv_data(self, control_frame: bool = False) -> tuple[int, bytes]:
        """Wait for the next message, or also for a control frame.

        Args:
            control_frame: Whether to return pings and pongs, too.

        Returns:
            The opcode, and the payload as bytes, also of a text.

        Raises:
            WebSocketException: As :meth:`recv`.
        """
        opcode, frame = self.recv_data_frame(control_frame)
        return opcode, frame.data  # type: ignore[return-value]

    def recv_data_frame(self, control_frame: bool = False) -> tuple[int, ABNF]:
        """Wait for the next message, or also for a control frame; see :meth:`recv_data`.

        Args:
            control_frame: Whether to return pings and pongs, too.

        Returns:
            The opcode, and a frame whose ``data`` is the payload.
        """
        while True:
            frame = self.recv_frame()
            if control_frame or frame.opcode not in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
                return frame.opcode, frame

    def recv_frame(self) -> ABNF:
        """Wait for the next message or control frame.

        Returns:
            It as a frame; a fragmented message as one frame, unless ``fire_cont_frame`` was set.
            Pings and close frames have been answered already.

        Raises:
            WebSocketException: As :meth:`recv`.
        """
        channel = self._channel
        if channel is None:
            raise WebSocketConnectionClosedException("Connection is closed")
        return self._frame_of(self._receive(channel))

    def events(self) -> Iterator[Any]:
        """Read once, and iterate over what that brings; for :class:`.app.WebSocketApp`.

        Yields:
            Events, as :mod:`.channel` describes them.

        Raises:
            WebSocketException: As :meth:`recv`.
        """
        channel = self._channel
        if channel is None:
            raise WebSocketConnectionClosedException("Connection is closed")
        if not channel.waiting():
            try:
                channel.read()
            except OVER as exc:
                self._fail(exc)
                raise
        while channel.waiting():
            yield self._receive(channel)

    def wait(self, timeout: float | None) -> bool:
        """Wait until there is something to receive.

        Args:
            timeout: Seconds; ``None`` for ever.

        Returns:
            Whether there is; also when the connection has ended, which receiving then tells.
        """
        channel = self._channel
        return channel is None or channel.waiting() or channel.transport.wait(timeout)

    def pending(self) -> bool:
        """Tell whether there is something to receive that the socket does not show."""
        channel = self._channel
        return channel is not None and (channel.waiting() or channel.transport.pending())

    def _receive(self, channel: Channel) -> Any:
        try:
            event = channel.receive()
        except OVER as exc:
            self._fail(exc)
            raise
        if trace.enabled:
            self._trace_event(event)
        return event

    def _frame_of(self, event: Any) -> ABNF:
        if isinstance(event, str):
            return ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 0, event.encode())
        if isinstance(event, bytes):
            return ABNF(1, 0, 0, 0, ABNF.OPCODE_BINARY, 0, event)
        opcode, payload, fin = event
        if opcode == ABNF.OPCODE_CLOSE:
            self.connected = False
        return ABNF(int(fin), 0, 0, 0, opcode, 0, payload)

    def _trace_event(self, event: Any) -> None:
        connected = self.connected
        frame = self._frame_of(event)
        self.connected = connected
        trace.message(f"++Rcv raw: {frame.format()!r}")
        trace.message(f"++Rcv decoded: {frame}")

    def __iter__(self) -> Iterator[str | bytes]:
        """Receive messages until the connection is closed, which raises."""
        while True:
            yield self.recv()

    def __next__(self) -> str | bytes:
        return self.recv()

    def next(self) -> str | bytes:
        """Wait for the next message; see :meth:`recv`."""
        return self.recv()

    # Closing

    def send_close(self, status: int = STATUS_NORMAL, reason: str | bytes = b"") -> None:
        """Send a close frame and do not wait for the server's, which :meth:`recv_data` returns.

        Args:
            status: The close code.
            reason: The reason, at most 123 bytes in UTF-8.

        Raises:
            ValueError: The code may not be sent.
        """
        code, text = _close_arguments(status, reason)
        channel = self._channel
        if channel is None:
            raise WebSocketConnectionClosedException("socket is already closed.")
        self.connected = False
        channel.send_close(code, text)

    def close(
        self,
        status: int = STATUS_NORMAL,
        reason: str | bytes = b"",
        timeout: float | None = CLOSE_TIMEOUT,
    ) -> None:
        """Close the connection: send a close frame, wait for the server's, close the socket.

        It does nothing when the connection is closed. Messages that have not been received yet
        are lost.

        Args:
            status: The close code.
            reason: The reason, at most 123 bytes in UTF-8.
            timeout: Seconds to wait for the server's close frame; ``None`` for ever.

        Raises:
            ValueError: The code may not be sent.
        """
        code, text = _close_arguments(status, reason)
        # A second thread waits until the first has closed it.
        with self._closing:
            channel = self._channel
            if channel is not None and self.connected:
                self.connected = False
                self.close_frame = None
                try:
                    channel.send_close(code, text)
                    self._await_close(channel, timeout)
                except (OSError, WebSocketException):
                    pass  # it is over in any case
            self.shutdown()

    def _await_close(self, channel: Channel, timeout: float | None) -> None:
        """Wait until the server's close frame is here, or another thread has received it."""
        deadline = None if timeout is None else monotonic() + timeout
        left = timeout
        while (channel.waiting() or not channel.ended) and (left is None or left >= 0):
            event = channel.receive_within(left)
            if event is None:
                break
            left = None if deadline is None else deadline - monotonic()
            frame = self._frame_of(event)
            if frame.opcode == ABNF.OPCODE_CLOSE:
                self.close_frame = frame
        if self.close_frame is None and (close := channel.connection.close_rcvd) is not None:
            self.close_frame = self._frame_of((ABNF.OPCODE_CLOSE, close.serialize(), True))

    def _fail(self, error: WebSocketException) -> None:
        """Close the socket after the connection has ended or failed."""
        channel = self._channel
        if channel is not None and not isinstance(error, WebSocketConnectionClosedException):
            # The close frame that tells why would be lost if the socket were closed while the
            # server is sending: it would be reset (RFC 6455 §7.1.1 asks to wait for its end).
            channel.drain(DRAIN_TIMEOUT)
        self.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _close_arguments(status: int, reason: str | bytes | None) -> tuple[int, str]:
    """Check the arguments for a close frame."""
    text = reason if isinstance(reason, str) else str(reason or b"", "utf-8")
    if status != STATUS_STATUS_NOT_AVAILABLE and not is_valid_close_code(status):
        raise ValueError(
            f"code is invalid range: {status} may not be sent;"
            " use 1000-1003, 1007-1014 or 3000-4999 (yours are 4000-4999)"
        )
    Close(status, text).serialize()  # refuses a reason that is too long
    return status, text


AnyWebSocket = TypeVar("AnyWebSocket", bound=WebSocket)


@overload
def create_connection(
    url: str, timeout: float | None = None, *, class_: type[AnyWebSocket], **options: Any
) -> AnyWebSocket: ...


@overload
def create_connection(url: str, timeout: float | None = None, **options: Any) -> WebSocket: ...


def create_connection(
    url: str,
    timeout: float | None = None,
    class_: type[WebSocket] = WebSocket,
    **options: Any,
) -> WebSocket:
    """Connect to a server.

    Args:
        url: Where to: ``ws://…`` or ``wss://…``.
        timeout: Seconds that connecting, sending and receiving may take; ``None`` for what
            :func:`.setdefaulttimeout` has set.
        class_: What to make.
        options: Options of :class:`WebSocket` and of :meth:`WebSocket.connect`.

    Returns:
        The open WebSocket.

    Raises:
        WebSocketException: As :meth:`WebSocket.connect`.

    Example:
        >>> create_connection("ws://localhost:0")
        Traceback (most recent call last):
            ...
        duplexio.websocket.sync.exceptions.WebSocketURLException: ws://localhost:0 isn't a valid\
 URI: '0' isn't a port; expected 1 to 65535
    """
    websocket = class_(**options)
    websocket.settimeout(getdefaulttimeout() if timeout is None else timeout)
    websocket.connect(url, **options)
    return websocket
