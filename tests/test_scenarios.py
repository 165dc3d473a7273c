"""The scenarios that are shipped, held with real engines and the quick model: the behaviour they document."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import events
from agent.config import load
from agent.engines import registry as engines
from agent.protocols import Engines
from agent.simulation import scenario
from agent.simulation import sound as staging
from agent.simulation.checks import check
from agent.simulation.virtual import converse

SCENARIOS = sorted((Path(__file__).parents[1] / "configs" / "scenarios").glob("*.toml"))
SAME_ENGINES = ["llm.model=smollm2"]


@pytest.fixture(scope="module")
def loaded() -> Engines:
    return engines.load(load(None, SAME_ENGINES))


@pytest.fixture(scope="module")
def voices() -> staging.Voices:
    return staging.Voices()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_explains_itself_and_expects_something(path: Path) -> None:
    script = scenario.read(path)
    assert script.about.endswith(".")
    assert script.expect
    assert all((path.parent / line.file).exists() for line in script.line if line.file)
    assert load(None, script.pairs).costs.mode == "declared", "it must not depend on the machine"
    assert not {"llm", "stt", "tts"} & script.settings.keys(), "one set of engines serves them all"


@pytest.mark.model
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_holds(path: Path, loaded: Engines, voices: staging.Voices, tmp_path: Path) -> None:
    held(path, loaded, voices, tmp_path, *SAME_ENGINES)


@pytest.mark.model
def test_back_channels_hold_with_the_default_model(voices: staging.Voices, tmp_path: Path) -> None:
    """Its stories are the shortest, and this scenario needs a reply that lasts."""
    path = next(path for path in SCENARIOS if path.stem == "backchannel")
    held(path, engines.load(load(None)), voices, tmp_path)


def held(path: Path, loaded: Engines, voices: staging.Voices, folder: Path, *sets: str) -> None:
    """A scenario holds in all its expectations."""
    script = scenario.read(path)
    config = load(None, [*script.pairs, *sets])
    seen: list[events.Event] = []
    recording = folder / "conversation.wav"
    air = staging.Heard(script.room, path.parent)
    said = staging.lines(script, path.parent, voices)
    spoken = converse(loaded, config, said, recording, watchers=[seen.append], air=air)
    failed = [each for each in check(script, seen, spoken, recording) if not each.ok]
    assert not failed, "\n".join(f"{f.about}: wanted {f.expected}, seen {f.seen}" for f in failed)
