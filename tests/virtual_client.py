"""A Realtime client's choices and a user who speaks, without a wire and on the virtual clock."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import numpy as np
import serving

import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.session import Session
from agent.server.realtime.server_events import Response, ServerEvents
from agent.server.realtime.session_config import RealtimeConfig, Update
from agent.settings import Config
from agent.simulation.virtual import VirtualRunner, run_virtual
from audio.frame import HEARING_RATE, Frame
from audio.playback import Playback
from audio.stt import Transcriber, Transcript
from audio.vad import Evidence

FREE = [f"costs.{name}=0" for name in ("stt", "endpointing", "first_token", "token", "speech", "vision")]
"""Work takes no time, so that what is measured is what was waited."""
SET = ["costs.mode=declared", "stt.interim=0", *FREE]
BLOCK = 320
STATEMENT = "I have been to the market with my brother."


class GradedDetector:
    """As the loudness detector, and the sure one is as sure as it is loud."""

    def feed(self, frame: Frame) -> list[Evidence]:
        found = []
        for start in range(0, len(frame.samples), 160):
            loud = float(np.abs(frame.samples[start : start + 160]).max())
            end = frame.time + (start + 160) / HEARING_RATE
            found.append(Evidence(end, 0.01, False, float(loud > 0), level=-10.0 if loud else -90.0))
            found.append(Evidence(end, 0.01, confirmed=True, probability=loud))
        return found


@dataclass
class KeepingSTT(scripted.ScriptedSTT):
    """Notes how long the audio was."""

    seconds: float = 0.0

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.seconds = audio.duration
        return super().transcribe(audio, final=final)


@dataclass
class LateSTT:
    """Understands one thing of what is said before `time` (s), and another of what is said then."""

    before: str
    after: str
    time: float = 2.0
    calls: int = 0

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.calls += 1
        return Transcript(self.before if audio.time < self.time else self.after)


class Client:
    """A client's choices and its session, without a wire; `say` is a user who speaks."""

    def __init__(self, session: Session, runner: VirtualRunner, choices: RealtimeConfig) -> None:
        self.session, self.runner, self.choices = session, runner, choices
        self.events: list[ev.Event] = []
        self.narrator = ServerEvents(1_000_000)
        self.narrator.spoken = session.controller.said
        self.told: list[dict] = []
        """What a Realtime client would read."""
        self._at = 0.0

    def choose(self, detection: dict | None, **more: object) -> None:
        asked = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}, **more}
        assert self.choices.update(Update.model_validate(asked)) == []
        config = self.choices.config()
        self.session.update(config)
        self.session.controller.manner = self.choices.manner
        self.narrator.interrupts, self.narrator.limit = self.choices.interrupts, self.choices.limit
        if self.choices.detection is None:
            self.session.clear_audio()
            self.told += self.narrator.deafened(self.runner.now())

    def ask(self, text: str = "") -> None:
        """The client asks for a response; where there is one already that is refused."""
        if self.narrator.running is not None:
            return
        self.session.send_text(text, manner=self.choices.manner)
        turn = [e.turn for e in self.events if isinstance(e, ev.TurnOpened)][-1]
        self.narrator.asked(turn, Response())

    def watch(self, event: ev.Event) -> None:
        self.events.append(event)
        self.told += self.narrator.tell(event)

    def kinds(self, *among: str) -> list[str]:
        """The last words of what was told, of those that end in one of these."""
        return [e["type"].split(".")[-1] for e in self.told if e["type"].endswith(among)]

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.told if event["type"].endswith(kind)]

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
        released = [e for e in self.events if isinstance(e, ev.TurnCommitted)]
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


def held(
    main,
    *sets: str,
    said: str | list[str] = STATEMENT,
    reply: str | list[str] = "Yes.",
    stt: Transcriber | None = None,
) -> KeepingSTT:
    """Run `main(client)` against a server with the settings `sets`; the transcriber that was used.

    said, reply: what is understood, and answered; of several each in turn.
    """
    config: Config = load(None, [*SET, *sets])
    texts, replies = ([each] if isinstance(each, str) else each for each in (said, reply))
    stt = stt or KeepingSTT(texts)
    pool = serving.pool(texts, replies, config=config)

    async def inside() -> None:
        runner, playback = VirtualRunner(config.costs), Playback()
        runner.now()
        choices = RealtimeConfig(pool, "sess_1")
        llm = scripted.ScriptedLLM(replies)
        engines = scripted.Engines(stt, llm, scripted.ScriptedTTS(), vad=lambda settings: GradedDetector())
        talk: list[Client] = []
        session = Session(engines, choices.config(), runner, playback, [lambda event: talk[0].watch(event)])
        talk.append(Client(session, runner, choices))
        talk[0].playback, talk[0].llm = playback, llm
        await talk[0].run(main)

    run_virtual(config, inside)
    return stt
