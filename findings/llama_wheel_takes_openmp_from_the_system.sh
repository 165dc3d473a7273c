#!/usr/bin/env bash
# The Linux wheel of xllamacpp (llama.cpp in process) is tagged manylinux, which promises that it runs on a system with
# nothing but the C and C++ libraries; but its module needs libgomp.so.1, GCC's OpenMP, and the wheel does not bring it.
# So it imports on every developer's machine (each compiler and many a media library has installed libgomp1) and fails
# with "libgomp.so.1: cannot open shared object file" in a slim container. Other wheels beside it that bring a libgomp of
# their own (numpy's neighbours, ctranslate2) do not help: theirs has another name. Hurts whoever ships a small image.
# And since it is OpenMP that runs its threads, `cpuparams.poll = 0` does not keep them from spinning while they wait.
#
# Seen: xllamacpp 2026.10.11549, tag manylinux2014: NEEDED has libgomp.so.1; no file of the wheel is called so.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyelftools==0.32
"$folder/venv/bin/pip" -q download --no-deps --only-binary=:all: \
    -d "$folder" xllamacpp==2026.10.11549
"$folder/venv/bin/python" - "$folder"/xllamacpp-*.whl <<'PY'
import io
import sys
import zipfile

from elftools.elf.elffile import ELFFile

wheel = sys.argv[1]
needed, brought = set(), set()
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        base = name.rpartition("/")[2]
        if ".so" in base:
            brought.add(base)
            dynamic = ELFFile(io.BytesIO(archive.read(name))).get_section_by_name(".dynamic")
            needed |= {tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}
print("wheel:  ", wheel.rpartition("/")[2])
print("needs:  ", *sorted(needed))
print("brings: ", *sorted(brought))
assert "manylinux" in wheel
assert "libgomp.so.1" in needed
assert not any(name.startswith("libgomp") for name in brought)
print("as said: it needs libgomp.so.1 and does not bring it")
PY
