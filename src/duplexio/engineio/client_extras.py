"""What users of other clients give to configure them, in terms of our options.

python-engineio hands some settings on to the libraries that it is made of: ``aiohttp``,
``websocket-client`` and ``requests``. Here they are read by their names, without importing these.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from ..errors import UsageError

__all__ = ["from_aiohttp", "from_aiohttp_session", "from_requests", "from_websocket_client"]

#: Arguments that stay with the opening handshake and the event loop's ``create_connection``.
_OPENING = (
    "origin",
    "subprotocols",
    "ssl",
    "server_hostname",
    "local_addr",
    "host",
    "port",
    "sock",
)

#: Arguments of those libraries whose business is ours: heartbeats, answers to pings, threads.
_NEEDLESS = (
    "autoclose",
    "autoping",
    "enable_multithread",
    "heartbeat",
    "receive_timeout",
    "skip_utf8_validation",
)


def from_aiohttp(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Translate arguments of ``aiohttp.ClientSession.ws_connect``.

    Args:
        given: The arguments.
        settings: Options given otherwise.

    Returns:
        Options.

    Raises:
        UsageError: There is no such argument.
    """
    options: dict[str, Any] = {}
    opening: dict[str, Any] = {}
    for name, value in given.items():
        if name == "ssl" and value is False:
            options["ssl_verify"] = False
        elif name == "ssl":
            options["ssl"] = None if value is True else value
        elif name == "protocols":
            opening["subprotocols"] = list(value)
        elif name == "headers":
            options["headers"] = {**settings.get("headers", {}), **dict(value)}
        elif name == "max_msg_size":
            options["max_size"] = value or 2**62
        elif name == "compress":
            options["permessage_deflate"] = bool(value)
        elif name == "proxy":
            options["proxy"] = value
        elif name == "timeout":
            options["close_timeout"] = float(getattr(value, "ws_close", value) or 5)
        else:
            _take(name, value, opening)
    return options | {"websocket_extra_options": opening}


def from_websocket_client(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Translate arguments of ``websocket.create_connection``.

    Args:
        given: The arguments.
        settings: Options given otherwise.

    Returns:
        Options.

    Raises:
        UsageError: There is no such argument.
    """
    options: dict[str, Any] = {}
    opening: dict[str, Any] = {}
    headers = dict(settings.get("headers", {}))
    for name, value in given.items():
        if name == "sslopt":
            options["ssl"] = tls_context(value or {})
        elif name == "header":
            lines = value.items() if isinstance(value, Mapping) else map(_header, value or ())
            headers |= dict(lines)
        elif name == "cookie" and value:
            headers["Cookie"] = value
        elif name == "timeout":
            if value is not None:
                options["request_timeout"] = value
        elif name == "http_proxy_host":
            if value:
                options["proxy"] = _proxy_address(given)
        elif name in ("http_proxy_port", "http_proxy_auth", "proxy_type", "cookie"):
            pass
        elif name == "suppress_origin":
            pass  # there is no Origin header but the one that is given
        else:
            _take(name, value, opening)
    if headers:
        options["headers"] = headers
    return options | {"websocket_extra_options": opening}


def from_aiohttp_session(http: Any, url: str) -> dict[str, Any]:
    """Take from an ``aiohttp.ClientSession`` what the WebSocket has to have of it, too.

    Args:
        http: The client of HTTP.
        url: Where it connects.

    Returns:
        The headers of the WebSocket as ``websocket_headers``, and ``ssl`` or ``ssl_verify``.
    """
    headers: dict[str, str] = {str(name): value for name, value in http.headers.items()}
    # Imported here since programs without such a session need it not.
    from yarl import URL

    jar = http.cookie_jar.filter_cookies(URL(url))
    if jar:
        headers["Cookie"] = "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())
    auth = getattr(http, "auth", None)
    if auth is not None:
        headers["Authorization"] = auth.encode()
    options: dict[str, Any] = {"websocket_headers": headers}
    context = getattr(http.connector, "_ssl", None)
    if isinstance(context, ssl.SSLContext):
        options["ssl"] = context
    elif context is False:
        options["ssl_verify"] = False
    return options


def from_requests(http: Any) -> dict[str, Any]:
    """Take the settings of a ``requests.Session``.

    Args:
        http: The client of HTTP, which itself is not used.

    Returns:
        Options: headers with cookies and Basic Authentication, TLS, and the proxy.

    Raises:
        UsageError: Its authentication is not Basic Authentication.
    """
    # What requests calls itself, and how it wants its answers, is not ours to say.
    own = {"user-agent", "accept", "accept-encoding", "connection"}
    headers = {name: value for name, value in http.headers.items() if name.lower() not in own}
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies)
    if cookies:
        headers["Cookie"] = cookies
    if http.auth is not None:
        if not isinstance(http.auth, tuple):
            raise UsageError(f"the session's auth is {http.auth!r}; expected a pair, for Basic")
        headers["Authorization"] = "Basic " + b64encode(":".join(http.auth).encode()).decode()
    options: dict[str, Any] = {"headers": headers}
    tls: dict[str, Any] = {}
    if isinstance(http.verify, str):
        tls["ca_certs"] = http.verify
    elif not http.verify:
        options["ssl_verify"] = False
        tls["cert_reqs"] = ssl.CERT_NONE
    if http.cert:
        pair = http.cert if isinstance(http.cert, tuple) else (http.cert, None)
        tls |= {"certfile": pair[0], "keyfile": pair[1]}
    if "ca_certs" in tls or "certfile" in tls:
        options["ssl"] = tls_context(tls)
    proxies = http.proxies or {}
    proxy = next((proxies[name] for name in ("https", "http", "all") if proxies.get(name)), None)
    if proxy:
        options["proxy"] = proxy if "://" in proxy else f"http://{proxy}"
    return options


def tls_context(given: Mapping[str, Any]) -> ssl.SSLContext:
    """Make settings of TLS of the dictionary that ``websocket-client`` calls ``sslopt``.

    Args:
        given: The dictionary.
    """
    if isinstance(given.get("context"), ssl.SSLContext):
        context: ssl.SSLContext = given["context"]
        return context
    context = ssl.create_default_context(
        cafile=given.get("ca_certs"), capath=given.get("ca_cert_path")
    )
    if given.get("certfile"):
        context.load_cert_chain(given["certfile"], given.get("keyfile"), given.get("password"))
    if given.get("cert_reqs", ssl.CERT_REQUIRED) == ssl.CERT_NONE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif given.get("check_hostname") is False:
        context.check_hostname = False
    return context


def _take(name: str, value: Any, opening: dict[str, Any]) -> None:
    if name in _OPENING:
        opening[name] = value
    elif name not in _NEEDLESS:
        raise UsageError(
            f"websocket_extra_options has {name!r}, which this client cannot make use of"
        )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _proxy_address(given: Mapping[str, Any]) -> str:
    scheme = given.get("proxy_type") or "http"
    auth = given.get("http_proxy_auth")
    user = f"{auth[0]}:{auth[1]}@" if auth else ""
    port = given.get("http_proxy_port")
    return f"{scheme}://{user}{given['http_proxy_host']}" + (f":{port}" if port else "")
