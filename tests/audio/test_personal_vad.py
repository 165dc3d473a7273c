"""Evidence of speech, less that of strangers: pure, with whose voice it is told by the test."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audio.frame import HEARING_RATE, Frame, silence
from audio.personal_vad import EVERY, FORGET, WINDOW, PersonalVAD
from audio.vad import Evidence

STEP = 0.02


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
    heard = speaks(PersonalVAD(), "-" * 50 + "s" * 400)
    until = 50 + round(EVERY / STEP)
    assert heard[50:until] == [1.0] * (until - 50)
    assert set(heard[until:]) == {0.0}


def test_a_stranger_who_pauses_is_still_one_and_not_after_a_while():
    short, long = round(FORGET / STEP) - 5, round(FORGET / STEP) + 5
    heard = speaks(PersonalVAD(), "s" * 50 + "-" * short + "s" * 50 + "-" * long + "s" * 10)
    assert set(heard[50 + short : 100 + short]) == {0.0}
    assert heard[-10:] == [1.0] * 10


def test_the_owner_is_heard_from_where_they_began_amid_a_stranger():
    vad = PersonalVAD()
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
    heard = speaks(PersonalVAD(), voices)
    alone = "s" not in voices
    for number, (voice, probability) in enumerate(zip(voices, heard, strict=True)):
        if voice == "o" and alone:
            assert probability == 1.0
        if probability == 1.0 and voice == "-":
            assert "s" in voices[: number + 1]  # only what was held back from the owner comes late
    assert WINDOW > EVERY
