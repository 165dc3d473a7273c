#!/usr/bin/env bash
# A FLAC that was written to a pipe is valid: its header says 0 samples, which the format means as "not known", for
# the encoder could not go back to write the count. soundfile takes it for 2**63 - 1 samples: read() wants an array
# of that size and raises, the duration is 18 million years, and in blocks the one that reaches the end raises, so
# its sound is lost. The same sound written where one can seek is read whole; PyAV reads both. Hurt: who gets FLAC
# from `ffmpeg ... pipe:`, an upload or an HTTP stream: it looks broken, and a short one is not read at all.
#
# Seen: soundfile 0.14.0 (libsndfile 1.2.2), FLAC by PyAV 18.1.0 (FFmpeg): 2 s of a tone, 32,000 samples.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
from types import SimpleNamespace

import av
import numpy as np
import soundfile as sf

print("soundfile", sf.__version__, sf.__libsndfile_version__, "| av", av.__version__)
RATE = 16_000
tone = (9000 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.int16)


def encode(out: object) -> None:
    """The tone as FLAC, each packet written as soon as it is there."""
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for given in (frame, None):
            container.mux(stream.encode(given))


def read(flac: bytes, block: int) -> tuple[int, str]:
    """Samples that soundfile gives in blocks of `block` (-1: all at once), and what it raises."""
    got = 0
    try:
        with sf.SoundFile(io.BytesIO(flac)) as file:
            while count := len(file.read(block)):
                got += count
    except (ValueError, sf.LibsndfileError) as error:
        return got, str(error)
    return got, ""


seekable, pipe = io.BytesIO(), io.BytesIO()
encode(seekable)
encode(SimpleNamespace(write=pipe.write))  # all that a pipe or a socket can do
for name, flac, frames in (("file", seekable.getvalue(), 2 * RATE), ("pipe", pipe.getvalue(), 2**63 - 1)):
    says, whole, blocks = sf.info(io.BytesIO(flac)).frames, read(flac, -1), read(flac, 3000)
    with av.open(io.BytesIO(flac)) as container:
        by_av = sum(frame.samples for frame in container.decode(audio=0))
    print(f"{name}: frames {says}, at once {whole}, in blocks {blocks}, PyAV {by_av}")
    assert says == frames and by_av == 2 * RATE and len(flac) == len(pipe.getvalue())
    assert (whole, blocks) == ((2 * RATE, ""),) * 2 or (name == "pipe" and whole[1] and blocks[1])
    assert (whole[0], blocks[0]) == ((2 * RATE, 2 * RATE) if name == "file" else (0, 30_000))
PY
