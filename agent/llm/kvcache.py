"""What a model remembers of the tokens it has read, and in which parts it reads more. Knows no text.

A torch model's memory is here as well: grown in place, rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PART = 0.25
"""Seconds that a part of a prompt takes to read."""
_FIRST, _LEAST = 64, 32
"""Tokens of the first part, while the pace is not known, and of the shortest: each of fewer costs more."""
_BLOCK = 256
"""Tokens for which room is made at once, at least."""


class Memory:
    """The key-value cache of one conversation, and the tokens that it holds.

    config: the model's configuration. Layers with attention keep every token, so that any number of the
    last ones can be taken back. A model that also keeps a running state (linear attention, convolutions)
    cannot go back, and forgets everything instead.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self.forget()

    def forget(self) -> None:
        """Start over, with nothing read."""
        self.tokens: list[int] = []
        self.cache, self._can_go_back = _new_cache(self._config)

    def keep(self, tokens: Sequence[int]) -> int:
        """Roll back to what is remembered of the beginning of `tokens`, and say how many that are."""
        common = shared(self.tokens, tokens)
        if surplus := len(self.tokens) - common:
            if not self._can_go_back:
                self.forget()
                return 0
            self.cache.crop(-surplus)
            del self.tokens[common:]
        return common


class Pace:
    """How fast a model reads, measured, and so how long the parts are in which it reads a long prompt.

    Between two parts others have their turn, and what nobody needs any more is broken off.
    """

    def __init__(self) -> None:
        self._rate = _FIRST / PART
        """Tokens a second."""

    def part(self, known: int, length: int) -> int | None:
        """Where the next part ends of a prompt of `length` tokens, whose first `known` were read; None: it is
        the last one, which may be half as long again.
        """
        size = max(_LEAST, round(self._rate * PART))
        return known + size if length - known > size * 3 // 2 else None

    @contextmanager
    def reading(self, tokens: int) -> Generator[None]:
        """So many tokens are read within."""
        began = time.perf_counter()
        yield
        if tokens >= _LEAST:
            self._rate = tokens / max(time.perf_counter() - began, 1e-6)


def shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of tokens with which both begin."""
    least = min(len(first), len(second))
    if first[:least] == second[:least]:
        return least
    return next(n for n in range(least) if first[n] != second[n])


def _new_cache(config: Any) -> tuple[Any, bool]:
    """An empty cache for a model, and whether it can be rolled back."""
    from transformers import cache_utils

    library: Any = cache_utils
    cache = library.DynamicCache(config=config)
    attention = (library.DynamicLayer, library.DynamicSlidingWindowLayer)
    if any(type(layer) not in (*attention, library.DummyLayer) for layer in cache.layers):
        return cache, False
    # A sliding window forgets what a rollback needs. The attention mask keeps to the window all the same.
    growing = _growing_layer(library.DynamicLayer)
    cache.layers = [growing() if type(layer) in attention else layer for layer in cache.layers]
    return cache, True


def _growing_layer(base: Any) -> Any:
    """A cache layer that writes into room it has; transformers' own copies everything for each token."""

    class Growing(base):
        _room: tuple[torch.Tensor, torch.Tensor] | None = None

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            begin: int = self.get_seq_length()
            end = begin + key_states.shape[-2]
            if self._room is None or end > self._room[0].shape[-2]:
                size = -(-max(end, begin * 3 // 2) // _BLOCK) * _BLOCK
                room = _roomier(key_states, size), _roomier(value_states, size)
                if self._room is not None:
                    for new, old in zip(room, self._room, strict=True):
                        new[..., :begin, :] = old[..., :begin, :]
                self._room = room
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            keys, values = self._room
            keys[..., begin:end, :] = key_states
            values[..., begin:end, :] = value_states
            self.keys, self.values = keys[..., :end, :], values[..., :end, :]
            return self.keys, self.values

    return Growing


def _roomier(like: torch.Tensor, size: int) -> torch.Tensor:
    """An uninitialised tensor as `like`, shape (batch, heads, tokens, width), for `size` tokens."""
    return like.new_empty((*like.shape[:-2], size, like.shape[-1]))
