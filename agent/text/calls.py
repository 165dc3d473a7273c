"""Calls of tools as models write them, in JSON, fences and Python: where one is, and what it says. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

LONGEST = 4000
"""Characters that a call may have before it is taken for text."""

_NAMES = ("name", "function", "tool", "tool_name", "action", "recipient_name")
_INPUTS = ("arguments", "parameters", "args", "input", "action_input", "tool_input")
_WRAPS = ("function", "tool_calls", "function_call", "function_calls", "tool_call")
_FIRST = frozenset((*_NAMES, *_INPUTS, *_WRAPS, "type", "id"))
_SECOND = frozenset((*_NAMES, *_INPUTS, *_WRAPS, "type", "id"))

_FENCE = re.compile(r"```+[ \t]*(\w*)[ \t]*\n\s*")
_FENCE_BEGUN = re.compile(r"`{1,3}[ \t]*\w*[ \t]*(\n\s*)?\Z")
_FENCE_END = re.compile(r"\s*```+[ \t]*")
_FENCED = ("tool_code", "tool_call", "tool_calls", "function_call", "function_calls", "tool_outputs")
_KEYS = re.compile(
    r'(?:\[\s*)?\{\s*"(?P<first>\w*)(?P<closed>"\s*:\s*(?P<value>"(?:[^"\\]|\\.)*"(?P<comma>\s*,\s*"(?P<second>\w*)'
    r'(?P<over>")?)?)?)?'
)
_BEGUN = re.compile(r"(?:\[\s*)?(?:\{\s*)?\Z")
_PYTHON = re.compile(r"\[\s*[A-Za-z_][\w.]*\(\s*(?:[A-Za-z_]\w*\s*=|\))")
_PYTHON_BEGUN = re.compile(r"\[\s*(?:[A-Za-z_][\w.]*(?:\(\s*(?:[A-Za-z_]\w*\s*)?)?)?\Z")
_DECODER = json.JSONDecoder()


def at_start(text: str, *, done: bool) -> int | Literal["more"] | None:
    """Length of the call with which `text`, the beginning of a line, begins.

    "more": more text must tell; None: it is none. done: no more text comes.
    """
    if text[0] == "`":
        return _fenced(text, done)
    if text[0] == "[" and (python := _python(text, done)):
        return python
    return _json(text, done)


def _fenced(text: str, done: bool) -> int | Literal["more"] | None:
    opening = _FENCE.match(text)
    if opening is None or opening.end() == len(text):
        return "more" if not done and _FENCE_BEGUN.match(text) else None
    begin = opening.end()
    if opening[1].lower() in _FENCED:
        end = text.find("```", begin)
        return end + 3 if end >= 0 else len(text) if done else "more"
    if opening[1].lower() not in ("", "json") or text[begin] not in "{[":
        return None
    inside = _json(text[begin:], done)
    if not isinstance(inside, int):
        return inside
    end = _FENCE_END.match(text, begin + inside)
    if end is not None:
        return end.end()
    rest = text[begin + inside :].strip()
    return len(text) if done and not rest else "more" if not done and rest in ("", "`", "``") else None


def _json(text: str, done: bool) -> int | Literal["more"] | None:
    keys = _KEYS.match(text)
    if keys is None:
        return "more" if not done and _BEGUN.match(text) else None
    whole = {"first": keys["closed"] is not None, "second": keys["over"] is not None}
    for name, known in (("first", _FIRST), ("second", _SECOND)):
        key = keys[name]
        if key is not None and not (key in known if whole[name] else any(k.startswith(key) for k in known)):
            return None
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        if len(text) > LONGEST:
            return None
        if not done:
            return "more"
        return len(text) if keys["first"] in _WRAPS[1:] or keys["second"] in (*_INPUTS, *_WRAPS) else None
    return end if _is_call(value) else None


def _is_call(value: Any) -> bool:
    if isinstance(value, list):
        return bool(cast(list[Any], value)) and all(_is_call(each) for each in cast(list[Any], value))
    if not isinstance(value, dict):
        return False
    data = cast(dict[str, Any], value)
    if any(isinstance(data.get(key), dict | list) and _is_call(data[key]) for key in _WRAPS):
        return True
    named = any(isinstance(data.get(key), str) for key in _NAMES)
    return named and any(isinstance(data.get(key), dict | str | list) for key in _INPUTS)


def _python(text: str, done: bool) -> int | Literal["more"] | None:
    """`[get_weather(city="Paris")]`, as Llama 4 and others write it."""
    if not _PYTHON.match(text):
        return "more" if not done and _PYTHON_BEGUN.match(text) else None
    depth, quote = 0, ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[at - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[({") - (character in "])}")
            if not depth:
                return at + 1
    return len(text) if done else None if len(text) > LONGEST else "more"


_OPENINGS = tuple(
    f"{before}{brackets}"
    for before in ("", "```json", "```", "```tool_call", "<tools>")
    for brackets in ('{"name":', '[{"name":', '{{"name":')
)
"""How models begin a call that names its tool first, without blanks."""
TAG = "<tool_call>"
"""The mark of a call in Qwen's and Hermes' templates."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where in an unfinished answer a call begins, `at`, and the mark or fence that it begins with, `lead`.

    sure: it is one; otherwise more text must tell.
    """

    at: int
    lead: str
    sure: bool


def opening(text: str) -> Opening | None:
    """The first place in `text` at which a call begins, or may begin where it ends."""
    for found in re.finditer(r"<|`{3}|`{1,2}\Z|[\[{]", text):
        tail = text[found.start() :]
        bare = re.sub(r"\s+", "", tail)
        if bare.startswith(TAG):
            return Opening(found.start(), f"{TAG}\n", sure=True)
        if any(bare.startswith(each) for each in _OPENINGS):
            lead = tail[: tail.index("{")].rstrip("[ \n\t")
            return Opening(found.start(), f"{lead}\n" if lead else "", sure=True)
        if any(each.startswith(bare) for each in (TAG, *_OPENINGS)):
            return Opening(found.start(), "", sure=False)
    return None


def read(text: str) -> list[tuple[str, str]]:
    """The calls in what a model has written for a machine: each one's name, and its arguments as JSON text.

    Leniently: what is around them is passed over, and a few brackets that are missing at the end are put
    there. What is no call gives none.
    """
    found: list[tuple[str, str]] = []
    at = 0
    while opening := re.search(r"[{\[]", text[at:]):
        at += opening.start()
        value, end = _value(text, at)
        calls = list(_calls(value))
        if not calls and text[at] == "[" and (python := _python(text[at:], True)):
            calls, end = _python_calls(text[at : at + int(python)]), at + int(python)
        found += calls
        at = end if calls else at + 1
    return found


def _value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins at `at`, and where it ends; None where there is none."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        pass
    for missing in ("}", "}}", "]", "}]", "}}]", '"}', '"}}'):
        try:
            return json.loads(text[at:].rstrip() + missing), len(text)
        except (ValueError, RecursionError):
            continue
    return None, at + 1


def _calls(value: Any) -> Iterator[tuple[str, str]]:
    """The calls in a JSON value, whatever its fields are called."""
    if isinstance(value, list):
        for each in cast(list[Any], value):
            yield from _calls(each)
    if not isinstance(value, dict):
        return
    data = cast(dict[str, Any], value)
    for wrap in _WRAPS:
        if isinstance(data.get(wrap), dict | list):
            yield from _calls(data[wrap])
            return
    name = next((data[key] for key in _NAMES if isinstance(data.get(key), str)), "")
    found = [data[key] for key in _INPUTS if isinstance(data.get(key), dict | str)]
    if not found and data.keys() <= {*_NAMES, "type", "id"}:
        found = ["{}"]
    for given in found[: bool(name)]:
        yield name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _python_calls(text: str) -> list[tuple[str, str]]:
    """The calls in a list of them in Python: literal arguments by name."""
    try:
        listed = ast.parse(text.strip(), mode="eval").body
        return [
            (
                ast.unparse(call.func),
                json.dumps({word.arg: ast.literal_eval(word.value) for word in call.keywords}),
            )
            for call in (listed.elts if isinstance(listed, ast.List) else [])
            if isinstance(call, ast.Call)
        ]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return []
