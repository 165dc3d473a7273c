"""Answers that begin inside a thought which the server's template has opened and nobody tells apart. Pure.

Templates of models that always think (DeepSeek-R1, QwQ) end a prompt with `<think>`. A server without a
parser for that sends the thought as the answer's first words, and `</think>` is the first that tells. If that
were waited for, every ordinary answer would wait for its own end; so it is remembered instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from agent.protocols import Delta, Finish
from agent.text import marks

_OPENS, _CLOSES = "<think>", "</think>"
_ALWAYS = re.compile(r"deepseek-r1|\bqwq\b|glm-z1|\bthinking\b", re.IGNORECASE)
"""Names of models whose templates open a thought before every answer."""


class Beginnings:
    """What one server's answers begin with, learnt from each; expected at first by the `model`'s name."""

    def __init__(self, model: str) -> None:
        self._inside = _ALWAYS.search(model) is not None

    def told(self, items: Iterable[str | Delta]) -> Iterator[str | Delta]:
        """The items of one answer, with what shows a thought at its beginning to be one.

        Expected, it gets its mark; one that then has no end was the answer, and comes again as such. One that
        was not expected is known by its end: the item there is `anew`.
        """
        expected = self._inside
        said, settled, opened = "", False, False
        for item in items:
            if isinstance(item, Finish):
                if expected and opened and not settled and item.end == "stop":
                    self._inside = False
                    yield Delta(f"{_CLOSES}{said}", tokens=0)
                yield item
                continue
            delta = item if isinstance(item, Delta) else Delta(item, tokens=bool(item))
            if delta.thought and not said:  # its server tells them apart
                self._inside, settled = False, True
            if settled or not delta.text:
                yield item
                continue
            said += delta.text
            if expected:
                settled = _CLOSES in said
                yield delta if opened else replace(delta, text=f"{_OPENS}{delta.text}")
                opened = True
            elif ">" in delta.text and marks.unopened(said):
                self._inside = settled = True
                thought, _, rest = said.partition(_CLOSES)
                yield Delta("", thought, delta.tokens, anew=True)
                yield Delta(rest, tokens=0)
            else:
                settled = _OPENS in said
                yield item
