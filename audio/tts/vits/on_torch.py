"""What torch voices share: their noise, how far their networks look aside, what they may raise.

Knows convolutions, whichever library's class they are in; no text and no particular voice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from audio.tts.vits.chunks import Stage, field

FAULTS = (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError, OSError, AssertionError)
"""What running a torch model may raise: its own errors are RuntimeErrors."""


def noise(torch: Any, rng: np.random.Generator, shape: tuple[int, ...], where: Any) -> Any:
    """Normal noise from numpy's generator: the same on every device."""
    return torch.from_numpy(rng.standard_normal(shape, np.float32)).to(where)


def plain(torch: Any, model: Any) -> None:
    """Replace weights that are computed at each use (weight norm) by what they are: the same, but faster."""
    parametrize = torch.nn.utils.parametrize
    for module in list(model.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


def sideways(torch: Any, module: Any) -> int:
    """How many positions on each side the convolutions in `module` look, one after another."""
    return sum(_overlap(conv) for conv in module.modules() if isinstance(conv, torch.nn.Conv1d))


def decoder_field(torch: Any, before: Any, ups: Any, blocks: Any, after: Any) -> tuple[int, int]:
    """The halo in frames of a HiFi-GAN decoder, and the samples of a frame, from its layers.

    before, after: its first and last convolution. ups: its transposed convolutions. blocks: its residual
    blocks, as many for each of `ups`, side by side.
    """
    kinds = len(blocks) // len(ups)
    stages: list[Stage] = []
    hop = 1
    for n, up in enumerate(ups):
        widest = max(sideways(torch, block) for block in blocks[n * kinds : (n + 1) * kinds])
        stages.append(Stage(up.kernel_size[0], up.stride[0], up.padding[0], widest))
        hop *= up.stride[0]
    return field(stages, _overlap(before), _overlap(after)), hop


def _overlap(conv: Any) -> int:
    return (conv.kernel_size[0] - 1) * conv.dilation[0] // 2
