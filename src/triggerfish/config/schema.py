"""The JSON Schema of triggerfish.toml, for editors. The rules between keys aren't in it."""

from __future__ import annotations

from typing import Any

import msgspec

from triggerfish.config.model import Config
from triggerfish.config.words import default_of, tables
from triggerfish.durations import Duration
from triggerfish.secret_reference import FORMS, SecretReference
from triggerfish.templates import Template
from triggerfish.text_value import TextValue

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXTS: dict[type, dict[str, object]] = {
    Duration: {"type": "string", "pattern": "^[0-9]{1,9}[smhd]$"},
    SecretReference: {
        "type": "string",
        "pattern": "^(ssm|secretsmanager|env):.+$",
        "description": f"A reference to a secret: {FORMS}.",
    },
    Template: {"type": "string"},
}


def schema() -> dict[str, object]:
    """Plain data. TOML has no null, so nothing in it allows one."""
    made = _without_null(msgspec.json.schema(Config, schema_hook=_TEXTS.__getitem__))
    for _, struct in tables(Config):
        properties = made["$defs"][struct.cls.__name__]["properties"]
        for field in struct.fields:
            default = default_of(field)
            if isinstance(default, TextValue):
                properties[field.encode_name]["default"] = str(default)
    return {"$schema": DIALECT, "title": "triggerfish.toml", **made}


def _without_null(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return [_without_null(each) for each in node]
    if not isinstance(node, dict):
        return node
    cleaned = {name: _without_null(each) for name, each in node.items() if each is not None}
    match cleaned.get("anyOf"):
        case [only, {"type": "null"}]:
            del cleaned["anyOf"]
            return {**only, **cleaned}
        case _:
            return cleaned
