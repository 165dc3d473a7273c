"""A server of tools that keeps the Model Context Protocol of 2025, or breaks it: `tool_server.py [silent]`.

It is written by hand, since the package's own servers take seconds to begin, and behave. What it does wrong,
it does once for a folder STATE, so that it is a good server when it is started again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TOOLS: dict[str, dict[str, Any]] = {
    "temperature": {"readOnlyHint": True},
    "count": {},
    "set_light": {"idempotentHint": True, "destructiveHint": False},
    "wipe": {"destructiveHint": True},
    "die": {"readOnlyHint": True},
    "die_changing": {},
    "hang": {"readOnlyHint": True},
    "flood": {"readOnlyHint": True},
    "long_line": {"readOnlyHint": True},
    "megabyte": {"readOnlyHint": True},
    "coloured": {"readOnlyHint": True},
    "fails": {"readOnlyHint": True},
    "grow": {"readOnlyHint": True},
    "refuse": {"readOnlyHint": True},
    "malformed": {"readOnlyHint": True},
}
STATE = Path(os.environ.get("STATE", "/nonexistent"))


def say(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def listed() -> list[dict[str, Any]]:
    room = {"type": "object", "properties": {"room": {"$ref": "#/$defs/Room"}}}
    schema = {**room, "$defs": {"Room": {"type": "string", "title": "Room"}}}
    return [
        {"name": name, "description": f"Does {name}.", "inputSchema": schema, "annotations": hints}
        for name, hints in TOOLS.items()
    ]


def once(what: str) -> bool:
    """Whether this is the first time, over all processes."""
    file = STATE / what
    if file.exists():
        return False
    file.touch()
    return True


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name == "count":
        with (STATE / "count").open("a") as file:
            file.write("x")
        return text(f"done {(STATE / 'count').stat().st_size} times")
    if name in ("die", "die_changing") and once(name):
        print("no more coal", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "hang" and once(name):
        time.sleep(600)
    if name == "flood" and once(name):
        line = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}})
        while True:
            sys.stdout.write(f"{line}\n" * 100)
    if name == "long_line" and once(name):
        while True:
            sys.stdout.write("x" * 100_000)
    if name == "grow":
        TOOLS["grown"] = {"readOnlyHint": True}
        del TOOLS["wipe"]
        say({"method": "notifications/tools/list_changed"})
    if name == "malformed":
        say({"method": "notifications/tools/list_changed", "params": {"_meta": str(arguments)}})
    if name == "fails":
        return text("the oven is cold", isError=True)
    words = {"megabyte": "m" * 1_000_000, "coloured": "\x1b[31mred\x1b[0m"}
    return text(words.get(name, f"{name} in the {arguments.get('room', 'house')}"))


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        about = {"name": "house", "version": "1"}
        able = {"tools": {"listChanged": True}}
        return {
            "result": {
                "protocolVersion": params["protocolVersion"],
                "capabilities": able,
                "serverInfo": about,
            }
        }
    if method == "tools/list":
        return {"result": {"tools": listed()}}
    if method == "tools/call" and params["name"] != "refuse":
        return {"result": call(params["name"], params.get("arguments") or {})}
    return {"error": {"code": -32601, "message": f"no {params.get('name', method)} here"}}


def main() -> None:
    if "silent" in sys.argv:
        time.sleep(600)
    print("Welcome! This line is no message.", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            say({"id": message["id"], **answer(message["method"], message.get("params", {}))})


if __name__ == "__main__":
    main()
