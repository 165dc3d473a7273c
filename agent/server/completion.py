"""Text from the language model, without sound and turns. Knows no wire."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agent.errors import ContextExceeded, RequestError
from agent.llm.deltas import closed, deltas
from agent.messages import Message, ToolCall, call_id
from agent.protocols import (
    CallsTools,
    Delta,
    Finish,
    FinishReason,
    LanguageModel,
    TakesSampling,
    TellsProbabilities,
    WritesJSON,
)
from agent.server.functions import NOTHING, Calling
from agent.settings import Config
from agent.text.chunker import URGENT, Chunker
from agent.transports.disclosure import Writing
from agent.transports.slot import SessionSlot

Grain = Literal["token", "chunk", "sentence"]

LIKELIEST = 20
"""Most tokens of which the probability is told in the place of one."""
STOPS = 8
"""Strings at which one answer may end."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one answer is sampled; None is what the server is set up with, and a seed of None is random."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    """What its JSON fits; None where it is free text."""
    likeliest: int | None = None
    """Of how many of the likeliest tokens in the place of each of its own the probability is told; None: of
    no token."""


@dataclass
class Written:
    """What one answer came to, filled in while it is written."""

    tokens: int = 0
    prompt_tokens: int = 0
    """0 where the engine does not count them."""
    limit: int = 0
    text: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    """What its client is to run."""
    end: FinishReason | None = None
    """How it ended, where its engine says so."""
    _before: int = 0
    """Tokens of what was written before this, in vain."""

    def again(self) -> None:
        """The model is asked once more."""
        self._before, self.end = self.tokens, None

    def note(self, item: str | Delta) -> None:
        """One more item of the model's stream."""
        if isinstance(item, Finish):
            self.end = item.end
            self.prompt_tokens = item.prompt_tokens
            self.tokens = self._before + item.tokens if item.tokens else self.tokens
        else:
            self.tokens += item.tokens if isinstance(item, Delta) else bool(item)

    @property
    def reason(self) -> FinishReason:
        """Why it ended."""
        return self.end or ("length" if self.tokens >= self.limit else "stop")

    @property
    def finish_reason(self) -> str:
        """The same, as the OpenAI API spells it."""
        return "tool_calls" if self.calls else self.reason

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, as the OpenAI API spells them."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
        }


@asynccontextmanager
async def write(
    slot: SessionSlot,
    config: Config,
    messages: Sequence[Message],
    sampling: Sampling,
    written: Written,
    calling: Calling = NOTHING,
) -> AsyncGenerator[AsyncIterator[Delta]]:
    """The answer to `messages`, a token at a time, pulled; leaving the block stops the model.

    Thoughts are apart, and calls where the client has declared tools; else they stay, as stage directions do:
    the text itself was asked for, not its sound.

    Raises RequestError when the model cannot be sampled so or the conversation is too long for it,
    EngineFault when it fails.
    """
    llm = _sampled(slot.engines.llm, config, replace(sampling, schema=None, likeliest=None))
    keeps_limit = isinstance(llm, TakesSampling)
    if sampling.schema is not None:
        llm = _held(llm, config, sampling.schema)
    if sampling.likeliest is not None:
        llm = _telling(llm, config, sampling.likeliest)
    if calling.tools:
        llm = _told_of(llm, config, sampling, calling)
    written.limit = min(config.llm.max_tokens, sampling.max_tokens or config.llm.max_tokens)

    words = Writing()

    def counted(asked: Sequence[Message]) -> Iterator[str | Delta]:
        written_by: Iterator[str | Delta] = llm.stream(asked)
        with closed(written_by):
            for item in written_by:
                written.note(item)
                words.add(item if isinstance(item, str) else item.text or item.thought)
                if item:
                    yield item
                if written.tokens >= written.limit and not keeps_limit:
                    return

    async def kept(stream: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
        async for delta in stream:
            if delta.call is not None:
                delta = replace(delta, call=replace(delta.call, id=f"call_{uuid.uuid4().hex[:24]}"))
                written.calls += [delta.call] if delta.call is not None else []
            if delta.anew:  # who streams has sent it
                written.text.clear()
            written.text.append(delta.text)
            written.thought.append(delta.thought)
            yield delta
            if written.calls and not calling.parallel:
                return

    try:
        async with slot.runner(background=True).stream(
            "llm",
            lambda: _answered(counted, messages, calling, written, config.tools.rounds),
            config.limits.first_token,
            config.limits.token,
        ) as stream:
            yield kept(stream)
    except ContextExceeded as error:
        raise RequestError(error.public, 400, error.code, param="messages") from error


def _answered(
    ask: Callable[[Sequence[Message]], Iterator[str | Delta]],
    messages: Sequence[Message],
    calling: Calling,
    written: Written,
    rounds: int,
) -> Iterator[Delta]:
    """The answer, with calls that the client can run. One that it cannot is told to the model, which is asked
    again, at most `rounds` times. Raises RequestError where that is of no use.
    """
    asked, why = list(messages), ""
    for _ in range(rounds):
        calls = list[ToolCall]()
        refused = list[Message]()
        with closed(stream := deltas(ask(asked), spoken=False, calls=bool(calling.tools))):
            for delta in stream:
                if delta.call is not None and (why := calling.refusal(delta.call)):
                    calls.append(replace(delta.call, id=call_id(0, len(calls) + 1)))
                    refused.append(Message("tool", why, call=calls[-1].id))
                else:
                    yield delta
        if written.calls or not calls:
            return
        written.again()
        asked += [Message("assistant", "", calls=tuple(calls)), *refused]
    text = f"tools: the language model calls them wrongly, again and again. {why}"
    raise RequestError(text, 500, "server_error", param="tools")


async def grains(written: AsyncIterator[Delta], grain: Grain) -> AsyncIterator[str]:
    """The text in chunks, without thoughts: tokens, speakable chunks, or whole sentences."""
    chunker, sentence = Chunker(), ""
    ahead = URGENT if grain == "chunk" else float("inf")
    async for delta in written:
        if not delta.text:
            continue
        if grain == "token":
            yield delta.text
            continue
        for chunk in chunker.feed(delta.text, ahead):
            sentence += chunk.text
            if grain == "chunk" or chunk.final:
                yield sentence
                sentence = ""
    for chunk in chunker.flush():
        sentence += chunk.text
        if grain == "chunk" or chunk.final:
            yield sentence
            sentence = ""
    if sentence:
        yield sentence


def _held(llm: LanguageModel, config: Config, schema: Mapping[str, Any]) -> LanguageModel:
    """The model, held to a schema. Raises RequestError."""
    if not isinstance(llm, WritesJSON):
        text = f"response_format: the engine {config.llm.engine!r} writes text alone"
        raise RequestError(text, param="response_format")
    return llm.with_schema(schema)


def _telling(llm: LanguageModel, config: Config, likeliest: int) -> LanguageModel:
    """The model, which tells how probable its tokens were. Raises RequestError."""
    if not isinstance(llm, TellsProbabilities):
        text = f"logprobs: the engine {config.llm.engine!r} does not tell them; leave it out"
        raise RequestError(text, param="logprobs")
    return llm.with_probabilities(likeliest)


def _told_of(llm: LanguageModel, config: Config, sampling: Sampling, calling: Calling) -> LanguageModel:
    """The model, told of what it may call. Raises RequestError."""
    if not isinstance(llm, CallsTools):
        text = f"tools: the engine {config.llm.engine!r} cannot call any; leave them out"
        raise RequestError(text, param="tools")
    if sampling.schema is not None:
        text = "response_format: not to be had together with tools; leave one of them out"
        raise RequestError(text, param="response_format")
    return llm.with_tools(calling.tools, required=calling.required)


def _sampled(llm: LanguageModel, config: Config, sampling: Sampling) -> LanguageModel:
    if not isinstance(llm, TakesSampling):
        if sampling == Sampling(max_tokens=sampling.max_tokens):
            return llm  # the limit alone is kept by who pulls
        raise RequestError(
            f"the engine {config.llm.engine!r} cannot change how it samples for one request; leave out "
            "temperature, top_p, stop and seed"
        )
    chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    return llm.with_sampling(
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        **{name: value for name, value in chosen.items() if value is not None},
    )
