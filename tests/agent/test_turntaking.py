"""Turn-taking: when an answer is prepared, released, dropped, and when the agent yields."""

from __future__ import annotations

import pytest

from agent.config import TurnsConfig
from agent.turntaking import Action, TurnTaking


def names(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


@pytest.fixture
def taking() -> TurnTaking:
    return TurnTaking(TurnsConfig(pause=0.2, end=0.5))


def test_an_answer_is_prepared_at_the_pause_and_released_at_the_end(taking: TurnTaking) -> None:
    assert names(taking.onset() + taking.speech_started(0.0) + taking.tick(0.9)) == []
    assert names(taking.paused(1.0)) == ["Prepare"]
    assert names(taking.tick(1.49)) == []
    assert names(taking.tick(1.5)) == ["Release"]
    assert names(taking.tick(1.6)) == []


def test_who_goes_on_has_the_answer_dropped(taking: TurnTaking) -> None:
    taking.paused(1.0)
    assert names(taking.resumed()) == ["Drop"]
    assert names(taking.tick(9.0)) == []
    assert names(taking.paused(2.0)) == ["Prepare"]


def test_no_answer_sounds_while_it_is_in_doubt_whether_the_person_goes_on(taking: TurnTaking) -> None:
    taking.paused(1.0)
    taking.onset()
    assert names(taking.tick(1.6)) == []
    taking.no_speech()
    assert names(taking.tick(1.62)) == ["Release"]


def test_it_yields_to_speech_and_not_to_a_noise(taking: TurnTaking) -> None:
    taking.paused(1.0)
    taking.tick(1.5)
    assert names(taking.onset() + taking.no_speech()) == []
    assert names(taking.onset() + taking.speech_started(3.0)) == ["Yield"]
    assert names(taking.speech_started(3.1)) == []


def test_after_the_reply_the_next_turn_is_no_interruption(taking: TurnTaking) -> None:
    taking.paused(1.0)
    taking.tick(1.5)
    taking.reply_over()
    assert names(taking.onset() + taking.speech_started(3.0)) == []
