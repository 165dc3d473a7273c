"""What an engine of each kind must offer, and what it gives: all that the product asks of one. Knows none.

A transcriber and a voice deal with samples: their protocols are in `audio.stt` and `audio.tts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

from agent.images import Picture
from agent.messages import Message, ToolCall, ToolSchema
from agent.settings import TurnsConfig, VADConfig, WakeConfig
from agent.speakers import SpeakerRecognition
from agent.text.cleaning import cleaned
from agent.tools.tool import Tool
from agent.tools.toolbox import Toolbox
from agent.turns.policy import Policy, built_in
from audio.stt import EndOfTurn, Transcriber
from audio.tts import Synthesizer
from audio.vad import VAD, VoiceDetector
from audio.wake import MicroWakeWord, WakeWord

FinishReason = Literal["stop", "length"]
"""How an answer ended: by the model itself or at a stop string, or because no more tokens may come."""


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """How probable a token of an answer was, before it was drawn.

    data: its bytes; it may end inside a character. logprob: the natural logarithm of its probability.
    likeliest: bytes and logprob of the likeliest tokens in its place, the first the likeliest of all.
    """

    data: bytes
    logprob: float
    likeliest: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step of a model adds to its answer.

    text: for the user. thought: what the model says to itself. tokens: how many this step took, as far as
    its engine tells them apart; 0 for a step of waiting. anew: what was given as text until here was a
    thought as well, as only its end has shown; the answer begins after this. call: what the model wants done,
    whole; its `id` may be empty. aside: what is said in this place and is none of the answer. end_of_turn:
    the probability that the user has said all, see `PredictsEndOfTurn`. end: how the answer ended, with the
    step that ends it, where its engine tells. probabilities: of the tokens that this step took, where they
    are told (`TellsProbabilities`), whatever becomes of their text.
    """

    text: str = ""
    thought: str = ""
    tokens: int = 1
    anew: bool = False
    call: ToolCall | None = None
    aside: str = ""
    end_of_turn: float | None = None
    end: FinishReason | None = None
    probabilities: tuple[TokenProbability, ...] = ()


class Finish(str):
    """The last item of an answer: text that was held back, most often none, and how the answer ended.

    prompt_tokens, tokens: of the prompt and of the whole answer, as the engine counts; 0 without a count.
    """

    end: FinishReason
    prompt_tokens: int
    tokens: int

    def __new__(cls, text: str, end: FinishReason, prompt_tokens: int = 0, tokens: int = 0) -> Self:
        """The text, with what else there is to say."""
        made = super().__new__(cls, text)
        made.end, made.prompt_tokens, made.tokens = end, prompt_tokens, tokens
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """The same in another process."""
        return Finish, (str(self), self.end, self.prompt_tokens, self.tokens)

    def after(self, before: Finish) -> Finish:
        """What both say of the same end: servers tell the reason first, and count the tokens after it."""
        end: FinishReason = "length" if "length" in (self.end, before.end) else "stop"
        return Finish("", end, self.prompt_tokens or before.prompt_tokens, self.tokens or before.tokens)


class LanguageModel(Protocol):
    """Continues a conversation. A plain blocking object; one stream at a time."""

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the assistant's answer to `messages`, one token's text at a time, as it is decoded.

        As the model writes it: what is not for the user `agent.llm.deltas` takes apart, by the marks around
        it. What the prompt has opened, such as a thought, comes first. A thought that the engine knows to be
        one comes as a `Delta`. The last item is a `Finish`, which says how the answer ended; where an engine
        gives none, that is guessed.

        Pull-based: nothing is computed between two pulls, so a slow consumer holds the model back.
        No item holds half a character; a token that ends inside one yields "" or is joined to the
        next. Closing the iterator stops the work within one token. Raises `EngineFault` when the
        model fails, and before the first item that has any text `ContextExceeded` when the conversation
        does not fit its context.
        """
        ...

    def prefill(self, messages: Sequence[Message]) -> None:
        """Read `messages` into the prefix cache, so that a later `stream` starts sooner."""
        ...


@runtime_checkable
class ReadsInParts(Protocol):
    """What a `LanguageModel` also offers whose prefill can be broken off, and let others in between. Its
    `stream` does the same with a long prompt: it yields "" after each part but the last.
    """

    def prefill_parts(self, messages: Sequence[Message]) -> Iterator[None]:
        """The same as `prefill`, a part of a fraction of a second at each pull; what was read stays read."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """What a `LanguageModel` with a tokenizer also offers, so that a conversation is cut to fit before it is
    asked with. Of one that does not, tokens are guessed, and its refusals are waited for.
    """

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may fill together."""
        ...

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that `messages` make, pictures included. Asks the tokenizer, not the model."""
        ...


@runtime_checkable
class HasSlots(Protocol):
    """What a `LanguageModel` that answers several conversations at once also offers. One without serves one
    conversation at a time.
    """

    def slots(self) -> Sequence[LanguageModel]:
        """The model as often as it can stream at the same time, each with a prefix cache of its own."""
        ...


@runtime_checkable
class TakesSampling(Protocol):
    """What a `LanguageModel` also offers that can sample one answer otherwise than its settings say. With one
    that does not, who asks for that is refused.
    """

    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> LanguageModel:
        """The same model with other settings, for one answer.

        max_tokens: no more than the settings say; None is what they say. stop: beside those of the settings.
        seed: None is random. sampling: `temperature` and `top_p`, where they differ.
        """
        ...


@runtime_checkable
class CallsTools(Protocol):
    """What a `LanguageModel` also offers that can be told of tools. One that cannot never calls any."""

    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> LanguageModel:
        """This model, told of these tools in its own template, in all that it offers.

        required: its answer begins with a call of one of them.
        They are a part of the prompt that stays the same, so that a prefix cache holds it. Its `stream` gives
        a call as a `Delta`, or as the text that the model writes, which `agent.llm.deltas` reads; it takes
        messages that have calls and results.
        """
        ...


@runtime_checkable
class WritesJSON(Protocol):
    """What a `LanguageModel` also offers that can be held to a schema. Others refuse who asks for that."""

    def with_schema(self, schema: Mapping[str, Any]) -> LanguageModel:
        """The same model, whose answers are JSON that fits this JSON schema, unless they are cut.

        Its `stream` raises RequestError for a schema that cannot be kept to.
        """
        ...


@runtime_checkable
class TellsProbabilities(Protocol):
    """What a `LanguageModel` also offers that can tell how probable its tokens were. Others refuse that."""

    def with_probabilities(self, count: int) -> LanguageModel:
        """The same model, whose `stream` gives each token of its words in a `Delta` with its `probabilities`.

        count: of how many of the likeliest tokens in its place besides.
        """
        ...


@runtime_checkable
class PredictsEndOfTurn(Protocol):
    """What a `LanguageModel` also offers that can tell, on its way through a prompt and nearly for nothing,
    whether more is to come from the user. One whose prompts are read elsewhere, or slowly, does not.
    """

    def with_end_of_turn(self) -> LanguageModel:
        """The same model, whose `stream` says so before its answer, in a `Delta` of no token.

        That is the probability that the user's last words are all of them: of the end of their turn, or of
        their sentence, right behind the last word, since a transcriber puts full stops lightly. No such
        delta comes where the last message is not the user's, or nothing can be told of it.
        """
        ...


@runtime_checkable
class TakesPictures(Protocol):
    """What a `LanguageModel` that reads pictures also says. One that does not is given words alone."""

    takes_pictures: bool
    """Whether it reads the pictures of `Message.pictures`."""


@runtime_checkable
class WarmsUp(Protocol):
    """What an engine of any kind also offers whose first use is slow, or shows that something is wrong."""

    def warm(self) -> None:
        """Do that first use, unheard. Is called once the engine is loaded; what it raises ends loading."""
        ...


@runtime_checkable
class HasDefaultModel(Protocol):
    """What the class of an engine with `weights` also says: which it takes where the settings name none."""

    default_model: str
    """A name from `backchat models`, or one that it fetches itself."""


@runtime_checkable
class HasVoices(Protocol):
    """What the class of a voice engine says instead whose weights follow from the voice."""

    voices: Mapping[str, str]
    """Each voice and the name of its weights, "" where its package has them. The first is the usual one."""


@runtime_checkable
class ListsVoices(Protocol):
    """What the class of a voice engine also offers that can name its voices without being loaded."""

    def voices_in(self, weights: Path | None) -> Mapping[str, str]:
        """Each voice that it can speak with, and its language, as "es" or "en-gb". weights: where they lie;
        None where it takes none, or has one for each voice. Raises ModelError.
        """
        ...


@runtime_checkable
class FetchesModels(Protocol):
    """What the class of an engine also offers that gets some weights its own way, as from a hub."""

    def fetches(self, model: str) -> bool:
        """Whether it gets what the settings call so: then its `weights` are that name, as a path."""
        ...


@runtime_checkable
class KnowsItsWeights(Protocol):
    """What the class of an engine also offers that can tell from the files whether they are for it."""

    def reads(self, weights: Path) -> bool:
        """Whether what lies there has its format. Loads nothing."""
        ...


def told_of(llm: LanguageModel, tools: Sequence[ToolSchema], *, required: bool = False) -> LanguageModel:
    """The model, told of these tools where there are any and it can be."""
    return llm.with_tools(tools, required=required) if tools and isinstance(llm, CallsTools) else llm


@runtime_checkable
class WritesInTurn(Protocol):
    """What a `LanguageModel` that `HasSlots` also says that gains nothing from computing for two at once.
    Then one token of one of them is made at a time, in the order of need; else they are left to themselves.
    """

    in_turn: bool


@dataclass(frozen=True, slots=True)
class Description:
    """What a picture becomes for the language model: for the turn that it belongs to, and for later ones.

    note: what the user has shown, in their words. says: what is seen, as if the model had just said so; ""
    for nothing. A model of half a billion weights answers about what it said itself, and hardly about a note
    in the user's words. short: what the history keeps. picture: the pixels, for a model that sees.
    """

    note: str
    says: str
    short: str
    picture: Picture | None = None

    def __post_init__(self) -> None:
        for name in ("note", "says", "short"):  # what stands in a picture is anybody's text
            object.__setattr__(self, name, cleaned(getattr(self, name)))

    def asked(self, question: str) -> list[Message]:
        """The user's words as the language model gets them in this turn."""
        if self.picture is not None:
            return [Message("user", f"{self.note}\n{question}".strip(), (self.picture,))]
        return [Message("user", self.note), Message("assistant", self.says), Message("user", question)]

    def kept(self, question: str, keep: str) -> list[Message]:
        """The same as the history keeps it, all in the user's words: of the agent's it has what was heard.

        keep: as the setting `vision.keep`.
        """
        whole = "\n".join(filter(None, (self.note, self.says)))
        told = {"short": self.short, "whole": whole}.get(keep, "")
        shown = (self.picture,) if keep == "whole" and self.picture is not None else ()
        return [Message("user", f"{told}\n{question}".strip(), shown)]


class VisionEngine(Protocol):
    """Says in words what is in a picture. A plain blocking object; one picture at a time."""

    def look(self, picture: Picture) -> Description:
        """What is seen in `picture`. Raises MissingExtra without its library, EngineFault when it fails."""
        ...


@runtime_checkable
class PassesPictures(Protocol):
    """What a `VisionEngine` also says that leaves the picture to the language model."""

    passes_pictures: bool
    """Whether its descriptions have the picture itself: then the language model must be one that
    `TakesPictures`."""


def usual_vad(settings: VADConfig) -> VAD:
    """webrtcvad for the onset and Silero to be sure."""
    return VoiceDetector(settings.aggressiveness)


def usual_wake(settings: WakeConfig) -> WakeWord:
    """microWakeWord. Raises MissingExtra, ModelError."""
    return MicroWakeWord(settings.model, settings.threshold)


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a session, loaded. endpointing: tells by the sound whether a turn is over, where that is
    wanted.

    vision: looks at pictures. names: what to call them in a report, by kind. policy: makes a session's
    turn-taking policy from its settings. vad: makes what hears speech in a session's stream, likewise.
    wake: makes what hears the wake word there, where one is wanted.
    speakers: tells whose voice is heard, where that matters.
    tools: what it can do, each by another name; toolboxes: where more of them come from.
    """

    stt: Transcriber
    llm: LanguageModel
    tts: Synthesizer
    endpointing: EndOfTurn | None = None
    vision: VisionEngine | None = None
    names: dict[str, str] = field(default_factory=lambda: {"stt": "given", "llm": "given", "tts": "given"})
    policy: Callable[[TurnsConfig], Policy] = built_in
    vad: Callable[[VADConfig], VAD] = usual_vad
    wake: Callable[[WakeConfig], WakeWord] = usual_wake
    speakers: SpeakerRecognition | None = None
    tools: tuple[Tool, ...] = ()
    toolboxes: tuple[Toolbox, ...] = ()
