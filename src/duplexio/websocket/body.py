"""The body of a response that refuses the WebSocket, for the message that it may show."""

from __future__ import annotations

import re

from .exceptions import InvalidMessage, SecurityError
from .http11 import MAX_LINE_LENGTH, Response

__all__ = ["MAX_BODY_SIZE", "BodyReader"]

#: Largest body in bytes that is read. It is there to be shown to people, not for downloads.
MAX_BODY_SIZE = 1_048_576

# 18 digits are more than any body and less than what int() takes long for.
_is_length = re.compile(r"[0-9]{1,18}").fullmatch
_is_chunk_size = re.compile(rb"[0-9A-Fa-f]{1,15}").fullmatch


class BodyReader:
    """Reads the body of a response that refuses the WebSocket (RFC 9112 §6 and §7).

    Give it the bytes after the head with :meth:`feed` and the end of the stream with
    :meth:`feed_eof`, until :attr:`done`; :attr:`body` holds what came.

    Args:
        response: The response whose head was parsed.
        max_size: Largest body in bytes.

    Raises:
        SecurityError: The announced length is not a number or exceeds ``max_size``.
        InvalidMessage: The transfer coding is not ``chunked``.

    Example:
        >>> reader = BodyReader(Response(404, None, {"Content-Length": "5"}))
        >>> reader.feed(b"Gone\\n")
        >>> reader.done, bytes(reader.body)
        (True, b'Gone\\n')
    """

    __slots__ = ("_buffer", "_chunked", "_left", "body", "done", "max_size")

    def __init__(self, response: Response, max_size: int = MAX_BODY_SIZE) -> None:
        self.body = bytearray()
        self.done = False
        self.max_size = max_size
        self._buffer = bytearray()
        self._chunked = False
        # Bytes to come: of the body, or of the chunk with its CRLF; None until the stream's end.
        self._left: int | None = None
        codings = response.headers.get_all("Transfer-Encoding")
        lengths = set(response.headers.get_all("Content-Length"))
        status = response.status_code
        if status < 200 or status in (204, 304):
            self.done = True
        elif codings:
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise InvalidMessage(f"unsupported transfer coding {', '.join(codings)!r}")
            self._chunked = True
            self._left = 0
        elif lengths:
            length = lengths.pop()
            if lengths or not _is_length(length):
                raise SecurityError("invalid Content-Length in the response")
            self._left = int(length)
            self._check_size(self._left)
            self.done = self._left == 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes that follow the head; bytes after the body are dropped.

        Args:
            data: The bytes.

        Raises:
            SecurityError: When the body exceeds ``max_size``, or a chunk's size is malformed.
            InvalidMessage: When a chunk does not end where it said.
        """
        if self.done:
            return
        if self._chunked:
            self._buffer += data
            while self._feed_chunk():
                pass
            return
        if self._left is None:
            self._check_size(len(data))
            self.body += data
            return
        taken = data[: self._left]
        self.body += taken
        self._left -= len(taken)
        self.done = self._left == 0

    def feed_eof(self) -> None:
        """Take the end of the stream, which ends a body without a length.

        A body that ends early is kept as far as it came: it is shown to people, not used.
        """
        self.done = True

    def _feed_chunk(self) -> bool:
        """Take one step through the chunked coding; return whether there may be another."""
        buffer = self._buffer
        if self._left:
            if len(buffer) < self._left:
                return False
            if buffer[self._left - 2 : self._left] != b"\r\n":
                raise InvalidMessage("chunk of the response that does not end with CRLF")
            self.body += buffer[: self._left - 2]
            del buffer[: self._left]
            self._left = 0
        end = buffer.find(b"\r\n")
        if end < 0:
            if len(buffer) > MAX_LINE_LENGTH:
                raise SecurityError(f"chunk line longer than {MAX_LINE_LENGTH} bytes")
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        size = line.split(b";", 1)[0].strip(b" \t")
        if not _is_chunk_size(size):
            raise SecurityError(f"invalid chunk size {size[:20]!r} in the response")
        length = int(size, 16)
        if length == 0:
            # The trailer that may follow says nothing that anybody here would read.
            self.done = True
            return False
        self._check_size(length)
        self._left = length + 2
        return True

    def _check_size(self, more: int) -> None:
        if len(self.body) + more > self.max_size:
            raise SecurityError(f"the response's body exceeds {self.max_size} bytes")
