# cython: annotation_typing=False, binding=False, embedsignature=True
"""What events carry: JSON values, and bytes anywhere among them.

JSON is written and read by msgspec. Where it refuses what the standard library accepts (subclasses
of ``str`` and ``int``, ``None`` as a key, lone surrogates, ``NaN`` from a peer), the standard
library's result counts, so that what python-socketio accepted still passes. ``NaN`` and the
infinities are written as ``null``, as JavaScript does.
"""

from __future__ import annotations

import json as standard_json
import math
from typing import Any

import msgspec

from .exceptions import PacketError

__all__ = [
    "MAX_DEPTH",
    "Json",
    "check_depth",
    "decode_json",
    "encode_json",
    "extract_binary",
    "insert_binary",
    "is_deep",
    "is_json",
    "normalize",
    "scan",
]

#: How deep what we send may be nested: more is a cycle, or cannot be written anyway.
MAX_DEPTH = 500

#: What :func:`scan` finds.
PLAIN = 0
BINARY = 1
OPAQUE = 2

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_KEPT = (bytes, bytearray, memoryview)


def encode_json(value: Any) -> bytes:
    """Write a value as JSON in UTF-8.

    Args:
        value: The value, without bytes in it.

    Raises:
        TypeError: It has no form in JSON.
        ValueError: It refers to itself.

    Example:
        >>> encode_json(["é", float("nan"), {None: 1}])
        b'["\\\\u00e9",null,{"null":1}]'
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _encode_with_standard(value)


def _encode_with_standard(value: Any) -> bytes:
    try:
        text = standard_json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        finite = _without_nan(value, 0)
        text = standard_json.dumps(finite, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _without_nan(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("the data refers to itself, or is nested too deeply")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item, depth + 1) for item in value]
    return value


def decode_json(text: str) -> Any:
    """Read JSON.

    Args:
        text: The JSON.

    Raises:
        PacketError: It is none.

    Example:
        >>> decode_json('["hello",1]')
        ['hello', 1]
    """
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return _decode_with_standard(text)


def _decode_with_standard(text: str) -> Any:
    try:
        return standard_json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PacketError(f"the JSON of a packet is malformed: {exc}") from None


def is_json(text: str) -> bool:
    """Tell whether a text is JSON, without making anything of it.

    Args:
        text: The text.

    Returns:
        ``False`` also for what only :func:`decode_json` can tell.

    Example:
        >>> is_json('["hello",1]'), is_json('["hello",')
        (True, False)
    """
    try:
        _skip(text)
    except (ValueError, RecursionError):
        return False
    return True


class Json:
    """JSON as a module of the user's writes and reads it.

    Args:
        module: Has ``dumps`` and ``loads``.
    """

    __slots__ = ("_module",)

    def __init__(self, module: Any) -> None:
        self._module = module

    def encode(self, value: Any) -> bytes:
        """Write a value."""
        text = self._module.dumps(value, separators=(",", ":"))
        return text if isinstance(text, bytes) else text.encode()

    def decode(self, text: str) -> Any:
        """Read a value."""
        try:
            return self._module.loads(text)
        except (ValueError, RecursionError) as exc:
            raise PacketError(f"the JSON of a packet is malformed: {exc}") from None


def scan(value: Any, depth: int = 0) -> int:
    """Look for bytes in a value.

    Args:
        value: The value.
        depth: How deep it lies in another.

    Returns:
        :data:`PLAIN` when there are none; :data:`BINARY` when there are; :data:`OPAQUE` when there
        is what has to be looked into first, such as a Struct or a dataclass: see
        :func:`normalize`.

    Raises:
        ValueError: It refers to itself.
    """
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool or kind is float:
        return PLAIN
    if depth > MAX_DEPTH:
        raise ValueError("the data refers to itself, or is nested too deeply")
    found = PLAIN
    if kind is dict:
        for item in value.values():
            found = found | scan(item, depth + 1)
        return found
    if kind is list or kind is tuple:
        for item in value:
            found = found | scan(item, depth + 1)
        return found
    return _scan_other(value, depth)


def _scan_other(value: Any, depth: int) -> int:
    if isinstance(value, _KEPT):
        return BINARY
    found = PLAIN
    if isinstance(value, dict):
        for item in value.values():
            found = found | scan(item, depth + 1)
        return found
    if isinstance(value, list | tuple):
        for item in value:
            found = found | scan(item, depth + 1)
        return found
    return PLAIN if isinstance(value, str | int | float) else OPAQUE


def normalize(value: Any) -> Any:
    """Turn Structs, dataclasses and the like into dictionaries and lists, and leave bytes alone.

    Args:
        value: The value.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Picture:
        ...     data: bytes
        >>> normalize([Picture(b"x")])
        [{'data': b'x'}]
    """
    try:
        return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_unknown)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return value  # who writes it decides


def _unknown(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    dump = getattr(value, "model_dump", None)  # pydantic's
    if dump is None:
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    return dump()


def extract_binary(value: Any, attachments: list[bytes]) -> Any:
    """Return a value with placeholders where bytes were.

    Args:
        value: The value; it is not changed.
        attachments: Takes the bytes.

    Example:
        >>> found = []
        >>> extract_binary({"picture": b"x"}, found), found
        ({'picture': {'_placeholder': True, 'num': 0}}, [b'x'])
    """
    if isinstance(value, _KEPT):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: extract_binary(item, attachments) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [extract_binary(item, attachments) for item in value]
    return value


def insert_binary(value: Any, attachments: list[bytes | None]) -> Any:
    """Put attachments where their placeholders are.

    Args:
        value: What was decoded; it is changed.
        attachments: The attachments; those that have found their place are ``None`` afterwards.

    Returns:
        The value, or the attachment in its place.

    Raises:
        PacketError: A placeholder names an attachment that is none, or that has its place already:
            sent on, one attachment in thousands of places would be that many.

    Example:
        >>> insert_binary(["picture", {"_placeholder": True, "num": 0}], [b"x"])
        ['picture', b'x']
    """
    if type(value) is dict:
        if value.get("_placeholder") is True:
            number = value.get("num")
            if type(number) is not int or not 0 <= number < len(attachments):
                raise PacketError(f"there is no attachment {number!r:.20}")
            data = attachments[number]
            if data is None:
                raise PacketError(f"the attachment {number} is in two places")
            attachments[number] = None
            return data
        for key, item in value.items():
            kind = type(item)
            if kind is dict or kind is list:
                value[key] = insert_binary(item, attachments)
    elif type(value) is list:
        for index, item in enumerate(value):
            kind = type(item)
            if kind is dict or kind is list:
                value[index] = insert_binary(item, attachments)
    return value


def is_deep(value: Any, limit: int) -> bool:
    """Tell whether what was decoded is nested deeper than allowed.

    Args:
        value: Of dictionaries and lists.
        limit: How deep it may be.

    Example:
        >>> is_deep([[1], 2], 2), is_deep([{"a": []}], 2)
        (False, True)
    """
    kind = type(value)
    if kind is dict:
        if limit <= 0:
            return True
        for item in value.values():
            if is_deep(item, limit - 1):
                return True
    elif kind is list:
        if limit <= 0:
            return True
        for item in value:
            if is_deep(item, limit - 1):
                return True
    return False


def check_depth(text: str, start: int, limit: int) -> bool:
    """Tell whether JSON is nested no deeper than allowed, before anything is made of it.

    Args:
        text: Holds the JSON.
        start: Where it begins.
        limit: How deep it may be.

    Example:
        >>> check_depth('[["[[[["]]', 0, 2), check_depth("[[[]]]", 0, 2)
        (True, False)
    """
    if text.count("[", start) + text.count("{", start) <= limit:
        return True
    depth = 0
    quoted = False
    escaped = False
    for character in text[start:]:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character == "[" or character == "{":
            depth += 1
            if depth > limit:
                return False
        elif character == "]" or character == "}":
            depth -= 1
    return True
