"""A house that is none: an MCP server with the tools of Home Assistant's Assist API, for lights, covers and a
thermostat. `house.py FILE` keeps how they stand in FILE, as JSON.

It is written by hand, since the package's own servers take seconds to begin.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

THINGS: dict[str, dict[str, Any]] = {
    "kitchen light": {"area": "Kitchen", "domain": "light", "state": "off", "brightness": 100},
    "hall light": {"area": "Hall", "domain": "light", "state": "on", "brightness": 40},
    "living room blind": {"area": "Living Room", "domain": "cover", "state": "open"},
    "thermostat": {"area": "Hall", "domain": "climate", "state": "heat", "temperature": 19.0},
}
NAME = {
    "name": {"type": "string"},
    "area": {"type": "string"},
    "domain": {"type": "array", "items": {"type": "string"}},
}
TOOLS: dict[str, tuple[str, dict[str, Any], dict[str, bool]]] = {
    "HassTurnOn": ("Turns on, opens or presses a device or entity.", NAME, {}),
    "HassTurnOff": ("Turns off, or closes a device or entity.", NAME, {}),
    "HassLightSet": ("Sets the brightness of a light.", {**NAME, "brightness": {"type": "integer"}}, {}),
    "HassClimateSetTemperature": (
        "Sets the target temperature of a climate device.",
        {**NAME, "temperature": {"type": "number"}},
        {},
    ),
    "GetLiveContext": (
        "Tells how the devices of the house stand right now.",
        {},
        {"readOnlyHint": True},
    ),
}
TURNED = {
    ("light", True): "on",
    ("light", False): "off",
    ("cover", True): "open",
    ("cover", False): "closed",
    ("climate", True): "heat",
    ("climate", False): "off",
}


def read(file: Path) -> dict[str, dict[str, Any]]:
    return (
        json.loads(file.read_text()) if file.exists() else {name: dict(each) for name, each in THINGS.items()}
    )


def meant(things: dict[str, dict[str, Any]], wish: dict[str, Any]) -> list[str]:
    """The things that a call is about, as Assist finds them: by name, area and domain together."""
    name, area = (str(wish.get(key, "")).lower().removeprefix("the ") for key in ("name", "area"))
    return [
        each
        for each, about in things.items()
        if (not name or name == each)
        and (not area or area == about["area"].lower())
        and (not wish.get("domain") or about["domain"] in wish["domain"])
        and (name or area or wish.get("domain"))
    ]


def call(file: Path, name: str, wish: dict[str, Any]) -> tuple[str, bool]:
    """What is told of a call, and whether it went wrong."""
    things = read(file)
    if name == "GetLiveContext":
        return "\n".join(f"{each}: {about}" for each, about in things.items()), False
    found = meant(things, wish)
    if not found:
        return f"MatchFailedError: nothing here matches {wish}", True
    for each in found:
        about = things[each]
        if name in ("HassTurnOn", "HassTurnOff"):
            about["state"] = TURNED[about["domain"], name == "HassTurnOn"]
        elif name == "HassLightSet":
            about |= {"brightness": wish["brightness"], "state": "on"}
        else:
            about["temperature"] = wish["temperature"]
    file.write_text(json.dumps(things))
    return json.dumps({"speech": {}, "response_type": "action_done", "data": {"success": found}}), False


def answer(file: Path, method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        about = {"name": "home-assistant", "version": "1.0.0"}
        version = params["protocolVersion"]
        return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}}
    if method == "tools/list":
        tools = [
            {
                "name": name,
                "description": about,
                "inputSchema": {"type": "object", "properties": properties},
                "annotations": hints,
            }
            for name, (about, properties, hints) in TOOLS.items()
        ]
        return {"result": {"tools": tools}}
    if method == "tools/call" and params["name"] in TOOLS:
        words, wrong = call(file, params["name"], params.get("arguments") or {})
        return {"result": {"content": [{"type": "text", "text": words}], "isError": wrong}}
    return {"error": {"code": -32601, "message": f"no {params.get('name', method)} here"}}


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            reply = answer(Path(sys.argv[1]), message["method"], message.get("params", {}))
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
