"""That README and docs tell the truth where a program can check it: links, paths, commands, settings."""

from __future__ import annotations

import ast
import importlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from agent import config
from agent.cli.commands import backchat
from agent.engines.registry import BUILT_IN, weights_of
from agent.weights import catalogue as models
from audio.files import read_audio
from audio.stt.whisper import Whisper
from helpers_wer import edits, normalise

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
}
README, DOCS = PAGES["README.md"], [page for page in PAGES if page.startswith("docs/")]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page, kind, text) for page, whole in PAGES.items() for kind, text in BLOCK.findall(whole)]
LINES = 130
"""Most lines of the README."""
LARGEST_PICTURE = LARGEST_CLIP = 300_000
COMMAND = re.compile(r"^backchat (?P<rest>[a-z].*?)(?:\s{2,}#.*)?$")
SETTING = re.compile(rf"`(?:--set )?({'|'.join(config.Config.model_fields)})\.(\w+)(?:`|[ =])")


def commands() -> list[str]:
    """Every `backchat ...` that a page shows, in a block or within a line."""
    inline = [span for whole in PAGES.values() for span in re.findall(r"`([^`\n]+)`", BLOCK.sub("", whole))]
    shown = [line for _, _, text in BLOCKS for line in text.splitlines()] + inline
    return list(dict.fromkeys(match["rest"] for line in shown if (match := COMMAND.match(line))))


def links(page: str) -> list[tuple[Path, str]]:
    """Where the links of a page lead that stay in the repository: file and anchor."""
    found = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", BLOCK.sub("", PAGES[page]))
    return [((ROOT / page).parent / to if to else ROOT / page, anchor) for to, anchor in found]


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in a link, on GitHub and on the site."""
    headings = re.findall(r"^#+ (.+?)\s*$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page: str):
    text = PAGES[page].replace("./scripts/", "scripts/")
    named = re.findall(r"(?<![\w/.~-])(?:agent|audio|configs|scripts|tests)/[\w./-]*\w", text)
    own = {path for path in named if re.fullmatch(r"[\w/.-]*(?:NAME|CODE)[\w/.-]*", path)}
    assert not [path for path in named if path not in own and not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str):
    for file, anchor in links(page):
        assert file.is_file(), f"{page}: {file}"
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"{file}#{anchor}"
        assert page not in DOCS or file.parent == ROOT / "docs", f"{page}: {file} is not on the site"


def test_every_page_can_be_reached():
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert sorted(f"docs/{page}" for entry in site for page in entry.values()) == DOCS
    for page, others in (("README.md", {"docs/index.md"}), ("docs/index.md", {"docs/index.md"})):
        led_to = {file.resolve().relative_to(ROOT).as_posix() for file, _ in links(page)}
        assert set(DOCS) - others <= led_to, page


def test_every_table_of_figures_has_its_bench():
    headings = set(re.findall(r"^## (\w+)$", PAGES["docs/benchmarks.md"], re.MULTILINE))
    assert headings <= {file.stem for file in (ROOT / "scripts" / "benchmarks").glob("*.py")}


def test_the_readme_is_short():
    assert len(README.splitlines()) <= LINES


def test_the_two_commands_can_be_run():
    first = BLOCK.findall(README)[0][1]
    for name in ("scripts/demo", "scripts/test"):
        assert f"./{name} " in first
        assert os.access(ROOT / name, os.X_OK)


def test_the_picture_and_the_clip_are_small_and_come_first():
    for name, most in (("timeline.png", LARGEST_PICTURE), ("conversation.mp3", LARGEST_CLIP)):
        assert f"(docs/{name})" in README.partition("\n## ")[0]
        assert (ROOT / "docs" / name).stat().st_size < most


@pytest.mark.model
def test_whisper_hears_in_the_clip_what_the_readme_says():
    said = " ".join(re.findall(r"^- \*\*(?:User|Agent)\b.*?:(?:\*\*)? (.+)$", README, re.MULTILINE))
    heard = Whisper(models.resolve("whisper-base")).transcribe(read_audio(ROOT / "docs/conversation.mp3"))
    assert len(normalise(said).split()) > 40
    # A name that sounds like another one (Henri, Henry), and a word that was cut.
    assert edits(normalise(said).split(), normalise(heard.text).split()) <= 2, heard.text


@pytest.mark.parametrize("line", commands())
def test_command_is_one(line: str):
    words, command = shlex.split(line), backchat
    context = click.Context(backchat, info_name="backchat", **backchat.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, inner, words = command.resolve_command(context, words)
        assert inner is not None
        assert name is not None
        command, context = inner, click.Context(inner, context, info_name=name)
    if line.split() == context.command_path.split()[1:]:
        return  # its name alone, in a sentence
    # An unknown option, a missing argument or one too many is a UsageError.
    context = command.make_context(context.info_name, words, context.parent)
    pairs, file = context.params.get("pairs", ()), context.params.get("file")
    config.load(ROOT / file if file else None, pairs)


@pytest.mark.parametrize("page", PAGES)
def test_there_is_one_way_to_say_the_command(page: str):
    assert not re.findall(r".*bin/backchat\b.*", PAGES[page])


def test_every_command_of_backchat_is_shown():
    shown = {line.split()[0] for line in commands()}
    assert set(backchat.list_commands(click.Context(backchat, **backchat.context_settings))) <= shown


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_exists(page: str):
    for section, key in SETTING.findall(PAGES[page]):
        if key == "toml":  # `turns.toml`, a file
            continue
        assert key in config.Config.model_fields[section].annotation.model_fields, f"{section}.{key}"


def test_every_extra_that_is_named_exists():
    known = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    text = "\n".join(PAGES.values())
    named = re.findall(r"scripts/setup ([a-z][\w,]*)|backchat\[([\w,]+)\]|\bextra `(\w+)`", text)
    assert named
    assert {extra for found in named for extra in "".join(found).split(",")} <= known


def test_settings_load(tmp_path: Path):
    others = ("[project", "[[line]]")  # a package's own file, and a scenario, which test_tools_doc.py reads
    tables = [text for _, kind, text in BLOCKS if kind == "toml"]
    snippets = [text for text in tables if not any(other in text for other in others)]
    assert snippets
    for text in snippets:
        (tmp_path / "snippet.toml").write_text(text, encoding="utf-8")
        assert config.load(tmp_path / "snippet.toml") != config.Config(), "it should change something"


@pytest.mark.parametrize("text", [text for _, kind, text in BLOCKS if kind == "python"])
def test_python_imports_what_there_is(text: str):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("agent", "audio"):
            module = importlib.import_module(node.module or "")
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


def test_every_engine_is_told():
    told = set(re.findall(r"`([\w-]+)`", PAGES["docs/engines.md"].partition("\n## Your own\n")[0]))
    assert {name for kind in ("stt", "llm", "tts", "vision") for name in BUILT_IN[kind]} <= told


def test_the_program_of_the_readme_is_the_one_that_is_run():
    (shown,) = [text for page, kind, text in BLOCKS if (page, kind) == ("README.md", "python")]
    assert shown == next(text for page, kind, text in BLOCKS if (page, kind) == ("docs/python.md", "python"))


def test_models_have_the_size_and_licence_shown():
    page = PAGES["docs/getting-started.md"]
    rows = re.findall(r"^\| `([\w.-]+)` \| .+? \| (\d+) MB \| ([\w.-]+) \|$", page, re.MULTILINE)
    catalogue = models.catalogue()
    assert {weights_of(kind, config.Config()) for kind in ("llm", "stt")} <= {name for name, *_ in rows}
    for name, size, licence in rows:
        assert abs(catalogue[name].size / 1e6 - int(size)) <= 1, name
        assert catalogue[name].licence == licence, name


def test_the_page_of_settings_is_what_the_code_says():
    page = runpy.run_path(str(ROOT / "scripts" / "settings_page.py"))["page"]()
    assert page == PAGES["docs/settings.md"], "agent/settings.py has changed: scripts/docs"
    assert "|  |" not in page, "a setting without a docstring"


def test_the_site_is_built_without_a_warning(tmp_path: Path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    built = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(built, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in DOCS:
        html = (tmp_path / "out/site" / Path(page).with_suffix(".html").name).read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:link|script|img|audio)[^>]+(?:href|src)=\"?(https?:[^\"\s>]+)", html)
        assert not loaded, "a page loads something from another host"
