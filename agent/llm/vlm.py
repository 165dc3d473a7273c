"""A language model that sees, on torch, by transformers. Knows tokens, pixels, templates; nothing of turns.

The decode loop is our own, on the hooks that `generate` itself uses for each model's peculiarities (positions
of picture tokens, which inputs belong to the first step only): one pull, one token. Nothing is kept between
two answers: what a picture adds to a prompt differs from model to model.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent.errors import ContextExceeded, EngineFault, ModelError, first_line
from agent.llm.checkpoint import choose_device, decoder_of, faults, from_hub, on_hub, require
from agent.llm.decoding.sampling import Sampler
from agent.llm.decoding.textstream import TextStream, TokenBytes
from agent.messages import Message
from agent.protocols import Delta, Finish, FinishReason
from agent.text.marks import LAST, left_open, structures, template
from audio import torch_library

if TYPE_CHECKING:
    import torch

_CURE = "give a folder in the hub's format, or owner/name on the hub, of a model that takes pictures and text"


class VisionLanguage:
    """A chat model that sees, such as SmolVLM or Qwen-VL: `AutoModelForImageTextToText` and its processor.

    weights: a folder in the hub's format, or `owner/name` on the hub. The rest is as in
    `agent.llm.transformers.Transformers`. Raises MissingExtra without torch, or what the model's own
    processor asks for, ConfigError for a device that is not there, ModelError for other weights.
    """

    takes_pictures = True

    def __init__(
        self,
        weights: Path,
        *,
        context: int = 4096,
        threads: int = 0,
        device: str = "auto",
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        max_tokens: int = 400,
        temperature: float = 0.6,
        top_p: float = 0.9,
        top_k: int = 40,
        min_p: float = 0.05,
        repeat_penalty: float = 1.1,
        stop: Sequence[str] = (),
        seed: int | None = 0,
        slots: int = 1,
        thinking: bool = False,
    ) -> None:
        require("torch", "transformers")
        torch = torch_library.library("torch")
        if threads:
            torch.set_num_threads(threads)
        self._device, number = choose_device(device, dtype)
        self._model, self._processor = _load(weights, self._device, number)
        tokenizer: Any = self._processor.tokenizer
        self._tokenizer = tokenizer
        try:
            self._token_bytes = TokenBytes(decoder_of(tokenizer))
        except ValueError as error:
            raise ModelError(f"{weights}: its tokenizer cannot be streamed: {error}; take another") from error
        self._added: dict[int, Any] = tokenizer.added_tokens_decoder
        self._ends = self._end_tokens()
        self.context = context
        """Tokens that prompt and answer may fill together, pictures included."""
        self._max_tokens = max_tokens
        self._template = template(thinking)
        self._stop = tuple(stop)
        self._sampling: dict[str, Any] = {
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
        }
        self._seed = seed
        self._slots = slots

    @staticmethod
    def fetches(model: str) -> bool:
        """Whether the engine itself gets what `llm.model` names: a model on a hub."""
        return on_hub(model)

    @staticmethod
    def reads(weights: Path) -> bool:
        """Whether what lies at `weights` may be a model that sees: it says how to prepare a picture."""
        return any((weights / f"{name}_config.json").is_file() for name in ("preprocessor", "processor"))

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the answer to `messages` and their pictures, one item a token; an item may be empty.

        Ends and raises as `agent.llm.transformers.Transformers.stream` does.
        """
        inputs = self._inputs(messages)
        length = inputs["input_ids"].shape[1]
        if length >= self.context:
            raise ContextExceeded.of(length, self.context)
        sampler = Sampler(seed=self._seed, **self._sampling)
        text = TextStream(self._bytes_of, self._stop, self._token_bytes.leading)
        answer: list[int] = []
        end: FinishReason = "length"
        if opened := left_open(self._tokenizer.decode(inputs["input_ids"][0][-LAST:])):
            yield Delta(opened, tokens=0)
        for scores in self._steps(inputs, answer):
            token = sampler.choose(scores, answer)
            if token in self._ends:
                end = "stop"
                break
            answer.append(token)
            yield text.push(token)
            if text.stopped:
                end = "stop"
                break
            if len(answer) >= min(self._max_tokens, self.context - length):
                break
        yield Finish(text.rest(), end, length, len(answer))

    def prefill(self, messages: Sequence[Message]) -> None:
        """Read nothing ahead: no answer goes on from what another one has read."""

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that `messages` and their pictures make."""
        return self._inputs(messages)["input_ids"].shape[1]

    def slots(self) -> list[VisionLanguage]:
        """This model once for each slot; an answer keeps nothing, so they only share the weights."""
        return [copy.copy(self) for _ in range(self._slots)]

    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> VisionLanguage:
        """This model with other settings, for one answer, as `Transformers.with_sampling` has them."""
        changed = copy.copy(self)
        changed._max_tokens = min(self._max_tokens, max_tokens or self._max_tokens)
        changed._stop = (*self._stop, *stop)
        changed._seed = seed
        changed._sampling = {**self._sampling, **sampling}
        return changed

    def _steps(self, inputs: dict[str, Any], answer: list[int]) -> Iterator[torch.Tensor]:
        """Scores for the next token, shape (vocabulary,), once more each time `answer` has grown by one."""
        import torch
        from transformers import cache_utils

        ids = inputs.pop("input_ids")
        given = {**inputs, "use_cache": True}
        given["past_key_values"] = cache_utils.DynamicCache(config=self._model.config.get_text_config())
        first = True
        while True:
            try:
                with torch.inference_mode():
                    asked = self._model.prepare_inputs_for_generation(
                        ids, is_first_iteration=first, next_sequence_length=None if first else 1, **given
                    )
                    out = self._model(**asked, return_dict=True)
                    given = self._model._update_model_kwargs_for_generation(out, given)
            except RuntimeError as error:
                raise EngineFault(f"torch failed in the language model: {first_line(error)}") from error
            first = False
            yield out.logits[0, -1]
            ids = torch.cat([ids, torch.tensor([answer[-1:]], device=self._device)], dim=1)

    def _inputs(self, messages: Sequence[Message]) -> dict[str, Any]:
        """What the model's own processor makes of the conversation: token ids, pixels, and what it adds."""
        from jinja2 import TemplateError

        said = [(message.role, self._parts(message)) for message in messages]
        try:
            return self._processed(said)
        except TemplateError:  # some know no system role, or insist that user and model take turns
            merged: list[tuple[str, list[dict[str, Any]]]] = []
            for role, parts in said:
                role = "user" if role == "system" else role
                if merged and merged[-1][0] == role:
                    parts = [*merged.pop()[1], *parts]
                merged.append((role, parts))
            try:
                return self._processed(merged)
            except TemplateError as error:
                raise ModelError(f"the model's chat template refuses the conversation: {error}") from error

    def _processed(self, said: Sequence[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
        made = self._processor.apply_chat_template(
            [{"role": role, "content": parts} for role, parts in said],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=True,
            **self._template,
        )
        return dict(made.to(self._device, dtype=self._model.dtype))

    def _parts(self, message: Message) -> list[dict[str, Any]]:
        """Pictures, then words. A control token that the words spell is taken apart: it is text here."""
        text = message.content
        for token in self._added.values():
            if token.special and token.content in text:
                text = text.replace(token.content, " ".join(token.content))
        pictures = [{"type": "image", "image": picture.image()} for picture in message.images]
        return [*pictures, {"type": "text", "text": text}]

    def _bytes_of(self, token: int) -> bytes:
        if (added := self._added.get(token)) is not None:
            return str(added.content).encode()
        return self._token_bytes(self._tokenizer.convert_ids_to_tokens(token) or "")

    def _end_tokens(self) -> frozenset[int]:
        """What ends an answer: any control token, also those that stand for pictures, and what is named."""
        ends = {n for n, token in self._added.items() if token.special and not structures(token.content)}
        for source in (self._model.generation_config, self._model.config, self._tokenizer):
            found: Any = getattr(source, "eos_token_id", None)  # a number, several, or none
            ends.update([found] if isinstance(found, int) else found or [])
        return frozenset(ends)


def _load(weights: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model, on its device and ready to be asked, and its processor. Raises ModelError."""
    import transformers

    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    library.utils.logging.set_verbosity_error()
    folder = from_hub(weights.as_posix()) if on_hub(weights.as_posix()) else weights
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no model in the hub's format, it has no config.json; {_CURE}")
    try:
        processor = library.AutoProcessor.from_pretrained(folder, local_files_only=True)
        model = library.AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, dtype=dtype
        )
        model = model.to(device).eval()
    except faults() as error:
        raise ModelError(f"{folder}: transformers cannot load it ({first_line(error)}); {_CURE}") from error
    if not getattr(processor, "chat_template", None):
        raise ModelError(f"{folder}: it has no chat template; take the model's instruct variant")
    return model, processor
