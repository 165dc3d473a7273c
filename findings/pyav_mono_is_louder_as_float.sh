#!/usr/bin/env bash
# How loud the mono is that PyAV makes of stereo hangs on the format of the samples that is asked for: as int16 it is
# the mean of the channels, as float 0.707 of their sum, 3 dB more, so that a voice in both channels at above 0.707 goes
# beyond full scale. FFmpeg scales its mixing matrix down only where whole numbers are in play, and the format of what
# goes in does not matter; a voice in one channel alone is -6 dB by the one and -3 dB by the other. Hurt: whoever gives
# the float to a model or back to int16 (it clips, or turns over), and whoever compares levels, or thresholds of a VAD,
# between a program that asks for "s16" and one that asks for "flt". Ask for both channels and take the mean yourself.
#
# Seen: av 18.1.0 (FFmpeg's swresample 6.3), numpy 2.4.6, CPython 3.11: a sine with its peak at 0.9 in both channels.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import av
import numpy as np

print("av", av.__version__, "swresample", av.library_versions["libswresample"])
RATE = 48_000
sine = 0.9 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


def mono_peak(given: str, asked: str, right: float) -> float:
    """The peak of the mono of that format, as a share of full scale, from stereo of the given format."""
    stereo = np.stack([sine, right * sine])
    samples = stereo.astype(np.float32) if given == "fltp" else (32_767 * stereo).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples, format=given, layout="stereo")
    frame.sample_rate = RATE
    resampler = av.AudioResampler(format=asked, layout="mono", rate=RATE)
    out = np.concatenate([part.to_ndarray().ravel() for part in resampler.resample(frame)])
    return float(np.abs(out.astype(float)).max()) / (32_768 if asked == "s16" else 1)


for given in ("fltp", "s16p"):
    for asked, share in (("s16", 0.5), ("flt", 0.5**0.5)):
        both, alone = mono_peak(given, asked, 1.0), mono_peak(given, asked, 0.0)
        print(f"{given} in, mono {asked} out: peak {both:.3f} for both channels, {alone:.3f} for the left alone")
        assert abs(both - 2 * share * 0.9) < 0.002 and abs(alone - share * 0.9) < 0.002
        assert (both > 1) == (asked == "flt")
PY
