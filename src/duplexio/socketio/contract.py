"""What a server and its clients may say to each other: the events, their arguments, the answers.

It is read off the handlers' hints and what :meth:`.AsyncServer.declare` was told, for
``duplexio types``.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

__all__ = ["Argument", "Contract", "Event", "contract_of", "json_schema"]

#: Where the schemas of named types are, in JSON Schema.
REFERENCE = "#/$defs/{name}"

# Hints of what an event has no answer for.
_NO_ANSWER = (None, type(None), inspect.Signature.empty)


@dataclass(frozen=True)
class Argument:
    """An argument of an event.

    Attributes:
        name: Its name.
        hint: Its type.
        required: Whether it must be there.
        rest: Whether it stands for any number of arguments.
    """

    name: str
    hint: Any = Any
    required: bool = True
    rest: bool = False


@dataclass(frozen=True)
class Event:
    """An event.

    Attributes:
        name: Its name.
        arguments: Its arguments.
        answer: Type of what it is acknowledged with; ``None`` where that is nothing.
        text: What the documentation says of it, in a line.
    """

    name: str
    arguments: tuple[Argument, ...]
    answer: Any = None
    text: str = ""


@dataclass
class Contract:
    """The events of one namespace.

    Attributes:
        from_clients: Those that clients emit.
        from_server: Those that the server emits.
    """

    from_clients: dict[str, Event] = field(default_factory=dict)
    from_server: dict[str, Event] = field(default_factory=dict)


def declared_event(name: str, types: tuple[Any, ...], answer: Any) -> Event:
    """Describe an event by the types of its arguments.

    Args:
        name: Its name.
        types: The types.
        answer: Type of what it is acknowledged with.

    Example:
        >>> [argument.name for argument in declared_event("moved", (int, Event), None).arguments]
        ['value', 'event']
    """
    names: list[str] = []
    for hint in types:
        plain = getattr(hint, "__module__", "") == "builtins" or not hasattr(hint, "__name__")
        base = "value" if plain else hint.__name__[:1].lower() + hint.__name__[1:]
        number = sum(re.fullmatch(rf"{re.escape(base)}\d*", other) is not None for other in names)
        names.append(f"{base}{number + 1 if number else ''}")
    arguments = tuple(Argument(n, hint) for n, hint in zip(names, types, strict=True))
    return Event(name, arguments, answer)


def contract_of(registry: Any) -> dict[str, Contract]:
    """Return what is said in each namespace of a server.

    Args:
        registry: The server's handlers.

    Returns:
        The contracts by namespace; handlers of patterns and of ``"*"`` are left out.
    """
    namespaces = [
        name
        for name in (*registry.handlers, *registry.objects, *registry.declared)
        if isinstance(name, str) and name != "*"
    ]
    contracts = {}
    for namespace in sorted(set(namespaces)):
        contract = contracts[namespace] = Contract()
        routes = registry.routes(namespace)
        for name, handler in sorted(routes.events.items(), key=lambda item: str(item[0])):
            contract.from_clients[str(name)] = _handled(str(name), handler)
        contract.from_server.update(sorted(registry.declared.get(namespace, {}).items()))
    return contracts


def _handled(name: str, handler: Any) -> Event:
    """Describe the event of a handler."""
    function: Callable[..., Any] = inspect.unwrap(handler.function)
    front = handler.front
    try:
        parameters = list(inspect.signature(function).parameters.values())[front:]
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError):
        return Event(name, (Argument("args", rest=True),), Any)
    arguments = []
    for parameter in parameters:
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            continue
        rest = parameter.kind is parameter.VAR_POSITIONAL
        required = parameter.default is parameter.empty and not rest
        hint = hints.get(parameter.name, Any)
        arguments.append(Argument(parameter.name, hint, required, rest))
    answer = hints.get("return")
    text = (inspect.getdoc(function) or "").partition("\n")[0]
    return Event(name, tuple(arguments), None if answer in _NO_ANSWER else answer, text)


def json_schema(hints: list[Any]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return JSON Schemas of types.

    Args:
        hints: The types: what msgspec knows, and pydantic models.

    Returns:
        A schema for each, and those of the named types that they refer to.

    Raises:
        TypeError: A type is none that a payload may have.

    Example:
        >>> json_schema([int, list[str]])
        ([{'type': 'integer'}, {'type': 'array', 'items': {'type': 'string'}}], {})
    """
    more: dict[str, dict[str, Any]] = {}

    def hook(hint: Any) -> dict[str, Any]:
        if not hasattr(hint, "model_json_schema"):
            raise NotImplementedError(f"{hint!r} is no type that a payload may have")
        schema = hint.model_json_schema(ref_template=REFERENCE.replace("{name}", "{model}"))
        more.update(schema.pop("$defs", {}))
        more[hint.__name__] = schema
        return {"$ref": REFERENCE.format(name=hint.__name__)}

    schemas, named = msgspec.json.schema_components(hints, schema_hook=hook, ref_template=REFERENCE)
    return list(schemas), {**named, **more}
