"""From the scores of all tokens to the one that is written. Knows no model and no text.

The steps are those of transformers, in its order: repetition penalty (Keskar et al., 2019), temperature,
top-k, top-p (Holtzman et al., 2019), min-p (Nguyen et al., 2024). In float32: the candidates are
found where the scores are, and drawn from on the CPU, so that a seed draws the same on every device.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PENALTY_WINDOW = 64
"""Tokens of the answer that the repeat penalty looks back on, as in llama.cpp."""


class Sampler:
    """Chooses the tokens of one answer.

    temperature: 0 takes the most likely token, without a draw. top_p: share of the probability that the
    candidates hold together; 1 is off. top_k: most candidates; 0 is off. min_p: least probability of a
    candidate, as a share of the best one's; 0 is off. repeat_penalty: how much tokens of the answer are
    held back; 1 (or 0) is off. seed: None is random.
    """

    def __init__(
        self,
        *,
        temperature: float,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float = 0.0,
        repeat_penalty: float = 1.0,
        seed: int | None = 0,
    ) -> None:
        import torch

        self._temperature = temperature
        self._top_p, self._top_k, self._min_p = top_p, top_k, min_p
        self._penalty = repeat_penalty or 1.0
        seed = secrets.randbits(63) if seed is None else seed
        self._generator = torch.Generator().manual_seed(seed)

    def choose(self, logits: torch.Tensor, answer: Sequence[int]) -> int:
        """The next token after `answer`, the tokens written so far. logits: shape (vocabulary,)."""
        import torch

        logits = logits.float()
        if self._penalty != 1.0 and answer:
            logits = penalised(logits, answer[-PENALTY_WINDOW:], self._penalty)
        if self._temperature == 0.0:
            return int(logits.argmax())
        tokens, chances = self.candidates(logits)
        return int(tokens[torch.multinomial(chances, 1, generator=self._generator)])

    def candidates(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens, the most likely first, and their weights, both of shape (count,) and on the CPU.

        Weights need not sum to 1. Temperature, top-k, top-p and min-p are applied; the repeat penalty is not.
        """
        import torch

        count = logits.shape[-1]
        scores, tokens = torch.topk(logits / self._temperature, min(self._top_k or count, count))
        scores, tokens = scores.cpu(), tokens.cpu()
        chances = torch.softmax(scores, -1)
        if self._top_p < 1.0:
            # A candidate stays while those before it do not yet hold the share: so the first always does.
            chances[chances.cumsum(-1) - chances >= self._top_p] = 0.0
        if self._min_p > 0.0:
            chances[chances < self._min_p * chances[0]] = 0.0
        some = int(torch.count_nonzero(chances))
        return tokens[:some], chances[:some]


def penalised(logits: torch.Tensor, tokens: Sequence[int], penalty: float) -> torch.Tensor:
    """`logits` with those of `tokens` divided by `penalty` where positive, multiplied where negative."""
    import torch

    index = torch.tensor(list(set(tokens)), device=logits.device)
    found = logits[index]
    return logits.index_put((index,), torch.where(found < 0, found * penalty, found / penalty))
