"""A GGUF model that sees, in this process, by llama.cpp. Knows its two files, nothing of turns.

The projector ("mmproj") turns pictures into what the model reads. Unlike with `llamacpp` an answer is one
stream of llama.cpp's in-process server: it runs ahead of who reads it, as a server of one's own would.
Closing the stream closes its connection, at which llama.cpp stops.
"""

from __future__ import annotations

import copy
import http.client
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.errors import ConfigError
from agent.llm.llamacpp import as_error, check_file, gone, load_server, threads_for
from agent.llm.openai_answer import TEMPLATE, USAGE, Calls, content, delta
from agent.llm.wire import Events
from agent.messages import Message
from agent.protocols import Delta, Finish
from agent.text.marks import template

BLOCK = 4096
"""Most bytes of an answer that are taken at once."""


class LlamaVision:
    """A chat model from a pair of GGUF files: the model, and the projector that belongs to it.

    projector: the path of the second file. The rest is as in `agent.llm.llamacpp.LlamaCpp`. Raises
    ConfigError without a projector, ModelError when a file is missing, no GGUF, or the two do not fit.
    """

    takes_pictures = True

    def __init__(
        self,
        weights: Path,
        *,
        projector: str = "",
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
    ) -> None:
        if not projector:
            raise ConfigError(
                "llm.projector: give the path of the GGUF file that belongs to the model (mmproj)"
            )
        path = Path(projector).expanduser()
        for file in (weights, path):
            check_file(file)
        self._key = secrets.token_hex(16)
        counts = threads_for(weights, threads, prompt_threads)
        self._server = load_server(weights, context, slots, counts, self._key, str(path))
        self._address: str = self._server.listening_address.removeprefix("http://")
        self.context: int = self._answer("/props")["default_generation_settings"]["n_ctx"]
        """Tokens that prompt and answer may fill together: at most what the model was made for."""
        self._slots = slots
        self._fields: dict[str, Any] = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
            "stop": list(stop),
            "seed": -1 if seed is None else seed,
            "id_slot": 0,
            TEMPLATE: template(thinking),
        }

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the answer to `messages` and their pictures, about one item a token; an item may be empty.

        Raises ContextExceeded when they do not fit the context, EngineFault when llama.cpp fails.
        """
        said = [{"role": m.role, "content": content(m)} for m in messages]
        connection = http.client.HTTPConnection(self._address)
        try:
            body = {**self._fields, "messages": said, "stream": True, **USAGE}
            response = self._asked(connection, "/v1/chat/completions", body)
            events, last = Events(), Finish("", "stop")
            while part := response.read1(BLOCK):
                for data in events.feed(part):
                    if data.strip() == "[DONE]":
                        yield last
                        return
                    added, end = delta("llama.cpp", data, Calls(()))
                    last = last if end is None else end.after(last)
                    yield added if added.thought or added.probabilities else added.text
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise gone(error) from error
        finally:
            connection.close()

    def prefill(self, messages: Sequence[Message]) -> None:
        """Read `messages` ahead: an answer of no length to them. llama.cpp keeps what they begin with."""
        if messages and messages[-1].role == "user":
            for _ in self.with_sampling(max_tokens=1, stop=(), seed=0).stream(messages):
                pass

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that `messages` and their pictures make."""
        said = [{"role": m.role, "content": content(m)} for m in messages]
        return self._answer("/v1/chat/completions/input_tokens", {"messages": said})["input_tokens"]

    def slots(self) -> list[LlamaVision]:
        """This model once for each slot: all may stream at the same time, one conversation each."""
        return [self._changed(id_slot=slot) for slot in range(self._slots)]

    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> LlamaVision:
        """This slot with other settings, for one answer, as `LlamaCpp.with_sampling` has them."""
        most: int = self._fields["max_tokens"]
        return self._changed(
            max_tokens=min(most, max_tokens or most),
            stop=[*self._fields["stop"], *stop],
            seed=-1 if seed is None else seed,
            **sampling,
        )

    def with_probabilities(self, count: int) -> LlamaVision:
        """This slot, which tells how probable its tokens were; see `TellsProbabilities`."""
        return self._changed(logprobs=True, top_logprobs=count)

    def _changed(self, **fields: object) -> LlamaVision:
        changed = copy.copy(self)
        changed._fields = {**self._fields, **fields}
        return changed

    def _answer(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A whole answer. Raises as `stream` does."""
        connection = http.client.HTTPConnection(self._address)
        try:
            return json.loads(self._asked(connection, path, body).read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise gone(error) from error
        finally:
            connection.close()

    def _asked(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any] | None
    ) -> http.client.HTTPResponse:
        """The answer's beginning. Raises as `stream` does."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        if response.status != 200:
            answer: dict[str, Any] = json.loads(response.read())
            raise as_error(answer.get("error", {}))
        return response
