"""The systemd unit and the image: what they give up, and that no secret stands on a command line."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from agent.cli.commands import backchat
from agent.cli.serve import serve

CONFIGS = Path(__file__).parents[1] / "configs"
UNIT = CONFIGS / "backchat.service"
GIVEN_UP = {
    "CapabilityBoundingSet": "",
    "DynamicUser": "yes",
    "LockPersonality": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateMounts": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}
WORST = 15
"""Tenths of the most that `systemd-analyze security` may find; 11 with systemd 252, and 70 before."""


def service() -> dict[str, list[str]]:
    """Each key of the unit's section Service with its values."""
    text = UNIT.read_text(encoding="utf-8").split("[Service]\n")[1].split("\n[")[0].replace("\\\n", "")
    lines = [line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, list[str]] = {}
    for key, value in lines:
        found.setdefault(key, []).append(value)
    return found


def test_the_service_gives_up_what_it_does_not_need() -> None:
    unit = service()
    assert {key: unit.get(key) for key in GIVEN_UP} == {key: [value] for key, value in GIVEN_UP.items()}
    assert "MemoryDenyWriteExecute" not in unit, "Whisper's library then has no place for its machine code"
    allowed, refused = unit["SystemCallFilter"]
    assert (allowed, refused) == ("@system-service", "~@privileged @resources")
    assert re.fullmatch(r"\d+G", unit["MemoryMax"][0])


def test_its_secrets_are_handed_over_as_files() -> None:
    unit = service()
    assert "EnvironmentFile" not in unit
    handed = {value.partition(":")[0] for value in unit["LoadCredential"]}
    (command,) = unit["ExecStart"]
    assert set(re.findall(r"%d/(\S+)", command)) == handed == {"token", "certificate.pem", "key.pem"}


@pytest.mark.parametrize("file", ["backchat.service", "Dockerfile"])
def test_its_command_is_one_that_serve_takes(file: str) -> None:
    text = (CONFIGS / file).read_text(encoding="utf-8").replace("\\\n", "")
    (line,) = [line for line in text.splitlines() if line.startswith(("ExecStart=", "ENTRYPOINT "))]
    words = re.findall(r"[^\s\",\[\]]+", line.partition(" serve" if file != "Dockerfile" else '"serve"')[2])
    parent = click.Context(backchat, **backchat.context_settings)
    with serve.make_context("serve", words, parent) as context:
        assert context.params["token_file"]
        assert context.params["certificate"]
        assert context.params["key"]


def test_systemd_finds_little_that_it_could_still_do(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd on this machine")
    command = [tool, "security", "--offline=yes", f"--threshold={WORST}", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
