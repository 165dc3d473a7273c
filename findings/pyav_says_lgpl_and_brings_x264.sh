#!/usr/bin/env bash
# PyAV calls itself BSD, and asked for the licence of the FFmpeg in its wheel, that says LGPL. But the Linux wheel
# brings libx264 and libx265, which are GPL-2.0-or-later, linked into that FFmpeg. Whoever redistributes the
# wheel (in a container image, an app bundle) on the strength of either answer has to look at the GPL instead.
#
# Seen: av 18.1.0, manylinux x86_64.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install av==18.1.0
"$folder/venv/bin/python" - <<'PY'
import ctypes
import importlib.metadata as metadata
from pathlib import Path

import av

libraries = {path.name: path for path in (Path(av.__file__).parents[1] / "av.libs").iterdir()}
(codec,) = [path for name, path in libraries.items() if name.startswith("libavcodec")]
avcodec = ctypes.CDLL(str(codec))
avcodec.avcodec_license.restype = avcodec.avcodec_configuration.restype = ctypes.c_char_p
says = avcodec.avcodec_license().decode()
gpl = sorted(name for name in libraries if name.startswith(("libx264", "libx265")))
meta = metadata.metadata("av")
print("av", av.__version__, "| package:", meta["License-Expression"] or meta["License"], "| FFmpeg:", says)
print("brings", gpl, "; an encoder by that name works:", av.Codec("libx264", "w").long_name)
assert says.startswith("LGPL") and len(gpl) == 2
PY
