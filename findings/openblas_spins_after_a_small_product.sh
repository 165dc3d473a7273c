#!/usr/bin/env bash
# A product of two small matrices in numpy, as mel features need one every few hundred milliseconds (80x201 by
# 201x1000: 10 s of sound), is shared by OpenBLAS among its threads, and those spin on for 40 to 100 ms of processor
# time each when it is done, for more work that does not come: several times what the product itself costs. It shows
# in no profile of Python and in no wall time, but in the processor time of the process. Hurt: whoever does real-time
# audio with numpy on a laptop: a core is busy one tenth of the time for nothing, and what runs beside it waits.
# OPENBLAS_NUM_THREADS=1 before numpy's import, threadpoolctl, or products in parts too small to be shared.
#
# Seen: numpy 2.4.6 (wheels with OpenBLAS 0.3.31), Linux x86-64, two cores; with one core it cannot be seen.
set -euo pipefail
[ "$(nproc)" -gt 1 ] || { echo "needs two cores"; exit 1; }
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numpy==2.4.6
cat >"$folder/mel.py" <<'PY'
import sys
import time

import numpy as np

filters, power = np.ones((80, 201), np.float32), np.ones((201, 1000), np.float32)
filters @ power
time.sleep(0.3)
own, all_threads = time.thread_time(), time.process_time()
for _ in range(20):
    filters @ power
    time.sleep(0.1)
own, all_threads = time.thread_time() - own, time.process_time() - all_threads
print(f"{own / 20 * 1e3:.1f} {(all_threads - own) / 20 * 1e3:.1f}", np.__version__)
PY
read -r own others numpy < <("$folder/venv/bin/python" "$folder/mel.py")
read -r own1 others1 numpy < <(OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/mel.py")
echo "numpy $numpy: ms of processor time for each product: $own where it was asked for, $others in other threads;" \
    "with OPENBLAS_NUM_THREADS=1: $own1 and $others1"
python3 - "$own" "$others" "$own1" "$others1" <<'PY'
import sys

own, others, own1, others1 = map(float, sys.argv[1:])
assert others > 3 * own1, "the threads that have nothing to do take more than the work"
assert others1 < 1
PY
