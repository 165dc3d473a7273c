"""What words over a reply are: sounds that were transcribed as words are no words."""

from __future__ import annotations

import pytest

from agent.conversation.recognition import Recognition
from agent.runner import Runner
from agent.settings import Config
from audio.stt import Transcript
from scripted import engines


@pytest.fixture
def recognition() -> Recognition:
    return Recognition(engines([""], [""]), Config(), Runner(), lambda _: None)


@pytest.mark.parametrize(
    ("text", "confidence", "kind"),
    [
        ("Taehis", -2.0, "nothing"),
        ("Heh, what a...", -1.4, "nothing"),
        ("Why?", -0.5, "words"),
        ("Turn it off.", -0.4, "words"),
        ("Stop.", -1.5, "stop"),
        ("Uh huh.", -1.5, "backchannel"),
        ("I would rather hear a joke.", -1.2, "words"),
    ],
)
def test_a_few_words_of_low_confidence_are_a_sound(
    recognition: Recognition, text: str, confidence: float, kind: str
):
    asked = recognition.asked("Once upon a time", "speaking", " there was a lighthouse.")
    assert recognition.overlap(Transcript(text, confidence), asked, (0.0, 0.5)) == kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Transcript("A", -1.87, 0.47), "words"),  # as Whisper tiny.en hears it from three voices
        (Transcript("I", -1.84, 0.14), "words"),
        (Transcript("You.", -0.98, 0.12), "words"),
        (Transcript("Bye.", -0.64, 0.08), "words"),
        (Transcript("Thanks for watching.", -0.1, 0.03), "words"),
        (Transcript("You", -2.45, 0.91), "nothing"),  # and a slammed door
        (Transcript("Thanks for watching!", -0.4, 0.9), "nothing"),
        (Transcript("Bye.", -2.3, 0.3), "nothing"),
    ],
)
def test_what_is_made_up_for_noises_is_told_by_the_sound_from_what_a_voice_said(
    recognition: Recognition, said: Transcript, kind: str
):
    for heard in ("", "Which one, A or B?", "Goodbye!", "The lamp went out."):
        asked = recognition.asked(heard, "just_silent")
        assert recognition.kind(said, asked, (0.0, 0.5)) == kind


def test_over_a_reply_only_what_answers_it_is_more_than_a_noise(recognition: Recognition):
    story = recognition.asked("Once upon a time", "speaking", " there was a lighthouse.")
    choice = recognition.asked("Which one do you want, A or", "speaking", " B?")
    for said, kind in ((Transcript("A.", -1.9, 0.3), "words"), (Transcript("The.", -0.8, 0.2), "nothing")):
        assert recognition.overlap(said, choice, (0.0, 0.5)) == kind
        assert recognition.overlap(said, story, (0.0, 0.5)) == "nothing"
