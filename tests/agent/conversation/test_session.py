"""The session with scripted engines on the virtual clock: what must hold whatever the engines say."""

from __future__ import annotations

import gc
import itertools
import random
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

import scripted
from agent import events as ev
from agent.causes import Cause, Reason
from agent.config import load
from agent.simulation.virtual import Line, converse
from audio.files import read_channels
from audio.frame import Frame
from audio.playback import Playback
from audio.stt import Transcript

STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close. "
    "He rang the bell as loudly as he could. The ship turned away just in time."
)
DECLARED = ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"]


def talk(tmp_path: Path, engines, lines, *settings: str) -> tuple[list[ev.Event], Path]:
    events: list[ev.Event] = []
    out = tmp_path / "conversation.wav"
    converse(engines, load(None, [*DECLARED, *settings]), lines, out, watchers=[events.append])
    return events, out


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_a_question_is_answered_aloud(tmp_path: Path) -> None:
    engines = scripted.engines(["What is that?"], ["It is a bell. It rings."])
    events, out = talk(tmp_path, engines, [Line(scripted.loud(1.0))])
    (ended,) = of(events, ev.TurnEnded)
    assert (ended.reason, ended.heard, ended.unheard) == ("finished", "It is a bell. It rings.", "")
    user, agent = read_channels(out)
    assert np.abs(user.samples[: user.rate]).max() > 0.2
    assert np.count_nonzero(np.abs(agent.samples) > 0.1) > 0.9 * agent.rate


@pytest.mark.parametrize("when", [0.6, 1.0, 1.4, 1.8, 2.2])
def test_half_a_number_that_was_heard_is_not_another_number(tmp_path: Path, when: float) -> None:
    engines = scripted.engines(["How much is it?", "Stop."], ["It costs $49.95 now, all in all."])
    engines = replace(engines, tts=scripted.ScriptedTTS(language="en"))
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.5), "over", when)]
    events, _ = talk(tmp_path, engines, lines)
    ended = of(events, ev.TurnEnded)[0]
    assert ended.reason == "interrupted"
    assert ended.heard.rstrip() in ("It costs", "It costs $49.95", "It costs $49.95 now,")
    said = " ".join(piece.spoken for piece in of(events, ev.Chunk) if piece.turn == 1)
    assert said == "It costs forty nine dollars and ninety five cents now, all in all."


@pytest.mark.parametrize("text", ["...", "😀", "```python\nprint(1)\n```", "—", "**", "?! 🎉 ...\n\n---\n"])
def test_who_is_given_nothing_that_can_be_said_is_told_so_at_once(tmp_path: Path, text: str) -> None:
    engines = scripted.engines(["What is that?", "What else?"], [text, "It rings."])
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(1.0)), Line(scripted.loud(1.0))])
    (error,) = of(events, ev.Error)
    assert (error.where, error.turn) == ("reply", 1)
    assert "nothing that can be said aloud" in error.message
    assert text.split()[0] in error.message
    assert "\n" not in error.message
    opened = of(events, ev.TurnOpened)[0]
    assert error.time - opened.speech_end < 1.0
    mute, ended = of(events, ev.TurnEnded)
    assert (mute.reason, mute.heard, mute.unheard.strip()) == ("error", "", text.strip())
    assert mute.time - opened.speech_end < 1.0
    assert (ended.reason, ended.heard) == ("finished", "It rings.")
    asked = [(m.role, m.content) for m in engines.llm.asked[-1]][1:]
    assert not [content for role, content in asked if role == "assistant" and content.strip()]


def test_an_answer_that_breaks_off_before_a_word_of_it_is_one_error(tmp_path: Path) -> None:
    engines = scripted.engines(["What is that?"], ["... well"])
    engines.llm.fail_at = {0: 1}
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(1.0))])
    (error,) = of(events, ev.Error)
    assert "out of paper" in error.message


def test_the_answer_waits_for_the_end_of_the_turn_but_not_its_making(tmp_path: Path) -> None:
    engines = scripted.engines(["Go."], ["Yes, I will go there now."])
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(1.0))], "turns.pause=0.2", "turns.end=1.0")
    (opened,), (released,), (started,) = (
        of(events, kind) for kind in (ev.TurnOpened, ev.TurnCommitted, ev.AudioStarted)
    )
    assert opened.time - opened.speech_end == pytest.approx(0.2, abs=0.03)
    assert released.time - opened.speech_end == pytest.approx(1.0, abs=0.03)
    assert 0 <= started.time - released.time <= 0.03
    assert of(events, ev.Synthesized)[0].time < released.time


def test_who_goes_on_after_a_pause_is_asked_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    pause = scripted.silent(0.25)
    said = scripted.join(scripted.loud(0.6), pause, scripted.loud(0.6))
    engines = scripted.engines(["I want", "I want to go."], ["Where?"])
    events, _ = talk(tmp_path, engines, [Line(said)])
    (dropped,), (ended,) = of(events, ev.TurnDiscarded), of(events, ev.TurnEnded)
    assert dropped.cause == Cause("went_on")
    assert ended.turn == dropped.turn + 1
    assert [m.content for m in engines.llm.asked[-1]][1:] == ["I want to go."]


def test_with_a_slow_model_who_goes_on_before_it_has_spoken_interrupts_nobody(tmp_path: Path) -> None:
    said = scripted.join(scripted.loud(0.6), scripted.silent(0.7), scripted.loud(0.6))
    engines = scripted.engines(["I want", "I want to go."], ["Where?"])
    events, _ = talk(tmp_path, engines, [Line(said)], "costs.first_token=1.0")
    assert of(events, ev.Interrupted) == []
    (released,), (started,) = of(events, ev.TurnCommitted), of(events, ev.AudioStarted)
    assert released.text == "I want to go."
    assert 0 <= started.time - released.time <= 0.03
    assert [m.content for m in engines.llm.asked[-1]][1:] == ["I want to go."]


def test_no_model_is_waited_for_longer_than_a_turn_may_last(tmp_path: Path) -> None:
    engines = scripted.engines(["Go."], ["Yes."])
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(1.0))], "costs.first_token=4.0")
    (opened,), (released,) = of(events, ev.TurnOpened), of(events, ev.TurnCommitted)
    assert released.time - opened.speech_end == pytest.approx(2.0, abs=0.03)
    (ended,) = of(events, ev.TurnEnded)
    assert ended.heard == "Yes."


def test_what_was_transcribed_in_a_hush_is_not_transcribed_again_in_the_pause(tmp_path: Path) -> None:
    engines = scripted.engines(["All of it.", "Something else."], ["Yes."])
    settings = ("stt.interim=0.6", "costs.stt=0.3", "turns.end=1.0")
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.4))], *settings)
    (words,), (opened,) = of(events, ev.Transcribed), of(events, ev.TurnOpened)
    assert (engines.stt.calls, words.text) == (1, "All of it.")
    assert words.time - opened.speech_end == pytest.approx(0.05 + 0.3, abs=0.03)


def test_the_final_transcript_seldom_waits_for_an_interim_one_that_takes_long(tmp_path: Path) -> None:
    """Speech ends at any moment. One interim after the other, of 0.9 s each: 0.33 s in the mean."""
    waits: dict[float, list[float]] = {0.2: [], 0.9: []}
    for took, found in waits.items():
        for seconds in np.arange(6.0, 7.8, 0.15):
            engines = scripted.engines(["All of it."], ["Yes."])
            settings = ("stt.interim=0.3", f"costs.stt={took}", "turns.end=3.0")
            events, _ = talk(tmp_path, engines, [Line(scripted.loud(float(seconds)))], *settings)
            (words,), (opened,) = of(events, ev.Transcribed), of(events, ev.TurnOpened)
            found.append(words.time - opened.speech_end - 0.05 - took)
    assert np.mean(waits[0.9]) < 0.2
    assert np.mean(waits[0.2]) < 0.1


def test_a_hush_before_more_words_is_no_pause(tmp_path: Path) -> None:
    said = scripted.join(scripted.loud(0.4), scripted.silent(0.08), scripted.loud(0.4))
    engines = scripted.engines(["I", "I want."], ["Yes."])
    events, _ = talk(tmp_path, engines, [Line(said)], "stt.interim=5", "costs.stt=0.1")
    (words,) = of(events, ev.Transcribed)
    assert (engines.stt.calls, words.text) == (2, "I want.")
    assert [partial.text for partial in of(events, ev.InterimTranscript)] == ["I", "I want."]


def test_a_doubtful_guess_is_looked_at_again(tmp_path: Path) -> None:
    engines = scripted.engines([""], ["Yes."])
    guesses = iter([Transcript("Hmm.", doubtful=True), Transcript("I want.")])
    engines.stt.transcribe = lambda audio, *, final=True: next(guesses)
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.4))], "stt.interim=5")
    assert [event.text for event in of(events, ev.Transcribed)] == ["I want."]


def test_talking_over_it_stops_it_and_only_what_was_heard_is_kept(tmp_path: Path) -> None:
    engines = scripted.engines(["Tell me a story.", "Stop, what time is it?"], [STORY, "Noon."])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(1.0), "over", 3.0)]
    events, out = talk(tmp_path, engines, lines)
    first, second = of(events, ev.TurnEnded)
    assert (first.reason, second.reason) == ("interrupted", "finished")
    assert STORY.startswith(first.heard + first.unheard[:1])
    assert len(first.heard) * scripted.SECONDS_PER_CHARACTER == pytest.approx(3.1, abs=0.5)
    assert [m.content for m in engines.llm.asked[-1]][1:] == [
        "Tell me a story.",
        first.heard,
        "Stop, what time is it?",
    ]
    (interrupted,) = of(events, ev.Interrupted)
    _, agent = read_channels(out)
    after = agent.samples[round((interrupted.onset + 0.3) * agent.rate) :]
    answer = next(e.time for e in of(events, ev.AudioStarted) if e.turn == second.turn)
    silent = after[: round((answer - interrupted.onset - 0.32) * agent.rate)]
    assert np.abs(silent).max() < 10 ** (-50 / 20)


@pytest.mark.parametrize(
    ("gap", "seconds", "cut"),
    [(0.35, 0.2, False), (0.7, 0.2, True), (0.35, 1.0, True)],
    ids=["with the voice, twice", "after it has gone on", "on into its silence"],
)
def test_what_begins_and_ends_with_the_voice_is_its_echo(
    tmp_path: Path, gap: float, seconds: float, cut: bool
) -> None:
    """A scrap of it that no word list knows, right after the agent spoke on from another one."""
    heard = scripted.join(scripted.loud(0.2), scripted.silent(gap), scripted.loud(seconds))
    engines = scripted.engines(["Tell me a story.", "", "20."], [STORY, "Yes."])
    lines = [Line(scripted.loud(0.5)), Line(heard, "over", 3.0)]
    events, _ = talk(tmp_path, engines, lines, "turns.pause=0.1")
    assert [e.kind for e in of(events, ev.OverlapTranscribed)] == ["nothing", "words" if cut else "echo"]
    assert of(events, ev.TurnEnded)[0].reason == ("interrupted" if cut else "finished")


@pytest.mark.parametrize(("setting", "seconds"), [(["reply.ahead=4"], 4), ([], 5)])
def test_the_model_is_held_back_by_the_ear(tmp_path: Path, setting: list[str], seconds: float) -> None:
    reply = " ".join(f"This is sentence number {i} of a very long answer." for i in range(60))
    engines = scripted.engines(["Talk.", "Stop."], [reply, "Yes."])
    lines = [Line(scripted.loud(0.5)), Line(scripted.loud(0.5), "over", 5.0)]
    events, _ = talk(tmp_path, engines, lines, *setting)
    ended = of(events, ev.TurnEnded)[0]
    written = len(ended.heard) + len(ended.unheard)
    ahead = (written - len(ended.heard)) * scripted.SECONDS_PER_CHARACTER
    assert ahead < seconds + 2 * 50 * scripted.SECONDS_PER_CHARACTER
    assert written < len(reply) / 3


def test_an_engine_that_fails_ends_its_turn_and_no_more(tmp_path: Path) -> None:
    engines = scripted.engines(["Hello.", "Again."], ["Hello to you, my friend.", "Still here."])
    engines.llm.fail_at = {0: 3}
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.5)), Line(scripted.loud(0.5))])
    (error,) = of(events, ev.Error)
    assert "llm" in error.message
    assert "out of paper" in error.message
    assert [e.reason for e in of(events, ev.TurnEnded)][-1] == "finished"


def test_what_was_said_is_kept_when_the_answer_fails_before_it_sounds(tmp_path: Path) -> None:
    engines = scripted.engines(["My name is Ada.", "Who am I?"], ["Hello to you.", "You are Ada."])
    engines.llm.fail_at = {0: 0}
    lines = [Line(scripted.loud(0.5)), Line(scripted.loud(0.5))]
    events, _ = talk(tmp_path, engines, lines, "turns.end=0.8")
    assert len(of(events, ev.Error)) == 1
    assert [(e.reason, e.heard) for e in of(events, ev.TurnEnded)] == [
        ("error", ""),
        ("finished", "You are Ada."),
    ]
    assert of(events, ev.TurnDiscarded) == []
    first = of(events, ev.TurnCommitted)[0]
    assert first.time - of(events, ev.TurnOpened)[0].speech_end == pytest.approx(0.8, abs=0.03)
    assert [m.content for m in engines.llm.asked[-1]][1:] == ["My name is Ada. Who am I?"]


def test_who_goes_on_after_the_answer_failed_is_asked_once(tmp_path: Path) -> None:
    said = scripted.join(scripted.loud(0.6), scripted.silent(0.25), scripted.loud(0.6))
    engines = scripted.engines(["I want", "I want to go."], ["Hm.", "Where?"])
    engines.llm.fail_at = {0: 0}
    events, _ = talk(tmp_path, engines, [Line(said)])
    assert [e.cause.reason for e in of(events, ev.TurnDiscarded)] == ["went_on"]
    assert [e.reason for e in of(events, ev.TurnEnded)] == ["finished"]
    assert [m.content for m in engines.llm.asked[-1]][1:] == ["I want to go."]


def test_without_a_word_of_the_end_of_turn_model_the_words_decide(tmp_path: Path) -> None:
    class Broken:
        def complete(self, audio: Frame) -> float:
            raise RuntimeError("no idea")

    engines = replace(scripted.engines(["What is that?"], ["It is a bell."]), endpointing=Broken())
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.5))], "turns.meaning=both")
    (error,) = of(events, ev.Error)
    assert (error.where, "no idea" in error.message) == ("endpointing", True)
    assert [e.reason for e in of(events, ev.TurnEnded)] == ["finished"]


def test_noise_without_words_is_no_turn(tmp_path: Path) -> None:
    engines = scripted.engines(["", "Hello."], ["Hi."])
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.5)), Line(scripted.loud(0.5))])
    assert [e.cause.reason for e in of(events, ev.TurnDiscarded)] == ["unintelligible"]
    assert len(of(events, ev.TurnEnded)) == 1


def test_what_is_made_up_for_a_noise_is_answered_only_if_a_voice_said_it(tmp_path: Path) -> None:
    engines = scripted.engines([""], ["Goodbye!", "Take care!"])
    heard = iter(
        [Transcript("Bye.", -2.4, 0.9), Transcript("Hello.", -0.3, 0.1), Transcript("Bye.", -0.6, 0.1)]
    )
    engines.stt.transcribe = lambda audio, *, final=True: next(heard)
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.4)) for _ in range(3)])
    assert [e.cause.reason for e in of(events, ev.TurnDiscarded)] == ["unintelligible"]
    assert [m.content for m in engines.llm.asked[-1]][1:] == ["Hello.", "Goodbye!", "Bye."]


@pytest.mark.parametrize(
    "question",
    ["Shall I? Say so. It is short.", "Let me know.", "Is it A, you or us?", "Say yes or no, or ask us."],
)
@pytest.mark.parametrize("gap", [0.05, 0.2, 0.9, 2.0, 10.0])
def test_what_was_asked_for_is_answered_however_soon_it_comes(
    tmp_path: Path, question: str, gap: float
) -> None:
    answers = ["Yes.", "Right.", "A.", "You.", "Stop.", "Leave it.", "No.", "Seven."]
    texts = [text for answer in answers for text in ("Hello.", answer)]
    engines = scripted.engines(texts, [question, "Good."])
    lines = [Line(scripted.loud(0.3), "after", gap if text in answers else 1.5) for text in texts]
    events, _ = talk(tmp_path, engines, lines)
    assert [(e.cause.reason, e.turn) for e in of(events, ev.TurnDiscarded)] == []
    assert [e.text for e in of(events, ev.TurnCommitted)] == texts


def test_an_answer_may_come_before_the_question_is_over(tmp_path: Path) -> None:
    question = "The keeper went home. Do you want to know how it all ended?"
    for over, cut in ((0.5, False), (3.0, True)):
        engines = scripted.engines(["Tell me a story.", "Yes."], [question, "Well."])
        lines = [Line(scripted.loud(0.5)), Line(scripted.loud(0.3), "over", over)]
        events, _ = talk(tmp_path, engines, lines)
        assert [e.kind for e in of(events, ev.OverlapTranscribed)] == ["words" if cut else "backchannel"]
        assert of(events, ev.TurnEnded)[0].reason == ("interrupted" if cut else "finished")


@pytest.mark.parametrize(
    ("said", "gap", "reason"),
    [
        ("Okay.", 0.3, "backchannel"),
        ("Okay.", 1.1, None),
        ("Hmm.", 0.3, "backchannel"),
        ("Stop.", 0.3, "silence_wanted"),
        ("Stop.", 5.0, "silence_wanted"),
        ("Cancel.", 0.3, "silence_wanted"),
        ("Cancel.", 1.1, None),
    ],
)
def test_after_a_statement_it_is_answered_or_told_why_not(
    tmp_path: Path, said: str, gap: float, reason: Reason | None
) -> None:
    engines = scripted.engines(["Set a timer.", said], ["It is set.", "Well."])
    events, _ = talk(tmp_path, engines, [Line(scripted.loud(0.5)), Line(scripted.loud(0.3), "after", gap)])
    assert [e.cause.reason for e in of(events, ev.TurnDiscarded)] == ([reason] if reason else [])
    assert len(of(events, ev.TurnEnded)) == (1 if reason else 2)


def test_declared_costs_repeat_to_the_byte(tmp_path: Path) -> None:
    def once(name: str) -> tuple[list[ev.Event], bytes]:
        (tmp_path / name).mkdir()
        engines = scripted.engines(["Tell me.", "Stop."], [STORY, "Noon."])
        lines = [Line(scripted.loud(1.0)), Line(scripted.loud(1.0), "over", 3.0)]
        events, out = talk(tmp_path / name, engines, lines)
        return events, out.read_bytes()

    assert once("a") == once("b")


def test_a_thousand_turns_with_random_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No task, thread, stream or sample is lost, and no two replies sound at once."""
    tracks = []
    original = Playback.open
    monkeypatch.setattr(Playback, "open", lambda self: tracks.append(original(self)) or tracks[-1])
    monkeypatch.setattr("agent.testing.SECONDS_PER_CHARACTER", 0.01)
    quick = ["turns.pause=0.06", "turns.end=0.1", "llm.context=1024"]
    chance = random.Random(1)
    lines = [
        Line(scripted.loud(0.2), "over", chance.uniform(0, 0.8))
        if chance.random() < 0.6
        else Line(scripted.loud(0.2), "after", 0.1)
        for _ in range(1000)
    ]
    engines = scripted.engines(["Speak."], [STORY[:120], "Short.", STORY[:60]])
    talk(tmp_path, engines, lines[:50], *quick)
    threads, memory = threading.active_count(), psutil.Process().memory_info().rss
    tracks.clear()
    events, _ = talk(tmp_path, engines, lines, *quick)
    gc.collect()
    kept = len(events) * 500 + sum(track.given for track in tracks) * 24_000 * 4  # by the test itself
    assert psutil.Process().memory_info().rss - memory - kept < 10_000_000
    assert threading.active_count() <= threads  # an idle one of an earlier test may have ended
    ended = of(events, ev.TurnEnded)
    assert len(ended) + len(of(events, ev.TurnDiscarded)) >= 1000
    assert sum(e.reason == "interrupted" for e in ended) > 300
    assert engines.llm.open == engines.tts.open == 0
    received, given_up = Counter(e.turn for e in of(events, ev.Token)), set()
    for event in events:
        if isinstance(event, ev.Interrupted):
            given_up.add(event.turn)
        assert not (isinstance(event, ev.Token) and event.turn in given_up)
    assert sum(engines.llm.pulled[-len(received) :]) - sum(received.values()) <= len(given_up), (
        "one step each"
    )
    for track in tracks:
        assert track.given == pytest.approx(track.heard(float("inf")) + track.discarded)
    spans = sorted((t.started, t.finished) for t in tracks if t.started is not None)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_a_back_channel_pauses_the_reply_and_every_word_is_heard_once(tmp_path: Path) -> None:
    """The recording has the whole reply, with the cut word said again and no other."""
    engines = scripted.engines(["Tell me a story.", "Uh-huh."], [STORY])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.4), "over", 3.0)]
    events, out = talk(tmp_path, engines, lines)
    (ended,) = of(events, ev.TurnEnded)
    assert (ended.reason, ended.heard) == ("finished", STORY)
    (held,), (resumed,) = of(events, ev.AudioPaused), of(events, ev.AudioResumed)
    assert held.at == resumed.at
    _, agent = read_channels(out)
    sounded = np.count_nonzero(np.abs(agent.samples) > 0.04) / agent.rate
    made = sum(event.seconds for event in of(events, ev.Synthesized))
    assert -0.05 <= sounded - made <= 12 * scripted.SECONDS_PER_CHARACTER
    assert [m.role for m in engines.llm.asked[0]] == ["system", "user"]
    assert len(engines.llm.asked) == 1


def test_stop_is_answered_by_silence(tmp_path: Path) -> None:
    engines = scripted.engines(["Tell me a story.", "Stop."], [STORY])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.4), "over", 3.0)]
    events, _ = talk(tmp_path, engines, lines)
    assert [e.reason for e in of(events, ev.TurnEnded)] == ["interrupted"]
    assert len(engines.llm.asked) == 1


def test_words_that_come_late_are_not_all_that_was_said(tmp_path: Path) -> None:
    """ "Wait", understood only after the user had said more, is no order to be silent."""
    texts = ["Tell me a story.", "Wait.", "Wait, how many days are there in a week?"]
    engines = scripted.engines(texts, [STORY, "Seven."])
    said = scripted.join(scripted.loud(0.4), scripted.silent(0.25), scripted.loud(0.8))
    lines = [Line(scripted.loud(1.0)), Line(said, "over", 3.0)]
    events, _ = talk(tmp_path, engines, lines, "costs.stt=1.5")
    assert [e.text for e in of(events, ev.TurnCommitted)] == [texts[0], texts[2]]
    assert of(events, ev.TurnEnded)[-1].heard == "Seven."


def test_go_on_says_the_rest_without_asking_the_model_again(tmp_path: Path) -> None:
    engines = scripted.engines(["Tell me a story.", "Stop.", "Go on."], [STORY])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.4), "over", 3.0), Line(scripted.loud(0.4))]
    events, _ = talk(tmp_path, engines, lines)
    first, second = of(events, ev.TurnEnded)
    assert (first.heard + first.unheard).startswith(first.heard)
    assert second.heard.strip() == first.unheard.strip()
    assert len(engines.llm.asked) == 1


def test_what_did_you_say_repeats_the_sentence(tmp_path: Path) -> None:
    engines = scripted.engines(["Tell me a story.", "What did you say?"], [STORY])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.4), "over", 5.0)]
    events, _ = talk(tmp_path, engines, lines)
    (held,), (resumed,) = of(events, ev.AudioPaused), of(events, ev.AudioResumed)
    assert resumed.at < held.at
    assert STORY.index("He lived") * scripted.SECONDS_PER_CHARACTER == pytest.approx(resumed.at, abs=0.15)
    (ended,) = of(events, ev.TurnEnded)
    assert ended.heard == STORY


def test_noise_over_the_reply_only_ducks_or_holds_it(tmp_path: Path) -> None:
    engines = scripted.engines(["Tell me a story.", ""], [STORY])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.3), "over", 2.0)]
    events, _ = talk(tmp_path, engines, lines)
    (ended,) = of(events, ev.TurnEnded)
    assert ended.heard == STORY


def test_an_interruption_is_answered_with_what_was_heard_in_the_history(tmp_path: Path) -> None:
    """The new turn must not ask the model before the old one has written down what was heard."""
    engines = scripted.engines(["Tell me a story.", "What time is it?"], [STORY, "Noon."])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(0.5), "over", 3.0)]
    talk(tmp_path, engines, lines, "costs.token=0.4")
    roles = [m.role for m in engines.llm.asked[-1]]
    assert roles == ["system", "user", "assistant", "user"]
