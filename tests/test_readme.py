"""That the README tells the truth where a program can check it: paths, commands, settings, sizes."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from agent import config
from agent.cli.commands import backchat
from agent.weights import catalogue as models

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LARGEST_PICTURE = 300_000
COMMAND = re.compile(r"^(?:\.venv/bin/)?backchat (?P<rest>.+?)(?:\s{2,}#.*)?$")


def commands() -> list[str]:
    """Every `backchat ...` that the README shows, in a block or within a line."""
    inline = re.findall(r"`((?:\.venv/bin/)?backchat [^`]+)`", README)
    shown = [line for _, text in BLOCKS for line in text.splitlines()] + inline
    return [match["rest"] for line in shown if (match := COMMAND.match(line))]


def paths() -> list[str]:
    """Paths from the root that are named in running text, in commands and in links."""
    text = README.replace("./scripts/", "scripts/")
    named = re.findall(r"(?<![\w/.~-])(?:agent|audio|configs|scripts|tests)/[\w./-]*\w", text)
    return [*named, *re.findall(r"\]\((?!https?:)([^)#]+)\)", README)]


def test_every_path_exists():
    named = paths()
    assert {"docs/timeline.png", "configs/local.toml"} <= set(named)
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_two_commands_can_be_run():
    for name in ("scripts/demo", "scripts/test"):
        assert f"./{name} " in BLOCKS[0][1]
        assert os.access(ROOT / name, os.X_OK)


def test_the_picture_is_small():
    assert "(docs/timeline.png)" in README.partition("\n## ")[0]
    assert (ROOT / "docs" / "timeline.png").stat().st_size < LARGEST_PICTURE


@pytest.mark.parametrize("line", commands())
def test_command_is_one(line: str):
    words, command = shlex.split(line), backchat
    context = click.Context(backchat, info_name="backchat", **backchat.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, inner, words = command.resolve_command(context, words)
        assert inner is not None
        assert name is not None
        command, context = inner, click.Context(inner, context, info_name=name)
    # An unknown option, a missing argument or one too many is a UsageError.
    context = command.make_context(context.info_name, words, context.parent)
    pairs, file = context.params.get("pairs", ()), context.params.get("file")
    config.load(ROOT / file if file else None, pairs)


def test_every_command_of_backchat_is_shown():
    shown = {line.split()[0] for line in commands()}
    assert set(backchat.list_commands(click.Context(backchat, **backchat.context_settings))) <= shown


def test_settings_load(tmp_path: Path):
    snippets = [text for kind, text in BLOCKS if kind == "toml"]
    assert snippets
    for text in snippets:
        (tmp_path / "snippet.toml").write_text(text, encoding="utf-8")
        assert config.load(tmp_path / "snippet.toml") != config.Config(), "it should change something"


def test_models_have_the_size_and_licence_shown():
    rows = re.findall(r"^\| `([\w.-]+)` \| .+? \| (\d+) MB \| ([\w.-]+) \|$", README, re.MULTILINE)
    catalogue = models.catalogue()
    assert {config.Config().llm.model, config.Config().stt.model} <= {name for name, *_ in rows}
    for name, size, licence in rows:
        assert abs(catalogue[name].size / 1e6 - int(size)) <= 1, name
        assert catalogue[name].licence == licence, name
