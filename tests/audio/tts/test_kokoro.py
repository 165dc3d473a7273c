"""Kokoro on a generated graph with its inputs and outputs: a tone of 50 ms for each phoneme."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.errors import ConfigError, MissingExtra, ModelError
from audio.tts import Speech
from audio.tts.kokoro import Kokoro
from audio.tts.kokoro_graph import FADE, NEAR, STREAMED, cuts, joined

_spec = importlib.util.spec_from_file_location("tiny_voices", Path(__file__).with_name("tiny_voices.py"))
assert _spec is not None
assert _spec.loader is not None
tiny_voices = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_voices)

TEXT = "Hello there, my friend. It is 1,250!"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices.kokoro(tmp_path_factory.mktemp("kokoro"))


def test_sentences_words_and_their_durations(weights: Path) -> None:
    parts = list(Kokoro(weights=weights).stream(TEXT))
    assert [TEXT[p.start : p.end].strip() for p in parts] == ["Hello there, my friend.", "It is 1,250!"]
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert [TEXT[w.start : w.end] for part in parts for w in part.words] == TEXT.split()
    (hello, there, my, _), rate = parts[0].words, parts[0].rate
    assert rate == 24_000
    assert hello.finish - hello.begin == pytest.approx(0.05 * len("həlˈoʊ"), abs=0.01)
    assert there.begin == pytest.approx(hello.finish + 0.05, abs=0.01)  # the space between them
    assert my.begin == pytest.approx(there.finish + 0.10, abs=0.01)  # a comma and a space


def test_without_durations_the_words_share_the_time(tmp_path: Path) -> None:
    parts = list(Kokoro(weights=tiny_voices.kokoro(tmp_path, durations=False)).stream("One two three."))
    times = [t for part in parts for w in part.words for t in (w.begin, w.finish)]
    assert len(times) == 6
    assert times == sorted(times)
    assert times[-1] > 0.5


def test_voice_speed_and_silence(weights: Path) -> None:
    def said(**settings: object) -> np.ndarray:
        return np.concatenate([p.samples for p in Kokoro(weights=weights, **settings).stream("Hello there.")])

    assert np.abs(said(voice="bf_emma")).max() == pytest.approx(np.abs(said()).max() / 2, rel=0.01)
    assert len(said(speed=0.5)) > 1.8 * len(said())
    assert list(Kokoro(weights=weights).stream(" … ")) == []


def test_errors_say_what_is_wrong(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"tts\.voice: no voice 'bob'; this Kokoro has af_heart, bf_emma"):
        Kokoro(weights=weights, voice="bob")
    with pytest.raises(
        ConfigError, match=r"tts\.language: Kokoro has no voice for 'xx'; it has en-gb, en-us"
    ):
        Kokoro(weights=weights, language="xx")
    with pytest.raises(ConfigError, match=r"tts\.language: espeak cannot read 'xx'"):
        Kokoro(weights=weights, language="xx", voice="af_heart")
    for module, unread in (("pyopenjtalk", "ja"), ("jieba", "zh")):
        monkeypatch.setitem(sys.modules, f"misaki.{unread}", None)
        with pytest.raises(
            MissingExtra, match=f"needs misaki and {module} to read '{unread}'.*kokoro-{unread}"
        ):
            Kokoro(weights=weights, language=unread, voice="af_heart")
    with pytest.raises(ModelError, match="is no Kokoro: name a folder"):
        Kokoro(weights=tmp_path)
    (tmp_path / "a.onnx").write_bytes(b"no model")
    (tmp_path / "a.bin").write_bytes(b"no voices")
    with pytest.raises(ModelError, match="cannot be loaded as Kokoro"):
        Kokoro(weights=tmp_path)


@pytest.mark.parametrize("japanese", [False, True])
def test_a_voice_a_file_and_the_language_chooses_among_them(
    tmp_path: Path, japanese: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """japanese: whether what reads it is installed; its voices are not offered where it is not."""
    library = ModuleType("pyopenjtalk")
    library.__spec__ = ModuleSpec("pyopenjtalk", None)
    monkeypatch.setitem(sys.modules, "pyopenjtalk", library if japanese else None)
    folder = tiny_voices.kokoro(tmp_path / "one")
    (folder / "voices.bin").unlink()
    loud = np.full((510, 1, 4), 0.5, "<f4")
    (loud / 8).tofile(folder / "jf_alpha.bin")
    for name, level in {"ef_dora": 1.0, "pf_dora": 0.5, "af_heart": 0.25, "bf_emma": 0.75}.items():
        (loud * level).tofile(folder / f"{name}.bin")
    assert Kokoro.voices_in(folder) == {
        "af_heart": "en-us",
        "bf_emma": "en-gb",
        "ef_dora": "es",
        "pf_dora": "pt-br",
        **({"jf_alpha": "ja"} if japanese else {}),
    }

    def level(**settings: str) -> float:
        parts = list(Kokoro(weights=folder, **settings).stream("Ana."))
        return float(np.abs(np.concatenate([part.samples for part in parts])).max()) / 0.5

    for settings, expected in (
        ({}, 0.25),
        ({"language": "es"}, 1.0),
        ({"language": "pt"}, 0.5),
        ({"language": "pt-br"}, 0.5),
        ({"language": "en-gb"}, 0.75),
        ({"language": "en"}, 0.25),
        ({"language": "es", "voice": "bf_emma"}, 0.75),
    ):
        assert level(**settings) == pytest.approx(expected, rel=0.01), settings
    assert Kokoro(weights=folder, voice="pf_dora").language == "pt-br"


def test_a_damaged_voice_is_said_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"xyz", np.zeros((3, 1, 4), "<f4").tobytes(), b"PK\x03\x04 no archive"):
        folder = tiny_voices.kokoro(tmp_path / str(len(content)))
        (folder / "voices.bin").unlink()
        (folder / "af_heart.bin").write_bytes(content)
        with pytest.raises(ModelError, match=r"af_heart\.bin is no voice of this Kokoro"):
            Kokoro(weights=folder)


def test_durations_are_found_in_a_graph_that_keeps_them_to_itself(tmp_path: Path) -> None:
    """As the published file: rounded and clipped on the way to the samples, and no output."""
    parts = list(Kokoro(weights=tiny_voices.kokoro(tmp_path, durations="inside")).stream("Hello there."))
    hello, there = parts[0].words
    assert hello.finish - hello.begin == pytest.approx(0.05 * len("həlˈoʊ"), abs=0.01)
    assert there.begin == pytest.approx(hello.finish + 0.05, abs=0.01)


def test_a_sentence_of_more_phonemes_than_the_network_takes_is_said_whole(weights: Path) -> None:
    text = "Of " + " of ".join(str(n) for n in range(171, 201)) + "."  # 210 letters, 1,000 phonemes
    parts = list(Kokoro(weights=weights).stream(text))
    assert [text[w.start : w.end] for part in parts for w in part.words] == text.split()
    assert parts[-1].words[-1].finish == pytest.approx(parts[-1].duration, abs=0.3)
    assert sum(part.duration for part in parts) > 0.05 * 800


def test_a_network_that_can_be_cut_before_its_decoder_is_heard_in_chunks(tmp_path: Path) -> None:
    """The same sound as at once, and the same words at the same times; a short sentence is one part."""
    text = "Of " + " of ".join(str(n) for n in range(171, 201)) + "."

    def said(folder: Path, text: str) -> tuple[list[Speech], list[tuple[float, float]]]:
        parts, times, at = list(Kokoro(weights=folder).stream(text)), list[tuple[float, float]](), 0.0
        for part in parts:
            times += [(at + word.begin, at + word.finish) for word in part.words]
            at += part.duration
        return parts, times

    cut, whole = (tiny_voices.kokoro(tmp_path / name, cut=name == "cut") for name in ("cut", "whole"))
    (parts, times), (once, expected) = said(cut, text), said(whole, text)
    assert len(parts) > 4
    assert parts[0].duration <= (STREAMED.first + NEAR) * 0.025
    joint, alone = (np.concatenate([part.samples for part in each]) for each in (parts, once))
    assert np.abs(joint - alone).max() < 1e-4
    assert np.array(times) == pytest.approx(np.array(expected), abs=0.01)
    assert len(said(cut, "Hello there.")[0]) == 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=900))
def test_chunks_cover_a_sentence_and_the_first_is_short(loudness: list[int]) -> None:
    at = cuts(np.array(loudness, np.float32))
    lengths = [end - begin for begin, end in itertools.pairwise(at)]
    assert at[0] == 0
    assert at[-1] == len(loudness)
    assert lengths[0] <= max(STREAMED.first + NEAR, 2 * STREAMED.first if len(lengths) == 1 else 0)
    assert len(lengths) == 1 or min(lengths) >= STREAMED.first - NEAR
    for begin in at[1:-1]:
        near = loudness[begin - 1 : begin + 2]
        assert loudness[begin] <= max(near)


def test_chunks_that_are_parts_of_the_whole_join_to_it_and_others_go_over_into_each_other() -> None:
    hop, at = 600, [0, 70, 190, 300]
    whole = np.sin(np.arange(300 * hop) / 9).astype(np.float32)
    chunks = list(joined(lambda low, high: whole[low * hop : high * hop], at, hop))
    assert np.abs(np.concatenate(chunks) - whole).max() < 1e-6
    steps = np.concatenate(
        list(joined(lambda low, high: np.full((high - low) * hop, low, np.float32), at, hop))
    )
    assert np.abs(np.diff(steps)).max() <= max(at) / (FADE - 1) + 1e-3


def test_a_foreign_word_is_read_without_the_mark_that_espeak_gives_it(weights: Path) -> None:
    """espeak marks English in Hindi with "(en)" and "(hi)", whose letters the network would say."""
    said = Kokoro(weights=weights, voice="af_heart", language="hi")._reading().phonemes.said("hello")
    assert "".join(said) == "həlˈəʊ"


def test_chinese_is_read_word_by_word_and_english_in_it_as_english(weights: Path) -> None:
    pytest.importorskip("misaki.zh")
    kokoro = Kokoro(weights=weights, voice="af_heart", language="zh")
    assert "".join(kokoro._reading().phonemes.said("你好，iPhone。")) == "ni↓xau↓, ˈaɪ fˈoʊn ."
    text = "价格是三点五元。"
    (part,) = kokoro.stream(text)
    assert [text[word.start : word.end] for word in part.words] == [*"价格是三点五", "元。"]


def test_japanese_is_read_without_the_marks_of_its_pitch(weights: Path) -> None:
    pytest.importorskip("pyopenjtalk")
    said = Kokoro(weights=weights, voice="af_heart", language="ja")._reading().phonemes.said("三本のペン。")
    assert "".join(said) == "saɴboɴno peɴ."
