"""Frames in, decisions out: the hearing half of the data path. Knows no words and no reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent import events as ev
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config, STTConfig, TurnsConfig, VADConfig
from agent.turns.policy import Action, Policy
from audio import segment as seg
from audio.frame import Frame
from audio.personal_vad import WINDOW, PersonalVAD
from audio.segment import LATENCY
from audio.vad import Evidence

BRIEF_SILENCE = 0.05
"""Seconds of silence after which the words so far are transcribed: if a pause follows, they are all there."""
SHARE = 3.0
"""How many times as long as an interim transcript takes lies between two: else the final one, which must wait
for what has begun, would nearly always come late where they take long."""


class Listener(Protocol):
    """Is told, by a call, what begins and ends: for whatever has to act on it beside turn-taking."""

    def speech_started(self, at: float) -> None:
        """The user speaks, since `at` (s): that is confirmed."""
        ...

    def speech_resumed(self) -> None:
        """The user goes on after a pause."""
        ...

    def speech_paused(self) -> None:
        """The user has paused, or spoken for too long."""
        ...


class UtteranceDetector:
    """A voice detector, a segmenter and turn-taking in a row, set up from the configuration."""

    def __init__(
        self, engines: Engines, config: Config, runner: Runner, emit: ev.Watcher, listener: Listener
    ) -> None:
        self._engines, self._runner = engines, runner
        self._emit, self._listener = emit, listener
        self._last_interim = 0.0
        self.interim_took = 0.0
        """Seconds that the last interim transcript took; written by who has it made."""
        self._silence_told = 0.0
        self._detector = engines.vad(config.vad)
        speakers = engines.speakers
        self.personal = None if speakers is None else PersonalVAD(speakers.bounds, config.vad.start)
        """Hears whose speech it is, where that makes a difference."""
        self._overheard = seg.Segmenter(late=WINDOW + LATENCY) if config.speakers.overhears else None
        """Cuts what those say who are only overheard."""
        self.aside: list[Frame] = []
        """What they have said in the newest frames, to its end."""
        self._turns, self._vad, self._stt = config.turns, config.vad, config.stt
        self.reset()

    def reset(self) -> None:
        """Forget all that was heard; turn-taking begins anew."""
        self._segmenter = seg.Segmenter()
        self.policy: Policy = self._engines.policy(self._turns)
        self._utterance: list[Frame] = []
        self._unread: list[Frame] = []
        self.update(self._turns, self._vad, self._stt)

    def update(self, turns: TurnsConfig, vad: VADConfig, stt: STTConfig) -> None:
        """Find turns as these say, and tell what is said meanwhile as often as `stt.interim` says.

        `turns.policy`, `vad.engine` and `vad.aggressiveness` stay.
        """
        self._turns, self._vad, self._stt = turns, vad, stt
        segmenter = self._segmenter
        segmenter.onset_frames, segmenter.confirm = vad.onset_frames, vad.confirm
        segmenter.start, segmenter.stop, segmenter.pre_roll = vad.start, vad.stop, vad.pre_roll
        segmenter.pause, segmenter.longest = turns.pause, turns.max_utterance
        segmenter.late = LATENCY if self.personal is None else WINDOW + LATENCY
        self.policy.config = turns

    @property
    def voiced(self) -> float:
        """Seconds of sure speech in what the user is saying, or has said last."""
        return self._segmenter.voiced

    def feed(self, frame: Frame) -> list[Action]:
        """What to do after one more frame (16 kHz, contiguous with the last)."""
        actions: list[Action] = []
        evidence = self._detector.feed(frame)
        if self.personal is not None:
            evidence = self.personal.hears(frame, evidence)
            self._overhear(frame, self.personal.strange)
        for found in self._segmenter.feed(frame, evidence):
            actions += self._understand(found)
        return actions + self.policy.tick(frame.end)

    @property
    def amid_stranger(self) -> bool:
        """Whether it is known that a stranger speaks, or has just spoken."""
        return self.personal is not None and self.personal.whose == "stranger"

    def _overhear(self, frame: Frame, strange: Sequence[Evidence]) -> None:
        if self._overheard is None:
            return
        for found in self._overheard.feed(frame, strange):
            if isinstance(found, seg.Paused | seg.Ended):
                self.aside.append(found.audio)
                self._overheard.cut()

    @property
    def hearing(self) -> bool:
        """Whether somebody speaks, or may be speaking."""
        return self._segmenter.hearing

    @property
    def speaking(self) -> bool:
        """Whether somebody is known to speak."""
        return self._segmenter.speaking

    def utterance(self) -> Frame:
        """What the user said up to the last pause, with what `keep` put before it."""
        return Frame.join([*self._unread, *self._utterance])

    @property
    def unsettled(self) -> bool:
        """Whether the user says something, or has, that is not taken yet."""
        return self._segmenter.begun

    def so_far(self) -> Frame | None:
        """What the user has said up to now and nobody has taken; None for nothing."""
        return Frame.join([*self._unread, self._segmenter.audio()]) if self.unsettled else None

    def cut(self) -> None:
        """The utterance was taken: what comes now begins a new one."""
        self._segmenter.cut()
        self._unread = []

    def keep(self, audio: Frame) -> None:
        """Nobody has read this utterance: it belongs before the next one."""
        self._unread = [audio]
        self._utterance = [said for said in self._utterance if said.time > audio.time]

    def half_said(self, now: float) -> Frame | None:
        """The utterance so far, when it is time for an interim transcript.

        That is in every brief silence, and while speech goes on without one, each `stt.interim` seconds, or
        less often where they take long. Not right after the last sound: that transcript might lack some of
        it, and would delay the final one.
        """
        segmenter = self._segmenter
        if not segmenter.speaking:
            self._last_interim = now
            return None
        silent = now - segmenter.last_sound >= BRIEF_SILENCE and segmenter.last_sound > self._silence_told
        rarely = max(self._stt.interim, SHARE * self.interim_took)
        due = now - self._last_interim >= rarely and now - segmenter.last_speech < BRIEF_SILENCE
        if not self._stt.interim or not (silent or due):
            return None
        self._last_interim = now
        self._silence_told = segmenter.last_sound if silent else self._silence_told
        return segmenter.audio()

    def _understand(self, found: seg.Segment) -> list[Action]:
        now = self._runner.now()
        match found:
            case seg.Onset(at):
                self._emit(ev.Onset(now, at))
                return self.policy.onset(at)
            case seg.Unconfirmed():
                self._emit(ev.FalseOnset(now))
                return self.policy.no_speech()
            case seg.Started(at):
                self._emit(ev.SpeechStarted(now, at))
                self._listener.speech_started(at)
                return self.policy.speech_started(at)
            case seg.Resumed():
                self._emit(ev.SpeechResumed(now))
                self._listener.speech_resumed()
                return self.policy.resumed()
            case seg.Paused(at, audio) | seg.Ended(at, audio):
                self._emit(ev.SpeechPaused(now, at))
                self._listener.speech_paused()
                self._utterance = [audio]
                too_long = isinstance(found, seg.Ended)
                return self.policy.too_long(at) if too_long else self.policy.paused(at)
