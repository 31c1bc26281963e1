"""Cookies that servers set in the handshake, sent back in later ones."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from threading import Lock

__all__ = ["COOKIES", "CookieJar"]


class CookieJar:
    """Keeps the cookies that servers set for a domain, as long as the process lives.

    As in websocket-client, a cookie without ``Domain`` is not kept. Unlike there, one for a domain
    that the server does not belong to is not kept either (RFC 6265 §5.3, step 6).

    Example:
        >>> jar = CookieJar()
        >>> jar.add("a.example.com", ["id=1; Domain=example.com"])
        >>> jar.get("b.example.com"), jar.get("example.org")
        ('id=1', '')
    """

    def __init__(self) -> None:
        self._domains: dict[str, dict[str, str]] = {}
        self._lock = Lock()

    def add(self, host: str, set_cookies: list[str]) -> None:
        """Keep cookies.

        Args:
            host: The server's name.
            set_cookies: Values of its ``Set-Cookie`` headers; what is not valid is left out.
        """
        for value in set_cookies:
            try:
                cookies = SimpleCookie(value)
            except CookieError:
                continue
            for name, morsel in cookies.items():
                domain = morsel["domain"].lower().lstrip(".")
                # A name without a dot is a top-level domain, that all of its sites would share.
                if "." in domain and _belongs(host, domain):
                    with self._lock:
                        self._domains.setdefault(domain, {})[name] = morsel.coded_value

    def get(self, host: str) -> str:
        """Return the value of the ``Cookie`` header for a server; empty without cookies."""
        with self._lock:
            pairs = [
                f"{name}={value}"
                for domain, cookies in self._domains.items()
                if _belongs(host, domain)
                for name, value in cookies.items()
            ]
        return "; ".join(sorted(pairs))


def _belongs(host: str, domain: str) -> bool:
    host = host.lower()
    return host == domain or host.endswith("." + domain)


#: The cookies of the process.
COOKIES = CookieJar()
