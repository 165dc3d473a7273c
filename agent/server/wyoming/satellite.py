"""`run-pipeline`: a satellite that streams its microphone holds a conversation, in both directions at once.

A satellite of the protocol speaks or listens. This one is heard while it speaks: what is sent to it goes out
as it is to sound, so it falls silent when the user speaks, and its own voice is taken out of what it hears.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import anyio
import numpy as np
from pydantic import field_validator

from agent import events as ev
from agent.server.wyoming import requests
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.library import domain
from agent.server.wyoming.wire import Received
from agent.settings import WakeConfig
from agent.transports.playout import RATE
from agent.transports.remote import Item, RemoteSession, Sound
from audio.echo.front_end import FrontEnd
from audio.pcm import pcm16
from audio.resampler import PromptResampler

FOLLOW_UP = 8.0
"""Seconds of silence after which a satellite that has its own wake word waits for that again."""
LOOK = 0.1
"""Seconds between two looks at how long nobody has said anything."""
SOONER = 0.15
"""Seconds by which it is taken to play sooner than `played` says, which has come some way: no echo that comes
before its cause is cancelled, but one that comes so much later is."""
LATEST = 2.0
"""Most seconds by which a satellite is taken to play late: one that says more has stopped meanwhile."""


class RunPipeline(requests.Asked):
    """`run-pipeline`: what the satellite has done itself by then, and what it wants."""

    start_stage: Literal["wake", "asr"]
    end_stage: Literal["handle", "tts"]
    restart_on_end: bool = False
    snd_format: requests.AudioFormat = requests.AudioFormat(rate=RATE, width=2, channels=1)

    @field_validator("snd_format")
    @classmethod
    def _as_we_have_it(cls, wish: requests.AudioFormat) -> requests.AudioFormat:
        return wish.model_copy(update={"width": 2})  # each chunk says what it has

    @property
    def always(self) -> bool:
        """Whether it streams all the time. Else it stops when it is told what was understood."""
        return self.start_stage == "wake" or self.restart_on_end


async def converse(caller: Caller, first: Received) -> None:
    """A conversation, from its pipeline's begin to its end. Raises RequestError, Busy, EngineFault."""
    asked = requests.read(RunPipeline, first)
    caller.whole()
    echo = caller.reception.pool.config.echo
    async with (
        caller.conversations.going_on(caller.address, caller.name) as conversation,
        caller.reception.visit("wyoming", caller.address) as visit,
    ):
        suppress = echo.noise_suppression
        front = FrontEnd(noise_suppression=suppress, latest=LATEST) if echo.cancel else None
        # One that has its own wake word has heard it: none is needed before what comes now.
        config = visit.pool.config
        awake = config if asked.start_stage == "wake" else config.model_copy(update={"wake": WakeConfig()})
        session = visit.session(awake, front=front)
        session.voice.muted = asked.end_stage == "handle"
        for message in conversation.messages:
            session.history.add(message)
        satellite = _Satellite(caller, session, asked)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.run)
                await session.ready.wait()
                tasks.start_soon(satellite.listen, tasks.cancel_scope)
                if not asked.always:
                    tasks.start_soon(satellite.wait_for_the_end)
                async for item in session.items():
                    await satellite.tell(item)
                await satellite.end()
                tasks.cancel_scope.cancel()
        finally:
            conversation.messages = session.history.said()


class _Satellite:
    """What one satellite is sent and says, as long as its pipeline runs."""

    def __init__(self, caller: Caller, session: RemoteSession, asked: RunPipeline) -> None:
        self._caller, self._session, self._asked = caller, session, asked
        self._form = asked.snd_format.model_dump()
        self._resampler = PromptResampler(RATE, asked.snd_format.rate)
        self._began = session.runner.now()
        self._heard = False
        """Whether the user has said anything."""
        self._text = ""
        """What they said last."""
        self._turn, self._sent, self._due = 0, 0, 0.0
        """The reply that is being sent, samples of it that were, and when the last of them should sound."""
        self._stopped = deque[float]()
        """When each reply should have sounded to its end that the satellite has not told to be played."""

    async def listen(self, all_over: anyio.CancelScope) -> None:
        """Take in what it sends until it goes. Raises RequestError for who sends nothing at all."""
        limit = self._caller.reception.pool.config.server.first_event
        event = await self._caller.next(limit, "first_event")
        while event is not None:
            match event.type:
                case "audio-chunk":
                    await self._session.push_audio(*requests.samples(event))
                case "transcript":  # typed, or understood by the satellite itself
                    if text := requests.read(requests.Transcript, event).text.strip():
                        self._session.send_text(text)
                case "played" if self._stopped:
                    late = self._session.runner.now() - self._stopped.popleft() - SOONER
                    self._session.delay = min(max(0.0, late), LATEST)
                case _:
                    pass
            event = await self._caller.next()
        all_over.cancel()

    async def wait_for_the_end(self) -> None:
        """Hang up when nobody has said anything for a while."""
        while self._session.runner.now() - self._quiet_since < FOLLOW_UP:
            await anyio.sleep(LOOK)
        self._session.hang_up()

    @property
    def _quiet_since(self) -> float:
        """Since when nobody has said anything (s, the session's clock); now, while somebody does."""
        if self._session.quiet is not None:
            return self._session.quiet
        return self._session.runner.now() if self._heard else self._began

    async def tell(self, item: Item) -> None:
        """Send what there is to send for one thing that the session gave."""
        match item:
            case Sound():
                await self._play(item)
            case ev.WakeWordDetected(name=name, at=at):
                await self._caller.send(domain("wake").Detection(name, self._ms(at)))
            case ev.SpeechStarted(at=at):
                self._heard = True
                await self._caller.send(domain("vad").VoiceStarted(self._ms(at)))
            case ev.SpeechPaused(at=at):
                await self._caller.send(domain("vad").VoiceStopped(self._ms(at)))
            case ev.TurnCommitted(text=text) if text:
                self._heard, self._text = True, text
                if self._asked.always:
                    await self._caller.send(domain("asr").Transcript(text))
            case ev.Interrupted(turn=turn) if turn == self._turn:
                await self._stop()
            case ev.TurnEnded(turn=turn, heard=heard):
                if turn == self._turn:
                    await self._stop()
                if self._session.voice.muted:
                    await self._caller.send(domain("handle").Handled(heard))
            case ev.Error(message=message, code=code):
                await self._caller.send(domain("error").Error(message, code))
            case _:
                pass

    async def end(self) -> None:
        """The conversation is over: one that has its own wake word waits for that from here on."""
        await self._stop()
        if not self._asked.always:
            await self._caller.send(domain("asr").Transcript(self._text))

    async def _play(self, sound: Sound) -> None:
        start: Sequence[Any] = ()
        if sound.turn != self._turn:
            await self._stop()
            self._turn, self._sent = sound.turn, 0
            self._resampler = PromptResampler(RATE, self._form["rate"])
            start = (domain("audio").AudioStart(timestamp=0, **self._form),)
        samples = np.repeat(self._resampler.feed(sound.samples), self._form["channels"])
        at = round(self._sent * 1000 / RATE)
        chunk = domain("audio").AudioChunk(audio=pcm16(samples), timestamp=at, **self._form)
        await self._caller.send(*start, chunk)
        self._sent += len(sound.samples)
        self._due = sound.time + len(sound.samples) / RATE - self._session.delay

    async def _stop(self) -> None:
        """Say that no more of the reply comes that is being sent; nothing, where there is none."""
        if self._turn:
            await self._caller.send(domain("audio").AudioStop(timestamp=round(self._sent * 1000 / RATE)))
            self._stopped.append(self._due)
            self._turn = 0

    def _ms(self, moment: float) -> int:
        """A moment of the session's clock, in milliseconds since the pipeline began."""
        return max(0, round((moment - self._began) * 1000))
