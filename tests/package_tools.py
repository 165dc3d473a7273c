"""A server made with the package `mcp`: `python package_tools.py [PORT]`, by standard output or on a port."""

from __future__ import annotations

import os
import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import ToolAnnotations

READS = ToolAnnotations(read_only_hint=True)
app = MCPServer("package")


@app.tool(annotations=READS)
def departures(station: str, count: int = 1) -> list[str]:
    """The next trains."""
    return [f"{station} at {minute} past" for minute in (12, 32)][:count]


@app.tool(annotations=READS)
def letter() -> str:
    """More than can be read."""
    return "x" * 5_000_000


@app.tool(annotations=READS)
def whose(context: Context) -> str:
    """What came along with the request."""
    return str(dict(context.headers or {}).get("authorization"))


@app.tool(annotations=READS)
async def grow(context: Context) -> str:
    """Another tool is there."""

    def grown() -> str:
        """New."""
        return "new"

    app.add_tool(grown)
    await context.notify_tools_changed()
    return "grown"


@app.tool()
def die() -> str:
    """The program ends."""
    os._exit(3)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        app.run("streamable-http", port=int(sys.argv[1]), json_response="json" in sys.argv)
    else:
        app.run("stdio")
