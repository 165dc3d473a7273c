"""The command `replay`: a recorded conversation, held again with other settings. Knows only options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent import signals
from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.events import Event


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@settings
def replay(folder: Path, **options: Any) -> None:
    """Let the agent hear a recorded session's user again, with other settings.

    DIR is what `run`, `simulate` or `talk --record` wrote. The user's channel is heard at its own
    times, whatever the agent does now. The models are those of the recording unless you name others; all
    other settings are the usual ones, with yours over them: `--set turns.end=0.2` shows what would have
    happened with a pause of 0.2 s.

    Writes into DIR/replay-1 (or the next free number): what `run` writes, and both-timelines.png.
    """
    from agent.cli.parts.loading import load_engines
    from agent.cli.parts.output_folder import Afterwards, write_files
    from agent.errors import MissingExtra
    from agent.reports import event_log as eventlog
    from agent.simulation import comparison as compare
    from agent.simulation.virtual import Line, converse
    from audio.files import read_channels
    from audio.frame import HEARING_RATE

    was = eventlog.read_events(folder / "events.jsonl")
    user = read_channels(folder / "conversation.wav")[0].at_rate(HEARING_RATE)
    config = configured(**_as_recorded(was, options))
    loaded = load_engines(config)
    number = next(n for n in range(1, 1_000_000) if not (folder / f"replay-{n}").exists())
    out = folder / f"replay-{number}"
    now: list[Event] = []

    def write() -> None:
        if now:
            write_files(out, now, picture=signals.received() is None)

    with Afterwards(write):
        converse(loaded, config, [Line(user, "at", 0.0)], out / "conversation.wav", watchers=[now.append])
    click.echo(compare.latencies([("recorded", was), ("replayed", now)]))
    chosen = ", ".join(options["pairs"]) or "the usual settings"
    runs = [("As recorded", was, folder), (f"Replayed with {chosen}", now, out)]
    try:
        compare.draw_all(runs, out / "both-timelines.png")
    except MissingExtra as missing:
        click.echo(f"no timelines: {missing}", err=True)
    click.echo(f"\nwritten to {out}")


def _as_recorded(events: Sequence[Event], options: dict[str, Any]) -> dict[str, Any]:
    """The options, with the models of a recorded session below those that were given by hand."""
    from agent import events as ev

    started = next((event for event in events if isinstance(event, ev.SessionStarted)), None)
    pairs: list[str] = []
    if started is not None and options["file"] is None:
        for section, key in (("llm", "model"), ("stt", "model"), ("tts", "voice")):
            engine, space, model = getattr(started, section).partition(" ")
            pairs += [f"{section}.engine={engine}", f"{section}.{key}={json.dumps(model)}"] if space else []
    return options | {"pairs": (*pairs, *options["pairs"])}
