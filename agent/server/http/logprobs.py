"""How probable the tokens of an answer were, as the OpenAI API tells it. Knows no engine and no route."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent.protocols import Delta, TokenProbability

Entry = dict[str, Any]


class Logprobs:
    """Finds, step by step, the tokens that an answer's text is made of.

    Thoughts, marks around them and calls have tokens too, which are none of it. And what a token adds may be
    held back for some steps, as half a character, or what may become a stop string. So it is the text that
    decides: tokens wait until it has come, or shows that they are none of it.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[bytes, TokenProbability | None]] = []
        """Tokens of which nothing has come yet; None: the rest of one of which something has."""
        self.told: list[Entry] = []
        """All that was told of the answer, in order."""

    def feed(self, delta: Delta) -> list[Entry]:
        """The tokens of one more step's text."""
        if delta.anew:
            self.told.clear()
        self._waiting += [(each.data, each) for each in delta.probabilities]
        self._taken(delta.thought.encode())
        found = [_entry(each) for each in self._taken(delta.text.encode())]
        self.told += found
        return found

    def _taken(self, text: bytes) -> list[TokenProbability]:
        """The waiting tokens that this text is made of; none of those before them will be part of any."""
        if not text or not self._waiting:
            return []
        begin, end = self._place(text)
        at, taken, left = 0, list[TokenProbability](), list[tuple[bytes, TokenProbability | None]]()
        for data, token in self._waiting:
            after = at + len(data)
            if after > begin and at < end and token is not None:
                taken.append(token)
            if after > end:
                left.append((data[max(0, end - at) :], token if at >= end else None))
            at = after
        self._waiting = left
        return taken

    def _place(self, text: bytes) -> tuple[int, int]:
        """Where in the bytes of the waiting tokens it is: rather where one of them begins.

        All of them, where it is not: a server that tells other bytes than those of its text.
        """
        whole, at = b"".join(data for data, _ in self._waiting), 0
        for data, _ in self._waiting:
            if whole.startswith(text, at):
                return at, at + len(text)
            at += len(data)
        found = whole.find(text)
        return (found, found + len(text)) if found >= 0 else (0, len(whole))


def transcribed(tokens: Iterable[tuple[bytes, float]]) -> list[Entry]:
    """The same of what a transcript is made of."""
    return [_told(data, chance) for data, chance in tokens]


def _entry(token: TokenProbability) -> Entry:
    likeliest = [_told(data, chance) for data, chance in token.likeliest]
    return {**_told(token.data, token.logprob), "top_logprobs": likeliest}


def _told(data: bytes, chance: float) -> Entry:
    return {"token": data.decode("utf-8", "replace"), "logprob": chance, "bytes": list(data)}
