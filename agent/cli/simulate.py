"""The command `simulate`: scripted conversations, and their checks. Knows only options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from agent import signals
from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.events import Event
    from agent.protocols import Engines
    from agent.settings import Config
    from agent.simulation.checks import Check
    from agent.simulation.scenario import Scenario
    from agent.simulation.sound import Voices


@click.command()
@click.argument(
    "scenarios", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SCENARIO.toml..."
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="out/simulate", show_default=True, metavar="DIR"
)
@settings
def simulate(scenarios: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Hold the conversations that SCENARIO files script, and check what they expect.

    A scenario says when a user speaks, what, how loud and in which room, and what must be true
    afterwards; `configs/scenarios` has examples. Its own settings go over --config and below --set.

    Writes into DIR/NAME of each: conversation.wav (left the user, right the agent), microphone.wav
    (what the agent heard), transcript.md, events.jsonl and, with matplotlib installed, timeline.png.
    Exits with 1 when an expectation fails.
    """
    from agent.cli.parts.loading import load_engines
    from agent.cli.parts.output_folder import check_folder
    from agent.engines import registry as engines
    from agent.errors import ScriptError
    from agent.simulation import scenario
    from agent.simulation.sound import Voices

    if len({path.stem for path in scenarios}) < len(scenarios):
        raise ScriptError("two scenarios have one file name: their results would share a folder; rename one")
    check_folder("--out", out)
    chosen = [scenario.read(path) for path in scenarios]
    pairs: tuple[str, ...] = options.pop("pairs")
    configs = [configured(pairs=(*each.pairs, *pairs), **options) for each in chosen]
    for config in configs:
        engines.check(config)
    loaded: Engines | None = None
    before: Config | None = None
    voices = Voices()
    checks: list[tuple[str, Check]] = []
    for path, script, config in zip(scenarios, chosen, configs, strict=True):
        if loaded is None or before is None or not engines.alike(before, config):
            loaded = None  # two language models at once may not fit
            loaded = load_engines(config)
        before = config
        found = _hold(path, script, config, loaded, voices, out / path.stem)
        checks += [(path.stem, each) for each in found]
    click.echo(_table(checks))
    failed = sum(not each.ok for _, each in checks)
    click.echo(f"\n{len(checks) - failed} of {len(checks)} expectations hold; written to {out}")
    sys.exit(1 if failed else 0)


def _hold(
    path: Path, script: Scenario, config: Config, loaded: Engines, voices: Voices, folder: Path
) -> list[Check]:
    """Hold one scenario's conversation, write it down and check it."""
    from agent.cli.parts.output_folder import Afterwards, write_files
    from agent.simulation.checks import check
    from agent.simulation.sound import Heard, lines
    from agent.simulation.virtual import converse
    from audio.files import write_wav
    from audio.frame import HEARING_RATE

    click.echo(f"{path.stem}: {script.about}" if script.about else path.stem, err=True)
    said = lines(script, path.parent, voices)
    air = Heard(script.room, path.parent)
    seen: list[Event] = []
    recording = folder / "conversation.wav"

    def write() -> None:
        if seen:
            write_files(folder, seen, picture=signals.received() is None)
            write_wav(folder / "microphone.wav", air.samples, HEARING_RATE)

    with Afterwards(write), TemporaryDirectory(prefix="backchat-") as fresh:
        able = _able(script, config, loaded, fresh)
        spoken = converse(able, config, said, recording, watchers=[seen.append], air=air)
    return check(script, seen, spoken, recording)


def _able(script: Scenario, config: Config, loaded: Engines, fresh: str) -> Engines:
    """The engines with the tools of this scenario; timers and notes are in a `fresh` folder, nobody's own."""
    from dataclasses import replace

    from agent.engines.registry import Given
    from agent.settings import ToolsConfig
    from agent.simulation.tools import scripted
    from agent.tools import registry

    tools = config.tools
    if tools.folder == ToolsConfig().folder:
        tools = tools.model_copy(update={"folder": fresh})
    named = replace(loaded, tools=registry.loaded(tools), toolboxes=registry.servers(tools))
    return Given(tools=list(map(scripted, script.tool))).over(named)


def _table(checks: Sequence[tuple[str, Check]]) -> str:
    rows = [("scenario", "expectation", "wanted", "seen", "ok")]
    rows += [(name, c.about, c.expected, c.seen, "yes" if c.ok else "NO") for name, c in checks]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
