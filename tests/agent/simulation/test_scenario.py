"""Scenario files, what is measured of them, and the two commands, with scripted engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import scripted
from agent import events, testing
from agent.cli.commands import backchat
from agent.config import load
from agent.errors import ScriptError
from agent.simulation import comparison as compare
from agent.simulation import scenario
from agent.simulation import sound as staging
from agent.simulation.checks import Check, check
from agent.simulation.virtual import QUIET, Line, converse
from audio.files import read_audio, read_channels, write_wav
from audio.frame import HEARING_RATE, Frame, level_dbfs
from audio.tts import Speech

STORY = "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. He lit a lamp."
SETTINGS = '[settings]\ncosts.mode = "declared"\nstt.interim = 0.0\nturns.meaning = "off"\n'
TALKED_OVER = """
[[line]]
say = "Tell me a story."
[[line]]
say = "Stop, what time is it?"
over = 3.0
"""


class PersonTTS(scripted.ScriptedTTS):
    """Another voice than the agent's: the same tone from a user would be the agent's echo."""

    def stream(self, text: str) -> Iterator[Speech]:
        """As loud and as long, but its sign changes by chance, every ms or later."""
        chance = np.random.default_rng(0)
        for speech in super().stream(text):
            signs = chance.choice((-1, 1), len(speech.samples) // 24 + 1).astype(np.float32)
            yield replace(speech, samples=speech.samples * signs.repeat(24)[: len(speech.samples)])


@pytest.fixture(autouse=True)
def scripted_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.simulation.sound.load_one", lambda kind, config: PersonTTS())


def written(folder: Path, text: str, name: str = "scene.toml") -> Path:
    (folder / name).write_text(SETTINGS + text)
    return folder / name


def held(folder: Path, text: str, heard: list[str], replies: list[str]) -> list[Check]:
    """What came of a scenario with these words understood and these replies given."""
    path = written(folder, text)
    script = scenario.read(path)
    seen: list[events.Event] = []
    out = folder / "conversation.wav"
    config = load(None, script.pairs)
    said = staging.lines(script, folder, staging.Voices())
    air = staging.Heard(script.room, folder)
    spoken = converse(scripted.engines(heard, replies), config, said, out, watchers=[seen.append], air=air)
    return check(script, seen, spoken, out)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[line]]\nsayy = "Hi."', "[[line]] 1: unknown key 'sayy'; did you mean 'say'?"),
        ('[[line]]\nsay = "Hi."\n[rooom]\necho_db = -20', "unknown key 'rooom'; did you mean 'room'?"),
        ('[[line]]\nsay = "Hi."\n[room]\necho = -20', "[room] unknown key 'echo'; did you mean 'echo_db'?"),
        ('[[line]]\nsay = "Hi."\n[room]\nnoise = "rain"', "[room] no noise 'rain'"),
        ('[[line]]\nsay = "Hi."\n[user]\npitch = 3.0', "[user] pitch: Input should be less than"),
        ('[[line]]\nsay = "Hi."\n[[line]]\nafter = 1.0', "[[line]] 2: give either say or file"),
        (
            '[[line]]\nsay = "Hi."\nat = 1.0\nover = 2.0',
            "[[line]] 1: give one of at, after, over, pause and unasked",
        ),
        ('[[line]]\nsay = "Hi."\nat = "soon"', "[[line]] 1: at: Input should be a valid number, not 'soon'"),
        ('[[line]]\nsay = "Hi."\n[[expect]]\nline = 1', "[[expect]] 1: nothing is expected here"),
        ('[[line]]\nsay = "Hi."\n[[expect]]\nresumed = true', "[[expect]] 1: say of which line or turn"),
        ('[[line]]\nsay = "Hi."\n[[expect]]\nline = 2\nresumed = true', "is about line 2 of 1"),
        ("[room]\necho_db = -20.0", "no [[line]]: a scenario needs at least one"),
        ('[[line]]\nsay = "Hi.', "not valid TOML"),
    ],
)
def test_a_wrong_scenario_is_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "scene.toml"
    path.write_text(text)
    with pytest.raises(ScriptError) as error:
        scenario.read(path)
    assert complaint in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value) or "TOML" in complaint


def test_a_wrong_setting_names_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, 'turns.paus = 0.2\n[[line]]\nsay = "Hi."')
    with pytest.raises(ScriptError, match=r"scene\.toml: \[settings\] turns\.paus.*'turns\.pause'"):
        scenario.read(path)


def test_settings_may_be_dotted_or_tables(tmp_path: Path) -> None:
    path = written(tmp_path, '[settings.vad]\nconfirm = 0.1\n[[line]]\nsay = "Hi."')
    config = load(None, scenario.read(path).pairs)
    assert (config.vad.confirm, config.costs.mode) == (0.1, "declared")


def test_what_holds_of_an_interruption(tmp_path: Path) -> None:
    expected = """
    [[expect]]
    line = 2
    interrupted = true
    stop_within = 0.3
    answered_within = 0.6
    transcript_contains = "what TIME is it"
    heard_is = "noon"
    [[expect]]
    line = 1
    heard_contains = "once upon a time"
    [[expect]]
    turn = 1
    interrupted = true
    stop_within = 0.3
    [[expect]]
    turns = 2
    """
    heard = ["Tell me a story.", "Stop, what time is it?"]
    checks = held(tmp_path, TALKED_OVER + expected, heard, [STORY, "Noon."])
    assert [c for c in checks if not c.ok] == []
    stops = [float(c.seen.removesuffix(" s")) for c in checks if "stop_within" in c.about]
    assert 0.0 < stops[0] == stops[1] < 0.2


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ("line = 2\ninterrupted = false", "true"),
        ("line = 2\nresumed = true", "cut"),
        ("line = 2\nstop_within = 0.01", "0."),
        ("line = 2\nanswered_within = 0.01", "0."),
        ("line = 2\nno_answer = true", "answered"),
        ("line = 2\nheard_is = 'Noo.'", "“Noon.”"),
        ("line = 1\nheard_contains = 'He lit a lamp.'", "“Once upon a time"),
        ("line = 2\ntranscript_contains = 'clock'", "“Stop, what time is it?”"),
        ("line = 1\ninterrupted = true", "nothing was said over a reply"),
        ("turn = 2\nresumed = true", "nothing was said over a reply"),
        ("turn = 3\nheard_contains = 'noon'", "no reply"),
        ("turns = 3", "2"),
    ],
)
def test_what_does_not_hold_is_said(tmp_path: Path, expected: str, seen: str) -> None:
    heard = ["Tell me a story.", "Stop, what time is it?"]
    (found,) = held(tmp_path, f"{TALKED_OVER}[[expect]]\n{expected}", heard, [STORY, "Noon."])
    assert not found.ok
    assert found.seen.startswith(seen)


@pytest.mark.parametrize("deaf", [True, False])
def test_a_reply_that_goes_on_is_waited_for(tmp_path: Path, deaf: bool) -> None:
    """The reply survives line 2; line 3 comes half a second after its end, as it asks."""
    text = """
    [[line]]
    say = "Tell me a story."
    [[line]]
    say = "Uh-huh."
    over = 1.0
    [[line]]
    say = "What time is it?"
    after = 0.5
    [[expect]]
    line = 2
    interrupted = false
    resumed = true
    no_answer = true
    [[expect]]
    turns = 2
    """
    heard = ["Tell me a story.", *(() if deaf else ("Uh-huh.",)), "What time is it?"]
    setting = "turns.interrupt = false" if deaf else ""
    checks = held(tmp_path, setting + text, heard, [STORY, "It is noon."])
    assert [c for c in checks if not c.ok] == []
    user, agent = read_channels(tmp_path / "conversation.wav")
    talks = np.flatnonzero(np.abs(agent.samples) > 0.01)
    gap = int(np.argmax(np.diff(talks)))
    third = next(i for i in np.flatnonzero(np.abs(user.samples) > 0.01) if i > talks[gap])
    assert (third - talks[gap]) / user.rate == pytest.approx(0.5, abs=0.05)


def test_what_was_cut_is_continued_or_not(tmp_path: Path) -> None:
    text = (
        TALKED_OVER.replace("Stop, what time is it?", "Go on.") + "[[expect]]\nline = 3\ncontinues = true\n"
    )
    text = text.replace("[[expect]]", '[[line]]\nsay = "Go on."\nafter = 1.0\n[[expect]]', 1)
    (found,) = held(tmp_path, text, ["Tell me a story.", "Hold on.", "Go on."], [STORY, "Another story."])
    assert found.ok
    assert STORY.endswith(found.seen.strip("“”…")[-20:]) or found.seen.strip("“”…") in STORY
    (found,) = held(tmp_path, text, ["Tell me a story.", "Hold on.", "What else?"], [STORY, "Another story."])
    assert not found.ok
    assert found.seen == "“Another story.”"


def test_a_pause_counts_from_the_line_before(tmp_path: Path) -> None:
    text = '[[line]]\nsay = "First of all,"\n[[line]]\nsay = "sit down."\npause = 0.7'
    held(tmp_path, text, ["Sit down."], ["Thanks."])
    user = np.abs(read_channels(tmp_path / "conversation.wav")[0].samples)
    assert np.diff(np.flatnonzero(user > 0.01)).max() / 24_000 == pytest.approx(0.7, abs=0.03)


def test_who_is_not_heard_goes_on_after_a_while(tmp_path: Path) -> None:
    heard = scripted.engines(["Hello."], ["Hello to you."])
    lines = [Line(scripted.silent(0.5), "at", 0.0), Line(scripted.loud(0.5))]
    config = load(None, ["costs.mode=declared", "turns.meaning=off"])
    spoken = converse(heard, config, lines, tmp_path / "conversation.wav")
    assert spoken[1][0] - spoken[0][1] == pytest.approx(QUIET, abs=0.05)


def test_a_cut_in_is_within_nothing(tmp_path: Path) -> None:
    pause = scripted.silent(1.0).samples
    said = np.concatenate([scripted.loud(0.6).samples, pause, scripted.loud(0.2).samples])
    write_wav(tmp_path / "thought.wav", said, HEARING_RATE)
    text = '[[line]]\nfile = "thought.wav"\n[[expect]]\nline = 1\nanswered_within = 2.0'
    (found,) = held(tmp_path, text, ["I want"], ["Yes."])
    assert found.seen.startswith("-0.")
    assert not found.ok


def test_an_error_fails_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def jammed(self, audio: Frame, *, final: bool = True):
        raise RuntimeError("jammed")

    monkeypatch.setattr(scripted.ScriptedSTT, "transcribe", jammed)
    (found,) = held(tmp_path, '[[line]]\nsay = "Hello there."', [""], [""])
    assert found.about == "no error"
    assert "jammed" in found.seen
    assert not found.ok


def test_lines_sound_as_written(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.full(8000, 0.4, np.float32), 8000)
    text = """[user]
    pitch = 0.8
    [[line]]
    say = "Hello."
    [[line]]
    say = "Hello."
    pitch = 1.0
    gain_db = -20
    [[line]]
    file = "a.wav"
    at = 2
    """
    script = scenario.read(written(tmp_path, text))
    low, plain, file = staging.lines(script, tmp_path, staging.Voices())
    assert low.audio.duration == pytest.approx(plain.audio.duration / 0.8, rel=0.01)
    assert level_dbfs(plain.audio.samples) == pytest.approx(level_dbfs(low.audio.samples) - 20, abs=0.3)
    assert (file.when, file.seconds, file.audio.rate) == ("at", 2.0, HEARING_RATE)
    assert (plain.when, plain.seconds) == ("after", 0.6)
    assert file.audio.duration == pytest.approx(1.0)


def test_the_microphone_hears_noise_from_a_file_again_and_again(tmp_path: Path) -> None:
    tone = np.sin(np.arange(1600) * 2 * np.pi * 500 / HEARING_RATE).astype(np.float32)
    write_wav(tmp_path / "fan.wav", tone, HEARING_RATE)
    air = staging.Heard(scenario.Surroundings(noise="fan.wav", noise_db=-40.0), tmp_path)
    for count in range(20):
        air.microphone(Frame(np.zeros(320, np.float32), HEARING_RATE, count * 0.02))
    assert level_dbfs(air.samples) == pytest.approx(-40.0, abs=0.1)
    assert len(air.samples) == 6400
    assert np.allclose(air.samples[:1600], air.samples[1600:3200])


@pytest.fixture
def scripted_agent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The commands get scripted engines; how often they were loaded."""
    times: list[int] = []

    def loaded(config, progress=None, tell=None):
        times.append(1)
        return scripted.engines(["Tell me a story.", "Stop, what time is it?"], [STORY, "Noon."])

    monkeypatch.setattr("agent.engines.registry.load", loaded)
    return times


def test_simulate_prints_a_table_and_fails_with_an_expectation(
    tmp_path: Path, scripted_agent: list[int]
) -> None:
    path = written(tmp_path, TALKED_OVER + "[[expect]]\nline = 2\ninterrupted = true\nresumed = true")
    done = CliRunner().invoke(backchat, ["simulate", str(path), "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    rows = [" ".join(line.split()) for line in done.output.splitlines()]
    assert "scene line 2: interrupted true true yes" in rows
    assert "scene line 2: resumed true cut NO" in rows
    assert "1 of 2 expectations hold" in done.output
    names = {file.name for file in (tmp_path / "out" / "scene").iterdir()}
    assert {"conversation.wav", "microphone.wav", "transcript.md", "events.jsonl"} <= names
    heard = read_audio(tmp_path / "out" / "scene" / "microphone.wav")
    user = read_channels(tmp_path / "out" / "scene" / "conversation.wav")[0].at_rate(HEARING_RATE)
    assert np.abs(heard.samples - user.samples[: len(heard.samples)]).mean() < 0.01


def test_simulate_loads_engines_once_unless_settings_change_them(
    tmp_path: Path, scripted_agent: list[int]
) -> None:
    line = '[[line]]\nsay = "Hello."\n[[expect]]\nturns = 1'
    paths = [written(tmp_path, text + line, f"{number}.toml") for number, text in enumerate(["", "", ""])]
    runner = CliRunner()
    done = runner.invoke(backchat, ["simulate", *map(str, paths), "-o", str(tmp_path / "out")])
    assert (done.exit_code, len(scripted_agent)) == (0, 1), done.output
    other = written(tmp_path, f'llm.model = "smollm2"\n{line}', "other.toml")
    runner.invoke(backchat, ["simulate", str(paths[0]), str(other), "-o", str(tmp_path / "out")])
    assert len(scripted_agent) == 3


def test_replay_hears_the_same_person_with_other_settings(tmp_path: Path, scripted_agent: list[int]) -> None:
    pytest.importorskip("matplotlib")
    folder, runner = tmp_path / "out" / "scene", CliRunner()
    path = written(tmp_path, TALKED_OVER)
    assert runner.invoke(backchat, ["simulate", str(path), "-o", str(tmp_path / "out")]).exit_code == 0
    for number in (1, 2):
        same = [f"--set={pair}" for pair in ("costs.mode=declared", "stt.interim=0", "turns.meaning=off")]
        done = runner.invoke(backchat, ["replay", str(folder), *same, "--set", "turns.end=0.9"])
        assert done.exit_code == 0, done.output
        again = folder / f"replay-{number}"
        assert (again / "both-timelines.png").stat().st_size > 10_000
    was, now = (read_channels(place / "conversation.wav")[0] for place in (folder, again))
    length = min(len(was.samples), len(now.samples))
    assert np.abs(was.samples[:length] - now.samples[:length]).mean() < 0.01
    rows = [line.split() for line in done.output.splitlines()]
    recorded, replayed = (next(row for row in rows if row[:1] == [w]) for w in ("recorded", "replayed"))
    assert (recorded[1:3], replayed[1:3]) == (["2", "1"], ["2", "1"])
    assert int(recorded[-1]) < 800
    assert int(replayed[-1]) == pytest.approx(900, abs=50)


def test_replay_takes_the_recorded_models_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = {"event": "session_started", "time": 0.0, "llm": "llamacpp a b.gguf"}
    started |= {"stt": "whisper whisper-base", "tts": "hibari heart"}
    (tmp_path / "events.jsonl").write_text(json.dumps(started) + "\n")
    write_wav(tmp_path / "conversation.wav", np.zeros(1600, np.float32), HEARING_RATE)
    seen = []

    def loaded(config, progress=None, tell=None):
        seen.append((config.llm.model, config.stt.model))
        return scripted.engines(["Hi."], ["Hi."])

    monkeypatch.setattr("agent.engines.registry.load", loaded)
    CliRunner().invoke(backchat, ["replay", str(tmp_path)])
    CliRunner().invoke(backchat, ["replay", str(tmp_path), "--llm", "smollm2"])
    assert seen == [("a b.gguf", "whisper-base"), ("smollm2", "whisper-base")]


def test_latencies_of_a_silent_run_are_dashes() -> None:
    table = compare.latencies([("recorded", []), ("replayed", [])]).splitlines()
    assert table[-1].split() == ["replayed", "0", "0", *["-"] * 8]


KETTLE = (
    SETTINGS
    + """
[[tool]]
name = "boil"
about = "Boil water."
effect = "changes"
parameters = {cups = "integer"}
takes = 1.5
gives = "It boils."

[[line]]
say = "Boil two cups."
"""
)


def called(tmp_path: Path, calls: str, replies: list[object], monkeypatch: pytest.MonkeyPatch) -> str:
    """What `simulate` prints for these expectations, with a model that writes these replies."""
    engines = scripted.engines(["Boil two cups."], replies)
    monkeypatch.setattr("agent.engines.registry.load", lambda *_, **__: engines)
    (tmp_path / "kettle.toml").write_text(KETTLE + calls)
    command = ["simulate", str(tmp_path / "kettle.toml"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(backchat, command, catch_exceptions=False)
    return " ".join(done.output.split())


def test_a_scenario_says_which_call_is_made_when_and_how_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = """
    [[call]]
    name = "boil"
    arguments = {cups = 2}
    line = 1
    within = 1.0
    [[call]]
    name = "boil"
    arguments = {cups = 3}
    times = 0
    [[call]]
    name = "cool"
    """
    told = called(tmp_path, calls, [[testing.call("boil", cups=2)], "It boils now."], monkeypatch)
    assert "line 1: calls boil(cups=2) 1 times, done 1 times, after 0." in told
    assert "calls boil(cups=3) 0 times, done 0 times yes" in told
    assert "calls cool() 1 times, done 0 times NO" in told
    assert "2 of 3 expectations hold" in told
    seen = [json.loads(line) for line in (tmp_path / "out/kettle/events.jsonl").read_text().splitlines()]
    (returned,) = [event for event in seen if event["event"] == "tool_returned"]
    assert (returned["outcome"], returned["result"]) == ("done", "It boils.")
    assert returned["took"] == pytest.approx(1.5, abs=0.01), "on the conversation's clock"


@pytest.mark.parametrize(
    ("arguments", "told"), [({"cups": "two"}, "refused"), ({}, "refused"), ({"cups": 2, "lid": 1}, "refused")]
)
def test_a_call_that_comes_to_nothing_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object], told: str
) -> None:
    replies = [[testing.call("boil", **arguments)], "No."]
    assert f"1 times, {told} NO" in called(tmp_path, '[[call]]\nname = "boil"', replies, monkeypatch)


def test_a_call_that_comes_too_late_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = '[[call]]\nname = "boil"\nline = 1\nwithin = 0.1'
    told = called(tmp_path, calls, [[testing.call("boil", cups=2)], "It boils now."], monkeypatch)
    assert "0 of 1 expectations hold" in told


def test_a_time_for_a_call_counts_from_a_line(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"\[\[call\]\] 1: within counts from a line"):
        scenario.read(written(tmp_path, TALKED_OVER + '[[call]]\nname = "boil"\nwithin = 1.0'))


def test_timers_of_a_scenario_are_nobodys_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = 'tools.use = ["timers"]\n'
    monkeypatch.setitem(globals(), "KETTLE", KETTLE.replace(SETTINGS, SETTINGS + settings))
    calls = '[[call]]\nname = "set_timer"'
    told = called(tmp_path, calls, [[testing.call("set_timer", minutes=2)], "It runs."], monkeypatch)
    assert "1 of 1 expectations hold" in told
    assert not (tmp_path / "home").exists()
