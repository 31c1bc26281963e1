"""A document of AsyncAPI 3.0.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...socketio.contract import Contract, Event, json_schema

__all__ = ["asyncapi"]


def asyncapi(contracts: Mapping[str, Contract], title: str) -> dict[str, Any]:
    """Return the document: a channel for each namespace, a message for each event.

    Args:
        contracts: What is said, by namespace.
        title: Title of the document.
    """
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for namespace, contract in contracts.items():
        channel = re.sub(r"\W+", "_", namespace.strip("/")) or "main"
        messages: dict[str, Any] = {}
        for action, events in (
            ("receive", contract.from_clients),
            ("send", contract.from_server),
        ):
            for event in events.values():
                name = f"{action}_{re.sub(r'[^A-Za-z0-9_-]', '_', event.name)}"
                messages[name] = _message(event, schemas)
                operations[f"{channel}_{name}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"}],
                }
        channels[channel] = {"address": namespace, "messages": messages}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": "1.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


def _message(event: Event, schemas: dict[str, Any]) -> dict[str, Any]:
    """Describe an event: its payload is the list of its arguments."""
    positional = [argument for argument in event.arguments if not argument.rest]
    rest = [argument for argument in event.arguments if argument.rest]
    hints = [argument.hint for argument in (*positional, *rest)]
    types, named = json_schema([*hints, event.answer])
    schemas.update({name: _local(schema) for name, schema in named.items()})
    types = [_local(schema) for schema in types]
    payload: dict[str, Any] = {
        "type": "array",
        "prefixItems": types[: len(positional)],
        "minItems": sum(argument.required for argument in positional),
        "items": types[len(positional)] if rest else False,
    }
    message: dict[str, Any] = {"name": event.name, "payload": payload}
    if event.text:
        message["summary"] = event.text
    if event.answer is not None:
        message["x-ack"] = types[-1]
    return message


def _local(schema: Any) -> Any:
    """Return a schema that refers to the components of the document."""
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref"
            else _local(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_local(item) for item in schema]
    return schema
