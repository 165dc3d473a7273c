"""Coqui's XTTS v2 on torch: many languages, any voice from a few seconds of it. Knows one text at a time.

A GPT writes one latent for each 46 ms, and a HiFi-GAN turns latents into samples. Coqui's own
`inference_stream` decodes all latents again for each chunk, so that its cost grows with the square of the
length. Here each frame is decoded once, with as many around it as the decoder looks at: joined, the chunks
are what decoding the whole gives, to the last sample.

The published weights could not be had where this was written: it is tested on a small model with random
weights, built from Coqui's own classes and saved and loaded by Coqui's own code. It has no durations, so word
times are estimated from the letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

from audio import torch_library
from audio.errors import AudioFileError, ConfigError, EngineFault, ModelError, first_line
from audio.files import read_audio
from audio.frame import Samples, resample
from audio.tts import Speech, Word
from audio.tts.assembly import Spoken, assembled, pause
from audio.tts.coqui_files import config_of, fetched, quiet
from audio.tts.reading import LONGEST, Sentence, sentences
from audio.tts.vits import on_torch
from audio.tts.vits.chunks import STREAMED, Plan, decoded
from audio.tts.vits.stretch import Growing, Source, Stretched

_REFERENCE_RATE = 22_050
_LETTER = 0.065
"""Seconds that a letter lasts, about: 15 a second."""
_LEAD = 0.1
"""Seconds of silence that most sentences begin with, about."""


class XTTS:
    """Speaks with XTTS v2.

    weights: a folder with config.json, model.pth and vocab.json, or Coqui's own name of the model.
    reference: a sound file of the voice to take, best 6 to 12 s of clean speech. voice: without one, a
    speaker of the model's speakers_xtts.pth; "" is its first. language: as in "en"; "" is the model's first.
    speed: 0.5 (slow) to 2. seed: the same text then gives the same samples; None is random. device: "cpu",
    "cuda", or "auto"; on a CPU it is slower than real time.

    Raises ModelError for files that are no XTTS, ConfigError for an unknown voice or language,
    AudioFileError for a bad reference, MissingExtra.
    """

    default_model = "tts_models/multilingual/multi-dataset/xtts_v2"

    def __init__(
        self,
        *,
        weights: Path,
        voice: str = "",
        language: str = "",
        reference: str = "",
        speed: float = 1.0,
        seed: int | None = 0,
        device: str = "auto",
    ) -> None:
        self._torch = torch = torch_library.library("coqui")
        self._device = torch_library.device(torch, device, "tts.device")
        with quiet():
            self._model = _loaded(weights)
        self._model.to(self._device)
        on_torch.plain(torch, self._model.hifigan_decoder)
        self._config = self._model.config
        languages: list[str] = list(self._config.languages)
        self._language = language or languages[0]
        if self._language not in languages:
            raise ConfigError(f"tts.language: XTTS knows {', '.join(languages)}; not {language!r}")
        self._condition, self._speaker = self._cloned(reference) if reference else self._known(voice)
        decoder = self._model.hifigan_decoder.waveform_decoder
        self._halo, self._hop = on_torch.decoder_field(
            torch, decoder.conv_pre, decoder.ups, decoder.resblocks, decoder.conv_post
        )
        self._rate = int(self._model.args.output_sample_rate)
        self._speed, self._seed = speed, seed
        self._plan: Plan = STREAMED

    @staticmethod
    def fetches(model: str) -> bool:
        """Whether it is one of Coqui's own names."""
        return model.startswith("tts_models/")

    @property
    def rate(self) -> int:
        """24,000 Hz."""
        return self._rate

    @property
    def language(self) -> str:
        """The one that was asked for, or the model's first."""
        return self._language

    def faster(self, factor: float) -> XTTS:
        """The same voice, so many times as fast."""
        made = copy(self)
        made._speed = self._speed * factor
        return made

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, several parts a sentence, each as soon as its latents are written.

        Words are the whitespace-delimited words of `text`, their times an estimate. Raises EngineFault when
        synthesis fails.
        """
        torch = self._torch
        random = torch.Generator().manual_seed(self._seed) if self._seed is not None else torch.Generator()
        if self._seed is None:
            random.seed()
        longest = self._model.tokenizer.char_limits.get(self._language.partition("-")[0], LONGEST)
        for sentence in sentences(text, longest):
            said = text[sentence.start : sentence.end]
            words, rest = self._estimated(sentence), pause(said) / self._speed
            spoken = Spoken(sentence.start, sentence.end, words, rest, guessed=True)
            try:
                yield from assembled(self._chunks(said, random), self._rate, spoken)
            except on_torch.FAULTS as error:
                raise EngineFault(f"the voice failed on {text[:40]!r}: {error}") from error

    def _chunks(self, said: str, random: Any) -> Iterator[tuple[Samples, bool]]:
        torch, args = self._torch, self._model.args
        latents = Growing(torch)
        source: Source = latents
        for factor in (
            1 / self._speed,
            args.gpt_code_stride_len / args.output_hop_length,
            args.output_sample_rate / args.input_sample_rate,
        ):
            source = Stretched(torch, source, factor) if factor != 1.0 else source

        def ready() -> Iterator[tuple[int, bool]]:
            for latent in self._latents(said, random):
                latents.items.append(latent)
                yield source.count(False), False
            yield source.count(True), True

        def decode(low: int, high: int) -> Samples:
            with torch.inference_mode():
                frames = source.get(low, high)
                decoder = self._model.hifigan_decoder.waveform_decoder
                return decoder(frames, g=self._speaker).reshape(-1).float().cpu().numpy()

        return decoded(decode, ready(), self._hop, self._halo, self._plan)

    def _latents(self, said: str, random: Any) -> Iterator[Any]:
        """The latents of one sentence, shape (1, channels), each computed when it is asked for.

        GPT-2 over the voice, the text and the audio codes so far, with its keys and values kept. As in
        Coqui's stream, the latent that ends the sentence is one of them.
        """
        torch, gpt, config = self._torch, self._model.gpt, self._config
        ids = self._model.tokenizer.encode(said.strip().lower(), lang=self._language)
        if len(ids) >= self._model.args.gpt_max_text_tokens:
            raise EngineFault(f"a sentence is too long for XTTS ({len(ids)} tokens): {said[:40]!r}")
        whole = torch.tensor([[gpt.start_text_token, *ids, gpt.stop_text_token]], device=self._device)
        codes: list[int] = []
        past: Any = None
        with torch.inference_mode():
            words = gpt.text_embedding(whole) + gpt.text_pos_embedding(whole)
            given = torch.cat([self._condition, words], dim=1)
        code = gpt.start_audio_token
        while len(codes) < gpt.max_gen_mel_tokens and code != gpt.stop_audio_token:
            with torch.inference_mode():
                mark = gpt.mel_embedding(torch.tensor([[code]], device=self._device))
                mark = mark + gpt.mel_pos_embedding.get_fixed_embedding(len(codes), self._device)
                given = mark if codes else torch.cat([given, mark], dim=1)
                made = gpt.gpt(inputs_embeds=given, past_key_values=past, use_cache=True, return_dict=True)
                past = made.past_key_values
                latent = gpt.final_norm(made.last_hidden_state[:, -1])
                code = _drawn(torch, gpt.mel_head(latent)[0].float().cpu(), codes, random, config)
            codes.append(code)
            yield latent

    def _cloned(self, reference: str) -> tuple[Any, Any]:
        """What the GPT and the decoder are told of the voice in a sound file."""
        heard = read_audio(Path(reference).expanduser())
        if heard.duration < 1.0:
            raise AudioFileError(
                f"{reference}: {heard.duration:.1f} s is too short to take a voice from; use 6 s"
            )
        torch, config, model = self._torch, self._config, self._model
        samples = resample(heard.samples, heard.rate, _REFERENCE_RATE)[: config.max_ref_len * _REFERENCE_RATE]
        audio = torch.from_numpy(samples.copy())[None].to(self._device)
        with torch.inference_mode():
            speaker = model.get_speaker_embedding(audio, _REFERENCE_RATE)
            condition = model.get_gpt_cond_latents(
                audio, _REFERENCE_RATE, length=config.gpt_cond_len, chunk_length=config.gpt_cond_chunk_len
            )
        return condition.to(self._device), speaker.to(self._device)

    def _known(self, voice: str) -> tuple[Any, Any]:
        """The same of a speaker that came with the model."""
        manager = self._model.speaker_manager
        known: dict[str, Any] = dict(manager.speakers) if manager is not None else {}
        if not known:
            raise ConfigError("tts.reference: name a WAV file of a voice; this XTTS has none of its own")
        if voice and voice not in known:
            raise ConfigError(f"tts.voice: XTTS has {', '.join(list(known)[:20])}; not {voice!r}")
        chosen = known[voice] if voice else next(iter(known.values()))
        return chosen["gpt_cond_latent"].to(self._device), chosen["speaker_embedding"].to(self._device)

    def _estimated(self, sentence: Sentence) -> list[Word]:
        """The words at an even pace."""
        found: list[Word] = []
        at = _LEAD
        for start, end in sentence.words:
            lasts = (end - start + 1) * _LETTER / self._speed
            found.append(Word(start, end, at, at + lasts))
            at += lasts
        return found


def _drawn(torch: Any, logits: Any, codes: list[int], random: Any, config: Any) -> int:
    """The next code, drawn as the model's config says: repetition penalty, temperature, top-k, top-p."""
    if codes:
        seen = torch.tensor(sorted(set(codes)))
        score = logits[seen]
        penalty = config.repetition_penalty
        logits[seen] = torch.where(score < 0, score * penalty, score / penalty)
    best, index = torch.sort(logits / config.temperature, descending=True)
    best, index = best[: config.top_k], index[: config.top_k]
    chances = torch.softmax(best, dim=-1)
    kept = torch.cumsum(chances, dim=-1) - chances < config.top_p
    return int(index[torch.multinomial(chances * kept, 1, generator=random)])


def _loaded(weights: Path) -> Any:
    if XTTS.fetches(weights.as_posix()):
        weights = fetched(weights.as_posix())
    config = config_of(weights, "xtts")
    from TTS.tts.models.xtts import Xtts

    model: Any = Xtts(config)
    try:
        model.load_checkpoint(config, checkpoint_dir=str(weights), eval=True)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{weights} cannot be loaded as XTTS ({first_line(error)})") from error
    return model
