#!/usr/bin/env bash
# Whether soundfile reads an MP3 from memory (BytesIO, an upload, an open file) depends on the folder that the
# program runs in. libsndfile looks for a Mac resource fork beside the file; sound in memory has no name, so what it
# tries is "._" and ".AppleDouble/" in the current folder, and where one is there, an MP3 without a tag is taken for
# Sound Designer II and refused ("bad data offset"). Netatalk makes .AppleDouble in the folders that it shares; and
# writing SD2 to memory once leaves such a "._" behind, so that every program run in that folder fails from then on.
# Hurt: servers and tools that decode uploads, run in a shared folder; the same bytes read by path are fine.
#
# Seen: soundfile 0.14.0 (libsndfile 1.2.2), Linux x86_64.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import io
import os
import sys

import numpy as np
import soundfile as sf

print("soundfile", sf.__version__, sf.__libsndfile_version__)
RATE, path = 16_000, f"{sys.argv[1]}/noise.mp3"
noise = np.random.default_rng(0).normal(0, 0.1, RATE)
sf.write(path, noise, RATE)
with open(path, "rb") as file:
    mp3 = file.read()


def read() -> str:
    """What comes of the MP3 in memory, read in the folder where we are."""
    try:
        return f"{len(sf.read(io.BytesIO(mp3))[0])} samples"
    except sf.LibsndfileError as error:
        return error.error_string


def write_sd2() -> None:
    sf.write(io.BytesIO(), noise, RATE, format="SD2")


cases = {"nothing": lambda: None, "folder .AppleDouble": lambda: os.mkdir(".AppleDouble"), "SD2 written": write_sd2}
for number, (name, prepare) in enumerate(cases.items()):
    place = f"{sys.argv[1]}/{number}"
    os.mkdir(place)
    os.chdir(place)
    prepare()
    found = read()
    print(f"{name}: here are {os.listdir()}; in memory: {found}; by path: {len(sf.read(path)[0])} samples")
    assert len(sf.read(path)[0]) == RATE
    assert found == f"{RATE} samples" if name == "nothing" else "bad data offset" in found
    assert os.listdir() == {"nothing": [], "SD2 written": ["._"]}.get(name, [".AppleDouble"])
PY
