"""HTTP headers: the multi-mapping, and the grammars of the values that the handshake reads.

The grammars are those of RFC 9110 §5.6 (token, quoted-string, list), RFC 6455 §9.1 (extensions) and
RFC 7617 (Basic authentication). Each is read in one pass, in time linear in the value's length;
the length is bounded by ``http11.MAX_LINE_LENGTH``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

from ..errors import UsageError
from .exceptions import InvalidHeader, InvalidHeaderFormat, InvalidHeaderValue

__all__ = [
    "TOKEN",
    "ExtensionOffer",
    "ExtensionParameter",
    "Headers",
    "HeadersLike",
    "MultipleValuesError",
    "build_authorization_basic",
    "build_extension",
    "build_subprotocol",
    "build_www_authenticate_basic",
    "parse_authorization_basic",
    "parse_connection",
    "parse_extension",
    "parse_subprotocol",
    "parse_upgrade",
]

#: A parameter of an extension: its name and its value, if it has one.
ExtensionParameter = tuple[str, str | None]

#: An extension and its parameters, as in one element of ``Sec-WebSocket-Extensions``.
ExtensionOffer = tuple[str, list[ExtensionParameter]]

#: Regular expression of a token (RFC 9110 §5.6.2).
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

_is_token = re.compile(TOKEN).fullmatch
# field-content of RFC 9110 §5.5: visible characters, space, tab and obs-text.
_is_field_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# The space around elements is skipped with them. No two neighbours below can match the same
# character, so nothing is ever tried twice.
_token = re.compile(rf"[ \t]*({TOKEN})[ \t]*").match
_protocol = re.compile(rf"[ \t]*({TOKEN}(?:/{TOKEN})?)[ \t]*").match
_quoted = re.compile(
    r'[ \t]*"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)"[ \t]*'
).match
_commas = re.compile(r"[ \t,]*").match
_unquote = re.compile(r"\\(.)").sub
_basic = re.compile(r"(?i:basic) +([A-Za-z0-9\-._~+/]+=*)").fullmatch


class MultipleValuesError(LookupError):
    """Raised by ``headers[name]`` when there are several headers of that name."""

    def __str__(self) -> str:
        return repr(self.args[0]) if len(self.args) == 1 else super().__str__()


class Headers(MutableMapping[str, str]):
    """HTTP headers: a multi-mapping whose names are compared without regard to case.

    - ``headers[name]`` gives the value; it raises :exc:`KeyError` when there is none and
      :exc:`MultipleValuesError` when there are several.
    - ``headers[name] = value`` *adds* a header, also when there is one of that name already.
    - ``del headers[name]`` removes all of that name.
    - Iterating gives each name once, in lower case.
    - :meth:`get_all` and :meth:`raw_items` show every header.

    Text is Latin-1, in which every byte that may come is one character.

    Args:
        args: Other headers: :class:`Headers`, a mapping, or an iterable of pairs.
        kwargs: More headers, for names that are identifiers.

    Example:
        >>> headers = Headers([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], Server="mine")
        >>> headers["server"], headers.get_all("set-cookie")
        ('mine', ['a=1', 'b=2'])
    """

    __slots__ = ("_dict", "_list")

    def __init__(self, *args: HeadersLike, **kwargs: str) -> None:
        self._dict: dict[str, list[str]] = {}
        self._list: list[tuple[str, str]] = []
        self.update(*args, **kwargs)

    def __str__(self) -> str:
        return "".join([f"{name}: {value}\r\n" for name, value in self._list]) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._list!r})"

    def copy(self) -> Headers:
        """Return a copy that changes independently."""
        copy = type(self)()
        copy._dict = {name: values.copy() for name, values in self._dict.items()}
        copy._list = self._list.copy()
        return copy

    def serialize(self) -> bytes:
        """Return the header lines and the empty line that ends them."""
        return str(self).encode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __getitem__(self, name: str) -> str:
        values = self._dict[name.lower()]
        if len(values) > 1:
            raise MultipleValuesError(name)
        return values[0]

    def __setitem__(self, name: str, value: str) -> None:
        # Checked here, once for all uses: a line break in a value would add headers of its own.
        value = str(value)
        if not _is_token(name):
            raise InvalidHeader(name, f"the name {name!r} is not a token")
        if not _is_field_value(value):
            raise InvalidHeaderValue(name, repr(value))
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        del self._dict[key]
        self._list = [item for item in self._list if item[0].lower() != key]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._dict == other._dict

    __hash__ = None  # type: ignore[assignment]

    def clear(self) -> None:
        """Remove all headers."""
        self._dict = {}
        self._list = []

    def update(self, *args: Any, **kwargs: str) -> None:
        """Add headers, from anything that the constructor takes."""
        super().update(
            *[arg.raw_items() if isinstance(arg, Headers) else arg for arg in args], **kwargs
        )

    def get_all(self, name: str) -> list[str]:
        """Return the values of all headers of a name, in order; an empty list without any."""
        return list(self._dict.get(name.lower(), ()))

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Return all headers as ``(name, value)`` pairs, in order and as spelled."""
        return iter(self._list)

    def lists(self) -> Iterable[tuple[str, list[str]]]:
        """Return the names in lower case with the list of their values, which is not to change."""
        return self._dict.items()

    def add(self, name: str, value: str) -> None:
        """Add a header that was checked before; use ``headers[name] = value`` for the others."""
        self._dict.setdefault(name.lower(), []).append(value)
        self._list.append((name, value))


class SupportsKeysAndGetItem(Protocol):
    """What ``dict()`` takes for a mapping."""

    def keys(self) -> Iterable[str]:
        """Return the names."""
        ...

    def __getitem__(self, key: str, /) -> str:
        """Return the value of a name."""
        ...


#: What is accepted wherever headers are.
HeadersLike = Headers | Mapping[str, str] | Iterable[tuple[str, str]] | SupportsKeysAndGetItem


def parse_connection(value: str) -> list[str]:
    """Parse a ``Connection`` header: a list of tokens (RFC 9110 §7.6.1).

    Args:
        value: The header's value.

    Returns:
        The options as spelled; they are compared without regard to case.

    Raises:
        InvalidHeaderFormat: When the value is not such a list.

    Example:
        >>> parse_connection("keep-alive, Upgrade")
        ['keep-alive', 'Upgrade']
    """
    return _parse_list(_token, "Connection", value)


def parse_upgrade(value: str) -> list[str]:
    """Parse an ``Upgrade`` header: a list of protocols (RFC 9110 §7.8).

    Args:
        value: The header's value.

    Returns:
        The protocols as spelled, with their version if there is one; they are compared without
        regard to case.

    Raises:
        InvalidHeaderFormat: When the value is not such a list.

    Example:
        >>> parse_upgrade("websocket, h2c/1")
        ['websocket', 'h2c/1']
    """
    return _parse_list(_protocol, "Upgrade", value)


def parse_subprotocol(value: str) -> list[str]:
    """Parse a ``Sec-WebSocket-Protocol`` header: a list of tokens (RFC 6455 §11.3.4).

    Args:
        value: The header's value.

    Returns:
        The subprotocols, in order.

    Raises:
        InvalidHeaderFormat: When the value is not such a list.

    Example:
        >>> parse_subprotocol("chat, superchat")
        ['chat', 'superchat']
    """
    return _parse_list(_token, "Sec-WebSocket-Protocol", value)


def build_subprotocol(subprotocols: Sequence[str]) -> str:
    """Write a ``Sec-WebSocket-Protocol`` header.

    Args:
        subprotocols: The subprotocols, in order of preference.

    Returns:
        The header's value.

    Raises:
        UsageError: When a subprotocol is not a token, or is there twice, or a string was given
            where a list is expected (RFC 6455 §4.1).

    Example:
        >>> build_subprotocol(["chat", "superchat"])
        'chat, superchat'
    """
    if isinstance(subprotocols, str):
        raise UsageError(f"subprotocols is the string {subprotocols!r}; expected a list of strings")
    for subprotocol in subprotocols:
        if not _is_token(subprotocol):
            raise UsageError(f"subprotocol {subprotocol!r} is not a token (RFC 9110 §5.6.2)")
    if len(set(subprotocols)) != len(subprotocols):
        raise UsageError(f"subprotocols {list(subprotocols)!r} has the same one twice")
    return ", ".join(subprotocols)


def parse_extension(value: str) -> list[ExtensionOffer]:
    """Parse a ``Sec-WebSocket-Extensions`` header (RFC 6455 §9.1).

    Args:
        value: The header's value.

    Returns:
        The extensions, in order, each with its parameters in order. A parameter without a value
        has ``None``; one in quotes has them removed.

    Raises:
        InvalidHeaderFormat: When the value does not follow the grammar.

    Example:
        >>> parse_extension('permessage-deflate; client_max_window_bits; x="10"')
        [('permessage-deflate', [('client_max_window_bits', None), ('x', '10')])]
    """
    name = "Sec-WebSocket-Extensions"
    offers: list[ExtensionOffer] = []
    pos = _skip(value, 0)
    end = len(value)
    while pos < end:
        match = _token(value, pos)
        if match is None:
            raise InvalidHeaderFormat(name, "expected token", value, pos)
        pos = match.end()
        parameters: list[ExtensionParameter] = []
        offers.append((match[1], parameters))
        while pos < end and value[pos] == ";":
            match = _token(value, pos + 1)
            if match is None:
                raise InvalidHeaderFormat(name, "expected token", value, pos + 1)
            pos = match.end()
            argument = None
            if pos < end and value[pos] == "=":
                argument, pos = _parse_argument(name, value, pos + 1)
            parameters.append((match[1], argument))
        pos = _next(name, value, pos)
    if not offers:
        raise InvalidHeaderFormat(name, "expected token", value, pos)
    return offers


def build_extension(extensions: Iterable[tuple[str, Sequence[ExtensionParameter]]]) -> str:
    """Write a ``Sec-WebSocket-Extensions`` header: the reverse of :func:`parse_extension`.

    Args:
        extensions: Extensions and their parameters.

    Returns:
        The header's value.

    Example:
        >>> build_extension([("permessage-deflate", [("server_max_window_bits", "10")])])
        'permessage-deflate; server_max_window_bits=10'
    """
    return ", ".join(
        "; ".join(
            [name, *[key if value is None else f"{key}={value}" for key, value in parameters]]
        )
        for name, parameters in extensions
    )


def build_authorization_basic(username: str, password: str) -> str:
    """Write an ``Authorization`` header of the Basic scheme (RFC 7617 §2).

    Args:
        username: The name, without colon.
        password: The password.

    Returns:
        The header's value, with the credentials in UTF-8.

    Raises:
        UsageError: When the name has a colon, where it would be cut.

    Example:
        >>> build_authorization_basic("Aladdin", "open sesame")
        'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
    """
    if ":" in username:
        raise UsageError(f"the username {username!r} has a colon, which Basic cannot carry")
    credentials = f"{username}:{password}".encode(errors="surrogateescape")
    return "Basic " + binascii.b2a_base64(credentials, newline=False).decode()


def parse_authorization_basic(value: str) -> tuple[str, str]:
    """Parse an ``Authorization`` header of the Basic scheme (RFC 7617 §2).

    Args:
        value: The header's value.

    Returns:
        The name and the password. What is not UTF-8 becomes surrogates.

    Raises:
        InvalidHeaderValue: When the scheme is another one or the credentials are malformed.

    Example:
        >>> parse_authorization_basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        ('Aladdin', 'open sesame')
    """
    match = _basic(value)
    if match is None:
        scheme = value.partition(" ")[0]
        raise InvalidHeaderValue("Authorization", f"expected Basic credentials, not {scheme!r}")
    try:
        credentials = binascii.a2b_base64(match[1], strict_mode=True)
    except binascii.Error:
        raise InvalidHeaderValue("Authorization", "expected credentials in base64") from None
    username, colon, password = credentials.decode(errors="surrogateescape").partition(":")
    if not colon:
        raise InvalidHeaderValue("Authorization", "expected username:password")
    return username, password


def build_www_authenticate_basic(realm: str) -> str:
    """Write a ``WWW-Authenticate`` header of the Basic scheme (RFC 7617 §2).

    Args:
        realm: What the credentials are for, shown to users.

    Returns:
        The header's value.

    Raises:
        UsageError: When the realm has characters that a header cannot carry.

    Example:
        >>> build_www_authenticate_basic("chat")
        'Basic realm="chat", charset="UTF-8"'
    """
    if not _is_field_value(realm):
        raise UsageError(f"the realm {realm!r} has characters that a header cannot carry")
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    return f'Basic realm="{quoted}", charset="UTF-8"'


def _parse_list(item: Any, name: str, value: str) -> list[str]:
    """Parse ``1#item`` of RFC 9110 §5.6.1, empty elements included."""
    items: list[str] = []
    pos = _skip(value, 0)
    while pos < len(value):
        match = item(value, pos)
        if match is None:
            raise InvalidHeaderFormat(name, "expected token", value, pos)
        items.append(match[1])
        pos = _next(name, value, match.end())
    if not items:
        raise InvalidHeaderFormat(name, "expected token", value, pos)
    return items


def _parse_argument(name: str, value: str, pos: int) -> tuple[str, int]:
    """Parse the value of an extension's parameter; return it and the position after it."""
    match = _token(value, pos)
    if match is not None:
        return match[1], match.end()
    match = _quoted(value, pos)
    if match is None:
        raise InvalidHeaderFormat(name, "expected token or quoted string", value, pos)
    argument = _unquote(r"\1", match[1])
    # "the value after quoted-string unescaping MUST conform to the 'token' ABNF" (RFC 6455 §9.1).
    if not _is_token(argument):
        raise InvalidHeaderFormat(name, "expected a token in the quotes", value, pos)
    return argument, match.end()


def _skip(value: str, pos: int) -> int:
    """Skip space and commas: "a recipient MUST parse and ignore" empty elements of a list."""
    match = _commas(value, pos)
    return match.end() if match else pos


def _next(name: str, value: str, pos: int) -> int:
    """Go past the comma after an element, or to the end."""
    if pos < len(value) and value[pos] != ",":
        raise InvalidHeaderFormat(name, "expected comma", value, pos)
    return _skip(value, pos)
