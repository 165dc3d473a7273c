"""What passes between a session and an engine in another process. Pure data; knows no engine and no Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.errors import BackchatError
from agent.protocols import (
    CallsTools,
    PredictsEndOfTurn,
    ReadsInParts,
    TakesPictures,
    TakesSampling,
    TellsProbabilities,
    WritesJSON,
)
from audio.frame import Frame
from audio.stt import DetectsLanguage, ScoresTokens, TakesContext, TimesWords, likeliest
from audio.tts import ChangesVoice, TellsGender, VariesSpeed

Served = Literal["stt", "llm", "tts", "endpointing"]
"""Engines that have a deployment of their own; all else of a session is in its own process."""

OFFERS: Mapping[str, type] = {
    each.__name__: each
    for each in (
        *(TimesWords, TakesContext, DetectsLanguage, VariesSpeed, ChangesVoice, TellsGender),
        *(ReadsInParts, TakesSampling, CallsTools, WritesJSON, PredictsEndOfTurn, TakesPictures),
        *(TellsProbabilities, ScoresTokens),
    )
}
"""What an engine may also offer, and offers through another process too. Not `CountsTokens`: a conversation
is measured where nothing may block, so there tokens are guessed and the engine's refusals are waited for."""

FACTS = ("rate", "language", "voice", "languages", "detects", "takes_pictures")
"""Attributes of an engine that stay as they are once it is loaded."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a loaded engine without asking it.

    offers: of `OFFERS`, by name. known: its attributes, of `FACTS`, `loaded_voices` and their `genders`.
    voices: what `with_voice` gives for the name of a loaded voice and a language: the attributes of that one.
    seats: how many it serves at once.
    """

    offers: tuple[str, ...]
    known: Mapping[str, Any]
    voices: Mapping[tuple[str, str], Mapping[str, Any]]
    seats: int


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a method, by its name."""

    name: str
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an engine: the last step, of what the others made of it, such as `with_tools`."""

    made: tuple[Step, ...]
    step: Step


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    value: what the method gave, or the next item of its iterator. error: what it raised instead. stream: the
    iterator's number, by which more is asked for. over: nothing more comes. seated: whether who asks has a
    seat there; if not, nothing was done.
    """

    value: Any = None
    error: BackchatError | None = None
    stream: int = 0
    over: bool = False
    seated: bool = True

    def result(self) -> Any:
        """The value. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.value


def detected(
    transcriber: DetectsLanguage, audio: Frame, chosen: tuple[str, ...], *, final: bool
) -> tuple[Any, list[dict[str, float]]]:
    """`transcribe_in` for who cannot be asked meanwhile: the transcript, and what each choice was among.

    chosen: what is chosen, one for each stretch of sound; behind the last the likeliest is taken.
    """
    asked = list[dict[str, float]]()

    def choose(likely: Mapping[str, float]) -> str:
        asked.append(dict(likely))
        return chosen[len(asked) - 1] if len(asked) <= len(chosen) else likeliest(likely)

    return transcriber.transcribe_in(audio, choose, final=final), asked


def differs(
    asked: list[dict[str, float]], chosen: tuple[str, ...], choose: Callable[[Mapping[str, float]], str]
) -> tuple[str, ...] | None:
    """The choices up to the first that is not the likeliest; None where all are as they were taken."""
    made = list(chosen)
    for likely in asked[len(chosen) :]:
        made.append(choose(likely))
        if made[-1] != likeliest(likely):
            return tuple(made)
    return None
