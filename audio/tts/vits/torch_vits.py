"""VITS on torch, streamed inside the sentence, whichever library built it. Knows the method, not the modules.

Encoder and durations run once for a sentence; flow and decoder run on one chunk of frames at a time, with as
many frames around it as they look at, so that the joined chunks are what the whole would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from audio.errors import EngineFault
from audio.frame import Samples
from audio.tts import Speech, Word
from audio.tts.assembly import Spoken, assembled, pause, timed
from audio.tts.reading import Read, Reader, Sentence, sentences
from audio.tts.vits import on_torch
from audio.tts.vits.chunks import STREAMED, Decode, Plan, decoded


class Network(Protocol):
    """The parts of a VITS model. Tensors have the shape (1, channels, positions)."""

    rate: int
    """Samples a second."""
    hop: int
    """Samples a frame."""
    halo: int
    """Frames on each side that the decoder looks at."""
    flow_halo: int
    """Frames on each side that the flow looks at."""
    device: Any

    def encoded(self, ids: Sequence[int], rng: np.random.Generator) -> tuple[Any, Any, Any]:
        """Mean and log deviation of each token's frames, and the logarithm of how many it lasts."""
        ...

    def noised(self, noise: Any, deviation: Any) -> Any:
        """Noise scaled as the model asks."""
        ...

    def flowed(self, prior: Any) -> Any:
        """Latents of frames from their priors."""
        ...

    def sounded(self, latent: Any) -> Any:
        """Samples of latents."""
        ...


class Alphabet(Protocol):
    """How a model reads."""

    reader: Reader
    language: str
    """By its ISO 639 code; "" where the model does not say."""

    def encoded(self, symbols: Sequence[str]) -> tuple[list[int], list[tuple[int, int]]]:
        """The tokens of a sentence, and for each symbol the half-open range of tokens, its blank included."""
        ...


@dataclass(eq=False, repr=False)
class TorchVits:
    """Speaks with a network. speed: 0.5 (slow) to 2. seed: fixes the noise; None is random."""

    torch: Any
    network: Network
    alphabet: Alphabet
    speed: float
    seed: int | None
    plan: Plan = STREAMED

    @property
    def rate(self) -> int:
        """What the model was made with (Hz)."""
        return self.network.rate

    @property
    def language(self) -> str:
        """What the model reads, where it says so."""
        return self.alphabet.language

    def warm(self) -> None:
        """Speak once, unheard: the first run is slower."""
        for _ in self.stream("Warming up."):
            pass

    def faster(self, factor: float) -> TorchVits:
        """The same voice, so many times as fast."""
        made = copy(self)
        made.speed = self.speed * factor
        return made

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, several parts a sentence, each as soon as it is decoded.

        A sentence is trimmed to what is audible and ends with the pause that its punctuation asks for. Words
        are the whitespace-delimited words of `text` that sound; their times are the network's own durations.
        Raises EngineFault when synthesis fails.
        """
        rng = np.random.default_rng(self.seed)
        net = self.network
        for sentence in sentences(text):
            try:
                read = self.alphabet.reader.read(text, sentence)
                words, decode, frames = self._prepared(read, rng, sentence)
                rest = pause(text[sentence.start : sentence.end]) / self.speed
                spoken = Spoken(sentence.start, sentence.end, words, rest)
                chunks = decoded(decode, [(frames, True)], net.hop, net.halo, self.plan)
                yield from assembled(chunks, net.rate, spoken)
            except on_torch.FAULTS as error:
                raise EngineFault(f"the voice failed on {text[:40]!r}: {error}") from error

    def _prepared(
        self, read: Read, rng: np.random.Generator, sentence: Sentence
    ) -> tuple[list[Word], Decode, int]:
        """All that runs once: the words' times, what decodes a range of frames, and how many there are."""
        torch, net = self.torch, self.network
        ids, places = self.alphabet.encoded(read.phonemes)
        with torch.inference_mode():
            mean, deviation, logs = net.encoded(ids, rng)
            lasts = torch.ceil(torch.exp(logs) / self.speed).reshape(-1).long()
            lasts[0] += lasts.sum() == 0
            spread = torch.repeat_interleave(torch.arange(len(ids), device=net.device), lasts)
            mean, deviation = mean[:, :, spread], deviation[:, :, spread]
            prior = mean + net.noised(on_torch.noise(torch, rng, tuple(mean.shape), net.device), deviation)
        edges = np.append(0, np.cumsum(lasts.cpu().numpy())) * (net.hop / net.rate)
        sounds = [
            (sound, float(edges[begin]), float(edges[end]))
            for sound, (begin, end) in zip(read.phonemes, places, strict=True)
        ]
        frames: int = prior.shape[2]

        def decode(low: int, high: int) -> Samples:
            begin, end = max(0, low - net.flow_halo), min(frames, high + net.flow_halo)
            with torch.inference_mode():
                latent = net.flowed(prior[:, :, begin:end])[:, :, low - begin : high - begin]
                return net.sounded(latent).reshape(-1).float().cpu().numpy()

        return timed(sentence.words, read.owners, sounds), decode, frames
