"""What a Realtime client chooses of turn-taking is in force, in every order: on the virtual clock."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import numpy as np
import pytest
import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.session import Session
from agent.errors import RequestError
from agent.server.fields import refusal
from agent.server.realtime.session_config import EAGERNESS, RealtimeConfig, Update
from agent.settings import SILENCES, Config, TurnsConfig
from agent.simulation.virtual import VirtualRunner, run_virtual
from agent.turns.endpointing import Delays
from audio.frame import HEARING_RATE, Frame
from audio.playback import Playback
from audio.stt import Transcript
from audio.vad import Evidence

FREE = [f"costs.{name}=0" for name in ("stt", "endpointing", "first_token", "token", "speech", "vision")]
"""Work takes no time, so that what is measured is what was waited."""
SET = ["costs.mode=declared", "stt.partials=0", *FREE]
BLOCK = 320
STATEMENT, QUESTION = "I have been to the market with my brother.", "What is the capital of France?"
GRID = [200, 300, 500, 800, 1200, 1800, 2000, 2500, 4000, 7000, 10_000]


class GradedDetector:
    """As the loudness detector, and the sure one is as sure as it is loud."""

    def feed(self, frame: Frame) -> list[Evidence]:
        found = []
        for start in range(0, len(frame.samples), 160):
            loud = float(np.abs(frame.samples[start : start + 160]).max())
            end = frame.time + (start + 160) / HEARING_RATE
            found.append(Evidence(end, 0.01, False, float(loud > 0), level=-10.0 if loud else -90.0))
            found.append(Evidence(end, 0.01, sure=True, probability=loud))
        return found


@dataclass
class KeepingSTT(scripted.ScriptedSTT):
    """Notes how long the audio was."""

    seconds: float = 0.0

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.seconds = audio.duration
        return super().transcribe(audio, final=final)


class Client:
    """A client's choices and its session, without a wire; `say` is a user who speaks."""

    def __init__(self, session: Session, runner: VirtualRunner, choices: RealtimeConfig) -> None:
        self.session, self.runner, self.choices = session, runner, choices
        self.events: list[ev.Event] = []
        self._at = 0.0

    def choose(self, detection: dict | None) -> None:
        asked = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        self.choices.update(Update.model_validate(asked), settled=True)
        config = self.choices.config()
        self.session.tune(config.turns, config.vad)
        if self.choices.detection is None:
            self.session.deafen()

    async def hear(self, seconds: float, level: float = 0.0) -> None:
        for _ in range(round(seconds * HEARING_RATE / BLOCK)):
            await self.runner.sleep_until(self._at + BLOCK / HEARING_RATE)
            await self.microphone.send(Frame(np.full(BLOCK, level, np.float32), HEARING_RATE, self._at))
            self._at += BLOCK / HEARING_RATE
            await anyio.lowlevel.checkpoint()

    async def waited(self, silence: float) -> float | None:
        """Say something for a second; the silence after it until its answer sounds, None without one."""
        self.events.clear()
        await self.hear(1.0, 1.0)
        await self.hear(silence)
        released = [e for e in self.events if isinstance(e, ev.TurnReleased)]
        if not released:
            return None
        end = next(e.speech_end for e in self.events if isinstance(e, ev.TurnOpened))
        return released[0].time - end

    async def run(self, main) -> None:
        self.microphone, frames = anyio.create_memory_object_stream[Frame](0)
        async with self.microphone, frames, anyio.create_task_group() as tasks:
            tasks.start_soon(self._speaker)
            tasks.start_soon(self.session.run, frames)
            await main(self)
            tasks.cancel_scope.cancel()

    async def _speaker(self) -> None:
        count = 0
        while True:
            await self.runner.sleep_until(count * 0.01)
            self.playback.read(240, count * 0.01)
            count += 1


def held(main, *sets: str, said: str = STATEMENT, reply: str = "Yes.") -> KeepingSTT:
    """Run `main(client)` against a server with the settings `sets`; the transcriber that was used."""
    config: Config = load(None, [*SET, *sets])
    stt = KeepingSTT([said])
    pool = serving.pool([said], [reply], config=config)

    async def inside() -> None:
        runner, playback = VirtualRunner(config.costs), Playback()
        runner.now()
        choices = RealtimeConfig(pool, "sess_1")
        model, voice = scripted.ScriptedLLM([reply]), scripted.ScriptedTTS()
        engines = scripted.Engines(stt, model, voice, vad=lambda settings: GradedDetector())
        talk: list[Client] = []
        session = Session(
            engines, choices.config(), runner, playback, [lambda event: talk[0].events.append(event)]
        )
        talk.append(Client(session, runner, choices))
        talk[0].playback = playback
        await talk[0].run(main)

    run_virtual(config, inside)
    return stt


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
            assert not [e for e in talk.events if isinstance(e, ev.TurnReleased)]
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
            assert reasons == (["interrupted", "finished"] if allowed else ["finished"]), allowed

    held(main, said="What time is it now?", reply="Once upon a time there was a lighthouse keeper on a rock.")


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.6, 0.9])
def test_threshold(threshold: float) -> None:
    async def main(talk: Client) -> None:
        talk.choose(vad(300, threshold=threshold))
        for level in (0.1, 0.3, 0.55, 0.7, 0.95):
            talk.events.clear()
            await talk.hear(1.0, level)
            await talk.hear(3.0)
            heard = any(isinstance(e, ev.TurnReleased) for e in talk.events)
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
        (vad(500, idle_timeout_ms=5000), "idle_timeout_ms"),
        (vad(500, create_response=False), "create_response"),
        (vad(500, eagerness="low"), "eagerness"),
        ({"type": "semantic_vad", "silence_duration_ms": 500}, "silence_duration_ms"),
        ({"type": "semantic_vad", "threshold": 0.5}, "threshold"),
        ({"type": "semantic_vad", "create_response": False}, "create_response"),
        ({"type": "other"}, "turn_detection"),
    ],
)
def test_what_cannot_be_in_force_is_refused_by_name(detection: dict, field: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Update.model_validate({"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    error = refusal(wrong.value)
    assert isinstance(error, RequestError)
    assert error.param.split(".")[-1] == field
