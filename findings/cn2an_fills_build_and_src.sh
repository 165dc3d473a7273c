#!/usr/bin/env bash
# The wheels of cn2an and of its dependency proces (Chinese numbers; misaki[zh], and so Kokoro's Chinese, needs them) put
# folders named `build`, `src` and `example` beside the packages: left-overs of their making, with code in them. From
# then on `import build`, `import src` and `import example` succeed for everybody in that environment, and find theirs.
# Hurt: whoever asks by import whether PyPA's `build` is there; whoever has a package `src` or `example` of their own
# behind site-packages in the path; and both distributions own files in one `build`.
#
# Seen: cn2an 0.5.24 with proces 0.1.7, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install cn2an==0.5.24 proces==0.1.7
cd "$folder" && "$folder/venv/bin/python" - <<'PY'
import importlib
from importlib.metadata import distribution

owners = {}
for name in ("cn2an", "proces"):
    for file in distribution(name).files:
        owners.setdefault(file.parts[0], set()).add(name)
print({top: sorted(names) for top, names in owners.items() if not top.endswith(".dist-info")})
assert {"build", "src", "example"} <= owners.keys() and owners["build"] == {"cn2an", "proces"}
for top in ("build", "src", "example"):
    found = importlib.import_module(top)
    print(f"import {top}: {list(found.__path__)}")
    assert any("site-packages" in path for path in found.__path__)
PY
