"""What a Realtime client chooses of turn-taking is in force, in every order: on the virtual clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from virtual_client import STATEMENT, Client, held

from agent import events as ev
from agent.errors import RequestError
from agent.server.fields import refusal
from agent.server.realtime.session_config import EAGERNESS, Update
from agent.settings import SILENCES, TurnsConfig
from agent.turns.endpointing import Delays

QUESTION = "What is the capital of France?"
GRID = [200, 300, 500, 800, 1200, 1800, 2000, 2500, 4000, 7000, 10_000]


def vad(milliseconds: int, **more: object) -> dict:
    return {"type": "server_vad", "silence_duration_ms": milliseconds, **more}


def test_a_silence_is_as_long_as_was_chosen() -> None:
    async def main(talk: Client) -> None:
        for milliseconds in GRID:
            talk.choose(vad(milliseconds))
            waited = await talk.waited(milliseconds / 1000 + 1.0)
            assert waited == pytest.approx(milliseconds / 1000, abs=0.025), milliseconds

    held(main)


@settings(max_examples=6, deadline=None)
@given(order=st.lists(st.sampled_from([None, *GRID, *EAGERNESS]), min_size=2, max_size=6))
def test_and_in_every_order_of_updates(order: list[int | str | None]) -> None:
    """Also after push-to-talk; the words ask for 0.85 s by themselves."""

    async def main(talk: Client) -> None:
        for choice in order:
            if choice is None:
                talk.choose(None)
                continue
            semantic = isinstance(choice, str)
            talk.choose({"type": "semantic_vad", "eagerness": choice} if semantic else vad(choice))
            expected = 0.85 * EAGERNESS[choice] if semantic else choice / 1000
            assert await talk.waited(expected + 1.0) == pytest.approx(expected, abs=0.025), (choice, order)

    held(main)


@pytest.mark.parametrize("said", [STATEMENT, QUESTION, "I would like to", "Because it rained.", "Paris"])
def test_eagerness_makes_a_difference_to_whatever_was_said(said: str) -> None:
    found: dict[str, float] = {}

    async def main(talk: Client) -> None:
        for eagerness in EAGERNESS:
            talk.choose({"type": "semantic_vad", "eagerness": eagerness})
            found[eagerness] = await talk.waited(4.0)

    held(main, said=said)
    assert found["high"] < found["medium"] == found["auto"] < found["low"]


@given(factor=st.floats(0.05, 20.0))
def test_the_order_of_the_waits_holds_for_every_factor(factor: float) -> None:
    turns = TurnsConfig().paced(factor)
    waits = [getattr(turns, name) for name in (*Delays.__dataclass_fields__, "longest")]
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    for name in SILENCES:
        assert getattr(turns, name) == pytest.approx(factor * getattr(TurnsConfig(), name))


LENGTHS = st.lists(st.floats(0.05, 5.0), min_size=5, max_size=5)


@given(lengths=LENGTHS, factor=st.sampled_from(sorted(set(EAGERNESS.values()))))
def test_the_order_of_the_waits_holds_for_every_setting_and_eagerness(lengths: list[float], factor: float):
    names = list(Delays.__dataclass_fields__)
    turns = TurnsConfig(**dict(zip(names, lengths, strict=True))).paced(factor)
    waits = Delays(**{name: getattr(turns, name) for name in names})
    found = [getattr(waits, name) for name in names]
    assert found == sorted(found)
    assert all(mine >= getattr(turns, name) for name, mine in zip(names, found, strict=True))
    assert found[-1] == max(getattr(turns, name) for name in names)


def test_who_raises_one_wait_raises_those_that_it_passes() -> None:
    async def main(talk: Client) -> None:
        talk.choose({"type": "semantic_vad", "eagerness": "high"})
        assert await talk.waited(4.0) == pytest.approx(0.6 * 1.5, abs=0.025)

    held(main, "turns.unsure=1.5", said="I would have")


def test_a_timer_longer_than_the_longest_wait_is_kept_by_every_policy() -> None:
    async def main(talk: Client) -> None:
        assert await talk.waited(4.0) == pytest.approx(3.0, abs=0.025)

    held(main, "turns.meaning=off", "turns.end=3.0")
    held(main, "turns.policy=vad", "turns.end=3.0")


def test_whoever_is_being_heard_when_push_to_talk_begins_is_not_answered() -> None:
    async def main(talk: Client) -> None:
        for said in (0.04, 0.5, 1.0):  # an onset; speech; and after it a pause, when an answer is prepared
            talk.choose(vad(1000))
            await talk.hear(said, 1.0)
            await talk.hear(0.5 if said == 1.0 else 0.0)
            talk.choose(None)
            talk.events.clear()
            await talk.hear(5.0)
            assert not [e for e in talk.events if isinstance(e, ev.TurnCommitted)]
            talk.choose(vad(400))
            assert await talk.waited(3.0) == pytest.approx(0.4, abs=0.025)

    held(main)


@pytest.mark.parametrize("listens", [True, False])
def test_interrupt_response(listens: bool) -> None:
    async def main(talk: Client) -> None:
        for allowed in (not listens, listens):
            talk.choose(vad(300, interrupt_response=allowed))
            talk.events.clear()
            await talk.hear(1.0, 1.0)
            await talk.hear(1.0)
            await talk.hear(1.0, 1.0)
            await talk.hear(8.0)
            reasons = [e.reason for e in talk.events if isinstance(e, ev.TurnEnded)]
            assert reasons == (["interrupted", "finished"] if allowed else ["finished"] * 2), allowed

    held(main, said="What time is it now?", reply="Once upon a time there was a lighthouse keeper on a rock.")


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.6, 0.9])
def test_threshold(threshold: float) -> None:
    async def main(talk: Client) -> None:
        talk.choose(vad(300, threshold=threshold))
        for level in (0.1, 0.3, 0.55, 0.7, 0.95):
            talk.events.clear()
            await talk.hear(1.0, level)
            await talk.hear(3.0)
            heard = any(isinstance(e, ev.TurnCommitted) for e in talk.events)
            assert heard == (level >= threshold), level

    held(main)


@pytest.mark.parametrize("milliseconds", [0, 100, 300, 1000, 5000])
def test_prefix_padding(milliseconds: int) -> None:
    async def main(talk: Client) -> None:
        talk.choose(vad(300, prefix_padding_ms=milliseconds))
        await talk.hear(6.0)
        await talk.waited(2.0)

    stt = held(main)
    assert stt.seconds == pytest.approx(milliseconds / 1000 + 1.0 + 0.1, abs=0.05)


@pytest.mark.parametrize(
    ("detection", "field"),
    [
        (vad(49), "silence_duration_ms"),
        (vad(10_001), "silence_duration_ms"),
        (vad(500, threshold=1.0), "threshold"),
        (vad(500, prefix_padding_ms=-1), "prefix_padding_ms"),
        (vad(500, idle_timeout_ms=99), "idle_timeout_ms"),
        (vad(500, create_response=3), "create_response"),
        (vad(500, eagerness="low"), "eagerness"),
        ({"type": "semantic_vad", "silence_duration_ms": 500}, "silence_duration_ms"),
        ({"type": "semantic_vad", "threshold": 0.5}, "threshold"),
        ({"type": "semantic_vad", "idle_timeout_ms": 5000}, "idle_timeout_ms"),
        ({"type": "other"}, "turn_detection"),
    ],
)
def test_what_cannot_be_in_force_is_refused_by_name(detection: dict, field: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Update.model_validate({"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    error = refusal(wrong.value, Update)
    assert isinstance(error, RequestError)
    assert error.param.split(".")[-1] == field
