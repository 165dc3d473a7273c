"""What words over a reply are: sounds that were transcribed as words are no words."""

from __future__ import annotations

import pytest

from agent.bridge import Bridge
from agent.settings import Config
from agent.understanding import Understanding
from audio.stt import Transcript
from scripted import engines, silent


@pytest.fixture
def understanding() -> Understanding:
    return Understanding(engines([""], [""]), Config(), Bridge(), lambda _: None)


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
    understanding: Understanding, text: str, confidence: float, kind: str
):
    assert understanding.aside(Transcript(text, confidence), "Once upon a time", silent(0.5)) == kind
