"""A GGUF model in this process, by llama.cpp (xllamacpp). Knows tokens and templates, nothing of turns.

One token is one request of its own to llama.cpp's in-process server, which keeps the prefix in its cache and
evaluates only what is new. Measured, this is as fast as a running stream, and it makes the engine truly
pull-based: nothing runs ahead, stopping costs nothing, and each token's id comes back, also of one that
ends inside a character. The prompt is tokenized once for all tokens of its answer.
"""

from __future__ import annotations

import copy
import http.client
import json
import math
import os
import re
import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from agent.errors import ContextExceeded, EngineFault, ModelError, RequestError, first_line
from agent.llm.decoding import calls
from agent.llm.decoding.kvcache import Pace, shared
from agent.llm.decoding.probabilities import probability
from agent.llm.decoding.textstream import StopStrings
from agent.llm.deltas import closed
from agent.messages import Message, ToolSchema, alternating, in_words
from agent.protocols import Delta, Finish, FinishReason
from agent.text import marks
from agent.text.calls import TAG, Opening, opening
from agent.text.cleaning import json_text
from audio.cores import physical_cores

_HALF = "\ufffd"
"""What llama.cpp writes in place of a character that is not whole yet."""

PER_THREAD = 200_000_000
"""Bytes of a model for which one more thread pays as it writes a token."""

ASLEEP = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "30"}
"""What has threads of OpenMP sleep when they have waited for some tens of turns. It reads them once, as it is
loaded."""

FORCED = 1000.0
"""Added to the score of a token, which is then drawn whatever is likelier; all are told as they were."""
LIKELIEST = 200
"""Tokens whose probabilities are looked at for the end of the user's turn."""

CLOSING = " \t\n.?!…。？！؟।"
"""What a transcriber may put behind the user's last word, or leave away."""

TRIES = 4
"""How often an answer that ends before its first word is begun anew."""

HEADS = 64
"""Sets of tools of which is remembered what was found out, and beginnings of prompts as tokens."""

_STUB = ToolSchema(secrets.token_hex(8), "", {"type": "object", "properties": {}})
"""A tool that stands in a prompt for all others."""

K = TypeVar("K")
T = TypeVar("T")

NOTHING_ASKED = ("Hello.", "Okay.", "I see.")
"""What asks for no tool."""

CPU = 0
"""The processor among the kinds of devices that llama.cpp knows."""

WORTHWHILE = 4
"""Tokens from which reading ahead pays. Measured with the 0.5B, 1, 2, 4, 8 and 64 take 39, 69, 96, 156 and
832 ms of CPU: a few cost less where they are read with what follows."""

NAME = '{"name": "'
"""With what a call begins, up to the name of its tool."""

MOST_OF_A_CALL = 400
"""Tokens that a call may have."""

_PENALTY_WINDOW = 64
"""Tokens that the repeat penalty looks back on, llama.cpp's own default."""


class LlamaCpp:
    """A chat model from a GGUF file, run by llama.cpp in this process.

    weights: the GGUF file. context: tokens that prompt and answer may fill together. threads, prompt_threads:
    to write a token and to read a prompt; 0: as many as pay, see `threads_for`. max_tokens: the longest
    answer. temperature 0 is greedy. stop: strings that end the answer and are not part of it. seed: a fixed
    one gives the same answer to the same messages; None is random. The repeat penalty sees the answer so far
    and nothing else: it punishes neither the user's own words nor the end-of-turn marks of the prompt.
    slots: conversations that may be answered at the same time, each with a context and a prefix cache of its
    own; see `slots`. thinking: whether the model may think first, for templates that ask. call_threshold: how
    much must be in favour of a call to be made as the first thing (log-odds); 0 or less: as it is drawn.

    Raises ModelError when the file is missing, no GGUF, or cannot be loaded.
    """

    _stub = ""
    """What the template makes of `_STUB`, in whose place the tools are told in brief; "": they are not."""
    in_turn = True
    """On two cores four and eight conversations at once were measured at the 55 tokens a second of one."""

    def __init__(
        self,
        weights: Path,
        *,
        context: int = 4096,
        threads: int = 0,
        prompt_threads: int = 0,
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
        call_threshold: float = 0.0,
    ) -> None:
        check_file(weights)
        self._key = secrets.token_hex(16)
        counts = threads_for(weights, threads, prompt_threads)
        self._server = load_server(weights, context, slots, counts, self._key)
        self._slots = slots
        self._slot = 0
        self._pace = Pace()
        self._held: dict[int, list[int]] = {}
        """The tokens that each slot's cache holds, as far as is known; the same for all views."""
        self.prompt_tokens = 0
        """Length of the last prompt that was answered."""
        self._address: str = self._server.listening_address.removeprefix("http://")
        known = self._request("GET", "/props")
        self.context: int = known["default_generation_settings"]["n_ctx"]
        """Tokens that prompt and answer may fill together: at most what the model was made for."""
        self._end: str = known["eos_token"]
        self._told: int | None = None
        """Of how many of the likeliest tokens in the place of each the probability is told; None: of none."""
        self._predicts = False
        """Whether `stream` says first if the user has said all."""
        self._template = marks.template(thinking)
        self._tools: tuple[ToolSchema, ...] = ()
        self._must_call = self._own_form = False
        # These are shared by all that this one gives:
        self._loose: dict[ToolSchema, bool] = {}
        self._behind: dict[tuple[ToolSchema, ...], str] = {}
        self._usual: dict[tuple[ToolSchema, ...], dict[str, float]] = {}
        """How probable each tool is where nothing is asked for."""
        self._head = lru_cache(HEADS)(self._begun)
        self._call_threshold = call_threshold
        self._max_tokens = max_tokens
        self._seed = seed
        self._schema: Mapping[str, Any] | None = None
        self._stop = tuple(s for s in stop if s)
        self._sampling = {
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
        }

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the answer to `messages`, one item a token; an item may be empty.

        Each pull evaluates one token. The answer ends at the model's end of turn, at any other control
        token but the marks of thoughts, channels and calls, at a stop string, after `max_tokens`, or where
        the context is full. Raises ContextExceeded when `messages` do not fit it, EngineFault when llama.cpp
        fails.
        """
        self._learn(messages)
        parts = self._prompt(messages)
        prompt = self._prompt_ids(parts)
        seed = secrets.randbelow(2**31) if self._seed is None else self._seed
        if self._predicts:
            yield from self._end_of_turn(messages, parts)
        for _ in self._parts(prompt):
            yield ""
        if opened := marks.left_open(str(parts[-1])):
            yield Delta(opened, tokens=0)
        if self._schema is not None:
            yield from self._json(prompt, seed)
        elif self._tools:
            yield from self._calling(prompt, seed, _lead(parts), answered=_answered(messages))
        else:
            yield from self._written(prompt, seed, self._max_tokens)

    def _calling(
        self, prompt: list[int], seed: int, lead: str, *, answered: bool = False
    ) -> Iterator[str | Delta]:
        """An answer that may call tools: from where a call begins its text is held to their schemas.

        lead: with what a call begins that the model has not begun itself. answered: it has just been told
        what came of a call.
        """
        left, tokens, called, begun = self._max_tokens, 0, False, list(prompt)
        calling = Opening(0, lead, sure=True)
        first = calling if self._must_call else self._decided(prompt, seed, lead, answered=answered)
        while True:
            held, kept = "", ""
            opens = first if isinstance(first, Opening) else None
            known = first if isinstance(first, _First) else None
            answer = iter(()) if opens is not None else self._written(prompt, seed + tokens, left, known)
            first = None
            with closed(answer):
                for item in answer:
                    if isinstance(item, Finish):
                        yield Finish(
                            "" if called else held + item, item.end, self.prompt_tokens, tokens + item.tokens
                        )
                        return
                    tokens, left = tokens + 1, left - 1
                    text, told = (item.text, item.probabilities) if isinstance(item, Delta) else (item, ())
                    held += text
                    opens = opening(held)
                    if opens is not None and opens.sure:
                        break
                    sure = held if opens is None else held[: opens.at]
                    if called and sure.strip():  # said without knowing what the calls give
                        yield Finish("", "stop", self.prompt_tokens, tokens)
                        return
                    kept, held = kept + sure, held[len(sure) :]
                    yield Delta("" if called else sure, probabilities=told)
            assert opens is not None
            yield Delta("" if called else held[: opens.at], tokens=0)
            prompt += self._tokens(kept + held[: opens.at] + opens.lead, special=True)
            written = ""
            room = left if self._must_call else left - left // 4  # the rest is for words, where it is lost
            with closed(parts := self._constrained(prompt, room)):
                for part in parts:
                    written, tokens, left = written + part, tokens + 1, left - 1
                    yield Delta()
                    if calls.runs_away(written):
                        break
            call = calls.whole(written)
            if call is None and not (called or self._must_call) and left > 0:  # there must be an answer
                words = self._in_words(self._complete(begun, seed, 0, scores=calls.SCORES))
                yield from self._written(begun, seed, left, words)
                return
            if call is None:  # no room was left for all of it
                yield Finish("", "length", self.prompt_tokens, tokens)
                return
            called = True
            yield Delta(tokens=0, call=call)
            closer = "\n</tool_call>" if "<" in opens.lead else "\n```" if opens.lead else ""
            prompt += self._tokens(written + closer, special=True)

    def _decided(self, prompt: list[int], seed: int, lead: str, *, answered: bool) -> Opening | _First | None:
        """Whether the answer begins with a call: where one begins, or with what it begins instead; None where
        that is left to the draw.

        A small model that is sure of a tool is seldom sure that it should call one at all: it rather makes up
        what it could look up. So it is asked which tool it would be, and how sure it is of that decides. Told
        what came of a call it is still as sure of the same one: then it must want another one by itself.
        """
        if self._call_threshold <= 0.0:
            return None
        first = self._complete(prompt, seed, 0, scores=calls.SCORES)
        if answered:
            calling = calls.opened(_scores(first)) > 0.5
        else:
            usual = self._usual.get(self._tools, {})
            calling = calls.evidence(self._named(prompt, lead), usual) >= self._call_threshold
        if calling:
            return Opening(0, lead, sure=True)
        return self._in_words(first)

    def _named(self, prompt: list[int], lead: str) -> dict[str, float]:
        """How probable each tool is, if one were called here; see `calls.named`."""
        name = self._tokens(lead + NAME, special=True)
        asked = {"prompt": [*prompt, *name], "n_predict": 1, "n_probs": calls.SCORES, "temperature": 0.0}
        return calls.named(_scores(self._completed(asked)), [tool.name for tool in self._tools])

    def _learn(self, messages: Sequence[Message]) -> None:
        """Find out once which of these tools the model would name for what asks for none.

        Before anything else is read: it shares no more than the instructions with the conversation.
        """
        if not self._tools or self._must_call or self._call_threshold <= 0.0 or self._tools in self._usual:
            return
        system, found = [each for each in messages[:1] if each.role == "system"], list[dict[str, float]]()
        for said in NOTHING_ASKED:
            parts = self._prompt([*system, Message("user", said)])
            found.append(self._named(self._prompt_ids(parts), _lead(parts)))
        _remember(self._usual, self._tools, calls.usual(found))

    def _in_words(self, first: dict[str, Any]) -> _First:
        """That an answer begins with words. first: its first token as it was drawn, with scores."""
        if not calls.opens(first["content"]):
            return _First(first, [])
        return _First(None, [token.id for token in _scores(first) if calls.opens(token.text)])

    def _constrained(self, prompt: list[int], most: int) -> Iterator[str]:
        """One call, token by token, that has one of the tools' names and arguments as its schema wants."""
        called = self._likeliest_tool(prompt)
        begin = f'{{"name": {json_text(called.name)}, "arguments": '
        yield begin
        read = prompt + self._tokens(begin, special=True)
        yield from self._held_to(self._wanted(called, read), read, most)
        yield "}"

    def _likeliest_tool(self, prompt: list[int]) -> ToolSchema:
        """The tool whose name is written here, token by token, until it is told from the others."""
        prompt, name, left = [*prompt, *self._tokens(NAME, special=True)], "", list(self._tools)
        while len(left) > 1:
            asked = {"prompt": prompt, "n_predict": 1, "n_probs": calls.SCORES, "temperature": 0.0}
            next_one = calls.likeliest(
                _scores(self._completed(asked)), [each.name[len(name) :] for each in left]
            )
            if next_one is None:
                break
            prompt, name = [*prompt, next_one.id], name + next_one.text.partition('"')[0]
            left = [each for each in left if each.name.startswith(name)]
            left = [each for each in left if '"' not in next_one.text or each.name == name]
        return left[0]

    def _wanted(self, tool: ToolSchema, prompt: list[int]) -> Mapping[str, Any]:
        """What a tool's arguments are held to behind this prompt: any object where no grammar can be made of
        their schema, and they are judged when the tool runs.
        """
        wanted = calls.arguments_of(tool)
        if tool not in self._loose:
            held = self._holds({"prompt": prompt, "temperature": 0.0, "json_schema": wanted})
            _remember(self._loose, tool, not held)
        return calls.ANY_ARGUMENTS if self._loose[tool] else wanted

    def _held_to(self, schema: Mapping[str, Any], prompt: list[int], most: int) -> Iterator[str]:
        """JSON that fits this schema, token by token, behind a prompt."""
        body = {"prompt": prompt, "n_predict": max(1, min(most, MOST_OF_A_CALL)), "temperature": 0.0}
        for event in self._events(
            "/completion", self._asked({**body, "stream": True, "json_schema": schema})
        ):
            yield event["content"]

    def _written(
        self, prompt: list[int], seed: int, most: int, first: _First | None = None
    ) -> Iterator[str | Delta]:
        """The answer to a prompt as it comes; see `stream`. first: what is known of its first token."""
        ids: list[int] = []
        text = _Text(self._stop, self._detokenize)
        end: FinishReason = "length"
        given = first.token if first is not None else None
        never = list(first.never) if first is not None else list[int]()
        said, tries, scores = False, 0, 0 if self._told is None else max(1, self._told)
        while len(ids) < most:
            index, without = len(ids), () if said else never
            try:
                token = given or self._complete([*prompt, *ids], seed + index, index, without, scores=scores)
            except ContextExceeded:
                if not ids:
                    raise
                break
            given = None
            self.prompt_tokens = token["tokens_evaluated"] - len(ids)
            content = token["content"]
            over = token["stop_type"] == "eos" or not (content or token["tokens"])
            if not over and not content:  # a control token has no content of its own
                over = not marks.structures(content := self._detokenize(token["tokens"]))
            if over and not said and tries < TRIES:  # nothing was said yet: no answer is none
                never, tries = [*never, *token["tokens"]], tries + 1
                continue
            if over:
                end = "stop"
                break
            ids += token["tokens"]
            said = said or bool(content.strip())
            if scores and not token.get("completion_probabilities"):
                (id,) = token["tokens"]
                token["completion_probabilities"] = [self._likely([*prompt, *ids[:-1]], id, scores)]
            yield self._with_probabilities(text.push(content, token["tokens"]), token)
            if text.stopped:
                end = "stop"
                break
        yield Finish(text.rest(), end, self.prompt_tokens, len(ids))

    def _with_probabilities(self, text: str, answer: dict[str, Any]) -> str | Delta:
        """A step of an answer, with how probable its tokens were, if that is to be told."""
        if self._told is None:
            return text
        places = cast(list[dict[str, Any]], answer.get("completion_probabilities", []))
        return Delta(text, probabilities=tuple(probability(place, self._told) for place in places))

    def _likely(self, prompt: Sequence[int], id: int, scores: int) -> dict[str, Any]:
        """How probable a token was that ends inside a character, of which llama.cpp tells nothing.

        It does of another one in the same place, and what stands beside that is the same.
        """
        (other, *_) = self._tokens("~", special=False)
        most = max(scores, calls.SCORES)
        asked = {"prompt": list(prompt), "n_predict": 1, "n_probs": most, "logit_bias": [[other, 1000.0]]}
        (place,) = self._completed(asked)["completion_probabilities"]
        likeliest = cast(list[dict[str, Any]], place["top_logprobs"])
        unknown: dict[str, Any] = {"bytes": [], "logprob": None}
        own = next((each for each in likeliest if each["id"] == id), unknown)
        return {**own, "top_logprobs": likeliest}

    def prefill(self, messages: Sequence[Message]) -> None:
        """Read `messages` into the prefix cache, so that a later `stream` starts sooner.

        Reading stops with the last message's text: what the template puts behind it depends on what
        comes next. So few tokens that they cost more now than then are left. Raises as `stream` does.
        """
        for _ in self.prefill_parts(messages):
            pass

    def prefill_parts(self, messages: Sequence[Message]) -> Iterator[None]:
        """The same in parts; see `agent.protocols.ReadsInParts`."""
        if not messages:
            return
        self._learn(messages)
        prompt = self._prompt(messages)
        last, said = prompt[-1], messages[-1].content
        if isinstance(last, str) and said in last:
            prompt[-1] = last[: last.rindex(said) + len(said)]
        ids = self._prompt_ids(prompt)
        yield from self._parts(ids)
        left = len(ids) - shared(self._held.get(self._slot, []), ids)
        if left >= WORTHWHILE or len(ids) >= self.context:
            self._completed({"prompt": ids, "n_predict": 0})

    def _parts(self, prompt: list[int]) -> Iterator[None]:
        """Read all but the last part of a prompt. One that is too long is left to who asks for all of it."""
        if len(prompt) >= self.context:
            return
        while end := self._pace.part(known := shared(self._held.get(self._slot, []), prompt), len(prompt)):
            with self._pace.reading(end - known):
                self._completed({"prompt": prompt[:end], "n_predict": 0})
            yield

    def _completed(self, body: dict[str, Any]) -> dict[str, Any]:
        """What llama.cpp makes of a prompt of this slot, at once."""
        return self._post("/completion", self._asked(body))

    def _asked(self, body: dict[str, Any]) -> dict[str, Any]:
        """A request of this slot: its cache holds the prompt from now on."""
        self._held[self._slot] = list(body["prompt"])
        return {**body, "id_slot": self._slot, "cache_prompt": True}

    def with_end_of_turn(self) -> LlamaCpp:
        """This slot, whose `stream` says first if the user has said all; see `PredictsEndOfTurn`."""
        return self._changed(_predicts=True)

    def _end_of_turn(self, messages: Sequence[Message], parts: Sequence[str | int]) -> Iterator[str | Delta]:
        """Read the prompt up to the user's last word, and tell how likely it is that nothing follows.

        What is read here is not read again; only that it is read in two goes costs a few milliseconds. A full
        stop is forced upon it: of a token that ends inside a character, as the first half of "è",
        llama.cpp tells nothing, and of what else might have come it tells the same.
        """
        behind, last = self._behind_the_user(), messages[-1]
        words = up_to_words(str(parts[-1]), behind, last.content) if last.role == "user" else None
        if words is None or len(prompt := self._prompt_ids([*parts[:-1], words])) >= self.context:
            return
        for _ in self._parts(prompt):
            yield ""
        stop = self._tokens(".", special=False)[0]
        asked = {"prompt": prompt, "n_predict": 1, "n_probs": LIKELIEST, "logit_bias": [[stop, FORCED]]}
        (following,) = self._completed(asked)["completion_probabilities"]
        ends = {*self._tokens(behind, special=True)[:1], *self._tokens(self._end, special=True)}
        yield Delta(tokens=0, end_of_turn=_ended(following["top_logprobs"], ends))

    def _behind_the_user(self) -> str:
        """What the template puts behind the user's last words, up to the answer."""
        if (known := self._behind.get(self._tools)) is not None:
            return known
        word = secrets.token_hex(16)
        behind = str(self._prompt([Message("user", word)])[-1]).rpartition(word)[2]
        return _remember(self._behind, self._tools, behind)

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that `messages` make."""
        return len(self._prompt_ids(self._prompt(messages)))

    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> LlamaCpp:
        """This view of the model, told of these tools: in its template's own form, or in words where that has
        none. What it calls fits their schemas, as far as llama.cpp's grammars go.
        """
        told = self._changed(_tools=tuple(tools), _must_call=required, _own_form=True)
        try:
            stub = told._changed(_tools=(_STUB,))._apply([Message("user", "?")], own=True)
            probe = told._apply([Message("user", "?")], own=True)
        except EngineFault:  # a template that takes none of these
            return told._changed(_own_form=False)
        own = any(tool.name in probe for tool in tools)
        # Told so, a small model that is left to the draw calls for anything: that knows the form it has seen.
        brief = self._call_threshold > 0.0
        return told._changed(_own_form=own, _stub=_object_with(_STUB.name, stub) if brief else "")

    def with_schema(self, schema: Mapping[str, Any]) -> LlamaCpp:
        """This slot, whose answers are JSON that fits this schema; see `WritesJSON`."""
        return self._changed(_schema=schema)

    def with_probabilities(self, count: int) -> LlamaCpp:
        """This slot, which tells how probable its tokens were; see `TellsProbabilities`."""
        return self._changed(_told=count)

    def _json(self, prompt: list[int], seed: int) -> Iterator[str | Delta]:
        """An answer under a grammar, in one request of its own: each request begins its grammar anew.

        Of a token that ends inside a character it is not told how probable it was.
        """
        body = {
            **self._sampling,
            "repeat_penalty": 1.0,  # quotes and brackets must come again and again
            "prompt": prompt,
            "seed": seed % 2**32,
            "json_schema": self._schema,
        }
        self._check_schema(body)
        count = 0
        end: FinishReason = "length"
        more = {"n_predict": self._max_tokens, "stop": list(self._stop), "stream": True}
        more |= {} if self._told is None else {"n_probs": max(1, self._told)}
        for event in self._events("/completion", self._asked(body | more)):
            if event["content"] or event.get("completion_probabilities"):
                yield self._with_probabilities(event["content"], event)
            if event["stop"]:
                end = "length" if event["stop_type"] == "limit" else "stop"
                count, self.prompt_tokens = event["tokens_predicted"], event["tokens_evaluated"]
        yield Finish("", end, self.prompt_tokens, count)

    def _check_schema(self, body: dict[str, Any]) -> None:
        """Raise RequestError for a schema that the answer would not be held to."""
        if not self._holds(body):
            text = "response_format: a schema that cannot be kept to; leave out what is unusual in it"
            raise RequestError(text, param="response_format")

    def _holds(self, body: dict[str, Any]) -> bool:
        """Whether an answer would be held to the schema of its request.

        llguidance, which makes the grammar, leaves out one that it does not understand, and only its log says
        so. So the first token is asked for that no JSON begins with: a grammar forbids it.
        """
        (never, *_) = self._tokens("~", special=False)
        asked = {**body, "n_predict": 1, "logit_bias": [[never, 1000.0]]}
        return not self._completed(asked)["content"].lstrip().startswith("~")

    def slots(self) -> list[LlamaCpp]:
        """This model once for each slot: all may stream at the same time, one conversation each."""
        return [self._changed(_slot=slot) for slot in range(self._slots)]

    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> LlamaCpp:
        """This slot with other settings, for one answer. max_tokens: no more than configured.

        sampling: `temperature` and `top_p`, where they differ. seed: None is random.
        """
        return self._changed(
            _max_tokens=min(self._max_tokens, max_tokens or self._max_tokens),
            _stop=(*self._stop, *(s for s in stop if s)),
            _seed=seed,
            _sampling={**self._sampling, **sampling},
        )

    def _changed(self, **attributes: object) -> LlamaCpp:
        changed = copy.copy(self)
        for name, value in attributes.items():
            setattr(changed, name, value)
        return changed

    def _prompt_ids(self, prompt: Sequence[str | int]) -> list[int]:
        """The tokens of a prompt, as llama.cpp itself would read it, with what it puts before the first.

        What begins it, up to the first mark of an end, is mostly the same as before: instructions, and the
        schemas of tools. No token reaches over such a mark.
        """
        head, mark, rest = str(prompt[0]).partition(self._end) if prompt else ("", "", "")
        ids = list(self._head(head + mark)) if mark else []
        for number, part in enumerate([rest, *prompt[1:]] if mark else prompt):
            begins = number == 0 and not mark
            ids += [part] if isinstance(part, int) else self._tokens(part, special=True, begins=begins)
        return ids

    def _begun(self, head: str) -> tuple[int, ...]:
        """The tokens of what begins a prompt."""
        return tuple(self._tokens(head, special=True, begins=True))

    def _complete(
        self,
        prompt: Sequence[str | int],
        seed: int,
        index: int,
        never: Sequence[int] = (),
        *,
        scores: int = 0,
    ) -> dict[str, Any]:
        """One token. never: what it must not be; then nor may it end the answer. scores: with those of so
        many of the likeliest tokens."""
        # Each request draws once from a fresh generator: with a constant seed every draw would be the same.
        fields = ["content", "tokens", "stop_type", "tokens_evaluated", "timings"]
        return self._completed(
            {
                **self._sampling,
                **({"logit_bias": [[id, False] for id in never], "ignore_eos": True} if never else {}),
                **({"n_probs": scores} if scores else {}),
                "prompt": list(prompt),
                "n_predict": 1,
                "return_tokens": True,
                "seed": seed % 2**32,
                "repeat_last_n": min(index, _PENALTY_WINDOW),
                # Without this, each token's answer repeats the whole prompt.
                "response_fields": [*fields, *(["completion_probabilities"] if scores else [])],
            },
        )

    def _prompt(self, messages: Sequence[Message]) -> list[str | int]:
        """`messages` in the model's own chat template: text, and token ids where text would be misread.

        llama.cpp reads control tokens out of prompt text. A message that spells one ("<|im_end|>") is
        rendered as a placeholder and its plain tokens are put in that place.
        """
        plain = in_words(messages, self._tools)
        forms = [messages] * self._own_form + [plain, alternating(plain, system=True), alternating(plain)]
        for number, said in enumerate(forms[:-1]):
            with suppress(EngineFault):  # as Gemma's and Mistral's, which insist on turns
                return self._rendered(said, own=self._own_form and number == 0)
        return self._rendered(forms[-1], own=False)

    def _rendered(self, messages: Sequence[Message], *, own: bool) -> list[str | int]:
        """The same for messages in one form; own: with tools, calls and results as the template has them."""
        said: list[Message] = []
        plain: dict[str, list[int]] = {}
        for message in messages:
            content = message.content
            if "<" in content or "[" in content:
                ids = self._tokens(content, special=False)
                if ids != self._tokens(content, special=True):
                    content = secrets.token_hex(16)
                    plain[content] = ids
            said.append(replace(message, content=content))
        rendered = self._apply(said, own=own)
        prompt: list[str | int] = []
        for placeholder, ids in plain.items():
            before, _, rendered = rendered.partition(placeholder)
            prompt += [before, *ids]
        return [*prompt, rendered]

    def _apply(self, said: Sequence[Message], *, own: bool) -> str:
        """What the chat template makes of messages. Raises EngineFault where it refuses them."""
        asked: dict[str, Any] = {
            "messages": [
                message.as_dict(message.content, lambda call: _harmless(call.arguments)) for message in said
            ],
            "chat_template_kwargs": self._template,
        }
        brief = "\n".join(_harmless(tool.brief) for tool in self._tools) if own and self._stub else ""
        if own:
            asked["tools"] = [_harmless(tool.as_prompt()) for tool in ((_STUB,) if brief else self._tools)]
        rendered: str = self._post("/apply-template", asked)["prompt"]
        return rendered.replace(self._stub, brief, 1) if brief else rendered

    def _tokens(self, text: str, *, special: bool, begins: bool = False) -> list[int]:
        asked = {"content": text, "parse_special": special, "add_special": begins}
        return self._post("/tokenize", asked)["tokens"]

    def _detokenize(self, ids: Sequence[int]) -> str:
        return self._post("/detokenize", {"tokens": list(ids)})["content"]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, json.dumps(body))

    def _events(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What a request gives as it comes. Closing it stops the work."""
        connection = http.client.HTTPConnection(self._address)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise as_error(json.loads(answer.read())["error"])
            for line in answer:
                if line.startswith(b"data: {"):
                    event: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                    if "error" in event:
                        raise as_error(event["error"])
                    yield event
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise gone(error) from error
        finally:
            connection.close()

    def _request(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        """One request to the in-process server: straight to loopback, past any proxy settings."""
        # A connection for each request: the server drops a kept one after five idle seconds, which is an
        # ordinary wait for a consumer that holds the model back; a new one costs 0.2 ms.
        connection = http.client.HTTPConnection(self._address)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        try:
            connection.request(method, path, body, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise gone(error) from error
        finally:
            connection.close()
        if "error" in answer:
            raise as_error(answer["error"])
        return answer


def up_to_words(rendered: str, behind: str, said: str) -> str | None:
    """A prompt up to the user's last word, without its full stop; None where it is not there.

    behind: what the template puts behind a user's message, up to the answer. It may trim what was said.
    """
    bare, before = said.strip().strip(CLOSING), rendered.removesuffix(behind).rstrip(CLOSING)
    return before if bare and rendered.endswith(behind) and before.endswith(bare) else None


def _ended(likeliest: Sequence[Mapping[str, Any]], ends: Collection[int]) -> float:
    """The probability of the tokens among these that end the user's turn, or their sentence.

    likeliest: as llama.cpp tells them. ends: what follows the user's words where a template ends them.
    """
    return sum(
        math.exp(each["logprob"])
        for each in likeliest
        if each["id"] in ends or (each["token"].strip()[:1] or " ") in CLOSING.strip()
    )


def _harmless(value: Any) -> Any:
    """JSON data without text that llama.cpp would read as a control token."""
    if isinstance(value, str):
        return value.replace("<|", "< |").replace("|>", "| >")
    if isinstance(value, Mapping):
        return {key: _harmless(each) for key, each in cast(Mapping[str, Any], value).items()}
    return [_harmless(each) for each in cast(list[Any], value)] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class _First:
    """What is known of an answer's first token: itself, as `_complete` gives it, or what it must not be."""

    token: dict[str, Any] | None
    never: Sequence[int]


def _remember(known: dict[K, T], tools: K, value: T) -> T:
    """Know this of these tools, or of one, and forget the oldest of too many: clients bring ever new ones."""
    if len(known) >= HEADS:
        known.pop(next(iter(known)), None)
    known[tools] = value
    return value


def _answered(messages: Sequence[Message]) -> bool:
    """Whether what was said last is what came of a call, whatever instructions stand behind it."""
    return next((each.role for each in reversed(messages) if each.role != "system"), "") == "tool"


def _object_with(name: str, rendered: str) -> str:
    """The JSON object in a prompt that has this name in it, and stands alone; "" where none has."""
    at = rendered.find(name)
    for begin in (found.start() for found in re.finditer(r"\{", rendered[: max(at, 0)])):
        with suppress(ValueError):
            _, end = json.JSONDecoder().raw_decode(rendered, begin)
            if end > at and rendered.count(name) == 1:
                return rendered[begin:end]
    return ""


def _lead(parts: Sequence[str | int]) -> str:
    """With what a call begins in the template of this prompt."""
    return f"{TAG}\n" if any(isinstance(part, str) and TAG in part for part in parts) else ""


def _scores(token: dict[str, Any]) -> list[calls.Scored]:
    """The likeliest tokens in the place of one that was asked for with its scores."""
    (place,) = token["completion_probabilities"]
    likeliest = cast(list[dict[str, Any]], place["top_logprobs"])
    return [calls.Scored(each["id"], each["token"], math.exp(each["logprob"])) for each in likeliest]


class _Text:
    """Tokens to text: whole characters only, and nothing of a stop string."""

    def __init__(self, stop: Sequence[str], detokenize: Callable[[Sequence[int]], str]) -> None:
        self._stops = StopStrings(stop)
        self._detokenize = detokenize
        self._half: list[int] = []

    def push(self, content: str, ids: list[int]) -> str:
        """The text that this token makes certain; empty where it ends inside a character or a stop string."""
        if self._half or content.endswith(_HALF):
            self._half += ids
            content = self._detokenize(self._half)
            # No character has more than four bytes: after four tokens it is no character, but noise.
            if content.endswith(_HALF) and len(self._half) < 4:
                return ""
            self._half = []
        return self._stops.push(content)

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come."""
        return self._stops.stopped

    def rest(self) -> str:
        """What was held back in case it became a stop string, and did not. Half a character is dropped."""
        return self._stops.rest()


def as_error(error: dict[str, Any]) -> ContextExceeded | EngineFault:
    """What to raise for an error of llama.cpp's server."""
    if error.get("type") == "exceed_context_size_error":
        return ContextExceeded.of(error["n_prompt_tokens"], error["n_ctx"])
    return EngineFault(f"llama.cpp failed: {error.get('message', error)}")


def gone(error: Exception) -> EngineFault:
    """What to raise when llama.cpp's server cannot be spoken with."""
    return EngineFault(f"llama.cpp does not answer any more ({error}); start again")


def check_file(path: Path) -> None:
    """llama.cpp's own words for a wrong file go to its log, which stays shut: say it here."""
    cure = "give the path of a GGUF file or a name from `backchat models`"
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); {cure}") from error
    if magic != b"GGUF":
        raise ModelError(f"{path}: not a GGUF file; {cure}")


def threads_for(weights: Path | None, threads: int = 0, prompt_threads: int = 0) -> tuple[int, int]:
    """Threads to write a token with, and to read a prompt with, where these are asked for; 0: as many as pay.

    weights: None for a model that is not here yet, of which a small one is assumed.

    llama.cpp takes their numbers when it loads and never again. Its threads meet after each step of a token,
    some hundred times, so the steps must be long enough: on two cores the 0.5B (0.4 GB) gains by a second
    thread, SmolLM2 (0.1 GB) loses. Of more than two cores the rest of the program keeps one. Beside other
    programs as many threads as cores are no loss, since they wait for each other asleep: at a load of 6 a
    token of the 0.5B took 51 to 62 ms with two threads and 95 to 116 with one, which the system gives half
    as much. A prompt is long steps: all cores read it.
    """
    cores = physical_cores()
    enough = -(-weights.stat().st_size // PER_THREAD) if weights is not None else 1
    most = max(min(cores, 2), cores - 1)
    return threads or max(1, min(enough, most)), prompt_threads or cores


@contextmanager
def _sleeping_threads() -> Generator[None]:
    """OpenMP's threads sleep while they wait for each other, where it is first loaded in here.

    GNU's, which llama.cpp is built on in its wheels for Linux, spins otherwise, whatever `poll` says: threads
    that a busy machine has put aside then make the others spin. Measured beside a load of 12 with two
    threads, a token took 300 ms of CPU spinning and 42 asleep; a prompt of 120 tokens 3.5 s and 1.8. Whoever
    has set these variables is obeyed.
    """
    given = {name: value for name, value in ASLEEP.items() if name not in os.environ}
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name, None)


def load_server(
    path: Path, context: int, slots: int, threads: tuple[int, int], key: str, projector: str = ""
) -> Any:
    """llama.cpp's server in this process, for who has `key`.

    threads: to write and to read. projector: the path of an mmproj file.
    """
    try:
        with _sleeping_threads():
            import xllamacpp
    except ImportError as error:  # it takes OpenMP from the system
        raise EngineFault(
            f"llama.cpp cannot be loaded ({first_line(error)}); on Debian and Ubuntu type: "
            "sudo apt-get install libgomp1"
        ) from error

    library: Any = xllamacpp  # a compiled module without type stubs
    params = library.CommonParams()
    params.model.path = str(path)
    params.mmproj.path = projector
    params.n_ctx = context * slots
    params.n_parallel = slots
    params.kv_unified = False  # a slot cannot take the context of another
    # What goes to a card is fitted to its memory by a trial. Without one, that takes a third of all that
    # loading takes, for nothing.
    params.fit_params = any(each["type"] != CPU for each in library.get_device_info())
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = threads
    # The same as `_sleeping_threads` for a build without OpenMP.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.verbosity = 0
    # The server also listens on a loopback port. Nobody else on this machine may use it: no web page,
    # and a random key for everything but /health.
    params.api_keys = [key]
    params.ui = False
    params.endpoint_slots = False
    # The slot itself keeps the conversation's prefix. Copies of older ones in memory would serve nobody.
    params.cache_ram_mib = 0
    try:
        return library.Server(params)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: llama.cpp cannot load it; it is damaged or of an unknown kind: fetch it again or take "
            "another from `backchat models`"
        ) from error
