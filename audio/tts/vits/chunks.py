"""The decoder of a voice in chunks: how long each is, how much must lie around it. Knows no library.

A HiFi-GAN decoder (the last stage of VITS, most of its cost) turns frames into samples by convolutions, so a
sample depends on few frames around its own. Decoded with that many frames on each side, and those samples
dropped, chunks join into what the whole would have been; with fewer they click at each joint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from audio.frame import Samples

Decode = Callable[[int, int], Samples]
"""From the frames of a half-open range, and nothing else, to their samples: `hop` for each frame."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many frames the first chunk has, by what later ones grow, and how many are the most."""

    first: int = 32
    growth: float = 2.0
    largest: int = 256


STREAMED = Plan()
"""Small to begin with, since somebody waits; then larger, since each chunk costs twice the halo more."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One upsampling stage: a transposed convolution, then blocks that look `reach` samples aside."""

    kernel: int
    stride: int
    padding: int
    reach: int


def field(stages: Sequence[Stage], before: int, after: int) -> int:
    """Frames on each side of a frame that its samples depend on: the halo that makes chunks exact.

    before, after: how far the convolution before the first stage looks aside in frames, and the one after
    the last stage in samples.
    """
    hop = 1
    for stage in stages:
        hop *= stage.stride
    low, high = -after, hop - 1 + after
    for stage in reversed(stages):
        low, high = low - stage.reach, high + stage.reach
        # Output o of a transposed convolution is a sum over inputs i with o = i * stride - padding + tap.
        low = -((stage.kernel - 1 - stage.padding - low) // stage.stride)
        high = (high + stage.padding) // stage.stride
    return max(before - low, before + high)


def decoded(
    decode: Decode, ready: Iterable[tuple[int, bool]], hop: int, halo: int, plan: Plan
) -> Iterator[tuple[Samples, bool]]:
    """Samples, chunk by chunk, each made when it is asked for, and with each whether it is the last.

    ready: how many frames there are so far, and whether these are all; drawn on only when more are needed.
    A last chunk that would be tiny is joined to the one before it.
    """
    begin, size = 0, float(plan.first)
    for frames, all_there in ready:
        while begin < frames:
            end = begin + int(size)
            if all_there and frames - end < plan.first // 2:
                end = frames
            if not all_there and end + halo > frames:
                break
            low, high = max(0, begin - halo), min(frames, end + halo)
            samples = decode(low, high)
            yield samples[(begin - low) * hop : (end - low) * hop], all_there and end == frames
            begin, size = end, min(size * plan.growth, plan.largest)
