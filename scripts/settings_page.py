"""Writes docs/settings.md from agent/settings.py: each setting, its default, its limits and what it does."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).parents[1]))

from pydantic_core import PydanticUndefined

from agent import settings
from agent.settings import Config, Section

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """\
# Settings

<!-- Written by scripts/docs from agent/settings.py: change that file. -->

A settings file is TOML, each heading below a table in it (`--config FILE`). A single one goes on the command
line as `--set section.key=value`; later ones win. `backchat config` prints those in force. An unknown key or
a wrong value is refused with the nearest valid name, an old name with its new one.
[Getting started](getting-started.md#settings) has an example.
"""
LONGEST_DEFAULT = 40


def page() -> str:
    """The whole page."""
    sections = (
        "\n".join([f"## {name}\n", *_tables(field.annotation), *_inner(name, field.annotation)])
        for name, field in Config.model_fields.items()
    )
    return "\n".join([HEAD, *sections])


def _tables(section: type[Section]) -> list[str]:
    return [f"{_about(section)}\n", _table(section)]


def _inner(name: str, section: type[Section]) -> Iterator[str]:
    """The tables of a section's own lists of sections."""
    inner = {
        key: each
        for key, field in section.model_fields.items()
        for each in get_args(field.annotation)
        if isinstance(each, type) and issubclass(each, Section)
    }
    for key, each in inner.items():
        yield from (f"### [[{name}.{key}]]\n", *_tables(each))


def _about(section: type[Section]) -> str:
    return inspect.cleandoc(section.__doc__ or "")


def _table(section: type[Section]) -> str:
    said = dict(_docstrings(section))
    lines = ["| setting | default | takes | what it does |", "|---|---|---|---|"]
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        takes = _takes(schema["properties"][name])
        lines.append(f"| `{name}` | {_default(field.default)} | {takes} | {_cell(said.get(name, ''))} |")
    return "\n".join([*lines, ""])


def _docstrings(section: type[Section]) -> Iterator[tuple[str, str]]:
    """Each field of a section that has a string below it, with that string."""
    tree = ast.parse(inspect.getsource(settings))
    (body,) = (
        node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == section.__name__
    )
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            yield ast.unparse(field.target), inspect.cleandoc(ast.literal_eval(below.value))


def _default(value: Any) -> str:
    """A default as TOML writes it."""
    if value is PydanticUndefined:
        return "must be given"
    shown = json.dumps(value, default=list)
    return f"`{shown}`" if len(shown) <= LONGEST_DEFAULT else "a text; see `backchat config`"


def _takes(schema: dict[str, Any]) -> str:
    """What a setting may be, in words."""
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "anyOf" in schema:
        return 'a whole number or `"random"`'
    if schema["type"] == "array":
        return "a list of tables" if "$ref" in schema["items"] else "a list of texts"
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    words = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    words["object"] = "a table of texts"
    bounds = [f"{sign} {schema[key]:g}" for key, sign in limits.items() if key in schema]
    return " ".join([words[schema["type"]], ", ".join(bounds)]).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
