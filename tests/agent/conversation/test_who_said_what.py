"""Several are enrolled: what the history, the events, the tools and a client are told of who speaks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import scripted
from agent import events as ev
from agent import testing
from agent.causes import Cause
from agent.config import load
from agent.engines import registry
from agent.errors import ConfigError
from agent.settings import Config, SpeakersConfig
from agent.simulation.virtual import Line, converse
from agent.speakers import Manners, Speaker
from agent.testing import call
from agent.tools.tool import tool
from agent.turns.phrases import words_of
from audio.frame import Frame
from audio.stt import Transcript

STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close."
)
ANNA, BERT, TELEVISION = 0.3, 0.4, 0.2
BOTH = 'speakers.only=["anna", "bert"]'


@dataclass
class ByVoice(testing.ScriptedSTT):
    """Understands what each voice says, one text after the other; a voice is how loud it is."""

    texts: list[str] = field(default_factory=list)
    said: dict[float, list[str]] = field(default_factory=dict)

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.calls += 1
        levels = np.abs(audio.samples)
        texts = self.said[round(float(np.median(levels[levels > 0.1])), 2)]
        return Transcript(texts.pop(0) if len(texts) > 1 else texts[0])


def talk(tmp_path: Path, said: dict[float, list[str]], replies, lines, *more: str, tools=(), language="en"):
    """The events, and the engines; Anna and Bert are enrolled. language: of the voice."""
    speakers = testing.ScriptedSpeakers({ANNA: "anna", BERT: "bert"})
    made = testing.engines(replies=replies, tools=tools)
    made.tts.language = language
    engines = replace(made, stt=ByVoice(said=said), speakers=speakers)
    events: list[ev.Event] = []
    chosen = load(None, ["costs.mode=declared", "turns.meaning=off", "stt.interim=0", *more])
    converse(engines, chosen, lines, tmp_path / "talk.wav", watchers=[events.append])
    return events, engines


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def told(engines) -> list[str]:
    """What the user has said, as the model was told it last."""
    return [message.content for message in engines.llm.asked[-1] if message.role == "user"]


TURNS = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(1.0, BERT))]
ASKED = {ANNA: ["What time is it?"], BERT: ["And in Rome?"]}


def test_the_history_and_the_events_name_who_speaks(tmp_path: Path):
    events, engines = talk(tmp_path, dict(ASKED), ["Noon.", "The same."], TURNS, BOTH)
    assert told(engines) == ["anna: What time is it?", "bert: And in Rome?"]
    for kind in (ev.Transcribed, ev.TurnCommitted):
        assert [(each.speaker, each.text) for each in of(events, kind)] == [
            ("anna", "What time is it?"),
            ("bert", "And in Rome?"),
        ]


def test_with_one_who_is_listened_to_the_model_is_told_no_name(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, ANNA))]
    _, engines = talk(tmp_path, dict(ASKED), ["Noon."], lines, 'speakers.only=["anna"]')
    assert told(engines) == ["What time is it?"]


NEWS = "Tonight we bring you the news of the day."


def test_a_stranger_may_be_overheard_and_is_neither_answered_nor_waited_for(tmp_path: Path):
    lines = [
        Line(scripted.loud(1.0, ANNA)),
        Line(scripted.loud(3.0, TELEVISION), "over", 2.0),
        Line(scripted.loud(1.0, ANNA)),
    ]
    said = {ANNA: ["A story.", "What did they say?"], TELEVISION: [NEWS]}
    overhear = ("speakers.strangers=overhear", BOTH)
    events, engines = talk(tmp_path, said, [STORY, "The news."], lines, *overhear)
    first, second = of(events, ev.TurnEnded)
    assert (first.reason, first.heard, second.heard) == ("finished", STORY, "The news.")
    (overheard,) = of(events, ev.OverheardSpeech)
    assert (overheard.speaker, overheard.text) == ("another speaker", NEWS)
    assert told(engines)[-2:] == [f"another speaker: {NEWS}", "anna: What did they say?"] or told(engines)[
        -1
    ] == (f"another speaker: {NEWS} anna: What did they say?")


@pytest.mark.parametrize(("language", "other"), [("de", "jemand anderes"), ("ja", "別の人")])
def test_the_model_is_told_who_speaks_in_the_language_that_is_spoken(
    language: str, other: str, tmp_path: Path
):
    lines = [
        Line(scripted.loud(1.0, ANNA)),
        Line(scripted.loud(3.0, TELEVISION), "over", 2.0),
        Line(scripted.loud(1.0, ANNA)),
    ]
    said = {ANNA: ["A story.", "What did they say?"], TELEVISION: [NEWS]}
    overhear = ("speakers.strangers=overhear", BOTH, f"stt.language={language}")
    events, engines = talk(tmp_path, said, [STORY, "The news."], lines, *overhear, language=language)
    assert [each.speaker for each in of(events, ev.OverheardSpeech)] == [other]
    assert f"{other}: {NEWS}" in " ".join(told(engines))
    assert words_of(language).speakers.several in engines.llm.asked[-1][0].content
    assert words_of(language).speakers.several != words_of("en").speakers.several


def test_who_is_only_overheard_is_noted_by_name(tmp_path: Path):
    lines = [Line(scripted.loud(2.0, BERT)), Line(scripted.loud(1.0, ANNA), "pause", 1.5)]
    said = {BERT: ["I am going out."], ANNA: ["What time is it?"]}
    lists = ('speakers.only=["anna"]', 'speakers.overheard=["bert"]')
    events, engines = talk(tmp_path, said, ["Noon."], lines, *lists)
    assert [(e.speaker, e.text) for e in of(events, ev.OverheardSpeech)] == [("bert", "I am going out.")]
    assert [e.text for e in of(events, ev.TurnCommitted)] == ["What time is it?"]
    assert " ".join(told(engines)) == "bert: I am going out. anna: What time is it?"


def test_strangers_may_be_answered_without_a_name(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, TELEVISION)), Line(scripted.loud(1.0, ANNA))]
    said = {TELEVISION: ["Is anybody there?"], ANNA: ["What time is it?"]}
    _, engines = talk(tmp_path, said, ["Yes.", "Noon."], lines, BOTH, "speakers.strangers=answer")
    assert told(engines) == ["Is anybody there?", "anna: What time is it?"]


def test_who_may_not_interrupt_is_answered_when_the_reply_is_over(tmp_path: Path):
    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(1.2, BERT), "over", 2.0)]
    said = {ANNA: ["A story."], BERT: ["What time is it?"]}
    alone = 'speakers.interrupt=["anna"]'
    events, _ = talk(tmp_path, said, [STORY, "Noon."], lines, BOTH, alone)
    story, noon = of(events, ev.TurnEnded)
    assert (story.reason, story.heard, noon.heard) == ("finished", STORY, "Noon.")
    held = [event for event in events if isinstance(event, ev.AudioPaused | ev.AudioResumed)]
    assert [type(event) for event in held] == [ev.AudioPaused, ev.AudioResumed]
    assert held[1].cause == Cause("no_leave")
    assert of(events, ev.TurnCommitted)[1].speaker == "bert"


@pytest.mark.parametrize("only", [[], ["anna"]])
def test_off_and_with_nobody_else_about_all_is_as_without(tmp_path: Path, only: list[str]):
    """The same events and the same sound, to the byte, whether anybody is enrolled or not."""
    sounds, seen = list[bytes](), list[list[ev.Event]]()
    for enrolled in (False, True):
        engines = testing.engines(["A story.", "And then?"], [STORY, "No more."])
        if enrolled and only:
            engines = replace(engines, speakers=testing.ScriptedSpeakers({ANNA: "anna"}))
        events, file = list[ev.Event](), tmp_path / f"{enrolled}.wav"
        names = "[" + ", ".join(f'"{name}"' for name in only) + "]" if enrolled else "[]"
        chosen = load(None, ["costs.mode=declared", "turns.meaning=off", f"speakers.only={names}"])
        converse(engines, chosen, TURNS[:1] * 2, file, watchers=[events.append])
        sounds.append(file.read_bytes())
        seen.append([replace(e, speaker="") if hasattr(e, "speaker") else e for e in events])
    assert sounds[0] == sounds[1]
    assert seen[0] == [each for each in seen[1] if not isinstance(each, ev.SpeakerIdentified)]


# ------------------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("level", "done", "why"),
    [
        (ANNA, True, ""),
        (BERT, False, "it was not their voice"),
        (TELEVISION, False, "not certain whose voice"),
    ],
)
def test_a_tool_is_for_whom_it_names_and_refused_in_words(tmp_path: Path, level: float, done: bool, why: str):
    opened: list[str] = []

    @tool(effect="changes", speakers=["anna"])
    def open_the_door() -> str:
        """Opens the front door."""
        opened.append("door")
        return "It is open."

    replies = [[call("open_the_door")], "Well."]
    lines, strangers = [Line(scripted.loud(1.0, level))], "speakers.strangers=answer"
    said = {level: ["Open the door."]}
    events, engines = talk(tmp_path, said, replies, lines, BOTH, strangers, tools=[open_the_door])
    (returned,) = of(events, ev.ToolReturned)
    assert (returned.outcome == "done", bool(opened)) == (done, done)
    assert why in returned.result
    assert [ended.heard for ended in of(events, ev.TurnEnded)] == ["Well."]
    assert any(why in message.content for message in engines.llm.asked[-1] if message.role == "tool")


def test_who_agrees_must_be_whom_the_tool_names(tmp_path: Path):
    opened: list[str] = []

    @tool(effect="changes", speakers=["anna"], confirm="Open it?")
    def open_the_door() -> str:
        """Opens the front door."""
        opened.append("door")
        return "It is open."

    lines = [Line(scripted.loud(1.0, ANNA)), Line(scripted.loud(1.0, BERT))]
    said, replies = {ANNA: ["Open the door."], BERT: ["Yes, please."]}, [[call("open_the_door")], "Well."]
    events, _ = talk(tmp_path, said, replies, lines, BOTH, tools=[open_the_door])
    assert not opened
    assert "it was not their voice" in of(events, ev.ToolReturned)[-1].result


# ------------------------------------------------------------------------------------------------- the lists


def manners(**lists) -> Manners:
    return Manners(SpeakersConfig(**lists))


KNOWN = {name: Speaker("known", name, 0.9) for name in ("anna", "bert")}


def test_in_doubt_it_is_the_user_whatever_the_lists_say():
    for lists in ({}, {"only": ("anna",), "interrupt": ("anna",), "strangers": "overhear"}):
        for who in (None, Speaker("doubt")):
            assert manners(**lists).treatment(who) == "answered"
            assert manners(**lists).may_interrupt(who)


def test_everybody_else_who_is_enrolled_may_be_overheard():
    rest = manners(only=("anna",), overheard=("*",))
    assert [rest.treatment(KNOWN[name]) for name in ("anna", "bert")] == ["answered", "overheard"]
    assert not rest.may_interrupt(KNOWN["bert"])


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"overheard": ("anna",)}, "speakers.only: says who is answered"),
        ({"strangers": "overhear"}, "speakers.only: says who is answered"),
        ({"only": ("anna",), "overheard": ("anna",)}, "speakers.overheard: 'anna' is answered"),
        ({"only": ("anna",), "interrupt": ("bert",)}, "speakers.interrupt: 'bert' is not in speakers.only"),
    ],
)
def test_lists_that_contradict_each_other_are_told_in_one_line(lists, why: str):
    with pytest.raises(ConfigError, match=why) as error:
        registry.load_speakers(Config(speakers=SpeakersConfig(**lists)))
    assert "\n" not in str(error.value)
