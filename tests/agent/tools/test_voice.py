"""The voice by voice: what is asked for is what is heard from then on, as far as the engine can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from polyglot import Choir

import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.conversation.voices import SessionVoice
from agent.settings import ToolsConfig, TTSConfig
from agent.simulation.virtual import Line, converse
from agent.testing import call
from agent.tools.registry import loaded
from audio.playback import Playback
from audio.tts import Gender, Speech

OF = ev.TurnEnded, ev.ToolReturned, ev.Synthesized


class Fixed:
    """A voice that cannot be changed."""

    rate, language = 24_000, ""

    def stream(self, text: str) -> Iterator[Speech]:
        return testing.ScriptedTTS().stream(text)


def talked(out: Path, replies: list[Any], tts: Any = None, *settings: str) -> dict[type, list[Any]]:
    """A line for each reply that is not of the results of a call; what came of them, by kind of event."""
    events: list[ev.Event] = []
    lines = [n for n, _ in enumerate(replies) if n == 0 or isinstance(replies[n - 1], str)]
    engines = testing.engines([f"Line {n}." for n in lines], replies, loaded(ToolsConfig(use=("voice",))))
    engines = replace(engines, tts=tts or testing.ScriptedTTS())
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", *settings])
    spoken = [Line(scripted.loud(1.0)) for _ in lines]
    converse(engines, config, spoken, out / "c.wav", watchers=[events.append])
    assert not [event for event in events if isinstance(event, ev.Error)]
    return {kind: [event for event in events if isinstance(event, kind)] for kind in OF}


def pace(event: ev.Synthesized) -> float:
    """Seconds of a character."""
    return event.seconds / (event.end - event.start)


@pytest.mark.parametrize(("speed", "factor"), [("slower", 1.25), ("faster", 1 / 1.25)])
def test_a_speed_lasts_until_it_is_normal_again(speed: str, factor: float, tmp_path: Path) -> None:
    replies = [
        "It is noon.",
        [call("change_voice", speed=speed)],
        "Like this.",
        "It is noon.",
        [call("change_voice", speed="normal")],
        "As before.",
    ]
    seen = talked(tmp_path, replies)
    usual, *others = [pace(event) for event in seen[ev.Synthesized]]
    assert [each / usual for each in others] == pytest.approx([factor, factor, 1.0], rel=0.01)
    assert [event.heard for event in seen[ev.TurnEnded]] == [
        "It is noon.",
        "Like this.",
        "It is noon.",
        "As before.",
    ]


def test_a_speed_of_the_settings_is_the_usual_one(tmp_path: Path) -> None:
    replies = [[call("change_voice", speed="faster")], "Well.", [call("change_voice", speed="faster")], "No."]
    seen = talked(tmp_path, replies, None, "tts.speed=1.9")
    told = [(event.outcome, event.result[:38]) for event in seen[ev.ToolReturned]]
    assert told == [
        ("done", "You speak at 105% of your usual speed,"),
        ("failed", "It cannot be faster: it is so already,"),
    ]


def test_what_was_said_last_is_said_again_slower_behind_the_answer(tmp_path: Path) -> None:
    said = "The train goes at noon. It goes from Ely."
    seen = talked(tmp_path, [said, [call("change_voice", speed="slower", again=True)], "Sure."])
    assert [event.heard for event in seen[ev.TurnEnded]] == [said, "Sure.", "It goes from Ely."]
    first, *_, again = [pace(event) for event in seen[ev.Synthesized]]
    assert again / first == pytest.approx(1.25, rel=0.01)


def test_louder_is_louder_and_never_clips(tmp_path: Path) -> None:
    louder = [[call("change_voice", volume="louder")], "Well."]
    seen = talked(tmp_path, ["It is noon.", *louder * 4], testing.ScriptedTTS(level=0.3))
    assert [event.outcome for event in seen[ev.ToolReturned]] == ["done", "done", "done", "failed"]
    sound, rate = soundfile.read(tmp_path / "c.wav")
    times = [0.0, *(event.time for event in seen[ev.ToolReturned])]
    begins = [round(time * rate) for time in times]
    levels = [float(np.abs(sound[a:b, 1]).max()) for a, b in pairwise([*begins, len(sound)])]
    assert levels == pytest.approx([0.3, 0.48, 0.768, 0.993, 0.993], abs=0.002)


def test_a_voice_that_cannot_be_changed_says_so_and_can_be_louder(tmp_path: Path) -> None:
    replies = [[call("change_voice", speed="slower")], "No.", [call("change_voice", volume="louder")], "Yes."]
    seen = talked(tmp_path, replies, Fixed())
    assert [event.outcome for event in seen[ev.ToolReturned]] == ["failed", "done"]
    assert len({round(pace(event), 4) for event in seen[ev.Synthesized]}) == 1


def test_nothing_is_no_change(tmp_path: Path) -> None:
    (event,) = talked(tmp_path, [[call("change_voice")], "What?"])[ev.ToolReturned]
    assert (event.outcome, event.result) == ("failed", "Say what is to be changed: speed, volume or voice.")


VOICES = {"af_anna": "en-us", "af_bea": "en-us", "am_carl": "en-us", "bm_dan": "en-gb", "ef_eva": "es"}


class Voices(Choir):
    """Two women's voices and two men's, of English, and one of Spanish."""

    loaded_voices = VOICES

    def gender(self, voice: str) -> Gender:
        return "female" if voice[1] == "f" else "male"


@pytest.mark.parametrize(
    ("wishes", "speak"),
    [
        (["another"], ["af_bea"]),
        (
            ["another", "a different voice", "another one", "another"],
            ["af_bea", "am_carl", "bm_dan", "af_anna"],
        ),
        (["man", "another man", "a man's voice"], ["am_carl", "bm_dan", "am_carl"]),
        (["woman"], ["af_bea"]),
        (["man", "normal"], ["am_carl", "af_anna"]),
        (["Dan", "the voice am_carl"], ["bm_dan", "am_carl"]),
    ],
)
def test_another_voice_speaks_from_then_on(wishes: list[str], speak: list[str], tmp_path: Path) -> None:
    voices = Voices(voice="af_anna")
    replies: list[Any] = ["Noon."]
    for wish in wishes:
        replies += [[call("change_voice", voice=wish)], f"Now {wish}.", f"Still {wish}."]
    seen = talked(tmp_path, replies, voices)
    assert [event.outcome for event in seen[ev.ToolReturned]] == ["done"] * len(wishes)
    expected = [("af_anna", "Noon.")]
    for name, wish in zip(speak, wishes, strict=True):
        expected += [(name, f"Now {wish}."), (name, f"Still {wish}.")]
    assert voices.heard == expected


@pytest.mark.parametrize("wish", ["Eva", "low", "the one from before"])
def test_a_voice_that_there_is_not_is_refused_by_what_there_is(wish: str, tmp_path: Path) -> None:
    voices = Voices(voice="af_anna")
    seen = talked(tmp_path, [[call("change_voice", voice=wish)], "No.", "Well."], voices)
    (event,) = seen[ev.ToolReturned]
    there = "af_anna, af_bea, am_carl, bm_dan"
    assert (event.outcome, event.result) == ("failed", f"There is no voice {wish!r}. There are: {there}.")
    assert {name for name, _ in voices.heard} == {"af_anna"}


def test_where_there_is_one_voice_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    replies = [[call("change_voice", voice="another", speed="slower")], "There is one.", "Noon."]
    seen = talked(tmp_path, replies)
    (event,) = seen[ev.ToolReturned]
    assert (event.outcome, event.result[:29]) == ("failed", "There is only this one voice;")
    assert len({round(pace(event), 4) for event in seen[ev.Synthesized]}) == 1


def test_a_wish_for_a_voice_lasts_where_the_language_changes() -> None:
    """In another language it is the one that is most like it there, then again the one that was asked for."""
    voices = Voices(voice="af_anna")
    playback = Playback(24_000)
    english = SessionVoice(voices, TTSConfig(), playback)
    english.change(name="am_carl")
    for voice in (english, english.with_voice(language="es"), english):
        list(voice.stream("Si."))
    assert [name for name, _ in voices.heard] == ["am_carl", "ef_eva", "am_carl"]
