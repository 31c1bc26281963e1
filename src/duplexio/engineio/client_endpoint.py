"""Where a server is: the addresses and headers of a client's requests."""

from __future__ import annotations

import itertools
import ssl
import time
from urllib.parse import urlsplit, urlunsplit

from ..errors import UsageError
from .client_options import ClientOptions

__all__ = ["Endpoint"]

_SCHEMES = {"http": False, "https": True, "ws": False, "wss": True}

# Makes the timestamps of requests in the same millisecond differ.
_numbers = itertools.count()


class Endpoint:
    """The addresses of one server.

    Args:
        url: Address of the server, ``http://…``, ``https://…``, ``ws://…`` or ``wss://…``; its
            query is sent with all requests, its path is replaced by the ``engineio_path``.
        options: The path, headers, and whether requests carry a timestamp.

    Raises:
        UsageError: The URL is none of a server.

    Example:
        >>> endpoint = Endpoint("http://localhost:5000?token=x", ClientOptions())
        >>> endpoint.websocket_uri(4, "abc")
        'ws://localhost:5000/engine.io/?token=x&transport=websocket&EIO=4&sid=abc'
    """

    def __init__(self, url: str, options: ClientOptions) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.netloc:
            raise UsageError(f"the URL is {url!r}; expected http://, https://, ws:// or wss://")
        self.secure = _SCHEMES[parts.scheme]
        self.headers = dict(options.headers)
        self._netloc = parts.netloc
        self._path = f"/{options.engineio_path.strip('/')}/"
        self._query = parts.query
        self._stamped = options.timestamp_requests

    def _address(self, schemes: tuple[str, str], transport: str, protocol: int, sid: str) -> str:
        fields = [self._query] if self._query else []
        fields += [f"transport={transport}", f"EIO={protocol}"]
        if sid:
            fields.append(f"sid={sid}")
        if transport == "polling" and self._stamped:
            fields.append(f"t={time.time_ns() // 1_000_000:x}.{next(_numbers)}")
        return urlunsplit((schemes[self.secure], self._netloc, self._path, "&".join(fields), ""))

    def polling_url(self, protocol: int, sid: str = "") -> str:
        """Return the address of a polling request.

        Args:
            protocol: Version of Engine.IO, 3 or 4.
            sid: The session's id; empty for the first request.
        """
        return self._address(("http", "https"), "polling", protocol, sid)

    def websocket_uri(self, protocol: int, sid: str = "") -> str:
        """Return the address of the WebSocket.

        Args:
            protocol: Version of Engine.IO, 3 or 4.
            sid: The session's id; empty for a new session.
        """
        return self._address(("ws", "wss"), "websocket", protocol, sid)

    def tls(self, options: ClientOptions) -> ssl.SSLContext | None:
        """Return the settings of TLS; ``None`` for the default ones, or without TLS.

        Args:
            options: Those that the application gave.
        """
        if not self.secure:
            return None
        if options.ssl is not None or options.ssl_verify:
            given: ssl.SSLContext | None = options.ssl
            return given
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
