"""A model's context: what of a conversation it is asked with when not all of it fits. Knows no turn.

The model's own tokenizer counts, each message once. What the tokenizer says is an estimate all the same: how
a template joins messages is the engine's, and a server may tell nothing of its tokens. So the engine has the
last word: where it refuses, it is asked again with less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from agent.errors import ContextExceeded
from agent.messages import Message, joined
from agent.protocols import CountsTokens, Delta, LanguageModel, PredictsEndOfTurn, ReadsInParts
from agent.text.tokens import least_tokens

TOO_LONG = "That is more than I can take in at once. Please say it in fewer words."
"""What the agent says to a message that alone is too long for its model."""

ROOM = 1 / 4
"""Most of the context that is kept free for an answer: `llm.max_tokens` may be all of it."""
LEAST = 1 / 16
"""So much of the context must be left for an answer, or there is none."""
AHEAD = 1 / 16
"""So much of the context is kept free for what is said next where it is read ahead: then the past is cut
there, and read again, and not while somebody waits."""
SHARE = 1 / 4
"""Most of the room that one message of the past may take, once room is short."""

PICTURE = 1000
"""Tokens of a picture, where nobody counts them."""
MARKS = 8
"""Tokens of a template around each message, where nobody counts them."""

GROW = 1.5
"""Factor by which a conversation is longer than was thought, where it was refused without figures."""


class ContextWindow:
    """Asks a model with what fits its context, one conversation at a time.

    context: tokens that prompt and answer may fill together, where the engine does not know it better.
    reply: the longest answer in tokens. bare: the same model without tools, by which single messages are
    counted: with some, each count would read all of their schemas.
    """

    def __init__(
        self, llm: LanguageModel, context: int, reply: int, bare: LanguageModel | None = None
    ) -> None:
        self._llm = llm
        self._counter = llm if isinstance(llm, CountsTokens) else None
        self._bare = bare if isinstance(bare, CountsTokens) else self._counter
        self._context = known_context(llm) or context
        self._reply = reply
        self._scale = 1.0
        """Tokens of the model for each that is counted here, as its refusals have shown."""
        self._sizes: dict[Message, int] = {}

    def prompt(self, system: str, said: Sequence[Message]) -> Prompt:
        """A conversation to ask the model with; its last message stays whole."""
        return Prompt(self, Message("system", system), said)

    def check(self, system: str) -> None:
        """Raise ContextExceeded where instructions leave no room for a question and an answer.

        Nothing is known of it where nobody counts. Blocks for some milliseconds, as all that counts does.
        """
        tokens = self._fixed(Message("system", system))
        if self._counter is not None and tokens > self._context * (1 - 2 * LEAST):
            what = (
                f"the instructions are {tokens} tokens long, which leaves no room for a conversation in the "
                f"model's context of {self._context}; shorten them"
            )
            cure = f", or raise it with --set llm.context={2 * self._context}"
            raise ContextExceeded(f"{what}{cure}", tokens, self._context, what)

    def stream(self, prompt: Prompt, *, end_of_turn: bool = False) -> Iterator[str | Delta]:
        """The answer; see `Prompt.stream`."""
        before, tried, llm = self._scale, None, self._llm
        if end_of_turn and isinstance(llm, PredictsEndOfTurn):
            llm = llm.with_end_of_turn()
        while True:
            prompt.fitted = self._fit(prompt)
            try:
                self._check(prompt)
                yield from llm.stream(joined([prompt.system], prompt.fitted))
                return
            except ContextExceeded as error:
                self._context = min(self._context, error.context or self._context)
                past, asked = _asked(prompt.fitted)
                if not past and (len(asked) < 2 or prompt.fitted == tried):
                    prompt.refused = error
                    break
                tried = prompt.fitted
                longer = (error.tokens or self._context) / self._length(prompt)
                self._scale = max(longer, self._scale * (1.1 if error.tokens else GROW))
        # Of a message that is too long whatever comes before it nothing is learned, nor the past forgotten.
        self._scale, prompt.fitted = before, prompt.said
        yield from re.findall(r"\s*\S+", TOO_LONG)

    def prefill(self, prompt: Prompt) -> Iterator[None]:
        """Have the model read ahead; see `Prompt.prefill`."""
        prompt.fitted = self._fit(prompt, self._context * AHEAD)
        try:
            self._check(prompt)
            messages = joined([prompt.system], prompt.fitted)
            if isinstance(self._llm, ReadsInParts):
                yield from self._llm.prefill_parts(messages)
            else:
                self._llm.prefill(messages)
        except ContextExceeded:
            prompt.fitted = prompt.said

    def _fit(self, prompt: Prompt, free: float = 0.0) -> list[Message]:
        """The end of a conversation that fits; `free`: tokens of the context that it is not to fill."""
        known = self._sizes
        self._sizes = {m: known[m] for m in (prompt.system, *prompt.said) if m in known}
        context, reply = (self._context - free) / self._scale, self._reply / self._scale
        left = context - self._fixed(prompt.system)
        return newest(prompt.said, self._size, max(left - min(reply, context * ROOM), left / 2))

    def _check(self, prompt: Prompt) -> None:
        """Raise ContextExceeded where a prompt, counted, leaves no room for an answer."""
        room = self._context - min(self._reply, self._context * LEAST)
        if self._counter is not None and (tokens := self._length(prompt)) > room:
            whole = joined([prompt.system], prompt.fitted)
            if all(least_tokens(message.content) <= self._context for message in whole):
                tokens = self._counter.count(whole)
            if tokens > room:
                raise ContextExceeded.of(tokens, self._context)

    def _length(self, prompt: Prompt) -> int:
        """Tokens of a prompt, put together from its messages."""
        return self._fixed(prompt.system) + sum(map(self._size, prompt.fitted))

    def _size(self, message: Message) -> int:
        """Tokens that this message adds to a conversation."""
        if message not in self._sizes:
            self._sizes[message] = self._count(message)
        return self._sizes[message]

    def _count(self, message: Message) -> int:
        if self._bare is None:
            return estimate(message)
        if (least := least_tokens(message.content)) > self._context:
            return least  # far too long: how far is worth no seconds of work
        written = " ".join((message.content, *(f"{call.name} {call.arguments}" for call in message.calls)))
        alone = Message("user", written if written.strip() else " ", message.images)
        return self._bare.count([alone]) - self._alone + 1 + self._marks

    def _fixed(self, system: Message) -> int:
        """Tokens of what is there before anything is said."""
        return self._size(system) + self._empty

    @cached_property
    def _empty(self) -> int:
        """Tokens of a conversation of one message of one token: what a template puts around it all."""
        return self._counter.count([Message("user", "a")]) if self._counter is not None else MARKS

    @cached_property
    def _alone(self) -> int:
        """The same where there are no tools."""
        return self._bare.count([Message("user", "a")]) if self._bare is not None else MARKS

    @cached_property
    def _marks(self) -> int:
        """Tokens that a template puts around each message."""
        if self._bare is None:
            return MARKS
        three = [Message("user", "a"), Message("assistant", "a"), Message("user", "a")]
        return max(1, (self._bare.count(three) - self._alone - 1) // 2)


def known_context(llm: LanguageModel) -> int | None:
    """Tokens that prompt and answer may fill together, where the engine knows."""
    return llm.context if isinstance(llm, CountsTokens) else None


class Prompt:
    """A conversation on its way into a model, and what of it got there.

    said: all of it but the instructions, `system`. Used from an engine's thread, by one caller at a time.
    """

    def __init__(self, window: ContextWindow, system: Message, said: Sequence[Message]) -> None:
        self._window = window
        self.system = system
        self.said = list(said)
        self.fitted = list(said)
        """What the model was asked with: the end of `said`, and in it what was too long is shortened."""
        self.refused: ContextExceeded | None = None
        """Why it was not answered: its last message alone is too long."""

    def stream(self, *, end_of_turn: bool = False) -> Iterator[str | Delta]:
        """The answer, as `LanguageModel.stream` gives it; or words that say that the message is too long.

        end_of_turn: whether the model says first if the user has said all, where it can.
        """
        return self._window.stream(self, end_of_turn=end_of_turn)

    def prefill(self) -> Iterator[None]:
        """Have the model read it ahead, in parts where it can. What is too long is left to `stream`, which
        has words for it.
        """
        return self._window.prefill(self)


def newest(messages: Sequence[Message], size: Callable[[Message], float], budget: float) -> list[Message]:
    """The end of a conversation that fits `budget`, in the unit of `size`.

    All of it as long as that fits. Otherwise messages of the past are shortened to a quarter of the budget;
    if they still do not fit, of what the last message leaves them the older half is dropped at once, so that
    what comes before stays the same for many turns, and a model's prefix cache valid. What is left of the
    past begins with the user. The last message stays whole, even where it does not fit; where it is the
    result of a call, so do the user's words and the call, and results are shortened if they must.

    No more messages are measured than fit, and one.
    """
    past, last = _asked(messages)
    room, share = budget - sum(map(size, last)), budget * SHARE
    if room < 0 and len(last) > 1:
        last = [beginning(m, share / size(m)) if m.role == "tool" and size(m) > share else m for m in last]
        room = budget - sum(map(size, last))
    kept: list[tuple[Message, float]] = []
    whole = short = 0.0
    for message in reversed(past):
        length = size(message)
        whole, short = whole + length, short + min(length, share)
        kept.append((message if length <= share else beginning(message, share / length), min(length, share)))
        if short > room:
            break
    else:
        return [*(past if whole <= room else (message for message, _ in reversed(kept))), *last]
    left, shorter = room / 2, list[Message]()
    for message, length in kept:
        left -= length
        if left < 0:
            break
        shorter.append(message)
    while shorter and shorter[-1].role in ("assistant", "tool"):
        shorter.pop()
    return [*reversed(shorter), *last]


def _asked(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The past, and what is asked: the last message; or, after a result, all from the user's words on."""
    at = max(0, len(messages) - 1)
    while at > 0 and messages[at].role in ("assistant", "tool") and messages[-1].role == "tool":
        at -= 1
    return list(messages[:at]), list(messages[at:])


def beginning(message: Message, part: float) -> Message:
    """The first `part` (0 to 1) of a message, up to a word's end; of one with pictures, its words."""
    if message.images:
        return replace(message, images=())
    text = message.content[: int(len(message.content) * part)]
    words, space, _ = text.rpartition(" ")
    return replace(message, content=words if space else text)


def estimate(message: Message) -> int:
    """Tokens of a message for a model whose tokenizer is not known: a cautious guess.

    Letters and spaces of ASCII come three to a token, anything else one by one: so they do with most
    tokenizers for digits, signs and scripts without spaces.
    """
    text = "".join((message.content, *(f"{call.name} {call.arguments}" for call in message.calls)))
    plain = sum(letter.isascii() and (letter.isalpha() or letter == " ") for letter in text)
    return -(-plain // 3) + len(text) - plain + PICTURE * len(message.images) + MARKS
