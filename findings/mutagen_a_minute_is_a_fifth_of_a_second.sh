#!/usr/bin/env bash
# mutagen says of a minute of voice mail that it lasts 0.19 s. It divides the bytes of a WAV by the size of a block and
# takes each block for one sample, which is so for PCM and telephone companding; in GSM 6.10 (Asterisk's "wav49"), the
# two ADPCMs and G.721 a block holds some hundreds of samples, and the file's `fact` chunk says how many there are in
# all. Nothing is raised, and the bit rate of GSM is 0. Hurt: whoever sorts, bills, or drops as "too short" what was
# recorded by a telephone system. Ask soundfile (or tinytag, which reads the chunk).
#
# Seen: mutagen 1.48.1 beside soundfile 0.14.0 (libsndfile 1.2.2) and tinytag 2.3.2, 60 s of a tone at 8 kHz.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install mutagen==1.48.1 tinytag==2.3.2 soundfile==0.14.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import mutagen
import numpy as np
import soundfile
import tinytag

print("mutagen", mutagen.version_string)
tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(60 * 8_000) / 8_000)
for subtype, wrong in (
    ("PCM_16", False),
    ("ULAW", False),
    ("GSM610", True),
    ("IMA_ADPCM", True),
    ("MS_ADPCM", True),
    ("G721_32", True),
):
    soundfile.write("mail.wav", tone, 8_000, subtype)
    told, read = mutagen.File("mail.wav").info, soundfile.info("mail.wav").duration
    tag = tinytag.TinyTag.get("mail.wav").duration
    print(f"{subtype}: mutagen {told.length:.3f} s, {told.bitrate} bit/s; soundfile {read:.2f} s, tinytag {tag:.2f} s")
    assert abs(read - 60) < 0.1 and abs(tag - 60) < 0.1
    assert (told.length < 0.5) == wrong and (wrong or abs(told.length - 60) < 0.1)
    assert (told.bitrate == 0) == (subtype == "GSM610")
PY
