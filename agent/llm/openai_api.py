"""A model behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp's, any cloud. Knows no turns.

The server keeps the model; here is one streamed request, and what to do when it does not go well. While the
server gives nothing the stream yields empty items, ten a second, so that a reply that is given up is let go
at once and not when the server gets round to it.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from agent.errors import ConfigError, ContextExceeded, EngineFault, EngineStalled
from agent.llm.beginnings import Beginnings
from agent.llm.openai_answer import (
    EFFORT,
    TEMPLATE,
    USAGE,
    Calls,
    Passing,
    Refused,
    content,
    delta,
    no_chat,
    refusal,
    whole,
)
from agent.llm.wire import Events, Wire, WireError
from agent.messages import Message, ToolSchema
from agent.protocols import Delta, Finish
from agent.text.marks import template

TICK = 0.1
"""Seconds of waiting between two empty items: how late a cancelled reply may let go of its request."""
BACKOFF = 0.5
"""Seconds before the first retry when the server names none; doubled for each further one."""
LONGEST_BODY = 1 << 20
"""Bytes that are read of an answer that is no stream."""
EFFORTS = ("none", "minimal", "low")
"""How little a model may think, where its server takes one of these; tried in this order."""


class OpenAI:
    """A chat model of a server that speaks the API of OpenAI's chat completions.

    base_url: up to and with the version, as "http://127.0.0.1:8080/v1". model: what the server calls it.
    api_key_env: the environment variable with the key; it need not be set for a server that wants none. The
    key is in no message and no log. connect_wait, first_wait, wait: most seconds for the connection, from
    the question to the first word, and between two words. retries: further tries when the server is
    busy or breaks off before the first word; after that nothing is asked again, so no word is said twice.
    max_tokens, temperature, top_p, stop, seed: sent as they are; one that the server says it does not take
    is left out from then on (but `stop`). thinking: whether the model may think first, sent for its template,
    and as the least effort that the server takes.

    Several streams may run at once, each on a connection of its own. Raises ConfigError for a wrong address.
    """

    takes_pictures = True
    """Whether its model does, the server says."""

    def __init__(
        self,
        *,
        base_url: str = "http://127.0.0.1:8080/v1",
        model: str = "",
        api_key_env: str = "OPENAI_API_KEY",
        connect_wait: float = 5.0,
        first_wait: float = 30.0,
        wait: float = 15.0,
        retries: int = 2,
        max_tokens: int = 400,
        temperature: float = 0.6,
        top_p: float = 0.9,
        stop: Sequence[str] = (),
        seed: int | None = 0,
        thinking: bool = False,
    ) -> None:
        self._url = _checked(base_url)
        self._key = os.environ.get(api_key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(f"the key in {api_key_env} has characters that no key has; set it again")
        self._connect_wait, self._first_wait, self._wait = connect_wait, first_wait, wait
        self._retries = retries
        self._model = model
        fields = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p}
        self._fields: dict[str, Any] = {"model": model or "default", "stream": True, **USAGE, **fields}
        self._fields[TEMPLATE] = template(thinking)
        # What the server was found to take and to begin with; all that `with_sampling` gives share it.
        self._refused = set[str]()
        self._efforts = [] if thinking else list(EFFORTS)
        self._beginnings = Beginnings(model)
        if stop:
            self._fields["stop"] = list(stop)
        if seed is not None:
            self._fields["seed"] = seed
        self._tools: tuple[ToolSchema, ...] = ()
        self._idle: list[Wire] = []

    def warm(self) -> None:
        """Connect once, so that a wrong address shows at the start. Raises EngineFault."""
        self._idle.append(self._dial())

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """Yield the answer as the server sends it; an item may be empty, and is while nothing comes.

        Closing the iterator closes the connection, which is how a server learns to stop. Raises
        EngineStalled after `first_wait` or `wait` seconds without a word, EngineFault when the server
        cannot be reached, breaks off or answers no chat stream, ModelError when it has no such model,
        ContextExceeded when the conversation is too long for it.
        """
        said = [message.as_dict(content(message), lambda call: call.arguments) for message in messages]
        deadline, tries, spoke = time.monotonic() + self._first_wait, 0, False
        while True:
            sent = self._sent()
            try:
                for item in self._beginnings.told(self._ask({**sent, "messages": said}, deadline)):
                    spoke = spoke or bool(item.text or item.call if isinstance(item, Delta) else item)
                    yield item
                return
            except Refused as refused:
                self._leave_out(refused.field, sent)
            except ContextExceeded as error:
                raise EngineFault(str(error)) if spoke else error from None
            except Passing as fault:
                pause = BACKOFF * 2**tries if fault.after is None else fault.after
                if spoke or tries == self._retries or time.monotonic() + pause > deadline:
                    raise
                tries += 1
                yield from _sleep(pause)

    def prefill(self, messages: Sequence[Message]) -> None:
        """Have a connection ready, so that a later `stream` does not wait for TCP and TLS.

        The prompt itself is not sent ahead: on a metered server that is paid for, and a small one would be
        busy with it when the question comes. A server that is away is no fault yet: `stream` says so.
        """
        if (wire := self._kept()) is None:
            try:
                wire = self._dial()
            except EngineFault:
                return
        self._idle.append(wire)

    def with_sampling(
        self, *, max_tokens: int | None, stop: Sequence[str], seed: int | None, **sampling: float
    ) -> OpenAI:
        """The same model with other settings, for one answer. max_tokens: no more than configured.

        sampling: `temperature` and `top_p`, where they differ. seed: None is the server's own choice.
        What the server does not take is left out, as always.
        """
        changed = copy.copy(self)
        most: int = self._fields["max_tokens"]
        fields = {name: value for name, value in self._fields.items() if name != "seed"}
        if max_tokens is not None:
            fields["max_tokens"] = min(most, max_tokens)
        if stop:
            fields["stop"] = [*fields.get("stop", []), *stop]
        changed._fields = fields | sampling | ({} if seed is None else {"seed": seed})
        return changed

    def with_schema(self, schema: Mapping[str, Any]) -> OpenAI:
        """The same model, whose server is asked for JSON that fits this schema."""
        changed = copy.copy(self)
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        changed._fields = {**self._fields, "response_format": wanted}
        return changed

    def with_probabilities(self, count: int) -> OpenAI:
        """The same model, whose server is asked how probable its tokens were; some tell nothing of it."""
        changed = copy.copy(self)
        changed._fields = {**self._fields, "logprobs": True, "top_logprobs": count}
        return changed

    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> OpenAI:
        """The same model, whose server is told of these tools. It may keep to their schemas or not."""
        changed = copy.copy(self)
        changed._tools = tuple(tools)
        must = {"tool_choice": "required"} if required else {}
        changed._fields = {**self._fields, "tools": [tool.as_function() for tool in tools], **must}
        return changed

    def close(self) -> None:
        """Close the connections that wait for the next question."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, body: dict[str, Any], deadline: float) -> Iterator[str | Delta]:
        """One request and its answer. deadline: when the first word must be there (monotonic, s).

        Raises as `stream` does, and Passing and Refused where another request may help.
        """
        wire = self._send(body)
        whole_answer = False
        try:
            status, headers = yield from self._head(wire, deadline)
            if status != 200:
                said = yield from self._body(wire, deadline)
                raise refusal(self._url, status, headers, self._masked(said), self._model, body)
            calls = Calls([tool.name for tool in self._tools])
            if "text/event-stream" in headers.get("content-type", ""):
                yield from self._words(wire, deadline, calls)
            else:
                answer, end = whole(self._url, (yield from self._body(wire, deadline)), calls)
                yield answer if answer.thought or answer.probabilities else answer.text
                yield from self._called(calls, end)
                yield end
            whole_answer = wire.reusable()
        finally:
            if whole_answer:
                self._idle.append(wire)
            else:
                wire.close()

    def _called(self, calls: Calls, end: Finish) -> Iterator[Delta]:
        """What is to be called, once all of the answer is there; nothing by one who was told of no tools."""
        for call in calls.whole(cut=end.end == "length") if self._tools else ():
            yield Delta(tokens=0, call=call)

    def _words(self, wire: Wire, deadline: float, calls: Calls) -> Iterator[str | Delta]:
        """The texts of an event stream, up to its end, and what it calls."""
        events, finished, end = Events(), False, Finish("", "stop")
        while True:
            # Once all is said, nobody waits for what a server may still put behind it.
            part = yield from self._part(wire, time.monotonic() if finished else deadline, finished=finished)
            try:
                found = events.end() if part is None else events.feed(part)
            except ValueError as error:
                raise EngineFault(no_chat(self._url, str(error))) from error
            for data in found:
                deadline = time.monotonic() + self._wait
                if data.strip() == "[DONE]":
                    finished = True
                    yield from self._called(calls, end)
                    continue
                added, last = delta(self._url, self._masked(data), calls)
                beside = added.thought or added.probabilities
                yield added if beside else added.text  # also an empty one: it must be easy to stop
                if last is not None:
                    finished, end = True, last.after(end)
                    yield from self._called(calls, end)
            if part is None and not finished:
                raise Passing(f"{self._url} ended its answer in the middle; ask again")
            if part is None:
                yield end
                return

    def _head(self, wire: Wire, deadline: float) -> Generator[str, None, tuple[int, dict[str, str]]]:
        """Status and headers, the names of these in lower case."""
        event = yield from self._event(wire, deadline)
        return event.status_code, {
            name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers
        }

    def _body(self, wire: Wire, deadline: float) -> Generator[str, None, str]:
        """The whole body of an answer that is no stream, as text."""
        body = b""
        while len(body) < LONGEST_BODY:
            part = yield from self._part(wire, deadline, finished=False)
            if part is None:
                break
            body += part
        return body.decode("utf-8", "replace")

    def _part(self, wire: Wire, deadline: float, *, finished: bool) -> Generator[str, None, bytes | None]:
        """The next bytes of the body; None at its end. finished: all is said, a fault no longer counts."""
        try:
            event = yield from self._event(wire, deadline)
        except (Passing, EngineStalled):
            if finished:
                return None
            raise
        return bytes(event.data) if hasattr(event, "data") else None

    def _event(self, wire: Wire, deadline: float) -> Generator[str, None, Any]:
        """What the server sends next, with empty items while it sends nothing."""
        while True:
            try:
                event = wire.receive(TICK)
            except WireError as error:
                raise Passing(f"{self._url} broke off: {error}; check the server") from error
            if event is not None:
                return event
            if time.monotonic() >= deadline:
                raise EngineStalled(f"{self._url} was silent for too long; check the server")
            yield ""

    def _send(self, body: dict[str, Any]) -> Wire:
        """A connection on which `body` was sent."""
        headers = [("Content-Type", "application/json"), ("Accept", "text/event-stream")]
        if self._key:
            headers.append(("Authorization", f"Bearer {self._key}"))
        wire = self._kept() or self._dial()
        try:
            path = urlsplit(self._url).path + "/chat/completions"
            wire.send(path, headers, json.dumps(body).encode(), self._wait)
        except WireError as error:
            wire.close()
            raise Passing(f"{self._url} broke off: {error}; check the server") from error
        return wire

    def _kept(self) -> Wire | None:
        """A connection from before that is still good."""
        while self._idle:
            wire = self._idle.pop()
            if wire.fresh:
                return wire
            wire.close()
        return None

    def _dial(self) -> Wire:
        try:
            return Wire(self._url, self._connect_wait)
        except WireError as error:
            raise Passing(
                f"no server at {self._url} ({error}); start it, or set llm.base_url to where it is"
            ) from error

    def _sent(self) -> dict[str, Any]:
        """The fields of a request, as far as the server takes them.

        OpenAI's newer models want the length of an answer under another name.
        """
        sent = {field: value for field, value in self._fields.items() if field not in self._refused}
        if "max_tokens" in self._refused and "max_completion_tokens" not in self._refused:
            sent["max_completion_tokens"] = self._fields["max_tokens"]
        return sent | ({EFFORT: self._efforts[0]} if self._efforts else {})

    def _leave_out(self, field: str, sent: dict[str, Any]) -> None:
        """Send no such `field` any more, or the next value of it. sent: the request that was refused."""
        if field != EFFORT:
            self._refused.add(field)
        elif sent[EFFORT] in self._efforts:
            self._efforts.remove(sent[EFFORT])

    def _masked(self, text: str) -> str:
        """`text` without the key: some servers repeat it when they refuse it."""
        return text.replace(self._key, "***") if self._key else text


def _sleep(seconds: float) -> Iterator[str]:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield ""
        time.sleep(min(TICK, left))


def _checked(url: str) -> str:
    """`url` without a slash at its end. Raises ConfigError when it is no plain address of a server."""
    cure = "give an address such as http://127.0.0.1:8080/v1"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"llm.base_url: {url!r} is no address ({error}); {cure}") from None
    if parts.username or parts.password:
        raise ConfigError("llm.base_url: no name or password belongs there; put a key into llm.api_key_env's")
    plain = parts.scheme in ("http", "https") and parts.hostname and port != 0
    if not plain or parts.query or parts.fragment or not url.isascii() or " " in url:
        raise ConfigError(f"llm.base_url: {url!r} is no address of a server; {cure}")
    return url.rstrip("/")
