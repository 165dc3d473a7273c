"""Whisper on torch, by transformers' modules. Knows no other engine, and not where weights come from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from audio import torch_library
from audio.errors import EngineFault, MissingExtra, ModelError, first_line
from audio.frame import HEARING_RATE, Samples
from audio.offline import demand_network, offline
from audio.stt import Choose, likeliest
from audio.stt.mel import log_mel
from audio.stt.shortwindow import Decoded, ShortWindow, even_frames, scored, token_cap
from audio.stt.tokens import MULTILINGUAL, detokenise, is_control, is_language, prompt, unwritten

_CURE = (
    "give a folder in transformers' format, or owner/name on the hub, with --set stt.model=..., "
    "or choose --set stt.engine=whisper"
)


class WhisperTorch(ShortWindow):
    """A `Transcriber` for any Whisper model in transformers' format, English-only or multilingual.

    The encoder and the decode loop are our own, on the modules of `WhisperForConditionalGeneration`: the
    library's own encoder refuses anything but 30 s.
    """

    def __init__(
        self,
        weights: Path,
        *,
        language: str = "en",
        languages: Sequence[str] = (),
        threads: int = 0,
        window: float = 10.0,
        device: Literal["cpu", "cuda"] = "cpu",
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    ) -> None:
        """Load the model `weights`: a folder (config.json, weights, tokenizer), or a model's name on the hub.

        language, languages, window: as in `audio.stt.whisper.Whisper`. threads: of torch, for the whole
        process; 0 leaves them as they are, one for each core. dtype: "auto" is float32 on the CPU, float16 on
        a card. Raises MissingExtra without torch or transformers, ModelError when the weights are missing,
        broken or of another kind, ConfigError for a language that the model does not know or a device that
        is not there.
        """
        super().__init__(window)
        self._torch = torch = torch_library.library("torch")
        if threads:
            torch.set_num_threads(threads)
        self._device = torch_library.device(torch, device, "stt.device")
        if dtype == "auto":
            dtype = "float16" if device == "cuda" else "float32"
        self._number = getattr(torch, dtype)
        self._model, ids = _loaded(weights, self._number)
        self._model.to(self._device).eval()
        self._bins = int(self._model.config.num_mel_bins)
        multilingual = int(self._model.config.vocab_size) >= MULTILINGUAL
        try:
            self._end = ids["<|endoftext|>"]
            # The vocabularies of the older models call it so.
            self._silence = ids["<|nocaptions|>" if "<|nocaptions|>" in ids else "<|nospeech|>"]
            self._prompt = [ids[token] for token in prompt(language, multilingual, ids, languages)]
        except KeyError as error:
            raise ModelError(
                f"{weights}: its tokenizer is not Whisper's, it has no {error}; {_CURE}"
            ) from error
        self._names = {number: token for token, number in ids.items()}
        self._spoken = {token[2:-2]: number for token, number in ids.items() if is_language(token)}
        self.detects = language == "auto" and multilingual
        self._likeliest = partial(likeliest, among=languages)
        self._language = "en" if language == "auto" else language
        self._banned, self._banned_first = self._bans()
        self._unwritten = dict[str, Any]()
        self._scores = False

    def scoring(self) -> WhisperTorch:
        """The same, whose transcripts have `tokens`."""
        made = copy(self)
        made._scores = True
        return made

    @staticmethod
    def fetches(model: str) -> bool:
        """Whether it is a hub's name, and no folder here."""
        return re.fullmatch(r"[\w.-]+/[\w.-]+", model) is not None and not Path(model).exists()

    @staticmethod
    def reads(weights: Path) -> bool:
        """Whether what lies at `weights` is in the right format. Looks at no more than its config.json."""
        return _kind(weights) == "whisper"

    def _bans(self) -> tuple[Any, Any]:
        """What is never written, and what not as the first token: 0 or minus infinity for each token.

        The model's own lists (signs that nobody speaks) and all control tokens but the end.
        """
        own = self._model.generation_config
        controls = [number for number, token in self._names.items() if is_control(token)]
        always = {*(own.suppress_tokens or ()), *controls} - {self._end}
        banned = self._torch.zeros(int(self._model.config.vocab_size), device=self._device)
        banned[[number for number in always if 0 <= number < len(banned)]] = -self._torch.inf
        first = banned.clone()
        first[list(own.begin_suppress_tokens or ())] = -self._torch.inf
        return banned, first

    def _never(self, language: str) -> Any:
        """Minus infinity for each token that is not to be written in that language, 0 for the others."""
        if language not in self._unwritten:
            numbers = unwritten(language, {token: number for number, token in self._names.items()})
            scores = self._torch.zeros_like(self._banned)
            scores[[number for number in numbers if number < len(scores)]] = -self._torch.inf
            self._unwritten[language] = scores
        return self._unwritten[language]

    def _decode(self, samples: Samples, seconds: float, choose: Choose | None = None) -> Decoded:
        """One greedy decode of 16 kHz `samples` (n,) padded to `seconds`."""
        torch = self._torch
        features = torch.from_numpy(log_mel(samples, self._bins, even_frames(seconds))[np.newaxis])
        try:
            with torch.inference_mode():
                sound = self._encode(features.to(self._device, self._number))
                return self._write(sound, token_cap(len(samples) / HEARING_RATE), choose)
        except RuntimeError as error:
            raise EngineFault(f"whisper: {first_line(error)}") from error

    def _encode(self, features: Any) -> Any:
        """What the decoder listens to, shape (1, frames / 2, width), from features (1, bins, frames)."""
        encoder, gelu = self._model.model.encoder, self._torch.nn.functional.gelu
        hidden = gelu(encoder.conv2(gelu(encoder.conv1(features)))).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        for layer in encoder.layers:
            hidden = layer(hidden, None)
        return encoder.layer_norm(hidden)

    def _write(self, sound: Any, cap: int, choose: Choose | None) -> Decoded:
        """The likeliest token after each, up to `cap` of them, for the encoded `sound`."""
        memory: Any = None
        language = self._language

        def scores(tokens: list[int]) -> Any:
            """What comes after each of `tokens`, after all before: scores, shape (tokens, vocabulary)."""
            nonlocal memory
            given = self._torch.tensor([tokens], device=self._device)
            made = self._model.model.decoder(
                input_ids=given, encoder_hidden_states=sound, past_key_values=memory, use_cache=True
            )
            memory = made.past_key_values
            return self._model.proj_out(made.last_hidden_state[0]).float()

        # After the first control token the model says whether it hears speech at all, and in which language.
        if self.detects:
            first = scores(self._prompt[:1])[0]
            shares = first[list(self._spoken.values())].softmax(-1).tolist()
            language = (choose or self._likeliest)(dict(zip(self._spoken, shares, strict=True)))
            following = scores([self._spoken[language], *self._prompt[2:]])
        else:
            following = scores(self._prompt)
            first = following[0]
        no_speech = float(first.softmax(-1)[self._silence])
        written, chosen = list[int](), list[float]()
        never = self._never(language)
        token, total, banned = -1, 0.0, self._banned_first
        while len(written) < cap:
            chances = (following[-1] + banned + never).log_softmax(-1)
            token = int(chances.argmax())
            total += float(chances[token])
            if token == self._end:
                break
            written.append(token)
            chosen.append(float(chances[token]))
            if len(written) < cap:
                following, banned = scores([token]), self._banned
        names = [self._names.get(number, "") for number in written]
        tokens = scored(names, chosen) if self._scores else ()
        sure, capped = total / max(1, len(written)), token != self._end
        return Decoded(detokenise(names), sure, no_speech, capped, language=language, scored=tokens)


def _kind(weights: Path) -> str:
    """What a folder's config.json says that the model is; "" where nothing is said."""
    try:
        told: Any = json.loads((weights / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(cast(dict[str, Any], told).get("model_type", "")) if isinstance(told, dict) else ""


def _loaded(weights: Path, number: Any) -> tuple[Any, dict[str, int]]:
    """The model, in that number format, and its vocabulary. Raises ModelError, one line."""
    try:
        import transformers
        from safetensors import SafetensorError
    except ImportError as error:
        raise MissingExtra("this engine needs transformers", "torch") from error
    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    library.utils.logging.set_verbosity_error()
    name = weights.as_posix()
    here = offline() is not None
    if not WhisperTorch.fetches(name) and not WhisperTorch.reads(weights):
        what = f"its model is of the kind {kind}" if (kind := _kind(weights)) else "no model is"
        raise ModelError(f"{name}: {what}, no Whisper in transformers' format; {_CURE}")
    try:
        model, info = library.WhisperForConditionalGeneration.from_pretrained(
            name, dtype=number, output_loading_info=True, local_files_only=here
        )
        ids = library.WhisperTokenizer.from_pretrained(name, local_files_only=here).get_vocab()
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        SafetensorError,
    ) as error:
        if not weights.exists():
            demand_network(name)
        raise ModelError(f"{name}: transformers cannot load it ({first_line(error)}); {_CURE}") from error
    # What the file lacks, the library makes up.
    if lacking := info["missing_keys"] or info["mismatched_keys"]:
        raise ModelError(f"{name}: {len(lacking)} of its weights are missing or of another size; {_CURE}")
    return model, ids
