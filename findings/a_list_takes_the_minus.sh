#!/usr/bin/env bash
# What takes Markdown out of an answer before it is spoken takes numbers with it. A line that begins with "- 5 degrees"
# is a list's item to livekit-agents, to pipecat and to strip-markdown: "5 degrees" is said. ("-5" stays minus.) A line
# "> 90 means high" is a quotation to all three: "90 means high". strip-markdown takes "1986. A good year." for the
# 1986th item and drops the year, and all three make "Array0" of "Array[0](x)". By CommonMark each is right, for a page,
# on which the dash and the number are drawn; in speech nothing is left of them. Hurt: who asks for temperatures,
# limits or years and hears a plausible answer. Ask the model for whole sentences; keep marks before a figure.
#
# Seen: livekit-agents 1.8.9, pipecat-ai 1.14.0, strip-markdown 1.3, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cat > "$folder/said.py" <<'PY'
import asyncio
import sys
from importlib.metadata import version

NAME = sys.argv[1]
if NAME == "livekit-agents":
    from livekit.agents.voice.transcription.filters import filter_markdown

    async def without(text):
        async def pieces():
            yield text
        return "".join([piece async for piece in filter_markdown(pieces())])
elif NAME == "pipecat-ai":
    from pipecat.utils.text.transforms import strip_markdown

    async def without(text):
        return await strip_markdown(text, "sentence")
else:
    import strip_markdown

    async def without(text):
        return strip_markdown.strip_markdown(text)

print(f"{NAME} {version(NAME)}")
for text, seen in {
    "-5 degrees": "-5 degrees",
    "- 5 degrees": "5 degrees",
    "> 90 means high": "90 means high",
    "1986. A good year.": "A good year." if NAME == "strip-markdown" else "1986. A good year.",
    "Array[0](x) is it": "Array0 is it",
}.items():
    said = asyncio.run(without(text)).strip()
    print(f"  {text!r} -> {said!r}")
    assert said == seen
PY
for package in strip-markdown==1.3 livekit-agents==1.8.9 pipecat-ai==1.14.0; do
    python3 -m venv "$folder/${package%=*}"
    "$folder/${package%=*}/bin/pip" -q install "$package"
    "$folder/${package%=*}/bin/python" -W ignore "$folder/said.py" "${package%==*}" 2>/dev/null
done
