#!/usr/bin/env bash
# The Linux wheels of onnxruntime report to their maker. The import alone makes a device id and a queue
# below the user's cache folder (an event with processor, memory, system and the path of the program is in it at
# once, and a thread goes to send it). disable_telemetry_events() cannot be called before the import, and does not
# undo it; only ORT_DISABLE_TELEMETRY=1, set before the import, does. DO_NOT_TRACK is not looked at. And where CI
# is set it is all off: the test "this program reports nothing" is green in every CI and untrue for every user.
# Hurt: whoever promises that nothing leaves the machine (a local voice, say) and has onnxruntime below it somewhere.
#
# Seen: onnxruntime 1.32.0 (manylinux x86_64): files made after a bare import, by what the environment says.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

IMPORT = "import onnxruntime"
TOO_LATE = IMPORT + "; onnxruntime.disable_telemetry_events()"
NAMES = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK")
plain = {name: value for name, value in os.environ.items() if name not in NAMES}
cases = (
    ({}, IMPORT, True),
    ({}, TOO_LATE, True),
    ({"DO_NOT_TRACK": "1"}, IMPORT, True),
    ({"CI": "true"}, IMPORT, False),
    ({"ORT_DISABLE_TELEMETRY": "1"}, IMPORT, False),
)
for number, (says, code, reports) in enumerate(cases):
    home = Path(sys.argv[1], str(number))
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run([sys.executable, "-c", code], env=plain | places | says, check=True)
    made = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    print(says or "nothing set", "|", code, "|", made or "no files")
    below = "cache/Microsoft/DeveloperTools/.onnxruntime/"
    assert made == ([below + "deviceid", below + "onnxruntime.db"] if reports else [])
    if reports:
        with sqlite3.connect(home / made[1]) as queue:
            events = [payload for (payload,) in queue.execute("select payload from events")]
        told = [word for word in (b"ProcessInfo", b"cpuModel", b"totalMemoryMB", b"osDescription") if word in events[0]]
        print("  waits to be sent:", len(events), "event(s), with", *(word.decode() for word in told))
        assert events and len(told) == 4
PY
