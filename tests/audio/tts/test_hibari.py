"""The hibari voice, on its own bundled weights: spans, words, trimming, pauses, determinism, errors."""

import itertools
import subprocess
import sys
from pathlib import Path

import hibari
import hypothesis.strategies as some
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from agent.weights.catalogue import catalogue
from audio.errors import ConfigError, EngineFault, ModelError
from audio.frame import Samples
from audio.tts import hibari as engine
from audio.tts.assembly import CLAUSE_PAUSE, SENTENCE_PAUSE
from audio.tts.hibari import RATE, Hibari, align

AUDIBLE = 10 ** (-50 / 20)
STORY = "The quick brown fox, which is red, jumps over the lazy dog. Did it? Yes: 1,250 people saw it!"


@pytest.fixture(scope="module")
def voice() -> Hibari:
    return Hibari()


def words_of(voice: Hibari, text: str) -> list[str]:
    return [text[w.start : w.end] for speech in voice.stream(text) for w in speech.words]


def audible_ends(samples: Samples) -> tuple[float, float]:
    """Seconds before the first and after the last audible sample."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    return loud[0] / RATE, (len(samples) - 1 - loud[-1]) / RATE


def gaps(samples: Samples, shortest: float) -> list[tuple[float, float]]:
    """Begin and finish, in seconds, of the inner stretches without an audible sample."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE) / RATE
    return [(a, b) for a, b in itertools.pairwise(loud) if b - a >= shortest]


def test_one_part_a_sentence_and_the_spans_cover_the_text(voice: Hibari) -> None:
    text = f"  {STORY}\n"
    parts = list(voice.stream(text))
    assert [text[p.start : p.end].strip() for p in parts] == [
        "The quick brown fox, which is red, jumps over the lazy dog.",
        "Did it?",
        "Yes: 1,250 people saw it!",
    ]
    assert [p.start for p in parts] == [0, *[p.end for p in parts[:-1]]]
    assert parts[-1].end == len(text)
    assert all(p.rate == voice.rate == 24_000 and p.samples.dtype == np.float32 for p in parts)


def test_words_are_the_words_of_the_text_with_their_punctuation(voice: Hibari) -> None:
    assert words_of(voice, STORY) == STORY.split()
    assert words_of(voice, 'Well — "no" (yes) 😀 … it is!') == ["Well", '"no"', "(yes)", "it", "is!"]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid $3.50 & 10% at 7:30 pm on 3/4/2024.",
        "It was 5 km in 20 °C, about 2/3 of the state-of-the-art.",
        "Don’t send mail to me@example.com before May 3, 1999.",
    ],
)
def test_a_word_read_as_several_is_still_one_word(voice: Hibari, text: str) -> None:
    assert words_of(voice, text) == text.replace("20 °C", "20_°C").replace("_", " ").split()


def test_words_follow_each_other_inside_the_speech(voice: Hibari) -> None:
    for speech in voice.stream(STORY):
        times = [t for w in speech.words for t in (w.begin, w.finish)]
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] <= speech.duration - SENTENCE_PAUSE + 1e-6
        assert all(w.finish - w.begin > 0.03 for w in speech.words)


def test_pauses_that_can_be_heard_lie_between_words_not_in_them(voice: Hibari) -> None:
    text = "First, the sun; second, the moon; third, the stars; and last of all: the sea."
    (speech,) = voice.stream(text)
    inner = gaps(speech.samples, 0.15)
    assert len(inner) >= 3
    for begin, finish in inner:
        before = [text[w.start : w.end] for w in speech.words if w.finish <= begin + 0.005]
        assert before[-1].endswith((";", ":"))
        assert not [w for w in speech.words if w.begin < (begin + finish) / 2 < w.finish]


def test_times_come_from_the_network_and_an_estimate_stands_in(
    voice: Hibari, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_DURATIONS", "/no_such_tensor")
    known, estimated = list(voice.stream(STORY)), list(Hibari().stream(STORY))
    off = [
        abs(a.begin - b.begin)
        for one, other in zip(known, estimated, strict=True)
        for a, b in zip(one.words, other.words, strict=True)
    ]
    assert max(off) > 0.02, "the exact times were not used"
    assert np.median(off) < 0.15
    assert [p.samples.tobytes() for p in known] == [p.samples.tobytes() for p in estimated]


def test_the_sound_is_hibaris_own_but_for_the_trim(voice: Hibari) -> None:
    text = "A red fox, and a dog."
    (speech,) = voice.stream(text)
    whole = hibari.Hibari()(text, seed=0)
    pause = round(SENTENCE_PAUSE * RATE)
    inner = speech.samples[200 : -pause - 200]
    at = int(np.flatnonzero(np.abs(whole) > AUDIBLE)[0]) - 240 + 200
    np.testing.assert_array_equal(inner, whole[at : at + len(inner)])


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("It is.", SENTENCE_PAUSE),
        ('Is it?" ', SENTENCE_PAUSE),
        ("it is\n", SENTENCE_PAUSE),
        ("it is,", CLAUSE_PAUSE),
        ("it is —", CLAUSE_PAUSE),
        ("it is", 0.0),
    ],
)
def test_silence_is_trimmed_and_the_pause_fits_the_punctuation(
    voice: Hibari, text: str, pause: float
) -> None:
    (speech,) = voice.stream(text)
    before, after = audible_ends(speech.samples)
    assert before <= 0.011
    assert pause + 0.02 <= after <= pause + 0.031
    assert abs(speech.samples[0]) < 1e-6
    assert abs(speech.samples[len(speech.samples) - 1]) < 1e-6


def test_speed_shortens_speech_and_pause() -> None:
    slow, fast = (next(Hibari(speed=s).stream("A red fox, and a dog.")) for s in (0.8, 1.6))
    assert 1.7 < slow.duration / fast.duration < 2.3
    assert audible_ends(fast.samples)[1] == pytest.approx(SENTENCE_PAUSE / 1.6 + 0.03, abs=0.002)


@pytest.mark.parametrize("text", ["", " \n", "...", "😀🎉", "— ", '"?!"', "你好。"])
def test_nothing_to_say_yields_nothing(voice: Hibari, text: str) -> None:
    assert list(voice.stream(text)) == []


def test_what_has_no_sound_is_still_covered_by_a_span(voice: Hibari) -> None:
    parts = list(voice.stream("😀\nHello there.\n🎉\n- two\n🎉"))
    assert [(p.start, p.end, len(p.words)) for p in parts] == [(0, 19, 2), (19, 24, 1)]


def test_a_seed_repeats_the_samples_and_none_does_not() -> None:
    def samples(seed: int | None) -> bytes:
        return b"".join(p.samples.tobytes() for p in Hibari(seed=seed).stream("Yes. I do."))

    assert samples(3) == samples(3) != samples(4)
    assert samples(None) != samples(None)


def test_a_very_long_sentence_is_cut_between_words(voice: Hibari) -> None:
    text = "very long, " * 60 + "end."
    parts = list(voice.stream(text))
    assert len(parts) > 1
    assert "".join(text[p.start : p.end] for p in parts) == text
    assert all(text[p.start : p.end].rstrip().endswith((",", ".")) for p in parts)
    assert words_of(voice, text) == text.split()


def test_an_unknown_voice_is_refused_with_the_names() -> None:
    with pytest.raises(ConfigError, match=r"'nobody'.*heart.*emma"):
        Hibari(voice="nobody")


def test_a_voice_without_its_file_is_one_clear_line_and_fetches_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetched(*_: object) -> str:
        raise AssertionError("hibari went to the network")

    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    monkeypatch.setattr("hibari.voices.download", fetched)
    with pytest.raises(ModelError, match=r"^the voice 'emma' cannot be loaded .*tts\.voice=heart$"):
        Hibari(voice="emma")


def test_a_damaged_voice_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "emma.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="emma"):
        Hibari(voice="emma", weights=tmp_path / "emma.onnx")


def test_every_voice_of_the_library_has_its_weights_by_name() -> None:
    import hibari.voices

    known = hibari.voices.VOICES
    assert Hibari.voices == {n: "" if v.get("bundled") else f"hibari-{n}" for n, v in known.items()}
    for voice, name in Hibari.voices.items():
        if name:
            (file,) = catalogue()[name].files
            assert (file.name, file.size) == (known[voice]["file"], known[voice]["bytes"])
            assert file.sha256 == known[voice]["sha256"]


def test_a_failing_engine_is_an_engine_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Hibari()
    monkeypatch.setattr(voice._engine, "ids", lambda phonemes: [0, 10**6, 0])  # out of the vocabulary
    with pytest.raises(EngineFault, match="the voice failed on 'Hello"):
        list(voice.stream("Hello."))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=some.text(some.sampled_from("abc AZ 129.,!?:;-—–\"'()/$%&@[]<>#°é中😀\n"), max_size=40))
def test_any_text_gives_ordered_spans_and_words(voice: Hibari, text: str) -> None:
    position = 0
    for speech in voice.stream(text):
        assert speech.start == position
        position = speech.end
        for word in speech.words:
            assert speech.start <= word.start < word.end <= speech.end
            assert not any(c.isspace() for c in text[word.start : word.end])
            assert 0.0 <= word.begin <= word.finish <= speech.duration
        assert [w.start for w in speech.words] == sorted({w.start for w in speech.words})
    assert position in {0, len(text)}


def test_align_shares_out_what_differs_in_order() -> None:
    written, spoken = (
        ["at", "7:30", "pm,", "Dr.", "Who"],
        ["at", "seven", "thirty", "P.M.", ",", "Doctor", "Who"],
    )
    assert align(written, spoken, [1, 2, 1, 1, 1])[:4] == [0, 1, 1, 2]
    assert align(["Well…", "—", "no"], ["Well", "no"], [1, 1, 1]) == [0, 2]
    assert align(["one"], ["one", "more"], [1]) == [0, 0]


def test_importing_the_module_loads_nothing_heavy() -> None:
    code = "import sys, audio.tts.hibari; print({'hibari', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_it_loads_without_scipy_which_others_can_import_all_the_same() -> None:
    """scipy.fft would be a tenth of a command that says one sentence."""
    code = (
        "import sys; from audio.tts.hibari import Hibari; voice = Hibari()\n"
        "assert not [name for name in sys.modules if name.startswith('scipy.')]\n"
        "assert sum(len(part.samples) for part in voice.stream('Hello there.')) > 10_000\n"
        "import scipy.fft; assert scipy.fft.rfft([1.0, 2.0])[0] == 3.0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_models_bytes_are_not_kept_beside_the_network(voice: Hibari) -> None:
    """hibari remembers what it was loaded from: 8 MB, for nothing."""
    assert not any(isinstance(kept, bytes) for kept in vars(voice._engine).values())
