"""A chat model on torch, by transformers. Knows tokens and templates, nothing of turns.

The decode loop is our own. Each pull reads what the key-value cache does not hold yet, most often the one
token before, and chooses the next. What the cache holds is known token by token, so the next turn reads
only what is new in it, and one that goes on from less (a reply was cut off) rolls the cache back. What is
pulled by several slots at the same time is computed together (`agent.llm.batch`).
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from agent.errors import ContextExceeded, EngineFault, ModelError, first_line
from agent.llm.batch import Batch
from agent.llm.checkpoint import choose_device, decoder_of, load, on_hub, require
from agent.llm.decoding.kvcache import shared
from agent.llm.decoding.probabilities import logarithm
from agent.llm.decoding.sampling import Sampler
from agent.llm.decoding.textstream import TextStream, TokenBytes
from agent.messages import Message, ToolCall, ToolSchema, alternating, in_words
from agent.protocols import Delta, Finish, FinishReason, TokenProbability
from agent.text.calls import TAG
from agent.text.marks import LAST, left_open, structures, template
from audio import torch_library

if TYPE_CHECKING:
    import torch


class Transformers:
    """A causal chat model on torch.

    weights: a folder in the hub's format, a GGUF file, or `owner/name` on the hub. device: "auto", "cpu",
    "cuda", "cuda:1", ... dtype: "auto" is bfloat16 on a CUDA card, else float32. context: tokens that
    prompt and answer may fill together, at most what the model was made for. threads: of torch, for the
    whole process; 0 leaves them as they are, one for each core. slots: conversations that may be answered
    at the same time, see `slots`. The rest is as in `agent.llm.llamacpp.LlamaCpp`.

    Raises MissingExtra without torch, ConfigError for a device that is not there, ModelError for weights
    that cannot be loaded or are no chat model.
    """

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
        self._model, self._tokenizer = load(weights, self._device, number)
        try:
            self._token_bytes = TokenBytes(decoder_of(self._tokenizer))
        except ValueError as error:
            raise ModelError(f"{weights}: its tokenizer cannot be streamed: {error}; take another") from error
        self._added: dict[int, Any] = self._tokenizer.added_tokens_decoder
        self._template = template(thinking)
        self._tools: tuple[ToolSchema, ...] = ()
        self._own_form = False
        """Whether its template has a form for these tools, and for calls and results."""
        self._told: int | None = None
        """Of how many of the likeliest tokens in the place of each the probability is told; None: of none."""
        self._lead = ""
        """With what an answer is begun for it."""
        self._ends = self._end_tokens()
        self.context: int = min(
            context, getattr(self._model.config, "max_position_embeddings", None) or context
        )
        """Tokens that prompt and answer may fill together."""
        self._asked_context = context
        self._batch = Batch(self._model, self._device, slots, self.context)
        self._pace, self._row = self._batch.pace, self._batch.rows[0]
        self._max_tokens = max_tokens
        self._stop = tuple(stop)
        self._sampling: dict[str, Any] = {
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
        }
        self._seed = seed

    @staticmethod
    def fetches(model: str) -> bool:
        """Whether the engine itself gets what `llm.model` names: a model on a hub."""
        return on_hub(model)

    def warm(self) -> None:
        """Read a few words, so that the first turn does not pay for torch's first steps, and find out how
        the slots are computed together.
        """
        self._batch.prepare(self._prompt([Message("user", "Hello.")]))

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the answer to `messages`, one item a token; an item may be empty.

        Each pull evaluates one token. The answer ends at the model's end of turn, at any other control
        token, at a stop string, after `max_tokens`, or where the context is full. Raises ContextExceeded when
        `messages` do not fit it, ModelError when the template refuses them, EngineFault when torch fails.
        """
        prompt = self._prompt(messages)
        opened = left_open(self._tokenizer.decode(prompt[-LAST:]))
        begun = self._lead if not opened else ""  # in the middle of a thought nothing is called
        prompt += self._encode(begun)
        self._check_room(len(prompt))
        sampler = Sampler(seed=self._seed, **self._sampling)
        text = TextStream(self._bytes_of, self._stop, self._token_bytes.leading)
        answer: list[int] = []
        end: FinishReason = "length"
        for _ in self._parts(prompt):
            yield ""
        if opened or begun:
            yield Delta(opened or begun, tokens=0)
        while len(answer) < self._max_tokens and len(prompt) + len(answer) < self.context:
            logits = self._read(prompt + answer)
            token = sampler.choose(logits, answer)
            if token in self._ends:
                end = "stop"
                break
            answer.append(token)
            yield self._step(text.push(token), logits, token)
            if text.stopped:
                end = "stop"
                break
        yield Finish(text.rest(), end, len(prompt), len(answer))

    def prefill(self, messages: Sequence[Message]) -> None:
        """Read `messages` into the prefix cache, so that a later `stream` starts sooner.

        Reading stops with the last message's text: what the template puts behind it depends on what
        comes next. Raises as `stream` does.
        """
        for _ in self.prefill_parts(messages):
            pass

    def prefill_parts(self, messages: Sequence[Message]) -> Iterator[None]:
        """The same in parts; see `agent.protocols.ReadsInParts`."""
        if messages and (prompt := self._prompt(messages, open_end=True)):
            self._check_room(len(prompt))
            yield from self._parts(prompt)
            self._read(prompt)

    def _parts(self, prompt: list[int]) -> Iterator[None]:
        """Read all but the last part of a prompt."""
        while end := self._pace.part(shared(self._row.tokens, prompt), len(prompt)):
            self._read(prompt[:end])
            yield

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that `messages` make. Raises ModelError where the template refuses them."""
        return len(self._prompt(messages))

    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> Transformers:
        """This slot, told of these tools: in its template's own form, or in words where that has none.

        What it calls is read from its text; nothing holds it to their schemas. required: its answer is begun
        for it, as a call.
        """
        told = self._changed(_tools=tuple(tools), _own_form=True)
        probe = told._apply([Message("user", "?")], answer=True)
        own = any(tool.name in probe for tool in tools)
        begun = f'{{"name": "{tools[0].name}", "arguments": {{' if len(tools) == 1 else '{"name":'
        lead = (f"{TAG}\n" if TAG in probe else "") + begun if required else ""
        return told._changed(_own_form=own, _lead=lead)

    def slots(self) -> list[Transformers]:
        """This model once for each slot: all may stream at the same time, one conversation each."""
        return [self._changed(_row=row) for row in self._batch.rows]

    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> Transformers:
        """This slot with other settings, for one answer. max_tokens: no more than configured.

        sampling: `temperature` and `top_p`, where they differ. seed: None is random.
        """
        return self._changed(
            _max_tokens=min(self._max_tokens, max_tokens or self._max_tokens),
            _stop=(*self._stop, *stop),
            _seed=seed,
            _sampling={**self._sampling, **sampling},
        )

    def with_probabilities(self, count: int) -> Transformers:
        """This slot, which tells how probable its tokens were; see `TellsProbabilities`."""
        return self._changed(_told=count)

    def _step(self, text: str, logits: torch.Tensor, token: int) -> str | Delta:
        """A step of an answer, with how probable its token was, if that is to be told.

        logits: shape (vocabulary,), in the place of the token.
        """
        if self._told is None:
            return text
        logprobs = logits.float().log_softmax(-1)
        best = logprobs.topk(min(self._told, len(logprobs)))
        likeliest = zip(best.indices, best.values, strict=True)
        told = tuple((self._bytes_of(int(each)), logarithm(float(chance))) for each, chance in likeliest)
        own = TokenProbability(self._bytes_of(token), logarithm(float(logprobs[token])), told)
        return Delta(text, probabilities=(own,))

    def _changed(self, **attributes: object) -> Transformers:
        changed = copy.copy(self)
        for name, value in attributes.items():
            setattr(changed, name, value)
        return changed

    def _read(self, tokens: list[int]) -> torch.Tensor:
        """The model's scores for the token after `tokens`, shape (vocabulary,), evaluating only what is new.

        Whatever was read before, by this stream or another, `tokens` decide: so streams may take turns.
        """
        try:
            return self._batch.scores(self._row, tokens)
        except RuntimeError as error:
            raise EngineFault(f"torch failed in the language model: {first_line(error)}") from error

    def _prompt(self, messages: Sequence[Message], *, open_end: bool = False) -> list[int]:
        """`messages` in the model's own chat template, as tokens, up to where the answer begins.

        open_end: up to the end of the last message's text. A message that spells a control token
        ("<|im_end|>") keeps it as plain text: such texts are put in after the template was.
        """
        said: list[Message] = []
        plain: dict[str, list[int]] = {}
        for message in messages:
            if any(token.special and token.content in message.content for token in self._added.values()):
                placeholder = secrets.token_hex(16)
                plain[placeholder] = self._encode(message.content, split_special_tokens=True)
                message = replace(message, content=placeholder)
            said.append(message)
        rendered = self._render(said, answer=not open_end)
        if open_end and (last := said[-1].content.strip()) in rendered:
            rendered = rendered[: rendered.rindex(last) + len(last)]
        tokens: list[int] = []
        for placeholder, ids in plain.items():
            before, _, rendered = rendered.partition(placeholder)
            tokens += [*self._encode(before), *ids]
        return tokens + self._encode(rendered)

    def _encode(self, text: str, **how: bool) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False, **how) if text else []

    def _render(self, said: list[Message], *, answer: bool) -> str:
        """Messages in the chat template; `answer`: with the opening of the reply."""
        from jinja2 import TemplateError

        plain = [
            replace(message, content=self._harmless(message.content))
            for message in in_words(said, self._tools)
        ]
        # Some know no system role, or insist that user and model take turns.
        words = self._changed(_own_form=False)
        forms = [(self, said)] * self._own_form + [(words, plain), (words, alternating(plain, system=True))]
        for told, form in forms:
            with suppress(TemplateError):
                return told._apply(form, answer=answer)
        try:
            return words._apply(alternating(plain), answer=answer)
        except TemplateError as error:
            raise ModelError(f"the model's chat template refuses the conversation: {error}") from error

    def _apply(self, said: list[Message], *, answer: bool) -> str:
        tools = [self._harmless(tool.as_prompt()) for tool in self._tools] if self._own_form else None
        return self._tokenizer.apply_chat_template(
            [message.as_dict(message.content, self._arguments) for message in said],
            tools=tools,
            tokenize=False,
            add_generation_prompt=answer,
            **self._template,
        )

    def _arguments(self, call: ToolCall) -> Any:
        """A call's arguments as templates want them: data, where they are JSON."""
        return self._harmless(call.arguments if call.data is None else call.data)

    def _harmless(self, value: Any) -> Any:
        """JSON data without text that would be read as a control token: of one the letters stand apart."""
        if isinstance(value, dict):
            return {key: self._harmless(each) for key, each in cast(dict[str, Any], value).items()}
        if isinstance(value, list):
            return [self._harmless(each) for each in cast(list[Any], value)]
        if isinstance(value, str):
            for token in self._added.values():
                if token.special:
                    value = value.replace(token.content, " ".join(token.content))
        return value

    def _bytes_of(self, token: int) -> bytes:
        if (added := self._added.get(token)) is not None:
            return str(added.content).encode()
        return self._token_bytes(self._tokenizer.convert_ids_to_tokens(token) or "")

    def _end_tokens(self) -> frozenset[int]:
        """What ends an answer: a control token that is no mark inside it, what the model names, what its
        template puts there.
        """
        ends = {n for n, token in self._added.items() if token.special and not structures(token.content)}
        for source in (self._model.generation_config, self._model.config, self._tokenizer):
            found: Any = getattr(source, "eos_token_id", None)  # a number, several, or none
            ends.update([found] if isinstance(found, int) else found or [])
        said = [Message("user", "a"), Message("assistant", "b")]
        after = self._render(said, answer=False).rpartition("b")[2].strip()
        first = self._encode(after)[:1]
        return frozenset(ends.union(token for token in first if token in self._added))

    def _check_room(self, length: int) -> None:
        if length >= self.context:
            limited = self.context < self._asked_context
            raise ContextExceeded.of(length, self.context, "start a new one" if limited else None)
