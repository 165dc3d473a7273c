#!/usr/bin/env bash
# soundfile reads an MP3 from the middle otherwise than as a whole: read(start=...), or seek() and read(), give the
# right number of samples from the right place, and the first of them, up to a third of a second, are zeros or broken
# sound. MP3 keeps bits that quiet frames leave over for later ones, and libsndfile decodes too few frames before the
# place to have them. Nothing is raised. It is worst at low rates, where speech is stored; loud noise is all but
# exact, so tests with noise pass. Hurt: who reads long recordings in pieces (parallel transcription, clips at a VAD's
# times, jumps in a player): each begins damaged. Read from half a second before, and throw that away.
#
# Seen: soundfile 0.14.0 (libsndfile 1.2.2 with mpg123), numpy 2.4.6, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> decoder.txt <<'PY'
import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)


def wrong(name: str, rate: int, samples: np.ndarray) -> list[float]:
    """How many seconds are other than in the whole file, for pieces read from many places; 0 where all is right."""
    soundfile.write("sound.mp3", samples, rate)
    whole, _ = soundfile.read("sound.mp3")
    assert len(whole) == len(samples)
    seconds = []
    for start in range(rate, len(whole) - rate, rate // 2):
        piece, _ = soundfile.read("sound.mp3", start=start, frames=rate)
        other = np.flatnonzero(np.abs(piece - whole[start : start + rate]) > 0.01)
        seconds.append((other[-1] + 1) / rate if len(other) else 0.0)
        early, _ = soundfile.read("sound.mp3", start=start - rate // 2, frames=rate + rate // 2)
        assert np.allclose(early[rate // 2 :], whole[start : start + rate], atol=0.01)  # what helps
    bad = sum(second > 0 for second in seconds)
    print(f"{name}, {rate} Hz: {bad} of {len(seconds)} pieces begin wrong, at most {max(seconds):.3f} s of one")
    return seconds


for rate in (16_000, 24_000, 44_100):
    time = np.arange(6 * rate) / rate
    hum = 0.3 * np.sin(2 * np.pi * 300 * time) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    noise = np.random.default_rng(0).normal(0, 0.2, len(time))
    seconds = wrong("a voice's hum", rate, hum)
    assert min(seconds) > 0.04 and max(seconds) > 0.05 and (rate > 16_000 or max(seconds) > 0.2)
    assert max(wrong("loud noise", rate, noise)) < 0.01
PY
echo "and lines that mpg123 wrote to standard error: $(grep -c 'part2_3_length' decoder.txt)"
