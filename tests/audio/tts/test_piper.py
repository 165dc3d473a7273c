"""Piper on its real voice: chunks against the whole graph, words, seeds, speed, closing, errors."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from agent.weights import catalogue as models
from audio.errors import ConfigError, ModelError
from audio.frame import Samples
from audio.tts import Speech
from audio.tts.piper import Piper
from audio.tts.vits.chunks import Plan
from audio.tts.vits.piper_graph import cut

pytestmark = pytest.mark.model

STORY = "The quick brown fox, which is red, jumps over the lazy dog. Did it? Yes: 1,250 people saw it!"
WHOLE = Plan(first=10**6, largest=10**6)


@pytest.fixture(scope="module")
def weights() -> Path:
    return models.resolve("piper-joe")


@pytest.fixture(scope="module")
def voice(weights: Path) -> Piper:
    return Piper(weights=weights)


def joined(parts: list[Speech]) -> Samples:
    return np.concatenate([part.samples for part in parts])


def whole(voice: Piper, text: str, monkeypatch: pytest.MonkeyPatch) -> list[Speech]:
    with monkeypatch.context() as patch:
        patch.setattr(voice, "_plan", WHOLE)
        return list(voice.stream(text))


def test_chunks_are_what_the_whole_sentence_is(voice: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, single = list(voice.stream(STORY)), whole(voice, STORY, monkeypatch)
    assert len(single) == 3
    assert len(parts) > 6
    assert np.abs(joined(parts) - joined(single)).max() <= 1e-4


def test_the_cut_graph_says_what_the_whole_graph_says(weights: Path) -> None:
    """Without noise, our parts in chunks are piper-tts's own audio, silence and loudness aside."""
    from piper import PiperVoice
    from piper.config import SynthesisConfig

    (model,) = weights.glob("*.onnx")
    quiet = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0, normalize_audio=False)
    text = "The lighthouse keeper climbed the stairs."
    (chunk,) = PiperVoice.load(model).synthesize(text, quiet)
    theirs = chunk.audio_float_array
    ours = joined(list(Piper(weights=weights, noise=0.0).stream(text)))
    first = int(np.flatnonzero(np.abs(theirs) > 10 ** (-50 / 20))[0]) - round(0.010 * 22_050)
    inner = slice(200, min(len(ours), len(theirs) - first) - 5_000)
    # onnxruntime fuses the cut graph otherwise than the whole one, so the last bits differ.
    assert np.abs(ours[inner] - theirs[first:][inner]).max() <= 5e-4


def test_the_halo_is_the_decoders_and_no_less_will_do(
    weights: Path, voice: Piper, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model,) = weights.glob("*.onnx")
    parts = cut(model)
    assert (parts.halo, parts.frame_halo, parts.hop) == (11, 32, 256)
    single = joined(whole(voice, STORY, monkeypatch))
    for attribute in ("halo", "frame_halo"):
        with monkeypatch.context() as patch:
            patch.setattr(voice, "_cut", _less(voice, attribute))
            clicking = joined(list(voice.stream(STORY)))
            both = min(len(clicking), len(single))  # what is audible, and so kept, may differ by a sample
            assert np.abs(clicking[:both] - single[:both]).max() > 1e-4


def _less(voice: Piper, attribute: str):
    import dataclasses

    known = voice._cut
    return dataclasses.replace(known, **{attribute: getattr(known, attribute) // 3})


def test_parts_cover_the_text_and_words_are_its_words(voice: Piper) -> None:
    text = f"  {STORY} 😀\n"
    parts = list(voice.stream(text))
    assert parts[0].start == 0
    assert parts[-1].end == len(text)
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert [text[w.start : w.end] for part in parts for w in part.words] == STORY.split()
    assert all(part.rate == voice.rate == 22_050 and part.samples.dtype == np.float32 for part in parts)
    at, times = 0.0, []
    for part in parts:
        for w in part.words:
            assert part.start <= w.start < part.end or w.start >= part.start
            times += [at + w.begin, at + w.finish]
        at += part.duration
    assert times == sorted(times)


def test_a_word_begins_in_the_part_that_lists_it(voice: Piper) -> None:
    for part in voice.stream(STORY):
        assert all(0.0 <= w.begin <= part.duration for w in part.words)


@pytest.mark.parametrize("text", ["", "   \n", "...", "😀", "— – …"])
def test_nothing_to_say(voice: Piper, text: str) -> None:
    assert list(voice.stream(text)) == []


def test_a_seed_repeats_and_another_does_not(weights: Path, voice: Piper) -> None:
    again, other = Piper(weights=weights), Piper(weights=weights, seed=1)
    text = "Hello there."
    first = joined(list(voice.stream(text)))
    np.testing.assert_array_equal(first, joined(list(again.stream(text))))
    np.testing.assert_array_equal(first, joined(list(voice.stream(text))))
    unlike = joined(list(other.stream(text)))
    assert len(unlike) != len(first) or not np.array_equal(unlike, first)


def test_speed(weights: Path, voice: Piper) -> None:
    slow, fast = (sum(p.duration for p in Piper(weights=weights, speed=s).stream(STORY)) for s in (0.7, 1.5))
    normal = sum(p.duration for p in voice.stream(STORY))
    assert slow / normal == pytest.approx(1 / 0.7, rel=0.15)
    assert fast / normal == pytest.approx(1 / 1.5, rel=0.15)


def test_closing_stops_within_one_chunk(voice: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    from audio.tts import piper

    runs = 0
    run = piper._run

    def counted(*args):
        nonlocal runs
        runs += 1
        return run(*args)

    monkeypatch.setattr(piper, "_run", counted)
    stream = voice.stream(STORY * 5)
    next(stream)
    before = runs
    stream.close()
    assert runs == before <= 5


def test_the_flow_makes_few_frames_twice(voice: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made anew for each chunk, with its own halo and the decoder's, it would be half as many again."""
    from audio.tts import piper

    made: list[int] = []
    run = piper._run

    def counted(session, given):
        if session is voice._frames:
            made.append(given[voice._cut.frame_noise].shape[2])
        return run(session, given)

    monkeypatch.setattr(piper, "_run", counted)
    text = STORY.replace(". Did", ", and did").replace("? Yes:", " and yes,")
    whole(voice, text, monkeypatch)
    (frames,) = made
    made.clear()
    assert len(list(voice.stream(text))) > len(made) > 1
    assert sum(made) <= frames + 2 * 32 * (len(made) - 1)


def test_two_texts_at_once_do_not_mix(voice: Piper) -> None:
    texts = ("One fine morning in the spring.", "Another day, another song to sing.")
    alone = [joined(list(voice.stream(text))) for text in texts]
    both: list[list[Speech]] = [[], []]
    streams = [voice.stream(text) for text in texts]
    for first, second in itertools.zip_longest(*streams):
        both[0] += [first] if first else []
        both[1] += [second] if second else []
    for expected, parts in zip(alone, both, strict=True):
        np.testing.assert_array_equal(expected, joined(parts))


def test_errors_say_what_is_wrong(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tts\.voice: no speaker 'bob'; this voice has only one"):
        Piper(weights=weights, voice="bob")
    with pytest.raises(ModelError, match=r"is no Piper voice: name one \.onnx"):
        Piper(weights=tmp_path)
    (model,) = weights.glob("*.onnx")
    broken = tmp_path / model.name
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="it comes with every Piper voice"):
        Piper(weights=broken)
    shutil.copy(f"{model}.json", f"{broken}.json")
    with pytest.raises(ModelError, match="is not an ONNX model"):
        Piper(weights=broken)
    config = json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
    config["espeak"]["voice"] = "klingon-xx"
    Path(f"{broken}.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"tts\.language: espeak does not know 'klingon-xx'"):
        Piper(weights=broken)
