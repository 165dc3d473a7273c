"""Interim transcripts: what is stable stays, whatever is understood next; what is understood is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.conversation.interim import InterimTranscript

TEXTS = st.lists(st.lists(st.sampled_from(["a", "A,", "b", "b.", "see", "Seen?"]), max_size=6).map(" ".join))


@given(TEXTS)
def test_a_stable_word_stays(texts: list[str]) -> None:
    interim, before = InterimTranscript(), ""
    for text in texts:
        shown, stable = interim.show(text)
        assert shown.startswith(before)
        assert stable >= len(before)
        assert shown[stable : stable + 1] in ("", " ") or stable == 0
        before = shown[:stable]


@given(TEXTS)
def test_what_the_newest_transcript_says_after_the_stable_words_is_shown(texts: list[str]) -> None:
    interim = InterimTranscript()
    for text in texts:
        shown, stable = interim.show(text)
        kept = len(shown[:stable].split())
        assert shown[stable:].split() == text.split()[kept:]


def test_two_transcripts_make_a_word_stable_and_the_last_one_never_is() -> None:
    interim = InterimTranscript()
    assert interim.show("What is the cap.") == ("What is the cap.", 0)
    assert interim.show("What is the capital of") == ("What is the capital of", len("What is the"))
    assert interim.show("Watch is") == ("What is the", len("What is the"))
    interim.begin()
    assert interim.show("Yes.") == ("Yes.", 0)


def test_in_a_script_without_blanks_a_letter_becomes_stable() -> None:
    interim = InterimTranscript()
    assert interim.show("现在几。") == ("现在几。", 0)
    assert interim.show("现在几点了") == ("现在几点了", 2)
    assert interim.show("现在几点了？iPhone 很") == ("现在几点了？iPhone 很", 4)
    assert interim.show("现再几点了") == ("现在几点了", 4)
