"""JSON schemas of arguments: plain ones that a model can be told, and what fits them. Knows no tool.

Schemas come from anybody who declares a tool: nothing is fetched for one, none is expanded without end, and
no pattern in one is matched without end.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from agent.errors import ToolError, first_line
from agent.text.cleaning import cleaned_data, json_text

LARGEST = 10_000
"""Values in a schema whose references are resolved: one that doubles twenty times is a million."""
BACKTRACKS = 10_000
"""Steps back that the match of a pattern may take."""
WRONG = 5
"""Faults of one set of arguments that are told."""

_DROPPED = frozenset(("title", "$schema", "$id", "$anchor", "$comment", "$defs", "definitions"))
"""What is not told to a model: it says nothing, or stands where it is referred to."""
_DATA = frozenset(("const", "default", "enum", "example", "examples"))
"""Keywords with values that are no schemas, whatever they look like."""
_NAMED = frozenset(("properties", "patternProperties", "dependentSchemas", "dependencies"))
"""Keywords with schemas by name: a parameter may be called as a keyword is."""
_ELSEWHERE = ("$dynamicRef", "$recursiveRef")


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema, plain: see `plain_schema`. Raises ToolError for what is no JSON schema."""
    try:
        schema = cast(dict[str, Any], cleaned_data(dict(given)))
        check(schema)
        plain = plain_schema(schema)
        _judge(plain)
    except RecursionError as error:
        raise ToolError("a schema that is nested too deep") from error
    return plain


def check(schema: Any) -> None:
    """Raise ToolError for what is no JSON schema, in any of the drafts in use."""
    import jsonschema_rs

    try:
        if any(jsonschema_rs.meta.is_valid({**schema, "$schema": draft}) for draft in _DRAFTS):
            return
        jsonschema_rs.meta.validate({**schema, "$schema": _DRAFTS[0]})
    except ValueError as error:
        raise ToolError(f"no JSON schema: {_words(error)}") from error


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of parameters without titles, and with what it refers to in its place.

    Raises ToolError where that is impossible.
    """
    definitions = dict[str, Any]()
    for key in ("definitions", "$defs"):
        if isinstance(named := schema.get(key), Mapping):
            definitions |= cast(Mapping[str, Any], named)
    plain = cast(dict[str, Any], _Plain(definitions).of(dict(schema), ()))
    return {"type": "object", "properties": {}, **plain, "required": list(plain.get("required") or ())}


def misfit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What is wrong with arguments, in words for a model; "" where they fit. schema: as of `checked`."""
    try:
        found = _judge(schema).iter_errors(dict(arguments))
        return "; ".join(_words(error) for error, _ in zip(found, range(WRONG), strict=False))
    except (ValueError, RecursionError) as error:  # what no validator can read
        return first_line(error)


_DRAFTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",  # lists of items
    "http://json-schema.org/draft-04/schema#",  # bounds that are excluded by true and false
)
"""The drafts in use, the newest first. Few schemas say which is theirs, and some say a wrong one."""


class _Plain:
    """Resolves the references of one schema, in all no more than `LARGEST` values."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._left = LARGEST

    def of(self, schema: Any, inside: tuple[str, ...]) -> Any:
        """A schema, or a list of them, without what is dropped. inside: the definitions that lead here."""
        self._left -= 1
        if self._left < 0:
            raise ToolError("a schema that is too large for a model")
        if isinstance(schema, list):
            return [self.of(each, inside) for each in cast(list[Any], schema)]
        if not isinstance(schema, dict):
            return schema
        given = cast(dict[str, Any], schema)
        if isinstance(reference := given.get("$ref"), str):
            name = reference.rpartition("/")[2]
            if name in inside or name not in self._definitions:
                why = "contains itself" if name in inside else "is defined nowhere in its schema"
                raise ToolError(f"{name}: a parameter that {why} cannot be told to a model")
            rest = {key: value for key, value in given.items() if key != "$ref"}
            resolved: Any = self.of(self._definitions[name], (*inside, name))
            if not isinstance(resolved, dict):
                return resolved
            return {**cast(dict[str, Any], resolved), **self.of(rest, inside)}
        if wrong := next((key for key in _ELSEWHERE if key in given), ""):
            raise ToolError(f"{wrong}: a schema that refers so cannot be told to a model")
        plain: dict[str, Any] = {}
        for key, value in given.items():
            if key in _DATA:
                plain[key] = value
            elif key in _NAMED and isinstance(value, dict):
                named = cast(dict[str, Any], value)
                plain[key] = {name: self.of(each, inside) for name, each in named.items()}
            elif key not in _DROPPED:
                plain[key] = self.of(value, inside)
        return plain


def _judge(schema: Mapping[str, Any]) -> Any:
    """What judges arguments by a plain schema. Raises ToolError for one that is none."""
    # Draft 4 has no empty list of what is required.
    return _validator(json_text({key: value for key, value in schema.items() if value != []}))


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    """The same of a schema as JSON."""
    import jsonschema_rs

    wrong: list[ValueError] = []
    for kind in (
        jsonschema_rs.Draft202012Validator,
        jsonschema_rs.Draft201909Validator,
        jsonschema_rs.Draft4Validator,
    ):
        try:
            return kind(schema, pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS))
        except ValueError as error:
            wrong.append(error)
    raise ToolError(f"no JSON schema: {_words(wrong[0])}") from wrong[0]


def _words(error: Any) -> str:
    """What a fault is, and where."""
    where = ".".join(map(str, getattr(error, "instance_path", ())))
    said = (getattr(error, "message", "") or first_line(error))[:200]
    return f"{where}: {said}" if where else said
