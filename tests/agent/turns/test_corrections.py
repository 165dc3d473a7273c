"""What users take back gives way to what they say instead, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import testing
from agent.config import load
from agent.tools.tool import tool
from agent.turns.corrections import LONGEST, corrected
from agent.turns.phrases import language

EN = language("en")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Book a table for four. No, for six.", "Book a table for six."),
        ("Is there a bus to Bath? No, to Wells.", "Is there a bus to Wells?"),
        ("What is six plus six, no, six plus seven?", "What is six plus seven?"),
        ("Wait 20, I mean 30 seconds.", "Wait 30 seconds."),
        ("Wake me at six tomorrow, no, seven.", "Wake me at seven tomorrow."),
        ("Tell Sam that I am late, sorry, Tim.", "Tell Tim that I am late."),
        ("Give it fifteen minutes. Actually, make it eighteen.", "Give it eighteen minutes."),
        ("Ask Ben, no wait, ask Tom, no, ask Kim.", "ask Kim."),
        ("Drive to the station, or rather, to the harbour, please.", "Drive to the harbour, please."),
        ("Turn it up. No. Turn it down.", "Turn it down."),
    ],
)
def test_what_is_taken_back_gives_way(said: str, meant: str) -> None:
    assert corrected(said, EN) == meant


@pytest.mark.parametrize(
    "said",
    [
        "",
        "No.",
        "No, ten minutes.",
        "There is no milk and no bread.",
        "I have no idea, sorry.",
        "Was it late? No, it was early.",  # a sentence of its own, and nothing taken back
        "Do you want tea? No, I want coffee.",
        "Sorry, what did you say?",
        "Wait, go on.",
        "Tell me a story, no, sing.",  # nothing corresponds
        "I have no time, no money.",
        "one, no, two " + "word " * LONGEST,
    ],
)
def test_what_takes_nothing_back_stays_as_it_was_said(said: str) -> None:
    assert corrected(said, EN) == said


NUMBERS = st.one_of(st.integers(1, 99).map(str), st.sampled_from(["two", "seven", "twenty", "ninety"]))
NAMES = st.sampled_from(["Ann", "Rome", "Berlin", "Zoe"])
SENTENCES = [
    ("Set a timer for {} minutes", "{} minutes"),
    ("Set a timer for {} minutes", "for {} minutes"),
    ("Set a timer for {}", "{}"),
    ("Put {} eggs on the list", "{}"),
    ("Remind {} of the rent", "{}"),
    ("What time is it in {}", "in {}"),
]


@given(
    st.sampled_from(SENTENCES),
    st.one_of(st.tuples(NUMBERS, NUMBERS), st.tuples(NAMES, NAMES)),
    st.sampled_from([", no, ", ". No, ", ", sorry, ", ", I mean, ", " I mean ", ", no wait, ", " - no, "]),
)
def test_another_number_or_name_takes_the_place_of_the_first(
    sentence: tuple[str, str], values: tuple[str, str], between: str
) -> None:
    whole, part = sentence
    first, second = values
    said = f"{whole.format(first)}{between}{part.format(second)}."
    assert corrected(said, EN) == f"{whole.format(second)}."


@given(st.text(st.sampled_from("abc ABC,.?19"), max_size=60))
def test_without_a_word_that_announces_one_nothing_is_a_correction(said: str) -> None:
    assert corrected(said, EN) == said


@pytest.mark.parametrize(
    ("code", "said", "meant"),
    [
        ("de", "Stell einen Timer auf fünf, nein, zehn Minuten.", "Stell einen Timer auf zehn Minuten."),
        ("fr", "Mets un minuteur de cinq minutes, pardon, dix minutes.", "Mets un minuteur de dix minutes."),
        ("es", "Pon un temporizador de cinco minutos. No, de diez.", "Pon un temporizador de diez minutos."),
        ("it", "Che ore sono a Roma, anzi, a Milano?", "Che ore sono a Milano?"),
        ("pt", "Que horas são em Lisboa? Não, em Faro.", "Que horas são em Faro?"),
        ("ja", "5分、いや、10分。", "5分、いや、10分。"),
    ],
)
def test_other_languages_have_words_of_their_own(code: str, said: str, meant: str) -> None:
    assert corrected(said, language(code)) == meant


@tool(effect="changes")
def boil(minutes: int) -> str:
    """Boil an egg."""
    return f"{minutes} minutes."


@pytest.mark.parametrize("tools", [(), (boil,)])
def test_a_model_with_tools_is_asked_what_is_meant_and_the_history_has_what_was_said(tools: tuple) -> None:
    said = "Boil it for four minutes, no, six."
    llm = testing.ScriptedLLM(["Fine."])

    async def talk() -> list[str]:
        config = load(None, ["turns.meaning=off"])
        async with testing.session([said], [], config, tools=tools, llm=llm) as session:
            await session.push_audio(*testing.loud(1.0))
            await session.push_audio(*testing.quiet(3.0))
            session.close()
            return [m.content async for _ in session.events() for m in session.history[-2:-1]][-1:]

    assert testing.run(talk) == [said]
    assert llm.asked[-1][-1].content == ("Boil it for six minutes." if tools else said)
