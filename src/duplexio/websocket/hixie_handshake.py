"""The opening handshakes of the drafts hixie-75 and hixie-76, both sides, without I/O.

Browsers of 2009 to 2011 speak them: Chrome 4 and 5 and Safari 5.0.0 the first, Chrome 6 to 13,
Firefox 4, Opera 11 and Safari 5.0.1 and iOS 4.2 to 5 the second. The second one is also known as
draft-ietf-hybi-thewebsocketprotocol-00.

In hixie-76 eight bytes follow the request's head without being announced, and sixteen the
response's. They prove that both sides mean a WebSocket: an HTTP request that a page could forge
has neither two such keys nor such a body.

Neither draft masks what a browser sends, so a page can make it look like a request to a proxy in
between. That is why RFC 6455 has masks, and why servers take these drafts only when told to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import md5
from typing import Literal

from ..errors import UsageError
from .exceptions import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from .handshake import Acceptance, Agreement, choose_subprotocol
from .headers import Headers, HeadersLike, build_subprotocol, parse_connection
from .http11 import Request, Response
from .origins import SAME_ORIGIN, Origins, check_origin
from .uri import WebSocketURI, parse_uri

__all__ = [
    "CHALLENGE_SIZE",
    "DIGEST_SIZE",
    "Draft",
    "HixieClientHandshake",
    "accept_hixie",
    "build_challenge_key",
    "challenge_response",
    "hixie_draft",
    "key_number",
]

#: The drafts.
Draft = Literal[75, 76]

#: Bytes that follow the head of a hixie-76 request.
CHALLENGE_SIZE = 8

#: Bytes that follow the head of the response to it.
DIGEST_SIZE = 16

_MAX_NUMBER = 2**32 - 1
# What a key is padded with: visible characters that are not digits (hixie-76 §4.1, step 20).
_PADDING = [chr(code) for code in range(0x21, 0x7F) if not 0x30 <= code <= 0x39]


def hixie_draft(request: Request) -> Draft | None:
    """Recognise a request of one of the drafts.

    Args:
        request: The request.

    Returns:
        76 when it has a key of that draft, in which case :data:`CHALLENGE_SIZE` bytes follow the
        head; 75 when it has none; ``None`` when it is another request.

    Example:
        >>> request = Request("/", {"Upgrade": "WebSocket", "Connection": "Upgrade"})
        >>> hixie_draft(request)
        75
    """
    fields = request.fields
    if fields.get("upgrade", "").lower() != "websocket":
        return None
    if "sec-websocket-version" in fields or "sec-websocket-key" in fields:
        return None
    return 76 if "sec-websocket-key1" in fields or "sec-websocket-key2" in fields else 75


def key_number(name: str, key: str) -> int:
    """Decode a key of hixie-76 (§5.2, steps 4 to 8): its digits, divided by its spaces.

    Args:
        name: The header's name, for the exception.
        key: The header's value.

    Returns:
        The number, which fits in 32 bits.

    Raises:
        InvalidHeaderValue: When there are no digits, no spaces or too many digits, or when the
            number is not divisible by the spaces: it was not made by a WebSocket client.

    Example:
        >>> key_number("Sec-WebSocket-Key1", "4 @1  46546xW%0l 1 5")
        829309203
    """
    digits = "".join([c for c in key if "0" <= c <= "9"])
    spaces = key.count(" ")
    if not digits:
        raise InvalidHeaderValue(name, f"{key[:60]}; expected digits in it")
    if not spaces:
        raise InvalidHeaderValue(name, f"{key[:60]}; expected spaces in it")
    digits = digits.lstrip("0") or "0"
    # Checked as text: int() takes quadratic time in the length.
    if len(digits) > 10 or int(digits) > _MAX_NUMBER:
        raise InvalidHeaderValue(name, f"{key[:60]}; expected a number of 32 bits")
    number, rest = divmod(int(digits), spaces)
    if rest:
        raise InvalidHeaderValue(
            name, f"{key[:60]}; expected {digits} to be a multiple of its {spaces} spaces"
        )
    return number


def challenge_response(key1: str, key2: str, challenge: bytes) -> bytes:
    """Answer the challenge of hixie-76 (§5.2, steps 9 and 10).

    Args:
        key1: Value of ``Sec-WebSocket-Key1``.
        key2: Value of ``Sec-WebSocket-Key2``.
        challenge: The eight bytes after the request's head.

    Returns:
        The sixteen bytes after the response's head.

    Raises:
        InvalidHeaderValue: When a key is not acceptable; see :func:`key_number`.

    Example:
        >>> challenge_response("4 @1  46546xW%0l 1 5", "12998 5 Y3 1  .P00", b"^n:ds[4U")
        b"8jKS'y:G*Co,Wxa-"
    """
    first = key_number("Sec-WebSocket-Key1", key1)
    second = key_number("Sec-WebSocket-Key2", key2)
    return _digest(first, second, challenge)


def accept_hixie(
    request: Request,
    challenge: bytes = b"",
    *,
    secure: bool = False,
    origins: Origins = SAME_ORIGIN,
    subprotocols: Sequence[str] | None = None,
    select_subprotocol: Callable[[Sequence[str]], str | None] | None = None,
    extra: bytes = b"",
) -> Acceptance:
    """Accept a request of one of the drafts (hixie-75 §4, hixie-76 §5).

    Args:
        request: The request, for which :func:`hixie_draft` returned a draft.
        challenge: For hixie-76 the eight bytes after its head, which the caller waits for.
        secure: Whether the connection uses TLS, as the client sees it: the scheme in the answer
            must be the one that the client connects with.
        origins: Which origins are allowed; see :data:`.origins.Origins`.
        subprotocols: As for :func:`.handshake.accept`.
        select_subprotocol: As for :func:`.handshake.accept`.
        extra: Lines of further headers; the drafts' browsers accept them for hixie-76 only, so
            hixie-75 leaves them out.

    Returns:
        The response, digest included, and what was negotiated; there are no extensions.

    Raises:
        InvalidHandshake: The request is not acceptable; see :func:`.handshake.rejection`.
    """
    draft = hixie_draft(request)
    fields = request.fields
    if draft is None:
        raise InvalidUpgrade("Upgrade", fields.get("upgrade"))
    if request.method != "GET":
        raise InvalidMethod(request.method)
    connection = fields.get("connection", "")
    if not connection or "upgrade" not in [item.lower() for item in parse_connection(connection)]:
        raise InvalidUpgrade("Connection", connection or None)
    host = fields.get("host")
    if not host:
        raise InvalidHeader("Host", host)
    origin = fields.get("origin")
    check_origin(origin, host, origins)
    digest = b""
    if draft == 76:
        for name in ("Sec-WebSocket-Key1", "Sec-WebSocket-Key2"):
            if name.lower() not in fields:
                raise InvalidHeader(name)
        if len(challenge) != CHALLENGE_SIZE:
            raise InvalidMessage(
                f"{len(challenge)} bytes after the head; expected {CHALLENGE_SIZE}"
            )
        digest = challenge_response(
            fields["sec-websocket-key1"], fields["sec-websocket-key2"], challenge
        )
    prefix = "Sec-WebSocket" if draft == 76 else "WebSocket"
    subprotocol = None
    if subprotocols or select_subprotocol is not None:
        # A client of these drafts offers one, which was not a list yet.
        offered = [fields[name] for name in (f"{prefix}-Protocol".lower(),) if name in fields]
        subprotocol = choose_subprotocol(offered, subprotocols or (), select_subprotocol)
    lines = [
        # Browsers compare the first three lines of hixie-75 byte by byte.
        f"HTTP/1.1 101 Web{' ' if draft == 75 else ''}Socket Protocol Handshake",
        "Upgrade: WebSocket",
        "Connection: Upgrade",
        f"{prefix}-Origin: {'null' if origin is None else origin}",
        f"{prefix}-Location: {'wss' if secure else 'ws'}://{host}{request.path}",
    ]
    if subprotocol is not None:
        lines.append(f"{prefix}-Protocol: {subprotocol}")
    request.compact()
    head = "".join([f"{line}\r\n" for line in lines]).encode("latin-1")
    data = b"".join((head, extra if draft == 76 else b"", b"\r\n", digest))
    return Acceptance(data, subprotocol, [])


def build_challenge_key(randbelow: Callable[[int], int]) -> tuple[str, int]:
    """Make a key of hixie-76 (§4.1, steps 16 to 22).

    Args:
        randbelow: Returns a random number from zero up to, and without, its argument, such as
            ``secrets.randbelow``.

    Returns:
        The key and the number that it encodes.
    """
    spaces = 1 + randbelow(12)
    number = randbelow(_MAX_NUMBER // spaces + 1)
    characters = list(str(number * spaces))
    for _ in range(1 + randbelow(12)):
        padding = _PADDING[randbelow(len(_PADDING))]
        characters.insert(randbelow(len(characters) + 1), padding)
    for _ in range(spaces):
        # Neither first nor last, where readers of HTTP would strip them.
        characters.insert(1 + randbelow(len(characters) - 1), " ")
    return "".join(characters), number


class HixieClientHandshake:
    """The client's side of the opening handshake of the drafts (hixie-76 §4.1).

    Args:
        uri: Where to connect.
        draft: 75 or 76.
        randbelow: Source of randomness; see :func:`build_challenge_key`.
        origin: Value of the ``Origin`` header, without which these drafts have no handshake; the
            URI's own host by default.
        subprotocol: Subprotocol to offer; the drafts know one only.
        headers: Further headers.

    Attributes:
        uri: The URI in its parts.
        data: The request's bytes, with the challenge at their end.
        digest_size: How many bytes follow the response's head.

    Raises:
        InvalidURI: The URI is not valid.
        UsageError: A header or the subprotocol cannot be sent.
    """

    __slots__ = ("_expected", "_origin", "_prefix", "_subprotocol", "data", "digest_size", "uri")

    def __init__(
        self,
        uri: str | WebSocketURI,
        draft: Draft,
        randbelow: Callable[[int], int],
        *,
        origin: str | None = None,
        subprotocol: str | None = None,
        headers: HeadersLike = (),
    ) -> None:
        self.uri = parse_uri(uri) if isinstance(uri, str) else uri
        if origin is None:
            origin = f"{'https' if self.uri.secure else 'http'}://{self.uri.host_header}"
        self._origin = origin
        self._subprotocol = subprotocol
        self._prefix = "Sec-WebSocket" if draft == 76 else "WebSocket"
        self._expected = b""
        challenge = b""
        request = Headers()
        # The first two lines have this order and this spelling in hixie-75.
        request["Upgrade"] = "WebSocket"
        request["Connection"] = "Upgrade"
        request["Host"] = self.uri.host_header
        try:
            request["Origin"] = origin
            request.update(headers)
        except InvalidHeader as exc:
            raise UsageError(f"a header of the request cannot be sent: {exc}") from exc
        if subprotocol is not None:
            request[f"{self._prefix}-Protocol"] = build_subprotocol([subprotocol])
        if draft == 76:
            request["Sec-WebSocket-Key1"], first = build_challenge_key(randbelow)
            request["Sec-WebSocket-Key2"], second = build_challenge_key(randbelow)
            challenge = bytes([randbelow(256) for _ in range(CHALLENGE_SIZE)])
            self._expected = _digest(first, second, challenge)
        self.digest_size = len(self._expected)
        self.data = Request(self.uri.resource_name, request).serialize() + challenge

    def check_response(self, response: Response, digest: bytes = b"") -> Agreement:
        """Check the server's response (hixie-76 §4.1, steps 33 to 45).

        Args:
            response: The response.
            digest: The :attr:`digest_size` bytes after its head.

        Returns:
            What was agreed on; there are no extensions.

        Raises:
            InvalidStatus: The status is not 101.
            InvalidHeader: A header is missing, double or wrong.
            NegotiationError: The subprotocol is not the one that was offered.
            InvalidMessage: The digest is wrong: the server did not understand the challenge.
        """
        if response.status_code != 101:
            raise InvalidStatus(response)
        headers = response.headers
        if _value(headers, "Upgrade").lower() != "websocket":
            raise InvalidUpgrade("Upgrade", headers["Upgrade"])
        if _value(headers, "Connection").lower() != "upgrade":
            raise InvalidUpgrade("Connection", headers["Connection"])
        for suffix, expected in (("Origin", self._origin), ("Location", str(self.uri))):
            name = f"{self._prefix}-{suffix}"
            if _value(headers, name) != expected:
                raise InvalidHeaderValue(name, f"{headers[name]}; expected {expected}")
        chosen = headers.get_all(f"{self._prefix}-Protocol")
        offered = [] if self._subprotocol is None else [self._subprotocol]
        if chosen != offered:
            raise NegotiationError(
                f"the server chose the subprotocol {', '.join(chosen) or 'none'};"
                f" offered: {', '.join(offered) or 'none'}"
            )
        if digest != self._expected:
            raise InvalidMessage("the server's answer to the challenge is wrong")
        return Agreement(self._subprotocol, [])


def _digest(first: int, second: int, challenge: bytes) -> bytes:
    message = first.to_bytes(4, "big") + second.to_bytes(4, "big") + challenge
    # MD5 protects nothing here; it is what the draft says.
    return md5(message, usedforsecurity=False).digest()


def _value(headers: Headers, name: str) -> str:
    """Return the value of a header that must be there once."""
    values = headers.get_all(name)
    if len(values) != 1:
        raise InvalidHeader(name, f"multiple values: {', '.join(values)}" if values else None)
    return values[0]
