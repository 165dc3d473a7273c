"""The judge of `scripts/clients` that needs no package of its own runs here too, and finds nothing wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.net
def test_the_stock_client_works_unmodified() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *sys.path])}
    command = [sys.executable, "-m", "stock_clients.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            judge = [sys.executable, str(SCRIPTS / "stock_clients/judges/openai_clients.py"), f"{address}/v1"]
            done = subprocess.run(judge, capture_output=True, text=True, timeout=120, check=True)
        finally:
            server.terminate()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 14
    assert [one for one in found if one["why"] is not None] == []
