"""The interfaces that socket.io-client and duplexio.js take for their events, in TypeScript."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...socketio.contract import Argument, Contract, Event, json_schema

__all__ = ["type_of", "typescript"]

_HEADER = "// Written by `duplexio types`; changes are lost when it runs again.\n"
_identifier = re.compile(r"[A-Za-z_$][\w$]*\Z", re.ASCII)

# What TypeScript keeps for itself, and a parameter cannot be called.
_RESERVED = """
arguments await break case catch class const continue debugger default delete do else enum eval
export extends false finally for function if implements import in instanceof interface let new null
package private protected public return static super switch this throw true try typeof var void
while with yield
"""
_KEYWORDS = frozenset(_RESERVED.split())

_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def typescript(contracts: Mapping[str, Contract]) -> str:
    """Return the interfaces of a server's events.

    Those of the main namespace are called ``ServerToClientEvents`` and ``ClientToServerEvents``;
    the others have the namespace's name in front.

    Args:
        contracts: What is said, by namespace.
    """
    named: dict[str, dict[str, Any]] = {}
    interfaces = []
    for namespace, contract in contracts.items():
        prefix = _pascal(namespace)
        for suffix, events in (
            ("ServerToClientEvents", contract.from_server),
            ("ClientToServerEvents", contract.from_clients),
        ):
            lines = []
            for event in events.values():
                if event.text:
                    lines.append(f"  /** {event.text.replace('*/', '* /')} */")
                lines.append(f"  {_key(event.name)}: {_signature(event, named)};")
            body = "\n".join(lines)
            interfaces.append(
                f"/** Namespace {namespace} */\nexport interface {prefix}{suffix} {{\n{body}\n}}\n"
            )
    types = [_declaration(name, schema) for name, schema in sorted(named.items())]
    return "\n".join([_HEADER, *types, *interfaces])


def _signature(event: Event, named: dict[str, dict[str, Any]]) -> str:
    """Return the type of a listener of an event, which is that of its arguments."""
    hints = [argument.hint for argument in event.arguments]
    schemas, components = json_schema([*hints, event.answer])
    named.update(components)
    parameters = [
        _parameter(argument, type_of(schema))
        for argument, schema in zip(event.arguments, schemas, strict=False)
    ]
    # An argument that may be missing cannot stand before one that may not.
    rest = any(argument.rest for argument in event.arguments)
    if event.answer is not None and not rest:
        parameters = [parameter.replace("?:", ":", 1) for parameter in parameters]
        answer = type_of(schemas[-1]) if event.answer is not Any else "any"
        parameters.append(f"answer: (answer: {answer}) => void")
    return f"({', '.join(parameters)}) => void"


def _parameter(argument: Argument, text: str) -> str:
    name = argument.name
    if name in _KEYWORDS:
        name += "_"
    if argument.rest:
        return f"...{name}: {_array(text)}"
    return f"{name}{'' if argument.required else '?'}: {text}"


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the TypeScript type of a JSON Schema.

    Args:
        schema: The schema.

    Example:
        >>> type_of({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]})
        'number[] | null'
    """
    if "$ref" in schema:
        return _pascal(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(type_of(one) for one in schema[key]))
    if "allOf" in schema:
        return " & ".join(type_of(one) for one in schema["allOf"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_of({**schema, "type": one}) for one in kind)
    if kind == "string" and ("contentEncoding" in schema or schema.get("format") == "binary"):
        return "ArrayBuffer"  # bytes travel as such, beside the JSON
    if kind == "array":
        return _array_of(schema)
    if kind == "object":
        return _object(schema)
    if kind == "null":
        return "null"
    return _PLAIN.get(kind or "", "any")


def _array_of(schema: Mapping[str, Any]) -> str:
    items = schema.get("items")
    if "prefixItems" in schema:
        first = [type_of(one) for one in schema["prefixItems"]]
        return f"[{', '.join(first)}]"
    return _array(type_of(items) if isinstance(items, Mapping) else "any")


def _array(item: str) -> str:
    return f"({item})[]" if " " in item else f"{item}[]"


def _object(schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties")
    if not properties:
        values = schema.get("additionalProperties")
        inside = type_of(values) if isinstance(values, Mapping) else "any"
        return f"{{ [key: string]: {inside} }}"
    required = schema.get("required", ())
    fields = [
        f"{_key(name)}{'' if name in required else '?'}: {type_of(one)}"
        for name, one in properties.items()
    ]
    return f"{{ {'; '.join(fields)} }}"


def _declaration(name: str, schema: Mapping[str, Any]) -> str:
    comment = (
        f"/** {schema['description'].partition(chr(10))[0]} */\n" if "description" in schema else ""
    )
    properties = schema.get("properties")
    if schema.get("type") != "object" or not properties:
        return f"{comment}export type {_pascal(name)} = {type_of(schema)};\n"
    required = schema.get("required", ())
    lines = [
        f"  {_key(key)}{'' if key in required else '?'}: {type_of(one)};"
        for key, one in properties.items()
    ]
    body = "\n".join(lines)
    return f"{comment}export interface {_pascal(name)} {{\n{body}\n}}\n"


def _key(name: str) -> str:
    return name if _identifier.match(name) else json.dumps(name)


def _pascal(name: str) -> str:
    """Return a name as TypeScript writes types.

    Example:
        >>> _pascal("/admin/live-chat"), _pascal("Page[int]"), _pascal("/")
        ('AdminLiveChat', 'PageInt', '')
    """
    words = re.findall(r"[A-Za-z0-9]+", name)
    text = "".join(word[:1].upper() + word[1:] for word in words)
    return f"_{text}" if text[:1].isdigit() else text
