"""One reply and its one cancel scope. Knows what was said and heard of it, not how it is made."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from agent.causes import Cause, Kind
from agent.conversation.acts import Acts
from agent.events import Misheard
from agent.messages import Message
from agent.protocols import FinishReason
from agent.speakers import Speaker
from agent.text.chunker import HURRY, TextChunk
from agent.text.sentences import sentences
from agent.tools.tool import Tool
from agent.turns.elicitation import NOTHING_ASKED
from audio.frame import Frame
from audio.playback import Playback, Track
from audio.stt import Transcript
from audio.tts import Speech

SECONDS_PER_CHARACTER = 0.065
"""How long a character takes to say, until the voice has shown its own pace: about 15 a second."""

PROMPT = 0.8
"""Seconds after the user's last word when an answer is due."""

LAST_SOUND = 0.1
"""Seconds in which the last sound of a sentence dies away."""

ENOUGH = 0.6
"""Share of a word that must have sounded for it to count as heard: a listener fills in the rest."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How what the user says is answered.

    respond: whether at all, before somebody asks for it. limit: most tokens of the reply. instructions: what
    the language model is told last, for this one reply. context: what it reads instead of the conversation.
    tools: those that a client runs; own_tools: whether ours may be called as well. must_call, parallel:
    whether the reply begins with a call, and may have more than one in one go. voice: the name of the one
    that says it, of those that are loaded; "" is the one of the settings. speed: how much faster than that.
    """

    respond: bool = True
    limit: int | None = None
    instructions: str = ""
    context: tuple[Message, ...] | None = None
    tools: tuple[Tool, ...] = ()
    own_tools: bool = True
    must_call: bool = False
    parallel: bool = True
    voice: str = ""
    speed: float = 1.0


class Reply:
    """One reply, from the user's pause to its last heard word; an async context manager.

    It owns the task group of everything that works on the reply. `cancel` is the whole of
    interruption: the speaker falls silent and the group, with all that works in it, is gone.

    number: counts the turns of a session, from 1. audio: the utterance that is answered, None when it
    was typed. speech_end: when that utterance ended (s). previous: the turn that this one cuts short,
    which may still be closing. ready, said: are called when it can sound, and with each word that was heard
    and when (s, session clock).
    """

    manner = Manner()
    """How it is to be answered."""
    shortened = False
    """Whether it ends with a sentence, since something else is to be said."""
    cut_before = False
    """Whether the client has cut the reply before for this utterance: then silence is no answer to it."""
    speaker: Speaker | None = None
    """Whose voice asked for it; None where that makes no difference, or it was typed."""
    amid_stranger = False
    """Whether it was known that a stranger spoke when it was opened."""
    answers_in = ""
    """The language that it is to be in, by ISO code; "" is the one that its voice reads."""
    kind: Kind = "words"
    """What the user's words are."""
    end: FinishReason = "stop"
    """How the model's last answer for it ended."""
    language = "en"
    """What its voice reads, and by whose rules its text has sentences."""
    _told = 0
    read = False
    """Whether it has no sound, and is read while it is written."""
    rest = ""
    """What that reply had left to say, where the utterance asks for nothing."""
    elicits = NOTHING_ASKED
    """What the agent had asked for when the user began to speak."""
    listened = False
    """Whether the end-of-turn model has been asked, if there is one."""
    voice: float | None = None
    """Its probability that the voice has finished; None until then, or without it."""
    expected: float | None = None
    """The language model's probability that the user has said all; None until it has told, if it does."""

    def __init__(
        self,
        number: int,
        audio: Frame | None,
        speech_end: float,
        playback: Playback,
        previous: Reply | None = None,
        ready: Callable[[Reply], None] = lambda reply: None,
        said: Callable[[str, float], None] = lambda word, now: None,
    ) -> None:
        self.number, self.audio, self.speech_end = number, audio, speech_end
        self.question: str | None = None
        """The user's words; None until they are transcribed."""
        self.transcript: Transcript | None = None
        """What came out of `audio`; None until then, and where it was typed."""
        self.speech_seconds = 0.0
        """Seconds of sure speech in it."""
        self.misheard: Misheard | None = None
        """How they were not understood, if they were not."""
        self.understood = False
        """Whether there is no doubt what they were."""
        self.notice = ""
        """What is said instead of an answer."""
        self.text = ""
        """The reply as far as the language model has written it."""
        self.acts = Acts()
        """What was done for it."""
        self.tokens = 0
        self.authorized = anyio.Event()
        """Set when the user's turn is judged over: only then may the reply sound."""
        self.closed = anyio.Event()
        """Set when the history has what was heard of it."""
        self.follows = previous.closed if previous is not None else anyio.Event()
        """Set when the history has what was heard before."""
        if previous is None:
            self.follows.set()
        self.track: Track | None = None
        self.made = 0.0
        """Seconds of speech synthesized so far."""
        self.sent = 0
        """Characters of the reply that were handed to the voice; `voiced` of them are made into speech."""
        self.voiced = 0
        self.noted = False
        """Whether the user's words are in the history."""
        self.interrupted: float | None = None
        """When the user began to speak over it (s)."""
        self.onset = speech_end
        """When the user began to say what is answered (s)."""
        self.committed = Cause("unrecorded")
        """Why the user's turn was judged over, once it is."""
        self.discarded: Cause | None = None
        """Why the reply was given up before it was released."""
        self.failed = False
        """Whether an engine failed at it."""
        self._playback, self._ready, self._said = playback, ready, said
        self._took = 0.0
        self._waits = False
        self._words: list[tuple[float, float, int, int, str]] = []
        self._scope = anyio.CancelScope()
        self._owned = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._owned.enter_context(self._scope)
        self.tasks: TaskGroup = await self._owned.enter_async_context(anyio.create_task_group())
        """Where everything that works on this reply runs."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._owned.__aexit__(kind, error, trace)
        finally:
            self.silence()

    def ready(self) -> None:
        """It can sound, or never will, or a call of it waits for the turn to be over: tell who decides."""
        self._ready(self)

    def cancel(self) -> None:
        """Silence the speaker and end all work on this reply."""
        self.silence()
        self._scope.cancel()

    def silence(self) -> None:
        """Discard what of this reply was not yet played."""
        if self.track is not None and not self.track.over:
            self._playback.flush(self.track)

    def anew(self) -> None:
        """What was written so far was not for the user: silence it, and begin the reply once more."""
        self._waits = self.paused
        self.silence()
        self.track, self.text, self._words, self.acts = None, "", [], Acts()
        self.shortened = False
        self.made, self.sent, self.voiced, self._told = 0.0, 0, 0, 0

    def commit(self, cause: Cause) -> None:
        """The user's turn is judged over: the answer may sound."""
        self.committed = cause
        self.authorized.set()

    def begin(self) -> Track:
        """It may sound: the reply gets its track in the playback, paused where the reply was."""
        self.track = self._playback.open()
        if self._waits:
            self._playback.pause(self.track)
        return self.track

    @property
    def answerable(self) -> bool:
        """Whether there is something to say to it, as far as is known."""
        return self.audio is None or bool(self.question or self.notice or self.rest)

    @property
    def said_by(self) -> str:
        """The name of whose voice asked for it; "" where that is not known."""
        return self.speaker.name if self.speaker is not None else ""

    @property
    def unread(self) -> bool:
        """Whether what the user said would be lost with it: not understood yet, or their turn not over."""
        return self.audio is not None and (self.question is None or not self.authorized.is_set())

    @property
    def paused(self) -> bool:
        """Whether it is silent and keeps its place."""
        return self._waits if self.track is None else self.track.paused

    @property
    def spoken(self) -> bool:
        """Whether the device has been given all of it."""
        return self.track is not None and self.track.over

    def duck(self) -> None:
        """Lower the voice."""
        if self.track is not None:
            self._playback.duck(self.track)

    def pause(self) -> bool:
        """Fall silent and keep the place; False where nothing is left that could be held."""
        self._waits = self.track is None
        return self._waits if self.track is None else self._playback.pause(self.track)

    def resume(self, point: float | None = None) -> None:
        """Speak at full volume, from `point` (s) in its audio where one is given."""
        self._waits = False
        if self.track is not None:
            self._playback.resume(self.track, point)

    def say(self, speech: Speech, chunk: TextChunk, words: list[tuple[int, int]], took: float = 0.0) -> None:
        """Note what was said of a chunk. words: of `speech`, as half-open ranges of the chunk's text.

        took: seconds that the voice needed for it.
        """
        self._took = took
        for word, (start, end) in zip(speech.words, words, strict=True):
            times, said = (self.made + word.finish, self.made + word.begin), chunk.text[start:end]
            self._words.append((*times, *chunk.place(start, end), said))
        self.made += speech.duration

    def ahead(self, now: float) -> float:
        """Seconds of speech that were made and not yet heard at `now` (s)."""
        return self.made - (self.track.heard(now) if self.track is not None else 0.0)

    def lead(self, now: float) -> float:
        """Seconds that are left to hand over more text, before silence: speech made, and to be made, and not
        yet heard, less what the voice takes for a part.
        """
        pace = self.made / self.voiced if self.voiced else SECONDS_PER_CHARACTER
        return self.ahead(now) + (self.sent - self.voiced) * pace - self._took

    def text_due(self, clock: Callable[[], float]) -> float:
        """When more text is needed (s): `HURRY` before all that was handed over has sounded, as a token is no
        piece yet; where nothing was, once an answer is due.
        """
        return (now := clock()) + self.lead(now) - HURRY if self.sent else self.speech_end + PROMPT

    def speech_due(self, clock: Callable[[], float]) -> float:
        """When the user will notice that no more speech has come (s)."""
        return (now := clock()) + self.ahead(now) if self.made else self.speech_end + PROMPT

    @property
    def interruptible(self) -> bool:
        """Whether it is being said, and may be left at the end of a sentence: it asks nothing that must be
        answered, waits for no call, and is no notice itself.
        """
        waits = self.acts.asks is not None or any(running.awaited for running in self.acts.calls)
        return self.track is not None and not (self.track.over or self.paused or self.notice or waits)

    def end_sentence(self) -> bool:
        """Say no more than the sentence that is being said; False where its end is not known yet, or is that
        of the reply.

        What is cut off so was not heard, as if the user had spoken over it.
        """
        if self.shortened or self.track is None or not self.interruptible:
            return self.shortened
        said = self.track.position
        starts = [each.start for each in sentences(self.text, self.language)]
        for (finish, _, _, end, _), (_, begin, _, following, _) in pairwise([*self._words, self._to_come]):
            if begin >= said and any(end <= start < following for start in starts):
                self._playback.shorten(self.track, min(max(said, finish + LAST_SOUND), begin))
                self.shortened = True
                break
        return self.shortened

    @property
    def _to_come(self) -> tuple[float, float, int, int, str]:
        """What stands for the words that were written, and are not made into speech yet."""
        return (math.inf, math.inf, len(self.text), len(self.text) + 1, "")

    def words_heard(self, now: float) -> list[tuple[int, int]]:
        """The words that were heard by `now` (s), as half-open ranges of `text`: `ENOUGH` of each sounded."""
        if self.track is None:
            return []
        seconds = self.track.heard(now)
        whole = bisect_right(self._words, (seconds, seconds, 0, 0, ""))
        for finish, begin, *_ in self._words[whole : whole + 1]:
            whole += seconds >= begin + ENOUGH * (finish - begin)
        return [(start, end) for *_, start, end, _ in self._words[:whole]]

    def coming(self, now: float) -> list[tuple[float, int]]:
        """Of the words that were made and not heard by `now` (s): seconds until then, its end in `text`."""
        heard = self.track.heard(now) if self.track is not None else 0.0
        words = self._words[len(self.words_heard(now)) :]
        return [(begin + ENOUGH * (finish - begin) - heard, end) for finish, begin, _, end, _ in words]

    def newly_heard(self, now: float) -> list[tuple[int, int]]:
        """The words that were heard since this was asked last; whoever knows our voice by them is told."""
        words = self.words_heard(now)  # fewer than before, where the reply went on from an earlier word
        begin, self._told = self._told, len(words)
        for *_, said in self._words[begin : len(words)]:
            self._said(said, now)
        return words[begin:]

    def resume_point(self, *, again: bool = False) -> float:
        """Where in the reply's audio (s) to go on after a hold: where the word begins that was cut.

        again: where the sentence begins that was being said.
        """
        if self.track is None:
            return 0.0
        said = self.track.position
        current = bisect_right(self._words, (said + 0.02, said, 0, 0, ""))
        begin = min(said, self._words[current][1]) if current < len(self._words) else said
        if not again:
            return begin
        if not self._words:
            return begin
        saying = self._words[max(0, current - 1)][2]
        last = max(
            (each.start for each in sentences(self.text, self.language) if each.start <= saying), default=0
        )
        return next((b for _, b, start, *_ in self._words if start >= last), begin)

    def heard(self, now: float) -> str:
        """The beginning of the reply that was heard by `now` (s), to the end of its last word; what is read
        is known as soon as it is written.
        """
        if self.read:
            return self.text
        return self.text[: max((end for _, end in self.words_heard(now)), default=0)]
