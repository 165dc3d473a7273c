"""A turn: one verb ends everything that works on it, and it knows which words were heard."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.conversation.reply import SECONDS_PER_CHARACTER, Reply
from agent.text.chunker import TextChunk
from audio.playback import Playback
from audio.tts import Speech, Word

RATE = 24_000
TEXT = "One two three four five."


@pytest.fixture(params=["trio", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[..., object]:
    def within(main: Callable[[], object]) -> None:
        async def limited() -> None:
            with anyio.fail_after(20):
                await main()

        anyio.run(limited, backend=request.param)

    return within


def in_loop(test: Callable[..., None]) -> Callable[..., None]:
    """A turn has a cancel scope, so that even one that nobody runs must be made inside an event loop."""

    @functools.wraps(test)
    def wrapped(*args: object, **kwargs: object) -> None:
        async def main() -> None:
            test(*args, **kwargs)

        anyio.run(main, backend="trio")

    return wrapped


def spoken(text: str, per_character: float = 0.1) -> tuple[Speech, list[tuple[int, int]]]:
    """Speech that takes so long a character, and its words' ranges."""
    ends = list(itertools.accumulate(len(word) + 1 for word in text.split()))
    ranges = [(end - len(word) - 1, end - 1) for word, end in zip(text.split(), ends, strict=True)]
    words = tuple(Word(s, e, s * per_character, e * per_character) for s, e in ranges)
    samples = np.full(round(len(text) * per_character * RATE), 0.2, np.float32)
    return Speech(samples, RATE, 0, len(text), words), ranges


def whole(text: str) -> TextChunk:
    """A reply in one chunk."""
    return TextChunk(text, 0, len(text), True)


def speaking(playback: Playback, text: str = TEXT) -> Reply:
    """A turn whose reply, `text`, is released and in the playback."""
    turn = Reply(1, None, 0.0, playback)
    turn.text = text
    speech, ranges = spoken(text)
    turn.say(speech, whole(text), ranges)
    playback.play(turn.begin(), speech.samples, speech.rate)
    return turn


def test_cancel_silences_and_ends_the_work(run) -> None:
    async def main() -> None:
        playback = Playback()
        ended: list[str] = []

        async def work(name: str) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(name)

        turn = speaking(playback)
        async with turn:
            turn.tasks.start_soon(work, "llm")
            turn.tasks.start_soon(work, "tts")
            await anyio.sleep(0)
            playback.read(240, 0.0)
            turn.cancel()
            assert turn.track is not None
            assert turn.track.queued == 0, "the speaker is silenced at once, not when the work has ended"
            await anyio.sleep_forever()
        assert sorted(ended) == ["llm", "tts"]
        assert not playback.read(2400, 0.01)[192:].any()

    run(main)


def test_a_turn_that_is_cancelled_before_it_begins_does_nothing(run) -> None:
    async def main() -> None:
        turn, reached = Reply(1, None, 0.0, Playback()), []
        turn.cancel()
        async with turn:
            await anyio.sleep(0)
            reached.append("work")
        assert reached == []

    run(main)


def test_a_failure_in_its_work_ends_it_all_and_silences_it(run) -> None:
    async def main() -> None:
        playback = Playback()
        turn = speaking(playback)

        async def fail() -> None:
            raise KeyError("no paper")

        async def reply() -> None:
            async with turn:
                turn.tasks.start_soon(anyio.sleep_forever)
                turn.tasks.start_soon(fail)

        with pytest.raises(ExceptionGroup) as failed:
            await reply()
        assert failed.group_contains(KeyError)
        assert turn.track is not None
        assert turn.track.queued == 0

    run(main)


@in_loop
def test_it_silences_no_reply_but_its_own() -> None:
    playback = Playback()
    first = speaking(playback)
    playback.finish(first.track)  # pyright: ignore
    playback.read(RATE * 3, 0.0)
    second = speaking(playback)
    first.silence()
    assert second.track is not None
    assert second.track.queued > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=20), st.integers(0, 3000))
@in_loop
def test_the_words_heard_are_those_of_which_enough_sounded(reads: list[int], look: int) -> None:
    playback = Playback()
    turn = speaking(playback)
    at = 0.0
    for milliseconds in reads:
        playback.read(24 * milliseconds, at)
        at += milliseconds / 1000
    turn.silence()
    now = look / 1000
    sounded = min(now, at)
    for time in (now, float("inf")):
        enough = [0.18, 0.58, 1.1, 1.64, 2.2]
        surely = sum(moment <= sounded - 1e-3 for moment in enough)
        perhaps = sum(moment <= sounded + 0.02 for moment in enough)
        assert turn.heard(time) in {" ".join(TEXT.split()[:n]) for n in range(surely, perhaps + 1)}
        sounded = at


@in_loop
def test_nothing_is_heard_before_it_is_released() -> None:
    turn = Reply(1, None, 0.0, Playback())
    turn.text = TEXT
    speech, ranges = spoken(TEXT)
    turn.say(speech, whole(TEXT), ranges)
    assert (turn.words_heard(1e9), turn.heard(1e9)) == ([], "")
    assert turn.ahead(1e9) == pytest.approx(2.4)


@in_loop
def test_it_knows_how_far_it_is_ahead_of_the_ear() -> None:
    playback = Playback()
    turn = speaking(playback)
    turn.sent, turn.voiced = 48, 24
    playback.read(RATE, 0.0)
    assert turn.ahead(1.0) == pytest.approx(1.4)
    assert turn.lead(1.0) == pytest.approx(1.4 + 2.4), "what is not made yet counts at the voice's own pace"


@in_loop
def test_a_second_piece_counts_on_where_the_first_ended() -> None:
    playback = Playback()
    turn = speaking(playback, "One two.")
    turn.text = "One two. Three."
    speech, ranges = spoken("Three.")
    turn.say(speech, TextChunk("Three.", 9, 15, True), ranges)
    assert turn.track is not None
    playback.play(turn.track, speech.samples, RATE)
    playback.read(round(1.1 * RATE), 0.0)
    assert turn.heard(1.1) == "One two."
    playback.read(round(0.1 * RATE), 1.1)
    assert turn.heard(1.2) == "One two. Three."


@in_loop
def test_each_word_needs_its_place() -> None:
    speech, ranges = spoken(TEXT)
    with pytest.raises(ValueError, match="shorter"):
        Reply(1, None, 0.0, Playback()).say(speech, whole(TEXT), ranges[:-1])


@in_loop
def test_what_is_said_aside_is_known_as_our_own_voice_and_is_none_of_the_reply() -> None:
    """Else its echo would cut the reply."""
    playback, heard = Playback(), list[str]()
    turn = Reply(1, None, 0.0, playback, said=lambda word, _: heard.append(word))
    turn.text = "Well."
    for chunk in (TextChunk("Well.", 0, 5, True), TextChunk("One moment.", 5, 5, True)):
        speech, ranges = spoken(chunk.text)
        turn.say(speech, chunk, ranges)
        playback.play(turn.track or turn.begin(), speech.samples, speech.rate)
    playback.read(2 * RATE, 0.0)
    turn.newly_heard(2.0)
    turn.newly_heard(2.1)
    assert heard == ["Well.", "One", "moment."]
    assert turn.heard(2.0) == "Well."


@in_loop
def test_how_long_the_user_spoke_is_not_how_much_the_voice_has_made() -> None:
    """Both were called `voiced` once: until the first speech was made, a reply believed to have no lead."""
    turn = Reply(1, None, 0.0, Playback())
    turn.speech_seconds, turn.sent = 1.2, 20
    assert turn.lead(0.0) == pytest.approx(20 * SECONDS_PER_CHARACTER)
    turn.anew()
    assert turn.speech_seconds == 1.2
