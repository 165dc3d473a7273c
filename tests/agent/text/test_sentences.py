"""One sentence rule wherever sentences are looked at: said again, asked with, remembered as the last."""

from __future__ import annotations

import itertools

import anyio
import numpy as np
import pytest
from golden_rules import GOLDEN_RULES
from hypothesis import given
from hypothesis import strategies as st

from agent.conversation.history import History
from agent.conversation.reply import Reply
from agent.text.chunker import TextChunk
from agent.text.sentences import sentences
from agent.turns.elicitation import elicitation
from agent.turns.phrases import language
from audio.frame import silence
from audio.playback import Playback
from audio.tts import Speech, Word

EN = language("en")
FIRST = [
    "I know Dr. Smith in Paris.",
    "It costs 3.50 at No. 5.",
    "We met Mr. J. R. Brown at 5 p.m. today.",
    "Go!",
]
"""Each is one sentence, with stops inside."""


def texts(text: str) -> list[str]:
    return [each.text for each in sentences(text)]


def test_golden_rules_by_the_whole_text() -> None:
    assert [texts(text) for text, _ in GOLDEN_RULES] == [right for _, right in GOLDEN_RULES]


@given(st.text(alphabet="ab .!?\n\"'()“”。Dr`$5", max_size=60))
def test_all_that_is_between_sentences_is_white_space(text: str) -> None:
    found = sentences(text)
    assert all(text[each.start : each.end] == each.text == each.text.strip() for each in found)
    edges = [0, *itertools.chain.from_iterable((each.start, each.end) for each in found), len(text)]
    between = (text[edges[at] : edges[at + 1]] for at in range(0, len(edges), 2))
    assert not "".join(between).strip()


def said_to(text: str, word: int) -> Reply:
    """A reply of one second a word, of which so many words and a half have sounded, held there."""
    playback = Playback(rate=100, fade=0.01)
    turn = Reply(1, None, 0.0, playback)
    turn.text = text
    spans = [(m[0], m[1]) for m in _spans(text)]
    track = turn.begin()
    words = tuple(Word(start, end, float(at), at + 1.0) for at, (start, end) in enumerate(spans))
    speech = Speech(silence(len(spans), 100), 100, 0, len(text), words)
    turn.say(speech, TextChunk(text, 0, len(text), True), spans)
    playback.play(track, np.ones(len(spans) * 100, np.float32), 100)
    playback.read(round((word + 0.5) * 100), 0.0)
    turn.pause()
    return turn


def _spans(text: str) -> list[tuple[int, int]]:
    at, found = 0, []
    for word in text.split():
        at = text.index(word, at)
        found.append((at, at + len(word)))
        at += len(word)
    return found


@pytest.mark.parametrize("before", ["", "Hello there. ", "Ask “Why?” then. Oh no! "])
@pytest.mark.parametrize("sentence", FIRST)
def test_what_did_you_say_begins_where_the_sentence_does(before: str, sentence: str) -> None:
    text = f"{before}{sentence} Then he went home."
    first = len(before.split())

    async def main() -> None:
        for word in range(first + 1, first + len(sentence.split())):
            assert said_to(text, word).resume_point(again=True) == first, word

    anyio.run(main)


def test_what_did_you_say_after_the_reply_gives_the_same_sentence() -> None:
    history = History("")
    history.user("Who is it?")
    history.agent("Hello there. I know Dr. Smith in Paris.", "")
    assert history.last_sentence == "I know Dr. Smith in Paris."


@pytest.mark.parametrize("phase", ["just_silent", "silent"])
def test_a_question_with_a_stop_inside_is_one_question(phase) -> None:
    asked = elicitation("It is late. Shall I call Dr. Smith or Mr. Brown in the morning?", EN, phase)
    assert asked.asking == "yes_no"
    assert asked.kind("Dr. Smith.", EN) == "words"
    assert asked.answered("call Dr Smith", EN)


def test_a_question_that_is_being_said_does_not_end_at_a_stop_inside() -> None:
    asked = elicitation("It is late. Shall I call Dr.", EN, "speaking", " Smith in the morning?")
    assert asked.asking == "yes_no"
    assert "morning" in asked.mentioned
    early = elicitation(
        "It is late. Shall I ask Dr.", EN, "speaking", " Smith whom you met in May to come here?"
    )
    assert early.asking == "nothing"
