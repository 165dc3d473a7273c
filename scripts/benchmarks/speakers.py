"""Only my voice: what a television ends of the agent's replies, and how soon its owner does beside it.

Real detectors, transcriber and embedding on the virtual clock; the reply is a fixed text. Who is enrolled are
voices of every engine that is here, and a person: a reader of Debian's asterisk-core-sounds-en. On television
are the other voices, the readers of other languages and LJSpeech, half of them over music, a crowd or others.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path

import click
import numpy as np

from agent import events as ev
from agent.config import load
from agent.engines import registry
from agent.engines.voices import Voice
from agent.settings import Config, SpeakersConfig
from agent.simulation.virtual import Line, converse
from agent.speakers import EVERYBODY, Enrolled, Speaker, SpeakerRecognition, SpeakerStore, enrolment
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, silence
from audio.speaker import Bounds, SpeakerEmbedding
from benchmarks import disguise, speech
from benchmarks.results import Results
from benchmarks.turntaking import HUMAN
from benchmarks.voices import Reciter

OPTIONS = [
    click.Option(["--count"], default=100, show_default=True, help="Replies under television at each level."),
    click.Option(["--said"], default=48, show_default=True, help="Interruptions of each row."),
    click.Option(["--levels"], default="0,-5,-10", show_default=True, help="Of the television, dB beside."),
    click.Option(
        ["--speech", "folder"], type=click.Path(path_type=Path), default=speech.PROMPTS, show_default=True
    ),
]
REPLY = (
    "A lighthouse keeper lived on a rock far out at sea. Every evening he climbed the stairs and lit the "
    "great lamp. Ships from many countries passed by and saw its light from afar, all through the night."
)
ENROLLED = (
    "The owl flew over the quiet valley until the first light came. Nobody had seen it for years. It settled "
    "on the roof of the old mill and waited there for the baker to open his door. Then it slept until noon."
)
QUESTIONS = ["Tell me about the lighthouse.", "What did the keeper do at night?", "How does the story go?"]
WORDS = [
    "What time is it?", "That is not what I asked.", "Tell me about the weather instead.",
    "No, I meant the other one.", "Please turn on the radio.", "I have a different question.",
    "Where is the nearest hospital?", "Set a timer for ten minutes.", "I would rather hear a joke.",
]  # fmt: skip
STOPS = ["Stop.", "Be quiet.", "Okay, stop.", "Stop it, please.", "Wait, stop."]
NEWS = [
    "Good evening. The minister has told reporters that the new bridge will open in the spring, a year late.",
    "In the north it will rain until midnight, and the wind will be strong along the coast tomorrow morning.",
    "You never told me that he was your brother, and now you want me to believe that you did not know it!",
    "Buy two and get the third one free, only this weekend, in all of our stores and on the internet.",
]
BEFORE, AFTER = 2.5, 1.0
"""Seconds of television before the owner speaks beside it, and behind their last word."""
SOON = 0.25
"""Seconds in which the agent is to fall silent for the owner."""
OTHERWISE = {
    "with a cold": disguise.cold,
    "whispering": disguise.whisper,
    "another microphone": disguise.telephone,
}


@dataclass
class Owner:
    """Who is enrolled: what they say at enrolment, to ask, to interrupt and to silence; 16 kHz."""

    name: str
    enrolled: list[Frame]
    questions: list[Frame]
    words: list[Frame]
    stops: list[Frame]


@dataclass
class Timed:
    """The speaker recognition, and how long it works. spent: seconds of a core."""

    engine: SpeakerRecognition
    spent: float = 0.0
    looks: int = 0

    @property
    def bounds(self) -> Bounds:
        return self.engine.bounds

    def who(self, audio: Frame) -> Speaker:
        began = time.process_time()
        try:
            return self.engine.who(audio)
        finally:
            self.spent += time.process_time() - began
            self.looks += 1


@dataclass
class Talks:
    """What came of some conversations.

    speaking: seconds in which anybody spoke. late: for each reply that the owner spoke over, seconds until it
    was silent for good, infinite where it went on.
    """

    over: int = 0
    ended: int = 0
    answered: int = 0
    held: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    lowered: int = 0
    spent: float = 0.0
    speaking: float = 0.0


def run(count: int, said: int, levels: str, folder: Path) -> Results:
    results, config = Results("speakers"), load(None, ["turns.meaning=words", "costs.mode=declared"])
    embedding: SpeakerEmbedding = registry.load_one(
        "speakers", Config(speakers=SpeakersConfig(only=(EVERYBODY,)))
    )
    engines = registry.Engines(
        registry.load_one("stt", config), Reciter(REPLY), registry.load_one("tts", config)
    )
    owners, strangers = _cast(folder)
    bench = _Bench(engines, config, embedding, owners, strangers)
    cost = list[Talks]()
    for level in map(float, levels.split(",")):
        cost.append(_television(results, bench, level, count))
        for kind in ("words", "stops"):
            _interrupted(results, bench, f"{kind} beside it", level, said, kind)
    for kind in ("words", "stops"):
        _interrupted(results, bench, f"{kind}, no television", None, said, kind)
    for name, disguised in OTHERWISE.items():
        _interrupted(results, replace(bench, disguised=disguised), name, None, said, "words")
    share = 100 * sum(each.spent for each in cost) / sum(each.speaking for each in cost)
    results.target("% of a core while somebody speaks", share, "<=", 5.0)
    return results


def _television(results: Results, bench: _Bench, level: float, count: int) -> Talks:
    found = bench.talk(level, count, None)
    held = sum(found.held) / max(1, found.over)
    results.add(
        {"what": "television", "level": level, "replies": found.over, "ended": found.ended,
         "answered": found.answered, "held, s a reply": held}
    )  # fmt: skip
    results.target(
        f"share of replies ended by television at {level:g} dB", found.ended / found.over, "<=", 0.01
    )
    return found


def _interrupted(
    results: Results, bench: _Bench, what: str, level: float | None, count: int, kind: str
) -> None:
    found = bench.talk(level, count, kind)
    late = np.array(found.late)
    ended, soon = float(np.isfinite(late).mean()), float((late <= SOON).mean())
    results.add(
        {"what": what, "level": "" if level is None else level, "replies": found.over, "ended": found.ended,
         f"silent in {SOON:g} s": soon, "lower or silent": found.lowered / max(1, found.over),
         "silent p50, s": float(np.median(late)), "p90": float(np.quantile(late, 0.9, method="lower"))}
    )  # fmt: skip
    results.target(f"{what}{'' if level is None else f' at {level:g} dB'}: ended", ended, ">=", 0.98)
    results.target(f"{what}{'' if level is None else f' at {level:g} dB'}: in {SOON:g} s", soon, ">=", 0.98)


@dataclass(frozen=True)
class _Bench:
    """Conversations of each owner in turn; strangers: what is on television, by who says it."""

    engines: registry.Engines
    config: Config
    embedding: SpeakerEmbedding
    owners: Sequence[Owner]
    strangers: dict[str, list[Frame]]
    disguised: disguise.Disguise = disguise.none

    def talk(self, level: float | None, count: int, kind: str | None) -> Talks:
        """So many replies: under television at that level, spoken over by the owner, or both."""
        found, left = Talks(), count
        for number, owner in enumerate(self.owners):
            share = left // (len(self.owners) - number)
            left -= share
            self._one(found, owner, level, share, kind)
        return found

    def _one(self, found: Talks, owner: Owner, level: float | None, count: int, kind: str | None) -> None:
        shown = self._television(owner, level)
        said = {"words": owner.words, "stops": owner.stops}.get(kind or "", [])
        if kind is not None and not said:
            return
        lines, onsets = list[Line](), list[float]()
        for number in range(count):
            mine = self.disguised(said[number % len(said)]) if said else None
            over, onset = beside(mine, next(shown) if level is not None else None)
            lines += [Line(owner.questions[number % len(owner.questions)], "after", 1.0)]
            lines += [Line(over, "over", 1.0 + 0.37 * (number % 4))]
            onsets.append(onset)
        with tempfile.TemporaryDirectory() as folder:
            store, seen = SpeakerStore(Path(folder) / "voices"), list[ev.Event]()
            store.enroll("owner", enrolment(self.embedding, owner.enrolled), self.embedding.model)
            used = SpeakersConfig(only=("owner",), folder=str(store.folder))
            timed = Timed(Enrolled(self.embedding, used))
            engines, chosen = replace(self.engines, speakers=timed), self.config
            times = converse(engines, chosen, lines, Path(folder) / "talk.wav", watchers=[seen.append])
        found.spent += timed.spent
        found.speaking += sum(line.audio.duration for line in lines)
        _count(found, seen, [begin for begin, _ in times[1::2]], onsets if kind is not None else None)

    def _television(self, owner: Owner, level: float | None) -> Iterator[Frame]:
        """What is on it: strangers in turn, every other one over music, a crowd or others."""
        others = [each for name, each in self.strangers.items() if _who(name) != _who(owner.name)]
        plain = [each[number % len(each)] for number in range(len(NEWS)) for each in others]
        mixed = speech.television(plain[1::2], plain, seed=len(owner.name))
        for clean, other in zip(cycle(plain[::2]), cycle(list(mixed)), strict=False):
            for each in (clean, other):
                yield speech.at_level(each.samples, each.rate, speech.SPEAKING + (level or 0.0))


def beside(mine: Frame | None, shown: Frame | None) -> tuple[Frame, float]:
    """What the microphone hears, and when in it the owner begins (s)."""
    if mine is None:
        assert shown is not None
        return shown, 0.0
    if shown is None:
        return mine, 0.0
    begin = round(BEFORE * HEARING_RATE)
    whole = np.resize(shown.samples, begin + len(mine.samples) + round(AFTER * HEARING_RATE))
    whole[begin : begin + len(mine.samples)] += mine.samples
    return Frame(np.clip(whole, -1, 1).astype(np.float32), HEARING_RATE), BEFORE


def _who(name: str) -> str:
    """Whose voice it is, whatever engine has it and whatever language it speaks: "af_heart" is "heart"."""
    return re.split("[ _]", name)[-1]


def _count(found: Talks, seen: list[ev.Event], begun: list[float], onsets: list[float] | None) -> None:
    """Add what came of these: lines that began over a reply at `begun` (s), the owner so long behind that."""
    ends = {e.turn: e for e in seen if isinstance(e, ev.TurnEnded)}
    starts = {e.turn: e.time for e in seen if isinstance(e, ev.AudioStarted)}
    committed = sum(isinstance(e, ev.TurnCommitted) for e in seen)
    asked = 0
    for number, begin in enumerate(begun):
        turn = max((t for t, at in starts.items() if at <= begin), default=0)
        asked += 1
        if turn not in ends or ends[turn].time <= begin:
            continue  # the question was not answered: nothing was spoken over
        found.over += 1
        found.ended += ends[turn].reason == "interrupted"
        silent = _silences(seen, turn)
        found.held.append(sum(until - since for since, until in silent if until < ends[turn].time))
        if onsets is None:
            continue
        onset = begin + onsets[number]
        if ends[turn].reason == "interrupted":
            found.late.append(max(0.0, silent[-1][0] - onset))
            found.lowered += silent[-1][0] - onset <= SOON or _lowered(seen, onset + SOON)
        else:
            found.late.append(float("inf"))
    found.answered += 0 if onsets is not None else max(0, committed - asked)


def _silences(seen: list[ev.Event], turn: int) -> list[tuple[float, float]]:
    """From when until when that reply was silent (s); the last one without end, where it was given up."""
    found, since = list[tuple[float, float]](), None
    for event in seen:
        if isinstance(event, ev.AudioPaused) and event.turn == turn:
            since = event.time if since is None else since
        elif isinstance(event, ev.AudioResumed) and event.turn == turn and since is not None:
            found, since = [*found, (since, event.time)], None
        elif isinstance(event, ev.Interrupted) and event.turn == turn:
            return [*found, (event.time if since is None else since, float("inf"))]
    return found


def _lowered(seen: list[ev.Event], moment: float) -> bool:
    """Whether the reply is lowered at that moment (s)."""
    done = [e.action for e in seen if isinstance(e, ev.Decision) and e.time <= moment]
    done = [action for action in done if action in ("duck", "pause", "resume", "interrupt", "commit")]
    return bool(done) and done[-1] in ("duck", "pause", "interrupt")


def _cast(folder: Path) -> tuple[list[Owner], dict[str, list[Frame]]]:
    """Who is enrolled, and what everybody says on television."""
    voices = {voice.name: voice for voice in speech.voices()}
    chosen = _some(list(voices.values()))
    owners = [_owner(voice) for voice in chosen[:3]]
    strangers = {voice.name: speech.said(voice, NEWS) for voice in chosen}
    readers = [each for each in sorted(folder.iterdir()) if each.is_dir() and not each.is_symlink()]
    for reader in readers:
        long = list(_stretches(reader, 20))
        if reader.name.startswith("en"):
            owners.append(_person(reader))
        elif long:  # the reader of Spanish is that of English, and stays away from herself
            strangers[reader.name.replace("_", " ")] = long
    clips = [read_audio(path) for path in sorted(HUMAN.glob("*.flac"))]
    if clips:
        strangers["LJSpeech"] = [speech.at_level(clip.samples, clip.rate, speech.SPEAKING) for clip in clips]
    return owners, strangers


def _some(voices: list[Voice]) -> list[Voice]:
    """One of each engine, then every third of the others."""
    first = {voice.engine: voice for voice in reversed(voices)}
    return [*first.values(), *[voice for voice in voices if voice not in first.values()][::3]]


def _owner(voice: Voice) -> Owner:
    said = {kind: speech.said(voice, texts) for kind, texts in (
        ("enrolled", [ENROLLED]), ("questions", QUESTIONS), ("words", WORDS), ("stops", STOPS)
    )}  # fmt: skip
    trimmed = {kind: [_trimmed(each) for each in frames] for kind, frames in said.items()}
    return Owner(f"{voice.engine} {voice.name}", **trimmed)


def _person(reader: Path) -> Owner:
    """A person of whom there are recordings: enrolled by some, who says others."""
    clips = [
        _trimmed(speech.at_level(s.samples, s.rate, speech.SPEAKING)) for _, s in speech.prompts(reader, 400)
    ]
    fit = [clip for clip in clips if 1.2 < clip.duration < 3.5]
    return Owner(reader.name.replace("_", " "), fit[:6], fit[6:9], fit[9:40], [])


def _stretches(reader: Path, count: int) -> Iterator[Frame]:
    """What somebody has read, one text after the other, in stretches of 6 s."""
    parts, length = list[np.ndarray](), 0
    for _, said in islice(speech.prompts(reader, 400), 400):
        parts += [said.samples, silence(0.15, HEARING_RATE)]
        length += len(parts[-2]) + len(parts[-1])
        if length > 6 * HEARING_RATE:
            yield speech.at_level(np.concatenate(parts), HEARING_RATE, speech.SPEAKING)
            parts, length, count = [], 0, count - 1
            if not count:
                return


def _trimmed(frame: Frame) -> Frame:
    """A sound without the silence around it."""
    loud = np.flatnonzero(np.abs(frame.samples) > 0.005)
    return replace(frame, samples=frame.samples[loud[0] : loud[-1] + 1]) if len(loud) else frame
