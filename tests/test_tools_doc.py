"""That the blocks of docs/tools.md work as they are written, and its names are names of settings."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

from agent.config import load
from agent.settings import Config, ToolsConfig
from agent.simulation import scenario
from agent.simulation.tools import scripted
from agent.tools.registry import known, loaded
from agent.tools.tool import Tool

ROOT = Path(__file__).parents[1]
DOC = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert f"prints `{done.stdout.strip()}`" in DOC


def test_the_file_of_the_program_is_a_set_of_tools(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / "departures.py").write_text(program.split("async def talk")[0], encoding="utf-8")
    (made,) = loaded(ToolsConfig(use=(str(tmp_path / "departures.py"),)))
    assert (made.name, made.source) == ("departures", str(tmp_path / "departures.py"))


def test_the_settings_of_the_page_switch_on_all_that_is_built_in() -> None:
    settings, _, _ = blocks("toml")
    use = tomllib.loads(settings)["tools"]["use"]
    assert sorted(use) == sorted(known())
    assert loaded(ToolsConfig(use=tuple(use)))


def test_the_servers_of_the_page_are_settings(tmp_path: Path) -> None:
    _, _, servers = blocks("toml")
    (tmp_path / "c.toml").write_text(servers, encoding="utf-8")
    assert [server.name for server in load(tmp_path / "c.toml").tools.mcp] == ["time", "house"]


def test_the_scenario_of_the_page_is_one(tmp_path: Path) -> None:
    _, script, _ = blocks("toml")
    (tmp_path / "c.toml").write_text(script, encoding="utf-8")
    found = scenario.read(tmp_path / "c.toml")
    assert [scripted(tool).name for tool in found.tool] == [call.name for call in found.call] == ["set_timer"]


def test_every_name_on_the_page_is_one() -> None:
    settings = re.findall(r"`tools\.(\w+)`", DOC)
    assert set(settings) <= set(Config().tools.model_dump())
    said = re.findall(r"^\| `(\w+)=", DOC, re.MULTILINE)
    assert set(said) <= {field.name for field in fields(Tool)}
