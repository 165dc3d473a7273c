"""The command `languages`: which there are, and whether one is as it must be. Loads no engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.text.normalization import Language as Rules
    from agent.turns.phrases import Language

SAMPLES = (
    "0",
    "1",
    "2",
    "11",
    "21",
    "101",
    "1999",
    "2.000.000",
    "-5",
    "3,5",
    "3.5",
    "14:30",
    "24/12/2026",
    "50 %",
    "3 km",
)
"""What a check prints the reading of, for the author to look at."""
DIFFERENT = 1100
"""Numbers, from 0 on, no two of which may sound the same."""


@click.group(invoke_without_command=True)
@click.pass_context
def languages(context: click.Context) -> None:
    """List the languages of --language: who hears and who speaks each. `languages check` tries one."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from agent.config import load
    from agent.errors import ConfigError
    from agent.languages import folders
    from agent.turns.phrases import language

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("code", "language", "heard by", "spoken by"):
        table.add_column(column)
    for code in folders():
        try:
            config = load(None, (), code)
            table.add_row(code, language(code).name, config.stt.model, config.tts.engine)
        except ConfigError as error:
            table.add_row(code, str(error))
    Console().print(table)


@languages.command()
@click.argument("name", metavar="CODE|FOLDER")
@click.option(
    "--spoken",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Lines of a text, a tab and what must be said of it.",
)
def check(name: str, spoken: Path | None) -> None:
    """Read the language CODE, or the FOLDER of one, and say what is wrong with it; 1 where anything is."""
    import sys

    from agent.languages import code, data

    folder = Path(name)
    is_folder = folder.is_dir()
    known = folder.resolve().name if is_folder else code(name)
    contents = {
        file: ((folder / file).read_bytes() if (folder / file).is_file() else None)
        if is_folder
        else data(known, file)
        for file in ("turns.toml", "agent.toml", "text.toml")
    }
    wrong = list(_faults(known, contents, spoken))
    for line in wrong:
        click.echo(line, err=True)
    if wrong:
        sys.exit(1)
    click.echo(f"{known}: nothing is wrong")


def _faults(code: str, contents: dict[str, bytes | None], spoken: Path | None) -> Iterator[str]:
    """One line for each thing that is wrong."""
    from agent import config
    from agent.errors import ConfigError
    from agent.text.normalization import file, written
    from agent.turns import phrases

    turns, agent, text = contents.values()
    for name, content in contents.items():
        if content is None and (name != "text.toml" or code != "en"):
            yield f"languages/{code}/{name}: there is no such file; docs/languages.md says what each is for"
    try:
        if agent is not None:
            config.read_language(code, agent)
        if turns is not None:
            yield from _confused(phrases.read(code, turns))
        if text is not None:
            yield from _misread(written.rules(file.read(code, text)), spoken)
    except ConfigError as error:
        yield str(error)


def _confused(language: Language) -> Iterator[str]:
    """Phrases that are not what the list they are in says, for another has them as well."""
    lists = {
        "stop": language.commands["stop"].phrases,
        "go_on": language.commands["go_on"].phrases,
        "repeat": language.commands["repeat"].phrases,
        "backchannel": language.backchannels,
    }
    for kind, members in lists.items():
        for phrase in sorted(members):
            *words, mark = phrase
            said = " ".join(words) + "?" if mark == "?" else " ".join(phrase)
            if (found := language.kind(said)) != kind:
                yield f"turns.toml: {said!r} is in the list of {kind!r}, and is taken for {found!r}"


def _misread(rules: Rules, spoken: Path | None) -> Iterator[str]:
    """Numbers that sound alike, digits that are left, and lines of the file that are said otherwise."""
    from agent.text.normalization import spoken as said

    heard: dict[str, int] = {}
    for number in range(DIFFERENT):
        words = said(str(number), rules)
        if words in heard:
            yield f"text.toml: {heard[words]} and {number} are both {words!r}"
        heard[words] = number
    for text in SAMPLES:
        click.echo(f"{text:>12}  {said(text, rules)}")
        if any(letter.isdigit() for letter in said(text, rules)):
            yield f"text.toml: a digit is left in what is said of {text!r}"
    for line in spoken.read_text(encoding="utf-8").splitlines() if spoken else ():
        text, _, wanted = line.partition("\t")
        if (words := said(text, rules).strip()) != wanted:
            yield f"{text!r} is said as {words!r}, not as {wanted!r}"
