"""That docs/engines.md works as it is written: its toy engines are installed, found, listed and talked to."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import scripted
from agent import events as ev
from agent.cli.commands import backchat
from agent.config import load
from agent.conversation.history import History
from agent.engines import registry as engines
from agent.errors import ConfigError
from agent.llm.context import ContextWindow
from agent.protocols import CountsTokens
from agent.simulation.virtual import Line, converse
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame

DOC = (Path(__file__).parents[1] / "docs" / "engines.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
PYTHON = {text.splitlines()[0].removeprefix("# "): text for kind, text in BLOCKS if kind == "python"}
(PROJECT,) = [tomllib.loads(text) for kind, text in BLOCKS if kind == "toml"]
COMMANDS = [line for kind, text in BLOCKS if not kind for line in text.splitlines()]
OTHERS = """
[backchat.llm]
parrot = parrot_model:Parrot
lettered = lettered_model:Lettered
[backchat.vad]
energy = energy_vad:Energy
[backchat.endpointing]
falling = falling_endpointing:Falling
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the page, as installing it would leave it, in a folder of its own."""
    site = tmp_path / "site"
    project = PROJECT["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    for name, text in PYTHON.items():
        (site / name).write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points + OTHERS)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
        f"Summary: {project['description']}\nLicense-Expression: {project['license']}\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)


def test_the_wheel_would_hold_the_file():
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["include"] == ["morse_voice.py"]
    assert set(PYTHON) == {
        "morse_voice.py",
        "parrot_model.py",
        "lettered_model.py",
        "energy_vad.py",
        "falling_endpointing.py",
    }


def test_the_commands_do_what_the_page_says():
    assert [shlex.split(line)[:2] for line in COMMANDS] == [["backchat", "engines"], ["backchat", "say"]]
    for line in COMMANDS:
        result = CliRunner().invoke(backchat, shlex.split(line)[1:], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        if "engines" in line:
            assert re.search(r"morse +ready +MIT", result.output)
    sound = read_audio(Path("hello.wav"))
    spectrum = np.abs(np.fft.rfft(sound.samples))
    assert np.argmax(spectrum) * sound.rate / len(sound.samples) == pytest.approx(880, abs=5)


def test_the_voice_takes_the_settings_and_refuses_a_wrong_one():
    slow, fast = (
        engines.load_one("tts", load(None, ["tts.engine=morse", f"tts.speed={s}"])) for s in (1.0, 2.0)
    )
    lengths = [sum(part.duration for part in voice.stream("Hello there.")) for voice in (slow, fast)]
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.01)
    parts = list(slow.stream(" Hello there."))
    assert [(part.start, part.end) for part in parts] == [(0, 6), (6, 13)]
    with pytest.raises(ConfigError, match="low and high"):
        engines.load_one("tts", load(None, ["tts.engine=morse", "tts.voice=nobody"]))


def test_both_hold_a_conversation(tmp_path: Path):
    config = load(None, ["tts.engine=morse", "llm.engine=parrot", "llm.max_tokens=2", "turns.meaning=off"])
    llm, tts = (engines.load_one(kind, config) for kind in ("llm", "tts"))
    events: list[ev.Event] = []
    loaded = scripted.with_loudness(scripted.ScriptedSTT(["Good morning to you."]), llm, tts)
    converse(loaded, config, [Line(scripted.loud(1.0))], tmp_path / "out.wav", watchers=[events.append])
    (ended,) = [event for event in events if isinstance(event, ev.TurnEnded)]
    assert (ended.reason, ended.heard) == ("finished", "You said: Good morning")


def test_speech_is_found_and_its_end_is_heard_by_engines_of_the_page(tmp_path: Path):
    """What grows quieter is answered sooner than what grows louder; what is quiet is no speech."""

    def waited(*levels: float) -> list[float]:
        settings = ["vad.engine=energy", "turns.endpointing=falling"]
        config = load(None, ["costs.mode=declared", "stt.interim=0", *settings])
        loaded = scripted.with_loudness(
            scripted.ScriptedSTT(["I was at the market."]),
            scripted.ScriptedLLM(["Well."]),
            scripted.ScriptedTTS(),
            vad=engines.vad,
            endpointing=engines.load_endpointing(config),
        )
        sound = np.concatenate([level * scripted.loud(0.5).samples for level in levels])
        events: list[ev.Event] = []
        line = Line(Frame(sound, HEARING_RATE))
        converse(loaded, config, [line], tmp_path / "out.wav", watchers=[events.append])
        paused = [event.at for event in events if isinstance(event, ev.SpeechPaused)]
        released = [event.time for event in events if isinstance(event, ev.TurnCommitted)]
        return [then - at for then, at in zip(released, paused, strict=True)]

    (falling,), (rising,) = waited(1.0, 0.5), waited(0.5, 1.0)
    turns = load().turns
    assert falling == pytest.approx(turns.likely, abs=0.05)
    assert rising == pytest.approx(turns.unlikely, abs=0.05)
    assert waited(0.001, 0.001) == []


def test_a_model_that_counts_and_one_that_does_not_go_on_when_the_context_is_full():
    for name in ("lettered", "parrot"):
        config = load(None, [f"llm.engine={name}", "llm.max_tokens=5", "session.system=Be brief."])
        model = engines.load_llm(config)
        assert isinstance(model, CountsTokens) == (name == "lettered")
        window, history = (
            ContextWindow(model, config.llm.context, config.llm.max_tokens),
            History("Be brief."),
        )
        for turn in range(50):
            prompt = window.prompt(history.system, history.said(f"Say {turn}."))
            assert "".join(prompt.stream()) == f"You said: Say {turn}."
            history.user(f"Say {turn}.")
            history.keep(prompt.said, prompt.fitted)
            history.agent(f"You said: Say {turn}.", "")
        assert (len(history.said()) < 20) == (name == "lettered")
    with pytest.raises(ConfigError, match=r"^session\.system: the instructions are \d+ tokens long"):
        engines.load_llm(load(None, ["llm.engine=lettered"]))
