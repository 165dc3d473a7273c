"""What a language model writes for a reply, asked again with the results of what it called. Makes no sound.

The first answer may end in calls of tools. They are begun as they are written, the reply's words before them
are said meanwhile, and when all results are there the model is asked once more, until it calls nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import anyio

from agent.conversation.acts import Act
from agent.conversation.recognition import Recognition
from agent.conversation.reply import Reply
from agent.llm.deltas import closed, deltas
from agent.messages import Message, ToolCall, call_id
from agent.protocols import Delta
from agent.runner import Runner
from agent.settings import Config
from agent.tools.execution import NOT_YET, Execution, Running
from agent.tools.tool import Tool
from agent.turns.phrases import Language, words_of

TICK = 0.02
"""Seconds between two looks at whether a call has come to its end."""
ENOUGH = "No more can be done in this answer. Answer now with what you know."
"""What a model is told that calls again and again."""

Ask: TypeAlias = Callable[[Sequence[Message]], Callable[[], Iterator[str | Delta]]]
"""Given what was said and done in a reply so far, what has the model write on."""


class ToolUse:
    """Has a model write a reply, and runs what it calls. recognition: knows the words around that."""

    def __init__(
        self, config: Config, runner: Runner, execution: Execution, recognition: Recognition
    ) -> None:
        self._limits, self._config, self._most = config.limits, config.tools, config.llm.max_tokens
        self._runner = runner
        self._execution = execution
        self._recognition = recognition

    def _words(self, reply: Reply) -> Language:
        """Those of the language of a reply."""
        return words_of(reply.answers_in) if reply.answers_in else self._recognition.answering

    async def written(self, reply: Reply, ask: Ask) -> AsyncGenerator[Delta]:
        """All that the model writes for `reply`, in one stream of deltas. Raises EngineFault."""
        tools = self._execution.among(reply.manner.tools, own=reply.manner.own_tools)
        for number in range(self._config.rounds + 2):
            if not all(running.done.is_set() for running in reply.acts.calls):
                async for delta in self._waited(reply):
                    yield delta
            write, before = ask(reply.acts.done(reply.text, reply.text)[0]), len(reply.acts.made)
            begin = partial(self._deltas, write, reply, calls=bool(tools))
            limits, due = self._limits, partial(reply.text_due, self._runner.now)
            stream = self._runner.stream("llm", begin, limits.first_token, limits.token, due)
            async with stream as written:
                async for delta in written:
                    reply.end = delta.end or reply.end
                    if delta.call is not None and number <= self._config.rounds:
                        self._call(reply, delta.call, before, tools, enough=number == self._config.rounds)
                    yield self._following(reply, delta)
                    if delta.call is not None and not reply.manner.parallel:
                        break
            if len(reply.acts.made) == before:
                return
            if any(running.by_client for running in reply.acts.made[-1].calls):
                async for delta in self._waited(reply):
                    yield delta
                return
            if reply.acts.asks is not None:
                async for delta in self._waited(reply):
                    yield delta
                yield self._following(reply, Delta(reply.acts.asks.question, tokens=0))
                return

    def _deltas(
        self, write: Callable[[], Iterator[str | Delta]], reply: Reply, *, calls: bool
    ) -> Iterator[Delta]:
        limit = reply.manner.limit
        left = None if limit is None else limit - reply.tokens
        return _ended(deltas(write(), calls=calls), left, self._most)

    def _following(self, reply: Reply, delta: Delta) -> Delta:
        """A step as it follows what was said before: with a blank between two answers, and never anew."""
        if not reply.acts.made or not (delta.text or delta.anew):
            return delta
        begins = reply.acts.made[-1].end == len(reply.text) and reply.text and not reply.text[-1].isspace()
        text = f" {delta.text.lstrip()}" if begins and delta.text.strip() else delta.text
        return replace(delta, text=text, anew=False)

    def _call(
        self, reply: Reply, call: ToolCall, before: int, tools: Mapping[str, Tool], *, enough: bool
    ) -> None:
        """Begin what the model has called, as one of the calls of this answer."""
        if len(reply.acts.made) == before:
            reply.acts.made.append(Act(len(reply.text), []))
        named = replace(call, id=call_id(reply.number, len(reply.acts.calls) + 1))
        question = self._execution.question(named, self._words(reply).go_ahead, tools)
        if enough:
            begun = self._execution.not_done(named, reply.number, ENOUGH, tools.get(call.name))
        elif forbidden := self._execution.forbidden(named, reply.said_by, tools):
            begun = self._execution.not_done(named, reply.number, forbidden, tools.get(call.name))
        elif question:
            reply.acts.ask(named, question)
            begun = self._execution.not_done(named, reply.number, NOT_YET, tools.get(call.name))
        else:
            begun = self._begin(reply, named, tools)
        reply.acts.made[-1].calls.append(begun)

    def agreed(self, reply: Reply, calls: Sequence[ToolCall]) -> None:
        """The user has said yes to these: `reply` begins with them, and is written when they are done."""
        begun = list[Running]()
        for number, call in enumerate(calls, 1):
            named, tools = replace(call, id=call_id(reply.number, number)), self._execution.tools
            if forbidden := self._execution.forbidden(named, reply.said_by, tools):
                begun.append(self._execution.not_done(named, reply.number, forbidden, tools.get(call.name)))
            else:
                begun.append(self._begin(reply, named, tools))
        reply.acts.made.append(Act(0, begun))

    def _begin(self, reply: Reply, call: ToolCall, tools: Mapping[str, Tool]) -> Running:
        begun = self._execution.begin(call, reply.number, reply.authorized, tools)
        if begun.tool is not None and begun.tool.effect == "changes":
            reply.ready()  # it waits for the user's turn to be over
        return begun

    async def _waited(self, reply: Reply) -> AsyncGenerator[Delta]:
        """Wait for what was called, not for ever; in a silence, say once that it takes a moment."""
        quiet = self._runner.now()
        while waiting := [each for each in reply.acts.calls if each.awaited]:
            now = self._runner.now()
            if reply.lead(now) > 0.0 or any(each.state == "waiting" for each in waiting):
                quiet = now
            elif now - quiet >= self._config.announce_after and not reply.acts.announced:
                reply.acts.announced = True
                yield Delta(tokens=0, aside=self._words(reply).moment)
            for each in waiting:
                each.background = each.background or each.ran(now) >= self._config.background_after
            with anyio.move_on_after(TICK):
                await waiting[0].done.wait()


def _ended(written: Iterator[Delta], limit: int | None, usual: int) -> Iterator[Delta]:
    """An answer of no more than `limit` tokens, whose last step says how it ended.

    usual: the most tokens of an answer, by which that is guessed where its engine does not say.
    """
    count, end = 0, None
    with closed(written):
        for delta in written:
            yield delta
            count, end = count + delta.tokens, delta.end or end
            if end is None and limit is not None and count >= limit:
                break
    least = usual if limit is None else min(limit, usual)
    yield Delta(tokens=0, end=end or ("length" if count >= least else "stop"))
