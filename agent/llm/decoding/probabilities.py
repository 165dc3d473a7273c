"""How probable tokens were, as OpenAI's servers and llama.cpp's tell it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from agent.protocols import TokenProbability

UNLIKELY = -9999.0
"""The logarithm of a probability that is next to nothing, as OpenAI tells it: JSON has no infinity."""


def probability(place: Mapping[str, Any], most: int | None = None) -> TokenProbability:
    """One token's entry. most: of the likeliest in its place that are kept; None: all that are told."""
    others = cast(list[Mapping[str, Any]], place.get("top_logprobs") or [])[:most]
    return TokenProbability(*_token(place), tuple(map(_token, others)))


def _token(entry: Mapping[str, Any]) -> tuple[bytes, float]:
    """A token's bytes, those of its text where a server tells none, and the logarithm of its probability."""
    data: Any = entry.get("bytes")
    chance: Any = entry.get("logprob")
    told = bytes(cast(list[int], data)) if isinstance(data, list) else str(entry.get("token", "")).encode()
    return told, logarithm(chance if isinstance(chance, int | float) else UNLIKELY)


def logarithm(chance: float) -> float:
    """The same, where it is one that JSON can say."""
    return float(chance) if chance >= UNLIKELY else UNLIKELY
