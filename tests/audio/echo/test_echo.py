"""The echo canceller and the leak detector in simulated rooms, with real voices and the real AEC3."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.echo.canceller import _BANK, EchoCanceller, _FarEnd
from audio.echo.front_end import FrontEnd
from audio.echo.leak_detector import LeakDetector
from audio.echo.room import Room
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs, silence
from audio.tts.hibari import RATE, Hibari
from helpers_wer import wer

QUESTIONS = Path(__file__).parents[2] / "data" / "questions"
STORY = (
    "Once upon a time there was a lighthouse keeper who lived alone on a small island. Every evening he "
    "climbed the narrow stairs and lit the lamp. One night a storm broke the great window, and the light "
    "went out. He took his lantern, tied a rope around his waist, and stepped into the wind."
)
BLOCK = 0.02


@cache
def story() -> Samples:
    return np.concatenate([speech.samples for speech in Hibari().stream(STORY)])


@cache
def question(number: int) -> Samples:
    return read_audio(QUESTIONS / f"q{number:02d}.flac").at_rate(HEARING_RATE).samples


def conversation(
    room: Room,
    canceller: EchoCanceller,
    *,
    user: Samples | None = None,
    seconds: float | None = None,
    early: float = 0.0,
    playing: bool = True,
    block: float = BLOCK,
) -> tuple[Samples, Samples, Frame]:
    """What the microphone hears, what is left of it, and the last frame of that."""
    voice = story() if playing else silence(20, RATE)
    chance = np.random.default_rng(0)
    heard, left, told = [], [], 0
    size = round(block * HEARING_RATE)
    for number in range(round((seconds or len(voice) / RATE) / block)):
        time = number * block
        while told < len(voice) and told / RATE < time + block + early - 1e-9:
            room.played(Frame(voice[told : told + 240], RATE, told / RATE))
            # A device's timestamps jitter by some tenths of a millisecond.
            jitter = 0.0003 * chance.standard_normal()
            canceller.played(Frame(voice[told : told + 240], RATE, told / RATE + jitter))
            told += 240
        said = silence(block, HEARING_RATE)
        if user is not None:
            piece = user[number * size : (number + 1) * size]
            said[: len(piece)] = piece
        heard.append(room.microphone(Frame(said, HEARING_RATE, time)))
        left.append(canceller.cleaned(heard[-1]))
        assert len(left[-1].samples) == len(said)
    return Frame.join(heard).samples, Frame.join(left).samples, left[-1]


@pytest.mark.parametrize(
    ("echo_db", "delay", "early"),
    [(-10, 0.02, 0.0), (-10, 0.06, 0.08), (-10, 0.2, 0.0), (-20, 0.02, 0.08), (-20, 0.1, 0.0)],
)
def test_echo_alone_is_gone_after_a_second(echo_db: float, delay: float, early: float):
    room = Room(echo_db=echo_db, echo_delay=delay)
    heard, left, _ = conversation(room, EchoCanceller(), early=early)
    after = slice(HEARING_RATE, None)
    assert level_dbfs(heard[after]) > -26 + echo_db - 6
    assert level_dbfs(left[after]) < level_dbfs(heard[after]) - 30
    assert np.abs(left[after]).max() < 0.01


def test_reported_latency_may_be_wrong_by_30_ms():
    """A device that says that sound comes 30 ms later than it does would put the echo before its cause."""

    class Misreported(EchoCanceller):
        def played(self, frame: Frame) -> None:
            super().played(Frame(frame.samples, frame.rate, frame.time + 0.03))

    room = Room(echo_db=-10, echo_delay=0.02)
    heard, left, _ = conversation(room, Misreported(), early=0.08)
    assert level_dbfs(left[16000:]) < level_dbfs(heard[16000:]) - 30


@pytest.mark.parametrize("suppress", [False, True])
def test_person_alone_passes_undamaged(suppress: bool):
    user = np.concatenate([silence(1, HEARING_RATE), question(1)])
    canceller = EchoCanceller(noise_suppression=suppress)
    heard, left, _ = conversation(
        Room(), canceller, user=user, seconds=len(user) / HEARING_RATE, playing=False
    )
    behind = max(range(400), key=lambda n: float(np.dot(heard[: -n or None], left[n:])))
    assert behind == pytest.approx(_BANK + (96 if suppress else 0), abs=3)
    alike = np.dot(heard[:-behind], left[behind:]) / np.linalg.norm(heard) / np.linalg.norm(left)
    assert alike > (0.7 if suppress else 0.995)
    assert level_dbfs(left) == pytest.approx(level_dbfs(heard), abs=2.5 if suppress else 0.2)


@pytest.mark.parametrize("begins", [0.1, 0.2, 0.3, 3.0])
def test_person_with_headphones_passes_undamaged_over_the_first_words(begins: float):
    """Nothing of the speaker is heard, so nothing may be taken out, however early it is."""
    first = np.flatnonzero(np.abs(story()) > 0.01)[0] / RATE
    for number in range(1, 9):
        said = question(number)
        said = said[np.flatnonzero(np.abs(said) > 0.01)[0] :]
        user = np.concatenate([silence(first + begins, HEARING_RATE), said])
        seconds = len(user) / HEARING_RATE
        heard, left, _ = conversation(Room(noise_db=-65), EchoCanceller(), user=user, seconds=seconds)
        assert np.abs(left[_BANK:] - heard[:-_BANK]).max() < 1e-6, number


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("echo_db", [-10, -20])
def test_an_echo_is_known_before_it_can_be_taken_for_a_person(echo_db: float, delay: float):
    """A detector is sure after 0.1 s of speech: the first echo, also where headphones are taken off."""
    for headphones in (0.0, 6.0):
        rooms = [Room(noise_db=-65), Room(echo_db=echo_db, echo_delay=delay, noise_db=-65)]
        canceller, heard, left = EchoCanceller(), [], []
        for number in range(round((headphones + 3) / BLOCK)):
            time = number * BLOCK
            frame = Frame(story()[number * 480 : (number + 1) * 480], RATE, time)
            canceller.played(frame)
            for room in rooms:
                room.played(frame)
            room = rooms[time >= headphones]
            heard.append(room.microphone(Frame(silence(BLOCK, HEARING_RATE), HEARING_RATE, time)))
            left.append(canceller.cleaned(heard[-1]))
        raw, rest = Frame.join(heard).samples, Frame.join(left).samples
        begun = np.flatnonzero(np.abs(raw[round(headphones * HEARING_RATE) :]) > 0.003)[0]
        known = round(headphones * HEARING_RATE) + begun + round(0.13 * HEARING_RATE)
        assert level_dbfs(rest[known:]) < level_dbfs(raw[known:]) - 15, (headphones, level_dbfs(rest[known:]))


def test_noise_suppression_lowers_noise():
    levels = []
    for suppress in (False, True):
        room, canceller = Room(noise_db=-45), EchoCanceller(noise_suppression=suppress)
        levels.append(level_dbfs(conversation(room, canceller, seconds=6, playing=False)[1][32000:]))
    assert levels[0] == pytest.approx(-45, abs=0.5)
    assert levels[1] < levels[0] - 8


def test_result_says_when_it_sounded():
    """With a click as the user: whatever the frames' length, the click is where the times say."""
    click = silence(2, HEARING_RATE)
    click[16000:16400] = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(400) / HEARING_RATE)
    for block in (0.02, 0.015, 0.032):
        _, left, last = conversation(
            Room(), EchoCanceller(), user=click, seconds=1.92, playing=False, block=block
        )
        first = np.flatnonzero(np.abs(left) > 0.05)[0]
        assert last.end - (len(left) - first) / HEARING_RATE == pytest.approx(1.0, abs=0.002)
        assert 1.92 - last.end <= 0.0181


def test_stretches_without_playing_and_lost_frames_do_no_harm():
    room, canceller = Room(echo_db=-10), EchoCanceller()
    voice, left = story(), []
    for number in range(600):
        time = number * BLOCK
        frame = Frame(voice[number * 480 : (number + 1) * 480], RATE, time)
        if not 100 <= number < 250 and len(frame.samples):
            room.played(frame)
            canceller.played(frame)
        left.append(canceller.cleaned(room.microphone(Frame(silence(BLOCK, 16000), 16000, time))))
    out = Frame.join(left).samples
    assert level_dbfs(out[16000:]) < -65


@pytest.mark.parametrize("block", [0.02, 0.015])
def test_it_rests_while_nothing_is_played_and_works_again_at_the_first_sound(
    block: float, monkeypatch: pytest.MonkeyPatch
):
    """Two replies, and between them half a minute in which only the user speaks."""
    steps: list[float] = []
    said = np.concatenate([silence(20, HEARING_RATE), question(1)])

    def talk(canceller: EchoCanceller) -> Samples:
        room, left, told = Room(echo_db=-10, noise_db=-65), [], 0
        inside = canceller._cancel
        monkeypatch.setattr(canceller, "_cancel", lambda far, near: steps.append(now) or inside(far, near))
        for number in range(round(40 / block)):
            now = number * block
            while told < (now + block) * RATE:
                time, piece = told / RATE, silence(0.01, RATE)
                since = told if time < 30 else told - 30 * RATE
                if time < 5 or time >= 30:
                    piece = story()[since : since + 240]
                room.played(Frame(piece, RATE, time))
                canceller.played(Frame(piece, RATE, time))
                told += 240
            size = round(block * HEARING_RATE)
            user = (
                np.resize(said[number * size : (number + 1) * size], size)
                if now < 25
                else silence(block, 16_000)
            )
            left.append(canceller.cleaned(room.microphone(Frame(user, HEARING_RATE, now))))
        return Frame.join(left).samples

    rested = talk(EchoCanceller())
    assert not [now for now in steps if 7.0 < now < 29.9]
    monkeypatch.setattr("audio.echo.canceller._RESTING", 10**9)
    steps.clear()
    never = talk(EchoCanceller())
    assert [now for now in steps if 7.0 < now < 29.9]
    quiet = slice(7 * HEARING_RATE, 29 * HEARING_RATE)
    assert np.abs(rested[quiet] - never[quiet]).max() < 1e-6
    for begin, end in ((30.0, 30.3), (30.3, 31.0), (31.0, 40.0)):
        part = slice(round(begin * HEARING_RATE), round(end * HEARING_RATE))
        assert level_dbfs(rested[part]) < level_dbfs(never[part]) + 1.0, begin


def test_far_end_is_cut_to_be_in_time_only_when_it_is_far_behind():
    ramp = np.arange(4800, dtype=np.float32)
    for late, expected in ((0.02, 0.0), (0.05, 0.05 * 16000)):
        far = _FarEnd()
        far.add(Frame(ramp, HEARING_RATE, 1.0))
        assert far.take(1.0 + late)[0] == pytest.approx(expected, abs=1)
    far = _FarEnd()
    far.add(Frame(ramp, HEARING_RATE, 1.045))
    assert np.array_equal(far.take(1.0), np.zeros(160))
    assert far.take(1.01)[79:82].tolist() == [0, 0, 1]
    assert far.take(1.02)[0] == 80


def test_wrong_rate_is_refused():
    with pytest.raises(ValueError, match="16000 Hz, not 24000"):
        EchoCanceller().cleaned(Frame(silence(0.02, RATE), RATE))


@pytest.fixture(scope="module")
def whisper():
    from agent.weights.catalogue import resolve
    from audio.stt.whisper import Whisper

    return Whisper(weights=resolve("whisper-tiny.en"))


@pytest.mark.model
@pytest.mark.parametrize(
    ("echo_db", "delay", "worst"), [(None, 0.1, 0.1), (-20, 0.06, 0.1), (-10, 0.06, 0.3)]
)
def test_person_is_understood_over_the_agent(whisper, echo_db: float | None, delay: float, worst: float):
    """The first row is a user with headphones: there AEC3 alone made 0.47."""
    with (QUESTIONS / "questions.tsv").open() as file:
        texts = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}
    errors = []
    for number in (1, 6, 9, 14):
        user = np.concatenate([silence(6, HEARING_RATE), question(number)])
        room = Room(echo_db=echo_db, echo_delay=delay)
        seconds = len(user) / HEARING_RATE + 0.4
        _, left, _ = conversation(room, EchoCanceller(), user=user, seconds=seconds)
        text = whisper.transcribe(Frame(left[round(5.8 * HEARING_RATE) :], HEARING_RATE)).text
        errors.append(wer(texts[f"q{number:02d}.flac"], text))
    assert np.mean(errors) <= worst, errors


def leaks(microphone: Samples, detector: LeakDetector | None = None, begin: float = 0.0) -> list[bool]:
    """What the detector says after each 20 ms of the story and of what the microphone hears meanwhile."""
    detector = detector or LeakDetector()
    said = []
    for number in range(min(len(story()) // 480, len(microphone) // 320)):
        time = begin + number * BLOCK
        detector.played(Frame(story()[number * 480 : (number + 1) * 480], RATE, time))
        detector.heard(Frame(microphone[number * 320 : (number + 1) * 320], HEARING_RATE, time))
        said.append(detector.leaking)
    return said


def echo_of_story(**room: float) -> Samples:
    class Open(EchoCanceller):
        def __init__(self) -> None:
            pass

        def played(self, frame: Frame) -> None:
            pass

        def cleaned(self, frame: Frame) -> Frame:
            return frame

    return conversation(Room(**room), Open())[0]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("echo_db", "delay"), [(-10, 0.02), (-20, 0.2), (-30, 0.1)])
def test_leak_is_found_within_five_seconds_and_stays_found_while_a_person_talks(echo_db: float, delay: float):
    heard = echo_of_story(echo_db=echo_db, echo_delay=delay, noise_db=-60)
    heard[96_000 : 96_000 + len(question(2))] += question(2)
    said = leaks(heard)
    assert not any(said[:50])
    assert all(said[250:])


def test_no_leak_from_persons_noise_or_silence():
    count = len(story()) * 2 // 3
    everybody = np.concatenate([question(n) for n in range(1, 25)])
    for first in range(10):
        assert not any(leaks(np.roll(everybody, -first * 48_000)[:count])), first
    assert not any(leaks(silence(15, HEARING_RATE)))
    assert not any(leaks(conversation(Room(noise_db=-40), EchoCanceller(), playing=False)[0]))


@pytest.mark.parametrize("level", [0.0, 1 / 32768, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_a_silent_microphone_hears_no_speaker(level: float, offset: float):
    """A muted one gives zeros or the same value for ever; the canceller fills that with its own noise."""
    front, chance, said = FrontEnd(), np.random.default_rng(0), False
    for number in range(len(story()) // 480):
        time = number * BLOCK
        front.played(Frame(story()[number * 480 : (number + 1) * 480], RATE, time))
        noise = level * chance.uniform(-1, 1, 320)
        front.cleaned(Frame((offset + noise).astype(np.float32), HEARING_RATE, time))
        said |= front.leaking
    assert not said


def test_a_leak_is_found_as_soon_after_an_hour_of_silence():
    """While nothing is played no level is kept, and none is missed once something is."""
    detector, heard = LeakDetector(), echo_of_story(echo_db=-20, echo_delay=0.1, noise_db=-60)
    fresh = leaks(heard).index(True)
    for number in range(500):
        detector.played(Frame(silence(BLOCK, RATE), RATE, 3590 + number * BLOCK))
        detector.heard(Frame(question(1)[:320], HEARING_RATE, 3590 + number * BLOCK))
    assert abs(leaks(heard, detector, begin=3600.0).index(True) - fresh) <= 1


def test_leak_is_over_with_headphones_but_not_with_silence():
    detector = LeakDetector()
    length = len(story()) / RATE
    assert leaks(echo_of_story(echo_db=-10), detector)[-1]
    for number in range(900):
        detector.heard(Frame(silence(BLOCK, 16000), 16000, length + number * BLOCK))
    assert detector.leaking
    quiet = silence(length, HEARING_RATE)
    assert not leaks(quiet, detector, begin=length + 18)[-1]


@given(
    st.lists(
        st.tuples(st.floats(0, 0.3), st.integers(1, 960), st.sampled_from([16_000, 24_000, 48_000])),
        max_size=12,
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_played_when_every_heard_frame_comes_out_whole(played: list[tuple[float, int, int]]):
    """A speaker that starts late, stutters or plays a few samples at a time once ended the session."""
    canceller, at = EchoCanceller(), 0.0
    for gap, count, rate in played:
        at += gap
        canceller.played(Frame(np.full(count, 0.1, np.float32), rate, at))
        at += count / rate
    for step in range(30):
        assert len(canceller.cleaned(Frame(np.zeros(320, np.float32), 16_000, step * 0.02)).samples) == 320
