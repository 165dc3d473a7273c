#!/usr/bin/env bash
# Captions through the two usual libraries. pysubs2 holds every line as Advanced SubStation, where braces are orders:
# "Type {name} here" is written to SRT and WebVTT as "Type  here", and so is read from them; what an assistant says of
# code or templates is not in its captions. And neither pysubs2 nor webvtt-py knows WebVTT's own signs: "a < b & c" is
# written as it is, which by the format's rules begins a tag that ends nowhere, and "a &lt; b &amp; c", the right way, is
# read as just that. The one undoes what the other does not do, so a test that writes and reads back is content. Hurt:
# captions of technical talk on the web. Escape before writing WebVTT; pysubs2 has no escape for a brace.
#
# Seen: pysubs2 1.8.1, webvtt-py 0.6.0, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pysubs2==1.8.1 webvtt-py==0.6.0
"$folder/venv/bin/python" - <<'PY'
import io
from importlib.metadata import version

import pysubs2
import webvtt

print(f"pysubs2 {version('pysubs2')}, webvtt-py {version('webvtt-py')}")


def captioned(text, form):
    file = pysubs2.SSAFile()
    file.append(pysubs2.SSAEvent(start=0, end=1500, text=text))
    return file.to_string(form).strip().splitlines()[-1]


for form in ("srt", "vtt"):
    print(form, repr(captioned("Type {name} here", form)), repr(captioned("a < b & c", form)))
    assert captioned("Type {name} here", form) == "Type  here"
    assert captioned("a < b & c", form) == "a < b & c"
read = pysubs2.SSAFile.from_string("1\n00:00:00,000 --> 00:00:01,500\nType {name} here\n")[0].plaintext
print("read from srt:", repr(read))
assert read == "Type  here"

RIGHT = "WEBVTT\n\n00:00.000 --> 00:01.500\na &lt; b &amp; c\n"
both = pysubs2.SSAFile.from_string(RIGHT)[0].plaintext, webvtt.from_string(RIGHT)[0].text
print("read from WebVTT:", both)
assert both == ("a &lt; b &amp; c",) * 2
captions, file = webvtt.WebVTT(), io.StringIO()
captions.captions.append(webvtt.Caption("00:00:00.000", "00:00:01.500", "a < b & c"))
captions.write(file)
assert file.getvalue().strip().endswith("a < b & c")
PY
