#!/usr/bin/env bash
# `import scipy.fft`, for one Fourier transform, loads numpy's Fortran wrapper generator (numpy.f2py), masked arrays
# and scipy.special, some 250 modules more than numpy has loaded by then. That hurts every command that is to be
# quick and needs one FFT: a voice that says a single sentence, for one. numpy.fft has the same transforms and
# brings none of that.
#
# Seen: scipy 1.17.1 with numpy 2.4.6: 253 modules; 0.19 s of processor time, where all of numpy took 0.10.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy.fft

before, unwanted = set(sys.modules), {"numpy.f2py", "numpy.ma", "scipy.special"}
assert not unwanted & before
import scipy.fft  # noqa: E402

new = set(sys.modules) - before
print(f"{len(new)} modules for scipy.fft, among them {', '.join(sorted(unwanted & new))}")
assert unwanted <= new and len(new) > 100
assert abs(scipy.fft.rfft([1.0, 2.0, 3.0]) - numpy.fft.rfft([1.0, 2.0, 3.0])).max() < 1e-12
PY
