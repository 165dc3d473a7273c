"""One conversation in several languages, on the virtual clock: rules, answer, voice and history follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from polyglot import Choir, Ears, sure

import scripted
from agent import events as ev
from agent.config import load
from agent.languages.scripts import words
from agent.messages import Message
from agent.protocols import Engines
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.files import read_channels
from audio.frame import HEARING_RATE, Frame, resample
from audio.stt.whisper import Whisper
from audio.tts.kokoro import Kokoro

THREE = ["stt.language=auto", 'stt.languages=["en","es","fr"]']


def engines(said: list[tuple[str, dict[str, float]]], replies: list[str]) -> tuple[Engines, Ears, Choir]:
    ears, choir = Ears(said), Choir()
    return replace(scripted.engines([""], replies), stt=ears, tts=choir), ears, choir


def talk(tmp_path: Path, made: Engines, lines: list[Line], *settings: str) -> list[ev.Event]:
    declared = ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"]
    events: list[ev.Event] = []
    config = load(None, [*declared, *settings])
    converse(made, config, lines, tmp_path / "conversation.wav", watchers=[events.append])
    return events


def lines(*seconds: float) -> list[Line]:
    return [Line(scripted.loud(each)) for each in seconds]


def languages(events: list[ev.Event]) -> list[tuple[str, str]]:
    """Of each turn what the user spoke and what the agent answered in."""
    said = [event.language for event in events if isinstance(event, ev.TurnCommitted)]
    answered = [event.language for event in events if isinstance(event, ev.TurnEnded)]
    return list(zip(said, answered, strict=True))


def test_a_talk_that_changes_language_three_times(tmp_path: Path) -> None:
    said = [
        ("How many houses are there?", sure("en")),
        ("¿Cuántas casas hay?", sure("es")),
        ("Combien de maisons y a-t-il ?", sure("fr")),
        ("And how many trees?", sure("en")),
    ]
    made, ears, choir = engines(said, ["There are 21.", "Hay 21 casas.", "Il y en a 21.", "There are 80."])
    events = talk(tmp_path, made, lines(1.5, 1.5, 1.5, 1.5), *THREE)
    assert ears.taken == ["en", "es", "fr", "en"]
    assert languages(events) == [("en", "en"), ("es", "es"), ("fr", "fr"), ("en", "en")]
    assert choir.heard == [
        ("anna", "There are twenty one."),
        ("dora", "Hay veintiuna casas."),
        ("siwis", "Il y en a vingt et un."),
        ("anna", "There are eighty."),
    ]
    told = [asked[-1] for asked in made.llm.asked]
    assert [(m.role, m.content) for m in told] == [
        ("user", "How many houses are there?"),
        ("system", "Answer in Spanish."),
        ("system", "Answer in French."),
        ("system", "Answer in English."),
    ]


def test_a_short_okay_switches_nothing(tmp_path: Path) -> None:
    said = [("How many?", sure("en")), ("Okay.", sure("es")), ("And then?", sure("en"))]
    made, ears, choir = engines(said, ["Two.", "Good.", "Three."])
    events = talk(tmp_path, made, lines(1.5, 0.4, 1.5), *THREE)
    assert ears.taken == ["en", "en", "en"]
    assert {voice for voice, _ in choir.heard} == {"anna"}
    assert set(languages(events)) == {("en", "en")}


def test_listening_noises_switch_nothing_however_long(tmp_path: Path) -> None:
    said = [("Tell me all.", sure("en")), ("Vale, vale.", sure("es")), ("And then?", sure("en"))]
    made, _, choir = engines(said, ["It was a long and quiet day by the sea, and nobody came.", "Three."])
    over = [Line(scripted.loud(1.5)), Line(scripted.loud(1.2), "over", 1.0), Line(scripted.loud(1.5))]
    talk(tmp_path, made, over, *THREE)
    assert {voice for voice, _ in choir.heard} == {"anna"}
    assert len(made.llm.asked) == 2
    assert not any(message.content.startswith("Answer in") for asked in made.llm.asked for message in asked)


@pytest.mark.parametrize(("language", "wait"), [("es", 1.6), ("en", 0.5)])
def test_the_end_of_a_turn_is_judged_by_the_words_of_its_language(
    tmp_path: Path, language: str, wait: float
) -> None:
    """ "porque" leads on in Spanish; in English it is a word like any other."""
    made, *_ = engines([("Quiero ir a casa porque.", sure(language))], ["Claro."])
    events = talk(tmp_path, made, lines(1.5), *THREE, "turns.meaning=words", "turns.likely=0.5")
    (committed,) = (event for event in events if isinstance(event, ev.TurnCommitted))
    assert committed.cause.wait == pytest.approx(wait if language == "es" else 0.85)


def test_stop_is_obeyed_in_the_language_that_was_spoken_last(tmp_path: Path) -> None:
    said = [("Cuéntame un cuento muy largo.", sure("es")), ("Cállate.", {"en": 0.6, "es": 0.4})]
    made, *_ = engines(said, ["Había una vez un farero que vivía solo en una isla muy lejana y fría."])
    events = talk(tmp_path, made, [Line(scripted.loud(1.5)), Line(scripted.loud(0.5), "over", 1.5)], *THREE)
    (ended,) = (event for event in events if isinstance(event, ev.TurnEnded))
    assert ended.reason == "interrupted"
    assert len(made.llm.asked) == 1


def test_who_asks_for_french_is_answered_in_french(tmp_path: Path) -> None:
    said = [
        ("Speak French, please.", sure("en")),
        ("What is that?", sure("en")),
        ("Hola, ¿qué tal?", sure("es")),
    ]
    made, _, choir = engines(said, ["Bien sûr.", "Une cloche.", "Bien."])
    events = talk(tmp_path, made, lines(1.5, 1.5, 1.5), *THREE)
    assert [voice for voice, _ in choir.heard] == ["siwis", "siwis", "dora"]
    assert languages(events) == [("en", "fr"), ("en", "fr"), ("es", "es")]
    assert made.llm.asked[0][-1].content == "Answer in French."


def test_a_voice_of_one_language_answers_in_that(tmp_path: Path) -> None:
    made, ears, _ = engines([("¿Cuántas casas hay?", sure("es"))], ["There are 21."])
    made = replace(made, tts=scripted.ScriptedTTS(language="en"))
    events = talk(tmp_path, made, lines(1.5), *THREE)
    assert ears.taken == ["es"]
    assert languages(events) == [("es", "en")]
    assert made.llm.asked[0][-1].content == "Answer in English."


def test_a_turn_that_went_on_leaves_no_trace_of_its_language(tmp_path: Path) -> None:
    """The first half sounds Spanish, the whole of it English: nothing was ever answered in Spanish."""
    said = [("No, no.", sure("es")), ("No, no, that is not what I meant.", sure("en"))]
    made, _, choir = engines(said, ["Bien.", "Good."])
    pause = Frame(scripted.join(scripted.loud(1.2), scripted.silent(0.2), scripted.loud(1.0)).samples, 16_000)
    events = talk(tmp_path, made, [Line(pause)], *THREE)
    assert languages(events) == [("en", "en")]
    assert choir.heard[-1][0] == "anna"
    assert made.llm.asked[-1][-1].role == "user"


def test_where_one_language_is_spoken_nothing_is_heard_or_told_of_it(tmp_path: Path) -> None:
    made, ears, choir = engines([("¿Cuántas casas hay?", sure("en"))], ["Hay 21."])
    ears.detects = False  # as an engine is that was loaded for one
    events = talk(tmp_path, made, lines(1.5), "stt.language=es")
    assert languages(events)[0][1] == "en"  # the voice's own: it was not chosen by a language
    assert [message.role for message in made.llm.asked[0]] == ["system", "user"]
    assert choir.heard == [("anna", "Hay twenty one.")]


class Answers:
    """A language model that does as it is told last: answers in that language."""

    replies: ClassVar = {
        "en": "The capital is Paris.",
        "es": "Una semana tiene siete días.",
        "fr": "Je vais très bien, merci beaucoup.",
    }

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        told = messages[-1].content
        code = {"Answer in Spanish.": "es", "Answer in French.": "fr"}.get(told, "en")
        yield from re.findall(r"\s*\S+", self.replies[code])

    def prefill(self, messages: Sequence[Message]) -> None:
        pass


@pytest.mark.model
def test_three_languages_as_they_sound(tmp_path: Path) -> None:
    """Real ears and a real voice: who speaks what is heard, and the answers sound like their language."""
    kokoro = Kokoro(weights=models.resolve("kokoro"))
    whisper = Whisper(models.resolve("whisper-base"), language="auto", languages=("en", "es", "fr"))
    asked = {
        "am_michael": "What is the capital of France?",
        "em_alex": "¿Cuántos días tiene una semana?",
        "ff_siwis": "Bonjour, comment allez-vous aujourd'hui ?",
    }
    made = replace(scripted.engines([""], [""]), stt=whisper, tts=kokoro, llm=Answers())
    said = [np.concatenate([p.samples for p in kokoro.with_voice(v).stream(t)]) for v, t in asked.items()]
    script = [Line(Frame(resample(each, kokoro.rate, HEARING_RATE), HEARING_RATE)) for each in said]
    events = talk(tmp_path, made, script, *THREE)
    assert languages(events) == [("en", "en"), ("es", "es"), ("fr", "fr")]
    began = [event.time for event in events if isinstance(event, ev.AudioStarted)]
    ended = [event.time for event in events if isinstance(event, ev.TurnEnded)]
    _, agent = read_channels(tmp_path / "conversation.wav")
    for start, end, code in zip(began, ended, Answers.replies, strict=True):
        sound = agent.samples[round(start * agent.rate) : round(end * agent.rate)]
        heard = whisper.transcribe(Frame(sound, agent.rate))
        assert (heard.language, words(heard.text)) == (code, words(Answers.replies[code]))
