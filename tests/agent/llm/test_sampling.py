"""The sampler against transformers' own logits processors, and what a seed fixes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from agent.llm.decoding.sampling import PENALTY_WINDOW, Sampler, penalised

torch = pytest.importorskip("torch")
processors: Any = pytest.importorskip("transformers.generation.logits_process")

VOCABULARY = 500


def logits(seed: int) -> Any:
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "how",
    [
        {"temperature": 0.6},
        {"temperature": 1.7, "top_k": 40},
        {"temperature": 1.0, "top_p": 0.9},
        {"temperature": 1.0, "top_p": 1e-6},
        {"temperature": 1.0, "min_p": 0.05},
        {"temperature": 1.0, "min_p": 1.0},
        {"temperature": 1.0, "top_k": 10 * VOCABULARY},
        {"temperature": 0.8, "top_k": 30, "top_p": 0.8, "min_p": 0.02},
    ],
)
def test_candidates_and_their_chances_are_those_of_transformers(how: dict[str, Any], seed: int) -> None:
    tokens, weights = Sampler(**how).candidates(logits(seed))
    ours = torch.zeros(VOCABULARY).index_put((tokens,), weights / weights.sum())
    warpers = [processors.TemperatureLogitsWarper(how["temperature"])]
    warpers += [processors.TopKLogitsWarper(how["top_k"])] if "top_k" in how else []
    warpers += [processors.TopPLogitsWarper(how["top_p"])] if "top_p" in how else []
    warpers += [processors.MinPLogitsWarper(how["min_p"])] if "min_p" in how else []
    theirs = logits(seed)[None]
    for warper in warpers:
        theirs = warper(None, theirs)
    torch.testing.assert_close(ours, torch.softmax(theirs[0], -1))
    assert list(weights) == sorted(weights, reverse=True)


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_the_repeat_penalty_is_that_of_transformers(penalty: float) -> None:
    tokens = [3, 400, 3, 17]
    processor = processors.RepetitionPenaltyLogitsProcessor(penalty)
    theirs = processor(torch.tensor([tokens]), logits(0)[None].clone())[0]
    torch.testing.assert_close(penalised(logits(0), tokens, penalty), theirs)


def test_temperature_0_takes_the_best_unless_it_was_said() -> None:
    scores = torch.zeros(VOCABULARY)
    scores[7], scores[8] = 2.0, 1.9
    greedy = Sampler(temperature=0.0, repeat_penalty=1.5)
    assert greedy.choose(scores, []) == 7
    assert greedy.choose(scores, [7]) == 8
    assert greedy.choose(scores, [7] + [1] * PENALTY_WINDOW) == 7  # it was long ago
    assert scores[7] == 2.0  # the caller's scores are left alone


@pytest.mark.parametrize("off", [0.0, 1.0])
def test_a_penalty_of_0_or_1_is_off(off: float) -> None:
    scores = torch.zeros(VOCABULARY)
    scores[7] = 2.0
    assert Sampler(temperature=0.0, repeat_penalty=off).choose(scores, [7]) == 7


def draws(seed: int | None, count: int = 40) -> list[int]:
    sampler = Sampler(temperature=1.0, top_k=50, seed=seed)
    return [sampler.choose(logits(1), []) for _ in range(count)]


def test_a_seed_fixes_the_draws() -> None:
    assert draws(3) == draws(3)
    assert draws(3) != draws(4)
    assert draws(None) != draws(None)
    assert len(set(draws(3))) > 1


def test_draws_follow_the_chances() -> None:
    scores = torch.full((VOCABULARY,), -1e9)
    scores[5], scores[6] = torch.tensor([0.75, 0.25]).log()
    sampler = Sampler(temperature=1.0, seed=1)
    counts = Counter(sampler.choose(scores, []) for _ in range(2000))
    assert set(counts) == {5, 6}
    assert 0.70 < counts[5] / 2000 < 0.80


def test_half_precision_scores_are_sampled_in_full() -> None:
    tokens, weights = Sampler(temperature=1.0, top_k=3).candidates(logits(0).to(torch.float32))
    assert Sampler(temperature=0.0).choose(logits(0).bfloat16(), []) in tokens
    assert weights.dtype == torch.float32
