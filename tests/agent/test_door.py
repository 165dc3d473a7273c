"""The session for programs: what it takes, gives, refuses and outlives. On the virtual clock."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from itertools import pairwise

import anyio
import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import agent
import pictures
from agent import Session, events, testing
from agent.errors import BackchatError, ConfigError, ModelError, SessionError
from agent.images import open_image
from agent.protocols import Description
from agent.runner import VirtualRunner
from agent.settings import Config, LLMConfig
from audio.pushed import as_mono, as_rate
from audio.stt import Transcript
from audio.tts import Speech, Word

LONG = "One two three four five six seven eight nine ten eleven twelve. " * 20


def ran(main, *args):
    return testing.run(main, *args)


async def rest(session: Session) -> list[events.Event]:
    return [event async for event in session.events()]


def of(kind, found):
    return [event for event in found if isinstance(event, kind)]


def test_every_public_name_is_there_and_no_other():
    for name in agent.__all__:
        assert getattr(agent, name) is not None
    assert set(agent.__all__) <= set(dir(agent))
    with pytest.raises(AttributeError, match="has no attribute 'Sesion'"):
        agent.Sesion  # noqa: B018


@pytest.mark.parametrize("form", ["int16", "float32", "stereo", "44100"])
def test_what_is_said_is_heard_in_any_form_and_answered(form):
    samples, rate = testing.loud(1.0)
    if form == "int16":
        samples = (samples * 32767).astype(np.int16)
    elif form == "stereo":
        samples = np.stack([samples, samples], axis=1)
    elif form == "44100":  # the alternating samples would be above what 16 kHz can hold
        rate = 44_100
        samples = (0.3 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)).astype(np.float32)

    async def main():
        async with testing.session(["What is the time?"], ["It is noon."]) as session:
            await session.push_audio(samples, rate)
            session.close()
            found = await rest(session)
            assert [m.content for m in session.history[1:]] == ["What is the time?", "It is noon."]
            return found

    found = ran(main)
    assert [event.text for event in of(events.Transcribed, found)] == ["What is the time?"]
    assert [event.heard for event in of(events.TurnEnded, found)] == ["It is noon."]
    assert isinstance(found[0], events.SessionStarted)
    assert isinstance(found[-1], events.SessionEnded)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
def test_audio_out_is_at_the_asked_rate_with_its_time(rate):
    async def main():
        async with testing.session(replies=["It is noon.", "Good night."]) as session:
            session.send_text("What is the time?")
            async for event in session.events():
                if isinstance(event, events.TurnEnded):
                    break
            await anyio.sleep(1)
            session.send_text("Good night.")
            session.close()
            return [frame async for frame in session.audio(rate)], await rest(session)

    frames, found = ran(main)
    assert {frame.rate for frame in frames} == {rate}
    assert all(frame.samples.dtype == np.float32 and frame.samples.ndim == 1 for frame in frames)
    length = sum(frame.duration for frame in frames)
    assert length == pytest.approx(2 * len("It is noon.") * testing.SECONDS_PER_CHARACTER, abs=0.05)
    second = of(events.AudioStarted, found)[-1].time
    later = [frame for frame in frames if frame.time > frames[0].time + 1.5]
    assert later[0].time == pytest.approx(second, abs=0.03)
    gaps = [b.time - a.end for a, b in pairwise(frames)]
    assert sum(gap > 0.001 for gap in gaps) == 1, "unbroken but between the two replies"


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_on_the_real_clock_under_asyncio_and_trio(run):
    made = Session(engines=testing.engines(replies=["Yes."]))  # where no loop runs

    async def main():
        async with made as session:
            session.send_text("Is it?")
            session.close()
            return [f async for f in session.audio()], await rest(session)

    frames, found = run(main) if run is trio.run else run(main())
    assert sum(frame.duration for frame in frames) == pytest.approx(0.24, abs=0.03)
    assert [event.heard for event in of(events.TurnEnded, found)] == ["Yes."]


def test_say_is_spoken_heard_and_kept_and_asks_no_model():
    async def main():
        session = testing.session()
        async with session:
            session.say("Welcome to the library.")
            session.close()
            await rest(session)
            return session.history[1:], session._loaded.llm.asked

    history, asked = ran(main)
    assert [(m.role, m.content) for m in history] == [("assistant", "Welcome to the library.")]
    assert asked == []


@pytest.mark.parametrize("text", ["", " \n", None, 3, b"hello"])
@pytest.mark.parametrize("how", ["say", "send_text"])
def test_no_words_are_refused(how, text):
    async def main():
        async with testing.session() as session:
            with pytest.raises(SessionError, match=f"^{how}: takes words"):
                getattr(session, how)(text)

    ran(main)


def test_interrupt_ends_the_reply_and_keeps_what_was_heard():
    async def main():
        async with testing.session(replies=[LONG]) as session:
            session.send_text("Count.")
            await anyio.sleep(2.0)
            session.interrupt()
            session.close()
            return await rest(session)

    (ended,) = of(events.TurnEnded, ran(main))
    assert ended.reason == "interrupted"
    assert 0 < len(ended.heard) < len(ended.heard + ended.unheard)


class Camera:
    """One that always sees the same sign."""

    def grab(self):
        return open_image(pictures.encoded(pictures.sign("STOP")))


USES = {
    "push_audio": lambda s: s.push_audio(*testing.loud(0.1)),
    "send_text": lambda s: s.send_text("Hello."),
    "say": lambda s: s.say("Hello."),
    "show": lambda s: s.show(None),
    "follow": lambda s: s.follow(Camera()),
    "interrupt": lambda s: s.interrupt(),
    "close": lambda s: s.close(),
    "events": lambda s: s.events(),
    "audio": lambda s: s.audio(),
    "history": lambda s: s.history,
}


async def used(name, session):
    done = USES[name](session)
    if name == "push_audio":
        await done


@pytest.mark.parametrize("name", USES)
def test_used_before_it_begins_it_says_so(name):
    with pytest.raises(SessionError, match=rf"^{name}: this session has not begun; use it inside"):
        ran(used, name, testing.session())


@pytest.mark.parametrize("name", ["push_audio", "send_text", "say", "show", "follow", "interrupt"])
@pytest.mark.parametrize("when", ["closed", "ended", "left"])
def test_used_after_its_end_it_says_so(name, when):
    async def main():
        session = testing.session()
        async with session:
            session.close()
            session.close()
            if when == "ended":
                await rest(session)
            if when != "left":
                with pytest.raises(SessionError, match=rf"^{name}: this session (was closed|has ended)"):
                    await used(name, session)
        if when == "left":
            with pytest.raises(SessionError, match=rf"^{name}: this session has ended; make another"):
                await used(name, session)

    ran(main)


def test_entered_twice_it_says_so():
    async def main():
        async with testing.session() as session:
            with pytest.raises(SessionError, match=r"^async with: this session has begun already"):
                async with session:
                    pass
            with pytest.raises(SessionError, match=r"^run_local: this session has begun already"):
                await session.run_local()
        with pytest.raises(SessionError, match=r"^async with: this session has ended"):
            async with session:
                pass

    ran(main)


def test_what_is_iterated_in_two_tasks_says_so_and_in_turn_goes_on():
    async def main():
        async with testing.session() as session, anyio.create_task_group() as tasks:
            async for event in session.events():
                assert isinstance(event, events.SessionStarted)
                break
            tasks.start_soon(rest, session)
            await anyio.sleep(0.1)
            with pytest.raises(SessionError, match=r"^events: is iterated somewhere else already"):
                await anext(session.events())
            session.close()

    ran(main)


def test_an_engine_serves_one_session_at_a_time_and_then_the_next():
    async def main():
        engines = testing.engines()
        async with Session(engines=engines):
            with pytest.raises(SessionError, match=r"^ScriptedSTT: works in another session now"):
                async with Session(engines=engines):
                    pass
        async with Session(engines=engines) as session:
            session.send_text("Hello.")
            session.close()
            return await rest(session)

    assert of(events.TurnEnded, trio.run(main))


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_callback_that_raises_is_reported_and_ends_nothing(kind, caplog):
    seen = []

    def plain(event):
        seen.append(event)
        if isinstance(event, events.Token):
            raise ValueError("no room\nsecond line")

    async def waiting(event):
        await anyio.sleep(0)
        plain(event)

    async def main():
        given = plain if kind == "plain" else waiting
        async with testing.session(replies=["It is noon."], on_event=given) as session:
            session.send_text("What is the time?")
            session.close()
            return await rest(session)

    with caplog.at_level(logging.ERROR, "backchat"):
        found = ran(main)
    errors = of(events.Error, found)
    assert [(e.where, e.message) for e in errors] == [("callback", "on_event: ValueError: no room")] * 3
    assert not of(events.Error, seen), "a callback is not called with its own errors, which would not end"
    assert len(of(events.TurnEnded, seen)) == len(of(events.TurnEnded, found)) == 1
    assert any(record.exc_info for record in caplog.records), "the log has the traceback"


def test_audio_that_nobody_takes_is_said_once_and_does_not_grow():
    async def main():
        async with testing.session(replies=[LONG]) as session:
            session.send_text("Count.")
            session.close()
            found = await rest(session)
            return found, [frame async for frame in session.audio()]

    found, frames = ran(main)
    (told,) = of(events.Error, found)
    assert told.where == "audio"
    assert "session.audio()" in told.message
    assert of(events.TurnEnded, found)[0].reason == "finished"
    assert sum(frame.duration for frame in frames) == pytest.approx(20.0)


def test_an_engine_that_fails_is_told_as_it_is_and_the_next_answer_comes():
    async def main():
        llm = testing.ScriptedLLM(["It is noon."], fail_at={0: 1})
        async with testing.session(llm=llm) as session:
            session.send_text("What is the time?")
            await anyio.sleep(3)
            session.send_text("Once more.")
            session.close()
            return await rest(session)

    found = ran(main)
    assert [e.message for e in of(events.Error, found)] == [
        "the llm engine failed: RuntimeError: out of paper"
    ]
    assert [e.reason for e in of(events.TurnEnded, found)] == ["error", "finished"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyError("x"), SessionError("y")])
def test_an_error_in_the_block_comes_out_as_it_is(error):
    async def main():
        async with testing.session() as session:
            session.send_text("Hello.")
            await anyio.sleep(0.5)
            raise error

    with pytest.raises(type(error)) as caught:
        ran(main)
    assert caught.value is error


def test_what_cannot_be_loaded_comes_out_on_entering():
    async def main():
        async with Session(Config(llm=LLMConfig(model="no-such-model"))):
            pass

    with pytest.raises(ModelError, match="no-such-model"):
        asyncio.run(main())


def test_wrong_parts_are_refused_where_it_is_made():
    with pytest.raises(ConfigError, match=r"^llm: ScriptedSTT has no stream and no prefill"):
        Session(llm=testing.ScriptedSTT([]))
    with pytest.raises(ConfigError, match="cannot be read"):
        Session("no/such/file.toml")


class Never:
    """An end-of-turn model of one's own."""

    def __init__(self, probability: float) -> None:
        self.probability, self.asked = probability, 0

    def complete(self, audio):
        self.asked += 1
        return self.probability


def released(**parts):
    async def main():
        async with testing.session(["I would like to go to the station"], **parts) as session:
            await session.push_audio(*testing.loud(1.0))
            session.close()
            found = await rest(session)
        (begun,) = of(events.SpeechPaused, found)
        return of(events.TurnCommitted, found)[0].time - begun.at

    return ran(main)


def test_parts_of_ones_own_take_part():
    sure, never = Never(1.0), Never(0.0)
    assert released(endpointing=sure) < released(endpointing=never)
    assert sure.asked
    assert never.asked

    class Deaf(testing.LoudnessDetector):
        def feed(self, frame):
            return []

    async def main():
        async with testing.session(vad=Deaf()) as session:
            await session.push_audio(*testing.loud(1.0))
            session.close()
            return await rest(session)

    assert [type(e).__name__ for e in ran(main)] == ["SessionStarted", "SessionEnded"]


class Ear:
    """A transcriber of one's own."""

    def transcribe(self, audio, *, final=True):
        return Transcript("What is in the picture?")


class Mind:
    """A language model of one's own; asked: what it was asked with."""

    def __init__(self):
        self.asked = ""

    def stream(self, messages):
        self.asked = " ".join(message.content for message in messages)
        yield "A grey cat."

    def prefill(self, messages):
        pass


class Mouth:
    """A voice of one's own."""

    rate, language = 8000, ""

    def stream(self, text):
        word = Word(0, len(text), 0.0, 0.25)
        yield Speech(np.full(2000, 0.5, np.float32), 8000, 0, len(text), (word,))


class Eye:
    """A vision engine of one's own."""

    def look(self, picture):
        return Description("Look here.", "I see a cat.", "I showed you a cat.")


@pytest.mark.parametrize("loaded", [True, False])
def test_engines_of_ones_own_are_heard_asked_spoken_and_shown(loaded):
    """Beside a set that was loaded before, and where all is made from the settings but these."""
    mind = Mind()
    parts = {"stt": Ear(), "llm": mind, "tts": Mouth(), "vision": Eye()}
    if not loaded:
        parts |= {"vad": testing.LoudnessDetector(), "endpointing": Never(1.0)}

    async def main():
        made = testing.session(**parts) if loaded else Session(runner=VirtualRunner(testing.COSTS), **parts)
        async with made as session:
            session.show(pictures.encoded(pictures.sign("STOP")))
            await session.push_audio(*testing.loud(1.0))
            session.close()
            sound = [frame async for frame in session.audio(rate=8000)]
            return await rest(session), sound

    found, sound = ran(main)
    assert [e.text for e in of(events.TurnCommitted, found)] == ["What is in the picture?"]
    assert [e.heard for e in of(events.TurnEnded, found)] == ["A grey cat."]
    assert "I see a cat." in mind.asked
    assert sum(len(frame.samples) for frame in sound if frame.samples.any()) / 8000 == pytest.approx(
        0.25, abs=0.03
    )


def test_what_a_camera_of_ones_own_gives_is_looked_at():
    async def main():
        async with testing.session(vision=Eye(), llm=(mind := Mind()), stt=Ear()) as session:
            session.follow(Camera())
            await session.push_audio(*testing.loud(1.0))
            session.close()
            found = await rest(session)
            return mind.asked, found

    asked, found = ran(main)
    assert "I see a cat." in asked
    assert [e.text for e in of(events.Seen, found)]


def test_a_policy_of_ones_own_decides():
    from agent.settings import TurnsConfig
    from agent.turns.policy import VADPolicy

    class Slow(VADPolicy):
        pass

    policy = Slow(TurnsConfig(end=1.5, pause=0.1))

    async def main():
        config = Config(turns=TurnsConfig(end=1.5, meaning="off"))
        async with testing.session(["Hello there"], config=config, policy=policy) as session:
            await session.push_audio(*testing.loud(1.0))
            session.close()
            found = await rest(session)
        return of(events.TurnCommitted, found)[0].time - of(events.SpeechPaused, found)[0].at

    assert ran(main) == pytest.approx(1.5, abs=0.05)


shapes = st.one_of(st.tuples(st.integers(0, 50)), st.tuples(st.integers(0, 50), st.integers(1, 2)))


@given(shape=shapes, seed=st.integers(0, 9), wide=st.booleans())
def test_samples_keep_their_loudness_whatever_their_form(shape, seed, wide):
    whole = np.random.default_rng(seed).integers(-32768, 32767, shape, np.int16, endpoint=True)
    taken = as_mono(whole if wide else (whole / 32768).astype(np.float32))
    expected = whole.astype(np.float64) / 32768
    assert taken.dtype == np.float32
    assert np.allclose(taken, expected if whole.ndim == 1 else expected.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (b"\0\0", "numpy array of int16 or float32, not bytes"),
        ([0.0, 0.1], "not list"),
        (np.zeros(4), "not float64"),
        (np.zeros(4, np.uint8), "not uint8"),
        (np.zeros(4, np.int32), "not int32"),
        (np.zeros(4, ">i2"), "not >i2"),
        (np.zeros((2, 100), np.float32), r"not \(2, 100\); turn \(channels, frames\) with .T"),
        (np.zeros((4, 3), np.int16), "1 or 2 channels"),
        (np.zeros((4, 0), np.int16), "1 or 2 channels"),
        (np.zeros((1, 1, 1), np.int16), "1 or 2 channels"),
        (np.float32(0.5), "numpy array"),
        (np.array(0.5, np.float32), "shape"),
        (np.array([0, np.nan], np.float32), "larger, or not numbers"),
        (np.array([0, np.inf], np.float32), "larger, or not numbers"),
        (np.array([0, 12_000], np.float32), "larger, or not numbers"),
    ],
)
def test_other_samples_are_refused_in_one_line(samples, why):
    with pytest.raises(SessionError, match=why) as caught:
        as_mono(samples)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [0, -1, 16_000.0, "16000", None, True, 999, 10**9, float("nan")])
def test_other_rates_are_refused_in_one_line(rate):
    with pytest.raises(SessionError, match=r"^rate: a whole number of Hz"):
        as_rate(rate)


def test_a_refusal_leaves_the_session_as_it_was():
    async def main():
        async with testing.session(replies=["It is noon."]) as session:
            for samples, rate in ((np.zeros(4), 16_000), (np.zeros(4, np.int16), 0)):
                with pytest.raises(BackchatError):
                    await session.push_audio(samples, rate)
            with pytest.raises(SessionError):
                session.audio(0.5)
            session.send_text("What is the time?")
            session.close()
            return await rest(session)

    assert of(events.TurnEnded, ran(main))[0].heard == "It is noon."


def test_a_run_repeats_exactly():
    async def main():
        async with testing.session(["What is the time?"], ["It is noon."]) as session:
            await session.push_audio(*testing.loud(1.0))
            session.close()
            return await rest(session)

    assert ran(main) == ran(partial(main))
