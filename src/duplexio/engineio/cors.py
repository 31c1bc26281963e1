"""Which pages may talk to the server: origins, and the answers of CORS.

A browser lets a page send requests anywhere, with the user's cookies, and says in ``Origin`` where
the page is from. Whether the page may read the answers is what CORS is about (Fetch §3.2);
WebSockets and the scripts of JSONP it may read without, so there the request itself is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from ..errors import UsageError
from ..websocket.exceptions import InvalidOrigin
from ..websocket.origins import SAME_ORIGIN, check_origin
from .exceptions import FORBIDDEN, RequestError
from .request import HttpRequest

__all__ = ["AllowedOrigins", "Cors"]

#: Origins that are allowed: ``None`` for the server's own, ``"*"`` for all, one, a list of them, or
#: a callable that is given the origin, or the origin and ``environ``. An empty list switches the
#: handling off.
AllowedOrigins = str | Sequence[str] | Callable[..., bool] | None

HeaderList = tuple[tuple[bytes, bytes], ...]


class Cors:
    """The rules of one server.

    Args:
        allowed: The origins.
        credentials: Whether browsers may send cookies; by default they may, unless all origins are
            allowed.

    Attributes:
        all: Whether all origins are allowed.
        off: Whether this is somebody else's business.

    Raises:
        UsageError: When an origin is none.
    """

    def __init__(self, allowed: AllowedOrigins = None, credentials: bool | None = None) -> None:
        self._check: Callable[..., bool] | None = None
        self._wants_environ = False
        self._origins: frozenset[str] | None = None
        self.off = False
        if isinstance(allowed, str):
            allowed = [allowed]
        if callable(allowed):
            self._check = allowed
            self._wants_environ = _takes_two(allowed)
        elif allowed is not None:
            self.off = not allowed
            self._origins = frozenset(allowed)
            for origin in self._origins - {"*", "null"}:
                if "://" not in origin or origin.endswith("/"):
                    raise UsageError(
                        f"cors_allowed_origins has {origin!r}; expected scheme, host and port as in"
                        " 'https://example.com', or '*' for all"
                    )
        self.all = self._origins is not None and "*" in self._origins
        self.credentials = not self.all if credentials is None else bool(credentials)

    def allows(self, request: HttpRequest, origin: str) -> bool:
        """Tell whether pages of an origin are allowed.

        Args:
            request: The request.
            origin: The origin.
        """
        if self.all:
            return True
        if self._check is not None:
            if self._wants_environ:
                return bool(self._check(origin, request.environ))
            return bool(self._check(origin))
        if self._origins:
            return origin in self._origins
        hosts = [request.header("host") or ""]
        forwarded = request.header("x-forwarded-host")
        if forwarded:
            # A page of another origin cannot set this header without being asked about (Fetch
            # §2.2.2), which is when we refuse.
            hosts.append(forwarded.partition(",")[0].strip())
        return any(_same_host(origin, host) for host in hosts)

    def check(self, request: HttpRequest, script: bool) -> HeaderList:
        """Check where a request comes from, and return the headers that its answer needs.

        Args:
            request: The request.
            script: Whether it is one of JSONP.

        Raises:
            RequestError: The page may not do that.
        """
        if script and not self.all:
            self._check_script(request)
        if self.off:
            return ()
        origin = request.header("origin")
        if origin is None:
            return ()
        if not self.allows(request, origin):
            detail = (
                f"pages of {origin!r} may not connect; cors_allowed_origins=[{origin!r}] would let"
                " them"
            )
            if self._origins is None and self._check is None:
                host = request.header("host") or ""
                detail += (
                    f". The request was sent to the host {host!r}; if a browser would see another"
                    " one, a proxy in front has to pass its header 'Host' on"
                )
            raise RequestError(FORBIDDEN, "Origin not allowed", detail)
        return self._headers(origin)

    def _headers(self, origin: str) -> HeaderList:
        if self.all and not self.credentials:
            return ((b"access-control-allow-origin", b"*"),)
        headers: HeaderList = (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"vary", b"Origin"),
        )
        if self.credentials:
            headers += ((b"access-control-allow-credentials", b"true"),)
        return headers

    def preflight(self, request: HttpRequest, headers: HeaderList) -> HeaderList:
        """Return the headers of the answer to a browser that asks first (Fetch §3.2.2).

        Args:
            request: The request, whose method is OPTIONS.
            headers: What :meth:`check` has returned.
        """
        if self.off or not headers:
            return headers
        headers += ((b"access-control-allow-methods", b"GET, POST, OPTIONS"),)
        wanted = request.header("access-control-request-headers")
        if wanted:
            headers += ((b"access-control-allow-headers", wanted.encode("latin-1")),)
        return headers

    def _check_script(self, request: HttpRequest) -> None:
        """Check who includes a script: browsers send cookies with it, and no Origin."""
        site = request.header("sec-fetch-site")
        origin = request.header("origin") or _origin_of(request.header("referer"))
        if site == "cross-site" or origin is None or not self.allows(request, origin):
            raise RequestError(
                FORBIDDEN,
                "Origin not allowed",
                f"a JSONP request from {origin or 'an unknown page'!r}; only pages of allowed"
                " origins, that say so in Origin or Referer, may send such",
            )


def _takes_two(check: Callable[..., bool]) -> bool:
    """Tell whether a callable wants ``environ`` besides the origin."""
    try:
        signature = inspect.signature(check)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind("origin", {})
    except TypeError:
        return False
    return True


def _origin_of(url: str | None) -> str | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else None


def _same_host(origin: str, host: str) -> bool:
    try:
        check_origin(origin, host, SAME_ORIGIN)
    except InvalidOrigin:
        return False
    return True
