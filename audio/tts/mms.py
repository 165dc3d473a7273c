"""VITS voices of the transformers library, such as MMS's of a thousand languages. Knows its modules.

Their weights could not be had where this was written: it is tested on small models with random weights, built
from the real classes and saved and loaded by their own code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audio import torch_library
from audio.errors import ConfigError, MissingExtra, ModelError, first_line
from audio.offline import demand_network, offline
from audio.tts.reading import Reader, sounding
from audio.tts.vits import on_torch
from audio.tts.vits.torch_vits import TorchVits


class MMS(TorchVits):
    """Speaks with one `VitsModel`.

    weights: a folder that `save_pretrained` left, or a hub's name of a model ("facebook/mms-tts-eng").
    voice: the number of a speaker, for a model that has several; "" is its first. speed: 0.5 (slow) to 2.
    seed: fixes the noise, so that the same text gives the same samples; None is random. noise: how much the
    voice varies, as a factor on what the model asks for. device: "cpu", "cuda", or "auto".

    Raises ModelError for what is no such model, ConfigError for an unknown speaker, MissingExtra.
    """

    default_model = "facebook/mms-tts-eng"

    def __init__(
        self,
        *,
        weights: Path,
        voice: str = "",
        speed: float = 1.0,
        seed: int | None = 0,
        noise: float = 1.0,
        device: str = "auto",
    ) -> None:
        torch = torch_library.library("torch")
        where = torch_library.device(torch, device, "tts.device")
        model, tokenizer = _loaded(weights)
        network = _Network(torch, model, where, _speaker(model, voice), noise)
        super().__init__(torch, network, _Letters(tokenizer), speed, seed)

    @staticmethod
    def fetches(model: str) -> bool:
        """Whether it is a hub's name, and no folder here."""
        return re.fullmatch(r"[\w.-]+/[\w.-]+", model) is not None and not Path(model).exists()


class _Letters:
    """What MMS reads: lower-case letters of its language, or phonemes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.language: str = getattr(tokenizer, "language", None) or ""
        self._phonemes: Any = None
        if tokenizer.phonemize:
            from audio.tts.vits.espeak import Phonemizer

            self._phonemes = Phonemizer.of("en-us").said  # the only language that the library itself reads so
            self.language = "en"
            tokenizer.phonemize = False
        self.reader = Reader(self._said)

    def _said(self, text: str) -> list[str]:
        text = sounding(text)
        if self._phonemes is not None:
            return self._phonemes(self._tokenizer.normalize_text(text) if self._tokenizer.normalize else text)
        return list(self._tokenizer.prepare_for_tokenization(text)[0])

    def encoded(self, symbols: Sequence[str]) -> tuple[list[int], list[tuple[int, int]]]:
        known = self._tokenizer.get_vocab()
        between = [0] if self._tokenizer.add_blank else []
        ids = [*between]
        places: list[tuple[int, int]] = []
        for symbol in symbols:
            begin = len(ids)
            if symbol in known:
                ids += [known[symbol], *between]
            places.append((begin, len(ids)))
        return ids or [0], places


class _Network:
    """A `VitsModel`, as `torch_vits` wants it."""

    def __init__(self, torch: Any, model: Any, device: Any, speaker: int | None, noise: float) -> None:
        self._torch, self._model, self.device, self._noise = torch, model.to(device).eval(), device, noise
        on_torch.plain(torch, model)
        decoder = model.decoder
        self.halo, self.hop = on_torch.decoder_field(
            torch, decoder.conv_pre, decoder.upsampler, decoder.resblocks, decoder.conv_post
        )
        self.flow_halo = on_torch.sideways(torch, model.flow)
        self.rate = int(model.config.sampling_rate)
        self._speaker: Any = None
        if speaker is not None:
            with torch.inference_mode():
                self._speaker = model.embed_speaker(torch.tensor([speaker], device=device)).unsqueeze(-1)

    def encoded(self, ids: Sequence[int], rng: np.random.Generator) -> tuple[Any, Any, Any]:
        torch, model = self._torch, self._model
        tokens = torch.tensor([ids], device=self.device)
        mask = torch.ones((1, len(ids), 1), device=self.device)
        made = model.text_encoder(input_ids=tokens, padding_mask=mask, return_dict=True)
        x, mask = made.last_hidden_state.transpose(1, 2), mask.transpose(1, 2)
        if model.config.use_stochastic_duration_prediction:
            lasts = self._durations(x, mask, rng)
        else:
            lasts = model.duration_predictor(x, mask, self._speaker)
        deviation = torch.exp(made.prior_log_variances).transpose(1, 2)
        return made.prior_means.transpose(1, 2), deviation, lasts - np.log(model.speaking_rate)

    def noised(self, noise: Any, deviation: Any) -> Any:
        return noise * deviation * (self._model.noise_scale * self._noise)

    def flowed(self, prior: Any) -> Any:
        return self._model.flow(prior, self._torch.ones_like(prior[:, :1]), self._speaker, reverse=True)

    def sounded(self, latent: Any) -> Any:
        return self._model.decoder(latent, self._speaker)

    def _durations(self, x: Any, mask: Any, rng: np.random.Generator) -> Any:
        """What the stochastic predictor does when it is run backwards, but with noise from `rng`."""
        predictor = self._model.duration_predictor
        hidden = predictor.conv_pre(x)
        if self._speaker is not None:
            hidden = hidden + predictor.cond(self._speaker)
        hidden = predictor.conv_proj(predictor.conv_dds(hidden, mask)) * mask
        z = on_torch.noise(self._torch, rng, (1, 2, x.shape[2]), self.device)
        z = z * (self._model.noise_scale_duration * self._noise)
        # VITS leaves out the second flow when it speaks: it does not change the half that is kept.
        for flow in (*reversed(predictor.flows[2:]), predictor.flows[0]):
            z, _ = flow(self._torch.flip(z, [1]), mask, global_conditioning=hidden, reverse=True)
        return z[:, :1]


def _speaker(model: Any, voice: str) -> int | None:
    count = model.config.num_speakers
    if count < 2:
        if voice:
            raise ConfigError(f"tts.voice: no speaker {voice!r}; this model has only one: leave it empty")
        return None
    if not (voice or "0").isdecimal() or int(voice or 0) >= count:
        raise ConfigError(f"tts.voice: the speakers of this model are 0 to {count - 1}, not {voice!r}")
    return int(voice or 0)


def _loaded(weights: Path) -> tuple[Any, Any]:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("MMS needs transformers", "torch") from error
    library: Any = transformers
    name, here = weights.as_posix(), offline() is not None
    try:
        config = library.AutoConfig.from_pretrained(name, local_files_only=here)
        if config.model_type != "vits":
            raise ModelError(f"tts.model: {name} is a model of the kind {config.model_type}, no VITS")
        model = library.VitsModel.from_pretrained(name, local_files_only=here)
        return model, library.VitsTokenizer.from_pretrained(name, local_files_only=here)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if not weights.exists():
            demand_network(name)
        raise ModelError(
            f"{name} cannot be loaded as a VITS of transformers ({first_line(error)})"
        ) from error
