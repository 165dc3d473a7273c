"""The wake word: what is said before it goes nowhere, what is said behind it is answered; and being muted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scripted
from agent import events as ev
from agent import testing
from agent.causes import Cause
from agent.config import load
from agent.conversation.attention import Attention
from agent.runner import VirtualRunner
from agent.settings import WakeConfig
from agent.simulation.virtual import Line, converse
from audio.frame import HEARING_RATE, Frame
from audio.stt import Transcript

STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close."
)
ON = ["costs.mode=declared", "turns.meaning=off", "wake.model=hey_jarvis"]
WORD = testing.wake_word().frame


@dataclass
class Listening(testing.ScriptedSTT):
    """Keeps what it was given."""

    given: list[Frame] = field(default_factory=list)

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.given.append(audio)
        return super().transcribe(audio, final=final)


@dataclass
class Reading(testing.ScriptedLLM):
    """Keeps what it was to read ahead."""

    read: list[str] = field(default_factory=list)

    def prefill(self, messages) -> None:
        self.read += [message.content for message in messages if message.role != "system"]


def talk(tmp_path: Path, hears: list[str], replies: list[str], lines: list[Line], *more: str):
    """The events, and the engines."""
    engines = scripted.with_loudness(Listening(hears), Reading(replies), testing.ScriptedTTS())
    events: list[ev.Event] = []
    chosen = load(None, [*ON, *more])
    converse(engines, chosen, lines, tmp_path / "talk.wav", watchers=[events.append])
    return events, engines


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def states(events: list[ev.Event]) -> list[str]:
    return [event.state for event in of(events, ev.AttentionChanged)]


def test_before_the_word_nothing_reaches_any_engine(tmp_path: Path, monkeypatch):
    """On the bridge that every engine is called over: much talk beside it, and then the word."""
    called: list[tuple[float, str]] = []
    item = VirtualRunner._item

    async def seen(self, engine, *args):
        called.append((self.now(), engine))
        return await item(self, engine, *args)

    monkeypatch.setattr(VirtualRunner, "_item", seen)
    beside = scripted.join(*[part for _ in range(4) for part in (scripted.loud(3.0), scripted.silent(1.0))])
    asked = scripted.join(WORD, scripted.loud(1.0))
    lines = [Line(beside, "at", 1.0), Line(asked, "at", 20.0)]
    events, engines = talk(tmp_path, ["What time is it?"], ["It is noon."], lines)
    woken = 20.0 + WORD.duration
    assert {engine for at, engine in called if at < woken} <= {"llm"}  # which reads its instructions
    assert set(engines.llm.read) <= {"What time is it?", "It is noon."}
    assert engines.stt.given
    assert min(audio.time for audio in engines.stt.given) >= woken - 1e-6
    before = {type(event) for event in events if event.time < woken}
    assert before == {ev.SessionStarted, ev.AttentionChanged}
    assert [ended.heard for ended in of(events, ev.TurnEnded)] == ["It is noon."]


def test_what_is_said_in_one_breath_with_the_word_is_answered_without_it(tmp_path: Path):
    asked = scripted.join(WORD, scripted.loud(1.0))
    events, engines = talk(tmp_path, ["What time is it?"], ["It is noon."], [Line(asked, "at", 2.0)])
    (found,) = of(events, ev.WakeWordDetected)
    assert (found.name, found.at) == ("hey you", pytest.approx(2.6, abs=0.001))
    audio = engines.stt.given[-1]
    assert np.abs(audio.samples).max() < 0.5, "the word was transcribed"
    assert np.abs(audio.samples[: HEARING_RATE // 50]).max() > 0.1, "its first syllable was lost"
    assert [m.content for m in engines.llm.asked[-1]][1:] == ["What time is it?"]
    assert states(events) == ["asleep", "awake"]


def test_it_listens_on_while_the_talk_goes_on_and_no_longer(tmp_path: Path):
    first, other = scripted.join(WORD, scripted.loud(1.0)), scripted.loud(1.0)
    lines = [Line(first, "at", 1.0), Line(other, "after", 4.0), Line(other, "after", 6.0)]
    events, _ = talk(tmp_path, ["One?", "Two?", "Three?"], [STORY], lines, "wake.follow_up=5")
    assert len(of(events, ev.TurnEnded)) == 2
    assert states(events) == ["asleep", "awake", "asleep"]
    slept = of(events, ev.AttentionChanged)[-1].time
    assert slept - of(events, ev.TurnEnded)[-1].time == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("leave", ["Thank you.", "Okay, thanks, goodbye!"])
def test_who_takes_leave_ends_the_talk(tmp_path: Path, leave: str):
    first, other = scripted.join(WORD, scripted.loud(1.0)), scripted.loud(1.0)
    lines = [Line(first, "at", 1.0), Line(other, "after", 2.0), Line(other, "after", 3.0)]
    events, engines = talk(tmp_path, ["One?", leave, "Two?"], ["Yes.", "Bye."], lines, "stt.interim=0")
    assert engines.stt.calls == 2
    assert states(events) == ["asleep", "awake", "asleep"]


def test_words_of_leave_with_more_beside_them_end_nothing(tmp_path: Path):
    first, other = scripted.join(WORD, scripted.loud(1.0)), scripted.loud(1.0)
    lines = [Line(first, "at", 1.0), Line(other, "after", 2.0), Line(other, "after", 3.0)]
    hears = ["One?", "Thank you, and who was he?", "Two?"]
    events, engines = talk(tmp_path, hears, ["Yes.", "Ada.", "No."], lines, "stt.interim=0")
    assert engines.stt.calls == 3
    assert len(of(events, ev.TurnEnded)) == 3


@pytest.mark.parametrize(
    "more", [(), ("turns.interrupt=false",), ("turns.overlap=wait",), ("turns.policy=vad",)]
)
def test_the_word_interrupts_a_reply_at_once(tmp_path: Path, more: tuple[str, ...]):
    first = scripted.join(WORD, scripted.loud(1.0))
    lines = [Line(first, "at", 1.0), Line(first, "over", 3.0)]
    hears = ["Tell me a story.", "What time is it?"]
    events, engines = talk(tmp_path, hears, [STORY, "It is noon."], lines, *more, "stt.interim=0")
    told, answered = of(events, ev.TurnEnded)
    word = of(events, ev.WakeWordDetected)[1]
    assert told.reason == "interrupted"
    assert answered.heard == "It is noon."
    if more != ("turns.policy=vad",):  # there any speech does
        (cut,) = of(events, ev.Interrupted)
        assert cut.cause == Cause("wake_word")
        assert cut.time == word.time
        assert word.time - word.at == pytest.approx(0.1, abs=0.021)
    assert [m.content for m in engines.llm.asked[-1]][-1] == "What time is it?"
    assert np.abs(engines.stt.given[-1].samples).max() < 0.5


def test_two_notes_tell_that_it_has_woken_unless_they_are_not_wanted(tmp_path: Path):
    from audio.files import read_channels

    heard = {}
    for sign in ("true", "false"):
        asked = [Line(WORD, "at", 1.0)]
        talk(tmp_path, ["What time is it?"], ["Noon."], asked, f"wake.sign={sign}")
        heard[sign] = read_channels(tmp_path / "talk.wav")[1]
    assert not heard["false"].samples.any()
    loud = np.flatnonzero(np.abs(heard["true"].samples) > 0.01) / heard["true"].rate
    assert 1.6 < loud[0] < 1.8
    assert 0.1 < loud[-1] - loud[0] < 0.2


def test_without_a_wake_word_there_is_no_state_to_tell_of(tmp_path: Path):
    events, _ = talk(tmp_path, ["One?"], ["Yes."], [Line(scripted.loud(1.0))], "wake.model=")
    assert len(of(events, ev.TurnEnded)) == 1
    assert not of(events, ev.AttentionChanged)


def test_who_is_muted_is_heard_by_nothing_and_then_again():
    async def main():
        stt = Listening(["One?", "Two?"])
        async with testing.session(replies=["Yes."], stt=stt) as session:
            session.mute()
            await session.push_audio(*testing.loud(1.0))
            await session.push_audio(*testing.quiet(2.0))
            await anyio.sleep(4.0)
            assert stt.given == []
            session.mute(False)
            await session.push_audio(*testing.loud(1.0))
            session.close()
            return [event async for event in session.events()]

    events = testing.run(main)
    assert states(events) == ["muted", "awake"]
    assert [ended.heard for ended in of(events, ev.TurnEnded)] == ["Yes."]


class Nobody:
    """Is told, and does nothing."""

    engaged = False

    def called(self) -> None: ...

    def turned_away(self) -> None: ...


PARTS = {"word": testing.wake_word, "speech": testing.loud, "silence": testing.quiet}
parts = st.tuples(st.sampled_from(list(PARTS)), st.integers(1, 30).map(lambda n: n / 10))


@settings(max_examples=25, deadline=None)
@given(st.lists(parts, max_size=7), st.sampled_from([320, 160, 512, 1000]))
def test_what_is_heard_lies_behind_a_word_and_before_the_end_of_its_time(said, size):
    """Whatever is said, in frames of any size: what is passed on lies in a span that a word has opened."""
    sound = scripted.join(scripted.silent(0.1), *[PARTS[kind](seconds).frame for kind, seconds in said])
    engines = replace(testing.engines(), wake=testing.ScriptedWake)
    follow_up = 2.0
    clock, wake = SimpleNamespace(now=lambda: 0.0), WakeConfig(model="x", follow_up=follow_up)
    attention = Attention(engines, wake, clock, lambda _: None, Nobody())
    passed: list[Frame] = []
    for start in range(0, len(sound.samples), size):
        frame = Frame(sound.samples[start : start + size], HEARING_RATE, start / HEARING_RATE)
        passed += attention.hears(frame)
    ends = [0.1 + sum(s for _, s in said[: i + 1]) for i, (kind, _) in enumerate(said) if kind == "word"]
    for frame in passed:
        since = max((end for end in ends if end <= frame.time + 1e-4), default=None)
        assert since is not None, "something was heard before any word"
        assert frame.end <= since + follow_up + size / HEARING_RATE
