"""Which language is spoken: what is short or says nothing switches nothing, a sentence and a wish do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.causes import Kind
from agent.turns.phrases import language
from agent.turns.spoken_language import LONG_ENOUGH, SURE, SpokenLanguage

CODES = st.sampled_from(["en", "es", "fr", "it", "pt", "gl", "cy"])
LIKELY = st.dictionaries(CODES, st.floats(0.001, 1.0), min_size=1)


@pytest.mark.parametrize(
    ("likely", "seconds", "taken"),
    [
        ({"en": 0.9, "es": 0.1}, 3.0, "en"),
        ({"en": 0.1, "es": 0.9}, 3.0, "es"),
        ({"en": 0.1, "es": 0.9}, 0.5, "en"),  # "okay", or "sí": too short to tell
        ({"en": 0.4, "es": 0.6}, 3.0, "en"),  # not sure
        ({"en": 0.05, "es": 0.2, "gl": 0.75}, 3.0, "es"),  # what is not among them counts for nothing
        ({"gl": 0.9, "cy": 0.1}, 3.0, "gl"),  # a transcriber that knows none of them
    ],
)
def test_what_an_utterance_is_taken_in(likely: dict[str, float], seconds: float, taken: str) -> None:
    assert SpokenLanguage(("en", "es", "fr"), "en").choose(likely, seconds) == taken


@given(likely=LIKELY, seconds=st.floats(0.0, 30.0), among=st.lists(CODES, unique=True), first=CODES)
def test_one_that_the_engine_named_is_chosen_and_one_that_may_be_spoken_where_it_can(
    likely: dict[str, float], seconds: float, among: list[str], first: str
) -> None:
    spoken = SpokenLanguage(among, first)
    chosen = spoken.choose(likely, seconds)
    assert chosen in likely
    allowed = [code for code in likely if spoken.allows(code)]
    assert chosen in (allowed or likely)
    if chosen != spoken.heard and spoken.heard in likely:
        total = sum(likely[code] for code in allowed or likely)
        assert likely[chosen] >= likely[spoken.heard]
        assert seconds >= LONG_ENOUGH
        assert likely[chosen] >= SURE * total


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ([("en", "words"), ("es", "words"), ("fr", "words"), ("en", "words")], "en es fr en"),
        ([("es", "backchannel"), ("es", "nothing"), ("es", "stop")], "en en en"),
        ([("es", "words"), ("en", "backchannel"), ("es", "words")], "es es es"),
        ([("es", "words"), ("", "words"), ("en", "words")], "es es en"),  # "": typed
    ],
)
def test_the_answer_is_in_what_was_said(said: list[tuple[str, Kind]], answers: str) -> None:
    spoken, found = SpokenLanguage((), "en"), list[str]()
    for code, kind in said:
        expected = spoken.answering(code, kind)
        spoken.spoke(code, kind)
        assert spoken.answer == expected
        found.append(expected)
    assert " ".join(found) == answers


def test_who_asks_for_another_language_gets_it_until_they_speak_a_third_or_change_back() -> None:
    spoken = SpokenLanguage(("en", "fr", "es"), "en")
    spoken.spoke("en", "words", "fr")
    assert (spoken.heard, spoken.answer) == ("en", "fr")
    assert spoken.choose({"fr": 0.7, "en": 0.3}, 0.4) == "fr"  # "oui": both are expected now
    assert spoken.answering("en", "words") == "fr"
    spoken.spoke("fr", "words")
    assert spoken.answering("en", "words") == "en"
    assert spoken.answering("es", "words") == "es"
    spoken.spoke("fr", "words", "pt")
    assert spoken.answer == "fr"  # not among them


def test_another_set_takes_effect_at_once() -> None:
    spoken = SpokenLanguage((), "en")
    spoken.restrict(("fr",))
    assert (spoken.heard, spoken.answer) == ("fr", "fr")
    assert spoken.choose({"en": 0.99, "fr": 0.01}, 9.0) == "fr"
    spoken.restrict(("en", "fr"))
    assert spoken.answer == "fr"


@pytest.mark.parametrize(
    ("code", "text", "wished"),
    [
        ("en", "Speak French, please.", "fr"),
        ("en", "Okay, could you please speak Spanish with me?", "es"),
        ("en", "In Italian.", "it"),
        ("en", "Let's talk in Portuguese from now on.", "pt"),
        ("en", "How do you say hello in French?", ""),
        ("en", "Do they speak French in Canada?", ""),
        ("en", "I speak French.", ""),
        ("en", "French", ""),
        ("en", "", ""),
        ("es", "Habla en inglés, por favor.", "en"),
        ("es", "¿Puedes hablar francés?", "fr"),
        ("es", "¿Cómo se dice perro en inglés?", ""),
        ("fr", "Parle anglais, s'il te plaît.", "en"),
        ("fr", "Est-ce que tu peux parler espagnol ?", "es"),
        ("fr", "On parle français au Québec.", ""),
        ("it", "Parliamo in inglese.", "en"),
        ("it", "Puoi parlare portoghese, per favore?", "pt"),
        ("it", "In Italia si parla italiano.", ""),
        ("pt", "Fale em inglês, por favor.", "en"),
        ("pt", "Vamos falar espanhol.", "es"),
        ("pt", "Como se diz gato em francês?", ""),
    ],
)
def test_a_wish_for_a_language_is_known_from_talk_about_one(code: str, text: str, wished: str) -> None:
    assert language(code).wished(text) == wished
