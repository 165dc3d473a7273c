"""`engine = "ray"`: an engine in another process, behind the protocol that it has there. Knows no Ray.

What it offers is what the engine there offers. A method that makes another engine of it, such as
`with_tools`, asks nobody: it is remembered, and done there with the next thing that is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Self

from agent.cluster.calls import Facts, Request, Served, Step, differs
from agent.cluster.line import Line, ray_line
from agent.errors import ConfigError
from agent.messages import Message, ToolSchema
from agent.protocols import Delta
from audio.frame import Frame
from audio.stt import Choose, Transcript
from audio.tts import Gender, Speech


class _Remote:
    """An engine in another process. made: the steps that made it of the one that is loaded there."""

    def __init__(
        self, line: Line, facts: Facts, known: Mapping[str, Any] | None = None, made: tuple[Step, ...] = ()
    ) -> None:
        self._line, self._facts, self._made = line, facts, made
        self._known = facts.known if known is None else known

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        return self._line.call(Request(self._made, Step(name, args, named)))

    def _items(self, name: str, *args: Any, **named: Any) -> Iterator[Any]:
        return self._line.stream(Request(self._made, Step(name, args, named)))

    def _other(self, name: str, *args: Any, **named: Any) -> Self:
        return type(self)(self._line, self._facts, self._known, (*self._made, Step(name, args, named)))


class _Transcriber(_Remote):
    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        return self._call("transcribe", audio, final=final)


class _TimesWords(_Remote):
    def transcribe_words(self, audio: Frame) -> Transcript:
        return self._call("transcribe_words", audio)


class _TakesContext(_Remote):
    @property
    def languages(self) -> Collection[str]:
        return self._known["languages"]

    def expecting(self, language: str = "", context: str = "") -> Self:
        return self._other("expecting", language, context)


class _ScoresTokens(_Remote):
    def scoring(self) -> Self:
        return self._other("scoring")


class _DetectsLanguage(_Remote):
    @property
    def detects(self) -> bool:
        return self._known["detects"]

    def transcribe_in(self, audio: Frame, choose: Choose, *, final: bool = True) -> Transcript:
        """Nobody there can be asked to choose: where the likeliest is not chosen here, it is done anew."""
        chosen: tuple[str, ...] | None = ()
        while True:
            said, asked = self._call("detected", audio, chosen, final=final)
            chosen = differs(asked, chosen, choose)
            if chosen is None:
                return said


class _Synthesizer(_Remote):
    @property
    def rate(self) -> int:
        return self._known["rate"]

    @property
    def language(self) -> str:
        return self._known["language"]

    def stream(self, text: str) -> Iterator[Speech]:
        return self._items("stream", text)


class _VariesSpeed(_Remote):
    def faster(self, factor: float) -> Self:
        return self._other("faster", factor)


class _ChangesVoice(_Remote):
    @property
    def voice(self) -> str:
        return self._known["voice"]

    @property
    def loaded_voices(self) -> Mapping[str, str]:
        return self._facts.known["loaded_voices"]

    def with_voice(self, voice: str = "", language: str = "") -> Self:
        name = voice or self.voice
        short = language.partition("-")[0]
        found = self._facts.voices.get((name, language), self._facts.voices.get((name, short)))
        if found is None:
            raise ConfigError(f"no voice is loaded that is called {name!r} and speaks {language or 'that'!r}")
        step = Step("with_voice", (voice, language))
        return type(self)(self._line, self._facts, found, (*self._made, step))


class _TellsGender(_Remote):
    def gender(self, voice: str) -> Gender:
        return self._facts.known.get("genders", {}).get(voice, "")


class _LanguageModel(_Remote):
    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        return self._items("stream", messages)

    def prefill(self, messages: Sequence[Message]) -> None:
        self._call("prefill", messages)


class _ReadsInParts(_Remote):
    def prefill_parts(self, messages: Sequence[Message]) -> Iterator[None]:
        return self._items("prefill_parts", messages)


class _TakesSampling(_Remote):
    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> Self:
        return self._other("with_sampling", max_tokens=max_tokens, stop=tuple(stop), seed=seed, **sampling)


class _CallsTools(_Remote):
    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> Self:
        return self._other("with_tools", tuple(tools), required=required)


class _WritesJSON(_Remote):
    def with_schema(self, schema: Mapping[str, Any]) -> Self:
        return self._other("with_schema", schema)


class _PredictsEndOfTurn(_Remote):
    def with_end_of_turn(self) -> Self:
        return self._other("with_end_of_turn")


class _TellsProbabilities(_Remote):
    def with_probabilities(self, count: int) -> Self:
        return self._other("with_probabilities", count)


class _TakesPictures(_Remote):
    @property
    def takes_pictures(self) -> bool:
        return self._known["takes_pictures"]


class _EndOfTurn(_Remote):
    def complete(self, audio: Frame) -> float:
        return self._call("complete", audio)


_KINDS: Mapping[Served, type[_Remote]] = {
    "stt": _Transcriber,
    "llm": _LanguageModel,
    "tts": _Synthesizer,
    "endpointing": _EndOfTurn,
}
_ALSO: Mapping[str, type[_Remote]] = {
    "TimesWords": _TimesWords,
    "TakesContext": _TakesContext,
    "ScoresTokens": _ScoresTokens,
    "DetectsLanguage": _DetectsLanguage,
    "VariesSpeed": _VariesSpeed,
    "ChangesVoice": _ChangesVoice,
    "TellsGender": _TellsGender,
    "ReadsInParts": _ReadsInParts,
    "TakesSampling": _TakesSampling,
    "CallsTools": _CallsTools,
    "WritesJSON": _WritesJSON,
    "PredictsEndOfTurn": _PredictsEndOfTurn,
    "TakesPictures": _TakesPictures,
    "TellsProbabilities": _TellsProbabilities,
}


def engine_at(kind: Served, line: Line, facts: Facts) -> Any:
    """The engine of that kind at the other end of a line."""
    return _class_of(kind, facts)(line, facts)


def _class_of(kind: Served, facts: Facts, *more: type) -> Any:
    parts: tuple[type, ...] = (*more, _KINDS[kind], *(_ALSO[name] for name in facts.offers))
    return type(f"Ray{_KINDS[kind].__name__}", parts, {})


class _HasSlots:
    """A language model of which each slot has a line of its own, and so a seat of its own."""

    lines: Sequence[Line]
    facts: Facts

    def slots(self) -> Sequence[Any]:
        return [engine_at("llm", line, self.facts) for line in self.lines]


def transcriber() -> Any:
    """The cluster's transcriber. Raises MissingExtra, EngineFault where there is no cluster."""
    return _found("stt")


def synthesizer() -> Any:
    """The cluster's voice. Raises as `transcriber` does."""
    return _found("tts")


def end_of_turn() -> Any:
    """What tells by the sound whether a turn is over. Raises as `transcriber` does."""
    return _found("endpointing")


def language_model(slots: int = 1) -> Any:
    """The cluster's language model, for so many conversations at once. Raises as `transcriber` does."""
    lines = [ray_line("llm") for _ in range(slots)]
    facts = lines[0].facts()
    model: Any = _class_of("llm", facts, _HasSlots)(lines[0], facts)
    model.lines, model.facts = lines, facts
    return model


def _found(kind: Served) -> Any:
    line = ray_line(kind)
    return engine_at(kind, line, line.facts())
