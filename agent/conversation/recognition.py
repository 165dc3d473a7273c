"""What the user's audio means: words, their kind, whether the turn is over. Knows no reply and no task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import anyio

from agent import languages
from agent.causes import Kind
from agent.errors import BackchatError
from agent.events import Error, Watcher
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config, STTConfig, TurnsConfig
from agent.speakers import Manners, Speaker
from agent.text.cleaning import cleaned
from agent.turns.elicitation import Elicitation, Phase, elicitation
from agent.turns.endpointing import Delays, EndpointingDecision, decision, fixed
from agent.turns.phrases import Language, words_of
from agent.turns.self_echo import SelfEchoFilter
from agent.turns.spoken_language import SpokenLanguage
from audio.frame import Frame
from audio.stt import DetectsLanguage, Transcript, behind, scored

T = TypeVar("T")

FEW = 3
"""Words that a cough, a laugh or a hum may be taken for by a transcriber."""

LOOKED_AT = 3.0
"""Seconds of an utterance by which its speaker is told: more cost time, and tell little more."""

FRESH = 0.5
"""Seconds after which the words so far are old: there will be more."""

LATER = 10.0
"""Seconds that what is overheard may wait to be understood."""

NO_SPEECH, MADE_UP = 0.6, -2.0
"""The transcriber's `no_speech` above which, its confidence below which, words may be made up for a noise.
Measured with Whisper tiny.en: the noises that pass for a voice (12 slammed doors of 80 noises) have
`no_speech` 0.87 to 0.92; 78 short words of three voices, and 49 letters, digits and names that a user
spelled, 0.02 to 0.47, with a confidence of -0.1 to -1.9 for those that are also made up for noises."""


@dataclass(slots=True, eq=False)
class _Draft:
    """A interim transcript, or the one being made, of the audio between two moments (s)."""

    begin: float
    end: float
    made: anyio.Event = field(default_factory=anyio.Event)
    said: Transcript | None = None
    begun: bool = False
    """Whether the transcriber works at it: until then there may be no time for it."""


class Recognition:
    """Speech-to-text, the end-of-turn model, the word lists and the guard against our own echo."""

    def __init__(self, engines: Engines, config: Config, runner: Runner, emit: Watcher) -> None:
        self._emit = emit
        self._engines = engines
        self._config = config
        self.turns = config.turns
        """How turns are found; may change."""
        self._runner = runner
        self._expect(config.stt)
        self.spoken = _spoken(config.stt, engines.tts.language)
        """The languages of the conversation."""
        self._draft: _Draft | None = None
        self.guard = SelfEchoFilter(lambda text: self.language.kind(text) == "stop")
        self.manners = Manners(config.speakers)
        """What whoever speaks may do."""

    @property
    def follows(self) -> bool:
        """Whether it is heard which language is spoken."""
        return self._detector is not None

    @property
    def language(self) -> Language:
        """The words by which the user's turns are taken, until they speak another language."""
        return words_of(self.spoken.heard)

    @property
    def answering(self) -> Language:
        """The words of the language that the agent speaks, until then."""
        return words_of(self.spoken.answer)

    @property
    def apology(self) -> str:
        """What to say where nothing is understood: names the language that may be spoken, if it is one."""
        among = self.spoken.among
        return self.answering.apology(words_of(among[0]).name if len(among) == 1 else None)

    def name_of(self, code: str) -> str:
        """What the language model is told that a language is called; "" where that is not known."""
        return words_of(code).name if code in languages.folders() else ""

    def language_of(self, said: Transcript) -> Language:
        """The words of the language that was said; of what was typed that is the one spoken last."""
        return words_of(said.language) if said.language else self.language

    def answer_in(self, said: Transcript, kind: Kind) -> str:
        """The language to answer these words in; "" where that is the voice's own matter."""
        if not self.follows:
            return ""
        return self.spoken.answering(said.language, kind, self.language_of(said).wished(said.text))

    def taken(self, said: Transcript, kind: Kind) -> None:
        """The user's turn is over, and these were its words."""
        if self.follows:
            self.spoken.spoke(said.language, kind, self.language_of(said).wished(said.text))

    def update(self, turns: TurnsConfig, stt: STTConfig) -> None:
        """Find turns in another way, and expect other languages and words."""
        self.turns = turns
        self._expect(stt)
        self.spoken.restrict(_among(stt))

    def _expect(self, settings: STTConfig) -> None:
        self._stt = stt = scored(behind(self._engines.stt, settings.prompt), settings.scores)
        self._detector = stt if isinstance(stt, DetectsLanguage) and stt.detects else None

    async def transcribe(self, audio: Frame) -> Transcript:
        """The words in `audio`, whose speaker waits since its end. Raises EngineFault.

        A draft that was begun in the silence at the end of `audio` holds all its words, and is taken.
        """
        draft = self._draft
        if draft is not None and draft.begun and draft.begin == audio.time and self._reaches(draft, audio):
            await draft.made.wait()
            if draft.said is not None and not draft.said.doubtful:
                return draft.said
        limit = self._config.limits.stt
        work = partial(self._heard, audio, final=True)
        return await self._runner.call("stt", work, limit, due=lambda: audio.end)

    async def _drafted(self, audio: Frame) -> Transcript | None:
        """The words so far; None where others need the transcriber. Raises EngineFault."""
        self._draft = draft = _Draft(audio.time, audio.end)
        limit = self._config.limits.stt

        def work() -> Transcript:
            draft.begun = True
            return self._heard(audio, final=False)

        try:
            until = self._runner.now() + FRESH
            draft.said = await self._runner.spare("stt", work, limit, until)
        finally:
            draft.made.set()
        return draft.said

    def _heard(self, audio: Frame, *, final: bool) -> Transcript:
        """The words in `audio`, and what they are in. For a worker's thread."""
        if self._detector is None:
            said = self._stt.transcribe(audio, final=final)
            language = said.language or self.spoken.heard
        else:
            around = self._config.vad.pre_roll + self.turns.pause
            choose = partial(self.spoken.choose, seconds=audio.duration - around)
            said = self._detector.transcribe_in(audio, choose, final=final)
            language = said.language
        return replace(said, text=cleaned(said.text), language=language)

    def _reaches(self, draft: _Draft, audio: Frame) -> bool:
        """Whether all that the draft lacks of `audio`, which ends in a pause, is silence."""
        return draft.end >= audio.end - self.turns.pause

    async def try_transcribe(self, audio: Frame, *, final: bool) -> Transcript | None:
        """The words in `audio`, or none when the engine fails: an Error event says so.

        final: whether they wait for an answer; without that None where others need the transcriber.
        """
        try:
            return await (self.transcribe(audio) if final else self._drafted(audio))
        except BackchatError as error:
            self._emit(Error(self._runner.now(), "stt", str(error)))
            return Transcript("")

    async def speaker(self, audio: Frame) -> Speaker | None:
        """Whose voice is in `audio`; None where that makes no difference.

        With an engine that fails an Error event says so, and nobody is a stranger.
        """
        if (engine := self._engines.speakers) is None:
            return None
        newest = Frame(audio.samples[-round(LOOKED_AT * audio.rate) :], audio.rate)
        try:
            work = partial(engine.who, newest)
            return await self._runner.call("speakers", work, self._config.limits.stt, due=lambda: audio.end)
        except BackchatError as error:
            self._emit(Error(self._runner.now(), "speakers", str(error)))
            return None

    async def overheard(self, audio: Frame) -> tuple[Transcript, Speaker] | None:
        """What somebody says in `audio` who is only overheard, and who; None where it is nothing, or not so.

        It comes after all that is needed, and not at all where there is too little time.
        """
        if (who := await self.speaker(audio)) is None or self.manners.treatment(who) != "overheard":
            return None
        try:
            work, until = partial(self._heard, audio, final=True), self._runner.now() + LATER
            said = await self._runner.spare("stt", work, self._config.limits.stt, until)
        except BackchatError as error:
            self._emit(Error(self._runner.now(), "stt", str(error)))
            return None
        words = "nothing" if said is None else self.language_of(said).kind(said.text, doubtful=True)
        return None if said is None or words == "nothing" else (said, who)

    async def beside(self, audio: Frame, words: Callable[[], Awaitable[T]]) -> tuple[T, Speaker | None]:
        """What `words` makes of `audio`, and at the same time whose voice is in it."""
        if self._engines.speakers is None:
            return await words(), None
        who: list[Speaker | None] = []
        made: list[T] = []

        async def look() -> None:
            who.append(await self.speaker(audio))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            made.append(await words())
        return made[0], who[0]

    async def complete(self, audio: Frame) -> float | None:
        """The end-of-turn model's probability that the user has finished; None without the model.

        Nor with one that fails: an Error event says so, and the words alone decide.
        """
        model, limit = self._engines.endpointing, self._config.limits.stt
        if model is None:
            return None
        try:
            work = partial(model.complete, audio)
            return await self._runner.call("endpointing", work, limit, due=lambda: audio.end)
        except BackchatError as error:
            self._emit(Error(self._runner.now(), "endpointing", str(error)))
            return None

    def asked(self, said: str, phase: Phase, unsaid: str = "") -> Elicitation:
        """What the agent asks for that has said `said`, and goes on with `unsaid` where it is speaking."""
        return elicitation(said, self.answering, phase, unsaid)

    def kind(self, said: Transcript, asked: Elicitation, heard: tuple[float, float] | None) -> Kind:
        """What these words are to an agent that has asked for that.

        heard: from their onset to their end (s); None where they were typed.
        """
        if heard is not None and said.text and self.guard.is_echo(said.text, *heard):
            return "echo"
        return asked.kind(said.text, self.language_of(said), doubtful=_no_voice(said))

    def overlap(self, said: Transcript, asked: Elicitation, heard: tuple[float, float]) -> Kind:
        """What these words are that were said over a reply which asks for that.

        A sound that is no word is transcribed all the same, as a few words that the engine is not sure of, or
        as one of those that it makes up. Over a reply only what answers it is taken for more.
        """
        kind = self.kind(said, asked, heard)
        language = self.language_of(said)
        if kind != "words" or asked.answered(said.text, language):
            return kind
        min_confidence = said.confidence < self.turns.min_confidence and len(said.text.split()) <= FEW
        return "nothing" if min_confidence else language.kind(said.text, doubtful=True)

    def decision(
        self, said: Transcript, complete: float | None, asked: Elicitation, expected: float | None = None
    ) -> EndpointingDecision:
        """How long to wait in silence before an answer to these words; see `turns.endpointing.decision`."""
        turns = self.turns
        if turns.meaning == "off":
            return fixed(turns.end)
        words = said.text if turns.meaning != "audio" else ""
        waits = Delays(turns.complete, turns.likely, turns.unsure, turns.unlikely, turns.incomplete)
        return decision(words, complete, waits, self.language_of(said), asked, expected)


def _no_voice(said: Transcript) -> bool:
    """Whether these may be words that were made up for a noise."""
    return said.no_speech > NO_SPEECH or said.confidence < MADE_UP


def _among(stt: STTConfig) -> tuple[str, ...]:
    """The languages that may be spoken; none: any."""
    return stt.languages if stt.language == "auto" else (stt.language,)


def _spoken(stt: STTConfig, voice: str) -> SpokenLanguage:
    """The languages of a conversation that begins. voice: the language that the voice reads."""
    own = languages.code(voice)
    among = _among(stt)
    return SpokenLanguage(among, among[0] if among else own if own in languages.folders() else "en")
