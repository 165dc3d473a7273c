"""That what is installed is what the project's files say: pins, the command, the licence."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import agent
from helpers_packages import needed

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.!+_-]+)")


def pins() -> dict[str, str]:
    """constraints.txt as {name: version}. Each line is an exact version: no path, no host."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [PIN.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {canonicalize_name(match["name"]): match["version"] for match in found if match}


def test_everything_that_dev_needs_is_pinned():
    unpinned = needed("backchat", {"dev"}) - set(pins()) - {"backchat"}
    assert not unpinned


@pytest.mark.parametrize("name", ["server", "build"])
def test_the_image_installs_the_pinned_versions_and_checks_each_file(name: str):
    text = (ROOT / "configs" / f"requirements-{name}.txt").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: dict[str, str] = {}
    for line in lines:
        pin, *hashes = line.split("--hash=")
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes), pin
        requirement = Requirement(pin)
        found[canonicalize_name(requirement.name)] = str(requirement.specifier)
    known = pins()
    stale = {name for name, version in found.items() if name in known and version != f"=={known[name]}"}
    assert not stale, "constraints.txt has changed: scripts/lock"
    if name == "server":
        wanted = needed("backchat", {"server", "grpc"}) - {"backchat"}
        assert wanted <= set(found) <= set(known), "what the server needs has changed: scripts/lock"
    else:
        assert "hatchling" in found


def test_command_version_and_licence():
    installed = metadata.distribution("backchat")
    commands = {
        entry.name: entry.value for entry in installed.entry_points if entry.group == "console_scripts"
    }
    assert commands == {"backchat": "agent.cli:main"}
    assert installed.version == agent.__version__
    assert installed.metadata["License-Expression"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
