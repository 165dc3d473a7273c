"""A timer by voice: set, asked for, heard in the middle of a story, and silenced."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.engines import registry
from agent.settings import ToolsConfig
from agent.simulation import scenario
from agent.simulation import sound as staging
from agent.simulation.checks import check
from agent.simulation.virtual import Line, converse
from agent.testing import call
from agent.tools.registry import loaded

FILE = Path(__file__).parents[3] / "configs" / "scenarios" / "tools" / "timer.toml"
STORY = "Once there was a king. He had a daughter who sang from the tower all day long. The end was good."


def of(seen: list[ev.Event], kind: Any) -> list[Any]:
    return [event for event in seen if isinstance(event, kind)]


def silenced(seen: list[ev.Event]) -> None:
    """It rang behind a sentence of the story, and "stop" ended it: nothing else was said."""
    *_, story, ring = of(seen, ev.TurnEnded)
    assert story.reason == ring.reason == "interrupted"
    assert story.heard.strip()[-1] in ".!?"
    assert story.unheard.strip()
    assert ring.heard
    assert "Your timer for 2 minutes is over.".startswith(ring.heard.strip())
    reasons = [event.cause.reason for event in of(seen, ev.Interrupted)]
    assert reasons == ["notice", "silence_wanted"]


def test_a_timer_is_set_asked_for_heard_and_silenced(tmp_path: Path) -> None:
    """With a scripted language model, which does what a good one would."""
    replies = [
        [call("set_timer", minutes=2)],
        "It is set.",
        [call("list_timers")],
        "A bit more than a minute.",
        "Paris.",
        STORY,
    ]
    hears = ["Set a timer for two minutes.", "How long is left?", "The capital?", "A story, please.", "Stop."]
    lines = [Line(scripted.loud(1.0), "at", at) for at in (0.0, 45.0, 60.0, 118.0)]
    lines.append(Line(scripted.loud(0.5), "unasked", 0.6))
    engines = testing.engines(hears, replies, loaded(ToolsConfig(use=("timers",), folder=str(tmp_path))))
    seen: list[ev.Event] = []
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    converse(engines, config, lines, tmp_path / "c.wav", watchers=[seen.append])
    _, left = of(seen, ev.ToolReturned)
    assert left.result == "timer for 2 minutes, due in 1 minute and 15 seconds"
    silenced(seen)
    assert json.loads((tmp_path / "timers.json").read_text()) == []


@pytest.mark.model
@pytest.mark.skipif("BACKCHAT_THOROUGH" not in os.environ, reason="optional: a minute with a larger model")
def test_the_scenario_holds_with_the_real_models(tmp_path: Path) -> None:
    """With the 1.5B, which looks how long is left."""
    script = scenario.read(FILE)
    config = load(None, [*script.pairs, f"tools.folder={json.dumps(str(tmp_path))}"])
    seen: list[ev.Event] = []
    said = staging.lines(script, FILE.parent, staging.Voices())
    recording = tmp_path / "c.wav"
    spoken = converse(registry.load(config), config, said, recording, watchers=[seen.append])
    failed = [each for each in check(script, seen, spoken, recording) if not each.ok]
    assert not failed, "\n".join(f"{f.about}: wanted {f.expected}, seen {f.seen}" for f in failed)
    silenced(seen)
