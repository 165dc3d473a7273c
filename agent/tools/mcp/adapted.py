"""From what a server says of a tool to a tool of ours, and from what it answers to words. Talks to nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from agent.errors import ToolError
from agent.messages import ToolSchema
from agent.settings import MCPConfig
from agent.text.cleaning import cleaned, json_text
from agent.tools.schemas import checked, misfit
from agent.tools.tool import MOST_SAID, Effect, Tool, ToolContext

if TYPE_CHECKING:
    import mcp_types

LONGEST_SCHEMA = 8000
"""Characters of a schema that a model can be told: all of it is read before every answer."""

Call = Callable[[str, Mapping[str, Any], bool], Awaitable[str]]
"""Has a server do something: its tool's name, the arguments, and whether it may be asked twice."""


def allowed(name: str, config: MCPConfig) -> bool:
    """Whether the settings let this tool be used."""
    return _among(name, config.allow) and not _among(name, config.deny)


def adapted(listed: mcp_types.Tool, config: MCPConfig, call: Call) -> Tool:
    """A tool of a server. Raises ToolError for one that a model cannot be told.

    What its server says that only reads, reads; all else changes something, and what is said to destroy is
    asked about first. What can be done twice like once is cancelled when the user talks over it, and may be
    tried again; so may what only reads.
    """
    schema = _schema(listed)
    hints = listed.annotations
    effect: Effect = "reads" if hints is not None and hints.read_only_hint else "changes"
    if _among(listed.name, config.reads):
        effect = "reads"
    if _among(listed.name, config.changes):
        effect = "changes"
    destroys = effect == "changes" and hints is not None and hints.destructive_hint is True
    again = effect == "reads" or (hints is not None and hints.idempotent_hint is True)

    def begin(arguments: Mapping[str, Any], context: ToolContext) -> Awaitable[str]:
        if wrong := misfit(schema, arguments):
            raise ToolError(wrong)
        return call(listed.name, arguments, again)

    about = cleaned(listed.description or listed.title or listed.name.replace("_", " ")).strip()
    return Tool(
        ToolSchema(_name(listed.name), about[:MOST_SAID], schema),
        effect,
        begin,
        confirm=destroys or _among(listed.name, config.confirm),
        speakers=config.speakers,
        interrupted="cancel" if again else "finish",
        timeout=config.timeout,
        source=f"MCP server {config.name}",
    )


def told(result: mcp_types.CallToolResult) -> str:
    """What a server's tool has given, as text. Raises ToolError where the tool says that it failed."""
    parts = [part for block in result.content if (part := _part(block))]
    if not parts and result.structured_content is not None:
        parts = [json_text(result.structured_content)]
    text = "\n".join(parts)
    if result.is_error:
        raise ToolError(text or "It failed, and does not say why.")
    return text


def _part(block: mcp_types.ContentBlock) -> str:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"({block.type}, which cannot be told here)"
        case "resource_link":
            return f"{block.title or block.name}: {block.uri}"
        case "resource":
            text: str | None = getattr(block.resource, "text", None)
            return f"(a file, {block.resource.uri})" if text is None else text
        case _:  # of a newer protocol
            return ""


def _among(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _name(given: str) -> str:
    """A name that a model's call may have."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", given)[:64]


def _schema(listed: mcp_types.Tool) -> dict[str, Any]:
    if listed.input_schema.get("type") != "object":
        raise ToolError(f"{listed.name}: its arguments are no JSON object")
    try:
        schema = checked(listed.input_schema)
    except ToolError as error:
        raise ToolError(f"{listed.name}: {error}") from error
    if len(json.dumps(schema)) > LONGEST_SCHEMA:
        raise ToolError(f"{listed.name}: its schema is longer than {LONGEST_SCHEMA} characters")
    return schema
