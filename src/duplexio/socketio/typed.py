"""Typed events: the payload is decoded into what the handler's hints say, and checked, in one go.

Hints of Structs, dataclasses and pydantic models are always meant; those of plain types and of
TypedDicts are checked only when asked for, since programs carry them without meaning it.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from .exceptions import PayloadError
from .values import decode_json

__all__ = ["Payload", "make_payload"]


class Payload:
    """Decodes and checks the arguments of one handler.

    Args:
        types: Type of each argument; :class:`msgspec.Raw` for those that are not decoded.
        required: How many there must be.
        rest: Type of all further arguments; ``None`` when there must be none.
    """

    __slots__ = ("_decoders", "_required", "_rest", "_types")

    def __init__(self, types: list[Any], required: int, rest: Any = None) -> None:
        self._types = types
        self._required = required
        self._rest = rest
        self._decoders: dict[int, Any] = {}

    def decode(self, text: str, event: Any) -> list[Any]:
        """Decode an event.

        Args:
            text: JSON of the event, which is a list that begins with its name.
            event: The name.

        Returns:
            The name and the arguments.

        Raises:
            PayloadError: They are not what the handler takes.
            PacketError: The text is no JSON.
        """
        try:
            if self._required == len(self._types) and self._rest is None:
                count = self._required
            else:
                count = len(_count(text)) - 1
                if count > len(self._types) + CACHED:
                    # How many there are is the client's choice: no decoder is kept for each number.
                    return self.convert(decode_json(text))
            return list(self._decoder(count).decode(text))
        except msgspec.ValidationError as exc:
            raise PayloadError(event, str(exc)) from None
        except (ValueError, RecursionError):
            # Perhaps the standard library reads what msgspec does not.
            return self.convert(decode_json(text))

    def convert(self, data: list[Any]) -> list[Any]:
        """Check an event that was decoded already.

        Args:
            data: The name and the arguments.

        Returns:
            The name, and the arguments in their types.

        Raises:
            PayloadError: They are not what the handler takes.
        """
        most = len(self._types) + 1
        rest: list[Any] = []
        try:
            if self._rest is not None and len(data) > most:
                types = list.__class_getitem__(self._rest)
                rest = msgspec.convert(data[most:], types, dec_hook=_make, strict=True)
                data = data[:most]
            kind = self._tuple(len(data) - 1)
            return [*msgspec.convert(data, kind, dec_hook=_make, strict=True), *rest]
        except (msgspec.ValidationError, RecursionError) as exc:
            raise PayloadError(data[0], str(exc)) from None

    def _decoder(self, count: int) -> msgspec.json.Decoder[Any]:
        decoder = self._decoders.get(count)
        if decoder is None:
            decoder = msgspec.json.Decoder(self._tuple(count), dec_hook=_make)
            self._decoders[count] = decoder
        return decoder

    def _tuple(self, count: int) -> Any:
        """Return the type of an event with so many arguments, or with as many as there must be."""
        most = len(self._types)
        if self._rest is None:
            count = min(count, most)
        count = max(count, self._required)
        types = [*self._types[:count], *[self._rest] * (count - most)]
        return tuple.__class_getitem__((str | int, *types))


#: Decoders that are kept for events with more arguments than are named.
CACHED = 16

_count = msgspec.json.Decoder(list[msgspec.Raw]).decode


def make_payload(function: Callable[..., Any], front: int, validate: bool) -> Payload | None:
    """Return what checks the arguments of a handler.

    Args:
        function: The handler.
        front: How many arguments come before those of the event.
        validate: Whether plain hints are checked.

    Returns:
        ``None`` when its hints ask for nothing.

    Example:
        >>> class Move(msgspec.Struct):
        ...     x: int
        >>> def move(sid: str, where: Move): ...
        >>> make_payload(move, 1, False).decode('["move",{"x":1}]', "move")
        ['move', Move(x=1)]
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[front:]
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError):
        return None
    types: list[Any] = []
    required = 0
    rest = None
    wanted = False
    for parameter in parameters:
        hint = hints.get(parameter.name, Any)
        meant = is_model(hint)
        wanted = wanted or meant or (validate and hint is not Any)
        if not (meant or validate):
            hint = Any
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = hint
        elif parameter.kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            types.append(hint)
            if parameter.default is inspect.Parameter.empty:
                required = len(types)
    return Payload(types, required, rest) if wanted else None


def is_model(hint: Any) -> bool:
    """Tell whether a hint is one that is always checked, or has one in it.

    Args:
        hint: The hint.

    Example:
        >>> is_model(int), is_model(list[msgspec.Raw])
        (False, True)
    """
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return (
            issubclass(hint, msgspec.Struct)
            or hint is msgspec.Raw
            or dataclasses.is_dataclass(hint)
            or _is_pydantic(hint)
        )
    return any(is_model(part) for part in typing.get_args(hint))


def _is_pydantic(hint: type) -> bool:
    return hasattr(hint, "__pydantic_validator__") and hasattr(hint, "model_validate")


def _make(hint: Any, value: Any) -> Any:
    """Make an instance of a type that msgspec does not know."""
    if isinstance(hint, type) and _is_pydantic(hint):
        return hint.model_validate(value)  # type: ignore[attr-defined]
    raise NotImplementedError(f"payloads cannot be decoded into {hint!r}")
