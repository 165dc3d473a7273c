"""What a model's stream is to whoever reads it: clean words for the user, thoughts apart. Knows no engine.

Everything that a language model writes passes here, once, before anything is done with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from agent.errors import NoAnswer
from agent.messages import ToolCall
from agent.protocols import Delta, Finish
from agent.text import calls as calls_in_text
from agent.text.cleaning import Cleaner
from agent.text.machine_text import MachineText, Part
from agent.text.wrapped import Unwrapped

Deltas: TypeAlias = AsyncIterator[Delta]
SHOWN = 60
"""Characters of what a model wrote instead of an answer, in the news of it."""
MOST_CALLS = 8
"""Calls after which an answer ends: a model that repeats itself would never stop."""


def deltas(written: Iterable[str | Delta], *, spoken: bool = True, calls: bool = False) -> Generator[Delta]:
    """Each item of a model's `stream` as what it means, and at the end what was held back, if anything.

    spoken: the words are for a conversation: calls and stage directions are taken out as well, and words that
    are wrapped in JSON are unwrapped. Then NoAnswer
    is raised at the end when there were no words at all. calls: the model has been told of tools: what it
    has written as a call comes as one, at the end, and words behind one, which are said without knowing its
    result, are left out. Closing this closes `written`.
    """
    words, thinking, apart = Cleaner(), Cleaner(), MachineText(spoken=spoken, calls=calls)
    inside = Unwrapped()
    seen = {"text": "", "thought": "", "machine": ""}
    called, count = _Called(calls), 0

    def told(parts: list[Part], delta: Delta) -> Delta:
        parts = called.taken(parts)
        for part in parts:
            seen[part.kind] = (seen[part.kind] + part.text)[-SHOWN:].lstrip()
        seen["thought"] += delta.thought.strip()[:SHOWN]
        text = "".join(part.text for part in parts if part.kind == "text")
        thought = delta.thought + "".join(part.text for part in parts if part.kind == "thought")
        return replace(delta, text=text, thought=thought)

    def worded(text: str) -> str:
        return inside.feed(text) if spoken else text

    with closed(written):
        for item in written:
            end = item.end if isinstance(item, Finish) else None
            delta = Delta(item, tokens=bool(item), end=end) if isinstance(item, str) else item
            count += delta.tokens
            if delta.anew:
                words, apart, seen["text"] = Cleaner(), MachineText(spoken=spoken, calls=calls), ""
                inside = Unwrapped()
            if thought := thinking.feed(delta.thought):
                apart.apart()
            called.given |= delta.call is not None
            yield told(apart.feed(worded(words.feed(delta.text))), replace(delta, thought=thought))
            if called.over:
                break
        left = worded(words.rest()) + inside.rest()
        last = told([*apart.feed(left), *apart.rest()], Delta("", thinking.rest(), 0))
        if last.text or last.thought:
            yield last
    for call in called.read:
        yield Delta(tokens=0, call=call)
    if spoken and not (seen["text"] or called.given or called.read):
        raise _none(seen, count)


class _Called:
    """The calls that an answer has as text. wanted: whether any are looked for. given: some came as calls."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._machine = ""
        self.given = False
        self.read: list[ToolCall] = []
        self.over = False
        """What comes now is said without knowing what the calls give."""

    def taken(self, parts: list[Part]) -> list[Part]:
        """The parts of one step, without words that stand behind a call."""
        for number, part in enumerate(parts) if self._wanted else ():
            if part.kind == "machine":
                self._machine += part.text
                self.read = [ToolCall("", *each) for each in calls_in_text.read(self._machine)]
            elif part.kind == "text" and part.text.strip() and self.read:
                self.over = True
                return parts[:number]
        self.over = self.over or len(self.read) >= MOST_CALLS
        return [] if self.over else parts


@contextmanager
def closed(written: Iterable[object]) -> Generator[None]:
    """Close a generator at the end of the block; any other iterable is left as it is."""
    try:
        yield
    finally:
        if isinstance(written, Generator):
            written.close()


def _none(seen: dict[str, str], tokens: int) -> NoAnswer:
    """The news that an answer had no words, and what to do."""
    if seen["machine"]:
        return NoAnswer(
            f"the language model wrote nothing to say, only {seen['machine']!r}; ask again in other words"
        )
    if seen["thought"]:
        return NoAnswer(
            f"the language model only thought, for {tokens} tokens, and gave no answer; keep it from "
            "thinking with --set llm.thinking=false, or give it room with "
            f"--set llm.max_tokens={max(1000, 4 * tokens)}"
        )
    return NoAnswer("the language model gave an empty answer; ask again in other words")


def unspeakable(text: str) -> NoAnswer:
    """The news that a voice can say nothing of an answer."""
    return NoAnswer(
        f"nothing that can be said aloud is in {' '.join(text.split())[:SHOWN]!r}; ask again in other words"
    )
