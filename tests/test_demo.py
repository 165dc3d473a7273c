"""The demo's conversation, judged by what can be heard in its recording and by its events."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent import events as ev
from agent.reports import event_log as eventlog
from agent.reports import waits as report
from agent.weights import catalogue as models
from audio.files import read_audio, read_channels
from audio.frame import Frame
from audio.stt.whisper import Whisper
from helpers_wer import edits, normalise, wer

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[1]
USER_AUDIBLE, AGENT_AUDIBLE = -40.0, -50.0
"""dBFS from which a sample counts as audible, in the definitions of the project's claims."""


def script() -> list[str]:
    """The audio arguments of `scripts/demo`, with their times."""
    text = (ROOT / "scripts" / "demo").read_text(encoding="utf-8")
    run = text[text.rindex("backchat run ") :]
    return [f"configs/demo/{name}" for name in re.findall(r'"\$user/([^"]+)"', run)]


def words() -> list[str]:
    """What each of the demo's files says, as configs/demo/README.md has it, in the order of the demo."""
    table = (ROOT / "configs" / "demo" / "README.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| `(\w+\.wav)` \| (.+?) \|$", table, re.MULTILINE))
    return [said[Path(line.partition("@")[0]).name] for line in script()]


def hold(out: Path) -> Path:
    """Hold the demo's conversation as `scripts/demo` does, on declared costs; the folder it wrote."""
    command = [str(Path(sys.executable).with_name("backchat")), "run", *script(), "--out", str(out)]
    subprocess.run([*command, "--set", "costs.mode=declared"], cwd=ROOT, check=True, timeout=580)
    return out


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hold(tmp_path_factory.mktemp("demo") / "first")


@pytest.fixture(scope="module")
def events(demo: Path) -> list[ev.Event]:
    return eventlog.read_events(demo / "events.jsonl")


@pytest.fixture(scope="module")
def replies(events: list[ev.Event]) -> list[report.TurnReport]:
    return [turn for turn in report.turns(events) if turn.audio_started is not None]


@pytest.fixture(scope="module")
def sound(demo: Path) -> tuple[Frame, ...]:
    """The user's channel and the agent's."""
    return read_channels(demo / "conversation.wav")


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    """A transcriber that had no part in the conversation."""
    return Whisper(models.resolve("whisper-base"))


def part(frame: Frame, start: float, end: float) -> Frame:
    """The sound from `start` to `end` (s)."""
    return Frame(frame.samples[round(start * frame.rate) : round(end * frame.rate)], frame.rate)


def stretches(frame: Frame, dbfs: float, gap: float) -> list[tuple[float, float]]:
    """First and last audible moment (s) of each stretch; silences up to `gap` seconds do not part one."""
    loud = np.flatnonzero(np.abs(frame.samples) > 10 ** (dbfs / 20))
    cuts = np.flatnonzero(np.diff(loud) > gap * frame.rate)
    starts, ends = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, len(loud) - 1]]
    return [(s / frame.rate, e / frame.rate) for s, e in zip(starts, ends, strict=True)]


def last_token(events: list[ev.Event], turn: int) -> float:
    return max(event.time for event in events if isinstance(event, ev.Token) and event.turn == turn)


def barge_in(sound: tuple[Frame, ...]) -> tuple[float, float, float]:
    """From the recording alone: when the user cut in, and when that speech and the cut reply ended (s)."""
    user, agent = sound
    onset, over = stretches(user, USER_AUDIBLE, gap=0.6)[-1]
    before = np.abs(agent.samples[: round(over * agent.rate)]) > 10 ** (AGENT_AUDIBLE / 20)
    return onset, over, float(np.flatnonzero(before)[-1]) / agent.rate


def test_recorded_person_says_what_the_demo_promises(whisper: Whisper):
    for line, text in zip(script(), words(), strict=True):
        heard = whisper.transcribe(read_audio(ROOT / line.partition("@")[0])).text
        assert wer(text, heard) == 0, heard


def test_three_questions_were_understood_and_answered(
    sound: tuple[Frame, ...], replies: list[report.TurnReport], whisper: Whisper
):
    assert [normalise(reply.user) for reply in replies] == [normalise(text) for text in words()]
    assert [reply.reason for reply in replies] == ["finished", "interrupted", "finished"]
    said = [whisper.transcribe(part(sound[0], r.speech_start - 0.3, r.speech_end + 0.3)) for r in replies]
    assert wer(" ".join(words()), " ".join(one.text for one in said)) <= 0.10


def test_what_sounded_is_what_the_events_say_was_heard(
    sound: tuple[Frame, ...], replies: list[report.TurnReport], whisper: Whisper
):
    heard = []
    for reply in replies:
        assert reply.audio_started is not None
        assert reply.ended is not None
        stretch = part(sound[1], reply.audio_started, reply.ended + 0.2)
        heard.append(whisper.transcribe(stretch).text)
    assert wer(" ".join(reply.heard for reply in replies), " ".join(heard)) <= 0.10, heard


def test_long_replies_sound_before_they_are_written(events: list[ev.Event], replies: list[report.TurnReport]):
    # A stop in the middle of the text: a sentence ended and another one began.
    long = [reply for reply in replies if re.search(r"[.!?][\"”’]?\s+\w", reply.reply)]
    assert long, "the story must have two sentences or more, or this test looks at nothing"
    for reply in long:
        assert reply.audio_started is not None
        assert reply.audio_started < last_token(events, reply.turn)


def test_barge_in_silences_the_agent_within_300_ms(sound: tuple[Frame, ...]):
    onset, over, silent = barge_in(sound)
    began = max(start for start, _ in stretches(sound[1], AGENT_AUDIBLE, gap=1.0) if start < onset)
    assert onset - began > 3.0, "the agent must have been speaking"
    assert onset - 0.1 < silent < onset + 0.3
    assert np.abs(part(sound[1], onset + 0.3, over).samples).max() < 10 ** (AGENT_AUDIBLE / 20)


def test_history_keeps_what_was_heard_before_the_cut(
    sound: tuple[Frame, ...], replies: list[report.TurnReport], whisper: Whisper
):
    cut = replies[1]
    assert cut.unheard.strip(), "something must have been left to say"
    assert cut.audio_started is not None
    _, over, silent = barge_in(sound)
    assert silent < over
    heard = normalise(whisper.transcribe(part(sound[1], cut.audio_started, silent + 0.05)).text).split()
    kept = normalise(cut.heard).split()
    # Of the last word only a part may have sounded, which a listener completes and a transcriber may not.
    assert min(edits(kept, heard), edits(kept[:-1], heard)) <= 1, (cut.heard, heard)


def test_never_two_at_once_but_for_the_barge_in(sound: tuple[Frame, ...]):
    user = stretches(sound[0], USER_AUDIBLE, gap=0.6)
    agent = stretches(sound[1], AGENT_AUDIBLE, gap=1.0)
    assert (len(user), len(agent)) == (3, 3)
    spans = sorted([*user, *agent])
    # What the model tells may pause just there: then the words begin within that pause.
    overlaps = [(a, b) for a, b in pairwise(spans) if b[0] < a[1] + 0.3]
    assert overlaps == [(agent[1], user[2])]


def test_declared_costs_repeat_to_the_byte(demo: Path):
    again = hold(demo.with_name("second"))
    for name in ("conversation.wav", "events.jsonl", "transcript.md"):
        assert (demo / name).read_bytes() == (again / name).read_bytes(), name
