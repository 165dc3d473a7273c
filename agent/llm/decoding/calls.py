"""Calls under a grammar: the form that one is held to, and what was written in it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from agent.messages import ToolCall, ToolSchema
from agent.text.calls import read
from agent.text.cleaning import json_text

_KNOWN = frozenset(
    (
        "type",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "items",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "required",
    )
)
"""What of a JSON schema is kept for a grammar: llama.cpp refuses some patterns and formats."""
_COMPACT = {"x-guidance": {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}}
"""As templates write JSON. Where any blank may stand, a small model writes blanks without end."""
_RUNS = re.compile(r"(.{1,12}?)\1{15,}\Z", re.DOTALL)
"""The same again and again: digits of a number that never ends, words of a text that does not."""


def form(tools: Sequence[ToolSchema], loose: Collection[str] = ()) -> dict[str, Any]:
    """The JSON schema of one call of one of these tools. loose: those whose arguments may be any."""
    return {**_COMPACT, "anyOf": [_called(tool, loose=tool.name in loose) for tool in tools]}


def whole(written: str) -> ToolCall | None:
    """The call that was written under a grammar; None where it breaks off."""
    try:
        call: Any = json.loads(written)
        return ToolCall("", call["name"], json_text(call["arguments"]))
    except (ValueError, TypeError, KeyError):
        return None


def runs_away(written: str) -> bool:
    """Whether a call repeats itself, as one that will never end."""
    return _RUNS.search(written) is not None


def mended(written: str) -> ToolCall | None:
    """The call that broke off because it repeated itself: with what it repeats once, and closed."""
    found = _RUNS.search(written)
    calls = read(written[: found.start()] + found[1]) if found is not None else []
    return ToolCall("", *calls[0]) if calls else None


def _called(tool: ToolSchema, *, loose: bool) -> dict[str, Any]:
    """The schema of a call of this tool. loose: with any arguments."""
    given: dict[str, Any] = {"properties": {}, **_plain(tool.parameters)}
    arguments: dict[str, Any] = {**given, "type": "object", "additionalProperties": False}
    arguments = {"type": "object"} if loose else arguments
    properties: dict[str, Any] = {"name": {"const": tool.name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": ["name", "arguments"]}


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(each) for each in cast(list[Any], schema)]
    if not isinstance(schema, Mapping):
        return schema
    given = cast(Mapping[str, Any], schema)
    plain = {
        key: each if key in ("enum", "const") else _plain(each)
        for key, each in given.items()
        if key in _KNOWN
    }
    if isinstance(properties := given.get("properties"), Mapping):
        named = cast(Mapping[str, Any], properties)
        plain["properties"] = {name: _plain(each) for name, each in named.items()}
    return plain
