"""The few things about HTTP that the chat's pages and polls need, on ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .errors import ChatError

__all__ = ["BodyTooLarge", "Receive", "Scope", "Send", "header", "read_body", "respond"]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class BodyTooLarge(ChatError):
    """The body of a request is larger than the limit."""


def header(scope: Scope, name: bytes) -> str | None:
    """Return the value of a header of a request, if it is there.

    Args:
        scope: The ASGI scope.
        name: The name in small letters.
    """
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read the body of a request.

    Args:
        receive: The application's ``receive``.
        limit: How many bytes it may have.

    Raises:
        BodyTooLarge: When it has more.
        ConnectionError: When the client is gone.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client is gone")
        body += message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge(
                "too_large",
                f"This is too large: it has more than the {limit:,} bytes that are allowed.",
            )
        if not message.get("more_body"):
            return bytes(body)


async def respond(
    send: Send,
    status: int,
    body: bytes | str = b"",
    kind: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer a request.

    Args:
        send: The application's ``send``.
        status: The status.
        body: The body.
        kind: The value of ``Content-Type``.
        headers: Further headers.
    """
    data = body.encode() if isinstance(body, str) else body
    lines = [(b"x-content-type-options", b"nosniff"), *headers]
    # RFC 9110 §6.4.1: 204 and 304 have no body.
    if status not in (204, 304):
        lines += [
            (b"content-type", kind.encode("latin-1")),
            (b"content-length", b"%d" % len(data)),
        ]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": data})
