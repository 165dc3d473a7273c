"""Calls under a grammar: the form that one is held to, and what was written in it. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from agent.messages import ToolCall, ToolSchema
from agent.text.calls import opening
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
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_RUNS = re.compile(r"(?:([^\"]{4,24}?)\1{3,}|([^\"]{1,3}?)\2{11,})\Z")
_NUMBER = re.compile(r"[\d.]{25,}\Z")
"""A text that says the same again and again, and a number without an end."""
LEAST = 0.001
"""The smallest probability that is told from none."""
SCORES = 60
"""Of how many of the likeliest tokens the probability is asked for."""


class Scored(NamedTuple):
    """A token, and how probable it is (0 to 1)."""

    id: int
    text: str
    chance: float


def opens(text: str) -> bool:
    """Whether an answer that begins with this token may begin a call."""
    found = opening(text.lstrip())
    return found is not None and found.at == 0


def opened(scores: Sequence[Scored]) -> float:
    """How probable it is that an answer begins a call. scores: of its first token."""
    return sum(token.chance for token in scores if opens(token.text))


def named(scores: Sequence[Scored], names: Sequence[str]) -> dict[str, float]:
    """How probable each tool is in a call, by the beginning of its name that is one token.

    scores: of the first token of the name.
    """
    return {
        token.text: token.chance
        for token in scores
        if token.text and any(name.startswith(token.text) for name in names)
    }


def usual(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How probable each tool is where nothing is asked for: the mean of some such places."""
    names = dict.fromkeys(name for each in found for name in each)
    return {name: sum(each.get(name, 0.0) for each in found) / len(found) for name in names}


def evidence(now: Mapping[str, float], usual: Mapping[str, float]) -> float:
    """How much is in favour of the likeliest tool: the log-odds of its name; of a favourite, which a model
    names for whatever is said, less those that it has anyway (after the contextual calibration of Zhao et
    al., 2021, which divides by all of them: what is hardly ever named would then be likely at once).

    A model is sure of a name long before it is sure to call.
    """
    name = max(now, key=now.__getitem__, default="")
    return _odds(now[name]) - max(0.0, _odds(usual.get(name, 0.0))) if name else -math.inf


def _odds(chance: float) -> float:
    """Log-odds; what is hardly ever, or nearly always, so is never quite certain."""
    certain = min(max(chance, LEAST), 1 - LEAST)
    return math.log(certain / (1 - certain))


def likeliest(scores: Sequence[Scored], rests: Sequence[str]) -> Scored | None:
    """The likeliest token with which one of some names goes on, or ends with a quote; None where none does.

    rests: what is still to be written of each name.
    """
    ends = [f'{rest}"' for rest in rests]
    fit = [each for each in scores if each.text and any(_fits(each.text, end) for end in ends)]
    return max(fit, key=lambda each: each.chance, default=None)


def _fits(token: str, rest: str) -> bool:
    return rest.startswith(token) or token.startswith(rest)


def arguments_of(tool: ToolSchema) -> dict[str, Any]:
    """The JSON schema of what this tool is called with, as far as a grammar can be made of it."""
    given: dict[str, Any] = {"properties": {}, **_plain(tool.parameters)}
    return {**_COMPACT, **given, "type": "object", "additionalProperties": False}


ANY_ARGUMENTS: dict[str, Any] = {**_COMPACT, "type": "object"}
"""The same of a tool of whose schema no grammar can be made."""


def whole(written: str) -> ToolCall | None:
    """The call that was written under a grammar; None where it breaks off."""
    try:
        call: Any = json.loads(written)
        return ToolCall("", call["name"], json_text(call["arguments"]))
    except (ValueError, TypeError, KeyError):
        return None


def runs_away(written: str) -> bool:
    """Whether a call, as far as it is written, repeats itself inside a text or a number, as if for ever."""
    rest = _TEXT.sub("", written)
    return _NUMBER.search(rest) is not None or ('"' in rest and _RUNS.search(rest) is not None)


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
