"""Only my voice: a stranger's words end no reply and are not answered; in doubt the user is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import scripted
from agent import events as ev
from agent import testing
from agent.causes import Cause
from agent.config import load
from agent.simulation.virtual import Line, converse

STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close. "
    "He rang the bell as loudly as he could. The ship turned away just in time."
)
ANNA, BERT, TELEVISION = 0.3, 0.4, 0.2


def talk(tmp_path: Path, hears, replies, lines, *more: str, names=None, least: float = 0.3):
    """The events, and the engines; Anna and Bert are enrolled."""
    speakers = testing.ScriptedSpeakers(names or {ANNA: "anna", BERT: "bert"}, least)
    engines = replace(scripted.engines(hears, replies), speakers=speakers)
    events: list[ev.Event] = []
    chosen = load(None, ["costs.mode=declared", "turns.meaning=off", *more])
    converse(engines, chosen, lines, tmp_path / "talk.wav", watchers=[events.append])
    return events, engines


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def said(engines) -> list[str]:
    return [message.content for message in engines.llm.asked[-1]][1:]


@pytest.mark.parametrize("interim", ["0", "0.6"])
def test_a_strange_voice_over_a_reply_leaves_it_alone(tmp_path: Path, interim: str):
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(2.5, TELEVISION), "over", 2.0)]
    hears = ["Tell me a story.", "Tonight we bring you the news of the day."]
    events, engines = talk(tmp_path, hears, [STORY], lines, f"stt.interim={interim}")
    (ended,) = of(events, ev.TurnEnded)
    assert (ended.reason, ended.heard) == ("finished", STORY)
    assert not of(events, ev.Interrupted)
    assert len(engines.llm.asked) == 1
    assert {event.verdict for event in of(events, ev.SpeakerIdentified) if event.time > 4} == {"stranger"}


def test_a_reply_waits_for_a_stranger_only_until_it_is_known_that_it_is_one(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(8.0, TELEVISION), "over", 2.0)]
    events, _ = talk(tmp_path, ["A story.", "Tonight we bring you the news."], [STORY], lines)
    held = [event for event in events if isinstance(event, ev.AudioPaused | ev.AudioResumed)]
    assert [type(event) for event in held] == [ev.AudioPaused, ev.AudioResumed]
    assert held[1].cause == Cause("stranger")
    assert held[1].time - held[0].time < 1.0


def test_a_strange_voice_is_not_answered_and_not_in_the_history(tmp_path: Path):
    lines = [
        Line(scripted.loud(1.0, TELEVISION)),
        Line(scripted.loud(1.0, ANNA), "pause", 1.0),
    ]
    events, engines = talk(tmp_path, ["And now the weather.", "What time is it?"], ["Noon."], lines)
    dropped = of(events, ev.TurnDiscarded)[0]
    assert dropped.cause.reason == "stranger"
    assert [committed.text for committed in of(events, ev.TurnCommitted)] == ["What time is it?"]
    assert said(engines) == ["What time is it?"] or said(engines) == ["anna: What time is it?"]


def test_who_is_known_interrupts_as_ever(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(1.0, BERT), "over", 2.0)]
    hears = ["Tell me a story.", "What time is it?"]
    events, _ = talk(tmp_path, hears, [STORY, "Noon."], lines)
    told, answered = of(events, ev.TurnEnded)
    assert (told.reason, answered.heard) == ("interrupted", "Noon.")
    over = [event for event in of(events, ev.SpeakerIdentified) if event.turn == told.turn]
    assert {event.name for event in over} >= {"bert"}


def test_in_doubt_the_user_is_heard(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(0.5, TELEVISION), "over", 2.0)]
    events, _ = talk(tmp_path, ["A story.", "Stop."], [STORY], lines, "stt.interim=0", least=0.8)
    (told,) = of(events, ev.TurnEnded)
    assert told.reason == "interrupted"


def test_who_breathes_is_told_by_what_comes_then(tmp_path: Path):
    """A word or two of a television, a breath, more of it: the first are too little to tell it by."""
    talking = scripted.join(
        scripted.loud(0.45, TELEVISION), scripted.silent(0.3), scripted.loud(2.0, TELEVISION)
    )
    lines = [Line(scripted.loud(1.0, ANNA)), Line(talking, "over", 2.0)]
    hears = ["A story.", "And tonight", "And tonight we bring you the news."]
    events, _ = talk(tmp_path, hears, [STORY], lines, "stt.interim=0", least=0.5)
    (told,) = of(events, ev.TurnEnded)
    assert (told.reason, told.heard) == ("finished", STORY)


def test_a_word_or_two_in_doubt_are_heard_once_nothing_follows_them(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(0.45, ANNA), "over", 2.0)]
    hears, replies = ["A story.", "Which one?"], [STORY, "The first."]
    events, _ = talk(tmp_path, hears, replies, lines, "stt.interim=0", least=0.8)
    told, answered = of(events, ev.TurnEnded)
    assert (told.reason, answered.heard) == ("interrupted", "The first.")


def test_scraps_that_end_as_a_stranger_is_told_are_the_strangers(tmp_path: Path):
    """A stranger's speech is cut where it is known to be one: what is left of it is too little to tell by."""
    parts = [part for _ in range(6) for part in (scripted.loud(0.6, TELEVISION), scripted.silent(0.2))]
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.join(*parts), "over", 2.0)]
    hears = ["A story.", "Adieu."]
    events, _ = talk(tmp_path, hears, [STORY], lines, "stt.interim=0", least=0.5)
    (told,) = of(events, ev.TurnEnded)
    assert (told.reason, told.heard) == ("finished", STORY)


def test_an_engine_that_fails_makes_nobody_a_stranger(tmp_path: Path, monkeypatch):
    def broken(self, audio):
        raise RuntimeError("no idea")

    monkeypatch.setattr(testing.ScriptedSpeakers, "who", broken)
    events, _ = talk(tmp_path, ["One?"], ["Yes."], [Line(scripted.loud(1.0, TELEVISION))])
    told = of(events, ev.Error)
    assert {(error.where, "no idea" in error.message) for error in told} == {("speakers", True)}
    assert [ended.heard for ended in of(events, ev.TurnEnded)] == ["Yes."]


def test_the_television_talks_through_a_whole_story_and_the_owner_stops_it(tmp_path: Path):
    """Amid its talk, which has no pause: their words are told apart from it, and end the story."""
    television, owner = scripted.loud(1.0, TELEVISION), scripted.loud(1.2, ANNA)
    talking = scripted.join(*[television] * 6, owner, *[television] * 12)
    lines = [Line(scripted.loud(1.0, ANNA)), Line(talking, "over", 1.0)]
    hears = ["Tell me a story.", "And tonight", "Please stop."]
    events, engines = talk(tmp_path, hears, [STORY], lines, "stt.interim=0")
    (told,) = of(events, ev.TurnEnded)
    assert told.reason == "interrupted"
    (cut,) = of(events, ev.Interrupted)
    began = of(events, ev.AudioStarted)[0].time + 1.0 + 6.0
    assert cut.cause.reason == "silence_wanted"
    assert began + 0.4 < cut.time < began + 1.2 + 1.5
    assert engines.stt.calls == 3  # theirs, and once the stranger before it was known that it was one
    assert len(engines.llm.asked) == 1
