"""A decoder in chunks: the halo from its layers, chunks that join exactly, growing sequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from audio.tts.vits.chunks import Plan, Stage, decoded, field


def test_the_field_of_known_decoders() -> None:
    piper = [Stage(16, 8, 4, 45), Stage(16, 8, 4, 45), Stage(8, 4, 2, 45)]  # kernel 7: 3 * 3 + 3 * 12
    assert field(piper, before=3, after=3) == 11
    widest = 5 * (1 + 3 + 5) + 5 * 3  # kernel 11: a dilated and a plain convolution, three times
    hifigan = [
        Stage(16, 8, 4, widest),
        Stage(16, 8, 4, widest),
        Stage(4, 2, 1, widest),
        Stage(4, 2, 1, widest),
    ]
    assert field(hifigan, before=3, after=3) == 13


def smoothed(values: np.ndarray, reach: int, hop: int) -> np.ndarray:
    """A toy decoder: each sample is a sum over the frames up to `reach` aside."""
    padded = np.pad(values, reach)
    frames = np.convolve(padded, np.arange(1, 2 * reach + 2, dtype=np.float64), "valid")
    return np.repeat(frames, hop).astype(np.float32)


@given(some.integers(1, 300), some.integers(0, 9), some.integers(1, 40), some.integers(1, 99))
def test_chunks_join_to_the_whole(frames: int, halo: int, first: int, largest: int) -> None:
    values = np.random.default_rng(0).standard_normal(frames)
    plan = Plan(first, 1.7, max(first, largest))
    parts = list(decoded(lambda a, b: smoothed(values[a:b], halo, 4), [(frames, True)], 4, halo, plan))
    joined = np.concatenate([np.zeros(0, np.float32), *(part for part, _ in parts)])
    np.testing.assert_allclose(joined, smoothed(values, halo, 4)[: frames * 4], atol=1e-4)
    assert [last for _, last in parts] == [n == len(parts) - 1 for n in range(len(parts))]


def test_too_small_a_halo_does_not_join() -> None:
    values = np.random.default_rng(0).standard_normal(200)
    parts = decoded(lambda a, b: smoothed(values[a:b], 5, 1), [(200, True)], 1, 4, Plan(20, 1.0, 20))
    assert np.abs(np.concatenate([part for part, _ in parts]) - smoothed(values, 5, 1)).max() > 0.1


def test_a_growing_sequence_is_decoded_as_soon_as_its_halo_is_there_and_once() -> None:
    values = np.random.default_rng(0).standard_normal(97)
    seen: list[tuple[int, int]] = []
    drawn = 0

    def ready():
        nonlocal drawn
        for drawn in range(1, 98):
            yield drawn, False
        yield 97, True

    def decode(low: int, high: int) -> np.ndarray:
        assert high <= drawn
        seen.append((low, high))
        return smoothed(values[low:high], 3, 2)

    stream = decoded(decode, ready(), 2, 3, Plan(10, 2.0, 30))
    first, _ = next(stream)
    assert (len(first), drawn) == (20, 13)
    joined = np.concatenate([first, *(part for part, _ in stream)])
    np.testing.assert_allclose(joined, smoothed(values, 3, 2), atol=1e-4)
    assert sum(b - a for a, b in seen) <= 97 + 6 * len(seen)


def test_nothing_is_decoded_before_it_is_asked_for() -> None:
    asked: list[tuple[int, int]] = []

    def decode(low: int, high: int) -> np.ndarray:
        asked.append((low, high))
        return np.zeros(high - low, np.float32)

    next(decoded(decode, [(500, True)], 1, 2, Plan()))
    assert asked == [(0, 34)]


@pytest.mark.parametrize("factor", [4.0, 24_000 / 22_050, 1 / 1.3, 1 / 0.7])
def test_a_stretch_is_what_interpolation_of_the_whole_gives(factor: float) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from audio.tts.vits.stretch import Growing, Stretched

    whole = torch.randn(1, 5, 61, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(whole, scale_factor=[factor], mode="linear")
    growing = Growing(torch)
    stretched = Stretched(torch, growing, factor)
    done, parts = 0, []
    for n in range(61):
        growing.items.append(whole[:, :, n])
        if (count := stretched.count(n == 60)) > done:
            parts.append(stretched.get(done, count))
            done = count
    assert done == expected.shape[2]
    assert (torch.cat(parts, dim=2) - expected).abs().max() < 1e-5
