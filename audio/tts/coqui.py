"""Coqui TTS's VITS voices, and Piper's converted to them, on torch. Knows its modules; no chunks, no words.

A Piper voice is converted while it is loaded, so that a machine without any model hub has real words to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audio import torch_library
from audio.errors import ConfigError, ModelError
from audio.tts.coqui_files import config_of, fetched, quiet, weights_in
from audio.tts.coqui_text import Symbols
from audio.tts.vits import on_torch
from audio.tts.vits.from_piper import converted
from audio.tts.vits.torch_vits import TorchVits


class Coqui(TorchVits):
    """Speaks with one VITS model.

    weights: a folder with a config.json and the model's .pth, as Coqui's training and downloads leave it; a
    Piper voice; or one of Coqui's own names ("tts_models/en/ljspeech/vits"), which Coqui fetches.
    voice: a speaker of a model that has several; "" is its first. speed: 0.5 (slow) to 2. seed: fixes the
    noise, so that the same text gives the same samples; None is random. noise: how much the voice varies, as
    a factor on what the model asks for; 0 is always the same. device: "cpu", "cuda", or "auto".

    Raises ModelError for files that are no such model, ConfigError for an unknown speaker, MissingExtra.
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
        device: str = "auto",
    ) -> None:
        torch = torch_library.library("coqui")
        where = torch_library.device(torch, device, "tts.device")
        with quiet():
            model, symbols = _loaded(torch, weights)
        network = _Network(torch, model, where, _speaker(model, voice), noise)
        super().__init__(torch, network, symbols, speed, seed)

    @staticmethod
    def fetches(model: str) -> bool:
        """Whether it is one of Coqui's own names."""
        return model.startswith("tts_models/")


class _Network:
    """Coqui's `Vits`, as `torch_vits` wants it."""

    def __init__(self, torch: Any, model: Any, device: Any, speaker: int | None, noise: float) -> None:
        self._torch, self._model, self.device, self._noise = torch, model.to(device).eval(), device, noise
        on_torch.plain(torch, model)
        decoder = model.waveform_decoder
        self.halo, self.hop = on_torch.decoder_field(
            torch, decoder.conv_pre, decoder.ups, decoder.resblocks, decoder.conv_post
        )
        self.flow_halo = on_torch.sideways(torch, model.flow)
        self.rate = int(model.config.audio.sample_rate)
        self._speaker: Any = None
        if speaker is not None:
            with torch.inference_mode():
                self._speaker = model.emb_g(torch.tensor([speaker], device=device)).unsqueeze(-1)

    def encoded(self, ids: Sequence[int], rng: np.random.Generator) -> tuple[Any, Any, Any]:
        torch, model = self._torch, self._model
        tokens = torch.tensor([ids], device=self.device)
        x, mean, logs, mask = model.text_encoder(tokens, torch.tensor([len(ids)], device=self.device))
        speaker = self._speaker if model.args.condition_dp_on_speaker else None
        if model.args.use_sdp:
            lasts = self._durations(x, mask, speaker, rng)
        else:
            lasts = model.duration_predictor(x, mask, g=speaker)
        return mean, torch.exp(logs), lasts + np.log(model.length_scale)

    def noised(self, noise: Any, deviation: Any) -> Any:
        return noise * deviation * (self._model.inference_noise_scale * self._noise)

    def flowed(self, prior: Any) -> Any:
        mask = self._torch.ones_like(prior[:, :1])
        return self._model.flow(prior, mask, g=self._speaker, reverse=True)

    def sounded(self, latent: Any) -> Any:
        return self._model.waveform_decoder(latent, g=self._speaker)

    def _durations(self, x: Any, mask: Any, speaker: Any, rng: np.random.Generator) -> Any:
        """What Coqui's stochastic predictor does when it is run backwards, but with noise from `rng`.

        Its own noise comes from torch's one generator, which two conversations would share.
        """
        predictor = self._model.duration_predictor
        hidden = predictor.pre(x)
        if speaker is not None:
            hidden = hidden + predictor.cond(speaker)
        hidden = predictor.proj(predictor.convs(hidden, mask)) * mask
        z = on_torch.noise(self._torch, rng, (1, 2, x.shape[2]), self.device)
        z = z * (self._model.inference_noise_scale_dp * self._noise)
        # VITS leaves out the second flow when it speaks: it does not change the half that is kept.
        for flow in (*reversed(predictor.flows[2:]), predictor.flows[0]):
            z = flow(self._torch.flip(z, [1]), mask, g=hidden, reverse=True)
        return z[:, :1]


def _speaker(model: Any, voice: str) -> int | None:
    """The number of the speaker called `voice`; None where the model has but one."""
    if not hasattr(model, "emb_g"):
        if voice:
            raise ConfigError(f"tts.voice: no speaker {voice!r}; this model has only one: leave it empty")
        return None
    known: dict[str, int] = dict(model.speaker_manager.name_to_id)
    if voice and voice not in known:
        raise ConfigError(f"tts.voice: no speaker {voice!r}; this model has {', '.join(list(known)[:20])}")
    return known[voice] if voice else 0


def convert(voice: Path, folder: Path) -> None:
    """Write a Piper voice as a folder that Coqui loads: config.json and model_file.pth.

    Raises ModelError for a voice that cannot be converted or a folder that cannot be written, MissingExtra.
    """
    torch = torch_library.library("coqui")
    with quiet():
        model, symbols = _from_piper(torch, voice)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config = model.config
        config.use_phonemes = symbols.phonemized
        config.save_json(str(folder / "config.json"))
        torch.save({"model": model.state_dict()}, str(folder / "model_file.pth"))
    except OSError as error:
        raise ModelError(f"{folder} cannot be written ({error.strerror}); name another folder") from error


def _loaded(torch: Any, weights: Path) -> tuple[Any, Symbols]:
    if Coqui.fetches(weights.as_posix()):
        weights = fetched(weights.as_posix())
    if weights.suffix == ".onnx" or any(weights.glob("*.onnx")):
        return _from_piper(torch, weights)
    config = config_of(weights, "vits")
    args = config.model_args
    if args.use_d_vector_file or args.use_language_embedding or args.encoder_sample_rate:
        raise ModelError(
            f"{weights} is a VITS with speaker vectors, several languages or two sample rates, which is not "
            "supported; take one with named speakers or a single one"
        )
    args.init_discriminator = False
    symbols = Symbols(config)
    model = _vits(config)
    state = weights_in(torch, weights)
    missing, _ = model.load_state_dict(state, strict=False)
    if missing := [name for name in missing if not _only_for_training(name)]:
        raise ModelError(f"{weights} lacks weights that its config.json asks for: {', '.join(missing[:3])}")
    return model, symbols


def _from_piper(torch: Any, voice: Path) -> tuple[Any, Symbols]:
    made = converted(voice)
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import VitsArgs

    settings: Any = VitsConfig(model_args=VitsArgs(**made.model_args))
    settings.from_dict(made.config)
    symbols = Symbols(settings)
    model = _vits(settings)
    for name, parameter in model.named_parameters():
        if name not in made.weights:
            if not _only_for_training(name):
                raise ModelError(f"{voice} lacks {name}: not a Piper voice as its export makes them")
            torch.nn.init.zeros_(parameter)
    weights = {name: torch.from_numpy(np.array(value)) for name, value in made.weights.items()}
    model.load_state_dict(weights, strict=False)
    return model, symbols


def _vits(config: Any) -> Any:
    from TTS.tts.models.vits import Vits

    return Vits(config)


def _only_for_training(name: str) -> bool:
    training = ("posterior_encoder.", "disc.", "duration_predictor.post_", "duration_predictor.flows.1.")
    return name.startswith(training)
