"""Piper voices (VITS in ONNX), streamed inside the sentence. Knows one text at a time; nothing of replies.

The voice's graph is cut: the encoder and the durations run once for a sentence, the flow and the decoder in
chunks, and joined these are what the whole graph gives. piper-tts, whose espeak reads the text, is under the
GPL: that is why Piper is an extra.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio import onnx
from audio.errors import ConfigError, EngineFault, ModelError
from audio.frame import Samples
from audio.tts import Speech, Word
from audio.tts.assembly import Spoken, assembled, pause, timed
from audio.tts.reading import Read, Reader, Sentence, sentences
from audio.tts.vits.chunks import STREAMED, Decode, Plan, decoded
from audio.tts.vits.espeak import Phonemizer
from audio.tts.vits.piper_graph import cut

_START, _END, _PAD = "^", "$", "_"
"""Piper's marks at the start and the end of a sentence, and between any two phonemes."""
_AHEAD, _FARTHEST = 3, 1024
"""How far ahead of the decoder the flow runs: so many times the frames that it has made, with a limit.

Not at once to the end: the second chunk must be there before the first has been heard.
"""


class Piper:
    """Speaks with one Piper voice.

    weights: a voice's .onnx file with its .onnx.json beside it, or a folder that holds both.
    voice: the name of a speaker, for a voice that has several; "" is its first. speed: 0.5 (slow) to 2.
    seed: fixes the noise in the voice, so that the same text gives the same samples; None is random.
    noise: how much the voice varies, as a factor on what the voice itself asks for; 0 is always the same.
    threads: 0 is one for each core.

    Raises ModelError for files that are no Piper voice, ConfigError for an unknown speaker, MissingExtra.
    """

    default_model = "piper-joe"

    def __init__(
        self,
        *,
        weights: Path,
        voice: str = "",
        speed: float = 1.0,
        seed: int | None = 0,
        noise: float = 1.0,
        threads: int = 0,
    ) -> None:
        model, config = voice_files(weights)
        self._reader = Reader(Phonemizer(config).said)
        self._language = str(config["espeak"]["voice"])
        self._ids: Mapping[str, list[int]] = config["phoneme_id_map"]
        self._rate = int(config["audio"]["sample_rate"])
        asked = config.get("inference", {})
        self._scales = np.array(
            [asked.get("noise_scale", 0.667) * noise, 1.0, asked.get("noise_w", 0.8) * noise], np.float32
        )
        self._scales[1] = asked.get("length_scale", 1.0) / speed
        self._speaker = _speaker(config, voice)
        self._speed, self._seed = speed, seed
        self._cut = cut(model)
        self._durations, self._frames, self._decoder = (
            _session(part, threads) for part in (self._cut.durations, self._cut.frames, self._cut.decoder)
        )
        self._faults = onnx.faults()
        self._plan: Plan = STREAMED

    @property
    def rate(self) -> int:
        """What the voice was made with, most often 22,050 Hz."""
        return self._rate

    @property
    def language(self) -> str:
        """As espeak calls what the voice reads."""
        return self._language

    def warm(self) -> None:
        """Speak once, unheard: the first run of each graph is slower."""
        for _ in self.stream("Warming up."):
            pass

    def faster(self, factor: float) -> Piper:
        """The same voice, so many times as fast."""
        made = copy(self)
        made._speed = self._speed * factor
        made._scales = self._scales / np.array([1.0, factor, 1.0], np.float32)
        return made

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, several parts a sentence, each as soon as it is decoded.

        A sentence is trimmed to what is audible and ends with the pause that its punctuation asks for. Words
        are the whitespace-delimited words of `text` that sound; their times are the network's own phoneme
        durations. Raises EngineFault when synthesis fails.
        """
        rng = np.random.default_rng(self._seed)
        for sentence in sentences(text):
            try:
                read = self._reader.read(text, sentence)
                words, decode, frames = self._prepared(read, rng, sentence)
                end = pause(text[sentence.start : sentence.end]) / self._speed
                spoken = Spoken(sentence.start, sentence.end, words, end)
                chunks = decoded(decode, [(frames, True)], self._cut.hop, self._cut.halo, self._plan)
                yield from assembled(chunks, self._rate, spoken)
            except self._faults as error:
                raise EngineFault(f"the voice failed on {text[:40]!r}: {error}") from error

    def _prepared(
        self, read: Read, rng: np.random.Generator, sentence: Sentence
    ) -> tuple[list[Word], Decode, int]:
        """All that runs once: the words' times, what decodes a range of frames, and how many there are."""
        ids, places = self._encoded(read)
        given: dict[str, npt.NDArray[Any]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": self._scales,
            self._cut.duration_noise: rng.standard_normal((1, 2, len(ids)), np.float32),
        }
        if self._speaker is not None:
            given["sid"] = np.array([self._speaker], np.int64)
        given |= _run(self._durations, given)
        given[self._cut.frame_noise] = rng.standard_normal(given[self._cut.like].shape, np.float32)
        edges = np.append(0, np.cumsum(given[self._cut.lengths].ravel())) * (self._cut.hop / self._rate)
        sounds = [
            (sound, float(edges[begin]), float(edges[end]))
            for sound, (begin, end) in zip(read.phonemes, places, strict=True)
        ]
        frames: int = given[self._cut.frame_noise].shape[2]
        return timed(sentence.words, read.owners, sounds), self._decoding(given, frames), frames

    def _decoding(self, given: Mapping[str, npt.NDArray[Any]], frames: int) -> Decode:
        """Decodes ranges of frames, from left to right.

        The flow's halo is larger than the decoder's, so the flow runs ahead of it, in fewer and longer steps.
        """
        by_frame = {name for name, value in given.items() if value.ndim == 3 and value.shape[2] == frames}
        halo, latent = self._cut.frame_halo, self._cut.latent
        flowed: dict[str, npt.NDArray[Any]] = {latent: np.empty_like(given[self._cut.frame_noise])}
        done = 0

        def flow(wanted: int) -> None:
            nonlocal done
            until = wanted + min(_AHEAD * done, _FARTHEST)
            begin, end = max(0, done - halo), min(frames, until + halo)
            if end == frames:
                until = frames
            part = _run(self._frames, {**given, **{name: given[name][:, :, begin:end] for name in by_frame}})
            fresh = part.pop(latent)[:, :, done - begin : until - begin]
            flowed[latent][:, :, done:until] = fresh
            flowed.update(part)
            done = until

        def decode(low: int, high: int) -> Samples:
            if high > done:
                flow(high)
            part = {**given, **flowed, latent: flowed[latent][:, :, low:high]}
            return _run(self._decoder, part)[self._cut.output].reshape(-1)

        return decode

    def _encoded(self, read: Read) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a sentence, and for each phoneme the half-open range of its ids, with the pad."""
        ids = [*self._ids[_START], *self._ids[_PAD]]
        places: list[tuple[int, int]] = []
        for phoneme in read.phonemes:
            begin = len(ids)
            if phoneme in self._ids:  # a voice need not know every sound of espeak's
                ids += [*self._ids[phoneme], *self._ids[_PAD]]
            places.append((begin, len(ids)))
        return [*ids, *self._ids[_END]], places


def voice_files(weights: Path) -> tuple[Path, Mapping[str, Any]]:
    """A Piper voice's .onnx file, and what its .onnx.json says. Raises ModelError, one line."""
    found = sorted(weights.glob("*.onnx")) if weights.is_dir() else [weights]
    if len(found) != 1 or found[0].suffix != ".onnx":
        raise ModelError(f"{weights} is no Piper voice: name one .onnx file, with its .onnx.json beside it")
    beside = found[0].with_name(f"{found[0].name}.json")
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
        if missing := {"audio", "espeak", "phoneme_id_map", "num_symbols", "num_speakers"} - set(config):
            raise ModelError(f"{beside} is no Piper voice's: it lacks {', '.join(sorted(missing))}")
    except (OSError, ValueError) as error:
        raise ModelError(f"{beside} cannot be read ({error}); it comes with every Piper voice") from error
    return found[0], config


def _speaker(config: Mapping[str, Any], voice: str) -> int | None:
    """The number of the speaker called `voice`; None where the voice has but one."""
    known: Mapping[str, int] = config.get("speaker_id_map") or {}
    if voice and voice not in known:
        has = ", ".join(list(known)[:20]) or "only one speaker: leave it empty"
        raise ConfigError(f"tts.voice: no speaker {voice!r}; this voice has {has}")
    if config["num_speakers"] < 2:
        return None
    return known[voice] if voice else int(config.get("default_speaker_id", 0))


def _session(model: bytes, threads: int) -> Any:
    try:
        return onnx.session(model, threads, alone=False)  # the parts of a voice run in turn
    except onnx.faults() as error:
        raise ModelError(f"onnxruntime cannot load this Piper voice ({error})") from error


def _run(session: Any, given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """All outputs of one part of the graph, by name; it takes from `given` what it needs."""
    inputs = {i.name: given[i.name] for i in session.get_inputs()}
    return dict(zip((o.name for o in session.get_outputs()), session.run(None, inputs), strict=True))
