"""What a model's stream is to whoever reads it: clean words for the user, thoughts apart. Knows no engine.

Everything that a language model writes passes here, once, before anything is done with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from agent.errors import NoAnswer
from agent.protocols import Delta
from agent.text.cleaning import Cleaner
from agent.text.machine_text import MachineText, Part

Deltas: TypeAlias = AsyncIterator[Delta]
SHOWN = 60
"""Characters of what a model wrote instead of an answer, in the news of it."""


def deltas(written: Iterable[str | Delta], *, spoken: bool = True) -> Generator[Delta]:
    """Each item of a model's `stream` as what it means, and at the end what was held back, if anything.

    spoken: the words are for a conversation: calls and stage directions are taken out as well. Then NoAnswer
    is raised at the end when there were no words at all. Closing this closes `written`.
    """
    words, thinking, apart = Cleaner(), Cleaner(), MachineText(spoken=spoken)
    seen = {"text": "", "thought": "", "machine": ""}

    def told(parts: list[Part], thought: str, tokens: int) -> Delta:
        for part in parts:
            seen[part.kind] = (seen[part.kind] + part.text)[-SHOWN:].lstrip()
        seen["thought"] += thought.strip()[:SHOWN]
        text = "".join(part.text for part in parts if part.kind == "text")
        thought += "".join(part.text for part in parts if part.kind == "thought")
        return Delta(text, thought, tokens)

    count = 0
    with closed(written):
        for item in written:
            delta = Delta(item, tokens=bool(item)) if isinstance(item, str) else item
            count += delta.tokens
            if delta.anew:
                words, apart, seen["text"] = Cleaner(), MachineText(spoken=spoken), ""
            if thought := thinking.feed(delta.thought):
                apart.apart()
            added = told(apart.feed(words.feed(delta.text)), thought, delta.tokens)
            yield replace(added, anew=True) if delta.anew else added
        last = told([*apart.feed(words.rest()), *apart.rest()], thinking.rest(), 0)
        if last.text or last.thought:
            yield last
    if spoken and not seen["text"]:
        raise _none(seen, count)


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
