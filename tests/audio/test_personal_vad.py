"""Evidence of speech, less that of strangers: pure, with whose voice it is told by the test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.frame import HEARING_RATE, Frame, silence
from audio.personal_vad import EVERY, FORGET, HEARD, MEMORY, SYLLABLE, WINDOW, PersonalVAD
from audio.speaker import DVector
from audio.vad import Evidence

STEP = 0.02
BOUNDS = DVector.bounds


def frame(number: int) -> Frame:
    return Frame(silence(STEP, HEARING_RATE), HEARING_RATE, number * STEP)


def evidence(number: int, speech: bool) -> list[Evidence]:
    end = (number + 1) * STEP
    return [Evidence(end, STEP, confirmed=sure, probability=float(speech)) for sure in (False, True)]


def speaks(vad: PersonalVAD, voices: str) -> list[float]:
    """What is heard of each step: `o` the owner, `s` a stranger, `-` nobody; the answer comes at once."""
    heard: list[float] = []
    for number, voice in enumerate(voices):
        given = evidence(number, voice != "-")
        heard.append(max(e.probability for e in vad.hears(frame(number), given)))
        if (asked := vad.unsure()) is not None:
            newest = voices[max(0, number - round(EVERY / STEP) + 1) : number + 1]
            count = {whose: newest.count(whose) for whose in "os"}
            vad.told(asked, "known" if count["o"] > count["s"] else "stranger")
    return heard


def test_a_stranger_is_heard_only_until_it_is_known_that_it_is_one():
    heard = speaks(PersonalVAD(BOUNDS), "-" * 50 + "s" * 400)
    until = 50 + round(EVERY / STEP)
    assert heard[50:until] == [1.0] * (until - 50)
    assert set(heard[until:]) == {0.0}


def test_a_stranger_who_pauses_is_still_one_and_not_after_a_while():
    short, long = round(FORGET / STEP) - 5, round(FORGET / STEP) + 5
    heard = speaks(PersonalVAD(BOUNDS), "s" * 50 + "-" * short + "s" * 50 + "-" * long + "s" * 10)
    assert set(heard[50 + short : 100 + short]) == {0.0}
    assert heard[-10:] == [1.0] * 10


def test_the_owner_is_heard_from_where_they_began_amid_a_stranger():
    vad = PersonalVAD(BOUNDS)
    speaks(vad, "s" * 200)
    assert vad.whose == "stranger"
    vad.told(frame(150), "known")
    first, *rest = vad.hears(frame(200), evidence(200, True))
    assert (first.confirmed, first.probability) == (True, 1.0)
    assert first.time - first.length == frame(150).time
    assert rest == evidence(200, True)
    assert list(vad.hears(frame(201), evidence(201, True))) == evidence(201, True)


@given(st.text("os-", max_size=600))
def test_nothing_is_made_up_and_the_owner_alone_is_always_heard(voices: str):
    heard = speaks(PersonalVAD(BOUNDS), voices)
    alone = "s" not in voices
    for number, (voice, probability) in enumerate(zip(voices, heard, strict=True)):
        if voice == "o" and alone:
            assert probability == 1.0
        if probability == 1.0 and voice == "-":
            assert "s" in voices[: number + 1]  # only what was held back from the owner comes late
    assert WINDOW > EVERY


def loud(number: int, dbfs: float) -> Frame:
    """A frame of noise that is as loud as that."""
    noise = np.random.default_rng(number).standard_normal(round(STEP * HEARING_RATE))
    return Frame((noise * 10 ** (dbfs / 20)).astype(np.float32), HEARING_RATE, number * STEP)


def amid(vad: PersonalVAD, levels: list[float], begin: int = 0, alike: float = 0.3) -> list[float]:
    """What is heard of each step amid a stranger who talks on; whoever is asked says that it is one."""
    heard: list[float] = []
    for number, level in enumerate(levels, begin):
        heard.append(max(e.probability for e in vad.hears(loud(number, level), evidence(number, True))))
        if (asked := vad.unsure()) is not None:
            vad.told(asked, "stranger", alike)
    return heard


def test_who_is_louder_than_a_stranger_is_heard_in_a_moment_and_for_a_moment():
    vad = PersonalVAD(BOUNDS)
    before = amid(vad, [-30.0] * 200)
    assert before[-1] == 0.0
    heard = amid(vad, [-26.0] * 200, 200)
    began = heard.index(1.0) * STEP
    assert began <= SYLLABLE
    assert heard[round((began + HEARD - 0.1) / STEP)] == 1.0
    assert set(heard[round((began + HEARD + 2 * EVERY) / STEP) :]) == {0.0}, (
        "it was the stranger, who got louder"
    )
    assert set(amid(vad, [-26.0] * 200, 400)) == {0.0}


@settings(max_examples=15)
@given(st.lists(st.floats(-2.0, 0.0), min_size=200, max_size=200))
def test_a_stranger_who_gets_no_louder_is_not_heard(levels: list[float]):
    vad = PersonalVAD(BOUNDS)
    heard = amid(vad, [-30.0 + level for level in levels])
    assert set(heard[round(2 * EVERY / STEP) :]) == {0.0}


@pytest.mark.parametrize(
    ("alike", "heard"),
    [(0.38, False), (0.43, False), (BOUNDS.least - 0.01, False), (BOUNDS.least + 0.01, True), (0.6, True)],
)
def test_what_is_more_alike_than_any_stranger_was_may_be_who_is_known(alike: float, heard: bool):
    vad = PersonalVAD(BOUNDS)
    amid(vad, [-30.0] * 200, alike=0.34)
    told = vad.told(frame(199), "stranger", alike)
    assert (told, vad.whose) == (("doubt", "doubt") if heard else ("stranger", "stranger"))
    first = vad.hears(frame(200), evidence(200, True))[0]
    assert first.probability == float(heard)
    if heard:
        assert first.time - first.length == frame(199).time
        assert vad.told(frame(230), "stranger", 0.34) == "stranger"
        assert vad.whose == "stranger"


def test_what_is_as_alike_as_a_stranger_was_is_none_the_more_for_being_in_doubt():
    vad = PersonalVAD(BOUNDS)
    amid(vad, [-30.0] * 200, alike=0.5)
    assert vad.told(frame(199), "doubt", 0.58) == "doubt"
    assert vad.whose == "stranger"


def test_how_alike_strangers_were_is_forgotten_after_a_while():
    vad = PersonalVAD(BOUNDS)
    amid(vad, [-30.0] * 200, alike=0.5)
    later = Frame(silence(STEP, HEARING_RATE), HEARING_RATE, 4.0 + MEMORY)
    assert vad.told(later, "stranger", 0.9) == "stranger", "there is nobody any more to be compared with"
