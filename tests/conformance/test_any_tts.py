"""What must hold for every voice engine, with real weights. Knows no engine by name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import anyio
import numpy as np
import pytest
from helpers_align import heard_words, onset_errors

import helpers_wer
from agent.errors import BackchatError
from agent.runner import Runner
from agent.weights import catalogue as models
from audio.frame import Frame, Samples
from audio.stt.whisper import Whisper
from audio.tts import Speech, Synthesizer

pytestmark = [pytest.mark.model, pytest.mark.net]

HELLO = "Hello there."
STORY = "The old keeper climbed the stairs. Did he light the lamp? Yes: every ship in the bay could see it!"
SENTENCES = (
    "The quick brown fox jumps over the lazy dog while nobody is looking.",
    "Every night the old keeper climbed the stairs and lit the lamp for the ships at sea.",
    "It was raining, so we stayed inside and played cards until the evening.",
    "My sister bought seven green apples and a small bottle of water at the market.",
    "Please remember to close the window before you leave the house in the morning.",
)


def join(parts: Sequence[Speech]) -> Samples:
    return np.concatenate([part.samples for part in parts]) if parts else np.zeros(0, np.float32)


def spoken(voice: Synthesizer, text: str) -> Samples:
    return join(list(voice.stream(text)))


@pytest.fixture(scope="module")
def voice(tts):
    return tts.make()


@pytest.fixture(scope="module")
def ear() -> Whisper:
    return Whisper(models.resolve("whisper-base"), threads=1)


@pytest.mark.parametrize("text", [HELLO, STORY, f"\n {STORY}  ", "1,250 people — really? (Yes!)"])
def test_parts_cover_the_text_in_order_and_words_lie_in_them(voice, text: str) -> None:
    parts = list(voice.stream(text))
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == len(text)
    words = [(part, word) for part in parts for word in part.words]
    assert all(0 <= word.begin <= word.finish for _, word in words)
    assert all(word.begin <= part.duration for part, word in words)
    spans = [(word.start, word.end) for _, word in words]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    said = [text[a:b].strip("—(),.?!: ") for a, b in spans]
    assert [w for w in said if w] == [w for word in text.split() if (w := word.strip("—(),.?!: "))]


def test_samples_are_sound_at_the_rate_that_the_voice_names(voice) -> None:
    parts = list(voice.stream(STORY))
    assert {part.rate for part in parts} == {voice.rate}
    samples = join(parts)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert np.isfinite(samples).all()
    assert 0.05 < np.abs(samples).max() <= 1.0
    assert 3.0 < len(samples) / voice.rate < 12.0
    assert np.abs(np.diff(samples)).max() < 0.9, "no click between two parts"


def test_speech_begins_at_once(voice) -> None:
    samples = spoken(voice, HELLO)
    onset = int(np.flatnonzero(np.abs(samples) > 10 ** (-50 / 20))[0])
    assert onset / voice.rate < 0.1


def test_it_says_what_it_was_given(voice, ear) -> None:
    said = heard = 0
    for text in SENTENCES:
        understood = ear.transcribe(Frame(spoken(voice, text), voice.rate)).text
        words = helpers_wer.normalise(text).split()
        heard += helpers_wer.edits(words, helpers_wer.normalise(understood).split())
        said += len(words)
    assert heard / said <= 0.1


def test_words_sound_when_it_says_they_do(voice, ear) -> None:
    errors: list[float] = []
    for text in SENTENCES:
        parts = list(voice.stream(text))
        starts = itertools.accumulate((part.duration for part in parts), initial=0.0)
        given = [
            (text[w.start : w.end], at + w.begin)
            for at, p in zip(starts, parts, strict=False)
            for w in p.words
        ]
        errors += onset_errors(given, heard_words(ear, Frame(join(parts), voice.rate)))
    assert len(errors) > 50, "most words must be recognised to be compared"
    assert np.median(np.abs(errors)) < 0.12


def test_nothing_is_made_between_two_pulls_or_after_closing(voice, work) -> None:
    stream = voice.stream(STORY)
    next(stream)
    assert work() < 0.2
    stream.close()
    assert next(stream, None) is None
    assert work() < 0.2


def test_a_stream_that_was_given_up_changes_no_later_sample(tts) -> None:
    used, fresh = tts.make(), tts.make()
    for text in (STORY, HELLO):
        stream = used.stream(text)
        next(stream)
        stream.close()
    used.stream(STORY)
    np.testing.assert_array_equal(spoken(used, HELLO), spoken(fresh, HELLO))


def test_streams_and_engines_that_are_gone_hold_nothing(tts, voice, holdings) -> None:
    def begin_and_give_up() -> None:
        stream = voice.stream(STORY)
        next(stream)
        stream.close()

    begin_and_give_up()
    before = holdings()
    for _ in range(5):
        begin_and_give_up()
    assert holdings() == before
    spoken(tts.make(), HELLO)
    before = holdings()
    for _ in range(2):
        spoken(tts.make(), HELLO)
    assert holdings().threads <= before.threads
    assert holdings().files <= before.files


def test_two_sessions_at_once_get_each_its_own_speech(voice) -> None:
    texts = [STORY, SENTENCES[0]]
    alone = [spoken(voice, text) for text in texts]
    together: list[list[Speech]] = [[], []]

    async def say(runner: Runner, who: int) -> None:
        async with runner.stream("tts", lambda: voice.stream(texts[who]), 60, 60) as stream:
            async for part in stream:
                together[who].append(part)

    async def both() -> None:
        runner = Runner()
        async with anyio.create_task_group() as group:
            group.start_soon(say, runner, 0)
            group.start_soon(say, runner, 1)

    anyio.run(both)
    for parts, samples in zip(together, alone, strict=True):
        np.testing.assert_array_equal(join(parts), samples)


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "...", "—", "😀", "\0", "\u200b"])
def test_nothing_to_say_is_no_fault(voice, text: str) -> None:
    assert len(spoken(voice, text)) < voice.rate


@pytest.mark.parametrize(
    "text",
    [
        "Voilà, a naïve café!",
        "Hi 😀 👩‍👩‍👧 you",
        "It costs 10 € or £3.50.",
        "日本 means Japan.",
        "e\u0301te\u0301",
    ],
)
def test_any_characters_are_taken(voice, text: str) -> None:
    parts = list(voice.stream(text))
    assert parts[-1].end == len(text)
    assert np.isfinite(join(parts)).all()


def test_a_very_long_text_is_spoken_part_by_part(voice) -> None:
    text = STORY * 40
    first = next(iter(voice.stream(text)))
    assert first.end < len(STORY)
    assert first.duration < 6.0
    unbroken = "and then we went on " * 60
    parts = list(voice.stream(unbroken))
    assert parts[-1].end == len(unbroken)
    assert len(join(parts)) / voice.rate > 20


def test_speed(tts) -> None:
    lengths = []
    for speed in (0.7, 1.0, 1.5):
        voice = tts.make(f"tts.speed={speed}")
        samples = spoken(voice, STORY)
        loud = np.flatnonzero(np.abs(samples) > 0.01)
        lengths.append((loud[-1] - loud[0]) / voice.rate * speed)
    assert lengths[0] == pytest.approx(lengths[1], rel=0.15)
    assert lengths[2] == pytest.approx(lengths[1], rel=0.15)


def test_a_seed_fixes_every_sample(tts) -> None:
    one = tts.make("tts.seed=1")
    first = spoken(one, HELLO)
    np.testing.assert_array_equal(first, spoken(one, HELLO))
    np.testing.assert_array_equal(first, spoken(tts.make("tts.seed=1"), HELLO))
    if not tts.takes("seed"):
        return  # a voice without chance: it has nothing to be let loose
    chance = tts.make("tts.seed=random")
    a, b = spoken(chance, HELLO), spoken(chance, HELLO)
    assert len(a) != len(b) or np.abs(a - b).max() > 0


def test_two_voices_in_one_process_do_not_mix(tts) -> None:
    slow, fast = tts.make("tts.speed=0.8"), tts.make("tts.speed=1.4")
    expected = spoken(slow, HELLO)
    first = slow.stream(HELLO)
    between = spoken(fast, HELLO)
    np.testing.assert_array_equal(np.concatenate([part.samples for part in first]), expected)
    assert len(between) < len(expected)


def test_a_voice_that_does_not_exist_is_said_in_one_line(tts, text_file) -> None:
    for wrong in (tts.wrong, *([f"tts.model={text_file}"] if tts.has_weights else [])):
        with pytest.raises(BackchatError) as caught:
            tts.make(wrong)
        assert "\n" not in str(caught.value)
