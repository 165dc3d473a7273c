"""The door to the language model: what it is asked and what it gives. Engines are one file each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, runtime_checkable

from agent.text.cleaning import cleaned

if TYPE_CHECKING:
    from agent.vision.image import Picture

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, in the roles of every chat model.

    content: is cleaned of what no tokenizer or template should meet, whoever it comes from. images: pictures
    that stand before its words, for models that have `sees`; others get none.
    """

    role: Role
    content: str
    images: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", cleaned(self.content))


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step of a model adds to its answer.

    text: for the person. thought: what the model says to itself. tokens: how many this step took, as far as
    its engine tells them apart; 0 for a step of waiting.
    """

    text: str = ""
    thought: str = ""
    tokens: int = 1


End = Literal["stop", "length"]
"""How an answer ended: by the model itself or at a stop string, or because no more tokens may come."""


class Last(str):
    """The last item of an answer: text that was held back, most often none, and how the answer ended.

    prompt_tokens, tokens: of the prompt and of the whole answer, as the engine counts; 0 without a count.
    """

    end: End
    prompt_tokens: int
    tokens: int

    def __new__(cls, text: str, end: End, prompt_tokens: int = 0, tokens: int = 0) -> Self:
        """The text, with what else there is to say."""
        made = super().__new__(cls, text)
        made.end, made.prompt_tokens, made.tokens = end, prompt_tokens, tokens
        return made

    def after(self, before: Last) -> Last:
        """What both say of the same end: servers tell the reason first, and count the tokens after it."""
        end: End = "length" if "length" in (self.end, before.end) else "stop"
        return Last("", end, self.prompt_tokens or before.prompt_tokens, self.tokens or before.tokens)


class LanguageModel(Protocol):
    """Continues a conversation. A plain blocking object; one stream at a time."""

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the assistant's answer to `messages`, one token's text at a time, as it is decoded.

        As the model writes it: what is not for the person `agent.llm.deltas` takes apart, by the marks around
        it. What the prompt has opened, such as a thought, comes first. A thought that the engine knows to be
        one comes as a `Delta`. The last item is a `Last`, which says how the answer ended; of an engine that
        gives none that is guessed.

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
