"""A conversation in which every moment is set: two utterances, typing, cancelling, the end of a reply.

For sweeps of the moments against each other: on the virtual clock, with scripted engines, without a file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Literal

import anyio
import numpy as np

import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.session import Session
from agent.runner import VirtualRunner
from agent.simulation.virtual import run_virtual
from audio.frame import HEARING_RATE, Frame, Samples
from audio.playback import Playback, Track
from audio.stt import Transcript
from audio.tts import Speech, Word

FIRST = "Tell me something."
TYPED = "And a letter."
REPLY = "One two three four."
LEVEL = 0.2
BLOCK = 0.01
"""Seconds of one frame of the microphone, and of one block of the speaker."""
LIMIT = 40.0
"""Seconds after which nobody waits for a conversation any more."""


@dataclass(frozen=True)
class Plan:
    """What happens when; moments (s) count from the first sound of the first reply.

    reply: length of every reply. second: when the second utterance begins; `length`: how long it is;
    `words`: what is understood of it. deed: what else is done, at `at`. lead: how far the speaker reads
    ahead. fails: the engine that fails at the second call.
    """

    reply: float = 1.0
    second: float = 0.9
    length: float = 0.3
    words: str = "What time is it?"
    deed: Literal["", "typed", "twice", "asked", "cancel", "end"] = ""
    at: float = 0.0
    lead: float = 0.0
    settings: tuple[str, ...] = ()
    fails: str = ""


@dataclass
class Told:
    """What became of it."""

    events: list[ev.Event] = field(default_factory=list[ev.Event])
    tracks: list[Track] = field(default_factory=list[Track])
    history: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    played: list[Samples] = field(default_factory=list[Samples])
    over: bool = False

    def of(self, kind: type) -> list:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def listened(self, plan: Plan) -> bool:
        """Whether the second utterance was noticed, so that something must come of it."""
        begun = self.of(ev.AudioStarted)[0].time if self.of(ev.AudioStarted) else float("inf")
        heard = [e.time for kind in (ev.SpeechStarted, ev.SpeechResumed) for e in self.of(kind)]
        return any(begun + plan.second < time for time in heard)


class Voice:
    """Says every text in `seconds`, as a steady tone."""

    rate = 8000
    language = "en"

    def __init__(self, seconds: float, fails: bool) -> None:
        self._seconds, self._fails, self._said = seconds, fails, 0

    def stream(self, text: str) -> Iterator[Speech]:
        """As `Synthesizer.stream`; the second reply may fail."""
        self._said += 1
        if self._fails and self._said == 2:
            raise RuntimeError("hoarse")
        pace = self._seconds / len(text)
        spans = [(text.index(word), text.index(word) + len(word)) for word in text.split()]
        words = tuple(Word(a, b, a * pace, b * pace) for a, b in spans)
        yield Speech(
            np.full(round(self._seconds * self.rate), LEVEL, np.float32), self.rate, 0, len(text), words
        )


class Transcriber:
    """Understands the utterances that lie in the audio it is given."""

    def __init__(self, said: dict[str, tuple[float, float]], fails: bool) -> None:
        self._said, self._fails, self._calls = said, fails, 0

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """As `Transcriber.transcribe`; it may fail when it is called for the second time."""
        self._calls += 1
        if self._fails and self._calls == 2:
            raise RuntimeError("deaf")
        there = [w for w, (begin, end) in self._said.items() if begin < audio.end and end > audio.time]
        return Transcript(" ".join(there))


def hold(plan: Plan) -> Told:
    """Hold the conversation."""
    settings = ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", *plan.settings]
    config = load(None, settings)
    return run_virtual(config, _hold, plan, config)


async def _hold(plan: Plan, config) -> Told:
    told, said = Told(), {FIRST: (0.1, 0.5)}
    stt = Transcriber(said, plan.fails == "stt")
    llm = scripted.ScriptedLLM([REPLY])
    llm.fail_at = {1: 1} if plan.fails == "llm" else {}
    engines = scripted.with_loudness(stt, llm, Voice(plan.reply, plan.fails == "tts"))
    runner, playback = VirtualRunner(config.costs), Playback(8000)
    opened = playback.open
    playback.open = lambda: told.tracks.append(opened()) or told.tracks[-1]
    session = Session(engines, config, runner, playback, [told.events.append])
    runner.now()

    def audible() -> float | None:
        return next((e.time for e in told.events if isinstance(e, ev.AudioStarted)), None)

    async def microphone() -> AsyncIterator[Frame]:
        count = 0
        while True:
            time, begun = count * BLOCK, audible()
            if begun is not None and plan.length:
                said.setdefault(plan.words, (begun + plan.second, begun + plan.second + plan.length))
            late = max(plan.reply, plan.second + plan.length, plan.at) + 1
            settled = time > (15.0 if begun is None else begun + late)
            if settled and (plan.deed == "end" or not session.controller.busy):
                return
            if plan.deed == "end" and begun is not None and time > begun + plan.at:
                return
            moments = time + np.arange(round(BLOCK * HEARING_RATE)) / HEARING_RATE
            sound = np.zeros(len(moments), np.float32)
            for begin, end in said.values():
                sound[(moments >= begin) & (moments < end)] = 0.3
            await runner.sleep_until(time + BLOCK)
            yield Frame(sound, HEARING_RATE, time)
            count += 1

    async def speaker() -> None:
        count = 0
        while True:
            await runner.sleep_until(max(0.0, count * BLOCK - plan.lead))
            told.played.append(playback.read(round(BLOCK * playback.rate), count * BLOCK))
            count += 1

    async def deed() -> None:
        while (begun := audible()) is None:
            await anyio.sleep(BLOCK)
        await runner.sleep_until(begun + plan.at)
        if plan.deed == "cancel":
            session.cancel()
        elif plan.deed == "client":
            session.cancel("client")
        elif plan.deed in ("typed", "twice", "asked"):
            session.send_text("" if plan.deed == "asked" else TYPED)
        if plan.deed == "twice":
            session.send_text("")

    with anyio.move_on_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speaker)
            tasks.start_soon(deed)
            await session.run(microphone())
            told.over = True
            tasks.cancel_scope.cancel()
    told.history = [(m.role, m.content) for m in session.history.messages()[1:]]
    return told


def faults(plan: Plan, told: Told) -> list[str]:
    """What is wrong: a turn without a reply or a reason, words lost, a reply that cannot be heard."""
    found: list[str] = []
    if not told.over:
        found.append("it never ends")
    opened = [e.turn for e in told.of(ev.TurnOpened)]
    ended = [e.turn for e in told.of(ev.TurnEnded)] + [e.turn for e in told.of(ev.TurnDiscarded)]
    if sorted(opened) != sorted(ended):
        found.append(f"opened {opened}, ended {ended}")
    if sorted(e.turn for e in told.of(ev.TurnCommitted)) != sorted(e.turn for e in told.of(ev.TurnEnded)):
        found.append("not every turn that was released was ended")
    found += _lost(plan, told)
    for event in told.of(ev.TurnEnded):
        whole = event.unheard == "" and event.heard.strip() in REPLY  # or what was left of it
        if event.reason == "finished" and not whole:
            found.append(
                f"turn {event.turn} is finished: {event.heard!r} was heard, {event.unheard!r} was not"
            )
    for track in told.tracks:
        if not track.over or abs(track.given - track.heard(float("inf")) - track.discarded) > 1e-6:
            found.append("a track is not played out")
    last = told.of(ev.TurnEnded)[-1:]
    if last and last[0].reason == "finished":
        loud = np.concatenate(told.played)
        held = any(e.turn == last[0].turn for e in told.of(ev.AudioPaused))
        since = told.tracks[-1].started - plan.lead - 0.5
        ducked = any(e.action == "duck" and e.time >= since for e in told.of(ev.Decision))
        end = np.flatnonzero(loud)[-1]
        body = loud[end - round((plan.reply - 0.05) * 8000) : end - 100]
        if not held and not ducked and body.min(initial=LEVEL) < LEVEL - 1e-3:
            found.append(f"the last reply is as quiet as {body.min():.2f}")
    return found


def _lost(plan: Plan, told: Told) -> list[str]:
    """Words of the user that are neither in the history nor given up for a reason."""
    text = " ".join(content for role, content in told.history if role == "user")
    reasons = [
        e.cause.reason for e in told.of(ev.TurnDiscarded) if e.cause.reason not in ("went_on", "typed")
    ]
    reasons += [e.kind for e in told.of(ev.OverlapTranscribed) if e.kind != "words"]
    reasons += [e.where for e in told.of(ev.Error)]
    listened = told.listened(plan)
    wanted = [FIRST]
    wanted += [plan.words] if plan.words and listened else []
    wanted += [TYPED] if plan.deed in ("typed", "twice") else []
    counts = {words: text.count(words) for words in wanted}
    found = [f"{words!r} is {count} times in the history" for words, count in counts.items() if count > 1]
    found += [f"{words!r} is lost" for words, count in counts.items() if count == 0 and not reasons]
    deaf = plan.length < 0.1 or plan.deed == "end" or "turns.interrupt=false" in plan.settings
    if told.of(ev.AudioStarted) and not listened and not deaf:
        found.append("nobody listened")
    waits = told.history and told.history[-1][0] == "user"
    cancelled = plan.deed == "cancel" and told.of(ev.Interrupted)
    if waits and not reasons and not cancelled:
        found.append(f"{told.history[-1][1]!r} is not answered")
    return found
